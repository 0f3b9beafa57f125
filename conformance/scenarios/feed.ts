/** Records for a group to receive, written by the helper: so many to each partition at a time. */
import type { Stage } from '../harness/stage.ts'

const perPartition = 10

export class Feed {
  readonly topic: string
  readonly partitions: number
  /** One past the last offset, by partition. */
  readonly ends: number[]
  readonly #stage: Stage
  #written = 0

  private constructor(stage: Stage, topic: string, partitions: number) {
    this.#stage = stage
    this.topic = topic
    this.partitions = partitions
    this.ends = new Array<number>(partitions).fill(0)
  }

  static async open(stage: Stage, name: string, partitions: number): Promise<Feed> {
    return new Feed(stage, await stage.topic(name, partitions), partitions)
  }

  async more(): Promise<void> {
    const { topic, partitions } = this
    const count = perPartition * partitions
    const records = Array.from({ length: count }, (_, i) => ({
      partition: i % partitions,
      value: `${this.#written + i}`,
    }))
    await (await this.#stage.helper()).ask('produce', { topic, codec: 'none', acks: -1, idempotent: false, records })
    this.#written += count
    for (let i = 0; i < partitions; i++) this.ends[i]! += perPartition
  }
}
