/** Whole requests and responses against bytes that were derived by hand from Kafka's protocol guide. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { noTopicId } from '../base/ids.ts'
import { flattenRope, type Rope, ropeOf, sliceRope } from '../base/rope.ts'
import {
  type Api,
  apiByKey,
  apiList,
  apis,
  requestHeaderVersion,
  responseHeaderVersion,
  servesVersion,
} from './api-keys.ts'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from './exchange.ts'
import { frameLengthBytes } from './frame.ts'
import { peekRequest, readRequestHeader, requestPrefixBytes } from './headers.ts'
import { ProtocolError } from './protocol-error.ts'
import { WireReader } from './reader.ts'
import type { Draft } from './schema.ts'

/** Hex with spaces; what stands in quotes is text. */
function bytesOf(...parts: readonly string[]): Buffer {
  const tokens = parts.join(' ').match(/'[^']*'|[0-9a-f]+/g) ?? []
  return Buffer.concat(
    tokens.map(token => (token[0] === "'" ? Buffer.from(token.slice(1, -1)) : Buffer.from(token, 'hex'))),
  )
}

function framed(...parts: readonly string[]): Buffer {
  const body = bytesOf(...parts)
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

function unframed(frame: Buffer): Rope {
  return ropeOf(frame.subarray(frameLengthBytes))
}

const client = { correlationId: 7, clientId: 'cli' }

/** The request is written as these bytes, and these bytes read as the request. */
function assertRequest<A extends Api>(api: A, version: number, draft: Draft<A['request']>, wanted: Buffer): void {
  const written = flattenRope(encodeRequest(api, version, client, draft))
  assert.equal(written.toString('hex'), wanted.toString('hex'))
  const { header, body } = decodeRequest(api, version, unframed(wanted))
  assert.deepEqual(header, { apiKey: api.key, apiVersion: version, ...client })
  const again = flattenRope(encodeRequest(api, version, client, body as Draft<A['request']>))
  assert.equal(again.toString('hex'), wanted.toString('hex'), 'what was read is written the same')
}

function assertResponse<A extends Api>(api: A, version: number, draft: Draft<A['response']>, wanted: Buffer): void {
  const written = flattenRope(encodeResponse(api, version, client.correlationId, draft))
  assert.equal(written.toString('hex'), wanted.toString('hex'))
  const { correlationId, body } = decodeResponse(api, version, unframed(wanted))
  assert.equal(correlationId, client.correlationId)
  const again = flattenRope(encodeResponse(api, version, correlationId, body as Draft<A['response']>))
  assert.equal(again.toString('hex'), wanted.toString('hex'), 'what was read is written the same')
}

describe('ApiVersions', () => {
  test('request 0: a header of version 1 and nothing else', () => {
    assertRequest(apis.apiVersions, 0, {}, framed("0012 0000 00000007 0003 'cli'"))
  })

  test('request 3, Q5: the client id of a flexible header keeps its int16 length, tags follow it', () => {
    assertRequest(
      apis.apiVersions,
      3,
      { clientSoftwareName: 'lib', clientSoftwareVersion: '1.0' },
      framed("0012 0003 00000007 0003 'cli' 00", "04 'lib' 04 '1.0' 00"),
    )
  })

  test('response 0', () => {
    const draft = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] }
    assertResponse(apis.apiVersions, 0, draft, framed('00000007', '0000 00000001 0012 0000 0004'))
  })

  test('response 3, Q3: the body is flexible, the header is not', () => {
    const draft = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] }
    assertResponse(apis.apiVersions, 3, draft, framed('00000007', '0000 02 0012 0000 0004 00 00000000 00'))
  })

  test('response 4: tagged fields in the order of their tags, each with its size', () => {
    const draft = {
      errorCode: 0,
      apiKeys: [],
      supportedFeatures: [{ name: 'tv', minVersion: 0, maxVersion: 2 }],
      finalizedFeaturesEpoch: 5,
    }
    const features = "00 09 02 03 'tv' 0000 0002 00"
    const epoch = '01 08 0000000000000005'
    assertResponse(apis.apiVersions, 4, draft, framed('00000007', '0000 01 00000000', '02', features, epoch))
  })
})

