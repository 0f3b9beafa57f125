/**
 * The records of `__consumer_offsets` against bytes that Kafka 4.3.1 has written, against Kafka's schemas where they are at
 * hand, and against themselves.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { TopicId } from '../../base/ids.ts'
import { noTopicId } from '../../base/ids.ts'
import { hasField, type Message, type StructNode, type TypeNode, versionsOf } from '../../wire/schema.ts'
import type { GroupRecord, StoredGroup } from './group-record.ts'
import {
  decodeGroupRecord,
  encodeGroupRecord,
  groupMetadataKey,
  groupMetadataValue,
  offsetCommitKey,
  offsetCommitValue,
  writtenVersions,
} from './offsets-format.ts'

const hex = (text: string) => Buffer.from(text, 'hex')

/** What Kafka's GroupCoordinatorRecordSerde makes of one offset, by version. */
const kafkaOffsetKey = '00010007612067726f75700005746964657300000003'
const kafkaOffsetValues = [
  '00000000011f71fb04cb000670c3a96167650000019b76daa800',
  '00010000011f71fb04cb000670c3a96167650000019b76daa8000000019b76dc2ea0',
  '00020000011f71fb04cb000670c3a96167650000019b76daa800',
  '00030000011f71fb04cb00000007000670c3a96167650000019b76daa800',
  '00040000011f71fb04cb000000070770c3a96167650000019b76daa80001001000112233445566778899aabbccddeeff',
]

/** And of one group. */
const kafkaGroupKey = '00020007612067726f7570'
const kafkaGroupValues = [
  '00000008636f6e73756d657200000009000572616e67650003632d31000000020003632d31000163000a2f3132372e302e302e310000afc8000000030102030000000204050003632d3200016300042f3a3a31000027100000000000000000',
  '00010008636f6e73756d657200000009000572616e67650003632d31000000020003632d31000163000a2f3132372e302e302e310000ea600000afc8000000030102030000000204050003632d3200016300042f3a3a31000493e0000027100000000000000000',
  '00020008636f6e73756d657200000009000572616e67650003632d310000019b76daa800000000020003632d31000163000a2f3132372e302e302e310000ea600000afc8000000030102030000000204050003632d3200016300042f3a3a31000493e0000027100000000000000000',
  '00030008636f6e73756d657200000009000572616e67650003632d310000019b76daa800000000020003632d310003692d31000163000a2f3132372e302e302e310000ea600000afc8000000030102030000000204050003632d32ffff00016300042f3a3a31000493e0000027100000000000000000',
  '000409636f6e73756d6572000000090672616e676504632d310000019b76daa8000304632d3104692d3102630b2f3132372e302e302e310000ea600000afc8040102030304050004632d32000263052f3a3a31000493e00000271001010000',
]

const offset = {
  offset: 1234567890123,
  leaderEpoch: 7,
  metadata: 'péage',
  commitMs: 1767225600000,
  expireMs: -1,
  topicId: '00112233445566778899aabbccddeeff' as TopicId,
}
const place = { of: 'offset', groupId: 'a group', topic: 'tides', partition: 3 } as const

const group: StoredGroup = {
  protocolType: 'consumer',
  generation: 9,
  protocol: 'range',
  leader: 'c-1',
  stateSinceMs: 1767225600000,
  members: [
    {
      memberId: 'c-1',
      instanceId: 'i-1',
      clientId: 'c',
      clientHost: '/127.0.0.1',
      rebalanceTimeoutMs: 60_000,
      sessionTimeoutMs: 45_000,
      subscription: Buffer.from([1, 2, 3]),
      assignment: Buffer.from([4, 5]),
    },
    {
      memberId: 'c-2',
      instanceId: null,
      clientId: 'c',
      clientHost: '/::1',
      rebalanceTimeoutMs: 300_000,
      sessionTimeoutMs: 10_000,
      subscription: Buffer.alloc(0),
      assignment: Buffer.alloc(0),
    },
  ],
}

describe('an offset', () => {
  test('is written as Kafka writes it', () => {
    const { key, value } = encodeGroupRecord({ ...place, value: offset })
    assert.equal(key.toString('hex'), kafkaOffsetKey)
    assert.equal(value?.toString('hex'), kafkaOffsetValues[writtenVersions.offset])
  })

  test('that says when it expires is written in the version that can say so', () => {
    const { value } = encodeGroupRecord({ ...place, value: { ...offset, expireMs: 1767225700000 } })
    assert.equal(value?.toString('hex'), kafkaOffsetValues[writtenVersions.offsetWithExpiry])
  })

  test('is read in every version, as far as it knows', () => {
    const lacking = [
      { leaderEpoch: -1, topicId: noTopicId },
      { leaderEpoch: -1, topicId: noTopicId, expireMs: 1767225700000 },
      { leaderEpoch: -1, topicId: noTopicId },
      { topicId: noTopicId },
      {},
    ]
    for (const [version, value] of kafkaOffsetValues.entries()) {
      const wanted = { ...place, value: { ...offset, ...lacking[version] } }
      assert.deepEqual(decodeGroupRecord(hex(kafkaOffsetKey), hex(value)), wanted, `version ${version}`)
    }
  })

  test('is read under the oldest kind of key', () => {
    const key = hex(kafkaOffsetKey)
    key.writeInt16BE(0)
    const value = hex('0000000000000000000c00016d0000019b76daa800')
    const stored = { ...offset, offset: 12, leaderEpoch: -1, metadata: 'm', topicId: noTopicId }
    assert.deepEqual(decodeGroupRecord(key, value), { ...place, value: stored })
  })

  test('that is taken away has no value', () => {
    assert.deepEqual(encodeGroupRecord({ ...place, value: null }), { key: hex(kafkaOffsetKey), value: null })
    assert.deepEqual(decodeGroupRecord(hex(kafkaOffsetKey), null), { ...place, value: null })
  })
})

