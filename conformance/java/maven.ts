/**
 * What a Java program needs before it runs: its libraries, as a pom.xml pins them, and its classes.
 *
 * Maven is asked once for a pom.xml and javac once for the sources; what came of it is kept in a cache folder under a name made
 * from what it was made of, so that a changed version or a changed line is noticed and nothing else costs time.
 *
 * As a program (`node maven.ts POM SOURCES CACHE ARGUMENTS`) it leaves a file of arguments for `java @file`: flags and class path.
 */

import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The plugin is pinned like everything else; Maven would take whatever its own release names. */
const CLASS_PATH_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath'
/** A first download of some sixty jars over a slow line; past it the machine has no way to Maven's repository. */
const DOWNLOAD_MS = 5 * 60_000
const COMPILE_MS = 60_000
/** No run takes that long. */
const UNPACKED_MS = 2 * 60 * 60_000

/** Flags for a program that lives for seconds: starting soon is worth more than running fast in the end. */
export const QUICK_START = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'] as const

/** What Apache Kafka 4 needs. */
const JAVA_VERSION = 17

/** What must be on the path for all of this. */
export const JAVA_TOOLS = ['java', 'javac', 'mvn'] as const

/** Why the JDK on the path does not do, or null where it does. */
export function whyTooOld(): string | null {
  const told = spawnSync('javac', ['-version'], { encoding: 'utf8' })
  const [, version] = /javac (\d+)/.exec(`${told.stdout}${told.stderr}`) ?? []
  return Number(version) >= JAVA_VERSION ? null : `javac is of Java ${version}, and ${JAVA_VERSION} is needed`
}

/** A class path: the libraries of a pom.xml and the classes of the Java sources in a folder. */
export async function classPath(pom: string, sources: string, cache: string): Promise<string> {
  await mkdir(cache, { recursive: true })
  const libraries = await librariesOf(pom, cache)
  return [await classesOf(sources, cache, libraries), libraries].join(delimiter)
}

async function librariesOf(pom: string, cache: string): Promise<string> {
  const kept = join(cache, `libraries-${await digest([pom])}`)
  const known = existsSync(kept) ? await readFile(kept, 'utf8') : ''
  // The jars lie in Maven's own repository, which may have been cleared since.
  if (known !== '' && known.split(delimiter).every(jar => existsSync(jar))) return known
  const fresh = `${kept}.${process.pid}`
  await run('mvn', ['-q', '-B', '-f', pom, CLASS_PATH_GOAL, '-DincludeScope=runtime', `-Dmdep.outputFile=${fresh}`], {
    timeout: DOWNLOAD_MS,
  })
  await rename(fresh, kept)
  return readFile(kept, 'utf8')
}

async function classesOf(sources: string, cache: string, libraries: string): Promise<string> {
  const files = (await readdir(sources)).filter(name => name.endsWith('.java')).map(name => join(sources, name))
  const kept = join(cache, `classes-${await digest(files, libraries)}`)
  if (existsSync(kept)) return kept
  const fresh = `${kept}.${process.pid}`
  await run('javac', ['-nowarn', '--release', `${JAVA_VERSION}`, '-cp', libraries, '-d', fresh, ...files], {
    timeout: COMPILE_MS,
  })
  // Renamed when whole: another run may look at the same moment, and one of the two is as good as the other.
  await rename(fresh, kept).catch(() => rm(fresh, { recursive: true, force: true }))
  return kept
}

async function digest(files: readonly string[], ...texts: string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of [...files].sort()) hash.update(await readFile(file))
  for (const text of texts) hash.update(text)
  return hash.digest('hex').slice(0, 12)
}

/** A folder where codecs unpack their native parts. A process that is killed leaves them there; others may be running. */
async function clearOld(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const changed = await stat(path).catch(() => null)
    if (changed !== null && Date.now() - changed.mtimeMs > UNPACKED_MS) await rm(path, { force: true })
  }
}

if (import.meta.main) {
  const [pom, sources, cache, file] = process.argv.slice(2)
  if (file === undefined) throw new Error('usage: maven.ts POM SOURCES CACHE ARGUMENTS')
  const path = await classPath(pom!, sources!, cache!)
  const unpacked = `${file}-unpacked`
  await clearOld(unpacked)
  const flags = [...QUICK_START, `-Djava.io.tmpdir=${quoted(unpacked)}`, '-cp', quoted(path)]
  await writeFile(file, `${flags.join('\n')}\n`)
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\')}"`
}
