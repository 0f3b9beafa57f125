/**
 * The commands that change the metadata, as tables (docs/formats/metadata.md). A command is an envelope (type, version of the
 * body, request id, feature level) and a body. Time and chance are inputs: whoever proposes a command puts them in.
 *
 * Every program of a cluster must read a command alike, or the copies of the metadata part ways. So a command is only proposed
 * when the cluster has finalised the feature level that it belongs to; the level in the envelope is how a program judges even
 * a command that it does not know.
 */
import type { TopicId } from '../base/ids.ts'
import type { ChainCommand } from '../chain/events.ts'
import { decodeRecord, encodeRecord, onDisk } from '../wire/on-disk.ts'
import {
  array,
  type Body,
  bool,
  bytes,
  type Draft,
  int8,
  int16,
  int32,
  int64,
  type Message,
  message,
  since,
  string,
  struct,
  type Table,
  tagged,
  uint32,
  until,
  uuid,
  withDefault,
} from '../wire/schema.ts'
import {
  archivedRange,
  diskId,
  nodeAddress,
  nodeId,
  offset,
  placement,
  replica,
  replicationConfig,
  sealReason,
  segmentId,
  topicConfigs,
} from './record-tables.ts'

/** The first level that there was: commands belong to it where their row names no other. */
export const firstFeatureLevel = 1
/** Topics can grow. */
const growingTopics = 2
/** The highest level of which this program knows every command. */
export const newestFeatureLevel = growingTopics

const envelope = message({
  name: 'Command',
  ...onDisk,
  versions: [0, 0],
  /** The request id makes a retry after an unknown outcome harmless: it gets the outcome of the first. */
  body: {
    type: int8,
    version: int16,
    requestId: uuid,
    body: bytes,
    level: tagged(0, 0, int16, firstFeatureLevel),
    /** The proposer's `Metadata.applied` when it first asked; -1 where it cannot say. */
    seen: tagged(1, 0, int64, -1),
  },
})

/** A row of the table; `version` is that of the body, the older ones are still read. `level` is the feature level it needs. */
function row<const T extends Table>(type: number, name: string, body: T, version = 0, level = firstFeatureLevel) {
  return { type, level, table: message({ name, ...onDisk, versions: [0, version], body }) }
}

/** From `partition` on, `count` partitions. */
const placements = array(struct({ partition: int32, count: withDefault(int32, 1), next: placement }))

const partition = { topicId: uuid, partition: int32 }
/** `version` is the partition's that the proposer saw. */
const versioned = { ...partition, version: int64 }
/** Of a segment that is sealed: its first bytes to its last. */
const sealed = { end: offset, bytes: int64, maxTimestamp: int64, checksum: uint32 }

