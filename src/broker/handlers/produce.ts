/**
 * Produce: one record batch per partition, appended in the order in which the request names them. acks=1 is answered when
 * this node's disk has the batches, acks=-1 when the acknowledgement quorum has; each partition has an outcome of its own.
 * acks=0 is never answered; when something goes wrong the connection closes, the only way left to say so.
 *
 * 3-8 fixed lengths, 9+ compact. 5+ log start offset, 7+ zstd, 8+ errors per record and messages, 13+ topic ids.
 */
import type { TopicId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { Clock } from '../../io/clock.ts'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { ProduceRequest, ProduceResponse } from '../../wire/messages/produce.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import { accessRules } from '../access.ts'
import {
  appendBatch,
  failedAppend,
  noPartition,
  type RefusedAppend,
  refuseTopic,
  rulesOf,
  timedOutAppend,
} from '../append.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin } from '../deadline.ts'
import { isFatal } from '../faults.ts'
import { handler } from '../handler.ts'
import { noTransactions } from '../no-transactions.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { Acks, AppendOutcome } from '../storage.ts'

type AskedTopic = ProduceRequest['topicData'][number]
type PartitionAnswer = ProduceResponse['responses'][number]['partitionResponses'][number]

type Outcome = AppendOutcome
type Refused = RefusedAppend['error']

/** A sync takes longer than Kafka's append to the page cache: a client that allows less is given this much all the same. */
const waitMsMin = 1_000

const invalidAcks: Outcome = { error: 'INVALID_REQUIRED_ACKS', message: 'acks must be -1, 0 or 1.' }

export const produce = handler({
  api: apis.produce,

  async handle(request: ProduceRequest, context): Promise<ProduceResponse | null> {
    const appends = new Appends()
    const topics = request.topicData.map(topic => appendTopic(topic, request, context, appends))
    const waitMs = waitMsWithin(context, Math.max(request.timeoutMs, waitMsMin))
    await appends.settled(context.parts.clock, waitMs)
    if (request.acks === 0) return closeOnError(topics)
    return { responses: topics.map(({ name, topicId, appended }) => answerTopic(name, topicId, appended)) }
  },

  failed(request: ProduceRequest, error): ProduceResponse | null {
    if (request.acks === 0) return null
    invariant(error !== 'NONE', 'a failed request has an error')
    const outcome: Outcome = { error, message: 'The request failed.' }
    return {
      responses: request.topicData.map(({ name, topicId, partitionData }) =>
        answerTopic(
          name,
          topicId,
          partitionData.map(({ index }) => ({ index, outcome })),
        ),
      ),
    }
  },
})

interface TopicAppends {
  readonly name: string
  readonly topicId: TopicId
  readonly appended: readonly Appended[]
}

interface Appended {
  readonly index: number
  outcome: Outcome
}

/** Everything here runs before the handler first waits: offsets are given out in the order of the requests. */
function appendTopic(
  { name, topicId, partitionData }: AskedTopic,
  request: ProduceRequest,
  context: RequestContext,
  appends: Appends,
): TopicAppends {
  const topic = findTopic(context, accessRules.produce, context.version >= 13, name, topicId)
  const refusal = refuseRequest(request) ?? (typeof topic === 'string' ? null : refuseTopic(topic))
  const rules = typeof topic === 'string' ? null : rulesOf(topic, context.version, context.parts.clock.nowMs())
  const appended = partitionData.map(asked => {
    const place: Appended = { index: asked.index, outcome: timedOutAppend }
    const partition = findPartition(context, topic, asked.index, -1)
    if (refusal !== null) place.outcome = refusal
    else if (rules === null || typeof topic === 'string') place.outcome = noPartition(topic as Refused)
    else if (typeof partition === 'string') place.outcome = noPartition(partition as Refused)
    else append(place, appendBatch(topic, partition, asked.records, request.acks as Acks, rules), appends)
    return place
  })
  return { name, topicId, appended }
}

function refuseRequest({ acks, transactionalId }: ProduceRequest): Outcome | null {
  if (acks < -1 || acks > 1) return invalidAcks
  return transactionalId === null ? null : noTransactions
}

/** Hands one batch on; its outcome is there at once, or comes later. */
function append(place: Appended, appending: RefusedAppend | Promise<AppendOutcome>, appends: Appends): void {
  if (appending instanceof Promise) appends.add(place, appending)
  else place.outcome = appending
}

/** The appends of one request that are underway. */
class Appends {
  readonly #settled = Promise.withResolvers<void>()
  #underway = 0

  add(place: Appended, append: Promise<AppendOutcome>): void {
    this.#underway++
    append.then(
      outcome => {
        place.outcome = outcome
        this.#settle()
      },
      error => {
        // Only what must stop the process goes on as an error; anything else is this partition's bad luck.
        if (isFatal(error)) this.#settled.reject(error)
        place.outcome = failedAppend
        this.#settle()
      },
    )
  }

  /** Resolves when all have their outcome, or when the time is over. */
  async settled(clock: Clock, waitMs: number): Promise<void> {
    if (this.#underway === 0) return
    const timer = clock.setTimer(waitMs, () => this.#settled.resolve())
    try {
      await this.#settled.promise
    } finally {
      timer.cancel()
    }
  }

  #settle(): void {
    if (--this.#underway === 0) this.#settled.resolve()
  }
}

function answerTopic(name: string, topicId: TopicId, appended: readonly Appended[]) {
  return { name, topicId, partitionResponses: appended.map(answerPartition) }
}

function answerPartition({ index, outcome }: Appended): PartitionAnswer {
  if (outcome.error === 'NONE') {
    const { baseOffset, logAppendTimeMs, logStartOffset } = outcome
    return { index, errorCode: kafkaErrors.NONE, baseOffset, logAppendTimeMs, logStartOffset }
  }
  const { error, message } = outcome
  const recordErrors = 'recordErrors' in outcome ? outcome.recordErrors : undefined
  return { index, errorCode: kafkaErrors[error], baseOffset: -1, recordErrors, errorMessage: message }
}

function closeOnError(topics: readonly TopicAppends[]): null {
  for (const { appended } of topics) {
    for (const { index, outcome } of appended) {
      if (outcome.error === 'NONE' || outcome === timedOutAppend) continue
      throw new ProtocolError(`acks=0 cannot be told that partition ${index} failed: ${outcome.message}`)
    }
  }
  return null
}
