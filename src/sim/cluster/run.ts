/**
 * One run of a cluster: faults and load for a while (safety), then everything is healed and must work again within a bound
 * (liveness: L1 to L4), then everything is read from every node and held against what the clients were told.
 */
import { Prng } from '../../base/prng.ts'
import { type ClientOptions, type Clients, startClients } from './clients.ts'
import { Cluster } from './cluster.ts'
import type { DiskSettings } from './disk.ts'
import { drawConditions } from './draw.ts'
import { History, type HistoryEvent } from './history.ts'
import { Nemesis, type Troubles } from './nemesis.ts'
import type { NetworkSettings } from './network.ts'
import { Oracle } from './oracle.ts'
import type { ClusterTuning } from './tuning.ts'
import type { Anomaly } from './witness.ts'

/** What a seed draws, unless a scenario says otherwise. */
export interface Conditions {
  readonly tuning: ClusterTuning
  readonly network: NetworkSettings
  readonly disk: DiskSettings
  readonly troubles: Troubles
  readonly clients: ClientOptions
  /** How long faults last. */
  readonly troubledMs: number
}

export interface ClusterScenario {
  readonly name: string
  /** What it shows, in a sentence. */
  readonly title: string
  readonly conditions?: (drawn: Conditions, prng: Prng) => Conditions
  /** The story; without one, `troubledMs` of random faults. */
  readonly run?: (run: ClusterRun) => void
}

export interface ClusterReport {
  readonly seed: number
  readonly scenario: string
  readonly anomalies: readonly Anomaly[]
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly counts: Map<string, number>
  /** When it is broken: what everything looked like then. */
  readonly state?: string
}

/** After the end of all faults, so long until the cluster must be whole and writable again. */
const healedLimitMs = 30_000
const restMs = 3000
const quietLimitMs = 60_000
const readLimitMs = 60_000

export class ClusterRun {
  readonly cluster: Cluster
  readonly history: History
  readonly oracle: Oracle
  readonly clients: Clients
  readonly nemesis: Nemesis
  readonly conditions: Conditions
  readonly prng: Prng
  /** Points of its story that the run got to, and how often. */
  readonly reached = new Map<string, number>()
  /** Partitions of which too many disks were destroyed: they must not lie, and need not work. */
  readonly given = new Set<number>()
  #told = 0

  constructor(seed: number, scenario: ClusterScenario, onTrace?: (line: string) => void) {
    this.prng = new Prng(seed)
    const drawn = drawConditions(this.prng.fork())
    const conditions = scenario.conditions?.(drawn, this.prng.fork()) ?? drawn
    this.conditions = conditions
    this.cluster = new Cluster({
      seed: this.prng.uint32(),
      tuning: conditions.tuning,
      network: conditions.network,
      disk: conditions.disk,
      ...(onTrace === undefined ? {} : { onTrace }),
    })
    this.nemesis = new Nemesis(this.cluster, conditions.troubles)
    this.cluster.start()
    const { replicas } = conditions.tuning
    this.oracle = new Oracle({ copiesMin: replicas, tellsWriterLosses: true })
    this.history = new History(event => this.#hear(event))
    this.cluster.onStart = node => this.history.note({ type: 'restarted', atMs: this.cluster.nowMs, node })
    this.cluster.witness.onDropped = ({ index: partition, from, to, leaderEpoch: belowLeaderEpoch }) => {
      const atMs = this.cluster.nowMs
      this.history.note({ type: 'destroyed', atMs, partition, from, to, belowLeaderEpoch, what: 'writer only' })
    }
    this.clients = startClients(this.cluster.door, this.history, conditions.clients)
  }

  #hear(event: HistoryEvent): void {
    this.oracle.take(event)
    this.#tell()
  }

  /** What the oracle found goes where the run looks for what broke it. */
  #tell(): void {
    const { anomalies } = this.oracle
    for (; this.#told < anomalies.length; this.#told++) {
      const { kind, text } = anomalies[this.#told] as Anomaly
      this.cluster.witness.report(kind, text)
    }
  }

  /** Random faults for a while. */
  trouble(): void {
    this.nemesis.start()
    this.cluster.run(this.conditions.troubledMs)
  }

  reach(point: string): void {
    this.reached.set(point, (this.reached.get(point) ?? 0) + 1)
    this.cluster.note(`reached: ${point}`)
  }

  /** More copies of a partition's records were destroyed than it tolerates: what lay in [from, to) is excused. */
  giveUp(partition: number, from: number, to: number): void {
    this.given.add(partition)
    // An unsealed segment that nobody can seal is where the log ends; a sealed one is a hole.
    const belowLeaderEpoch = to === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : Number.POSITIVE_INFINITY
    const loss = { partition, from, to, belowLeaderEpoch, what: 'everything' } as const
    this.history.note({ type: 'destroyed', atMs: this.cluster.nowMs, ...loss })
  }

