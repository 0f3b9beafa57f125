import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { nodeClock } from './clock.ts'

test('a timer may be longer than those of Node, and can be cancelled', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const fired: string[] = []
    const month = 30 * 24 * 60 * 60 * 1000
    nodeClock.setTimer(month, () => fired.push('a month'))
    const cancelled = nodeClock.setTimer(month, () => fired.push('never'))
    nodeClock.setTimer(10, () => fired.push('soon'))
    const ofNode = 2 ** 31 - 1
    mock.timers.tick(ofNode)
    mock.timers.tick(month - ofNode - 1)
    assert.deepEqual(fired, ['soon'])
    cancelled.cancel()
    mock.timers.tick(1)
    assert.deepEqual(fired, ['soon', 'a month'])
  } finally {
    mock.timers.reset()
  }
})
