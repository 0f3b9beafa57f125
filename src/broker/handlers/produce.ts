/**
 * Produce: one record batch per partition, appended in the order in which the request names them. acks=1 is answered when
 * this node's disk has the batches, acks=-1 when the acknowledgement quorum has; each partition has an outcome of its own.
 * acks=0 is never answered; when something goes wrong the connection closes, the only way left to say so.
 *
 * 3-8 fixed lengths, 9+ compact. 5+ log start offset, 7+ zstd, 8+ errors per record and messages, 13+ topic ids.
 */
import type { TopicId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import { sliceRope } from '../../base/rope.ts'
import type { Clock } from '../../io/clock.ts'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { ProduceRequest, ProduceResponse } from '../../wire/messages/produce.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import { batchHeaderBytes, codecOfBatch, readBatchHeaderOfRope, transactionalBit } from '../../wire/record-batch.ts'
import { walkRecords } from '../../wire/records.ts'
import { type BatchRules, type RefusedBatch, validateBatch } from '../../wire/validate-batch.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin } from '../deadline.ts'
import { isFatal } from '../faults.ts'
import { handler } from '../handler.ts'
import { noTransactions } from '../no-transactions.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { Acks, AppendOutcome, PartitionStore, RecordError, Topic } from '../storage.ts'

type AskedTopic = ProduceRequest['topicData'][number]
type AskedPartition = AskedTopic['partitionData'][number]
type PartitionAnswer = ProduceResponse['responses'][number]['partitionResponses'][number]

type Outcome = AppendOutcome

/** A sync takes longer than Kafka's append to the page cache: a client that allows less is given this much all the same. */
const waitMsMin = 1_000
/** How many of a batch's records are pointed out at most. */
const recordErrorsMax = 100

const timedOut: Outcome = { error: 'REQUEST_TIMED_OUT', message: 'The batch was not durable in time; it may be yet.' }
const invalidAcks: Outcome = { error: 'INVALID_REQUIRED_ACKS', message: 'acks must be -1, 0 or 1.' }
const failedAppend: Outcome = { error: 'UNKNOWN_SERVER_ERROR', message: 'The append failed.' }

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
  const rules = typeof topic === 'string' ? null : rulesOf(topic, context)
  const appended = partitionData.map(asked => {
    const place: Appended = { index: asked.index, outcome: timedOut }
    const partition = findPartition(context, topic, asked.index, -1)
    if (refusal !== null) place.outcome = refusal
    else if (rules === null || typeof topic === 'string') place.outcome = noPartition(topic as Refused)
    else if (typeof partition === 'string') place.outcome = noPartition(partition as Refused)
    else append(asked, request.acks as Acks, topic, partition, rules, place, appends)
    return place
  })
  return { name, topicId, appended }
}

type Refused = RefusedBatch['error']

function noPartition(error: Refused): Outcome {
  return { error, message: `The partition cannot be written here: ${error}.` }
}

function refuseRequest({ acks, transactionalId }: ProduceRequest): Outcome | null {
  if (acks < -1 || acks > 1) return invalidAcks
  return transactionalId === null ? null : noTransactions
}

/** What groups and transactions write about themselves comes from coordinators, which do not come this way. */
function refuseTopic({ internal, name }: Topic): Outcome | null {
  return internal ? { error: 'INVALID_TOPIC_EXCEPTION', message: `Only brokers write to ${name}.` } : null
}

function rulesOf({ settings }: Topic, { version, parts }: RequestContext): BatchRules {
  return {
    produceVersion: version,
    nowMs: parts.clock.nowMs(),
    maxMessageBytes: settings.maxMessageBytes,
    timestampType: settings.timestampType,
    timestampBeforeMaxMs: settings.timestampBeforeMaxMs,
    timestampAfterMaxMs: settings.timestampAfterMaxMs,
  }
}

function append(
  asked: AskedPartition,
  acks: Acks,
  topic: Topic,
  partition: PartitionStore,
  rules: BatchRules,
  place: Appended,
  appends: Appends,
): void {
  const batch = validateBatch(asked.records, rules)
  if (batch.error !== 'NONE') place.outcome = { ...batch, recordErrors: recordErrorsOf(asked, batch, rules) }
  else if (batch.header.attributes & transactionalBit) place.outcome = noTransactions
  else if (batch.header.bytes > topic.settings.segmentBytes) {
    place.outcome = { error: 'RECORD_LIST_TOO_LARGE', message: 'The batch is larger than a segment (segment.bytes).' }
  } else appends.add(place, partition.append(batch, acks))
}

/** Which records a refused batch was refused for: only timestamps are looked at, and those of a compressed batch are not. */
function recordErrorsOf({ records }: AskedPartition, batch: RefusedBatch, rules: BatchRules): readonly RecordError[] {
  const header = batch.error === 'INVALID_TIMESTAMP' && records !== null ? readBatchHeaderOfRope(records) : null
  if (records === null || header === null || codecOfBatch(header) !== 'none') return []
  const errors: RecordError[] = []
  try {
    walkRecords(header, sliceRope(records, batchHeaderBytes, header.bytes), (offset, timestampMs) => {
      const early = timestampMs < rules.nowMs - rules.timestampBeforeMaxMs
      const late = timestampMs > rules.nowMs + rules.timestampAfterMaxMs
      if (early || late) {
        errors.push({ batchIndex: offset, batchIndexErrorMessage: `Timestamp ${timestampMs} is out of range.` })
      }
      return errors.length < recordErrorsMax
    })
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
  return errors
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
      if (outcome.error === 'NONE' || outcome === timedOut) continue
      throw new ProtocolError(`acks=0 cannot be told that partition ${index} failed: ${outcome.message}`)
    }
  }
  return null
}
