/**
 * A group of members in a world where everything goes wrong that may: messages are lost, doubled and overtake each
 * other, disks are late, nodes crash with what is not durable, members come and go, a disk is wiped. After each step
 * the promises of Raft are checked; in the end the world heals and the group must work again. One seed is one run.
 */
import assert from 'node:assert/strict'
import { crc32c } from '../../base/crc32c.ts'
import type { DiskId, LogIndex, NodeId, Term } from '../../base/ids.ts'
import { Prng } from '../../base/prng.ts'
import { createRaft, isLeader, membershipOf, type Raft, step } from '../core.ts'
import type { Effect, RaftEvent, RaftSettings, Snapshot, Write } from '../events.ts'
import { entryAt, lastIndex, termAt } from '../log.ts'
import { decodeMembership, isSameMember, type Member, type Membership } from '../membership.ts'
import type { Message } from '../messages.ts'
import { entryTypes, type HardState, type RaftEntry } from '../storage.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly steps: number
  readonly voters: number
  readonly spares: number
}

export interface ChaosReport {
  readonly elections: number
  readonly committed: number
  readonly crashes: number
  readonly restores: number
  readonly changes: number
  readonly reads: number
  readonly truncations: number
  readonly wiped: number
}

type WriteEffect = Extract<Effect, { readonly do: 'persist' | 'saveSnapshot' }>

interface Disk {
  hardState: HardState
  snapshot: Snapshot | null
  entries: RaftEntry[]
}

interface Node {
  self: Member
  initialMembership: Membership
  raft: Raft | null
  disk: Disk
  writes: WriteEffect[]
  held: { readonly after: Write; readonly message: Message }[]
  /** Applied so far: index and a running checksum over all commands. */
  state: { index: LogIndex; sum: number }
  /** How likely each is in this run's current weather. */
  isSlowDisk: boolean
}

const settings: RaftSettings = {
  electionTicks: 10,
  heartbeatTicks: 2,
  inflightMessagesMax: 3,
  inflightBytesMax: 400,
  appendBytesMax: 120,
  uncommittedBytesMax: 1000,
  snapshotChunkBytes: 3,
  trailingEntries: 2,
  waitingReadsMax: 4,
}

export function runChaos(options: ChaosOptions): ChaosReport {
  const chaos = new Chaos(options)
  chaos.run()
  return chaos.report
}

/** How often what happens, in one run. Runs differ widely, as some faults show only where others are rare. */
interface Rates {
  readonly tick: number
  readonly propose: number
  readonly read: number
  readonly snapshot: number
  readonly transfer: number
  readonly change: number
  readonly crash: number
  readonly restart: number
  readonly weather: number
  readonly wipe: number
  readonly slowDisk: number
  readonly late: number
}

function drawRates(prng: Prng): Rates {
  return {
    tick: prng.pick([0.1, 0.3, 0.5]),
    propose: prng.pick([0.02, 0.1, 0.4]),
    read: prng.pick([0, 0.03, 0.2]),
    snapshot: prng.pick([0, 0.01, 0.05]),
    transfer: prng.pick([0, 0.005, 0.02]),
    change: prng.pick([0, 0.01, 0.05]),
    crash: prng.pick([0, 0.003, 0.02]),
    restart: prng.pick([0.02, 0.1, 0.5]),
    weather: prng.pick([0.001, 0.005, 0.02]),
    wipe: prng.pick([0, 0, 0.001, 0.004]),
    slowDisk: prng.pick([0.1, 0.5]),
    late: prng.pick([0, 0.01, 0.1]),
  }
}

class Chaos {
  readonly #prng: Prng
  readonly #options: ChaosOptions
  readonly #nodes = new Map<NodeId, Node>()
  #network: Message[] = []
  /** Sent, and still to arrive long after what was sent later. */
  #late: Message[] = []
  readonly #cut = new Set<string>()
  #loss = 0
  readonly #rates: Rates
  #token = 0
  #disks = 0

