/** The session at the head of docs/cli.md, run as it stands there, word by word. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { root } from '../support/source.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

const session = /```console\n([\s\S]*?)```/.exec(readFileSync(join(root, 'docs/cli.md'), 'utf8'))?.[1] ?? ''

describe('docs/cli.md', () => {
  it('has a session whose every line does what it says', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    const steps = session.split(/^\$ /m).slice(1)
    assert.ok(steps.length >= 4)
    for (const step of steps) {
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
})
