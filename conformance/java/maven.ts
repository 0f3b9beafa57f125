/**
 * What a Java program needs before it runs: its libraries, as the pom.xml of its folder pins them, and its classes.
 *
 * Maven is asked once for a pom.xml and javac once for a source; what came of it is kept in the folder's `target/`, named after
 * what it was made from, so that a changed version or a changed line is noticed and nothing else costs time.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The plugin is pinned like everything else; Maven would take whatever its own release names. */
const CLASS_PATH_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath'
/** A first download of some sixty jars over a slow line; past it the machine has no way to Maven's repository. */
const DOWNLOAD_MS = 5 * 60_000
const COMPILE_MS = 60_000

/** Flags for a program that lives for seconds: starting soon is worth more than running fast in the end. */
export const QUICK_START = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'] as const

const inJavaHome = (program: string): string => {
  const home = process.env['JAVA_HOME']
  return home === undefined || home === '' ? program : join(home, 'bin', program)
}

export const java = inJavaHome('java')

/** Why Java programs cannot run on this machine, or null when they can. */
export async function whyNoJava(): Promise<string | null> {
  for (const [program, args] of [
    [java, ['-version']],
    [inJavaHome('javac'), ['-version']],
    ['mvn', ['--version']],
  ] as const) {
    try {
      await run(program, args)
    } catch {
      return `${program} is not there`
    }
  }
  return null
}

/** The class path of a program: the libraries of `pom` (a pom.xml), and the classes of the Java sources in `sources`. */
export async function classPath(pom: string, sources: string): Promise<string> {
  const target = join(sources, 'target')
  await mkdir(target, { recursive: true })
  const libraries = await librariesOf(pom, target)
  return [await classesOf(sources, target, libraries), libraries].join(delimiter)
}

async function librariesOf(pom: string, target: string): Promise<string> {
  const kept = join(target, `libraries-${await digest([pom])}`)
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

async function classesOf(sources: string, target: string, libraries: string): Promise<string> {
  const files = (await readdir(sources)).filter(name => name.endsWith('.java')).map(name => join(sources, name))
  const kept = join(target, `classes-${await digest(files, libraries)}`)
  if (existsSync(kept)) return kept
  const fresh = `${kept}.${process.pid}`
  await run(inJavaHome('javac'), ['-nowarn', '--release', '17', '-cp', libraries, '-d', fresh, ...files], {
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
