/**
 * The shape of the code base, kept by tests: rooms import in one direction, what must be deterministic touches nothing of
 * the machine, files stay readable. docs/architecture.md says what each room is for.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { filesIn, type Import, lineOf, parseSource, root, type Source, sourcesIn, targetOf } from './support/source.ts'

/** Each room and the rooms it may import from besides itself. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  base: [],
  io: ['base'],
  wire: ['base', 'io'],
  log: ['base', 'io', 'wire'],
  raft: ['base', 'io', 'wire'],
  chain: ['base', 'io', 'wire', 'log'],
  cluster: ['base', 'io', 'wire', 'log', 'raft', 'chain'],
  archive: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster'],
  broker: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster', 'archive'],
  server: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster', 'archive', 'broker'],
  sim: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster', 'archive', 'broker'],
  embed: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster', 'archive', 'broker', 'server'],
  console: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster', 'archive', 'broker', 'server', 'sim'],
  cli: ['base', 'io', 'wire', 'log', 'raft', 'chain', 'cluster', 'archive', 'broker', 'server', 'sim'],
}

/** Files beside the rooms: the doors for programs that embed tidelog. */
const doors: ReadonlySet<string> = new Set(['src/index.ts', 'src/testing.ts'])

/** Rooms that run in the simulator: everything they know of the world comes through io/. */
const pureRooms: ReadonlySet<string> = new Set([
  'base',
  'io',
  'wire',
  'log',
  'raft',
  'chain',
  'cluster',
  'archive',
  'broker',
])

/** What pure rooms may have of Node: things that compute, and nothing that a run could depend on. */
const pureModules: ReadonlySet<string> = new Set(['node:buffer'])

