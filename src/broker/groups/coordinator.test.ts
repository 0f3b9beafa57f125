import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { noTopicId, offset, type TopicId } from '../../base/ids.ts'
import { Prng } from '../../base/prng.ts'
import { ManualClock } from '../../sim/clock.ts'
import { brokerConfigs } from '../configs.ts'
import { MemoryStorage } from '../testing/memory-storage.ts'
import { settle } from '../testing/test-broker.ts'
import { type CoordinatorBounds, GroupCoordinator, offsetsTopicName, partitionFor } from './coordinator.ts'
import type { CommitRequest, JoinRequest } from './requests.ts'

interface SceneOptions {
  readonly set?: Record<string, string>
  readonly bounds?: Partial<CoordinatorBounds>
}

function scene({ set = {}, bounds = {} }: SceneOptions = {}) {
  const clock = new ManualClock()
  const configs = brokerConfigs({ 'offsets.topic.num.partitions': '2', ...set })
  const storage = new MemoryStorage(clock, configs)
  const { id } = storage.add('tides')
  const reports: string[] = []
  const fatal: unknown[] = []
  const start = () =>
    new GroupCoordinator({
      storage,
      clock,
      random: new Prng(1),
      configs,
      bounds,
      onReport: what => reports.push(what),
      onFatal: error => fatal.push(error),
    })
  return { clock, storage, id, reports, fatal, start, groups: start() }
}

function commit(groupId: string, at: number, changes: Partial<CommitRequest> = {}): CommitRequest {
  const place = { topic: 'tides', topicId: noTopicId, partition: 0 }
  const offsets = [{ ...place, offset: at, leaderEpoch: 3, metadata: `m${at}` }]
  return { groupId, generation: -1, memberId: '', instanceId: null, offsets, retentionMs: -1, ...changes }
}

const fetchAll = (groupId: string) => ({ groupId, memberId: null, memberEpoch: -1, partitions: null })

async function committedOffset(groups: GroupCoordinator, groupId: string): Promise<number> {
  const { error, partitions } = await groups.fetchOffsets(fetchAll(groupId))
  assert.equal(error, 'NONE')
  return partitions[0]?.offset ?? -1
}

const join: JoinRequest = {
  groupId: 'g',
  memberId: '',
  instanceId: null,
  clientId: 'c',
  clientHost: '/127.0.0.1',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 20_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('what I want') }],
  requiresKnownMember: true,
  supportsSkippingAssignment: true,
  reason: null,
}

async function joinUntilRefused(groups: GroupCoordinator, onId: () => void) {
  for (;;) {
    const answer = await groups.join(join)
    if (answer.error !== 'MEMBER_ID_REQUIRED') return answer
    onId()
  }
}

/** Joins a group that has no other member, and takes over everything. */
async function becomeMember(groups: GroupCoordinator, clock: ManualClock) {
  const { memberId, error } = await groups.join(join)
  assert.equal(error, 'MEMBER_ID_REQUIRED')
  const joining = groups.join({ ...join, memberId })
  await clock.run(0)
  const joined = await joining
  assert.equal(joined.error, 'NONE')
  const { generation } = joined
  const assignments = [{ memberId, assignment: Buffer.from('all') }]
  const names = { protocolType: 'consumer', protocol: 'range' }
  const synced = await groups.sync({ groupId: 'g', generation, memberId, instanceId: null, ...names, assignments })
  assert.equal(synced.error, 'NONE')
  assert.equal(synced.assignment.toString(), 'all')
  return { groupId: 'g', memberId, generation, instanceId: null }
}

test("a group belongs to the partition that Kafka's rule says", () => {
  // What Java's String.hashCode, made positive as Kafka does, comes to modulo 50.
  const byJava = {
    '': 0,
    g: 3,
    'orders-consumer': 40,
    'console-consumer-12345': 6,
    группа: 8,
    polygenelubricants: 0,
    '😀': 49,
  }
  for (const [group, partition] of Object.entries(byJava)) assert.equal(partitionFor(group, 50), partition, group)
})

