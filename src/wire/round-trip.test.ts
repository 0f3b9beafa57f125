/** Every message in every version: what is written is what is read, wherever the chunks end. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { flattenRope, type Rope, ropeOf } from '../base/rope.ts'
import { apiList } from './api-keys.ts'
import { cutIntoChunks, draftsOf, expectedBody } from './arbitraries.test-kit.ts'
import { readBody, writeBody } from './compile.ts'
import { WireReader } from './reader.ts'
import { type Message, versionsOf } from './schema.ts'
import { WireWriter } from './writer.ts'

const runs = 40

/** Ropes with the same bytes are equal, however they are cut. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable)
  if (value === null || typeof value !== 'object') return value
  if ('chunks' in value) return flattenRope(value as Rope).toString('hex')
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, comparable(member)]))
}

function write(message: Message, version: number, draft: unknown): Rope {
  const to = new WireWriter()
  writeBody(message, version, to, draft)
  return to.finish()
}

function read(message: Message, version: number, rope: Rope): unknown {
  const from = new WireReader(rope)
  const body = readBody(message, version, from)
  from.finish()
  return body
}

for (const message of apiList.flatMap(api => [api.request, api.response])) {
  describe(message.name, () => {
    for (const version of versionsOf(message)) {
      test(`version ${version} reads what it wrote`, () => {
        const places = fc.array(fc.nat(), { maxLength: 12 })
        fc.assert(
          fc.property(draftsOf(message, version), places, (draft, cuts) => {
            const bytes = flattenRope(write(message, version, draft))
            const wanted = comparable(expectedBody(message, version, draft))
            assert.deepEqual(comparable(read(message, version, ropeOf(bytes))), wanted)
            assert.deepEqual(comparable(read(message, version, cutIntoChunks(bytes, cuts))), wanted)
          }),
          { numRuns: runs },
        )
      })
    }
  })
}

test('records are written by reference and read as views: no message byte is copied', () => {
  const { request } = apiList[0]!
  const records = ropeOf(Buffer.from('first chunk'), Buffer.from('second chunk'))
  const draft = { acks: 1, timeoutMs: 1, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] }
  const written = write(request, 9, draft)
  for (const chunk of records.chunks) assert.ok(written.chunks.includes(chunk), 'the very chunk is in the rope')

  const body = read(request, 9, written) as { topicData: { partitionData: { records: Rope }[] }[] }
  const back = body.topicData[0]!.partitionData[0]!.records
  assert.deepEqual(
    back.chunks.map(chunk => [chunk.buffer, chunk.byteOffset, chunk.length]),
    records.chunks.map(chunk => [chunk.buffer, chunk.byteOffset, chunk.length]),
  )
})
