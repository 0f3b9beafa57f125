/**
 * What a record of `__consumer_offsets` looks like: Kafka's own formats, so that its tools read them and a log of Kafka's can
 * be read here. Key and value each begin with an int16. The key's says what kind of record it is; the value's is the version
 * of its table. Both are written in the versions that Kafka 4.3 writes, all are read.
 *
 * The tables are held to Kafka's schemas, and the bytes to those of Kafka, by `offsets-format.test.ts`.
 */
import { noTopicId } from '../../base/ids.ts'
import { flattenRope, ropeOf } from '../../base/rope.ts'
import { readBody, supportsVersion, writeBody } from '../../wire/compile.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import { WireReader } from '../../wire/reader.ts'
import {
  array,
  type Body,
  between,
  bytes,
  type Draft,
  int32,
  int64,
  type Message,
  message,
  nullableString,
  since,
  string,
  struct,
  tagged,
  uuid,
} from '../../wire/schema.ts'
import { WireWriter } from '../../wire/writer.ts'
import type { CommittedOffset, GroupRecord, StoredGroup } from './group-record.ts'

/** What a key begins with. Kinds above these belong to groups of other protocols. */
export const keyKinds = { legacyOffset: 0, offset: 1, group: 2 } as const

const never = Number.POSITIVE_INFINITY

export const offsetCommitKey = message({
  name: 'OffsetCommitKey',
  apiKey: keyKinds.offset,
  versions: [0, 0],
  flexibleSince: never,
  body: { group: string, topic: string, partition: int32 },
})

/** 1 has the time of expiry, which no later one has; 2 leaves it out; 3 adds the leader epoch; 4 the topic id. */
export const offsetCommitValue = message({
  name: 'OffsetCommitValue',
  apiKey: keyKinds.offset,
  versions: [0, 4],
  flexibleSince: 4,
  body: {
    offset: int64,
    leaderEpoch: since(3, int32, -1),
    metadata: string,
    commitTimestamp: int64,
    expireTimestamp: between(1, 1, int64, -1),
    topicId: tagged(0, 4, uuid, noTopicId),
  },
})

export const groupMetadataKey = message({
  name: 'GroupMetadataKey',
  apiKey: keyKinds.group,
  versions: [0, 0],
  flexibleSince: never,
  body: { group: string },
})

export const groupMetadataValue = message({
  name: 'GroupMetadataValue',
  apiKey: keyKinds.group,
  versions: [0, 4],
  flexibleSince: 4,
  body: {
    protocolType: string,
    generation: int32,
    protocol: nullableString,
    leader: nullableString,
    currentStateTimestamp: since(2, int64, -1),
    members: array(
      struct({
        memberId: string,
        groupInstanceId: since(3, nullableString, null),
        clientId: string,
        clientHost: string,
        rebalanceTimeout: since(1, int32, -1),
        sessionTimeout: int32,
        subscription: bytes,
        assignment: bytes,
      }),
    ),
  },
})

/** What is written: an offset that says itself when it expires needs version 1. */
export const writtenVersions = { offset: 4, offsetWithExpiry: 1, group: 3 } as const

export interface KeyAndValue {
  readonly key: Buffer
  /** Null takes away what the key had. */
  readonly value: Buffer | null
}

export function encodeGroupRecord(record: GroupRecord): KeyAndValue {
  const { groupId } = record
  switch (record.of) {
    case 'offset': {
      const { topic, partition, value } = record
      const key = encode(offsetCommitKey, 0, keyKinds.offset, { group: groupId, topic, partition })
      return { key, value: value === null ? null : encodeOffset(value) }
    }
    case 'group': {
      const key = encode(groupMetadataKey, 0, keyKinds.group, { group: groupId })
      return { key, value: record.value === null ? null : encodeGroup(record.value) }
    }
  }
}

export interface UnknownRecord {
  readonly of: 'unknown'
  /** What is odd about it, for people. */
  readonly why: string
}

