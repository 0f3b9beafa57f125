/** The process: how it starts, what it says, how it ends, and what it refuses. */
import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { apis } from '../../src/wire/api-keys.ts'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { runTidelog, Tidelog } from '../support/tidelog.ts'

const batchOf = (...values: string[]) => buildBatch(values.map(value => ({ value, timestampMs: Date.now() })))

describe('a start', () => {
  it('says in one line what listens where, and nothing else on standard output', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    await tidelog.stop()
    assert.equal(tidelog.stdout, `tidelog ready kafka=localhost:${tidelog.port} data=${dir.path}\n`)
  })

  it('names the doors that are open, and leaves out those that are not', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path, httpPort: 0 })
    const { port, httpPort } = tidelog
    assert.equal(tidelog.stdout, `tidelog ready kafka=localhost:${port} http=localhost:${httpPort} data=${dir.path}\n`)
    assert.equal((await fetch(`http://localhost:${httpPort}/livez`)).status, 200)
  })

  it('goes without a door whose default port is taken, and says so', async () => {
    await using dir = await tempDir()
    // Whoever has the port already will do.
    const squatter = createServer().on('error', () => undefined)
    squatter.listen({ port: 8080, host: '127.0.0.1' })
    await new Promise(resolve => squatter.once('listening', resolve).once('error', resolve))
    await using tidelog = await Tidelog.start({ dataDir: dir.path, httpPort: null })
    squatter.close()
    assert.equal(tidelog.httpPort, 0)
    assert.match(tidelog.logged('warn').join('\n'), /8080: the port is in use.*--http-port; that door stays closed/)
  })

  it('listens on both families of localhost, and tells each client the address that it came by', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    for (const host of ['127.0.0.1', '::1']) {
      await using client = await KafkaClient.connect(tidelog.port, host)
      const { brokers } = await client.call(apis.metadata, 9, { topics: [] })
      assert.deepEqual(
        brokers.map(({ host, port }) => ({ host, port })),
        [{ host, port: tidelog.port }],
      )
    }
  })

  it('tells clients the advertised address, if there is one', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path, flags: ['--advertise', 'broker.example:19092'] })
    await using client = await KafkaClient.connect(tidelog.port)
    const { brokers } = await client.call(apis.metadata, 9, { topics: [] })
    assert.deepEqual(
      brokers.map(({ host, port }) => `${host}:${port}`),
      ['broker.example:19092'],
    )
  })

  it('logs one JSON object a line where no person watches', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    await tidelog.stop()
    const lines = tidelog.stderr.trimEnd().split('\n')
    assert.ok(lines.length > 0)
    for (const line of lines) assert.ok('msg' in JSON.parse(line), line)
  })

  it('takes settings from flags before the environment before a file', async () => {
    await using dir = await tempDir()
    const file = join(dir.path, 'tidelog.conf')
    await writeFile(file, '# three partitions\nnum.partitions=3\nlog.retention.hours=1\n')
    const partitionsOf = async (options: { flags?: string[]; env?: Record<string, string> }) => {
      const { flags = [], env = {} } = options
      await using data = await tempDir()
      await using tidelog = await Tidelog.start({ dataDir: data.path, flags: ['--config', file, ...flags], env })
      await using client = await KafkaClient.connect(tidelog.port)
      const { topics } = await client.call(apis.metadata, 9, { topics: [{ name: 'made-by-asking' }] })
      return topics[0]?.partitions.length
    }
    const env = { TIDELOG_NUM_PARTITIONS: '4' }
    assert.equal(await partitionsOf({}), 3)
    assert.equal(await partitionsOf({ env }), 4)
    assert.equal(await partitionsOf({ env, flags: ['--set', 'num.partitions=5'] }), 5)
  })
})

