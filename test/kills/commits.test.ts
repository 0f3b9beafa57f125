/**
 * Consumers that commit, over SIGKILLs: positions never go back, none that was acknowledged is lost, and the members of a group
 * are still its members when the process is there again. Clients over the wire commit numbers that only rise; real consumers
 * of kafkajs process records, and none may be passed over.
 *
 *     KILLS_CYCLES=100 KILLS_SEED=7 npm run kills
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import { apis } from '../../src/wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { GroupMember } from '../support/group-member.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { steadyPort, Tidelog } from '../support/tidelog.ts'
import { consumeWithKafkajs } from './consumers.ts'
import { Positions } from './positions.ts'
import { isAway } from './watermarks.ts'

const cyclesDefault = 12
const { KILLS_CYCLES = cyclesDefault, KILLS_SEED = Date.now() % 1_000_000_000 } = process.env
const cycles = Number(KILLS_CYCLES)
const seed = Number(KILLS_SEED)

const runMsMax = 1_500
/** Fewer would prove nothing. */
const acknowledgedMin = 100

const topic = 'tides'
const partitions = 3
const simpleGroups = ['simple-0', 'simple-1', 'simple-2', 'simple-3']
const memberGroups = ['member-0', 'member-1']
/** Long enough that each partition of the offsets topic is rewritten now and then, as its log grows. */
const metadata = 'm'.repeat(500)
const offsetsTopicPartitions = 4
const set = {
  'offsets.topic.num.partitions': offsetsTopicPartitions,
  'tidelog.journal.bytes': 32 << 20,
  'tidelog.log.cache.bytes': 32 << 20,
}

interface Running {
  readonly port: number
  readonly positions: Positions
  stopped: boolean
}

describe(`${cycles} kills under committing consumers`, () => {
  after(() => setTimeout(() => process.exit(), 3_000).unref())

  it(`take no position back (KILLS_SEED=${seed})`, async test => {
    const prng = new Prng(seed)
    await using dir = await tempDir()
    const options = { dataDir: dir.path, port: await steadyPort(), set }
    let tidelog = await Tidelog.start(options)
    {
      await using client = await KafkaClient.connect(tidelog.port)
      await client.createTopic(topic, partitions)
    }
    let rewritten = 0
    const running: Running = { port: tidelog.port, positions: new Positions(), stopped: false }
    const kafkajs = consumeWithKafkajs(tidelog.address, running.positions)
    const ended = Promise.all([
      ...simpleGroups.map(group => overConnections(running, client => commitAlone(running, client, group))),
      ...memberGroups.map(group => keepMember(running, group)),
      overConnections(running, client => watch(running, client)),
      kafkajs.ended,
    ])
    const failed = ended.then(() => new Promise<never>(() => {}))
    try {
      for (let cycle = 0; cycle < cycles; cycle++) {
        await Promise.race([sleep(prng.between(50, runMsMax)), failed])
        await tidelog.kill()
        assertNoTrouble(tidelog)
        tidelog = await Tidelog.start(options)
      }
      await Promise.race([sleep(runMsMax), failed])
      running.stopped = true
      kafkajs.stop()
      await ended
      await tidelog.kill()
      tidelog = await Tidelog.start(options)
      {
        await using client = await KafkaClient.connect(tidelog.port)
        await lookAtAll(running, client)
        rewritten = await countRewritten(client)
      }
      assertNoTrouble(tidelog)
    } finally {
      running.stopped = true
      kafkajs.stop()
      await tidelog.kill()
    }

    const { positions } = running
    test.diagnostic(`${positions.summary}, ${rewritten} logs rewritten`)
    assert.deepEqual(positions.anomalies.slice(0, 20), [])
    if (cycles < cyclesDefault) return
    for (const group of [...simpleGroups, ...memberGroups, kafkajs.group]) {
      const count = positions.acknowledgedBy(group)
      assert.ok(count >= acknowledgedMin, `${group} had only ${count} commits acknowledged`)
    }
    assert.ok(rewritten > 0, 'logs of offsets were rewritten')
    assert.ok(positions.survivals > 0, 'a member went on after a kill in the generation that it was in')
  })
})

