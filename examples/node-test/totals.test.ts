/** Tests of the service against a real broker, which lives in the test's own process. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type EmbeddedBroker, startBroker } from 'tidelog'
import { startTotals } from './totals.ts'

const order = (customer: string, amount: number) => ({ key: customer, value: JSON.stringify({ amount }) })

describe('totals', () => {
  let broker: EmbeddedBroker

  before(async () => {
    broker = await startBroker()
  })
  after(() => broker.close())

  // Each test begins with one empty topic; the broker goes on, which takes a few milliseconds.
  beforeEach(async () => {
    await broker.reset()
    await broker.createTopic('orders', { partitions: 3 })
  })

  it('adds up the orders of each customer', async () => {
    await broker.produce('orders', [order('ada', 3), order('bob', 5), order('ada', 4)])
    const service = await startTotals(broker.bootstrap)
    await broker.waitForLag('totals')
    assert.deepEqual(Object.fromEntries(service.totals), { ada: 7, bob: 5 })
    await service.stop()
  })

  it('misses nothing when the broker has a bad moment', async () => {
    const fault = broker.faults.once('Fetch', { error: 'NOT_LEADER_OR_FOLLOWER', clientId: 'totals' })
    const service = await startTotals(broker.bootstrap)
    await broker.produce('orders', [order('ada', 1), order('bob', 2)])
    await broker.waitForLag('totals')
    assert.equal(fault.met, 1)
    assert.deepEqual(Object.fromEntries(service.totals), { ada: 1, bob: 2 })
    await service.stop()
  })

  it('goes on where it was, also when it was stopped', async () => {
    await broker.produce('orders', order('ada', 1))
    const first = await startTotals(broker.bootstrap)
    await broker.waitForLag('totals')
    await first.stop()
    await broker.produce('orders', order('ada', 10))
    const second = await startTotals(broker.bootstrap)
    await broker.waitForLag('totals')
    assert.deepEqual(Object.fromEntries(second.totals), { ada: 10 })
    await second.stop()
  })
})
