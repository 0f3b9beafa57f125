/** Which format a file has: by its first bytes, and where these are damaged by its name. */
import { exitCodes } from '../../base/errors.ts'
import { CliError } from '../failure.ts'
import { type BatchOptions, batchesFormat, readBatches } from './batches.ts'
import type { Finding, Format } from './finding.ts'
import { journalFormat, journalMagic, readJournal } from './journal.ts'
import { readSealFile, sealFormat, sealMagic } from './seal.ts'
import type { Source } from './source.ts'
import {
  checkpointFormat,
  identityFormat,
  identitySlotBytes,
  metadataFormat,
  readCheckpoint,
  readIdentity,
  readMetadata,
  wholeMagic,
} from './whole.ts'

export interface Detected {
  readonly format: Format
  read(source: Source): Iterable<Finding>
}

export function detect(source: Source, options: BatchOptions): Detected {
  const found = byContent(source, options) ?? byName(source.name, options)
  if (found !== null) return found
  const what =
    source.bytes === 0
      ? 'is empty'
      : 'is no journal, segment, seal, checkpoint, identity or metadata file, and no log of Kafka’s'
  throw new CliError(exitCodes.runtime, `${source.path} ${what}; name a file of a data directory`)
}

const identity: Detected = { format: identityFormat, read: readIdentity }
const checkpoint: Detected = { format: checkpointFormat, read: readCheckpoint }
const metadata: Detected = { format: metadataFormat, read: readMetadata }
const seal: Detected = { format: sealFormat, read: readSealFile }
const journal: Detected = { format: journalFormat, read: readJournal }
const batches = (options: BatchOptions): Detected => ({
  format: batchesFormat,
  read: source => readBatches(source, options),
})

const magicAt = 16
const batchHeaderBytes = 61

function byContent(source: Source, options: BatchOptions): Detected | null {
  const head = source.read(0, identitySlotBytes + 10)
  const at = (position: number) => head.toString('latin1', position, position + 8)
  if (at(0) === journalMagic) return journal
  if (at(0) === sealMagic) return seal
  if (at(2) === wholeMagic || at(identitySlotBytes + 2) === wholeMagic) return identity
  if (at(0) === wholeMagic) return at(8).startsWith('Metadata') ? metadata : checkpoint
  return head.length >= batchHeaderBytes && head[magicAt] === 2 ? batches(options) : null
}

function byName(name: string, options: BatchOptions): Detected | null {
  if (/\.journal$/.test(name)) return journal
  if (/\.seal(?:\.tmp)?$/.test(name)) return seal
  if (/^checkpoint\.\d+(?:\.tmp)?$/.test(name)) return checkpoint
  if (/^metadata(?:\.tmp)?$/.test(name)) return metadata
  if (/^identity(?:\.tmp)?$/.test(name)) return identity
  return /^\d{20}(?:\.\d+)?\.log$/.test(name) ? batches(options) : null
}
