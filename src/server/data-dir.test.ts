import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeDataDir } from './data-dir.ts'

describe('the data directory', () => {
  let root: string
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'tidelog-data-dir-'))
  })
  after(() => rm(root, { recursive: true }))

  it('is made with its parents, and taken as it is when it is there', async () => {
    const path = join(root, 'one/two/three')
    await makeDataDir(path)
    await makeDataDir(path)
    assert.ok((await stat(path)).isDirectory())
  })

  it('is refused when something else has its name', async () => {
    const path = join(root, 'file')
    await writeFile(path, '')
    await assert.rejects(makeDataDir(path), {
      code: 'CONFIG',
      message: /file: cannot be used \(EEXIST.*check the path/,
    })
    await assert.rejects(makeDataDir(join(path, 'below')), { code: 'CONFIG', message: /ENOTDIR/ })
  })

  it('is refused where nothing can be made', {
    skip: process.platform === 'linux' ? false : 'needs /proc',
  }, async () => {
    await assert.rejects(makeDataDir('/proc/tidelog/data'), { code: 'CONFIG', message: /ENOENT/ })
  })
})
