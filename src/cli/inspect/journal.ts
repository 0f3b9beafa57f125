/**
 * Journal files (docs/formats/journal.md): groups of entries. Only the exact next group counts, as at a start of a node. Where
 * it is missing, a later group proves that it was durable: that is damage; without one it is a torn tail, never acknowledged.
 *
 * The file may be one that is being written: what looks damaged is read once more before it is called so.
 */
import { ropeOf } from '../../base/rope.ts'
import { decodeCommand } from '../../cluster/commands.ts'
import { checkpointEntry } from '../../log/checkpoint.ts'
import {
  claimedFileSeq,
  decodeEntryHeader,
  decodeFileHeader,
  decodeGroupHeader,
  type EntryHeader,
  entryCrcMatches,
  entryHeaderBytes,
  entryKinds,
  type GroupHeader,
  groupHeaderBytes,
  sectorBytes,
  toSector,
  unusedFileSeq,
} from '../../log/journal-format.ts'
import { decodeMembership } from '../../raft/membership.ts'
import { decodeHardState, decodeRaftEntry, entryTypes } from '../../raft/storage.ts'
import { decodeRecord } from '../../wire/on-disk.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import { batchCrcMatches, batchHeaderBytes, readBatchHeader } from '../../wire/record-batch.ts'
import { counted, type Json } from '../output.ts'
import { batchValues } from './batches.ts'
import { entry, type Finding, type Format, header, note, plain, problem } from './finding.ts'
import type { Source } from './source.ts'

export const journalMagic = 'TIDEJRNL'

export const journalFormat: Format = {
  name: 'journal',
  columns: [
    { field: 'position', width: 10, right: true },
    { field: 'group', width: 8, right: true },
    { field: 'kind', width: 10 },
    { field: 'segment', width: 7, right: true },
    { field: 'base', width: 10, right: true },
    { field: 'end', width: 10, right: true },
    { field: 'bytes', width: 8, right: true },
    { field: 'what', width: 4 },
  ],
}

const kindNames = new Map<number, string>(Object.entries(entryKinds).map(([name, kind]) => [kind, name]))
const scanBytes = 4 << 20

export function* readJournal(source: Source): Generator<Finding> {
  const sector = source.read(0, sectorBytes)
  const found = decodeFileHeader(sector)
  if (found === null) {
    const isEmpty = sector.every(byte => byte === 0)
    yield isEmpty
      ? note('no header yet: a file that is being filled')
      : problem(0, 'the header does not match its checksum; without it no group can be read')
    return
  }
  if ('unknownVersion' in found) return yield problem(0, `version ${found.unknownVersion} is not known here`)
  const { clusterId, diskId, ...rest } = found
  yield header({ ...rest, clusterId: clusterId.toString('hex'), diskId: diskId.toString('hex') })
  if (source.bytes < found.fileBytes)
    yield problem(source.bytes, `the file was made with ${found.fileBytes} bytes and has ${source.bytes}`)
  if (found.fileSeq === unusedFileSeq) return yield note('never used: a spare')
  yield* new Walk(source, found.fileSeq, found.salt).run()
}

class Walk {
  readonly #source: Source
  readonly #fileSeq: number
  readonly #salt: number
  #position = sectorBytes
  #expected: number | null = null

  constructor(source: Source, fileSeq: number, salt: number) {
    this.#source = source
    this.#fileSeq = fileSeq
    this.#salt = salt
  }

