/** The broker is killed and comes back while a client produces and a group consumes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../test/support/waiting.ts'
import { type Agent, KafkaError, Unsupported } from '../harness/agent.ts'
import { Difference, holds } from '../harness/expect.ts'
import { type Scenario, type Stage, unique } from '../harness/stage.ts'
import { Crowd } from './crowd.ts'
import { storedValues } from './stored.ts'

const partitions = 3
const perRequest = 12
const restarts = 2
const requestsBetween = 5
const receiveMs = 60_000
const recoverMs = 40_000

export const restart: Scenario = {
  name: 'restart',
  about:
    'the broker is killed and restarted while the client produces and a group consumes: nothing acknowledged is lost, nothing an idempotent producer wrote is there twice, committed offsets never go back',
  limitMs: 180_000,
  async run(stage) {
    if (stage.broker.restart === null) throw new Unsupported('the broker is not ours to restart')
    const topic = await stage.topic('restart', partitions)
    const crowd = new Crowd(unique('restart'), topic, partitions)
    const consumers = await stage.another()
    const hasGroup = await stage.step('a group through restarts', async () => {
      await crowd.join(consumers, { commit: true })
      await crowd.join(consumers, { commit: true })
      await crowd.settle(20_000)
    })

    const producing = new Producing(stage, topic)
    const floor = new CommittedFloor(stage, crowd.group, topic)
    for (let i = 0; i < restarts; i++) {
      stage.at = `before restart ${i + 1}`
      await producing.some()
      if (hasGroup) {
        await eventually(receiveMs, 'that the group receives what was produced', () => hasAll(crowd, producing))
        await floor.check()
      }
      stage.at = `restart ${i + 1}`
      await Promise.all([producing.some(), sleep(20 + 30 * i).then(() => stage.broker.restart?.())])
      if (hasGroup) await floor.check()
    }
    stage.at = 'after the restarts'
    await producing.some()

    const stored = await storedValues(stage.broker, topic, partitions)
    const kept = new Set(stored)
    const lost = [...producing.acknowledged].filter(value => !kept.has(value))
    holds(lost.length === 0, `${lost.length} acknowledged records are lost: ${lost.slice(0, 5).join(' ')}`)
    holds(
      !producing.isIdempotent || kept.size === stored.length,
      `${stored.length - kept.size} records are there twice`,
    )
    if (!hasGroup) return
    await eventually(receiveMs, 'that the group receives everything acknowledged', () => hasAll(crowd, producing))
    await floor.check()
  },
}

async function hasAll(crowd: Crowd, { acknowledged }: Producing): Promise<boolean> {
  await crowd.collect()
  return [...acknowledged].every(value => crowd.values.has(value))
}

/** A producer that goes on whatever happens, and knows what was acknowledged. */
class Producing {
  readonly acknowledged = new Set<string>()
  isIdempotent = true
  readonly #stage: Stage
  readonly #topic: string
  #requests = 0

  constructor(stage: Stage, topic: string) {
    this.#stage = stage
    this.#topic = topic
  }

  /** Some requests, of which the last is acknowledged. */
  async some(): Promise<void> {
    const agent = await this.#stage.agent()
    const untilMs = performance.now() + recoverMs
    for (let left = requestsBetween; left > 0; ) {
      if (await this.#one(agent)) left--
      else if (performance.now() > untilMs)
        throw new Difference(`the producer does not recover in ${recoverMs / 1000} s`)
      // A client that gives up at once is not to be asked as fast as it can say so.
      else await sleep(200)
    }
  }

  async #one(agent: Agent): Promise<boolean> {
    const values = Array.from({ length: perRequest }, (_, i) => `${this.#requests}.${i}`)
    this.#requests++
    try {
      await agent.ask('produce', {
        topic: this.#topic,
        codec: 'none',
        acks: -1,
        idempotent: this.isIdempotent,
        records: values.map((value, i) => ({ partition: i % partitions, value })),
      })
      for (const value of values) this.acknowledged.add(value)
      return true
    } catch (error) {
      if (error instanceof Unsupported && this.isIdempotent) {
        this.isIdempotent = false
        return false
      }
      // It may be there or not: nobody was told.
      if (error instanceof KafkaError) return false
      throw error
    }
  }
}

function unlessKafkaError(error: unknown): null {
  if (error instanceof KafkaError) return null
  throw error
}

/** What the group has committed; it only grows. */
class CommittedFloor {
  readonly #stage: Stage
  readonly #group: string
  readonly #topic: string
  readonly #offsets: number[] = new Array<number>(partitions).fill(-1)

  constructor(stage: Stage, group: string, topic: string) {
    this.#stage = stage
    this.#group = group
    this.#topic = topic
  }

  async check(): Promise<void> {
    const helper = await this.#stage.helper()
    for (let partition = 0; partition < partitions; partition++) {
      const asked = { group: this.#group, topic: this.#topic, partition }
      // A broker that has just come back may still be reading what was committed.
      const { offset } = await eventually(15_000, 'that committed offsets are known', () =>
        helper.ask('committed', asked).catch(unlessKafkaError),
      )
      const before = this.#offsets[partition]!
      holds(offset >= before, `the committed offset of partition ${partition} went back from ${before} to ${offset}`)
      this.#offsets[partition] = offset
    }
  }
}
