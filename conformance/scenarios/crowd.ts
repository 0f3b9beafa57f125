/**
 * Members of one group, of one client or several, and what they have received together. Records may come twice when
 * partitions move; none may be missing, and in the end every partition has one owner.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Agent, AgentFailure, KafkaError } from '../harness/agent.ts'
import { Difference } from '../harness/expect.ts'
import type { Assignor } from '../harness/protocol.ts'

export interface Member {
  readonly agent: Agent
  readonly name: string
}

export interface JoinOptions {
  readonly commit: boolean
  readonly assignor?: Assignor
  readonly sessionTimeoutMs?: number
  readonly instanceId?: string
}

const everyMs = 150

export class Crowd {
  readonly group: string
  readonly topic: string
  readonly partitions: number
  readonly members: Member[] = []
  /** Of all members, whether they are still there or not: `partition@offset`. */
  readonly received = new Set<string>()
  readonly values = new Set<string>()

  constructor(group: string, topic: string, partitions: number) {
    this.group = group
    this.topic = topic
    this.partitions = partitions
  }

  async join(agent: Agent, options: JoinOptions): Promise<Member> {
    const { commit, assignor = 'range', sessionTimeoutMs = 6_000, instanceId } = options
    const { member } = await agent.ask('join', {
      group: this.group,
      topics: [this.topic],
      sessionTimeoutMs,
      assignor,
      commit,
      ...(instanceId === undefined ? {} : { instanceId }),
    })
    const joined = { agent, name: member }
    this.members.push(joined)
    return joined
  }

  /** In order; what it received until then counts. */
  async leave(member: Member): Promise<void> {
    await member.agent.ask('leave', { member: member.name })
    await this.#collectFrom(member)
    this.forget(member)
  }

  /** It is dead, or about to be; what it has not told is gone with it. */
  forget(member: Member): void {
    this.members.splice(this.members.indexOf(member), 1)
  }

  async collect(): Promise<void> {
    for (const member of this.members) await this.#collectFrom(member)
  }

  /** Waits until every partition has exactly one owner and every member something, twice in a row. */
  async settle(limitMs: number): Promise<void> {
    const untilMs = performance.now() + limitMs
    let good = 0
    let shown = ''
    while (good < 2) {
      const assignments = await this.#assignments()
      shown = assignments.map(({ name, partitions }) => `${name}: [${partitions.join(' ')}]`).join(', ')
      good = this.#isWhole(assignments) ? good + 1 : 0
      if (good < 2 && performance.now() > untilMs) {
        const due = `${this.partitions} partitions over ${this.members.length} members`
        throw new Difference(`${due} are not settled after ${limitMs / 1000} s: ${shown}`)
      }
      await sleep(everyMs)
    }
  }

  /** Waits until all records of the topic below these ends were received. */
  async receiveAll(ends: readonly number[], limitMs: number): Promise<void> {
    const untilMs = performance.now() + limitMs
    for (;;) {
      await this.collect()
      const missing = ends.flatMap((end, partition) =>
        Array.from({ length: end }, (_, offset) => `${partition}@${offset}`).filter(key => !this.received.has(key)),
      )
      if (missing.length === 0) return
      if (performance.now() > untilMs) {
        const due = ends.reduce((sum, end) => sum + end, 0)
        const some = missing.slice(0, 5).join(' ')
        throw new Difference(
          `${missing.length} of ${due} records were not received within ${limitMs / 1000} s: ${some}`,
        )
      }
      await sleep(everyMs)
    }
  }

  async #collectFrom({ agent, name }: Member): Promise<void> {
    const { records } = await askOf(name, agent.ask('received', { member: name }))
    for (const { topic, partition, offset, value } of records) {
      if (topic !== this.topic) throw new Difference(`${name} received a record of ${topic}`)
      this.received.add(`${partition}@${offset}`)
      if (value !== null) this.values.add(value)
    }
  }

  async #assignments(): Promise<{ name: string; partitions: string[] }[]> {
    const all: { name: string; partitions: string[] }[] = []
    for (const { agent, name } of this.members) {
      const { partitions } = await askOf(name, agent.ask('assignment', { member: name }))
      all.push({ name: `${agent.client} ${name}`, partitions })
    }
    return all
  }

  #isWhole(assignments: readonly { partitions: readonly string[] }[]): boolean {
    const owned = assignments.flatMap(({ partitions }) => partitions)
    const due = Array.from({ length: this.partitions }, (_, i) => `${this.topic}-${i}`)
    const hasIdle =
      this.members.length <= this.partitions && assignments.some(({ partitions }) => partitions.length === 0)
    return !hasIdle && owned.length === due.length && due.every(partition => owned.includes(partition))
  }
}

/** Says which member it was. */
async function askOf<T>(member: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof AgentFailure || !(error instanceof KafkaError)) throw error
    throw new Difference(`member ${member} ended by itself: ${error.message}`)
  }
}
