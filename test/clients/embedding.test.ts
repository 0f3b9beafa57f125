/** Brokers inside a program, as its clients and its process see them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import kafkajs from 'kafkajs'
import { type EmbeddedBroker, startBroker } from '../../src/index.ts'
import { root } from '../support/source.ts'
import { tempDir } from '../support/temp-dir.ts'
import { eventually } from '../support/waiting.ts'

const index = pathToFileURL(join(root, 'src', 'index.ts')).href

/** What a program prints that ends by itself. */
function run(program: string): string {
  const args = ['--input-type=module', '--eval', `import { openLog, startBroker } from '${index}'\n${program}`]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 50_000 })
  assert.equal(status, 0, stderr)
  return stdout + stderr
}

describe('a program with brokers inside', () => {
  it('has fifty at a time, prints nothing by them, and ends by itself when they are closed', () => {
    const output = run(`
      const brokers = await Promise.all(Array.from({ length: 50 }, () => startBroker()))
      await Promise.all(brokers.map(async (broker, i) => {
        await broker.createTopic('t', { partitions: 3 })
        await broker.produce('t', [{ key: 'a', value: String(i) }, { key: 'b', value: 'x' }])
        const values = []
        for await (const { key, value } of broker.read('t')) if (String(key) === 'a') values.push(Number(value))
        if (values.length !== 1 || values[0] !== i) throw new Error('broker ' + i + ' has ' + values)
      }))
      const ports = new Set(brokers.map(broker => broker.bootstrap))
      await Promise.all(brokers.map(broker => broker.close()))
      console.log(ports.size, process.memoryUsage.rss() < 1024 * 1024 * 1024)`)
    assert.equal(output, '50 true\n')
  })

  it('ends by itself when a log is closed, however short the program is', () => {
    const output = run(`
      import { mkdtempSync, rmSync } from 'node:fs'
      import { tmpdir } from 'node:os'
      const dir = mkdtempSync(tmpdir() + '/tidelog-log-')
      for (const expected of [null, 1]) {
        await using log = await openLog(dir)
        const cursor = log.cursor('c')
        if ((await cursor.position()) !== expected) throw new Error('the cursor is elsewhere')
        await log.append('x')
        await cursor.save(1)
      }
      rmSync(dir, { recursive: true })
      console.log('done')`)
    assert.equal(output, 'done\n')
  })

  it('hears of a broker that was not closed: nothing is lost from a directory', () => {
    const output = run(`
      import { mkdtempSync, rmSync } from 'node:fs'
      import { tmpdir } from 'node:os'
      import { spawnSync } from 'node:child_process'
      const dir = mkdtempSync(tmpdir() + '/tidelog-dir-')
      const program = \`
        import { startBroker } from '${index}'
        const broker = await startBroker({ storage: { dir: '\${dir}' } })
        await broker.createTopic('t')
        await broker.produce('t', { value: 'acknowledged' })
        process.kill(process.pid, 'SIGKILL')\`
      spawnSync(process.execPath, ['--input-type=module', '--eval', program])
      await using broker = await startBroker({ storage: { dir } })
      for await (const { value } of broker.read('t')) console.log(String(value))
      rmSync(dir, { recursive: true })`)
    assert.equal(output, 'acknowledged\n')
  })
})

describe('the other doors of a broker inside', () => {
  it('are open when they are asked for, stay through a reset, and close with it', async () => {
    await using broker = await startBroker({ text: true, http: true })
    const [host = '', port] = (broker.text ?? '').split(':')
    const socket = connect(Number(port), host)
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
    const say = async (line: string) => {
      socket.write(`${line}\n`)
      return (await lines.next()).value
    }
    const topics = async () => {
      const answer = await fetch(`http://${broker.http}/api/v1/topics`)
      return ((await answer.json()) as { topics: { name: string }[] }).topics.map(({ name }) => name)
    }
    assert.equal(await say('REGISTER logs'), 'OK')
    assert.equal(await say('PUT logs hello'), 'OK')
    assert.deepEqual(await topics(), ['logs'])
    const kept = await broker.snapshot()
    await broker.reset()
    assert.equal(await say('GET logs'), 'ERR unknown topic logs')
    assert.deepEqual(await topics(), [])
    await broker.reset(kept)
    assert.equal(await say('GET logs'), 'OK hello')
    const ended = new Promise(resolve => socket.once('close', resolve))
    await broker.close()
    await ended
    await assert.rejects(fetch(`http://${broker.http}/livez`))
  })
})

