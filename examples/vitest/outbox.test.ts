import { type EmbeddedBroker, type Snapshot, startBroker } from 'tidelog'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { publish } from './outbox.ts'

let broker: EmbeddedBroker
let prepared: Snapshot

beforeAll(async () => {
  broker = await startBroker()
  await broker.createTopic('events')
  await broker.produce('events', { key: '0', value: 'there before' })
  prepared = await broker.snapshot()
})
beforeEach(() => broker.reset(prepared))
afterAll(() => broker.close())

async function published() {
  const events: string[] = []
  for await (const { key, value } of broker.read('events', { from: 1 })) events.push(`${key}: ${value}`)
  return events
}

test('publishes in order', async () => {
  await publish(broker.bootstrap, [
    { id: '1', what: 'signed up' },
    { id: '1', what: 'paid' },
  ])
  expect(await published()).toEqual(['1: signed up', '1: paid'])
})

test('tries again where the broker asks for that', async () => {
  const fault = broker.faults.once('Produce', { error: 'NOT_LEADER_OR_FOLLOWER' })
  await publish(broker.bootstrap, [{ id: '2', what: 'signed up' }])
  expect(fault.met).toBe(1)
  expect(await published()).toEqual(['2: signed up'])
  expect(broker.calls.filter(({ api }) => api === 'Produce')).toHaveLength(2)
})
