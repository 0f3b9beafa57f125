/**
 * Fetch: record batches from partitions, in the order in which they are asked for; a batch that holds the wanted offset comes
 * whole. When there are fewer than `minBytes` the answer waits for more, at most `maxWaitMs`; an error is told at once.
 *
 * 4+ isolation level (nothing is transactional yet: the last stable offset is the high watermark). 7+ sessions. 9+ leader
 * epochs. 12+ last fetched epoch, which only followers send. 13+ topic ids. Followers do not fetch on a client's connection:
 * they would move the high watermark.
 */
import { offset } from '../../base/ids.ts'
import { emptyRope } from '../../base/rope.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { FetchRequest, FetchResponse } from '../../wire/messages/fetch.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin } from '../deadline.ts'
import { bytesOf, type Found, readInOrder, type Wanted, withoutRecords } from '../fetch-read.ts'
import {
  type FetchPartition,
  type FetchSession,
  partitionKey,
  partitionsByKey,
  sessionEpochs,
} from '../fetch-sessions.ts'
import { handler } from '../handler.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { Topic } from '../storage.ts'

type TopicAnswer = FetchResponse['responses'][number]
type PartitionAnswer = TopicAnswer['partitions'][number]

/** Topic ids took the place of names. */
const topicIdsSince = 13
const nothingChanged: ReadonlySet<number> = new Set()

export const fetch = handler({
  api: apis.fetch,

  async handle(request: FetchRequest, context): Promise<FetchResponse> {
    const plan = planOf(request, context)
    if (typeof plan === 'string') return { errorCode: kafkaErrors[plan], responses: [] }
    const found = await find(plan.partitions, request, context)
    for (const { release } of found) if (release !== undefined) context.releases.push(release)
    const told = plan.session === null ? found : newsOf(plan, plan.session, found)
    return { sessionId: plan.session?.id ?? 0, responses: answers(plan.partitions, told, request.isolationLevel) }
  },

  failed(request: FetchRequest, error, { version }): FetchResponse {
    if (version >= 7) return { errorCode: kafkaErrors[error], responses: [] }
    const partitions = askedPartitions(request)
    return { responses: answers(partitions, foundAll(partitions, error), request.isolationLevel) }
  },

  /** The error is one of partitions, unless it is one of sessions; the session goes on. */
  refused(request: FetchRequest, error, context): FetchResponse {
    const plan = sessionErrors.has(error) ? error : planOf(request, context)
    if (typeof plan === 'string') return { errorCode: kafkaErrors[plan], responses: [] }
    const found = foundAll(plan.partitions, error)
    const told = plan.session === null ? found : newsOf(plan, plan.session, found)
    return { sessionId: plan.session?.id ?? 0, responses: answers(plan.partitions, told, request.isolationLevel) }
  },
})

const sessionErrors: ReadonlySet<KafkaErrorName> = new Set([
  'FETCH_SESSION_ID_NOT_FOUND',
  'INVALID_FETCH_SESSION_EPOCH',
  'FETCH_SESSION_TOPIC_ID_ERROR',
])

function foundAll(partitions: readonly FetchPartition[], error: KafkaErrorName): Found[] {
  return partitions.map(() => ({ ...nothingFound, error }))
}

interface Plan {
  readonly partitions: readonly FetchPartition[]
  readonly session: FetchSession | null
  /** Whether everything is told, or only what is new to the session. */
  readonly full: boolean
}

/** Which partitions are meant, going by the request and, from 7 on, by its session. */
function planOf(request: FetchRequest, context: RequestContext): Plan | KafkaErrorName {
  const { principal, parts, version } = context
  const { sessionId, sessionEpoch } = request
  const { fetchSessions } = parts
  const partitions = askedPartitions(request)
  const byTopicId = version >= topicIdsSince
  if (sessionEpoch === sessionEpochs.initial || sessionEpoch === sessionEpochs.final) {
    if (sessionId !== 0) fetchSessions.close(sessionId, principal)
    if (sessionEpoch === sessionEpochs.final || partitions.length === 0) return fullPlan(partitions)
    const byKey = partitionsByKey(partitions)
    return { partitions: [...byKey.values()], session: fetchSessions.open(principal, byTopicId, byKey), full: true }
  }
  const session = fetchSessions.resume(sessionId, sessionEpoch, principal, byTopicId)
  if (typeof session === 'string') return session
  const fits = fetchSessions.update(session, partitions, forgottenKeys(request))
  const all = [...session.partitions.values()]
  if (all.length === 0) fetchSessions.close(session.id, principal)
  // A session that ends here is answered in full and without an id, which tells the client so.
  return !fits || all.length === 0 ? fullPlan(all) : { partitions: all, session, full: false }
}

function fullPlan(partitions: readonly FetchPartition[]): Plan {
  return { partitions, session: null, full: true }
}

function askedPartitions({ topics }: FetchRequest): FetchPartition[] {
  const all: FetchPartition[] = []
  for (const { topic, topicId, partitions } of topics) {
    for (const { partition, fetchOffset, partitionMaxBytes, currentLeaderEpoch } of partitions) {
      all.push({
        topic,
        topicId,
        partition,
        fetchOffset,
        bytesMax: partitionMaxBytes,
        currentLeaderEpoch,
        toldHighWatermark: -1,
        toldLogStart: -1,
      })
    }
  }
  return all
}

