/**
 * A whole simulated cluster: machines, the network between them, their clients, and a witness. A scenario is a story told with
 * its methods: crash, restart, cut, stall, wipe; `run` lets time pass, `until` waits for something to be true.
 */
import type { NodeId, Offset, SegmentId, TopicId } from '../../base/ids.ts'
import { InvariantViolation, invariant } from '../../base/invariant.ts'
import { Prng } from '../../base/prng.ts'
import { highWatermark, type ReadLimit, readLimit, roleOf } from '../../chain/core.ts'
import type { ChainEffect, NewBatch } from '../../chain/events.ts'
import { type Partition, type PartitionId, partitionKey, type Segment } from '../../chain/segment.ts'
import type { ClientDoor, ProduceAnswer, ProduceRequest, ReadAnswer, ReadRecord } from './client-door.ts'
import { calmDisk, type DiskSettings } from './disk.ts'
import { Host } from './host.ts'
import { calmNetwork, Network, type NetworkSettings } from './network.ts'
import { type NodeWorld, SimNode } from './node.ts'
import type { PeerMessage } from './peer-messages.ts'
import { Timeline } from './timeline.ts'
import type { ClusterTuning } from './tuning.ts'
import { Witness } from './witness.ts'

export interface ClusterOptions {
  readonly seed: number
  readonly tuning: ClusterTuning
  readonly network?: NetworkSettings
  readonly disk?: DiskSettings
  readonly onTrace?: (line: string) => void
}

interface Waiting {
  readonly node: SimNode
  readonly request: ProduceRequest
  readonly onAnswer: (answer: ProduceAnswer) => void
}

/** What a batch carries through the chain: enough to be read back by clients. */
interface Payload {
  readonly serials: readonly number[]
}

/** A healthy run has some hundreds of events ahead of it. */
const waitingMax = 100_000
/** A broken connection is noticed after so long, where it is noticed. */
const resetMeanMs = 5
const startLimitMs = 60_000

export class Cluster {
  readonly prng: Prng
  readonly timeline = new Timeline()
  readonly network: Network
  readonly hosts: Host[]
  readonly witness: Witness
  readonly tuning: ClusterTuning
  readonly topicId: TopicId
  readonly door: ClientDoor
  /** Nodes that no client reaches. */
  readonly hiddenFromClients = new Set<number>()
  readonly counts = {
    crashes: 0,
    cleanStops: 0,
    wipes: 0,
    stops: 0,
    partitions: 0,
    stalls: 0,
    powerLosses: 0,
    produced: 0,
    read: 0,
  }
  /** Hears of each start of a node but the first. */
  onStart: (nodeId: NodeId) => void = () => {}
  readonly #onTrace: ((line: string) => void) | null
  readonly #world: NodeWorld
  readonly #waiting = new Map<number, Waiting>()
  #token = 0

  constructor(options: ClusterOptions) {
    const { seed, tuning } = options
    this.prng = new Prng(seed)
    this.tuning = tuning
    this.#onTrace = options.onTrace ?? null
    this.network = new Network(this.timeline, this.prng.fork(), options.network ?? calmNetwork)
    this.topicId = this.prng.bytes(16).toString('hex') as TopicId
    const disk = options.disk ?? calmDisk
    this.hosts = Array.from(
      { length: tuning.nodes },
      (_, i) => new Host((i + 1) as NodeId, this.timeline, this.prng.fork(), disk),
    )
    const trace = (line: () => string) => this.#traceLine('', line)
    this.witness = new Witness(this.hosts, () => this.timeline.nowMs, trace)
    this.#world = this.#makeWorld()
    this.door = this.#makeDoor()
  }

  // ── time

  get nowMs(): number {
    return this.timeline.nowMs
  }

  get isBroken(): boolean {
    return this.witness.anomalies.length > 0
  }

  run(forMs: number): void {
    const untilMs = this.nowMs + forMs
    while (!this.isBroken && this.timeline.step(untilMs));
  }

