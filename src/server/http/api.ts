/** `/api/v1`: topics, groups and the node as JSON, read-only. Shapes are promised in docs/http.md. */
import { topicIdText } from '../../base/ids.ts'
import { consumerAssignment } from '../../broker/groups/assignment.ts'
import { nearestName } from '../../broker/nearest-name.ts'
import type { GroupView } from '../../broker/overview.ts'
import type { SegmentFacts, Topic } from '../../broker/storage.ts'
import { type PageAsk, pageAsked, pageByName, pageByNumber, type Query } from './paging.ts'
import { HttpProblem } from './problem.ts'
import { breathe, principal, type Subject } from './subject.ts'

export interface RouteRequest {
  /** Of those paths that have one. */
  readonly params: { readonly name: string }
  readonly query: Query
}

export type Route = (subject: Subject, request: RouteRequest) => Promise<unknown>

export const apiRoutes: Readonly<Record<string, Route>> = {
  '/api/v1/topics': async (subject, { query }) => listTopics(subject, pageAsked(query)),
  '/api/v1/topics/:name': async (subject, { params, query }) => {
    const topic = topicOf(subject, params.name)
    return describeTopic(subject, topic, pageAsked(query))
  },
  '/api/v1/topics/:name/segments': async (subject, { params, query }) => {
    const topic = topicOf(subject, params.name)
    return describeSegments(topic, pageAsked(query))
  },
  '/api/v1/groups': async (subject, { query }) => listGroups(subject, pageAsked(query)),
  '/api/v1/groups/:name': (subject, { params }) => describeGroup(subject, params.name),
  '/api/v1/node': describeNode,
}

/** Partitions that are looked at without a breath. */
const stepMax = 500
const segmentsMax = 1_000
/** Of one answer: chains of many partitions come in turns. */
const groupBounds = { offsetsMax: 10_000, lookUpsMax: 500 }
/** A name is compared with so many others to find the one that was meant. */
const candidatesMax = 500

async function listTopics({ broker }: Subject, ask: PageAsk) {
  const { items, next } = pageByName(broker().overview(principal).topics(), ({ name }) => name, ask)
  const topics = []
  let steps = 0
  for (const topic of items) {
    const { partitions } = topic
    topics.push({
      ...headOf(topic),
      partitions: partitions.length,
      replicationFactor: replicationOf(topic),
      records: sumOf(partitions, ({ highWatermark, logStartOffset }) => highWatermark - logStartOffset),
      bytes: sumOf(partitions, ({ storedBytes }) => storedBytes),
    })
    steps += partitions.length
    if (steps >= stepMax) {
      steps = 0
      await breathe()
    }
  }
  return { topics, next }
}

async function describeTopic({ broker }: Subject, topic: Topic, ask: PageAsk) {
  const { items, next } = pageByNumber(topic.partitions, ask)
  return {
    ...headOf(topic),
    replicationFactor: replicationOf(topic),
    configs: Object.fromEntries(broker().overview(principal).configsOf(topic)),
    partitions: items.map(partition => ({
      partition: partition.index,
      leader: partition.leader,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicas,
      inSyncReplicas: partition.inSyncReplicas,
      start: partition.logStartOffset,
      end: partition.highWatermark,
      bytes: partition.storedBytes,
    })),
    next,
  }
}

async function describeSegments(topic: Topic, ask: PageAsk) {
  const { items, next } = pageByNumber(topic.partitions, ask)
  const partitions = []
  let steps = 0
  for (const partition of items) {
    const chain = partition.segments()
    const told = chain.slice(-segmentsMax)
    partitions.push({
      partition: partition.index,
      leftOut: chain.length - told.length,
      segments: told.map(segmentView),
    })
    steps += told.length
    if (steps >= stepMax) {
      steps = 0
      await breathe()
    }
  }
  return { name: topic.name, partitions, next }
}

function segmentView(segment: SegmentFacts) {
  const { id, base, end, bytes, state, writer, writeEpoch: epoch, maxTimestamp, createdAtMs, sealReason } = segment
  return {
    id,
    base,
    end,
    bytes,
    state,
    writer,
    epoch,
    maxTimestamp: maxTimestamp < 0 ? null : maxTimestamp,
    createdAtMs,
    sealReason: sealReason === 'none' ? null : sealReason,
  }
}

