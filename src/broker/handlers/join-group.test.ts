import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flattenRope, ropeOf } from '../../base/rope.ts'
import { apis } from '../../wire/api-keys.ts'
import { encodeRequest } from '../../wire/exchange.ts'
import { versionsOf } from '../../wire/schema.ts'
import {
  answerTo,
  assignAll,
  described,
  isHeld,
  type Joined,
  joinOnce,
  newMemberId,
  stableGroup,
  subscription,
  sync,
} from '../testing/group-client.ts'
import { errorIn, testBroker, testConnection } from '../testing/test-broker.ts'

const api = apis.joinGroup

for (const version of versionsOf(api.request)) {
  test(`JoinGroup ${version}: who comes alone leads at once`, async () => {
    const broker = testBroker()
    let memberId = ''
    if (version >= 4) {
      const first = await answerTo(broker, joinOnce(broker, {}, version))
      assert.equal(errorIn(first), 'MEMBER_ID_REQUIRED', 'pitfall 10: it is told its id first')
      assert.match(first.memberId, /^a client-[0-9a-f-]{36}$/)
      memberId = first.memberId
    }
    const answer = await answerTo(broker, joinOnce(broker, { memberId }, version))
    assert.equal(errorIn(answer), 'NONE')
    assert.equal(answer.generationId, 1)
    assert.match(answer.memberId, /^a client-[0-9a-f-]{36}$/)
    if (version >= 4) assert.equal(answer.memberId, memberId)
    assert.equal(answer.leader, answer.memberId)
    assert.equal(answer.protocolName, 'range')
    assert.equal(answer.protocolType, version >= 7 ? 'consumer' : null)
    assert.deepEqual(answer.members, [
      { memberId: answer.memberId, groupInstanceId: null, metadata: subscription('t') },
    ])
    const { members } = await described(broker)
    assert.deepEqual([members[0]?.clientId, members[0]?.clientHost], ['a client', '/192.0.2.1'])
  })

  test(`JoinGroup ${version} does not let anybody into a group of the broker's own`, async () => {
    const broker = testBroker()
    const answer = await answerTo(broker, joinOnce(broker, { groupId: 'text' }, version))
    assert.equal(errorIn(answer), 'INVALID_GROUP_ID')
  })

  test(`JoinGroup ${version} that is refused names no protocol`, async () => {
    const broker = testBroker()
    const answer = await answerTo(broker, joinOnce(broker, { sessionTimeoutMs: 5_999 }, version))
    assert.equal(errorIn(answer), 'INVALID_SESSION_TIMEOUT')
    assert.equal(answer.protocolName, version >= 7 ? null : '')
    assert.deepEqual([answer.generationId, answer.leader, answer.members], [-1, '', []])
  })
}

for (const version of [0, 3, 4, 9]) {
  test(`JoinGroup ${version} of a second member is held until the first has come again`, async () => {
    const broker = testBroker()
    const [first] = await stableGroup(broker)
    const memberId = version >= 4 ? await newMemberId(broker) : ''
    const second = joinOnce(broker, { memberId }, version)
    assert.ok(await isHeld(broker, second))
    const again = joinOnce(broker, { memberId: first!.memberId }, version)
    const [leader, follower] = await answerTo(broker, Promise.all([again, second]))
    assert.deepEqual([errorIn(leader), errorIn(follower)], ['NONE', 'NONE'])
    assert.deepEqual([leader.generationId, follower.generationId], [2, 2])
    assert.deepEqual([leader.leader, follower.leader], [first!.memberId, first!.memberId])
    assert.deepEqual(
      leader.members.map(member => member.memberId),
      [first!.memberId, follower.memberId],
    )
    assert.deepEqual(follower.members, [], 'only the leader is told of the others')
  })
}

test('JoinGroup 0 has no time for the rebalance of its own: the session is as long', async () => {
  const broker = testBroker()
  const { memberId, generationId } = await answerTo(broker, joinOnce(broker, { sessionTimeoutMs: 8_000 }, 0))
  await answerTo(broker, sync(broker, { memberId, generationId }, assignAll([memberId])))
  const second = joinOnce(broker, { sessionTimeoutMs: 8_000 }, 0)
  await broker.clock.run(7_900)
  assert.ok(await isHeld(broker, second))
  const answer = await answerTo(broker, second, 200)
  assert.equal(errorIn(answer), 'NONE')
  assert.equal(answer.leader, answer.memberId, 'the first did not come again in time')
})

test('pitfall 11: from version 5 on, a static member keeps its place and fences its double', async () => {
  const broker = testBroker()
  const groupInstanceId = 'one'
  const first = await answerTo(broker, joinOnce(broker, { groupInstanceId }, 5))
  assert.equal(errorIn(first), 'NONE', 'it is not told its id first')
  assert.match(first.memberId, /^one-[0-9a-f-]{36}$/)
  assert.equal(first.members[0]?.groupInstanceId, groupInstanceId)
  await answerTo(broker, sync(broker, first, { ...assignAll([first.memberId]), groupInstanceId }))

  const again = await answerTo(broker, joinOnce(broker, { groupInstanceId }, 9))
  assert.equal(errorIn(again), 'NONE')
  assert.notEqual(again.memberId, first.memberId)
  assert.equal(again.generationId, first.generationId, 'nobody else has to come again')
  assert.equal(again.skipAssignment, true, 'KIP-814')
  const double = await answerTo(broker, joinOnce(broker, { groupInstanceId, memberId: first.memberId }, 5))
  assert.equal(errorIn(double), 'FENCED_INSTANCE_ID')
})

