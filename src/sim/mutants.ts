/**
 * Planted bugs: does the simulator find them? Each is either a disk that lies or a copy of the sources with one place changed.
 * Production code has no switch for any of this; the text that a mutant changes must occur exactly once, so that a mutant
 * cannot quietly come to nothing when the code moves on.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { invariant } from '../base/invariant.ts'
import type { Fault, Operation } from './disk.ts'
import type { Edit, Mutant } from './mutant-list.ts'
import type { RunReport, Scenario } from './simulation.ts'

/** What a copy of this folder offers. */
interface Simulator {
  readonly runScenario: typeof import('./simulation.ts').runScenario
  readonly openEngine: typeof import('./node.ts').openEngine
  readonly scenarios: readonly Scenario[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs seeds until one finds the bug; null when none does. */
export async function findMutant(mutant: Mutant, onSeed: (seed: number) => void): Promise<RunReport | null> {
  const folder = mkdtempSync(join(tmpdir(), 'tidelog-mutant-'))
  try {
    const simulator = await load('disk' in mutant.bug ? root : copyMutated(folder, mutant.bug.edits))
    const scenario = simulator.scenarios.find(other => other.name === mutant.scenario)
    invariant(scenario !== undefined, 'a mutant names a scenario that exists')
    const lying = 'disk' in mutant.bug ? withDisk(scenario, mutant.bug.disk) : scenario
    for (let seed = 1; seed <= mutant.seedsMax; seed++) {
      onSeed(seed)
      const report = await simulator.runScenario({ seed, scenario: lying, openWith: simulator.openEngine })
      if (report.anomalies.length > 0) return report
    }
    return null
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function load(folder: string): Promise<Simulator> {
  const from = (file: string) => import(pathToFileURL(join(folder, 'src/sim', file)).href)
  const [simulation, node, index] = await Promise.all([
    from('simulation.ts'),
    from('node.ts'),
    from('scenarios/index.ts'),
  ])
  return { runScenario: simulation.runScenario, openEngine: node.openEngine, scenarios: index.scenarios }
}

/** What keeps an edit from being made, as a sentence; null when its text occurs exactly once. */
export function whyNotPlanted({ file, find }: Edit): string | null {
  const count = readFileSync(join(root, file), 'utf8').split(find).length - 1
  return count === 1 ? null : `the text to change occurs ${count} times in ${file}: ${find}`
}

/** A copy of the sources that differs in a few places. Not below `node_modules`, where Node strips no types. */
export function copyMutated(folder: string, edits: readonly Edit[]): string {
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true, filter: path => !path.endsWith('.test.ts') })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const edit of edits) {
    const why = whyNotPlanted(edit)
    invariant(why === null, why ?? '')
    const path = join(folder, edit.file)
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace(edit.find, () => edit.replace),
    )
  }
  return folder
}

function withDisk(scenario: Scenario, disk: (operation: Operation) => Fault | null): Scenario {
  return {
    ...scenario,
    run: simulation => {
      simulation.world.disposition.push(disk)
      return scenario.run(simulation)
    },
  }
}
