import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '../base/ids.ts'
import { ManualClock } from '../sim/clock.ts'
import { brokerConfigs } from './configs.ts'
import { type Found, readInOrder, type Wanted } from './fetch-read.ts'
import { FetchWaits } from './fetch-waits.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import { settle } from './testing/test-broker.ts'

async function waiting(watchedMax: number, partitions: number) {
  const clock = new ManualClock()
  const storage = new MemoryStorage(clock, brokerConfigs())
  const topic = storage.add('t', partitions)
  const wanted: Wanted[] = topic.partitions.map(partition => ({
    partition,
    error: 'NONE',
    from: offset(0),
    bytesMax: 1_000,
  }))
  const found: Found[] = await readInOrder(wanted, 1_000, new Set())
  const waits = new FetchWaits(clock, watchedMax)
  const signal = new AbortController().signal
  const until = (waitMs: number) => waits.until({ wanted, found, bytesMissing: 1, waitMs, signal })
  return { clock, topic, waits, until }
}

test('partitions are watched while a fetch waits, and no longer', async () => {
  const { clock, topic, waits, until } = await waiting(100, 3)
  const wait = until(1_000)
  assert.equal(waits.watched, 3)
  await clock.run(1_000)
  assert.deepEqual([...(await wait)], [])
  assert.equal(waits.watched, 0)
  for (const { listeners } of topic.partitions) assert.equal(listeners, 0)
})

test('at the bound a fetch watches nothing and looks again soon', async () => {
  const { clock, topic, waits, until } = await waiting(4, 3)
  const first = until(10_000)
  let over = false
  const second = until(10_000).finally(() => {
    over = true
  })
  assert.equal(waits.watched, 3)
  assert.equal(topic.partitions[0]!.listeners, 1)
  await clock.run(499)
  assert.equal(over, false)
  await clock.run(1)
  await second
  assert.equal(waits.watched, 3)
  await clock.run(10_000)
  await first
})

test('what happens in one turn wakes a fetch once', async () => {
  const { topic, until } = await waiting(100, 2)
  const wait = until(1_000)
  for (const partition of topic.partitions) {
    partition.highWatermark = offset(5)
    await partition.deleteRecords(offset(0))
  }
  assert.deepEqual([...(await wait)].sort(), [0, 1])
})

test('a fault while counting reaches the fetch that waits', async () => {
  const { clock, topic, until } = await waiting(100, 1)
  const wait = until(1_000)
  topic.partitions[0]!.fault = new Error('a surprise')
  await topic.partitions[0]!.deleteRecords(offset(0))
  await assert.rejects(wait, /a surprise/)
  await settle()
  assert.equal(clock.pendingTimers, 0)
})
