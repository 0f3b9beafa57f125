/**
 * The commands that change the metadata, as tables (docs/formats/metadata.md). A command is an envelope (type, request id)
 * and a body; both are versioned. Time and chance are inputs: whoever proposes a command puts them in.
 */
import type { TopicId } from '../base/ids.ts'
import { decodeRecord, encodeRecord, onDisk } from '../wire/on-disk.ts'
import {
  array,
  type Body,
  bytes,
  int8,
  int16,
  int32,
  int64,
  type Message,
  message,
  string,
  struct,
  uuid,
} from '../wire/schema.ts'

const v0 = { ...onDisk, versions: [0, 0] } as const

const envelope = message({
  name: 'Command',
  ...v0,
  /** The request id makes a retry after an unknown outcome harmless: it gets the outcome of the first. */
  body: { type: int8, version: int16, requestId: uuid, body: bytes },
})

const partitionRef = {
  topicId: uuid,
  partition: int32,
  /** The partition's version that the proposer saw. */ version: int64,
}

/** Numbers are for ever. */
const tables = {
  /** A node starts: it says which incarnation it last confirmed, which it last tried, and which it wants. */
  registerNode: {
    type: 1,
    table: message({
      name: 'RegisterNode',
      ...v0,
      body: { nodeId: int32, diskId: uuid, confirmed: int64, attempted: int64, incarnation: int64 },
    }),
  },
  /** Creates a topic and opens the first segment of each partition. */
  createTopic: {
    type: 2,
    table: message({
      name: 'CreateTopic',
      ...v0,
      body: {
        topicId: uuid,
        name: string,
        writer: int32,
        partitions: int32,
        configs: array(struct({ name: string, value: string })),
        nowMs: int64,
      },
    }),
  },
  /** Frees the topic's name; its files go afterwards. */
  deleteTopic: { type: 3, table: message({ name: 'DeleteTopic', ...v0, body: { topicId: uuid } }) },
  /** The files of a deleted topic are gone. */
  purgeTopic: { type: 4, table: message({ name: 'PurgeTopic', ...v0, body: { topicId: uuid } }) },
  /** Ends the open segment and opens the next: the one way in which a chain grows. */
  sealAndOpen: {
    type: 5,
    table: message({
      name: 'SealAndOpen',
      ...v0,
      body: { ...partitionRef, end: int64, bytes: int64, maxTimestamp: int64, writer: int32, nowMs: int64 },
    }),
  },
  /** Moves the log start; sealed segments wholly below it are to be deleted. */
  advanceStart: {
    type: 6,
    table: message({ name: 'AdvanceStart', ...v0, body: { ...partitionRef, offset: int64 } }),
  },
  /** The files of the oldest segments, all to be deleted, are gone. */
  dropSegments: {
    type: 7,
    table: message({ name: 'DropSegments', ...v0, body: { ...partitionRef, through: int64 } }),
  },
  /** Takes the next block of producer ids. */
  allocateProducerIds: {
    type: 8,
    table: message({ name: 'AllocateProducerIds', ...v0, body: { nodeId: int32, count: int32 } }),
  },
} as const

type Tables = typeof tables
export type CommandName = keyof Tables
export type Command = { [Name in CommandName]: { readonly do: Name } & Body<Tables[Name]['table']> }[CommandName]

const namesByType = new Map<number, CommandName>(
  (Object.keys(tables) as CommandName[]).map(name => [tables[name].type, name]),
)

export function encodeCommand(command: Command, requestId: TopicId): Buffer {
  const { type, table } = tables[command.do]
  return encodeRecord(envelope, { type, version: 0, requestId, body: encodeRecord(table as Message, command) })
}

/** Reads a command; throws a `ProtocolError` for anything this program does not know. */
export function decodeCommand(
  encoded: Buffer,
):
  | { readonly requestId: TopicId; readonly command: Command }
  | { readonly unknownType: number; readonly version: number } {
  const { type, version, requestId, body } = decodeRecord(envelope, encoded)
  const name = namesByType.get(type)
  if (name === undefined || version !== 0) return { unknownType: type, version }
  const value = decodeRecord(tables[name].table as Message, body) as object
  return { requestId, command: { do: name, ...value } as Command }
}

export type { Outcome, Refusal } from './outcome.ts'
