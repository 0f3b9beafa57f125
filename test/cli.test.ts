/** The program from outside: how its script finds Node, its command line, signals at awkward moments, what it refuses. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { flattenRope } from '../src/base/rope.ts'
import { apis } from '../src/wire/api-keys.ts'
import { encodeRequest } from '../src/wire/exchange.ts'
import { KafkaClient } from './support/kafka-client.ts'
import { root } from './support/source.ts'
import { type TempDir, tempDir } from './support/temp-dir.ts'
import { program, runTidelog, Tidelog } from './support/tidelog.ts'

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, for what is not `bin/tidelog` where it lies. */
function run(file: string, words: readonly string[], options: { cwd?: string; path?: string } = {}): Promise<Ended> {
  const env = { ...process.env, ...(options.path === undefined ? {} : { PATH: options.path }) }
  return new Promise(resolve => {
    execFile(file, words, { cwd: options.cwd, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

describe('tidelog', () => {
  let folder: TempDir
  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(() => folder[Symbol.asyncDispose]())

  const dataDir = () => join(folder.path, 'data')

  describe('told to stop', () => {
    it('before it is ready exits with 0', async () => {
      await using tidelog = Tidelog.spawn({ dataDir: dataDir() })
      while (!(await readdir(folder.path)).includes('data')) await sleep(5)
      assert.deepEqual(await tidelog.stop(), { code: 0, signal: null })
    })

    it('twice exits at once, with a client that will not read its answers', async () => {
      await using tidelog = await Tidelog.start({ dataDir: dataDir() })
      await using client = await KafkaClient.connect(tidelog.port)
      client.pause()
      // More answers than the kernel holds between the two: what is in flight cannot finish.
      const ask = flattenRope(encodeRequest(apis.apiVersions, 0, { correlationId: 1, clientId: 'deaf' }, {}))
      for (let i = 0; i < 400; i++) client.write(Buffer.concat(Array<Buffer>(1000).fill(ask)))
      // Stuck when nothing has moved for a second: a busy machine may stand still for less.
      for (let still = 0, before = -1; still < 10 || before === 0; await sleep(100)) {
        still = before === client.unsentBytes ? still + 1 : 0
        before = client.unsentBytes
      }
      tidelog.signal('SIGTERM')
      await tidelog.logs(/stopping/)
      const stoppingMs = performance.now()
      assert.deepEqual(await tidelog.stop(), { code: 143, signal: null })
      assert.ok(performance.now() - stoppingMs < 2_000)
    })

    it('twice by one Ctrl-C, as under npm, stops like once', async () => {
      await using tidelog = await Tidelog.start({ dataDir: dataDir(), env: { npm_lifecycle_event: 'start' } })
      tidelog.signal('SIGINT')
      tidelog.signal('SIGINT')
      assert.deepEqual(await tidelog.ended(), { code: 0, signal: null })
    })
  })

  describe('refuses in one line', () => {
    async function assertRefused(
      words: readonly string[],
      code: number,
      message: RegExp,
      environment: Readonly<Record<string, string>> = {},
    ): Promise<void> {
      const ended = await runTidelog(words, environment)
      assert.equal(ended.code, code, ended.stderr)
      assert.match(ended.stderr, message)
      assert.match(ended.stderr, /^tidelog: [^\n]+\n$/)
      assert.equal(ended.stdout, '')
    }

    it('a data directory that is a file', async () => {
      await writeFile(join(folder.path, 'file'), '')
      await assertRefused(['--data-dir', join(folder.path, 'file'), '--port', '0'], 78, /cannot be used/)
    })

    it('an unknown option, command and argument', async () => {
      await assertRefused(['start', '--prot', '1'], 2, /unknown option '--prot' \(Did you mean --port\?\)/)
      await assertRefused(['--prot', '1'], 2, /Did you mean --port\?/)
      await assertRefused(['strat'], 2, /unknown command 'strat' \(Did you mean start\?\)/)
      await assertRefused(['start', 'now'], 2, /too many arguments/)
      await assertRefused(['--port'], 2, /argument missing/)
    })

    it('an unknown variable, setting and broker config', async () => {
      await assertRefused([], 78, /did you mean TIDELOG_PORT\?/, { TIDELOG_PROT: '1' })
      await assertRefused(['--set', 'num.partition=1'], 78, /did you mean num\.partitions\?/)
      const file = join(folder.path, 'tidelog.conf')
      await writeFile(file, 'dta-dir=x\n')
      await assertRefused(['--config', file], 78, /did you mean data-dir\?/)
    })

    it('to go on when the disk fails a sync, with exit code 70', async () => {
      const trigger = join(folder.path, 'fail')
      const failing = `
        import fs from 'node:fs'
        import { syncBuiltinESMExports } from 'node:module'
        const { fdatasync } = fs
        fs.fdatasync = (fd, done) => fs.existsSync(${JSON.stringify(trigger)})
          ? process.nextTick(done, Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
          : fdatasync(fd, done)
        syncBuiltinESMExports()`
      await using tidelog = await Tidelog.start({
        dataDir: dataDir(),
        flags: ['--log-level', 'error'],
        env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(failing)}` },
      })
      await using client = await KafkaClient.connect(tidelog.port)
      await writeFile(trigger, '')
      await assert.rejects(client.createTopic('tides'), { name: 'ConnectionClosed' })
      assert.deepEqual(await tidelog.ended(), { code: 70, signal: null })
      assert.equal(tidelog.stderr.trim().split('\n').length, 1, tidelog.stderr)
      assert.match(tidelog.stderr, /"level":"fatal".*EIO.*check the disk/)
    })
  })

  describe('is found', () => {
    it('from any folder and through symbolic links; relative paths are the caller’s', async () => {
      await symlink(program, join(folder.path, 'first'))
      await mkdir(join(folder.path, 'bin'))
      await symlink('../first', join(folder.path, 'bin/second'))
      const { code, stdout } = await run(join(folder.path, 'bin/second'), ['--version'], { cwd: '/' })
      assert.equal(code, 0)
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
      await writeFile(join(folder.path, 'here'), '')
      const refused = await run(program, ['--data-dir', 'here'], { cwd: folder.path })
      assert.ok(refused.stderr.includes(`data directory ${join(folder.path, 'here')}: cannot be used`))
    })

    /** A checkout without node_modules, whose main program repeats its first argument. */
    async function bareCheckout(): Promise<string> {
      const checkout = join(folder.path, 'checkout')
      await mkdir(join(checkout, 'src/cli'), { recursive: true })
      await cp(dirname(program), join(checkout, 'bin'), { recursive: true })
      await writeFile(
        join(checkout, 'src/cli/main.ts'),
        'const words: string[] = process.argv\nconsole.log(words[2])\n',
      )
      return join(checkout, 'bin/tidelog')
    }

    /** A path in which `node` says that it is of that version. */
    async function pathWithNode(version: string): Promise<string> {
      const bin = join(folder.path, 'node-bin')
      await mkdir(bin)
      const script = `#!/bin/sh\n[ "$1" = --version ] && echo ${version} && exit\nexec '${process.execPath}' "$@"\n`
      await writeFile(join(bin, 'node'), script)
      await chmod(join(bin, 'node'), 0o755)
      return `${bin}:/usr/bin:/bin`
    }

    it('with the Node of the path where that is new enough', async () => {
      const { stdout } = await run(await bareCheckout(), ['an argument'], { path: await pathWithNode('v24.0.0') })
      assert.equal(stdout, 'an argument\n')
    })

    it('but not with one that is too old', async () => {
      const ended = await run(await bareCheckout(), [], { path: await pathWithNode('v20.19.0') })
      assert.equal(ended.code, 1)
      assert.equal(ended.stdout, '')
      assert.match(
        ended.stderr,
        /^tidelog: needs Node 24 or newer and found v20\.19\.0; run 'npm install' in [^\n]+\n$/,
      )
    })
  })

  it('has help for itself and for start', async () => {
    for (const words of [['--help'], ['start', '--help'], ['help', 'start']]) {
      const { code, stdout, stderr } = await runTidelog(words)
      assert.equal(code, 0)
      assert.equal(stderr, '')
      assert.match(stdout, /^Usage: tidelog/)
    }
  })

  it('lets npm check the Node that it runs its scripts with', async () => {
    const { code, stderr } = await run(process.execPath, [join(root, 'src/cli/check-node.cjs')])
    assert.equal(code, 0)
    assert.equal(stderr, '')
  })
})
