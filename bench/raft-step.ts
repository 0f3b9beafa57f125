/**
 * What one step of the Raft core costs on its steady path: a proposal at the leader, an append at a follower, an ack at the
 * leader. To reach: 5 µs each, measured over a group of three whose log is compacted as it would be.
 *
 *     node bench/raft-step.ts
 */
import type { DiskId, LogIndex, NodeId, Term } from '../src/base/ids.ts'
import { createRaft, type Raft, step } from '../src/raft/core.ts'
import type { Effect, RaftEvent } from '../src/raft/events.ts'
import type { Message } from '../src/raft/messages.ts'

const rounds = 60_000
const compactEvery = 2_000
const targetMicros = 5

const seats = [1, 2, 3].map(id => ({ nodeId: id as NodeId, diskId: `disk ${id}` as DiskId, role: 'voter' as const }))
const settings = {
  electionTicks: 10,
  heartbeatTicks: 1,
  inflightMessagesMax: 64,
  inflightBytesMax: 1 << 20,
  appendBytesMax: 1 << 16,
  uncommittedBytesMax: 1 << 22,
  snapshotChunkBytes: 1 << 16,
  trailingEntries: 100,
  waitingReadsMax: 100,
}

const members = seats.map(({ nodeId, diskId }) =>
  createRaft({
    self: { nodeId, diskId },
    settings,
    electionTicks: 10,
    restored: { hardState: { term: 0 as Term, votedFor: null }, snapshot: null, entries: [] },
    initialMembership: seats,
  }),
)
const [leader, follower] = members as [Raft, Raft, Raft]

const spent = { propose: 0n, append: 0n, ack: 0n, persisted: 0n }
const counted = { propose: 0, append: 0, ack: 0, persisted: 0 }

/** Everything that an event leads to, with disks and network that take no time. */
function run(raft: Raft, event: RaftEvent): void {
  const kind = kindOf(event)
  const before = process.hrtime.bigint()
  const effects = step(raft, event)
  if (kind !== null) {
    spent[kind] += process.hrtime.bigint() - before
    counted[kind]++
  }
  for (const effect of effects) perform(raft, effect)
}

function perform(raft: Raft, effect: Effect): void {
  if (effect.do === 'send') deliver(effect.message)
  else if (effect.do === 'persist' || effect.do === 'saveSnapshot')
    run(raft, { type: 'persisted', write: effect.write })
  else if (effect.do === 'apply') run(raft, { type: 'applied', index: effect.entries.at(-1)!.index, checksum: null })
}

function deliver(message: Message): void {
  const raft = members[message.to.nodeId - 1]
  if (raft !== undefined) run(raft, { type: 'message', message })
}

function kindOf(event: RaftEvent): keyof typeof spent | null {
  if (event.type === 'propose' || event.type === 'persisted') return event.type
  if (event.type !== 'message') return null
  if (event.message.type === 'append' && event.message.entries.length > 0) return 'append'
  return event.message.type === 'appendAck' ? 'ack' : null
}

run(leader, { type: 'campaign' })
const data = Buffer.alloc(200, 1)
for (let token = 1; token <= rounds; token++) {
  // The first rounds are for the compiler.
  if (token === rounds / 6)
    for (const kind of Object.keys(spent) as (keyof typeof spent)[]) [spent[kind], counted[kind]] = [0n, 0]
  run(leader, { type: 'propose', token, data })
  if (token % compactEvery > 0) continue
  for (const raft of members) run(raft, { type: 'snapshotTaken', index: (raft.handedOut - 1) as LogIndex, data })
}
if (leader.commit < rounds || follower.commit < rounds - 1) throw new Error('the proposals were not committed')

for (const kind of Object.keys(spent) as (keyof typeof spent)[]) {
  const micros = Number(spent[kind]) / counted[kind] / 1000
  const verdict = micros <= targetMicros ? '' : `, more than ${targetMicros}`
  console.log(`${kind.padEnd(10)} ${micros.toFixed(2)} µs${verdict}`)
}
