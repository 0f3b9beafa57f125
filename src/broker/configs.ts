/**
 * What the rows of the config tables mean: values are parsed and checked, broker configs become `BrokerSettings`, and a topic's
 * overrides over the broker's defaults become the `TopicSettings` that the engine reads.
 *
 * Texts are what tools see and what is stored; numbers are derived from them. A long past 2^53 becomes the largest exact
 * number, which as a limit means the same: none.
 */
import { TidelogError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import { type BrokerConfigName, brokerConfigTable } from './broker-config-table.ts'
import {
  type ConfigDefinition,
  type Synonym,
  type TopicConfigDefinition,
  type TopicConfigName,
  topicConfigTable,
} from './config-table.ts'
import { nearestName } from './nearest-name.ts'
import { type CompressionType, compressionTypes, type TopicSettings } from './topic-settings.ts'

/** The broker's own settings, as the code reads them. */
export interface BrokerSettings {
  readonly autoCreateTopics: boolean
  readonly partitionsDefault: number
  readonly replicationFactorDefault: number
  readonly deleteTopics: boolean
  /** null when no rack was set. */
  readonly rack: string | null
  readonly requestBytesMax: number
  /** -1 for never. */
  readonly connectionIdleMsMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly fetchBytesMax: number
  readonly fetchSessionsMax: number
  readonly retentionCheckIntervalMs: number
  readonly producerIdExpirationMs: number
  readonly journalBytesMax: number
  readonly logCacheBytesMax: number
  readonly requestBudgetBytesMax: number
  readonly textFrameBytesMax: number
  readonly groupInitialRebalanceDelayMs: number
  readonly groupMinSessionTimeoutMs: number
  readonly groupMaxSessionTimeoutMs: number
  readonly groupSizeMax: number
  readonly offsetMetadataBytesMax: number
  readonly offsetsRetentionMs: number
  readonly offsetsRetentionCheckIntervalMs: number
  readonly offsetsTopicPartitions: number
  /** As many replicas as there are nodes where these are fewer. */
  readonly offsetsTopicReplicationFactor: number
  readonly offsetsTopicSegmentBytes: number
}

export interface BrokerConfigs {
  /** As given, under Kafka's names; nothing that was left at its default. */
  readonly given: ReadonlyMap<string, string>
  readonly settings: BrokerSettings
  /** What a topic without overrides has, by topic config name. */
  readonly topicDefaults: ReadonlyMap<TopicConfigName, TopicDefault>
  /** What the running node knows of its own configs, by name: where it listens, where its data lies. */
  readonly facts: () => ReadonlyMap<string, string>
}

export interface TopicDefault {
  readonly value: string
  readonly source: 'default' | 'broker'
}

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: readonly string[] }

const minuteMs = 60_000

type Value = boolean | number | string

/** More than any value needs: what is stored with a topic is sent with every description of it. */
const valueCharsMax = 1_000

const topicDefinitions: ReadonlyMap<string, TopicConfigDefinition> = new Map(
  topicConfigTable.map(row => [row.name, row]),
)
const brokerDefinitions = buildBrokerDefinitions()

/** The broker configs of a command line or a file (`--set name=value`). All that is wrong is reported, a sentence each. */
export function parseBrokerConfigs(entries: Iterable<readonly [name: string, value: string]>): Checked<BrokerConfigs> {
  const given = new Map<string, string>()
  const errors: string[] = []
  for (const [name, value] of entries) {
    const definition = brokerDefinitions.get(name)
    const error = definition === undefined ? unknownBrokerConfig(name) : checkValue(definition, value)
    if (error !== null) errors.push(error)
    else if (definition !== undefined) given.set(name, canonical(definition, value))
  }
  if (errors.length > 0) return { ok: false, errors }
  const value = resolveBroker(given)
  const { groupMinSessionTimeoutMs: min, groupMaxSessionTimeoutMs: max } = value.settings
  if (min <= max) return { ok: true, value }
  return {
    ok: false,
    errors: [`group.min.session.timeout.ms (${min}) is more than group.max.session.timeout.ms (${max}).`],
  }
}

/** Broker configs that are known to be good, for tests and embedding; throws `CONFIG` otherwise. */
export function brokerConfigs(entries: Readonly<Record<string, string>> = {}): BrokerConfigs {
  const parsed = parseBrokerConfigs(Object.entries(entries))
  if (!parsed.ok) throw new TidelogError('CONFIG', parsed.errors.join(' '))
  return parsed.value
}

/** A topic's overrides as a client gives them: what to store, or the first thing wrong as a sentence. */
export function checkTopicConfigs(
  entries: Iterable<readonly [name: string, value: string | null]>,
): { readonly error: null; readonly configs: Map<string, string> } | { readonly error: string } {
  const configs = new Map<string, string>()
  for (const [name, value] of entries) {
    const definition = topicDefinitions.get(name)
    if (definition === undefined) return { error: unknownTopicConfig(name) }
    if (value === null) return { error: `The config ${name} has no value.` }
    const error = checkValue(definition, value)
    if (error !== null) return { error }
    configs.set(name, canonical(definition, value))
  }
  return { error: null, configs }
}

