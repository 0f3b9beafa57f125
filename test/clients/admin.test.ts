/** Topic administration by real clients: topics grow, lose records and get other configs, also across a restart. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka'
import kafkajsModule, { Kafka, type Admin as KafkajsAdmin, logLevel, Partitioners } from 'kafkajs'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

const { TOPIC } = kafkajsModule.ConfigResourceTypes

describe('administration', () => {
  let dir: TempDir
  let tidelog: Tidelog
  /** What kafkajs has to say that is not fine. */
  const complaints: string[] = []

  const start = async () => {
    tidelog = await Tidelog.start({ dataDir: dir.path, set: { 'log.retention.hours': '24' } })
  }
  before(async () => {
    dir = await tempDir()
    await start()
  })
  after(async () => {
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const kafkajs = () =>
    new Kafka({
      brokers: [tidelog.address],
      clientId: 'admin-test',
      logLevel: logLevel.WARN,
      retry: { retries: 1 },
      logCreator: () => entry => complaints.push(`${entry.label}: ${entry.log.message}`),
    })

  const withKafkajs = async <T>(use: (admin: KafkajsAdmin) => Promise<T>): Promise<T> => {
    const admin = kafkajs().admin()
    await admin.connect()
    try {
      return await use(admin)
    } finally {
      await admin.disconnect()
    }
  }
  const withPlatformatic = async <T>(use: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = new Admin({ clientId: 'admin-test', bootstrapBrokers: [tidelog.address], retries: 0 })
    try {
      return await use(admin)
    } finally {
      await admin.close()
    }
  }
  const send = async (topic: string, partition: number, ...values: string[]) => {
    const producer = kafkajs().producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    try {
      await producer.send({ topic, messages: values.map(value => ({ value, partition })) })
    } finally {
      await producer.disconnect()
    }
  }
  /** `partition: low to high` of a topic, as kafkajs sees it. */
  const offsetsOf = (admin: KafkajsAdmin, topic: string) =>
    admin.fetchTopicOffsets(topic).then(offsets => {
      const places = offsets.map(({ partition, low, high }) => `${partition}: ${low} to ${high}`)
      return places.sort()
    })
  const topicConfigs = async (admin: KafkajsAdmin, name: string, ...configNames: string[]) => {
    const resources = [{ type: TOPIC, name, configNames }]
    const described = await admin.describeConfigs({ resources, includeSynonyms: true })
    return Object.fromEntries(described.resources[0]!.configEntries.map(entry => [entry.configName, entry]))
  }

  it('kafkajs lets a topic grow, uses the new partitions and deletes records', async () => {
    await withKafkajs(async admin => {
      await admin.createTopics({ topics: [{ topic: 'grown', numPartitions: 1 }] })
      await admin.createPartitions({ topicPartitions: [{ topic: 'grown', count: 3 }] })
      await send('grown', 2, 'a', 'b', 'c', 'd')
      assert.deepEqual(await offsetsOf(admin, 'grown'), ['0: 0 to 0', '1: 0 to 0', '2: 0 to 4'])
      await admin.deleteTopicRecords({ topic: 'grown', partitions: [{ partition: 2, offset: '3' }] })
      assert.deepEqual(await offsetsOf(admin, 'grown'), ['0: 0 to 0', '1: 0 to 0', '2: 3 to 4'])
      await admin.deleteTopicRecords({ topic: 'grown', partitions: [{ partition: 2, offset: '-1' }] })
      assert.deepEqual(await offsetsOf(admin, 'grown'), ['0: 0 to 0', '1: 0 to 0', '2: 4 to 4'])
      const shrink = admin.createPartitions({ topicPartitions: [{ topic: 'grown', count: 2 }] })
      await assert.rejects(shrink, /partitions/i)
    })
  })

  it('kafkajs reads configs with their synonyms, replaces them, and is told what is wrong', async () => {
    await withKafkajs(async admin => {
      const configEntries = [{ name: 'retention.ms', value: '5000' }]
      await admin.createTopics({ topics: [{ topic: 'configured', configEntries }] })
      const { 'retention.ms': retention } = await topicConfigs(admin, 'configured', 'retention.ms')
      assert.equal(retention?.configValue, '5000')
      assert.deepEqual(
        retention?.configSynonyms.map(({ configName, configValue }) => `${configName}=${configValue}`),
        ['retention.ms=5000', 'log.retention.hours=24', 'log.retention.hours=168'],
      )
      const alter = (name: string, value: string) =>
        admin.alterConfigs({
          validateOnly: false,
          resources: [{ type: TOPIC, name: 'configured', configEntries: [{ name, value }] }],
        })
      await alter('cleanup.policy', 'compact')
      await assert.rejects(alter('segment.bytes', '1'), /Configuration is invalid/i)
      const now = await topicConfigs(admin, 'configured', 'cleanup.policy', 'retention.ms')
      assert.equal(now['cleanup.policy']?.configValue, 'compact')
      assert.equal(now['retention.ms']?.configValue, '86400000', "it fell back to the broker's")
    })
  })

  it('offsets that are set for a group without members are read by another client', async () => {
    await withKafkajs(async admin => {
      await admin.createTopics({ topics: [{ topic: 'followed', numPartitions: 2 }] })
      await send('followed', 1, 'a', 'b', 'c')
      const topics = [{ name: 'followed', partitionOffsets: [{ partition: 1, offset: 2n }] }]
      await withPlatformatic(other => other.alterConsumerGroupOffsets({ groupId: 'followers', topics }))
      const offsets = await admin.fetchOffsets({ groupId: 'followers', topics: ['followed'] })
      const places = offsets[0]!.partitions.map(({ partition, offset }) => `${partition}: ${offset}`)
      assert.deepEqual(places.sort(), ['0: -1', '1: 2'])
    })
  })

  it('@platformatic/kafka reads the configs of the broker as they are in fact', async () => {
    await withPlatformatic(async admin => {
      const resources = [{ resourceType: ConfigResourceTypes.BROKER, resourceName: '1', configurationKeys: null }]
      const [broker] = await admin.describeConfigs({ resources, includeDocumentation: true })
      const configs = new Map(broker!.configs.map(config => [config.name, config]))
      assert.equal(configs.get('listeners')?.value, `PLAINTEXT://localhost:${tidelog.port}`)
      assert.equal(configs.get('log.dirs')?.value, resolve(dir.path))
      assert.equal(configs.get('node.id')?.value, '1')
      assert.equal(configs.get('log.retention.hours')?.value, '24')
      assert.match(configs.get('advertised.listeners')?.value ?? '', new RegExp(`^PLAINTEXT://.*:${tidelog.port}$`))
      assert.ok([...configs.values()].every(({ documentation, readOnly }) => documentation && readOnly))
    })
  })

  it('@platformatic/kafka grows topics, alters single configs and deletes records, for good', async () => {
    const { SET, APPEND } = IncrementalAlterConfigOperationTypes
    await withPlatformatic(async admin => {
      await admin.createTopics({ topics: ['kept'], partitions: 1, replicas: 1 })
      await admin.createPartitions({ topics: [{ name: 'kept', count: 2, assignments: [{ brokerIds: [1] }] }] })
      await send('kept', 1, 'a', 'b', 'c')
      const configs = [
        { name: 'cleanup.policy', configOperation: APPEND, value: 'compact' },
        { name: 'max.message.bytes', configOperation: SET, value: '5000' },
      ]
      const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: 'kept', configs }]
      await admin.incrementalAlterConfigs({ resources })
      const topics = [{ name: 'kept', partitions: [{ partition: 1, offset: 2n }] }]
      const deleted = await admin.deleteRecords({ topics })
      assert.equal(deleted[0]?.partitions[0]?.lowWatermark, 2n)
      const [broker] = await admin.describeLogDirs({ topics: [{ name: 'kept', partitions: [0, 1] }] })
      const [directory] = broker!.results
      assert.equal(directory?.logDir, resolve(dir.path))
      assert.ok((directory?.totalBytes ?? 0n) > (directory?.usableBytes ?? 0n))
      assert.equal(directory?.topics[0]?.partitions.length, 2)
    })
    await tidelog.kill()
    await start()
    await withKafkajs(async admin => {
      assert.deepEqual(await offsetsOf(admin, 'kept'), ['0: 0 to 0', '1: 2 to 3'])
      const configs = await topicConfigs(admin, 'kept', 'cleanup.policy', 'max.message.bytes')
      assert.equal(configs['cleanup.policy']?.configValue, 'delete,compact')
      assert.equal(configs['max.message.bytes']?.configValue, '5000')
    })
  })

  it('left nothing to complain about', () => {
    const isExpected = (text: string) => /Response (AlterConfigs|CreatePartitions)\(/.test(text)
    assert.deepEqual(
      complaints.filter(text => !isExpected(text)),
      [],
    )
  })
})
