/**
 * Faults at random, each of a kind that the protocols must survive, at gaps that the seed draws. It never destroys more than
 * they promise to survive: a disk is wiped only while every record and every vote has enough copies elsewhere.
 */
import type { NodeId } from '../../base/ids.ts'
import type { Prng } from '../../base/prng.ts'
import type { Segment } from '../../chain/segment.ts'
import type { Cluster } from './cluster.ts'
import { calmDisk } from './disk.ts'
import { calmNetwork } from './network.ts'

export type Trouble =
  | 'crash'
  | 'restart'
  | 'power loss'
  | 'partition'
  | 'one-way partition'
  | 'flapping'
  | 'stall'
  | 'wipe'
  | 'drift'
  | 'clock jump'
  | 'slow disk'
  | 'failed sync'
  | 'rotation'
  | 'transfer'
  | 'stray recovery'
  | 'hidden from clients'

/** Mean gap between two troubles of a kind, in milliseconds; a kind that is missing does not happen. */
export type Troubles = Readonly<Partial<Record<Trouble, number>>>

export class Nemesis {
  readonly happened = new Map<Trouble, number>()
  readonly #cluster: Cluster
  readonly #prng: Prng
  readonly #troubles: Troubles
  #isOver = false

  constructor(cluster: Cluster, troubles: Troubles) {
    this.#cluster = cluster
    this.#prng = cluster.prng.fork()
    this.#troubles = troubles
  }

  start(): void {
    for (const [trouble, gapMs] of Object.entries(this.#troubles)) this.#later(trouble as Trouble, gapMs)
  }

  /** Ends all faults: everything runs, reaches everything, and is on time. */
  heal(): void {
    this.#isOver = true
    const { network, hosts, hiddenFromClients } = this.#cluster
    network.healAll()
    network.settings = calmNetwork
    hiddenFromClients.clear()
    for (const host of hosts) {
      host.disk.settings = calmDisk
      host.disk.stalledUntilMs = 0
      host.disk.letGo()
      host.stall(0)
      host.clock.drift(1)
      this.#cluster.startNode(host.nodeId)
    }
  }

  #later(trouble: Trouble, gapMs: number): void {
    this.#after(-Math.log(1 - this.#prng.float()) * gapMs, () => {
      if (this.#strike(trouble)) this.happened.set(trouble, (this.happened.get(trouble) ?? 0) + 1)
      this.#later(trouble, gapMs)
    })
  }

