/** The sessions with `nc` that the documentation shows, run as they stand there, line by line. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { root } from '../support/source.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

const address = 'localhost 9091'
/** Others do without the option, or mean something else by it. */
const hasNc = /-[A-Za-z]*N/.test(spawnSync('nc', ['-h'], { encoding: 'utf8' }).stderr ?? '')
const skip = hasNc ? false : 'there is no nc of OpenBSD (netcat-openbsd) here'

/** Each command with what it prints, of all blocks that have `nc`. */
function sessionOf(text: string): { command: string; output: string }[] {
  const blocks = [...text.matchAll(/```console\n([\s\S]*?)```/g)].map(match => match[1] as string)
  const steps = blocks.filter(block => block.includes(address)).flatMap(block => block.split(/^\$ /m).slice(1))
  return steps.map(step => {
    const [command = '', ...output] = step.split('\n')
    return { command, output: output.join('\n') }
  })
}

const files = ['README.md', 'docs/text-protocol.md']

describe('the session with nc', { skip }, () => {
  for (const file of files) {
    it(`of ${file} says what it does`, async () => {
      const session = sessionOf(readFileSync(join(root, file), 'utf8'))
      assert.ok(session.length >= 3, `${session.length} commands`)
      await using dir = await tempDir()
      await using tidelog = await Tidelog.start({ dataDir: dir.path, textPort: 0 })
      for (const { command, output } of session) {
        const words = command.replaceAll(address, `localhost ${tidelog.textPort}`)
        const { stdout, stderr, status } = spawnSync('sh', ['-c', words], { encoding: 'utf8', timeout: 30_000 })
        assert.deepEqual({ stdout, stderr, status }, { stdout: output, stderr: '', status: 0 }, command)
      }
    })
  }
})
