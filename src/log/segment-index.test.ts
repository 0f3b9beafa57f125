import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Offset, Position } from '../base/ids.ts'
import { type IndexPoint, SegmentIndex } from './segment-index.ts'

/** Batches as they might follow each other: how many offsets, how many bytes, the highest timestamp. */
const batches = fc.array(
  fc.record({
    offsets: fc.integer({ min: 1, max: 20 }),
    bytes: fc.integer({ min: 61, max: 900 }),
    timestampMs: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 50 })),
  }),
  { maxLength: 60 },
)

interface Border extends IndexPoint {
  readonly end: number
}

function bordersOf(base: number, list: { offsets: number; bytes: number; timestampMs: number }[]): Border[] {
  let offset = base
  let position = 0
  let maxTimestampBefore = -1
  return list.map(batch => {
    const border = {
      offset: offset as Offset,
      position: position as Position,
      maxTimestampBefore,
      end: offset + batch.offsets,
    }
    offset = border.end
    position += batch.bytes
    maxTimestampBefore = Math.max(maxTimestampBefore, batch.timestampMs)
    return border
  })
}

function indexOf(base: number, interval: number, borders: readonly Border[]): SegmentIndex {
  const index = new SegmentIndex(base as Offset, interval)
  for (const { offset, position, maxTimestampBefore } of borders) index.note({ offset, position, maxTimestampBefore })
  return index
}

const interval = fc.constantFrom(0, 1, 300, 4096)

describe('the index of a segment', () => {
  it('leads to a batch border at or before what is looked for, and not further back than the interval', () => {
    fc.assert(
      fc.property(fc.nat(1000), batches, interval, (base, list, every) => {
        const borders = bordersOf(base, list)
        const index = indexOf(base, every, borders)
        const positions = new Set([0, ...borders.map(border => border.position)])
        for (const border of borders) {
          for (let offset = border.offset as number; offset < border.end; offset++) {
            const point = index.atOffset(offset as Offset)
            assert.ok(positions.has(point.position), 'a border')
            assert.ok(point.offset <= offset && point.position <= border.position, 'not behind it')
            const longest = Math.max(...list.map(batch => batch.bytes))
            assert.ok(border.position - point.position < every + longest, 'near it')
          }
        }
      }),
    )
  })

  it('answers like a search through a plain list, by offset and by time', () => {
    fc.assert(
      fc.property(fc.nat(1000), batches, interval, (base, list, every) => {
        const index = indexOf(base, every, bordersOf(base, list))
        const points = index.points
        for (let offset = base; offset < base + 200; offset += 7) {
          assert.deepEqual(
            index.atOffset(offset as Offset),
            points.findLast(point => point.offset <= offset),
          )
        }
        for (let time = -1; time <= 51; time++) {
          assert.deepEqual(
            index.beforeTime(time),
            points.findLast(point => point.maxTimestampBefore < time) ?? points[0],
          )
        }
      }),
    )
  })

  it('by time never leads behind the first batch that is late enough', () => {
    fc.assert(
      fc.property(batches, interval, fc.integer({ min: 0, max: 50 }), (list, every, time) => {
        const borders = bordersOf(0, list)
        const first = borders[list.findIndex(batch => batch.timestampMs >= time)]
        if (first !== undefined) assert.ok(indexOf(0, every, borders).beforeTime(time).position <= first.position)
      }),
    )
  })

  it('has its origin even when it was made out of points that begin later, and below the base there is nothing else', () => {
    const point = { offset: 50 as Offset, position: 700 as Position, maxTimestampBefore: 9 }
    const index = new SegmentIndex(10 as Offset, 100, [point])
    assert.deepEqual(index.points, [{ offset: 10, position: 0, maxTimestampBefore: -1 }, point])
    assert.equal(index.atOffset(49 as Offset).position, 0)
    assert.equal(index.atOffset(50 as Offset).position, 700)
    assert.equal(index.atOffset(3 as Offset).position, 0)
  })

  it('thinned is a part of it, its origin included, no longer than asked', () => {
    fc.assert(
      fc.property(batches, fc.integer({ min: 1, max: 70 }), (list, count) => {
        const index = indexOf(5, 0, bordersOf(5, list))
        const thin = index.thinned(count)
        assert.ok(thin.length <= count && thin.length > 0)
        assert.equal(thin[0], index.points[0])
        assert.ok(thin.every(point => index.points.includes(point)))
        const again = new SegmentIndex(5 as Offset, 0, thin)
        for (const { offset } of index.points) assert.ok(again.atOffset(offset).offset <= offset)
      }),
    )
  })

  it('tells its long stretches, and takes the points of a scan without doubling or disorder', () => {
    fc.assert(
      fc.property(batches, list => {
        const borders = bordersOf(0, list)
        const end = list.reduce((sum, batch) => sum + batch.bytes, 0) as Position
        const index = indexOf(
          0,
          100_000,
          borders.filter((_, i) => i % 9 === 0),
        )
        for (const gap of index.gaps(2000, end)) {
          assert.ok(gap.to - gap.from.position > 2000)
          index.insert(borders.filter(({ position }) => position >= gap.from.position && position < gap.to))
        }
        const positions = index.points.map(point => point.position as number)
        assert.deepEqual(
          positions,
          [...new Set(positions)].sort((a, b) => a - b),
        )
        const longest = Math.max(0, ...list.map(batch => batch.bytes))
        assert.deepEqual(index.gaps(2000 + longest, end), [])
      }),
    )
  })
})
