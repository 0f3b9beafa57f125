/**
 * The planted bugs that the cluster simulation must find: those of the exhaustive search that it finds too, and those that need
 * time, load, many nodes or clients. Each changes one rule of a core (now and then two, where one guards the other) by its text.
 *
 * `seed` found it when the list was last gone through, and is tried first; `seedsMax` leaves room for the seeds to come to mean
 * other runs as the cores move on.
 */
import type { Edit } from '../mutant-list.ts'

export interface ClusterMutant {
  readonly name: string
  /** Where it is looked for. */
  readonly scenario: string
  readonly seed: number
  readonly seedsMax: number
  /** Null: those of the planted bug of the search that has this name. */
  readonly edits: readonly Edit[] | null
}

const seedsMax = 100

export const clusterMutants: readonly ClusterMutant[] = [
  // ── those of the search
  searched('elections', 'votes twice in a term', 12),
  searched('elections', 'forgets to write its vote', 10),
  searched('elections', 'votes without a look at the log', 11),
  searched('elections', 'votes for one whose log is shorter in the same term', 11),
  searched('elections', 'takes a late write for the entries that replaced its own', 7),
  searched('elections', 'appends without a look at the entry before', 35),
  searched('elections', 'commits what a heartbeat says beyond what was acknowledged', 8),
  searched('elections', 'answers a read before an entry of the own term is committed', 15),
  searched('elections', 'counts the entries of learners', 49),
  searched('elections', 'takes a node with another disk for the member that it was', 1),
  searched('close', 'sends its vote before it is durable', 4),
  searched('close', 'asks for votes before its own is durable', 4),
  searched('close', 'acknowledges entries before they are durable', 2),
  searched('close', 'acknowledges entries when the term is durable, not the log', 4),
  searched('close', 'applies what is committed before it is durable here', 5),
  searched('close', 'cuts the log at every append, not only where it differs', 1),
  searched('close', 'keeps what its leader does not have', 18),
  searched('close', 'acknowledges a snapshot before it is durable', 4),
  searched('close', 'acknowledges while its own seal is in flight', 7),
  searched('close', 'goes on acknowledging after an unknown outcome', 27),
  searched('close', 'answers a fence before it is durable', 3),
  searched('close', 'seals without copying the tail', 4),
  searched('close', 'acknowledges before the sync', 2),
  searched('close', 'commits with fewer copies than the quorum', 4),
  searched('close', 'takes an append that leaves a gap', 4),
  searched('close', 'lets readers see what is not committed', 2),
  searched('rivals', 'recovers with a fence quorum that is one short', 17),
  searched('rivals', 'ends at the shortest copy that answers', 14),
  searched(
    'zombie-with-one-replica',
    'reads the end before the fence: what is on its way to the disk is not counted',
    7,
  ),
  searched('zombie-with-one-replica', 'takes appends of an epoch below its fence', 8),
  searched('dirty-replica-does-not-count', 'counts a copy that may have lost something as clean (flush: relaxed)', 4),
  searched('wiped-between-fence-and-seal', 'counts a wiped disk as clean', 4),
  // ── appends and commits
  planted('close', 'answers a lone acknowledgement before it is on the own disk', 5, [
    chain(
      'writer.ts',
      'const { durableEnd } = ownCopy(turn.chain, writer)',
      'const { end: durableEnd } = ownCopy(turn.chain, writer)',
    ),
  ]),
  planted('close', 'goes on acknowledging alone without a lease', 5, [
    chain(
      'writer.ts',
      "if ((acks !== 'all' || writer.isLeaseBound) && !hasLease(chain))",
      'if (writer.isLeaseBound && !hasLease(chain))',
    ),
    chain('writer.ts', 'const vouches = hasLease(turn.chain)', 'const vouches = turn.chain.nowMs >= 0'),
  ]),
  planted('close', 'stores a retry again', 3, [
    chain(
      'writer.ts',
      "if (verdict?.kind === 'duplicate') {",
      "if (verdict?.kind === 'duplicate' && batch.records < 0) {",
    ),
  ]),
  planted('close', 'answers a retry before what it repeats is committed', 8, [
    chain('writer.ts', 'const isDone = end <= writer.commit ||', 'const isDone = end <= writer.next ||'),
  ]),
  planted('close', 'refuses a producer that it should know: their state does not cross a seal', 7, [
    chain(
      'record.ts',
      'const known = local === undefined ? null : producersAtEnd(turn, local)',
      'const known = local === undefined ? [] : []',
    ),
  ]),
  planted('close', 'remembers producers whose batches were cut off', 3, [
    chain('copies.ts', 'while (local.undo.length > 0 && local.undo.at(-1)!.end > end) takeBack(local)', ''),
  ]),
  planted('silent-replica', 'commits only what every replica has', 3, [
    chain('writer.ts', 'if (count >= ackQuorum) best', 'if (count >= replicas.length) best'),
  ]),
  planted('close', 'does not tell replicas what is committed', 3, [
    chain('writer.ts', '  chain.unpublished.add(writer.segment)\n', ''),
    chain(
      'writer.ts',
      'if (writer.commit > writer.base && from.nodeId',
      'if (writer.commit < writer.base && from.nodeId',
    ),
  ]),
  planted('close', 'tells replicas to show what is not committed', 4, [
    chain(
      'publication.ts',
      '  const { segment, epoch, commit } = writer\n',
      '  const { segment, epoch, next: commit } = writer\n',
    ),
  ]),
  planted('close', 'shows what was cut off by a seal', 7, [
    chain('copies.ts', '  if (local.end > end) truncate(turn, local, end)\n', ''),
  ]),
  planted('close', 'counts a restarted writer as the writer that it was', 4, [
    chain('record.ts', ' && open.writerIncarnation === incarnation', ''),
    chain('record.ts', '!isMine || chain.segments.has(open.id)', '!isMine'),
  ]),
  // ── rolls
  planted('close', 'seals with copies that have not answered', 6, [
    chain('roll.ts', "state !== 'unfit' && durableEnd >= end", "state !== 'unfit' && durableEnd >= 0"),
  ]),
  planted('close', 'forgets what it carries over', 16, [
    chain(
      'roll.ts',
      '  if (carried !== null) takeOver(turn, writer, carried)\n',
      '  if (carried !== null && carried.entries.length < 0) takeOver(turn, writer, carried)\n',
    ),
  ]),
  planted('close', 'gives up a roll whose outcome is not known', 5, [
    chain(
      'roll.ts',
      'if (roll?.proposal != null) proposeAgain(turn, roll.proposal)\n',
      'if (roll?.proposal != null) writer.place = null\n',
    ),
  ]),
  // ── recoveries
  planted('close', 'forgets its fences', 3, [
    chain(
      'replica.ts',
      "write(turn, { kind: 'fence', segment: local.id, epoch })",
      "write(turn, { kind: 'fence', segment: local.id, epoch: 0 })",
    ),
  ]),
  planted('rivals', 'gives a recovery no epoch of its own', 10, [
    meta(
      'chain-changes.ts',
      'const recoveryEpoch = partition.nextEpoch + 1',
      'const recoveryEpoch = partition.nextEpoch',
    ),
  ]),
  planted('close', 'tells what it was given to copy before that is durable', 4, [
    chain('replica.ts', 'const reached = isGap ? end : durableEnd', 'const reached = end'),
    chain(
      'replica.ts',
      "else if (taken === 'held') sendRecoveryAck(turn, local, false)",
      'else sendRecoveryAck(turn, local, false)',
    ),
  ]),
  // ── copies of sealed segments
  planted('rivals', 'counts a copy before it is durable', 20, [
    chain(
      'repair.ts',
      'else if (local.isSealDurable) tell(turn, repair)',
      'else if (local.sealedEnd !== null) tell(turn, repair)',
    ),
    chain(
      'repair.ts',
      'else if (local.sealedEnd === null && local.durableEnd >= segment.end!) finishCopy',
      'else if (local.sealedEnd === null) finishCopy',
    ),
  ]),
  planted('close', 'never copies what lacks copies', 7, [
    meta('repair.ts', 'for (const need of needs) copy(repairs, settings, round, need)', ''),
  ]),
  planted('rivals', 'drops what the record does not name', 25, [
    chain(
      'record.ts',
      '  if (isReplacedEmpty(local, record)) {\n    dropCopy',
      '  if (record.version >= 0) {\n    dropCopy',
    ),
  ]),
  planted('close', 'deletes a segment of which a part is wanted', 3, [
    meta('chain-changes.ts', 'segment.end <= logStartOffset', 'segment.base < logStartOffset'),
  ]),
  // ── the record
  planted('close', 'gives the next segment the epoch of the one before', 2, [
    meta(
      'chain-changes.ts',
      'const writeEpoch = partition.nextEpoch + 1',
      'const writeEpoch = Math.max(1, partition.nextEpoch)',
    ),
  ]),
  planted('close', 'keeps the leader epoch over a recovery', 3, [
    meta(
      'chain-changes.ts',
      "sealReason: 'recovery' },\n      leaderEpoch: nextLeaderEpoch(partition)",
      "sealReason: 'recovery' },\n      leaderEpoch: partition.leaderEpoch",
    ),
  ]),
  planted('close', 'begins a segment one behind where the last one ends', 2, [
    meta(
      'chain-changes.ts',
      '{ base: sealed.end as Offset, leaderEpoch, next }',
      '{ base: (sealed.end! + 1) as Offset, leaderEpoch, next }',
    ),
  ]),
  planted('close', 'keeps the version of a record that it changes', 2, [
    meta('chain-changes.ts', 'version: partition.version + 1', 'version: partition.version'),
  ]),
  planted('close', 'does not remember outcomes', 9, [
    meta(
      'metadata.ts',
      '    const before = this.outcomes.get(requestId)\n    if (before !== undefined) return before\n',
      '',
    ),
  ]),
  planted('close', 'a snapshot forgets outcomes', 5, [
    meta('snapshot.ts', '  for (const row of state.outcomes) metadata.putOutcome(row.requestId, toOutcome(row))\n', ''),
  ]),
  planted('close', 'applies commands with the own clock', 3, [
    meta('chain-changes.ts', 'createdAtMs: nowMs,', 'createdAtMs: nowMs + Math.floor(Math.random() * 3),'),
  ]),
  // ── leases and orders
  planted('clocks-drift-within-bound', 'ends a lease as early as its holder may', 3, [
    meta('liveness.ts', 'return (sessionMs * (1 + driftMax)) / (1 - driftMax)', 'return sessionMs * (1 - driftMax)'),
  ]),
  planted('quiet-hand-overs', 'a new leader takes everybody for dead', 18, [
    meta(
      'liveness.ts',
      '  const untilMs = nowMs + grantedMs(grantor.settings)\n  for (const nodeId of nodes) {',
      '  const untilMs = nowMs\n  for (const nodeId of nodes) {',
    ),
  ]),
  planted('node-down-for-long', 'never takes a node for dead', 37, [
    meta('liveness.ts', 'if (node.isExpired || node.untilMs > nowMs) continue', 'if (node.untilMs > 0) continue'),
  ]),
  planted('rivals', 'forgets a recovery that nobody completes', 12, [
    meta(
      'controller.ts',
      "if (segment.state === 'sealing' || !isLive(segment.writer)) return true",
      'if (!isLive(segment.writer)) return true',
    ),
  ]),
  planted('close', 'leaves a segment to a writer that has started again', 7, [
    meta(
      'controller.ts',
      'if (metadata.nodes.get(segment.writer)?.incarnation !== segment.writerIncarnation) return true',
      '',
    ),
  ]),
  planted('close', 'never grows back', 16, [
    meta(
      'controller.ts',
      'if (next === null || next.replicas.length <= segment.replicas.length) return',
      'if (next !== null || round.nowMs > 0) return',
    ),
  ]),
  planted('node-down-for-long', 'places copies on nodes that are gone', 3, [
    meta('placement.ts', 'if (!isLive(nodeId) || avoid.includes(nodeId)) continue', ''),
  ]),
  planted('rivals', 'opens a segment with fewer copies than must be in sync', 34, [
    meta('placement.ts', 'if (copies < config.minInsync || copies === 0) return null', 'if (copies === 0) return null'),
    meta('chain-changes.ts', 'if (copies < config.minInsync) return refused(', 'if (copies < 1) return refused('),
    chain(
      'segment.ts',
      'return Math.max(minInsync, Math.floor(replicas / 2) + 1)',
      'return Math.floor(replicas / 2) + 1',
    ),
  ]),
  planted('rivals', 'counts an acknowledgement quorum of half the copies', 4, [
    chain(
      'segment.ts',
      'return Math.max(minInsync, Math.floor(replicas / 2) + 1)',
      'return Math.max(1, Math.floor(replicas / 2))',
    ),
  ]),
  // ── Raft
  planted('half-connected-member', 'campaigns without asking first, and is listened to', 3, [
    raft(
      'core.ts',
      'else if (raft.electionElapsed >= raft.electionTimeout) preCampaign(turn)',
      'else if (raft.electionElapsed >= raft.electionTimeout && mayCampaign(raft)) campaign(turn, false)',
    ),
    raft('election.ts', 'if (hearsLeader(raft) && !message.isTransfer) return', ''),
  ]),
  planted('deaf-leader', 'goes on leading without a majority', 4, [
    raft('core.ts', 'if (!isQuorumActive(raft)) return becomeFollower(turn, raft.term, null)', ''),
  ]),
  planted('close', 'takes a restart for a clean beginning: the snapshot is not read', 2, [
    raft('core.ts', 'handedOut: snapshotIndex,', 'handedOut: 0 as LogIndex,'),
  ]),
]

function planted(scenario: string, name: string, seed: number, edits: readonly Edit[]): ClusterMutant {
  return { name, scenario, seed, seedsMax, edits }
}

/** One of the search's (../search), by its name. */
function searched(scenario: string, name: string, seed: number): ClusterMutant {
  return { name, scenario, seed, seedsMax, edits: null }
}

function chain(file: string, find: string, replace: string): Edit {
  return { file: `src/chain/${file}`, find, replace }
}

function meta(file: string, find: string, replace: string): Edit {
  return { file: `src/cluster/${file}`, find, replace }
}

function raft(file: string, find: string, replace: string): Edit {
  return { file: `src/raft/${file}`, find, replace }
}
