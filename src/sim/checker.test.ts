/**
 * The checker is tested by what it must catch: a sound history, and for each kind of anomaly one history that differs from a
 * sound one by exactly that.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import { fingerprint, makeBatch, readBatches, type StoredBatch } from './batches.ts'
import { type AnomalyKind, anomalyKinds, check } from './checker.ts'
import { virtualEpochMs } from './clock.ts'
import type { FoundOffset, HistoryEvent, Marks, PartitionRules, SentBatch } from './history.ts'

const strict: PartitionRules = { relaxed: false, stampsAppendTime: false, retentionMs: -1, retentionBytes: -1 }

type Producer = SentBatch['producer']
type Draft = HistoryEvent extends infer E ? (E extends unknown ? Omit<E, 'atMs'> : never) : never

/** Writes a history, a millisecond per line. */
class Story {
  readonly events: HistoryEvent[] = []
  #requests = 0
  #ids = 0

  constructor(rules: Partial<PartitionRules> = {}) {
    this.note({ type: 'partition', partition: 'p', rules: { ...strict, ...rules } })
    this.note({ type: 'partition', partition: 'q', rules: strict })
  }

  note(event: Draft): this {
    this.events.push({ ...event, atMs: this.events.length } as HistoryEvent)
    return this
  }

  batch(records = 1, producer: Producer = null, timestampMs = virtualEpochMs): Batch {
    const id = this.#ids++
    const timestampsMs = Array.from({ length: records }, (_, index) => timestampMs + index)
    const bytes = makeBatch({ id, timestampsMs, fillBytes: 0, codec: 'none', producer })
    const sent = {
      id,
      partition: 'p',
      fingerprint: fingerprint(bytes, strict),
      bytes: bytes.length,
      timestampsMs,
      producer,
    }
    return { sent, bytes }
  }

