import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Offset } from '../base/ids.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { type BatchHeader, readBatchHeader } from '../wire/record-batch.ts'
import { Producers, producersMax, type Verdict } from './producers.ts'

const sequences = 2 ** 31

interface Sent {
  readonly producerId: number
  readonly epoch: number
  readonly first: number
  readonly count: number
}

const template = readBatchHeader(buildBatch([{ value: 'x' }]))

function header({ producerId, epoch, first, count }: Sent): BatchHeader {
  return {
    ...template,
    producerId,
    producerEpoch: epoch,
    baseSequence: first,
    lastOffsetDelta: count - 1,
    recordCount: count,
  }
}

/** What the rules say, from the whole history of accepted batches, without a window and without arithmetic shortcuts. */
class Model {
  readonly accepted: (Sent & { readonly base: number })[] = []

  judge(sent: Sent): 'append' | `duplicate of ${number}` | string {
    const mine = this.accepted.filter(({ producerId }) => producerId === sent.producerId)
    const newest = mine.at(-1)
    if (sent.producerId < 0 || newest === undefined) return 'append'
    if (sent.epoch < newest.epoch) return 'INVALID_PRODUCER_EPOCH'
    if (sent.epoch > newest.epoch) return sent.first === 0 ? 'append' : 'OUT_OF_ORDER_SEQUENCE_NUMBER'
    const window = mine.filter(({ epoch }) => epoch === newest.epoch).slice(-5)
    const original = window.find(({ first, count }) => first === sent.first && count === sent.count)
    if (original !== undefined) return `duplicate of ${original.base}`
    let next = newest.first
    for (let i = 0; i < newest.count; i++) next = next === sequences - 1 ? 0 : next + 1
    if (sent.first === next) return 'append'
    // Half of the circle lies ahead, half behind.
    const ahead = sent.first >= next ? sent.first - next : sent.first + sequences - next
    return ahead < 2 ** 30 ? 'OUT_OF_ORDER_SEQUENCE_NUMBER' : 'DUPLICATE_SEQUENCE_NUMBER'
  }
}

function told(verdict: Verdict): string {
  if (verdict.kind === 'duplicate') return `duplicate of ${verdict.of.base}`
  return verdict.kind === 'refuse' ? verdict.error : 'append'
}

