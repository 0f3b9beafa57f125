/**
 * What a leader knows of one follower, and how fast it may send to it. All transitions between the states are here.
 *
 *     probe      → replicate   an ack: so far the logs agree
 *     replicate  → probe       a reject, or a broken connection: appends were lost
 *     any        → snapshot    the entry before `next` is compacted away
 *     snapshot   → replicate   an ack of the snapshot's index or more
 *
 * Always: match < next, and match never goes back, as it is durable at the follower.
 *
 * - probe: where the logs part is not known. `next` is a guess; one append at a time, until an ack or a heartbeat's
 *   ack.
 * - replicate: the logs agree up to `next - 1`, unless appends were lost. `next` runs ahead of the acks; what is
 *   between is `inflight`, bounded by messages and bytes.
 * - snapshot: the entry before `next` is compacted away. Nothing is appended; chunks go one at a time, each on the
 *   ack of the one before. `transfer` is not null exactly in this state.
 */
import type { LogIndex } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { RaftSettings, Snapshot } from './events.ts'
import type { Member } from './membership.ts'

export interface Progress {
  readonly member: Member
  state: 'probe' | 'replicate' | 'snapshot'
  /** The follower's log is durable and the leader's up to here. */
  match: LogIndex
  /** The first entry of the next append. */
  next: LogIndex
  /** The highest commit it was told of; a snapshot is committed. */
  toldCommit: LogIndex
  /**
   * probe: an append is under way, and nothing more is sent until it is answered or a heartbeat says the follower is
   * there.
   */
  isProbeSent: boolean
  /** replicate: the last index and the bytes of each append that is not acknowledged, oldest first. Empty otherwise. */
  readonly inflight: Inflight[]
  inflightBytes: number
  transfer: Transfer | null
  /** The leader's last round before it last went back from replicate to probe; -1 for never. */
  wentBackInRound: number
  /** Heard since the last time the leader checked that it has a quorum. */
  isActive: boolean
  /** The latest of the leader's rounds that the follower answered. */
  round: number
}

interface Inflight {
  readonly index: LogIndex
  readonly bytes: number
}

export interface Transfer {
  /**
   * Stays the same through one transfer even when the leader takes newer ones, else a slow follower would never finish.
   */
  readonly snapshot: Snapshot
  /** The follower has everything before this. */
  position: number
  /**
   * The chunk at `position` was sent in this round; an ack of a later round without one of the chunk means that it was
   * lost.
   */
  sentInRound: number
  /** The chunk was sent again, so the follower may have restarted, and asks for an earlier one. */
  isResent: boolean
}

/** A follower of which nothing is known: it is tried from the end of the leader's log. */
export function freshProgress(member: Member, next: LogIndex): Progress {
  return {
    member,
    state: 'probe',
    match: 0 as LogIndex,
    next,
    toldCommit: 0 as LogIndex,
    isProbeSent: false,
    inflight: [],
    inflightBytes: 0,
    transfer: null,
    wentBackInRound: -1,
    isActive: false,
    round: 0,
  }
}

export function becomeProbe(progress: Progress): void {
  progress.next = (progress.match + 1) as LogIndex
  enter(progress, 'probe')
}

function becomeReplicate(progress: Progress): void {
  progress.next = (progress.match + 1) as LogIndex
  enter(progress, 'replicate')
}

export function becomeSnapshot(progress: Progress, snapshot: Snapshot, round: number): void {
  invariant(snapshot.index > progress.match, 'a follower is not sent a snapshot of what it has')
  enter(progress, 'snapshot')
  progress.transfer = { snapshot, position: 0, sentInRound: round, isResent: false }
}

function enter(progress: Progress, state: Progress['state']): void {
  progress.state = state
  progress.isProbeSent = false
  progress.inflight.length = 0
  progress.inflightBytes = 0
  progress.transfer = null
}

/** Whether nothing with entries may be sent now. */
export function isPaused(progress: Progress, settings: RaftSettings): boolean {
  switch (progress.state) {
    case 'probe':
      return progress.isProbeSent
    case 'replicate':
      return (
        progress.inflight.length >= settings.inflightMessagesMax || progress.inflightBytes >= settings.inflightBytesMax
      )
    case 'snapshot':
      return true
  }
}

/** An append that ends at `last` is on its way; `count` 0 is one that carries the commit only. */
export function appendSent(progress: Progress, last: LogIndex, count: number, bytes: number): void {
  if (progress.state === 'probe') {
    progress.isProbeSent = true
  } else if (count > 0) {
    invariant(progress.state === 'replicate', 'nothing is appended while a snapshot is sent')
    progress.next = (last + 1) as LogIndex
    progress.inflight.push({ index: last, bytes })
    progress.inflightBytes += bytes
  }
}

/** The follower's log is the leader's up to `index`. False when that is no news. */
export function acknowledged(progress: Progress, index: LogIndex): boolean {
  while (progress.inflight.length > 0 && progress.inflight[0]!.index <= index) {
    progress.inflightBytes -= progress.inflight.shift()!.bytes
  }
  const isNews = index > progress.match
  if (isNews) progress.match = index
  if (progress.next <= progress.match) progress.next = (progress.match + 1) as LogIndex
  if (progress.state === 'probe') becomeReplicate(progress)
  if (progress.state === 'snapshot' && progress.match >= progress.transfer!.snapshot.index) {
    progress.toldCommit = progress.transfer!.snapshot.index
    becomeReplicate(progress)
  }
  return isNews
}

/**
 * The follower does not have the entry before an append; `agreed` is the last place where it may still agree. False when
 * the reject says nothing: one of an append before what has been acknowledged since, or of another probe than the last.
 *
 * While replicating the leader goes back once, and then again only when a round that it began after that has been
 * answered. Appends that overtake each other are each rejected; if each reject sent the window anew, those would overtake
 * each other as well, and messages would breed.
 */
export function rejected(progress: Progress, previous: LogIndex, agreed: LogIndex, round: number): boolean {
  if (previous <= progress.match) return false
  if (progress.state === 'replicate') {
    if (progress.round <= progress.wentBackInRound) return false
    progress.wentBackInRound = round
    becomeProbe(progress)
    return true
  }
  if (progress.state === 'snapshot' || previous !== progress.next - 1) return false
  progress.next = Math.max(Math.min(previous, agreed + 1), progress.match + 1) as LogIndex
  progress.isProbeSent = false
  return true
}

/** The follower is there. What was probed last may be lost, and is tried again. */
export function heartbeatAnswered(progress: Progress, round: number): void {
  if (round > progress.round) progress.round = round
  progress.isProbeSent = false
}

/**
 * The connection broke: what is under way is taken for lost. A snapshot goes on from where it is when chunks are asked
 * again.
 */
export function disconnected(progress: Progress): void {
  if (progress.state === 'replicate') becomeProbe(progress)
}
