/**
 * The text protocol's shared cursor over SIGKILLs: what was acknowledged is given out, at least once, and in one life of the
 * broker once only; after a kill reading goes on about where it was.
 *
 *     KILLS_CYCLES=100 KILLS_SEED=7 npm run kills
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TextClient } from '../support/text-client.ts'
import { steadyPort, Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

const cyclesDefault = 8
const { KILLS_CYCLES = cyclesDefault, KILLS_SEED = Date.now() % 1_000_000_000 } = process.env
const cycles = Number(KILLS_CYCLES)
const seed = Number(KILLS_SEED)

const writers = 4
const readers = 3
const runMsMax = 1_000
/** What a kill may bring again, at most: a commit is under way for as long as a sync takes, or a busy machine. */
const againMax = 300

interface Run {
  readonly textPort: number
  life: number
  stopped: boolean
  readonly acknowledged: Set<string>
  /** Of each value, how often it was received in each life. */
  readonly received: Map<string, number[]>
}

describe(`${cycles} kills under the shared cursor`, () => {
  after(() => setTimeout(() => process.exit(), 3_000).unref())

  it(`skip nothing and give nothing out twice in one life (KILLS_SEED=${seed})`, async () => {
    const prng = new Prng(seed)
    await using dir = await tempDir()
    const textPort = await steadyPort()
    const options = { dataDir: dir.path, port: await steadyPort(), textPort, set: { 'num.partitions': 1 } }
    let tidelog = await Tidelog.start(options)
    {
      await using client = await TextClient.connect(textPort)
      assert.equal(await client.say('REGISTER tides'), 'OK')
    }
    const run: Run = { textPort, life: 0, stopped: false, acknowledged: new Set(), received: new Map() }
    const ended = Promise.all([
      ...Array.from({ length: writers }, (_, i) => keepOn(run, client => write(run, client, i))),
      ...Array.from({ length: readers }, () => keepOn(run, client => read(run, client))),
    ])
    const failed = ended.then(() => new Promise<never>(() => {}))
    try {
      for (let cycle = 0; cycle < cycles; cycle++) {
        await Promise.race([sleep(prng.between(100, runMsMax)), failed])
        await tidelog.kill()
        run.life++
        tidelog = await Tidelog.start(options)
      }
      await Promise.race([sleep(200), failed])
      run.stopped = true
      await ended
      await drain(run)
      const all = [...run.received.values()]
      const twice = [...run.received].filter(([, times]) => times.some(count => count > 1))
      assert.deepEqual(twice, [], 'given out twice in one life')
      const lost = [...run.acknowledged].filter(value => !run.received.has(value))
      assert.deepEqual(lost, [], 'acknowledged and never given out')
      const again = all.reduce((sum, times) => sum + times.filter(count => count > 0).length - 1, 0)
      assert.ok(again <= againMax * cycles, `${again} came again`)
      assert.ok(all.length > 100 * cycles, `only ${all.length} were given out`)
      // A stop in order brings nothing again.
      await tidelog.stop()
      tidelog = await Tidelog.start(options)
      await using client = await TextClient.connect(textPort)
      assert.equal(await client.say('GET tides'), 'EMPTY')
    } finally {
      run.stopped = true
      await tidelog.kill()
    }
  })
})

/** Over as many connections as it takes. */
async function keepOn(run: Run, work: (client: TextClient) => Promise<void>): Promise<void> {
  while (!run.stopped) {
    try {
      await using client = await TextClient.connect(run.textPort)
      await work(client)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      await sleep(10)
    }
  }
}

let last = 0

/** What is not acknowledged may be there all the same; it is not written again. */
async function write(run: Run, client: TextClient, writer: number): Promise<void> {
  while (!run.stopped) {
    const value = `${writer}-${++last}`
    const reply = await client.say(`PUT tides ${value}`)
    if (reply === 'OK') run.acknowledged.add(value)
    else assert.match(reply, /^ERR The broker is stopping/)
  }
}

async function read(run: Run, client: TextClient): Promise<void> {
  const { life } = run
  while (!run.stopped) {
    const reply = await client.say('GET tides')
    if (reply === 'EMPTY') await sleep(1)
    else note(run, life, reply)
  }
}

function note(run: Run, life: number, reply: string): void {
  assert.match(reply, /^OK \d-\d+$/)
  const value = reply.slice(3)
  const times = run.received.get(value) ?? []
  times[life] = (times[life] ?? 0) + 1
  run.received.set(value, times)
}

async function drain(run: Run): Promise<void> {
  await using client = await TextClient.connect(run.textPort)
  await eventually(
    30_000,
    'the end of the topic',
    async () => {
      const reply = await client.say('GET tides')
      if (reply !== 'EMPTY') note(run, run.life, reply)
      return reply === 'EMPTY'
    },
    0,
  )
}
