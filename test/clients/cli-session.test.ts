/** The sessions with `bin/tidelog` in docs/cli.md and the README, run as they stand there, word by word. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { root } from '../support/source.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

interface Session {
  readonly page: string
  readonly text: string
}

/** The console blocks of the pages that use `bin/tidelog`. */
const sessions: readonly Session[] = ['docs/cli.md', 'README.md'].flatMap(page =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/```console\n([\s\S]*?)```/g)]
    .map(([, text = '']) => ({ page, text }))
    .filter(({ text }) => text.includes('bin/tidelog topic')),
)

describe('sessions at the command line', () => {
  it('there are some', () => assert.ok(sessions.some(({ page }) => page === 'docs/cli.md')))

  for (const { page, text } of sessions) {
    it(`of ${page} do what they say, line by line`, async () => {
      await using dir = await tempDir()
      await using tidelog = await Tidelog.start({ dataDir: dir.path })
      for (const step of text.split(/^\$ /m).slice(1)) {
        const [command = '', ...output] = step.split('\n')
        const { stdout } = spawnSync('sh', ['-c', `{ ${command}; } 2>&1`], {
          cwd: root,
          encoding: 'utf8',
          env: { ...process.env, TIDELOG_BROKERS: tidelog.address },
          timeout: 30_000,
        })
        assert.equal(stdout, output.join('\n'), command)
      }
    })
  }
})