  // What has been seen, by all members together.
  readonly #leaders = new Map<number, Member>()
  readonly #votes = new Map<string, Member>()
  readonly #committed: RaftEntry[] = []
  /** The term of the member that first applied each: no less than the one in which it was committed. */
  readonly #committedIn: number[] = []
  readonly #sums: number[] = [0]
  /** What the committed entries say about the members, after each index; index 0 is the initial membership. */
  readonly #memberships: Membership[] = []
  readonly #reads = new Map<number, number>()
  readonly #seen = new Set<string>()
  #wiped: Member | null = null
  readonly report = {
    elections: 0,
    committed: 0,
    crashes: 0,
    restores: 0,
    changes: 0,
    reads: 0,
    truncations: 0,
    wiped: 0,
  }

  constructor(options: ChaosOptions) {
    this.#options = options
    this.#prng = new Prng(options.seed)
    this.#rates = drawRates(this.#prng)
    const voters = Array.from({ length: options.voters }, (_, i) => ({
      ...this.#newMember(i + 1),
      role: 'voter' as const,
    }))
    this.#memberships.push(voters)
    for (const seat of voters) this.#add({ nodeId: seat.nodeId, diskId: seat.diskId }, voters)
    for (let i = 1; i <= options.spares; i++) this.#add(this.#newMember(options.voters + i), [])
  }

  run(): void {
    for (let i = 0; i < this.#options.steps; i++) this.#anything()
    this.#heal()
  }

  #newMember(nodeId: number): Member {
    return { nodeId: nodeId as NodeId, diskId: `disk${++this.#disks}` as DiskId }
  }

