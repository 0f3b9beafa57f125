import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { answerTo, beat, joinOnce, newMemberId, stableGroup } from '../testing/group-client.ts'
import { errorIn, testBroker } from '../testing/test-broker.ts'

const api = apis.heartbeat

for (const version of versionsOf(api.request)) {
  test(`Heartbeat ${version} of members and of others`, async () => {
    const broker = testBroker()
    const [member] = await stableGroup(broker)
    const error = async (more: object) =>
      errorIn(await answerTo(broker, broker.ask(api, version, { groupId: 'g', ...member!, ...more })))
    assert.equal(await error({}), 'NONE')
    assert.equal(await error({ memberId: 'nobody' }), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error({ groupId: 'nothing' }), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error({ generationId: 7 }), 'ILLEGAL_GENERATION')
    assert.equal(await error({ groupId: '' }), 'INVALID_GROUP_ID')
    void joinOnce(broker, { memberId: await newMemberId(broker) })
    await broker.clock.run(1)
    assert.equal(await error({}), 'REBALANCE_IN_PROGRESS')
  })
}

test('Heartbeat 3 of a static member whose place another has taken', async () => {
  const broker = testBroker()
  const groupInstanceId = 'one'
  const first = await answerTo(broker, joinOnce(broker, { groupInstanceId }))
  await answerTo(broker, joinOnce(broker, { groupInstanceId }))
  const { memberId, generationId } = first
  const asked = broker.ask(api, 3, { groupId: 'g', memberId, generationId, groupInstanceId })
  assert.equal(errorIn(await answerTo(broker, asked)), 'FENCED_INSTANCE_ID')
})

test('who is heard of stays, who is not goes', async () => {
  const broker = testBroker()
  const [quiet, alive] = await stableGroup(broker, 2)
  for (let i = 0; i < 3; i++) {
    assert.equal(await beat(broker, alive!), 'NONE')
    await broker.clock.run(4_000)
  }
  assert.equal(await beat(broker, alive!), 'REBALANCE_IN_PROGRESS')
  assert.equal(await beat(broker, quiet!), 'UNKNOWN_MEMBER_ID')
})
