/**
 * What is searched of the chain's core, in parts that come to an end. The first has everything that the protocol's danger is
 * made of, with the network's and the journals' lateness where it matters most; each of the others takes one thing further
 * and leaves another out.
 */
import type { ChainMessage } from '../../chain/messages.ts'
import type { Budgets } from './chain-promises.ts'

export interface ChainConfiguration {
  readonly name: string
  readonly title: string
  readonly nodes: number
  readonly minInsync: number
  readonly flush: 'sync' | 'relaxed'
  /** Nodes that may be ordered to recover. */
  readonly recoverers: readonly number[]
  /** Nodes that have no copy of the first segment and may be taken for one by a recoverer. */
  readonly spares: readonly number[]
  /** Nodes that clients send records to. */
  readonly producersAt: readonly number[]
  /** So many records come before anything else happens. */
  readonly produced: number
  readonly budgets: Budgets
  /** Answers that only hurry things, and are lost here. */
  readonly lost: readonly ChainMessage['type'][]
  /** Commit offsets are told by messages of their own too, not only with the next append. */
  readonly publishes: boolean
  /** Where a roll puts the next segment; fewer nodes than before: a replica is given up. */
  readonly rollsTo: readonly number[]
  /** A planned roll waits until all is committed, however long that takes; else it freezes where the commit offset is. */
  readonly drains: boolean
  /** Where these may be late, or never come; elsewhere they come at once. */
  readonly late: {
    /** Completions of the journal. */
    readonly syncs: readonly number[]
    /** News of the record. */
    readonly news: readonly number[]
    /** Outcomes of proposals; decisions are late everywhere, but for the beginning of a recovery. */
    readonly outcomes: readonly number[]
  }
}

const nothing: Budgets = { batches: 0, rolls: 0, recoveries: 0, unknowns: 0, crashes: 0, wipes: 0 }

const threeNodes = {
  nodes: 3,
  minInsync: 1,
  flush: 'sync',
  recoverers: [1],
  spares: [],
  producersAt: [0],
  produced: 0,
  lost: ['gap', 'fenced'],
  publishes: false,
  rollsTo: [0, 1, 2],
  drains: false,
  late: { syncs: [], news: [0], outcomes: [] },
} as const satisfies Partial<ChainConfiguration>

