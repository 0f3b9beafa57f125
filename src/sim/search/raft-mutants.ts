/**
 * Planted bugs of the Raft core, one per rule that keeps it safe; most are somebody's real one. What is only about progress
 * (pre-votes under a one-way partition, a removed leader that goes on leading) is the simulator's and the recorded scripts'.
 */
import type { SearchMutant } from './search-mutant.ts'

export const raftMutants: readonly SearchMutant[] = [
  {
    name: 'votes twice in a term',
    model: 'raft-elections',
    edits: [
      {
        file: 'src/raft/election.ts',
        find: 'return raft.votedFor === candidate.nodeId && raft.votedDisk === candidate.diskId',
        replace: 'return true',
      },
    ],
  },
  {
    name: 'sends its vote before it is durable',
    model: 'raft-elections',
    edits: [
      {
        file: 'src/raft/election.ts',
        find: "sendAfterTerm(turn, { type: 'voteReply'",
        replace: "send(turn, { type: 'voteReply'",
      },
    ],
  },
  {
    name: 'asks for votes before its own is durable',
    model: 'raft-elections',
    edits: [
      {
        file: 'src/raft/election.ts',
        find: "sendAfterTerm(turn, { type: 'vote',",
        replace: "send(turn, { type: 'vote',",
      },
    ],
  },
  {
    name: 'forgets to write its vote',
    model: 'raft-elections',
    edits: [
      {
        file: 'src/raft/turn.ts',
        find: 'raft.term !== writes.hardState.term || raft.votedFor !== writes.hardState.votedFor',
        replace: 'raft.term !== writes.hardState.term',
      },
    ],
  },
  {
    name: 'votes without a look at the log',
    model: 'raft-two-terms',
    edits: [
      {
        file: 'src/raft/log.ts',
        find: 'return term > ours || (term === ours && index >= lastIndex(log))',
        replace: 'return term >= 0',
      },
    ],
  },
  {
    name: 'votes for one whose log is shorter in the same term',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/log.ts',
        find: 'return term > ours || (term === ours && index >= lastIndex(log))',
        replace: 'return term >= ours',
      },
    ],
  },
  {
    name: 'compares logs by their length only when it votes',
    model: 'raft-older-term',
    edits: [
      {
        file: 'src/raft/log.ts',
        find: 'return term > ours || (term === ours && index >= lastIndex(log))',
        replace: 'return index >= lastIndex(log) && term >= 0',
      },
    ],
  },
  {
    name: 'counts votes of another term',
    model: 'raft-elections',
    edits: [
      {
        file: 'src/raft/core.ts',
        find: 'if (message.term < raft.term) return\n',
        replace: '\n',
      },
    ],
  },
  {
    name: 'commits an entry of an older term by counting',
    model: 'raft-older-term',
    edits: [
      {
        file: 'src/raft/replication.ts',
        find: ' || termAt(raft.log, reached) !== raft.term',
        replace: '',
      },
    ],
  },
  {
    name: 'acknowledges entries before they are durable',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/follower.ts',
        find: "sendAfterLog(turn, { type: 'appendAck', from: turn.raft.self, to, term, index })",
        replace:
          "turn.effects.push({ do: 'send', message: { type: 'appendAck', from: turn.raft.self, to, term, index }, after: null })",
      },
    ],
  },
  {
    name: 'acknowledges entries when the term is durable, not the log',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/follower.ts',
        find: "sendAfterLog(turn, { type: 'appendAck'",
        replace: "sendAfterTerm(turn, { type: 'appendAck'",
      },
    ],
  },
  {
    name: 'a leader counts its own entries before they are durable',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/replication.ts',
        find: 'nodeId === raft.self.nodeId ? raft.log.durable',
        replace: 'nodeId === raft.self.nodeId ? lastIndex(raft.log)',
      },
    ],
  },
  {
    name: 'applies what is committed before it is durable here',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/turn.ts',
        find: 'Math.min(raft.commit, raft.log.durable) as LogIndex',
        replace: 'raft.commit',
      },
    ],
  },
  {
    name: 'takes a late write for the entries that replaced its own',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/log.ts',
        find: 'for (const writing of log.writing) if (writing.proves > left) writing.proves = left',
        replace: '',
      },
    ],
  },
  {
    name: 'appends without a look at the entry before',
    model: 'raft-older-term',
    edits: [
      {
        file: 'src/raft/follower.ts',
        find: 'if (previousIndex >= raft.commit && !hasEntry(raft.log, previousIndex, previousTerm)) return reject(turn, message)',
        replace: 'if (previousIndex > lastIndex(raft.log)) return reject(turn, message)',
      },
    ],
  },
  {
    name: 'cuts the log at every append, not only where it differs',
    model: 'raft-pipeline',
    edits: [
      {
        file: 'src/raft/follower.ts',
        find: 'index > raft.commit && !hasEntry(raft.log, index, term)',
        replace: 'index > raft.commit && term > 0',
      },
    ],
  },
  {
    name: 'keeps what its leader does not have',
    model: 'raft-replication',
    edits: [
      {
        file: 'src/raft/follower.ts',
        find: '!hasEntry(raft.log, index, term))',
        replace: 'index > lastIndex(raft.log) && term > 0)',
      },
    ],
  },
  {
    name: 'commits what a heartbeat says beyond what was acknowledged',
    model: 'raft-reads',
    edits: [
      {
        file: 'src/raft/reads.ts',
        find: 'Math.min(raft.commit, match) as LogIndex',
        replace: 'raft.commit',
      },
    ],
  },
  {
    name: 'answers a read before an entry of the own term is committed',
    model: 'raft-reads',
    edits: [
      {
        file: 'src/raft/reads.ts',
        find: 'if (!hasCommittedInTerm(raft)) return\n',
        replace: '\n',
      },
    ],
  },
  {
    name: 'answers a read by a round that began before it',
    model: 'raft-reads',
    edits: [
      {
        file: 'src/raft/reads.ts',
        find: 'read.round = leading.round + 1',
        replace: 'read.round = leading.round',
      },
    ],
  },
  {
    name: 'changes members before an entry of the own term is committed',
    model: 'raft-membership',
    edits: [
      {
        file: 'src/raft/replication.ts',
        find: "if (!hasCommittedInTerm(raft)) return refuse(turn, token, 'notReady')",
        replace: '',
      },
    ],
  },
  {
    name: 'changes members while another change is not committed',
    model: 'raft-removal',
    edits: [
      {
        file: 'src/raft/replication.ts',
        find: "if (raft.memberships.at(-1)!.index > raft.commit) return refuse(turn, token, 'changePending')",
        replace: '',
      },
    ],
  },
  {
    name: 'does not undo a change of members with its entry',
    model: 'raft-membership',
    edits: [
      {
        file: 'src/raft/follower.ts',
        find: 'forgetMemberships(raft, from)\n',
        replace: '\n',
      },
    ],
  },
  {
    name: 'asks learners for votes, and counts them',
    model: 'raft-learner',
    edits: [
      {
        file: 'src/raft/election.ts',
        find: "membershipOf(raft).filter(seat => seat.role === 'voter' && !isSameMember(seat, raft.self))",
        replace: 'membershipOf(raft).filter(seat => !isSameMember(seat, raft.self))',
      },
      {
        file: 'src/raft/membership.ts',
        find: "if (role !== 'voter') continue\n",
        replace: '\n',
      },
    ],
  },
  {
    name: 'counts the entries of learners',
    model: 'raft-growth',
    edits: [
      {
        file: 'src/raft/membership.ts',
        find: "if (seat.role === 'voter') reached.push(reachedBy(seat))",
        replace: 'reached.push(reachedBy(seat))',
      },
    ],
  },
  {
    name: 'takes a node with another disk for the member that it was',
    model: 'raft-wiped-disk',
    edits: [
      {
        file: 'src/raft/membership.ts',
        find: 'return a.nodeId === b.nodeId && a.diskId === b.diskId',
        replace: 'return a.nodeId === b.nodeId',
      },
    ],
  },
  {
    name: 'restores a snapshot before it is durable',
    model: 'raft-snapshots',
    edits: [
      {
        file: 'src/raft/turn.ts',
        find: 'if (raft.restoring !== null && raft.restoring.write <= write) {',
        replace: 'if (raft.restoring !== null) {',
      },
    ],
  },
  {
    name: 'a snapshot brings no members with it',
    model: 'raft-snapshots',
    edits: [
      {
        file: 'src/raft/snapshot-receiver.ts',
        find: '  restartMemberships(raft, snapshot.index, snapshot.membership)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'acknowledges a snapshot before it is durable',
    model: 'raft-snapshots',
    harmless: 'what a snapshot stands for is committed, and on the disks of a majority without this one',
    edits: [
      {
        file: 'src/raft/snapshot-receiver.ts',
        find: '  install(turn, { ...chunkless(chunk), data })\n  acknowledge(turn, chunk, chunk.index)',
        replace:
          "  install(turn, { ...chunkless(chunk), data })\n  const { from: to, term, index } = chunk\n  turn.effects.push({ do: 'send', message: { type: 'appendAck', from: raft.self, to, term, index }, after: null })",
      },
    ],
  },
  {
    name: 'takes its log for durable though a snapshot has replaced it',
    model: 'raft-snapshots',
    edits: [
      {
        file: 'src/raft/log.ts',
        find: '  log.durable = 0 as LogIndex\n',
        replace: '',
      },
    ],
  },
  {
    name: 'votes for a successor without a look at the log',
    model: 'raft-transfer',
    edits: [
      {
        file: 'src/raft/election.ts',
        find: 'isUpToDate(raft.log, message.lastIndex, message.lastTerm)\n  if (isGranted) {',
        replace:
          '(message.isTransfer || isUpToDate(raft.log, message.lastIndex, message.lastTerm))\n  if (isGranted) {',
      },
    ],
  },
]

export const raftMutantsInCi: readonly string[] = [
  'votes twice in a term',
  'sends its vote before it is durable',
  'commits an entry of an older term by counting',
  'acknowledges entries before they are durable',
  'answers a read by a round that began before it',
  'changes members before an entry of the own term is committed',
  'restores a snapshot before it is durable',
]