  /** Nothing of it happens any more once it is over. */
  #after(delayMs: number, run: () => void): void {
    this.#cluster.timeline.after(delayMs, null, () => {
      if (!this.#isOver) run()
    })
  }

  /** Whether there was something to strike. */
  #strike(trouble: Trouble): boolean {
    const cluster = this.#cluster
    const prng = this.#prng
    const victim = prng.pick(cluster.hosts)
    switch (trouble) {
      case 'crash':
        return this.#crash(victim.nodeId, prng.between(10, 3000))
      case 'restart':
        if (victim.node === null) return false
        cluster.stop(victim.nodeId)
        this.#startLater(victim.nodeId, prng.between(10, 1000))
        return true
      case 'power loss':
        cluster.losePower()
        for (const { nodeId } of cluster.hosts) this.#startLater(nodeId, prng.between(10, 1000))
        return true
      case 'partition':
      case 'one-way partition':
        return this.#partition(trouble === 'partition', prng.between(50, 4000))
      case 'flapping':
        return this.#flap(prng.between(2, 8))
      case 'stall':
        cluster.stall(victim.nodeId, prng.between(20, 3000))
        return true
      case 'wipe':
        return this.#wipe(victim.nodeId)
      case 'drift':
        victim.clock.drift(1 + (prng.float() - 0.5) * 0.02)
        return true
      case 'clock jump':
        victim.clock.wallJumpMs += prng.between(-3_600_000, 3_600_000)
        if (prng.chance(0.3)) victim.clock.jumpAhead(prng.between(0, 5000))
        return true
      case 'slow disk':
        victim.disk.stalledUntilMs = cluster.nowMs + prng.between(50, 3000)
        return true
      case 'failed sync':
        victim.disk.settings = { ...victim.disk.settings, failure: 1 }
        this.#after(50, () => {
          victim.disk.settings = { ...victim.disk.settings, failure: 0 }
        })
        return true
      case 'rotation':
        return this.#rotate()
      case 'stray recovery':
        return this.#recover(prng.between(1, 3))
      case 'transfer':
        cluster.leader?.transfer(victim.nodeId)
        return cluster.leader !== null
      case 'hidden from clients':
        cluster.hiddenFromClients.add(victim.nodeId)
        this.#after(prng.between(50, 2000), () => cluster.hiddenFromClients.delete(victim.nodeId))
        return true
    }
  }

  #crash(nodeId: NodeId, downMs: number): boolean {
    if (this.#cluster.host(nodeId).node === null) return false
    this.#cluster.crash(nodeId)
    this.#startLater(nodeId, downMs)
    return true
  }

  #startLater(nodeId: NodeId, delayMs: number): void {
    this.#after(delayMs, () => this.#cluster.startNode(nodeId))
  }

  #partition(bothWays: boolean, forMs: number): boolean {
    const nodes = this.#cluster.hosts.map(host => host.nodeId)
    const some = nodes.filter(() => this.#prng.chance(0.5))
    const others = nodes.filter(node => !some.includes(node))
    if (some.length === 0 || others.length === 0) return false
    this.#cluster.cut(some, others, bothWays)
    this.#after(forMs, () => this.#cluster.heal(some, others, bothWays))
    return true
  }

  #flap(times: number): boolean {
    const [a, b] = [this.#prng.pick(this.#cluster.hosts).nodeId, this.#prng.pick(this.#cluster.hosts).nodeId]
    if (a === b) return false
    const bothWays = this.#prng.chance(0.5)
    this.#cluster.cut([a], [b], bothWays)
    this.#after(this.#prng.between(50, 500), () => {
      this.#cluster.heal([a], [b], bothWays)
      if (times > 1) this.#after(this.#prng.between(50, 500), () => this.#flap(times - 1))
    })
    return true
  }

  #wipe(nodeId: NodeId): boolean {
    if (!canBeWiped(this.#cluster, nodeId)) return false
    this.#cluster.crash(nodeId)
    this.#cluster.wipe(nodeId)
    this.#startLater(nodeId, this.#prng.between(10, 2000))
    return true
  }

  /** Orders may come from a leader that leads no more, be late or come twice: the writer is alive, and so is another recoverer. */
  #recover(times: number): boolean {
    const { partitions, hosts } = this.#cluster
    if (partitions.length === 0) return false
    const { index } = this.#prng.pick(partitions)
    let isAny = false
    for (let i = 0; i < times; i++) isAny = this.#cluster.orderRecovery(index, this.#prng.pick(hosts).nodeId) || isAny
    return isAny
  }

  #rotate(): boolean {
    const { leader, partitions } = this.#cluster
    if (leader === null || partitions.length === 0) return false
    return this.#cluster.rotate(this.#prng.pick(partitions).index)
  }
}

/** Whether everything that was promised survives without this node's disk. */
export function canBeWiped(cluster: Cluster, nodeId: NodeId): boolean {
  return isVoteSpare(cluster, nodeId) && areCopiesSpare(cluster, nodeId)
}

/** All voters are what they were, so that the others are a majority with all their votes and entries. */
function isVoteSpare(cluster: Cluster, nodeId: NodeId): boolean {
  const { leader } = cluster
  if (leader === null || cluster.hosts.length < 3) return false
  const isWhole = cluster.hosts.every(host => {
    const seat = leader.membership.find(member => member.nodeId === host.nodeId)
    const identity = host.disk.durable.identity
    return seat?.role === 'voter' && identity?.diskId === seat.diskId && identity.confirmed > 0
  })
  return isWhole && leader.isMembershipCommitted && cluster.host(nodeId).node !== null
}

function areCopiesSpare(cluster: Cluster, nodeId: NodeId): boolean {
  // A segment of one copy may be placed on this very disk by a command that is under way.
  if (cluster.tuning.minInsync < 2) return false
  const isOther = (segment: Segment, id: NodeId) =>
    id !== nodeId && cluster.diskIdOf(id) === segment.replicas.find(replica => replica.nodeId === id)?.diskId
  return cluster.partitions.every(({ index }) =>
    (cluster.record(index)?.chain ?? []).every(segment => {
      if (segment.state === 'deleting') return true
      if (segment.end !== null) return (segment.complete ?? []).some(id => isOther(segment, id))
      const left = segment.replicas.filter(replica => isOther(segment, replica.nodeId)).length
      return left >= segment.replicas.length - segment.ackQuorum + 1 && left >= 1
    }),
  )
}
