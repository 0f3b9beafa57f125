import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CommandTurns } from './command-turns.ts'

test('commands begin in order, and only shared ones side by side, however they end', async () => {
  const command = fc.record({ isShared: fc.boolean(), turns: fc.nat(4), fails: fc.boolean(), later: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 20 }), async commands => {
      const turns = new CommandTurns()
      const begun: number[] = []
      const running = new Set<number>()
      const asked: Promise<unknown>[] = []
      for (const [number, { isShared, turns: wait, fails, later }] of commands.entries()) {
        const work = async () => {
          begun.push(number)
          const others = [...running].map(other => commands[other]?.isShared)
          assert.ok(isShared ? others.every(Boolean) : others.length === 0)
          running.add(number)
          for (let i = 0; i < wait; i++) await null
          running.delete(number)
          if (fails) throw new Error('failed')
          return number
        }
        const done = turns.run(isShared, work)
        asked.push(fails ? assert.rejects(done, /^Error: failed$/) : done.then(value => assert.equal(value, number)))
        if (later) await null
      }
      await Promise.all(asked)
      assert.deepEqual(begun, [...commands.keys()])
    }),
    { numRuns: 200 },
  )
})

test('a command with nothing before it begins within the call', () => {
  const turns = new CommandTurns()
  const begun: string[] = []
  const work = (name: string) => async () => void begun.push(name)
  void turns.run(true, work('a'))
  void turns.run(true, work('b'))
  assert.deepEqual(begun, ['a', 'b'])
})
