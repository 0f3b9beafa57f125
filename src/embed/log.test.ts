import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startBroker } from './broker.ts'
import { type Log, type LogReadOptions, openLog } from './log.ts'

describe('a log by itself', () => {
  let dir: string
  let log: Log
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidelog-log-'))
    log = await openLog(dir, { name: 'events' })
  })
  after(async () => {
    await log.close()
    await rm(dir, { recursive: true })
  })

  const valuesOf = async (options: LogReadOptions = {}, of = log) => {
    const values: string[] = []
    for await (const { value } of of.read(options)) values.push(String(value))
    return values
  }

  it('appends one or many, in order, and gives them back from an offset or a time', async () => {
    assert.equal(await log.append('0'), 0)
    const timestampMs = Date.now() + 60_000
    assert.equal(await log.appendAll([Buffer.from('1'), { key: 'k', value: '2', timestampMs }]), 1)
    assert.deepEqual(await Promise.all(['3', '4'].map(value => log.append(value))), [3, 4])
    assert.deepEqual(await valuesOf(), ['0', '1', '2', '3', '4'])
    assert.deepEqual(await valuesOf({ from: 3 }), ['3', '4'])
    assert.deepEqual(await valuesOf({ from: new Date(timestampMs) }), ['2', '3', '4'])
    assert.deepEqual(await valuesOf({ from: 'latest' }), [])
  })

  it('cursors are where they were saved, also after a restart', async () => {
    const cursor = log.cursor('billing')
    assert.equal(await cursor.position(), null)
    for await (const { offset } of cursor.read()) {
      await cursor.save(offset + 1)
      if (offset === 2) break
    }
    await log.close()
    await assert.rejects(log.append('x'), { code: 'CLOSED' })
    await assert.rejects(log.beside('x'), { code: 'CLOSED' })
    log = await openLog(dir, { name: 'events' })
    assert.equal(await log.cursor('billing').position(), 3)
    const rest = []
    for await (const { value } of log.cursor('billing').read()) rest.push(String(value))
    assert.deepEqual(rest, ['3', '4'])
  })

  it('seals and trims, and says what it has', async () => {
    await log.seal()
    await log.seal()
    await log.append('5')
    const stats = log.stats()
    assert.deepEqual([stats.start, stats.end], [0, 6])
    assert.deepEqual(
      stats.segments.map(({ base, end }) => [base, end]),
      [
        [0, 5],
        [5, null],
      ],
    )
    assert.equal(await log.trim(5), 5)
    assert.deepEqual(await valuesOf(), ['5'])
    assert.deepEqual(
      log.stats().segments.map(({ base }) => base),
      [5],
    )
    await assert.rejects(valuesOf({ from: 1 }), { code: 'OUT_OF_RANGE' })
    await assert.rejects(log.trim(7), { code: 'OUT_OF_RANGE' })
    const left = []
    for await (const { offset } of log.cursor('billing').read()) left.push(offset)
    assert.deepEqual(left, [5], 'a cursor below the start goes on at the start')
  })

  it('several logs share a directory', async () => {
    const other = await log.beside('audit')
    await other.append('a')
    assert.deepEqual([await valuesOf({}, other), other.directory], [['a'], log.directory])
    assert.deepEqual(await valuesOf(), ['5'])
  })

  it('a tail ends with its signal, or with the log', async () => {
    const over = new AbortController()
    const tail = valuesOf({ from: 'latest', until: 'never', signal: over.signal })
    over.abort()
    assert.deepEqual(await tail, [])
  })

  it('says in one sentence what cannot be', async () => {
    const wrong: readonly (readonly [code: string, work: () => Promise<unknown>])[] = [
      ['CONFIG', () => openLog('')],
      ['CONFIG', () => openLog(dir, { nam: 'x' } as object)],
      ['CONFIG', () => openLog(dir, { configs: { 'no.such.config': 1 } })],
      ['CONFIG', () => openLog(join(dir, 'identity'))],
      ['DATA_DIR_IN_USE', () => openLog(dir)],
      ['REFUSED', () => log.beside('no/name')],
      ['REFUSED', () => log.appendAll([])],
      ['USAGE', () => log.append(1 as unknown as string)],
      ['USAGE', () => log.appendAll('ab' as unknown as string[])],
      ['TOO_LARGE', () => log.append('x'.repeat(2 << 20))],
      ['USAGE', () => log.trim(-1)],
      ['USAGE', () => log.cursor('c').save(0.5)],
      ['CONFIG', () => valuesOf({ form: 1 } as object)],
    ]
    for (const [code, work] of wrong) {
      const error = await work().then(
        () => assert.fail(`${work} went through`),
        (thrown: Error & { code: string }) => thrown,
      )
      assert.equal(`${error.name} ${error.code}`, `TidelogError ${code}`, `${work}: ${error.message}`)
      assert.match(error.message, /^.{10,300}$/, 'one line')
    }
  })

  it('is a topic for a broker on the same directory, with its cursors', async () => {
    await log.close()
    await using broker = await startBroker({ storage: { dir } })
    const values = []
    for await (const { value } of broker.read('events')) values.push(String(value))
    assert.deepEqual(values, ['5'])
    await broker.waitForLag('billing', 3)
  })
})
