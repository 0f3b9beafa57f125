import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InOrder } from './in-order.ts'

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

test('what is ready and has nobody before it is handed on at once', () => {
  const queue = new InOrder<number>()
  const seen: number[] = []
  for (let i = 0; i < 3; i++) queue.add(1, i, value => seen.push(value))
  assert.deepEqual(seen, [0, 1, 2])
  assert.ok(queue.isEmpty)
})

test('everything is handed on once, in the order in which it came, whenever it becomes ready', async () => {
  const anyThing = fc.record({ isReady: fc.boolean(), afterTurns: fc.nat(4) })
  await fc.assert(
    fc.asyncProperty(fc.array(anyThing, { maxLength: 20 }), async things => {
      const queue = new InOrder<number>()
      const seen: number[] = []
      things.forEach(({ isReady, afterTurns }, i) => {
        const later = async () => {
          for (let turns = 0; turns < afterTurns; turns++) await turn()
          return i
        }
        queue.add(2, isReady ? i : later(), value => seen.push(value))
      })
      for (let turns = 0; turns < 6; turns++) await turn()
      assert.deepEqual(
        seen,
        things.map((_, i) => i),
      )
      assert.deepEqual([queue.isEmpty, queue.weight], [true, 0])
    }),
    { numRuns: 30 },
  )
})

test('at its end all that waits is handed on as one thing, and nothing after it', async () => {
  const queue = new InOrder<string>()
  const seen: string[] = []
  const first = Promise.withResolvers<string>()
  queue.add(3, first.promise, value => seen.push(value))
  queue.add(4, 'second', value => seen.push(value))
  assert.deepEqual([queue.weight, seen], [7, []])
  queue.end('over')
  first.resolve('first')
  await turn()
  assert.deepEqual([queue.weight, seen], [0, ['over', 'over']])
})