describe('the topic of offsets', () => {
  test('is made when a group is first looked for, once, as the configs say', async () => {
    const { storage, groups } = scene({ set: { 'offsets.topic.segment.bytes': '2000000' } })
    assert.equal(storage.created.length, 0)
    assert.deepEqual(await Promise.all([groups.find('g'), groups.find('h'), groups.find('g')]), [
      'NONE',
      'NONE',
      'NONE',
    ])
    const configs = { 'cleanup.policy': 'compact', 'compression.type': 'producer', 'segment.bytes': '2000000' }
    assert.deepEqual(storage.created, [
      { name: offsetsTopicName, partitions: 2, replicationFactor: 1, configs: new Map(Object.entries(configs)) },
    ])
  })

  test('is not made by questions', async () => {
    const { storage, groups } = scene()
    assert.deepEqual((await groups.fetchOffsets(fetchAll('g'))).partitions, [])
    assert.equal((await groups.describe('g')).state, 'Dead')
    assert.deepEqual(await groups.list(), { error: 'NONE', groups: [] })
    assert.equal(await groups.deleteGroup('g'), 'GROUP_ID_NOT_FOUND')
    const member = { groupId: 'g', memberId: 'm', generation: 1, instanceId: null }
    assert.equal((await groups.heartbeat(member)).error, 'UNKNOWN_MEMBER_ID')
    assert.equal(storage.created.length, 0)
  })

  test('that cannot be made is a reason to try again', async () => {
    const { storage, groups } = scene()
    storage.createRefusal = { error: 'KAFKA_STORAGE_ERROR', message: 'full' }
    assert.equal(await groups.find('g'), 'COORDINATOR_NOT_AVAILABLE')
    assert.equal((await groups.join(join)).error, 'COORDINATOR_NOT_AVAILABLE')
    assert.deepEqual((await groups.commit(commit('g', 1))).errors, ['COORDINATOR_NOT_AVAILABLE'])
    storage.createRefusal = null
    assert.equal(await groups.find('g'), 'NONE')
  })

  test('that takes too long is a reason to try again', async () => {
    const { storage, groups, clock } = scene()
    const made = Promise.withResolvers<void>()
    storage.creating = made.promise
    const finding = groups.find('g')
    await clock.run(5000)
    assert.equal(await finding, 'COORDINATOR_NOT_AVAILABLE')
    made.resolve()
    await settle()
    assert.equal(await groups.find('g'), 'NONE')
  })
})

