/** A simulated machine: a disk, a clock and, most of the time, a node that lives on them. */
import type { DiskId, NodeId } from '../../base/ids.ts'
import type { Prng } from '../../base/prng.ts'
import { NodeClock } from './clock.ts'
import { type DiskSettings, SimDisk } from './disk.ts'
import type { SimNode } from './node.ts'
import type { Owner, Timeline } from './timeline.ts'

export class Host {
  readonly nodeId: NodeId
  readonly timeline: Timeline
  readonly clock: NodeClock
  disk: SimDisk
  node: SimNode | null = null
  /** It belongs to the first members, whom everybody knows from the start. A node on a new disk has to be let in. */
  isFounder = true
  /** What its unsealed segments are worth after the last end of a process. */
  standing: 'clean' | 'dirty' = 'clean'
  /** The process is there and does nothing: a long pause of its loop, or the machine's. */
  stalledUntilMs = 0
  readonly #prng: Prng
  readonly #asleep: { readonly owner: Owner; readonly run: () => void }[] = []

  constructor(nodeId: NodeId, timeline: Timeline, prng: Prng, disk: DiskSettings) {
    this.nodeId = nodeId
    this.timeline = timeline
    this.#prng = prng
    this.clock = new NodeClock(timeline, prng.between(0, 1_000_000))
    this.disk = new SimDisk(timeline, prng.fork(), disk)
  }

  get isStalled(): boolean {
    return this.timeline.nowMs < this.stalledUntilMs
  }

  newDiskId(): DiskId {
    return this.#prng.bytes(16).toString('hex') as DiskId
  }

  /** What reaches a stalled process waits, in order, until it goes on. */
  whenAwake(owner: Owner, run: () => void): void {
    if (!this.isStalled) run()
    else this.#asleep.push({ owner, run })
  }

  stall(forMs: number): void {
    const wasStalled = this.isStalled
    this.stalledUntilMs = Math.max(this.stalledUntilMs, this.timeline.nowMs + forMs)
    if (!wasStalled) this.#wakeLater()
  }

  #wakeLater(): void {
    this.timeline.after(this.stalledUntilMs - this.timeline.nowMs, null, () => {
      if (this.isStalled) this.#wakeLater()
      else for (const { owner, run } of this.#asleep.splice(0)) if (!owner.isGone) run()
    })
  }
}
