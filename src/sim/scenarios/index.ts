/** All scenarios, in the order in which a search takes them up. */
import type { Scenario } from '../simulation.ts'
import { kills, powerLosses } from './crashes.ts'
import { failedSync } from './failed-sync.ts'
import { fullDisk } from './full-disk.ts'
import { groups } from './groups.ts'
import { mixed } from './mixed.ts'
import { rot } from './rot.ts'
import { text } from './text.ts'

export const scenarios: readonly Scenario[] = [mixed, powerLosses, kills, fullDisk, failedSync, rot, groups, text]
