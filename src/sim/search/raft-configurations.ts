/**
 * What is searched of Raft, each configuration to completion: together they cover elections, replication, what only shows over
 * four terms, snapshots, reads, changes of members, handing over and pre-votes.
 */
import type { LogIndex, NodeId, Term } from '../../base/ids.ts'
import type { Membership } from '../../raft/membership.ts'
import { entryTypes, type RaftEntry } from '../../raft/storage.ts'
import { beat, clusterOf, elect, feed, nodeOf, type RaftCluster } from './raft-cluster.ts'
import { type RaftBeginning, type RaftConfiguration, raftModel } from './raft-model.ts'
import { emptyDisk, memberOf, type RaftDisk, type RaftNode, snapshotData, startNode } from './raft-node.ts'
import { type Searchable, searchableLater } from './searchable.ts'

const everyFault = 'any loss, delay, order and repetition of messages; writes that complete late or never'
const promptWrites = 'any loss, delay, order and repetition of messages; writes are durable at once'
const preVotesGranted = 'pre-votes are granted at once (the configuration raft-pre-vote has them)'
const lostForSize = [
  'refused votes, messages of a term that the receiver’s disk has left, and such as say again what was acted on, are lost',
  '(raft-replication has them all)',
].join(' ')

const voters = (...ids: readonly number[]): Membership => ids.map(id => ({ ...memberOf(id), role: 'voter' }))

function emptyNodes(...ids: readonly number[]): RaftNode[] {
  return ids.map(id => startNode(memberOf(id), voters(...ids), emptyDisk))
}

/** Three members of which the first leads term 1; its no-op is committed, and everybody knows. */
function ledCluster(...ids: readonly number[]): RaftCluster {
  const cluster = clusterOf(emptyNodes(...ids))
  elect(cluster, ids[0]!)
  beat(cluster, ids[0]!)
  return cluster
}

const initial = ({ nodes, notes, undelivered }: RaftCluster): RaftBeginning => ({
  nodes,
  history: notes,
  messages: undelivered,
})

const elections: RaftConfiguration = {
  name: 'raft-elections',
  title: 'three empty members campaign in two terms; one of them crashes once',
  limits: [everyFault, preVotesGranted, 'appends are lost: only votes are searched here'],
  begin: () => ({ nodes: emptyNodes(1, 2, 3) }),
  budgets: { crash: 1 },
  termMax: 2,
  preVote: 'granted',
  loses: ['appends'],
  isSymmetric: true,
}

const wholeTerms: RaftConfiguration = {
  name: 'raft-two-terms',
  title:
    'three empty members, two of which campaign, elect leaders in two terms and replicate; one of them crashes once',
  limits: [
    everyFault,
    preVotesGranted,
    lostForSize,
    'the third member only votes; the entries are the leaders’ no-ops',
  ],
  begin: () => ({ nodes: emptyNodes(1, 2, 3) }),
  budgets: { crash: 1 },
  termMax: 2,
  campaigners: [1, 2],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
  isSymmetric: true,
}

const everybody: RaftConfiguration = {
  ...wholeTerms,
  name: 'raft-everybody',
  title:
    'three empty members, all of which campaign, elect leaders in two terms and replicate; one of them crashes once',
  limits: [everyFault, preVotesGranted, lostForSize, 'the entries are the leaders’ no-ops'],
  campaigners: [1, 2, 3],
}