  send({ sent }: Batch, inOrder = false): number {
    this.note({ type: 'send', request: ++this.#requests, batch: sent, acks: -1, inOrder })
    return this.#requests
  }

  ok(batch: Batch, baseOffset: number): this {
    return this.note({ type: 'sent', request: this.send(batch), baseOffset })
  }

  refused(batch: Batch, error: KafkaErrorName, inOrder = false): this {
    return this.note({ type: 'refused', request: this.send(batch, inOrder), error })
  }

  unknown(batch: Batch): this {
    return this.note({ type: 'unknown', request: this.send(batch) })
  }

  read(from: number, batches: StoredBatch[] | string, marks: Marks, more: Partial<Answer> = {}): this {
    const request = ++this.#requests
    this.note({ type: 'reading', request, partition: 'p', from })
    return this.note({ type: 'read', request, error: 'NONE', marks, batches, bytesMax: 1000, minOne: true, ...more })
  }

  drained(batches: StoredBatch[], marks: Marks, damaged: [number, number][] = []): this {
    return this.note({ type: 'drained', partition: 'p', marks, batches, damaged })
  }

  found(timestampMs: number, found: FoundOffset | null): this {
    return this.note({ type: 'found by time', partition: 'p', timestampMs, found })
  }

  marks(highWatermark: number, logStartOffset: number): this {
    return this.note({ type: 'marks', partition: 'p', marks: { highWatermark, logStartOffset } })
  }

  powerLoss(): this {
    return this.note({ type: 'down', how: 'power' }).note({ type: 'up' })
  }
}

interface Batch {
  readonly sent: SentBatch
  readonly bytes: Buffer
}

interface Answer {
  readonly error: KafkaErrorName
  readonly bytesMax: number
  readonly minOne: boolean
}

/** A batch as it lies at an offset. */
function at(base: number, { bytes }: Batch): StoredBatch {
  const stamped = Buffer.from(bytes)
  stamped.writeBigInt64BE(BigInt(base), 0)
  stamped.writeInt32BE(0, 12)
  const [stored] = readBatches(stamped, strict)
  assert.ok(typeof stored === 'object')
  return stored
}

const upTo = (highWatermark: number, logStartOffset = 0): Marks => ({ highWatermark, logStartOffset })
const producer = (sequence: number, epoch = 0): Producer => ({ id: 9, epoch, sequence })

test('a sound history has no anomaly', () => {
  const story = new Story()
  const [a, b, c, d] = [story.batch(2), story.batch(1, producer(0)), story.batch(3, producer(1)), story.batch()]
  story.ok(a, 0).ok(b, 2).unknown(c).refused(d, 'MESSAGE_TOO_LARGE')
  story.read(1, [at(0, a), at(2, b)], upTo(3)).read(3, [], upTo(3))
  story.read(9, [], upTo(3), { error: 'OFFSET_OUT_OF_RANGE' })
  story.powerLoss().marks(6, 0).ok(c, 3)
  story.drained([at(0, a), at(2, b), at(3, c)], upTo(6))
  story.found(virtualEpochMs, { offset: 0, timestampMs: virtualEpochMs }).found(virtualEpochMs + 9, null)
  story.note({ type: 'found latest', partition: 'p', found: { offset: 5, timestampMs: virtualEpochMs + 2 } })
  story.note({ type: 'trim', partition: 'p', before: 2 })
  story.note({ type: 'trimmed', partition: 'p', before: 2, logStartOffset: 2 })
  story.drained([at(2, b), at(3, c)], upTo(6, 2))
  assert.deepEqual(check(story.events), [])
})

test('a relaxed topic may lose its newest records with the power, and only then', () => {
  const lose = (rules: Partial<PartitionRules>, how: 'power' | 'kill') => {
    const story = new Story(rules)
    const [a, b, c] = [story.batch(), story.batch(), story.batch()]
    story
      .ok(a, 0)
      .ok(b, 1)
      .read(0, [at(0, a), at(1, b)], upTo(2))
    story
      .note({ type: 'down', how })
      .note({ type: 'up' })
      .marks(1, 0)
      .ok(c, 1)
      .drained([at(0, a), at(1, c)], upTo(2))
    return check(story.events).map(anomaly => anomaly.kind)
  }
  assert.deepEqual(lose({ relaxed: true }, 'power'), [])
  assert.notDeepEqual(lose({ relaxed: true }, 'kill'), [])
  assert.notDeepEqual(lose({}, 'power'), [])
})

test('damage that is reported is no loss, damage that is not is one', () => {
  const story = new Story()
  const [a, b] = [story.batch(2), story.batch()]
  story.ok(a, 0).ok(b, 2).note({ type: 'rot' })
  story.read(0, [], upTo(3), { error: 'CORRUPT_MESSAGE' }).drained([at(2, b)], upTo(3), [[0, 2]])
  assert.deepEqual(check(story.events), [])
})

/** One history for each kind; some kinds show in more than one way. */
const planted: readonly (readonly [AnomalyKind, string, (story: Story) => void, Partial<PartitionRules>?])[] = [
  [
    'ack after failed sync',
    'an acknowledgement follows a failed sync',
    story => story.note({ type: 'sync failed' }).ok(story.batch(), 0),
  ],
  [
    'acknowledged but not readable',
    'the watermark stays below what was acknowledged',
    story => story.ok(story.batch(2), 0).read(0, [], upTo(0)),
  ],
  [
    'duplicate',
    'a retry is acknowledged at another offset',
    story => {
      const a = story.batch(1, producer(0))
      story.ok(a, 0).ok(a, 1)
    },
  ],
  [
    'duplicate',
    'an idempotent batch lies there twice, acknowledged once',
    story => {
      const a = story.batch(1, producer(0))
      story
        .unknown(a)
        .ok(a, 1)
        .drained([at(0, a), at(1, a)], upTo(2))
    },
  ],
  [
    'duplicate',
    'a plain batch lies there more often than it was sent',
    story => {
      const a = story.batch()
      story.ok(a, 0).drained([at(0, a), at(1, a)], upTo(2))
    },
  ],
  [
    'early deletion',
    'records go that were neither old nor too many',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story.ok(a, 0).ok(b, 1).marks(2, 1)
    },
    { retentionMs: 1000, retentionBytes: 10_000 },
  ],
  [
    'false corruption',
    'damage is reported where there is none',
    story => story.ok(story.batch(), 0).read(0, [], upTo(1), { error: 'CORRUPT_MESSAGE' }),
  ],
  ['garbled read', 'bytes that are no batches', story => story.ok(story.batch(), 0).read(0, 'wrong checksum', upTo(1))],
  [
    'hole',
    'a read leaves out a batch',
    story => {
      const [a, b, c] = [story.batch(), story.batch(), story.batch()]
      story
        .ok(a, 0)
        .unknown(b)
        .ok(c, 2)
        .read(0, [at(0, a), at(2, c)], upTo(3))
    },
  ],
  [
    'hole',
    'nothing lies at the end of what the watermark promises',
    story => {
      const a = story.batch()
      story.ok(a, 0).drained([at(0, a)], upTo(2))
    },
  ],
  [
    'inconsistent offsets',
    'a read at the same offset gives another batch',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .unknown(b)
        .powerLoss()
        .read(0, [at(0, b)], upTo(1))
    },
  ],
  [
    'invented',
    'a batch that nobody sent',
    story => {
      const stranger = story.batch()
      story.ok(story.batch(), 0).read(1, [at(1, stranger)], upTo(2))
    },
  ],
  [
    'invented',
    'a batch of another partition',
    story => {
      const { sent, bytes } = story.batch()
      const elsewhere = { sent: { ...sent, partition: 'q' }, bytes }
      story.ok(elsewhere, 0).read(0, [at(0, elsewhere)], upTo(1))
    },
  ],
  [
    'lost write',
    'an acknowledged batch is gone after a power loss',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .unknown(b)
        .powerLoss()
        .drained([at(0, b)], upTo(1))
    },
  ],
  [
    'lost write',
    'an acknowledged batch lies in damage that nobody reported',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .note({ type: 'rot' })
        .drained([at(1, b)], upTo(2), [[5, 6]])
    },
  ],
  ['offset regress', 'the high watermark goes back', story => story.marks(2, 0).powerLoss().marks(1, 0)],
  [
    'offset regress',
    'the log start goes back',
    story => story.note({ type: 'trim', partition: 'p', before: 1 }).marks(2, 1).powerLoss().marks(2, 0),
  ],
  [
    'out of order',
    'a producer’s batches are swapped',
    story => {
      const [a, b] = [story.batch(1, producer(0)), story.batch(1, producer(1))]
      const c = story.batch(1, producer(2))
      story
        .unknown(a)
        .unknown(b)
        .unknown(c)
        .drained([at(0, a), at(1, c)], upTo(2))
    },
  ],
  [
    'read above the high watermark',
    'a read shows what is not committed',
    story => {
      const a = story.batch(2)
      story.unknown(a).read(0, [at(0, a)], upTo(1))
    },
  ],
  [
    'refused write is visible',
    'a batch that was refused for sure is there',
    story => {
      const a = story.batch()
      story.refused(a, 'MESSAGE_TOO_LARGE').drained([at(0, a)], upTo(1))
    },
  ],
  [
    'unjustified error',
    'an offset inside the log is out of range',
    story => story.ok(story.batch(), 0).read(0, [], upTo(1), { error: 'OFFSET_OUT_OF_RANGE' }),
  ],
  [
    'unjustified error',
    'a topic that nobody deleted is unknown',
    story => story.refused(story.batch(), 'UNKNOWN_TOPIC_OR_PARTITION'),
  ],
  [
    'unjustified refusal',
    'the producer window is lost',
    story => {
      story.ok(story.batch(1, producer(0)), 0)
      story.refused(story.batch(1, producer(1)), 'OUT_OF_ORDER_SEQUENCE_NUMBER', true)
    },
  ],
  [
    'wrong answer by time',
    'a search skips a record',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .drained([at(0, a), at(1, b)], upTo(2))
      story.found(virtualEpochMs, { offset: 1, timestampMs: virtualEpochMs })
    },
  ],
  [
    'wrong answer by time',
    'the record with the largest timestamp is another',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .drained([at(0, a), at(1, b)], upTo(2))
      story.note({ type: 'found latest', partition: 'p', found: { offset: 1, timestampMs: virtualEpochMs } })
    },
  ],
  [
    'wrong range',
    'a read gives nothing though there is something',
    story => story.ok(story.batch(), 0).read(0, [], upTo(1)),
  ],
  [
    'wrong range',
    'a read begins with another batch than the one asked for',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .read(1, [at(0, a), at(1, b)], upTo(2))
    },
  ],
  [
    'wrong range',
    'a read gives more bytes than it may',
    story => {
      const [a, b] = [story.batch(), story.batch()]
      story
        .ok(a, 0)
        .ok(b, 1)
        .read(0, [at(0, a), at(1, b)], upTo(2), { bytesMax: 100 })
    },
  ],
  [
    'zombie write',
    'an old epoch writes behind a newer one',
    story => {
      const [a, b, c] = [story.batch(1, producer(0)), story.batch(1, producer(0, 1)), story.batch(1, producer(1))]
      story
        .ok(a, 0)
        .ok(b, 1)
        .ok(c, 2)
        .drained([at(0, a), at(1, b), at(2, c)], upTo(3))
    },
  ],
]

