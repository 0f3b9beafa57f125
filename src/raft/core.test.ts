import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DiskId, LogIndex, NodeId, Term } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import { appliedOf, commitOf, createRaft, isLeader, leaderOf, membershipOf, type Raft, step, termOf } from './core.ts'
import type { RaftEvent } from './events.ts'
import { lastIndex } from './log.ts'
import { encodeMembership, type Member, type Membership } from './membership.ts'
import type { Message } from './messages.ts'
import { entryTypes } from './storage.ts'
import { runChaos } from './testing/chaos.ts'
import { Cluster, defaultSettings, memberOf } from './testing/cluster.ts'

const seats: Membership = [1, 2, 3].map(id => ({ ...memberOf(id), role: 'voter' }))

/** Three members, the first of them leading, with a few entries, a snapshot, and a write under way. */
function group(): Cluster {
  const cluster = new Cluster()
  for (const { nodeId } of seats) cluster.add(memberOf(nodeId), seats)
  cluster.feed(1, { type: 'campaign' })
  cluster.stabilize([1, 2, 3])
  for (let token = 1; token <= 3; token++) cluster.feed(1, { type: 'propose', token, data: Buffer.from('a') })
  cluster.stabilize([1, 2, 3])
  for (const id of [1, 2, 3]) {
    cluster.feed(id, { type: 'snapshotTaken', index: 2 as LogIndex, data: Buffer.from('state') })
  }
  cluster.feed(1, { type: 'propose', token: 9, data: Buffer.from('b') })
  for (const message of cluster.network.splice(0)) cluster.deliver(message)
  return cluster
}

const aNumber = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 8 }) },
  fc.constantFrom(-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, 2 ** 60),
)
const aMember: fc.Arbitrary<Member> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 3 }).map(id => memberOf(id)) },
  fc.record({
    nodeId: aNumber.map(id => id as NodeId),
    diskId: fc.constantFrom('d1', 'other').map(id => id as DiskId),
  }),
)
const aMembership = fc.array(
  fc.record({
    nodeId: aNumber.map(id => id as NodeId),
    diskId: fc.constant('d1' as DiskId),
    role: fc.constantFrom('voter' as const, 'learner' as const),
  }),
  { maxLength: 3 },
)
const someData = fc.oneof(
  fc.uint8Array({ maxLength: 20 }).map(bytes => Buffer.from(bytes)),
  aMembership.map(members => encodeMembership(members.map(seat => ({ ...seat, nodeId: (seat.nodeId | 0) as NodeId })))),
)
const anEntry = fc.record({
  term: aNumber,
  index: aNumber,
  type: fc.oneof(fc.constantFrom<number>(...Object.values(entryTypes)), aNumber),
  data: someData,
})
/** Entries that follow each other are what gets past the door. */
const someEntries = fc.oneof(
  fc.array(anEntry, { maxLength: 4 }),
  fc
    .record({ from: fc.nat({ max: 8 }), term: fc.nat({ max: 4 }), data: fc.array(someData, { maxLength: 4 }) })
    .map(({ from, term, data }) => data.map((bytes, i) => ({ index: from + i, term, type: i % 3, data: bytes }))),
)
const aMessage = fc
  .record({
    type: fc.constantFrom<Message['type']>(
      'preVote',
      'preVoteReply',
      'vote',
      'voteReply',
      'append',
      'appendAck',
      'appendReject',
      'heartbeat',
      'heartbeatAck',
      'snapshotChunk',
      'snapshotAck',
      'timeoutNow',
    ),
    from: aMember,
    to: aMember,
    term: aNumber,
    lastIndex: aNumber,
    lastTerm: aNumber,
    isTransfer: fc.boolean(),
    isGranted: fc.boolean(),
    previousIndex: aNumber,
    previousTerm: aNumber,
    entries: someEntries,
    commit: aNumber,
    index: aNumber,
    hintIndex: aNumber,
    hintTerm: aNumber,
    round: aNumber,
    applied: fc.option(fc.record({ index: aNumber, checksum: aNumber })),
    indexTerm: aNumber,
    membership: aMembership,
    position: aNumber,
    bytesTotal: aNumber,
    checksum: aNumber,
    data: someData,
  })
  .map(fields => fields as unknown as Message)

