/**
 * The oracle is tested by what it must catch: sound histories, with whatever faults excuse in them, and for each kind of
 * anomaly histories that differ from a sound one by exactly that.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnomalyKind, anomalyKinds } from './anomalies.ts'
import type { ProduceRequest, ReadRecord } from './client-door.ts'
import { type Destroyed, History, type HistoryEvent } from './history.ts'
import { Oracle } from './oracle.ts'

type Draft = HistoryEvent extends infer E ? (E extends unknown ? Omit<E, 'atMs'> : never) : never

interface Marks {
  readonly node?: number
  readonly epoch?: number
  readonly isWriter?: boolean
  readonly logStart?: number
}

/** Writes a history of partition 0, a millisecond per line. Node 1 is the writer unless said otherwise. */
class Story {
  readonly history = new History()
  #serials = 0

  note(event: Draft): this {
    this.history.note({ ...event, atMs: this.history.events.length } as HistoryEvent)
    return this
  }

  batch(count = 1, more: Partial<ProduceRequest> = {}): ProduceRequest {
    const serials = Array.from({ length: count }, () => this.#serials++)
    return { partition: 0, acks: 'all', producerId: -1, producerEpoch: -1, baseSequence: -1, serials, ...more }
  }

  send(batch: ProduceRequest, node = 1): number {
    const request = this.history.nextRequest()
    this.note({ type: 'send', request, node, batch })
    return request
  }

  ok(batch: ProduceRequest, base: number, leaderEpoch = 1, node = 1): this {
    return this.note({ type: 'acknowledged', request: this.send(batch, node), base, leaderEpoch })
  }

  unknown(...batches: ProduceRequest[]): this {
    for (const batch of batches) this.send(batch)
    return this
  }

  refused(batch: ProduceRequest, error = 'NOT_LEADER_OR_FOLLOWER', isDefinite = true): this {
    return this.note({ type: 'refused', request: this.send(batch), error, isDefinite })
  }

  ask(from: number, node = 1, isFinal = false): number {
    const request = this.history.nextRequest()
    this.note({ type: 'asked', request, node, partition: 0, from, recordsMax: 100, isFinal })
    return request
  }

  answer(request: number, records: readonly ReadRecord[], highWatermark: number, marks: Marks = {}): this {
    const { epoch: leaderEpoch = 1, node = 1, logStart = 0 } = marks
    const isWriter = marks.isWriter ?? node === 1
    const answer = { ok: true, records, highWatermark, logStart, leaderEpoch, isWriter } as const
    return this.note({ type: 'read', request, answer })
  }

  read(from: number, records: readonly ReadRecord[], highWatermark = from + records.length, marks: Marks = {}): this {
    return this.answer(this.ask(from, marks.node), records, highWatermark, marks)
  }

  destroyed(loss: Partial<Destroyed>): this {
    const all = { partition: 0, from: 0, to: 0, belowLeaderEpoch: 2, what: 'everything' } as const
    return this.note({ type: 'destroyed', ...all, ...loss })
  }

  trim(offset: number): this {
    return this.note({ type: 'trim', partition: 0, offset })
  }

  /** All of it at each of these nodes, as one answer each. */
  drained(records: readonly ReadRecord[], marks: Omit<Marks, 'node'> = {}, nodes = [1, 2, 3]): this {
    const { epoch: leaderEpoch = 1, logStart = records[0]?.offset ?? 0 } = marks
    const highWatermark = (records.at(-1)?.offset ?? logStart - 1) + 1
    for (const node of nodes) {
      this.answer(this.ask(logStart, node, true), records, highWatermark, { epoch: leaderEpoch, ...marks, node })
      this.note({ type: 'drained', node, partition: 0, logStart, highWatermark, leaderEpoch, unreadable: [] })
    }
    return this
  }
}

/** Batches as they lie in the log, one behind the other. */
function log(base: number, ...batches: (readonly [ProduceRequest, epoch?: number])[]): ReadRecord[] {
  const records: ReadRecord[] = []
  for (const [{ serials }, leaderEpoch = 1] of batches) {
    for (const serial of serials) records.push({ offset: base + records.length, serial, leaderEpoch })
  }
  return records
}

/** Of an idempotent producer. */
const by = (baseSequence: number, producerEpoch = 0, producerId = 9) => ({ producerId, producerEpoch, baseSequence })

function kinds(story: Story, tellsWriterLosses = false): string[] {
  const oracle = new Oracle({ copiesMin: 3, tellsWriterLosses, leaseMs: 5 })
  for (const event of story.history.events) oracle.take(event)
  oracle.finish()
  return oracle.anomalies.map(anomaly => anomaly.kind)
}

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
