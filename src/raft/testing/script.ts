/**
 * The recorded scripts of Raft. A command that ends in `silently` is not told, one that ends in `briefly` without its messages
 * and writes.
 */
import { type Recorded, runRecorded } from '../../base/testing/recorded-script.ts'
import { Cluster } from './cluster.ts'
import { commands } from './commands.ts'

/** Runs a script; what is expected of it and what it does, as text. */
export function runScript(path: string): Recorded {
  const cluster = new Cluster()
  return runRecorded(path, cluster.lines, line => perform(cluster, line))
}

function perform(cluster: Cluster, line: string): void {
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
