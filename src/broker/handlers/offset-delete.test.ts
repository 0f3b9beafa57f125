import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import type { Access } from '../access.ts'
import { answerTo, commit, committed, stableGroup } from '../testing/group-client.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.offsetDelete

async function remove(broker: TestBroker, topics: Readonly<Record<string, readonly number[]>>, groupId = 'g') {
  const asked = broker.ask(api, 0, {
    groupId,
    topics: Object.entries(topics).map(([name, indexes]) => ({
      name,
      partitions: indexes.map(partitionIndex => ({ partitionIndex })),
    })),
  })
  const answer = await answerTo(broker, asked)
  const errors = answer.topics.map(topic => topic.partitions.map(({ errorCode }) => kafkaErrorName(errorCode)))
  return { error: errorIn(answer), errors }
}

test('OffsetDelete answers each partition by itself', async () => {
  const access: Access = { check: (_principal, { resource }, name) => resource !== 'topic' || name !== 'secret' }
  const broker = testBroker({}, access)
  broker.storage.add('t', 3)
  broker.storage.add('secret')
  await commit(broker, [1, 2, 3])
  assert.deepEqual(await remove(broker, { t: [0, 9, 2, 0], nothing: [0], secret: [0, 1] }), {
    error: 'NONE',
    errors: [
      ['NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'NONE', 'NONE'],
      ['UNKNOWN_TOPIC_OR_PARTITION'],
      ['TOPIC_AUTHORIZATION_FAILED', 'TOPIC_AUTHORIZATION_FAILED'],
    ],
  })
  assert.deepEqual(await committed(broker), [2])
})

test('pitfall 45: the offsets of a topic that members are subscribed to stay', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  broker.storage.add('u')
  const [member] = await stableGroup(broker)
  const { memberId, generationId: generationIdOrMemberEpoch } = member!
  await commit(broker, [1], { memberId, generationIdOrMemberEpoch })
  assert.deepEqual(await remove(broker, { t: [0], u: [0] }), {
    error: 'NONE',
    errors: [['GROUP_SUBSCRIBED_TO_TOPIC'], ['NONE']],
  })
  assert.deepEqual(await committed(broker), [1])
})

test('a group that is not there, that has no name, or whose members are no consumers', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  assert.deepEqual(await remove(broker, { t: [0] }), { error: 'GROUP_ID_NOT_FOUND', errors: [] })
  assert.deepEqual(await remove(broker, {}), { error: 'GROUP_ID_NOT_FOUND', errors: [] })
  assert.deepEqual(await remove(broker, { t: [0] }, ''), { error: 'INVALID_GROUP_ID', errors: [] })
  await stableGroup(broker, 1, { groupId: 'workers', protocolType: 'connect' }).catch(() => [])
  assert.deepEqual(await remove(broker, { t: [0] }, 'workers'), { error: 'NON_EMPTY_GROUP', errors: [] })
})
