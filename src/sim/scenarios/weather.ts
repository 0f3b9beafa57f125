/** Things that go wrong while a process runs. Each sets something in motion and returns. */
import type { Simulation } from '../simulation.ts'
import { failing, failingOnce } from './cycles.ts'

/** The disk fills up after a while; room comes back later, and then writing must go on by itself. */
export function fillDisk(simulation: Simulation): void {
  const { world, prng } = simulation
  simulation.later(prng.between(0, 200), () => {
    world.count('full disks')
    world.files.capacityBytes = world.files.usedBytes + prng.pick([0, 0, 1000, 20_000])
  })
  simulation.later(prng.between(200, 1200), () => {
    world.files.capacityBytes = Number.MAX_SAFE_INTEGER
  })
}

/** The disk is full before the node starts, and has room again while it runs, or only later. */
export function startFull(simulation: Simulation): void {
  const { world, prng } = simulation
  world.count('starts on a full disk')
  world.files.capacityBytes = world.files.usedBytes + prng.pick([0, 100, 5000])
  simulation.later(prng.between(10, 1000), () => {
    world.files.capacityBytes = Number.MAX_SAFE_INTEGER
  })
}

/** One sync, of a file or a folder, fails. The node must stop and acknowledge nothing more. */
export function failOneSync(simulation: Simulation): void {
  const { world, prng } = simulation
  const kinds = prng.chance(0.8) ? (['sync'] as const) : (['syncDirectory'] as const)
  world.faults.push(failingOnce(kinds, { error: 'EIO' }, prng.between(1, 60)))
}

/** The disk refuses single operations for reasons that pass. */
export function refuseSome(simulation: Simulation): void {
  const { world, prng } = simulation
  const error = prng.pick(['ENOSPC', 'EDQUOT'] as const)
  if (prng.chance(0.7)) world.faults.push(failing(prng, ['write'], { error }, prng.pick([0.01, 0.1])))
  if (prng.chance(0.5)) world.faults.push(failing(prng, ['open'], { error: 'EMFILE' }, prng.pick([0.02, 0.2])))
  if (prng.chance(0.3)) world.faults.push(failing(prng, ['rename', 'makeDirectory', 'truncate'], { error }, 0.1))
}

/** The disk breaks: reads and writes fail for good reasons. */
export function breakSome(simulation: Simulation): void {
  const { world, prng } = simulation
  const reads = prng.chance(0.6)
  if (reads) world.faults.push(failing(prng, ['read'], { error: 'EIO' }, prng.pick([0.005, 0.05])))
  if (!reads || prng.chance(0.3)) {
    world.faults.push(
      failingOnce(['write', 'open', 'rename', 'remove', 'truncate'], { error: 'EIO' }, prng.between(1, 300)),
    )
  }
}

/** A disk that is slow, all the time or in fits. */
export function slowDown(simulation: Simulation): void {
  const { world, prng } = simulation
  world.count('slow disks')
  if (prng.chance(0.5)) world.slowness = prng.pick([0.1, 5, 20])
  else world.faults.push(failing(prng, ['sync', 'write', 'read'], { stallMs: prng.pick([50, 400, 3000]) }, 0.03))
}