  *run(): Generator<Finding> {
    for (;;) {
      const group = this.#nextGroup()
      const inside = group === null ? null : [...this.#entries(group)]
      const isWhole = inside !== null && !inside.some(({ is }) => is === 'problem')
      if (group !== null && isWhole) {
        yield* inside
        this.#advance(group)
        continue
      }
      const later = this.#laterGroup(group)
      // It may have been written since.
      const again = this.#nextGroup()
      if (later !== null && again !== null && ![...this.#entries(again)].some(({ is }) => is === 'problem')) continue
      if (later === null) return yield* this.#tail(group)
      if (group !== null) {
        yield* inside ?? []
        this.#advance(group)
        continue
      }
      yield problem(
        this.#position,
        `groups ${this.#expected ?? '?'} to ${later.groupSeq - 1} are damaged; they were durable, as group ${later.groupSeq} at position ${later.position} follows`,
      )
      this.#position = later.position
      this.#expected = later.groupSeq
    }
  }

  #advance(group: GroupHeader): void {
    this.#position += toSector(group.bytes)
    this.#expected = group.groupSeq + 1
  }

  #nextGroup(): GroupHeader | null {
    const group = this.#decode(this.#source.read(this.#position, groupHeaderBytes), 0, this.#position)
    return group !== null && (this.#expected === null || group.groupSeq === this.#expected) ? group : null
  }

  #decode(bytes: Buffer, at: number, position: number): GroupHeader | null {
    const group = decodeGroupHeader(bytes, at, this.#salt)
    if (group === null || group.fileSeq !== this.#fileSeq || group.position !== position) return null
    return group.bytes >= groupHeaderBytes && position + group.bytes <= this.#source.bytes ? group : null
  }

  /** The first group of this life behind the place, or behind the group that is not whole. */
  #laterGroup(group: GroupHeader | null): GroupHeader | null {
    const groupSeqMin = group === null ? (this.#expected ?? 0) : group.groupSeq + 1
    let from = group === null ? this.#position : this.#position + sectorBytes
    while (from + groupHeaderBytes <= this.#source.bytes) {
      const bytes = this.#source.read(from, scanBytes)
      for (let at = 0; at + groupHeaderBytes <= bytes.length; at += sectorBytes) {
        const later = this.#decode(bytes, at, from + at)
        if (later !== null && later.groupSeq >= groupSeqMin) return later
      }
      if (bytes.length < sectorBytes) return null
      from += bytes.length
    }
    return null
  }

  *#tail(group: GroupHeader | null): Generator<Finding> {
    const bytes = this.#source.read(this.#position, groupHeaderBytes)
    const isTorn = group !== null || (bytes.length === groupHeaderBytes && claimedFileSeq(bytes) === this.#fileSeq)
    const next = this.#expected === null ? '' : `, group ${this.#expected}`
    if (isTorn) {
      yield note(
        `a group at position ${this.#position}${next} is not whole: it is being written, or was never acknowledged, unless a later journal file goes on behind it`,
      )
    } else yield note(`the journal ends at position ${this.#position}${next === '' ? '' : `, before${next.slice(1)}`}`)
  }

  *#entries(group: GroupHeader): Generator<Finding> {
    const bytes = this.#source.read(group.position, group.bytes)
    let at = groupHeaderBytes
    let count = 0
    if (group.entries === 0)
      yield entry({ position: group.position, group: group.groupSeq, kind: 'mark', bytes: group.bytes })
    while (at + entryHeaderBytes <= bytes.length) {
      const found = decodeEntryHeader(bytes, at)
      const bodyAt = at + entryHeaderBytes
      if (found === null || bodyAt + found.length > bytes.length) break
      const body = bytes.subarray(bodyAt, bodyAt + found.length)
      yield* this.#entry(group, found, { bytes, at, body })
      at = bodyAt + found.length
      count++
    }
    if (count === group.entries) return
    yield problem(
      group.position + at,
      `entry ${count + 1} of ${group.entries} of group ${group.groupSeq} has a damaged header`,
    )
  }

  *#entry(
    group: GroupHeader,
    found: EntryHeader,
    { bytes, at, body }: { bytes: Buffer; at: number; body: Buffer },
  ): Generator<Finding> {
    const position = group.position + at
    const kind = kindNames.get(found.kind) ?? String(found.kind)
    const isOfSegment = found.kind === entryKinds.batch || found.kind === entryKinds.checkpoint
    const isSound = entryCrcMatches(bytes, at, found, ropeOf(body)) && isBatchSound(found, body)
    const read = isSound ? contentOf(found, body) : null
    yield entry({
      position,
      group: group.groupSeq,
      kind,
      segment: isOfSegment ? found.segmentId : null,
      base: isOfSegment ? found.base : null,
      end: isOfSegment ? found.end : null,
      bytes: found.length,
      what: read?.what ?? (isSound ? '' : 'damaged'),
      sequence: found.sequence,
      sound: isSound,
      ...(read === null ? {} : { content: read.content }),
    })
    if (!isSound) yield problem(position, `the ${kind} of group ${group.groupSeq} does not match its checksum`)
    else if (read === null) yield problem(position, `the ${kind} of group ${group.groupSeq} cannot be read`)
  }
}

function isBatchSound(found: EntryHeader, body: Buffer): boolean {
  if (found.kind !== entryKinds.batch) return true
  if (body.length < batchHeaderBytes) return false
  const batch = readBatchHeader(body)
  return batch.bytes === body.length && batchCrcMatches(ropeOf(body), batch)
}

interface Content {
  /** In a few words. */
  readonly what: string
  readonly content: Json
}

/** Null for what does not read. */
function contentOf(found: EntryHeader, body: Buffer): Content | null {
  try {
    switch (found.kind) {
      case entryKinds.batch: {
        const { position: _position, ...values } = batchValues(readBatchHeader(body), 0)
        return { what: `${counted(values.records, 'record')}, ${values.codec}`, content: values }
      }
      case entryKinds.checkpoint: {
        const read = decodeRecord(checkpointEntry, body)
        return { what: `file synced to ${read.flushedEnd}, ${read.flushedBytes} bytes`, content: plain(read) }
      }
      case entryKinds.raftState: {
        const state = decodeHardState(body)
        return { what: `term ${state.term}, vote ${state.votedFor ?? 'none'}`, content: plain(state) }
      }
      default:
        return raftContent(body)
    }
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}

function raftContent(body: Buffer): Content {
  const { term, index, type, data } = decodeRaftEntry(body)
  const place = `term ${term}, index ${index}`
  if (type === entryTypes.membership) {
    return { what: `${place}: members`, content: { term, index, members: plain(decodeMembership(data)) } }
  }
  if (type === entryTypes.noop) return { what: `${place}: begins the term`, content: { term, index } }
  const command = decodeCommand(data)
  if ('unknownType' in command) {
    return {
      what: `${place}: command ${command.unknownType}, not known here`,
      content: { term, index, command: plain(command) },
    }
  }
  return { what: `${place}: ${command.command.do}`, content: { term, index, command: plain(command.command) } }
}
