/**
 * The package as somebody else gets it: packed, installed into empty projects, imported, required, compiled against, started,
 * and the examples run there.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { root } from '../support/source.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

/** What the package is made of, and what making it needs. */
const ingredients = [
  'bin',
  'scripts',
  'src',
  'LICENSE',
  'README.md',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
]
const commandMsMax = 120_000
const { PATH = '' } = process.env
const environment = {
  ...process.env,
  // The Node that runs this test, for npm's scripts and the command of the package too.
  PATH: `${dirname(process.execPath)}${delimiter}${PATH}`,
  NODE_TEST_CONTEXT: undefined,
  NO_COLOR: '1',
}
const isWindows = process.platform === 'win32'
const registryMissing = 'the registry cannot be reached'

interface Outcome {
  readonly status: number | null
  readonly output: string
}

function run(cwd: string, command: string, ...args: string[]): Outcome {
  const options = { cwd, env: environment, encoding: 'utf8', timeout: commandMsMax, shell: isWindows } as const
  const { status, stdout, stderr } = spawnSync(command, args, options)
  return { status, output: `${stdout}${stderr}` }
}

function mustRun(cwd: string, command: string, ...args: string[]): string {
  const { status, output } = run(cwd, command, ...args)
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${output}`)
  return output
}

/** Every file of a folder with what is in it. */
function fingerprints(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    entry => entry.isFile() && !entry.parentPath.includes('node_modules'),
  )
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return [path, createHash('sha256').update(readFileSync(path)).digest('hex')]
    }),
  )
}

const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']

describe('the package', () => {
  let dir: TempDir
  let tarball: string
  /** An empty project, until the package is in it. */
  let project: string

  /** False when the registry cannot be reached. */
  function isInstalled(...packages: string[]): boolean {
    const { status, output } = run(project, 'npm', ...install, ...packages)
    if (status !== 0 && /EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ENETUNREACH|ETIMEDOUT/.test(output)) return false
    assert.equal(status, 0, output)
    return true
  }

  before(async () => {
    dir = await tempDir()
    project = join(dir.path, 'project')
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }')
  })
  after(() => dir[Symbol.asyncDispose]())

  it('is packed from a checkout, which stays as it was, and brings neither runtime nor tools along', () => {
    const checkout = join(dir.path, 'checkout')
    mkdirSync(checkout)
    for (const path of ingredients) cpSync(join(root, path), join(checkout, path), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'), 'junction')
    const before = fingerprints(checkout)
    mustRun(checkout, 'npm', 'pack', '--loglevel=error', '--pack-destination', dir.path)
    assert.deepEqual(fingerprints(checkout), before)

    const name = readdirSync(dir.path).find(file => file.endsWith('.tgz'))
    assert.ok(name)
    tarball = join(dir.path, name)
    assert.ok(readFileSync(tarball).length < 2 << 20, 'small')
    const files = mustRun(dir.path, 'tar', 'tzf', name).trim().split('\n')
    assert.ok(files.includes('package/dist/index.d.ts') && files.includes('package/dist/server/node/compute-worker.js'))
    const strangers = files.filter(file => /\.test\.|test-kit|\/testing\/|\/sim\/|(?<!\.d)\.ts$/.test(file))
    assert.deepEqual(strangers, [])
    const manifest = JSON.parse(mustRun(dir.path, 'tar', 'xzOf', name, 'package/package.json')) as object
    for (const field of ['devDependencies', 'optionalDependencies', 'scripts']) assert.ok(!(field in manifest), field)
    assert.deepEqual('engines' in manifest && manifest.engines, { node: '>=24' })
  })

  it('a checkout whose packing was cut off is put right by the next', () => {
    const checkout = join(dir.path, 'checkout')
    const manifest = readFileSync(join(checkout, 'package.json'), 'utf8')
    writeFileSync(join(checkout, '.package.json.kept'), manifest)
    writeFileSync(join(checkout, 'package.json'), '{ "name": "cut-off" }')
    mustRun(checkout, process.execPath, 'scripts/pack.ts', 'after')
    assert.equal(readFileSync(join(checkout, 'package.json'), 'utf8'), manifest)
  })

  it('is imported and required in an empty project; its thread and its command run', async t => {
    if (!isInstalled(tarball)) return t.skip(registryMissing)
    const use = `
      await broker.createTopic('t', { configs: { 'compression.type': 'zstd' } })
      await broker.produce('t', { value: 'through the thread' })
      for await (const { value } of broker.read('t')) console.log(String(value))`
    writeFileSync(
      join(project, 'import.ts'),
      `import { startBroker } from 'tidelog'\nawait using broker = await startBroker({ http: true })\n${use}`,
    )
    writeFileSync(
      join(project, 'require.cjs'),
      `const { startBroker } = require('tidelog')
       startBroker().then(async broker => { ${use}\n await broker.close() })`,
    )
    for (const file of ['import.ts', 'require.cjs']) {
      assert.equal(mustRun(project, process.execPath, file).trim(), 'through the thread')
    }
    compiles(project, false)
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    assert.equal(mustRun(project, 'npx', '--no-install', 'tidelog', '--version').split('\n')[0], version)
    const bin = join(project, 'node_modules', 'tidelog', 'bin', 'tidelog.cjs')
    await startsAndStops(bin, join(dir.path, 'data'))
  })

  it('runs the examples, which compile against its types', t => {
    const examples = [
      ['node-test', 'test'],
      ['vitest', 'test'],
      ['log', 'start'],
    ] as const
    const needed = new Set(examples.flatMap(([name]) => dependenciesOf(join(root, 'examples', name))))
    if (!isInstalled(tarball, ...needed)) return t.skip(registryMissing)
    for (const [name, script] of examples) {
      const folder = join(project, name)
      cpSync(join(root, 'examples', name), folder, { recursive: true })
      const output = mustRun(folder, 'npm', 'run', script, '--loglevel=error')
      assert.match(output, script === 'start' ? /mailed 3 of offsets 0 to 2/ : /(?:pass|Tests)\s+[23]/)
      compiles(folder, true)
    }
  })
})

/** As its manifest pins them, but for the package itself. */
function dependenciesOf(example: string): string[] {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(
    readFileSync(join(example, 'package.json'), 'utf8'),
  ) as Partial<Record<'dependencies' | 'devDependencies', Record<string, string>>>
  return Object.entries({ ...dependencies, ...devDependencies }).flatMap(([name, version]) =>
    name === 'tidelog' ? [] : `${name}@${version}`,
  )
}

/** `skipLibCheck`: the types of its dependencies are looked at by what the program uses of them. */
function compiles(folder: string, skipLibCheck: boolean): void {
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  mustRun(folder, process.execPath, join(root, 'node_modules', 'typescript', 'bin', 'tsc'))
}

async function startsAndStops(bin: string, data: string): Promise<void> {
  const doors = ['--port', '0', '--text-port', 'off', '--http-port', 'off']
  const broker = spawn(process.execPath, [bin, 'start', ...doors, '--data-dir', data], { env: environment })
  const ended = new Promise<number | null>(resolve => broker.once('exit', resolve))
  const output: string[] = []
  broker.stderr.on('data', chunk => output.push(String(chunk)))
  try {
    const ready = new Promise<string>(resolve => broker.stdout.once('data', chunk => resolve(String(chunk))))
    const line = await Promise.race([ready, ended.then(code => `ended with ${code}: ${output.join('')}`)])
    assert.match(line, /^tidelog ready kafka=localhost:\d+ data=/)
    broker.kill('SIGTERM')
    assert.equal(await ended, 0, output.join(''))
  } finally {
    broker.kill('SIGKILL')
  }
}
