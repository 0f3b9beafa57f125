import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Offset } from '../base/ids.ts'
import { flattenRope, ropeOf } from '../base/rope.ts'
import type { Compute } from '../io/compute.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { readBatchHeader } from '../wire/record-batch.ts'
import { brokerConfigs, topicSettings } from './configs.ts'
import { Engine, type EngineSettings, nodeLogSettings } from './engine.ts'
import type { AppendOutcome, PartitionStore } from './storage.ts'

const refuse = () => Promise.reject(new Error('nothing is compressed here'))
const compute: Compute = { decompress: refuse, compress: refuse }

function settings(overrides: Record<string, string> = {}): EngineSettings {
  const configs = brokerConfigs(overrides)
  return {
    log: nodeLogSettings({ journalBytes: 64 << 20, cacheBytes: 16 << 20, openFilesMax: 100, acceptDataLoss: false }),
    retentionCheckMs: 60_000,
    producerIdExpirationMs: 86_400_000,
    topicSettings: given => topicSettings(configs, given),
  }
}

const realClock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs: number, task: () => void) {
    const timer = setTimeout(task, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

async function open(disk: MemoryDisk, given = settings()): Promise<Engine> {
  return Engine.open(
    {
      disk,
      clock: realClock,
      random: { bytes: length => Buffer.from(crypto.getRandomValues(new Uint8Array(length))) },
      compute,
    },
    given,
    {
      report: () => {},
      fail: error => {
        throw error
      },
    },
  )
}

function batch(value: string, count = 1) {
  const bytes = buildBatch(
    Array.from({ length: count }, (_, i) => ({ key: null, value: Buffer.from(`${value}-${i}`) })),
  )
  return { header: readBatchHeader(bytes), bytes: ropeOf(bytes) }
}

function accepted(outcome: AppendOutcome): Offset {
  assert.equal(outcome.error, 'NONE')
  return (outcome as { baseOffset: Offset }).baseOffset
}

async function readAll(partition: PartitionStore): Promise<string> {
  let text = ''
  for (let from = partition.logStartOffset; from < partition.highWatermark; ) {
    const { error, records } = await partition.read({ from, bytesMax: 1 << 20, minOne: true })
    assert.equal(error, 'NONE')
    const bytes = flattenRope(records)
    assert.ok(bytes.length > 0)
    text += bytes.toString('latin1')
    for (let at = 0; at < bytes.length; ) {
      const header = readBatchHeader(bytes, at)
      from = (header.baseOffset + header.lastOffsetDelta + 1) as Offset
      at += header.bytes
    }
  }
  return text
}

test('what was acknowledged is read back, before and after a restart', async () => {
  const disk = new MemoryDisk()
  const engine = await open(disk)
  const created = await engine.createTopic({ name: 'orders', partitions: 2, replicationFactor: 1, configs: new Map() })
  assert.equal(created.error, 'NONE')
  const partition = engine.topicByName('orders')!.partitions[0]!
  for (let i = 0; i < 100; i++) assert.equal(accepted(await partition.append(batch(`value-${i}`, 3), -1)), i * 3)
  assert.equal(partition.highWatermark, 300)
  const before = await readAll(partition)
  await engine.close()

  const again = await open(disk)
  const recovered = again.topicByName('orders')!.partitions[0]!
  assert.equal(recovered.highWatermark, 300)
  assert.equal(await readAll(recovered), before)
  assert.equal(accepted(await recovered.append(batch('after'), 1)), 300)
  await again.close()
})

test('a segment that is full is sealed, and reading goes on across the border', async () => {
  const disk = new MemoryDisk()
  const engine = await open(disk, settings({ 'tidelog.segment.records': '10' }))
  await engine.createTopic({ name: 't', partitions: 1, replicationFactor: 1, configs: new Map() })
  const partition = engine.topicByName('t')!.partitions[0]!
  await Promise.all(Array.from({ length: 95 }, (_, i) => partition.append(batch(`v${i}`), -1)))
  assert.equal(partition.highWatermark, 95)
  const text = await readAll(partition)
  for (let i = 0; i < 95; i++) assert.ok(text.includes(`v${i}-0`))
  await engine.close()
  const again = await open(disk, settings({ 'tidelog.segment.records': '10' }))
  assert.equal(await readAll(again.topicByName('t')!.partitions[0]!), text)
  assert.deepEqual(disk.violations, [])
  await again.close()
})
