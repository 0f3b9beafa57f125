import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DiskId, NodeId } from '../base/ids.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import {
  changed,
  decodeMembership,
  encodeMembership,
  isOrdered,
  isVoter,
  type Member,
  type Membership,
  majorityOf,
  reachedByMajority,
  type Seat,
  seatOf,
  tally,
} from './membership.ts'

const aMember: fc.Arbitrary<Member> = fc.record({
  nodeId: fc.integer({ min: 1, max: 9 }).map(id => id as NodeId),
  diskId: fc.constantFrom('a', 'b').map(id => id as DiskId),
})
const aMembership: fc.Arbitrary<Membership> = fc
  .uniqueArray(fc.tuple(aMember, fc.constantFrom('voter' as const, 'learner' as const)), {
    selector: ([{ nodeId }]) => nodeId,
    maxLength: 7,
  })
  .map(seats => seats.map(([member, role]): Seat => ({ ...member, role })).sort((a, b) => a.nodeId - b.nodeId))
const aChange = fc.record({
  kind: fc.constantFrom('addLearner' as const, 'promote' as const, 'remove' as const),
  member: aMember,
})

const votersIn = (membership: Membership) => membership.filter(({ role }) => role === 'voter')

/** All sets of voters that are a majority. */
function majorities(membership: Membership): Seat[][] {
  const voters = votersIn(membership)
  const sets = Array.from({ length: 2 ** voters.length }, (_, bits) => voters.filter((_seat, i) => bits & (1 << i)))
  return sets.filter(set => set.length >= majorityOf(membership))
}

describe('a change of members', () => {
  it('leaves any majority before it and any after it a voter in common', () => {
    fc.assert(
      fc.property(aMembership, aChange, (before, change) => {
        const after = changed(before, change)
        if (after === null || votersIn(before).length === 0) return
        for (const old of majorities(before)) {
          for (const young of majorities(after)) {
            assert.ok(old.some(a => young.some(b => a.nodeId === b.nodeId && a.diskId === b.diskId)))
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  it('keeps members ordered, a node once, and never takes the last voter away', () => {
    fc.assert(
      fc.property(aMembership, fc.array(aChange, { maxLength: 20 }), (start, changes) => {
        let membership = start
        for (const change of changes) {
          const next = changed(membership, change)
          if (next === null) continue
          assert.ok(isOrdered(next))
          assert.ok(votersIn(membership).length === 0 || votersIn(next).length > 0)
          assert.equal(
            seatOf(next, change.member)?.role ?? 'none',
            { addLearner: 'learner', promote: 'voter', remove: 'none' }[change.kind],
          )
          membership = next
        }
      }),
    )
  })

  it('takes a node with another disk for another member', () => {
    const [old, young] = ['old', 'young'].map(disk => ({ nodeId: 3 as NodeId, diskId: disk as DiskId })) as [
      Member,
      Member,
    ]
    const membership: Membership = [
      { nodeId: 1 as NodeId, diskId: 'one' as DiskId, role: 'voter' },
      { ...old, role: 'voter' },
    ]
    assert.equal(isVoter(membership, young), false)
    assert.equal(changed(membership, { kind: 'remove', member: young }), null)
    assert.equal(changed(membership, { kind: 'addLearner', member: young }), null, 'not beside the old one')
    const without = changed(membership, { kind: 'remove', member: old })!
    assert.equal(seatOf(changed(without, { kind: 'addLearner', member: young })!, young)?.role, 'learner')
  })
})

describe('a majority', () => {
  it('has reached a number exactly when more than half of the voters have', () => {
    fc.assert(
      fc.property(aMembership, fc.array(fc.nat({ max: 5 }), { minLength: 9, maxLength: 9 }), (membership, reached) => {
        const voters = votersIn(membership)
        const result = reachedByMajority(membership, ({ nodeId }) => reached[nodeId - 1]!)
        const count = (least: number) => voters.filter(({ nodeId }) => reached[nodeId - 1]! >= least).length
        assert.ok(result === 0 || count(result) * 2 > voters.length)
        assert.ok(count(result + 1) * 2 <= voters.length)
      }),
    )
  })

  it('decides an election as soon as the outcome is certain, and counts no learner', () => {
    fc.assert(
      fc.property(
        aMembership,
        fc.array(fc.option(fc.boolean()), { minLength: 9, maxLength: 9 }),
        (membership, cast) => {
          const votes = new Map(cast.flatMap((vote, i) => (vote === null ? [] : [[(i + 1) as NodeId, vote] as const])))
          const voters = votersIn(membership)
          const granted = voters.filter(({ nodeId }) => votes.get(nodeId) === true).length
          const open = voters.filter(({ nodeId }) => !votes.has(nodeId)).length
          const expected = granted * 2 > voters.length ? 'won' : (granted + open) * 2 > voters.length ? 'open' : 'lost'
          assert.equal(tally(membership, votes), expected)
        },
      ),
    )
  })
})

describe('members in the log', () => {
  it('read back as they were written', () => {
    fc.assert(
      fc.property(aMembership, members => assert.deepEqual(decodeMembership(encodeMembership(members)), members)),
    )
  })

  it('are members or an error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        try {
          assert.ok(isOrdered(decodeMembership(Buffer.from(bytes))))
        } catch (error) {
          assert.ok(error instanceof ProtocolError)
        }
      }),
    )
  })
})
