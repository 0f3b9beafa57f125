import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collisionKey, isInternalTopic, newTopicNameProblem, topicNameProblem } from './topic-names.ts'

test('Q11 a topic name is 1 to 249 ASCII letters, digits, dots, underscores and hyphens', () => {
  for (const good of ['a', 'A-1_b.c', '...', '0', 'x'.repeat(249)]) assert.equal(topicNameProblem(good), null, good)
  const bad = ['', '.', '..', 'x'.repeat(250), '../x', 'a/b', '%2e', 'a b', 'a\0b', 'ä', 'a\n', '../../etc/passwd']
  for (const name of bad) assert.notEqual(topicNameProblem(name), null, JSON.stringify(name))
})

test('Q11 names that differ only in dots and underscores collide', () => {
  assert.equal(collisionKey('a.b_c'), collisionKey('a_b.c'))
  assert.notEqual(collisionKey('a-b'), collisionKey('a.b'))
})

test("nobody makes a topic with the name of one of Kafka's own", () => {
  assert.match(newTopicNameProblem('__consumer_offsets') ?? '', /reserved/)
  assert.equal(topicNameProblem('__consumer_offsets'), null)
  assert.equal(newTopicNameProblem('__mine'), null)
})

test("Kafka's own topics are known by their names", () => {
  const internal = ['__consumer_offsets', '__transaction_state', '__mine', 'orders'].map(isInternalTopic)
  assert.deepEqual(internal, [true, true, false, false])
})
