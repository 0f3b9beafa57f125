/** As `checker.test.ts`, for groups: a sound history, and one that differs from it for each kind of anomaly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import { check } from './checker.ts'
import type { CommittedNumber } from './group-history.ts'
import { type GroupAnomalyKind, groupAnomalyKinds } from './group-oracle.ts'
import type { HistoryEvent } from './history.ts'

type Draft = HistoryEvent extends infer E ? (E extends unknown ? Omit<E, 'atMs'> : never) : never

class Story {
  readonly events: HistoryEvent[] = []
  #requests = 0

  note(event: Draft): this {
    this.events.push({ ...event, atMs: this.events.length } as HistoryEvent)
    return this
  }

  /** Commits to partition 0. */
  commit(offset: number, error: KafkaErrorName | null = 'NONE', generation = -1): this {
    const request = ++this.#requests
    this.note({ type: 'committing', request, group: 'g', generation, offsets: [{ partition: 0, offset }] })
    return this.note({ type: 'committed', request, error })
  }

  fetch(offset: number | null, ...more: CommittedNumber[]): this {
    const request = ++this.#requests
    this.note({ type: 'offsets asked', request, group: 'g' })
    const offsets = offset === null ? more : [{ partition: 0, offset }, ...more]
    return this.note({ type: 'offsets', request, offsets })
  }

  remove(error: KafkaErrorName | null = 'NONE'): this {
    const request = ++this.#requests
    this.note({ type: 'offsets going', request, group: 'g', partition: null })
    return this.note({ type: 'offsets gone', request, error })
  }

  assigned(member: string, generation: number): this {
    return this.note({ type: 'assigned', group: 'g', generation, member, partitions: [0] })
  }

  restart(): this {
    return this.note({ type: 'down', how: 'power' }).note({ type: 'up' })
  }
}

const found = new Set<string>()

function assertFinds(kind: GroupAnomalyKind | 'ack after failed sync', story: Story): void {
  found.add(kind)
  assert.deepEqual(
    check(story.events).map(anomaly => anomaly.kind),
    [kind],
  )
}

test('a sound history', () => {
  const story = new Story()
    .fetch(null)
    .commit(1, null)
    .restart()
    .fetch(null)
    .commit(2)
    .fetch(2)
    .commit(3, 'COORDINATOR_NOT_AVAILABLE')
    .fetch(2)
    .commit(4, null)
    .restart()
    .fetch(4)
    .remove()
    .fetch(null)
    .commit(5, 'ILLEGAL_GENERATION')
    .commit(6)
    .remove('NON_EMPTY_GROUP')
    .fetch(6)
    .remove(null)
    .restart()
    .fetch(null)
    .assigned('a', 1)
    .commit(7, 'NONE', 1)
    .assigned('b', 2)
    .commit(8, 'ILLEGAL_GENERATION', 1)
    .assigned('b', 2)
    .fetch(7)
  assert.deepEqual(check(story.events), [])
})

test('lost commit', () => assertFinds('lost commit', new Story().commit(1).restart().fetch(null)))

test('lost commit, that somebody had seen', () => {
  assertFinds('lost commit', new Story().commit(1, null).fetch(1).restart().fetch(null))
})

test('lost commit, though the deletion was refused', () => {
  assertFinds('lost commit', new Story().commit(1).remove('NON_EMPTY_GROUP').fetch(null))
})

test('commit went back', () => assertFinds('commit went back', new Story().commit(1).commit(2).restart().fetch(1)))

test('deleted offset is back', () => {
  assertFinds('deleted offset is back', new Story().commit(1).remove().restart().fetch(1))
})

test('invented commit', () => assertFinds('invented commit', new Story().commit(1).fetch(2)))

test('invented commit, of another partition', () => {
  assertFinds('invented commit', new Story().commit(1).fetch(1, { partition: 1, offset: 1 }))
})

test('refused commit is visible', () => {
  assertFinds('refused commit is visible', new Story().commit(1).commit(2, 'UNKNOWN_MEMBER_ID').fetch(2))
})

test('zombie commit', () => {
  assertFinds('zombie commit', new Story().assigned('a', 1).assigned('b', 2).commit(1, 'NONE', 1))
})

test('assigned twice', () => assertFinds('assigned twice', new Story().assigned('a', 1).assigned('b', 1)))

test('ack after failed sync', () => {
  assertFinds('ack after failed sync', new Story().note({ type: 'sync failed' }).commit(1))
})

test('after reported damage commits may be lost, and none is invented', () => {
  const damaged = new Story().commit(1).commit(2).note({ type: 'rot' }).note({ type: 'damage reported' }).fetch(1)
  assert.deepEqual(check(damaged.fetch(null).events), [])
  assertFinds('invented commit', damaged.fetch(3))
})

test('offsets of a topic that was made again go at the next start at the latest, and later ones stay', () => {
  const replaced = new Story()
    .commit(1)
    .note({ type: 'topic going' })
    .fetch(null)
    .commit(2)
    .note({ type: 'topic is new' })
    .fetch(2)
    .restart()
  assert.deepEqual(check(new Story().commit(1).note({ type: 'topic going' }).restart().fetch(1).events), [])
  assertFinds('deleted offset is back', replaced.fetch(2))
  const later = new Story().commit(1).note({ type: 'topic going' }).note({ type: 'topic is new' }).commit(2)
  assertFinds('lost commit', later.restart().fetch(null))
})

test('every kind of anomaly is planted somewhere', () => {
  assert.deepEqual(
    groupAnomalyKinds.filter(kind => !found.has(kind)),
    [],
  )
})