for (const [kind, what, plant, rules] of planted) {
  test(`caught as "${kind}": ${what}`, () => {
    const story = new Story(rules)
    plant(story)
    const kinds = check(story.events).map(anomaly => anomaly.kind)
    assert.ok(kinds.includes(kind), `found ${kinds.join(', ') || 'nothing'}`)
  })
}

test('every kind of anomaly is planted somewhere', () => {
  const kinds = new Set(planted.map(([kind]) => kind))
  assert.deepEqual(
    anomalyKinds.filter(kind => !kinds.has(kind)),
    [],
  )
})

test('where the topic names a codec, a batch of another is known again by its records, and told when it was stored as it came', () => {
  const gzipped = { id: 4, timestampsMs: [7, 9], fillBytes: 50, codec: 'gzip', producer: null } as const
  const [sent, other] = [makeBatch(gzipped), makeBatch({ ...gzipped, id: 5 })]
  const rules = { ...strict, codec: 'zstd' } as const
  assert.match(String(readBatches(sent, rules)), /codec 1, and not zstd/)
  const stored = makeBatch({ ...gzipped, codec: 'zstd' })
  const [found] = readBatches(stored, rules)
  assert.ok(typeof found === 'object')
  assert.equal(found.fingerprint, fingerprint(sent, rules))
  assert.notEqual(found.fingerprint, fingerprint(other, rules))
  assert.notEqual(fingerprint(stored, strict), fingerprint(sent, strict))
})

test('batches are read as they were made, and no bit can change unnoticed', () => {
  const bytes = new Story().batch(3, producer(7)).bytes
  const [stored] = readBatches(bytes, strict)
  assert.ok(typeof stored === 'object')
  assert.equal(stored.end - stored.base, 3)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    const found = readBatches(changed, strict)
    const inStamp = bit >> 3 < 8 || (bit >> 3 >= 12 && bit >> 3 < 16)
    const unnoticed: boolean = typeof found !== 'string' && found[0]?.fingerprint === stored.fingerprint
    assert.equal(unnoticed, inStamp, `bit ${bit}`)
  }
})
