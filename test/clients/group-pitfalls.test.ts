/** The pitfalls of consumer groups and their offsets, each by its number; `pitfalls.test.ts` has the others. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { apis } from '../../src/wire/api-keys.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { commit, committed, GroupMember, type MemberOptions } from '../support/group-member.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

/** Sessions as short as the test has patience. */
const set = { 'group.min.session.timeout.ms': 100, 'offsets.retention.check.interval.ms': 100 }

describe('pitfalls of groups', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient
  const members: GroupMember[] = []

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path, set })
    client = await KafkaClient.connect(tidelog.port)
  })
  after(async () => {
    for (const member of members) await member[Symbol.asyncDispose]()
    await client[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const member = async (group: string, more: Partial<MemberOptions> = {}) => {
    const made = await GroupMember.connect(tidelog.port, { group, topics: [group], ...more })
    members.push(made)
    return made
  }
  /** A stable group of one, with a topic of its name. */
  const alone = async (group: string, more: Partial<MemberOptions> = {}) => {
    await client.createTopic(group)
    const only = await member(group, more)
    await only.enter()
    assert.deepEqual(await only.sync(() => 'all'), { error: 'NONE', assignment: 'all' })
    return only
  }
  const stateOf = async (group: string) => {
    const { groups } = await client.call(apis.describeGroups, 5, { groups: [group] })
    return groups[0]!
  }

  it('pitfall 5: a commit’s metadata comes back, and too much of it is OFFSET_METADATA_TOO_LARGE', async () => {
    await client.createTopic('g5')
    assert.equal(await commit(client, 'g5', 'g5', 7, 'häppy'), 'NONE')
    assert.deepEqual(await committed(client, 'g5', 'g5'), { error: 'NONE', offset: 7, metadata: 'häppy' })
    assert.equal(await commit(client, 'g5', 'g5', 8, 'x'.repeat(4096)), 'NONE')
    assert.equal(await commit(client, 'g5', 'g5', 9, 'x'.repeat(4097)), 'OFFSET_METADATA_TOO_LARGE')
    assert.equal((await committed(client, 'g5', 'g5')).offset, 8)
  })

  it('pitfall 6: who may commit: members of the generation, and anybody while the group is empty', async () => {
    await client.createTopic('g6')
    assert.equal(await commit(client, 'g6', 'g6', 1), 'NONE')
    const only = await member('g6')
    await only.enter()
    assert.equal(await only.commit('g6', 2), 'REBALANCE_IN_PROGRESS', 'between join and sync')
    await only.sync(() => 'all')
    assert.equal(await only.commit('g6', 3), 'NONE')
    assert.equal(await commit(client, 'g6', 'g6', 4), 'UNKNOWN_MEMBER_ID')
    const { id, generation } = only
    const as = (who: { id: string; generation: number }) =>
      commit(client, 'g6', 'g6', 5, '', { ...who, instanceId: null })
    assert.equal(await as({ id, generation: generation + 1 }), 'ILLEGAL_GENERATION')
    assert.equal(await as({ id: 'somebody', generation }), 'UNKNOWN_MEMBER_ID')
    assert.equal((await committed(client, 'g6', 'g6')).offset, 3)
    assert.equal(await only.leave(), 'NONE')
    assert.equal(await commit(client, 'g6', 'g6', 6), 'NONE')
  })

  it('pitfall 7: a group or partition never seen has offset -1 and no error', async () => {
    assert.deepEqual(await committed(client, 'nobody', 'nothing'), { error: 'NONE', offset: -1, metadata: '' })
    await client.createTopic('g7', 2)
    await commit(client, 'g7', 'g7', 1)
    const topics = [{ name: 'g7', partitionIndexes: [0, 1, 9] }]
    const groups = [
      { groupId: 'g7', topics },
      { groupId: 'g7 too', topics },
    ]
    const answer = await client.call(apis.offsetFetch, 8, { groups, requireStable: true })
    assert.deepEqual(
      answer.groups.map(({ groupId, errorCode, topics: [topic] }) => [
        groupId,
        errorCode,
        topic!.partitions.map(({ committedOffset, errorCode: error }) => [committedOffset, error]),
      ]),
      [
        [
          'g7',
          0,
          [
            [1, 0],
            [-1, 0],
            [-1, 0],
          ],
        ],
        [
          'g7 too',
          0,
          [
            [-1, 0],
            [-1, 0],
            [-1, 0],
          ],
        ],
      ],
    )
  })

  it('pitfall 8: members that join while others sync are not forgotten, and nobody syncs to nothing', async () => {
    await client.createTopic('g8')
    const [first, second, third] = await Promise.all([member('g8'), member('g8'), member('g8')])
    await first.enter()
    await second.join()
    const joined = [second.join(), third.enter()]
    // The third is known when its second join is held; then the first comes back, and the barrier opens.
    await eventually(5_000, 'all three in the group', async () => (await stateOf('g8')).members.length === 3)
    const led = await first.join()
    const answers = [led, ...(await Promise.all(joined))]
    assert.deepEqual(
      answers.map(({ errorCode, generationId }) => [kafkaErrorName(errorCode), generationId]),
      answers.map(() => ['NONE', led.generationId]),
    )
    assert.equal(new Set(answers.map(({ leader }) => leader)).size, 1)
    const leader = [first, second, third].find(({ id }) => id === led.leader)!
    const rest = [first, second, third].filter(each => each !== leader)
    const waiting = rest.map(each => each.sync())
    await leader.sync(id => `for ${id}`)
    assert.deepEqual(
      await Promise.all(waiting),
      rest.map(({ id }) => ({ error: 'NONE', assignment: `for ${id}` })),
    )
  })

  it('pitfall 9: a member that took too long to rejoin is out, with one rebalance and the right codes', async () => {
    await client.createTopic('g9')
    const slow = await member('g9', { rebalanceTimeoutMs: 400 })
    const quick = await member('g9', { rebalanceTimeoutMs: 400 })
    await slow.enter()
    await slow.sync(() => 'all')
    const { generation } = slow
    const joining = quick.enter()
    await eventually(5_000, 'the rebalance', async () => (await stateOf('g9')).groupState === 'PreparingRebalance')
    assert.equal(await slow.heartbeat(), 'REBALANCE_IN_PROGRESS')
    assert.equal(await slow.commit('g9', 5), 'NONE', 'what was worked off may still be committed')
    const joined = await joining
    assert.deepEqual([joined.generationId, joined.leader], [generation + 1, quick.id], 'the slow one is out')
    assert.equal(await slow.commit('g9', 6), 'UNKNOWN_MEMBER_ID')
    assert.equal(await slow.heartbeat(), 'UNKNOWN_MEMBER_ID')
    assert.deepEqual(await quick.sync(() => 'all'), { error: 'NONE', assignment: 'all' })
    assert.equal(await quick.heartbeat(), 'NONE')
    assert.equal(quick.generation, generation + 1)
  })

  it('pitfall 10: a new member is first told its id, and joins with that', async () => {
    const fresh = await member('g10', { sessionTimeoutMs: 300 })
    const first = await fresh.join()
    assert.equal(kafkaErrorName(first.errorCode), 'MEMBER_ID_REQUIRED')
    assert.notEqual(first.memberId, '')
    assert.equal(kafkaErrorName((await fresh.join()).errorCode), 'NONE')
  })

  it('pitfall 11: a static member that comes back keeps its place, and its former self is fenced', async () => {
    const before = await alone('g11', { instanceId: 'i1' })
    const after = await member('g11', { instanceId: 'i1' })
    const joined = await after.join()
    assert.equal(kafkaErrorName(joined.errorCode), 'NONE')
    assert.equal(after.generation, before.generation, 'no rebalance')
    assert.notEqual(after.id, before.id)
    assert.equal(await before.heartbeat(), 'FENCED_INSTANCE_ID')
    assert.equal(await before.commit('g11', 1), 'FENCED_INSTANCE_ID')
    assert.equal(await after.heartbeat(), 'NONE')
    const byInstance = { memberId: '', groupInstanceId: 'i1', reason: null }
    const { members: left } = await client.call(apis.leaveGroup, 5, { groupId: 'g11', members: [byInstance] })
    assert.deepEqual(
      left.map(({ errorCode }) => errorCode),
      [0],
    )
    assert.equal((await stateOf('g11')).groupState, 'Empty')
  })

  it('pitfall 13: offsets of a live group stay; a commit that brings its own retention goes when that is over', async () => {
    // That the clock starts when the group is empty is tested where a test can let days go by, beside the handlers.
    const only = await alone('g13')
    assert.equal(await only.commit('g13', 3), 'NONE')
    const old = await client.call(apis.offsetCommit, 2, {
      groupId: 'g13 short',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      retentionTimeMs: 1,
      topics: [{ name: 'g13', partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: '' }] }],
    })
    assert.equal(old.topics[0]!.partitions[0]!.errorCode, 0)
    await eventually(5_000, 'the end of an offset whose time was over', async () => {
      return (await committed(client, 'g13 short', 'g13')).offset === -1
    })
    assert.equal((await committed(client, 'g13', 'g13')).offset, 3)
  })

  it('pitfall 44: a live group is not deleted; an unknown one is GROUP_ID_NOT_FOUND', async () => {
    const only = await alone('g44')
    await only.commit('g44', 1)
    const remove = async () => {
      const { results } = await client.call(apis.deleteGroups, 2, { groupsNames: ['g44', 'g44 not'] })
      return results.map(({ errorCode }) => kafkaErrorName(errorCode))
    }
    assert.deepEqual(await remove(), ['NON_EMPTY_GROUP', 'GROUP_ID_NOT_FOUND'])
    assert.equal(await only.leave(), 'NONE')
    assert.deepEqual(await remove(), ['NONE', 'GROUP_ID_NOT_FOUND'])
    assert.equal((await committed(client, 'g44', 'g44')).offset, -1)
    assert.equal(await only.leave(), 'UNKNOWN_MEMBER_ID')
  })

  it('pitfall 45: offsets of a topic that is subscribed to are not deleted', async () => {
    const only = await alone('g45')
    await client.createTopic('g45-other')
    await only.commit('g45', 1)
    await only.commit('g45-other', 2)
    const partitions = [{ partitionIndex: 0 }]
    const topics = ['g45', 'g45-other'].map(name => ({ name, partitions }))
    const answer = await client.call(apis.offsetDelete, 0, { groupId: 'g45', topics })
    assert.deepEqual(
      answer.topics.map(({ name, partitions: [partition] }) => [name, kafkaErrorName(partition!.errorCode)]),
      [
        ['g45', 'GROUP_SUBSCRIBED_TO_TOPIC'],
        ['g45-other', 'NONE'],
      ],
    )
    assert.equal((await committed(client, 'g45', 'g45')).offset, 1)
    assert.equal((await committed(client, 'g45', 'g45-other')).offset, -1)
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