describe('an end', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`by ${signal} finishes what is in flight, and is exit 0`, async () => {
      await using dir = await tempDir()
      await using tidelog = await Tidelog.start({ dataDir: dir.path })
      await using client = await KafkaClient.connect(tidelog.port)
      await client.createTopic('t')
      const sent = Array.from({ length: 50 }, (_, i) => client.produce('t', 0, batchOf(`value ${i}`)))
      const settled = Promise.allSettled(sent)
      await sent[0]
      tidelog.signal(signal)
      assert.deepEqual(await tidelog.ended(), { code: 0, signal: null })
      const acknowledged = (await settled).filter(({ status }) => status === 'fulfilled').length

      await using again = await Tidelog.start({ dataDir: dir.path })
      await using reader = await KafkaClient.connect(again.port)
      const records = (await reader.readAll('t', 0)).flatMap(batch => batch.records)
      assert.ok(records.length >= acknowledged, `${acknowledged} acknowledged, ${records.length} read`)
      assert.deepEqual(
        records.map(({ value }) => String(value)),
        records.map((_, i) => `value ${i}`),
      )
    })
  }

  it('does not wait for a fetch that waits for records', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    await using client = await KafkaClient.connect(tidelog.port)
    await client.createTopic('t')
    const fetch = client.fetch('t', 0, 0, { maxWaitMs: 60_000 })
    fetch.catch(() => undefined)
    // An answer to another request on another connection: by then the fetch has been read.
    await using other = await KafkaClient.connect(tidelog.port)
    await other.latest('t', 0)
    const startedMs = performance.now()
    assert.equal((await tidelog.stop()).code, 0)
    assert.ok(performance.now() - startedMs < 5_000)
  })

  it('by SIGKILL loses nothing that was acknowledged', async () => {
    await using dir = await tempDir()
    const values = Array.from({ length: 20 }, (_, i) => `value ${i}`)
    {
      await using tidelog = await Tidelog.start({ dataDir: dir.path })
      await using client = await KafkaClient.connect(tidelog.port)
      await client.createTopic('t')
      for (const value of values) assert.equal((await client.produce('t', 0, batchOf(value))).error, 'NONE')
      await tidelog.kill()
    }
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    await using client = await KafkaClient.connect(tidelog.port)
    const records = (await client.readAll('t', 0)).flatMap(batch => batch.records)
    assert.deepEqual(
      records.map(({ value, offset }) => [offset, String(value)]),
      values.map((value, i) => [i, value]),
    )
  })
})

describe('a refusal is one line and an exit code', () => {
  const assertOneLine = (stderr: string, pattern: RegExp) => {
    assert.match(stderr, pattern)
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
  }

  it('78 for a data directory in use', async () => {
    await using dir = await tempDir()
    await using first = await Tidelog.start({ dataDir: dir.path })
    const { code, stderr, stdout } = await runTidelog(['start', '--port', '0', '--data-dir', dir.path])
    assert.equal(code, 78)
    assert.equal(stdout, '')
    assertOneLine(stderr, new RegExp(`process ${first.pid} uses it`))
    assert.ok(stderr.includes(dir.path), stderr)
    await using client = await KafkaClient.connect(first.port)
    await client.createTopic('the-first-goes-on')
  })

  it('and the directory is free again the moment that its process is killed', async () => {
    await using dir = await tempDir()
    for (let i = 0; i < 3; i++) {
      await using tidelog = await Tidelog.start({ dataDir: dir.path })
      await tidelog.kill()
    }
  })

  it('1 for a port in use', async () => {
    await using dir = await tempDir()
    await using server = createServer()
    await new Promise<void>(resolve => server.listen({ port: 0, host: '127.0.0.1' }, resolve))
    const { port } = server.address() as AddressInfo
    for (const option of ['--port', '--http-port']) {
      const others = option === '--port' ? ['--http-port', 'off'] : ['--port', '0']
      const words = ['start', option, String(port), ...others, '--text-port', 'off', '--data-dir', dir.path]
      const { code, stderr } = await runTidelog(words)
      assert.equal(code, 1)
      const last = stderr.trimEnd().split('\n').at(-1) ?? ''
      assert.match(last, new RegExp(`:${port}: the port is in use; .* ${option}( |$)`))
    }
  })

  it('78 for settings that nothing knows, with the nearest that is known', async () => {
    await using dir = await tempDir()
    const start = ['start', '--port', '0', '--data-dir', join(dir.path, 'data')]
    const config = await runTidelog([...start, '--set', 'log.retention.m=1'])
    assert.equal(config.code, 78)
    assertOneLine(config.stderr, /log\.retention\.ms/)
    const variable = await runTidelog(start, { TIDELOG_PROT: '1' })
    assert.equal(variable.code, 78)
    assertOneLine(variable.stderr, /TIDELOG_PORT/)
    const value = await runTidelog([...start, '--set', 'num.partitions=none'])
    assert.equal(value.code, 78)
    assertOneLine(value.stderr, /num\.partitions/)
    const flag = await runTidelog([...start, '--prot', '1'])
    assert.equal(flag.code, 2)
    assertOneLine(flag.stderr, /--port/)
    assert.deepEqual(await readdir(dir.path), [], 'a refused start leaves nothing behind')
  })

  it('78 for a host that others can reach, unless that is meant', async () => {
    await using dir = await tempDir()
    const { code, stderr } = await runTidelog(['start', '--port', '0', '--data-dir', dir.path, '--host', '0.0.0.0'])
    assert.equal(code, 78)
    assertOneLine(stderr, /--insecure-listen/)
    const flags = ['--host', '0.0.0.0', '--insecure-listen']
    await using tidelog = await Tidelog.start({ dataDir: dir.path, flags })
    assert.ok(tidelog.port > 0)
  })
})
