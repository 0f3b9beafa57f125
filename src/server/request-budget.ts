/**
 * One bound on the memory of requests for all connections together: bytes count from their arrival until their request is
 * answered. Nothing is reserved by a length that somebody declares.
 *
 * At the bound connections stop reading, and go on as requests are answered: first those that have half a request here,
 * then those that have nothing, each in the order in which they stopped. Because all that is counted may be halves, one of
 * the former may go on regardless: it has the lane until a request of its own is answered, so that one larger than the
 * whole budget is admitted, alone. Whoever takes too long in the lane is told so and gives way.
 */
import type { Clock, Timer } from '../io/clock.ts'

/** What a socket gives at a time; as many connections go on as have room for that. */
const chunkBytes = 64 * 1024
const laneMsMax = 2_000
/** One that was let on may have nothing to send: the others are not left waiting for it. */
const retryMs = 50

export interface BudgetMember {
  /** Whether a part of a request is held, and the rest of it would let it be answered. */
  readonly isFrameArriving: boolean
  /** There is room. Returns whether the member reads on; one that cannot for another reason uses no room up. */
  onRoom(): boolean
  /** The member was in the lane for too long. */
  onLaneOver(): void
}

export class RequestBudget {
  readonly bytesMax: number
  readonly #clock: Clock
  #used = 0
  readonly #waitingHalfway = new Set<BudgetMember>()
  readonly #waitingEmpty = new Set<BudgetMember>()
  #retry: Timer | null = null
  #lane: { readonly member: BudgetMember; readonly timer: Timer } | null = null

  constructor(bytesMax: number, clock: Clock) {
    this.bytesMax = bytesMax
    this.#clock = clock
  }

  get usedBytes(): number {
    return this.#used
  }

  get waitingMembers(): number {
    return this.#waitingHalfway.size + this.#waitingEmpty.size
  }

  /** Counts bytes that have arrived. They are there: this never refuses, `admits` says whether to read more. */
  charge(bytes: number): void {
    this.#used += bytes
  }

  release(bytes: number): void {
    this.#used -= bytes
    this.#wake()
  }

  /** Whether the member may read more now. If not, `onRoom` is called, once, when it may. */
  admits(member: BudgetMember): boolean {
    if (this.#used < this.bytesMax || this.#lane?.member === member) return true
    if (this.#lane === null && member.isFrameArriving) {
      this.#enterLane(member)
      return true
    }
    const waiting = member.isFrameArriving ? this.#waitingHalfway : this.#waitingEmpty
    waiting.add(member)
    this.#retryLater()
    return false
  }

  /** A request of the member's was answered. */
  leaveLane(member: BudgetMember): void {
    if (this.#lane?.member !== member) return
    this.#emptyLane()
    this.#wake()
  }

  /** The member is gone and waits no longer. */
  forget(member: BudgetMember): void {
    this.#waitingHalfway.delete(member)
    this.#waitingEmpty.delete(member)
    this.leaveLane(member)
  }

  #enterLane(member: BudgetMember): void {
    const timer = this.#clock.setTimer(laneMsMax, () => {
      member.onLaneOver()
      this.leaveLane(member)
    })
    this.#lane = { member, timer }
  }

  #emptyLane(): void {
    this.#lane?.timer.cancel()
    this.#lane = null
  }

  /** Lets on as many as there is room for; without room one that is halfway, if nobody is in the lane. */
  #wake(): void {
    if (this.waitingMembers === 0) return
    let places = Math.ceil((this.bytesMax - this.#used) / chunkBytes)
    for (const member of this.#waitingHalfway) {
      if (places <= 0 && this.#lane !== null) break
      this.#waitingHalfway.delete(member)
      if (places <= 0) this.#enterLane(member)
      const reads = member.onRoom()
      if (reads) places--
      else if (this.#lane?.member === member) this.#emptyLane()
    }
    for (const member of this.#waitingEmpty) {
      if (places <= 0) break
      this.#waitingEmpty.delete(member)
      if (member.onRoom()) places--
    }
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#retry !== null || this.waitingMembers === 0) return
    this.#retry = this.#clock.setTimer(retryMs, () => {
      this.#retry = null
      this.#wake()
    })
  }
}
