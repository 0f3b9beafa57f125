/** The program from outside: its command line, its ready line, its signals and exit codes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import * as net from 'node:net'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { apis } from '../src/wire/api-keys.ts'
import { encodeRequest } from '../src/wire/exchange.ts'
import { program, type RunOptions, run, TidelogProcess, temporaryFolder } from './support/broker-process.ts'
import { root } from './support/source.ts'

const clientId = 'cli-test'

const askVersions = flat(encodeRequest(apis.apiVersions, 0, { correlationId: 1, clientId }, {}))
const askToMakeTopic = flat(
  encodeRequest(
    apis.metadata,
    4,
    { correlationId: 1, clientId },
    { topics: [{ name: 'tides' }], allowAutoTopicCreation: true },
  ),
)

function flat({ chunks }: { readonly chunks: readonly Buffer[] }): Buffer {
  return Buffer.concat(chunks)
}

describe('tidelog start', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let processes: TidelogProcess[]

  beforeEach(async () => {
    folder = await temporaryFolder('cli')
    processes = []
  })
  afterEach(async () => {
    for (const started of processes) await started.kill()
    await folder[Symbol.asyncDispose]()
  })

  const dataDir = () => join(folder.path, 'data')

  function start(words: readonly string[] = [], options?: RunOptions): TidelogProcess {
    const started = new TidelogProcess(['start', '--data-dir', dataDir(), '--port', '0', ...words], options)
    processes.push(started)
    return started
  }

  async function connect(port: number, host = '127.0.0.1'): Promise<net.Socket> {
    const socket = net.connect(port, host)
    await once(socket, 'connect')
    socket.on('error', () => undefined)
    return socket
  }

  async function ask(port: number, request: Buffer, host?: string): Promise<Buffer> {
    const socket = await connect(port, host)
    socket.write(request)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return answer
  }

  describe('when ready', () => {
    it('says so in one line on standard output and nothing else there', async () => {
      const broker = start()
      const port = await broker.ready()
      assert.equal(broker.stdout, `tidelog ready kafka=localhost:${port} data=${dataDir()}\n`)
      broker.signal('SIGTERM')
      assert.equal((await broker.ended).stdout.split('\n').length, 2)
    })

    it('serves both address families of localhost, on one port', async () => {
      const port = await start().ready()
      assert.ok((await ask(port, askVersions)).length > 8)
      const v6 = await ask(port, askVersions, '::1').catch((error: NodeJS.ErrnoException) => error)
      if (v6 instanceof Error) assert.match(v6.code ?? '', /EADDRNOTAVAIL|EAFNOSUPPORT/)
      else assert.ok(v6.length > 8)
    })

    it('is the process that was started, whatever Node the machine has', async () => {
      const broker = start()
      const port = await broker.ready()
      await broker.kill()
      await assert.rejects(connect(port), { code: 'ECONNREFUSED' })
    })

    it('tells a client the address it connected to, or the one it was told to', async () => {
      const advertised = async (port: number, host: string) => (await ask(port, askToMakeTopic)).includes(host)
      const port = await start().ready()
      assert.ok(await advertised(port, '127.0.0.1'))
      const other = new TidelogProcess([
        '--data-dir',
        join(folder.path, 'other'),
        '--port=0',
        '--advertise=broker.example:19092',
      ])
      processes.push(other)
      assert.ok(await advertised(await other.ready(), 'broker.example'))
    })

    it('logs lines of JSON on standard error when that is no terminal', async () => {
      const broker = start()
      await broker.ready()
      broker.signal('SIGTERM')
      const { stderr } = await broker.ended
      const lines = stderr.trim().split('\n')
      assert.ok(lines.length > 0)
      for (const line of lines) {
        const { ts, level, component, msg } = JSON.parse(line) as Record<string, string>
        assert.ok(ts && level && component && msg, line)
        assert.ok(!Number.isNaN(Date.parse(ts)), line)
      }
    })
  })

  describe('when told to stop', () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      it(`by ${signal} exits with 0`, async () => {
        const broker = start()
        const port = await broker.ready()
        const client = await connect(port)
        const closed = once(client, 'close')
        broker.signal(signal)
        const { code } = await broker.ended
        assert.equal(code, 0)
        await closed
      })
    }

    it('before it is ready exits with 0, too', async () => {
      const broker = start()
      while (!(await readdir(folder.path)).includes('data')) await new Promise(resolve => setTimeout(resolve, 5))
      broker.signal('SIGTERM')
      assert.equal((await broker.ended).code, 0)
    })

    it('twice exits at once, with a client that will not read its answers', async () => {
      const broker = start()
      const client = await connect(await broker.ready())
      client.pause()
      // More answers than the kernel buffers between us: what is in flight cannot finish.
      const many = Buffer.concat(Array<Buffer>(10_000).fill(askVersions))
      while (client.write(many));
      for (let i = 0; i < 40; i++) client.write(many)
      while (!(await isStuck(client)));
      broker.signal('SIGTERM')
      while (!broker.stderr.includes('stopping')) await once(broker.child.stderr!, 'data')
      const stoppingMs = performance.now()
      broker.signal('SIGTERM')
      const { code } = await broker.ended
      assert.equal(code, 143)
      assert.ok(performance.now() - stoppingMs < 2_000)
    })

    it('twice by one Ctrl-C, as under npm, stops like once', async () => {
      const broker = start([], { environment: { npm_lifecycle_event: 'start' } })
      await broker.ready()
      broker.signal('SIGINT')
      broker.signal('SIGINT')
      assert.equal((await broker.ended).code, 0)
    })

    it('leaves a directory that the next start serves from', async () => {
      for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
        const broker = start()
        const port = await broker.ready()
        await ask(port, askToMakeTopic)
        broker.signal(signal)
        await broker.ended
      }
    })
  })

  describe('refuses in one line', () => {
    async function assertRefused(
      words: readonly string[],
      code: number,
      message: RegExp,
      options?: RunOptions,
    ): Promise<void> {
      const ended = await run(words, options)
      assert.equal(ended.code, code, ended.stderr)
      assert.match(ended.stderr, message)
      assert.match(ended.stderr, /^tidelog: [^\n]+\n$/)
      assert.equal(ended.stdout, '')
    }

    it('a data directory in use', async () => {
      const broker = start()
      await broker.ready()
      await assertRefused(
        ['start', '--data-dir', dataDir(), '--port', '0'],
        78,
        new RegExp(`process ${broker.child.pid} uses it`),
      )
    })

    it('a data directory that is a file', async () => {
      await writeFile(join(folder.path, 'file'), '')
      await assertRefused(['--data-dir', join(folder.path, 'file'), '--port', '0'], 78, /cannot be used/)
    })

    it('a port in use', async () => {
      const port = await start().ready()
      const words = ['--data-dir', join(folder.path, 'other'), '--port', String(port), '--log-level', 'error']
      await assertRefused(words, 1, /the port is in use; stop who uses it or choose another --port/)
    })

    it('an unknown option, command and argument', async () => {
      await assertRefused(['start', '--prot', '1'], 2, /unknown option '--prot' \(Did you mean --port\?\)/)
      await assertRefused(['strat'], 2, /unknown command 'strat' \(Did you mean start\?\)/)
      await assertRefused(['start', 'now'], 2, /too many arguments/)
    })

    it('an unknown variable, setting and broker config', async () => {
      await assertRefused([], 78, /did you mean TIDELOG_PORT\?/, { environment: { TIDELOG_PROT: '1' } })
      await assertRefused(['--set', 'num.partition=1'], 78, /did you mean num\.partitions\?/)
      const file = join(folder.path, 'tidelog.conf')
      await writeFile(file, 'dta-dir=x\n')
      await assertRefused(['--config', file], 78, /did you mean data-dir\?/)
    })

    it('a host that is not loopback', async () => {
      await assertRefused(['--host', '0.0.0.0'], 78, /--insecure-listen/)
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
      const preload = `--import=data:text/javascript,${encodeURIComponent(failing)}`
      const broker = start(['--log-level', 'error'], { environment: { NODE_OPTIONS: preload } })
      const port = await broker.ready()
      await writeFile(trigger, '')
      const socket = await connect(port)
      socket.write(askToMakeTopic)
      const { code, stderr } = await broker.ended
      assert.equal(code, 70)
      assert.equal(stderr.trim().split('\n').length, 1, stderr)
      assert.match(stderr, /"level":"fatal".*EIO/)
    })
  })

  describe('is found', () => {
    it('from any folder and through symbolic links; relative paths are the caller’s', async () => {
      await symlink(program, join(folder.path, 'first'))
      await mkdir(join(folder.path, 'bin'))
      await symlink('../first', join(folder.path, 'bin/second'))
      const { code, stdout } = await run(['--version'], { command: join(folder.path, 'bin/second'), folder: '/' })
      assert.equal(code, 0)
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
      const broker = new TidelogProcess(['--data-dir', 'here', '--port=0'], { folder: folder.path })
      processes.push(broker)
      await broker.ready()
      assert.ok((await readdir(folder.path)).includes('here'))
    })

    /** A checkout without node_modules, whose main program says which Node runs it. */
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

    /** A folder for the path in which `node` says it is of that version. */
    async function pretendNode(version: string): Promise<string> {
      const bin = join(folder.path, 'node-bin')
      await mkdir(bin)
      const script = `#!/bin/sh\n[ "$1" = --version ] && echo ${version} && exit\nexec '${process.execPath}' "$@"\n`
      await writeFile(join(bin, 'node'), script)
      await chmod(join(bin, 'node'), 0o755)
      return bin
    }

    it('with the Node of the path where that is new enough', async () => {
      const command = await bareCheckout()
      const path = `${await pretendNode('v24.0.0')}:/usr/bin:/bin`
      const { stdout } = await run(['an argument'], { command, environment: { PATH: path } })
      assert.equal(stdout, 'an argument\n')
    })

    it('but not with one that is too old', async () => {
      const command = await bareCheckout()
      const path = `${await pretendNode('v20.19.0')}:/usr/bin:/bin`
      const { code, stdout, stderr } = await run([], { command, environment: { PATH: path } })
      assert.equal(code, 1)
      assert.equal(stdout, '')
      assert.match(stderr, /^tidelog: needs Node 24 or newer and found v20\.19\.0; run 'npm install' in [^\n]+\n$/)
    })
  })
})

describe('tidelog', () => {
  it('has help for itself and for start', async () => {
    for (const words of [['--help'], ['start', '--help'], ['help', 'start']]) {
      const { code, stdout, stderr } = await run(words)
      assert.equal(code, 0)
      assert.equal(stderr, '')
      assert.match(stdout, /^Usage: tidelog/)
    }
  })

  it('lets npm check the Node that it runs its scripts with', async () => {
    const { code, stderr } = await run([join(root, 'src/cli/check-node.cjs')], { command: process.execPath })
    assert.equal(code, 0)
    assert.equal(stderr, '')
  })
})

/** Whether nothing more goes out: the other side has stopped reading. */
async function isStuck(socket: net.Socket): Promise<boolean> {
  const before = socket.bytesWritten - socket.writableLength
  await new Promise(resolve => setTimeout(resolve, 100))
  return socket.bytesWritten - socket.writableLength === before
}
