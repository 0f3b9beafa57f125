/**
 * Who is alive: leases between each node (the holder) and the Raft leader (the grantor). Both sides are pure and live on
 * monotonic times that are given to them; nothing of a lease is written to Raft but its end.
 *
 *     holder   sends a renewal every `renewMs`; a granted one holds for `sessionMs` from when it was SENT
 *     grantor  waits longer, from when it was RECEIVED: by as much as two clocks within the drift bound can differ
 *
 * So a holder knows that its lease is over before the grantor acts on it. That is no more than good manners: what keeps a
 * writer out is the fence; only acknowledgements that a single node vouches for depend on the lease.
 *
 * A lease also tells its holder that nobody has taken over from it, as far as it knows the metadata. So a grant says what the
 * leader knew, and counts once the holder knows that too: else a node that was away, and whose segments were recovered
 * meanwhile, would go on with them as soon as it is heard again.
 *
 * A new leader first grants everybody a full session. One that stalled does not count the time in which it could not have
 * received a renewal.
 */
import type { NodeId } from '../base/ids.ts'

export interface LivenessSettings {
  readonly renewMs: number
  /** How long the holder may rely on a renewal. */
  readonly sessionMs: number
  /** By how much a clock may run fast or slow: 0.05 is five in a hundred. */
  readonly driftMax: number
  /** Ticks of the grantor further apart than this are a stall. */
  readonly stallMs: number
}

export const defaultLivenessSettings: LivenessSettings = {
  renewMs: 100,
  sessionMs: 1500,
  driftMax: 0.05,
  stallMs: 250,
}

// ── the holder

export interface Holder {
  readonly settings: LivenessSettings
  /** Null before the first renewal. */
  sentMs: number | null
  untilMs: number
  /** What this node has applied of the metadata's log. */
  applied: number
  /** Grants by a leader that knew more, the oldest first. */
  waiting: readonly Grant[]
}

interface Grant {
  readonly sentAtMs: number
  /** The last entry of the metadata's log that may have been committed when the leader granted. */
  readonly knownThrough: number
}

/** Of a session's worth; a node that is further behind has no lease to wait for. */
const waitingGrantsMax = 16

export type HolderEvent =
  | { readonly type: 'tick'; readonly nowMs: number }
  /** The leader granted the renewal that was sent then. */
  | ({ readonly type: 'granted' } & Grant)
  /** This node has applied the metadata's log up to there, and acted on it. */
  | { readonly type: 'applied'; readonly index: number }

export type HolderEffect =
  | { readonly do: 'renew'; readonly sentAtMs: number }
  | { readonly do: 'lease'; readonly untilMs: number }

export function createHolder(settings: LivenessSettings): Holder {
  return { settings, sentMs: null, untilMs: Number.NEGATIVE_INFINITY, applied: 0, waiting: [] }
}

export function holderStep(holder: Holder, event: HolderEvent): HolderEffect[] {
  switch (event.type) {
    case 'tick':
      return renew(holder, event.nowMs)
    case 'granted':
      return granted(holder, event)
    case 'applied':
      return applied(holder, event.index)
  }
}

function renew(holder: Holder, nowMs: number): HolderEffect[] {
  const { sentMs, settings } = holder
  const hasJumpedBack = sentMs !== null && nowMs < sentMs
  if (sentMs !== null && !hasJumpedBack && nowMs - sentMs < settings.renewMs) return []
  holder.sentMs = nowMs
  if (!hasJumpedBack) return [{ do: 'renew', sentAtMs: nowMs }]
  // A clock that goes back would make the lease longer than was granted.
  holder.untilMs = Math.min(holder.untilMs, nowMs)
  return [
    { do: 'lease', untilMs: holder.untilMs },
    { do: 'renew', sentAtMs: nowMs },
  ]
}

function granted(holder: Holder, { sentAtMs, knownThrough }: Grant): HolderEffect[] {
  if (holder.sentMs === null || sentAtMs > holder.sentMs) return []
  if (knownThrough > holder.applied) {
    holder.waiting = [...holder.waiting, { sentAtMs, knownThrough }].slice(-waitingGrantsMax)
    return []
  }
  const untilMs = sentAtMs + holder.settings.sessionMs
  if (untilMs <= holder.untilMs) return []
  holder.untilMs = untilMs
  return [{ do: 'lease', untilMs }]
}

function applied(holder: Holder, index: number): HolderEffect[] {
  holder.applied = index
  if (holder.waiting.length === 0) return []
  const ready = holder.waiting.filter(grant => grant.knownThrough <= index)
  holder.waiting = holder.waiting.filter(grant => grant.knownThrough > index)
  return ready.flatMap(grant => granted(holder, grant))
}

// ── the grantor

interface Granted {
  /** Null while it has not renewed with this leader: the leases of the leader before still count. */
  incarnation: number | null
  /** The newest boot that was registered as far as this leader knows; a newer one begins a session of its own. */
  registered: number
  untilMs: number
  /** Its connection broke, and it has not renewed since. */
  isSuspect: boolean
  isExpired: boolean
}

