/** What tests of the journal share: entries that remember what became of them, a disk that can be held, a journal on both. */
import type { TidelogError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { flattenRope, type Rope, ropeOf } from '../base/rope.ts'
import type { Clock } from '../io/clock.ts'
import type { Random } from '../io/random.ts'
import { ManualClock } from '../sim/clock.ts'
import { MemoryDisk, type MemoryDiskOptions, type Operation, type OperationKind } from '../sim/disk.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { type Identity, type JournalFile, JournalFiles, type JournalSettings } from './journal-files.ts'
import { type EntryKind, entryKinds } from './journal-format.ts'
import {
  findJournalFiles,
  type JournalDamage,
  type ReplayEnd,
  replayJournal,
  settleLastGroup,
} from './journal-replay.ts'

export const identity: Identity = { clusterId: Buffer.alloc(16, 0xc1), diskId: Buffer.alloc(16, 0xd1) }

export const smallJournal: JournalSettings = {
  fileBytes: 8192,
  firstFileBytes: 8192,
  bytesMax: 64 * 1024,
  groupBytesMax: 4096,
  markDelayMs: 25,
}

export function seededRandom(seed = 1): Random {
  const prng = new Prng(seed)
  return { bytes: length => prng.bytes(length) }
}

/** A turn of the event loop: what was started gets on by a step. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Turns until `holds`; throws when it never does. */
export async function until(holds: () => boolean, what = 'the condition'): Promise<void> {
  for (let i = 0; i < 5000; i++) {
    if (holds()) return
    await turn()
  }
  throw new Error(`never came: ${what}`)
}

/** Enough turns for everything that is under way to come to rest. */
export async function rest(turns = 30): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}

/** A gate in front of a disk: operations of a held kind wait until they are let go. */
export class Gate {
  readonly #held: { readonly operation: Operation; readonly task: () => void }[] = []
  #holds: (operation: Operation) => boolean = () => false

  readonly schedule = (operation: Operation, _stallMs: number, task: () => void): void => {
    if (this.#holds(operation)) this.#held.push({ operation, task })
    else setImmediate(task)
  }

  get held(): readonly Operation[] {
    return this.#held.map(({ operation }) => operation)
  }

  hold(kind: OperationKind, pathPart = ''): void {
    this.#holds = operation => operation.kind === kind && operation.path.includes(pathPart)
  }

  /** Lets the oldest one go. */
  pass(): void {
    const first = this.#held.shift()
    if (first !== undefined) setImmediate(first.task)
  }

  open(): void {
    this.#holds = () => false
    while (this.#held.length > 0) this.pass()
  }
}

/** An entry that writes into a diary what happens to it. */
export class TestEntry implements JournalEntry {
  readonly kind: EntryKind
  readonly segmentId: number
  readonly base: number
  readonly end: number
  readonly body: Rope
  readonly name: string
  readonly diary: string[]
  file: JournalFile | null = null
  isDurable = false

  constructor(options: {
    name: string
    diary?: string[]
    kind?: EntryKind
    segmentId?: number
    base?: number
    end?: number
    body: Buffer | Rope
  }) {
    this.name = options.name
    this.diary = options.diary ?? []
    this.kind = options.kind ?? entryKinds.batch
    this.segmentId = options.segmentId ?? 1
    this.base = options.base ?? 0
    this.end = options.end ?? this.base + 1
    this.body = Buffer.isBuffer(options.body) ? ropeOf(options.body) : options.body
  }

  placed(file: JournalFile): void {
    this.diary.push(`${this.name} placed`)
    this.file = file
    file.pins++
  }

  written(): void {
    this.diary.push(`${this.name} written`)
  }

  durable(): void {
    this.diary.push(`${this.name} durable`)
    this.isDurable = true
  }
}

/** A batch of one record that is exactly `bytes` long. */
export function batchOfBytes(bytes: number, base = 0, fill = 'x'): Buffer {
  // A length that grows by a byte makes its varint grow now and then: a key fills the gap.
  for (const key of [null, '', 'k', 'kk']) {
    for (let length = Math.max(bytes - 90, 0); length < bytes - 60; length++) {
      const batch = buildBatch([{ key, value: fill.repeat(length) }], { baseOffset: base, leaderEpoch: 0 })
      if (batch.length === bytes) return batch
    }
  }
  throw new Error(`no batch of one record has ${bytes} bytes`)
}

export interface Replayed {
  readonly kind: EntryKind
  readonly segmentId: number
  readonly base: number
  readonly end: number
  readonly sequence: number
  readonly body: Buffer
  readonly file: string
  readonly position: number
}

export interface OpenedJournal {
  readonly disk: MemoryDisk
  readonly clock: ManualClock
  readonly journal: Journal
  readonly files: JournalFiles
  readonly failures: TidelogError[]
  readonly entries: readonly Replayed[]
  readonly damage: readonly JournalDamage[]
  readonly end: ReplayEnd
}

export interface JournalOptions {
  readonly clock?: ManualClock
  readonly settings?: Partial<JournalSettings>
  readonly fromSeq?: number
  readonly provenThrough?: number
  readonly seed?: number
}

/** Reads what a disk's journal holds, without writing. */
export async function readJournal(disk: MemoryDisk, options: JournalOptions = {}) {
  const found = await findJournalFiles(disk, identity, options.fromSeq ?? 1)
  const entries: Replayed[] = []
  const damage: JournalDamage[] = []
  const end = await replayJournal(found.live, options.provenThrough ?? 0, {
    entry: (header, body, place) => {
      const { length: _, ...rest } = header
      entries.push({ ...rest, body: Buffer.from(body), file: place.file.name, position: place.position })
    },
    damage: one => void damage.push(one),
  })
  return { found, entries, damage, end }
}

/** A journal on a disk, opened as the log store does it. */
export async function openJournal(disk: MemoryDisk, options: JournalOptions = {}): Promise<OpenedJournal> {
  const clock = options.clock ?? new ManualClock()
  const settings = { ...smallJournal, ...options.settings }
  const failures: TidelogError[] = []
  const onFailure = (error: unknown) => void failures.push(error as TidelogError)
  await disk.makeDirectory('journal')
  await disk.syncDirectory('.')
  const { found, entries, damage, end } = await readJournal(disk, options)
  await disk.syncDirectory('journal')
  await settleLastGroup(end)
  const opened: { journal: Journal | null } = { journal: null }
  const files = new JournalFiles({
    disk,
    clock: clock as Clock,
    random: seededRandom(options.seed ?? disk.operations + 7),
    identity,
    settings,
    onRoom: () => opened.journal?.onRoom(),
    onFailure,
  })
  files.adopt(found)
  await files.start()
  const at = {
    file: found.live.at(-1) ?? null,
    position: end.position,
    groupSeq: end.nextGroupSeq,
    sequence: end.nextSequence,
  }
  const journal = new Journal({ clock, files, settings, at, onFailure })
  opened.journal = journal
  await journal.open()
  files.prepare()
  return { disk, clock, journal, files, failures, entries, damage, end }
}

/** A fresh journal on a fresh disk. */
export async function freshJournal(options: JournalOptions = {}, disk: MemoryDiskOptions = {}): Promise<OpenedJournal> {
  return openJournal(new MemoryDisk(disk), options)
}

export function bodyText(entry: Replayed): string {
  return entry.body.toString('latin1')
}

export function bytesOf(entry: TestEntry): Buffer {
  return flattenRope(entry.body)
}
