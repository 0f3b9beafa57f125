/** For tests: values of any message in any version, made from the message's own table. */
import fc from 'fast-check'
import type { TopicId } from '../base/ids.ts'
import { type Rope, ropeFrom } from '../base/rope.ts'
import { type Field, hasField, type Message, type StructNode, type TypeNode } from './schema.ts'

type Struct = { readonly [name: string]: unknown }

/** What a writer of this version takes: fields of other versions and omitted fields with defaults included. */
export function draftsOf(message: Message, version: number): fc.Arbitrary<Struct> {
  return structsOf(message.body, version)
}

/** What must come back when a draft was written and read: omitted and dropped fields as their defaults. */
export function expectedBody(message: Message, version: number, draft: unknown): unknown {
  return expected(message.body, version, draft)
}

/** Bytes cut into chunks at the given places, which are taken modulo what is there. */
export function cutIntoChunks(bytes: Buffer, places: readonly number[]): Rope {
  const cuts = [...new Set(places.map(place => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return ropeFrom([0, ...cuts].map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length)))
}

const safeInt64 = fc.oneof(
  fc.integer({ min: -2, max: 300 }),
  fc.maxSafeInteger(),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0xffff_ffff, 0x1_0000_0000, -0x1_0000_0001),
)
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.stringMatching(/^[a-zA-Z0-9._-]{1,24}$/),
  fc.constantFrom('', '\uFEFFbom', 'é', '\u0000', 'a'.repeat(130)),
)
const buffer = fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes))

function valuesOf(type: TypeNode, version: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean()
    case 'int8':
      return fc.integer({ min: -0x80, max: 0x7f })
    case 'int16':
      return fc.integer({ min: -0x8000, max: 0x7fff })
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff })
    case 'int32':
      return fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
    case 'uint32':
      return fc.integer({ min: 0, max: 0xffff_ffff })
    case 'int64':
    case 'int64Saturating':
      return safeInt64
    case 'float64':
      return fc.double()
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes).toString('hex') as TopicId)
    case 'string':
      return orNull(type, version, text)
    case 'bytes':
      return orNull(type, version, buffer)
    case 'records':
      return orNull(type, version, fc.array(buffer, { maxLength: 3 }).map(ropeFrom))
    case 'array':
      return orNull(type, version, fc.array(valuesOf(type.element, version), { maxLength: 3 }))
    case 'struct':
      return orNull(type, version, structsOf(type, version))
  }
}

function orNull<T>(
  type: { readonly nullableSince: number },
  version: number,
  value: fc.Arbitrary<T>,
): fc.Arbitrary<T | null> {
  return version >= type.nullableSince ? fc.option(value, { freq: 4 }) : value
}

function structsOf(struct: StructNode, version: number): fc.Arbitrary<Struct> {
  const members: Record<string, fc.Arbitrary<unknown>> = {}
  for (const field of struct.fields) members[field.name] = membersOf(field, version)
  return fc.record(members)
}

function membersOf(field: Field, version: number): fc.Arbitrary<unknown> {
  const value = valuesOf(field.type, Math.min(Math.max(version, field.from), field.to))
  const omitted = fc.constantFrom(undefined, field.default)
  if (!hasField(field, version)) return field.essential ? omitted : fc.oneof(omitted, value)
  return fc.oneof({ weight: 1, arbitrary: omitted }, { weight: 4, arbitrary: value })
}

function expected(type: TypeNode, version: number, value: unknown): unknown {
  if (value === null) return null
  if (type.kind === 'array') return (value as unknown[]).map(element => expected(type.element, version, element))
  if (type.kind !== 'struct') return value
  return Object.fromEntries(
    type.fields.map(field => {
      const given = (value as Struct)[field.name]
      const present = hasField(field, version) && given !== undefined
      return [field.name, present ? expected(field.type, version, given) : field.default]
    }),
  )
}
