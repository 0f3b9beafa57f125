/**
 * The tables against Apache Kafka's own schemas, field by field and version by version, and the bytes against an encoder that
 * knows nothing but those schemas. The schemas are not part of this tree: without them, the tests skip.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { flattenRope, type Rope } from '../base/rope.ts'
import { apiList } from './api-keys.ts'
import { draftsOf, expectedBody } from './arbitraries.test-kit.ts'
import { writeBody } from './compile.ts'
import { kafkaErrors } from './kafka-errors.ts'
import { type Field, hasField, type Message, type StructNode, type TypeNode, versionsOf } from './schema.ts'
import { WireWriter } from './writer.ts'

const reference = new URL('../../../shared/reference/kafka-messages/', import.meta.url)
const skip = existsSync(reference) ? false : "Kafka's schemas are not at hand (../shared/reference/kafka-messages)"

// Kafka's side

interface KafkaField {
  readonly name: string
  readonly type: string
  readonly versions: string
  readonly nullableVersions?: string
  readonly taggedVersions?: string
  readonly tag?: number
  readonly default?: string | number
  readonly ignorable?: boolean
  readonly fields?: readonly KafkaField[]
}

interface KafkaMessage {
  readonly type: 'request' | 'response'
  readonly apiKey: number
  readonly name: string
  readonly validVersions: string
  readonly flexibleVersions: string
  readonly latestVersionUnstable?: boolean
  readonly fields: readonly KafkaField[]
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly KafkaField[] }[]
}

function kafkaMessage(folder: string, name: string): KafkaMessage | null {
  const file = new URL(`${folder}/${name}.json`, reference)
  if (!existsSync(file)) return null
  return JSON.parse(readFileSync(file, 'utf8').replace(/^\s*\/\/.*$/gm, ''))
}

function inRange(version: number, range: string | undefined): boolean {
  if (range === undefined || range === 'none') return false
  const [from, to] = rangeOf(range)
  return version >= from && version <= to
}

function rangeOf(range: string): [number, number] {
  if (range === 'none') return [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (range.endsWith('+')) return [Number(range.slice(0, -1)), Number.POSITIVE_INFINITY]
  const [from, to = from] = range.split('-').map(Number)
  return [from!, to!]
}

function fieldsOf(message: KafkaMessage, field: KafkaField): readonly KafkaField[] | null {
  const type = field.type.replace('[]', '')
  return field.fields ?? message.commonStructs?.find(struct => struct.name === type)?.fields ?? null
}

/** Kafka's name in our spelling. */
function ourName(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

function kafkaDefault(field: KafkaField): unknown {
  const { type, default: given } = field
  if (given === 'null') return null
  if (type.startsWith('[]')) return '[]'
  if (type === 'string' || type === 'bytes') return given ?? ''
  if (type === 'bool') return given === 'true'
  if (type === 'uuid') return '0'.repeat(32)
  if (type === 'records') return null
  if (/^u?int\d+$/.test(type)) {
    return given === '9223372036854775807' ? Number.MAX_SAFE_INTEGER : Number(given ?? 0)
  }
  return 'struct'
}

// Both sides as the same plain rows

interface Row {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  readonly default: unknown
  readonly tag: number | null
  readonly fields?: readonly Row[]
}

function kafkaRows(message: KafkaMessage, fields: readonly KafkaField[], version: number): Row[] {
  const rows = fields
    .filter(field => inRange(version, field.versions))
    .map(field => {
      const nested = fieldsOf(message, field)
      const array = field.type.startsWith('[]') ? '[]' : ''
      return {
        name: ourName(field.name),
        type: nested === null ? field.type : `${array}struct`,
        nullable: inRange(version, field.nullableVersions),
        default: kafkaDefault(field),
        tag: inRange(version, field.taggedVersions) ? field.tag! : null,
        ...(nested === null ? {} : { fields: kafkaRows(message, nested, version) }),
      }
    })
  return inWireOrder(rows)
}

function ourRows(struct: StructNode, version: number): Row[] {
  const rows = struct.fields
    .filter(field => hasField(field, version))
    .map(field => {
      const nested = field.type.kind === 'array' ? field.type.element : field.type
      return {
        name: field.name,
        type: typeName(field.type),
        nullable: 'nullableSince' in field.type && version >= field.type.nullableSince,
        default: comparableDefault(field),
        tag: field.tag,
        ...(nested.kind === 'struct' ? { fields: ourRows(nested, version) } : {}),
      }
    })
  return inWireOrder(rows)
}

function inWireOrder(rows: Row[]): Row[] {
  return rows.sort((a, b) => (a.tag ?? -1) - (b.tag ?? -1))
}

function typeName(type: TypeNode): string {
  if (type.kind === 'array') return `[]${typeName(type.element)}`
  return type.kind === 'int64Saturating' ? 'int64' : type.kind
}

function comparableDefault(field: Field): unknown {
  if (field.default === null) return null
  if (field.type.kind === 'array') return '[]'
  if (field.type.kind === 'bytes') return ''
  return field.type.kind === 'struct' ? 'struct' : field.default
}

// An encoder that knows only Kafka's schemas

function kafkaBytes(message: KafkaMessage, version: number, body: Body): Buffer {
  return structBytes(message, message.fields, version, body)
}

type Body = { readonly [name: string]: unknown }

function structBytes(message: KafkaMessage, fields: readonly KafkaField[], version: number, body: Body): Buffer {
  const present = fields.filter(field => inRange(version, field.versions))
  const plain = present.filter(field => !inRange(version, field.taggedVersions))
  const parts = plain.map(field => fieldBytes(message, field, field.type, version, body[ourName(field.name)]))
  if (inRange(version, message.flexibleVersions)) {
    const tags = present
      .filter(field => inRange(version, field.taggedVersions) && !isKafkaDefault(message, field, version, body))
      .sort((a, b) => a.tag! - b.tag!)
      .map(field => {
        const bytes = fieldBytes(message, field, field.type, version, body[ourName(field.name)])
        return Buffer.concat([uvarint(field.tag!), uvarint(bytes.length), bytes])
      })
    parts.push(uvarint(tags.length), ...tags)
  }
  return Buffer.concat(parts)
}

function isKafkaDefault(message: KafkaMessage, field: KafkaField, version: number, body: Body): boolean {
  const value = body[ourName(field.name)]
  if (field.type.startsWith('[]')) return (value as unknown[]).length === 0
  const nested = fieldsOf(message, field)
  if (nested === null) return value === kafkaDefault(field)
  return nested.every(inner => isKafkaDefault(message, inner, version, value as Body))
}

function fieldBytes(message: KafkaMessage, field: KafkaField, type: string, version: number, value: unknown): Buffer {
  const flexible = inRange(version, message.flexibleVersions)
  const length = (count: number, bytes: 2 | 4) => (flexible ? uvarint(count + 1) : int(count, bytes))
  if (type.startsWith('[]')) {
    if (value === null) return length(-1, 4)
    const elements = value as unknown[]
    return Buffer.concat([
      length(elements.length, 4),
      ...elements.map(element => fieldBytes(message, field, type.slice(2), version, element)),
    ])
  }
  switch (type) {
    case 'bool':
      return int(value ? 1 : 0, 1)
    case 'int8':
      return int(value as number, 1)
    case 'int16':
      return int(value as number, 2)
    case 'uint16':
      return int(((value as number) << 16) >> 16, 2)
    case 'int32':
      return int(value as number, 4)
    case 'int64':
      return int64(value as number, message, field)
    case 'uuid':
      return Buffer.from(value as string, 'hex')
    case 'string': {
      if (value === null) return length(-1, 2)
      const bytes = Buffer.from(value as string)
      return Buffer.concat([length(bytes.length, 2), bytes])
    }
    case 'bytes': {
      if (value === null) return length(-1, 4)
      return Buffer.concat([length((value as Buffer).length, 4), value as Buffer])
    }
    case 'records': {
      if (value === null) return length(-1, 4)
      const bytes = flattenRope(value as Rope)
      return Buffer.concat([length(bytes.length, 4), bytes])
    }
    default: {
      const nullable = inRange(version, field.nullableVersions)
      if (value === null) return int(-1, 1)
      const bytes = structBytes(message, fieldsOf(message, field)!, version, value as Body)
      return nullable && !field.type.startsWith('[]') ? Buffer.concat([int(1, 1), bytes]) : bytes
    }
  }
}

function int(value: number, bytes: 1 | 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeIntBE(value, 0, bytes)
  return buffer
}

/** Where the tables saturate, the ends of what a number holds stand for the ends of an int64. */
const saturating: { readonly [message: string]: readonly string[] } = {
  FetchRequest: ['FetchOffset', 'LogStartOffset', 'HighWatermark'],
  ListOffsetsRequest: ['Timestamp'],
  DeleteRecordsRequest: ['Offset'],
  OffsetCommitRequest: ['CommittedOffset', 'RetentionTimeMs'],
  OffsetFetchResponse: ['CommittedOffset'],
}

function int64(value: number, message: KafkaMessage, field: KafkaField): Buffer {
  const buffer = Buffer.alloc(8)
  const ends = new Map([
    [Number.MAX_SAFE_INTEGER, 2n ** 63n - 1n],
    [Number.MIN_SAFE_INTEGER, -(2n ** 63n)],
  ])
  const end = saturating[message.name]?.includes(field.name) ? ends.get(value) : undefined
  buffer.writeBigInt64BE(end ?? BigInt(value))
  return buffer
}

function uvarint(value: number): Buffer {
  const bytes = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

// The comparison

/**
 * What stands guard where the schemas are not at hand. Who changes a table runs these tests once where they are, and then
 * writes down what the failure prints.
 */
const compared: readonly string[] = [
  'Produce 870a8f5137f9f226 9d6d8d4ad5080363',
  'Fetch 7abe94a7d51ba3ab 33a5f56145f7567f',
  'ListOffsets cae4d791ca567aa1 2445c63257c5b107',
  'Metadata 9bd43f4dcfc808f2 291437bb89538f38',
  'OffsetCommit c3871cbe82af6172 9f3fc4b680c91094',
  'OffsetFetch 715c75a688439dba 4ce01441cbcaf4ec',
  'FindCoordinator ee334eaace56e97e 129b61fd2580a5c6',
  'JoinGroup a18381ed0e795578 c518ebd7393301cd',
  'Heartbeat 930c92021d684a48 dceb0a177e15ec36',
  'LeaveGroup f266a6682766d084 a4ae9b1d3f71b9ed',
  'SyncGroup af0382557a620f13 aee00278e0b32fd3',
  'DescribeGroups 8295617677811321 fa0fc920980fe81e',
  'ListGroups e15acebcac8cebff 3c78969d893b361e',
  'ApiVersions a2f320e70d39b891 9ad691baad6e0152',
  'CreateTopics 57f56eb0cb7b2f47 45b5dc3b58d469a7',
  'DeleteTopics ffddf571e03a97a2 b387b8e14389a607',
  'DeleteRecords 2bb04ff61e38f224 bdde2809ae4b7b50',
  'InitProducerId 5a5e5a90269de95e 41ea7ede5affbd9d',
  'OffsetForLeaderEpoch 4c754e30b774dca0 5b411b5d6aa31175',
  'DescribeConfigs 84c5438594bf4093 bb09f2f4948a76b3',
  'AlterConfigs e828791dd1c9e292 b77c82d6a7ac09c6',
  'DescribeLogDirs 3f7ba529e0b84c41 449deb7fcc97f790',
  'CreatePartitions b1af98d71a203994 19e4707f0c62cc04',
  'DeleteGroups 9175c4fb476f2725 cf0e3a698adcf915',
  'ElectLeaders a29a7d2744c16be4 6ff9360b9022429d',
  'IncrementalAlterConfigs 4eeb7ce50bf7ecc4 383f8f5878d96b03',
  'ListPartitionReassignments ff40a1ff52b992ac ef54d376e3839730',
  'OffsetDelete e76432cf9f0728c4 89259d1c225dd268',
  'DescribeQuorum 4b43e55da921ea64 ea7857eb57f42643',
  'DescribeCluster f9998ea8782e31cb 05f93aa4dd4af592',
  'DescribeProducers 9d5145e80e5d2422 18549231033c56b7',
  'ListConfigResources 4cb5459e45f2ec50 ede32d53818177ee',
  'DescribeTopicPartitions eb45a025ef495dbf 41c44535c2400eef',
]

function layoutOf(message: Message): string {
  const layout = versionsOf(message).map(version => ourRows(message.body, version))
  const facts = [
    message.apiKey,
    message.versions,
    message.flexibleSince,
    layout,
    [...lostFields(message, message.body)],
  ]
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16)
}

function lostFields(message: Message, struct: StructNode, path = ''): Map<string, boolean> {
  const lost = new Map<string, boolean>()
  for (const field of struct.fields) {
    const name = `${path}${field.name}`
    if (versionsOf(message).some(version => !hasField(field, version))) lost.set(name, field.essential)
    const nested = field.type.kind === 'array' ? field.type.element : field.type
    if (nested.kind === 'struct') for (const [k, v] of lostFields(message, nested, `${name}.`)) lost.set(k, v)
  }
  return lost
}

function kafkaIgnorable(message: KafkaMessage, fields = message.fields, path = ''): Map<string, boolean> {
  const ignorable = new Map<string, boolean>()
  for (const field of fields) {
    const name = `${path}${ourName(field.name)}`
    ignorable.set(name, field.ignorable ?? false)
    const nested = fieldsOf(message, field)
    if (nested !== null) for (const [k, v] of kafkaIgnorable(message, nested, `${name}.`)) ignorable.set(k, v)
  }
  return ignorable
}

for (const message of apiList.flatMap(api => [api.request, api.response])) {
  describe(`${message.name} and Kafka's schema`, { skip }, () => {
    const current = skip ? null : kafkaMessage('clients', message.name)
    const older = skip ? null : kafkaMessage('pre-kip896-3.9.2/clients', message.name)

    test('key, versions and first flexible version are the same', () => {
      assert.ok(current)
      const [lowest, highest] = rangeOf(current.validVersions)
      const unstable = message.name.startsWith('InitProducerId') ? 1 : 0
      assert.equal(message.apiKey, current.apiKey)
      assert.deepEqual(message.versions, [lowest, highest - unstable])
      assert.equal(message.flexibleSince, rangeOf(current.flexibleVersions)[0])
    })

    for (const version of versionsOf(message)) {
      test(`version ${version} has the same fields in the same order`, () => {
        assert.deepEqual(ourRows(message.body, version), kafkaRows(current!, current!.fields, version))
        if (older !== null && inRange(version, older.validVersions)) {
          assert.deepEqual(ourRows(message.body, version), kafkaRows(older, older.fields, version))
        }
      })

      test(`version ${version} is written as the schema says, byte for byte`, () => {
        fc.assert(
          fc.property(draftsOf(message, version), draft => {
            const to = new WireWriter()
            writeBody(message, version, to, draft)
            const wanted = kafkaBytes(current!, version, expectedBody(message, version, draft) as Body)
            assert.equal(flattenRope(to.finish()).toString('hex'), wanted.toString('hex'))
          }),
          { numRuns: 40 },
        )
      })
    }

    test('fields that must not be dropped are those that Kafka does not call ignorable', () => {
      const ignorable = kafkaIgnorable(current!)
      for (const [name, essential] of lostFields(message, message.body)) {
        assert.equal(essential, !ignorable.get(name), name)
      }
    })
  })
}

test('the tables are as they were when they were last compared with the schemas', () => {
  const found = apiList.map(api => [api.name, layoutOf(api.request), layoutOf(api.response)].join(' '))
  assert.deepEqual(found, compared)
})

describe("tables of Kafka's", { skip }, () => {
  const rows = (file: string) =>
    readFileSync(new URL(file, reference), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map(line => line.split('\t'))

  test('the error table has every name and code', () => {
    const theirs = Object.fromEntries(rows('ERROR-CODES.tsv').map(([code, name]) => [name, Number(code)]))
    assert.deepEqual({ ...kafkaErrors }, theirs)
  })

  test('each API has the range of 4.3.1, without an unstable last version', () => {
    const theirs = new Map(rows('API-VERSIONS.tsv').map(row => [Number(row[0]), row[6]!]))
    for (const api of apiList) {
      const [, from, to = from, unstable] = /^(\d+)(?:-(\d+))?(u?) /.exec(theirs.get(api.key)!)!
      const wanted = [Number(from), Number(to) - (unstable ? 1 : 0)]
      assert.deepEqual(api.versions, wanted, api.name)
      assert.deepEqual(api.advertised, api.name === 'Produce' ? [0, wanted[1]] : wanted, api.name)
    }
  })
})
