import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ropeOf, sliceRope } from '../../base/rope.ts'
import { apis } from '../../wire/api-keys.ts'
import { decodeResponse } from '../../wire/exchange.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, testBroker, testConnection } from '../testing/test-broker.ts'

const api = apis.apiVersions
const named = { clientSoftwareName: 'a-client', clientSoftwareVersion: '1.0' }

/** Those of Apache Kafka 4.3.1, of the APIs that we know. */
const rangesOfKafka: readonly (readonly [number, readonly [number, number]])[] = [
  [0, [0, 13]],
  [1, [4, 18]],
  [2, [1, 11]],
  [3, [0, 13]],
  [8, [2, 10]],
  [9, [1, 10]],
  [10, [0, 6]],
  [11, [0, 9]],
  [12, [0, 4]],
  [13, [0, 5]],
  [14, [0, 5]],
  [15, [0, 6]],
  [16, [0, 5]],
  [18, [0, 4]],
  [19, [2, 7]],
  [20, [1, 6]],
  [21, [0, 2]],
  [22, [0, 5]],
  [23, [2, 4]],
  [32, [1, 4]],
  [33, [0, 2]],
  [35, [1, 5]],
  [37, [0, 3]],
  [42, [0, 2]],
  [43, [0, 2]],
  [44, [0, 1]],
  [46, [0, 0]],
  [47, [0, 0]],
  [55, [0, 2]],
  [60, [0, 2]],
  [61, [0, 0]],
  [74, [0, 1]],
  [75, [0, 0]],
]

for (const version of versionsOf(api.request)) {
  test(`ApiVersions ${version} tells exactly what is served`, async () => {
    const answer = await testBroker().ask(api, version, named)
    assert.equal(errorIn(answer), 'NONE')
    const ranges = Object.fromEntries(answer.apiKeys.map(row => [row.apiKey, [row.minVersion, row.maxVersion]]))
    assert.deepEqual(ranges, Object.fromEntries(rangesOfKafka))
    assert.deepEqual(answer.supportedFeatures, [])
    assert.deepEqual(answer.finalizedFeatures, [])
  })
}

test('Q1 Produce is advertised from version 0, though 0 to 2 are refused', async () => {
  const answer = await testBroker().ask(api, 0, {})
  assert.deepEqual(
    answer.apiKeys.find(row => row.apiKey === apis.produce.key),
    { apiKey: 0, minVersion: 0, maxVersion: 13 },
  )
})

test('Q2 every exact version by which old librdkafka knows a feature is in its range', async () => {
  const answer = await testBroker().ask(api, 0, {})
  const needed = [
    [apis.produce, [3, 7]],
    [apis.fetch, [4, 10]],
    [apis.findCoordinator, [0]],
    [apis.listOffsets, [1]],
    [apis.initProducerId, [0]],
    [apis.apiVersions, [0]],
  ] as const
  for (const [{ key, name }, versions] of needed) {
    const range = answer.apiKeys.find(row => row.apiKey === key)
    assert.ok(range)
    for (const version of versions) assert.ok(range.minVersion <= version && version <= range.maxVersion, name)
  }
})

for (const version of [5, 6, 32767, -1]) {
  test(`Q3, pitfall 33: ApiVersions ${version} is answered as version 0 with error 35 and the one range to ask again`, async () => {
    // Header of version 0 only; what follows is rubbish, which must not be read.
    const frame = Buffer.from([0, 18, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff])
    frame.writeInt16BE(version, 2)
    const answer = await testBroker().broker.handle(ropeOf(frame), testConnection)
    assert.ok(answer)
    const { body, correlationId } = decodeResponse(api, 0, sliceRope(answer, 4, answer.length))
    assert.equal(correlationId, 9)
    assert.equal(errorIn(body), 'UNSUPPORTED_VERSION')
    assert.deepEqual(body.apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
  })
}

test('Q3 the response header has no tagged fields in any version', async () => {
  const { broker } = testBroker()
  for (const [version, frame] of [
    [2, Buffer.from([0, 18, 0, 2, 0, 0, 0, 9, 0xff, 0xff])],
    [3, Buffer.from([0, 18, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 0, 2, 0x61, 2, 0x61, 0])],
  ] as const) {
    const answer = await broker.handle(ropeOf(frame), testConnection)
    const bytes = Buffer.concat(answer?.chunks ?? [])
    assert.equal(bytes.readInt32BE(4), 9, `correlation id of ${version}`)
    assert.equal(bytes.readInt16BE(8), 0, `the error follows at once in ${version}`)
  }
})

test('Q4 from version 3 on a client must give its software a proper name and version', async () => {
  const { ask } = testBroker()
  const error = async (clientSoftwareName: string, clientSoftwareVersion: string, version = 3) =>
    errorIn(await ask(api, version, { clientSoftwareName, clientSoftwareVersion }))
  assert.equal(await error('librdkafka', 'v2.3.0-RC1'), 'NONE')
  assert.equal(await error('a', '1'), 'NONE')
  for (const bad of ['', '-a', 'a-', '.', 'a b', 'a_b', 'ä']) {
    assert.equal(await error(bad, '1'), 'INVALID_REQUEST', bad)
    assert.equal(await error('a', bad, 4), 'INVALID_REQUEST', bad)
  }
  assert.equal(errorIn(await ask(api, 2, {})), 'NONE', 'older versions have no such field')
})