describe('a message', () => {
  it('never makes the core throw, whatever its fields say, and never takes back what is promised', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2), fc.array(aMessage, { maxLength: 15 }), (nodeId, messages) => {
        const { raft } = group().node(nodeId)
        assert.ok(raft !== null)
        for (const message of messages) {
          const { term, commit, handedOut } = raft
          step(raft, { type: 'message', message: { ...message, to: raft.self } })
          assert.ok(raft.term >= term && raft.commit >= commit && raft.handedOut >= handedOut)
          assert.ok(raft.commit <= lastIndex(raft.log))
          // And the core goes on.
          step(raft, { type: 'persisted', write: raft.writes.last })
          if (raft.handedOut > raft.applied) step(raft, { type: 'applied', index: raft.handedOut, checksum: 1 })
          for (let i = 0; i < 3; i++) step(raft, { type: 'tick', electionTicks: 10 })
        }
      }),
      { numRuns: 1500 },
    )
  })
})

describe('the state', () => {
  it('is plain data: a copy does what the original does', () => {
    const cluster = group()
    const events: RaftEvent[] = [
      { type: 'propose', token: 20, data: Buffer.from('c') },
      { type: 'read', token: 21 },
      { type: 'tick', electionTicks: 12 },
      { type: 'persisted', write: 6 },
      { type: 'transfer', to: 2 as NodeId },
      {
        type: 'message',
        message: { type: 'appendAck', from: memberOf(2), to: memberOf(1), term: 1 as Term, index: 5 as LogIndex },
      },
    ]
    const original = cluster.node(1).raft!
    for (const event of events) {
      const copy: Raft = structuredClone(original)
      assert.deepEqual(plain(step(copy, event)), plain(step(original, event)))
      assert.deepEqual(plain(copy), plain(original))
    }
  })

  it('answers what a driver asks', () => {
    const { raft } = group().node(1)
    assert.ok(raft !== null)
    assert.deepEqual([isLeader(raft), leaderOf(raft)?.nodeId, termOf(raft)], [true, 1, 1])
    assert.deepEqual([commitOf(raft), appliedOf(raft), membershipOf(raft)], [4, 4, seats])
  })

  it('starts from what is durable only if that fits together', () => {
    const nothing = { term: 0 as Term, votedFor: null }
    const entry = { term: 2 as Term, index: 1 as LogIndex, type: entryTypes.noop, data: Buffer.alloc(0) }
    const restored = { hardState: nothing, snapshot: null, entries: [entry] }
    const options = {
      self: memberOf(1),
      settings: defaultSettings,
      electionTicks: 10,
      restored,
      initialMembership: seats,
    }
    assert.throws(() => createRaft(options), /a term is on the disk before its entries/)
  })
})

