/** Java: Apache Kafka's own client, as it is and as it was before 4.0. One source, compiled against each. */

import { join } from 'node:path'
import type { AgentProgram, Folders, Language, Step } from '../harness/language.ts'
import { JAVA_TOOLS, whyTooOld } from './maven.ts'

/** A version of kafka-clients, and the pom.xml that pins it. */
const LINES = [
  { version: '4.3.1', pom: 'kafka-clients-4.xml' },
  { version: '3.9.2', pom: 'kafka-clients-3.xml' },
] as const

export const language: Language = {
  name: 'Java',
  tools: JAVA_TOOLS,
  missing: whyTooOld,
  prepare: folders => LINES.map(line => prepared(line, folders)),
  agents: folders => LINES.map(line => agent(line, folders)),
}

const argumentsOf = (line: (typeof LINES)[number], { cache }: Folders): string =>
  join(cache, `kafka-clients-${line.version}.args`)

const prepared = (line: (typeof LINES)[number], folders: Folders): Step => ({
  command: [
    process.execPath,
    join(folders.source, 'maven.ts'),
    join(folders.source, line.pom),
    join(folders.source, 'src'),
    folders.cache,
    argumentsOf(line, folders),
  ],
  minutesMax: 6,
})

const agent = (line: (typeof LINES)[number], folders: Folders): AgentProgram => ({
  client: 'kafka-clients',
  version: line.version,
  command: [
    'java',
    `@${argumentsOf(line, folders)}`,
    '-Xmx128m',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
    'Agent',
  ],
})