function forgottenKeys({ forgottenTopicsData }: FetchRequest): string[] {
  return forgottenTopicsData.flatMap(({ topic, topicId, partitions }) =>
    partitions.map(partition => partitionKey(topic, topicId, partition)),
  )
}

async function find(
  partitions: readonly FetchPartition[],
  request: FetchRequest,
  context: RequestContext,
): Promise<readonly Found[]> {
  const wanted = wantedOf(partitions, request, context)
  const bytesMax = Math.max(0, Math.min(request.maxBytes, context.parts.configs.settings.fetchBytesMax))
  let found = await readInOrder(wanted, bytesMax, nothingChanged)
  const bytes = bytesOf(found)
  const bytesMissing = Math.min(request.minBytes, bytesMax) - bytes
  const waitMs = waitMsWithin(context, request.maxWaitMs)
  const isEnough = bytesMissing <= 0 || found.some(({ error }) => error !== 'NONE')
  if (isEnough || waitMs === 0 || wanted.length === 0) return found
  // What is not enough yet is read again later: a fetch that waits keeps no records alive.
  if (bytes > 0) found = found.map(withoutRecords)
  const { signal } = context.connection
  const changed = await context.parts.fetchWaits.until({ wanted, found, bytesMissing, waitMs, signal })
  return signal.aborted || changed.size + bytes === 0 ? found : readInOrder(wanted, bytesMax, changed)
}

function wantedOf(partitions: readonly FetchPartition[], request: FetchRequest, context: RequestContext): Wanted[] {
  const byId = context.version >= topicIdsSince
  const isFollower = request.replicaId >= 0 || request.replicaState.replicaId >= 0
  const wanted: Wanted[] = []
  let topic: Topic | KafkaErrorName = accessRules.fetch.refusal
  let last: FetchPartition | null = null
  for (const want of partitions) {
    if (!isFollower && (last === null || !sameTopic(last, want))) {
      topic = findTopic(context, accessRules.fetch, byId, want.topic, want.topicId)
    }
    last = want
    const partition = findPartition(context, topic, want.partition, want.currentLeaderEpoch)
    const missing = typeof partition === 'string'
    wanted.push({
      partition: missing ? null : partition,
      error: missing ? partition : 'NONE',
      from: offset(want.fetchOffset),
      bytesMax: Math.max(want.bytesMax, 0),
    })
  }
  return wanted
}

/**
 * What is told within a session, and remembered as told: an incremental answer has the partitions with records, errors or
 * offsets that moved, the first one all. To leave out a partition that changed would hang its consumer. Partitions that gave
 * records go to the end, so that the others come first next time.
 */
function newsOf({ partitions, full }: Plan, session: FetchSession, found: readonly Found[]): (Found | null)[] {
  return found.map((result, place) => {
    const partition = partitions[place]!
    const { error, records, highWatermark, logStartOffset } = result
    const moved = highWatermark !== partition.toldHighWatermark || logStartOffset !== partition.toldLogStart
    partition.toldHighWatermark = error === 'NONE' ? highWatermark : -1
    partition.toldLogStart = error === 'NONE' ? logStartOffset : -1
    if (records.length > 0) moveToEnd(session, partition)
    return full || moved || error !== 'NONE' || records.length > 0 ? result : null
  })
}

function moveToEnd({ partitions }: FetchSession, partition: FetchPartition): void {
  const key = partitionKey(partition.topic, partition.topicId, partition.partition)
  // Another request of the client may have forgotten it meanwhile.
  if (partitions.get(key) !== partition) return
  partitions.delete(key)
  partitions.set(key, partition)
}

const nothingFound: Found = { error: 'NONE', records: emptyRope, highWatermark: -1, logStartOffset: -1 }

/** Answers by topic; null in `found` leaves a partition out. A topic comes again when another stands between. */
function answers(
  partitions: readonly FetchPartition[],
  found: readonly (Found | null)[],
  isolationLevel: number,
): TopicAnswer[] {
  const topics: TopicAnswer[] = []
  let last: FetchPartition | null = null
  let answered: PartitionAnswer[] = []
  for (let place = 0; place < partitions.length; place++) {
    const partition = partitions[place]!
    const result = found[place]!
    if (result === null) continue
    if (last === null || !sameTopic(last, partition)) {
      answered = []
      topics.push({ topic: partition.topic, topicId: partition.topicId, partitions: answered })
    }
    last = partition
    answered.push(answer(partition.partition, result, isolationLevel))
  }
  return topics
}

const readCommitted = 1

function answer(partitionIndex: number, result: Found, isolationLevel: number): PartitionAnswer {
  const { error, records, highWatermark, logStartOffset } = result
  return {
    partitionIndex,
    errorCode: kafkaErrors[error],
    highWatermark,
    lastStableOffset: highWatermark,
    logStartOffset,
    abortedTransactions: isolationLevel === readCommitted ? [] : null,
    // Empty, never null: some clients take null records for a broken answer.
    records,
  }
}

function sameTopic(a: FetchPartition, b: FetchPartition): boolean {
  return a.topic === b.topic && a.topicId === b.topicId
}
