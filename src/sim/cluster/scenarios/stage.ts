/**
 * What a story is told with: one partition in the middle of things, the nodes by the parts that they play in it, the messages
 * between them, and waiting for the moment at which something is to happen.
 *
 * A story that waits in vain ends there, and did not reach its point; how often each is reached is in the report of a run.
 */
import type { NodeId, SegmentId } from '../../../base/ids.ts'
import type { Prng } from '../../../base/prng.ts'
import type { ChainMessage } from '../../../chain/messages.ts'
import { fenceQuorumOf, type Partition, partitionKey, type Segment } from '../../../chain/segment.ts'
import type { LocalSegment, Recovery, Writer } from '../../../chain/state.ts'
import { decodeCommand, type ReadCommand } from '../../../cluster/commands.ts'
import { entryTypes } from '../../../raft/storage.ts'
import type { Cluster } from '../cluster.ts'
import type { SimNode } from '../node.ts'
import type { PeerMessage } from '../peer-messages.ts'
import { type ProducerStyle, steadyStyle } from '../producer.ts'
import type { ClusterRun, ClusterScenario } from '../run.ts'
import { type Staging, staged } from './staging.ts'

/** What a story waited for did not come. */
class StoryCut extends Error {}

/** Which messages are meant. */
export type Meant = (from: number, to: number, message: PeerMessage) => boolean

const waitLimitMs = 15_000

export function story(
  name: string,
  title: string,
  staging: Staging | ((prng: Prng) => Staging),
  tell: (stage: Stage) => void,
): ClusterScenario {
  const run = (clusterRun: ClusterRun): void => {
    try {
      tell(new Stage(clusterRun))
      if (!clusterRun.cluster.isBroken) clusterRun.reach(name)
    } catch (error) {
      if (!(error instanceof StoryCut)) throw error
      clusterRun.cluster.note(`the story ends here: ${error.message}`)
    }
  }
  return { name, title, conditions: staged(staging), run }
}

/** The partition that stories are about. */
const partition = 0

export class Stage {
  readonly run: ClusterRun
  readonly cluster: Cluster
  readonly prng: Prng

  constructor(run: ClusterRun) {
    this.run = run
    this.cluster = run.cluster
    this.prng = run.prng.fork()
  }

  // ── who plays what

  get record(): Partition {
    return this.cluster.record(partition) as Partition
  }

  /** The last segment of the chain: open, or about to be sealed. */
  get open(): Segment {
    return this.cluster.openSegment(partition)
  }

  segment(id: SegmentId): Segment | undefined {
    return this.record.chain.find(segment => segment.id === id)
  }

  get writer(): NodeId {
    return this.open.writer
  }

  /** The replicas of the open segment besides its writer. */
  get others(): NodeId[] {
    return this.open.replicas.map(({ nodeId }) => nodeId).filter(nodeId => nodeId !== this.writer)
  }

  get everybody(): NodeId[] {
    return this.cluster.hosts.map(({ nodeId }) => nodeId)
  }

  allBut(...nodes: readonly number[]): NodeId[] {
    return this.everybody.filter(nodeId => !nodes.includes(nodeId))
  }

  node(nodeId: number): SimNode | null {
    return this.cluster.host(nodeId).node
  }

  /** The writer's state, as its node has it. */
  writing(nodeId: number = this.writer, id: SegmentId = this.open.id): Writer | null {
    return this.node(nodeId)?.chain?.writers.get(id) ?? null
  }

  copyAt(nodeId: number, id: SegmentId = this.open.id): LocalSegment | null {
    return this.node(nodeId)?.chain?.segments.get(id) ?? null
  }

  /** What a node's metadata says of the partition. */
  recordAt(nodeId: number): Partition | null {
    return this.node(nodeId)?.metadata.partition(this.cluster.partitionId(partition)) ?? null
  }

  recoveryAt(nodeId: number): Recovery | null {
    const chain = this.node(nodeId)?.chain ?? null
    const recovering = chain?.partitions.get(partitionKey(this.cluster.partitionId(partition)))?.recovering ?? null
    return recovering === null ? null : (chain?.recoveries.get(recovering) ?? null)
  }

  /** A node that recovers the partition at this moment. */
  get recoverer(): NodeId | null {
    return this.everybody.find(nodeId => this.recoveryAt(nodeId) !== null) ?? null
  }

  // ── time

  wait(forMs: number): void {
    this.cluster.run(forMs)
    if (this.cluster.isBroken) throw new StoryCut('something broke')
  }

  /** The story goes on when it is true, and ends if that does not come. */
  until(what: string, isTrue: () => boolean, limitMs = waitLimitMs): void {
    if (!this.cluster.until(isTrue, limitMs)) throw new StoryCut(`waited in vain for ${what}`)
    this.cluster.note(what)
  }