  /** Whether it became true in time. */
  until(isTrue: () => boolean, limitMs: number): boolean {
    const untilMs = this.nowMs + limitMs
    while (!this.isBroken && !isTrue()) if (!this.#step(untilMs)) return isTrue()
    return !this.isBroken
  }

  #step(untilMs: number): boolean {
    if (this.timeline.waiting > waitingMax) {
      this.witness.report('storm of messages', `${waitingMax} things are about to happen: something multiplies`)
      return false
    }
    try {
      return this.timeline.step(untilMs)
    } catch (error) {
      if (!(error instanceof InvariantViolation)) throw error
      const where = error.stack?.split('\n')[2]?.trim() ?? ''
      this.witness.report('broken invariant', `${error.message} (${where.replace(/file:.*\/src\//, 'src/')})`)
      return false
    }
  }

  // ── the machines

  host(nodeId: number): Host {
    const host = this.hosts[nodeId - 1]
    invariant(host !== undefined, 'nodes are numbered from 1')
    return host
  }

  get live(): SimNode[] {
    return this.hosts.flatMap(({ node }) => (node === null ? [] : [node]))
  }

  get leader(): SimNode | null {
    return this.live.filter(node => node.isLeader).sort((a, b) => b.raft.term - a.raft.term)[0] ?? null
  }

  /** Starts all nodes and makes the topic. */
  start(): void {
    for (const host of this.hosts) this.startNode(host.nodeId)
    const isReady = () => this.live.every(node => node.chain !== null)
    if (!this.until(isReady, startLimitMs)) this.witness.report('no start', 'the nodes did not register in time')
    this.#createTopic()
    if (!this.until(() => this.partitions.length === this.tuning.partitions, startLimitMs)) {
      this.witness.report('no start', 'the topic was not made in time')
    }
  }

  startNode(nodeId: number): void {
    const host = this.host(nodeId)
    if (host.node !== null || this.isBroken) return
    const node = new SimNode(host, this.#world, this.prng.fork())
    host.node = node
    this.onStart(host.nodeId)
    this.trace(host, () => `starts as incarnation ${node.incarnation}`)
    this.#tickLater(node)
  }

  /** A handshake is with a boot that the cluster knows. */
  #connect(node: SimNode): void {
    for (const other of this.live) {
      if (other === node || other.chain === null) continue
      this.#notice(() => other.gainPeer(node.peer), other)
      this.#notice(() => node.gainPeer(other.peer), node)
    }
  }

  /** SIGKILL, or the power: what was not synced may be gone, or is. */
  crash(nodeId: number, keeps: 'some' | 'nothing' = 'some'): void {
    const host = this.host(nodeId)
    if (host.node === null) return
    this.counts.crashes += 1
    this.trace(host, () => 'crashes')
    this.#end(host)
    host.disk.crash(keeps)
  }

  /** SIGTERM: everything written is synced, and the connections are closed. */
  stop(nodeId: number): void {
    const host = this.host(nodeId)
    if (host.node === null) return
    this.counts.cleanStops += 1
    this.trace(host, () => 'stops in good order')
    this.#end(host)
    host.disk.close()
  }

  #end(host: Host): void {
    const { node } = host
    if (node === null) return
    node.isGone = true
    host.node = null
    for (const [token, waiting] of this.#waiting) if (waiting.node === node) this.#waiting.delete(token)
    for (const other of this.live) {
      // A silent end is noticed by nobody: then timeouts and leases must do.
      if (this.prng.chance(0.2)) continue
      const lose = () => {
        // A connection that stands again is not lost any more.
        if (host.node === null || host.node.chain === null) other.losePeer(host.nodeId)
      }
      this.#notice(lose, other)
    }
  }

  /** All at once. */
  losePower(): void {
    this.counts.powerLosses += 1
    for (const host of this.hosts) this.crash(host.nodeId)
  }

  /** A node that is down loses its disk and comes back with an empty one. */
  wipe(nodeId: number): void {
    const host = this.host(nodeId)
    invariant(host.node === null, 'a disk is wiped while its node is down')
    this.counts.wipes += 1
    this.trace(host, () => 'loses its disk')
    host.disk.wipe()
    host.isFounder = false
  }