describe('a group', () => {
  test('rebalances, commits as a member, and is there after a restart, with its member', async () => {
    const { clock, start, groups } = scene()
    const member = await becomeMember(groups, clock)
    assert.deepEqual((await groups.commit(commit('g', 7, member))).errors, ['NONE'])
    const wrong = commit('g', 8, { ...member, generation: member.generation + 1 })
    assert.deepEqual((await groups.commit(wrong)).errors, ['ILLEGAL_GENERATION'])
    await groups.close()

    const next = start()
    await clock.run(10)
    assert.equal(await committedOffset(next, 'g'), 7)
    assert.equal((await next.heartbeat(member)).error, 'NONE')
    const { state, members } = await next.describe('g')
    assert.equal(state, 'Stable')
    assert.deepEqual(
      members.map(({ memberId, metadata, assignment }) => [memberId, `${metadata}`, `${assignment}`]),
      [[member.memberId, 'what I want', 'all']],
    )
    assert.deepEqual(await next.list(), {
      error: 'NONE',
      groups: [{ groupId: 'g', protocolType: 'consumer', state: 'Stable' }],
    })
  })

  test('keeps what it was told although the bytes of the requests are gone', async () => {
    const { clock, groups } = scene()
    const metadata = Buffer.from('mine')
    const { memberId } = await groups.join(join)
    const joining = groups.join({ ...join, memberId, protocols: [{ name: 'range', metadata }] })
    metadata.fill(0)
    await clock.run(0)
    assert.equal(`${(await joining).members[0]?.metadata}`, 'mine')
  })

  test('whose member is silent loses it', async () => {
    const { clock, groups } = scene()
    const member = await becomeMember(groups, clock)
    await clock.run(9_000)
    assert.equal((await groups.heartbeat(member)).error, 'NONE')
    await clock.run(9_000)
    assert.equal((await groups.describe('g')).state, 'Stable')
    await clock.run(1_500)
    assert.equal((await groups.describe('g')).state, 'Empty')
    assert.equal((await groups.heartbeat(member)).error, 'UNKNOWN_MEMBER_ID')
  })

  test('is told of a commit when that is durable, and tells of it not before', async () => {
    const { storage, groups } = scene()
    await groups.find('g')
    for (const partition of storage.topicByName(offsetsTopicName)?.partitions ?? []) partition.hold()
    let answered = false
    const committing = groups.commit(commit('g', 5)).then(answer => {
      answered = true
      return answer
    })
    await settle()
    assert.equal(answered, false)
    assert.equal(await committedOffset(groups, 'g'), -1)
    for (const partition of storage.topicByName(offsetsTopicName)?.partitions ?? []) partition.release()
    assert.deepEqual((await committing).errors, ['NONE'])
    assert.equal(await committedOffset(groups, 'g'), 5)
  })

  test('that is deleted stays away', async () => {
    const { clock, start, groups } = scene()
    await groups.commit(commit('g', 5))
    assert.equal(await groups.deleteGroup('g'), 'NONE')
    assert.equal((await groups.describe('g')).error, 'GROUP_ID_NOT_FOUND')
    await groups.close()
    const next = start()
    await clock.run(10)
    assert.equal(await committedOffset(next, 'g'), -1)
    assert.deepEqual((await next.list()).groups, [])
  })

  test('loses single offsets when told to', async () => {
    const { groups } = scene()
    await groups.commit(commit('g', 5))
    const deleted = await groups.deleteOffsets('g', [{ topic: 'tides', partition: 0 }])
    assert.deepEqual(deleted, { error: 'NONE', partitions: ['NONE'] })
    assert.equal(await committedOffset(groups, 'g'), -1)
  })

  test('without members loses what is older than the retention', async () => {
    const { clock, groups } = scene({ set: { 'offsets.retention.minutes': '10' } })
    await groups.commit(commit('g', 5))
    await clock.run(600_000 - 1)
    assert.equal(await committedOffset(groups, 'g'), 5)
    await clock.run(600_001)
    assert.equal(await committedOffset(groups, 'g'), -1)
  })

  test('does not begin where there are too many of which nothing is durable', async () => {
    const { groups } = scene({ bounds: { fleetingMax: 2 } })
    for (const groupId of ['a', 'b']) {
      assert.equal((await groups.join({ ...join, groupId })).error, 'MEMBER_ID_REQUIRED')
    }
    assert.equal((await groups.join({ ...join, groupId: 'c' })).error, 'COORDINATOR_NOT_AVAILABLE')
    assert.deepEqual((await groups.commit(commit('c', 1))).errors, ['COORDINATOR_NOT_AVAILABLE'])
    assert.equal((await groups.join({ ...join, groupId: 'a' })).error, 'MEMBER_ID_REQUIRED')
  })

  test('takes nobody whose bytes are too many, until others are gone', async () => {
    const { clock, groups } = scene({ bounds: { memberBytesMax: 10_000 } })
    const fat = { protocols: [{ name: 'range', metadata: Buffer.alloc(5_000) }], requiresKnownMember: false }
    const first = groups.join({ ...join, ...fat, groupId: 'a' })
    await clock.run(10)
    const { error, memberId } = await first
    assert.equal(error, 'NONE')
    assert.equal((await groups.join({ ...join, ...fat, groupId: 'b' })).error, 'COORDINATOR_NOT_AVAILABLE')
    await groups.leave({ groupId: 'a', members: [{ memberId, instanceId: null, reason: null }] })
    const second = groups.join({ ...join, ...fat, groupId: 'b' })
    await clock.run(10)
    assert.equal((await second).error, 'NONE')
  })

  test('counts with its name and all that is kept for it, as long as anybody is in it or about to be', async () => {
    const { clock, groups } = scene({ bounds: { memberBytesMax: 100_000 } })
    const long = 'g'.repeat(30_000)
    const errors = []
    for (const i of [1, 2, 3, 4]) errors.push((await groups.join({ ...join, groupId: `${long}${i}` })).error)
    assert.deepEqual(errors, [...Array(3).fill('MEMBER_ID_REQUIRED'), 'COORDINATOR_NOT_AVAILABLE'])
    await clock.run(join.sessionTimeoutMs)
    assert.equal((await groups.join({ ...join, groupId: `${long}5` })).error, 'MEMBER_ID_REQUIRED')
    let members = 0
    const { error } = await joinUntilRefused(groups, () => members++)
    assert.equal(error, 'COORDINATOR_NOT_AVAILABLE')
    assert.ok(members < 300, `${members} ids are given out`)
  })

  test('sends requests away when too many wait', async () => {
    const { storage, groups } = scene({ bounds: { waitingMax: 3 } })
    await groups.find('g')
    for (const partition of storage.topicByName(offsetsTopicName)?.partitions ?? []) partition.hold()
    const waiting = [1, 2, 3].map(at => groups.commit(commit('g', at)))
    await settle()
    assert.deepEqual((await groups.commit(commit('g', 4))).errors, ['COORDINATOR_NOT_AVAILABLE'])
    for (const partition of storage.topicByName(offsetsTopicName)?.partitions ?? []) partition.release()
    for (const each of await Promise.all(waiting)) assert.deepEqual(each.errors, ['NONE'])
  })
})

