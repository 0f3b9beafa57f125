/**
 * A world in which a script moves everything by hand: nodes with the very core and a disk of records, messages that stay on
 * their way until they are delivered, and the partition's record in a register that stands for Raft. One small function per
 * command of the scripts.
 */
import type { DiskId, NodeId, SegmentId, TopicId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import {
  type ChangeContext,
  changePartition,
  createPartition,
  type PartitionChange,
} from '../../cluster/chain-changes.ts'
import { type Chain, createChain, step } from '../core.ts'
import type { ChainCommand, ChainEffect, ChainEvent, ProposalOutcome, RestoredSegment } from '../events.ts'
import type { ChainMessage, Peer } from '../messages.ts'
import {
  ackQuorumOf,
  type Partition,
  type PartitionId,
  type Placement,
  type Replica,
  type ReplicationConfig,
} from '../segment.ts'
import { type ChainSettings, chainSettings } from '../settings.ts'
import { MemoryStore } from './memory-store.ts'
import { effectText, eventText } from './trace.ts'

export const partition: PartitionId = { topicId: '7'.padStart(32, '0') as TopicId, index: 0 }

export interface Parcel {
  readonly from: Peer
  readonly to: NodeId
  readonly message: ChainMessage
}

interface Pending {
  readonly proposal: number
  readonly command: ChainCommand
  outcome: ProposalOutcome | null
}

export interface ScriptNode {
  peer: Peer
  chain: Chain | null
  store: MemoryStore
  version: number
  nowMs: number
  proposals: Pending[]
}

export class ScriptWorld {
  readonly nodes = new Map<NodeId, ScriptNode>()
  readonly net: Parcel[] = []
  readonly versions: (Partition | null)[] = []
  readonly #outcomes = new Map<string, ProposalOutcome>()
  readonly #tokens: string[] = []
  readonly out: string[] = []
  settings: ChainSettings
  onEffect: (id: number, effect: ChainEffect) => void = () => {}
  nextSegmentId = 1

  constructor(settings: Partial<ChainSettings> = {}) {
    this.settings = settingsWith({ tickMsMax: 60_000, ...settings })
  }

  configure(settings: Partial<ChainSettings>): void {
    this.settings = settingsWith({ ...this.settings, ...settings })
  }

  node(id: number): ScriptNode {
    const node = this.nodes.get(id as NodeId)
    invariant(node !== undefined, `there is no node ${id}`)
    return node
  }

  get record(): Partition | null {
    return this.versions.at(-1) ?? null
  }

  token(name: string): number {
    const at = this.#tokens.indexOf(name)
    return at >= 0 ? at : this.#tokens.push(name) - 1
  }

  // ── nodes

  addNodes(count: number): void {
    for (let id = 1; id <= count; id++) {
      const peer: Peer = { nodeId: id as NodeId, diskId: `d${id}` as DiskId, incarnation: 1 }
      const store = new MemoryStore()
      this.nodes.set(peer.nodeId, {
        peer,
        chain: this.#boot(peer, store, false),
        store,
        version: 0,
        nowMs: 0,
        proposals: [],
      })
    }
  }

  #boot(self: Peer, store: MemoryStore, mayHaveLost: boolean): Chain {
    return createChain({ self, settings: this.settings, restored: store.restored(), mayHaveLost })
  }

  crash(id: number): void {
    const node = this.node(id)
    node.chain = null
    node.proposals = []
  }

  /** `isWiped`: another disk. `standing`: what the node believes of what its disk kept. */
  restart(id: number, options: { readonly isWiped: boolean; readonly standing: RestoredSegment['standing'] }): void {
    const node = this.node(id)
    const { nodeId, diskId, incarnation } = node.peer
    node.peer = { nodeId, diskId: (options.isWiped ? `${diskId}'` : diskId) as DiskId, incarnation: incarnation + 1 }
    node.store = options.isWiped ? new MemoryStore() : node.store.crashed(options.standing)
    node.chain = this.#boot(node.peer, node.store, options.standing === 'dirty')
    node.version = 0
    if (this.versions.length > 0) this.learn(id)
  }

  feed(id: number, event: ChainEvent): void {
    const node = this.node(id)
    if (node.chain === null) return
    if (event.type !== 'tick' && event.type !== 'durable') this.out.push(`${id} <- ${eventText(this, event)}`)
    const effects = step(node.chain, event, node.store)
    for (const effect of effects) this.#perform(id, node, effect)
  }

  #perform(id: number, node: ScriptNode, effect: ChainEffect): void {
    this.out.push(`${id}: ${effectText(this, effect)}`)
    this.onEffect(id, effect)
    if (effect.do === 'write') node.store.write(effect.write, effect.record)
    if (effect.do === 'send') this.net.push({ from: node.peer, to: effect.to, message: effect.message })
    if (effect.do === 'propose') {
      const known = node.proposals.find(({ proposal }) => proposal === effect.proposal)
      if (known === undefined)
        node.proposals.push({ proposal: effect.proposal, command: effect.command, outcome: null })
    }
  }

  nameOf(token: number): string {
    return this.#tokens[token] ?? String(token)
  }

  // ── disks

  sync(id: number, count = Number.POSITIVE_INFINITY): boolean {
    const node = this.node(id)
    if (node.chain === null || node.store.pending.length === 0) return false
    const writes = Math.min(count, node.store.pending.length)
    const write = node.store.sync(writes)
    this.out.push(`${id} <- durable ${write}`)
    this.feed(id, { type: 'durable', write })
    return true
  }

  /** As a driver does with flush=relaxed: done when written; but fences are synced, and everything before them. */
  flush(id: number, count: number): void {
    const node = this.node(id)
    const { pending } = node.store
    const written = pending.slice(0, count)
    const last = written.at(-1)
    if (node.chain === null || last === undefined) return
    node.store.sync(written.findLastIndex(({ record }) => record.kind === 'fence') + 1)
    this.out.push(`${id} <- written ${last.write}`)
    this.feed(id, { type: 'durable', write: last.write })
  }

  // ── the network

  /** Delivers what is on its way now and matches; in order. Gives back how many. */
  deliver(matches: (parcel: Parcel) => boolean = () => true, isKept = false): number {
    const now = this.net.filter(matches)
    for (const parcel of now) {
      if (!isKept) this.net.splice(this.net.indexOf(parcel), 1)
      this.feed(parcel.to, { type: 'message', from: parcel.from, message: parcel.message })
    }
    return now.length
  }

  drop(matches: (parcel: Parcel) => boolean): number {
    const lost = this.net.filter(matches)
    for (const parcel of lost) this.net.splice(this.net.indexOf(parcel), 1)
    return lost.length
  }

  // ── the register

  apply(change: PartitionChange | { readonly do: 'create'; readonly config: ReplicationConfig }): ProposalOutcome {
    if (change.do === 'create') {
      this.versions.push(createPartition(change.config))
      return { kind: 'done', value: 0 }
    }
    const record = this.record
    invariant(record !== null, 'there is no partition')
    const changed = changePartition(record, change, this.#context())
    if (!changed.ok) return { kind: 'refused', error: changed.error }
    if (changed.takesSegmentId) this.nextSegmentId += 1
    if (changed.partition !== record) this.versions.push(changed.partition)
    return { kind: 'done', value: changed.value }
  }

  #context(): ChangeContext {
    const nodes = new Map([...this.nodes].map(([id, { peer }]) => [id, peer]))
    return { nodes, nowMs: 0, nextSegmentId: this.nextSegmentId as SegmentId }
  }

  /** Decides what a node proposed, each request once; the node does not hear of it yet. */
  decide(id: number): boolean {
    const { peer, proposals } = this.node(id)
    let isNew = false
    for (const pending of proposals) {
      if (pending.outcome !== null) continue
      const key = `${id}/${peer.incarnation}/${pending.proposal}`
      const known = this.#outcomes.get(key)
      pending.outcome = known ?? this.apply(pending.command)
      this.#outcomes.set(key, pending.outcome)
      this.out.push(`raft: ${pending.command.do} of ${id}: ${outcomeText(pending.outcome)}`)
      isNew = true
    }
    return isNew
  }

  /** Tells a node what became of its proposals; `isKnown` false: that nobody knows. */
  outcomes(id: number, isKnown = true): boolean {
    const node = this.node(id)
    const told = isKnown ? node.proposals.filter(({ outcome }) => outcome !== null) : [...node.proposals]
    for (const pending of told) {
      if (isKnown) node.proposals.splice(node.proposals.indexOf(pending), 1)
      const outcome: ProposalOutcome = isKnown && pending.outcome !== null ? pending.outcome : { kind: 'unknown' }
      this.feed(id, { type: 'outcome', proposal: pending.proposal, outcome })
    }
    return told.length > 0
  }

  /** A node applies the newest version of the record, as from a snapshot, or just the next one. */
  learn(id: number, isNext = false): boolean {
    const node = this.node(id)
    if (node.chain === null || node.version >= this.versions.length) return false
    node.version = isNext ? node.version + 1 : this.versions.length
    this.feed(id, { type: 'metadata', partition, record: this.versions[node.version - 1] ?? null })
    return true
  }

  /** Everything that is under way comes to its end: messages, syncs, commands and news of the record. */
  settle(): void {
    const ids = [...this.nodes.keys()]
    for (let isMoving = true; isMoving; ) {
      isMoving = this.deliver(({ to }) => this.node(to).chain !== null) > 0
      for (const id of ids) {
        isMoving = this.sync(id) || isMoving
        isMoving = this.decide(id) || isMoving
        isMoving = this.outcomes(id) || isMoving
        isMoving = this.learn(id) || isMoving
      }
    }
  }

  // ── what scripts name

  replicas(ids: readonly number[]): readonly Replica[] {
    return ids.map(id => ({ ...this.node(id).peer }))
  }

  placement(writer: number, ids: readonly number[]): Placement {
    const minInsync = this.record?.config.minInsync ?? 1
    const { incarnation } = this.node(writer).peer
    const ackQuorum = ackQuorumOf(ids.length, minInsync)
    return { writer: writer as NodeId, writerIncarnation: incarnation, replicas: this.replicas(ids), ackQuorum }
  }
}

function settingsWith(settings: Partial<ChainSettings>): ChainSettings {
  const checked = chainSettings(settings)
  invariant(checked !== null, 'a setting lies outside its bounds')
  return checked
}

export function outcomeText(outcome: ProposalOutcome): string {
  if (outcome.kind === 'done') return outcome.value === 0 ? 'done' : `done ${outcome.value}`
  return outcome.kind === 'refused' ? `refused ${outcome.error}` : 'unknown'
}
