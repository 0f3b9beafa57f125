import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidelogError } from '../base/errors.ts'
import type { DiskId, LogIndex, NodeId, Term } from '../base/ids.ts'
import type { RaftOptions, Snapshot } from '../raft/events.ts'
import { entryTypes, type HardState, type RaftEntry } from '../raft/storage.ts'
import { done, type Outcome } from './outcome.ts'
import { RaftDriver } from './raft-driver.ts'

const self = { nodeId: 1 as NodeId, diskId: '1'.repeat(32) as DiskId }
const nothing: RaftOptions['restored'] = {
  hardState: { term: 0 as Term, votedFor: null },
  snapshot: null,
  entries: [],
}
const entry = (index: number, term: number, command: string): RaftEntry => ({
  index: index as LogIndex,
  term: term as Term,
  type: entryTypes.command,
  data: Buffer.from(command),
})

/** A store that is durable when the test says so. */
class TestStore {
  readonly written: string[] = []
  readonly saved: number[] = []
  saving = Promise.withResolvers<void>()
  readonly #waiting: (() => void)[] = []

  persist(hardState: HardState | null, entries: readonly RaftEntry[], durable: () => void): void {
    if (hardState !== null) this.written.push(`state term=${hardState.term} vote=${hardState.votedFor}`)
    for (const { index, term, type, data } of entries) {
      this.written.push(`entry ${index} term=${term} ${type === entryTypes.noop ? 'no-op' : data.toString()}`)
    }
    this.#waiting.push(durable)
  }

  async saveSnapshot(snapshot: Snapshot): Promise<void> {
    await this.saving.promise
    this.saved.push(snapshot.index)
  }

  /** The oldest write is synced. */
  sync(): void {
    this.#waiting.shift()?.()
  }

  /** Synced out of order, as no journal does it. */
  syncLast(): void {
    this.#waiting.pop()?.()
  }

  get waiting(): number {
    return this.#waiting.length
  }
}

function driver(restored = nothing) {
  const store = new TestStore()
  const applied: string[] = []
  const apply = (command: Buffer): Outcome => {
    const text = command.toString()
    if (text === 'unknown') throw new TidelogError('FORMAT', 'nobody knows this command')
    return done(applied.push(text))
  }
  const machine = { apply, checksum: () => 0, save: () => Buffer.from(applied.join()) }
  return { store, applied, raft: new RaftDriver({ self, store, machine, restored }) }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

async function leader(restored = nothing) {
  const all = driver(restored)
  const started = all.raft.start()
  all.store.sync()
  all.store.sync()
  await started
  all.store.written.length = 0
  return all
}

describe('a group of one', () => {
  it('elects itself: a new term and the vote for itself, durable before the no-op that starts the term', async () => {
    const { raft, store, applied } = driver()
    let isStarted = false
    void raft.start().then(() => {
      isStarted = true
    })
    await turn()
    assert.deepEqual(store.written, ['state term=1 vote=1'])
    store.sync()
    assert.deepEqual(store.written, ['state term=1 vote=1', 'entry 1 term=1 no-op'])
    await turn()
    assert.equal(isStarted, false)
    store.sync()
    await turn()
    assert.deepEqual([isStarted, applied], [true, []])
  })

  it('goes on behind what was there, and has applied it when it has started', async () => {
    const { raft, store, applied } = driver({
      hardState: { term: 7 as Term, votedFor: self.nodeId },
      snapshot: null,
      entries: [entry(1, 5, 'a'), entry(2, 7, 'b')],
    })
    const started = raft.start()
    store.sync()
    assert.deepEqual([store.written, applied], [['state term=8 vote=1', 'entry 3 term=8 no-op'], []])
    store.sync()
    await started
    assert.deepEqual(applied, ['a', 'b'])
  })

  it('does not start with a command that it cannot apply, and says why', async () => {
    const { raft, store } = driver({
      ...nothing,
      hardState: { term: 1 as Term, votedFor: null },
      entries: [entry(1, 1, 'unknown')],
    })
    const started = raft.start()
    store.sync()
    store.sync()
    await assert.rejects(started, { code: 'FORMAT' })
  })
})

describe('a proposal', () => {
  it('is applied once it is durable, never before, and its outcome is the state machine’s', async () => {
    const { raft, store, applied } = await leader()
    const outcome = raft.propose(Buffer.from('a'))
    await turn()
    assert.deepEqual([store.written, applied], [['entry 2 term=1 a'], []])
    store.sync()
    assert.deepEqual(await outcome, done(1))
  })

  it('among others is applied in order, each once; none waits for another to be written', async () => {
    const { raft, store, applied } = await leader()
    const outcomes = Promise.all(['a', 'b', 'c'].map(command => raft.propose(Buffer.from(command))))
    assert.equal(store.waiting, 3)
    store.syncLast()
    assert.deepEqual(applied, [], 'what is durable behind a gap is not')
    store.sync()
    assert.deepEqual(applied, ['a'])
    store.sync()
    assert.deepEqual(await outcomes, [done(1), done(2), done(3)])
    assert.deepEqual(applied, ['a', 'b', 'c'])
  })

  it('is refused when the disk does not answer and too much waits', async () => {
    const { raft, store } = await leader()
    const many = Array.from({ length: 16 }, () => raft.propose(Buffer.alloc(1 << 20, 'x')))
    await assert.rejects(raft.propose(Buffer.from('one more')), { code: 'OVERLOADED' })
    while (store.waiting > 0) store.sync()
    await Promise.all(many)
    const admitted = raft.propose(Buffer.from('again'))
    store.sync()
    assert.deepEqual(await admitted, done(17))
  })

  it('after the close is refused, and one that never became durable is told so at the end', async () => {
    const { raft, store, applied } = await leader()
    const inFlight = raft.propose(Buffer.from('late'))
    raft.close()
    await assert.rejects(raft.propose(Buffer.from('too late')), { code: 'CLOSED' })
    raft.abandon()
    await assert.rejects(inFlight, { code: 'CLOSED' })
    assert.deepEqual([store.waiting, applied], [1, []])
  })
})

describe('a snapshot', () => {
  it('is of what is applied, and holds up no proposal while it is being saved', async () => {
    const { raft, store } = await leader()
    const first = raft.propose(Buffer.from('a'))
    store.sync()
    await first
    const saving = raft.saveSnapshot()
    const second = raft.propose(Buffer.from('b'))
    store.sync()
    assert.deepEqual(await second, done(2))
    assert.deepEqual(store.saved, [])
    store.saving.resolve()
    await saving
    assert.deepEqual(store.saved, [2])
    await raft.saveSnapshot()
    await raft.saveSnapshot()
    assert.deepEqual(store.saved, [2, 3], 'once for each state')
  })

  it('that could not be saved is tried again, though nothing has happened since', async () => {
    const { raft, store } = await leader()
    const full = Object.assign(new Error('full'), { code: 'ENOSPC' })
    store.saving.reject(full)
    await assert.rejects(raft.saveSnapshot(), { code: 'ENOSPC' })
    store.saving = Promise.withResolvers()
    store.saving.resolve()
    await raft.saveSnapshot()
    assert.deepEqual(store.saved, [1])
  })
})
