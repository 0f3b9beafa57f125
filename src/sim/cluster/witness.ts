/**
 * Watches a simulated cluster and checks, after every step, what must hold at all times (the invariants I1 to I14 of
 * docs/protocol.md; what only clients can see is the oracle's). It looks at what nodes write, send and apply, and at what their
 * disks hold; it decides by its own arithmetic and believes no node.
 */
import type { LogIndex, NodeId, Offset, SegmentId, Term, TopicId } from '../../base/ids.ts'
import type { ChainEffect, ChainEvent, ChainRecord, RestoredSegment } from '../../chain/events.ts'
import type { Batch } from '../../chain/messages.ts'
import { type Partition, type PartitionId, type PartitionKey, partitionKey, type Segment } from '../../chain/segment.ts'
import { decodeCommand, type ReadCommand } from '../../cluster/commands.ts'
import { Metadata } from '../../cluster/metadata.ts'
import type { Role } from '../../raft/events.ts'
import type { Message } from '../../raft/messages.ts'
import { entryTypes, type RaftEntry } from '../../raft/storage.ts'
import type { Host } from './host.ts'
import type { DiskRecord } from './image.ts'
import type { SimNode } from './node.ts'
import { isDurableOnMajority, whyUnkeptChain, whyUnkeptRaft } from './promises.ts'
import type { ClusterTuning } from './tuning.ts'

export interface Anomaly {
  readonly kind: string
  readonly text: string
  readonly atMs: number
}

/** How often a run got to the places that matter. */
export interface Reached {
  elections: number
  recoveries: number
  rolls: number
  writerChanges: number
  repairs: number
  snapshotsInstalled: number
  fences: number
  tailCopies: number
  replacedInPlace: number
  currentReads: number
}

/** What has been seen of one segment, whoever has it. */
interface SegmentFacts {
  readonly partition: PartitionKey
  /** The checksum of the batch at each base offset: there is one content per segment and offset, ever. */
  readonly contents: Map<number, number>
  /** The node and boot that appended normally. */
  writer: string | null
  sealed: Segment | null
}

export class Witness {
  readonly anomalies: Anomaly[] = []
  readonly reached: Reached = {
    elections: 0,
    recoveries: 0,
    rolls: 0,
    writerChanges: 0,
    repairs: 0,
    snapshotsInstalled: 0,
    fences: 0,
    tailCopies: 0,
    replacedInPlace: 0,
    currentReads: 0,
  }
  /** Hears of records that may be gone: only their writer had vouched for them. */
  onDropped: (dropped: { index: number; from: Offset; to: Offset; leaderEpoch: number }) => void = () => {}
  /** The metadata after every committed command, as the log says it. */
  reference = new Metadata()
  referenceIndex = 0
  readonly #hosts: readonly Host[]
  readonly #nowMs: () => number
  readonly #trace: (line: () => string) => void
  readonly #entries = new Map<LogIndex, { readonly term: Term; readonly data: Buffer }>()
  readonly #leaders = new Map<Term, string>()
  readonly #segments = new Map<SegmentId, SegmentFacts>()
  /** By disk and segment: the highest fence that was durable. */
  readonly #fences = new Map<string, number>()
  /** By partition: the end of what was acknowledged to a producer with acks=all. */
  readonly #acked = new Map<PartitionKey, Offset>()
  readonly #shown = new Map<PartitionKey, Offset>()
  /** By partition: how far any disk ever had it. Behind a seal, that is what only the writer vouched for. */
  readonly #written = new Map<PartitionKey, Offset>()
  readonly #versions = new Map<PartitionKey, number>()
  readonly #requests = new Set<TopicId>()
  #electedAtMs = 0

  constructor(hosts: readonly Host[], nowMs: () => number, trace: (line: () => string) => void) {
    this.#hosts = hosts
    this.#nowMs = nowMs
    this.#trace = trace
  }

