import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ropeOf } from '../base/rope.ts'
import type { Broker } from '../broker/broker.ts'
import { apis } from '../wire/api-keys.ts'
import { encodeRequest } from '../wire/exchange.ts'
import { kafkaService } from './dispatch.ts'

describe('the Kafka service', () => {
  const broker = { handle: async () => ropeOf(Buffer.from('answer')) } as unknown as Broker
  const service = kafkaService(() => broker)

  it('knows which answers may be large before it reads a request', () => {
    const sizes = Object.values(apis).map(api => {
      const header = Buffer.alloc(8)
      header.writeInt16BE(api.key)
      return [api.name, service.answerSize(ropeOf(header))] as const
    })
    const special = sizes.filter(([, size]) => size !== 'medium')
    assert.deepEqual(special, [
      ['Produce', 'small'],
      ['Fetch', 'large'],
      ['JoinGroup', 'held'],
      ['SyncGroup', 'held'],
    ])
  })

  it('takes an API that nobody knows for an ordinary one: the broker refuses it', () => {
    const [chunk] = encodeRequest(apis.apiVersions, 0, { correlationId: 1, clientId: null }, {}).chunks
    const frame = Buffer.from(chunk!.subarray(4))
    frame.writeInt16BE(9999)
    assert.equal(service.answerSize(ropeOf(frame)), 'medium')
  })
})
