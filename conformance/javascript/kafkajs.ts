/** The agent of kafkajs. */
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Admin, type Consumer, type EachBatchPayload, type Kafka, type Producer } from 'kafkajs'
import type { Codec, ConsumedRecord, Fields, Ok, ProduceRecord } from '../harness/protocol.ts'
import { registerCodecs } from './kafkajs-codecs.ts'
import { Member } from './kafkajs-members.ts'
import { rangeAssigner } from './kafkajs-range.ts'
import { BulkCount, bulkValue, CannotDo, CodedError, type Handlers, inTime, serve } from './serve.ts'

registerCodecs()

const { CompressionTypes, ConfigResourceTypes } = kafkajs
const { version } = createRequire(import.meta.url)('kafkajs/package.json') as { version: string }

const giveUpMs = 20_000
const retry = { initialRetryTime: 100, maxRetryTime: 800, retries: 5 }
/** About as long as a producer may take. */
const produceRetry = { initialRetryTime: 100, maxRetryTime: 800, retries: 25 }

let kafka: Kafka
let connected: { admin?: Admin; producers: Map<boolean, Producer> } = { producers: new Map() }
const members = new Map<string, Member>()
let names = 0

async function admin(): Promise<Admin> {
  if (connected.admin === undefined) {
    const made = kafka.admin({ retry })
    await made.connect()
    connected.admin = made
  }
  return connected.admin
}

async function producer(idempotent: boolean): Promise<Producer> {
  const known = connected.producers.get(idempotent)
  if (known !== undefined) return known
  const made = kafka.producer({
    idempotent,
    ...(idempotent ? { maxInFlightRequests: 1 } : {}),
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: produceRetry,
  })
  await made.connect()
  connected.producers.set(idempotent, made)
  return made
}

const codecTypes: { readonly [C in Codec]: kafkajs.CompressionTypes } = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

async function produce({ topic, codec, acks, idempotent, records }: Fields<'produce'>): Promise<Ok<'produce'>> {
  const messages = records.map(record => ({
    partition: record.partition,
    key: record.key ?? null,
    value: valueOfRecord(record),
    headers: headersOf(record.headers ?? []),
    ...(record.timestamp == null ? {} : { timestamp: `${record.timestamp}` }),
  }))
  const sender = await producer(idempotent)
  try {
    const sent = sender.send({ topic, acks, timeout: giveUpMs, compression: codecTypes[codec], messages })
    const answers = await inTime(giveUpMs, 'produce', sent)
    const next = new Map(answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset ?? -1)]))
    return {
      offsets: records.map(({ partition }) => {
        const offset = next.get(partition) ?? -1
        if (offset >= 0) next.set(partition, offset + 1)
        return offset
      }),
    }
  } catch (error) {
    // Nobody knows what became of its sequence numbers.
    connected.producers.delete(idempotent)
    void sender.disconnect().catch(() => undefined)
    throw error
  }
}

const valueOfRecord = ({ value, valueBytes }: ProduceRecord) =>
  valueBytes == null ? (value ?? null) : 'x'.repeat(valueBytes)

/** kafkajs takes an object: what stands twice is a list there, and comes in one place. */
function headersOf(headers: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {}
  for (const [name, value] of headers) {
    const before = result[name]
    result[name] = before === undefined ? value : [before, value].flat()
  }
  const kept = Object.entries(result).flatMap(([name, values]) => [values].flat().map(value => [name, value]))
  if (JSON.stringify(kept) !== JSON.stringify(headers)) {
    throw new CannotDo('kafkajs keeps headers in an object, and those of one name together')
  }
  return result
}

async function produceMany(fields: Fields<'produceMany'>): Promise<Ok<'produceMany'>> {
  const { topic, partitions, count, valueBytes, codec, idempotent } = fields
  const chunk = 5_000
  const sender = await producer(idempotent)
  let acknowledged = 0
  for (let from = 0; from < count; from += chunk) {
    const size = Math.min(chunk, count - from)
    const messages = Array.from({ length: size }, (_, i) => ({
      partition: (from + i) % partitions,
      value: bulkValue(from + i, valueBytes),
    }))
    await sender.send({ topic, acks: -1, timeout: giveUpMs, compression: codecTypes[codec], messages })
    acknowledged += size
  }
  return { acknowledged }
}