  report(kind: string, text: string): void {
    this.anomalies.push({ kind, text, atMs: this.#nowMs() })
    this.#trace(() => `BROKEN ${kind}: ${text}`)
  }

  // ── Raft

  onRole(node: SimNode, role: Role, term: Term): void {
    if (role !== 'leader') return
    this.reached.elections += 1
    this.#electedAtMs = this.#nowMs()
    const who = `${node.member.nodeId}/${node.member.diskId}/${node.incarnation}`
    const other = this.#leaders.get(term)
    if (other !== undefined && other !== who) this.report('two leaders', `term ${term}: ${other} and ${who}`)
    this.#leaders.set(term, who)
  }

  /** What a message promises is on the sender's disk before it goes out. */
  onRaftSend(node: SimNode, message: Message): void {
    const why = whyUnkeptRaft(node.host.disk.durable, message)
    if (why !== null) this.report('told before durable', `node ${node.host.nodeId}: ${why}`)
  }

  /** A node applies an entry: the first to do so decides what everybody else must see there. */
  onEntry(node: SimNode, entry: RaftEntry): void {
    const known = this.#entries.get(entry.index)
    if (known === undefined) {
      if (entry.index !== this.referenceIndex + 1) {
        this.report('hole in the log', `node ${node.host.nodeId} applies ${entry.index} after ${this.referenceIndex}`)
      }
      if (node.isLeader && !isDurableOnMajority(entry, node.membership, this.#hosts)) {
        this.report('committed too early', `node ${node.host.nodeId} applies ${entry.index}, which no majority has`)
      }
      this.#entries.set(entry.index, { term: entry.term, data: entry.data })
      this.#applyToReference(entry)
    } else if (known.term !== entry.term || !known.data.equals(entry.data)) {
      this.report('committed entry changed', `index ${entry.index}: node ${node.host.nodeId} applies another entry`)
    }
  }

  onRestore(node: SimNode): void {
    this.reached.snapshotsInstalled += 1
    if (node.appliedIndex > this.referenceIndex) {
      this.report('snapshot from nowhere', `node ${node.host.nodeId} restores index ${node.appliedIndex}`)
    }
  }

  /** A leader vouches that nothing committed before the read was asked lies behind `index`. */
  onReadReady(node: SimNode, committedWhenAsked: number, index: number): void {
    this.reached.currentReads += 1
    if (index >= committedWhenAsked) return
    this.report('stale read', `node ${node.host.nodeId} reads at ${index} what was at ${committedWhenAsked} before`)
  }

  #applyToReference(entry: RaftEntry): void {
    this.referenceIndex = entry.index
    if (entry.type !== entryTypes.command) return
    const decoded = decodeCommand(entry.data)
    if ('unknownType' in decoded) return
    const { command } = decoded
    const before = new Map<PartitionKey, Partition>()
    const touchedBefore = this.#current(command)
    if (touchedBefore !== null) before.set(partitionKey(touchedBefore.id), touchedBefore.record)
    const outcome = this.reference.apply(command, decoded.requestId, decoded.seen)
    this.#trace(() => `#${entry.index} ${describe(command)} → ${outcome.ok ? `done ${outcome.value}` : outcome.error}`)
    const touched = this.reference.takeTouched()
    if (touched.length > 0 && this.#requests.has(decoded.requestId)) {
      this.report('I12 MetaCAS', `a request was applied twice: ${describe(command)}`)
    }
    this.#requests.add(decoded.requestId)
    for (const id of touched) {
      const record = this.reference.partition(id)
      if (record !== null) this.#checkPartition(id, before.get(partitionKey(id)) ?? null, record, command)
    }
  }

  #current(command: ReadCommand): { id: PartitionId; record: Partition } | null {
    if (!('topicId' in command && 'partition' in command)) return null
    const id = { topicId: command.topicId, index: command.partition }
    const record = this.reference.partition(id)
    return record === null ? null : { id, record }
  }

  // ── chains, as the metadata has them

  #checkPartition(id: PartitionId, before: Partition | null, after: Partition, command: ReadCommand): void {
    const key = partitionKey(id)
    const version = this.#versions.get(key) ?? -1
    if (after.version <= version) this.report('I12 MetaCAS', `${key}: version ${version} becomes ${after.version}`)
    this.#versions.set(key, after.version)
    // Records are immutable and shared by versions: what is the same object was looked at before.
    const dropped = droppedBefore(before, after)
    for (const [i, segment] of after.chain.entries()) {
      const earlier = before?.chain[i + dropped] ?? null
      if (earlier === segment) continue
      if (segment.end === null && earlier?.id !== segment.id) this.#checkOpened(key, segment, after)
      this.#checkLink(key, after.chain[i - 1], segment)
      this.#checkLink(key, segment, after.chain[i + 1])
      this.#checkSegment(key, earlier?.id === segment.id ? earlier : null, segment, command)
    }
    const open = after.chain.at(-1)
    const wasOpen = before?.chain.at(-1)
    if (open === undefined || wasOpen === undefined || open.id === wasOpen.id) return
    this.reached.rolls += 1
    if (open.writer !== wasOpen.writer) this.reached.writerChanges += 1
    if (command.do === 'completeRecovery') this.reached.recoveries += 1
    if (after.chain.at(-2)?.id !== wasOpen.id) this.reached.replacedInPlace += 1
    this.#noteDropped(id, open, after)
    // The record of a segment replaced in place is gone: it ended where it began.
    if (open.base < (this.#shown.get(key) ?? 0)) {
      this.report(
        'I5 SealCoversCommit',
        `${key}: readers were shown ${this.#shown.get(key)}, the seal is at ${open.base}`,
      )
    }
    if (open.base < (this.#acked.get(key) ?? 0)) {
      this.report('I4 NoLoss', `${key}: acknowledged up to ${this.#acked.get(key)}, the seal is at ${open.base}`)
    }
  }

  /** Acknowledged with acks=1, perhaps, and cut off: by a recovery, or by a hand-over. */
  #noteDropped(id: PartitionId, open: Segment, { leaderEpoch }: Partition): void {
    const written = this.#written.get(partitionKey(id)) ?? (0 as Offset)
    if (written <= open.base) return
    this.onDropped({ index: id.index, from: open.base, to: written, leaderEpoch })
  }

  /** Two neighbours in a chain. */
  #checkLink(key: PartitionKey, segment: Segment | undefined, next: Segment | undefined): void {
    if (segment === undefined || next === undefined) return
    if (segment.end === null) this.report('I2 OneOpen', `${key}: segment ${segment.id} is not sealed and not the last`)
    if (segment.end !== next.base) {
      this.report('I3 Dense', `${key}: segment ${segment.id} ends at ${segment.end}, ${next.id} begins at ${next.base}`)
    }
    if (next.writeEpoch <= Math.max(segment.writeEpoch, segment.recoveryEpoch ?? 0)) {
      this.report('I2 OneOpen', `${key}: the epoch of segment ${next.id} is not higher than that of ${segment.id}`)
    }
    if (next.leaderEpoch < segment.leaderEpoch) this.report('leader epoch', `${key}: it went back at ${next.id}`)
  }

