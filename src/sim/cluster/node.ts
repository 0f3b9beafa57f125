/**
 * One life of a simulated node: the Raft core, the metadata machine, leases, the controller and the chain core, and the short
 * driver that performs their effects on a simulated disk and network. It lives from a start to a crash; what a later life has
 * of it is what the disk kept.
 */
import type { NodeId, TopicId } from '../../base/ids.ts'
import { unreachable } from '../../base/invariant.ts'
import type { Prng } from '../../base/prng.ts'
import { type Chain, createChain, highWatermark, logEnd, step as stepChain } from '../../chain/core.ts'
import type { ChainEffect, ChainEvent } from '../../chain/events.ts'
import type { Peer } from '../../chain/messages.ts'
import type { PartitionId, Placement } from '../../chain/segment.ts'
import { type Command, decodeCommand, encodeCommand, fromChain, type Outcome } from '../../cluster/commands.ts'
import { type Controller, control, createController } from '../../cluster/controller.ts'
import {
  createGrantor,
  createHolder,
  type Grantor,
  grantorStep,
  type Holder,
  holderStep,
} from '../../cluster/liveness.ts'
import { Metadata } from '../../cluster/metadata.ts'
import { placeNext, placeTopic } from '../../cluster/placement.ts'
import { decodeMetadata, encodeMetadata } from '../../cluster/snapshot.ts'
import { createRaft, membershipOf, type Raft, step as stepRaft } from '../../raft/core.ts'
import type { Effect as RaftEffect, RaftEvent, Write } from '../../raft/events.ts'
import { lastIndex } from '../../raft/log.ts'
import type { Member, Membership, MembershipChange } from '../../raft/membership.ts'
import { entryTypes, type RaftEntry } from '../../raft/storage.ts'
import type { DiskUser } from './disk.ts'
import type { Host } from './host.ts'
import type { DiskRecord, Identity } from './image.ts'
import type { PeerMessage } from './peer-messages.ts'
import { type OnOutcome, Requests } from './requests.ts'
import type { ClusterTuning } from './tuning.ts'
import type { Witness } from './witness.ts'

export interface Shown {
  readonly highWatermark: number
  readonly leaderEpoch: number
}

export interface TopicWanted {
  readonly partitions: number
  readonly replicas: number
  readonly minInsync: number
}

/** The world as one life of a node needs it. */
export interface NodeWorld {
  readonly tuning: ClusterTuning
  readonly witness: Witness
  readonly initialMembership: Membership
  readonly nodeIds: readonly NodeId[]
  send(from: Host, to: NodeId, message: PeerMessage): void
  answer(node: SimNode, token: number, result: Extract<ChainEffect, { do: 'answer' }>['result']): void
  /** The cluster knows this boot: the others may connect. */
  onRegistered(node: SimNode): void
  /** The node stops by its own decision. */
  stop(node: SimNode, why: string): void
  trace(host: Host, line: () => string): void
}

const checksumEvery = 16
/** At each tick. Who does not lead refuses. */
const readChance = 0.02
const readsMax = 100
const membershipPauseMs = 300

export class SimNode implements DiskUser {
  isGone = false
  readonly host: Host
  readonly member: Member
  incarnation: number
  readonly raft: Raft
  metadata: Metadata
  /** Null until the node is registered: what it answers before would be of a boot that nobody knows. */
  chain: Chain | null = null
  readonly #world: NodeWorld
  readonly #prng: Prng
  /** What the disk knew when this life began, and what it has tried since. */
  #identity: Identity
  readonly #holder: Holder
  readonly #grantor: Grantor
  #controller: Controller
  readonly #raftEvents: RaftEvent[] = []
  readonly #chainEvents: ChainEvent[] = []
  readonly #held: { readonly after: Write; readonly send: () => void }[] = []
  #persisted: Write = 0
  readonly #requests = new Requests()
  /** Remote proposals that this leader took: whom to tell. */
  readonly #origins = new Map<TopicId, NodeId>()
  readonly #chainRequests = new Map<number, { readonly id: TopicId; readonly seen: number }>()
  /** Reads of the metadata that must be current: what was committed, by the witness's count, when they were asked. */
  readonly #reads = new Map<number, number>()
  readonly #lost = new Set<NodeId>()
  readonly #shown = new Map<number, Shown>()
  #isWorking = false
  #leader: NodeId | null = null
  #isLeader = false
  #token = 0
  #appliedIndex = 0
  /** The end of the log when this node came to lead: leaders before it may have committed, and told, all of that. */
  #inheritedIndex = 0
  #snapshotIndex = 0
  #raftTickMs = 0
  #controlMs = 0
  #membershipMs = 0
  #guess: number
  #registration: TopicId

