/**
 * Who belongs to the group, and how that changes: one member at a time, so that any majority of the old members and any of the
 * new ones share a voter. A change holds from when it is in the log, committed or not, and is undone with its entry.
 *
 * A member is a node with a disk. A node that lost its disk has forgotten its votes and its acks, so with another disk it is
 * another member: a stranger until it is added.
 */
import type { DiskId, NodeId } from '../base/ids.ts'

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
