import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidelogError } from '../base/errors.ts'
import { ManualClock } from '../sim/clock.ts'
import { systemError } from '../sim/file-system.ts'
import { Flusher } from './flusher.ts'
import { rest } from './journal.test-kit.ts'
import type { PartitionLog } from './partition-log.ts'

/** A partition as the flusher sees it. */
class FakeLog {
  readonly name: string
  unflushedBytes: number
  awaitsSeal = false
  /** What the next flush meets. */
  trouble: unknown = null
  /** Runs while it is being flushed. */
  onFlush: () => void | Promise<void> = () => {}
  readonly #diary: string[]

  constructor(name: string, unflushedBytes: number, diary: string[]) {
    this.name = name
    this.unflushedBytes = unflushedBytes
    this.#diary = diary
  }

  get needsFlush(): boolean {
    return this.unflushedBytes > 0 || this.awaitsSeal
  }

  async flushNext(bytesMax: number): Promise<boolean> {
    await this.onFlush()
    if (this.trouble !== null) throw this.trouble
    if (!this.needsFlush) return false
    this.#diary.push(this.name)
    if (this.unflushedBytes <= bytesMax) this.awaitsSeal = false
    this.unflushedBytes = Math.max(this.unflushedBytes - bytesMax, 0)
    return true
  }
}

function setUp() {
  const clock = new ManualClock()
  const diary: string[] = []
  const told: string[] = []
  const state = { pressure: 0, isLong: false, oldest: null as FakeLog | null, trims: 0, trimTrouble: null as unknown }
  const flusher = new Flusher({
    clock,
    settings: { runBytes: 1000, runBytesMax: 2000, thinBytes: 100, idleMs: 5000 },
    journal: {
      isLong: () => state.isLong,
      holdsOldest: log => (log as unknown as FakeLog) === state.oldest,
      trim: async () => {
        if (state.trimTrouble !== null) throw state.trimTrouble
        return state.trims-- > 0
      },
    },
    pressure: () => state.pressure,
    onProgress: () => {},
    onFailure: error => void told.push(`failed: ${error.code}`),
    onBlocked: error => void told.push(`blocked: ${(error as Error).message}`),
  })
  const add = (log: FakeLog) => flusher.add(log as unknown as PartitionLog)
  const make = (name: string, bytes: number, onFlush?: () => void | Promise<void>) => {
    const log = new FakeLog(name, bytes, diary)
    if (onFlush !== undefined) log.onFlush = onFlush
    add(log)
    return log
  }
  return { clock, diary, told, state, flusher, add, make }
}

const full = () => systemError('ENOSPC', 'somewhere')

describe('the flusher takes', () => {
  it('the largest run first, and runs of their own size at once', async () => {
    const { diary, make } = setUp()
    make('first', 1000)
    make('small', 1000)
    make('large', 1900)
    make('middle', 1500)
    await rest()
    assert.deepEqual(diary, ['first', 'large', 'middle', 'small'])
  })

  it('what waits for its seal before any run', async () => {
    const { diary, make, state, flusher } = setUp()
    state.pressure = 0
    const sealed = make('sealed', 10)
    sealed.awaitsSeal = true
    make('large', 1900)
    flusher.kick()
    await rest()
    assert.deepEqual(diary, ['sealed', 'large'])
  })

  it('who keeps the oldest journal file before everything, when the journal is long', async () => {
    const { diary, make, state, flusher } = setUp()
    make('large', 900)
    const oldest = make('oldest', 5)
    const sealed = make('sealed', 10)
    sealed.awaitsSeal = true
    state.isLong = true
    state.oldest = oldest
    flusher.kick()
    await rest()
    assert.deepEqual(diary, ['oldest', 'sealed'], 'and what is small can go on waiting')
  })

  it('thin runs when memory is short, and otherwise never by themselves', async () => {
    const { diary, make, state, clock, add } = setUp()
    const thin = make('thin', 99)
    await clock.run(60_000)
    await rest()
    assert.deepEqual(diary, [])
    state.pressure = 0.8
    add(thin)
    await rest()
    assert.deepEqual(diary, ['thin'])
  })

  it('a run that is not thin once it has waited long enough', async () => {
    const { diary, make, clock } = setUp()
    make('patient', 100)
    await clock.run(4999)
    assert.deepEqual(diary, [])
    await clock.run(1000)
    await rest()
    assert.deepEqual(diary, ['patient'])
  })

  it('everything when it is told to hurry, until nothing is left; then it is patient again', async () => {
    const { diary, make, flusher } = setUp()
    for (const name of ['a', 'b', 'c']) make(name, 5)
    flusher.hurry()
    await rest()
    assert.deepEqual([...diary].sort(), ['a', 'b', 'c'])
    make('d', 5)
    await rest()
    assert.equal(diary.includes('d'), false)
  })

  it('no more than its bound before it looks again what is most urgent', async () => {
    const { diary, make } = setUp()
    const large = make('large', 5000)
    large.onFlush = () => {
      if (diary.length === 1) make('larger', 4000)
    }
    await rest()
    assert.deepEqual(diary, ['large', 'large', 'larger', 'larger', 'large'])
  })

  it('nothing more of a partition that was removed while it was being flushed', async () => {
    const { diary, make, flusher, clock } = setUp()
    const gone = make('gone', 900)
    gone.onFlush = () => {
      flusher.remove(gone as unknown as PartitionLog)
      gone.unflushedBytes = 0
    }
    flusher.hurry()
    await rest()
    await clock.run(10_000)
    assert.deepEqual(diary, [])
    assert.equal(clock.pendingTimers, 0, 'it is not even waited for')
  })
})

