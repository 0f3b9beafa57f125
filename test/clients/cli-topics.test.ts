/** `tidelog topic`, `tidelog group`, `tidelog health` and `tidelog bench` as processes, in the shapes that docs/cli.md has. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { Cli } from '../support/cli.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

describe('topics and groups at the command line', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let cli: Cli
  let http: readonly string[]
  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path, httpPort: 0 })
    cli = new Cli(tidelog.address)
    http = ['--http', `127.0.0.1:${tidelog.httpPort}`]
  })
  after(async () => {
    await tidelog.kill()
    await dir[Symbol.asyncDispose]()
  })

  async function assertRefused(words: readonly string[], code: number, message: RegExp, as = cli): Promise<void> {
    const ended = await as.run(words)
    assert.equal(ended.code, code, `${words.join(' ')}: ${ended.stderr}`)
    assert.match(ended.stderr, message)
    assert.match(ended.stderr, /^tidelog: [^\n]+\n$/)
    assert.equal(ended.stdout, '')
  }

  it('make a topic, describe it, configure it', async () => {
    const create = [
      'topic',
      'create',
      'tides',
      '--partitions',
      '2',
      '--replication-factor',
      '1',
      '--config',
      'retention.ms=60000',
    ]
    assert.deepEqual(await cli.run(create), { code: 0, stdout: '', stderr: 'topic tides created with 2 partitions\n' })
    await cli.text(['produce', 'tides', '-q', '-p', '1', '-v', 'v{{.Count}}', '--count', '10'])
    const [list, info, names, again] = await Promise.all([
      cli.json(['topic', 'ls', '-o', 'json']),
      cli.json(['topic', 'info', 'tides', '-o', 'json']) as Promise<{ id: string; partitions: unknown[] }>,
      cli.text(['topic', 'ls', '-o', 'name', '--internal']),
      cli.run([...create, '--if-not-exists', '--brokers', tidelog.address]),
    ])
    assert.deepEqual(list, [{ name: 'tides', partitions: 2, replicationFactor: 1, records: 10, internal: false }])
    assert.equal(names, 'tides\n')
    assert.deepEqual(again, { code: 0, stdout: '', stderr: 'topic tides exists already; it was left as it is\n' })
    const { id, partitions, ...rest } = info
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.deepEqual(rest, { name: 'tides', internal: false, configs: { 'retention.ms': '60000' } })
    assert.deepEqual(partitions[1], {
      partition: 1,
      leader: 1,
      leaderEpoch: 0,
      replicas: [1],
      inSyncReplicas: [1],
      start: 0,
      end: 10,
      records: 10,
    })
    await cli.text([
      'topic',
      'config',
      'tides',
      '--add-config',
      'segment.bytes=1048576',
      '--delete-config',
      'retention.ms',
    ])
    const configs = (await cli.json(['topic', 'config', 'tides', '-o', 'json'])) as { name: string; source: string }[]
    assert.deepEqual(
      configs.filter(({ source }) => source === 'topic'),
      [{ name: 'segment.bytes', value: '1048576', source: 'topic', readOnly: false }],
    )
  })

  it('draw its chain of segments', async () => {
    const [drawn, told] = await Promise.all([
      cli.text(['topic', 'segments', 'tides', ...http]),
      cli.json(['topic', 'segments', 'tides', ...http, '-o', 'json']) as Promise<{
        partitions: { segments: object[] }[]
      }>,
    ])
    assert.match(
      drawn,
      /^tides {2}2 partitions; .*\n\npartition 0 {3}1 segment, 0 B\n\[1@\d+ 0\.\. 0 B>\n\npartition 1 {3}1 segment, /,
    )
    assert.equal(told.partitions.length, 2)
    assert.ok(told.partitions[1]?.segments[0] !== undefined && 'sealReason' in told.partitions[1].segments[0])
  })

  it('show what a seek would do, and do it when that is wanted', async () => {
    await cli.text(['consume', 'tides', '-g', 'harbour', '-n', '4'])
    const list = await cli.json(['group', 'ls', '-o', 'json'])
    assert.deepEqual(list, [{ id: 'harbour', state: 'Empty', protocolType: 'consumer' }])
    const shown = await cli.run(['group', 'seek', 'harbour', '--shift-by', '-3'])
    assert.equal(shown.code, 0)
    assert.equal(shown.stdout, 'TOPIC  PARTITION  NOW  THEN  DIFFERENCE\ntides          1    4     1          -3\n')
    assert.equal(shown.stderr, 'nothing was moved; add --yes to move 1 position of group harbour\n')
    const position = async () => {
      const { offsets, lag } = (await cli.json(['group', 'info', 'harbour', '-o', 'json'])) as {
        offsets: object[]
        lag: number
      }
      return { offsets, lag }
    }
    const at = (offset: number) => ({ topic: 'tides', partition: 1, offset, metadata: '', end: 10, lag: 10 - offset })
    assert.deepEqual(await position(), { offsets: [at(4)], lag: 6 })
    const moves = await cli.json(['group', 'seek', 'harbour', '--to-offset', '99', '--yes', '-o', 'json'])
    assert.deepEqual(moves, [{ topic: 'tides', partition: 1, offset: 4, newOffset: 10, difference: 6 }])
    assert.deepEqual(await position(), { offsets: [at(10)], lag: 0 })
    await cli.text(['group', 'seek', 'harbour', '--by-duration', '1h', '--topic', 'tides:1', '--yes'])
    assert.deepEqual(await position(), { offsets: [at(0)], lag: 10 })
  })

  it('are left alone while a group has members', async () => {
    const member = cli.start(['consume', 'tides', '-g', 'busy', '--follow'])
    member.child.stdin.end()
    while (!member.stdout.includes('v10')) await new Promise(resolve => member.child.stdout.once('data', resolve))
    await Promise.all([
      assertRefused(
        ['group', 'seek', 'busy', '--to-latest', '--yes'],
        1,
        /group busy has a member \(tidelog-cli at 127\.0\.0\.1\); stop them/,
      ),
      assertRefused(['group', 'rm', 'busy', '--yes'], 1, /has a member .* then delete/),
    ])
    member.child.kill('SIGTERM')
    assert.equal((await member.ended()).code, 0)
  })

  it('go only when that is said', async () => {
    await assertRefused(
      ['topic', 'trim', 'tides', '--before', '11', '--yes'],
      2,
      /partition 0 of tides ends at 0, before 11/,
    )
    const trim = await cli.run(['topic', 'trim', 'tides', '--before', '-3'])
    assert.match(trim.stderr, /^nothing was deleted; add --yes to delete 7 records of tides\n$/)
    assert.match(trim.stdout, /^PARTITION {2}START {2}NEW START {2}DELETED\n {8}0 .*\n {8}1 {6}0 {10}7 {8}7\n$/)
    await cli.text(['topic', 'trim', 'tides', '--before', '-3', '--yes'])
    assert.equal(await cli.text(['consume', 'tides', '-n', '1']), 'v8\n')
    assert.match((await cli.run(['group', 'rm', 'harbour', 'busy'])).stderr, /nothing was deleted/)
    await cli.text(['group', 'rm', 'harbour', 'busy', '--yes'])
    assert.equal(await cli.text(['group', 'ls', '-o', 'name']), '')
    assert.match((await cli.run(['topic', 'rm', 'tides'])).stderr, /nothing was deleted; add --yes to delete tides/)
    assert.equal(
      await cli.text(['topic', 'rm', 'tides', '--yes']),
      'NAME   PARTITIONS  RECORDS\ntides           2        3\n',
    )
    assert.equal(await cli.text(['topic', 'ls', '-o', 'name']), '')
  })

  it('are measured, in a topic that is gone afterwards', async () => {
    const words = ['bench', '--records', '2000', '--duration', '1s', '--rate', '50', '-o', 'json']
    const { results } = (await cli.json(words)) as {
      results: { part: string; records: number; latencyMs: { p99: number } | null }[]
    }
    assert.deepEqual(
      results.map(({ part, records }) => [part, records]),
      [
        ['producer', 2000],
        ['consumer', 2001],
        ['latency', 50],
      ],
    )
    assert.ok(results[2]!.latencyMs!.p99 > 0)
    assert.equal(await cli.text(['topic', 'ls', '-o', 'name']), '')
  })

  it('know whether the broker is ready', async () => {
    assert.equal(await cli.text(['health', ...http]), 'ready\n')
    await assertRefused(['health', '--http', '127.0.0.1:1025'], 3, /nobody listens .*--http HOST:PORT/)
  })

  it('say in one line what is wrong, where, and what to do', async () => {
    const nobody = new Cli('127.0.0.1:1')
    const noKafka = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1')
    await once(noKafka, 'listening')
    const { port } = noKafka.address() as { port: number }
    try {
      await Promise.all([
        assertRefused(['topic', 'ls'], 3, /no broker listens at 127\.0\.0\.1:1; start one .* --brokers/, nobody),
        assertRefused(['topic', 'ls', '-b', `127.0.0.1:${port}`], 3, /does not answer as a Kafka broker does/),
        assertRefused(['topic', 'ls', '-b', 'host:port'], 2, /'host:port' is not HOST:PORT/),
        assertRefused(['topic', 'info', 'none'], 5, /there is no topic 'none'/),
        assertRefused(['topic', 'segments', 'none', ...http], 5, /there is no topic 'none'/),
        assertRefused(['group', 'info', 'none'], 5, /there is no group 'none'/),
        assertRefused(['topic', 'create', 'a/b'], 1, /INVALID_TOPIC_EXCEPTION/),
        assertRefused(['topic', 'create', 'x', '--config', 'retention.sm=1'], 1, /did you mean retention\.ms\?/),
        assertRefused(['topic', 'create', 'x', '--partitions', '0'], 2, /whole number from 1/),
        assertRefused(['topic', 'create', 'x', '--partitons', '1'], 2, /Did you mean --partitions\?/),
        assertRefused(['topic', 'lst'], 2, /Did you mean ls\?/),
        assertRefused(['gruop', 'ls'], 2, /Did you mean group\?/),
        assertRefused(['group', 'seek', 'x'], 2, /say where to/),
        assertRefused(['topic', 'ls', '-o', 'xml'], 2, /Allowed choices are table, json, yaml, name/),
      ])
    } finally {
      noKafka.close()
    }
  })
})
