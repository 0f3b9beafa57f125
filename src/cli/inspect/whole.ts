/** The files that are one record (docs/formats/whole-file.md): `metadata`, `checkpoint.<n>`, and the two copies in `identity`. */
import { TidelogError } from '../../base/errors.ts'
import { identityTable } from '../../cluster/identity.ts'
import { fromFile, metadataFile, metadataState } from '../../cluster/snapshot.ts'
import { checkpointTable } from '../../log/checkpoint.ts'
import { decodeSound, decodeWhole } from '../../log/whole-file.ts'
import type { Message } from '../../wire/schema.ts'
import { type Finding, type Format, header, note, plain, problem } from './finding.ts'
import type { Source } from './source.ts'

export const wholeMagic = 'TIDEFILE'
export const identitySlotBytes = 512

export const identityFormat: Format = { name: 'identity', columns: [] }
export const metadataFormat: Format = { name: 'metadata', columns: [] }
export const checkpointFormat: Format = { name: 'checkpoint', columns: [] }

export function* readIdentity(source: Source): Generator<Finding> {
  const bytes = source.read(0, identitySlotBytes * 2)
  const copies: { readonly generation: number; readonly slot: number; readonly value: unknown }[] = []
  for (const slot of [0, 1]) {
    const at = slot * identitySlotBytes
    const length = bytes.length < at + identitySlotBytes ? 0 : bytes.readUInt16BE(at)
    const read = decoded(identityTable, bytes.subarray(at + 2, at + 2 + length), `slot ${slot}`)
    if (read instanceof TidelogError) yield problem(at, read.message)
    else copies.push({ generation: (read as { generation: number }).generation, slot, value: read })
  }
  const newest = copies.sort((a, b) => b.generation - a.generation)[0]
  if (newest === undefined) return
  yield header({ slot: newest.slot, soundSlots: copies.length })
  yield { is: 'document', value: plain(newest.value) }
}

export function* readCheckpoint(source: Source): Generator<Finding> {
  const read = decoded(checkpointTable, source.read(0, source.bytes), 'the file')
  if (read instanceof TidelogError) yield problem(0, read.message)
  else yield { is: 'document', value: plain(read) }
}

export function* readMetadata(source: Source): Generator<Finding> {
  const read = decoded(metadataFile, source.read(0, source.bytes), 'the file')
  if (read instanceof TidelogError) return yield problem(0, read.message)
  try {
    const { lastIndex, lastTerm, hardState, membership, state } = fromFile(read as Parameters<typeof fromFile>[0])
    if (membership === null) yield note('a snapshot of version 0, of a node by itself')
    yield header({
      lastIndex,
      lastTerm,
      term: hardState.term,
      votedFor: hardState.votedFor,
      membership: plain(membership),
    })
    yield {
      is: 'document',
      value: plain(decodeSound(metadataState, state.subarray(2), 'the state', state.readUInt16BE(0))),
    }
  } catch (error) {
    if (!(error instanceof TidelogError)) throw error
    yield problem(0, error.message)
  }
}

function decoded(table: Message, bytes: Buffer, what: string): unknown {
  try {
    return decodeWhole(bytes, what, table)
  } catch (error) {
    if (error instanceof TidelogError) return error
    throw error
  }
}
