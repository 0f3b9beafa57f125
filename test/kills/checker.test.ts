/** The checker of the kill test finds what it is there to find: one planted history for each kind of anomaly. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { parseBatches, type StoredBatch } from '../support/stored-batches.ts'
import { findAnomalies, ReadLog } from './checker.ts'
import { History, type Sent, senderOf, valueFor } from './history.ts'

const place = { topic: 'tides', partition: 0 }
const valuesFor = (...sent: readonly Sent[]) => sent.map(valueFor)

function stored(baseOffset: number, records: readonly string[]): StoredBatch {
  const [batch] = parseBatches(
    buildBatch(
      records.map(value => ({ value })),
      { baseOffset },
    ),
  )
  assert.ok(batch !== undefined)
  return batch
}

describe('the checker', () => {
  /** Three records, all acknowledged, by a plain and an idempotent producer. */
  function start() {
    const history = new History(['strict'])
    const sent = [0, 1, 2].map(() => history.send('strict', place))
    const plain = history.send('plain', place)
    for (const [i, one] of [...sent, plain].entries()) history.acknowledge(one, i)
    return { history, log: new ReadLog(place), all: [...sent, plain] as readonly Sent[] }
  }
  const judge = (history: History, log: ReadLog) => findAnomalies(history, [log]).join('\n')

  it('has nothing against a log that is as it was told', () => {
    const { history, log, all } = start()
    log.addWhole(0, [stored(0, valuesFor(...all.slice(0, 2))), stored(2, valuesFor(...all.slice(2)))])
    assert.equal(judge(history, log), '')
  })

  it('accepts a duplicate of a plain producer, and records whose outcome nobody knows', () => {
    const { history, log, all } = start()
    const unknown = history.send('plain', place)
    log.addWhole(0, [stored(0, valuesFor(...all)), stored(4, valuesFor(all[3]!, unknown))])
    assert.equal(judge(history, log), '')
  })

  it('finds what is lost', () => {
    const { history, log, all } = start()
    log.addWhole(0, [stored(0, valuesFor(...all.slice(0, 3)))])
    assert.match(judge(history, log), /^lost: plain's number 0 for tides-0 was acknowledged at 3 and is nowhere$/)
  })

  it('finds what is lost of a client that does not tell offsets', () => {
    const { history, log, all } = start()
    history.acknowledge(history.send('plain', place), null)
    log.addWhole(0, [stored(0, valuesFor(...all))])
    assert.match(judge(history, log), /^lost: plain's number 1 .* nowhere$/)
  })

  it('finds an offset that a client was told of and that holds nothing of its own', () => {
    const { history, log, all } = start()
    history.tell('plain', place, 3)
    log.addWhole(0, [stored(0, valuesFor(...all))])
    assert.equal(judge(history, log), '')
    history.tell('plain', place, 1)
    history.tell('plain', place, 3)
    history.tell('plain', place, 4)
    const found = judge(history, log)
    assert.match(found, /lost: plain was told of a record at 1/)
    assert.match(found, /plain was told twice of the offset 3/)
    assert.match(found, /lost: plain was told of a record at 4/)
  })

  it('finds what is moved', () => {
    const { history, log, all } = start()
    log.addWhole(0, [stored(0, valuesFor(all[0]!, all[1]!, all[3]!, all[2]!))])
    assert.match(judge(history, log), /moved: .*was acknowledged at 3 and is at 2/)
  })

  it('finds what is changed between two readings', () => {
    const { history, log, all } = start()
    log.add([stored(0, valuesFor(all[0]!, all[1]!, all[3]!, all[2]!))])
    log.addWhole(0, [stored(0, valuesFor(...all))])
    assert.match(judge(history, log), /^tides-0: changed: the batch at 0/)
  })

  it('finds what was readable and is gone', () => {
    const { history, log, all } = start()
    log.add([stored(0, valuesFor(...all)), stored(4, valuesFor(all[3]!))])
    log.addWhole(0, [stored(0, valuesFor(...all))])
    assert.match(judge(history, log), /^tides-0: lost: ends at 4, and was read up to 5/)
  })

  it('finds a duplicate and a gap of an idempotent producer', () => {
    const { history, log, all } = start()
    log.addWhole(0, [stored(0, valuesFor(...all, all[1]!))])
    assert.match(judge(history, log), /^tides-0: duplicate: strict's number 1 .* at 4 follows number 2 at 2$/)
    const other = start()
    other.history.send('strict', place)
    const skipped = other.history.send('strict', place)
    other.log.addWhole(0, [stored(0, valuesFor(...other.all, skipped))])
    assert.match(judge(other.history, other.log), /^tides-0: lost: strict's number 4 .* follows number 2 at 2$/)
  })

  it('finds what nobody sent, or not there, or not like that', () => {
    const { history, log, all } = start()
    const never = { ...place, producer: 'strict', number: 3 }
    const elsewhere = { ...place, partition: 1, producer: 'strict', number: 0 }
    log.addWhole(0, [stored(0, [...valuesFor(...all, never, elsewhere), `${valueFor(all[0]!)}x`])])
    const found = judge(history, log)
    assert.match(found, /invented: the record at 4 was never sent/)
    assert.match(found, /invented: the record at 5 was sent to tides-1/)
    assert.match(found, /invented: the record at 6 is not as anybody sent it/)
  })

  it('finds holes, between batches and at the start', () => {
    const { history, log, all } = start()
    log.addWhole(0, [stored(1, valuesFor(all[1]!, all[2]!)), stored(5, valuesFor(all[3]!))])
    assert.match(judge(history, log), /hole: begins at 0, and the first batch at 1/)
    assert.match(judge(history, log), /hole: nothing from 3 to 5/)
  })

  it('lets retention take the head', () => {
    const { history, log, all } = start()
    log.addWhole(2, [stored(2, valuesFor(...all.slice(2)))])
    assert.equal(judge(history, log), '')
  })

  it('knows its own values', () => {
    const sent = { producer: 'p', topic: 't', partition: 3, number: 17 }
    assert.deepEqual(senderOf(valueFor(sent)), sent)
    assert.equal(senderOf('anything'), null)
  })
})
