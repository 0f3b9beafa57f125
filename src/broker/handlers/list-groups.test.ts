import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import type { Access } from '../access.ts'
import { answerTo, commit, joinOnce, stableGroup } from '../testing/group-client.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.listGroups

async function list(broker: TestBroker, version = 5, more: object = {}) {
  const answer = await answerTo(broker, broker.ask(api, version, more))
  assert.equal(errorIn(answer), 'NONE')
  return [...answer.groups].sort((a, b) => (a.groupId < b.groupId ? -1 : 1))
}

/** A stable group, one that somebody committed to, and one in the middle of a rebalance. */
async function threeGroups(access?: Access): Promise<TestBroker> {
  const broker = testBroker({}, access)
  broker.storage.add('t')
  await stableGroup(broker)
  await commit(broker, [1], { groupId: 'simple' })
  await answerTo(broker, joinOnce(broker, { groupId: 'busy', groupInstanceId: 'i', protocolType: 'connect' }))
  return broker
}

for (const version of versionsOf(api.request)) {
  test(`ListGroups ${version} tells every group`, async () => {
    const broker = await threeGroups()
    const state = (name: string) => (version >= 4 ? name : '')
    const groupType = version >= 5 ? 'classic' : ''
    assert.deepEqual(await list(broker, version), [
      { groupId: 'busy', protocolType: 'connect', groupState: state('CompletingRebalance'), groupType },
      { groupId: 'g', protocolType: 'consumer', groupState: state('Stable'), groupType },
      { groupId: 'simple', protocolType: '', groupState: state('Empty'), groupType },
    ])
  })
}

test('no groups, an empty list', async () => {
  assert.deepEqual(await list(testBroker(), 0), [])
})

test('ListGroups 4 and later by state, 5 by type: in any case, and nothing has an unknown one', async () => {
  const broker = await threeGroups()
  const ids = async (version: number, filters: object) =>
    (await list(broker, version, filters)).map(({ groupId }) => groupId)
  assert.deepEqual(await ids(4, { statesFilter: ['Stable', 'Empty'] }), ['g', 'simple'])
  assert.deepEqual(await ids(5, { statesFilter: ['STABLE'] }), ['g'])
  assert.deepEqual(await ids(4, { statesFilter: ['Stable', 'Happy'] }), ['g'])
  assert.deepEqual(await ids(4, { statesFilter: ['Happy'] }), [])
  assert.deepEqual(await ids(5, { typesFilter: ['Classic'] }), ['busy', 'g', 'simple'])
  assert.deepEqual(await ids(5, { typesFilter: ['consumer', 'unheard of'] }), [])
  assert.deepEqual(await ids(5, { typesFilter: ['classic'], statesFilter: ['completingrebalance'] }), ['busy'])
})

test('who may not look at the cluster sees the groups that it may look at', async () => {
  const access: Access = {
    check: (_principal, { resource }, name) => resource === 'topic' || (resource === 'group' && name !== 'simple'),
  }
  const broker = testBroker({}, access)
  await stableGroup(broker)
  await answerTo(broker, joinOnce(broker, { groupId: 'other', groupInstanceId: 'i' }))
  assert.deepEqual(
    (await list(broker)).map(({ groupId }) => groupId),
    ['g', 'other'],
  )
  const nothing = testBroker(
    {},
    { check: (_principal, { resource, operation }) => resource === 'group' && operation === 'READ' },
  )
  await stableGroup(nothing)
  assert.deepEqual(await list(nothing), [])
})
