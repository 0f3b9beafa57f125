import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Prng } from '../../base/prng.ts'
import { subscribedTopics } from './group-subscription.ts'
import { subscription } from './testing/commands.ts'

describe('the topics of subscriptions', () => {
  it('are those of all members, of any version of the protocol', () => {
    const newer = Buffer.concat([subscription(['t', 'v']), Buffer.from('what later versions add')])
    newer.writeInt16BE(3)
    const all = subscribedTopics([subscription(['t']), subscription([]), subscription(['u', 't']), newer])
    assert.deepEqual(all, new Set(['t', 'u', 'v']))
  })

  it('are those of nobody when there is nobody', () => {
    assert.deepEqual(subscribedTopics([]), new Set())
  })

  it('come with user data or without', () => {
    const withData = Buffer.concat([subscription(['t']).subarray(0, -4), Buffer.from([0, 0, 0, 1, 7])])
    assert.deepEqual(subscribedTopics([withData]), new Set(['t']))
  })

  it('are not known when one subscription cannot be read', () => {
    const whole = subscription(['topic', 'other'])
    for (let end = 0; end < whole.length; end++)
      assert.equal(subscribedTopics([subscription(['t']), whole.subarray(0, end)]), null, `${end} bytes`)
    const negativeVersion = Buffer.from(whole)
    negativeVersion.writeInt16BE(-1)
    assert.equal(subscribedTopics([negativeVersion]), null)
    const hugeCount = Buffer.from(whole)
    hugeCount.writeInt32BE(2_147_483_647, 2)
    assert.equal(subscribedTopics([hugeCount]), null)
  })

  it('are found or not in any bytes, without harm', () => {
    const random = new Prng(1)
    for (let i = 0; i < 2_000; i++) {
      const bytes = Buffer.from(subscription(['topic', 'other', 't']))
      for (let n = random.between(1, 5); n > 0; n--) bytes[random.between(0, bytes.length)] = random.between(0, 256)
      const found = subscribedTopics([bytes])
      assert.ok(found === null || found.size <= 3)
    }
  })
})