export interface Grantor {
  readonly settings: LivenessSettings
  isLeading: boolean
  tickMs: number
  readonly nodes: Map<NodeId, Granted>
}

export type GrantorEvent =
  /** This node leads from now on; these are the nodes that there are. */
  | { readonly type: 'lead'; readonly nowMs: number; readonly nodes: readonly NodeId[] }
  | { readonly type: 'retire' }
  | { readonly type: 'renewal'; readonly nodeId: NodeId; readonly incarnation: number; readonly nowMs: number }
  | { readonly type: 'tick'; readonly nowMs: number }
  | { readonly type: 'peerDown'; readonly nodeId: NodeId; readonly nowMs: number }

/** To be told to everybody through Raft. */
export interface GrantorEffect {
  readonly do: 'expired' | 'returned'
  readonly nodeId: NodeId
  readonly incarnation: number
}

export function createGrantor(settings: LivenessSettings): Grantor {
  return { settings, isLeading: false, tickMs: 0, nodes: new Map() }
}

export function grantorStep(grantor: Grantor, event: GrantorEvent): GrantorEffect[] {
  if (event.type === 'lead') return lead(grantor, event.nowMs, event.nodes)
  if (!grantor.isLeading) return []
  switch (event.type) {
    case 'retire':
      grantor.isLeading = false
      grantor.nodes.clear()
      return []
    case 'renewal':
      return renewal(grantor, event)
    case 'peerDown':
      return suspect(grantor, event.nodeId)
    case 'tick':
      return expire(grantor, event.nowMs)
  }
}

/** Whether the node may be given work: it has a lease, and nothing speaks against it. */
export function isLive(grantor: Grantor, nodeId: NodeId): boolean {
  const node = grantor.nodes.get(nodeId)
  return node !== undefined && !node.isSuspect && !node.isExpired
}

/** A registration is a sign of life as good as a renewal: a boot that the leader has not heard of before gets a session. */
export function watch(grantor: Grantor, nodeId: NodeId, incarnation: number, nowMs: number): void {
  if (!grantor.isLeading) return
  const known = grantor.nodes.get(nodeId)
  if (known !== undefined && (known.registered === 0 || known.registered >= incarnation)) {
    // The first look after an election: who is registered then has the session that everybody got.
    known.registered = Math.max(known.registered, incarnation)
    return
  }
  const untilMs = nowMs + grantedMs(grantor.settings)
  grantor.nodes.set(nodeId, { incarnation, registered: incarnation, untilMs, isSuspect: false, isExpired: false })
}

/** Long enough that a holder whose clock is slow has ended its session by a clock that is fast. */
export function grantedMs({ sessionMs, driftMax }: LivenessSettings): number {
  return (sessionMs * (1 + driftMax)) / (1 - driftMax)
}

function lead(grantor: Grantor, nowMs: number, nodes: readonly NodeId[]): GrantorEffect[] {
  grantor.isLeading = true
  grantor.tickMs = nowMs
  grantor.nodes.clear()
  const untilMs = nowMs + grantedMs(grantor.settings)
  for (const nodeId of nodes) {
    grantor.nodes.set(nodeId, { incarnation: null, registered: 0, untilMs, isSuspect: false, isExpired: false })
  }
  return []
}

function renewal(grantor: Grantor, event: Extract<GrantorEvent, { readonly type: 'renewal' }>): GrantorEffect[] {
  const { nodeId, incarnation, nowMs } = event
  const known = grantor.nodes.get(nodeId)
  if (known !== undefined && known.incarnation !== null && incarnation < known.incarnation) return []
  const untilMs = nowMs + grantedMs(grantor.settings)
  const registered = Math.max(incarnation, known?.registered ?? 0)
  grantor.nodes.set(nodeId, { incarnation, registered, untilMs, isSuspect: false, isExpired: false })
  return known?.isExpired === true ? [{ do: 'returned', nodeId, incarnation }] : []
}

/** It gets no more work, and its segments are recovered, but its lease runs on: it may only have lost this connection. */
function suspect(grantor: Grantor, nodeId: NodeId): GrantorEffect[] {
  const node = grantor.nodes.get(nodeId)
  if (node !== undefined) node.isSuspect = true
  return []
}

function expire(grantor: Grantor, nowMs: number): GrantorEffect[] {
  const gapMs = nowMs - grantor.tickMs
  grantor.tickMs = nowMs
  // Renewals that came meanwhile still wait to be read.
  const isStall = gapMs > grantor.settings.stallMs
  const effects: GrantorEffect[] = []
  for (const [nodeId, node] of grantor.nodes) {
    if (isStall) node.untilMs += gapMs
    if (gapMs < 0) node.untilMs = Math.min(node.untilMs, nowMs + grantedMs(grantor.settings))
    if (node.isExpired || node.untilMs > nowMs) continue
    node.isExpired = true
    if (node.incarnation !== null) effects.push({ do: 'expired', nodeId, incarnation: node.incarnation })
  }
  return effects
}