describe('a group', () => {
  const record = { of: 'group', groupId: 'a group', value: group } as const

  test('is written as Kafka writes it', () => {
    const { key, value } = encodeGroupRecord(record)
    assert.equal(key.toString('hex'), kafkaGroupKey)
    assert.equal(value?.toString('hex'), kafkaGroupValues[writtenVersions.group])
  })

  test('without members is written as Kafka writes it', () => {
    const empty = { ...group, protocolType: '', generation: 0, protocol: null, leader: null, members: [] }
    const { value } = encodeGroupRecord({ ...record, value: empty })
    assert.equal(value?.toString('hex'), '0003000000000000ffffffff0000019b76daa80000000000')
  })

  test('is read in every version, as far as it knows', () => {
    const instances = (known: boolean) => group.members.map(one => (known ? one : { ...one, instanceId: null }))
    const byVersion: StoredGroup[] = [
      {
        ...group,
        stateSinceMs: -1,
        members: instances(false).map(one => ({ ...one, rebalanceTimeoutMs: one.sessionTimeoutMs })),
      },
      { ...group, stateSinceMs: -1, members: instances(false) },
      { ...group, members: instances(false) },
      group,
      group,
    ]
    for (const [version, value] of kafkaGroupValues.entries()) {
      const read = decodeGroupRecord(hex(kafkaGroupKey), hex(value))
      assert.deepEqual(read, { ...record, value: byVersion[version] }, `version ${version}`)
    }
  })

  test('keeps nothing of the bytes that it was read from', () => {
    const bytes = hex(kafkaGroupValues[3] ?? '')
    const read = decodeGroupRecord(hex(kafkaGroupKey), bytes)
    bytes.fill(0xff)
    assert.deepEqual(read, { ...record, value: group })
  })
})

describe('what is not known', () => {
  const why = (key: Buffer | null, value: Buffer | null) => {
    const record = decodeGroupRecord(key, value)
    return record.of === 'unknown' ? record.why : `a record of a ${record.of}`
  }

  test('is said, and never thrown', () => {
    const value = hex(kafkaOffsetValues[3] ?? '')
    assert.match(why(hex('00030007612067726f7570'), hex('00000000000400')), /kind 3/)
    assert.match(why(null, value), /no key/)
    assert.match(why(Buffer.alloc(1), value), /too short/)
    assert.match(why(hex(kafkaOffsetKey), Buffer.alloc(0)), /too short/)
    assert.match(why(hex(kafkaOffsetKey), hex('0005')), /unknown version 5/)
    assert.match(why(hex(kafkaOffsetKey), value.subarray(0, -1)), /./)
    assert.match(why(hex(`${kafkaOffsetKey}00`), value), /left over/)
  })

  test('is said of any bytes at all', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map(some => Buffer.from(some))
    const key = fc.tuple(fc.constantFrom('0000', '0001', '0002', '0007', ''), bytes)
    const value = fc.option(fc.tuple(fc.constantFrom('0000', '0001', '0003', '0004', 'ffff', ''), bytes))
    fc.assert(
      fc.property(key, value, ([kind, rest], some) => {
        const read = decodeGroupRecord(
          Buffer.concat([hex(kind), rest]),
          some === null ? null : Buffer.concat([hex(some[0]), some[1]]),
        )
        assert.ok(['offset', 'group', 'unknown'].includes(read.of))
      }),
      { numRuns: 500 },
    )
  })
})