  constructor(host: Host, world: NodeWorld, prng: Prng) {
    this.host = host
    this.#world = world
    this.#prng = prng
    const image = host.disk.written
    const identity = image.identity ?? { nodeId: host.nodeId, diskId: host.newDiskId(), confirmed: 0, attempted: 0 }
    this.incarnation = Math.max(identity.confirmed, identity.attempted) + 1
    this.#guess = this.incarnation
    this.#registration = this.#newRequestId()
    this.#identity = identity
    this.member = { nodeId: identity.nodeId, diskId: identity.diskId }
    host.disk.open(this)
    host.disk.write({ kind: 'identity', identity: { ...identity, attempted: this.incarnation } })
    const { snapshot } = image
    this.metadata = snapshot === null ? new Metadata() : decodeMetadata(snapshot.data)
    this.#appliedIndex = snapshot?.index ?? 0
    this.#snapshotIndex = this.#appliedIndex
    this.raft = createRaft({
      self: this.member,
      settings: world.tuning.raft,
      electionTicks: this.#drawElectionTicks(),
      restored: {
        hardState: image.hardState ?? { term: 0 as never, votedFor: null },
        snapshot,
        entries: image.entries.slice(),
      },
      initialMembership: host.isFounder ? world.initialMembership : [],
    })
    this.#holder = createHolder(world.tuning.liveness)
    holderStep(this.#holder, { type: 'applied', index: this.#appliedIndex })
    this.#grantor = createGrantor(world.tuning.liveness)
    this.#controller = createController(world.tuning.controller)
  }

  get peer(): Peer {
    return { ...this.member, incarnation: this.incarnation }
  }

  get isLeader(): boolean {
    return this.#isLeader
  }

  get leader(): NodeId | null {
    return this.#leader
  }

  get membership(): Membership {
    return membershipOf(this.raft)
  }

  get isMembershipCommitted(): boolean {
    return (this.raft.memberships.at(-1)?.index ?? 0) <= this.raft.commit
  }

  /** Where a partition's next segment would go if its writer were to change. */
  placementAway(partition: PartitionId): Placement | null {
    const { metadata } = this
    const isLive = (nodeId: NodeId) => this.#believesLive(nodeId)
    return placeNext({ metadata, partition, isLive, avoid: [], reason: 'rotation' })
  }

  logEnd(partition: PartitionId): number | null {
    return this.chain === null ? null : logEnd(this.chain, partition)
  }

  highWatermark(partition: PartitionId): number | null {
    return this.chain === null ? null : highWatermark(this.chain, partition)
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  // ── what the world brings

  receive(from: Peer, message: PeerMessage): void {
    switch (message.type) {
      case 'raft':
        this.#feedRaft({ type: 'message', message: message.message })
        break
      case 'chain':
        this.#feedChain({ type: 'message', from, message: message.message })
        break
      case 'propose':
        this.#takeProposal(message)
        break
      case 'proposed':
        if (!message.outcome.ok) this.#guess = Math.max(this.#guess, message.recordedIncarnation + 1)
        this.#requests.settle(message.requestId, message.outcome)
        break
      case 'renew':
        this.#takeRenewal(from, message.incarnation, message.sentAtMs)
        break
      case 'granted':
        if (message.incarnation === this.incarnation) this.#hold(message)
        break
      case 'order':
        if (message.incarnation === this.incarnation) this.#feedChain(message.event)
        break
      default:
        unreachable(message)
    }
    this.#work()
  }

  /** The connection to a peer broke. */
  losePeer(nodeId: NodeId): void {
    this.#lost.add(nodeId)
    this.#feedRaft({ type: 'unreachable', nodeId })
    this.#feedChain({ type: 'peerDown', nodeId })
    if (this.#isLeader) this.#grant({ type: 'peerDown', nodeId, nowMs: this.host.clock.monotonicMs })
    this.#work()
  }

  gainPeer(peer: Peer): void {
    this.#lost.delete(peer.nodeId)
    this.#feedChain({ type: 'peerUp', peer })
    this.#work()
  }

  /** A client's request, or an order of a scenario. */
  feed(event: ChainEvent): void {
    this.#feedChain(event)
    this.#work()
  }

  transfer(to: NodeId): void {
    this.#feedRaft({ type: 'transfer', to })
    this.#work()
  }

  /** The loop came round. `isAfterStall`: it missed its turns, and must not count them. */
  tick(): void {
    const nowMs = this.host.clock.monotonicMs
    if (nowMs >= this.#raftTickMs) {
      this.#feedRaft({ type: 'tick', electionTicks: this.#drawElectionTicks() })
      this.#raftTickMs = nowMs + this.#world.tuning.raftTickMs
    }
    this.#hold({ type: 'tick', nowMs })
    if (this.#isLeader) {
      this.#grant({ type: 'tick', nowMs })
      if (nowMs >= this.#controlMs) this.#control(nowMs)
    }
    if (this.#prng.chance(readChance)) this.#readMetadata()
    this.#feedChain({ type: 'tick', nowMs })
    this.#requests.expire(nowMs)
    this.#work()
  }

  onSynced(records: readonly DiskRecord[]): void {
    this.host.whenAwake(this, () => {
      let raftWrite = 0
      let chainWrite = 0
      for (const record of records) {
        if (record.kind === 'raft') raftWrite = record.save.write
        else if (record.kind === 'chain') chainWrite = record.write
        else this.#onIdentity(record.identity)
      }
      this.#world.witness.onDurable(this, records)
      if (raftWrite > 0) this.#onPersisted(raftWrite)
      if (chainWrite > 0) this.#feedChain({ type: 'durable', write: chainWrite })
      this.#work()
    })
  }

  onSyncFailed(): void {
    this.#world.stop(this, 'a sync failed')
  }

  /** Asks for a command; `onOutcome` gets null when nobody answered in time. */
  propose(command: Command, onOutcome: OnOutcome): void {
    this.#ask(this.#newRequestId(), command, onOutcome)
    this.#work()
  }

  /** Makes the topic that the clients use: an order of the scenario's, carried out by the leader. */
  createTopic(topicId: TopicId, wanted: TopicWanted): void {
    const command = topicCommand(this.metadata, topicId, wanted, nodeId => this.#believesLive(nodeId))
    if (command !== null) this.propose(command, () => {})
  }

  /** What clients are shown here never goes back, although a node that reads through others asks now this one, now that. */
  show(partition: number, now: Shown): Shown {
    const before = this.#shown.get(partition)
    const shown: Shown = {
      highWatermark: Math.max(now.highWatermark, before?.highWatermark ?? 0),
      leaderEpoch: Math.max(now.leaderEpoch, before?.leaderEpoch ?? 0),
    }
    this.#shown.set(partition, shown)
    return shown
  }

  // ── the cores, one event after the other

  #feedRaft(event: RaftEvent): void {
    this.#raftEvents.push(event)
  }

  #feedChain(event: ChainEvent): void {
    if (this.chain !== null) this.#chainEvents.push(event)
  }

  #work(): void {
    if (this.#isWorking) return
    this.#isWorking = true
    while (!this.isGone) {
      const raftEvent = this.#raftEvents.shift()
      if (raftEvent !== undefined) {
        for (const effect of stepRaft(this.raft, raftEvent)) this.#performRaft(effect)
        continue
      }
      const event = this.#chainEvents.shift()
      if (event === undefined || this.chain === null) break
      const effects = stepChain(this.chain, event, this.host.disk.written)
      this.#world.witness.onChainStep(this, event, effects)
      for (const effect of effects) this.#performChain(effect)
    }
    this.#isWorking = false
  }

  #performRaft(effect: RaftEffect): void {
    switch (effect.do) {
      case 'persist':
      case 'saveSnapshot':
        this.host.disk.write({ kind: 'raft', save: effect })
        break
      case 'send': {
        const { message, after } = effect
        const send = () => {
          this.#world.witness.onRaftSend(this, message)
          this.#world.send(this.host, message.to.nodeId, { type: 'raft', message })
        }
        if (after === null || after <= this.#persisted) send()
        else this.#held.push({ after, send })
        break
      }
      case 'apply':
        for (const entry of effect.entries) this.#apply(entry)
        this.#afterApply()
        break
      case 'restore':
        this.metadata = decodeMetadata(effect.snapshot.data)
        this.#appliedIndex = effect.snapshot.index
        this.#snapshotIndex = effect.snapshot.index
        this.#world.witness.onRestore(this)
        this.#requests.settleRemembered(this.metadata.outcomes)
        this.#afterApply()
        break
      case 'role':
        this.#onRole(effect)
        break
      case 'refused':
      case 'dropped':
      case 'accepted':
      case 'readRefused':
      case 'membership':
        break
      case 'readReady':
        this.#world.witness.onReadReady(this, this.#reads.get(effect.token) ?? 0, effect.index)
        this.#reads.delete(effect.token)
        break
      case 'diverged':
        this.#world.witness.report('diverged metadata', `node ${this.host.nodeId} at index ${effect.index}`)
        this.#world.stop(this, 'its metadata is not the leader’s')
        break
      default:
        unreachable(effect)
    }
  }

  #performChain(effect: ChainEffect): void {
    switch (effect.do) {
      case 'write':
        this.host.disk.write({ kind: 'chain', write: effect.write, record: effect.record })
        break
      case 'send':
        this.#world.send(this.host, effect.to, { type: 'chain', message: effect.message })
        break
      case 'answer':
        this.#world.answer(this, effect.token, effect.result)
        break
      case 'propose':
        this.#proposeForChain(effect)
        break
      case 'place': {
        const { partition, reason, avoid } = effect
        const next = placeNext({
          metadata: this.metadata,
          partition,
          isLive: nodeId => this.#believesLive(nodeId),
          avoid,
          reason,
        })
        this.#feedChain({ type: 'placement', partition, reason, next })
        break
      }
      case 'readable':
        break
      case 'halt':
        this.#world.witness.report('halt', `node ${this.host.nodeId}: ${effect.sentence}`)
        this.#world.stop(this, effect.sentence)
        break
      default:
        unreachable(effect)
    }
  }

  // ── Raft

  #onPersisted(write: Write): void {
    this.#persisted = Math.max(this.#persisted, write)
    this.#feedRaft({ type: 'persisted', write })
    let count = 0
    while (count < this.#held.length && (this.#held[count] as { after: Write }).after <= this.#persisted) count++
    for (const { send } of this.#held.splice(0, count)) send()
  }

  #apply(entry: RaftEntry): void {
    this.#appliedIndex = entry.index
    this.#world.witness.onEntry(this, entry)
    if (entry.type === entryTypes.command) {
      const decoded = decodeCommand(entry.data)
      if ('unknownType' in decoded) {
        this.#world.witness.report('unknown command', `type ${decoded.unknownType}`)
        return
      }
      const outcome = this.metadata.apply(decoded.command, decoded.requestId, decoded.seen)
      this.#requests.settle(decoded.requestId, outcome)
      const origin = this.#origins.get(decoded.requestId)
      if (origin !== undefined) {
        this.#origins.delete(decoded.requestId)
        this.#sendOutcome(origin, decoded.requestId, outcome)
      }
    }
    const checksum = entry.index % checksumEvery === 0 ? this.metadata.checksum() : null
    this.#feedRaft({ type: 'applied', index: entry.index, checksum })
  }

  #afterApply(): void {
    for (const partition of this.metadata.takeTouched()) {
      this.#feedChain({ type: 'metadata', partition, record: this.metadata.partition(partition) })
    }
    this.#hold({ type: 'applied', index: this.#appliedIndex })
    if (this.#appliedIndex - this.#snapshotIndex < this.#world.tuning.snapshotEntries) return
    this.#snapshotIndex = this.#appliedIndex
    this.#feedRaft({ type: 'snapshotTaken', index: this.#appliedIndex as never, data: encodeMetadata(this.metadata) })
  }

  #onRole(effect: Extract<RaftEffect, { do: 'role' }>): void {
    this.#leader = effect.leader?.nodeId ?? null
    const leads = effect.role === 'leader'
    this.#world.witness.onRole(this, effect.role, effect.term)
    this.#world.trace(this.host, () => `${effect.role} in term ${effect.term}`)
    if (leads === this.#isLeader) return
    this.#isLeader = leads
    const nowMs = this.host.clock.monotonicMs
    if (!leads) {
      this.#origins.clear()
      this.#grant({ type: 'retire' })
      return
    }
    this.#inheritedIndex = lastIndex(this.raft.log)
    this.#controller = createController(this.#world.tuning.controller)
    this.#grant({ type: 'lead', nowMs, nodes: [...this.metadata.nodes.keys()] })
  }

  #drawElectionTicks(): number {
    const { electionTicks } = this.#world.tuning.raft
    return this.#prng.between(electionTicks, 2 * electionTicks)
  }

  /** A read that must see everything that was committed anywhere before it was asked. */
  #readMetadata(): void {
    const token = ++this.#token
    if (this.#reads.size >= readsMax) this.#reads.clear()
    this.#reads.set(token, this.#world.witness.referenceIndex)
    this.#feedRaft({ type: 'read', token })
  }

  // ── proposals: any node asks, the leader decides, everybody sees the outcome in the log

  #newRequestId(): TopicId {
    return this.#prng.bytes(16).toString('hex') as TopicId
  }

  /** `seen` is how much of the log this node had applied when it first asked for it. */
  #ask(requestId: TopicId, command: Command, onOutcome: OnOutcome, seen = this.metadata.applied): void {
    const deadlineMs = this.host.clock.monotonicMs + this.#world.tuning.proposeTimeoutMs
    this.#requests.add(requestId, deadlineMs, onOutcome)
    const encoded = encodeCommand(command, requestId, seen)
    const message = { type: 'propose', requestId, command: encoded, origin: this.host.nodeId, hops: 0 } as const
    if (this.#isLeader) this.#takeProposal(message)
    else {
      const others = this.#world.nodeIds.filter(nodeId => nodeId !== this.host.nodeId)
      this.#world.send(this.host, this.#leader ?? this.#prng.pick(others), message)
    }
  }

  #takeProposal(message: Extract<PeerMessage, { type: 'propose' }>): void {
    if (this.#isLeader) {
      if (message.origin !== this.host.nodeId) this.#origins.set(message.requestId, message.origin)
      this.#feedRaft({ type: 'propose', token: ++this.#token, data: message.command })
    } else if (message.hops === 0 && this.#leader !== null && this.#leader !== this.host.nodeId) {
      this.#world.send(this.host, this.#leader, { ...message, hops: 1 })
    }
  }

