import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../sim/clock.ts'
import { LookGate } from './look-gate.ts'

const limits = { atOnceMax: 2, bytesMax: 100, waitMsMax: 50 }
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

/** Tasks that go through a gate, each ended by hand. */
function start() {
  const clock = new ManualClock()
  const gate = new LookGate(clock, limits)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const pass = (name: string, bytes = 10) =>
    gate.pass(bytes, () => {
      begun.push(name)
      return new Promise<string>(resolve => ends.set(name, () => resolve(name)))
    })
  const end = async (name: string) => {
    ends.get(name)?.()
    await turn()
  }
  return { clock, gate, begun, pass, end }
}

test('so many go at once, the others in their order', async () => {
  const { begun, pass, end } = start()
  const all = ['a', 'b', 'c', 'd'].map(name => pass(name))
  await turn()
  assert.deepEqual(begun, ['a', 'b'])
  await end('b')
  assert.deepEqual(begun, ['a', 'b', 'c'])
  await end('a')
  await end('c')
  await end('d')
  assert.deepEqual(await Promise.all(all), ['a', 'b', 'c', 'd'])
})

test('what waits for too long is given up, and the rest goes on', async () => {
  const { clock, begun, pass, end } = start()
  const [first] = [pass('a'), pass('b')]
  const late = pass('c')
  clock.advance(30)
  const later = pass('d')
  clock.advance(20)
  assert.equal(await late, null)
  await end('a')
  assert.deepEqual(begun, ['a', 'b', 'd'])
  await end('d')
  assert.deepEqual([await first, await later], ['a', 'd'])
  assert.equal(clock.pendingTimers, 0)
})

test('what finds no room is refused at once; what is too large by itself goes alone', async () => {
  const { pass, end } = start()
  const large = pass('large', 1000)
  assert.equal(await pass('b'), null)
  await end('large')
  assert.equal(await large, 'large')
  const next = pass('b')
  await turn()
  await end('b')
  assert.equal(await next, 'b')
})

test('a task that fails makes room, and its fault is told', async () => {
  const { gate, pass, end } = start()
  for (let i = 0; i < 3; i++) await assert.rejects(gate.pass(60, () => Promise.reject(new Error('broken'))))
  const next = pass('a')
  await turn()
  await end('a')
  assert.equal(await next, 'a')
})

test('when it closes nobody waits any more', async () => {
  const { clock, gate, pass, end } = start()
  const running = [pass('a'), pass('b')]
  const waiting = pass('c')
  gate.close()
  assert.equal(await waiting, null)
  await end('a')
  await end('b')
  assert.deepEqual(await Promise.all(running), ['a', 'b'])
  assert.equal(clock.pendingTimers, 0)
})