describe('a full disk blocks the flusher', () => {
  it('once told, until there is room: then it goes on by itself', async () => {
    const { diary, told, make, clock, flusher } = setUp()
    const log = make('log', 1500)
    log.trouble = full()
    await rest()
    await clock.run(3000)
    assert.deepEqual([told.length, flusher.blocked, diary], [told.length, true, []])
    assert.match(told[0] as string, /blocked: ENOSPC/)
    log.trouble = null
    await clock.run(600)
    await rest()
    assert.deepEqual([diary, flusher.blocked], [['log'], false])
  })

  it('and it still goes on by itself when it was asked to look again just while it failed', async () => {
    const { diary, make, clock, flusher } = setUp()
    const log = make('log', 1500)
    log.trouble = full()
    log.onFlush = () => flusher.kick()
    await rest()
    log.onFlush = () => {}
    log.trouble = null
    await clock.run(1000)
    await rest()
    assert.deepEqual(diary, ['log'])
  })

  it('and it still goes on when only the trimming of the journal found no room, and nothing else is to be flushed', async () => {
    const { diary, make, clock, flusher, state, add } = setUp()
    state.trimTrouble = full()
    const log = make('log', 1500)
    await rest()
    assert.equal(flusher.blocked, true)
    state.trimTrouble = null
    state.isLong = true
    log.unflushedBytes = 1500
    add(log)
    await clock.run(1000)
    await rest()
    assert.deepEqual([diary, flusher.blocked], [['log', 'log'], false])
  })

  it('as missing descriptors and a write that failed do', async () => {
    for (const code of ['EDQUOT', 'EMFILE', 'ENFILE', 'EIO']) {
      const { told, diary, make, clock } = setUp()
      const log = make('log', 1500)
      log.trouble = systemError(code, 'somewhere')
      await rest()
      assert.match(told[0] as string, new RegExp(`blocked: ${code}`))
      log.trouble = null
      await clock.run(1000)
      await rest()
      assert.deepEqual(diary, ['log'], code)
    }
  })
})

describe('a failed sync', () => {
  it('ends the flusher: told once, and nothing is written ever after', async () => {
    const { told, diary, make, clock, flusher } = setUp()
    const log = make('log', 1500)
    log.trouble = new TidelogError('DISK_FAILED', 'the sync failed')
    await rest()
    log.trouble = null
    make('other', 1900)
    flusher.hurry()
    await clock.run(60_000)
    await rest()
    assert.deepEqual([told, diary], [['failed: DISK_FAILED'], []])
  })

  it('is what anything unknown counts as', async () => {
    const { told, make } = setUp()
    const log = make('log', 1500)
    log.trouble = new RangeError('a fault of the program')
    await rest()
    assert.deepEqual(told, ['failed: DISK_FAILED'])
  })
})

describe('a stop', () => {
  it('waits for the run that is under way, and begins no other', async () => {
    const { diary, make, flusher, clock } = setUp()
    const gate = Promise.withResolvers<void>()
    make('log', 9000, () => gate.promise)
    await rest()
    let isStopped = false
    const stopping = flusher.stop().then(() => {
      isStopped = true
    })
    await rest()
    assert.equal(isStopped, false)
    gate.resolve()
    await stopping
    await clock.run(10_000)
    assert.deepEqual(diary, ['log'])
  })
})
