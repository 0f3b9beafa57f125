/**
 * TypeScript sources as the tidiness tests look at them: which files there are, what each imports, and its code without
 * comments and literals. A small scanner is enough for that: it knows where literals and comments begin and end, no more.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Import {
  /** As written. */
  readonly specifier: string
  readonly line: number
  /** Erased before the program runs. */
  readonly isTypeOnly: boolean
}

export interface Source {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
  /** The text with comments, strings and regular expressions blanked; lines keep their numbers. */
  readonly code: string
  readonly imports: readonly Import[]
}

/** Every TypeScript file under a folder. */
export function sourcesIn(folder: string): Source[] {
  return filesIn(folder)
    .filter(path => path.endsWith('.ts'))
    .map(path => parseSource(path, readFileSync(join(root, path), 'utf8')))
}

/** Every file under a folder, from the root of the repository; none when there is no such folder. */
export function filesIn(folder: string): string[] {
  const start = join(root, folder)
  if (!statSync(start, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort()
}

export function parseSource(path: string, text: string): Source {
  const code = blank(text, 'literals')
  return { path, text, code, imports: importsOf(text, code) }
}

/** The file that a relative import names, from the root of the repository; null for a package. */
export function targetOf(source: Source, { specifier }: Import): string | null {
  if (!specifier.startsWith('.')) return null
  return join(dirname(source.path), specifier).replaceAll('\\', '/')
}

export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

const importForm =
  /\b(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\sfrom\s*)?(['"])([^'"\n]+)\2|\bimport\(\s*(['"])([^'"\n]+)\4\s*\)|new URL\(\s*(['"])(\.[^'"\n]+\.ts)\6/g

function importsOf(text: string, code: string): Import[] {
  return [...blank(text, 'comments').matchAll(importForm)]
    .filter(({ index }) => code[index] === text[index])
    .map(match => ({
      specifier: (match[3] ?? match[5] ?? match[7]) as string,
      line: lineOf(text, match.index),
      isTypeOnly: match[1] !== undefined,
    }))
}

/** Blanks comments, and with `literals` what stands in strings, templates and regular expressions, too. */
function blank(text: string, what: 'comments' | 'literals'): string {
  const result = text.split('')
  const erase = (from: number, to: number) => {
    for (let i = from; i < to; i++) if (result[i] !== '\n') result[i] = ' '
  }
  // For each open `${`, how many braces are open within it.
  const templates: number[] = []
  let at = 0
  while (at < text.length) {
    const end = endOfToken(text, at, templates)
    const two = text.slice(at, at + 2)
    const isComment = two === '//' || two === '/*'
    if (end - at > 1 && (isComment || what === 'literals')) erase(isComment ? at : at + 1, isComment ? end : end - 1)
    at = end
  }
  return result.join('')
}

function endOfToken(text: string, at: number, templates: number[]): number {
  const char = text[at] as string
  if (text.startsWith('//', at)) return endAt(text.indexOf('\n', at), text)
  if (text.startsWith('/*', at)) return endAt(text.indexOf('*/', at + 2) + 2, text)
  if (char === "'" || char === '"') return endOfQuoted(text, at, char)
  if (char === '`') return endOfTemplate(text, at + 1, templates)
  if (char === '/' && beginsRegExp(text, at)) return endOfRegExp(text, at)
  if (char === '{' && templates.length > 0) templates[templates.length - 1]! += 1
  if (char === '}' && templates.length > 0) {
    if (templates.at(-1) === 0) {
      templates.pop()
      return endOfTemplate(text, at + 1, templates)
    }
    templates[templates.length - 1]! -= 1
  }
  return at + 1
}

const endAt = (index: number, text: string) => (index <= 0 ? text.length : index)

function endOfQuoted(text: string, at: number, quote: string): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === quote || text[i] === '\n') return i + 1
  }
  return text.length
}

/** Up to the closing backtick, or behind the next `${`. */
function endOfTemplate(text: string, from: number, templates: number[]): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '`') return i + 1
    else if (text.startsWith('${', i)) {
      templates.push(0)
      return i + 2
    }
  }
  return text.length
}

function beginsRegExp(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 40), at).trimEnd()
  return before === '' || /[(,=:[!&|?{};+\n>]$|\breturn$/.test(before)
}

function endOfRegExp(text: string, at: number): number {
  let inClass = false
  for (let i = at + 1; i < text.length && text[i] !== '\n'; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '[') inClass = true
    else if (text[i] === ']') inClass = false
    else if (text[i] === '/' && !inClass) return i + 1
  }
  return at + 1
}
