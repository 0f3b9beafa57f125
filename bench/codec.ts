/**
 * What the codec costs: a Fetch request of 100 partitions and a Produce request of 6 partitions decoded, their responses
 * encoded. Prints microseconds per operation. Run: `node bench/codec.ts`.
 */
import { type Rope, ropeOf, sliceRope } from '../src/base/rope.ts'
import { apis } from '../src/wire/api-keys.ts'
import { decodeRequest, encodeRequest, encodeResponse } from '../src/wire/exchange.ts'

const client = { correlationId: 1, clientId: 'bench' }
const batch = ropeOf(Buffer.alloc(16 * 1024))

function range<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}

const fetchFrame = withoutLength(
  encodeRequest(apis.fetch, 12, client, {
    maxWaitMs: 500,
    minBytes: 1,
    topics: [
      {
        topic: 'orders',
        partitions: range(100, i => ({ partition: i, fetchOffset: 1_000_000 + i, partitionMaxBytes: 1 << 20 })),
      },
    ],
  }),
)

const produceFrame = withoutLength(
  encodeRequest(apis.produce, 9, client, {
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: 'orders', partitionData: range(6, index => ({ index, records: batch })) }],
  }),
)

const fetchResponse = {
  responses: [
    {
      topic: 'orders',
      partitions: range(100, i => ({
        partitionIndex: i,
        errorCode: 0,
        highWatermark: 2_000_000,
        lastStableOffset: 2_000_000,
        logStartOffset: 0,
        records: batch,
      })),
    },
  ],
}

const produceResponse = {
  responses: [
    {
      name: 'orders',
      partitionResponses: range(6, index => ({ index, errorCode: 0, baseOffset: 1_000_000, logStartOffset: 0 })),
    },
  ],
}

function withoutLength(frame: Rope): Rope {
  return sliceRope(frame, 4, frame.length)
}

function measure(what: string, run: () => unknown): void {
  for (let i = 0; i < 5_000; i++) run()
  const count = 20_000
  const rounds = range(5, () => {
    const start = process.hrtime.bigint()
    for (let i = 0; i < count; i++) run()
    return Number(process.hrtime.bigint() - start) / count / 1000
  })
  console.log(`${what.padEnd(48)} ${Math.min(...rounds).toFixed(2)} µs`)
}

measure('decode Fetch 12, 100 partitions', () => decodeRequest(apis.fetch, 12, fetchFrame))
measure('encode its response', () => encodeResponse(apis.fetch, 12, 1, fetchResponse))
measure('decode Produce 9, 6 partitions', () => decodeRequest(apis.produce, 9, produceFrame))
measure('encode its response', () => encodeResponse(apis.produce, 9, 1, produceResponse))
