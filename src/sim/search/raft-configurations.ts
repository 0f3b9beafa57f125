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
const preVotesGranted = 'pre-votes are granted at once (the configuration raft-pre-vote has them)'
const lostForSize =
  'refused votes, and messages of a term that the receiver’s disk has left, are always lost (raft-replication has them)'

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

const initial = ({ nodes, notes }: RaftCluster): RaftBeginning => ({ nodes, history: notes })

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
  loses: ['stale', 'refusals'],
  isSymmetric: true,
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

/** The first leader's entry is on its own disk only, and so is the second's; the third member has none. */
function twoTermsLater(): RaftBeginning {
  const noop = (term: number): RaftEntry => ({
    term: term as Term,
    index: 1 as LogIndex,
    type: entryTypes.noop,
    data: Buffer.alloc(0),
  })
  const disk = (term: number, votedFor: number, ...entries: RaftEntry[]): RaftDisk => ({
    hardState: { term: term as Term, votedFor: votedFor as NodeId },
    snapshot: null,
    entries,
  })
  const disks = [disk(1, 1, noop(1)), disk(2, 2, noop(2)), disk(2, 2)]
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
  title: 'two leaders came and went and left an entry each; terms 3 and 4 decide what becomes of them',
  limits: [
    everyFault,
    preVotesGranted,
    lostForSize,
    'no crash; the third member only votes; the entries are the no-ops of four leaders',
  ],
  begin: twoTermsLater,
  budgets: {},
  termMax: 4,
  campaigners: [1, 2],
  preVote: 'granted',
  loses: ['stale', 'refusals'],
}

/** The third member led term 1 and wrote more than it could send; the first leads term 2 and has compacted its log. */
function laggingCluster(): RaftCluster {
  const cluster = ledCluster(3, 1, 2)
  cluster.cutOff.add(3)
  for (let token = 0; token < 3; token++) feed(cluster, 3, { type: 'propose', token, data: Buffer.from('o') })
  elect(cluster, 1)
  feed(cluster, 1, { type: 'propose', token: 0, data: Buffer.from('n') })
  feed(cluster, 1, { type: 'changeMembership', token: 1, change: { kind: 'addLearner', member: memberOf(4) } })
  const { applied } = nodeOf(cluster, 1)
  feed(cluster, 1, { type: 'snapshotTaken', index: applied.length as LogIndex, data: snapshotData(applied) })
  return cluster
}

const snapshots: RaftConfiguration = {
  name: 'raft-snapshots',
  title:
    'a leader has compacted what a member lacks, a change of members included, who has other entries in its place; a crash and a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'one more snapshot; the rival is one that is up to date'],
  begin: () => initial(laggingCluster()),
  budgets: { crash: 1, snapshot: 1 },
  termMax: 3,
  campaigners: [2],
  preVote: 'granted',
  loses: ['stale', 'refusals'],
}

const reads: RaftConfiguration = {
  name: 'raft-reads',
  title: 'a leader of term 1 and a rival in term 2 are asked to read while one of them writes',
  limits: [everyFault, preVotesGranted, lostForSize, 'no crash; one read, one command'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { read: 1, propose: 1 },
  termMax: 2,
  preVote: 'granted',
  loses: ['stale', 'refusals'],
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
  title: 'a leader of four removes one and is cut off; who leads next removes that leader; the first leads again',
  limits: [everyFault, preVotesGranted, lostForSize, 'no crash; the first two campaign; two changes'],
  begin: () => initial(halfRemoved()),
  budgets: { change: 1 },
  changes: [{ kind: 'remove', member: memberOf(1) }],
  termMax: 3,
  campaigners: [1, 2],
  preVote: 'granted',
  loses: ['stale', 'refusals'],
}

function growing(): RaftCluster {
  const cluster = ledCluster(1, 2)
  cluster.nodes.push(startNode(memberOf(3), [], emptyDisk))
  return cluster
}

const growth: RaftConfiguration = {
  name: 'raft-growth',
  title: 'a third member, which knows nobody, is added to two and made a voter; the second member is a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'no crash; two changes'],
  begin: () => initial(growing()),
  budgets: { change: 2 },
  changes: [
    { kind: 'addLearner', member: memberOf(3) },
    { kind: 'promote', member: memberOf(3) },
  ],
  termMax: 2,
  campaigners: [2],
  preVote: 'granted',
  loses: ['stale', 'refusals'],
}

const removal: RaftConfiguration = {
  name: 'raft-removal',
  title: 'a leader of three is asked to remove two members, itself perhaps; the third member is a rival',
  limits: [everyFault, preVotesGranted, lostForSize, 'no crash; two changes'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { change: 2 },
  changes: [1, 2, 3].map(id => ({ kind: 'remove', member: memberOf(id) })),
  termMax: 2,
  campaigners: [3],
  preVote: 'granted',
  loses: ['stale', 'refusals'],
}

const wiped: RaftConfiguration = {
  name: 'raft-wiped-disk',
  title: 'a member comes back with an empty disk and must count for nothing',
  limits: [everyFault, preVotesGranted, lostForSize, 'one command'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { wipe: 1, propose: 1 },
  termMax: 2,
  preVote: 'granted',
  loses: ['stale', 'refusals'],
}

const transfer: RaftConfiguration = {
  name: 'raft-transfer',
  title: 'a leader is asked to hand over while it is asked to write, and others campaign',
  limits: [everyFault, preVotesGranted, lostForSize, 'no crash; one command'],
  begin: () => initial(ledCluster(1, 2, 3)),
  budgets: { transfer: 1, propose: 1 },
  termMax: 2,
  preVote: 'granted',
  loses: ['stale', 'refusals'],
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
  preVote,
  transfer,
  reads,
  wiped,
  olderTerm,
  growth,
  removal,
  membership,
  snapshots,
  elections,
  replication,
  wholeTerms,
]

export const raftModels: readonly Searchable[] = configurations.map(each =>
  searchableLater(each, () => raftModel(each)),
)
