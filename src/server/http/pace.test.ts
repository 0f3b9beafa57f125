import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ManualClock } from '../../sim/clock.ts'
import { Pace } from './pace.ts'

function paced(bounds = { perSecond: 100, burst: 2, waitMsMax: 1_000 }) {
  const clock = new ManualClock()
  const pace = new Pace(bounds, clock)
  const seen: string[] = []
  const enter = (name: string) =>
    pace.enter(
      () => seen.push(name),
      () => seen.push(`no ${name}`),
    )
  return { clock, pace, seen, enter }
}

describe('a pace', () => {
  it('lets a burst through at once, and the others in their order as time goes on', async () => {
    const { clock, seen, enter } = paced()
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) enter(name)
    assert.deepEqual(seen, ['a', 'b'])
    await clock.run(20)
    assert.deepEqual(seen, ['a', 'b', 'c', 'd'])
    await clock.run(40)
    assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
    assert.equal(clock.pendingTimers, 0)
    await clock.run(1_000)
    enter('h')
    assert.equal(seen.at(-1), 'h')
  })

  it('makes those behind wait for what took more than others', async () => {
    const { clock, pace, seen, enter } = paced()
    enter('large')
    pace.charge(51)
    enter('next')
    await clock.run(480)
    assert.deepEqual(seen, ['large'])
    await clock.run(40)
    assert.deepEqual(seen, ['large', 'next'])
  })

  it('refuses whoever would wait too long', async () => {
    const { clock, pace, seen, enter } = paced()
    pace.charge(1_000)
    enter('a')
    await clock.run(500)
    enter('b')
    await clock.run(520)
    assert.deepEqual(seen, ['no a'])
    pace.close()
    await clock.run(2_000)
    assert.deepEqual(seen, ['no a'])
    assert.equal(clock.pendingTimers, 0)
  })
})
