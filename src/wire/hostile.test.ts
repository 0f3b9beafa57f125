/**
 * Bytes of bad will and of bad luck: whatever arrives, a request reads or is a `ProtocolError`, soon, and without memory that
 * the sender did not pay for in bytes.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Prng } from '../base/prng.ts'
import { flattenRope, type Rope, ropeFrom, ropeOf, sliceRope } from '../base/rope.ts'
import { type Api, apiList, apis } from './api-keys.ts'
import { cutIntoChunks, draftsOf } from './arbitraries.test-kit.ts'
import { readBody } from './compile.ts'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from './exchange.ts'
import { frameLengthBytes } from './frame.ts'
import { ProtocolError } from './protocol-error.ts'
import { WireReader } from './reader.ts'
import { array, message, string, struct, versionsOf } from './schema.ts'

const mutantsOfAllRequests = 100_000
const mutantsOfAllResponses = 20_000
const seed = 20_26

interface Sample {
  readonly api: Api
  readonly version: number
  readonly bytes: Buffer
}

/** A few valid requests, or responses, of every API in every version. */
function samplesOf(side: 'request' | 'response'): Sample[] {
  return apiList.flatMap(api =>
    versionsOf(api[side]).flatMap(version =>
      fc.sample(draftsOf(api[side], version), { numRuns: 4, seed: seed + version }).map(draft => {
        const frame =
          side === 'request'
            ? encodeRequest(api, version, { correlationId: 1, clientId: 'x' }, draft)
            : encodeResponse(api, version, 1, draft)
        return { api, version, bytes: flattenRope(frame).subarray(frameLengthBytes) }
      }),
    ),
  )
}

const extremes = [
  '7fffffff',
  'ffffffff',
  '80000000',
  'fffffffe',
  '7fff',
  'fffe',
  'ffffffff0f',
  'ffffffffff7f',
  '00',
  '80',
]

/** One to three changes: bits, extreme lengths, cuts, repetitions. */
function mutate(bytes: Buffer, prng: Prng): Buffer {
  let mutant = Buffer.from(bytes)
  for (let changes = prng.between(1, 4); changes > 0; changes--) {
    const at = prng.between(0, mutant.length + 1)
    const end = Math.min(at + prng.between(1, 9), mutant.length)
    const kind = prng.between(0, 6)
    if (kind === 0 && at < mutant.length) mutant[at]! ^= 1 << prng.between(0, 8)
    else if (kind === 1) mutant = mutant.subarray(0, at)
    else if (kind === 2) Buffer.from(prng.pick(extremes), 'hex').copy(mutant, at)
    else if (kind === 3) mutant = Buffer.concat([mutant.subarray(0, at), prng.bytes(end - at), mutant.subarray(end)])
    else if (kind === 4) mutant = Buffer.concat([mutant.subarray(0, end), mutant.subarray(at)])
    else mutant = Buffer.concat([mutant.subarray(0, at), mutant.subarray(end)])
  }
  return mutant
}

