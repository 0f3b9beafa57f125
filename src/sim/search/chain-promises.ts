/**
 * What the search of the chain knows of a run besides its nodes: the partition's record as the register keeps it, what was
 * promised to clients, and which faults may still come. The register stands for Raft: it decides at once, and everything
 * around it (the way of a command to it, the outcome, the news of a new record) may take any time or never arrive.
 */
import type { Offset, SegmentId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { ChainCommand } from '../../chain/events.ts'
import type { Peer } from '../../chain/messages.ts'
import type { Partition, Segment } from '../../chain/segment.ts'

/** How often something may still happen in a run. */
export interface Budgets {
  readonly batches: number
  readonly rolls: number
  readonly recoveries: number
  /** Outcomes of proposals that nobody knows. */
  readonly unknowns: number
  readonly crashes: number
  readonly wipes: number
}

/** A record that was acknowledged by a quorum, or shown to a reader: it must be there for ever. */
export interface Promised {
  readonly crc: number
  /** In which segment it was acknowledged; null when it was only read. */
  readonly acknowledgedIn: SegmentId | null
}

export interface Promises {
  /** Every version of the record, the oldest first: nodes learn of them one after another. */
  readonly records: readonly Partition[]
  readonly nextSegment: SegmentId
  /** The latest boot of each node that has registered. */
  readonly boots: readonly Peer[]
  /** By offset (every batch has one record); null where nothing was promised. */
  readonly promised: readonly (Promised | null)[]
  /** The highest commit offset that any writer has computed, by segment. */
  readonly commits: readonly { readonly segment: SegmentId; readonly commit: Offset }[]
  /** Where segments were sealed; an empty one is not in the chain any more. */
  readonly ends: readonly { readonly segment: SegmentId; readonly end: Offset }[]
  /** The highest offset below which any node lets clients read. */
  readonly highWatermark: Offset
  readonly left: Budgets
}

/** What the environment must know of a step. */
export type Note =
  | { readonly note: 'spend'; readonly of: keyof Budgets }
  | { readonly note: 'boot'; readonly peer: Peer }
  /** The register took a command. */
  | {
      readonly note: 'record'
      readonly command: ChainCommand
      readonly record: Partition
      readonly nextSegment: SegmentId
    }
  /** A producer was told that a quorum has its record. */
  | { readonly note: 'acknowledged'; readonly segment: SegmentId; readonly base: Offset; readonly crc: number }
  | { readonly note: 'commit'; readonly segment: SegmentId; readonly commit: Offset }
  /** What a node lets clients read, by offset; null for what it would have to fetch from elsewhere. */
  | { readonly note: 'readable'; readonly end: Offset; readonly crcs: readonly (number | null)[] }

export const recordOf = (promises: Promises): Partition => promises.records.at(-1) as Partition

/** What is promised after a step. Throws when one promise breaks another. */
export function observed(promises: Promises, notes: readonly Note[]): Promises {
  return notes.reduce(withNote, promises)
}

function withNote(before: Promises, note: Note): Promises {
  switch (note.note) {
    case 'spend':
      return { ...before, left: { ...before.left, [note.of]: before.left[note.of] - 1 } }
    case 'boot':
      return { ...before, boots: before.boots.map(peer => (peer.nodeId === note.peer.nodeId ? note.peer : peer)) }
    case 'record':
      return withRecord(before, note)
    case 'acknowledged':
      return { ...before, promised: withPromise(before.promised, note.base, note.crc, note.segment) }
    case 'commit':
      return withCommit(before, note.segment, note.commit)
    case 'readable':
      return withReadable(before, note.end, note.crcs)
  }
}

function withRecord(before: Promises, { command, record, nextSegment }: Extract<Note, { note: 'record' }>): Promises {
  const old = recordOf(before)
  checkChange(old, record, command)
  const after = { ...before, records: [...before.records, record], nextSegment }
  if (nextSegment === before.nextSegment) return after
  const { base: end } = record.chain.at(-1) as Segment
  const sealed = { ...after, ends: [...before.ends, { segment: command.segment, end }] }
  checkCommit(sealed, command.segment)
  invariant(
    end >= before.highWatermark,
    `I10 HWMonotonic: segment ${command.segment} ends at ${end}, below what was readable (${before.highWatermark})`,
  )
  return sealed
}

function checkCommit({ commits, ends }: Promises, id: SegmentId): void {
  const commit = commits.find(({ segment }) => segment === id)?.commit
  const end = ends.find(({ segment }) => segment === id)?.end
  invariant(
    commit === undefined || end === undefined || commit <= end,
    `I5 SealCoversCommit: segment ${id} ends at ${end}, below a commit at ${commit}`,
  )
}

function withCommit(before: Promises, id: SegmentId, commit: Offset): Promises {
  const known = before.commits.find(({ segment }) => segment === id)
  if (known !== undefined && known.commit >= commit) return before
  const others = before.commits.filter(each => each !== known)
  const commits = [...others, { segment: id, commit }].sort((a, b) => a.segment - b.segment)
  const after = { ...before, commits }
  checkCommit(after, id)
  return after
}

function withPromise(
  promised: Promises['promised'],
  offset: Offset,
  crc: number,
  segment: SegmentId | null,
): Promises['promised'] {
  const known = promised[offset] ?? null
  invariant(
    known === null || known.crc === crc,
    `I9 ReadCommitted: offset ${offset} was promised with another record (${known?.crc}, now ${crc})`,
  )
  const next = Array.from({ length: Math.max(promised.length, offset + 1) }, (_, at) => promised[at] ?? null)
  next[offset] = { crc, acknowledgedIn: known?.acknowledgedIn ?? segment }
  return next
}

function withReadable(before: Promises, end: Offset, crcs: readonly (number | null)[]): Promises {
  invariant(
    end <= committedEnd(before),
    `I9 ReadCommitted: a node lets clients read up to ${end}, beyond what is committed (${committedEnd(before)})`,
  )
  const promised = crcs.reduce<Promises['promised']>(
    (sum, crc, at) => (crc === null ? sum : withPromise(sum, at as Offset, crc, null)),
    before.promised,
  )
  return { ...before, promised, highWatermark: Math.max(before.highWatermark, end) as Offset }
}

/** Everything below was committed by a writer or is sealed. */
function committedEnd(promises: Promises): number {
  return recordOf(promises).chain.reduce((highest, { id, base, end }) => {
    const commit = promises.commits.find(({ segment }) => segment === id)?.commit ?? base
    return Math.max(highest, end ?? commit)
  }, 0)
}

/** What the record's own rules say of a change, told again without the machine's code: the chain's epochs and states. */
function checkChange(before: Partition, after: Partition, command: ChainCommand): void {
  const target = before.chain.find(({ id }) => id === command.segment)
  invariant(after.version === before.version + 1, 'I12 MetaCAS: every change is one version')
  invariant(target !== undefined, 'I12 MetaCAS: a change is of a segment that exists')
  if (command.do === 'sealAndOpen') {
    invariant(
      target.state === 'open' && target.writeEpoch === command.epoch,
      'I12 MetaCAS: only the writer of an open segment seals it',
    )
  }
  if (command.do === 'completeRecovery') {
    invariant(
      target.state === 'sealing',
      'I12 MetaCAS: only a segment that is being recovered is sealed by a recoverer',
    )
  }
  for (const old of before.chain) {
    if (old.end === null) continue
    const now = after.chain.find(({ id }) => id === old.id)
    invariant(
      now !== undefined && now.end === old.end && now.checksum === old.checksum,
      'I7 Immutable: a sealed segment keeps its end and checksum',
    )
  }
  checkChain(after)
}

function checkChain({ chain }: Partition): void {
  for (const [at, segment] of chain.entries()) {
    const next = chain[at + 1]
    if (next === undefined) continue
    invariant(segment.end !== null, 'I2 OneOpen: only the last segment of a chain is unsealed')
    invariant(segment.end === next.base, 'I3 Dense: a segment begins where the one before it ends')
    invariant(segment.writeEpoch < next.writeEpoch, 'I2 OneOpen: epochs along a chain strictly increase')
  }
}