  /** Any two acknowledgement quorums share a copy, and none is smaller than the topic wants. */
  #checkOpened(key: PartitionKey, { id, replicas, ackQuorum }: Segment, { config }: Partition): void {
    const least = Math.max(config.minInsync, Math.floor(replicas.length / 2) + 1)
    if (ackQuorum >= least && ackQuorum <= replicas.length) return
    this.report('I4 NoLoss', `${key}: segment ${id} of ${replicas.length} copies opens with a quorum of ${ackQuorum}`)
  }

  #checkSegment(key: PartitionKey, before: Segment | null, after: Segment, command: ReadCommand): void {
    if (before === null) return
    if (before.end !== null) {
      const isSame = after.end === before.end && after.base === before.base && after.checksum === before.checksum
      if (!isSame) this.report('I7 Immutable', `${key}: segment ${after.id} was sealed and changed`)
      this.#checkRepair(key, before, after, command)
      return
    }
    if (after.end === null) return
    this.#checkSeal(key, after)
    if (command.do === 'completeRecovery') this.#checkDisks(key, after, after.complete ?? [])
  }

  /** A copy that counts is on the disk that its node is registered with. */
  #checkDisks(key: PartitionKey, segment: Segment, counted: readonly NodeId[]): void {
    for (const nodeId of counted) {
      const replica = segment.replicas.find(other => other.nodeId === nodeId)
      if (replica?.diskId === this.reference.nodes.get(nodeId)?.diskId) continue
      this.report('I6 SealReplicated', `${key}: segment ${segment.id} counts on a disk of node ${nodeId} that is gone`)
    }
  }

  #checkRepair(key: PartitionKey, before: Segment, after: Segment, command: ReadCommand): void {
    if (command.do === 'addReplica') {
      this.reached.repairs += 1
      const { nodeId } = command.replica
      if (this.#isSameDisk(nodeId, after) && !this.#holds(nodeId, after)) {
        this.report('I14 RepairSafe', `${key}: node ${nodeId} counts as a copy of ${after.id}, which its disk lacks`)
      }
    }
    if (after.state === 'deleting') return
    const held = (segment: Segment) => (segment.complete ?? []).filter(id => this.#holds(id, segment)).length
    const least = Math.min(held(before), 1)
    if (held(after) < least) this.report('I14 RepairSafe', `${key}: ${command.do} took the last copy of ${after.id}`)
  }

  #checkSeal(key: PartitionKey, sealed: Segment): void {
    const facts = this.#facts(sealed.id, key)
    facts.sealed = sealed
    const lacking = (sealed.complete ?? []).filter(id => this.#isSameDisk(id, sealed) && !this.#holds(id, sealed))
    if (lacking.length > 0) {
      this.report(
        'I6 SealReplicated',
        `${key}: segment ${sealed.id} [${sealed.base}, ${sealed.end}) is not whole on ${lacking}`,
      )
    }
    if ((sealed.complete ?? []).length < sealed.ackQuorum) {
      this.report('I6 SealReplicated', `${key}: segment ${sealed.id} has ${sealed.complete?.length} complete copies`)
    }
  }

  /** Whether the disk that the record names is still the node's. */
  #isSameDisk(nodeId: NodeId, segment: Segment): boolean {
    const replica = segment.replicas.find(other => other.nodeId === nodeId)
    const host = this.#hosts.find(other => other.nodeId === nodeId)
    return replica !== undefined && host?.disk.durable.identity?.diskId === replica.diskId
  }

  /** Whether a node's disk durably has all of a sealed segment. */
  #holds(nodeId: NodeId, segment: Segment): boolean {
    const host = this.#hosts.find(other => other.nodeId === nodeId)
    const image = host?.disk.durable.segments.get(segment.id)
    if (!this.#isSameDisk(nodeId, segment)) return false
    if (segment.end === segment.base) return true
    return image !== undefined && image.end >= (segment.end as Offset)
  }

  // ── nodes, as they act

  onChainStart(node: SimNode, restored: readonly RestoredSegment[]): void {
    for (const { segment, fenceEpoch } of restored) {
      const known = this.#fences.get(`${node.member.diskId}/${segment}`) ?? 0
      if (fenceEpoch < known) {
        this.report('I11 FenceMonotonic', `node ${node.host.nodeId}, segment ${segment}: ${known} became ${fenceEpoch}`)
      }
    }
  }

  onChainStep(node: SimNode, event: ChainEvent, effects: readonly ChainEffect[]): void {
    for (const effect of effects) {
      if (effect.do === 'write') this.#onWrite(node, event, effect.record)
      else if (effect.do === 'readable') this.#onReadable(node, partitionKey(effect.partition), effect.highWatermark)
      else if (effect.do === 'send') {
        const why = whyUnkeptChain(node.host.disk, effect.message)
        if (why !== null) this.report('told before durable', `node ${node.host.nodeId}: ${why}`)
      }
    }
  }

  #onWrite(node: SimNode, event: ChainEvent, record: ChainRecord): void {
    if (record.kind === 'fence') this.reached.fences += 1
    if (record.kind !== 'batch') return
    const image = node.host.disk.written.segments.get(record.segment)
    const facts = this.#facts(record.segment, image === undefined ? null : partitionKey(image.partition))
    if (event.type === 'message' && event.message.type === 'recoveryAppend') this.reached.tailCopies += 1
    this.#checkContent(node, facts, record.segment, record.batch)
    if (event.type !== 'message') this.#checkWriter(node, facts, record.segment)
  }

  #checkContent(node: SimNode, facts: SegmentFacts, segment: SegmentId, batch: Batch): void {
    const known = facts.contents.get(batch.base)
    if (known === undefined) facts.contents.set(batch.base, batch.crc)
    else if (known !== batch.crc) {
      this.report(
        'I8 PrefixAgreement',
        `segment ${segment}, offset ${batch.base}: node ${node.host.nodeId} has other bytes`,
      )
    }
  }

  /** A batch that did not come from a peer was appended by the segment's writer, or copied by its recoverer from itself. */
  #checkWriter(node: SimNode, facts: SegmentFacts, segment: SegmentId): void {
    const who = `${node.host.nodeId}/${node.incarnation}`
    const record = this.#record(facts.partition, segment)
    if (record === null || record.state !== 'open') return
    facts.writer ??= who
    if (facts.writer !== who) this.report('I1 SingleWriter', `segment ${segment}: ${facts.writer} and ${who}`)
  }

  #onReadable(node: SimNode, key: PartitionKey, highWatermark: Offset): void {
    if (highWatermark > (this.#shown.get(key) ?? 0)) this.#shown.set(key, highWatermark)
    if (node.chain === null) return
    this.#checkCommitted(key, highWatermark, `node ${node.host.nodeId} shows`)
  }

  /** A producer was told that its batch is committed. */
  onAcked(node: SimNode, key: PartitionKey, end: Offset): void {
    if (end > (this.#acked.get(key) ?? 0)) this.#acked.set(key, end)
    this.#checkCommitted(key, end, `node ${node.host.nodeId} acknowledges`)
  }

  /** A producer was told with acks=1 that its batch is on the writer's disk, which vouches for it as long as it has a lease. */
  onAckedAlone(node: SimNode, key: PartitionKey, end: Offset): void {
    const { chain, host } = node
    const state = chain?.partitions.get(key)
    const segment = state?.writing ?? null
    if (chain === null || this.#isCommitted(key, segment, end)) return
    const held = segment === null ? undefined : host.disk.durable.segments.get(segment)
    if (segment !== null && (held === undefined || held.end < end)) {
      this.report('told before durable', `${key}: node ${host.nodeId} acknowledges ${end}; its disk has ${held?.end}`)
    }
    if (chain.nowMs >= chain.leaseUntilMs) {
      this.report('lease ignored', `${key}: node ${host.nodeId} vouches for ${end} alone, and has no lease`)
    }
  }

  /** Whether the record, or enough disks, say of a segment that everything below `end` is committed. */
  #isCommitted(key: PartitionKey, id: SegmentId | null, end: Offset): boolean {
    const segment = id === null ? null : this.#record(key, id)
    if (segment === null) return false
    if (end <= segment.base) return true
    return segment.end === null ? this.#copiesBelow(segment, end) >= segment.ackQuorum : end <= segment.end
  }

  /**
   * A leader acts on the end of a lease: then it is over for its holder too, by clocks that run within the bound. Not judged
   * when a leader before it may have granted more, or a clock was disturbed meanwhile.
   */
  onLeaseOver(leader: SimNode, lease: { nodeId: NodeId; incarnation: number }, tuning: ClusterTuning): void {
    const { liveness, raft, raftTickMs } = tuning
    const host = this.#hosts.find(other => other.nodeId === lease.nodeId)
    const holder = host?.node ?? null
    if (host === undefined || holder?.incarnation !== lease.incarnation || holder.chain === null) return
    const disturbedAtMs = Math.max(...this.#hosts.map(({ clock }) => clock.disturbedAtMs), this.#electedAtMs)
    const quietMs = 2 * liveness.sessionMs + 4 * raft.electionTicks * raftTickMs
    const isStrange = this.#hosts.some(({ clock }) => Math.abs(clock.rate - 1) > liveness.driftMax)
    if (isStrange || this.#nowMs() - disturbedAtMs < quietMs) return
    const leftMs = holder.chain.leaseUntilMs - host.clock.monotonicMs
    if (leftMs <= 0) return
    const what = `the lease of node ${lease.nodeId} is over for leader ${leader.host.nodeId}`
    this.report('lease overlaps', `${what}, and has ${leftMs.toFixed(1)} ms left for its holder`)
  }

  /** Everything below `end` is sealed, or durable on an acknowledgement quorum of the unsealed segment. */
  #checkCommitted(key: PartitionKey, end: Offset, what: string): void {
    const partition = this.#partition(key)
    const last = partition?.chain.at(-1)
    if (last === undefined || end <= last.base || last.end !== null) return
    const copies = this.#copiesBelow(last, end)
    if (copies < last.ackQuorum) {
      this.report('I4 NoLoss', `${key}: ${what} ${end}, which ${copies} of ${last.ackQuorum} disks have`)
    }
  }

  #copiesBelow({ id, replicas }: Segment, end: Offset): number {
    const having = replicas.filter(replica => {
      const host = this.#hosts.find(other => other.nodeId === replica.nodeId)
      if (host === undefined) return false
      // What a wiped disk had, it had.
      if (host.disk.durable.identity?.diskId !== replica.diskId) return true
      const image = host.disk.durable.segments.get(id)
      return image !== undefined && image.end >= end
    })
    return having.length
  }

  onDurable(node: SimNode, records: readonly DiskRecord[]): void {
    for (const record of records) {
      if (record.kind !== 'chain') continue
      if (record.record.kind === 'batch') this.#noteWritten(node, record.record)
      if (record.record.kind === 'seal') this.#checkSealed(node, record.record)
      if (record.record.kind !== 'fence') continue
      const key = `${node.member.diskId}/${record.record.segment}`
      const known = this.#fences.get(key) ?? 0
      if (record.record.epoch < known) {
        this.report('I11 FenceMonotonic', `node ${node.host.nodeId}: ${known} becomes ${record.record.epoch}`)
      }
      this.#fences.set(key, record.record.epoch)
    }
  }

  /** A sealed copy is what the record says, no more and no less. */
  #checkSealed({ host }: SimNode, { segment, end }: Extract<ChainRecord, { kind: 'seal' }>): void {
    const image = host.disk.durable.segments.get(segment)
    if (image === undefined || image.sealedEnd !== end) return
    const record = this.#record(partitionKey(image.partition), segment)
    const { checksum } = end === image.base ? { checksum: 0 } : (image.summary(end) ?? { checksum: -1 })
    if (image.end !== end || (record !== null && record.checksum !== checksum)) {
      this.report('I7 Immutable', `node ${host.nodeId} seals segment ${segment} at ${end}, and has ${image.end}`)
    }
  }

  #noteWritten(node: SimNode, { segment, batch }: Extract<ChainRecord, { kind: 'batch' }>): void {
    const image = node.host.disk.durable.segments.get(segment)
    if (image === undefined) return
    const key = partitionKey(image.partition)
    if (batch.end > (this.#written.get(key) ?? 0)) this.#written.set(key, batch.end)
  }

  // ── helpers

  #facts(segment: SegmentId, partition: PartitionKey | null): SegmentFacts {
    let facts = this.#segments.get(segment)
    if (facts === undefined) {
      facts = { partition: partition ?? ('-0' as PartitionKey), contents: new Map(), writer: null, sealed: null }
      this.#segments.set(segment, facts)
    }
    return facts
  }

  #partition(key: PartitionKey): Partition | null {
    const at = key.lastIndexOf('-')
    return this.reference.partition({ topicId: key.slice(0, at) as never, index: Number(key.slice(at + 1)) })
  }

  #record(key: PartitionKey, segment: SegmentId): Segment | null {
    return this.#partition(key)?.chain.find(other => other.id === segment) ?? null
  }
}

function describe(command: ReadCommand): string {
  return JSON.stringify(command, (_, value) =>
    typeof value === 'string' && value.length === 32 ? value.slice(0, 6) : value,
  )
}

/** How many segments left the head of a chain between two versions of it. */
function droppedBefore(before: Partition | null, after: Partition): number {
  const first = after.chain[0]?.id
  const dropped = before?.chain.findIndex(segment => segment.id === first) ?? 0
  return Math.max(0, dropped)
}
