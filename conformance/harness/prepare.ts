/** Which languages there are, which can run here, and their preparation: downloads and builds, each within its time. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findTool } from '../../test/support/tools.ts'
import type { Folders, Language, Step } from './language.ts'

const home = fileURLToPath(new URL('..', import.meta.url))

/** These run first: what they need is on every machine that builds the project, or comes from its distribution. */
const first: readonly string[] = ['javascript', 'c', 'apache-kafka']

const outputCharsMax = 64 * 1024
const shownLinesMax = 60

/** The folders that hold a language, those that run everywhere first. */
export function languageFolders(): string[] {
  const all = readdirSync(home, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && entry.name !== 'harness' && isFile(join(home, entry.name, 'language.ts')))
    .map(entry => entry.name)
    .sort()
  return [...first.filter(name => all.includes(name)), ...all.filter(name => !first.includes(name))]
}

/** Those are expected to run wherever the harness does. */
export const isAlwaysThere = (folder: string) => first.includes(folder)

export async function loadLanguage(folder: string): Promise<{ language: Language; folders: Folders }> {
  const source = join(home, folder)
  const cache = join(home, '.cache', folder)
  const { language } = (await import(join(source, 'language.ts'))) as { language?: Language }
  if (language === undefined) throw new Error(`${folder}/language.ts exports no language`)
  return { language, folders: { source, cache } }
}

/** Why a language cannot run here; null where it can. */
export function reasonAgainst(language: Language): string | null {
  const missing = language.tools.filter(tool => findTool(tool) === null)
  if (missing.length > 0) return `${missing.join(' and ')} not installed`
  return language.missing?.() ?? null
}

/** Runs its steps; a sentence with the output where one fails. */
export async function prepare(language: Language, folders: Folders, limitMs: number): Promise<string | null> {
  mkdirSync(folders.cache, { recursive: true })
  const untilMs = performance.now() + limitMs
  for (const step of language.prepare(folders)) {
    if (isMade(step, folders.source)) continue
    const stepMsMax = Math.min(step.minutesMax * 60_000, untilMs - performance.now())
    const failure = await runStep(step, folders.source, stepMsMax)
    if (failure !== null) return failure
  }
  return null
}

function isMade({ makes }: Step, source: string): boolean {
  if (makes === undefined || makes.length === 0) return false
  const newestMs = Math.max(...filesUnder(source).map(modifiedMs))
  return makes.every(path => modifiedMs(path) > newestMs)
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}

const modifiedMs = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true

async function runStep(step: Step, source: string, limitMs: number): Promise<string | null> {
  const [file, ...args] = step.command
  if (limitMs <= 0) return `no time left for ${step.command.join(' ')}`
  const child = spawn(file, args, {
    cwd: step.cwd ?? source,
    env: { ...process.env, ...step.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended, and everything that it started.
    }
  }
  process.once('exit', end)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    end()
  }, limitMs)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputCharsMax)
    })
  }
  const exit = await new Promise<string | null>(resolve => {
    child.on('error', error => resolve(error.message))
    child.on('close', (code, signal) => resolve(code === 0 ? null : (signal ?? `exit code ${code}`)))
  })
  clearTimeout(timer)
  process.off('exit', end)
  if (exit === null) return null
  const why = isLate ? `not done within ${Math.round(limitMs / 1000)} s` : exit
  return `${step.command.join(' ')}: ${why}\n${output.split('\n').slice(-shownLinesMax).join('\n')}`
}