  /** Asked now and then, for what is dear to look at or to be tried again. */
  untilNowAndThen(what: string, isTrue: () => boolean, everyMs = 100, limitMs = waitLimitMs): void {
    for (let waitedMs = 0; !isTrue(); waitedMs += everyMs) {
      if (waitedMs >= limitMs) throw new StoryCut(`waited in vain for ${what}`)
      this.wait(everyMs)
    }
    this.cluster.note(what)
  }

  /** The story cannot go on as it is told. */
  cut(why: string): never {
    throw new StoryCut(why)
  }

  /** What must hold here, whatever the seed. */
  promise(isTrue: boolean, sentence: string): void {
    if (!isTrue) this.cluster.witness.report('story', sentence)
  }

  /** Records have been written and committed, in as many copies as are wanted, and a little time has passed. */
  begin(): void {
    const { replicas } = this.cluster.tuning
    this.until('there are all copies', () => this.open.replicas.length === replicas)
    this.until('records are committed', () => this.committed() > this.open.base + 10)
    this.wait(this.prng.between(50, 800))
  }

  committed(nodeId: number = this.writer): number {
    return this.writing(nodeId)?.commit ?? 0
  }

  /** The writer has appended what is not committed. */
  get isInFlight(): boolean {
    const writing = this.writing()
    return writing !== null && writing.next > writing.commit
  }

  /** All copies of the open segment hold, durably, what the writer has appended, and that is committed. */
  get isEverywhere(): boolean {
    const writing = this.writing()
    if (writing === null || writing.commit !== writing.next || writing.commit === writing.base) return false
    return this.open.replicas.every(({ nodeId }) => this.copyAt(nodeId)?.durableEnd === writing.commit)
  }

  /** The segment is sealed and a writer of the next one has committed something there. */
  untilGoesOn(after: SegmentId, limitMs = waitLimitMs): void {
    const goesOn = () => this.open.id !== after && this.open.state === 'open' && this.committed() > this.open.base
    this.until('the next segment has commits', goesOn, limitMs)
  }

  untilSealing(id: SegmentId): void {
    this.until('somebody recovers the segment', () => this.open.id !== id || this.open.state === 'sealing')
  }

  untilSealed(id: SegmentId, limitMs = waitLimitMs): void {
    this.until('the segment is sealed', () => this.open.id !== id, limitMs)
  }

  /** Keeps a node from doing anything until something is true, and then lets it go on. */
  asleepUntil(nodeId: number, what: string, isTrue: () => boolean, limitMs = waitLimitMs): void {
    const napMs = 25
    this.cluster.stall(nodeId, napMs)
    for (let waitedMs = 0; !isTrue(); waitedMs += napMs / 2) {
      if (waitedMs >= limitMs) throw new StoryCut(`waited in vain for ${what}`)
      this.cluster.host(nodeId).stall(napMs)
      this.cluster.until(isTrue, napMs / 2)
      if (this.cluster.isBroken) throw new StoryCut('something broke')
    }
    this.cluster.note(what)
  }

  // ── who leads the metadata

  /** All that run follow one leader, and it is one of these. */
  leadAmong(nodes: readonly number[]): NodeId {
    let leads: NodeId | null = null
    this.untilNowAndThen(
      `one of ${nodes} leads`,
      () => {
        const { leader, live } = this.cluster
        if (leader === null || !live.every(node => node.leader === leader.host.nodeId)) return false
        leads = leader.host.nodeId
        if (nodes.includes(leads)) return true
        leader.transfer(this.prng.pick(nodes) as NodeId)
        return false
      },
      250,
    )
    return leads as unknown as NodeId
  }

  leadAwayFrom(...nodes: readonly number[]): NodeId {
    return this.leadAmong(this.allBut(...nodes))
  }

  // ── orders

  /** The writer goes on in a next segment: itself, on the same replicas. */
  roll(): void {
    const { writer, writerIncarnation, replicas, ackQuorum } = this.open
    const next = { writer, writerIncarnation, replicas, ackQuorum }
    const id = this.cluster.partitionId(partition)
    this.node(writer)?.feed({ type: 'placement', partition: id, reason: 'size', next })
  }

  /** The writer hands over to another one. */
  rotate(): void {
    this.untilNowAndThen('the writer is told to hand over', () => this.cluster.rotate(partition))
  }

  /** As the controller orders it, only that it need not have a reason. */
  recover(nodeId: number): void {
    const { leader } = this.cluster
    const id = this.cluster.partitionId(partition)
    const next = leader?.placementAway(id) ?? null
    if (next === null) throw new StoryCut('there is no place for the next segment')
    this.node(nodeId)?.feed({ type: 'recover', partition: id, segment: this.open.id, next, spares: [] })
  }

