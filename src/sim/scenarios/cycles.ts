/** What most stories share: clients at work, a process that ends again and again, and something else that goes wrong. */
import type { Prng } from '../../base/prng.ts'
import type { Fault, OperationKind } from '../disk.ts'
import type { Simulation } from '../simulation.ts'
import type { FaultSource } from '../world.ts'

export type End = 'close' | 'kill' | 'power'

export interface Story {
  readonly cycles: number
  /** Each cycle ends in one of these; repeat one to make it likelier. */
  readonly ends: readonly End[]
  /** What else goes on in a cycle. */
  readonly weather?: (simulation: Simulation) => void
  /** The machine may lose power between two processes. */
  readonly powerWhileDown?: number
  /** What happens to the disk between two processes. */
  readonly whileDown?: (simulation: Simulation) => void
}

/** Runs the cycles and then checks everything. */
export async function tell(simulation: Simulation, story: Story): Promise<void> {
  const { world, prng } = simulation
  await simulation.startForSure()
  simulation.workload.setDoors(true)
  await simulation.populate()
  for (let cycle = 0; cycle < story.cycles; cycle++) {
    if (world.process === null) {
      if (prng.chance(0.2)) endLater(simulation, prng.pick(['kill', 'power'] as const), 30)
      const up = await simulation.start()
      if (up && prng.chance(0.4)) await simulation.verify()
      simulation.workload.setDoors(true)
    }
    story.weather?.(simulation)
    if (world.process !== null) await oneCycle(simulation, prng.pick(story.ends))
    simulation.heal()
    if (world.process !== null) continue
    if (prng.chance(story.powerWhileDown ?? 0)) world.losePowerWhileDown()
    if (cycle + 1 < story.cycles) story.whileDown?.(simulation)
  }
  await simulation.finish()
}

/** Time passes, and the process ends as told, or earlier. */
async function oneCycle(simulation: Simulation, end: End): Promise<void> {
  const { world, prng } = simulation
  const { process } = world
  const lengthMs = prng.pick([5, 50, 300, 1500]) * (0.5 + prng.float())
  if (end !== 'close' && prng.chance(0.5)) endAtOperation(simulation, end, prng.between(1, 400))
  await world.run(lengthMs, () => process?.alive !== true)
  if (process?.alive !== true) return
  if (end === 'close') await simulation.stop()
  else finishOff(simulation, end)
}

function finishOff({ world }: Simulation, end: 'kill' | 'power'): void {
  if (end === 'kill') world.kill()
  else world.losePower()
}

/** Ends whatever process runs in a while, be it only starting. */
export function endLater(simulation: Simulation, end: 'kill' | 'power', withinMs: number): void {
  simulation.later(withinMs * simulation.prng.float(), () => finishOff(simulation, end))
}

/** Ends the process while its so-many-th operation from now is under way. */
function endAtOperation(simulation: Simulation, end: 'kill' | 'power', operations: number): void {
  const { world, prng } = simulation
  const delayMs = 0.3 * prng.float()
  let left = operations
  const source: FaultSource = () => {
    left -= 1
    if (left === 0) simulation.later(delayMs, () => finishOff(simulation, end))
    return null
  }
  world.faults.push(source)
}

/** Operations of these kinds fail now and then. */
export function failing(prng: Prng, kinds: readonly OperationKind[], fault: Fault, probability: number): FaultSource {
  const chance = prng.fork()
  return operation => (kinds.includes(operation.kind) && chance.chance(probability) ? fault : null)
}

/** Exactly one operation of these kinds fails, the so-many-th from now. */
export function failingOnce(kinds: readonly OperationKind[], fault: Fault, operations: number): FaultSource {
  let left = operations
  return operation => {
    if (!kinds.includes(operation.kind)) return null
    left -= 1
    return left === 0 ? fault : null
  }
}