  /** Heals everything, and holds the cluster to its promises. */
  finish(): void {
    const { cluster } = this
    this.nemesis.heal()
    if (cluster.isBroken) return
    const healedAtMs = cluster.nowMs
    const isWritable = (index: number) => this.clients.lastAcknowledgedAtMs(index) > healedAtMs
    this.#expect(
      'L2 writable again',
      () => this.#kept().every(isWritable),
      () =>
        this.#kept()
          .filter(index => !isWritable(index))
          .map(index => describe(cluster, index))
          .join('; '),
    )
    this.clients.stop()
    if (!cluster.until(() => this.clients.isQuiet, quietLimitMs)) {
      cluster.witness.report('no answer', `requests wait for ever`)
    }
    // Attempts that their clients gave up are still carried out; the log must be at rest when it is read.
    cluster.run(restMs)
    this.#expect(
      'L3 healed',
      () => unhealed(cluster, this.given).length === 0,
      () => unhealed(cluster, this.given).join('; '),
    )
    this.#expect(
      'L4 progress',
      () => uncommitted(cluster, this.given).length === 0,
      () => firstFew(uncommitted(cluster, this.given)),
    )
    this.#expect(
      'no answer',
      () => cluster.unanswered === 0,
      () => `${cluster.unanswered} produces wait for ever`,
    )
    this.#expect(
      'agreement',
      () => disagreement(cluster) === null,
      () => disagreement(cluster) ?? '',
    )
    this.#readEverything()
  }

  /** Partitions that must work again. */
  #kept(): number[] {
    return this.cluster.partitions.map(({ index }) => index).filter(index => !this.given.has(index))
  }

  #expect(kind: string, isTrue: () => boolean, why: () => string): void {
    const { cluster } = this
    // Asked now and then: the questions look at everything.
    for (let waitedMs = 0; waitedMs < healedLimitMs; waitedMs += 100) {
      if (cluster.isBroken || isTrue()) return
      cluster.run(100)
    }
    if (!cluster.isBroken && !isTrue()) cluster.witness.report(kind, `not within ${healedLimitMs} ms: ${why()}`)
  }

  #readEverything(): void {
    const { cluster, clients } = this
    if (cluster.isBroken) return
    let isDone = false
    clients.readEverything(() => {
      isDone = true
    })
    if (!cluster.until(() => isDone, readLimitMs)) {
      cluster.witness.report('unreadable', `the last reads do not end`)
    }
    if (cluster.isBroken) return
    this.oracle.finish()
    this.#tell()
  }
}

export function runCluster(options: {
  readonly seed: number
  readonly scenario: ClusterScenario
  readonly onTrace?: (line: string) => void
}): ClusterReport {
  const { seed, scenario, onTrace } = options
  const run = new ClusterRun(seed, scenario, onTrace)
  const { cluster } = run
  if (!cluster.isBroken) {
    if (scenario.run === undefined) run.trouble()
    else scenario.run(run)
  }
  run.finish()
  return {
    seed,
    scenario: scenario.name,
    anomalies: cluster.witness.anomalies,
    hash: cluster.timeline.hash,
    events: cluster.timeline.events,
    virtualMs: cluster.nowMs,
    counts: countsOf(run),
    ...(cluster.isBroken ? { state: cluster.state } : {}),
  }
}

function countsOf({ cluster, nemesis, clients, reached }: ClusterRun): Map<string, number> {
  return new Map<string, number>([
    ...Object.entries(cluster.witness.reached),
    ...Object.entries(cluster.counts),
    ...Object.entries(cluster.network.counts).map(([name, count]) => [`messages ${name}`, count] as const),
    ...[...nemesis.happened].map(([trouble, count]) => [`trouble: ${trouble}`, count] as const),
    ...[...reached].map(([point, count]) => [`reached: ${point}`, count] as const),
    ...Object.entries(clients.tallies).map(([name, count]) => [`clients: ${name}`, count] as const),
  ])
}

function describe(cluster: Cluster, index: number): string {
  const { id, state, base, writer, replicas } = cluster.openSegment(index)
  return `partition ${index}: segment ${id} ${state} from ${base}, writer ${writer}, replicas ${replicas.map(r => r.nodeId)}`
}

/** Sealed segments that lack copies, and unsealed ones that are not open, as sentences. */
function unhealed(cluster: Cluster, given: ReadonlySet<number>): string[] {
  const { replicas } = cluster.tuning
  return cluster.partitions.flatMap(({ index }) =>
    (cluster.record(index)?.chain ?? []).flatMap(segment => {
      if (given.has(index)) return []
      if (segment.state === 'sealing') return [describe(cluster, index)]
      if (segment.state === 'deleting') return [`partition ${index}: segment ${segment.id} is still to be deleted`]
      if (segment.end === null) {
        return segment.replicas.length < replicas ? [`${describe(cluster, index)}: too few replicas`] : []
      }
      const whole = (segment.complete ?? []).filter(
        id => cluster.diskIdOf(id) === segment.replicas.find(replica => replica.nodeId === id)?.diskId,
      )
      return whole.length < replicas ? [`partition ${index}: segment ${segment.id} is whole on ${whole} only`] : []
    }),
  )
}

/** Partitions whose writer has something that is not committed, or that not every replica knows to be, as sentences. */
function uncommitted(cluster: Cluster, given: ReadonlySet<number>): string[] {
  return cluster.partitions.flatMap(partition => {
    if (given.has(partition.index)) return []
    const open = cluster.openSegment(partition.index)
    const end = cluster.host(open.writer).node?.logEnd(partition) ?? -1
    const lagging = open.replicas.filter(({ nodeId }) => cluster.host(nodeId).node?.highWatermark(partition) !== end)
    const who = lagging.map(({ nodeId }) => nodeId)
    return lagging.length === 0 ? [] : [`partition ${partition.index} ends at ${end}, and nodes ${who} do not show it`]
  })
}

/** Whether all nodes have applied the same metadata; null when they have. */
function disagreement(cluster: Cluster): string | null {
  const { reference, referenceIndex } = cluster.witness
  for (const node of cluster.live) {
    if (node.appliedIndex !== referenceIndex)
      return `node ${node.host.nodeId} has applied ${node.appliedIndex} of ${referenceIndex}`
    if (node.metadata.checksum() !== reference.checksum()) return `node ${node.host.nodeId} has other metadata`
  }
  return null
}

const firstFew = (sentences: readonly string[]): string =>
  sentences.length > 3 ? `${sentences.slice(0, 3).join('; ')}; and ${sentences.length - 3} more` : sentences.join('; ')