describe('checksums of the applied state', () => {
  const beat = (index: number, checksum: number): RaftEvent => {
    const applied = { index: index as LogIndex, checksum }
    const to = { from: memberOf(1), to: memberOf(2), term: 1 as Term }
    return { type: 'message', message: { type: 'heartbeat', ...to, commit: 0 as LogIndex, round: 0, applied } }
  }
  const divergedAt = (raft: Raft, event: RaftEvent) =>
    step(raft, event).flatMap(effect => (effect.do === 'diverged' ? [effect.index] : []))

  /** A follower that was given forty entries and has applied none. */
  function follower(): Raft {
    const { raft } = group().node(2)
    assert.ok(raft !== null)
    const entries = Array.from({ length: 40 }, (_, i) => ({
      index: (raft.handedOut + 1 + i) as LogIndex,
      term: 1 as Term,
      type: entryTypes.noop,
      data: Buffer.alloc(0),
    }))
    const previous = { previousIndex: raft.handedOut, previousTerm: 1 as Term, entries, commit: 44 as LogIndex }
    const envelope = { from: memberOf(1), to: memberOf(2), term: 1 as Term }
    step(raft, { type: 'message', message: { type: 'append', ...envelope, ...previous } })
    step(raft, { type: 'persisted', write: raft.writes.last })
    assert.equal(raft.handedOut, 44)
    return raft
  }
  const apply = (raft: Raft, index: number, checksum: number | null) =>
    divergedAt(raft, { type: 'applied', index: index as LogIndex, checksum })

  it('are compared where both took one, now or when this member gets there', () => {
    const raft = follower()
    apply(raft, 10, 100)
    assert.deepEqual(divergedAt(raft, beat(10, 100)), [])
    assert.deepEqual(divergedAt(raft, beat(10, 99)), [10])
    assert.deepEqual(divergedAt(raft, beat(9, 99)), [], 'none was taken there')
    assert.deepEqual(divergedAt(raft, beat(12, 120)), [])
    assert.deepEqual(divergedAt(raft, beat(14, 140)), [], 'does not push the earlier one out')
    assert.deepEqual(apply(raft, 11, 110), [])
    assert.deepEqual(apply(raft, 12, 121), [12])
    assert.deepEqual(divergedAt(raft, beat(14, 140)), [])
    assert.deepEqual(apply(raft, 14, null), [], 'none was taken there')
    assert.deepEqual(apply(raft, 13, 7), [], 'what goes back says nothing')
    assert.deepEqual(divergedAt(raft, beat(13, 8)), [])
  })

  it('are remembered for the newest sixteen', () => {
    const raft = follower()
    for (let index = 5; index <= 21; index++) apply(raft, index, index)
    assert.deepEqual(divergedAt(raft, beat(5, 0)), [])
    assert.deepEqual(divergedAt(raft, beat(6, 0)), [6])
    assert.equal(raft.checksums.length, 16)
  })
})

/** Buffers become other byte arrays in a copy. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, part: unknown) => {
      if (part instanceof Map) return [...part]
      if (part !== null && typeof part === 'object' && 'type' in part && part.type === 'Buffer')
        return (part as unknown as { data: unknown }).data
      return part instanceof Uint8Array ? [...part] : part
    }),
  )
}

describe('a network that turns the order of messages upside down', () => {
  it('does not make messages breed', () => {
    const prng = new Prng(7)
    const cluster = new Cluster()
    cluster.settings = { ...defaultSettings, inflightMessagesMax: 64, appendBytesMax: 1, heartbeatTicks: 1 }
    for (const { nodeId } of seats) cluster.add(memberOf(nodeId), seats)
    cluster.feed(1, { type: 'campaign' })
    cluster.stabilize([1, 2])
    for (let token = 1; token <= 600; token++) cluster.feed(1, { type: 'propose', token, data: Buffer.from('a') })
    cluster.stabilize([1, 2])
    const third = cluster.node(3)
    let [delivered, waitingMax] = [0, 0]
    for (; third.raft!.log.durable < 601; delivered++) {
      assert.ok(delivered < 200_000, 'the follower gets there')
      cluster.lines.length = 0
      if (cluster.network.length === 0 || delivered % 100 === 0) cluster.feed(1, { type: 'tick', electionTicks: 10 })
      waitingMax = Math.max(waitingMax, cluster.network.length)
      const at = prng.between(0, cluster.network.length)
      const [message] = cluster.network.splice(at, 1)
      cluster.deliver(message!)
      if (delivered % 20 === 0) for (const { nodeId } of seats) cluster.persist(nodeId)
    }
    assert.ok(waitingMax < 64 * 4, `${waitingMax} messages at once are more than the windows hold`)
  })
})

describe('a group in a world where everything goes wrong', () => {
  it('keeps what Raft promises, and works again when the world heals', () => {
    const total = {
      elections: 0,
      committed: 0,
      crashes: 0,
      restores: 0,
      changes: 0,
      reads: 0,
      truncations: 0,
      wiped: 0,
    }
    for (let seed = 1; seed <= 400; seed++) {
      const report = runChaos({ seed, steps: 6000, voters: 1 + (seed % 5), spares: seed % 3 })
      for (const what of Object.keys(total) as (keyof typeof total)[]) total[what] += report[what]
    }
    for (const [what, count] of Object.entries(total))
      assert.ok(count >= 20, `${count} ${what} are too few to mean much`)
  })
})
