import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { operationsNotAsked } from '../../wire/messages/metadata.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, testBroker } from '../testing/test-broker.ts'

const api = apis.describeCluster

for (const version of versionsOf(api.request)) {
  test(`DescribeCluster ${version} tells the cluster, its one node and where this client reaches it`, async () => {
    const { ask } = testBroker({ 'broker.rack': 'cellar' })
    const answer = await ask(api, version, { includeClusterAuthorizedOperations: true })
    assert.equal(errorIn(answer), 'NONE')
    assert.equal(answer.clusterId, 'testing-cluster-00000A')
    assert.equal(answer.controllerId, 1)
    const node = { brokerId: 1, host: 'broker.example', port: 19092, rack: 'cellar', isFenced: false }
    assert.deepEqual(answer.brokers, [node])
    assert.equal(answer.clusterAuthorizedOperations, 0b1_1111_1010_0000)
  })
}

test('Q16 authorised operations that nobody asked for are the least int', async () => {
  const answer = await testBroker().ask(api, 2, { includeClusterAuthorizedOperations: false })
  assert.equal(answer.clusterAuthorizedOperations, operationsNotAsked)
})

test('controllers have no listener, and other endpoints do not exist', async () => {
  const { ask } = testBroker()
  const error = async (endpointType: number) =>
    errorIn(await ask(api, 1, { includeClusterAuthorizedOperations: false, endpointType }))
  assert.equal(await error(2), 'MISMATCHED_ENDPOINT_TYPE')
  assert.equal(await error(3), 'UNSUPPORTED_ENDPOINT_TYPE')
})