/** kafkajs reads in groups only: one of its own, which is deleted afterwards. */
async function read<T>(
  topic: string,
  timeoutMs: number,
  position: (() => { readonly partition: number; readonly offset: number }) | null,
  onBatch: (payload: EachBatchPayload, done: () => void) => void,
  result: () => T,
): Promise<T> {
  const groupId = `kafkajs-read-${process.pid}-${++names}-${Date.now()}`
  const consumer = kafka.consumer({
    groupId,
    partitionAssigners: [rangeAssigner],
    maxWaitTimeInMs: 200,
    retry: { ...retry, restartOnFailure: async () => true },
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const over = new AbortController()
    // Also when it has to join again: it goes on where it was.
    consumer.on(consumer.events.GROUP_JOIN, () => {
      if (position !== null) consumer.seek({ topic, ...withText(position()) })
    })
    const running = consumer.run({
      autoCommit: false,
      eachBatch: async payload => {
        if (!over.signal.aborted) onBatch(payload, () => over.abort())
      },
    })
    running.catch(error => process.stderr.write(`reading: ${error.message}\n`))
    await sleep(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined)
    return result()
  } finally {
    await drop(consumer, groupId)
  }
}

const withText = <P extends { offset: number }>(position: P) => ({ ...position, offset: `${position.offset}` })

async function drop(consumer: Consumer, groupId: string): Promise<void> {
  await consumer.disconnect().catch(() => undefined)
  await (await admin()).deleteGroups([groupId]).catch(() => undefined)
}

function consume({ topic, partition, from, count, timeoutMs }: Fields<'consume'>): Promise<Ok<'consume'>> {
  const records: ConsumedRecord[] = []
  let next = from
  return read(
    topic,
    timeoutMs,
    () => ({ partition, offset: next }),
    ({ batch }, done) => {
      if (batch.partition !== partition) return
      for (const { offset, key, value, headers = {}, timestamp } of batch.messages) {
        // Before the seek it may have begun at the start, and it may come back to where it was.
        if (Number(offset) < next) continue
        next = Number(offset) + 1
        records.push({
          offset: Number(offset),
          key: key?.toString() ?? null,
          value: value?.toString() ?? null,
          headers: Object.entries(headers).flatMap(([name, values]) =>
            [values ?? ''].flat().map(each => [name, each.toString()] as const),
          ),
          timestamp: Number(timestamp),
        })
      }
      if (records.length >= count) done()
    },
    () => ({ records: records.slice(0, count) }),
  )
}

function countAll({ topic, expected, timeoutMs }: Fields<'countAll'>): Promise<Ok<'countAll'>> {
  const counted = new BulkCount()
  return read(
    topic,
    timeoutMs,
    null,
    ({ batch }, done) => {
      for (const { value } of batch.messages) counted.add(value)
      if (counted.distinct >= expected) done()
    },
    () => ({ received: counted.received, distinct: counted.distinct }),
  )
}

async function offsets({ topic, partition, at }: Fields<'offsets'>): Promise<Ok<'offsets'>> {
  const ends = await (await admin()).fetchTopicOffsets(topic)
  const { low, high } = ends.find(each => each.partition === partition)!
  if (at === 'earliest') return { offset: Number(low) }
  if (at === 'latest') return { offset: Number(high) }
  const found = await (await admin()).fetchTopicOffsetsByTimestamp(topic, at)
  const { offset } = found.find(each => each.partition === partition)!
  if (offset === high) throw new CannotDo('kafkajs gives the end of the log for a time after all records')
  return { offset: Number(offset) }
}

async function describeTopic({ topic }: Fields<'describeTopic'>): Promise<Ok<'describeTopic'>> {
  const { topics } = await (await admin()).fetchTopicMetadata({ topics: [topic] })
  return { partitions: topics[0]!.partitions.length }
}

interface ConfigEntry {
  readonly configName: string
  readonly configValue: string | null
  readonly configSource: number
}

const topicConfigSource = 1

async function entriesOf(topic: string, names: readonly string[] | null): Promise<ConfigEntry[]> {
  const { resources } = await (await admin()).describeConfigs({
    includeSynonyms: false,
    resources: [
      { type: ConfigResourceTypes.TOPIC, name: topic, ...(names === null ? {} : { configNames: [...names] }) },
    ],
  })
  return resources[0]!.configEntries as unknown as ConfigEntry[]
}

async function describeConfigs({ topic, names }: Fields<'describeConfigs'>): Promise<Ok<'describeConfigs'>> {
  const entries = await entriesOf(topic, names)
  const described = entries.map(({ configName, configValue, configSource }) => [
    configName,
    { value: configValue, isDefault: configSource !== topicConfigSource },
  ])
  return { configs: Object.fromEntries(described) }
}

/** kafkajs has AlterConfigs only, which forgets what it is not told. */
async function alterConfigs({ topic, set }: Fields<'alterConfigs'>): Promise<Ok<'alterConfigs'>> {
  const overrides = (await entriesOf(topic, null)).filter(({ configSource }) => configSource === topicConfigSource)
  const all = {
    ...Object.fromEntries(overrides.map(({ configName, configValue }) => [configName, configValue ?? ''])),
    ...set,
  }
  const configEntries = Object.entries(all).map(([name, value]) => ({ name, value }))
  await (await admin()).alterConfigs({
    validateOnly: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  })
  return {}
}

/** A consumer of its own commits it: what kafkajs has for administrators takes no metadata. */
async function commit({ group, topic, partition, offset, metadata }: Fields<'commit'>): Promise<Ok<'commit'>> {
  if (metadata === '') {
    await (await admin()).setOffsets({ groupId: group, topic, partitions: [{ partition, offset: `${offset}` }] })
    return {}
  }
  const consumer = kafka.consumer({ groupId: group, partitionAssigners: [rangeAssigner], maxWaitTimeInMs: 200, retry })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic] })
    const joined = new Promise(resolve => consumer.on(consumer.events.GROUP_JOIN, resolve))
    await consumer.run({ autoCommit: false, eachBatch: async () => undefined })
    await inTime(10_000, 'joining to commit', joined)
    await consumer.commitOffsets([{ topic, partition, offset: `${offset}`, metadata }])
  } finally {
    await consumer.disconnect()
  }
  return {}
}