const replication: RaftConfiguration = {
  name: 'raft-replication',
  title: 'a leader of term 1 is asked to write; a rival leads term 2; one of them crashes once',
  limits: [everyFault, preVotesGranted, 'one command and two no-ops'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { crash: 1, propose: 1 },
  termMax: 2,
  preVote: 'granted',
}

/** What the first leader wrote is on its own disk only, and so is the second's no-op, which is less; the third has nothing. */
function twoTermsLater(): RaftBeginning {
  const entry = (term: number, index: number): RaftEntry => ({
    term: term as Term,
    index: index as LogIndex,
    type: index === 1 ? entryTypes.noop : entryTypes.command,
    data: Buffer.from(index === 1 ? '' : 'o'),
  })
  const disk = (term: number, votedFor: number, ...entries: RaftEntry[]): RaftDisk => ({
    hardState: { term: term as Term, votedFor: votedFor as NodeId },
    snapshot: null,
    entries,
  })
  const disks = [disk(1, 1, entry(1, 1), entry(1, 2)), disk(2, 2, entry(2, 1)), disk(2, 2)]
  return {
    nodes: disks.map((each, at) => startNode(memberOf(at + 1), voters(1, 2, 3), each)),
    history: [
      { kind: 'leads', nodeId: 1 as NodeId, term: 1 as Term, log: [] },
      { kind: 'leads', nodeId: 2 as NodeId, term: 2 as Term, log: [] },
    ],
  }
}

const olderTerm: RaftConfiguration = {
  name: 'raft-older-term',
  title:
    'two leaders came and went and left entries that nobody else has; terms 3 and 4 decide what becomes of them; a crash',
  limits: [
    promptWrites,
    preVotesGranted,
    lostForSize,
    'the third member only votes; the entries are a command and the no-ops of four leaders',
  ],
  begin: twoTermsLater,
  budgets: { crash: 1 },
  termMax: 4,
  campaigners: [1, 2],
  lateWriters: [],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

/** The third member led term 1 and wrote more than it could send; the first leads term 2 and has compacted its log. */
function laggingCluster(): RaftCluster {
  const cluster = ledCluster(3, 1, 2)
  cluster.cutOff.add(3)
  for (let token = 0; token < 4; token++) feed(cluster, 3, { type: 'propose', token, data: Buffer.from('o') })
  elect(cluster, 1)
  feed(cluster, 1, { type: 'propose', token: 0, data: Buffer.from('n') })
  feed(cluster, 1, { type: 'changeMembership', token: 1, change: { kind: 'addLearner', member: memberOf(4) } })
  const { applied } = nodeOf(cluster, 1)
  feed(cluster, 1, { type: 'snapshotTaken', index: applied.length as LogIndex, data: snapshotData(applied) })
  beat(cluster, 1)
  return cluster
}

const snapshots: RaftConfiguration = {
  name: 'raft-snapshots',
  title:
    'a leader has compacted what a member lacks, a change of members included, who has other entries in its place, and compacts once more; a crash',
  limits: [everyFault, preVotesGranted, lostForSize, 'no rival; one more command, one more snapshot'],
  begin: () => initial(laggingCluster()),
  budgets: { crash: 1, propose: 1, snapshot: 1 },
  termMax: 2,
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const compaction: RaftConfiguration = {
  name: 'raft-compaction',
  title: 'a leader of term 1 is asked to write; somebody takes a snapshot; a crash; the second member is a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'one command, one snapshot; only the third member writes late'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { crash: 1, propose: 1, snapshot: 1 },
  termMax: 2,
  campaigners: [2],
  lateWriters: [3],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const pipeline: RaftConfiguration = {
  name: 'raft-pipeline',
  title:
    'a leader of term 1 is asked to write twice and sends ahead of the answers; a crash; the second member is a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'two commands; only the third member writes late'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { crash: 1, propose: 2 },
  termMax: 2,
  campaigners: [2],
  lateWriters: [3],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const reads: RaftConfiguration = {
  name: 'raft-reads',
  title: 'a leader of term 1 and a rival in term 2 are asked to read while one of them writes',
  limits: [
    promptWrites,
    preVotesGranted,
    lostForSize,
    'no crash; one read, one command, one round of heartbeats besides',
  ],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { read: 1, propose: 1, heartbeat: 1 },
  termMax: 2,
  campaigners: [2],
  lateWriters: [],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

/** Four voters; the leader of term 1 is cut off when it begins to remove the fourth. */
function halfRemoved(): RaftCluster {
  const cluster = ledCluster(1, 2, 3, 4)
  cluster.cutOff.add(1)
  feed(cluster, 1, { type: 'changeMembership', token: 0, change: { kind: 'remove', member: memberOf(4) } })
  return cluster
}

const membership: RaftConfiguration = {
  name: 'raft-membership',
  title:
    'a leader of four removes one and is cut off; who leads next removes that leader; the first leads again; a crash',
  limits: [promptWrites, preVotesGranted, lostForSize, 'the first two campaign; two changes'],
  begin: () => initial(halfRemoved()),
  budgets: { change: 1, crash: 1 },
  changes: [{ kind: 'remove', member: memberOf(1) }],
  termMax: 3,
  campaigners: [1, 2],
  lateWriters: [],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const membershipLate: RaftConfiguration = {
  ...membership,
  name: 'raft-membership-late',
  title: 'the same with late writes, without the crash',
  limits: [everyFault, preVotesGranted, lostForSize, 'no crash; the first two campaign; two changes'],
  budgets: { change: 1 },
  lateWriters: [1, 2, 3, 4],
}

function growing(): RaftCluster {
  const cluster = ledCluster(1, 2)
  cluster.nodes.push(startNode(memberOf(3), [], emptyDisk))
  return cluster
}

const growth: RaftConfiguration = {
  name: 'raft-growth',
  title: 'a third member, which knows nobody, is added to two and made a voter; a crash; the second member is a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'two changes'],
  begin: () => initial(growing()),
  budgets: { change: 2, crash: 1 },
  changes: [
    { kind: 'addLearner', member: memberOf(3) },
    { kind: 'promote', member: memberOf(3) },
  ],
  termMax: 2,
  campaigners: [2],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

/** Three voters, and a fourth member that only learns. */
function learning(): RaftCluster {
  const cluster = ledCluster(1, 2, 3)
  cluster.nodes.push(startNode(memberOf(4), [], emptyDisk))
  feed(cluster, 1, { type: 'changeMembership', token: 0, change: { kind: 'addLearner', member: memberOf(4) } })
  return cluster
}

const learner: RaftConfiguration = {
  name: 'raft-learner',
  title: 'a leader of three voters and a learner is asked to write; the second member is a rival; a crash',
  limits: [promptWrites, preVotesGranted, lostForSize, 'one command'],
  begin: () => initial(learning()),
  budgets: { propose: 1, crash: 1 },
  termMax: 2,
  campaigners: [2],
  lateWriters: [],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const removal: RaftConfiguration = {
  name: 'raft-removal',
  title: 'a leader of three is asked to remove two members, itself perhaps; a crash; the third member is a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'two changes'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { change: 2, crash: 1 },
  changes: [1, 2, 3].map(id => ({ kind: 'remove', member: memberOf(id) })),
  termMax: 2,
  campaigners: [3],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const wiped: RaftConfiguration = {
  name: 'raft-wiped-disk',
  title: 'a member comes back with an empty disk and must count for nothing',
  limits: [everyFault, preVotesGranted, lostForSize, 'one command'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { wipe: 1, propose: 1 },
  termMax: 2,
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const transfer: RaftConfiguration = {
  name: 'raft-transfer',
  title: 'a leader is asked to hand over while it is asked to write, and others campaign',
  limits: [promptWrites, preVotesGranted, lostForSize, 'no crash; one command, one round of heartbeats'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { transfer: 1, propose: 1, heartbeat: 1 },
  termMax: 2,
  lateWriters: [],
  preVote: 'granted',
  loses: ['stale', 'refusals', 'known'],
}

const preVote: RaftConfiguration = {
  name: 'raft-pre-vote',
  title: 'three empty members elect a leader with pre-votes; nothing crashes',
  limits: [everyFault, 'one term; the third member only votes; nobody believes in a leader when asked for a pre-vote'],
  begin: () => ({ nodes: emptyNodes(1, 2, 3) }),
  budgets: {},
  termMax: 1,
  campaigners: [1, 2],
  preVote: 'real',
  loses: ['refusals'],
  isSymmetric: true,
}

export const configurations: readonly RaftConfiguration[] = [
  elections,
  wholeTerms,
  everybody,
  replication,
  pipeline,
  olderTerm,
  snapshots,
  compaction,
  reads,
  transfer,
  growth,
  learner,
  removal,
  membership,
  membershipLate,
  wiped,
  preVote,
]

export const raftModels: readonly Searchable[] = configurations.map(each =>
  searchableLater(each, () => raftModel(each)),
)

export const raftModelsInCi: readonly string[] = [
  'raft-two-terms',
  'raft-snapshots',
  'raft-compaction',
  'raft-transfer',
  'raft-growth',
  'raft-learner',
  'raft-removal',
  'raft-wiped-disk',
  'raft-pre-vote',
]
