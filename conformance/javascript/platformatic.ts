/** The agent of @platformatic/kafka. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Admin,
  type BaseOptions,
  ConfigResourceTypes,
  ConfigSources,
  Consumer,
  IncrementalAlterConfigOperationTypes,
  ListOffsetTimestamps,
  type Message,
  type MessageToProduce,
  Producer,
} from '@platformatic/kafka'
import type { ConsumedRecord, Fields, Ok, ProduceRecord } from '../harness/protocol.ts'
import { Member, rangeAssigner } from './platformatic-members.ts'
import { BulkCount, bulkValue, CannotDo, CodedError, type Handlers, inTime, serve } from './serve.ts'

const manifest = new URL('../package.json', import.meta.resolve('@platformatic/kafka'))
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }

const giveUpMs = 19_000
const readMs = 200

let base: BaseOptions
let admin: Admin
const members = new Map<string, Member>()
let names = 0

/** One for a request: what an earlier one could not send is none of its business. */
async function withProducer<T>(use: (producer: Producer) => Promise<T>): Promise<T> {
  const producer = new Producer({ ...base, retries: 40, autocreateTopics: false })
  try {
    return await use(producer)
  } finally {
    await producer.close().catch(() => undefined)
  }
}

async function produce({ topic, codec, acks, idempotent, records }: Fields<'produce'>): Promise<Ok<'produce'>> {
  const messages = records.map(record => messageOf(topic, record))
  return await withProducer(async producer => {
    const sent = producer.send({ messages, compression: codec, acks: idempotent ? -1 : acks, idempotent })
    const { offsets = [] } = await inTime(giveUpMs, 'produce', sent)
    const next = new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)]))
    return {
      offsets: records.map(({ partition }) => {
        const offset = next.get(partition) ?? -1
        if (offset >= 0) next.set(partition, offset + 1)
        return offset
      }),
    }
  })
}

function messageOf(topic: string, record: ProduceRecord): MessageToProduce<Buffer, Buffer, Buffer, Buffer> {
  const { partition, key, value, valueBytes, headers = [], timestamp } = record
  const text = valueBytes == null ? value : 'x'.repeat(valueBytes)
  return {
    topic,
    partition,
    ...(key == null ? {} : { key: Buffer.from(key) }),
    ...(text == null ? {} : { value: Buffer.from(text) }),
    // Buffers are keys of their own, each: so that a name may come twice.
    ...(headers.length === 0
      ? {}
      : { headers: new Map(headers.map(([name, each]) => [Buffer.from(name), Buffer.from(each)])) }),
    ...(timestamp == null ? {} : { timestamp: BigInt(timestamp) }),
  }
}

async function produceMany(fields: Fields<'produceMany'>): Promise<Ok<'produceMany'>> {
  const { topic, partitions, count, valueBytes, codec, idempotent } = fields
  const chunk = 5_000
  return await withProducer(async producer => {
    let acknowledged = 0
    for (let from = 0; from < count; from += chunk) {
      const size = Math.min(chunk, count - from)
      const messages = Array.from({ length: size }, (_, i) =>
        messageOf(topic, { partition: (from + i) % partitions, value: bulkValue(from + i, valueBytes) }),
      )
      await producer.send({ messages, compression: codec, acks: -1, idempotent })
      acknowledged += size
    }
    return { acknowledged }
  })
}

