import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, testBroker } from '../testing/test-broker.ts'

const api = apis.initProducerId
const plain = { transactionalId: null, transactionTimeoutMs: 60_000 }

for (const version of versionsOf(api.request)) {
  test(`InitProducerId ${version} gives each producer an id of its own, with epoch 0`, async () => {
    const { ask } = testBroker()
    const ids = new Set<number>()
    for (let i = 0; i < 5; i++) {
      const answer = await ask(api, version, plain)
      assert.equal(errorIn(answer), 'NONE')
      assert.equal(answer.producerEpoch, 0)
      ids.add(answer.producerId)
    }
    assert.equal(ids.size, 5)
  })

  test(`InitProducerId ${version} refuses a transactional id for good`, async () => {
    const { ask, storage } = testBroker()
    const answer = await ask(api, version, { ...plain, transactionalId: 'tx' })
    assert.equal(errorIn(answer), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    assert.deepEqual([answer.producerId, answer.producerEpoch], [-1, -1])
    assert.equal(errorIn(await ask(api, version, { ...plain, transactionalId: '' })), 'INVALID_REQUEST')
    assert.equal(storage.blocks, 0)
  })
}

test('a producer that states its id gets a new one; half a statement is refused', async () => {
  const { ask } = testBroker()
  const first = await ask(api, 3, plain)
  const { producerId, producerEpoch } = first
  const second = await ask(api, 3, { ...plain, producerId, producerEpoch })
  assert.equal(errorIn(second), 'NONE')
  assert.notEqual(second.producerId, producerId)
  assert.equal(second.producerEpoch, 0)
  assert.equal(errorIn(await ask(api, 3, { ...plain, producerId })), 'INVALID_REQUEST')
  assert.equal(errorIn(await ask(api, 3, { ...plain, producerEpoch: 0 })), 'INVALID_REQUEST')
})