describe('Produce', () => {
  const records = ropeOf(Buffer.from('abc'))

  test('request 3', () => {
    assertRequest(
      apis.produce,
      3,
      { acks: -1, timeoutMs: 30_000, topicData: [{ name: 't', partitionData: [{ index: 2, records }] }] },
      framed("0000 0003 00000007 0003 'cli'", "ffff ffff 00007530 00000001 0001 't' 00000001 00000002 00000003 'abc'"),
    )
  })

  test('request 9', () => {
    assertRequest(
      apis.produce,
      9,
      {
        transactionalId: 'tx',
        acks: 1,
        timeoutMs: 30_000,
        topicData: [
          {
            name: 't',
            partitionData: [
              { index: 2, records: null },
              { index: 3, records },
            ],
          },
        ],
      },
      framed(
        "0000 0009 00000007 0003 'cli' 00",
        "03 'tx' 0001 00007530 02 02 't' 03 00000002 00 00 00000003 04 'abc' 00 00 00",
      ),
    )
  })

  test('response 3 and response 10 with the new leader', () => {
    const partition = { index: 2, errorCode: 6, baseOffset: -1 }
    assertResponse(
      apis.produce,
      3,
      { responses: [{ name: 't', partitionResponses: [partition] }] },
      framed('00000007', "00000001 0001 't' 00000001 00000002 0006 ffffffffffffffff ffffffffffffffff 00000000"),
    )
    assertResponse(
      apis.produce,
      10,
      {
        responses: [
          { name: 't', partitionResponses: [{ ...partition, currentLeader: { leaderId: 3, leaderEpoch: 4 } }] },
        ],
        nodeEndpoints: [{ nodeId: 3, host: 'h', port: 9092 }],
      },
      framed(
        '00000007 00',
        "02 02 't' 02 00000002 0006 ffffffffffffffff ffffffffffffffff ffffffffffffffff 01 00",
        '01 00 09 00000003 00000004 00',
        '00 00000000',
        "01 00 0d 02 00000003 02 'h' 00002384 00 00",
      ),
    )
  })
})

describe('Fetch', () => {
  test('request 4', () => {
    assertRequest(
      apis.fetch,
      4,
      {
        maxWaitMs: 500,
        minBytes: 1,
        maxBytes: 0x0320_0000,
        topics: [{ topic: 't', partitions: [{ partition: 1, fetchOffset: 5, partitionMaxBytes: 0x0010_0000 }] }],
      },
      framed(
        "0001 0004 00000007 0003 'cli'",
        'ffffffff 000001f4 00000001 03200000 00',
        "00000001 0001 't' 00000001 00000001 0000000000000005 00100000",
      ),
    )
  })

  test('request 12', () => {
    assertRequest(
      apis.fetch,
      12,
      {
        clusterId: 'c',
        maxWaitMs: 500,
        minBytes: 1,
        topics: [{ topic: 't', partitions: [{ partition: 1, fetchOffset: 5, partitionMaxBytes: 0x0010_0000 }] }],
      },
      framed(
        "0001 000c 00000007 0003 'cli' 00",
        'ffffffff 000001f4 00000001 7fffffff 00 00000000 ffffffff',
        "02 02 't' 02 00000001 ffffffff 0000000000000005 ffffffff ffffffffffffffff 00100000 00 00",
        "01 01 01 00 02 02 'c'",
      ),
    )
  })

  test('response 4 with records', () => {
    const partition = {
      partitionIndex: 1,
      errorCode: 0,
      highWatermark: 9,
      lastStableOffset: 9,
      abortedTransactions: null,
    }
    assertResponse(
      apis.fetch,
      4,
      { responses: [{ topic: 't', partitions: [{ ...partition, records: ropeOf(Buffer.from('abc')) }] }] },
      framed(
        '00000007',
        "00000000 00000001 0001 't' 00000001 00000001 0000 0000000000000009 0000000000000009 ffffffff 00000003 'abc'",
      ),
    )
  })
})

