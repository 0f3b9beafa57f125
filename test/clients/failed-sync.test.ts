/**
 * A sync that fails. The kernel may have dropped what it could not write, and says so only once: the process must not
 * acknowledge anything any more, and must end. strace stands in for the broken disk.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { skipWithout } from '../support/tools.ts'

const withoutStrace = reasonAgainst()

describe('a failed sync', { skip: withoutStrace }, () => {
  /** tidelog whose every sync from the `nth` of a thread on fails. One thread for files makes the count exact. */
  const startFailing = (dir: TempDir, nth: number) =>
    Tidelog.spawn({
      dataDir: `${dir.path}/data`,
      env: { UV_THREADPOOL_SIZE: '1' },
      under: [
        'strace',
        '-f',
        '-qq',
        '-o',
        `${dir.path}/strace`,
        '-e',
        'trace=fdatasync',
        '-e',
        `inject=fdatasync:error=EIO:when=${nth}+`,
      ],
    })

  it('at the start is exit 70 as well', async () => {
    await using dir = await tempDir()
    await using tidelog = startFailing(dir, 2)
    assert.deepEqual(await tidelog.ended(), { code: 70, signal: null })
    assert.equal(tidelog.stdout, '')
    assert.match(tidelog.stderr, /EIO/)
  })

  for (const nth of [12, 25, 60]) {
    it(`(number ${nth}) ends the process with exit 70 and one line, and nothing false was acknowledged`, async () => {
      await using dir = await tempDir()
      const acknowledged: string[] = []
      {
        await using tidelog = startFailing(dir, nth)
        await tidelog.ready()
        await using client = await KafkaClient.connect(tidelog.port)
        try {
          await client.createTopic('tides')
          for (let i = 0; ; i++) {
            const value = `value ${i}`
            const { error } = await client.produce('tides', 0, buildBatch([{ value, timestampMs: Date.now() }]))
            assert.equal(error, 'NONE')
            acknowledged.push(value)
          }
        } catch (error) {
          assert.equal((error as Error).name, 'ConnectionClosed')
        }
        assert.deepEqual(await tidelog.ended(), { code: 70, signal: null })
        const [line, ...more] = tidelog.logged('fatal')
        assert.match(line ?? '', /EIO/)
        assert.deepEqual(more, [])
      }
      await using tidelog = await Tidelog.start({ dataDir: `${dir.path}/data` })
      await using client = await KafkaClient.connect(tidelog.port)
      const records =
        acknowledged.length === 0 ? [] : (await client.readAll('tides', 0)).flatMap(batch => batch.records)
      assert.deepEqual(records.map(({ value }) => String(value)).slice(0, acknowledged.length), acknowledged)
    })
  }
})

/** A container may have strace and not be allowed to use it. */
function reasonAgainst(): string | false {
  const missing = skipWithout('strace')
  if (missing !== false) return missing
  const probe = spawnSync('strace', ['-f', '-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO', 'true'])
  return probe.status === 0 ? false : 'strace may not trace here'
}