test('what does not fit is refused, each with its own error, and the group stays as it is', async () => {
  const broker = testBroker()
  const members = await stableGroup(broker, 2)
  const before = await described(broker)
  const error = async (more: Parameters<typeof joinOnce>[1]) => errorIn(await answerTo(broker, joinOnce(broker, more)))
  assert.equal(await error({ groupId: '' }), 'INVALID_GROUP_ID')
  assert.equal(await error({ sessionTimeoutMs: 5_999 }), 'INVALID_SESSION_TIMEOUT')
  assert.equal(await error({ sessionTimeoutMs: 1_800_001 }), 'INVALID_SESSION_TIMEOUT')
  assert.equal(await error({ sessionTimeoutMs: -1 }), 'INVALID_SESSION_TIMEOUT')
  assert.equal(await error({ memberId: 'somebody else' }), 'UNKNOWN_MEMBER_ID')
  assert.equal(await error({ protocols: [] }), 'INCONSISTENT_GROUP_PROTOCOL')
  assert.equal(await error({ protocolType: '' }), 'INCONSISTENT_GROUP_PROTOCOL')
  assert.equal(await error({ protocolType: 'connect' }), 'INCONSISTENT_GROUP_PROTOCOL')
  const other = [{ name: 'other', metadata: Buffer.alloc(0) }]
  assert.equal(await error({ protocols: other }), 'INCONSISTENT_GROUP_PROTOCOL')
  assert.equal(await error({ memberId: members[0]!.memberId, groupInstanceId: 'x' }), 'UNKNOWN_MEMBER_ID')
  assert.deepEqual(await described(broker), before)
})

test('a group has as many members as group.max.size says', async () => {
  const broker = testBroker({ 'group.max.size': '2' })
  await stableGroup(broker, 2)
  const before = await described(broker)
  assert.equal(errorIn(await answerTo(broker, joinOnce(broker, { groupInstanceId: 'x' }))), 'GROUP_MAX_SIZE_REACHED')
  assert.equal(errorIn(await answerTo(broker, joinOnce(broker, {}, 3))), 'GROUP_MAX_SIZE_REACHED')
  assert.deepEqual(await described(broker), before)
})

test('a subscription that no consumer would write is kept as it is: the broker does not have to understand it', async () => {
  const broker = testBroker()
  const garbage = [Buffer.alloc(0), Buffer.from([0]), Buffer.from('ffff7fffffff', 'hex'), Buffer.alloc(5_000, 0xff)]
  for (const [i, metadata] of garbage.entries()) {
    const group = { groupId: `g${i}`, protocols: [{ name: 'range', metadata }] }
    const memberId = await newMemberId(broker, group)
    const answer = await answerTo(broker, joinOnce(broker, { ...group, memberId }))
    assert.equal(errorIn(answer), 'NONE')
    assert.deepEqual(answer.members[0]?.metadata, metadata)
  }
  assert.deepEqual(broker.faults, [])
})

test('what a group keeps does not lie in the frame it came in', async () => {
  const broker = testBroker()
  const memberId = await newMemberId(broker)
  const request = {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('topic') }],
  }
  const frame = flattenRope(encodeRequest(api, 9, { correlationId: 1, clientId: 'a client' }, request)).subarray(4)
  await answerTo(broker, broker.broker.handle(ropeOf(frame), testConnection))
  frame.fill(0xff)
  await answerTo(broker, sync(broker, { memberId, generationId: 1 }, assignAll([memberId])))
  assert.deepEqual((await described(broker)).members[0]?.memberMetadata, subscription('topic'))
})

test('ten thousand members join one group: fast, and each has its place', async () => {
  const broker = testBroker()
  const count = 10_000
  await answerTo(broker, broker.ask(apis.findCoordinator, 3, { key: 'g' }))
  const startedMs = performance.now()
  // Version 3: nobody is told an id first.
  const joins = Array.from({ length: count }, () => joinOnce(broker, {}, 3))
  const answers: Joined[] = await answerTo(broker, Promise.all(joins), 30_000)
  const elapsedMs = performance.now() - startedMs
  assert.ok(elapsedMs < 5_000, `${elapsedMs} ms`)
  assert.equal(new Set(answers.map(({ memberId }) => memberId)).size, count)
  assert.equal(new Set(answers.map(({ generationId }) => generationId)).size, 1)
  const leaders = answers.filter(({ members }) => members.length > 0)
  assert.deepEqual(
    leaders.map(({ members }) => members.length),
    [count],
  )
})