/** Takes a record apart; nothing of the result points into the given bytes. Whatever is wrong with them is an unknown record. */
export function decodeGroupRecord(key: Buffer | null, value: Buffer | null): GroupRecord | UnknownRecord {
  if (key === null) return unknown('a record has no key')
  try {
    return decodeKnown(key, value)
  } catch (error) {
    if (error instanceof ProtocolError) return unknown(error.message)
    throw error
  }
}

function decodeKnown(key: Buffer, value: Buffer | null): GroupRecord | UnknownRecord {
  const kind = versionOf(key)
  switch (kind) {
    case keyKinds.legacyOffset:
    case keyKinds.offset: {
      const { group, topic, partition } = decode(offsetCommitKey, 0, key)
      const stored = value === null ? null : decodeOffset(value)
      return { of: 'offset', groupId: group, topic, partition, value: stored }
    }
    case keyKinds.group: {
      const { group } = decode(groupMetadataKey, 0, key)
      return { of: 'group', groupId: group, value: value === null ? null : decodeGroup(value) }
    }
    default:
      return unknown(`a record is of kind ${kind}, which is not known here`)
  }
}

function encodeOffset({ offset, leaderEpoch, metadata, commitMs, expireMs, topicId }: CommittedOffset): Buffer {
  const version = expireMs >= 0 ? writtenVersions.offsetWithExpiry : writtenVersions.offset
  const commitTimestamp = commitMs
  // Of a retention beyond all reason nothing but that is left.
  const expireTimestamp = Math.min(expireMs, Number.MAX_SAFE_INTEGER)
  return encode(offsetCommitValue, version, version, {
    offset,
    leaderEpoch,
    metadata,
    commitTimestamp,
    expireTimestamp,
    topicId,
  })
}

function decodeOffset(value: Buffer): CommittedOffset {
  const body = decode(offsetCommitValue, versionOf(value), value)
  const { offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp, topicId } = body
  return { offset, leaderEpoch, metadata, commitMs: commitTimestamp, expireMs: expireTimestamp, topicId }
}

function encodeGroup({ stateSinceMs, members, ...group }: StoredGroup): Buffer {
  return encode(groupMetadataValue, writtenVersions.group, writtenVersions.group, {
    ...group,
    currentStateTimestamp: stateSinceMs,
    members: members.map(({ instanceId, rebalanceTimeoutMs, sessionTimeoutMs, ...member }) => ({
      ...member,
      groupInstanceId: instanceId,
      rebalanceTimeout: rebalanceTimeoutMs,
      sessionTimeout: sessionTimeoutMs,
    })),
  })
}

function decodeGroup(value: Buffer): StoredGroup {
  const { currentStateTimestamp, members, ...group } = decode(groupMetadataValue, versionOf(value), value)
  return {
    ...group,
    stateSinceMs: currentStateTimestamp,
    members: members.map(
      ({ groupInstanceId, rebalanceTimeout, sessionTimeout, subscription, assignment, ...member }) => ({
        ...member,
        instanceId: groupInstanceId,
        // Before version 1 a member had as long to join again as its session lasts.
        rebalanceTimeoutMs: rebalanceTimeout === -1 ? sessionTimeout : rebalanceTimeout,
        sessionTimeoutMs: sessionTimeout,
        subscription: Buffer.from(subscription),
        assignment: Buffer.from(assignment),
      }),
    ),
  }
}

const versionBytes = 2

function encode<M extends Message>(table: M, version: number, first: number, body: Draft<M>): Buffer {
  const to = new WireWriter()
  to.int16(first)
  writeBody(table, version, to, body)
  return flattenRope(to.finish())
}

function versionOf(bytes: Buffer): number {
  if (bytes.length < versionBytes) throw new ProtocolError('a key or value is too short for its version')
  return bytes.readInt16BE(0)
}

function decode<M extends Message>(table: M, version: number, bytes: Buffer): Body<M> {
  if (!supportsVersion(table, version)) throw new ProtocolError(`a ${table.name} has the unknown version ${version}`)
  const from = new WireReader(ropeOf(bytes.subarray(versionBytes)), never)
  const body = readBody(table, version, from)
  from.finish()
  return body
}

function unknown(why: string): UnknownRecord {
  return { of: 'unknown', why }
}
