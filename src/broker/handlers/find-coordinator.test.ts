import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, testBroker } from '../testing/test-broker.ts'

const api = apis.findCoordinator

for (const version of versionsOf(api.request)) {
  test(`FindCoordinator ${version} has no coordinator for a group yet`, async () => {
    const { ask } = testBroker()
    if (version < 4) {
      const answer = await ask(api, version, { key: 'group' })
      assert.equal(errorIn(answer), 'COORDINATOR_NOT_AVAILABLE')
      assert.deepEqual([answer.nodeId, answer.host, answer.port], [-1, '', -1])
      return
    }
    const { coordinators } = await ask(api, version, { coordinatorKeys: ['one', 'two'] })
    assert.deepEqual(
      coordinators.map(({ key, nodeId, errorCode }) => [key, nodeId, kafkaErrorName(errorCode)]),
      [
        ['one', -1, 'COORDINATOR_NOT_AVAILABLE'],
        ['two', -1, 'COORDINATOR_NOT_AVAILABLE'],
      ],
    )
  })
}

test('pitfall 43: many keys are answered one by one, none of them too', async () => {
  const { coordinators } = await testBroker().ask(api, 4, { coordinatorKeys: [] })
  assert.deepEqual(coordinators, [])
})

test('a transactional id is refused for good, so that nobody asks for ever', async () => {
  const { ask } = testBroker()
  const old = await ask(api, 1, { key: 'tx', keyType: 1 })
  assert.equal(errorIn(old), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
  assert.match(old.errorMessage ?? '', /not supported yet/)
  const { coordinators } = await ask(api, 6, { coordinatorKeys: ['tx'], keyType: 1 })
  assert.equal(errorIn(coordinators[0]), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
})

test('share groups are groups, other kinds of keys are nothing', async () => {
  const { ask } = testBroker()
  const error = async (keyType: number) =>
    errorIn((await ask(api, 6, { coordinatorKeys: ['k'], keyType })).coordinators[0])
  assert.equal(await error(2), 'COORDINATOR_NOT_AVAILABLE')
  assert.equal(await error(3), 'INVALID_REQUEST')
  assert.equal(await error(-1), 'INVALID_REQUEST')
})
