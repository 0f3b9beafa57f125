/**
 * A checksum of the whole metadata, to tell copies apart that should be the same. It is a sum of one digest per topic,
 * partition and remembered outcome, so the order of changes does not matter; what changed since the last time is taken out as
 * it was and put in as it is. So it may be taken often: it costs as much as has changed, not as much as there is.
 *
 * The digests mix numbers and text by 32-bit arithmetic. They find faults of programs, not forgeries.
 */
import type { TopicId } from '../base/ids.ts'
import { type Partition, type PartitionId, type PartitionKey, partitionKey, type Segment } from '../chain/segment.ts'
import type { Metadata, Topic } from './metadata.ts'
import type { Outcome } from './outcome.ts'

export class StateChecksum {
  #sum = 0
  /** What was changed since the sum was taken, as it was then. */
  readonly #topics = new Map<TopicId, Topic | null>()
  readonly #partitions = new Map<PartitionKey, { id: PartitionId; before: Partition | null; after: Partition | null }>()

  topicChanged(id: TopicId, before: Topic | null): void {
    if (!this.#topics.has(id)) this.#topics.set(id, before)
  }

  partitionChanged(id: PartitionId, before: Partition | null, after: Partition | null): void {
    const key = partitionKey(id)
    const changed = this.#partitions.get(key)
    if (changed === undefined) this.#partitions.set(key, { id, before, after })
    else changed.after = after
  }

  remembered(requestId: TopicId, outcome: Outcome): void {
    this.#add(digestOfOutcome(requestId, outcome))
  }

  forgotten(requestId: TopicId, outcome: Outcome): void {
    this.#add(-digestOfOutcome(requestId, outcome))
  }

  of(metadata: Metadata): number {
    for (const [id, before] of this.#topics) {
      const after = metadata.topics.get(id)
      this.#add((after === undefined ? 0 : digestOfTopic(after)) - (before === null ? 0 : digestOfTopic(before)))
    }
    this.#topics.clear()
    for (const { id, before, after } of this.#partitions.values()) {
      this.#add(
        (after === null ? 0 : digestOfPartition(id, after)) - (before === null ? 0 : digestOfPartition(id, before)),
      )
    }
    this.#partitions.clear()
    return mix(digestOfCounters(metadata), this.#sum) >>> 0
  }

  #add(digest: number): void {
    this.#sum = (this.#sum + digest) | 0
  }
}

/** Nodes are few. */
function digestOfCounters(metadata: Metadata): number {
  const { nextSegmentId, nextProducerId, featureLevel, applied } = metadata
  let digest = mixAll(1, [nextSegmentId, nextProducerId, featureLevel, applied])
  for (const [nodeId, node] of metadata.nodes) {
    digest = mixAll(digest, [nodeId, node.incarnation, +node.isUp, +node.wasClean, node.featureLevel])
    digest = mixText(mixText(mixText(digest, node.diskId), node.rack), node.registeredBy)
    for (const { name, host, port } of node.addresses) digest = mix(mixText(mixText(digest, name), host), port)
  }
  for (const [nodeId, incarnation] of metadata.removedNodes) digest = mix(mix(digest, nodeId), incarnation)
  return digest
}

function digestOfTopic(topic: Topic): number {
  const { replicas, minInsync, flush, uncleanSeal } = topic.replication
  let digest = mixText(mixText(2, topic.id), topic.name)
  digest = mixAll(digest, [topic.version, +topic.isDeleting, replicas, minInsync, +uncleanSeal])
  digest = mixText(digest, flush)
  for (const [name, value] of topic.configs) digest = mixText(mixText(digest, name), value)
  return digest
}

function digestOfPartition({ topicId, index }: PartitionId, partition: Partition): number {
  const { version, nextEpoch, leaderEpoch, logStartOffset, config, chain } = partition
  let digest = mixAll(mixText(3, topicId), [index, version, nextEpoch, leaderEpoch, logStartOffset])
  digest = mixText(mixAll(digest, [config.replicas, config.minInsync, +config.uncleanSeal]), config.flush)
  for (const segment of chain) digest = mixSegment(digest, segment)
  return digest
}

function mixSegment(seed: number, segment: Segment): number {
  let digest = mixAll(seed, [segment.id, segment.base, segment.end ?? -1, segment.writer, segment.writerIncarnation])
  digest = mixAll(digest, [segment.writeEpoch, segment.recoveryEpoch ?? -1, segment.leaderEpoch, segment.ackQuorum])
  digest = mixAll(digest, [segment.bytes, segment.maxTimestamp, segment.checksum, segment.createdAtMs])
  digest = mixText(mixText(digest, segment.state), segment.sealReason)
  for (const { nodeId, diskId, incarnation } of segment.replicas) {
    digest = mixText(mix(mix(digest, nodeId), incarnation), diskId)
  }
  for (const nodeId of segment.complete ?? noNodes) digest = mix(digest, nodeId)
  for (const range of segment.archive) {
    digest = mixAll(digest, [range.position, range.length, range.base, range.end, range.crc])
    digest = mixText(mixText(digest, range.object), range.etag)
  }
  return mix(digest, segment.complete?.length ?? -1)
}

const noNodes: readonly number[] = [-1]

function digestOfOutcome(requestId: TopicId, outcome: Outcome): number {
  const digest = mixText(4, requestId)
  return outcome.ok ? mix(digest, outcome.value) : mixText(mixText(digest, outcome.error), outcome.message)
}

function mixAll(seed: number, values: readonly number[]): number {
  let digest = seed
  for (const value of values) digest = mix(digest, value)
  return digest
}

/** Of a safe integer: its lower and its upper half. */
function mix(digest: number, value: number): number {
  const high = Math.floor(value / 0x1_0000_0000)
  return mix32(mix32(digest, value | 0), high | 0)
}

function mix32(digest: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  const h = digest ^ k
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}

function mixText(digest: number, text: string): number {
  let mixed = mix32(digest, text.length)
  for (let i = 0; i < text.length; i++) mixed = mix32(mixed, text.charCodeAt(i))
  return mixed
}
