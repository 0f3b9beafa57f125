import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { operationsNotAsked } from '../../wire/messages/metadata.ts'
import { versionsOf } from '../../wire/schema.ts'
import type { Access } from '../access.ts'
import { answerTo, commit, joinOnce, newMemberId, stableGroup, subscription } from '../testing/group-client.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.describeGroups

async function describe(broker: TestBroker, version: number, groups: readonly string[], more: object = {}) {
  return (await answerTo(broker, broker.ask(api, version, { groups, ...more }))).groups
}

for (const version of versionsOf(api.request)) {
  test(`DescribeGroups ${version} tells a group's members, and that there is no other group`, async () => {
    const broker = testBroker()
    const [member] = await stableGroup(broker)
    const [group, missing, ...more] = await describe(broker, version, ['g', 'nothing', 'g'])
    assert.deepEqual(group, {
      errorCode: 0,
      errorMessage: null,
      groupId: 'g',
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
      members: [
        {
          memberId: member!.memberId,
          groupInstanceId: null,
          clientId: 'a client',
          clientHost: '/192.0.2.1',
          memberMetadata: subscription('t'),
          memberAssignment: Buffer.from(`of ${member!.memberId}`),
        },
      ],
      authorizedOperations: operationsNotAsked,
    })
    assert.equal(errorIn(missing), version >= 6 ? 'GROUP_ID_NOT_FOUND' : 'NONE')
    assert.equal(missing?.groupState, 'Dead')
    assert.equal(missing?.errorMessage, version >= 6 ? 'Group nothing not found.' : null)
    assert.deepEqual(more, [], 'asked for twice, told once')
  })
}

test('DescribeGroups tells the state that a group is in', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const stateOf = async () => {
    const [group] = await describe(broker, 5, ['g'])
    return [group?.groupState, group?.protocolType, group?.protocolData, group?.members.length]
  }
  await commit(broker, [1])
  assert.deepEqual(await stateOf(), ['Empty', '', '', 0], 'somebody committed, nobody joined')
  const memberId = await newMemberId(broker)
  await answerTo(broker, joinOnce(broker, { memberId }))
  assert.deepEqual(await stateOf(), ['CompletingRebalance', 'consumer', '', 1])
  const second = joinOnce(broker, { groupInstanceId: 'one' })
  await broker.clock.run(1)
  assert.deepEqual(await stateOf(), ['PreparingRebalance', 'consumer', '', 2])
  await answerTo(broker, Promise.all([second, joinOnce(broker, { memberId })]))
  const [group] = await describe(broker, 5, ['g'])
  assert.deepEqual(
    group?.members.map(({ groupInstanceId, memberMetadata }) => [groupInstanceId, memberMetadata.length]),
    [
      [null, 0],
      ['one', 0],
    ],
  )
})

test('DescribeGroups 3 and later tells what one may do with a group, when asked', async () => {
  const readers: Access = { check: (_principal, { operation }) => operation === 'READ' || operation === 'DESCRIBE' }
  const broker = testBroker({}, readers)
  broker.storage.add('t')
  await commit(broker, [1])
  for (const version of [3, 6]) {
    const [group] = await describe(broker, version, ['g'], { includeAuthorizedOperations: true })
    assert.equal(group?.authorizedOperations, (1 << 3) | (1 << 8))
  }
  const [missing] = await describe(broker, 6, ['nothing'], { includeAuthorizedOperations: true })
  assert.equal(missing?.authorizedOperations, operationsNotAsked)
})
