/**
 * What random walks go through besides the configurations of the search: everything that can happen, for eight terms. Far too
 * much to be searched to an end.
 */
import type { Membership } from '../../raft/membership.ts'
import { type RaftConfiguration, raftModel } from './raft-model.ts'
import { emptyDisk, memberOf, type RaftNode, startNode } from './raft-node.ts'
import { type Searchable, searchableLater } from './searchable.ts'

const voters: Membership = [1, 2, 3].map(id => ({ ...memberOf(id), role: 'voter' }))

const firstThree = (): RaftNode[] => [1, 2, 3].map(id => startNode(memberOf(id), voters, emptyDisk))
const strangers = (): RaftNode[] => [4, 5].map(id => startNode(memberOf(id), [], emptyDisk))

const anything: RaftConfiguration = {
  name: 'raft-anything',
  title: 'three members do everything that members do, many times; pre-votes and all',
  limits: ['for walks only: there is no end to it'],
  begin: () => ({ nodes: firstThree() }),
  budgets: { crash: 6, propose: 6, heartbeat: 8, read: 4, snapshot: 4, transfer: 2, depose: 2 },
  termMax: 8,
  preVote: 'real',
}

const anybody: RaftConfiguration = {
  name: 'raft-anybody',
  title: 'three members and two strangers, who come and go',
  limits: ['for walks only: there is no end to it', 'pre-votes are granted at once'],
  begin: () => ({ nodes: [...firstThree(), ...strangers()] }),
  budgets: { crash: 4, propose: 3, heartbeat: 6, read: 2, snapshot: 3, transfer: 2, change: 6, depose: 1 },
  changes: [1, 2, 3, 4, 5].flatMap(id =>
    (['addLearner', 'promote', 'remove'] as const).map(kind => ({ kind, member: memberOf(id) })),
  ),
  termMax: 8,
  preVote: 'granted',
}

export const raftWalks: readonly Searchable[] = [anything, anybody].map(each =>
  searchableLater(each, () => raftModel(each)),
)
