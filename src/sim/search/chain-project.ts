/**
 * What makes two states of a node the same in the chain's search. Numbers that only count up (writes, proposals) are told
 * from where they stand now: what happens next depends on their order and on nothing else.
 */
import type { Chain, Proposal } from '../../chain/state.ts'
import type { ChainNode } from './chain-node.ts'

export interface Projection {
  readonly publishes: boolean
}

export function projected(node: ChainNode, projection: Projection): unknown {
  const { chain, disk, proposals, ...rest } = node
  if (chain === null) return { ...rest, durable: disk.durable, safe: disk.safe, chain }
  return {
    ...rest,
    durable: disk.durable,
    safe: disk.safe,
    pending: disk.pending.map(({ write, record }) => ({ write: write - chain.durableWrite, record })),
    proposals: proposals.map(each => ({ ...each, proposal: each.proposal - chain.nextProposal })),
    chain: projectedChain(chain, projection),
  }
}

function projectedChain(chain: Chain, { publishes }: Projection): unknown {
  const { self: _self, settings: _settings, nextWrite: _next, durableWrite, nextProposal, ...rest } = chain
  const sinceDurable = (write: number) => Math.max(write - durableWrite, 0)
  const numbered = <Role extends { readonly proposal: Proposal | null }>(role: Role) => ({
    ...role,
    proposal: role.proposal === null ? null : { ...role.proposal, number: role.proposal.number - nextProposal },
  })
  return {
    ...rest,
    pending: chain.pending.map(each => ({ ...each, write: sinceDurable(each.write) })),
    segments: [...chain.segments.values()].map(each => ({ ...each, openedBy: sinceDurable(each.openedBy) })),
    writers: [...chain.writers.values()].map(each => ({
      ...each,
      roll: each.roll === null ? null : numbered(each.roll),
      replicas: each.replicas.map(progress => ({
        ...progress,
        // The search always sends the producers along, and some configurations tell commits with appends only.
        hasAnswered: null,
        toldCommit: publishes ? progress.toldCommit : null,
      })),
    })),
    recoveries: [...chain.recoveries.values()].map(numbered),
    repairs: [...chain.repairs.values()].map(numbered),
    removals: [...chain.removals.values()].map(numbered),
    unpublished: publishes ? chain.unpublished : null,
    // Only for reminders, which are resends.
    behind: null,
  }
}
