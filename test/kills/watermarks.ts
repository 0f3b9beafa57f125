/**
 * Looks at the earliest and latest offsets of all partitions, again and again, on a connection of its own that comes back
 * after every kill. They never go back, and the latest is never below what was acknowledged before it was asked for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { apis } from '../../src/wire/api-keys.ts'
import { listOffsetsTimes } from '../../src/wire/messages/list-offsets.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type History, type Place, placeName } from './history.ts'

const lookEveryMs = 20

export class Watermarks {
  readonly anomalies: string[] = []
  looks = 0
  readonly #places: readonly Place[]
  readonly #history: History
  readonly #seen = new Map<string, number>()
  #stopped = false

  constructor(places: readonly Place[], history: History) {
    this.#places = places
    this.#history = history
  }

  stop(): void {
    this.#stopped = true
  }

  async watch(port: number): Promise<void> {
    while (!this.#stopped) {
      try {
        await using client = await KafkaClient.connect(port)
        for (; !this.#stopped; this.looks++) {
          await this.#look(client, 'earliest')
          await this.#look(client, 'latest')
          await sleep(lookEveryMs)
        }
      } catch (error) {
        if (!isAway(error)) throw error
        await sleep(lookEveryMs)
      }
    }
  }

  async #look(client: KafkaClient, which: 'earliest' | 'latest'): Promise<void> {
    const least = new Map(this.#places.map(place => [placeName(place), this.#least(place, which)]))
    const topics = Map.groupBy(this.#places, ({ topic }) => topic)
    const answer = await client.call(apis.listOffsets, 7, {
      replicaId: -1,
      topics: [...topics].map(([name, places]) => ({
        name,
        partitions: places.map(({ partition }) => ({
          partitionIndex: partition,
          timestamp: listOffsetsTimes[which],
        })),
      })),
    })
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, offset, errorCode } of partitions) {
        const place = placeName({ topic: name, partition: partitionIndex })
        const leastOffset = least.get(place) ?? 0
        if (errorCode !== 0) this.anomalies.push(`${place}: its ${which} offset cannot be had, error ${errorCode}`)
        else if (offset < leastOffset) this.anomalies.push(`${place}: ${which} offset ${offset} after ${leastOffset}`)
        else this.#seen.set(`${which} ${place}`, offset)
      }
    }
  }

  #least(place: Place, which: 'earliest' | 'latest'): number {
    const seen = this.#seen.get(`${which} ${placeName(place)}`) ?? 0
    return which === 'latest' ? Math.max(seen, this.#history.acknowledgedEnd(place)) : seen
  }
}

export function isAway(error: unknown): boolean {
  const { name, code } = error as NodeJS.ErrnoException
  return name === 'ConnectionClosed' || code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE'
}
