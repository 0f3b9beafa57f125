import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import { OneVoter, type VoterState } from './one-voter.ts'
import { decodeHardState, decodeRaftEntry, entryTypes } from './storage.ts'

const nodeId = 1 as NodeId
const nothing: VoterState = {
  hardState: { term: 0 as Term, votedFor: null },
  lastIndex: 0 as LogIndex,
  lastTerm: 0 as Term,
}

/** A log that becomes durable when the test says so. */
class TestLog {
  readonly written: string[] = []
  readonly #waiting: (() => void)[] = []

  readonly append = (kind: 'entry' | 'state', body: Buffer, durable: () => void): void => {
    if (kind === 'state') {
      const { term, votedFor } = decodeHardState(body)
      this.written.push(`state term=${term} vote=${votedFor}`)
    } else {
      const { term, index, type, data } = decodeRaftEntry(body)
      this.written.push(`entry ${index} term=${term} ${type === entryTypes.noop ? 'no-op' : data.toString()}`)
    }
    this.#waiting.push(durable)
  }

  /** The oldest record is synced. */
  sync(): void {
    this.#waiting.shift()?.()
  }

  get waiting(): number {
    return this.#waiting.length
  }
}

function voter(state: VoterState = nothing) {
  const log = new TestLog()
  const applied: string[] = []
  const raft = new OneVoter<string>({
    log,
    nodeId,
    state,
    apply: (index, command) => {
      applied.push(`${index}: ${command}`)
      return `outcome of ${command}`
    },
  })
  return { log, applied, raft }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

async function leader(state: VoterState = nothing) {
  const all = voter(state)
  const campaign = all.raft.campaign()
  all.log.sync()
  await turn()
  all.log.sync()
  await campaign
  all.log.written.length = 0
  return all
}

describe('an election with one voter', () => {
  it('is a new term with a vote for oneself, durable before the no-op that starts the term is written', async () => {
    const { raft, log, applied } = voter()
    const campaign = raft.campaign()
    assert.deepEqual(log.written, ['state term=1 vote=1'])
    await turn()
    assert.equal(log.written.length, 1)
    log.sync()
    await turn()
    assert.deepEqual(log.written, ['state term=1 vote=1', 'entry 1 term=1 no-op'])
    assert.deepEqual(raft.applied, { index: 0, term: 0 })
    log.sync()
    await campaign
    assert.deepEqual([raft.applied, raft.hardState, applied], [{ index: 1, term: 1 }, { term: 1, votedFor: 1 }, []])
  })

  it('goes on behind what was there: a higher term, the next index', async () => {
    const { log, raft } = voter({
      hardState: { term: 7 as Term, votedFor: nodeId },
      lastIndex: 41 as LogIndex,
      lastTerm: 5 as Term,
    })
    assert.deepEqual(raft.applied, { index: 41, term: 5 })
    void raft.campaign()
    log.sync()
    await turn()
    assert.deepEqual(log.written, ['state term=8 vote=1', 'entry 42 term=8 no-op'])
  })
})

describe('a proposal', () => {
  it('is applied once it is durable, never before, and its outcome is the state machine’s', async () => {
    const { raft, log, applied } = await leader()
    let outcome: string | null = null
    void raft.propose(Buffer.from('a')).then(value => {
      outcome = value
    })
    await turn()
    assert.deepEqual([log.written, applied, outcome], [['entry 2 term=1 a'], [], null])
    log.sync()
    await turn()
    assert.deepEqual([applied, outcome], [['2: a'], 'outcome of a'])
  })

  it('among others is applied in order, each once, and what is applied is what a snapshot stands for', async () => {
    const { raft, log, applied } = await leader()
    const outcomes = Promise.all(['a', 'b', 'c'].map(command => raft.propose(Buffer.from(command))))
    assert.equal(log.waiting, 3, 'none waits for another')
    log.sync()
    assert.deepEqual(raft.applied, { index: 2, term: 1 })
    log.sync()
    log.sync()
    assert.deepEqual(await outcomes, ['outcome of a', 'outcome of b', 'outcome of c'])
    assert.deepEqual([applied, raft.applied], [['2: a', '3: b', '4: c'], { index: 4, term: 1 }])
  })

  it('is refused when the disk does not answer and too many wait', async () => {
    const { raft, log } = await leader()
    const many = Array.from({ length: 10_000 }, (_, i) => raft.propose(Buffer.from(`${i}`)))
    await assert.rejects(raft.propose(Buffer.from('one more')), { code: 'OVERLOADED' })
    log.sync()
    await many[0]
    const admitted = raft.propose(Buffer.from('again'))
    while (log.waiting > 0) log.sync()
    assert.equal(await admitted, 'outcome of again')
    await Promise.all(many)
  })

  it('after the close is refused, and one that never became durable is told so at the end', async () => {
    const { raft, log, applied } = await leader()
    const inFlight = raft.propose(Buffer.from('late'))
    raft.close()
    const isClosed = (error: unknown) => error instanceof TidelogError && error.code === 'CLOSED'
    await assert.rejects(raft.propose(Buffer.from('too late')), isClosed)
    raft.abandon()
    await assert.rejects(inFlight, isClosed)
    assert.deepEqual([log.waiting, applied], [1, []])
  })
})
