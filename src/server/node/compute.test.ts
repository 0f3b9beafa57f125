import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ropeOf } from '../../base/rope.ts'
import type { Clock, Timer } from '../../io/clock.ts'
import { codecs } from '../../io/compute.ts'
import { nodeClock } from './clock.ts'
import { NodeCompute } from './compute.ts'

describe('compute', () => {
  const compute = new NodeCompute(nodeClock)
  after(() => compute.close())

  it('decompresses a rope in another thread', async () => {
    const packed = gzipSync(Buffer.from('ebb and flow'))
    const rope = ropeOf(packed.subarray(0, 7), packed.subarray(7))
    assert.equal((await compute.decompress('gzip', rope, 100)).toString(), 'ebb and flow')
  })

  it('leaves the chunks it was given as they were', async () => {
    const packed = gzipSync(Buffer.from('ebb and flow'))
    await compute.decompress('gzip', ropeOf(packed), 100)
    assert.equal((await compute.decompress('gzip', ropeOf(packed), 100)).toString(), 'ebb and flow')
  })

  it('rejects malformed input and bombs, and goes on', async () => {
    await assert.rejects(compute.decompress('gzip', ropeOf(Buffer.from('no gzip')), 100), { code: 'CORRUPT' })
    const bomb = ropeOf(gzipSync(Buffer.alloc(1_000_000)))
    await assert.rejects(compute.decompress('gzip', bomb, 1000), { code: 'TOO_LARGE' })
    assert.equal((await compute.decompress('none', ropeOf(Buffer.from('plain')), 100)).toString(), 'plain')
  })

  it('compresses a rope in another thread, for the next job to decompress', async () => {
    for (const codec of codecs) {
      const packed = await compute.compress(codec, null, ropeOf(Buffer.from('ebb '), Buffer.from('and flow')))
      assert.equal((await compute.decompress(codec, ropeOf(packed), 100)).toString(), 'ebb and flow', codec)
    }
  })

  it('answers many jobs each with its own result', async () => {
    const texts = Array.from({ length: 50 }, (_, i) => `record ${i}`)
    const results = await Promise.all(
      texts.map(text => compute.decompress('gzip', ropeOf(gzipSync(Buffer.from(text))), 100)),
    )
    assert.deepEqual(
      results.map(result => result.toString()),
      texts,
    )
  })
})

describe('the compute thread', () => {
  it('ends after a while without jobs and starts again with the next', async () => {
    const timers: (() => void)[] = []
    const clock: Clock = {
      ...nodeClock,
      setTimer: (_delayMs, task): Timer => {
        timers.push(task)
        return { cancel: () => void timers.splice(timers.indexOf(task), 1) }
      },
    }
    const compute = new NodeCompute(clock)
    const plain = ropeOf(Buffer.from('plain'))
    await compute.decompress('none', plain, 100)
    assert.equal(timers.length, 1)
    timers.pop()?.()
    assert.equal((await compute.decompress('none', plain, 100)).toString(), 'plain')
    await compute.close()
  })

  it('rejects what waits when it is closed, and what comes later', async () => {
    const compute = new NodeCompute(nodeClock)
    const waiting = compute.decompress('none', ropeOf(Buffer.from('plain')), 100)
    const rejected = assert.rejects(waiting, { code: 'CLOSED' })
    await compute.close()
    await rejected
    await assert.rejects(compute.decompress('none', ropeOf(Buffer.from('plain')), 100), { code: 'CLOSED' })
  })
})
