import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalText, copyOf, SharedValues } from './plain-data.ts'

const one = {
  list: [1, 'one', null, undefined, 1n],
  map: new Map([
    [2, { deep: true }],
    [1, { deep: false }],
  ]),
  set: new Set(['b', 'a']),
  bytes: Buffer.from('ab'),
}
const same = {
  bytes: Buffer.from('ab'),
  set: new Set(['a', 'b']),
  map: new Map([
    [1, { deep: false }],
    [2, { deep: true }],
  ]),
  list: [1, 'one', null, undefined, 1n],
}

test('equal values are one object, at every depth', () => {
  const values = new SharedValues()
  const shared = values.shared(one)
  assert.equal(values.shared(same), shared)
  assert.deepEqual(shared, one)
  assert.equal(values.shared({ other: same.list }).other, shared.list)
  assert.notEqual(values.textOf({ ...one, list: [] }), values.textOf(one))
  assert.equal(canonicalText(one), canonicalText(same))
})

test('what looks alike is not the same', () => {
  const alike = ['1', 1, 1n, [1], { 0: 1 }, new Set([1]), new Map([[1, 1]]), Buffer.from([1]), '#1', null, undefined]
  assert.equal(new Set(alike.map(canonicalText)).size, alike.length)
  const values = new SharedValues()
  assert.equal(new Set(alike.map(value => values.textOf(value))).size, alike.length)
})

test('a copy may be changed, what is shared may not, and a function is no data', () => {
  const shared = new SharedValues().shared(one)
  const copy = copyOf(shared)
  assert.deepEqual(copy, one)
  copy.list.push(5)
  copy.map.get(1)!.deep = true
  assert.deepEqual(shared, same)
  assert.throws(() => shared.list.push(5), TypeError)
  assert.throws(() => canonicalText({ run: () => {} }), TypeError)
})

test('texts tell values apart exactly as JSON does', () => {
  const values = new SharedValues()
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const isEqual = canonicalText(a) === canonicalText(b)
      assert.equal(values.textOf(a) === values.textOf(b), isEqual)
      assert.equal(canonicalText(structuredClone(a)), canonicalText(a))
      if (isEqual) assert.deepEqual(a, b)
    }),
  )
})
