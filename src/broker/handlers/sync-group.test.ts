import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import {
  answerTo,
  assignAll,
  beat,
  described,
  isHeld,
  joinOnce,
  newMemberId,
  type Placed,
  stableGroup,
  sync,
} from '../testing/group-client.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.syncGroup

/** Two members that have joined and wait for the assignment, the leader first. */
async function joinedPair(broker: TestBroker): Promise<[Placed, Placed]> {
  const ids = [await newMemberId(broker), await newMemberId(broker)]
  const joined = await answerTo(broker, Promise.all(ids.map(memberId => joinOnce(broker, { memberId }))))
  const leader = joined.find(({ memberId, leader }) => memberId === leader)!
  const follower = joined.find(({ memberId, leader }) => memberId !== leader)!
  return [leader, follower]
}

for (const version of versionsOf(api.request)) {
  test(`SyncGroup ${version} is held until the leader has brought the assignment`, async () => {
    const broker = testBroker()
    const [leader, follower] = await joinedPair(broker)
    const waiting = sync(broker, follower, {}, version)
    assert.ok(await isHeld(broker, waiting))
    const brought = sync(broker, leader, assignAll([leader.memberId, follower.memberId]), version)
    const answers = await answerTo(broker, Promise.all([brought, waiting]))
    for (const [i, answer] of answers.entries()) {
      assert.equal(errorIn(answer), 'NONE')
      assert.equal(answer.assignment.toString(), `of ${[leader, follower][i]!.memberId}`)
      assert.deepEqual([answer.protocolType, answer.protocolName], version >= 5 ? ['consumer', 'range'] : [null, null])
    }
    assert.equal((await described(broker)).groupState, 'Stable')
  })

  test(`SyncGroup ${version} of somebody else, and of another generation`, async () => {
    const broker = testBroker()
    const [member] = await stableGroup(broker)
    const error = async (who: Partial<Placed>, more = {}) =>
      errorIn(await answerTo(broker, sync(broker, { ...member!, ...who }, more, version)))
    assert.equal(await error({ memberId: 'nobody' }), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error({ generationId: 2 }), 'ILLEGAL_GENERATION')
    assert.equal(await error({}, { groupId: 'nothing' }), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error({}, { groupId: '' }), 'INVALID_GROUP_ID')
    assert.equal(await error({}), 'NONE', 'who asks again gets its assignment again')
  })
}

test('SyncGroup 5 must say which protocol it means, and mean the right one', async () => {
  const broker = testBroker()
  const [member] = await stableGroup(broker)
  for (const wrong of [
    { protocolType: null },
    { protocolName: null },
    { protocolType: 'connect' },
    { protocolName: 'roundrobin' },
  ]) {
    const answer = await answerTo(broker, sync(broker, member!, wrong))
    assert.equal(errorIn(answer), 'INCONSISTENT_GROUP_PROTOCOL')
    assert.equal(answer.assignment.length, 0)
  }
})

test('a member whose leader forgot it gets an empty assignment', async () => {
  const broker = testBroker()
  const [leader, follower] = await joinedPair(broker)
  const syncs = [sync(broker, leader, assignAll([leader.memberId, 'somebody else'])), sync(broker, follower)]
  const [, answer] = await answerTo(broker, Promise.all(syncs))
  assert.equal(errorIn(answer), 'NONE')
  assert.equal(answer?.assignment.length, 0)
})

test('pitfall 8: who joins while others wait for the assignment sends them round again', async () => {
  const broker = testBroker()
  const [, follower] = await joinedPair(broker)
  const waiting = sync(broker, follower)
  assert.ok(await isHeld(broker, waiting))
  const third = joinOnce(broker, { memberId: await newMemberId(broker) })
  assert.equal(errorIn(await answerTo(broker, waiting)), 'REBALANCE_IN_PROGRESS')
  assert.equal(await beat(broker, follower), 'REBALANCE_IN_PROGRESS')
  assert.ok(await isHeld(broker, third))
})

test('a member that dies between join and sync does not hold the others for ever', async () => {
  const broker = testBroker()
  const [leader, follower] = await joinedPair(broker)
  const waiting = sync(broker, follower)
  // The leader is never heard of again; the follower's held request keeps it alive.
  await broker.clock.run(9_900)
  assert.ok(await isHeld(broker, waiting))
  await broker.clock.run(200)
  assert.equal(errorIn(await answerTo(broker, waiting)), 'REBALANCE_IN_PROGRESS')
  const answer = await answerTo(broker, joinOnce(broker, { memberId: follower.memberId }), 20_000)
  assert.equal(errorIn(answer), 'NONE')
  assert.equal(answer.leader, follower.memberId)
  assert.deepEqual(
    answer.members.map(({ memberId }) => memberId),
    [follower.memberId],
  )
  assert.equal(errorIn(await answerTo(broker, sync(broker, leader))), 'UNKNOWN_MEMBER_ID')
})
