import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { noTopicId, type Offset, offset } from '../../base/ids.ts'
import { Prng } from '../../base/prng.ts'
import { emptyRope, flattenRope, ropeOf, sliceRope } from '../../base/rope.ts'
import { ManualClock } from '../../sim/clock.ts'
import { buildBatch, type RecordDraft } from '../../wire/build-batch.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import { batchHeaderBytes, readBatchHeader } from '../../wire/record-batch.ts'
import { readRecords } from '../../wire/records.ts'
import { brokerConfigs } from '../configs.ts'
import { type MemoryPartition, MemoryStorage } from '../testing/memory-storage.ts'
import { settle } from '../testing/test-broker.ts'
import type { GroupRecord } from './group-record.ts'
import { decodeGroupRecord } from './offsets-format.ts'
import { OffsetsLog } from './offsets-log.ts'

const longLog = 1 << 30

interface Sizes {
  readonly rewriteBytesMin?: number
  readonly rewriteBatchBytes?: number
  readonly batchBytesMax?: number
}

/** What a log of groups is about, as simply as can be: the newest record of every key. */
class Model {
  readonly held = new Map<string, GroupRecord>()

  apply(record: GroupRecord): void {
    if (record.value === null) this.held.delete(keyOf(record))
    else this.held.set(keyOf(record), record)
  }

  *live() {
    for (const groupId of new Set(Array.from(this.held.values(), record => record.groupId))) {
      yield () => [...this.held.values()].filter(record => record.groupId === groupId)
    }
  }

  get sorted() {
    return [...this.held].sort(([a], [b]) => (a < b ? -1 : 1))
  }
}

const keyOf = (record: GroupRecord) =>
  record.of === 'offset' ? `${record.groupId} ${record.topic} ${record.partition}` : record.groupId

function committed(groupId: string, partition: number, at: number | null, metadata = ''): GroupRecord {
  const value = { offset: at ?? 0, leaderEpoch: -1, metadata, commitMs: 1, expireMs: -1, topicId: noTopicId }
  return { of: 'offset', groupId, topic: 'tides', partition, value: at === null ? null : value }
}

function scene(options: Sizes = {}) {
  const clock = new ManualClock()
  const storage = new MemoryStorage(clock, brokerConfigs())
  const [store] = storage.add('__consumer_offsets').partitions as [MemoryPartition]
  const open = () => openLog(store, clock, options)
  return { clock, store, open, ...open() }
}

function openLog(store: MemoryPartition, clock: ManualClock, options: Sizes) {
  const model = new Model()
  const reports: string[] = []
  const failures: unknown[] = []
  const log = new OffsetsLog({
    name: '__consumer_offsets-0',
    store,
    clock,
    batchBytesMax: () => options.batchBytesMax ?? 1 << 20,
    rewriteBytesMin: options.rewriteBytesMin ?? longLog,
    rewriteBatchBytes: options.rewriteBatchBytes ?? 256 * 1024,
    live: () => model.live(),
    report: what => reports.push(what),
    fail: error => failures.push(error),
  })
  const outcomes: KafkaErrorName[] = []
  /** Writes, and takes over what is durable, as the groups do. */
  const write = (...records: GroupRecord[]) =>
    log.write(records, error => {
      outcomes.push(error)
      if (error === 'NONE') for (const record of records) model.apply(record)
    })
  const replay = async () => {
    let isDone = false
    const replayed = log
      .replay(record => model.apply(record))
      .finally(() => {
        isDone = true
      })
    while (!isDone) await clock.run(0)
    await replayed
  }
  return { log, model, reports, failures, outcomes, write, replay }
}

const recordsIn = (store: MemoryPartition) => store.batches.map(({ header }) => header.recordCount)

async function append(store: MemoryPartition, records: readonly RecordDraft[], options = {}): Promise<void> {
  const bytes = buildBatch(records, options)
  await store.append({ header: readBatchHeader(bytes), bytes: ropeOf(bytes) }, -1)
}

