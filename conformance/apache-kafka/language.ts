/** No language: what Apache Kafka answers on the wire, recorded from it (`record.ts`), and asked of the broker under test. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { apis } from '../../src/wire/api-keys.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { KafkaClient } from '../../test/support/kafka-client.ts'
import { eventually } from '../../test/support/waiting.ts'
import { Difference } from '../harness/expect.ts'
import type { CheckContext, Language } from '../harness/language.ts'
import { type Block, parseScript, playScript } from './group-script.ts'

/** Recorded from this version. */
const VERSION = '4.3.1'
const LIMIT_MS = 90_000
const COORDINATOR_MS = 20_000

export const scriptsFolder = join(import.meta.dirname, 'groups')

export const language: Language = {
  name: 'Apache Kafka, recorded',
  tools: [],
  prepare: () => [],
  agents: () => [],
  checks: () => [
    { client: 'Apache Kafka', version: VERSION, name: 'recorded scripts of groups', limitMs: LIMIT_MS, run },
  ],
}

export interface Recorded {
  /** The file's name. */
  readonly name: string
  readonly blocks: readonly Block[]
}

export function recordedScripts(): Recorded[] {
  const names = readdirSync(scriptsFolder)
    .filter(name => name.endsWith('.txt'))
    .sort()
  return names.map(name => ({ name, blocks: parseScript(readFileSync(join(scriptsFolder, name), 'utf8')) }))
}

/** All scripts at once: what takes their time is the sessions that run out in some of them. */
export async function playAll(context: Pick<CheckContext, 'broker' | 'unique'>): Promise<Recorded[]> {
  const { host, port } = context.broker
  const topic = context.unique('scripts')
  await using client = await KafkaClient.connect(port, host)
  await client.createTopic(topic)
  return await Promise.all(
    recordedScripts().map(async ({ name, blocks }) => {
      const group = context.unique(name)
      await withCoordinator(client, group)
      return { name, blocks: await playScript(blocks, { host, port, group, topic }) }
    }),
  )
}

async function run(context: CheckContext): Promise<void> {
  const played = await playAll(context)
  for (const [i, { name, blocks }] of recordedScripts().entries()) {
    for (const [j, { lines, answers }] of blocks.entries()) {
      const now = played[i]!.blocks[j]!.answers
      if (now.join('\n') === answers.join('\n')) continue
      throw new Difference(
        `${name}, ${lines.at(-1)}: “${now.join('; ')}”, and Apache Kafka says “${answers.join('; ')}”`,
      )
    }
  }
}

/** The first group of a broker makes it make its offsets topic. */
async function withCoordinator(client: KafkaClient, group: string): Promise<void> {
  await eventually(COORDINATOR_MS, 'that the group has a coordinator', async () => {
    await client.call(apis.findCoordinator, 4, { keyType: 0, coordinatorKeys: [group] })
    const { groups } = await client.call(apis.describeGroups, 5, {
      groups: [group],
      includeAuthorizedOperations: false,
    })
    return kafkaErrorName(groups[0]!.errorCode) === 'NONE'
  })
}
