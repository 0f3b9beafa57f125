/** What a table means: versions, defaults, null, tags, and the types that follow from it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InvariantViolation } from '../base/invariant.ts'
import { flattenRope, ropeOf } from '../base/rope.ts'
import { readBody, supportsVersion, writeBody } from './compile.ts'
import { ProtocolError } from './protocol-error.ts'
import { WireReader } from './reader.ts'
import {
  array,
  type Body,
  between,
  bool,
  bytes,
  type Draft,
  essential,
  float64,
  int8,
  int16,
  int32,
  type Message,
  message,
  nullableArray,
  nullableBytes,
  nullableSince,
  nullableString,
  since,
  string,
  struct,
  tagged,
  uint16,
  uint32,
  until,
  versionsOf,
  withDefault,
} from './schema.ts'
import { WireWriter } from './writer.ts'

const example = message({
  name: 'Example',
  apiKey: 0,
  versions: [0, 4],
  flexibleSince: 3,
  body: {
    id: int8,
    old: until(1, int16, 7),
    middle: between(1, 2, bool, true),
    name: nullableSince(2, string),
    items: since(1, array(struct({ a: int8, b: since(2, int8, 9) })), []),
    critical: essential(since(2, int32, -1)),
    note: tagged(1, 3, nullableString, null),
    place: essential(tagged(0, 4, struct({ x: withDefault(int8, -1), y: withDefault(int8, -1) }))),
  },
})

function encode<M extends Message>(of: M, version: number, body: Draft<M>): string {
  const to = new WireWriter()
  writeBody(of, version, to, body)
  return flattenRope(to.finish()).toString('hex')
}

function decode<M extends Message>(of: M, version: number, hex: string): Body<M> {
  const from = new WireReader(ropeOf(Buffer.from(hex.replaceAll(' ', ''), 'hex')))
  const body = readBody(of, version, from)
  from.finish()
  return body
}

describe('a field', () => {
  test('that a version does not have reads as its default', () => {
    assert.deepEqual(decode(example, 0, '05 0008 0001 61'), {
      id: 5,
      old: 8,
      middle: true,
      name: 'a',
      items: [],
      critical: -1,
      note: null,
      place: { x: -1, y: -1 },
    })
  })

  test('that was left out is written as its default', () => {
    assert.equal(encode(example, 1, { id: 5, name: '' }), '05 0007 01 0000 00000000'.replaceAll(' ', ''))
  })

  test('that a version does not have is left out, when it may be', () => {
    const draft = { id: 5, name: '', old: 99, items: [{ a: 1, b: 2 }], note: 'dropped' }
    assert.equal(encode(example, 0, draft), '0500630000')
    assert.equal(encode(example, 1, draft), '05 0063 01 0000 00000001 01'.replaceAll(' ', ''))
  })

  test('that matters is not left out in silence', () => {
    assert.throws(() => encode(example, 1, { id: 5, name: '', critical: 3 }), InvariantViolation)
    assert.throws(() => encode(example, 3, { id: 5, name: '', place: { x: 1 } }), InvariantViolation)
    assert.ok(encode(example, 1, { id: 5, name: '', critical: -1 }))
    assert.ok(encode(example, 3, { id: 5, name: '', place: { x: -1, y: -1 } }))
  })

  test('has the same shape in every version, so that reading stays fast', () => {
    const names = ['05 0000 0000', '05 0000 00 0000 00000000'].map((hex, version) =>
      Object.keys(decode(example, version, hex)),
    )
    assert.deepEqual(names[0], names[1])
  })
})

describe('null', () => {
  test('is taken where the version allows it', () => {
    assert.equal(decode(example, 2, '05 00 ffff 00000000 00000001').name, null)
    assert.equal(encode(example, 2, { id: 5, name: null }), '05 01 ffff 00000000 ffffffff'.replaceAll(' ', ''))
  })

  test('has a byte of its own before a struct', () => {
    const versions = [0, 1] as const
    const place = nullableSince(1, struct({ x: int8 }))
    const optional = message({ name: 'Optional', apiKey: 0, versions, flexibleSince: 1, body: { place, last: int8 } })
    assert.equal(encode(optional, 1, { place: { x: 7 }, last: 2 }), '0107000200')
    assert.equal(encode(optional, 1, { place: null, last: 2 }), 'ff0200')
    assert.deepEqual(decode(optional, 1, '0107000200'), { place: { x: 7 }, last: 2 })
    assert.deepEqual(decode(optional, 1, 'ff0200'), { place: null, last: 2 })
    assert.equal(encode(optional, 0, { place: { x: 7 }, last: 2 }), '0702')
  })

  test('is refused before, on both sides', () => {
    assert.throws(() => decode(example, 1, '05 0000 00 ffff 00000000'), ProtocolError)
    assert.throws(() => encode(example, 1, { id: 5, name: null }), InvariantViolation)
  })
})

describe('tagged fields', () => {
  const plain = '05 02 61 01 00000001'

  test('are written only when they differ from their defaults, in the order of their tags', () => {
    const draft = { id: 5, name: 'a', critical: 1 }
    const hex = (text: string) => text.replaceAll(' ', '')
    assert.equal(encode(example, 4, draft), hex(`${plain} 00`))
    assert.equal(encode(example, 4, { ...draft, note: null, place: {} }), hex(`${plain} 00`))
    assert.equal(
      encode(example, 4, { ...draft, note: 'n', place: { y: 3 } }),
      hex(`${plain} 02 00 03 ff 03 00 01 02 02 6e`),
    )
    assert.equal(encode(example, 3, { ...draft, note: 'n' }), hex(`${plain} 01 01 02 02 6e`))
  })

  test('are read in any order, unknown ones skipped, one of a later version among them', () => {
    const body = decode(example, 4, `${plain} 03 01 02 02 6e 63 01 ff 00 03 07 08 00`)
    assert.deepEqual([body.note, body.place], ['n', { x: 7, y: 8 }])
    assert.deepEqual(decode(example, 3, `${plain} 01 00 03 07 08 00`).place, { x: -1, y: -1 })
  })
})

test('types that no message of this version of tidelog uses work all the same', () => {
  const rare = message({
    name: 'Rare',
    apiKey: 0,
    versions: [0, 1],
    flexibleSince: 1,
    body: { a: uint16, b: uint32, c: float64, d: bytes, e: nullableBytes, f: nullableArray(int8) },
  })
  const body = { a: 65535, b: 0xffff_ffff, c: -1.5, d: Buffer.from('d'), e: null, f: null }
  for (const version of versionsOf(rare)) {
    assert.deepEqual(decode(rare, version, encode(rare, version, body)), body)
    assert.throws(() => decode(rare, version, encode(rare, version, body).slice(0, -2)), ProtocolError)
  }
})

test('defaults are shared between bodies, and cannot be changed', () => {
  const { items, place } = decode(example, 0, '05 0000 0000')
  assert.ok(Object.isFrozen(items))
  assert.ok(Object.isFrozen(place))
})

test('a version outside the table, and elements without bytes, are faults of the program', () => {
  assert.equal(supportsVersion(example, 4), true)
  for (const version of [-1, 5]) assert.throws(() => decode(example, version, ''), InvariantViolation)
  const hollow = message({
    name: 'Hollow',
    apiKey: 0,
    versions: [0, 0],
    flexibleSince: 1,
    body: { a: array(struct({})) },
  })
  assert.throws(() => decode(hollow, 0, '7fffffff'), InvariantViolation)
  assert.throws(() => struct({ 'not an identifier': int8 }), InvariantViolation)
})

// Held by the compiler: what a table says is what its types say.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const bodyType: Same<
  Body<typeof example>,
  {
    readonly id: number
    readonly old: number
    readonly middle: boolean
    readonly name: string | null
    readonly items: readonly { readonly a: number; readonly b: number }[]
    readonly critical: number
    readonly note: string | null
    readonly place: { readonly x: number; readonly y: number }
  }
> = true
const draftNeedsOnly: Draft<typeof example> = { id: 1, name: null }
// @ts-expect-error a field without a default cannot be left out
const draftLacksName: Draft<typeof example> = { id: 1 }
// @ts-expect-error null where the table never allows it
const draftNull: Draft<typeof example> = { id: null, name: '' }

test('types follow from the table (checked by the compiler)', () => {
  assert.ok(bodyType && draftNeedsOnly && draftLacksName && draftNull)
})