  stall(nodeId: number, forMs: number): void {
    this.counts.stalls += 1
    this.trace(this.host(nodeId), () => `stalls for ${Math.round(forMs)} ms`)
    this.host(nodeId).stall(forMs)
  }

  /** Cuts `from` off `to` in one direction; both ways when told so. */
  cut(from: readonly number[], to: readonly number[], bothWays = true): void {
    this.counts.partitions += 1
    this.#traceLine('', () => `cut ${from} ${bothWays ? '<->' : '->'} ${to}`)
    for (const a of from) {
      for (const b of to) {
        this.network.cut(a, b)
        if (bothWays) this.network.cut(b, a)
      }
    }
  }

  heal(from: readonly number[], to: readonly number[], bothWays = true): void {
    this.#traceLine('', () => `heal ${from} ${bothWays ? '<->' : '->'} ${to}`)
    for (const a of from) {
      for (const b of to) {
        this.network.heal(a, b)
        if (bothWays) this.network.heal(b, a)
      }
    }
  }

  // ── what the metadata says

  get partitions(): PartitionId[] {
    return this.witness.reference.allPartitions()
  }

  partitionId(index: number): PartitionId {
    return { topicId: this.topicId, index }
  }

  record(index: number): Partition | null {
    return this.witness.reference.partition(this.partitionId(index))
  }

  /** The unsealed segment of a partition. */
  openSegment(index: number): Segment {
    const last = this.record(index)?.chain.at(-1)
    invariant(last !== undefined, 'the topic has been made')
    return last
  }

  writerOf(index: number): NodeId {
    return this.openSegment(index).writer
  }

  diskIdOf(nodeId: number): string | null {
    return this.host(nodeId).disk.durable.identity?.diskId ?? null
  }

  /** Tells a partition's writer to hand over to another node at the next roll, as the controller does when it balances. */
  rotate(index: number): boolean {
    const { leader } = this
    const open = this.openSegment(index)
    const node = this.host(open.writer).node
    const next = leader?.placementAway(this.partitionId(index)) ?? null
    if (node === null || next === null) return false
    node.feed({ type: 'placement', partition: this.partitionId(index), reason: 'rotation', next })
    return true
  }

  /** Has a node recover the unsealed segment of a partition, needed or not. */
  orderRecovery(index: number, nodeId: number): boolean {
    const { leader } = this
    const { node } = this.host(nodeId)
    const next = leader?.placementAway(this.partitionId(index)) ?? null
    if (node === null || next === null) return false
    const segment = this.openSegment(index).id
    node.feed({ type: 'recover', partition: this.partitionId(index), segment, next, spares: next.replicas })
    return true
  }

  /** Produces that a living node took, and should have answered. */
  get unanswered(): number {
    return [...this.#waiting.values()].filter(({ node, request }) => !node.isGone && request.acks !== 0).length
  }

  /** A line of the story. */
  note(line: string): void {
    this.#traceLine('', () => `── ${line}`)
  }

  /** What every node and the metadata look like now, for people who want to know how it broke. */
  get state(): string {
    const chains = this.partitions.flatMap(({ index }) => [
      `partition ${index}: version ${this.record(index)?.version}, start ${this.record(index)?.logStartOffset}`,
      ...(this.record(index)?.chain ?? []).slice(-shownSegments).map(segment => `  ${segmentText(segment)}`),
    ])
    return [...this.hosts.map(hostText), ...chains].join('\n')
  }

  trace(host: Host, line: () => string): void {
    this.#traceLine(`node ${host.nodeId}: `, line)
  }

  #traceLine(prefix: string, line: () => string): void {
    this.#onTrace?.(`${this.nowMs.toFixed(3).padStart(12)} ${prefix}${line()}`)
  }

  // ── inside