const impurities: Readonly<Record<string, RegExp>> = {
  'reads the clock; take a Clock':
    /\bDate\.now\b|\bnew Date\(\s*\)|(?<![\w.])Date\(|\bperformance\.|\bprocess\.hrtime\b/g,
  'sets a timer; take a Clock': /\b(?:setTimeout|setInterval|setImmediate|AbortSignal\.timeout)\b/g,
  'draws chance; take a Random or a Prng': /\bMath\.random\b|(?<![\w.#])crypto\./g,
  'reaches for the process; take what it needs as an argument': /(?<![\w.#])process\./g,
  'writes to the terminal; return data or call back': /(?<![\w.#])console\./g,
}

/** A file longer than this has more than one subject. */
const linesMax = 700

/** Spelt in parts, so that this file does not find itself. */
const marks = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`, 'g')
const escapes = new RegExp(['@ts-' + 'ignore', '@ts-' + 'nocheck', 'biome-' + 'ignore-all'].join('|'), 'g')

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const sources = sourcesIn('src')
const tests = [...sourcesIn('test'), ...sourcesIn('bench')]
const shipped = sources.filter(({ path }) => !isTest(path))

function isTest(path: string): boolean {
  return /\.test(?:-kit)?\.ts$/.test(path) || path.includes('/testing/')
}

/** The room of a path under src/, null for what is in none. */
function roomOf(path: string): string | null {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? null
}

/** Fails with every finding on a line of its own. */
function assertNone(rule: string, findings: readonly string[]): void {
  assert.ok(findings.length === 0, `${rule}\n${findings.map(finding => `  ${finding}`).join('\n')}`)
}

const at = (source: Source, line: number) => `${source.path}:${line}`

function eachImport(from: readonly Source[], check: (source: Source, entry: Import) => string | null): string[] {
  return from.flatMap(source =>
    source.imports.flatMap(entry => {
      const problem = check(source, entry)
      return problem === null ? [] : [`${at(source, entry.line)} ${problem}`]
    }),
  )
}

describe('the code base', () => {
  it('has no folder in src/ that is not a room', () => {
    const strangers = sources.filter(({ path }) => rooms[roomOf(path) ?? ''] === undefined && !doors.has(path))
    assertNone(
      `src/ holds the rooms ${Object.keys(rooms).join(', ')}; a new one needs a line in this test and in docs/architecture.md:`,
      strangers.map(({ path }) => path),
    )
  })

  it('imports in one direction', () => {
    const findings = eachImport(shipped, (source, entry) => {
      const from = roomOf(source.path)
      const target = targetOf(source, entry)
      if (from === null || target === null) return null
      const to = roomOf(target)
      if (to === from) return null
      if (to !== null && rooms[from]?.includes(to)) return null
      return `${from} imports ${target}; it may import from ${rooms[from]?.join(', ') || 'nothing'}`
    })
    assertNone('Each room imports only from those before it:', findings)
  })

  it('ships nothing that is for tests', () => {
    const findings = eachImport(shipped, (source, entry) => {
      const target = targetOf(source, entry)
      return target !== null && isTest(target) ? `imports ${target}` : null
    })
    assertNone('Only tests import what is for tests:', findings)
  })

  it('has no circle of imports', () => {
    assertNone(
      'These files import each other in a circle; what they share belongs in a file of its own:',
      circles(shipped).map(circle => circle.join(' → ')),
    )
  })

  it('names files with their ending, Node’s modules with node:, and only packages that are declared', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
    const dependencies = new Set(Object.keys(manifest.dependencies))
    const devDependencies = new Set(Object.keys(manifest.devDependencies))
    const findings = eachImport([...sources, ...tests], (source, entry) => {
      const { specifier } = entry
      const target = targetOf(source, entry)
      if (target !== null) return existsSync(join(root, target)) ? null : `imports ${specifier}, which is no file`
      if (isBuiltin(specifier)) return specifier.startsWith('node:') ? null : `imports ${specifier} without node:`
      const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
      if (dependencies.has(name)) return null
      const mayUseDev = isTest(source.path) || !source.path.startsWith('src/')
      if (mayUseDev && devDependencies.has(name)) return null
      return `imports ${name}, which package.json does not have under dependencies`
    })
    assertNone('Imports say exactly what they mean:', findings)
  })

  it('keeps what is simulated free of the machine', () => {
    const pure = shipped.filter(({ path }) => pureRooms.has(roomOf(path) ?? ''))
    const modules = eachImport(pure, (_source, { specifier }) =>
      isBuiltin(specifier) && !pureModules.has(specifier) ? `imports ${specifier}` : null,
    )
    const globals = pure.flatMap(source =>
      Object.entries(impurities).flatMap(([why, pattern]) =>
        [...source.code.matchAll(pattern)].map(
          match => `${at(source, lineOf(source.code, match.index))} ${match[0]} ${why}`,
        ),
      ),
    )
    assertNone(`${[...pureRooms].join(', ')} touch the world through io/ only:`, [...modules, ...globals])
  })

  it('has no file too long to read', () => {
    const long = shipped.flatMap(({ path, text }) => {
      const lines = text.split('\n').length
      return lines > linesMax ? [`${path} has ${lines} lines`] : []
    })
    assertNone(`A file has at most ${linesMax} lines; longer ones have a second subject to move out:`, long)
  })

  it('says at the head of each file what it is for', () => {
    // A scenario says it in its title.
    const silent = shipped.filter(
      ({ path, text }) => !path.startsWith('src/sim/scenarios/') && !/^\s*\/\*\*/.test(text),
    )
    assertNone(
      'A file begins with a comment that says what it is for:',
      silent.map(({ path }) => path),
    )
  })

  it('leaves no marks for later and switches no check off', () => {
    const files = [...filesIn('src'), ...filesIn('test'), ...filesIn('bench'), ...filesIn('bin'), ...filesIn('docs')]
    const findings = files.flatMap(path => {
      const text = readFileSync(join(root, path), 'utf8')
      return [...text.matchAll(marks), ...text.matchAll(escapes)].map(
        match => `${path}:${lineOf(text, match.index)} ${match[0]}`,
      )
    })
    assertNone('What is left to do is an issue, and the checkers are right:', findings)
  })
})

describe('the scanner of these tests', () => {
  const parse = (text: string) => parseSource('src/x/y.ts', text)

  it('finds every kind of import, in code only', () => {
    const { imports } = parse(
      [
        "import a from './a.ts'",
        "import type { B } from './b.ts'",
        "import {\n  c,\n  d,\n} from './c.ts'",
        "export { e } from './e.ts'",
        "export * from './f.ts'",
        "import './g.ts'",
        "const h = await import('./h.ts')",
        "new URL('./i.ts', import.meta.url)",
        "// import './no.ts'",
        "/* import './no.ts' */",
      ].join('\n'),
    )
    assert.deepEqual(
      imports.map(({ specifier }) => specifier),
      ['./a.ts', './b.ts', './c.ts', './e.ts', './f.ts', './g.ts', './h.ts', './i.ts'],
    )
    assert.deepEqual(
      imports.filter(({ isTypeOnly }) => isTypeOnly).map(({ line }) => line),
      [2],
    )
  })

  it('sees code and not what stands in literals and comments', () => {
    const { code } = parse(
      [
        "const a = 'Date.now' // Date.now",
        'const b = `Date.now $' + '{Math.random() + `$' + '{inner}`} Date.now`',
        'const c = /[/"]Date.now/.test(x) /* Date.now */',
        'const d = 4 / 2 / 1; Date.now()',
      ].join('\n'),
    )
    assert.equal(code.match(/Date\.now/g)?.length, 1)
    assert.match(code, /Math\.random\(\)/)
    assert.match(code, /inner/)
    assert.equal(code.split('\n').length, 4)
  })

  it('finds circles', () => {
    const source = (path: string, ...targets: string[]) =>
      parseSource(path, targets.map(target => `import './${target}'`).join('\n'))
    assert.deepEqual(circles([source('src/a.ts', 'b.ts'), source('src/b.ts', 'c.ts'), source('src/c.ts')]), [])
    assert.equal(circles([source('src/a.ts', 'b.ts'), source('src/b.ts', 'a.ts')]).length, 1)
  })
})

/** Circles among imports that exist at run time; an erased import of a type binds nothing. */
function circles(files: readonly Source[]): string[][] {
  const graph = new Map(
    files.map(source => [
      source.path,
      source.imports.filter(entry => !entry.isTypeOnly).flatMap(entry => targetOf(source, entry) ?? []),
    ]),
  )
  const found: string[][] = []
  const done = new Set<string>()
  const visit = (path: string, trail: string[]) => {
    const start = trail.indexOf(path)
    if (start >= 0) found.push([...trail.slice(start), path])
    if (start >= 0 || done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return found
}
