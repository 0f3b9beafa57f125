/**
 * Who belongs to the group, and how that changes: one member at a time, so that any majority of the old members and any
 * of the new ones share a voter. A change holds from when it is in the log, committed or not, and is undone with its
 * entry.
 *
 * A member is a node with a disk. A node that lost its disk has forgotten its votes and its acks, so with another disk
 * it is another member: a stranger until it is added.
 */
import type { DiskId, NodeId } from '../base/ids.ts'
import { decodeRecord, encodeRecord, onDisk } from '../wire/on-disk.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { array, int8, int32, message, string, struct } from '../wire/schema.ts'

export interface Member {
  readonly nodeId: NodeId
  readonly diskId: DiskId
}

/** A learner gets the log and counts for nothing; it becomes a voter when it has caught up. */
export interface Seat extends Member {
  readonly role: 'voter' | 'learner'
}

/** By node id, each node at most once. */
export type Membership = readonly Seat[]

export type MembershipChange =
  | { readonly kind: 'addLearner'; readonly member: Member }
  | { readonly kind: 'promote'; readonly member: Member }
  | { readonly kind: 'remove'; readonly member: Member }

export function isSameMember(a: Member, b: Member): boolean {
  return a.nodeId === b.nodeId && a.diskId === b.diskId
}

/** The seat of exactly this member: a node with another disk has none. */
export function seatOf(membership: Membership, member: Member): Seat | null {
  return membership.find(seat => isSameMember(seat, member)) ?? null
}

export function isVoter(membership: Membership, member: Member): boolean {
  return seatOf(membership, member)?.role === 'voter'
}

/** How many voters decide. */
export function majorityOf(membership: Membership): number {
  let voters = 0
  for (const seat of membership) if (seat.role === 'voter') voters++
  return Math.floor(voters / 2) + 1
}

/**
 * The largest number that a majority of the voters has reached, 0 without voters: what is committed, from what each
 * has; which round is confirmed, from what each has answered.
 */
export function reachedByMajority(membership: Membership, reachedBy: (voter: Seat) => number): number {
  const reached: number[] = []
  for (const seat of membership) if (seat.role === 'voter') reached.push(reachedBy(seat))
  if (reached.length === 0) return 0
  reached.sort((a, b) => b - a)
  return reached[majorityOf(membership) - 1]!
}

/** Whether the votes decide an election, and how. */
export function tally(membership: Membership, votes: ReadonlyMap<NodeId, boolean>): 'won' | 'lost' | 'open' {
  let [granted, refused, voters] = [0, 0, 0]
  for (const { role, nodeId } of membership) {
    if (role !== 'voter') continue
    voters++
    const vote = votes.get(nodeId)
    if (vote === true) granted++
    if (vote === false) refused++
  }
  const majority = majorityOf(membership)
  if (granted >= majority) return 'won'
  return refused > voters - majority ? 'lost' : 'open'
}

/** The members after a change; null when the change makes no sense. */
export function changed(membership: Membership, { kind, member }: MembershipChange): Membership | null {
  const seat = seatOf(membership, member)
  switch (kind) {
    case 'addLearner': {
      if (membership.some(other => other.nodeId === member.nodeId)) return null
      const learner: Seat = { nodeId: member.nodeId, diskId: member.diskId, role: 'learner' }
      return [...membership, learner].sort((a, b) => a.nodeId - b.nodeId)
    }
    case 'promote':
      if (seat?.role !== 'learner') return null
      return membership.map(other => (other === seat ? { ...seat, role: 'voter' } : other))
    case 'remove': {
      const left = membership.filter(other => other !== seat)
      return seat !== null && left.some(other => other.role === 'voter') ? left : null
    }
  }
}

const membershipTable = message({
  name: 'RaftMembership',
  ...onDisk,
  versions: [0, 0],
  /** Of a seat: 0 learner, 1 voter. */
  body: { seats: array(struct({ nodeId: int32, diskId: string, role: int8 })) },
})

export function encodeMembership(membership: Membership): Buffer {
  const seats = membership.map(({ nodeId, diskId, role }) => ({ nodeId, diskId, role: role === 'voter' ? 1 : 0 }))
  return encodeRecord(membershipTable, { seats })
}

/** Throws `ProtocolError` for what no encoder wrote. */
export function decodeMembership(body: Buffer): Membership {
  const { seats } = decodeRecord(membershipTable, body)
  const membership = seats.map(({ nodeId, diskId, role }): Seat => {
    if (role !== 0 && role !== 1) throw new ProtocolError('a member is a learner or a voter')
    return { nodeId: nodeId as NodeId, diskId: diskId as DiskId, role: role === 1 ? 'voter' : 'learner' }
  })
  if (!isOrdered(membership)) throw new ProtocolError('members are ordered by node, each node once')
  return membership
}

/** By node id, each node once. */
export function isOrdered(membership: Membership): boolean {
  return membership.every((seat, i) => i === 0 || membership[i - 1]!.nodeId < seat.nodeId)
}