describe('writing', () => {
  test('is answered when it is durable, and what comes meanwhile rides in the next batch', async () => {
    const { store, write, outcomes } = scene()
    store.hold()
    write(committed('g', 0, 1))
    write(committed('g', 1, 1), committed('g', 2, 1))
    await settle()
    write(committed('g', 0, 2))
    write(committed('g', 1, 2))
    await settle()
    assert.deepEqual(outcomes, [])
    assert.deepEqual(recordsIn(store), [3], 'one append is under way')
    store.release()
    await settle()
    assert.deepEqual(outcomes, ['NONE', 'NONE', 'NONE', 'NONE'])
    assert.deepEqual(recordsIn(store), [3, 2])
    assert.deepEqual(store.acks, [-1, -1])
  })

  test('gives records that Kafka reads', async () => {
    const { store, write } = scene()
    write(committed('g', 3, 7, 'm'), { of: 'group', groupId: 'g', value: null })
    await settle()
    const [batch] = store.batches
    assert.ok(batch)
    const body = sliceRope(batch.bytes, batchHeaderBytes, batch.bytes.length)
    const records = readRecords(batch.header, body).map(({ key, value }) => decodeGroupRecord(key, value))
    assert.deepEqual(records, [committed('g', 3, 7, 'm'), { of: 'group', groupId: 'g', value: null }])
  })

  for (const refusal of ['KAFKA_STORAGE_ERROR', 'NOT_ENOUGH_REPLICAS', 'UNKNOWN_TOPIC_OR_PARTITION'] as const) {
    test(`that is refused with ${refusal} is told so, and the next is tried`, async () => {
      const { store, write, outcomes, model } = scene()
      store.appendRefusal = { error: refusal, message: '' }
      write(committed('g', 0, 1))
      await settle()
      store.appendRefusal = null
      write(committed('g', 1, 1))
      await settle()
      assert.deepEqual(outcomes, [refusal, 'NONE'])
      assert.equal(model.held.size, 1)
    })
  }

  test('of more than a batch holds takes several; of one record that fits into none, is refused', async () => {
    const { store, write, outcomes } = scene({ batchBytesMax: 1000 })
    write(...Array.from({ length: 20 }, (_, i) => committed('g', i, 1)))
    write(committed('g', 0, 2, 'x'.repeat(1000)))
    write(committed('g', 1, 2))
    await settle()
    assert.deepEqual(outcomes, ['MESSAGE_TOO_LARGE', 'NONE', 'NONE'])
    assert.ok(store.batches.length > 2)
    assert.ok(store.batches.every(({ bytes }) => bytes.length <= 1000))
  })

  test('of what is too long for its field is refused', async () => {
    const { write, outcomes, failures } = scene()
    write(committed('g', 0, 1, 'x'.repeat(40_000)))
    write({ of: 'group', groupId: 'g'.repeat(40_000), value: null })
    await settle()
    assert.deepEqual(outcomes, ['MESSAGE_TOO_LARGE', 'MESSAGE_TOO_LARGE'])
    assert.deepEqual(failures, [])
  })

  test('is refused at once when too much waits', async () => {
    const { store, write, outcomes } = scene()
    store.hold()
    const large = committed('g', 0, 1, 'x'.repeat(30_000))
    for (let i = 0; i < 200; i++) write(large)
    await settle()
    const refused = [...outcomes]
    assert.ok(refused.length > 50 && refused.length < 150, `${refused.length} of 200`)
    assert.ok(refused.every(error => error === 'COORDINATOR_NOT_AVAILABLE'))
    store.release()
    for (let i = 0; i < 20; i++) await settle()
    assert.equal(outcomes.filter(error => error === 'NONE').length, 200 - refused.length)
  })

  test('ends when the storage breaks: nothing is acknowledged, and the owner is told', async () => {
    const { store, write, outcomes, failures } = scene()
    const fault = new Error('the sync failed')
    store.fault = fault
    write(committed('g', 0, 1))
    await settle()
    store.fault = null
    write(committed('g', 0, 2))
    await settle()
    assert.deepEqual(outcomes, ['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_NOT_AVAILABLE'])
    assert.deepEqual(failures, [fault])
    assert.equal(store.batches.length, 0)
  })

  test('after a close is refused; what was under way is waited for', async () => {
    const { store, write, outcomes, log } = scene()
    store.hold()
    write(committed('g', 0, 1))
    await settle()
    write(committed('g', 1, 1))
    let closed = false
    const closing = log.close().then(() => {
      closed = true
    })
    write(committed('g', 2, 1))
    await settle()
    assert.deepEqual(outcomes, ['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_NOT_AVAILABLE'])
    assert.equal(closed, false)
    store.release()
    await closing
    assert.deepEqual(outcomes.at(-1), 'NONE')
  })

  test('that never comes back does not keep a close', async () => {
    const { store, write, log, clock } = scene()
    store.hold()
    write(committed('g', 0, 1))
    await settle()
    const closing = log.close()
    await clock.run(3000)
    await closing
  })
})

