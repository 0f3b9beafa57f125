import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { nextDeadlineMs, stepGroup } from './group.ts'
import type { GroupAnswer, GroupEvent } from './group-events.ts'
import { groupDefaults, newGroup } from './group-state.ts'
import type { JoinAnswer, JoinRequest } from './requests.ts'
import { subscription } from './testing/commands.ts'

const count = 10_000

describe('a group of ten thousand members', () => {
  it('is joined, assigned, kept alive and left in a moment', () => {
    const began = process.cpuUsage()
    const crowd = new Crowd()
    const ids = crowd.join()
    crowd.sync(ids)
    assert.equal(crowd.group.state, 'Stable')
    crowd.beat(ids)
    crowd.leave(ids)
    const { user, system } = process.cpuUsage(began)
    assert.ok(user + system < 2_000_000, `took ${(user + system) / 1000} ms`)
  })
})

class Crowd {
  readonly group = newGroup('g', groupDefaults, 0)
  readonly answers = new Map<number, GroupAnswer>()
  #nowMs = 0
  #requests = 0

  /** Everybody asks for an id, joins with it, and is in one generation. */
  join(): string[] {
    const ids: string[] = []
    for (let i = 0; i < count; i++) {
      const request = this.#step({ do: 'join', join: joinOf(''), uuid: String(i) })
      ids.push((this.answers.get(request) as JoinAnswer).memberId)
    }
    const requests = ids.map(id => this.#step({ do: 'join', join: joinOf(id), uuid: '' }))
    this.#step({ do: 'time' })
    const [leader, ...others] = requests.map(request => this.answers.get(request) as JoinAnswer)
    assert.equal(leader?.members.length, count)
    assert.ok(others.every(({ error, generation }) => error === 'NONE' && generation === 1))
    return ids
  }

  sync(ids: readonly string[]): void {
    const assignments = ids.map(memberId => ({ memberId, assignment: Buffer.from(memberId) }))
    for (const [i, memberId] of ids.entries()) {
      const given = i === 0 ? assignments : []
      const sync = { ...who(memberId), protocolType: null, protocol: null, assignments: given }
      this.#step({ do: 'sync', sync })
    }
    this.#step({ do: 'written', write: 1, error: 'NONE' })
  }

  /** Heartbeats for longer than a session, and whatever time brings. */
  beat(ids: readonly string[]): void {
    for (let round = 0; round < 5; round++) {
      this.#nowMs += 3_000
      for (const memberId of ids) this.#step({ do: 'heartbeat', heartbeat: who(memberId) })
      if ((nextDeadlineMs(this.group) ?? 0) <= this.#nowMs) this.#step({ do: 'time' })
    }
    assert.equal(this.group.members.size, count)
  }

  leave(ids: readonly string[]): void {
    for (const memberId of ids) {
      const members = [{ memberId, instanceId: null, reason: null }]
      this.#step({ do: 'leave', leave: { groupId: 'g', members } })
    }
    this.#step({ do: 'written', write: 2, error: 'NONE' })
    assert.equal(this.group.state, 'Empty')
    assert.equal(this.answers.size, this.#requests, 'all have their answer')
  }

  #step(event: object): number {
    const asks = !('write' in event) && !('do' in event && event.do === 'time')
    if (asks) this.#requests += 1
    const at = { monotonicMs: this.#nowMs, nowMs: this.#nowMs }
    const given = { ...event, request: this.#requests, at } as GroupEvent
    for (const effect of stepGroup(this.group, given))
      if (effect.do === 'answer') this.answers.set(effect.request, effect.answer)
    return this.#requests
  }
}

function who(memberId: string) {
  return { groupId: 'g', generation: 1, memberId, instanceId: null }
}

function joinOf(memberId: string): JoinRequest {
  return {
    groupId: 'g',
    memberId,
    instanceId: null,
    clientId: 'c',
    clientHost: '/10.0.0.1',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [
      { name: 'range', metadata: subscription(['t']) },
      { name: 'roundrobin', metadata: subscription(['t']) },
    ],
    requiresKnownMember: true,
    supportsSkippingAssignment: true,
    reason: null,
  }
}
