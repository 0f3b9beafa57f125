/**
 * The oracle is tested by what it must catch and by what it must let pass. Here is what it must let pass: sound histories, with
 * whatever faults excuse in them, and next to each what the same fault does not excuse.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProduceRequest, ReadRecord } from './client-door.ts'
import type { Destroyed } from './history.ts'
import { by, kinds, log, Story } from './story.test-kit.ts'

test('a sound history: repeats, refusals, a failover that keeps a tail, a zombie, a restart, a trim', () => {
  const story = new Story()
  const [a, b, c, d, e] = [
    story.batch(2),
    story.batch(2, by(0)),
    story.batch(1, by(2)),
    story.batch(1),
    story.batch(1, by(0, 1)),
  ]
  story.refused(a, 'NOT_ENOUGH_REPLICAS').ok(a, 0).unknown(b)
  story.read(0, log(0, [a]), 2).read(1, log(0, [a]).slice(1), 2, { node: 2 })
  // Node 2 takes over and keeps b; the one that wrote before goes on saying what it knew.
  story.ok(b, 2, 2, 2).ok(c, 4, 2, 2)
  story.read(2, log(2, [b], [c, 2]), 5, { node: 2, epoch: 2, isWriter: true })
  story.read(2, [], 2, { node: 1, epoch: 1 })
  story.unknown(d, d).ok(e, 6, 2, 2)
  const all = log(0, [a], [b], [c, 2], [d, 2], [e, 2], [d, 2])
  story.read(0, all, 8, { node: 3, epoch: 2 }).note({ type: 'restarted', node: 3 })
  story.read(4, [], 4, { node: 3, epoch: 2 })
  story.trim(2).note({ type: 'trimmed', partition: 0, offset: 2 })
  story.drained(all.slice(2), { epoch: 2, isWriter: false })
  assert.deepEqual(kinds(story), [])
})

test('an answer that was long on its way may be older than what others have said since', () => {
  const story = new Story()
  const [a, b] = [story.batch(), story.batch()]
  const early = story.ask(0)
  story
    .ok(a, 0)
    .ok(b, 1)
    .read(0, log(0, [a], [b]))
    .answer(early, [], 0)
  story.drained(log(0, [a], [b]))
  assert.deepEqual(kinds(story), [])
})

test('what only the writer had may go with it: by the next leader epoch, or only as told', () => {
  const lose = (tellsWriterLosses: boolean, isTold: boolean) => {
    const story = new Story()
    const [a, b, c] = [story.batch(), story.batch(2, { acks: 1 }), story.batch()]
    story.ok(a, 0).ok(b, 1)
    if (isTold) story.destroyed({ from: 1, to: 3, what: 'writer only' })
    story.ok(c, 1, 2, 2).drained(log(0, [a], [c, 2]), { epoch: 2, isWriter: false })
    return kinds(story, tellsWriterLosses)
  }
  assert.deepEqual(lose(false, false), [])
  assert.deepEqual(lose(true, true), [])
  assert.deepEqual(lose(true, false), ['lost write'])
})

test('a replaced writer may go on alone for a while, and answer late what it was sent early', () => {
  const story = new Story()
  const [a, b, c] = [story.batch(), story.batch(1, { acks: 1 }), story.batch(1, { acks: 1 })]
  story.ok(a, 0)
  const early = story.send(b)
  story.read(0, log(0, [a]), 1, { node: 2, epoch: 2, isWriter: true }).ok(c, 2)
  for (let i = 0; i < 5; i++) story.unknown(story.batch())
  story.note({ type: 'acknowledged', request: early, base: 1, leaderEpoch: 1 })
  // The one in charge goes on alone for as long as it likes.
  story.ok(story.batch(1, { acks: 1 }), 3, 2, 2)
  assert.deepEqual(kinds(story), [])
})

test('another refusal of a producer tells nothing', () => {
  const story = new Story()
  story.refused(story.batch(1, by(0)), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  story.refused(story.batch(1, by(0)), 'INVALID_PRODUCER_EPOCH', false).ok(story.batch(1, by(0, 1)), 0)
  story.refused(story.batch(1, by(1)), 'INVALID_PRODUCER_EPOCH')
  assert.deepEqual(kinds(story), [])
})

test('a trimmed log: what came before is not missed, what comes behind is', () => {
  const trimmed = (sequence: number, epoch: number) => {
    const story = new Story()
    const [a, b, c] = [story.batch(1, by(0)), story.batch(1, by(1)), story.batch(1, by(0, 1))]
    const d = story.batch(1, by(sequence, epoch))
    story.unknown(a, b, c, d).trim(1)
    return kinds(story.drained(log(1, [b], [d]), { logStart: 1 }))
  }
  assert.deepEqual(trimmed(2, 0), [])
  assert.deepEqual(trimmed(3, 0), ['out of order'])
  assert.deepEqual(trimmed(1, 1), ['out of order'])
})

test('more disks gone than tolerated: offsets are given out again, watermarks go back, a producer begins elsewhere', () => {
  const lose = (loss: Partial<Destroyed> | null) => {
    const story = new Story()
    const [a, b, c] = [story.batch(), story.batch(2, by(0)), story.batch(1, by(2))]
    story
      .ok(a, 0)
      .ok(b, 1)
      .read(0, log(0, [a], [b]))
    if (loss !== null) story.destroyed(loss)
    story.ok(c, 1, 2, 2).read(0, log(0, [a], [c, 2]), 2, { node: 2, epoch: 2, isWriter: true })
    return kinds(story.drained(log(0, [a], [c, 2]), { epoch: 2, isWriter: false }))
  }
  assert.deepEqual(lose({ from: 1, to: 3 }), [])
  assert.notDeepEqual(lose(null), [])
  assert.notDeepEqual(lose({ from: 2, to: 3 }), [])
  assert.notDeepEqual(lose({ from: 1, to: 3, what: 'writer only' }), [])
})

test('a loss excuses what lay in its range under older leader epochs, and nothing else', () => {
  const lost = { from: 1, to: 3, belowLeaderEpoch: 2 } as const
  const after = (tell: (story: Story, a: ProduceRequest, b: ProduceRequest) => Story) => {
    const story = new Story()
    const [a, b] = [story.batch(1), story.batch(2, by(0))]
    story
      .ok(a, 0)
      .ok(b, 1)
      .read(0, log(0, [a], [b]))
    return kinds(tell(story.destroyed(lost), a, b))
  }
  const newWriter = { node: 2, epoch: 2, isWriter: true }
  const fresh = (story: Story) => story.batch()
  // An old acknowledgement that comes late claims nothing any more; one of the new epoch does.
  assert.deepEqual(
    after((story, _, b) => story.ok(b, 1).ok(fresh(story), 1, 2, 2)),
    [],
  )
  assert.deepEqual(
    after(story => story.ok(fresh(story), 1, 2, 2).ok(fresh(story), 1, 2, 2)),
    ['lost write'],
  )
  // The batch that was lost may be written again, once.
  assert.deepEqual(
    after((story, _, b) => story.ok(b, 3, 2, 2)),
    [],
  )
  assert.deepEqual(
    after((story, _, b) => story.ok(b, 3, 2, 2).ok(b, 5, 2, 2)),
    ['duplicate'],
  )
  // What lay before and behind the range stays.
  assert.deepEqual(
    after(story => story.ok(story.batch(), 0, 2, 2)),
    ['inconsistent offsets'],
  )
  assert.deepEqual(
    after((story, a) =>
      story
        .ok(story.batch(), 3, 2, 2)
        .ok(story.batch(), 3, 2, 2)
        .read(0, log(0, [a]), 4, newWriter),
    ),
    ['lost write'],
  )
  // The watermark falls to where the loss begins, not below.
  assert.deepEqual(
    after((story, a) => story.read(0, log(0, [a]), 1, newWriter)),
    [],
  )
  assert.deepEqual(
    after(story => story.read(0, [], 0, newWriter)),
    ['stale watermark', 'watermark regress'],
  )
})

test('what only the writer had is no excuse for what was acknowledged with acks=all', () => {
  const story = new Story()
  const [a, b] = [story.batch(), story.batch()]
  story.ok(a, 0).destroyed({ from: 0, to: 1, what: 'writer only' }).unknown(b)
  story.drained(log(0, [b, 2]), { epoch: 2, isWriter: false })
  assert.deepEqual([...new Set(kinds(story))], ['lost write'])
})

test('what the writer acknowledged alone is missed where it was neither trimmed nor taken over', () => {
  const story = (end: number) => {
    const told = new Story()
    const solo = () => told.batch(2, { acks: 1 })
    const [a, b, c] = [solo(), solo(), solo()]
    told.ok(a, 0).ok(b, 2).ok(c, 4).trim(3)
    return kinds(told.drained(log(2, [b], [c]).slice(1, end - 2), { logStart: 3 }))
  }
  assert.deepEqual(story(6), [])
  assert.deepEqual(story(4), ['lost write'])
})

test('a read that was sent before a node started again may be answered out of its new memory', () => {
  const story = new Story()
  const a = story.batch()
  story.unknown(a).read(0, log(0, [a]), 1, { node: 2 })
  const request = story.ask(1, 2)
  story.note({ type: 'restarted', node: 2 }).answer(request, [], 0, { node: 2 })
  assert.deepEqual(kinds(story), [])
})

test('a sealed segment without a copy stays a hole, and nothing else comes there', () => {
  const tell = (story: Story, then: (story: Story, records: ReadRecord[]) => Story) => {
    const [a, b, c] = [story.batch(), story.batch(2), story.batch()]
    story.ok(a, 0).ok(b, 1).ok(c, 3)
    story.read(0, log(0, [a], [b], [c])).destroyed({ from: 1, to: 3, belowLeaderEpoch: Number.POSITIVE_INFINITY })
    for (const node of [1, 2, 3]) {
      for (const batch of [a, c]) {
        const base = batch === a ? 0 : 3
        story.answer(story.ask(base, node, true), log(base, [batch]), 4, { node })
      }
      const unreadable = [[1, 3]] as const
      story.note({
        type: 'drained',
        node,
        partition: 0,
        logStart: 0,
        highWatermark: 4,
        leaderEpoch: 1,
        unreadable,
      })
    }
    return kinds(then(story, log(0, [a], [c], [a], [c])))
  }
  assert.deepEqual(
    tell(new Story(), story => story),
    [],
  )
  const other = tell(new Story(), story => {
    const late = story.batch(2)
    return story.unknown(late).read(1, log(1, [late]), 4)
  })
  assert.ok(other.includes('inconsistent offsets'))
})