  #sendOutcome(to: NodeId, requestId: TopicId, outcome: Outcome): void {
    const recordedIncarnation = this.metadata.nodes.get(to)?.incarnation ?? 0
    this.#world.send(this.host, to, { type: 'proposed', requestId, outcome, recordedIncarnation })
  }

  #proposeForChain(effect: Extract<ChainEffect, { do: 'propose' }>): void {
    const { proposal, command } = effect
    const { id, seen } = this.#chainRequests.get(proposal) ?? { id: this.#newRequestId(), seen: this.metadata.applied }
    this.#chainRequests.set(proposal, { id, seen })
    const onOutcome = (outcome: Outcome | null) => {
      this.#feedChain({
        type: 'outcome',
        proposal,
        outcome:
          outcome === null
            ? { kind: 'unknown' }
            : outcome.ok
              ? { kind: 'done', value: outcome.value }
              : { kind: 'refused', error: outcome.error },
      })
    }
    this.#ask(id, fromChain(command, this.host.clock.wallMs), onOutcome, seen)
  }

  // ── who this node is

  #onIdentity(identity: Identity): void {
    if (identity.attempted === this.incarnation && identity.confirmed !== this.incarnation) this.#register()
  }

  /** Asks until the cluster knows this boot; only then does the node hold replicas. */
  #register(): void {
    if (this.chain !== null) return
    const { confirmed, attempted } = this.#identity
    const { nodeId, diskId } = this.member
    if (this.#guess > this.incarnation && confirmed === 0) {
      // Another disk under this node's id: the cluster knows higher numbers.
      this.#identity = { ...this.#identity, attempted: this.incarnation }
      this.incarnation = this.#guess
      this.#registration = this.#newRequestId()
      this.host.disk.write({ kind: 'identity', identity: { ...this.#identity, attempted: this.incarnation } })
      return
    }
    const command: Command = { do: 'registerNode', nodeId, diskId, confirmed, attempted, incarnation: this.incarnation }
    // One request for each number: when its answer is lost, asking again gets the same one.
    const onOutcome = (outcome: Outcome | null) => {
      // The answer to an earlier try does not register this one.
      if (outcome?.ok === true && command.incarnation === this.incarnation) this.#onRegistered()
      else if (this.chain === null) {
        // A refusal is final for its request: the node before may still count as up, and be down by the next try.
        if (outcome?.ok === false) this.#registration = this.#newRequestId()
        this.#retryRegistration()
      }
    }
    // A node that is not registered may have nothing of the log.
    this.#ask(this.#registration, command, onOutcome, -1)
    this.#work()
  }

  #retryRegistration(): void {
    this.host.timeline.after(this.#world.tuning.proposeTimeoutMs, this, () => {
      if (this.metadata.nodes.get(this.host.nodeId)?.incarnation === this.incarnation) this.#onRegistered()
      else if (this.chain === null) this.#register()
    })
  }

  #onRegistered(): void {
    if (this.chain !== null) return
    const { nodeId, diskId } = this.member
    const known = { nodeId, diskId, confirmed: this.incarnation, attempted: this.incarnation }
    this.host.disk.write({ kind: 'identity', identity: known })
    const restored = this.host.disk.written.restored(this.host.standing)
    this.chain = createChain({ self: this.peer, settings: this.#world.tuning.chain, restored })
    this.#world.witness.onChainStart(this, restored)
    this.#world.onRegistered(this)
    for (const partition of this.metadata.allPartitions()) {
      this.#feedChain({ type: 'metadata', partition, record: this.metadata.partition(partition) })
    }
    this.#work()
  }

  // ── leases and orders

  #hold(event: Parameters<typeof holderStep>[1]): void {
    for (const effect of holderStep(this.#holder, event)) {
      if (effect.do === 'lease') this.#feedChain({ type: 'lease', untilMs: effect.untilMs })
      else if (this.chain !== null) this.#renew(effect.sentAtMs)
    }
  }

  #renew(sentAtMs: number): void {
    if (this.#isLeader) this.#takeRenewal(this.peer, this.incarnation, sentAtMs)
    else if (this.#leader !== null) {
      this.#world.send(this.host, this.#leader, { type: 'renew', incarnation: this.incarnation, sentAtMs })
    }
  }

  #takeRenewal(from: Peer, incarnation: number, sentAtMs: number): void {
    if (!this.#isLeader || this.metadata.nodes.get(from.nodeId)?.incarnation !== incarnation) return
    this.#grant({ type: 'renewal', nodeId: from.nodeId, incarnation, nowMs: this.host.clock.monotonicMs })
    const knownThrough = Math.max(this.#appliedIndex, this.#inheritedIndex)
    if (from.nodeId === this.host.nodeId) this.#hold({ type: 'granted', sentAtMs, knownThrough })
    else this.#world.send(this.host, from.nodeId, { type: 'granted', incarnation, sentAtMs, knownThrough })
  }

  #grant(event: Parameters<typeof grantorStep>[1]): void {
    for (const effect of grantorStep(this.#grantor, event)) {
      const isUp = effect.do === 'returned'
      if (!isUp) this.#world.witness.onLeaseOver(this, effect, this.#world.tuning)
      this.#world.trace(this.host, () => `lease of node ${effect.nodeId} ${effect.do}`)
      const command: Command = { do: 'setNodeUp', nodeId: effect.nodeId, incarnation: effect.incarnation, isUp }
      this.#ask(this.#newRequestId(), command, () => {})
    }
  }

  #control(nowMs: number): void {
    this.#controlMs = nowMs + this.#world.tuning.controlMs
    const { metadata } = this
    const { wallMs } = this.host.clock
    for (const order of control(this.#controller, { metadata, grantor: this.#grantor, nowMs, wallMs })) {
      if (order.do === 'propose') {
        this.#ask(this.#newRequestId(), order.command, () => {})
        continue
      }
      this.#world.trace(this.host, () => `orders node ${order.to}: ${order.event.type}`)
      const incarnation = this.metadata.nodes.get(order.to)?.incarnation ?? 0
      if (order.to === this.host.nodeId) this.#feedChain(order.event)
      else this.#world.send(this.host, order.to, { type: 'order', incarnation, event: order.event })
    }
    if (nowMs >= this.#membershipMs) this.#repairMembership(nowMs)
  }

  /** A node that came back with another disk takes the place of its former self among the voters, a step at a time. */
  #repairMembership(nowMs: number): void {
    this.#membershipMs = nowMs + membershipPauseMs
    const change = nextMembershipChange(this.membership, this.metadata)
    if (change !== null) this.#feedRaft({ type: 'changeMembership', token: ++this.#token, change })
  }

  #believesLive(nodeId: NodeId): boolean {
    return this.metadata.nodes.get(nodeId)?.isUp === true && !this.#lost.has(nodeId)
  }
}

