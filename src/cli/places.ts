/** Where a place (`beginning`, an offset, `-N`, `@TIME`) lies in each partition of a topic. */
import type { Cluster, TopicFacts } from './connection.ts'
import type { Place } from './values.ts'

export interface Range {
  readonly start: number
  readonly end: number
}

export type Ranges = ReadonlyMap<number, Range>

/** An offset per partition, not outside of what there is: a time after the last record is the end. */
export async function offsetsOf(
  cluster: Cluster,
  topic: TopicFacts,
  ranges: Ranges,
  place: Place,
): Promise<ReadonlyMap<number, number>> {
  const byTime =
    place.at === 'time' ? await offsetsByTime(cluster, topic, place.timestampMs) : new Map<number, number>()
  return new Map(
    topic.partitions.map(({ partition }) => {
      const range = ranges.get(partition) ?? { start: 0, end: 0 }
      return [partition, offsetIn(range, place, byTime.get(partition))]
    }),
  )
}

async function offsetsByTime(cluster: Cluster, topic: TopicFacts, at: number): Promise<Map<number, number>> {
  const questions = topic.partitions.map(({ partition, leader }) => ({ topic: topic.name, partition, leader, at }))
  const answers = await cluster.offsets(questions)
  return new Map(answers.flatMap(({ partition, offset }) => (offset < 0 ? [] : [[partition, offset] as const])))
}

function offsetIn({ start, end }: Range, place: Place, byTime: number | undefined): number {
  switch (place.at) {
    case 'beginning':
      return start
    case 'end':
      return end
    case 'offset':
      return clamped(place.offset, { start, end })
    case 'last':
      return clamped(end - place.count, { start, end })
    default:
      return byTime ?? end
  }
}

export function clamped(offset: number, { start, end }: Range): number {
  return Math.min(Math.max(offset, start), end)
}
