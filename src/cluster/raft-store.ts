/**
 * Where Raft keeps what it must not forget (docs/formats/raft.md): entries, term and vote in the node's journal, the newest
 * snapshot in the file `metadata`. A snapshot is what lets the journal forget: until it is durable, every file with an entry
 * that it covers is held.
 */
import { crc32c } from '../base/crc32c.ts'
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, Term } from '../base/ids.ts'
import { type Rope, ropeOf } from '../base/rope.ts'
import type { Disk } from '../io/disk.ts'
import type { Journal, JournalEntry } from '../log/journal.ts'
import type { JournalFile } from '../log/journal-files.ts'
import { entryKinds } from '../log/journal-format.ts'
import type { FoundRaft } from '../log/log-store.ts'
import { loadWhole, saveWhole } from '../log/whole-file.ts'
import type { RaftOptions, Snapshot } from '../raft/events.ts'
import type { Membership } from '../raft/membership.ts'
import {
  decodeHardState,
  decodeRaftEntry,
  encodeHardState,
  encodeRaftEntry,
  type HardState,
  type RaftEntry,
} from '../raft/storage.ts'
import { fromFile, metadataFile, toFile } from './snapshot.ts'

const snapshotPath = 'metadata'

/** A journal file that a record of Raft's needs; `index` is null for term and vote. */
interface Pin {
  readonly index: LogIndex | null
  readonly file: JournalFile
}

export class RaftStore {
  readonly #disk: Disk
  readonly #journal: Journal
  #pins: Pin[]

  constructor(disk: Disk, journal: Journal, pins: readonly Pin[]) {
    this.#disk = disk
    this.#journal = journal
    this.#pins = [...pins]
  }

  /** Writes what one step of the core wants written; `durable` runs after the sync of the last of it. */
  persist(hardState: HardState | null, entries: readonly RaftEntry[], durable: () => void): void {
    if (hardState !== null) {
      this.#append(entryKinds.raftState, null, encodeHardState(hardState), entries.length === 0 ? durable : nothing)
    }
    entries.forEach((entry, i) => {
      const isLast = i === entries.length - 1
      this.#append(entryKinds.raftEntry, entry.index, encodeRaftEntry(entry), isLast ? durable : nothing)
    })
  }

  /** Replaces the file, and lets go of the records that it stands for. */
  async saveSnapshot(snapshot: Snapshot, hardState: HardState): Promise<void> {
    const covered = new Set(this.#pins.filter(({ index }) => index === null || index <= snapshot.index))
    await saveWhole(this.#disk, snapshotPath, metadataFile, toFile(snapshot, hardState))
    for (const { file } of covered) file.pins--
    this.#pins = this.#pins.filter(pin => !covered.has(pin))
  }

  #append(kind: JournalEntry['kind'], index: LogIndex | null, body: Buffer, durable: () => void): void {
    const placed = (file: JournalFile) => {
      file.pins++
      this.#pins.push({ index, file })
    }
    this.#journal.append(new RaftNote(kind, body, placed, durable))
  }
}

function nothing(): void {}

/** What a node finds when it starts: for the core, and the journal files that are held for it. */
export interface LoadedRaft {
  readonly restored: RaftOptions['restored']
  readonly pins: readonly Pin[]
}

/** `initialMembership` is that of a node by itself, whose file of the time before clusters names no members. */
export async function loadRaft(
  disk: Disk,
  found: readonly FoundRaft[],
  initialMembership: Membership,
): Promise<LoadedRaft> {
  const snapshot = await loadSnapshot(disk, initialMembership)
  const before = snapshot?.index ?? (0 as LogIndex)
  const entries: RaftEntry[] = []
  const pins: Pin[] = []
  let hardState = snapshot?.hardState ?? { term: 0 as Term, votedFor: null }
  for (const { kind, body, file } of found) {
    if (kind === entryKinds.raftState) {
      pins.push({ index: null, file })
      const state = decodeHardState(body)
      if (state.term >= hardState.term) hardState = state
      continue
    }
    const entry = decodeRaftEntry(body)
    pins.push({ index: entry.index, file })
    if (entry.index > before) addEntry(entries, before, entry)
  }
  return { restored: { hardState: atLeast(hardState, entries, initialMembership), snapshot, entries }, pins }
}

async function loadSnapshot(
  disk: Disk,
  initialMembership: Membership,
): Promise<(Snapshot & { readonly hardState: HardState }) | null> {
  const file = await loadWhole(disk, snapshotPath, metadataFile)
  if (file === null) return null
  const { lastIndex: index, lastTerm: term, hardState, membership, state: data } = fromFile(file)
  return { index, term, hardState, membership: membership ?? initialMembership, data, checksum: crc32c(data) }
}

/** An entry that was written later stands for what was cut off from its place on. */
function addEntry(entries: RaftEntry[], before: LogIndex, entry: RaftEntry): void {
  const at = entry.index - before - 1
  if (at > entries.length) {
    throw new TidelogError(
      'CORRUPT',
      `metadata entries ${before + entries.length + 1} to ${entry.index - 1} are missing from the journal; restore the data directory from a backup`,
    )
  }
  entries.length = at
  entries.push(entry)
}

/** A term's first record may be lost to damage; its entries tell of it. Nobody else gets this node's vote in it. */
function atLeast(hardState: HardState, entries: readonly RaftEntry[], [self]: Membership): HardState {
  const term = entries.at(-1)?.term ?? hardState.term
  return term <= hardState.term ? hardState : { term, votedFor: self?.nodeId ?? null }
}

/** One of Raft's records on its way into the journal. */
class RaftNote implements JournalEntry {
  readonly kind: JournalEntry['kind']
  readonly segmentId = 0
  readonly base = 0
  readonly end = 0
  readonly body: Rope
  readonly placed: (file: JournalFile) => void
  readonly durable: () => void

  constructor(kind: JournalEntry['kind'], body: Buffer, placed: (file: JournalFile) => void, durable: () => void) {
    this.kind = kind
    this.body = ropeOf(body)
    this.placed = placed
    this.durable = durable
  }

  written(): void {}
}
