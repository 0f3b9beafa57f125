/**
 * Recorded scripts: a command, a line of dashes, and everything that happened. `REWRITE=1` records what happens now;
 * the diff is then for a person to judge.
 *
 *     # A comment tells the story.
 *     campaign 1
 *     ----
 *     1: send preVote to 2 term=1 last=0/0
 *
 * A command that ends in `silently` is not told, one that ends in `briefly` without its messages and writes; blocks are
 * parted by empty lines.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Cluster } from './cluster.ts'
import { commands } from './commands.ts'

const { REWRITE } = process.env

/** Runs a script; what is expected of it and what it does, as text. */
export function runScript(path: string): { readonly expected: string; readonly actual: string } {
  const expected = readFileSync(path, 'utf8')
  const cluster = new Cluster()
  const blocks = expected.trimEnd().split(/\n\n+/)
  const actual = `${blocks.map(block => runBlock(cluster, block)).join('\n\n')}\n`
  if (REWRITE === '1' && actual !== expected) writeFileSync(path, actual)
  return { expected, actual }
}

function runBlock(cluster: Cluster, block: string): string {
  const lines = block.split('\n')
  const end = lines.indexOf('----')
  const head = end < 0 ? lines : lines.slice(0, end)
  const inputs = head.filter(line => !line.startsWith('#') && line !== '')
  if (inputs.length === 0) return head.join('\n')
  cluster.lines.length = 0
  for (const input of inputs) runLine(cluster, input)
  return [...head, '----', ...cluster.lines].join('\n')
}

function runLine(cluster: Cluster, line: string): void {
  const words = line.split(/ +/)
  const telling = words.at(-1) === 'silently' || words.at(-1) === 'briefly' ? words.pop() : 'fully'
  const command = commands[words[0]!]
  if (command === undefined) throw new Error(`there is no command ${words[0]}`)
  const before = cluster.lines.length
  command(cluster, words.slice(1))
  if (telling === 'fully') return
  const told = cluster.lines.splice(before)
  if (telling === 'briefly') cluster.lines.push(...told.filter(text => !trafficPattern.test(text)))
}

const trafficPattern = /^\d+: (?:durable, so )?(?:send|persist|save-snapshot)/
