import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Offset } from '../base/ids.ts'
import { type RetainedSegment, type RetentionRules, retainedFrom } from './retention.ts'

const nowMs = 1_000_000

/** Segments of ten offsets each: `[bytes, age of the newest record]`, an age of null for no timestamp. */
function segments(...list: [bytes: number, ageMs: number | null][]): RetainedSegment[] {
  return list.map(([bytes, ageMs], i) => ({
    base: (i * 10) as Offset,
    end: ((i + 1) * 10) as Offset,
    bytes,
    maxTimestamp: ageMs === null ? -1 : nowMs - ageMs,
  }))
}

const never: RetentionRules = { retentionMs: -1, retentionBytes: -1 }
const three = segments([100, 900], [100, 500], [100, 100])

describe('retention asks for', () => {
  const openBytes = 50
  for (const { story, sealed, start = 0, rules, asksFor } of [
    { story: 'nothing without limits', sealed: three, rules: never, asksFor: 0 },
    { story: 'nothing where nothing is sealed', sealed: [], rules: { retentionMs: 0, retentionBytes: 0 }, asksFor: 0 },
    { story: 'what is older than the limit', sealed: three, rules: { ...never, retentionMs: 400 }, asksFor: 20 },
    {
      story: 'not what is exactly as old as the limit',
      sealed: three,
      rules: { ...never, retentionMs: 500 },
      asksFor: 10,
    },
    {
      story: 'nothing behind a segment that is young: the log has no holes',
      sealed: segments([100, 100], [100, 900]),
      rules: { ...never, retentionMs: 400 },
      asksFor: 0,
    },
    {
      story: 'nothing by age where no record has a timestamp',
      sealed: segments([100, null], [100, 900]),
      rules: { ...never, retentionMs: 400 },
      asksFor: 0,
    },
    {
      story: 'nothing from the future by age',
      sealed: segments([100, -5000], [100, 900]),
      rules: { ...never, retentionMs: 0 },
      asksFor: 0,
    },
    {
      story: 'as much as can go with the limit still held',
      sealed: three,
      rules: { ...never, retentionBytes: 150 },
      asksFor: 20,
    },
    {
      story: 'less when one more would go below the limit',
      sealed: three,
      rules: { ...never, retentionBytes: 151 },
      asksFor: 10,
    },
    { story: 'nothing below the limit', sealed: three, rules: { ...never, retentionBytes: 351 }, asksFor: 0 },
    {
      story: 'everything sealed at a limit of nothing',
      sealed: three,
      rules: { ...never, retentionBytes: 0 },
      asksFor: 30,
    },
    { story: 'no less than the log start', sealed: three, start: 15, rules: never, asksFor: 15 },
    { story: 'the log start where it lies on a border', sealed: three, start: 20, rules: never, asksFor: 20 },
    {
      story: 'what is over the limit without what lies below the log start',
      sealed: three,
      start: 20,
      rules: { ...never, retentionBytes: 150 },
      asksFor: 20,
    },
    {
      story: 'either what is too old or what is too much',
      sealed: segments([100, 900], [500, 100], [100, 50]),
      rules: { retentionMs: 400, retentionBytes: 150 },
      asksFor: 20,
    },
  ]) {
    it(story, () => {
      assert.equal(retainedFrom(sealed, openBytes, start as Offset, rules, nowMs), asksFor)
    })
  }

  it('a border or the log start, never less than before, and keeps the limits', () => {
    const list = fc.array(fc.tuple(fc.nat(1000), fc.oneof(fc.constant(null), fc.integer({ min: -100, max: 2000 }))), {
      maxLength: 12,
    })
    const limit = fc.oneof(fc.constant(-1), fc.nat(3000))
    fc.assert(
      fc.property(
        list,
        fc.nat(500),
        fc.nat(130),
        limit,
        limit,
        (given, openBytes, from, retentionMs, retentionBytes) => {
          const sealed = segments(...given)
          const logStart = Math.min(from, sealed.length * 10) as Offset
          const start = retainedFrom(sealed, openBytes, logStart, { retentionMs, retentionBytes }, nowMs)
          assert.ok(start >= logStart)
          assert.ok(start === logStart || sealed.some(segment => segment.end === start))
          const kept = sealed.filter(segment => segment.end > start)
          const bytes = openBytes + kept.reduce((sum, segment) => sum + segment.bytes, 0)
          const [oldest] = kept
          if (retentionBytes >= 0 && oldest !== undefined) assert.ok(bytes - oldest.bytes < retentionBytes)
          const dropped = sealed.filter(segment => segment.end <= start && segment.end > logStart)
          const last = dropped.at(-1)
          if (last !== undefined) {
            const isOld = retentionMs >= 0 && last.maxTimestamp >= 0 && nowMs - last.maxTimestamp > retentionMs
            assert.ok(isOld || (retentionBytes >= 0 && bytes >= retentionBytes), 'nothing goes without a reason')
          }
        },
      ),
    )
  })
})