/** What a producer may do next, relative to what it did before. */
const step = fc.record({
  producerId: fc.integer({ min: 0, max: 2 }),
  count: fc.integer({ min: 1, max: 9 }),
  move: fc.oneof(
    { weight: 6, arbitrary: fc.constant({ kind: 'next' as const, by: 0 }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('retry' as const), by: fc.nat(7) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('jump' as const), by: fc.integer({ min: -20, max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('epoch' as const), by: fc.integer({ min: -1, max: 2 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('anywhere' as const), by: fc.nat(sequences - 1) }) },
  ),
})

/** Runs a script against the producers and the model; `around` may replace the producers by what came back from a save. */
function play(
  script: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  start: number,
  around?: (producers: Producers) => Producers,
): Producers {
  let producers = new Producers()
  const model = new Model()
  const sentBy = new Map<number, Sent[]>()
  let offset = 0
  for (const { producerId, count, move } of script) {
    const before = sentBy.get(producerId) ?? []
    const last = before.at(-1)
    const next = last === undefined ? start : (last.first + last.count) % sequences
    const epoch = Math.max((last?.epoch ?? 3) + (move.kind === 'epoch' ? move.by : 0), 0)
    const first =
      move.kind === 'epoch' && move.by > 0
        ? move.by - 1
        : move.kind === 'jump'
          ? (next + move.by + sequences) % sequences
          : move.kind === 'anywhere'
            ? move.by
            : next
    const retried = move.kind === 'retry' ? before.at(-1 - move.by) : undefined
    const sent = retried ?? { producerId, epoch, first, count }
    const expected = model.judge(sent)
    assert.equal(told(producers.check(header(sent))), expected)
    if (expected === 'append') {
      producers.note(header(sent), offset as Offset, (offset + sent.count) as Offset, offset)
      model.accepted.push({ ...sent, base: offset })
      sentBy.set(producerId, [...before, sent])
      offset += sent.count
    }
    producers = around?.(producers) ?? producers
  }
  return producers
}

const script = fc.array(step, { maxLength: 60 })
const start = fc.constantFrom(0, 5, sequences - 1, sequences - 3, sequences - 20)

describe('an idempotent producer', () => {
  it('is judged as its whole history says, over retries, gaps, epochs and the end of the sequences', () => {
    fc.assert(
      fc.property(script, start, (steps, first) => void play(steps, first)),
      { numRuns: 300 },
    )
  })

  it('is judged the same when the state was saved and restored after every batch', () => {
    const copy = (producers: Producers) => new Producers(structuredClone([...producers.all()]))
    fc.assert(fc.property(script, start, (steps, first) => void play(steps, first, copy)))
  })

  it('is known for its last five batches: a retry of the sixth is refused, not stored', () => {
    const producers = new Producers()
    const sent = Array.from({ length: 6 }, (_, i) => ({ producerId: 1, epoch: 0, first: i, count: 1 }))
    sent.forEach((one, i) => void producers.note(header(one), i as Offset, (i + 1) as Offset, 0))
    const verdicts = sent.map(one => told(producers.check(header(one))))
    assert.deepEqual(verdicts, ['DUPLICATE_SEQUENCE_NUMBER', ...[1, 2, 3, 4, 5].map(base => `duplicate of ${base}`)])
  })

  it('whose batch wraps round the end of the sequences goes on from the start', () => {
    const producers = new Producers()
    const wraps = { producerId: 1, epoch: 0, first: sequences - 2, count: 5 }
    producers.note(header(wraps), 0 as Offset, 5 as Offset, 0)
    assert.equal(told(producers.check(header(wraps))), 'duplicate of 0')
    assert.equal(told(producers.check(header({ ...wraps, first: 3, count: 1 }))), 'append')
    assert.equal(told(producers.check(header({ ...wraps, first: 4, count: 1 }))), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
    assert.equal(told(producers.check(header({ ...wraps, first: 2, count: 1 }))), 'DUPLICATE_SEQUENCE_NUMBER')
  })

  it('without an id is nobody', () => {
    const producers = new Producers()
    const plain = header({ producerId: -1, epoch: -1, first: -1, count: 3 })
    producers.note(plain, 0 as Offset, 3 as Offset, 0)
    assert.deepEqual([producers.size, told(producers.check(plain))], [0, 'append'])
  })
})

describe('the state of producers', () => {
  it('is the same by runs as batch by batch, however the batches are cut into runs', () => {
    fc.assert(
      fc.property(script, fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 60, maxLength: 60 }), (steps, cuts) => {
        // What was accepted, with its offsets, as flushes would see it.
        const accepted: { header: BatchHeader; base: Offset; end: Offset }[] = []
        const whole = new Producers()
        let offset = 0
        for (const { producerId, count, move } of steps) {
          const epoch = move.kind === 'epoch' ? Math.max(move.by, 0) + 3 : 3
          const state = whole.get(producerId)
          const last = state?.epoch === epoch ? state.batches.at(-1)?.lastSequence : undefined
          const sent = { producerId, epoch, first: last === undefined ? 0 : (last + 1) % sequences, count }
          if (whole.check(header(sent)).kind !== 'append') continue
          const base = offset as Offset
          offset += count
          const end = offset as Offset
          whole.note(header(sent), base, end, offset)
          accepted.push({ header: header(sent), base, end })
        }
        const merged = new Producers()
        const left = [...accepted]
        for (let i = 0; left.length > 0; i++) {
          const run = left.splice(0, cuts[i % cuts.length])
          const touched = new Producers()
          for (const batch of run) touched.note(batch.header, batch.base, batch.end, batch.end)
          for (const state of structuredClone([...touched.all()])) merged.merge(state)
        }
        const byId = (producers: Producers) => [...producers.all()].sort((a, b) => a.producerId - b.producerId)
        assert.deepEqual(byId(merged), byId(whole))
      }),
      { numRuns: 200 },
    )
  })

  it('is not changed by what it has seen already: recovery meets some batches twice', () => {
    const producers = new Producers()
    const sent = Array.from({ length: 4 }, (_, i) => ({ producerId: 1, epoch: i < 2 ? 0 : 1, first: i % 2, count: 1 }))
    const note = (i: number) => producers.note(header(sent[i] as Sent), i as Offset, (i + 1) as Offset, 0)
    for (const i of [0, 1, 2, 3]) note(i)
    const before = structuredClone([...producers.all()])
    for (const i of [0, 1, 2, 3]) note(i)
    for (const state of before) producers.merge(state)
    assert.deepEqual([...producers.all()], before)
  })

  it('forgets who was not seen for long enough, by the broker’s clock', () => {
    const producers = new Producers()
    for (const producerId of [1, 2, 3]) {
      const sent = { producerId, epoch: 0, first: 0, count: 1 }
      producers.note(header(sent), producerId as Offset, (producerId + 1) as Offset, producerId * 100)
    }
    producers.expire(200)
    assert.deepEqual(
      [...producers.all()].map(({ producerId }) => producerId),
      [2, 3],
    )
  })

  it('is bounded: beyond it, who was silent longest is forgotten', () => {
    const producers = new Producers()
    const state = (producerId: number) => ({ producerId, epoch: 0, seenAtMs: producerId, batches: [] })
    for (let id = 0; id < producersMax; id++) producers.put(state(id))
    producers.put(state(0))
    producers.put(state(producersMax))
    assert.equal(producers.size, producersMax)
    assert.deepEqual([producers.get(1), producers.get(0)?.producerId], [undefined, 0])
  })
})
