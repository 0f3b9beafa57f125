import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import type { Access } from '../access.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.describeTopicPartitions

interface Cursor {
  readonly topicName: string
  readonly partitionIndex: number
}

async function page({ ask }: TestBroker, names: readonly string[], limit = 2_000, cursor: Cursor | null = null) {
  return ask(api, 0, { topics: names.map(name => ({ name })), responsePartitionLimit: limit, cursor })
}

/** A page as text: `a:0,1` for each topic, and where it goes on. */
async function shown(kafka: TestBroker, names: readonly string[], limit?: number, cursor?: Cursor) {
  const { topics, nextCursor } = await page(kafka, names, limit, cursor)
  const list = topics.map(topic => {
    const error = errorIn(topic)
    return `${topic.name}:${error === 'NONE' ? topic.partitions.map(({ partitionIndex }) => partitionIndex) : error}`
  })
  return [list.join(' '), nextCursor]
}

function withTopics(access?: Access): TestBroker {
  const kafka = testBroker({}, access)
  kafka.storage.add('b', 3)
  kafka.storage.add('a', 2)
  kafka.storage.add('c', 1)
  return kafka
}

test('DescribeTopicPartitions tells what Metadata tells, in order of name', async () => {
  const kafka = withTopics()
  const { id } = kafka.storage.add('__consumer_offsets')
  const { topics, nextCursor } = await page(kafka, [])
  assert.deepEqual(
    topics.map(({ name }) => name),
    ['__consumer_offsets', 'a', 'b', 'c'],
  )
  const [topic] = topics
  assert.deepEqual([topic?.topicId, topic?.isInternal, topic?.topicAuthorizedOperations], [id, true, 0xdf8])
  assert.deepEqual(topic?.partitions, [
    {
      errorCode: 0,
      partitionIndex: 0,
      leaderId: 1,
      leaderEpoch: 0,
      replicaNodes: [1],
      isrNodes: [1],
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    },
  ])
  assert.equal(nextCursor, null)
})

test('a partition without a leader says so', async () => {
  const kafka = withTopics()
  kafka.storage.topicByName('c')!.partitions[0]!.leader = -1 as NodeId
  const { topics } = await page(kafka, ['c'])
  assert.equal(errorIn(topics[0]?.partitions[0]), 'LEADER_NOT_AVAILABLE')
})

test('pages follow each other without a gap and without an overlap, whatever their size', async () => {
  const kafka = withTopics()
  const all = ['a-0', 'a-1', 'b-0', 'b-1', 'b-2', 'c-0']
  for (let limit = 1; limit <= 7; limit++) {
    const seen: string[] = []
    let cursor: Cursor | null = null
    do {
      const { topics, nextCursor } = await page(kafka, [], limit, cursor)
      const found = topics.flatMap(({ name, partitions }) => partitions.map(one => `${name}-${one.partitionIndex}`))
      assert.ok(found.length <= limit)
      seen.push(...found)
      cursor = nextCursor
    } while (cursor !== null)
    assert.deepEqual(seen, all, `with ${limit} on a page`)
  }
})

test('a page ends within a topic or between two', async () => {
  const kafka = withTopics()
  assert.deepEqual(await shown(kafka, [], 3), ['a:0,1 b:0', { topicName: 'b', partitionIndex: 1 }])
  assert.deepEqual(await shown(kafka, [], 5), ['a:0,1 b:0,1,2', { topicName: 'c', partitionIndex: 0 }])
  assert.deepEqual(await shown(kafka, [], 9, { topicName: 'b', partitionIndex: 2 }), ['b:2 c:0', null])
  assert.deepEqual(await shown(kafka, [], 9, { topicName: 'b', partitionIndex: 9 }), ['b: c:0', null])
  assert.deepEqual(await shown(kafka, [], 0), ['a:0', { topicName: 'a', partitionIndex: 1 }])
})

test('a page has two thousand partitions at most, whatever the client allows', async () => {
  const kafka = testBroker()
  kafka.storage.add('t', 2_001)
  const { topics, nextCursor } = await page(kafka, ['t'], 2_147_483_647)
  assert.equal(topics[0]?.partitions.length, 2_000)
  assert.deepEqual(nextCursor, { topicName: 't', partitionIndex: 2_000 })
})

test('names that are asked for and are no topics are told as such, also where a cursor stands on one', async () => {
  const kafka = withTopics()
  assert.deepEqual(await shown(kafka, ['c', 'a/b', 'a', 'bb', 'a']), [
    'a:0,1 a/b:INVALID_TOPIC_EXCEPTION bb:UNKNOWN_TOPIC_OR_PARTITION c:0',
    null,
  ])
  const cursor = { topicName: 'bb', partitionIndex: 0 }
  assert.deepEqual(await shown(kafka, ['bb', 'a', 'c'], 9, cursor), ['bb:UNKNOWN_TOPIC_OR_PARTITION c:0', null])
  assert.deepEqual(await shown(kafka, [], 9, cursor), ['c:0', null], 'deleted between two pages of all')
})

test('a cursor on something that was not asked for is refused', async () => {
  const kafka = withTopics()
  const refused = ['a:INVALID_REQUEST c:INVALID_REQUEST', null]
  assert.deepEqual(await shown(kafka, ['a', 'c'], 9, { topicName: 'b', partitionIndex: 0 }), refused)
  assert.deepEqual(await shown(kafka, ['a', 'c'], 9, { topicName: 'a', partitionIndex: -1 }), refused)
})

test('what one may not see is not listed, and refused where it is asked for', async () => {
  const kafka = withTopics({ check: (_principal, _rule, name) => name !== 'b' })
  assert.deepEqual(await shown(kafka, []), ['a:0,1 c:0', null])
  assert.deepEqual(await shown(kafka, ['b', 'c']), ['c:0 b:TOPIC_AUTHORIZATION_FAILED', null])
})
