import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { offset } from '../base/ids.ts'
import { apis } from '../wire/api-keys.ts'
import type { Access } from './access.ts'
import { answerTo } from './testing/group-client.ts'
import { batchOf, type TestBroker, testBroker } from './testing/test-broker.ts'

/** Topics `t` and `u` with a record a second, three each, and a group `g` that has read one of each. */
async function behind(access?: Access): Promise<TestBroker> {
  const broker = testBroker({}, access)
  const startMs = broker.clock.nowMs()
  for (const name of ['u', 't']) {
    broker.storage.add(name, 1)
    for (let i = 0; i < 3; i++) {
      const records = batchOf([`${i}`], { baseTimestamp: startMs + i * 1_000 })
      const topicData = [{ name, partitionData: [{ index: 0, records }] }]
      await broker.ask(apis.produce, 9, { acks: -1, timeoutMs: 1_000, topicData })
    }
  }
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: 'm' }]
  const topics = ['u', 't', 'gone'].map(name => ({ name, partitions }))
  broker.storage.add('gone', 1)
  const request = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', topics }
  await answerTo(broker, broker.ask(apis.offsetCommit, 8, request))
  return broker
}

const bounds = (lookUps = 10, offsetsMax = 10) => ({ offsetsMax, lookUps: { left: lookUps } })

async function look(broker: TestBroker, { lookUps, offsetsMax } = bounds(), groupId = 'g') {
  const overview = broker.broker.overview('somebody')
  const group = await answerTo(broker, overview.group(groupId, { lookUps, offsetsMax }))
  assert.ok(group !== null && group !== 'LOADING')
  return group
}

describe('an overview', () => {
  it('says how far a group is behind, in records and in seconds', async () => {
    const broker = await behind()
    const startMs = broker.clock.nowMs() - broker.clock.monotonicMs()
    await broker.clock.run(10_000)
    const { offsets, leftOut } = await look(broker)
    const told = offsets.map(({ topic, offset, end, lag, metadata }) => [topic, offset, end, lag, metadata])
    assert.deepEqual(told, [
      ['gone', 1, 0, 0, 'm'],
      ['t', 1, 3, 2, 'm'],
      ['u', 1, 3, 2, 'm'],
    ])
    assert.equal(leftOut, 0)
    const [gone, t] = offsets
    assert.equal(gone?.lagSeconds, 0, 'nothing is left to read')
    // The time of the question itself goes on until its answer is there.
    const ageSeconds = (broker.clock.nowMs() - startMs - 1_000) / 1_000
    assert.ok(Math.abs((t?.lagSeconds ?? 0) - ageSeconds) < 0.1, `${t?.lagSeconds} of ${ageSeconds}`)
  })

  it('looks up no more times than it may, and remembers those it has', async () => {
    const broker = await behind()
    const first = await look(broker, bounds(1))
    assert.deepEqual(
      first.offsets.map(({ lagSeconds }) => lagSeconds === null),
      [false, false, true],
    )
    const second = await look(broker, bounds(1))
    assert.ok(second.offsets.every(({ lagSeconds }) => lagSeconds !== null))
    const third = await look(broker, bounds(0))
    assert.ok(third.offsets.every(({ lagSeconds }) => lagSeconds !== null))
  })

  it('leaves out what there is no room for, and topics that are gone', async () => {
    const broker = await behind()
    const { offsets, leftOut } = await look(broker, bounds(10, 2))
    assert.deepEqual([offsets.map(({ topic }) => topic), leftOut], [['gone', 't'], 1])
    await broker.storage.deleteTopic(broker.storage.topicByName('gone')!.id)
    broker.storage.add('gone', 1)
    assert.deepEqual(
      (await look(broker)).offsets.map(({ topic }) => topic),
      ['t', 'u'],
    )
  })

  it('counts from the first record that is left', async () => {
    const broker = await behind()
    const partition = broker.storage.topicByName('t')!.partitions[0]!
    await partition.deleteRecords(offset(2))
    const t = (await look(broker)).offsets.find(({ topic }) => topic === 't')
    assert.equal(t?.lag, 2, 'as Kafka counts')
    assert.equal(t?.lagSeconds, 0, 'a record from the future is as good as new')
  })

  it('shows nobody what they may not see', async () => {
    const hidden = new Set(['u', 'secret'])
    const broker = await behind({ check: (principal, _rule, name) => principal !== 'somebody' || !hidden.has(name) })
    const overview = broker.broker.overview('somebody')
    assert.deepEqual(
      overview.topics().map(({ name }) => name),
      ['__consumer_offsets', 'gone', 't'],
    )
    assert.equal(overview.topic('u'), null)
    assert.equal(overview.topic('none'), null)
    assert.deepEqual(
      (await look(broker)).offsets.map(({ topic }) => topic),
      ['gone', 't'],
    )
    assert.equal(await overview.group('secret', bounds()), null)
    assert.equal(await answerTo(broker, overview.group('nobody', bounds())), null)
    const { groups } = await answerTo(broker, overview.groups())
    assert.deepEqual(
      groups.map(({ groupId }) => groupId),
      ['g'],
    )
  })
})
