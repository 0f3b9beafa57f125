/** What groups committed, as days go by. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { answerTo, beat, commit, committed, groupId, stableGroup } from '../testing/group-client.ts'
import { testBroker } from '../testing/test-broker.ts'

const dayMs = 86_400_000

test('pitfall 13: the retention of offsets begins when the group is empty, however old the commits are', async () => {
  const broker = testBroker({ 'offsets.retention.check.interval.ms': '3600000' })
  broker.storage.add('t')
  const [member] = await stableGroup(broker, 1, { sessionTimeoutMs: 1_800_000 })
  const { memberId, generationId } = member!
  await commit(broker, [7], { memberId, generationIdOrMemberEpoch: generationId })
  for (let minutes = 0; minutes < 10 * 24 * 60; minutes += 29) {
    await broker.clock.run(29 * 60_000)
    assert.equal(await beat(broker, member!), 'NONE')
  }
  assert.deepEqual(await committed(broker), [7], 'ten days old, of a live group')
  const members = [{ memberId, groupInstanceId: null, reason: null }]
  await answerTo(broker, broker.ask(apis.leaveGroup, 5, { groupId, members }))
  await broker.clock.run(6.9 * dayMs)
  assert.deepEqual(await committed(broker), [7], 'almost seven days after the last member left')
  await broker.clock.run(0.2 * dayMs)
  assert.deepEqual(await committed(broker), [])
  await broker.broker.close()
})

test("what the broker's own groups committed stays, however long nobody asks for it", async () => {
  const broker = testBroker({ 'offsets.retention.check.interval.ms': '3600000' })
  broker.storage.add('t')
  const door = broker.broker.door('User:a')
  const place = async (group: string) => {
    const done = await answerTo(broker, door.committed(group, 't'))
    return done.error === 'NONE' ? done.offsets : done.error
  }
  for (const group of ['text', 'somebody']) {
    assert.equal((await answerTo(broker, door.commit(group, 't', 0, offset(3)))).error, 'NONE')
  }
  await broker.clock.run(30 * dayMs)
  assert.deepEqual([await place('text'), await place('somebody')], [[3], [null]])
  await broker.broker.close()
})
