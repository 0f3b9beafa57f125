/** The command line tools of Apache Kafka: no client to send through the scenarios, but checks of their own. */

import { join } from 'node:path'
import type { Check, Folders, Language } from '../harness/language.ts'
import { JAVA_TOOLS, whyTooOld } from '../java/maven.ts'
import { cluster } from './checks/cluster.ts'
import { configs } from './checks/configs.ts'
import { consoles } from './checks/consoles.ts'
import { consumerGroups } from './checks/consumer-groups.ts'
import { dumpLog } from './checks/dump-log.ts'
import { offsetsTopic } from './checks/offsets-topic.ts'
import { performance } from './checks/performance.ts'
import { recompressed } from './checks/recompressed.ts'
import { recordOffsets } from './checks/record-offsets.ts'
import { topics } from './checks/topics.ts'
import { verifiable } from './checks/verifiable.ts'
import type { Play } from './play.ts'
import { Tools, VERSION } from './tools.ts'

const PLAYS: readonly Play[] = [
  topics,
  configs,
  consumerGroups,
  recordOffsets,
  cluster,
  consoles,
  recompressed,
  offsetsTopic,
  verifiable,
  performance,
  dumpLog,
]

export const language: Language = {
  name: 'Kafka tools',
  tools: JAVA_TOOLS,
  missing: whyTooOld,
  prepare: ({ source, cache }) => [
    {
      command: [
        process.execPath,
        join(source, '..', 'java', 'maven.ts'),
        join(source, 'pom.xml'),
        join(source, 'src'),
        cache,
        argumentsOf(cache),
      ],
      minutesMax: 6,
    },
  ],
  agents: () => [],
  checks: folders => PLAYS.map(play => checkOf(play, folders)),
}

const argumentsOf = (cache: string) => join(cache, 'kafka-tools.args')

const checkOf = ({ name, limitMs, run }: Play, { cache }: Folders): Check => ({
  client: 'kafka-tools',
  version: VERSION,
  name,
  limitMs,
  run: async context => {
    await using tools = new Tools(argumentsOf(cache), context.bootstrap, context.signal)
    await run(tools, context)
  },
})
