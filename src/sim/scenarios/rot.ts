/** Damage: what storage does to bytes behind everybody's back, and people to files. */
import type { Prng } from '../../base/prng.ts'
import type { FileNode } from '../file-system.ts'
import type { Scenario, Simulation } from '../simulation.ts'
import { tell } from './cycles.ts'

export const rot: Scenario = {
  name: 'rot',
  title:
    'Bits flip in files, while the node is down and while it runs, and files are cut or go missing: damage is reported, never served and never dropped silently.',
  run: async simulation => {
    await tell(simulation, {
      cycles: simulation.prng.between(2, 5),
      ends: ['close', 'kill', 'power'],
      whileDown: damageSome,
      weather: story => story.later(story.prng.between(0, 300), () => flipSome(story, 'topics')),
    })
  },
}

function damageSome(simulation: Simulation): void {
  const { world, prng } = simulation
  const folder = prng.chance(0.2) ? 'journal' : 'topics'
  const paths = world.files.walk(folder).filter(path => world.files.file(path).size > 0)
  // Nothing tells that a newest journal file was there once: only cut ones are noticed.
  const canVanish = folder !== 'journal'
  if (prng.chance(0.7)) flipSome(simulation, 'journal')
  else if (prng.chance(0.2)) flipSome(simulation, '')
  else if (paths.length > 0) world.loseFile(prng.pick(paths), canVanish && prng.chance(0.5) ? null : prng.float())
}

/** Flips bits of one byte, or two, below a folder. */
function flipSome({ world, prng }: Simulation, folder: string): void {
  for (let left = prng.between(0, 3); left > 0; left--) {
    const paths = world.files.walk(folder).filter(path => world.files.file(path).size > 0)
    if (paths.length === 0) return
    const path = prng.pick(paths)
    const position = pickPosition(prng, world.files.file(path))
    if (position !== null) world.flip(path, position, 1 << prng.between(0, 8))
  }
}

/**
 * A byte that was synced and followed by other synced writes. Rot in the newest group of a journal cannot be told from a
 * torn tail; that is outside of what is promised.
 */
function pickPosition(prng: Prng, file: FileNode): number | null {
  const spans = file.synced.slice(0, -2).filter(span => span.from < Math.min(span.to, file.size))
  if (spans.length === 0) return null
  const { from, to } = prng.pick(spans)
  const position = prng.between(from, Math.min(to, file.size))
  const isNew = file.synced.slice(-2).some(span => position >= span.from && position < span.to)
  return isNew ? null : position
}
