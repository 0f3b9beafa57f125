import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Topic } from '../../broker/storage.ts'
import { topicsWithRoom } from './snapshot.ts'

const topic = (name: string, partitions: number, internal = false) =>
  ({ name, internal, partitions: Array.from({ length: partitions }) }) as unknown as Topic

describe('a snapshot', () => {
  it('has the topics that there is room for, whole ones, those of ours last', () => {
    const topics = [topic('__consumer_offsets', 50, true), topic('a', 1_500), topic('b', 600), topic('c', 480)]
    assert.deepEqual(
      topicsWithRoom(topics).map(({ name }) => name),
      ['a', 'c'],
    )
    assert.deepEqual(
      topicsWithRoom(topics.slice(0, 2)).map(({ name }) => name),
      ['a', '__consumer_offsets'],
    )
  })
})
