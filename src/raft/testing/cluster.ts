/**
 * A few members and what is between them, moved by hand: writes wait until the script says that the disk has them,
 * messages until it delivers or drops them. What happens is told line by line.
 */
import { crc32c } from '../../base/crc32c.ts'
import type { DiskId, LogIndex, NodeId, Term } from '../../base/ids.ts'
import { createRaft, type Raft, step } from '../core.ts'
import type { Effect, RaftEvent, RaftSettings, Snapshot, Write } from '../events.ts'
import type { Member, Membership } from '../membership.ts'
import type { Message } from '../messages.ts'
import type { HardState, RaftEntry } from '../storage.ts'
import { entryTypes } from '../storage.ts'
import { printEffect } from './print.ts'

type WriteEffect = Extract<Effect, { readonly do: 'persist' | 'saveSnapshot' }>

export interface Node {
  readonly self: Member
  readonly initialMembership: Membership
  /** Null while crashed. */
  raft: Raft | null
  readonly disk: Disk
  /** Given to the disk, not yet durable. */
  writes: WriteEffect[]
  held: { readonly after: Write; readonly message: Message }[]
  /** The state machine: the commands applied, one after the other. */
  state: string
}

interface Disk {
  hardState: HardState
  snapshot: Snapshot | null
  entries: RaftEntry[]
}

export const defaultSettings: RaftSettings = {
  electionTicks: 10,
  heartbeatTicks: 1,
  inflightMessagesMax: 16,
  inflightBytesMax: 1 << 20,
  appendBytesMax: 1 << 16,
  uncommittedBytesMax: 1 << 20,
  snapshotChunkBytes: 1 << 16,
  trailingEntries: 0,
  waitingReadsMax: 8,
}

export class Cluster {
  readonly nodes = new Map<number, Node>()
  settings: RaftSettings = defaultSettings
  network: Message[] = []
  /** Pairs `from>to` between which nothing passes. */
  readonly cut = new Set<string>()
  readonly lines: string[] = []
  #token = 0

  clear(): void {
    this.nodes.clear()
    this.cut.clear()
    this.network = []
  }

  nextToken(): number {
    return ++this.#token
  }

  add(self: Member, initialMembership: Membership): void {
    const disk: Disk = { hardState: { term: 0 as Term, votedFor: null }, snapshot: null, entries: [] }
    this.nodes.set(self.nodeId, { self, initialMembership, raft: null, disk, writes: [], held: [], state: '' })
    this.start(self.nodeId)
  }

  node(nodeId: number): Node {
    const node = this.nodes.get(nodeId)
    if (node === undefined) throw new Error(`there is no node ${nodeId}`)
    return node
  }

  /** A new core from what the disk has. */
  start(nodeId: number): void {
    const node = this.node(nodeId)
    const { self, initialMembership, disk } = node
    const restored = { ...disk, entries: [...disk.entries] }
    const electionTicks = this.drawFor(nodeId)
    node.raft = createRaft({ self, settings: this.settings, electionTicks, restored, initialMembership })
    node.state = disk.snapshot?.data.toString() ?? ''
  }

  /** Whatever was not durable is gone. */
  crash(nodeId: number): void {
    const node = this.node(nodeId)
    node.raft = null
    node.writes = []
    node.held = []
  }

  /** The lower the node, the sooner it campaigns; so that scripts say who wins. */
  drawFor(nodeId: number): number {
    return Math.min(this.settings.electionTicks + nodeId, 2 * this.settings.electionTicks - 1)
  }

  feed(nodeId: number, event: RaftEvent): void {
    const node = this.node(nodeId)
    if (node.raft === null) return
    for (const effect of step(node.raft, event)) this.#perform(node, effect)
  }

  #perform(node: Node, effect: Effect): void {
    const { nodeId } = node.self
    this.lines.push(`${nodeId}: ${printEffect(effect)}`)
    switch (effect.do) {
      case 'persist':
      case 'saveSnapshot':
        node.writes.push(effect)
        break
      case 'send':
        if (effect.after === null) this.#send(effect.message)
        else node.held.push({ after: effect.after, message: effect.message })
        break
      case 'apply':
        for (const entry of effect.entries) this.#apply(node, entry)
        break
      case 'restore':
        node.state = effect.snapshot.data.toString()
        this.#applied(node, effect.snapshot.index)
        break
      default:
    }
  }

  #apply(node: Node, { type, index, data }: RaftEntry): void {
    if (type === entryTypes.command) node.state += data.toString()
    this.#applied(node, index)
  }

  #applied(node: Node, index: LogIndex): void {
    this.feed(node.self.nodeId, { type: 'applied', index, checksum: crc32c(Buffer.from(node.state)) })
  }

  #send(message: Message): void {
    if (!this.cut.has(`${message.from.nodeId}>${message.to.nodeId}`)) this.network.push(message)
  }

  /** The oldest `count` writes of a node become durable. Whether there were any. */
  persist(nodeId: number, count = Number.POSITIVE_INFINITY): boolean {
    const node = this.node(nodeId)
    const done = node.writes.splice(0, Math.min(count, node.writes.length))
    const last = done.at(-1)
    if (last === undefined) return false
    for (const write of done) store(node.disk, write)
    const released = node.held.filter(({ after }) => after <= last.write)
    node.held = node.held.filter(({ after }) => after > last.write)
    for (const { message } of released) {
      this.lines.push(`${nodeId}: durable, so ${printEffect({ do: 'send', message, after: null })}`)
      this.#send(message)
    }
    this.feed(nodeId, { type: 'persisted', write: last.write })
    return true
  }

  /** Takes the messages that match out of the network, in the order in which they were sent. */
  take(matches: (message: Message) => boolean): Message[] {
    const taken = this.network.filter(matches)
    this.network = this.network.filter(message => !matches(message))
    return taken
  }

  deliver(message: Message): void {
    const { to } = message
    const node = this.nodes.get(to.nodeId)
    if (node === undefined || node.raft === null) return
    this.feed(to.nodeId, { type: 'message', message })
  }

  /** Persists and delivers among these nodes until nothing moves any more. */
  stabilize(nodeIds: readonly number[]): void {
    const isAmong = ({ from, to }: Message) => nodeIds.includes(from.nodeId) && nodeIds.includes(to.nodeId)
    for (let round = 0; round < 200; round++) {
      let isMoving = false
      for (const nodeId of nodeIds) isMoving = this.persist(nodeId) || isMoving
      for (const message of this.take(isAmong)) {
        this.deliver(message)
        isMoving = true
      }
      if (!isMoving) return
    }
    throw new Error('it does not come to rest')
  }
}

/** What the journal and the snapshot file hold after this write. */
function store(disk: Disk, write: WriteEffect): void {
  if (write.hardState !== null) disk.hardState = write.hardState
  if (write.do === 'persist') {
    const from = write.truncateFrom
    if (from !== null) disk.entries = disk.entries.filter(({ index }) => index < from)
    disk.entries.push(...write.entries)
    return
  }
  const { index } = write.snapshot
  disk.snapshot = write.snapshot
  disk.entries = write.replacesLog ? [] : disk.entries.filter(entry => entry.index > index)
}

export function memberOf(nodeId: number, diskId = `d${nodeId}`): Member {
  return { nodeId: nodeId as NodeId, diskId: diskId as DiskId }
}