  #add(self: Member, initialMembership: Membership): void {
    const disk: Disk = { hardState: { term: 0 as Term, votedFor: null }, snapshot: null, entries: [] }
    const state = { index: 0 as LogIndex, sum: 0 }
    const node = { self, initialMembership, raft: null, disk, writes: [], held: [], state, isSlowDisk: false }
    this.#nodes.set(self.nodeId, node)
    this.#start(node)
  }

  #draw(): number {
    return this.#prng.between(settings.electionTicks, 2 * settings.electionTicks)
  }

  #start(node: Node): void {
    const { self, initialMembership, disk } = node
    const restored = { ...disk, entries: [...disk.entries] }
    node.raft = createRaft({ self, settings, electionTicks: this.#draw(), restored, initialMembership })
    const { snapshot } = disk
    node.state = snapshot === null ? { index: 0 as LogIndex, sum: 0 } : { index: snapshot.index, sum: sumIn(snapshot) }
  }

  #crash(node: Node): void {
    this.report.crashes++
    // Some of what was under way made it to the disk, and was never heard of.
    for (const write of node.writes.slice(0, this.#prng.between(0, node.writes.length + 1))) store(node.disk, write)
    node.raft = null
    node.writes = []
    node.held = []
  }

  #anything() {
    const { chance, pick } = {
      chance: (p: number) => this.#prng.chance(p),
      pick: <T>(of: readonly T[]) => this.#prng.pick(of),
    }
    const node = pick([...this.#nodes.values()])
    if (node.raft === null) {
      if (chance(this.#rates.restart)) this.#start(node)
      return
    }
    const rates = this.#rates
    if (this.#late.length > 0 && chance(0.01))
      this.#network.unshift(...this.#late.splice(this.#prng.between(0, this.#late.length), 1))
    if (chance(rates.tick)) return this.#feed(node, { type: 'tick', electionTicks: this.#draw() })
    if (this.#network.length > 0 && chance(0.75)) return this.#deliverOne()
    if (chance(node.isSlowDisk ? 0.05 : 0.7)) this.#persist(node, this.#prng.between(1, 4))
    if (chance(rates.propose)) this.#propose(node)
    if (chance(rates.read)) this.#read(node)
    if (chance(rates.snapshot)) this.#snapshot(node)
    if (chance(0.01)) this.#feed(node, { type: 'unreachable', nodeId: pick([...this.#nodes.keys()]) })
    if (chance(rates.transfer)) this.#feed(node, { type: 'transfer', to: pick([...this.#nodes.keys()]) })
    if (chance(rates.change)) this.#changeMembers(node)
    if (chance(rates.crash)) this.#crash(node)
    if (chance(rates.weather)) this.#weather(node)
    if (chance(rates.wipe)) this.#wipe(node)
  }

  #snapshot(node: Node): void {
    this.#feed(node, { type: 'snapshotTaken', index: node.state.index, data: stateBytes(node.state) })
  }

  #deliverOne(): void {
    // Mostly the oldest of a few, sometimes any: messages overtake each other.
    const reach = this.#prng.chance(0.9) ? Math.min(3, this.#network.length) : this.#network.length
    const at = this.#prng.between(0, reach)
    const message = this.#network[at]!
    if (!this.#prng.chance(0.04)) this.#network.splice(at, 1)
    if (this.#prng.chance(this.#rates.late)) {
      this.#late.push(message)
      if (this.#late.length > 100) this.#late.shift()
      return
    }
    if (this.#prng.chance(this.#loss) || this.#cut.has(`${message.from.nodeId}>${message.to.nodeId}`)) return
    const node = this.#nodes.get(message.to.nodeId)
    if (node !== undefined) this.#feed(node, { type: 'message', message })
  }

  #propose(node: Node): void {
    const token = ++this.#token
    this.#feed(node, { type: 'propose', token, data: Buffer.from(`c${token}`) })
  }

  #read(node: Node): void {
    const token = ++this.#token
    this.#reads.set(token, this.#committed.length)
    this.#feed(node, { type: 'read', token })
  }

  #changeMembers(node: Node): void {
    const raft = node.raft!
    if (!isLeader(raft)) return
    const membership = membershipOf(raft)
    const token = ++this.#token
    const wiped = this.#wiped
    if (
      wiped !== null &&
      !membership.some(seat => isSameMember(seat, wiped)) &&
      raft.memberships.at(-1)!.index <= raft.commit
    ) {
      this.#wiped = null
    }
    const others = [...this.#nodes.values()].filter(({ self }) => !membership.some(seat => seat.nodeId === self.nodeId))
    const voters = membership.filter(seat => seat.role === 'voter')
    const learners = membership.filter(seat => seat.role === 'learner')
    if (this.#wiped !== null) {
      this.#feed(node, { type: 'changeMembership', token, change: { kind: 'remove', member: this.#wiped } })
    } else if (others.length > 0 && this.#prng.chance(0.5)) {
      this.#feed(node, {
        type: 'changeMembership',
        token,
        change: { kind: 'addLearner', member: this.#prng.pick(others).self },
      })
    } else if (learners.length > 0 && this.#prng.chance(0.7)) {
      this.#feed(node, {
        type: 'changeMembership',
        token,
        change: { kind: 'promote', member: this.#prng.pick(learners) },
      })
    } else if (voters.length > 2 || (voters.length > 1 && this.#prng.chance(0.2))) {
      this.#feed(node, {
        type: 'changeMembership',
        token,
        change: { kind: 'remove', member: this.#prng.pick(membership) },
      })
    }
  }

  #weather(node: Node): void {
    const { chance } = { chance: (p: number) => this.#prng.chance(p) }
    node.isSlowDisk = chance(this.#rates.slowDisk)
    this.#loss = this.#prng.pick([0, 0.02, 0.1, 0.3])
    this.#cut.clear()
    if (chance(0.4)) return
    // Now and then the one that leads is cut off from all, in one direction or both; else any path is.
    const leader = [...this.#nodes.values()].find(({ raft }) => raft !== null && isLeader(raft))
    const alone = chance(0.6) ? leader?.self.nodeId : undefined
    const isOneWay = chance(0.3)
    for (const from of this.#nodes.keys()) {
      for (const to of this.#nodes.keys()) {
        const isCut = alone === undefined ? chance(0.25) : from === alone || (to === alone && !isOneWay)
        if (from !== to && isCut) this.#cut.add(`${from}>${to}`)
      }
    }
  }

  /**
   * A node comes back with an empty disk: one at a time, and never so many that what was committed is lost with them.
   */
  #wipe(node: Node): void {
    const votersOf = ({ raft }: Node) => {
      if (raft === null) return 0
      const voters = membershipOf(raft).filter(seat => seat.role === 'voter').length
      return voters === 0 ? Number.POSITIVE_INFINITY : voters
    }
    if (this.#wiped !== null || Math.min(...[...this.#nodes.values()].map(votersOf)) < 3) return
    this.#crash(node)
    this.report.wiped++
    this.#wiped = node.self
    this.#add(this.#newMember(node.self.nodeId), [])
  }

  #persist(node: Node, count: number): void {
    const done = node.writes.splice(0, count)
    const last = done.at(-1)
    if (last === undefined) return
    for (const write of done) store(node.disk, write)
    const released = node.held.filter(({ after }) => after <= last.write)
    node.held = node.held.filter(({ after }) => after > last.write)
    if (this.#prng.chance(0.5)) this.#feed(node, { type: 'persisted', write: last.write })
    for (const { message } of released) this.#send(message)
    this.#feed(node, { type: 'persisted', write: last.write })
  }

  #send(message: Message): void {
    if (message.type === 'voteReply' && message.isGranted) {
      const vote = `${message.from.nodeId}:${message.from.diskId} in ${message.term}`
      const earlier = this.#votes.get(vote)
      assert.ok(earlier === undefined || isSameMember(earlier, message.to), `${vote} votes twice`)
      this.#votes.set(vote, message.to)
    }
    this.#network.push(message)
    if (this.#network.length > 400) this.#network.shift()
  }

  #feed(node: Node, event: RaftEvent): void {
    if (node.raft === null) return
    const effects = step(node.raft, event)
    for (const effect of effects) this.#perform(node, effect)
  }

  #perform(node: Node, effect: Effect): void {
    switch (effect.do) {
      case 'persist':
        if (effect.truncateFrom !== null) this.report.truncations++
        node.writes.push(effect)
        break
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
        this.report.restores++
        node.state = { index: effect.snapshot.index, sum: sumIn(effect.snapshot) }
        assert.equal(node.state.sum, this.#sums[effect.snapshot.index], 'a snapshot is the state at its index')
        this.#checkMembership(node, effect.snapshot.index)
        this.#feed(node, { type: 'applied', index: node.state.index, checksum: node.state.sum })
        break
      case 'role':
        if (effect.role === 'leader') this.#checkLeader(node)
        break
      case 'readReady':
        this.report.reads++
        assert.ok(effect.index >= this.#reads.get(effect.token)!, 'a read sees all that was committed before it')
        break
      case 'diverged':
        assert.fail('the states differ')
        break
      case 'membership':
        this.report.changes++
        break
      default:
    }
  }

  #checkLeader(node: Node): void {
    const raft = node.raft!
    const earlier = this.#leaders.get(raft.term)
    assert.ok(earlier === undefined || isSameMember(earlier, node.self), `term ${raft.term} has two leaders`)
    this.#leaders.set(raft.term, node.self)
    this.report.elections++
    // One may come to lead an old term late; it need not have what was committed in newer ones.
    for (const [i, { term }] of this.#committed.entries()) {
      const index = (i + 1) as LogIndex
      if (this.#committedIn[i]! >= raft.term) break
      assert.ok(index <= lastIndex(raft.log), 'a leader has all that is committed')
      if (index >= raft.log.beforeIndex) assert.equal(termAt(raft.log, index), term, 'a leader has what is committed')
    }
  }

  #apply(node: Node, entry: RaftEntry): void {
    const { raft } = node
    assert.equal(entry.index, node.state.index + 1, 'entries are applied in order')
    assert.ok(isDurable(node.disk, entry), 'what is applied is on this disk')
    const known = this.#committed[entry.index - 1]
    if (known === undefined) {
      assert.equal(this.#committed.length, entry.index - 1, 'what is committed is dense')
      this.#committed.push(entry)
      this.#committedIn.push(raft!.term)
      this.report.committed++
      this.#sums.push(nextSum(this.#sums.at(-1)!, entry))
      const isChange = entry.type === entryTypes.membership
      this.#memberships.push(isChange ? decodeMembership(entry.data) : this.#memberships.at(-1)!)
      const text = entry.data.toString()
      if (entry.type === entryTypes.command) assert.ok(!this.#seen.has(text), 'a proposal is committed once')
      this.#seen.add(text)
    } else {
      assert.equal(entry.term, known.term, 'all apply the same')
      assert.ok(entry.data.equals(known.data), 'all apply the same')
    }
    assert.ok(entryAt(raft!.log, entry.index) !== null, 'what is applied is in the log')
    this.#checkMembership(node, entry.index)
    node.state = { index: entry.index, sum: nextSum(node.state.sum, entry) }
    this.#feed(node, { type: 'applied', index: entry.index, checksum: node.state.sum })
  }

  #checkMembership(node: Node, index: LogIndex): void {
    const { membership } = node.raft!.memberships.findLast(at => at.index <= index)!
    // A member that was added learns the members from the log: before that it knows of none.
    if (membership.length > 0) assert.deepEqual(membership, this.#memberships[index], 'all know the same members')
  }

  /** All nodes up, all paths open: one of them leads, and what it is told reaches all members. */
  #heal(): void {
    this.#cut.clear()
    this.#loss = 0
    for (const node of this.#nodes.values()) if (node.raft === null) this.#start(node)
    const isDone = () => this.#isHealed()
    for (let tick = 0; tick < 3000; tick++) {
      for (const node of this.#nodes.values()) this.#feed(node, { type: 'tick', electionTicks: this.#draw() })
      for (const message of this.#network.splice(0)) {
        const node = this.#nodes.get(message.to.nodeId)
        if (node !== undefined) this.#feed(node, { type: 'message', message })
      }
      for (const node of this.#nodes.values()) this.#persist(node, Number.POSITIVE_INFINITY)
      if (tick % 50 === 49) {
        const leader = [...this.#nodes.values()].find(node => node.raft !== null && isLeader(node.raft))
        if (leader !== undefined) this.#propose(leader)
      }
      if (tick > 200 && isDone()) return
    }
    const lines = [...this.#nodes.values()].map(
      ({ self, raft }) =>
        `${self.nodeId}: ${raft?.role} term=${raft?.term} leader=${raft?.leader?.nodeId} last=${lastIndex(raft!.log)} commit=${raft?.commit} applied=${raft?.applied} ${JSON.stringify(membershipOf(raft!))}`,
    )
    assert.fail(`the group does not heal (${this.#wiped?.nodeId} wiped)\n${lines.join('\n')}`)
  }

  #isHealed(): boolean {
    const leader = [...this.#nodes.values()]
      .filter(({ raft }) => raft !== null && isLeader(raft))
      .sort((a, b) => b.raft!.term - a.raft!.term)[0]
    if (leader === undefined || leader.raft!.leading.uncommittedBytes > 0) return false
    const { commit } = leader.raft!
    return membershipOf(leader.raft!).every(seat => {
      const node = this.#nodes.get(seat.nodeId)!
      return !isSameMember(node.self, seat) || node.state.index >= commit - 1
    })
  }
}

function isDurable(disk: Disk, { index, term }: RaftEntry): boolean {
  if (index <= (disk.snapshot?.index ?? 0)) return true
  return disk.entries.some(entry => entry.index === index && entry.term === term)
}

function nextSum(sum: number, { type, data }: RaftEntry): number {
  return type === entryTypes.command ? crc32c(data, sum) : sum
}

function stateBytes({ sum }: Node['state']): Buffer {
  return Buffer.from(`sum ${sum}`)
}

function sumIn(snapshot: Snapshot): number {
  return Number(snapshot.data.toString().slice(4))
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
  disk.snapshot = write.snapshot
  disk.entries = write.replacesLog ? [] : disk.entries.filter(({ index }) => index > write.snapshot.index)
}
