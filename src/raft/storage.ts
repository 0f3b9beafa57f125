/**
 * What Raft keeps on disk, in the node's journal (docs/formats/raft.md): log entries, and term with vote. The same
 * bytes serve one voter and many. Snapshots are whole files of the state machine's owner; a snapshot, not copying, is
 * what frees the journal of older entries.
 */
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import { decodeRecord, encodeRecord, onDisk } from '../wire/on-disk.ts'
import { bytes, int8, int32, int64, message } from '../wire/schema.ts'

/** What an entry carries. */
export const entryTypes = { noop: 0, command: 1, membership: 2 } as const

const v0 = { ...onDisk, versions: [0, 0] } as const

const entryTable = message({
  name: 'RaftEntry',
  ...v0,
  body: { term: int64, index: int64, type: int8, data: bytes },
})

const stateTable = message({
  name: 'RaftState',
  ...v0,
  /** -1 for no vote. */
  body: { term: int64, votedFor: int32 },
})

export interface RaftEntry {
  readonly term: Term
  readonly index: LogIndex
  readonly type: (typeof entryTypes)[keyof typeof entryTypes]
  readonly data: Buffer
}

export interface HardState {
  readonly term: Term
  readonly votedFor: NodeId | null
}

export function encodeRaftEntry(entry: RaftEntry): Buffer {
  return encodeRecord(entryTable, entry)
}

export function decodeRaftEntry(body: Buffer): RaftEntry {
  return decodeRecord(entryTable, body) as unknown as RaftEntry
}

export function encodeHardState(state: HardState): Buffer {
  return encodeRecord(stateTable, { term: state.term, votedFor: state.votedFor ?? -1 })
}

export function decodeHardState(body: Buffer): HardState {
  const { term, votedFor } = decodeRecord(stateTable, body)
  return { term: term as Term, votedFor: votedFor < 0 ? null : (votedFor as NodeId) }
}