test('any record comes back as it was written', () => {
  const plain = { noNullPrototype: true } as const
  const text = fc.string({ unit: 'grapheme', maxLength: 20 })
  const buffer = fc.uint8Array({ maxLength: 30 }).map(some => Buffer.from(some))
  const topicId = fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map(some => Buffer.from(some).toString('hex') as TopicId)
  const member = fc.record(
    {
      memberId: text,
      instanceId: fc.option(text),
      clientId: text,
      clientHost: text,
      rebalanceTimeoutMs: fc.nat(),
      sessionTimeoutMs: fc.nat(),
      subscription: buffer,
      assignment: buffer,
    },
    plain,
  )
  const stored = fc.record(
    {
      protocolType: text,
      generation: fc.nat(),
      protocol: fc.option(text),
      leader: fc.option(text),
      stateSinceMs: fc.maxSafeNat(),
      members: fc.array(member, { maxLength: 4 }),
    },
    plain,
  )
  const committed = fc.record(
    {
      offset: fc.maxSafeNat(),
      leaderEpoch: fc.integer({ min: -1 }),
      metadata: text,
      commitMs: fc.maxSafeNat(),
      expireMs: fc.constant(-1),
      topicId,
    },
    plain,
  )
  const records: fc.Arbitrary<GroupRecord> = fc.oneof(
    fc.record({ of: fc.constant('group' as const), groupId: text, value: fc.option(stored) }, plain),
    fc.record(
      {
        of: fc.constant('offset' as const),
        groupId: text,
        topic: text,
        partition: fc.nat(),
        value: fc.option(committed),
      },
      plain,
    ),
  )
  fc.assert(
    fc.property(records, record => {
      const { key, value } = encodeGroupRecord(record)
      assert.deepEqual(decodeGroupRecord(key, value), record)
    }),
    { numRuns: 200 },
  )
})

// Kafka's schemas

const reference = new URL('../../../../shared/reference/kafka-messages/group-coordinator/', import.meta.url)
const skip = existsSync(reference)
  ? false
  : "Kafka's schemas are not at hand (../shared/reference/kafka-messages/group-coordinator)"

interface KafkaField {
  readonly name: string
  readonly type: string
  readonly versions: string
  readonly nullableVersions?: string
  readonly taggedVersions?: string
  readonly tag?: number
  readonly default?: string | number
}

interface KafkaSchema {
  readonly apiKey: number
  readonly validVersions: string
  readonly flexibleVersions: string
  readonly fields: readonly KafkaField[]
  readonly commonStructs?: readonly { readonly fields: readonly KafkaField[] }[]
}

function rangeOf(text: string): [number, number] {
  if (text === 'none') return [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (text.endsWith('+')) return [Number(text.slice(0, -1)), Number.POSITIVE_INFINITY]
  const [from = 0, to = from] = text.split('-').map(Number)
  return [from, to]
}

function inRange(version: number, text = 'none'): boolean {
  const [from, to] = rangeOf(text)
  return version >= from && version <= to
}

const scalarDefaults = new Map<string, unknown>([['uuid', noTopicId]])

function kafkaRows({ commonStructs }: KafkaSchema, fields: readonly KafkaField[], version: number): unknown[] {
  const rows = fields
    .filter(field => inRange(version, field.versions))
    .map(({ name, type, nullableVersions, taggedVersions, tag, default: given }) => ({
      name: name.charAt(0).toLowerCase() + name.slice(1),
      type: type.startsWith('[]') ? '[]struct' : type,
      isNullable: inRange(version, nullableVersions),
      tag: inRange(version, taggedVersions) ? tag : null,
      // Those without one are always written.
      default: given === 'null' ? null : (given ?? scalarDefaults.get(type)),
    }))
  return [...rows, ...(commonStructs ?? []).flatMap(one => kafkaRows({} as KafkaSchema, one.fields, version))]
}

function ourRows(struct: StructNode, version: number): unknown[] {
  const fields = struct.fields.filter(field => hasField(field, version))
  const rows = fields.map(({ name, type, tag, default: fallback }) => ({
    name,
    type: type.kind === 'array' ? '[]struct' : type.kind,
    isNullable: 'nullableSince' in type && version >= type.nullableSince,
    tag,
    default: fallback === -1 || fallback === null || fallback === noTopicId ? fallback : undefined,
  }))
  return [...rows, ...fields.flatMap(({ type }) => structsIn(type).flatMap(one => ourRows(one, version)))]
}

function structsIn(type: TypeNode): StructNode[] {
  return type.kind === 'array' && type.element.kind === 'struct' ? [type.element] : []
}

const tables: readonly Message[] = [offsetCommitKey, offsetCommitValue, groupMetadataKey, groupMetadataValue]
for (const table of tables) {
  test(`${table.name} has the fields of Kafka's schema`, { skip }, () => {
    const text = readFileSync(new URL(`${table.name}.json`, reference), 'utf8')
    const schema: KafkaSchema = JSON.parse(text.replace(/^\s*\/\/.*$/gm, ''))
    assert.equal(table.apiKey, schema.apiKey)
    assert.deepEqual(table.versions, rangeOf(schema.validVersions))
    assert.equal(table.flexibleSince, rangeOf(schema.flexibleVersions)[0])
    for (const version of versionsOf(table)) {
      const rows = kafkaRows(schema, schema.fields, version)
      const ours = ourRows(table.body, version)
      assert.deepEqual(withoutImplied(ours), withoutImplied(rows), `version ${version}`)
    }
  })
}

/** A nullable string without a default of its own has null or nothing for it, which means the same: it is always written. */
function withoutImplied(rows: readonly unknown[]): unknown[] {
  return rows.map(row => {
    const { default: fallback, ...rest } = row as { readonly default: unknown }
    return fallback === null || fallback === undefined ? rest : { ...rest, default: fallback }
  })
}
