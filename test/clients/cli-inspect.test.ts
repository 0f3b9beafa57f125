/** `tidelog inspect` on the files of a real data directory: readable, checked, never written to, also while a broker writes. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { detect } from '../../src/cli/inspect/detect.ts'
import type { Finding } from '../../src/cli/inspect/finding.ts'
import { Source } from '../../src/cli/inspect/source.ts'
import { Cli } from '../support/cli.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

describe('a data directory', () => {
  let dir: TempDir
  let dataDir: string
  let cli: Cli
  before(async () => {
    dir = await tempDir()
    dataDir = join(dir.path, 'data')
    await using tidelog = await Tidelog.start({ dataDir })
    cli = new Cli(tidelog.address)
    await cli.text(['topic', 'create', 'tides', '--config', 'segment.bytes=1048576'])
    await cli.text(['produce', 'tides', '-q', '-v', '{{.Count}} {{Random 900 1000}}', '--count', '3000'])
    await eventually(20_000, 'a seal file', () => files().some(path => path.endsWith('.seal')))
    const whileWriting = await cli.run(['inspect', '--check', ...files(), '-o', 'json'])
    assert.equal(whileWriting.code, 0, whileWriting.stderr)
    await tidelog.stop()
  })
  after(() => dir[Symbol.asyncDispose]())

  const files = () =>
    readdirSync(dataDir, { recursive: true, withFileTypes: true })
      .filter(file => file.isFile())
      .map(file => join(file.parentPath, file.name))

  const fileLike = (pattern: RegExp) => files().find(path => pattern.test(path) && statSync(path).size > 0)!

  function findingsIn(path: string): Finding[] {
    using source = Source.open(path)
    return [...detect(source, { records: true, showRecords: false }).read(source)]
  }

  const problemsIn = (path: string) => findingsIn(path).filter(finding => finding.is === 'problem')

  /** A copy with one byte changed. */
  function damaged(path: string, position: number): string {
    const copy = join(dir.path, basename(path))
    copyFileSync(path, copy)
    const byte = readFileSync(path)[position]!
    const fd = openSync(copy, 'r+')
    writeSync(fd, Buffer.from([byte ^ 0x10]), 0, 1, position)
    closeSync(fd)
    return copy
  }

  it('is sound, and the same afterwards', async () => {
    const before = files().map(path => [path, statSync(path).mtimeMs, readFileSync(path).toString('base64')])
    for (const [path] of before) chmodSync(path as string, 0o444)
    const { code, stdout } = await cli.run(['inspect', '--check', ...files()])
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, /problem/)
    for (const format of ['journal', 'segment', 'seal', 'identity'])
      assert.match(stdout, new RegExp(` ${format} .* sound`))
    assert.deepEqual(
      files().map(path => [path, statSync(path).mtimeMs, readFileSync(path).toString('base64')]),
      before,
    )
  })

  it('can be read', async () => {
    const [identity, segment, seal, journal] = await Promise.all([
      cli.text(['inspect', fileLike(/identity$/)]),
      cli.json(['inspect', fileLike(/00000\.\d+\.log$/), '-o', 'json', '--records', '-n', '1']) as Promise<
        Record<string, unknown>
      >,
      cli.text(['inspect', fileLike(/\.seal$/)]),
      cli.text(['inspect', fileLike(/000001\.journal$/)]),
    ])
    assert.match(identity, /^clusterId: "?[0-9a-f]{32}"?$/m)
    assert.match(seal, /OFFSET {6}POSITION {2}MAXTIMESTAMPBEFORE\n {11}0 {13}0/)
    assert.match(journal, /raftEntry .* createTopic\n/)
    assert.match(journal, /batch .* records, none\n/)
    const { entries, problems, header } = segment as {
      entries: { contents: { value: string }[] }[]
      problems: []
      header: object
    }
    assert.deepEqual({ length: entries.length, problems }, { length: 1, problems: [] })
    assert.match(entries[0]!.contents[0]!.value, /^1 [A-Za-z0-9]{900,1000}$/)
    assert.deepEqual(header, {
      writtenBy: 'tidelog',
      base: 0,
      segmentId: (header as { segmentId: number }).segmentId,
      sealed: true,
    })
  })

  it('that is damaged says where: every byte of a segment, a seal and a journal counts', () => {
    const journal = fileLike(/000001\.journal$/)
    const { position: lastEntryAt = 0 } = findingsIn(journal).findLast(finding => finding.is === 'entry')!.values
    const cases = [
      { path: fileLike(/00000\.\d+\.log$/), bytes: statSync(fileLike(/00000\.\d+\.log$/)).size },
      { path: fileLike(/\.seal$/), bytes: statSync(fileLike(/\.seal$/)).size },
      { path: journal, bytes: Number(lastEntryAt) },
    ]
    for (const { path, bytes } of cases) {
      for (let i = 0; i < 30; i++) {
        const position = Math.floor((bytes * i) / 30)
        const problems = problemsIn(damaged(path, position))
        const isPadding = readFileSync(path)
          .subarray(position, position + 16)
          .every(byte => byte === 0)
        if (isPadding) continue
        assert.ok(problems.length > 0, `${basename(path)}: byte ${position} of ${bytes}`)
      }
    }
  })

  it('that is damaged ends with exit code 1', async () => {
    const path = damaged(fileLike(/00000\.\d+\.log$/), 5000)
    const { code, stdout, stderr } = await cli.run(['inspect', '--check', path])
    assert.equal(code, 1)
    assert.match(stdout, / 1 problem\n$/)
    assert.match(
      stderr,
      /^tidelog: .*\.log, position 0: the batch of offsets 0 to \d+ does not match its checksum\ntidelog: .*: damaged; [^\n]*\n$/,
    )
  })

  it('has files that are none of its own', async () => {
    const strange = join(dir.path, 'strange')
    writeFileSync(strange, 'nothing of ours, and long enough to be looked at as if it were a record batch')
    const refusals = [
      [strange, 1, /is no journal, segment, seal/],
      [dataDir, 1, /is a folder; name a file in it/],
      [join(dir.path, 'none'), 5, /there is no such file/],
    ] as const
    for (const [path, code, message] of refusals) {
      const ended = await cli.run(['inspect', path])
      assert.equal(ended.code, code)
      assert.match(ended.stderr, message)
      assert.match(ended.stderr, /^tidelog: [^\n]+\n$/)
    }
  })
})
