/** `tidelog produce` and `tidelog consume` as processes: what goes in comes out, in the form that was asked for, and ends well. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cli, type Ended } from '../support/cli.ts'
import { smallDisk, withoutSmallDisk } from '../support/small-disk.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

const recordTests = () => {
  let dir: TempDir
  let tidelog: Tidelog
  let cli: Cli
  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: join(dir.path, 'data') })
    cli = new Cli(tidelog.address)
  })
  after(async () => {
    await tidelog.kill()
    await dir[Symbol.asyncDispose]()
  })

  it('come out as they went in, with keys, headers and tombstones', async () => {
    const keyed = await cli.run(
      ['produce', 'tides', '--create', '-K', ':', '-Z', '-H', 'from=sea', '-z', 'zstd'],
      'dover:high\ncalais:\n',
    )
    assert.deepEqual(keyed, { code: 0, stdout: '', stderr: '2 records acknowledged: tides [0] offsets 0 to 1\n' })
    const file = join(dir.path, 'lines.txt')
    await writeFile(file, 'one\n\nlast without a newline')
    const plain = await cli.run(['produce', 'tides', file, '--acks', '1', '-k', 'key'])
    assert.deepEqual(plain, { code: 0, stdout: '', stderr: '3 records acknowledged: tides [0] offsets 2 to 4\n' })
    const counted = await cli.run(['produce', 'tides', '-q', '-v', 'm{{.Count}}', '--count', '2', '-k', 'k{{Count}}'])
    assert.deepEqual(counted, { code: 0, stdout: '', stderr: '' })
    assert.equal(
      await cli.text(['consume', 'tides', '-f', '%p/%o %k=%s (%h) %S\\n']),
      [
        '0/0 dover=high (from=sea) 4',
        '0/1 calais= (from=sea) -1',
        '0/2 key=one () 3',
        '0/3 key= () 0',
        '0/4 key=last without a newline () 22',
        '0/5 k1=m1 () 2',
        '0/6 k2=m2 () 2',
        '',
      ].join('\n'),
    )
  })

  it('are read from any place, so many, in the documented shape', async () => {
    const read = (...words: string[]) => cli.text(['consume', 'tides', ...words])
    assert.deepEqual(
      await Promise.all([
        read('-o', '-1'),
        read('-o', '2', '-n', '1'),
        read('-o', 'end'),
        read('-o', '@now', '-p', '0'),
      ]),
      ['m2\n', 'one\n', '', ''],
    )
    const [line = ''] = (await read('-o', '@-1h', '-n', '1', '--output', 'json')).split('\n')
    const { timestampMs, ...record } = JSON.parse(line)
    assert.ok(Math.abs(timestampMs - Date.now()) < 600_000)
    assert.deepEqual(record, {
      topic: 'tides',
      partition: 0,
      offset: 0,
      key: 'dover',
      value: 'high',
      headers: [{ key: 'from', value: 'sea' }],
    })
  })

  it('end quietly when nobody reads any more', async () => {
    await cli.text(['produce', 'many', '--create', '-q', '-v', 'x{{.Count}} {{Random 900 900}}', '--count', '5000'])
    const command = cli.start(['consume', 'many'])
    command.child.stdout.once('data', () => command.child.stdout.destroy())
    const { code, stderr } = await command.ended()
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  })

  it('are all read by a group, however many there are', async () => {
    const numbers = (await cli.text(['consume', 'many', '-g', 'crowd'])).split('\n').map(line => line.split(' ')[0])
    assert.deepEqual(numbers, [...Array.from({ length: 5000 }, (_, i) => `x${i + 1}`), ''])
  })

  it('are committed as far as they were printed, and Ctrl-C ends following in order', async () => {
    assert.equal((await cli.text(['consume', 'tides', '-g', 'harbour', '-n', '2'])).split('\n').length, 3)
    const following = cli.start(['consume', 'tides', '-g', 'harbour', '--follow', '-f', '%o\\n'])
    await eventually(20_000, 'the rest', () => following.stdout.includes('6\n'))
    await cli.text(['produce', 'tides', '-q', '-v', 'more'])
    await eventually(20_000, 'what came meanwhile', () => following.stdout.includes('7\n'))
    following.child.kill('SIGINT')
    assert.deepEqual(await following.ended(), { code: 0, stdout: '2\n3\n4\n5\n6\n7\n', stderr: '' })
    const group = (await cli.json(['group', 'info', 'harbour', '-o', 'json'])) as {
      state: string
      offsets: { offset: number }[]
    }
    assert.deepEqual([group.state, group.offsets.map(({ offset }) => offset)], ['Empty', [8]])
    assert.equal(await cli.text(['consume', 'tides', '-g', 'harbour']), '')
  })

  it('interrupted while they are sent: what was acknowledged is told', async () => {
    const sending = cli.start(['produce', 'tides'])
    sending.child.stdin.write('one more\n')
    await eventually(
      20_000,
      'its arrival',
      async () => (await cli.text(['consume', 'tides', '-o', '-1'])) === 'one more\n',
      100,
    )
    sending.child.kill('SIGINT')
    const { code, stderr } = await sending.ended()
    assert.equal(code, 130)
    assert.equal(stderr, 'tidelog: interrupted; 1 record acknowledged: tides [0] offset 8, nothing after that\n')
  })

  it('that cannot be taken stop it, and what was acknowledged before is told', async () => {
    const large = 'x'.repeat(2 << 20)
    const { code, stderr } = await cli.run(['produce', 'tides'], `small\n${large}\nafter\n`)
    assert.equal(code, 1)
    assert.match(stderr, /^tidelog: produce to tides: .*\(MESSAGE_TOO_LARGE\).*acknowledged.*nothing after that\n$/)
    assert.doesNotMatch(await cli.text(['consume', 'tides', '-o', '-1']), /after/)
    const keys = await cli.run(['produce', 'tides', '-K', '='], 'no key here\n')
    assert.equal(keys.code, 1)
    assert.match(keys.stderr, /line 1 of standard input has no '=' between key and value; 0 records acknowledged/)
  })

  describe('are not asked for', () => {
    async function assertRefused(words: readonly string[], code: number, message: RegExp): Promise<void> {
      const ended: Ended = await cli.run(words)
      assert.equal(ended.code, code, ended.stderr)
      assert.match(ended.stderr, message)
      assert.match(ended.stderr, /^tidelog: [^\n]+\n$/)
      assert.equal(ended.stdout, '')
    }

    it('where the words contradict each other or name what there is not', async () => {
      await Promise.all([
        assertRefused(['consume', 'tidse'], 5, /no topic 'tidse' .*did you mean 'tides'\?/),
        assertRefused(['produce', 'tidse'], 5, /did you mean 'tides'\?; --create makes it/),
        assertRefused(['produce', 'tides', '-p', '7', '-v', 'x'], 5, /no partition 7; it has only partition 0/),
        assertRefused(['produce', 'tides', join(dir.path, 'none.txt')], 5, /none\.txt: there is no such file/),
        assertRefused(['consume', 'tides', '-f', '%x'], 2, /there is no %x/),
        assertRefused(['consume', 'tides', '-o', 'yesterday'], 2, /beginning, end, an offset/),
        assertRefused(['produce', 'tides', '--count', '3'], 2, /give a --value/),
        assertRefused(['produce', '__consumer_offsets', '-v', 'x'], 4, /only brokers write to __consumer_offsets/),
        assertRefused(['bench', '--size', '1GiB'], 2, /'1GiB' is invalid\. It is 64 MiB at most/),
        assertRefused(['consume', 'tides', '--folow'], 2, /Did you mean --follow\?/),
      ])
    })
  })
}

// Side by side, as the full disk is mostly waited for.
describe('records at the command line', { concurrency: 2 }, () => {
  describe('that a broker takes', { concurrency: 1 }, recordTests)

  it('of which a broker with a full disk takes no more: exactly those are there that were acknowledged', {
    skip: withoutSmallDisk,
  }, async () => {
    await using disk = await smallDisk(40 << 20)
    const set = { 'tidelog.journal.bytes': 16 << 20, 'tidelog.log.cache.bytes': 16 << 20 }
    await using broker = await Tidelog.start({ dataDir: join(disk.path, 'data'), set })
    const full = new Cli(broker.address)
    const refused = await full.run([
      'produce',
      'tides',
      '--create',
      '-v',
      '{{.Count}} {{Random 2000 2000}}',
      '--count',
      '50000',
    ])
    assert.equal(refused.code, 1)
    const told =
      /^tidelog: [^\n]*\((?:KAFKA_STORAGE_ERROR|REQUEST_TIMED_OUT)\)[^\n]*; (\d+) records acknowledged: tides \[0\][^\n]*\n$/.exec(
        refused.stderr,
      )
    assert.ok(told !== null, refused.stderr)
    const last = await full.text(['consume', 'tides', '-o', '-1', '-f', '%o %s\\n'])
    assert.ok(last.startsWith(`${Number(told[1]) - 1} ${told[1]} `), `${told[1]}: ${last.slice(0, 20)}`)
  })
})
