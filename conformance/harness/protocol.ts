/**
 * The verbs of PROTOCOL.md as types, and the check of what comes back: an answer that lacks what its verb promises is a fault
 * of the agent, told before a scenario trips over it.
 */

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]

export type Assignor = 'range' | 'roundrobin' | 'cooperative-sticky'

export interface ProduceRecord {
  readonly partition: number
  readonly key?: string | null
  readonly value?: string | null
  readonly valueBytes?: number
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly timestamp?: number
}

export interface ConsumedRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly timestamp: number
}

export interface ReceivedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly value: string | null
}

type Empty = Record<never, never>
type InPartition = { readonly topic: string; readonly partition: number }
type OfGroup = { readonly group: string }
type OfMember = { readonly member: string }

/** Each verb: what is asked, and what `ok` gives. */
export interface Verbs {
  hello: [{ readonly bootstrap: string }, { client: string; version: string }]
  createTopic: [
    { readonly topic: string; readonly partitions: number; readonly configs: Readonly<Record<string, string>> },
    Empty,
  ]
  describeTopic: [{ readonly topic: string }, { partitions: number }]
  createPartitions: [{ readonly topic: string; readonly total: number }, Empty]
  alterConfigs: [{ readonly topic: string; readonly set: Readonly<Record<string, string>> }, Empty]
  describeConfigs: [
    { readonly topic: string; readonly names: readonly string[] },
    { configs: Record<string, { value: string | null; isDefault: boolean }> },
  ]
  deleteRecords: [InPartition & { readonly before: number }, Empty]
  deleteTopic: [{ readonly topic: string }, Empty]
  produce: [
    {
      readonly topic: string
      readonly codec: Codec
      readonly acks: -1 | 0 | 1
      readonly idempotent: boolean
      readonly records: readonly ProduceRecord[]
    },
    { offsets: number[] },
  ]
  produceMany: [
    {
      readonly topic: string
      readonly partitions: number
      readonly count: number
      readonly valueBytes: number
      readonly codec: Codec
      readonly idempotent: boolean
    },
    { acknowledged: number },
  ]
  consume: [
    InPartition & { readonly from: number; readonly count: number; readonly timeoutMs: number },
    { records: ConsumedRecord[] },
  ]
  countAll: [
    { readonly topic: string; readonly partitions: number; readonly expected: number; readonly timeoutMs: number },
    { received: number; distinct: number },
  ]
  offsets: [InPartition & { readonly at: 'earliest' | 'latest' | number }, { offset: number }]
  join: [
    OfGroup & {
      readonly topics: readonly string[]
      readonly sessionTimeoutMs: number
      readonly instanceId?: string
      readonly assignor: Assignor
      readonly commit: boolean
    },
    { member: string },
  ]
  assignment: [OfMember, { partitions: string[]; rebalances: number }]
  received: [OfMember, { records: ReceivedRecord[] }]
  seek: [OfMember & InPartition & { readonly offset: number }, Empty]
  leave: [OfMember, Empty]
  commit: [OfGroup & InPartition & { readonly offset: number; readonly metadata: string }, Empty]
  committed: [OfGroup & InPartition, { offset: number; metadata: string }]
  describeGroup: [OfGroup, { state: string; members: number }]
  listGroups: [Empty, { groups: string[] }]
  deleteGroup: [OfGroup, Empty]
}

export type Verb = keyof Verbs
export type Fields<V extends Verb> = Verbs[V][0]
export type Ok<V extends Verb> = Verbs[V][1]

type FieldType = 'string' | 'number' | 'object' | 'array'

const promised: { readonly [V in Verb]: { readonly [F in keyof Ok<V>]-?: FieldType } } = {
  hello: { client: 'string', version: 'string' },
  createTopic: {},
  describeTopic: { partitions: 'number' },
  createPartitions: {},
  alterConfigs: {},
  describeConfigs: { configs: 'object' },
  deleteRecords: {},
  deleteTopic: {},
  produce: { offsets: 'array' },
  produceMany: { acknowledged: 'number' },
  consume: { records: 'array' },
  countAll: { received: 'number', distinct: 'number' },
  offsets: { offset: 'number' },
  join: { member: 'string' },
  assignment: { partitions: 'array', rebalances: 'number' },
  received: { records: 'array' },
  seek: {},
  leave: {},
  commit: {},
  committed: { offset: 'number', metadata: 'string' },
  describeGroup: { state: 'string', members: 'number' },
  listGroups: { groups: 'array' },
  deleteGroup: {},
}

export type Answer =
  | { readonly kind: 'ok'; readonly ok: unknown }
  | { readonly kind: 'error'; readonly code: string; readonly message: string }
  | { readonly kind: 'unsupported'; readonly why: string }

/** Reads an agent's line; a sentence about what is wrong with it where it is no answer to that request. */
export function parseAnswer(line: string, id: number, verb: Verb): Answer | string {
  let answer: unknown
  try {
    answer = JSON.parse(line)
  } catch {
    return `wrote what is no JSON: ${shorten(line)}`
  }
  if (!isObject(answer)) return `wrote what is no object: ${shorten(line)}`
  const { id: answered, ok, error, unsupported } = answer
  if (answered !== id) return `answered request ${String(answered)} where ${id} (${verb}) was due`
  if (typeof unsupported === 'string') return { kind: 'unsupported', why: unsupported }
  if (isObject(error)) {
    const { code = 'CLIENT', message = '' } = error
    return { kind: 'error', code: String(code), message: String(message) }
  }
  if (!isObject(ok)) return `answered ${verb} with neither ok, error nor unsupported: ${shorten(line)}`
  const wrong = Object.entries(promised[verb]).find(([field, type]) => typeOf(ok[field]) !== type)
  if (wrong !== undefined) return `answered ${verb} without ${wrong[0]} (${wrong[1]}): ${shorten(line)}`
  return { kind: 'ok', ok }
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeOf(value) === 'object'
}

const shownCharsMax = 200

export function shorten(text: string): string {
  return text.length <= shownCharsMax ? text : `${text.slice(0, shownCharsMax)}…`
}