  #makeWorld(): NodeWorld {
    const { tuning, witness } = this
    return {
      tuning,
      witness,
      initialMembership: this.#initialMembership(),
      nodeIds: this.hosts.map(host => host.nodeId),
      send: (from, to, message) => this.#send(from, to, message),
      answer: (node, token, result) => this.#answer(node, token, result),
      stop: (node, why) => {
        this.counts.stops += 1
        this.trace(node.host, () => `stops: ${why}`)
        // Not in the middle of its own step.
        this.timeline.after(0, node, () => this.crash(node.host.nodeId))
        this.timeline.after(this.prng.between(100, 2000), null, () => this.startNode(node.host.nodeId))
      },
      onRegistered: node => this.#connect(node),
      trace: (host, line) => this.trace(host, line),
    }
  }

  /** The first members know each other's disks: they are written before the first start. */
  #initialMembership(): NodeWorld['initialMembership'] {
    return this.hosts.map(host => {
      const identity = { nodeId: host.nodeId, diskId: host.newDiskId(), confirmed: 0, attempted: 0 }
      host.disk.format(identity)
      return { nodeId: host.nodeId, diskId: identity.diskId, role: 'voter' as const }
    })
  }

  #send(from: Host, to: NodeId, message: PeerMessage): void {
    const sender = from.node?.peer
    if (sender === undefined) return
    this.network.send(from.nodeId, to, message, () => {
      const host = this.host(to)
      const { node } = host
      if (node === null) return
      host.whenAwake(node, () => {
        this.#traceLine('', () => `${sender.nodeId} → ${to} ${textOf(message)}`)
        node.receive(sender, message)
      })
    })
  }

  #tickLater(node: SimNode): void {
    const delayMs = this.tuning.tickMs * (0.9 + 0.2 * this.prng.float())
    this.timeline.after(delayMs, node, () => {
      // A stalled loop takes up where it was; the turns it missed are gone.
      this.#tickAwake(node)
    })
  }

  #tickAwake(node: SimNode): void {
    const { host } = node
    if (host.isStalled) this.timeline.after(host.stalledUntilMs - this.nowMs, node, () => this.#tickAwake(node))
    else this.#tick(node)
  }

  #tick(node: SimNode): void {
    node.tick()
    if (!node.isGone) this.#tickLater(node)
  }

  #notice(run: () => void, owner: SimNode): void {
    this.timeline.after(-Math.log(1 - this.prng.float()) * resetMeanMs, owner, () => owner.host.whenAwake(owner, run))
  }

  #createTopic(): void {
    const { partitions, replicas, minInsync } = this.tuning
    const ask = () => {
      if (this.partitions.length > 0) return
      const { leader } = this
      leader?.createTopic(this.topicId, { partitions, replicas, minInsync })
      this.timeline.after(500, null, ask)
    }
    ask()
  }

  // ── clients

  #makeDoor(): ClientDoor {
    const cluster = this
    return {
      get nowMs() {
        return cluster.nowMs
      },
      prng: this.prng.fork(),
      partitions: this.tuning.partitions,
      nodes: this.hosts.map(host => host.nodeId),
      after: (delayMs, run) => this.timeline.after(delayMs, null, run),
      findWriter: (nodeId, index, onAnswer) => this.#request(nodeId, node => this.#findWriter(node, index), onAnswer),
      produce: (nodeId, request, onAnswer) => this.#produce(nodeId, request, onAnswer),
      read: (nodeId, index, from, recordsMax, onAnswer) =>
        this.#request(nodeId, node => this.#read(node, index, from, recordsMax), onAnswer),
      advanceStart: (index, offset, onAnswer) => this.#advanceStart(index, offset, onAnswer),
    }
  }

  #clientDelayMs(): number {
    return 0.1 - Math.log(1 - this.prng.float()) * 0.4
  }

  #reach(nodeId: number, run: (node: SimNode) => void): void {
    this.timeline.after(this.#clientDelayMs(), null, () => {
      const host = this.host(nodeId)
      const { node } = host
      if (node !== null && !this.hiddenFromClients.has(nodeId)) host.whenAwake(node, () => run(node))
    })
  }

  /** Answers come back unless the node is gone, hidden, or the answer gets lost. */
  #request<T>(nodeId: number, ask: (node: SimNode) => T, onAnswer: (answer: T) => void): void {
    this.#reach(nodeId, node => this.#reply(nodeId, ask(node), onAnswer))
  }

  #reply<T>(nodeId: number, answer: T, onAnswer: (answer: T) => void): void {
    if (this.hiddenFromClients.has(nodeId) || this.prng.chance(0.002)) return
    this.timeline.after(this.#clientDelayMs(), null, () => onAnswer(answer))
  }

  #findWriter(node: SimNode, index: number): number | null {
    const last = node.metadata.partition(this.partitionId(index))?.chain.at(-1)
    return last?.state === 'open' ? last.writer : null
  }

  #produce(nodeId: number, request: ProduceRequest, onAnswer: (answer: ProduceAnswer) => void): void {
    this.#reach(nodeId, node => {
      this.counts.produced += 1
      if (node.chain === null) {
        this.#reply(nodeId, { ok: false, error: 'NOT_LEADER_OR_FOLLOWER', isDefinite: true } as const, onAnswer)
        return
      }
      const token = ++this.#token
      this.#waiting.set(token, { node, request, onAnswer })
      const { acks } = request
      node.feed({
        type: 'produce',
        token,
        partition: this.partitionId(request.partition),
        batch: batchOf(request),
        acks,
      })
    })
  }

  #answer(node: SimNode, token: number, result: Extract<ChainEffect, { do: 'answer' }>['result']): void {
    const waiting = this.#waiting.get(token)
    if (waiting === undefined) {
      this.witness.report('answered twice', `node ${node.host.nodeId} answers request ${token}, which nobody waits for`)
      return
    }
    this.#waiting.delete(token)
    const { request, onAnswer } = waiting
    if (result.ok) {
      const key = partitionKey(this.partitionId(request.partition))
      const end = (result.base + request.serials.length) as Offset
      if (request.acks === 'all') this.witness.onAcked(node, key, end)
      else this.witness.onAckedAlone(node, key, end)
    }
    this.trace(node.host, () => `answers ${token} p${request.partition} ${JSON.stringify(result)}`)
    this.#reply(node.host.nodeId, result, onAnswer)
  }

  #read(node: SimNode, index: number, from: number, recordsMax: number): ReadAnswer {
    this.counts.read += 1
    if (node.chain === null) return { ok: false, error: 'NOT_LEADER_OR_FOLLOWER' }
    const id = this.partitionId(index)
    const partition = node.metadata.partition(id)
    if (partition === null) return { ok: false, error: 'UNKNOWN_TOPIC_OR_PARTITION' }
    const limit = readLimit(node.chain, id, from as Offset)
    if (limit.kind === 'unknown') return { ok: false, error: 'UNKNOWN_TOPIC_OR_PARTITION' }
    if (limit.kind === 'gone') return { ok: false, error: 'OFFSET_OUT_OF_RANGE' }
    const last = partition.chain.at(-1)
    const holder = limit.kind === 'elsewhere' ? this.#holder(limit.holders) : node
    if (holder === null) return { ok: false, error: 'OFFSET_NOT_AVAILABLE' }
    const records =
      limit.kind === 'wait' ? [] : readRecords(partition, id, holder, limit.segment, from, recordsMax, limit)
    const known = holder.metadata.partition(id)
    const shown = node.show(index, {
      highWatermark: Math.max(highWatermark(node.chain, id), highWatermark(holder.chain ?? node.chain, id)),
      leaderEpoch: Math.max(partition.leaderEpoch, known?.leaderEpoch ?? 0),
    })
    // Whoever is asked now may know less than who was asked before.
    if (records.length === 0 && from < shown.highWatermark) return { ok: false, error: 'OFFSET_NOT_AVAILABLE' }
    const isCurrent = shown.leaderEpoch === partition.leaderEpoch && last?.state === 'open'
    const isWriter = isCurrent && roleOf(node.chain, id) === 'writer'
    return { ok: true, records, logStart: partition.logStartOffset, isWriter, ...shown }
  }

  /** Who is asked for what a node does not hold itself: any node takes any request. */
  #holder(holders: readonly NodeId[]): SimNode | null {
    const nodes = holders.flatMap(nodeId => this.host(nodeId).node ?? [])
    return nodes.length === 0 ? null : this.prng.pick(nodes)
  }

  #advanceStart(index: number, offset: number, onAnswer: (isDone: boolean) => void): void {
    const node = this.prng.pick(this.hosts).node
    const record = node?.metadata.partition(this.partitionId(index))
    if (node === undefined || node === null || record === null || record === undefined) return
    const { topicId } = this
    const command = {
      do: 'advanceStart',
      topicId,
      partition: index,
      version: record.version,
      offset: offset as Offset,
    } as const
    node.propose(command, outcome => {
      if (outcome !== null) onAnswer(outcome.ok)
    })
  }
}

