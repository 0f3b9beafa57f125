/**
 * A node's disk: one journal with group commit. At most one sync is in flight; what is written meanwhile rides on the next. A
 * crash leaves what was synced and some prefix of the rest (a journal is replayed as far as it is whole). A sync may fail, and
 * then nothing of it can be trusted and the node must stop; a disk may stall; it may be wiped.
 */
import { invariant } from '../../base/invariant.ts'
import type { Prng } from '../../base/prng.ts'
import { DiskImage, type DiskRecord, type Identity } from './image.ts'
import type { Owner, Timeline } from './timeline.ts'

export interface DiskSettings {
  readonly syncMinMs: number
  readonly syncMeanMs: number
  /** Chance of a sync that fails. */
  readonly failure: number
}

export const calmDisk: DiskSettings = { syncMinMs: 0.2, syncMeanMs: 0.3, failure: 0 }

/** What a process is told. */
export interface DiskUser extends Owner {
  /** These records are durable. */
  onSynced(records: readonly DiskRecord[]): void
  onSyncFailed(): void
}

export class SimDisk {
  settings: DiskSettings
  /** All that was written, as the process sees it. */
  written = new DiskImage()
  /** What a crash leaves for certain. */
  durable = new DiskImage()
  /** A stalled disk finishes no sync before this. */
  stalledUntilMs = 0
  readonly counts = { syncs: 0, failures: 0 }
  readonly #timeline: Timeline
  readonly #prng: Prng
  #user: DiskUser | null = null
  #waiting: DiskRecord[] = []
  #inFlight: DiskRecord[] | null = null
  #isHeld = false
  /** A sync whose time came while the disk was held. */
  #late: (() => void) | null = null

  constructor(timeline: Timeline, prng: Prng, settings: DiskSettings) {
    this.#timeline = timeline
    this.#prng = prng
    this.settings = settings
  }

  /** A new disk gets its name, before any process uses it. */
  format(identity: Identity): void {
    this.durable.apply({ kind: 'identity', identity })
    this.written.apply({ kind: 'identity', identity })
  }

  /** A process begins with what the disk holds. */
  open(user: DiskUser): void {
    invariant(this.#user === null, 'one process at a time has the disk')
    this.#user = user
  }

  write(record: DiskRecord): void {
    this.written.apply(record)
    this.#waiting.push(record)
    this.#sync()
  }

  /** The process ends, or the power does. Of what was not synced, some beginning may be there afterwards, or nothing. */
  crash(keeps: 'some' | 'nothing' = 'some'): void {
    this.#user = null
    const unsynced = [...(this.#inFlight ?? []), ...this.#waiting]
    const kept = keeps === 'nothing' || this.#prng.chance(0.3) ? 0 : this.#prng.between(0, unsynced.length + 1)
    for (const record of unsynced.slice(0, kept)) this.durable.apply(record)
    this.#forget()
  }

  /** The process ends in good order, and everything is on the disk. */
  close(): void {
    this.#user = null
    for (const record of [...(this.#inFlight ?? []), ...this.#waiting]) this.durable.apply(record)
    this.#forget()
  }

  /** From now on no sync comes to its end. */
  hold(): void {
    this.#isHeld = true
  }

  letGo(): void {
    const late = this.#late
    this.#isHeld = false
    this.#late = null
    if (late !== null) this.#timeline.after(0, this.#user, late)
  }

  /** Everything is gone; what comes back is another disk. */
  wipe(): void {
    invariant(this.#user === null, 'a disk is wiped while nobody uses it')
    this.durable = new DiskImage()
    this.written = new DiskImage()
  }

  #forget(): void {
    this.#inFlight = null
    this.#isHeld = false
    this.#late = null
    this.#waiting = []
    this.written = this.durable.copy()
  }

  #sync(): void {
    const user = this.#user
    if (this.#inFlight !== null || this.#waiting.length === 0 || user === null) return
    const group = this.#waiting
    this.#inFlight = group
    this.#waiting = []
    const { syncMinMs, syncMeanMs, failure } = this.settings
    const stallMs = Math.max(0, this.stalledUntilMs - this.#timeline.nowMs)
    const delayMs = syncMinMs - Math.log(1 - this.#prng.float()) * syncMeanMs + stallMs
    const end = () => {
      if (failure > 0 && this.#prng.chance(failure)) {
        this.counts.failures += 1
        user.onSyncFailed()
        return
      }
      this.counts.syncs += 1
      for (const record of group) this.durable.apply(record)
      this.#inFlight = null
      user.onSynced(group)
      this.#sync()
    }
    this.#timeline.after(delayMs, user, () => {
      if (this.#isHeld) this.#late = end
      else end()
    })
  }
}
