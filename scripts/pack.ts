/**
 * What `npm pack` puts into the package, and takes back afterwards: compiled sources in dist/, and a manifest for those who install
 * it. The checkout's own manifest brings a Node runtime and the tools of its developers along; the package brings neither.
 *
 *     prepack: compile → put the manifest aside → write the package's          postpack: put it back → remove dist/
 *
 * The manifest is exchanged last and put back first; where npm was cut off between the two, the next run begins with putting
 * it back.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifestFile = join(root, 'package.json')
const keptFile = join(root, '.package.json.kept')
const dist = join(root, 'dist')

interface Manifest {
  readonly [field: string]: unknown
  readonly dependencies: Readonly<Record<string, string>>
}

/** The manifest as it is published. */
function publishedManifest(manifest: Manifest): Manifest {
  const { scripts, devDependencies, optionalDependencies, ...kept } = manifest
  return {
    ...kept,
    dependencies: manifest.dependencies,
    engines: { node: '>=24' },
    bin: { tidelog: 'bin/tidelog.cjs' },
    exports: {
      '.': { types: './dist/index.d.ts', default: './dist/index.js' },
      './package.json': './package.json',
    },
    types: './dist/index.d.ts',
  }
}

function build(): void {
  rmSync(dist, { recursive: true, force: true })
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) throw new Error('the sources do not compile')
}

function putBack(): void {
  if (existsSync(keptFile)) renameSync(keptFile, manifestFile)
}

function before(): void {
  putBack()
  build()
  const text = readFileSync(manifestFile, 'utf8')
  const manifest = publishedManifest(JSON.parse(text) as Manifest)
  const written = `${manifestFile}.tmp`
  writeFileSync(written, `${JSON.stringify(manifest, null, 2)}\n`)
  writeFileSync(keptFile, text)
  renameSync(written, manifestFile)
}

function after(): void {
  putBack()
  rmSync(dist, { recursive: true, force: true })
}

const [step] = process.argv.slice(2)
if (step === 'before') before()
else if (step === 'after') after()
else if (step === 'build') build()
else throw new Error('usage: node scripts/pack.ts before|after|build')