function batchOf(request: ProduceRequest): NewBatch {
  const { serials, producerId, producerEpoch, baseSequence } = request
  let crc = 17
  for (const serial of serials) crc = (Math.imul(crc, 31) + serial) >>> 0
  const payload: Payload = { serials }
  const bytes = 61 + 20 * serials.length
  return { records: serials.length, bytes, crc, maxTimestamp: 0, producerId, producerEpoch, baseSequence, payload }
}

function readRecords(
  partition: Partition,
  partitionId: PartitionId,
  holder: SimNode,
  id: SegmentId,
  from: number,
  recordsMax: number,
  limit: ReadLimit,
): ReadRecord[] {
  // What another node gives is what that node may give.
  const own =
    limit.kind === 'here' || holder.chain === null ? limit : readLimit(holder.chain, partitionId, from as Offset)
  const records: ReadRecord[] = []
  if (own.kind !== 'here') return records
  const leaderEpoch = partition.chain.find(segment => segment.id === id)?.leaderEpoch ?? -1
  for (const batch of holder.host.disk.written.read(id, from as Offset, 1 << 20)) {
    const { serials } = batch.payload as Payload
    for (let i = 0; i < serials.length; i++) {
      const offset = batch.base + i
      if (offset < from || offset >= own.end || records.length >= recordsMax) continue
      records.push({ offset, serial: serials[i] as number, leaderEpoch })
    }
    if (batch.end >= own.end || records.length >= recordsMax) break
  }
  return records
}