/**
 * The settings of a topic with these overrides. Overrides were checked when they were stored; one that this version does
 * not know (the data directory was used by a newer one) is passed over.
 */
export function topicSettings(broker: BrokerConfigs, overrides: ReadonlyMap<string, string>): TopicSettings {
  const text = (name: TopicConfigName) => overrides.get(name) ?? broker.topicDefaults.get(name)!.value
  const number = (name: TopicConfigName) => toNumber(text(name))
  const policies = listItems(text('cleanup.policy'))
  return {
    deletesOld: policies.includes('delete'),
    compacts: policies.includes('compact'),
    compressionType: compressionTypeOf(text('compression.type')),
    gzipLevel: number('compression.gzip.level'),
    zstdLevel: number('compression.zstd.level'),
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    segmentJitterMs: number('segment.jitter.ms'),
    segmentRecords: number('tidelog.segment.records'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    maxMessageBytes: number('max.message.bytes'),
    indexIntervalBytes: number('index.interval.bytes'),
    timestampType: text('message.timestamp.type') === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime',
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    minInsyncReplicas: number('min.insync.replicas'),
    fileDeleteDelayMs: number('file.delete.delay.ms'),
    flush: text('tidelog.flush') === 'relaxed' ? 'relaxed' : 'sync',
  }
}

function compressionTypeOf(text: string): CompressionType {
  return compressionTypes.find(type => type === text) ?? 'producer'
}

/** The row of a config that topics have. */
export function topicDefinition(name: string): TopicConfigDefinition | undefined {
  return topicDefinitions.get(name)
}

/** What topics without an override have; undefined for a config that topics do not have. */
export function defaultOf(broker: BrokerConfigs, name: string): string | undefined {
  return broker.topicDefaults.get(name as TopicConfigName)?.value
}

/** Every config that `--set` takes, those that give topics their defaults among them, in order of name. */
export function brokerDefinitionList(): readonly ConfigDefinition[] {
  return [...brokerDefinitions.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The names `--set` takes, for help and suggestions. */
export function brokerConfigNames(): readonly string[] {
  return brokerDefinitionList().map(({ name }) => name)
}

function buildBrokerDefinitions(): ReadonlyMap<string, ConfigDefinition> {
  const definitions = new Map<string, ConfigDefinition>(brokerConfigTable.map(row => [row.name, row]))
  for (const topic of topicDefinitions.values()) {
    for (const synonym of topic.synonyms) definitions.set(synonym.name, synonymDefinition(topic, synonym))
  }
  return definitions
}

function synonymDefinition(topic: TopicConfigDefinition, synonym: Synonym): ConfigDefinition {
  const { min, max, ...rest } = topic
  const scaled = synonym.scale !== 1
  return {
    ...rest,
    name: synonym.name,
    default: synonym.default,
    // Kafka's hour and minute configs are ints; -1 keeps its meaning of no limit.
    type: scaled ? 'int' : topic.type,
    ...(min === undefined ? {} : { min: min > 0 && scaled ? 1 : min }),
    ...(max === undefined ? {} : { max }),
  }
}

function resolveBroker(given: ReadonlyMap<string, string>): BrokerConfigs {
  const text = (name: BrokerConfigName) => {
    const value = given.get(name) ?? brokerDefinitions.get(name)!.default
    invariant(value !== null, 'a broker config that is read has a default')
    return value
  }
  const number = (name: BrokerConfigName) => toNumber(text(name))
  const flag = (name: BrokerConfigName) => text(name).toLowerCase() === 'true'
  const topicDefaults = new Map<TopicConfigName, TopicDefault>()
  for (const topic of topicConfigTable) topicDefaults.set(topic.name, topicDefault(topic, given))
  return {
    given,
    topicDefaults,
    facts: () => new Map(),
    settings: {
      autoCreateTopics: flag('auto.create.topics.enable'),
      partitionsDefault: number('num.partitions'),
      replicationFactorDefault: number('default.replication.factor'),
      deleteTopics: flag('delete.topic.enable'),
      rack: given.get('broker.rack') || null,
      requestBytesMax: number('socket.request.max.bytes'),
      connectionIdleMsMax: number('connections.max.idle.ms'),
      connectionsMax: number('max.connections'),
      connectionsPerAddressMax: number('max.connections.per.ip'),
      fetchBytesMax: number('fetch.max.bytes'),
      fetchSessionsMax: number('max.incremental.fetch.session.cache.slots'),
      retentionCheckIntervalMs: number('log.retention.check.interval.ms'),
      producerIdExpirationMs: number('producer.id.expiration.ms'),
      journalBytesMax: number('tidelog.journal.bytes'),
      logCacheBytesMax: number('tidelog.log.cache.bytes'),
      requestBudgetBytesMax: number('tidelog.request.budget.bytes'),
      textFrameBytesMax: number('text.max.frame.bytes'),
      groupInitialRebalanceDelayMs: number('group.initial.rebalance.delay.ms'),
      groupMinSessionTimeoutMs: number('group.min.session.timeout.ms'),
      groupMaxSessionTimeoutMs: number('group.max.session.timeout.ms'),
      groupSizeMax: number('group.max.size'),
      offsetMetadataBytesMax: number('offset.metadata.max.bytes'),
      offsetsRetentionMs: number('offsets.retention.minutes') * minuteMs,
      offsetsRetentionCheckIntervalMs: number('offsets.retention.check.interval.ms'),
      offsetsTopicPartitions: number('offsets.topic.num.partitions'),
      offsetsTopicReplicationFactor: number('offsets.topic.replication.factor'),
      offsetsTopicSegmentBytes: number('offsets.topic.segment.bytes'),
    },
  }
}

function topicDefault(topic: TopicConfigDefinition, given: ReadonlyMap<string, string>): TopicDefault {
  for (const synonym of topic.synonyms) {
    const value = given.get(synonym.name)
    if (value !== undefined) return { value: scaled(value, synonym.scale), source: 'broker' }
  }
  return { value: topic.default, source: 'default' }
}

function scaled(value: string, scale: number): string {
  return scale === 1 || toNumber(value) < 0 ? value : String(toNumber(value) * scale)
}

/** What is wrong with a value, as a sentence; null when nothing is. */
function checkValue(definition: ConfigDefinition, text: string): string | null {
  if (text.length > valueCharsMax) return `The value of ${definition.name} has more than ${valueCharsMax} characters.`
  const value = parseValue(definition, text.trim())
  if (typeof value === 'object') return `Invalid value '${shorten(text)}' for ${definition.name}: ${value.problem}.`
  const isDefault = definition.default !== null && value === parseValue(definition, definition.default)
  if (definition.fixed === undefined || isDefault) return null
  const place = definition.default === null ? 'set here' : `changed from '${definition.default}'`
  return `The config ${definition.name} cannot be ${place}: ${definition.fixed}.`
}

function parseValue(definition: ConfigDefinition, text: string): Value | { readonly problem: string } {
  switch (definition.type) {
    case 'boolean': {
      const lower = text.toLowerCase()
      return lower === 'true' || lower === 'false' ? lower === 'true' : { problem: 'it must be true or false' }
    }
    case 'short':
      return parseWhole(definition, text, 15n)
    case 'int':
      return parseWhole(definition, text, 31n)
    case 'long':
      return parseWhole(definition, text, 63n)
    case 'double': {
      const value = text === '' ? Number.NaN : Number(text)
      return Number.isFinite(value) ? inRange(definition, value) : { problem: 'it must be a number' }
    }
    case 'string':
      return oneOf(definition, [text]) ?? text
    case 'list': {
      const items = listItems(text)
      return oneOf(definition, items) ?? items.join(',')
    }
  }
}

function parseWhole(definition: ConfigDefinition, text: string, bits: bigint): number | { readonly problem: string } {
  if (!/^[+-]?\d{1,19}$/.test(text)) return { problem: 'it must be a whole number' }
  const exact = BigInt(text.replace('+', ''))
  const limit = 1n << bits
  if (exact >= limit || exact < -limit) return { problem: `it must fit in ${bits + 1n} bits` }
  return inRange(definition, toNumber(text))
}

function inRange({ min, max, excluded }: ConfigDefinition, value: number): number | { readonly problem: string } {
  if (min !== undefined && value < min) return { problem: `it must be at least ${min}` }
  if (max !== undefined && value > max) return { problem: `it must be at most ${max}` }
  if (value === excluded) return { problem: `it must not be ${excluded}` }
  return value
}

function oneOf(definition: ConfigDefinition, items: readonly string[]): { readonly problem: string } | null {
  const allowed = definition.oneOf
  const isEmptyWrongly = items.length === 0 && definition.mayBeEmpty !== true
  if (allowed === undefined || (!isEmptyWrongly && items.every(item => allowed.includes(item)))) return null
  return { problem: `it must be ${definition.type === 'list' ? 'made of' : 'one of'} ${allowed.join(', ')}` }
}

/** What a list is made of; what it names again is there once. */
export function listItems(text: string): string[] {
  return text.trim() === '' ? [] : [...new Set(text.split(',').map(item => item.trim()))]
}

/** A good value as it is kept and shown. */
function canonical({ type }: ConfigDefinition, text: string): string {
  return type === 'list' ? listItems(text).join(',') : text.trim()
}

function toNumber(text: string): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(text)))
}

function unknownBrokerConfig(name: string): string {
  const own = topicDefinitions.get(name)?.synonyms[0]?.name
  const nearest = own ?? nearestName(name, brokerDefinitions.keys())
  return `There is no broker config '${shorten(name)}'${nearest === null ? '.' : `; did you mean ${nearest}?`}`
}

function unknownTopicConfig(name: string): string {
  const nearest = nearestName(name, topicDefinitions.keys())
  return `Unknown topic config name: ${shorten(name)}${nearest === null ? '.' : `; did you mean ${nearest}?`}`
}

/** What a client sent is repeated to it, but not at any length. */
function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}