export const chainConfigurations: readonly ChainConfiguration[] = [
  {
    ...threeNodes,
    name: 'chain-whole',
    title: 'a writer that is never told, a roll, two recoverers',
    recoverers: [1, 2],
    produced: 1,
    budgets: { ...nothing, batches: 2, rolls: 1, recoveries: 2 },
  },
  {
    ...threeNodes,
    name: 'chain-zombie',
    title: 'a writer that is never told, a roll, a recovery',
    produced: 1,
    budgets: { ...nothing, batches: 2, rolls: 1, recoveries: 1 },
  },
  {
    ...threeNodes,
    name: 'chain-recoverers',
    title: 'a writer that is never told, two recoverers',
    recoverers: [1, 2],
    produced: 1,
    budgets: { ...nothing, batches: 2, recoveries: 2 },
  },
  {
    ...threeNodes,
    name: 'chain-unknown',
    title: 'a roll whose outcome comes late or never, while the writer’s own journal is slow',
    budgets: { ...nothing, batches: 1, rolls: 1, recoveries: 1, unknowns: 1 },
    late: { syncs: [0], news: [0], outcomes: [0] },
  },
  {
    ...threeNodes,
    name: 'chain-drain',
    title: 'a roll that waits until all is committed, a slow journal at the writer, a recovery',
    produced: 1,
    budgets: { ...nothing, batches: 2, rolls: 1, recoveries: 1 },
    drains: true,
    late: { syncs: [0], news: [0], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-shrink',
    title: 'a writer gives up a replica that may not be lost: the next segment has two copies',
    produced: 1,
    rollsTo: [0, 1],
    budgets: { ...nothing, batches: 2, rolls: 1, recoveries: 1 },
  },
  {
    ...threeNodes,
    name: 'chain-told',
    title: 'replicas tell the writer of gaps and of fences; records come to both writers',
    producersAt: [0, 1],
    budgets: { ...nothing, batches: 2, recoveries: 1 },
    lost: [],
  },
  {
    ...threeNodes,
    name: 'chain-readers',
    title: 'readers at every node, and news of the record late at every node',
    budgets: { ...nothing, batches: 1, rolls: 1, recoveries: 1 },
    publishes: true,
    late: { syncs: [], news: [0, 1, 2], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-commits',
    title: 'readers at every node, of two records',
    produced: 1,
    budgets: { ...nothing, batches: 2, recoveries: 1 },
    publishes: true,
    late: { syncs: [], news: [0, 2], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-journals',
    title: 'journals late at every node',
    budgets: { ...nothing, batches: 2, recoveries: 1 },
    late: { syncs: [0, 1, 2], news: [0], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-crash',
    title: 'a node crashes, loses what is not durable, and starts again',
    budgets: { ...nothing, batches: 1, recoveries: 1, crashes: 1 },
    late: { syncs: [0, 1, 2], news: [0], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-restart',
    title: 'a node crashes, and the writer’s own node recovers what it wrote',
    recoverers: [0],
    produced: 1,
    budgets: { ...nothing, batches: 1, recoveries: 1, crashes: 1 },
    late: { syncs: [0], news: [0], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-wipe',
    title: 'a node loses its disk and starts again with another',
    budgets: { ...nothing, batches: 1, recoveries: 1, wipes: 1 },
  },
  {
    ...threeNodes,
    name: 'chain-relaxed',
    title: 'acknowledged before the sync (flush: relaxed); a crash takes what was acknowledged',
    flush: 'relaxed',
    budgets: { ...nothing, batches: 1, recoveries: 1, crashes: 1 },
    late: { syncs: [0, 1, 2], news: [0], outcomes: [] },
  },
  {
    ...threeNodes,
    name: 'chain-spare',
    title: 'a fourth node takes the place of a replica that lost its disk',
    nodes: 4,
    spares: [3],
    produced: 1,
    budgets: { ...nothing, batches: 1, recoveries: 1, wipes: 1 },
  },
  {
    ...threeNodes,
    name: 'chain-two-nodes',
    title: 'two nodes, quorum 2',
    nodes: 2,
    rollsTo: [0, 1],
    budgets: { ...nothing, batches: 2, rolls: 1, recoveries: 2 },
  },
  {
    ...threeNodes,
    name: 'chain-all-three',
    title: 'three nodes, quorum 3: one clean answer is enough to recover',
    minInsync: 3,
    budgets: { ...nothing, batches: 1, rolls: 1, recoveries: 2 },
    recoverers: [1, 2],
  },
]

/** Those that take a few seconds at most. */
export const chainModelsInCi: readonly string[] = [
  'chain-zombie',
  'chain-recoverers',
  'chain-told',
  'chain-commits',
  'chain-journals',
  'chain-wipe',
  'chain-spare',
  'chain-two-nodes',
]

/** What a configuration bounds and leaves out, for people. */
export function limitsOf(configuration: ChainConfiguration): readonly string[] {
  const { budgets, recoverers, spares, producersAt, produced, lost, publishes, drains, late, nodes } = configuration
  const { batches, rolls, recoveries, unknowns, crashes, wipes } = budgets
  const all = Array.from({ length: nodes }, (_, index) => index)
  const except = (some: readonly number[]) => all.filter(index => !some.includes(index))
  const at = (some: readonly number[]) => (some.length === 1 ? `node ${some[0]}` : `nodes ${some.join(', ')}`)
  const prompt = (what: string, some: readonly number[]) =>
    except(some).length === 0 ? [] : [`${what} at once at ${at(except(some))}`]
  return [
    `${batches} records at ${at(producersAt)}${produced > 0 ? `, ${produced} of them before anything else` : ''}`,
    `${rolls} rolls, ${recoveries} orders to recover at ${at(recoverers)}, ${unknowns} unknown outcomes`,
    ...(crashes + wipes > 0 ? [`${crashes} crashes, ${wipes} lost disks`] : ['nobody crashes']),
    ...(lost.length > 0 ? [`never delivered: ${lost.join(', ')}`] : []),
    ...(spares.length > 0 ? [`${at(spares)} may take the place of a replica`] : []),
    ...(rolls === 0 || drains ? [] : ['a roll waits for no commit']),
    ...(publishes ? [] : ['commit offsets are told with appends only']),
    ...prompt('syncs', late.syncs),
    ...prompt('news of the record', late.news),
    ...prompt('outcomes', late.outcomes),
  ]
}
