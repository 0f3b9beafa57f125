import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ManualClock } from '../sim/clock.ts'
import { type BudgetMember, RequestBudget } from './request-budget.ts'

const chunk = 64 * 1024

/** A member that takes a chunk whenever it may. */
class Member implements BudgetMember {
  isFrameArriving = false
  reads = true
  woken = 0
  lanesLost = 0
  readonly #budget: RequestBudget

  constructor(budget: RequestBudget) {
    this.#budget = budget
  }

  /** A chunk arrives; returns whether more may be read. */
  arrive(): boolean {
    this.#budget.charge(chunk)
    this.isFrameArriving = true
    return this.#budget.admits(this)
  }

  onRoom(): boolean {
    this.woken++
    return this.reads && this.#budget.admits(this)
  }

  onLaneOver(): void {
    this.lanesLost++
  }
}

function budgetOf(chunks: number, members: number) {
  const clock = new ManualClock()
  const budget = new RequestBudget(chunks * chunk, clock)
  return { clock, budget, members: Array.from({ length: members }, () => new Member(budget)) }
}

describe('the budget of requests', () => {
  it('admits everybody below its bound, and at it the one in the lane', () => {
    const { budget, members } = budgetOf(2, 3)
    assert.deepEqual(
      members.map(member => member.arrive()),
      [true, true, false],
    )
    assert.equal(members[1]!.arrive(), true)
    assert.equal(budget.waitingMembers, 1)
  })

  it('lets on as many as there is room for, those that are halfway first', () => {
    const { budget, members } = budgetOf(2, 5)
    members[0]!.arrive()
    members[0]!.arrive()
    const [, empty, ...halfway] = members
    budget.admits(empty!)
    for (const member of halfway) member.arrive()
    budget.release(4 * chunk)
    assert.deepEqual(
      members.map(member => member.woken),
      [0, 0, 1, 0, 0],
    )
    budget.release(chunk)
    assert.deepEqual(
      members.map(member => member.woken),
      [0, 0, 1, 1, 1],
    )
  })

  it('does not wait for one that was let on and sends nothing', () => {
    const { clock, budget, members } = budgetOf(1, 3)
    members[0]!.arrive()
    budget.admits(members[1]!)
    budget.admits(members[2]!)
    budget.release(chunk)
    assert.deepEqual([members[1]!.woken, members[2]!.woken], [1, 0])
    clock.advance(50)
    assert.equal(members[2]!.woken, 1)
  })

  it('passes over one that cannot read for a reason of its own', () => {
    const { budget, members } = budgetOf(1, 3)
    members[0]!.arrive()
    budget.admits(members[1]!)
    budget.admits(members[2]!)
    members[1]!.reads = false
    budget.release(chunk)
    assert.deepEqual([members[1]!.woken, members[2]!.woken], [1, 1])
  })

  it('gives the lane to the next when a request of the first was answered', () => {
    const { budget, members } = budgetOf(1, 2)
    assert.equal(members[0]!.arrive(), true)
    assert.equal(members[1]!.arrive(), false)
    budget.leaveLane(members[0]!)
    assert.equal(members[1]!.woken, 1)
    assert.equal(budget.admits(members[0]!), false)
  })

  it('gives the lane to the next when the first takes two seconds, or is gone', () => {
    const { clock, budget, members } = budgetOf(1, 3)
    for (const member of members) member.arrive()
    clock.advance(2_000)
    assert.deepEqual([members[0]!.lanesLost, members[1]!.woken], [1, 1])
    budget.forget(members[1]!)
    assert.equal(members[2]!.woken, 1)
    assert.equal(budget.waitingMembers, 0)
  })

  it('leaves no timer behind when nobody waits', () => {
    const { clock, budget, members } = budgetOf(1, 2)
    for (const member of members) member.arrive()
    for (const member of members) budget.forget(member)
    budget.release(2 * chunk)
    clock.advance(50)
    assert.equal(clock.pendingTimers, 0)
  })
})
