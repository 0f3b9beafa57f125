/**
 * Recorded scripts: commands, a line of dashes, and everything that happened. `REWRITE=1` records what happens now; the diff is
 * then for a person to judge.
 *
 *     # A comment tells the story.
 *     join a
 *     pass 0
 *     ----
 *     0: join #1: NONE a-1 gen=1 …
 *
 * Blocks are parted by empty lines. Members' ids are made of the client and the number of the join.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { commands } from './commands.ts'
import { World } from './world.ts'

const { REWRITE } = process.env

/** Runs a script; what is expected of it and what it does, as text. */
export function runScript(path: string): { readonly expected: string; readonly actual: string } {
  const expected = readFileSync(path, 'utf8')
  const world = new World()
  const blocks = expected.trimEnd().split(/\n\n+/)
  const actual = `${blocks.map(block => runBlock(world, block)).join('\n\n')}\n`
  if (REWRITE === '1' && actual !== expected) writeFileSync(path, actual)
  return { expected, actual }
}

function runBlock(world: World, block: string): string {
  const lines = block.split('\n')
  const end = lines.indexOf('----')
  const head = end < 0 ? lines : lines.slice(0, end)
  const inputs = head.filter(line => !line.startsWith('#') && line !== '')
  if (inputs.length === 0) return head.join('\n')
  world.lines.length = 0
  for (const input of inputs) runLine(world, input)
  return [...head, '----', ...world.lines].join('\n')
}

function runLine(world: World, line: string): void {
  const words = line.split(/ +/)
  const silently = words.at(-1) === 'silently'
  if (silently) words.pop()
  const command = commands[words[0]!]
  if (command === undefined) throw new Error(`there is no command ${words[0]}`)
  const before = world.lines.length
  command(world, words.slice(1))
  if (silently) world.lines.length = before
}
