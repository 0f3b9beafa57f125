/** Arbitrary commands, and commands that make sense for a given state, for tests of the metadata. */
import fc from 'fast-check'
import type { DiskId, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'
import { ackQuorumOf, type Placement, type Replica, type ReplicationConfig } from '../chain/segment.ts'
import { draftsOf } from '../wire/arbitraries.test-kit.ts'
import { type Command, type CommandName, commandTables, newestFeatureLevel } from './commands.ts'
import type { Metadata } from './metadata.ts'

const plain = { noNullPrototype: true }
const names = Object.keys(commandTables) as CommandName[]

export const anyId: fc.Arbitrary<TopicId> = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map(id => Buffer.from(id).toString('hex') as TopicId)

/** Every kind of command, with any values at all. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  ...names.map(name => {
    const { table } = commandTables[name]
    return draftsOf(table, table.versions[1]).map(body => ({ do: name, ...body }) as unknown as Command)
  }),
)

/** What a step of a random history draws; `pick` chooses among what there is, `off` makes it wrong now and then. */
export interface Step {
  readonly what: CommandName
  readonly pick: number
  readonly amount: number
  /** 0 in most steps. */
  readonly off: number
}

const often: readonly CommandName[] = [
  'createTopic',
  'registerNode',
  'registerNode',
  'sealAndOpen',
  'sealAndOpen',
  'sealAndOpen',
  'sealAndOpen',
  'beginRecovery',
  'completeRecovery',
  'completeRecovery',
  'addReplica',
  'advanceStart',
  'removeReplica',
]

export const anyStep: fc.Arbitrary<Step> = fc.record(
  {
    what: fc.constantFrom(...names.filter(name => name !== 'setFeatureLevel'), ...often),
    pick: fc.nat(1000),
    amount: fc.nat(30),
    off: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, -1),
  },
  plain,
)

/** A few nodes, all commands allowed, and a topic, to begin with. */
export const prelude: readonly Step[] = [
  ...[0, 1, 2, 3].map(pick => ({ what: 'registerNode', pick, amount: 0, off: 0 }) as const),
  { what: 'setFeatureLevel', pick: 0, amount: 0, off: 0 },
  { what: 'createTopic', pick: 1, amount: 0, off: 0 },
]

const nodesMax = 4
const diskOf = (nodeId: number, generation: number) => `d${nodeId}${generation}`.padStart(32, '0') as DiskId

/** What nodes 1 to 4 do at their start: a node whose turn it is comes back, now and then with another disk. */
function registration(metadata: Metadata, { pick, off }: Step): Command {
  const nodeId = (1 + (pick % nodesMax)) as NodeId
  const known = metadata.nodes.get(nodeId)
  const recorded = known?.incarnation ?? metadata.removedNodes.get(nodeId) ?? 0
  const isNewDisk = known === undefined || (!known.isUp && pick % 3 === 0)
  const tried = isNewDisk ? 0 : recorded - Math.abs(off)
  return {
    do: 'registerNode',
    nodeId,
    diskId: isNewDisk ? diskOf(nodeId, recorded) : known.diskId,
    confirmed: tried,
    attempted: tried,
    incarnation: recorded + 1,
    rack: `rack-${nodeId % 2}`,
    addresses: [{ name: 'peer', host: `n${nodeId}`, port: pick }],
    wasClean: pick % 2 === 0,
    featureLevel: newestFeatureLevel,
  }
}