/** It reads in groups only: one of its own, which is deleted afterwards. */
async function read<T>(
  topic: string,
  start: { readonly partition: number; readonly offset: number } | null,
  timeoutMs: number,
  onMessage: (message: Message<Buffer, Buffer, Buffer, Buffer>, done: () => void) => void,
  result: () => T,
): Promise<T> {
  const groupId = `platformatic-read-${process.pid}-${++names}-${Date.now()}`
  const consumer = new Consumer({
    ...base,
    groupId,
    autocommit: false,
    maxWaitTime: readMs,
    protocols: [{ name: 'range', version: 1 }],
    partitionAssigner: rangeAssigner,
  })
  try {
    const stream = await consumer.consume({
      topics: [topic],
      autocommit: false,
      ...(start === null
        ? { mode: 'earliest' }
        : { mode: 'manual', offsets: [{ topic, partition: start.partition, offset: BigInt(start.offset) }] }),
    })
    const over = new AbortController()
    stream.on('data', message => {
      if (!over.signal.aborted) onMessage(message, () => over.abort())
    })
    stream.on('error', error => process.stderr.write(`reading: ${error.message}\n`))
    await sleep(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined)
    return result()
  } finally {
    await consumer.close(true).catch(() => undefined)
    await admin.deleteGroups({ groups: [groupId] }).catch(() => undefined)
  }
}

function consume({ topic, partition, from, count, timeoutMs }: Fields<'consume'>): Promise<Ok<'consume'>> {
  const records: ConsumedRecord[] = []
  return read(
    topic,
    { partition, offset: from },
    timeoutMs,
    (message, done) => {
      if (message.partition !== partition || Number(message.offset) < from) return
      records.push(consumedOf(message))
      if (records.length >= count) done()
    },
    () => ({ records: records.slice(0, count) }),
  )
}

function consumedOf({
  offset,
  key,
  value,
  headerEntries,
  timestamp,
}: Message<Buffer, Buffer, Buffer, Buffer>): ConsumedRecord {
  return {
    offset: Number(offset),
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
    headers: headerEntries.map(([name, each]) => [name.toString(), each.toString()]),
    timestamp: Number(timestamp),
  }
}

function countAll({ topic, expected, timeoutMs }: Fields<'countAll'>): Promise<Ok<'countAll'>> {
  const counted = new BulkCount()
  return read(
    topic,
    null,
    timeoutMs,
    ({ value }, done) => {
      counted.add(value)
      if (counted.distinct >= expected) done()
    },
    () => ({ received: counted.received, distinct: counted.distinct }),
  )
}

async function offsets({ topic, partition, at }: Fields<'offsets'>): Promise<Ok<'offsets'>> {
  const { EARLIEST, LATEST } = ListOffsetTimestamps
  const timestamp = at === 'earliest' ? EARLIEST : at === 'latest' ? LATEST : BigInt(at)
  const topics = await admin.listOffsets({
    topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
  })
  return { offset: Number(topics[0]!.partitions[0]!.offset) }
}

async function describeTopic({ topic }: Fields<'describeTopic'>): Promise<Ok<'describeTopic'>> {
  const metadata = await admin.metadata({ topics: [topic], autocreateTopics: false, forceUpdate: true, retries: 2 })
  const found = metadata.topics.get(topic)
  if (found === undefined) throw new CodedError('UNKNOWN_TOPIC_OR_PARTITION', 'not in the metadata')
  return { partitions: found.partitionsCount }
}

async function describeConfigs({ topic, names }: Fields<'describeConfigs'>): Promise<Ok<'describeConfigs'>> {
  const described = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [...names] }],
  })
  const configs = described[0]!.configs.map(({ name, value, configSource }) => [
    name,
    { value: value ?? null, isDefault: configSource !== ConfigSources.DYNAMIC_TOPIC_CONFIG },
  ])
  return { configs: Object.fromEntries(configs) }
}

async function commit({ group, topic, partition, offset, metadata }: Fields<'commit'>): Promise<Ok<'commit'>> {
  if (metadata !== '') throw new CannotDo('@platformatic/kafka commits no metadata')
  await admin.alterConsumerGroupOffsets({
    groupId: group,
    topics: [{ name: topic, partitionOffsets: [{ partition, offset: BigInt(offset) }] }],
  })
  return {}
}

