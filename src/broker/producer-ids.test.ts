import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProducerIds } from './producer-ids.ts'

test('ids come from blocks, each once, however many ask at a time', async () => {
  let blocks = 0
  const ids = new ProducerIds({
    async allocateProducerIds() {
      await null
      return { first: 100 * ++blocks, count: 3 }
    },
  })
  const given = await Promise.all(Array.from({ length: 8 }, () => ids.next()))
  assert.deepEqual(
    given.sort((a, b) => a - b),
    [100, 101, 102, 200, 201, 202, 300, 301],
  )
  assert.equal(blocks, 3)
})

test('a failed allocation fails those who wait for it, and the next one tries again', async () => {
  let tries = 0
  const ids = new ProducerIds({
    async allocateProducerIds() {
      if (++tries === 1) throw new Error('not now')
      return { first: 0, count: 1 }
    },
  })
  await assert.rejects(ids.next(), /not now/)
  assert.equal(await ids.next(), 0)
})