async function committed({ group, topic, partition }: Fields<'committed'>): Promise<Ok<'committed'>> {
  const topics = await (await admin()).fetchOffsets({ groupId: group, topics: [topic] })
  const found = topics[0]?.partitions.find(each => each.partition === partition)
  const offset = Number(found?.offset ?? -1)
  return { offset, metadata: offset < 0 ? '' : (found?.metadata ?? '') }
}

function memberOf(name: string): Member {
  const member = members.get(name)
  if (member === undefined) throw new CodedError('CLIENT', `there is no member ${name}`)
  return member
}

const handlers: Handlers = {
  hello({ bootstrap }) {
    kafka = new kafkajs.Kafka({
      brokers: [bootstrap],
      clientId: 'conformance-kafkajs',
      connectionTimeout: 3_000,
      requestTimeout: 15_000,
      retry,
      logLevel: kafkajs.logLevel.ERROR,
      logCreator:
        () =>
        ({ label, namespace, log: { message, ...rest } }) => {
          process.stderr.write(`${label} ${namespace}: ${message} ${JSON.stringify(rest)}\n`)
        },
    })
    return { client: 'kafkajs', version }
  },
  async createTopic({ topic, partitions, configs }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const isNew = await (await admin()).createTopics({
      waitForLeaders: true,
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
    })
    // For this one error kafkajs answers false.
    if (!isNew) throw new CodedError('TOPIC_ALREADY_EXISTS', 'createTopics gives false')
    return {}
  },
  describeTopic,
  async createPartitions({ topic, total }) {
    await (await admin()).createPartitions({ topicPartitions: [{ topic, count: total }] })
    // Producers look for new partitions every five minutes; a new producer looks at once.
    await closeProducers()
    return {}
  },
  alterConfigs,
  describeConfigs,
  async deleteRecords({ topic, partition, before }) {
    // It knows leaders only of topics that it has asked about before.
    await (await admin()).fetchTopicOffsets(topic)
    await (await admin()).deleteTopicRecords({ topic, partitions: [{ partition, offset: `${before}` }] })
    return {}
  },
  async deleteTopic({ topic }) {
    await (await admin()).deleteTopics({ topics: [topic] })
    await closeProducers()
    return {}
  },
  produce,
  produceMany: fields => inTime(115_000, 'produceMany', produceMany(fields)),
  consume,
  countAll,
  offsets,
  join(fields) {
    const name = `kafkajs-${++names}`
    members.set(name, Member.join(kafka, fields))
    return { member: name }
  },
  assignment: ({ member }) => memberOf(member).assignment(),
  received: ({ member }) => memberOf(member).received(),
  seek({ member, topic, partition, offset }) {
    memberOf(member).seek(topic, partition, offset)
    return {}
  },
  async leave({ member }) {
    await inTime(giveUpMs, 'leave', memberOf(member).leave())
    return {}
  },
  commit: fields => inTime(giveUpMs, 'commit', commit(fields)),
  committed,
  async describeGroup({ group }) {
    const { groups } = await (await admin()).describeGroups([group])
    return { state: groups[0]!.state, members: groups[0]!.members.length }
  },
  async listGroups() {
    const { groups } = await (await admin()).listGroups()
    return { groups: groups.map(({ groupId }) => groupId) }
  },
  async deleteGroup({ group }) {
    await (await admin()).deleteGroups([group])
    return {}
  },
}

async function closeProducers(): Promise<void> {
  const open = [...connected.producers.values()]
  connected.producers.clear()
  await Promise.all(open.map(each => each.disconnect()))
}

/** The innermost error that has Kafka's name. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const { type, cause, errors, groups, partitions } = error as Error & {
    type?: string
    errors?: unknown[]
    groups?: { error?: unknown }[]
    partitions?: { error?: unknown }[]
  }
  if (typeof type === 'string' && type !== '') return type
  const within = [
    cause,
    ...(errors ?? []),
    ...(groups ?? []).map(each => each.error),
    ...(partitions ?? []).map(each => each.error),
  ]
  for (const each of within) {
    const code = codeOf(each)
    if (code !== null) return code
  }
  return error.name === 'KafkaJSRequestTimeoutError' ? 'REQUEST_TIMED_OUT' : null
}

await serve({
  handlers,
  absent: 'kafkajs cannot',
  codeOf,
  async close() {
    await Promise.all([...members.values()].map(member => member.leave().catch(() => undefined)))
    await closeProducers()
    await connected.admin?.disconnect()
    connected = { producers: new Map() }
  },
})