async function committed({ group, topic, partition }: Fields<'committed'>): Promise<Ok<'committed'>> {
  const groups = await admin.listConsumerGroupOffsets({
    groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [partition] }] }],
  })
  const found = groups[0]?.topics[0]?.partitions.find(each => each.partitionIndex === partition)
  const offset = Number(found?.committedOffset ?? -1n)
  return { offset, metadata: offset < 0 ? '' : (found?.metadata ?? '') }
}

/** Its names of states are `PREPARING_REBALANCE` or Kafka's own, by version. */
function stateText(state: string): string {
  if (state !== state.toUpperCase()) return state
  const words = state.toLowerCase().split('_')
  return words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function memberOf(name: string): Member {
  const member = members.get(name)
  if (member === undefined) throw new CodedError('CLIENT', `there is no member ${name}`)
  return member
}

const handlers: Handlers = {
  hello({ bootstrap }) {
    base = {
      clientId: 'conformance-platformatic',
      bootstrapBrokers: [bootstrap],
      retries: 15,
      retryDelay: 300,
      timeout: 10_000,
      connectTimeout: 3_000,
    }
    admin = new Admin(base)
    return { client: '@platformatic/kafka', version }
  },
  async createTopic({ topic, partitions, configs }) {
    await admin.createTopics({
      topics: [topic],
      partitions,
      replicas: 1,
      configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
    })
    return {}
  },
  describeTopic,
  async createPartitions({ topic, total }) {
    await admin.createPartitions({ topics: [{ name: topic, count: total }] })
    return {}
  },
  async alterConfigs({ topic, set }) {
    const configs = Object.entries(set).map(([name, value]) => ({
      name,
      value,
      configOperation: IncrementalAlterConfigOperationTypes.SET,
    }))
    await admin.incrementalAlterConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }],
    })
    return {}
  },
  describeConfigs,
  async deleteRecords({ topic, partition, before }) {
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }] })
    return {}
  },
  async deleteTopic({ topic }) {
    await admin.deleteTopics({ topics: [topic] })
    return {}
  },
  produce,
  produceMany: fields => inTime(115_000, 'produceMany', produceMany(fields)),
  consume,
  countAll,
  offsets,
  join(fields) {
    const name = `platformatic-${++names}`
    members.set(name, Member.join(base, fields))
    return { member: name }
  },
  assignment: ({ member }) => memberOf(member).assignment(),
  received: ({ member }) => memberOf(member).received(),
  async seek({ member, topic, partition, offset }) {
    await memberOf(member).seek(topic, partition, offset)
    return {}
  },
  async leave({ member }) {
    await inTime(giveUpMs, 'leave', memberOf(member).leave())
    return {}
  },
  commit,
  committed,
  async describeGroup({ group }) {
    const found = (await admin.describeGroups({ groups: [group] })).get(group)
    return { state: stateText(found?.state ?? 'Dead'), members: found?.members.size ?? 0 }
  },
  async listGroups() {
    return { groups: [...(await admin.listGroups()).keys()] }
  },
  async deleteGroup({ group }) {
    await admin.deleteGroups({ groups: [group] })
    return {}
  },
}

/** The innermost error that has Kafka's name. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const { apiId, cause, errors, code } = error as Error & { apiId?: string; errors?: unknown[]; code?: string }
  if (typeof apiId === 'string') return apiId
  for (const each of [cause, ...(errors ?? [])]) {
    const found = codeOf(each)
    if (found !== null) return found
  }
  // Here the library has read Kafka's code, and keeps it to itself.
  if (error.message.startsWith('Unknown topic ')) return 'UNKNOWN_TOPIC_OR_PARTITION'
  return code === 'PLT_KFK_TIMEOUT' ? 'REQUEST_TIMED_OUT' : null
}

await serve({
  handlers,
  absent: '@platformatic/kafka cannot',
  codeOf,
  async close() {
    await Promise.all([...members.values()].map(member => member.leave().catch(() => undefined)))
    await admin?.close()
  },
})
