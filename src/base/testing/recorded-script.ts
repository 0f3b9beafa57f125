/**
 * Recorded scripts: commands, a line of dashes, and everything that happened. `REWRITE=1` records what happens now; the diff is
 * then for a person to judge.
 *
 *     # A comment tells the story.
 *     campaign 1
 *     ----
 *     1: send preVote to 2 term=1 last=0/0
 *
 * Blocks are parted by empty lines. What commands there are, and what they tell, is the matter of whoever runs a script.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const { REWRITE } = process.env

export interface Recorded {
  readonly expected: string
  readonly actual: string
}

/** Runs a script: `perform` does a command, and everything that happens is pushed to `lines`. */
export function runRecorded(path: string, lines: string[], perform: (command: string) => void): Recorded {
  const expected = readFileSync(path, 'utf8')
  const blocks = expected.trimEnd().split(/\n\n+/)
  const actual = `${blocks.map(block => runBlock(block, lines, perform)).join('\n\n')}\n`
  if (REWRITE === '1' && actual !== expected) writeFileSync(path, actual)
  return { expected, actual }
}

function runBlock(block: string, told: string[], perform: (command: string) => void): string {
  const lines = block.split('\n')
  const end = lines.indexOf('----')
  const head = end < 0 ? lines : lines.slice(0, end)
  const commands = head.filter(line => !line.startsWith('#') && line !== '')
  if (commands.length === 0) return head.join('\n')
  told.length = 0
  for (const command of commands) perform(command)
  return [...head, '----', ...told].join('\n')
}
