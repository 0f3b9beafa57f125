/** Consumer groups with real clients: kafkajs, @platformatic/kafka, kcat -G; what the group does, and that nothing is lost. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Consumer as PlatformaticConsumer, stringDeserializers } from '@platformatic/kafka'
import { type Consumer, Kafka, logLevel } from 'kafkajs'
import { apis } from '../../src/wire/api-keys.ts'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { GroupMember } from '../support/group-member.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { kcat, spawnKcat, withoutKcat } from '../support/kcat.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually, within } from '../support/waiting.ts'

describe('consumer groups of real clients', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path, set: { 'group.min.session.timeout.ms': 1_000 } })
    client = await KafkaClient.connect(tidelog.port)
  })
  after(async () => {
    await client[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const send = async (topic: string, partition: number, values: readonly string[]) => {
    const { error } = await client.produce(topic, partition, buildBatch(values.map(value => ({ value }))))
    assert.equal(error, 'NONE')
  }
  const stateOf = async (group: string) => {
    const { groups } = await client.call(apis.describeGroups, 5, { groups: [group] })
    return groups[0]!
  }
  const committed = async (group: string) => {
    const { groups } = await client.call(apis.offsetFetch, 9, { groups: [{ groupId: group, topics: null }] })
    const rows = groups[0]?.topics.flatMap(({ partitions }) => partitions) ?? []
    return rows.sort((a, b) => a.partitionIndex - b.partitionIndex).map(({ committedOffset }) => committedOffset)
  }

  it('kafkajs: two members share the partitions, and each goes on where the other left off', async () => {
    await client.createTopic('shared', 4)
    const kafka = new Kafka({ brokers: [tidelog.address], clientId: 'kafkajs-test', logLevel: logLevel.NOTHING })
    // A record may come twice where a share changes hands before its commit.
    const seen = new Set<string>()
    const assigned = new Map<string, readonly number[]>()
    const start = async (name: string): Promise<Consumer> => {
      const consumer = kafka.consumer({
        groupId: 'kafkajs',
        sessionTimeout: 6_000,
        heartbeatInterval: 50,
        maxWaitTimeInMs: 50,
      })
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        assigned.set(name, payload.memberAssignment['shared'] ?? [])
      })
      await consumer.connect()
      await consumer.subscribe({ topic: 'shared', fromBeginning: true })
      await consumer.run({
        eachMessage: async ({ message }) => {
          seen.add(String(message.value))
        },
      })
      return consumer
    }
    const sendRound = (round: string) => Promise.all([0, 1, 2, 3].map(p => send('shared', p, [`${round}${p}`])))
    const received = (count: number) => eventually(5_000, `${count} records`, () => seen.size >= count)

    const one = await start('one')
    await sendRound('a')
    await received(4)
    assert.deepEqual(assigned.get('one'), [0, 1, 2, 3])
    const two = await start('two')
    await eventually(
      5_000,
      'a share for each',
      () => assigned.get('one')?.length === 2 && assigned.get('two')?.length === 2,
    )
    await sendRound('b')
    await received(8)

    const { members, protocolType, protocolData, groupState } = await stateOf('kafkajs')
    assert.deepEqual([groupState, protocolType, protocolData], ['Stable', 'consumer', 'RoundRobinAssigner'])
    assert.deepEqual(
      members.map(({ clientId, clientHost }) => [clientId, clientHost]),
      [
        ['kafkajs-test', '/127.0.0.1'],
        ['kafkajs-test', '/127.0.0.1'],
      ],
    )
    await two.disconnect()
    await eventually(5_000, 'all for the one that is left', () => assigned.get('one')?.length === 4)
    await sendRound('c')
    await received(12)
    await one.disconnect()
    assert.deepEqual(
      [...seen].sort(),
      ['a', 'b', 'c'].flatMap(round => [0, 1, 2, 3].map(p => `${round}${p}`)),
    )
    assert.deepEqual(await committed('kafkajs'), [3, 3, 3, 3])

    const admin = kafka.admin()
    await admin.connect()
    const { groups } = await admin.listGroups()
    assert.ok(groups.some(({ groupId, protocolType }) => groupId === 'kafkajs' && protocolType === 'consumer'))
    const [offsets] = await admin.fetchOffsets({ groupId: 'kafkajs', topics: ['shared'] })
    assert.deepEqual(
      offsets?.partitions.map(({ offset }) => offset),
      ['3', '3', '3', '3'],
    )
    await admin.deleteGroups(['kafkajs'])
    assert.equal((await stateOf('kafkajs')).groupState, 'Dead')
    await admin.disconnect()
  })

  it('@platformatic/kafka: two members, one of which goes', async () => {
    await client.createTopic('platformatic', 2)
    const seen = new Set<string>()
    const start = async (clientId: string) => {
      const consumer = new PlatformaticConsumer({
        clientId,
        groupId: 'platformatic',
        bootstrapBrokers: [tidelog.address],
        deserializers: stringDeserializers,
        sessionTimeout: 6_000,
        rebalanceTimeout: 6_000,
        heartbeatInterval: 100,
        maxWaitTime: 200,
        autocommit: true,
      })
      const stream = await consumer.consume({ topics: ['platformatic'], mode: 'committed', fallbackMode: 'earliest' })
      stream.on('data', message => seen.add(message.value))
      return { consumer, stream }
    }
    const received = (count: number) => eventually(5_000, `${count} records`, () => seen.size >= count)
    const one = await start('one')
    await send('platformatic', 0, ['a0'])
    await send('platformatic', 1, ['a1'])
    await received(2)
    const two = await start('two')
    await eventually(5_000, 'a group of two', async () => {
      const { groupState, members } = await stateOf('platformatic')
      return groupState === 'Stable' && members.length === 2
    })
    await send('platformatic', 0, ['b0'])
    await send('platformatic', 1, ['b1'])
    await received(4)
    await two.stream.close()
    await two.consumer.close(true)
    await eventually(5_000, 'a group of one', async () => {
      const { groupState, members } = await stateOf('platformatic')
      return groupState === 'Stable' && members.length === 1
    })
    await send('platformatic', 0, ['c0'])
    await send('platformatic', 1, ['c1'])
    await received(6)
    await one.stream.close()
    await one.consumer.close(true)
    assert.deepEqual([...seen].sort(), ['a0', 'a1', 'b0', 'b1', 'c0', 'c1'])
    assert.equal((await stateOf('platformatic')).groupState, 'Empty')
  })

  it('kcat -G: reads everything once, and goes on there the next time', { skip: withoutKcat }, async () => {
    await client.createTopic('kcat', 3)
    for (const partition of [0, 1, 2]) await send('kcat', partition, [`first ${partition}`])
    const args = ['-G', 'kcat', '-X', 'auto.offset.reset=earliest', '-e', '-q', 'kcat']
    const read = async () => (await kcat(tidelog.address, args)).stdout.split('\n').filter(Boolean).sort()
    assert.deepEqual(await read(), ['first 0', 'first 1', 'first 2'])
    assert.deepEqual(await committed('kcat'), [1, 1, 1])
    for (const partition of [0, 1, 2]) await send('kcat', partition, [`second ${partition}`])
    assert.deepEqual(await read(), ['second 0', 'second 1', 'second 2'])
  })

  it('kcat -G: a member that is killed is missed, and the other goes on without it', {
    skip: withoutKcat,
  }, async () => {
    await client.createTopic('missed', 2)
    const start = () =>
      spawnKcat(tidelog.address, [
        '-G',
        'missed',
        '-X',
        'auto.offset.reset=earliest',
        '-X',
        'session.timeout.ms=1500',
        '-X',
        'heartbeat.interval.ms=200',
        '-u',
        'missed',
      ])
    const stable = (count: number) =>
      eventually(15_000, `a stable group of ${count}`, async () => {
        const { groupState, members } = await stateOf('missed')
        return groupState === 'Stable' && members.length === count
      })
    const one = start()
    await stable(1)
    const two = start()
    await stable(2)
    two.kill('SIGKILL')
    await stable(1)
    let output = ''
    one.stdout.setEncoding('utf8').on('data', text => {
      output += text
    })
    await send('missed', 0, ['zero'])
    await send('missed', 1, ['one'])
    await eventually(5_000, 'both records', () => output.includes('zero') && output.includes('one'))
    one.kill('SIGTERM')
    await eventually(5_000, 'an empty group', async () => (await stateOf('missed')).groupState === 'Empty')
  })

  it('a connection whose member waits for the others is not idle, and a stop does not wait for them', async () => {
    await using other = await tempDir()
    await using quick = await Tidelog.start({ dataDir: other.path, set: { 'connections.max.idle.ms': 1_000 } })
    const options = { group: 'held', topics: ['t'], sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 60_000 }
    await using first = await GroupMember.connect(quick.port, options)
    await first.enter()
    await first.sync(id => id)
    await using second = await GroupMember.connect(quick.port, options)
    const entering = second.enter().catch(() => null)
    const early = await Promise.race([entering, eventually(4_000, 'the idle one gone', () => first.client.isClosed)])
    assert.equal(early, true, 'the first, which is idle, is closed; the second is not answered')
    assert.equal(second.client.isClosed, false)
    const startedMs = performance.now()
    assert.deepEqual(await quick.stop(), { code: 0, signal: null })
    assert.ok(performance.now() - startedMs < 3_000)
    const answer = await within(1_000, 'an answer, or the end', entering)
    if (answer !== null) assert.equal(answer.errorCode, 15, 'COORDINATOR_NOT_AVAILABLE')
  })

  it('what is asked behind a join that waits is answered after it, in order', async () => {
    const options = { group: 'behind', topics: ['t'], sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 }
    await using first = await GroupMember.connect(tidelog.port, options)
    await first.enter()
    await first.sync(id => id)
    await using second = await GroupMember.connect(tidelog.port, options)
    await second.join()
    let answered = 0
    const count = () => void answered++
    const held = second.join().then(count)
    const others = Array.from({ length: 100 }, () => second.client.call(apis.listGroups, 5, {}).then(count))
    await eventually(5_000, 'a rebalance', async () => (await stateOf('behind')).groupState === 'PreparingRebalance')
    assert.equal(answered, 0)
    assert.equal(await first.leave(), 'NONE')
    // The client looks at the order.
    await Promise.all([held, ...others])
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('warn'), ...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
