import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { LogIndex, Term } from '../base/ids.ts'
import { InvariantViolation } from '../base/invariant.ts'
import {
  append,
  compact,
  entriesBetween,
  entriesFrom,
  entryBytes,
  finishWrites,
  hasEntry,
  isUpToDate,
  type Log,
  lastIndex,
  lastPossibleMatch,
  lastTerm,
  replace,
  restoredLog,
  startWrite,
  termAt,
  truncate,
} from './log.ts'
import { entryTypes, type RaftEntry } from './storage.ts'

const index = (value: number) => value as LogIndex
const term = (value: number) => value as Term
const entry = (at: number, inTerm: number, text = ''): RaftEntry => {
  return { index: index(at), term: term(inTerm), type: entryTypes.command, data: Buffer.from(text) }
}

/** A log with these terms at 1, 2, 3 … */
function logOf(...terms: number[]): Log {
  const entries = terms.map((at, i) => entry(i + 1, at))
  return restoredLog(index(0), term(0), entries)
}

/** Terms that do not fall. */
const rising = fc
  .array(fc.nat({ max: 4 }), { maxLength: 12 })
  .map(terms => terms.map(at => at + 1).sort((a, b) => a - b))

describe('a log', () => {
  it('is restored dense, with terms that do not fall, and all of it durable', () => {
    const log = restoredLog(index(7), term(2), [entry(8, 2), entry(9, 5)])
    assert.deepEqual([lastIndex(log), lastTerm(log), log.durable], [9, 5, 9])
    assert.deepEqual([termAt(log, index(7)), termAt(log, index(9)), termAt(log, index(6))], [2, 5, null])
    assert.throws(() => restoredLog(index(7), term(2), [entry(9, 2)]), InvariantViolation)
    assert.throws(() => restoredLog(index(7), term(2), [entry(8, 1)]), InvariantViolation)
  })

  it('gives out as many entries as fit, and one at least', () => {
    const log = logOf(1, 1, 1, 1)
    const each = entryBytes(entry(1, 1))
    assert.deepEqual(
      entriesFrom(log, index(2), 2 * each).map(at => at.index),
      [2, 3],
    )
    assert.deepEqual(
      entriesFrom(log, index(2), 0).map(at => at.index),
      [2],
    )
    assert.deepEqual(entriesFrom(log, index(5), 100), [])
    assert.deepEqual(
      entriesBetween(log, index(1), index(3)).map(at => at.index),
      [2, 3],
    )
  })

  it('is up to date by last term, then by length', () => {
    fc.assert(
      fc.property(rising, rising, (ours, theirs) => {
        const [a, b] = [logOf(...ours), logOf(...theirs)]
        const isUp = isUpToDate(a, lastIndex(b), lastTerm(b))
        const isOther = isUpToDate(b, lastIndex(a), lastTerm(a))
        assert.ok(isUp || isOther, 'of two logs one is')
        if (isUp && isOther) assert.deepEqual([lastIndex(a), lastTerm(a)], [lastIndex(b), lastTerm(b)])
      }),
    )
  })

  it('finds where two logs part in a round per term of disagreement, and never passes the place', () => {
    fc.assert(
      fc.property(rising, rising, rising, (common, left, right) => {
        const base = common.at(-1) ?? 1
        const ours = logOf(...common, ...left.map(at => at + base))
        const theirs = logOf(...common, ...right.map(at => at + base))
        let parting = 0
        while (hasEntry(ours, index(parting + 1), termAt(theirs, index(parting + 1)) ?? term(-1))) parting++
        let at = lastIndex(ours)
        let rounds = 0
        while (!hasEntry(theirs, at, termAt(ours, at)!)) {
          const hint = lastPossibleMatch(theirs, at, termAt(ours, at)!)
          at = lastPossibleMatch(ours, hint, termAt(theirs, hint)!)
          rounds++
        }
        assert.ok(at >= parting && rounds <= new Set(left).size + 1)
      }),
    )
  })
})

/** What the disk holds if it does these writes one after the other: a cut and the entries from there on. */
type Step = { readonly cut: number; readonly terms: readonly number[] } | { readonly finish: number }

describe('what is durable', () => {
  it('is no more than a disk that does the writes in order holds of the log, whatever is cut off and put back meanwhile', () => {
    const aStep: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ cut: fc.nat({ max: 3 }), terms: fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 3 }) }),
      fc.record({ finish: fc.nat({ max: 3 }) }),
    )
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 30 }), steps => {
        const log = logOf(1, 1)
        const disk: RaftEntry[] = [...log.entries]
        const writes: RaftEntry[][] = []
        let [given, done] = [0, 0]
        for (const step of steps) {
          if ('finish' in step) {
            for (let i = 0; i < step.finish && done < given; i++) {
              const entries = writes[done++]!
              disk.length = entries[0]!.index - 1
              disk.push(...entries)
            }
            finishWrites(log, done)
          } else {
            // Entries 1 and 2 stay. The same terms come back often, so that an entry cut off and put back looks the
            // same.
            const from = Math.max(3, lastIndex(log) + 1 - step.cut)
            if (from <= lastIndex(log)) truncate(log, index(from))
            const entries: RaftEntry[] = []
            for (const more of step.terms) {
              entries.push(entry(lastIndex(log) + 1, lastTerm(log) + more))
              append(log, entries.at(-1)!)
            }
            writes.push(entries)
            startWrite(log, ++given)
          }
          const agreed = log.entries.findIndex((at, i) => disk[i] !== at)
          const isOnDisk = agreed < 0 ? log.entries.length : agreed
          assert.ok(log.durable <= isOnDisk, 'no more than the disk has')
          if (done === given) assert.equal(log.durable, lastIndex(log), 'all of it, when the disk has caught up')
        }
      }),
    )
  })

  it('stays when the log is compacted, and is nothing when a snapshot replaces the log', () => {
    const log = logOf(1, 1, 2)
    compact(log, index(2))
    assert.deepEqual([log.beforeIndex, log.beforeTerm, lastIndex(log), log.durable], [2, 1, 3, 3])
    assert.throws(() => entriesFrom(log, index(2), 1), InvariantViolation)
    replace(log, index(9), term(4))
    startWrite(log, 1)
    assert.deepEqual([log.beforeIndex, lastIndex(log), lastTerm(log), log.durable], [9, 9, 4, 0])
    finishWrites(log, 1)
    assert.equal(log.durable, 9)
  })
})