async function listGroups({ broker }: Subject, ask: PageAsk) {
  const { isComplete, groups } = await broker().overview(principal).groups()
  if (!isComplete) throw loading
  const { items, next } = pageByName(groups, ({ groupId }) => groupId, ask)
  return { groups: items.map(({ groupId, state, protocolType }) => ({ id: groupId, state, protocolType })), next }
}

async function describeGroup({ broker }: Subject, groupId: string) {
  const overview = broker().overview(principal)
  const { offsetsMax, lookUpsMax } = groupBounds
  const group = await overview.group(groupId, { offsetsMax, lookUps: { left: lookUpsMax } })
  if (group === 'LOADING') throw loading
  if (group === null) {
    const { groups } = await overview.groups()
    const ids = groups.slice(0, candidatesMax).map(listed => listed.groupId)
    throw unknown('UNKNOWN_GROUP', 'group', groupId, ids, '/api/v1/groups')
  }
  return groupView(group)
}

function groupView({ described, offsets, leftOut }: GroupView) {
  const known = offsets.flatMap(({ lagSeconds }) => lagSeconds ?? [])
  return {
    id: described.groupId,
    state: described.state,
    protocolType: described.protocolType,
    protocol: described.protocol,
    members: described.members.map(({ memberId, instanceId, clientId, clientHost, assignment }) => ({
      id: memberId,
      instanceId,
      clientId,
      clientHost,
      assignment: described.protocolType === 'consumer' ? consumerAssignment(assignment) : null,
    })),
    offsets,
    lag: sumOf(offsets, ({ lag }) => lag),
    lagSeconds: known.length === offsets.length ? known.reduce((max, one) => Math.max(max, one), 0) : null,
    leftOut,
  }
}

async function describeNode(subject: Subject) {
  const engine = subject.engine()
  const { journal, cache } = engine.figures()
  const topics = engine.topics()
  const [disk] = await engine.logDirs()
  let storedBytes = 0
  let steps = 0
  for (const { partitions } of topics) {
    storedBytes += sumOf(partitions, partition => partition.storedBytes)
    steps += partitions.length
    if (steps >= stepMax) {
      steps = 0
      await breathe()
    }
  }
  return {
    id: engine.nodeId,
    clusterId: engine.clusterId,
    version: subject.version,
    startedAtMs: subject.startedAtMs,
    uptimeSeconds: Math.max(subject.clock.nowMs() - subject.startedAtMs, 0) / 1000,
    doors: subject.doors(),
    topics: topics.length,
    partitions: sumOf(topics, ({ partitions }) => partitions.length),
    connections: subject.connections(),
    disk: { path: disk?.path, totalBytes: disk?.totalBytes, freeBytes: disk?.usableBytes, storedBytes },
    journal: {
      bytes: journal.bytes,
      bytesMax: journal.bytesMax,
      files: journal.files,
      groups: journal.groups,
      entries: journal.entries,
      stalled: journal.isStalled,
    },
    cache: {
      bytes: cache.bytes,
      bytesMax: cache.bytesMax,
      unflushedBytes: cache.unflushedBytes,
      hitBytes: cache.hitBytes,
      missBytes: cache.missBytes,
    },
  }
}

function topicOf({ broker }: Subject, name: string): Topic {
  const overview = broker().overview(principal)
  const topic = overview.topic(name)
  if (topic !== null) return topic
  const names = overview
    .topics()
    .slice(0, candidatesMax)
    .map(other => other.name)
  throw unknown('UNKNOWN_TOPIC', 'topic', name, names, '/api/v1/topics')
}

const headOf = ({ name, id, internal }: Topic) => ({ name, id: topicIdText(id), internal })

const replicationOf = ({ partitions }: Topic) => partitions[0]?.replicas.length ?? 0

function sumOf<T>(items: readonly T[], figureOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + figureOf(item), 0)
}

const loading = new HttpProblem('NOT_READY', 'groups are being loaded', 'come again in a moment')

function unknown(
  code: 'UNKNOWN_TOPIC' | 'UNKNOWN_GROUP',
  what: string,
  name: string,
  others: readonly string[],
  listedAt: string,
): HttpProblem {
  const nearest = nearestName(name, others)
  const hint = `${nearest === null ? '' : `did you mean '${nearest}'? `}${listedAt} has them all`
  return new HttpProblem(code, `there is no ${what} '${name.slice(0, 250)}'`, hint)
}
