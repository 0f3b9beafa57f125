/**
 * The real process, killed with SIGKILL at random moments under load from real clients, and started again on the same
 * directory and port, many times over. Then everything is read and held against what was acknowledged.
 *
 *     KILLS_CYCLES=100 KILLS_SEED=7 npm run kills
 *
 * A seed decides when it is killed and what is sent, not how the machine schedules it all: it makes runs alike, not the same.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { withoutKcat } from '../support/kcat.ts'
import type { StoredBatch } from '../support/stored-batches.ts'
import { tempDir } from '../support/temp-dir.ts'
import { steadyPort, Tidelog } from '../support/tidelog.ts'
import { findAnomalies, ReadLog } from './checker.ts'
import { History, type Place } from './history.ts'
import { kafkajsLoad, kcatLoad, type Load, platformaticLoad } from './producers.ts'
import { Watermarks } from './watermarks.ts'

const cyclesDefault = 25
const { KILLS_CYCLES = cyclesDefault, KILLS_SEED = Date.now() % 1_000_000_000 } = process.env
const cycles = Number(KILLS_CYCLES)
const seed = Number(KILLS_SEED)

const runMsMax = 1_800
/** In some cycles it is killed while it starts. */
const startingMsMax = 500
const killedWhileStarting = 0.2
/** Fewer from a producer would prove nothing. */
const acknowledgedMin = 200

const mib = 1 << 20
const topics: readonly { name: string; partitions: number; configs: Readonly<Record<string, number>> }[] = [
  { name: 'tides', partitions: 4, configs: {} },
  // Sealed and opened all the time.
  { name: 'tiny', partitions: 3, configs: { 'tidelog.segment.records': 50 } },
  // Its head is deleted all the time.
  {
    name: 'short',
    partitions: 2,
    configs: { 'segment.bytes': mib, 'retention.bytes': 2 * mib, 'file.delete.delay.ms': 100 },
  },
]
/** Small enough that journal files are recycled and the flusher has to hurry. */
const set = {
  'tidelog.journal.bytes': 32 * mib,
  'tidelog.log.cache.bytes': 32 * mib,
  'log.retention.check.interval.ms': 500,
}
const range = (count: number) => Array.from({ length: count }, (_, i) => i)
const place = (topic: string, partition: number): Place => ({ topic, partition })
const places = topics.flatMap(({ name, partitions }) => range(partitions).map(partition => place(name, partition)))

const loads: readonly Load[] = [
  kafkajsLoad('kafkajs', places, false),
  kafkajsLoad('kafkajs-idempotent', places, true),
  platformaticLoad('platformatic', places, false),
  platformaticLoad('platformatic-idempotent', places, true),
  ...(withoutKcat === false
    ? [
        kcatLoad('kcat', place('tides', 0), false),
        kcatLoad('kcat-tiny', place('tiny', 1), false),
        kcatLoad('kcat-idempotent', place('tides', 1), true),
        kcatLoad('kcat-tiny-idempotent', place('tiny', 2), true),
      ]
    : []),
]

describe(`${cycles} kills`, () => {
  // When something went wrong, clients are left that would try again for ever.
  after(() => setTimeout(() => process.exit(), 3_000).unref())

  it('kcat takes part', { skip: withoutKcat }, () => undefined)

  it(`lose, move, change and repeat nothing (KILLS_SEED=${seed})`, async test => {
    const prng = new Prng(seed)
    const history = new History(loads.filter(({ isIdempotent }) => isIdempotent).map(({ name }) => name))
    const logs = places.map(each => new ReadLog(each))
    await using dir = await tempDir()
    const options = { dataDir: dir.path, port: await steadyPort(), set }
    let tidelog = await Tidelog.start(options)
    await makeTopics(tidelog.port)

    const watermarks = new Watermarks(places, history)
    const watching = watermarks.watch(tidelog.port)
    const running = loads.map(load => load.run(tidelog.address, history, prng.fork()))
    const ended = Promise.all(running.map(run => run.ended))
    const failed = Promise.race([ended, watching]).then(() => new Promise<never>(() => {}))
    try {
      for (let cycle = 0; cycle < cycles; cycle++) {
        await Promise.race([sleep(prng.between(50, runMsMax)), failed])
        await tidelog.kill()
        assertNoTrouble(tidelog)
        if (prng.chance(killedWhileStarting)) {
          const starting = Tidelog.spawn(options)
          await sleep(prng.between(0, startingMsMax))
          await starting.kill()
        }
        tidelog = await Tidelog.start(options)
        // A look at what is new, while the load goes on.
        if (cycle % 5 === 4) await Promise.race([readNews(tidelog.port, logs), failed])
      }
      for (const run of running) run.stop()
      await ended
      watermarks.stop()
      await watching
      await readWhole(tidelog.port, logs)
      // What is in memory and what is on disk are the same.
      await tidelog.kill()
      tidelog = await Tidelog.start(options)
      await readWhole(tidelog.port, logs)
      assertNoTrouble(tidelog)
    } finally {
      for (const run of running) run.stop()
      watermarks.stop()
      await tidelog.kill()
    }

    const records = logs.reduce((sum, log) => sum + log.records.length, 0)
    test.diagnostic(`${history.acknowledged.length} records acknowledged, ${records} read, ${watermarks.looks} looks`)
    const anomalies = [...watermarks.anomalies, ...findAnomalies(history, logs)]
    assert.equal(anomalies.length, 0, `${anomalies.length} anomalies:\n${anomalies.slice(0, 20).join('\n')}`)
    // A short run of one's own may end before there is much.
    if (cycles < cyclesDefault) return
    for (const { name } of loads) {
      const count = history.acknowledgedBy(name)
      assert.ok(count >= acknowledgedMin, `${name} had only ${count} records acknowledged`)
    }
    const trimmed = logs.filter(log => log.place.topic === 'short' && log.earliest > 0)
    assert.ok(trimmed.length > 0, 'retention was at work')
  })
})

async function makeTopics(port: number): Promise<void> {
  await using client = await KafkaClient.connect(port)
  for (const { name, partitions, configs } of topics) await client.createTopic(name, partitions, configs)
}

/** From where the last reading ended; the clients' load makes more meanwhile. */
async function readNews(port: number, logs: readonly ReadLog[]): Promise<void> {
  await using client = await KafkaClient.connect(port)
  for (const log of logs) {
    const { topic, partition } = log.place
    const from = Math.max(log.end ?? 0, await client.earliest(topic, partition))
    log.add(await readAll(client, log.place, from))
  }
}

async function readWhole(port: number, logs: readonly ReadLog[]): Promise<void> {
  await using client = await KafkaClient.connect(port)
  for (const log of logs) {
    const earliest = await client.earliest(log.place.topic, log.place.partition)
    log.addWhole(earliest, await readAll(client, log.place, earliest))
  }
}

/** What retention takes between two requests is not missed. */
async function readAll(client: KafkaClient, { topic, partition }: Place, from: number): Promise<StoredBatch[]> {
  try {
    return await client.readAll(topic, partition, from)
  } catch (error) {
    const earliest = await client.earliest(topic, partition)
    if (earliest <= from) throw error
    return client.readAll(topic, partition, earliest)
  }
}

function assertNoTrouble(tidelog: Tidelog): void {
  assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [], 'the log has no line of trouble')
}
