/** `__consumer_offsets` through the console consumer's formatters: offsets and group states in Kafka's own formats, and their tombstones. */
import { holds, same } from '../../harness/expect.ts'
import { type GroupRecord, OFFSETS_TOPIC, type OffsetRecord, partitionOf } from '../coordinator-records.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

const READ_MS = '10000'
const RECENT_MS = 120_000

export const offsetsTopic: Play = {
  name: '__consumer_offsets as its formatters read it',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('offsets-topic')
    const group = unique('offsets-topic')
    await tools.ok('kafka-topics', ['--create', '--topic', topic])
    await tools.ok('kafka-console-producer', ['--topic', topic], 'a\nb\nc\n')
    const reader = [
      '--topic',
      topic,
      '--group',
      group,
      '--from-beginning',
      '--max-messages',
      '3',
      '--timeout-ms',
      '10000',
    ]
    await tools.ok('kafka-console-consumer', reader)
    const partition = await partitionOf(tools, group)

    const offsets = await offsetsOf(tools, partition, group)
    const last = offsets.at(-1)
    same('the committed offset', [last?.key.data, last?.value?.data.offset], [{ group, topic, partition: 0 }, 3])
    const ageMs = Date.now() - (last?.value?.data.commitTimestamp ?? 0)
    holds(ageMs >= 0 && ageMs < RECENT_MS, `the commit's timestamp is ${ageMs} ms old`)
    await statesOf(tools, partition, group)

    await tools.ok('kafka-consumer-groups', ['--delete', '--group', group])
    same('the last word on a deleted offset', (await offsetsOf(tools, partition, group)).at(-1)?.value, null)
    const states = await read<GroupRecord>(tools, partition, group, 'GroupMetadataMessageFormatter')
    same('the last word on a deleted group', states.at(-1)?.value, null)
  },
}

const offsetsOf = (tools: Tools, partition: number, group: string) =>
  read<OffsetRecord>(tools, partition, group, 'OffsetsMessageFormatter')

/** The group was stable with its member, and empty in the end. */
async function statesOf(tools: Tools, partition: number, group: string): Promise<void> {
  const states = await read<GroupRecord>(tools, partition, group, 'GroupMetadataMessageFormatter')
  const stable = states.find(({ value }) => value?.data.members.length === 1)?.value?.data
  const [member] = stable?.members ?? []
  same(
    'protocol type and protocol of the stable group',
    [stable?.protocolType, stable?.protocol],
    ['consumer', 'range'],
  )
  same('its leader', stable?.leader, member?.memberId)
  same("the member's client id", member?.clientId, 'console-consumer')
  holds(member?.clientHost.startsWith('/') === true, `the member's host is ${member?.clientHost}`)
  const end = states.at(-1)?.value?.data
  const left = { protocolType: end?.protocolType, protocol: end?.protocol, leader: end?.leader, members: end?.members }
  same('the state when all have left', left, { protocolType: 'consumer', protocol: null, leader: null, members: [] })
  holds((end?.generation ?? 0) > (stable?.generation ?? 0), 'the generation does not grow when the group becomes empty')
}

/** The records about one group. The formatters print one JSON object behind the other, with nothing in between. */
async function read<R extends OffsetRecord | GroupRecord>(
  tools: Tools,
  partition: number,
  group: string,
  formatter: string,
): Promise<R[]> {
  const at = async (time: string) => {
    const told = await tools.ok('kafka-get-offsets', [
      '--topic-partitions',
      `${OFFSETS_TOPIC}:${partition}`,
      '--time',
      time,
    ])
    return Number(told.trim().split(':')[2])
  }
  const count = (await at('latest')) - (await at('earliest'))
  const printed = await tools.ok('kafka-console-consumer', [
    ...['--topic', OFFSETS_TOPIC, '--partition', `${partition}`, '--offset', 'earliest'],
    ...['--formatter', `org.apache.kafka.tools.consumer.${formatter}`],
    ...['--max-messages', `${count}`, '--timeout-ms', READ_MS],
  ])
  const records = printed
    .replaceAll('}{"key"', '}\n{"key"')
    .split('\n')
    .filter(line => line.trim() !== '')
  return records.map(record => JSON.parse(record) as R).filter(({ key }) => key.data.group === group)
}