/** The next step towards having every registered node, with the disk that it has now, among the voters. */
function nextMembershipChange(membership: Membership, metadata: Metadata): MembershipChange | null {
  for (const { nodeId, diskId } of membership) {
    const node = metadata.nodes.get(nodeId)
    if (node !== undefined && node.diskId !== diskId) return { kind: 'remove', member: { nodeId, diskId } }
  }
  for (const [nodeId, { diskId }] of metadata.nodes) {
    const seat = membership.find(other => other.nodeId === nodeId)
    // Whether it is up does not matter: one that is no member does not know the leader, and so gets no lease.
    if (seat?.role === 'voter') continue
    return { kind: seat === undefined ? 'addLearner' : 'promote', member: { nodeId, diskId } }
  }
  return null
}

function topicCommand(
  metadata: Metadata,
  topicId: TopicId,
  wanted: TopicWanted,
  isLive: (nodeId: NodeId) => boolean,
): Command | null {
  const { partitions, replicas, minInsync } = wanted
  const replication = { replicas, minInsync, flush: 'sync', uncleanSeal: false } as const
  const placements = placeTopic({ metadata, isLive }, { topicId, partitions, replication })
  if (placements.length < partitions) return null
  return { do: 'createTopic', topicId, name: 'orders', partitions, configs: [], nowMs: 0, replication, placements }
}
