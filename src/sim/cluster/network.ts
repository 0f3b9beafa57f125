/**
 * The network between nodes: it delays, loses, doubles and reorders messages, and parts of it may be cut, in both directions
 * or in one, for a while or for good. It never changes a message: checksums below see to that.
 */
import type { Prng } from '../../base/prng.ts'
import type { Timeline } from './timeline.ts'

export interface NetworkSettings {
  readonly delayMinMs: number
  /** Added to the least delay: exponential with this mean, so messages overtake each other. */
  readonly delayMeanMs: number
  readonly loss: number
  readonly doubling: number
  /** How often a message finds its link clogged, and for how long at most. */
  readonly clog: number
  readonly clogMaxMs: number
}

/** Nothing is lost and nothing overtakes: a connection between two machines on a good day. */
export const calmNetwork: NetworkSettings = {
  delayMinMs: 0.4,
  delayMeanMs: 0,
  loss: 0,
  doubling: 0,
  clog: 0,
  clogMaxMs: 0,
}

interface Link {
  cuts: number
  clogEndMs: number
}

/** Takes a message away from the network: true when the scenario keeps it, to deliver later or never. */
export type Interceptor = (from: number, to: number, message: unknown, deliver: () => void) => boolean

export class Network {
  settings: NetworkSettings
  readonly counts = { sent: 0, lost: 0, doubled: 0, cut: 0 }
  readonly interceptors: Interceptor[] = []
  readonly #timeline: Timeline
  readonly #prng: Prng
  readonly #links = new Map<number, Link>()

  constructor(timeline: Timeline, prng: Prng, settings: NetworkSettings) {
    this.#timeline = timeline
    this.#prng = prng
    this.settings = settings
  }

  /** Carries a message; `deliver` happens once, later, more than once, or never. */
  send(from: number, to: number, message: unknown, deliver: () => void): void {
    this.counts.sent += 1
    for (const intercept of this.interceptors) if (intercept(from, to, message, deliver)) return
    this.#carry(from, to, deliver)
    if (this.settings.doubling > 0 && this.#prng.chance(this.settings.doubling)) {
      this.counts.doubled += 1
      this.#carry(from, to, deliver)
    }
  }

  /** Cuts one direction. Cuts add up: each needs its own heal. */
  cut(from: number, to: number): void {
    this.#link(from, to).cuts += 1
  }

  heal(from: number, to: number): void {
    const link = this.#link(from, to)
    link.cuts = Math.max(0, link.cuts - 1)
  }

  /** Ends cuts, clogs and whatever scenarios take away. */
  healAll(): void {
    this.interceptors.length = 0
    for (const link of this.#links.values()) {
      link.cuts = 0
      link.clogEndMs = 0
    }
  }

  isCut(from: number, to: number): boolean {
    return this.#link(from, to).cuts > 0
  }

  #carry(from: number, to: number, deliver: () => void): void {
    const { delayMinMs, delayMeanMs, loss, clog, clogMaxMs } = this.settings
    const link = this.#link(from, to)
    if (link.cuts > 0) {
      this.counts.cut += 1
      return
    }
    if (loss > 0 && this.#prng.chance(loss)) {
      this.counts.lost += 1
      return
    }
    const nowMs = this.#timeline.nowMs
    if (clog > 0 && this.#prng.chance(clog)) link.clogEndMs = nowMs + this.#prng.float() * clogMaxMs
    const clogged = Math.max(0, link.clogEndMs - nowMs)
    const delayMs = delayMinMs - Math.log(1 - this.#prng.float()) * delayMeanMs + clogged
    // A message that is under way when the link is cut is lost with it.
    this.#timeline.after(delayMs, null, () => {
      if (link.cuts > 0) this.counts.cut += 1
      else deliver()
    })
  }

  #link(from: number, to: number): Link {
    const key = from * 1024 + to
    let link = this.#links.get(key)
    if (link === undefined) {
      link = { cuts: 0, clogEndMs: 0 }
      this.#links.set(key, link)
    }
    return link
  }
}
