import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrorName } from '../../wire/kafka-errors.ts'
import { type Draft, versionsOf } from '../../wire/schema.ts'
import type { Access } from '../access.ts'
import { answerTo, commit, committed, joinOnce, newMemberId, stableGroup } from '../testing/group-client.ts'
import { type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.offsetCommit

type Request = Draft<typeof api.request>

async function errorsOf(broker: TestBroker, version: number, request: Request): Promise<KafkaErrorName[][]> {
  const { topics } = await answerTo(broker, broker.ask(api, version, request))
  return topics.map(topic => topic.partitions.map(({ errorCode }) => kafkaErrorName(errorCode)))
}

const at = (partitionIndex: number, committedOffset = 5) => ({
  partitionIndex,
  committedOffset,
  committedMetadata: null,
})

for (const version of versionsOf(api.request)) {
  test(`OffsetCommit ${version} answers each partition by itself`, async () => {
    const broker = testBroker()
    const { id } = broker.storage.add('t', 2)
    const unknown = '9'.repeat(32) as typeof id
    const named = (name: string, topicId: typeof id) => (version >= 10 ? { topicId } : { name })
    const tooLong = { ...at(1), committedMetadata: 'm'.repeat(4_097) }
    const topics = [
      { ...named('t', id), partitions: [at(0), at(2), tooLong, at(-1)] },
      { ...named('nothing', unknown), partitions: [at(0), at(1)] },
      { ...named('t', id), partitions: [at(1, 7)] },
    ]
    const missing = version >= 10 ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION'
    assert.deepEqual(await errorsOf(broker, version, { groupId: 'g', memberId: '', topics }), [
      ['NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'OFFSET_METADATA_TOO_LARGE', 'UNKNOWN_TOPIC_OR_PARTITION'],
      [missing, missing],
      ['NONE'],
    ])
    assert.deepEqual(await committed(broker), [5, 7])
    const answer = await answerTo(broker, broker.ask(api, version, { groupId: 'g', memberId: '', topics }))
    assert.deepEqual(
      answer.topics.map(({ name, topicId }) => [name, topicId]),
      topics.map(({ name = '', topicId = noTopicId }: { name?: string; topicId?: typeof id }) => [name, topicId]),
    )
  })

  test(`pitfall 6: OffsetCommit ${version} of members and of others`, async () => {
    const broker = testBroker()
    const { id } = broker.storage.add('t')
    const topics = [{ ...(version >= 10 ? { topicId: id } : { name: 't' }), partitions: [at(0)] }]
    const error = async (more: Partial<Request>) =>
      (await errorsOf(broker, version, { groupId: 'g', memberId: '', topics, ...more }))[0]?.[0]
    const [member] = await stableGroup(broker)
    const { memberId, generationId: generationIdOrMemberEpoch } = member!
    assert.equal(await error({ memberId, generationIdOrMemberEpoch }), 'NONE')
    assert.equal(await error({ memberId, generationIdOrMemberEpoch: 7 }), 'ILLEGAL_GENERATION')
    assert.equal(await error({ memberId: 'nobody', generationIdOrMemberEpoch }), 'UNKNOWN_MEMBER_ID')
    assert.equal(await error({}), 'UNKNOWN_MEMBER_ID', 'who is no member, to a group that has members')
    const unknown = version >= 9 ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION'
    assert.equal(await error({ groupId: 'nothing', memberId, generationIdOrMemberEpoch }), unknown)
    assert.equal(await error({ groupId: 'nothing' }), 'NONE', 'who is no member, to a group that is made by it')
    assert.equal(await error({ groupId: '' }), 'NONE', 'as with Kafka, a group without a name has offsets')
  })
}

test('pitfall 6: until the assignment is there, a member cannot commit', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const memberId = await newMemberId(broker)
  const { generationId } = await answerTo(broker, joinOnce(broker, { memberId }))
  const errors = await commit(broker, [1], { memberId, generationIdOrMemberEpoch: generationId })
  assert.deepEqual(errors, ['REBALANCE_IN_PROGRESS'])
})

test('offsets at the ends of what there is come back as they were', async () => {
  const broker = testBroker()
  broker.storage.add('t', 2)
  assert.deepEqual(await commit(broker, [0, Number.MAX_SAFE_INTEGER]), ['NONE', 'NONE'])
  assert.deepEqual(await committed(broker), [0, Number.MAX_SAFE_INTEGER])
})

test('a commit of nothing is answered with nothing', async () => {
  assert.deepEqual(await commit(testBroker(), [], { topics: [] }), [])
})

test('who may not read a topic commits nothing for it, and the rest', async () => {
  const access: Access = { check: (_principal, rule, name) => rule.resource !== 'topic' || name !== 'secret' }
  const broker = testBroker({}, access)
  broker.storage.add('t')
  broker.storage.add('secret')
  const partitions = [at(0)]
  const topics = [
    { name: 'secret', partitions },
    { name: 't', partitions },
  ]
  assert.deepEqual(await commit(broker, [], { topics }), ['TOPIC_AUTHORIZATION_FAILED', 'NONE'])
})

test('pitfall 46: what was committed for a deleted topic is not found for a new one of its name', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  assert.deepEqual(await commit(broker, [5]), ['NONE'])
  await answerTo(broker, broker.ask(apis.deleteTopics, 5, { topicNames: ['t'], timeoutMs: 1_000 }))
  await broker.clock.run(10)
  broker.storage.add('t')
  assert.deepEqual(await committed(broker), [])
})