describe('while a partition is loaded', () => {
  const loading = async () => {
    const all = scene()
    await all.groups.commit(commit('g', 5))
    await all.groups.close()
    const partitions = all.storage.topicByName(offsetsTopicName)?.partitions ?? []
    for (const partition of partitions) partition.readError = 'KAFKA_STORAGE_ERROR'
    const next = all.start()
    const finish = () => {
      for (const partition of partitions) partition.readError = 'NONE'
    }
    return { ...all, next, finish }
  }

  test('requests wait, and find everything there', async () => {
    const { clock, next, finish } = await loading()
    const fetching = next.fetchOffsets(fetchAll('g'))
    const finding = next.find('g')
    finish()
    await clock.run(2000)
    assert.equal((await fetching).partitions[0]?.offset, 5)
    assert.equal(await finding, 'NONE')
  })

  test('for too long, they are told so, and a heartbeat is left in peace', async () => {
    const { clock, next } = await loading()
    const asked = Promise.all([
      next.fetchOffsets(fetchAll('g')),
      next.join(join),
      next.commit(commit('g', 9)),
      next.describe('g'),
      next.deleteOffsets('g', []),
      next.leave({ groupId: 'g', members: [] }),
      next.list(),
    ])
    const beating = next.heartbeat({ groupId: 'g', memberId: 'm', generation: 1, instanceId: null })
    const finding = next.find('g')
    await clock.run(5000)
    for (const answer of await asked) {
      const error = 'errors' in answer ? answer.errors[0] : answer.error
      assert.equal(error, 'COORDINATOR_LOAD_IN_PROGRESS')
    }
    assert.equal((await beating).error, 'NONE')
    assert.equal(await finding, 'COORDINATOR_NOT_AVAILABLE')
  })

  test('a close answers those that wait', async () => {
    const { clock, next } = await loading()
    const fetching = next.fetchOffsets(fetchAll('g'))
    await settle()
    const closing = next.close()
    assert.equal((await fetching).error, 'COORDINATOR_NOT_AVAILABLE')
    await clock.run(2000)
    await closing
    assert.equal(clock.pendingTimers, 0)
  })
})

describe('the end', () => {
  test('answers who waits, and leaves no timer', async () => {
    const { clock, storage, groups } = scene()
    const member = await becomeMember(groups, clock)
    // A second member makes the first one's group rebalance; it waits for that one.
    const { memberId } = await groups.join(join)
    const joining = groups.join({ ...join, memberId })
    for (const partition of storage.topicByName(offsetsTopicName)?.partitions ?? []) partition.hold()
    const committing = groups.commit(commit('g', 7, member))
    await settle()
    const closing = groups.close()
    assert.equal((await joining).error, 'COORDINATOR_NOT_AVAILABLE')
    assert.deepEqual((await committing).errors, ['COORDINATOR_NOT_AVAILABLE'])
    await clock.run(3000)
    await closing
    assert.equal(clock.pendingTimers, 0)
    assert.equal((await groups.heartbeat(member)).error, 'COORDINATOR_NOT_AVAILABLE')
    assert.equal(await groups.find('g'), 'COORDINATOR_NOT_AVAILABLE')
  })

  test('comes when the storage breaks: nobody is answered as if nothing had happened', async () => {
    const { storage, groups, fatal } = scene()
    await groups.commit(commit('g', 5))
    const fault = new Error('the sync failed')
    for (const partition of storage.topicByName(offsetsTopicName)?.partitions ?? []) partition.fault = fault
    await groups.commit(commit('g', 6)).then(
      ({ errors }) => assert.deepEqual(errors, ['COORDINATOR_NOT_AVAILABLE']),
      error => assert.equal(error, fault),
    )
    assert.deepEqual(fatal, [fault])
    await assert.rejects(groups.commit(commit('g', 7)), fault)
  })
})