describe('replay', () => {
  test('gives what was written, in order, and gives the memory back', async () => {
    const { store, write, model, open } = scene()
    write(committed('g', 0, 1), committed('h', 0, 1))
    await settle()
    write(committed('g', 0, 2), { of: 'group', groupId: 'h', value: null })
    write(committed('h', 0, null))
    await settle()
    const next = open()
    await next.replay()
    assert.deepEqual(next.model.sorted, model.sorted)
    assert.deepEqual(next.reports, [])
    assert.equal(store.lent, 0)
  })

  test('passes over what it does not know, and says so', async () => {
    const { store, write, open } = scene()
    await append(store, [{ key: Buffer.from([0, 3, 0, 1, 97]), value: Buffer.from([0, 0]) }])
    await append(store, [{ key: Buffer.from([0, 3, 0, 1, 98]), value: null }])
    await append(store, [{ key: null, value: 'x' }], { control: true })
    write(committed('g', 0, 1))
    await settle()
    const { replay, model, reports } = open()
    await replay()
    assert.equal(model.held.size, 1)
    assert.deepEqual(reports, ['__consumer_offsets-0: a record is of kind 3, which is not known here (2 times)'])
  })

  test('goes on behind what is lost, and says which offsets', async () => {
    const { store, write, open } = scene()
    for (let i = 0; i < 6; i++) {
      write(committed('g', i, 1), committed('h', i, 1))
      await settle()
    }
    damage(store, [
      [offset(2), offset(6)],
      [offset(10), offset(12)],
    ])
    const { replay, model, reports } = open()
    await replay()
    const partitions = Array.from(model.held.values(), record => (record.of === 'offset' ? record.partition : -1))
    assert.deepEqual([...new Set(partitions)], [0, 3, 4])
    assert.equal(reports.length, 2)
    assert.match(reports[0] ?? '', /offsets 2 to 5 are lost/)
    assert.match(reports[1] ?? '', /offsets 10 to 11 are lost/)
  })

  test('tries again while the disk does not answer', async () => {
    const { store, clock, write, open } = scene()
    write(committed('g', 0, 1))
    await settle()
    store.readError = 'KAFKA_STORAGE_ERROR'
    const { log, model, reports } = open()
    const replayed = log.replay(record => model.apply(record))
    await clock.run(2500)
    assert.equal(model.held.size, 0)
    store.readError = 'NONE'
    await clock.run(2500)
    await replayed
    assert.equal(model.held.size, 1)
    assert.match(reports.join(), /KAFKA_STORAGE_ERROR/)
  })
})

/** What lies there is lost. */
function damage(store: MemoryPartition, holes: readonly (readonly [Offset, Offset])[]): void {
  const read = store.read.bind(store)
  store.read = request => {
    if (holes.some(([from, to]) => request.from >= from && request.from < to)) {
      const { highWatermark, logStartOffset } = store
      return { error: 'CORRUPT_MESSAGE', records: emptyRope, highWatermark, logStartOffset }
    }
    // Up to the next hole.
    return read({ ...request, bytesMax: 1, minOne: true })
  }
}

