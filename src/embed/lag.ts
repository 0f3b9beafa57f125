/** How far a group is behind: what lies between its commits and the ends of its partitions. */
import type { Door } from '../broker/door.ts'
import { orThrow } from './failure.ts'

/**
 * In records, over all partitions of the topics that the group has committed to, or of those named; a partition without a
 * commit counts from its first record. Null while the group has not committed anything there.
 */
export async function lagOf(door: Door, groupId: string, topics: readonly string[] | null): Promise<number | null> {
  let lag: number | null = null
  for (const name of topics ?? door.topics().flatMap(({ name, internal }) => (internal ? [] : [name]))) {
    const { offsets } = orThrow(await door.committed(groupId, name))
    if (offsets.every(offset => offset === null)) {
      if (topics !== null) return null
      continue
    }
    const { partitions } = orThrow(door.topic(name)).topic
    for (const { index, highWatermark, logStartOffset } of partitions) {
      lag = (lag ?? 0) + Math.max(0, highWatermark - (offsets[index] ?? logStartOffset))
    }
  }
  return lag
}
