/**
 * The metadata with its log: commands go through Raft (one voter for now) into the state machine, and snapshots let the
 * journal forget old entries.
 */
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import { emptyRope, type Rope, ropeOf } from '../base/rope.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import type { Journal, JournalEntry } from '../log/journal.ts'
import type { JournalFile } from '../log/journal-files.ts'
import { entryKinds } from '../log/journal-format.ts'
import type { FoundRaft } from '../log/log-store.ts'
import { loadWhole, saveWhole } from '../log/whole-file.ts'
import { OneVoter } from '../raft/one-voter.ts'
import { decodeHardState, decodeRaftEntry, entryTypes, type HardState, type RaftEntry } from '../raft/storage.ts'
import { type Command, encodeCommand } from './commands.ts'
import { randomId } from './identity.ts'
import { Metadata } from './metadata.ts'
import type { Outcome } from './outcome.ts'
import { decodeMetadata, encodeMetadata, fromFile, metadataFile } from './snapshot.ts'

const snapshotPath = 'metadata'

/** A journal file that an entry of Raft's needs; `index` is null for term and vote. */
interface Pin {
  readonly index: LogIndex | null
  readonly file: JournalFile
}

export class MetadataLog {
  readonly metadata: Metadata
  readonly #disk: Disk
  readonly #random: Random
  readonly #voter: OneVoter<Outcome>
  #pins: Pin[]
  #saving: Promise<void> | null = null

  private constructor(options: {
    disk: Disk
    random: Random
    journal: Journal
    nodeId: NodeId
    replayed: Replayed
  }) {
    this.metadata = options.replayed.metadata
    this.#disk = options.disk
    this.#random = options.random
    this.#pins = options.replayed.pins
    this.#voter = new OneVoter<Outcome>({
      log: {
        append: (kind, body, durable) => {
          const index = kind === 'entry' ? decodeRaftEntry(body).index : null
          const placed = (file: JournalFile) => this.#pin({ index, file })
          options.journal.append(new RaftNote(kind, body, placed, durable))
        },
      },
      nodeId: options.nodeId,
      state: options.replayed,
      apply: (_, encoded) => this.metadata.applyEncoded(encoded),
    })
  }

  /** Restores the metadata from its snapshot and the journal, and starts a new term. */
  static async open(options: {
    disk: Disk
    random: Random
    journal: Journal
    found: readonly FoundRaft[]
    nodeId: NodeId
  }): Promise<MetadataLog> {
    const log = new MetadataLog({ ...options, replayed: await replay(options.disk, options.found) })
    await log.#voter.campaign()
    return log
  }

  /** Resolves when the command is durable and applied; a refusal is an outcome, not an error. */
  propose(command: Command): Promise<Outcome> {
    return this.#voter.propose(encodeCommand(command, randomId(this.#random)))
  }

  /** Takes no more commands; those under way may still become durable. */
  close(): void {
    this.#voter.close()
  }

  /** The journal is closed: commands that did not become durable are rejected. */
  abandon(): void {
    this.#voter.abandon()
  }

  /** Saves the state and lets go of the journal's entries that it includes. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null
    })
    return this.#saving
  }

  async #save(): Promise<void> {
    const { applied, hardState } = this.#voter
    const covered = this.#pins.filter(pin => pin.index === null || pin.index <= applied.index)
    await saveWhole(this.#disk, snapshotPath, metadataFile, {
      lastIndex: applied.index,
      lastTerm: applied.term,
      term: hardState.term,
      votedFor: hardState.votedFor ?? -1,
      state: encodeMetadata(this.metadata),
    })
    const gone = new Set(covered)
    for (const pin of covered) pin.file.pins--
    this.#pins = this.#pins.filter(pin => !gone.has(pin))
  }

  #pin(pin: Pin): void {
    pin.file.pins++
    this.#pins.push(pin)
  }
}

interface Replayed {
  readonly metadata: Metadata
  readonly hardState: HardState
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly pins: Pin[]
}

async function replay(disk: Disk, found: readonly FoundRaft[]): Promise<Replayed> {
  const file = await loadWhole(disk, snapshotPath, metadataFile)
  const saved = file === null ? null : fromFile(file)
  const metadata = saved === null ? new Metadata() : decodeMetadata(saved.state)
  let lastIndex = saved?.lastIndex ?? (0 as LogIndex)
  let lastTerm = saved?.lastTerm ?? (0 as Term)
  let hardState: HardState = saved?.hardState ?? { term: 0 as Term, votedFor: null }
  const pins: Pin[] = []
  for (const { kind, body, file } of found) {
    if (kind === entryKinds.raftState) {
      pins.push({ index: null, file })
      const state = decodeHardState(body)
      if (state.term > hardState.term) hardState = state
      continue
    }
    const entry = decodeRaftEntry(body)
    pins.push({ index: entry.index, file })
    if (entry.index <= lastIndex) continue
    requireNext(entry, lastIndex)
    lastIndex = entry.index
    lastTerm = entry.term
    if (entry.type === entryTypes.command) metadata.applyEncoded(entry.data)
  }
  return { metadata, hardState, lastIndex, lastTerm, pins }
}

function requireNext(entry: RaftEntry, lastIndex: LogIndex): void {
  if (entry.index === lastIndex + 1) return
  throw new TidelogError(
    'CORRUPT',
    `metadata entries ${lastIndex + 1} to ${entry.index - 1} are missing from the journal; restore the data directory from a backup`,
  )
}

/** One of Raft's records on its way into the journal. */
class RaftNote implements JournalEntry {
  readonly kind: JournalEntry['kind']
  readonly segmentId = 0
  readonly base = 0
  readonly end = 0
  readonly body: Rope = emptyRope
  readonly placed: (file: JournalFile) => void
  readonly durable: () => void

  constructor(kind: 'entry' | 'state', body: Buffer, placed: (file: JournalFile) => void, durable: () => void) {
    this.kind = kind === 'entry' ? entryKinds.raftEntry : entryKinds.raftState
    this.body = ropeOf(body)
    this.placed = placed
    this.durable = durable
  }

  written(): void {}
}
