/**
 * A sync that fails. The kernel may have dropped what it could not write, and says so only once: the process must not
 * acknowledge anything any more, and must end. strace stands in for the broken disk.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { skipWithout } from '../support/tools.ts'

const withoutStrace = reasonAgainst()

describe('a failed sync', { skip: withoutStrace }, () => {
  /**
   * tidelog under strace. With `failFrom`, every sync from that one on fails; one thread for files makes the count exact, and
   * strace is the grandchild, so that signals and exit codes are tidelog's own.
   */
  const spawnTraced = (dir: TempDir, failFrom: number | null) => {
    const inject = failFrom === null ? [] : ['-e', `inject=fdatasync:error=EIO:when=${failFrom}+`]
    return Tidelog.spawn({
      dataDir: `${dir.path}/data`,
      env: { UV_THREADPOOL_SIZE: '1' },
      under: ['strace', '-D', '-f', '-qq', '-o', `${dir.path}/strace`, '-e', 'trace=fdatasync', ...inject],
    })
  }

  /** How many syncs a first start takes. */
  let syncsOfStart = 0
  before(async () => {
    await using dir = await tempDir()
    await using tidelog = spawnTraced(dir, null)
    await tidelog.ready()
    // What comes later, such as a mark of the journal, is counted with them.
    await tidelog.stop()
    syncsOfStart = readFileSync(`${dir.path}/strace`, 'utf8').split('fdatasync(').length - 1
  })

  it('at the start is exit 70 as well', async () => {
    await using dir = await tempDir()
    await using tidelog = spawnTraced(dir, 2)
    assert.deepEqual(await tidelog.ended(), { code: 70, signal: null })
    assert.equal(tidelog.stdout, '')
    assert.match(tidelog.stderr, /EIO/)
  })

  for (const nth of [1, 2, 10, 50]) {
    it(`(number ${nth} after the start) ends the process with exit 70 and one line, and nothing false was acknowledged`, async () => {
      await using dir = await tempDir()
      const acknowledged: string[] = []
      {
        await using tidelog = spawnTraced(dir, syncsOfStart + nth)
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
