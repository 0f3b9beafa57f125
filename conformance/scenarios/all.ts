/** The scenarios of every client, in the order of the table's columns. */
import type { Scenario } from '../harness/stage.ts'
import { codecScenario } from './codecs.ts'
import { commits } from './commits.ts'
import { groupAdmin } from './group-admin.ts'
import { idempotence } from './idempotence.ts'
import { manyRecords } from './many-records.ts'
import { offsetLookup } from './offset-lookup.ts'
import { recordParts } from './record-parts.ts'
import { restart } from './restart.ts'
import { sizeLimit } from './size-limit.ts'
import { threeMembers } from './three-members.ts'
import { topicLife } from './topic-life.ts'

export const scenarios: readonly Scenario[] = [
  topicLife,
  codecScenario,
  recordParts,
  offsetLookup,
  commits,
  threeMembers,
  groupAdmin,
  idempotence,
  sizeLimit,
  restart,
  manyRecords,
]