/** Does `work` on a connection, and on another one whenever that broke. */
async function overConnections(running: Running, work: (client: KafkaClient) => Promise<void>): Promise<void> {
  while (!running.stopped) {
    try {
      await using client = await KafkaClient.connect(running.port)
      while (!running.stopped) await work(client)
    } catch (error) {
      if (!isAway(error)) throw error
      await sleep(10)
    }
  }
}

/** Commits the next numbers of all partitions, by nobody in particular. */
async function commitAlone(running: Running, client: KafkaClient, group: string): Promise<void> {
  const { positions } = running
  const offsets = positions.next(group, partitions)
  const { topics } = await client.call(apis.offsetCommit, 9, {
    groupId: group,
    memberId: '',
    topics: [
      {
        name: topic,
        partitions: offsets.map((committedOffset, partitionIndex) => ({
          partitionIndex,
          committedOffset,
          committedMetadata: metadata,
        })),
      },
    ],
  })
  for (const { partitionIndex, errorCode } of topics[0]?.partitions ?? []) {
    const error = kafkaErrorName(errorCode)
    if (error === 'NONE') positions.acknowledge(group, partitionIndex, offsets[partitionIndex] as number)
    else if (!isPassing(error)) positions.anomalies.push(`${group}: a commit by nobody ends with ${error}`)
  }
  await sleep(1)
}

/** The only member of its group, which commits, and joins again only when it must. */
async function keepMember(running: Running, group: string): Promise<void> {
  const { positions } = running
  let known = { id: '', generation: -1 }
  while (!running.stopped) {
    try {
      await using member = await GroupMember.connect(running.port, { group, topics: [topic] })
      Object.assign(member, known)
      let isFirst = known.generation >= 0
      while (!running.stopped) {
        if (member.generation < 0 && !(await enter(member))) continue
        known = { id: member.id, generation: member.generation }
        const [offset = 0] = positions.next(group, 1)
        const error = await member.commit(topic, offset)
        if (error === 'NONE') {
          positions.acknowledge(group, 0, offset)
          if (isFirst) positions.survivals++
        } else if (!isPassing(error)) member.generation = -1
        isFirst = false
        await sleep(1)
      }
    } catch (error) {
      if (!isAway(error)) throw error
      await sleep(10)
    }
  }
}

async function enter(member: GroupMember): Promise<boolean> {
  const joined = kafkaErrorName((await member.enter()).errorCode)
  if (joined === 'UNKNOWN_MEMBER_ID') member.id = ''
  const isIn = joined === 'NONE' && (await member.sync(() => 'all')).error === 'NONE'
  if (!isIn) {
    member.generation = -1
    await sleep(20)
  }
  return isIn
}

async function watch(running: Running, client: KafkaClient): Promise<void> {
  await lookAtAll(running, client)
  await sleep(10)
}

/** Every group's positions, none of them below what was known before they were asked for. */
async function lookAtAll({ positions }: Running, client: KafkaClient): Promise<void> {
  const groups = positions.groups()
  if (groups.length === 0) return
  const least = positions.snapshot()
  const answer = await client.call(apis.offsetFetch, 9, {
    groups: groups.map(groupId => ({ groupId, topics: null })),
    requireStable: false,
  })
  for (const { groupId, topics, errorCode } of answer.groups) {
    const error = kafkaErrorName(errorCode)
    if (error !== 'NONE' && !isPassing(error)) positions.anomalies.push(`${groupId}: its offsets end with ${error}`)
    if (error !== 'NONE') continue
    const told = (topics[0]?.partitions ?? []).map(one => [one.partitionIndex, one.committedOffset] as const)
    positions.see(groupId, new Map(told), least)
  }
}

/** Logs of offsets that do not begin at 0 any more. */
async function countRewritten(client: KafkaClient): Promise<number> {
  let count = 0
  for (let partition = 0; partition < offsetsTopicPartitions; partition++) {
    if ((await client.earliest('__consumer_offsets', partition)) > 0) count++
  }
  return count
}

function isPassing(error: KafkaErrorName): boolean {
  return (
    error === 'COORDINATOR_NOT_AVAILABLE' || error === 'COORDINATOR_LOAD_IN_PROGRESS' || error === 'NOT_COORDINATOR'
  )
}

function assertNoTrouble(tidelog: Tidelog): void {
  assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [], 'the log has no line of trouble')
}
