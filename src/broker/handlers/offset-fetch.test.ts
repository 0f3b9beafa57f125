import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import { versionsOf } from '../../wire/schema.ts'
import type { Access } from '../access.ts'
import { answerTo, commit } from '../testing/group-client.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.offsetFetch

/** A broker with a topic `t` of three partitions; a group has committed for the first two. */
async function withCommits(access?: Access): Promise<{ broker: TestBroker; id: TopicId }> {
  const broker = testBroker({}, access)
  const { id } = broker.storage.add('t', 3)
  const partitions = [
    { partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 3, committedMetadata: 'five' },
    { partitionIndex: 1, committedOffset: 7, committedLeaderEpoch: -1, committedMetadata: null },
  ]
  assert.deepEqual(await commit(broker, [], { topics: [{ name: 't', partitions }] }), ['NONE', 'NONE'])
  return { broker, id }
}

interface Asked {
  readonly name: string
  readonly id: TopicId
  readonly indexes: readonly number[]
}

/** One group's answer, in whichever form the version has it. */
async function fetch(broker: TestBroker, version: number, asked: readonly Asked[] | null, groupId = 'g') {
  const topics =
    asked?.map(({ name, id, indexes }) => ({
      ...(version >= 10 ? { topicId: id } : { name }),
      partitionIndexes: indexes,
    })) ?? null
  const request = version >= 8 ? { groups: [{ groupId, topics }] } : { groupId, topics: topics as never }
  const answer = await answerTo(broker, broker.ask(api, version, request))
  const group = version >= 8 ? answer.groups[0]! : answer
  return {
    error: errorIn(group),
    topics: group.topics.map(({ name, partitions }) => ({
      name,
      offsets: partitions.map(row => [
        row.partitionIndex,
        row.committedOffset,
        row.committedLeaderEpoch,
        row.metadata,
        kafkaErrorName(row.errorCode),
      ]),
    })),
  }
}

for (const version of versionsOf(api.request)) {
  const nameOf = (name: string) => (version >= 10 ? '' : name)
  const epoch = (value: number) => (version >= 5 ? value : -1)
  const unknownId = '9'.repeat(32) as TopicId

  test(`pitfalls 5 and 7: OffsetFetch ${version} tells what was committed, and nothing of what was not`, async () => {
    const { broker, id } = await withCommits()
    const asked = [
      { name: 't', id, indexes: [1, 0, 2, 9, 0] },
      { name: 'nothing', id: unknownId, indexes: [0] },
    ]
    const missing = version >= 10 ? 'UNKNOWN_TOPIC_ID' : 'NONE'
    assert.deepEqual(await fetch(broker, version, asked), {
      error: 'NONE',
      topics: [
        {
          name: nameOf('t'),
          offsets: [
            [1, 7, -1, '', 'NONE'],
            [0, 5, epoch(3), 'five', 'NONE'],
            [2, -1, -1, '', 'NONE'],
            [9, -1, -1, '', 'NONE'],
            [0, 5, epoch(3), 'five', 'NONE'],
          ],
        },
        { name: nameOf('nothing'), offsets: [[0, -1, -1, '', missing]] },
      ],
    })
    const unseen = await fetch(broker, version, [{ name: 't', id, indexes: [0] }], 'another group')
    assert.deepEqual(unseen.topics[0]?.offsets, [[0, -1, -1, '', 'NONE']])
    const nameless = await fetch(broker, version, [{ name: 't', id, indexes: [0] }], '')
    assert.deepEqual(nameless.topics[0]?.offsets, [[0, -1, -1, '', 'NONE']])
  })

  if (version >= 2) {
    test(`OffsetFetch ${version} of null tells everything`, async () => {
      const { broker } = await withCommits()
      const { error, topics } = await fetch(broker, version, null)
      assert.equal(error, 'NONE')
      assert.equal(topics.length, 1)
      assert.equal(topics[0]?.name, nameOf('t'))
      assert.deepEqual(topics[0]?.offsets.map(([index, offset]) => [index, offset]).sort(), [
        [0, 5],
        [1, 7],
      ])
      assert.deepEqual((await fetch(broker, version, null, 'another group')).topics, [])
    })
  }

  test(`OffsetFetch ${version} by somebody who may not look at the group`, async () => {
    const denied = await withCommits({
      check: (_principal, { resource, operation }) => resource !== 'group' || operation !== 'DESCRIBE',
    })
    const { error, topics } = await fetch(denied.broker, version, [{ name: 't', id: denied.id, indexes: [0] }])
    if (version === 1) {
      assert.deepEqual(topics[0]?.offsets, [[0, -1, -1, '', 'GROUP_AUTHORIZATION_FAILED']])
    } else {
      assert.equal(error, 'GROUP_AUTHORIZATION_FAILED')
      assert.deepEqual(topics, [])
    }
  })

  test(`OffsetFetch ${version} by somebody who may not look at the topic`, async () => {
    const access: Access = {
      check: (_principal, { resource, operation }) => resource !== 'topic' || operation !== 'DESCRIBE',
    }
    const { broker, id } = await withCommits(access)
    const { topics } = await fetch(broker, version, [{ name: 't', id, indexes: [0] }])
    assert.deepEqual(topics[0]?.offsets, [[0, -1, -1, '', 'TOPIC_AUTHORIZATION_FAILED']])
    if (version >= 2) assert.deepEqual((await fetch(broker, version, null)).topics, [], 'left out')
  })
}

test('OffsetFetch 8 and later answers many groups, each by itself and as often as it is asked for', async () => {
  const { broker, id } = await withCommits({
    check: (_principal, { resource }, name) => resource !== 'group' || name !== 'secret',
  })
  for (const version of [8, 9, 10]) {
    const topics = [{ ...(version >= 10 ? { topicId: id } : { name: 't' }), partitionIndexes: [0] }]
    const groups = ['g', 'secret', 'new', 'g'].map(groupId => ({ groupId, topics }))
    const answer = await answerTo(broker, broker.ask(api, version, { groups, requireStable: true }))
    assert.deepEqual(
      answer.groups.map(group => [group.groupId, errorIn(group), group.topics[0]?.partitions[0]?.committedOffset]),
      [
        ['g', 'NONE', 5],
        ['secret', 'GROUP_AUTHORIZATION_FAILED', undefined],
        ['new', 'NONE', -1],
        ['g', 'NONE', 5],
      ],
    )
  }
})

test('all that a group has is told once, however often it is asked for', async () => {
  const { broker } = await withCommits()
  const groups = ['g', 'new', 'g', 'g'].map(groupId => ({ groupId, topics: null }))
  const answer = await answerTo(broker, broker.ask(api, 9, { groups }))
  assert.deepEqual(
    answer.groups.map(group => [group.groupId, group.topics.length]),
    [
      ['g', 1],
      ['new', 0],
    ],
  )
})

test('a member of a classic group may say so, in the fields of another protocol', async () => {
  const { broker } = await withCommits()
  const groups = [{ groupId: 'g', memberId: 'somebody', memberEpoch: 3, topics: null }]
  const answer = await answerTo(broker, broker.ask(api, 9, { groups }))
  assert.equal(errorIn(answer.groups[0]), 'NONE')
})