function textOf(message: PeerMessage): string {
  if (message.type === 'raft') return `raft ${brief(message.message)}`
  if (message.type === 'chain') return `chain ${brief(message.message)}`
  return brief(message)
}

function brief(value: unknown): string {
  return JSON.stringify(value, (key, inner) => {
    if (key === 'from' && typeof inner === 'object') return undefined
    if (key === 'to' || key === 'payload' || key === 'command') return undefined
    if (inner !== null && typeof inner === 'object' && inner.type === 'Buffer') return `${inner.data.length} B`
    return typeof inner === 'string' && inner.length === 32 ? inner.slice(0, 6) : inner
  })
}

const shownSegments = 4

function segmentText({ id, state, base, end, writer, writeEpoch, recoveryEpoch, replicas, complete }: Segment): string {
  const copies = replicas.map(({ nodeId }) => `${nodeId}${complete?.includes(nodeId) ? '' : '*'}`)
  return `${id} ${state} [${base}, ${end ?? '…'}) epoch ${writeEpoch}/${recoveryEpoch ?? '-'} writer ${writer} copies ${copies}`
}

function hostText({ nodeId, node, disk }: Host): string {
  if (node === null) return `node ${nodeId}: down`
  const { term, role, commit } = node.raft
  const copies = [...disk.written.segments.values()].slice(-2 * shownSegments)
  const ends = copies.map(
    copy => `${copy.id}:${disk.durable.segments.get(copy.id)?.end ?? '-'}/${copy.end}^${copy.fenceEpoch}`,
  )
  const stall = disk.stalledUntilMs > 0 ? ' (its disk stalls)' : ''
  return `node ${nodeId}: boot ${node.incarnation}, ${role} in term ${term}, commit ${commit}, applied ${node.appliedIndex}${stall}; segments durable/written^fence ${ends.join(' ')}`
}