describe('a log that has grown', () => {
  const written = async (rewriteBytesMin: number) => {
    const all = scene({ rewriteBytesMin })
    await all.replay()
    return all
  }

  test('is rewritten, and begins where that does', async () => {
    const { store, write, model, open } = await written(5000)
    for (let i = 0; i < 200; i++) {
      write(committed(`g${i % 3}`, 0, i))
      await settle()
    }
    assert.ok(store.logStartOffset > 100, `the log starts at ${store.logStartOffset}`)
    const next = open()
    await next.replay()
    assert.deepEqual(next.model.sorted, model.sorted)
  })

  test('that holds nothing begins at its end', async () => {
    const { store, write, open } = await written(5000)
    for (let i = 0; i < 100; i++) {
      write(committed('g', 0, i), committed('g', 0, null))
      await settle()
    }
    assert.ok(store.logStartOffset > 0)
    const next = open()
    await next.replay()
    assert.equal(next.model.held.size, 0)
  })

  test('keeps what was written while it was rewritten', async () => {
    const { store, write, model, open } = await written(300_000)
    const groups = Array.from({ length: 40 }, (_, i) => `group-${i}`)
    for (const group of groups) write(committed(group, 0, 0, 'x'.repeat(4000)))
    await settle()
    const before = model.sorted
    for (let round = 1; store.logStartOffset === 0; round++) {
      assert.ok(round < 100, 'it is rewritten')
      for (const group of groups) write(committed(group, round % 2, round, 'y'.repeat(4000)))
      await null
      await null
    }
    await settle()
    assert.notDeepEqual(model.sorted, before)
    const next = open()
    await next.replay()
    assert.deepEqual(next.model.sorted, model.sorted)
  })

  test('keeps its start until the rewrite is durable', async () => {
    const { store, write } = await written(3000)
    const append = store.append.bind(store)
    const rewrites = Promise.withResolvers<void>()
    // Writes are of one record here, and what is rewritten of two.
    store.append = async (batch, acks) => {
      if (batch.header.recordCount > 1) await rewrites.promise
      return append(batch, acks)
    }
    for (let i = 0; i < 100; i++) {
      write(committed('g', i % 2, i))
      await settle()
    }
    assert.equal(store.logStartOffset, 0)
    rewrites.resolve()
    await settle()
    assert.ok(store.logStartOffset > 0)
  })

  test('is left as it is when the rewrite is refused, and rewritten later', async () => {
    const { store, clock, write, outcomes, model, open } = await written(3000)
    let appends = 0
    const append = store.append.bind(store)
    const refused = async () => ({ error: 'KAFKA_STORAGE_ERROR', message: 'full' }) as const
    // Writes are of one record here, and what is rewritten of two.
    store.append = (batch, acks) => {
      appends++
      return batch.header.recordCount > 1 ? refused() : append(batch, acks)
    }
    for (let i = 0; i < 100; i++) {
      write(committed('g', i % 2, i))
      await settle()
    }
    assert.equal(store.logStartOffset, 0)
    assert.equal(appends, 101, 'the rewrite is tried once')
    assert.ok(outcomes.every(error => error === 'NONE'))
    store.append = append
    clock.advance(11_000)
    write(committed('g', 0, 100))
    await settle()
    assert.ok(store.logStartOffset > 0)
    const next = open()
    await next.replay()
    assert.deepEqual(next.model.sorted, model.sorted)
  })

  test('is rewritten again, but not at once, when its start could not be moved', async () => {
    const { store, clock, write } = await written(3000)
    store.deleteRefusal = 'KAFKA_STORAGE_ERROR'
    for (let i = 0; i < 100; i++) {
      write(committed('g', 0, i))
      await settle()
    }
    assert.equal(store.logStartOffset, 0)
    assert.equal(store.batches.length, 101, 'once')
    store.deleteRefusal = null
    clock.advance(11_000)
    write(committed('g', 0, 100))
    await settle()
    assert.ok(store.logStartOffset > 0)
  })

  test('says the same from wherever it is replayed, whatever was refused and however it ended', async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const prng = new Prng(seed)
      const { store, clock, open } = scene({
        rewriteBytesMin: prng.pick([500, 3000, 20_000]),
        rewriteBatchBytes: prng.pick([200, 2000, 1 << 20]),
      })
      let now = open()
      const append = store.append.bind(store)
      store.append = async (batch, acks) => {
        if (prng.chance(0.05)) return { error: 'KAFKA_STORAGE_ERROR', message: 'no room' }
        const appended = append(batch, acks)
        for (let turns = prng.between(0, 5); turns > 0; turns--) await null
        return appended
      }
      for (let step = 0; step < 150; step++) {
        const group = `g${prng.between(0, 12)}`
        const at = prng.chance(0.2) ? null : step
        now.write(committed(group, prng.between(0, 3), at, 'm'.repeat(prng.between(0, 200))))
        if (prng.chance(0.5)) await settle()
        if (prng.chance(0.05)) clock.advance(20_000)
        if (!prng.chance(0.1)) continue
        await settle()
        const next = open()
        await next.replay()
        assert.deepEqual(next.model.sorted, now.model.sorted, `seed ${seed}, step ${step}`)
        now = next
      }
    }
  })
})

test('a batch of another program with a codec is passed over', async () => {
  const { store, open } = scene()
  const compression = { codec: 'gzip', compress: (records: Buffer) => flattenRope(ropeOf(records)) } as const
  await append(store, [{ key: 'k', value: 'v' }], { compression })
  const { replay, reports } = open()
  await replay()
  assert.match(reports.join(), /compressed/)
})