/** Whether it could be read; throws what is not a protocol error. */
function reads(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

function attack(samples: readonly Sample[], count: number, decode: (sample: Sample, frame: Rope) => unknown): void {
  const prng = new Prng(seed)
  let refused = 0
  let slowestMs = 0
  for (let i = 0; i < count; i++) {
    const sample = samples[i % samples.length]!
    const mutant = mutate(sample.bytes, prng)
    const frame = prng.chance(0.5) ? ropeOf(mutant) : cutIntoChunks(mutant, [prng.uint32(), prng.uint32()])
    const start = performance.now()
    try {
      if (!reads(() => decode(sample, frame))) refused++
    } catch (error) {
      assert.fail(`${sample.api.name} ${sample.version}, mutant ${mutant.toString('hex')}: ${error}`)
    }
    slowestMs = Math.max(slowestMs, performance.now() - start)
  }
  assert.ok(
    refused > count / 3,
    `only ${refused} of ${count} were refused: the mutations are too mild to show anything`,
  )
  assert.ok(refused < count, 'some mutants are still requests, or the samples were wrong')
  assert.ok(slowestMs < 500, `one took ${slowestMs} ms`)
}

test(`${mutantsOfAllRequests} mutated requests: protocol errors only`, () => {
  attack(samplesOf('request'), mutantsOfAllRequests, ({ api, version }, frame) => decodeRequest(api, version, frame))
})

test(`${mutantsOfAllResponses} mutated responses: protocol errors only`, () => {
  attack(samplesOf('response'), mutantsOfAllResponses, ({ api, version }, frame) => decodeResponse(api, version, frame))
})

test('random bytes as requests: protocol errors only', () => {
  const prng = new Prng(seed)
  for (let i = 0; i < 20_000; i++) {
    const api = prng.pick(apiList)
    const version = prng.between(api.versions[0], api.versions[1] + 1)
    reads(() => decodeRequest(api, version, ropeOf(prng.bytes(prng.between(0, 80)))))
  }
})

test('every request cut at every byte is refused', () => {
  for (const { api, version, bytes } of samplesOf('request').filter((_, i) => i % 4 === 0)) {
    for (let length = 0; length < bytes.length; length++) {
      const cut = ropeOf(bytes.subarray(0, length))
      assert.equal(
        reads(() => decodeRequest(api, version, cut)),
        false,
        `${api.name} ${version} cut to ${length} of ${bytes.length}`,
      )
    }
  }
})

describe('what is declared is not believed', () => {
  /** A Fetch request up to its array of topics, whose count is then a lie. */
  function fetchWithTopics(version: number, count: string): Rope {
    const empty = encodeRequest(
      apis.fetch,
      version,
      { correlationId: 1, clientId: null },
      { maxWaitMs: 0, minBytes: 0, topics: [] },
    )
    const bytes = flattenRope(sliceRope(empty, frameLengthBytes, empty.length))
    // Behind the header (10 bytes, 11 when flexible) come four int32, an int8, and from version 7 on two int32.
    const at = version >= 12 ? 36 : 27
    const countBytes = version >= 12 ? 1 : 4
    return ropeOf(Buffer.concat([bytes.subarray(0, at), Buffer.from(count, 'hex'), bytes.subarray(at + countBytes)]))
  }

  const lies: readonly (readonly [number, string])[] = [
    [4, '7fffffff'],
    [4, '00ffffff'],
    [4, '80000000'],
    [4, 'fffffffe'],
    [4, 'ffffffff'],
    [12, 'ffffffff07'],
    [12, 'ffffffff0f'],
    [12, '00'],
    [12, '80808080808001'],
  ]
  for (const [version, count] of lies) {
    test(`a count of topics of ${count} in Fetch ${version} is refused and costs nothing`, () => {
      const frame = fetchWithTopics(version, count)
      const before = process.memoryUsage()
      assert.throws(() => decodeRequest(apis.fetch, version, frame), ProtocolError)
      const after = process.memoryUsage()
      assert.ok(after.heapUsed + after.external - before.heapUsed - before.external < 8 << 20)
    })
  }

  test('the count that is there is read: the place of the lies above is the right one', () => {
    for (const [version, zero] of [
      [4, '00000000'],
      [12, '01'],
    ] as const) {
      assert.deepEqual(decodeRequest(apis.fetch, version, fetchWithTopics(version, zero)).body.topics, [])
    }
  })
})

describe('a large frame of the smallest elements', () => {
  const frameBytes = 8 << 20

  function assertRefusedSoon(read: () => unknown): void {
    const before = process.memoryUsage().heapUsed
    const start = performance.now()
    assert.throws(read, { name: 'ProtocolError', message: /too many elements/ })
    const elapsedMs = performance.now() - start
    assert.ok(elapsedMs < 1000, `${elapsedMs} ms`)
    assert.ok(process.memoryUsage().heapUsed - before < 256 << 20)
  }

  const nested = message({
    name: 'Nested',
    apiKey: 0,
    versions: [0, 0],
    flexibleSince: 0,
    body: { outer: array(struct({ inner: array(struct({ name: string })) })) },
  })

  test('cannot make millions of objects by one count', () => {
    // The count of the outer array, then for each element an empty array and no tagged fields.
    const body = Buffer.concat([Buffer.from([0x81, 0x80, 0x80, 0x02]), Buffer.alloc(frameBytes, Buffer.from([1, 0]))])
    assertRefusedSoon(() => readBody(nested, 0, new WireReader(ropeOf(body))))
  })

  test('cannot make millions of objects by many small counts', () => {
    // 200,000 elements with one element inside each: the empty string, no tagged fields, twice.
    const body = Buffer.concat([Buffer.from([0xc1, 0x9a, 0x0c]), Buffer.alloc(800_001, Buffer.from([2, 1, 0, 0]))])
    assertRefusedSoon(() => readBody(nested, 0, new WireReader(ropeOf(body))))
  })

  test('cannot make it skip tagged fields for ever', () => {
    const tags = Buffer.concat([
      Buffer.from([0x80, 0x80, 0x80, 0x02]),
      Buffer.alloc(frameBytes, Buffer.from([0x09, 0x00])),
    ])
    const frame = ropeOf(Buffer.from('001200030000000100016100', 'hex').subarray(0, 11), tags)
    assertRefusedSoon(() => decodeRequest(apis.apiVersions, 3, frame))
  })

  test('cannot make it search its chunks again and again: many records fields in many chunks', () => {
    const partitions = Array.from({ length: 20_000 }, (_, index) => ({ index, records: ropeOf(Buffer.alloc(20)) }))
    const request = { acks: 1, timeoutMs: 1, topicData: [{ name: 't', partitionData: partitions }] }
    const frame = flattenRope(encodeRequest(apis.produce, 9, { correlationId: 1, clientId: null }, request)).subarray(4)
    const crumbs = ropeFrom(
      Array.from({ length: Math.ceil(frame.length / 16) }, (_, i) => frame.subarray(i * 16, i * 16 + 16)),
    )
    const start = performance.now()
    const { body } = decodeRequest(apis.produce, 9, crumbs)
    assert.equal(body.topicData[0]?.partitionData.length, 20_000)
    assert.ok(performance.now() - start < 1000)
  })
})