describe('the documentation', () => {
  for (const page of ['docs/embedding.md', 'README.md']) {
    const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)]
    const programs = blocks.map(([, text = '']) => text).filter(text => text.includes("from 'tidelog'"))
    for (const [i, program] of programs.entries()) {
      it(`${page}: program ${i + 1} runs as it stands`, async () => {
        await using dir = await tempDir()
        const args = ['--input-type=module', '--eval', program.replace("'tidelog'", `'${index}'`)]
        const options = { cwd: dir.path, encoding: 'utf8', timeout: 20_000 } as const
        const { status, stdout, stderr } = spawnSync(process.execPath, args, options)
        assert.equal(status, 0, stderr)
        assert.match(stdout, program.includes('openLog') ? /^0 something happened\n$/ : /^\d 0 ada \{"amount":3\}\n$/)
      })
    }
  }
})

describe('clients of a broker that is reset', () => {
  let broker: EmbeddedBroker
  before(async () => {
    broker = await startBroker()
  })
  after(() => broker.close())

  it('kafkajs goes on to produce and to consume in its group', async t => {
    const kafka = new kafkajs.Kafka({ brokers: [broker.bootstrap], logLevel: kafkajs.logLevel.NOTHING })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, idempotent: true })
    const consumer = kafka.consumer({ groupId: 'kafkajs', maxWaitTimeInMs: 100, retry: { retries: 20 } })
    t.after(() => Promise.all([producer.disconnect(), consumer.disconnect()]))
    const received: string[] = []
    await Promise.all([producer.connect(), consumer.connect(), broker.createTopic('t')])
    await consumer.subscribe({ topics: ['t'], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void received.push(String(message.value)) })
    const send = (value: string) => producer.send({ topic: 't', messages: [{ key: 'k', value }] })
    await send('before')
    await eventually(10_000, 'the first record', () => received.includes('before'))
    const kept = await broker.snapshot()
    await send('forgotten')
    for (const value of ['after one reset', 'after another']) {
      await broker.reset(kept)
      await send(value)
      await eventually(20_000, `the record ${value}`, () => received.includes(value))
    }
    const stored = []
    for await (const record of broker.read('t')) stored.push(String(record.value))
    assert.deepEqual(stored, ['before', 'after another'])
  })

  it('@platformatic/kafka goes on to produce and to consume', async t => {
    await broker.reset()
    await broker.createTopic('t')
    const connection = { clientId: 'platformatic', bootstrapBrokers: [broker.bootstrap], retries: 20, retryDelay: 50 }
    const producer = new Producer({ ...connection, serializers: stringSerializers })
    const consumer = new Consumer({
      ...connection,
      groupId: 'platformatic',
      deserializers: stringDeserializers,
      maxWaitTime: 100,
    })
    const received: string[] = []
    const stream = await consumer.consume({ topics: ['t'], mode: 'earliest', autocommit: true })
    t.after(async () => {
      await stream.close()
      await Promise.all([producer.close(), consumer.close()])
    })
    stream.on('data', ({ value }) => void received.push(value ?? ''))
    const send = (value: string) => producer.send({ messages: [{ topic: 't', value }] })
    await send('before')
    await eventually(10_000, 'the first record', () => received.includes('before'))
    const kept = await broker.snapshot()
    await broker.reset(kept)
    await send('after')
    await eventually(20_000, 'the record behind the reset', () => received.includes('after'))
  })
})
