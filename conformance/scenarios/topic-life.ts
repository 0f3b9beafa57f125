/** A topic from its creation to its end, and what must be refused on the way. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Difference, refused, same } from '../harness/expect.ts'
import { type Scenario, unique } from '../harness/stage.ts'

const soonMs = 10_000

export const topicLife: Scenario = {
  name: 'topics',
  about: 'a topic is created, described, configured, given partitions, cut at its start, deleted and made anew',
  limitMs: 60_000,
  async run(stage) {
    const agent = await stage.agent()
    const topic = unique('life')
    await agent.ask('createTopic', { topic, partitions: 2, configs: { 'retention.ms': '3600000' } })
    same('the number of partitions', (await agent.ask('describeTopic', { topic })).partitions, 2)

    await stage.step('what cannot be created', async () => {
      const create = (name: string, partitions: number, configs = {}) =>
        agent.ask('createTopic', { topic: name, partitions, configs })
      await refused('a second topic of the name', 'TOPIC_ALREADY_EXISTS', create(topic, 2))
      await refused('a topic without partitions', 'INVALID_PARTITIONS', create(unique('none'), 0))
      await refused('a name with a space', 'INVALID_TOPIC_EXCEPTION', create('not a name', 1))
      await refused('a config out of range', 'INVALID_CONFIG', create(unique('bad'), 1, { 'retention.ms': 'soon' }))
    })

    const names = ['retention.ms', 'max.message.bytes']
    await stage.step('describing configs', async () => {
      const { configs } = await agent.ask('describeConfigs', { topic, names })
      same('retention.ms', configs['retention.ms'], { value: '3600000', isDefault: false })
      same('max.message.bytes', configs['max.message.bytes'], { value: '1048588', isDefault: true })
    })

    await stage.step('altering configs', async () => {
      await agent.ask('alterConfigs', { topic, set: { 'max.message.bytes': '2000000' } })
      await soon(async () => {
        const { configs } = await agent.ask('describeConfigs', { topic, names })
        same('max.message.bytes after it was set', configs['max.message.bytes'], { value: '2000000', isDefault: false })
        same('retention.ms after another was set', configs['retention.ms'], { value: '3600000', isDefault: false })
      })
      const bad = agent.ask('alterConfigs', { topic, set: { 'retention.ms': 'soon' } })
      await refused('a retention.ms that is no number', 'INVALID_CONFIG', bad)
    })

    await stage.step('more partitions', async () => {
      await agent.ask('createPartitions', { topic, total: 5 })
      await soon(async () => {
        same('the number of partitions', (await agent.ask('describeTopic', { topic })).partitions, 5)
      })
      await refused('fewer partitions', 'INVALID_PARTITIONS', agent.ask('createPartitions', { topic, total: 3 }))
      const records = [{ partition: 4, value: 'in the last one' }]
      await agent.ask('produce', { topic, codec: 'none', acks: -1, idempotent: false, records })
      same(
        'the end of the new partition',
        (await agent.ask('offsets', { topic, partition: 4, at: 'latest' })).offset,
        1,
      )
    })

    await stage.step('deleting records', async () => {
      const records = Array.from({ length: 10 }, (_, i) => ({ partition: 0, value: `record ${i}` }))
      await agent.ask('produce', { topic, codec: 'none', acks: -1, idempotent: false, records })
      await agent.ask('deleteRecords', { topic, partition: 0, before: 4 })
      same('the start of the log', (await agent.ask('offsets', { topic, partition: 0, at: 'earliest' })).offset, 4)
      const beyond = agent.ask('deleteRecords', { topic, partition: 0, before: 1_000 })
      await refused('deleting beyond the end', 'OFFSET_OUT_OF_RANGE', beyond)
      const read = await agent.ask('consume', { topic, partition: 0, from: 4, count: 6, timeoutMs: 10_000 })
      same(
        'the offsets that are left',
        read.records.map(({ offset }) => offset),
        [4, 5, 6, 7, 8, 9],
      )
    })

    await stage.step('deleting the topic', async () => {
      await agent.ask('deleteTopic', { topic })
      await soon(() => refused('describing it', 'UNKNOWN_TOPIC_OR_PARTITION', agent.ask('describeTopic', { topic })))
      await refused('deleting it again', 'UNKNOWN_TOPIC_OR_PARTITION', agent.ask('deleteTopic', { topic }))
    })

    await stage.step('making it anew', async () => {
      await agent.ask('createTopic', { topic, partitions: 1, configs: {} })
      same('the number of partitions', (await agent.ask('describeTopic', { topic })).partitions, 1)
      same('the end of the log', (await agent.ask('offsets', { topic, partition: 0, at: 'latest' })).offset, 0)
    })
  },
}

/** Kafka answers when a change is decided; a moment later the broker knows. */
async function soon(check: () => Promise<void>): Promise<void> {
  const untilMs = performance.now() + soonMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (!(error instanceof Difference) || performance.now() > untilMs) throw error
      await sleep(100)
    }
  }
}
