/** What the oracle must catch: for each kind of anomaly, histories that differ from a sound one by exactly that. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnomalyKind, anomalyKinds } from './anomalies.ts'
import { by, kinds, log, Story } from './story.test-kit.ts'

/** One history for each way that a kind shows. */
const planted: readonly (readonly [AnomalyKind, string, (story: Story) => void])[] = [
  [
    'duplicate',
    'a repeat of an idempotent producer is acknowledged at another offset',
    story => {
      const a = story.batch(1, by(0))
      story.ok(a, 0).ok(a, 1)
    },
  ],
  [
    'duplicate',
    'a batch of an idempotent producer is read at two offsets',
    story => {
      const a = story.batch(2, by(0))
      story.unknown(a, a).read(0, log(0, [a], [a]))
    },
  ],
  [
    'duplicate',
    'a plain batch lies there more often than it was sent',
    story => {
      const a = story.batch()
      story.ok(a, 0).read(0, log(0, [a], [a]))
    },
  ],
  [
    'duplicate',
    'it turns out only afterwards that one of two attempts was refused',
    story => {
      const a = story.batch()
      story.ok(a, 0)
      const request = story.send(a)
      story.read(0, log(0, [a], [a])).note({ type: 'refused', request, error: 'X', isDefinite: true })
    },
  ],
  [
    'early deletion',
    'the log starts where nobody trimmed it to',
    story => {
      const [a, b] = [story.batch(2), story.batch(2)]
      story
        .ok(a, 0)
        .ok(b, 2)
        .trim(2)
        .read(3, log(2, [b]).slice(1), 4, { logStart: 3 })
    },
  ],
  [
    'epoch regress',
    'an older leader epoch behind a newer one, in one read',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story.unknown(a, b).read(0, log(0, [a, 2], [b, 1]), 2, { epoch: 2 })
    },
  ],
  [
    'epoch regress',
    'an older leader epoch behind a newer one, across reads that go backwards',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .unknown(a, b)
        .read(1, log(1, [b, 1]), 2, { epoch: 2 })
        .read(0, log(0, [a, 2]), 2, { epoch: 2 })
    },
  ],
  [
    'hole',
    'a read jumps',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .read(0, [...log(0, [a]), ...log(2, [b])], 3)
    },
  ],
  [
    'hole',
    'a read begins behind what was asked for',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .read(0, log(1, [b]), 2)
    },
  ],
  ['hole', 'a read gives nothing below the watermark', story => story.ok(story.batch(), 0).read(0, [], 1)],
  [
    'inconsistent offsets',
    'another record is read where one was',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .unknown(a, b)
        .read(0, log(0, [a]))
        .read(0, log(0, [b]), 1, { node: 2 })
    },
  ],
  [
    'inconsistent offsets',
    'the same record comes with another leader epoch',
    story => {
      const a = story.batch()
      story
        .unknown(a)
        .read(0, log(0, [a, 1]))
        .read(0, log(0, [a, 2]), 1, { node: 2 })
    },
  ],
  [
    'inconsistent offsets',
    'a record is acknowledged where another was read',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .unknown(a)
        .read(0, log(0, [a]))
        .ok(b, 0)
    },
  ],
  [
    'inconsistent offsets',
    'the writer alone acknowledges a record where another of its own epoch is',
    story => {
      const [a, b] = [story.batch(), story.batch(1, { acks: 1 })]
      story
        .unknown(a)
        .read(0, log(0, [a]))
        .ok(b, 0)
    },
  ],
  [
    'lost write',
    'two records are acknowledged at one offset',
    story => story.ok(story.batch(), 0).ok(story.batch(), 0, 2, 2),
  ],
  [
    'lost write',
    'something else is read where a record was acknowledged',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .unknown(b)
        .read(0, log(0, [b, 2]), 1, { epoch: 2, node: 2 })
    },
  ],
  [
    'lost write',
    'the log ends before what was acknowledged',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .drained(log(0, [a]), { isWriter: false })
    },
  ],
  [
    'lost write',
    'the log ends before what was read',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .unknown(b)
        .read(0, log(0, [a], [b]), 2, { node: 2 })
      story.note({ type: 'restarted', node: 2 }).drained(log(0, [a]), { isWriter: false })
    },
  ],
  [
    'lost write',
    'what the writer acknowledged alone is gone though it wrote on',
    story => {
      const [a, b] = [story.batch(), story.batch(1, { acks: 1 })]
      story
        .ok(a, 0)
        .ok(b, 1)
        .drained(log(0, [a]))
    },
  ],
  [
    'lease ignored',
    'a writer that was replaced acknowledges alone what it was sent long after',
    story => {
      const solo = (records = 1) => story.batch(records, { acks: 1 })
      story.ok(solo(), 0).ok(solo(), 1, 2, 2)
      for (let i = 0; i < 5; i++) story.unknown(solo())
      story.ok(solo(), 1)
    },
  ],
  [
    'offset regress',
    'a node goes back while it runs',
    story => {
      const a = story.batch()
      story
        .unknown(a)
        .read(0, log(0, [a]), 1, { node: 2 })
        .read(0, [], 0, { node: 2 })
    },
  ],
  [
    'offset regress',
    'the log start of a node goes back while it runs',
    story => {
      const a = story.batch(3)
      story.unknown(a).trim(2)
      story.read(3, [], 3, { node: 2, logStart: 2 }).read(3, [], 3, { node: 2, logStart: 1 })
    },
  ],
  [
    'out of order',
    'a later sequence lies before an earlier one',
    story => {
      const [a, b] = [story.batch(1, by(0)), story.batch(1, by(1))]
      story.unknown(a, b).drained(log(0, [b], [a]))
    },
  ],
  [
    'out of order',
    'a sequence is missing',
    story => {
      const [a, b, c] = [story.batch(2, by(0)), story.batch(1, by(2)), story.batch(1, by(3))]
      story.unknown(a, b, c).drained(log(0, [a], [c]))
    },
  ],
  [
    'out of order',
    'the first batch of a producer is missing',
    story => {
      const [a, b] = [story.batch(1, by(0)), story.batch(1, by(1))]
      story.unknown(a, b).drained(log(0, [b]))
    },
  ],
  ['phantom', 'nobody sent it', story => story.read(0, [{ offset: 0, serial: 77, leaderEpoch: 1 }])],
  [
    'phantom',
    'it was sent to another partition',
    story => {
      const a = story.batch(1, { partition: 1 })
      story.unknown(a).read(0, log(0, [a]))
    },
  ],
  [
    'read above the high watermark',
    'a read gives more than the node calls committed',
    story => {
      const a = story.batch(2)
      story.unknown(a).read(0, log(0, [a]), 1)
    },
  ],
  [
    'refused write is visible',
    'it is read after all its attempts were refused',
    story => {
      const a = story.batch()
      story.refused(a).read(0, log(0, [a]))
    },
  ],
  [
    'refused write is visible',
    'it is refused after it was read',
    story => {
      const a = story.batch()
      const request = story.send(a)
      story.read(0, log(0, [a])).note({ type: 'refused', request, error: 'X', isDefinite: true })
    },
  ],
  [
    'stale watermark',
    'the writer does not count as committed what was acknowledged before it was asked',
    story => story.ok(story.batch(2), 0).read(0, [], 0),
  ],
  [
    'stale watermark',
    'whatever the order of the acknowledgements',
    story => story.ok(story.batch(), 1).ok(story.batch(), 0).read(0, [], 1),
  ],
  [
    'stale watermark',
    'nor does a later writer',
    story => story.ok(story.batch(2), 0).read(0, [], 0, { node: 2, epoch: 3, isWriter: true }),
  ],
  [
    'torn batch',
    'the first half of a batch is missing',
    story => {
      const [a, b] = [story.batch(), story.batch(2)]
      story.unknown(a, b).read(0, [...log(0, [a]), ...log(0, [b]).slice(1)])
    },
  ],
  [
    'trim undone',
    'the log starts below a confirmed trim',
    story => {
      const a = story.batch(3)
      story.ok(a, 0).trim(2).note({ type: 'trimmed', partition: 0, offset: 2 })
      story.drained(log(0, [a]))
    },
  ],
  [
    'two writers',
    'two nodes call themselves the writer of an epoch',
    story => story.read(0, [], 0, { node: 1, isWriter: true }).read(0, [], 0, { node: 2, isWriter: true }),
  ],
  [
    'two writers',
    'two nodes acknowledge in one epoch',
    story => story.ok(story.batch(1, { acks: 1 }), 0, 1, 1).ok(story.batch(1, { acks: 1 }), 1, 1, 2),
  ],
  [
    'unjustified refusal',
    'the newest epoch of a producer is called an old one',
    story => {
      story.ok(story.batch(1, by(0)), 0)
      story.refused(story.batch(1, by(0, 1)), 'INVALID_PRODUCER_EPOCH')
    },
  ],
  [
    'unreadable',
    'fewer nodes than promised give a record at the end',
    story => {
      const a = story.batch()
      story.ok(a, 0).drained(log(0, [a]), {}, [1, 2])
      story.note({
        type: 'drained',
        node: 3,
        partition: 0,
        logStart: 0,
        highWatermark: 0,
        leaderEpoch: 1,
        unreadable: [[0, 1]],
      })
    },
  ],
  [
    'watermark regress',
    'a new writer shows less than the one before it did',
    story => {
      const a = story.batch(2)
      story.unknown(a).read(0, log(0, [a]))
      story.read(0, log(0, [a]).slice(0, 1), 1, { node: 2, epoch: 2, isWriter: true })
    },
  ],
  [
    'watermark regress',
    'a zombie commits above where the new epoch began',
    story => {
      const a = story.batch(2)
      story.read(0, [], 0, { node: 2, epoch: 2, isWriter: true }).unknown(a)
      story.read(0, log(0, [a]))
    },
  ],
  [
    'written in the past',
    'a batch comes to lie below what was acknowledged before it was sent',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 1)
        .unknown(b)
        .read(0, log(0, [b], [a]))
    },
  ],
  [
    'zombie write',
    'an older producer epoch lies behind a newer one',
    story => {
      const [a, b] = [story.batch(1, by(0)), story.batch(1, by(0, 1))]
      story.unknown(a, b).drained(log(0, [b], [a]))
    },
  ],
]

for (const [kind, title, plant] of planted) {
  test(`${kind}: ${title}`, () => {
    const story = new Story()
    plant(story)
    assert.ok(kinds(story).includes(kind), `found: ${kinds(story).join(', ') || 'nothing'}`)
  })
}

test('every kind of anomaly has a planted history', () => {
  assert.deepEqual([...new Set(planted.map(([kind]) => kind))].sort(), [...anomalyKinds].sort())
})