describe('a topic that is deleted', () => {
  const committedTo = (topicId: TopicId) => {
    const place = { topic: 'tides', topicId, partition: 0, leaderEpoch: -1, metadata: '' }
    return commit('g', 0, { offsets: [{ ...place, offset: 5 }] })
  }

  test('takes its offsets along', async () => {
    const { id, groups } = scene()
    await groups.commit(committedTo(id))
    groups.topicDeleted('tides', id)
    await settle()
    assert.equal(await committedOffset(groups, 'g'), -1)
  })

  test('and made again has none of them, although it is not yet durable that they are gone, or never will be', async () => {
    const { storage, id, groups } = scene()
    await groups.commit(committedTo(id))
    const offsets = storage.topicByName(offsetsTopicName)!.partitions[partitionFor('g', 2)]!
    offsets.hold()
    await storage.deleteTopic(id)
    groups.topicDeleted('tides', id)
    await settle()
    storage.add('tides')
    assert.deepEqual((await groups.fetchOffsets(fetchAll('g'))).partitions, [])
    const asked = { ...fetchAll('g'), partitions: [{ topic: 'tides', partition: 0 }] }
    assert.equal((await groups.fetchOffsets(asked)).partitions[0]?.offset, -1)
  })

  test('takes them along at the next start, when the process ended in between', async () => {
    const { clock, storage, id, groups, start } = scene()
    await groups.commit(committedTo(id))
    await groups.close()
    await storage.deleteTopic(id)
    storage.add('tides')
    const next = start()
    await clock.run(10)
    assert.equal(await committedOffset(next, 'g'), -1)
  })

  test('while a commit waits for the first partition to be made takes nothing that could go with it', async () => {
    const { storage, id, groups } = scene()
    const other = storage.add('ebb')
    const making = Promise.withResolvers<void>()
    storage.creating = making.promise
    const [gone] = committedTo(id).offsets
    const offsets = [gone!, { ...gone!, topic: 'ebb', topicId: other.id, offset: 7 }]
    const committing = groups.commit(commit('g', 0, { offsets }))
    await settle()
    await storage.deleteTopic(id)
    groups.topicDeleted('tides', id)
    storage.add('tides')
    making.resolve()
    assert.deepEqual(await committing, { errors: ['UNKNOWN_TOPIC_OR_PARTITION', 'NONE'] })
    const { partitions } = await groups.fetchOffsets(fetchAll('g'))
    assert.deepEqual(
      partitions.map(({ topic, offset: at }) => [topic, at]),
      [['ebb', 7]],
    )
  })

  test('leaves those that were committed of the one that came after it', async () => {
    const { clock, storage, id, groups, start } = scene()
    await groups.commit(committedTo(id))
    await storage.deleteTopic(id)
    await groups.commit(committedTo(storage.add('tides').id))
    groups.topicDeleted('tides', id)
    await settle()
    assert.equal(await committedOffset(groups, 'g'), 5)
    await groups.close()
    const next = start()
    await clock.run(10)
    assert.equal(await committedOffset(next, 'g'), 5)
  })
})

test('damage of the log is reported, and the rest is there', async () => {
  const { clock, storage, groups, start, reports } = scene({ set: { 'offsets.topic.num.partitions': '1' } })
  for (let i = 0; i < 3; i++) await groups.commit(commit(`g${i}`, 5))
  await groups.close()
  const [partition] = storage.topicByName(offsetsTopicName)?.partitions ?? []
  assert.ok(partition)
  const read = partition.read.bind(partition)
  partition.read = request => {
    const outcome = read({ ...request, bytesMax: 1 })
    if (request.from !== offset(1) || outcome instanceof Promise) return outcome
    return { ...outcome, error: 'CORRUPT_MESSAGE' }
  }
  const next = start()
  await clock.run(10)
  assert.deepEqual(await Promise.all(['g0', 'g1', 'g2'].map(group => committedOffset(next, group))), [5, -1, 5])
  assert.match(reports.join(), /offsets 1 to 1 are lost/)
})
