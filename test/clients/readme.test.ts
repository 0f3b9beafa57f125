/** The README is true: its session is run as it stands there, word by word, and it names every option. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { optionTable } from '../../src/server/settings.ts'
import { withoutKcat } from '../support/kcat.ts'
import { root } from '../support/source.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

interface Step {
  readonly command: string
  readonly output: string
}

/** The commands of the session under a heading, each with what it prints. */
function sessionOf(heading: string): Step[] {
  const from = readme.indexOf(`\n## ${heading}\n`)
  assert.ok(from >= 0, heading)
  const block = /```console\n([\s\S]*?)```/.exec(readme.slice(from))?.[1] ?? ''
  return block
    .split(/^\$ /m)
    .slice(1)
    .map(part => {
      const [command = '', ...output] = part.split('\n')
      return { command, output: output.join('\n') }
    })
}

/** What a group has read stays read. */
function afterRestart(step: Step): Step {
  return step.command.includes(' -G ') ? { ...step, output: '' } : step
}

function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ port, host: 'localhost' })
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('close', () => socket.destroy())
    socket.on('connect', () => socket.end())
  })
}

describe('the README', () => {
  it('has a session whose every line does what it says, before and after a kill', { skip: withoutKcat }, async () => {
    // The default port, unless somebody has it: then the session is run with another.
    const port = (await isListening(9092)) ? 0 : 9092
    await using dir = await tempDir()
    const options = { dataDir: dir.path, port, httpPort: 0 }
    let tidelog = await Tidelog.start(options)
    const run = ({ command, output }: Step) => {
      const words = command
        .replaceAll('localhost:9092', `localhost:${tidelog.port}`)
        .replaceAll('localhost:8080', `localhost:${tidelog.httpPort}`)
      const { stdout, stderr, status } = spawnSync('sh', ['-c', words], { encoding: 'utf8', timeout: 30_000 })
      assert.deepEqual({ stdout, stderr, status }, { stdout: output, stderr: '', status: 0 }, command)
    }
    try {
      const session = [...sessionOf('A session with kcat'), ...sessionOf('Health, metrics, JSON')]
      assert.equal(session.length, 9)
      for (const step of session) run(step)
      await tidelog.kill()
      tidelog = await Tidelog.start(options)
      for (const step of session.filter(({ output }) => output !== '')) run(afterRestart(step))
    } finally {
      await tidelog.kill()
    }
  })

  it('shows the ready line as it is', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path, textPort: 0, httpPort: 0 })
    const defaults = [
      [tidelog.port, 9092],
      [tidelog.textPort, 9091],
      [tidelog.httpPort, 8080],
    ]
    const usual = (line: string, [port, usually]: number[]) => line.replace(`:${port} `, `:${usually} `)
    const shown = defaults.reduce(usual, tidelog.stdout).replace(dir.path, './data')
    assert.ok(readme.includes(shown), shown)
  })

  it('names every option with its default, and none that does not exist', () => {
    const known = new Map(optionTable.map(option => [option.name as string, option.default]))
    const named = new Set([...readme.matchAll(/`--([a-z-]+)/g)].map(match => match[1] as string))
    assert.deepEqual(
      [...named].filter(name => !known.has(name)),
      [],
    )
    assert.deepEqual(
      [...known.keys()].filter(name => !named.has(name)),
      [],
    )
    for (const [name, value] of known) {
      const row = readme.split('\n').find(line => line.startsWith('| `--') && line.includes(`--${name}`)) ?? ''
      if (value !== null && value !== 'false') assert.ok(row.includes(`\`${value}\``), `--${name}: ${value}`)
    }
  })
})