/** A command that a client or a node might send in this state; where `off` is not 0, a wrong one. */
export function commandFor(metadata: Metadata, step: Step): Command {
  const { what, pick, amount, off } = step
  const topics = [...metadata.topics.values()]
  const topic = topics[pick % (topics.length || 1)]
  const topicId = topic?.id ?? ('ffffffffffffffffffffffffffffffff' as TopicId)
  const index = pick % (topic?.partitions.length ?? 1)
  const chosen = topic?.partitions[index]
  const ref = { topicId, partition: index + (off < 0 ? 100 : 0) }
  const versioned = { ...ref, version: (chosen?.version ?? 0) + Math.max(off, 0) }
  const last = chosen?.chain.at(-1)
  const any = chosen?.chain[amount % (chosen.chain.length || 1)]
  const segment = (last?.id ?? 1) as SegmentId
  const old = (any?.id ?? 1) as SegmentId
  const end = ((last?.base ?? 0) + amount) as Offset
  const facts = { end, bytes: amount * 100, maxTimestamp: pick, checksum: pick * 31 }
  const replicas = someReplicas(metadata, pick, 3)
  const config: ReplicationConfig = { replicas: 3, minInsync: 1, flush: 'sync', uncleanSeal: pick % 2 === 0 }
  const next = placementOf(replicas, chosen?.config ?? config)
  const one = replicas[amount % (replicas.length || 1)] ?? ghost
  switch (what) {
    case 'registerNode':
      return registration(metadata, step)
    case 'setNodeUp':
    case 'removeNode': {
      const nodeId = (1 + (pick % nodesMax)) as NodeId
      const incarnation = (metadata.nodes.get(nodeId)?.incarnation ?? 0) + off
      return what === 'removeNode'
        ? { do: what, nodeId, incarnation }
        : { do: what, nodeId, incarnation, isUp: amount % 3 === 0 }
    }
    case 'createTopic': {
      const newId = (0x1000 + pick).toString(16).padStart(32, '0') as TopicId
      const configs = [{ name: 'retention.ms', value: String(amount) }]
      const partitions = off < 0 ? 0 : 1 + (amount % 2)
      const common = { do: what, topicId: newId, name: `topic-${pick % 4}`, partitions, configs, nowMs: pick } as const
      if (pick % 4 === 0) return { ...common, writer: 1 as NodeId }
      const placements = replicas.length === 0 ? [] : [{ partition: amount % 2, count: 2, next }]
      return { ...common, replication: config, placements }
    }
    case 'configureTopic': {
      const version = (topic?.version ?? 0) + off
      return { do: what, topicId, version, configs: [{ name: 'a', value: `${amount}` }], replication: config }
    }
    case 'deleteTopic':
    case 'purgeTopic':
      return { do: what, topicId }
    case 'rollOneCopy':
      return {
        do: what,
        ...versioned,
        end,
        bytes: amount * 100,
        maxTimestamp: pick,
        writer: (1 + (pick % 7 === 0 ? 1 : 0)) as NodeId,
        nowMs: pick,
      }
    case 'openFirst':
      return { do: what, ...versioned, next, nowMs: pick }
    case 'sealAndOpen': {
      const complete = (last?.replicas ?? []).map(replica => replica.nodeId)
      const epoch = (last?.writeEpoch ?? 0) + off
      return { do: what, ...ref, segment, epoch, ...facts, complete, reason: 'size', next, nowMs: pick }
    }
    case 'beginRecovery':
      return { do: what, ...ref, segment, epoch: (last?.writeEpoch ?? 0) + off, recoverer: 1 as NodeId }
    case 'completeRecovery': {
      const epoch = (last?.recoveryEpoch ?? 0) + off
      return { do: what, ...ref, segment, epoch, ...facts, complete: replicas, next, nowMs: pick }
    }
    case 'addReplica':
      return { do: what, ...ref, segment: old, replica: one }
    case 'removeReplica':
      return { do: what, ...ref, segment: old, nodeId: one.nodeId }
    case 'removeSurplus':
      return { do: what, ...versioned, segment: old, nodeId: one.nodeId }
    case 'replaceSealed': {
      const compacted = { bytes: amount, maxTimestamp: pick, checksum: pick, replicas }
      return { do: what, ...versioned, old: [old], compacted }
    }
    case 'setArchived': {
      const range = { object: 'o', position: 1, length: 2, crc: 3, etag: 'e' }
      const [from, to] = [any?.base ?? (0 as Offset), any?.end ?? (0 as Offset)]
      return { do: what, ...versioned, segment: old, archive: [{ ...range, base: from, end: to }] }
    }
    case 'advanceStart':
      return { do: what, ...versioned, offset: Math.max((chosen?.logStartOffset ?? 0) + amount - 3, 0) as Offset }
    case 'dropSegments': {
      const through = chosen?.chain.findLast(other => other.state === 'deleting')?.id ?? (pick as SegmentId)
      return { do: what, ...versioned, through }
    }
    case 'allocateProducerIds':
      return { do: what, nodeId: 1 as NodeId, count: off < 0 ? 0 : 1 + amount }
    case 'setFeatureLevel':
      return { do: what, level: newestFeatureLevel }
    case 'createPartitions': {
      const version = (topic?.version ?? 0) + Math.max(off, 0)
      const count = topic?.partitions.length ?? 0
      const total = off < 0 ? count : count + 1 + (amount % 2)
      const placed = placementOf(replicas, topic?.replication ?? config)
      const placements = pick % 3 === 0 ? [] : [{ partition: count, count: 2, next: placed }]
      return { do: what, topicId, version, total, placements, nowMs: pick }
    }
  }
}

const ghost: Replica = { nodeId: 9 as NodeId, diskId: diskOf(9, 9), incarnation: 1 }

function someReplicas(metadata: Metadata, pick: number, count: number): Replica[] {
  const all = [...metadata.nodes].map(([nodeId, { diskId, incarnation }]) => ({ nodeId, diskId, incarnation }))
  const from = pick % (all.length || 1)
  return [...all.slice(from), ...all.slice(0, from)].slice(0, count)
}

function placementOf(replicas: readonly Replica[], config: ReplicationConfig): Placement {
  const some = replicas.slice(0, config.replicas)
  const first = some[0] ?? ghost
  const ackQuorum = ackQuorumOf(some.length, config.minInsync)
  return { writer: first.nodeId, writerIncarnation: first.incarnation, replicas: some, ackQuorum }
}
