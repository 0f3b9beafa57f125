import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import { versionsOf } from '../../wire/schema.ts'
import { answerTo, beat, described, joinOnce, stableGroup } from '../testing/group-client.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.leaveGroup

interface Leaving {
  readonly memberId: string
  readonly groupInstanceId?: string | null
}

async function leave(broker: TestBroker, members: readonly Leaving[], version = 5, groupId = 'g') {
  const answer = await answerTo(broker, broker.ask(api, version, { groupId, members }))
  return { error: errorIn(answer), members: answer.members.map(({ errorCode }) => kafkaErrorName(errorCode)) }
}

for (const version of versionsOf(api.request).filter(version => version < 3)) {
  test(`LeaveGroup ${version} has one member, whose outcome is the answer's`, async () => {
    const broker = testBroker()
    const [member, other] = await stableGroup(broker, 2)
    const error = async (memberId: string, groupId = 'g') =>
      errorIn(await answerTo(broker, broker.ask(api, version, { groupId, memberId })))
    assert.equal(await error('nobody'), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error(member!.memberId, 'nothing'), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error(member!.memberId, ''), 'INVALID_GROUP_ID')
    assert.equal(await error(member!.memberId), 'NONE')
    assert.equal(await error(member!.memberId), 'UNKNOWN_MEMBER_ID')
    assert.equal(await beat(broker, other!), 'REBALANCE_IN_PROGRESS', 'the others are told at once')
  })
}

for (const version of versionsOf(api.request).filter(version => version >= 3)) {
  test(`LeaveGroup ${version} lets many go, each with an outcome of its own`, async () => {
    const broker = testBroker()
    const [a, b] = (await stableGroup(broker, 3)).map(({ memberId }) => ({ memberId })) as [Leaving, Leaving, Leaving]
    const groupInstanceId = 'one'
    const asked = [a, { memberId: 'nobody' }, b, a, { memberId: '', groupInstanceId }]
    assert.deepEqual(await leave(broker, asked, version), {
      error: 'NONE',
      members: ['NONE', 'UNKNOWN_MEMBER_ID', 'NONE', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'],
    })
    assert.equal((await described(broker)).members.length, 1)
    assert.deepEqual(await leave(broker, [], version), { error: 'NONE', members: [] })
    const unknown = { error: 'NONE', members: ['UNKNOWN_MEMBER_ID'] }
    assert.deepEqual(await leave(broker, [a], version, 'nothing'), unknown)
    assert.deepEqual(await leave(broker, [a], version, ''), { error: 'INVALID_GROUP_ID', members: [] })
  })
}

test('pitfall 11: a static member leaves by its instance id; another id with that instance is fenced', async () => {
  const broker = testBroker()
  const groupInstanceId = 'one'
  const { memberId } = await answerTo(broker, joinOnce(broker, { groupInstanceId }))
  const asked = broker.ask(api, 3, {
    groupId: 'g',
    members: [
      { memberId: 'other', groupInstanceId },
      { memberId: '', groupInstanceId },
    ],
  })
  const { members } = await answerTo(broker, asked)
  assert.deepEqual(
    members.map(member => [member.memberId, member.groupInstanceId, kafkaErrorName(member.errorCode)]),
    [
      ['other', groupInstanceId, 'FENCED_INSTANCE_ID'],
      ['', groupInstanceId, 'NONE'],
    ],
  )
  assert.notEqual(memberId, '')
  assert.equal((await described(broker)).groupState, 'Empty')
})