/** Numbers are for ever. */
export const commandTables = {
  /** A node starts: it says which incarnation it last confirmed, which it last tried, and which it wants. */
  registerNode: row(
    1,
    'RegisterNode',
    {
      nodeId,
      diskId,
      confirmed: int64,
      attempted: int64,
      incarnation: int64,
      rack: since(1, string, ''),
      addresses: since(1, array(nodeAddress), []),
      /** The life before this one ended in order. */
      wasClean: since(1, bool, false),
      /** The newest feature level that the node's program knows. */
      featureLevel: since(1, int16, firstFeatureLevel),
    },
    1,
  ),
  /** Creates a topic, and opens the first segment of each partition for which there is a placement. */
  createTopic: row(
    2,
    'CreateTopic',
    {
      topicId: uuid,
      name: string,
      writer: until(0, nodeId, -1 as never),
      partitions: int32,
      configs: topicConfigs,
      nowMs: int64,
      replication: since(1, replicationConfig, { replicas: 0, minInsync: 0, flush: 'sync', uncleanSeal: false }),
      placements: since(1, placements, []),
    },
    1,
  ),
  /** Frees the topic's name; its files go afterwards. */
  deleteTopic: row(3, 'DeleteTopic', { topicId: uuid }),
  /** The files of a deleted topic are gone. */
  purgeTopic: row(4, 'PurgeTopic', { topicId: uuid }),
  /** How a node by itself ended a segment before there were clusters; it is still read, and no longer written. */
  rollOneCopy: row(5, 'RollOneCopy', {
    ...versioned,
    end: offset,
    bytes: int64,
    maxTimestamp: int64,
    writer: nodeId,
    nowMs: int64,
  }),
  /** Moves the log start; sealed segments wholly below it are to be deleted. */
  advanceStart: row(6, 'AdvanceStart', { ...versioned, offset }),
  /** The files of the oldest segments, all to be deleted, are gone. */
  dropSegments: row(7, 'DropSegments', { ...versioned, through: segmentId }),
  /** Takes the next block of producer ids. */
  allocateProducerIds: row(8, 'AllocateProducerIds', { nodeId, count: int32 }),

  /** The writer ends its segment and opens the next. */
  sealAndOpen: row(9, 'SealAndOpen', {
    ...partition,
    segment: segmentId,
    epoch: int64,
    ...sealed,
    complete: array(nodeId),
    reason: sealReason,
    next: placement,
    nowMs: int64,
  }),
  /** From here on the segment's writer, and recoverers before this one, cannot seal it. */
  beginRecovery: row(10, 'BeginRecovery', { ...partition, segment: segmentId, epoch: int64, recoverer: nodeId }),
  /** The recoverer ends the segment of a writer that is gone, and opens the next. */
  completeRecovery: row(11, 'CompleteRecovery', {
    ...partition,
    segment: segmentId,
    epoch: int64,
    ...sealed,
    complete: array(replica),
    next: placement,
    nowMs: int64,
  }),
  /** A sealed segment has another complete copy. */
  addReplica: row(12, 'AddReplica', { ...partition, segment: segmentId, replica }),
  /** A copy is given up by its node, or lost. */
  removeReplica: row(13, 'RemoveReplica', { ...partition, segment: segmentId, nodeId }),
  /** A copy more than the topic wants is given up. */
  removeSurplus: row(14, 'RemoveSurplus', { ...versioned, segment: segmentId, nodeId }),
  /** Opens the first segment where none could be when the topic was made. */
  openFirst: row(15, 'OpenFirst', { ...versioned, next: placement, nowMs: int64 }),
  /** Compaction: one segment for a run of sealed ones. */
  replaceSealed: row(16, 'ReplaceSealed', {
    ...versioned,
    old: array(segmentId),
    compacted: struct({ bytes: int64, maxTimestamp: int64, checksum: uint32, replicas: array(replica) }),
  }),
  /** What the archive has of a sealed segment. */
  setArchived: row(17, 'SetArchived', { ...versioned, segment: segmentId, archive: array(archivedRange) }),

  /** A topic's configs, whole, and what they say about replication. */
  configureTopic: row(18, 'ConfigureTopic', {
    topicId: uuid,
    version: int64,
    configs: topicConfigs,
    replication: replicationConfig,
  }),
  /** A node's lease is over, or it has come back within the same life. */
  setNodeUp: row(19, 'SetNodeUp', { nodeId, incarnation: int64, isUp: bool }),
  /** A node leaves for good. */
  removeNode: row(20, 'RemoveNode', { nodeId, incarnation: int64 }),
  /** From here on commands of this level may come. */
  setFeatureLevel: row(21, 'SetFeatureLevel', { level: int16 }),
  /** A topic grows to `total` partitions; `version` is the topic's. */
  createPartitions: row(
    22,
    'CreatePartitions',
    { topicId: uuid, version: int64, total: int32, placements, nowMs: int64 },
    0,
    growingTopics,
  ),
} as const

type Tables = typeof commandTables
export type CommandName = keyof Tables
/** What is proposed: a field that has a default may be left out. */
export type Command = { [Name in CommandName]: { readonly do: Name } & Draft<Tables[Name]['table']> }[CommandName]
export type CommandOf<Name extends CommandName> = Extract<Command, { readonly do: Name }>
/** What was read: every field is there. */
export type ReadCommand = { [Name in CommandName]: { readonly do: Name } & Body<Tables[Name]['table']> }[CommandName]

export interface DecodedCommand {
  readonly requestId: TopicId
  readonly seen: number
  readonly command: ReadCommand
}

/** A command that this program has no table for. */
export interface UnknownCommand {
  readonly requestId: TopicId
  readonly seen: number
  readonly unknownType: number
  readonly version: number
  readonly level: number
}

const namesByType = new Map<number, CommandName>(
  (Object.keys(commandTables) as CommandName[]).map(name => [commandTables[name].type, name]),
)

/** `seen` is the proposer's `Metadata.applied` when it first asked for this: the same in every retry. */
export function encodeCommand(command: Command, requestId: TopicId, seen = -1): Buffer {
  const { type, table, level } = commandTables[command.do]
  const version = table.versions[1]
  const body = encodeRecord(table as Message, command)
  return encodeRecord(envelope, { type, version, requestId, body, level, seen })
}

/** Reads a command; throws a `ProtocolError` for what is none. */
export function decodeCommand(encoded: Buffer): DecodedCommand | UnknownCommand {
  const { type, version, requestId, body, level, seen } = decodeRecord(envelope, encoded)
  const name = namesByType.get(type)
  const table = name === undefined ? undefined : (commandTables[name].table as Message)
  if (name === undefined || table === undefined || version < 0 || version > table.versions[1]) {
    return { requestId, seen, unknownType: type, version, level }
  }
  const value = decodeRecord(table, body, version) as object
  return { requestId, seen, command: { do: name, ...value } as ReadCommand }
}

/** A command of the chain core, with the time of whoever proposes it. */
export function fromChain(command: ChainCommand, nowMs: number): Command {
  const { partition: id, ...rest } = command
  return { ...rest, topicId: id.topicId, partition: id.index, nowMs } as Command
}

export type { Outcome, Refusal } from './outcome.ts'