describe('what is offered', () => {
  test('Q1: Produce is offered from version 0, and served from version 3', () => {
    assert.deepEqual(apis.produce.advertised, [0, 13])
    assert.equal(servesVersion(apis.produce, 2), false)
    assert.equal(servesVersion(apis.produce, 3), true)
    assert.equal(servesVersion(apis.produce, 14), false)
  })

  test('Q2: the ranges hold every exact version that old librdkafka looks for', () => {
    const looked: readonly (readonly [Api, number])[] = [
      [apis.produce, 3],
      [apis.produce, 7],
      [apis.fetch, 4],
      [apis.fetch, 10],
      [apis.findCoordinator, 0],
      [apis.listOffsets, 1],
      [apis.initProducerId, 0],
      [apis.apiVersions, 0],
      [apis.offsetCommit, 2],
      [apis.offsetFetch, 1],
      [apis.joinGroup, 0],
      [apis.syncGroup, 0],
      [apis.heartbeat, 0],
      [apis.leaveGroup, 0],
    ]
    for (const [api, version] of looked) assert.ok(servesVersion(api, version), `${api.name} ${version}`)
  })

  test('an API is found by its key; others are absent', () => {
    for (const api of apiList) assert.equal(apiByKey(api.key), api)
    for (const key of [-1, 4, 17, 999]) assert.equal(apiByKey(key), undefined)
  })

  test('Q3: the response of ApiVersions has header 0 in every version, others follow their bodies', () => {
    assert.equal(responseHeaderVersion(apis.apiVersions, 4), 0)
    assert.equal(requestHeaderVersion(apis.apiVersions, 3), 2)
    assert.equal(requestHeaderVersion(apis.apiVersions, 99), 2)
    assert.equal(responseHeaderVersion(apis.fetch, 11), 0)
    assert.equal(responseHeaderVersion(apis.fetch, 12), 1)
  })
})

describe('headers', () => {
  test('Q3: of a request in an unknown version, the prefix can be read', () => {
    const frame = unframed(framed('0012 0063 0000002a ff ff ff ff'))
    assert.deepEqual(peekRequest(frame), { apiKey: 18, apiVersion: 99, correlationId: 42 })
  })

  test('a frame shorter than the prefix is refused', () => {
    for (let length = 0; length < requestPrefixBytes; length++) {
      assert.throws(() => peekRequest(ropeOf(Buffer.alloc(length))), ProtocolError)
    }
  })

  test('a null client id, an empty one, and one of another encoding', () => {
    const read = (id: string) =>
      readRequestHeader(new WireReader(ropeOf(bytesOf('0012 0000 00000001', id))), 1).clientId
    assert.equal(read('ffff'), null)
    assert.equal(read('0000'), '')
    assert.throws(() => read('0001 ff'), ProtocolError)
    assert.throws(() => read('fffe'), ProtocolError)
  })

  test('unknown tagged fields of a header are skipped', () => {
    const frame = unframed(framed("0012 0003 00000007 0003 'cli' 01 63 02 abcd", "04 'lib' 04 '1.0' 01 05 00"))
    const { header, body } = decodeRequest(apis.apiVersions, 3, frame)
    assert.equal(header.clientId, 'cli')
    assert.deepEqual(body, { clientSoftwareName: 'lib', clientSoftwareVersion: '1.0' })
  })
})

describe('a body that does not end where its frame does', () => {
  const whole = encodeRequest(apis.metadata, 12, client, { topics: [{ topicId: noTopicId, name: 'orders' }] })
  const body = sliceRope(whole, frameLengthBytes, whole.length)

  test('is refused when it is cut at any byte', () => {
    for (let length = 0; length < body.length; length++) {
      assert.throws(() => decodeRequest(apis.metadata, 12, sliceRope(body, 0, length)), ProtocolError)
    }
  })

  test('is taken for what it is when bytes follow it, as by Apache Kafka', () => {
    const { topics } = decodeRequest(apis.metadata, 12, ropeOf(...body.chunks, Buffer.alloc(1))).body
    assert.deepEqual(topics, [{ topicId: noTopicId, name: 'orders' }])
  })
})