  // ── the clients

  /** Somebody is told of a commit that comes from now on. */
  untilWritten(limitMs = waitLimitMs): void {
    const sinceMs = this.cluster.nowMs
    this.until('records are acknowledged', () => this.run.clients.lastAcknowledgedAtMs(partition) > sinceMs, limitMs)
  }

  addProducer(style: Partial<ProducerStyle>): void {
    this.run.clients.addProducer(partition, { ...steadyStyle(this.prng, 20), ...style })
  }

  /** Asks until it is done. */
  trim(offset: number): void {
    let isDone = false
    const ask = () => {
      if (!isDone) this.run.clients.trim(partition, offset, () => (isDone = true))
      return isDone
    }
    this.untilNowAndThen('the log start moves', ask, 200)
  }

  // ── messages

  /** From now on these messages are kept back, until they are let go or forgotten. */
  hold(isMeant: Meant): HeldBack {
    return new HeldBack(this.cluster, isMeant)
  }

  /** From now on these messages are lost, until the returned function is called. */
  lose(isMeant: Meant): () => void {
    const held = this.hold(isMeant)
    return () => held.forget()
  }

  /** Counts these messages as they are sent. */
  watch(isMeant: Meant): { count: number } {
    const seen = { count: 0 }
    this.cluster.network.interceptors.unshift((from, to, message) => {
      if (isMeant(from, to, message as PeerMessage)) seen.count += 1
      return false
    })
    return seen
  }

  // ── what is left after disks were destroyed

  /** Excuses what too few disks are left for. To be called when the disks are wiped. */
  excuseLosses(): void {
    for (const { index } of this.cluster.partitions) {
      for (const segment of this.cluster.record(index)?.chain ?? []) {
        const kept = segment.replicas.filter(({ nodeId, diskId }) => this.cluster.diskIdOf(nodeId) === diskId)
        const whole = kept.filter(({ nodeId }) => segment.complete?.includes(nodeId) ?? true)
        const needed = segment.end === null ? fenceQuorumOf(segment) : 1
        if (whole.length < needed) this.run.giveUp(index, segment.base, segment.end ?? Number.POSITIVE_INFINITY)
      }
    }
  }
}

export class HeldBack {
  readonly kept: { readonly from: number; readonly to: number; readonly message: PeerMessage; deliver(): void }[] = []
  readonly #cluster: Cluster
  readonly #intercept: Cluster['network']['interceptors'][number]

  constructor(cluster: Cluster, isMeant: Meant) {
    this.#cluster = cluster
    this.#intercept = (from, to, message, deliver) => {
      if (!isMeant(from, to, message as PeerMessage)) return false
      this.kept.push({ from, to, message: message as PeerMessage, deliver })
      return true
    }
    cluster.network.interceptors.push(this.#intercept)
  }

  /** Messages go their way again; what was kept arrives now, in its order or in the opposite one. */
  letGo(order: 'in order' | 'backwards' = 'in order'): void {
    this.#stop()
    const kept = this.kept.splice(0)
    if (order === 'backwards') kept.reverse()
    for (const { deliver } of kept) this.#cluster.timeline.after(0, null, deliver)
  }

  /** Messages go their way again; what was kept never arrives. */
  forget(): void {
    this.#stop()
    this.kept.length = 0
  }

  #stop(): void {
    const { interceptors } = this.#cluster.network
    const at = interceptors.indexOf(this.#intercept)
    if (at >= 0) interceptors.splice(at, 1)
  }
}

// ── which messages

/** Of the segment chain, of one kind; between any nodes. */
export function isChain(message: PeerMessage, ...types: readonly ChainMessage['type'][]): boolean {
  return message.type === 'chain' && (types.length === 0 || types.includes(message.message.type))
}

/** An append with records in it, of a certain segment. */
export function isAppendOf(message: PeerMessage, id: SegmentId): boolean {
  return (
    message.type === 'chain' &&
    message.message.type === 'append' &&
    message.message.segment === id &&
    message.message.batches.length > 0
  )
}

/** A command on its way to the leader. */
export function isAsking(message: PeerMessage, does: ReadCommand['do']): boolean {
  return message.type === 'propose' && doesCommand(message.command, does)
}

/** Entries of the metadata's log, one of which does this. */
export function isReplicating(message: PeerMessage, does: ReadCommand['do']): boolean {
  if (message.type !== 'raft' || message.message.type !== 'append') return false
  return message.message.entries.some(entry => entry.type === entryTypes.command && doesCommand(entry.data, does))
}

function doesCommand(data: Buffer, does: ReadCommand['do']): boolean {
  const decoded = decodeCommand(data)
  return 'command' in decoded && decoded.command.do === does
}
