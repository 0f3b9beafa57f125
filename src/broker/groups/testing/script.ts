/**
 * The recorded scripts of groups. Members' ids are made of the client and the number of the join; a command that ends in
 * `silently` is not told.
 *
 *     join a
 *     pass 0
 *     ----
 *     0: join #1: NONE a-1 gen=1 …
 */
import { type Recorded, runRecorded } from '../../../base/testing/recorded-script.ts'
import { commands } from './commands.ts'
import { World } from './world.ts'

/** Runs a script; what is expected of it and what it does, as text. */
export function runScript(path: string): Recorded {
  const world = new World()
  return runRecorded(path, world.lines, line => perform(world, line))
}

function perform(world: World, line: string): void {
  const words = line.split(/ +/)
  const silently = words.at(-1) === 'silently'
  if (silently) words.pop()
  const command = commands[words[0]!]
  if (command === undefined) throw new Error(`there is no command ${words[0]}`)
  const before = world.lines.length
  command(world, words.slice(1))
  if (silently) world.lines.length = before
}
