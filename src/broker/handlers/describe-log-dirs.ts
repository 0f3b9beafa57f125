/**
 * DescribeLogDirs: what lies in the data directory, as far as it is asked for, and the room on its file system. What does not
 * exist is left out; so are the bytes of topics that are deleted and not yet removed.
 *
 * 3+ an error for the whole; 4+ the sizes of the file system.
 */
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DescribeLogDirsRequest, DescribeLogDirsResponse } from '../../wire/messages/describe-log-dirs.ts'
import { accessRules, clusterResource } from '../access.ts'
import { byTopic } from '../by-topic.ts'
import { handler } from '../handler.ts'
import type { PartitionStore, Storage } from '../storage.ts'

type TopicAnswer = DescribeLogDirsResponse['results'][number]['topics'][number]

export const describeLogDirs = handler({
  api: apis.describeLogDirs,

  async handle(request: DescribeLogDirsRequest, { parts, principal }): Promise<DescribeLogDirsResponse> {
    const rule = accessRules.describeLogDirs
    if (!parts.access.check(principal, rule, clusterResource)) {
      return { errorCode: kafkaErrors[rule.refusal], results: [] }
    }
    const topics = request.topics === null ? allOf(parts.storage) : askedOf(parts.storage, request.topics)
    const directories = await parts.storage.logDirs()
    return {
      results: directories.map(({ path, totalBytes, usableBytes }, index) => ({
        errorCode: kafkaErrors.NONE,
        logDir: path,
        // There is one directory; a further one would have nothing in it.
        topics: index === 0 ? topics : [],
        totalBytes,
        usableBytes,
      })),
    }
  },

  failed: (_request: DescribeLogDirsRequest, error, { version }): DescribeLogDirsResponse => {
    const errorCode = kafkaErrors[error]
    return version >= 3 ? { errorCode, results: [] } : { results: [{ errorCode, logDir: '', topics: [] }] }
  },
})

function allOf(storage: Storage): TopicAnswer[] {
  return storage.topics().map(({ name, partitions }) => ({ name, partitions: partitions.map(sizeOf) }))
}

function askedOf(storage: Storage, asked: NonNullable<DescribeLogDirsRequest['topics']>): TopicAnswer[] {
  const indexes = byTopic(
    asked,
    ({ topic }) => topic,
    ({ partitions }) => partitions,
  )
  return [...indexes]
    .map(([name, wanted]) => {
      const partitions = storage.topicByName(name)?.partitions ?? []
      const isWanted = new Set(wanted)
      return { name, partitions: partitions.filter(({ index }) => isWanted.has(index)).map(sizeOf) }
    })
    .filter(({ partitions }) => partitions.length > 0)
}

function sizeOf({ index, storedBytes }: PartitionStore): TopicAnswer['partitions'][number] {
  return { partitionIndex: index, partitionSize: storedBytes, offsetLag: 0, isFutureKey: false }
}
