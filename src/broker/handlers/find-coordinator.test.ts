import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import { versionsOf } from '../../wire/schema.ts'
import { answerTo } from '../testing/group-client.ts'
import { advertised, errorIn, testBroker } from '../testing/test-broker.ts'

const api = apis.findCoordinator

for (const version of versionsOf(api.request)) {
  test(`FindCoordinator ${version}: this node, at the address by which the client reached it`, async () => {
    const broker = testBroker()
    const here = [broker.storage.nodeId, advertised.host, advertised.port]
    if (version < 4) {
      const answer = await answerTo(broker, broker.ask(api, version, { key: 'group' }))
      assert.equal(errorIn(answer), 'NONE')
      assert.deepEqual([answer.nodeId, answer.host, answer.port], here)
    } else {
      const { coordinators } = await answerTo(broker, broker.ask(api, version, { coordinatorKeys: ['one', 'two', ''] }))
      assert.deepEqual(
        coordinators.map(({ key, nodeId, host, port, errorCode }) => [
          key,
          nodeId,
          host,
          port,
          kafkaErrorName(errorCode),
        ]),
        ['one', 'two', ''].map(key => [key, ...here, 'NONE']),
      )
    }
    assert.ok(broker.storage.topicByName('__consumer_offsets'), 'there is a place for the state of groups now')
  })
}

test('pitfall 43: many keys are answered one by one, none of them too', async () => {
  const { coordinators } = await testBroker().ask(api, 4, { coordinatorKeys: [] })
  assert.deepEqual(coordinators, [])
})

test('where groups have no place, a client is told to ask again', async () => {
  const broker = testBroker()
  broker.storage.createTopic = async () => ({ error: 'KAFKA_STORAGE_ERROR', message: 'no' })
  const answer = await answerTo(broker, broker.ask(api, 3, { key: 'g' }))
  assert.equal(errorIn(answer), 'COORDINATOR_NOT_AVAILABLE')
  assert.deepEqual([answer.nodeId, answer.host, answer.port], [-1, '', -1])
})

test('a transactional id is refused for good, so that nobody asks for ever', async () => {
  const { ask } = testBroker()
  const old = await ask(api, 1, { key: 'tx', keyType: 1 })
  assert.equal(errorIn(old), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
  assert.match(old.errorMessage ?? '', /not supported yet/)
  const { coordinators } = await ask(api, 6, { coordinatorKeys: ['tx'], keyType: 1 })
  assert.equal(errorIn(coordinators[0]), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
})

test('nobody keeps the state of share groups, and other kinds of keys are nothing', async () => {
  const { ask } = testBroker()
  for (const keyType of [2, 3, -1]) {
    const { coordinators } = await ask(api, 6, { coordinatorKeys: ['k'], keyType })
    assert.equal(errorIn(coordinators[0]), 'INVALID_REQUEST')
  }
})
