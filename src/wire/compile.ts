/**
 * Readers and writers from the tables: for each message and version one function that reads its body and one that writes it,
 * made at first use and kept. Which fields a version has, whether lengths are compact, what null means: all of that is
 * decided here, once, so that what runs per request only reads and writes.
 */
import type { TopicId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Rope } from '../base/rope.ts'
import { ProtocolError } from './protocol-error.ts'
import type { WireReader } from './reader.ts'
import {
  type Body,
  type Draft,
  type Field,
  hasField,
  isFlexible,
  type Message,
  type StructNode,
  type TypeNode,
} from './schema.ts'
import type { WireWriter } from './writer.ts'

type Read<T = unknown> = (from: WireReader) => T
type Write<T = unknown> = (to: WireWriter, value: T) => void

/** The version that is being compiled for. */
interface Target {
  readonly version: number
  readonly flexible: boolean
}

interface Codec {
  readonly read: Read
  readonly write: Write
}

const codecs = new WeakMap<Message, Codec[]>()

/** Reads a body; throws `ProtocolError` for whatever is wrong with the bytes. */
export function readBody<M extends Message>(message: M, version: number, from: WireReader): Body<M> {
  return codecOf(message, version).read(from) as Body<M>
}

/** Writes a body. Fields that the version does not have are left out, unless that would change what is meant. */
export function writeBody<M extends Message>(message: M, version: number, to: WireWriter, body: Draft<M>): void {
  codecOf(message, version).write(to, body)
}

export function supportsVersion(message: Message, version: number): boolean {
  return version >= message.versions[0] && version <= message.versions[1]
}

function codecOf(message: Message, version: number): Codec {
  let versions = codecs.get(message)
  if (versions === undefined) {
    versions = []
    codecs.set(message, versions)
  }
  let codec = versions[version]
  if (codec === undefined) {
    codec = compile(message, version)
    versions[version] = codec
  }
  return codec
}

function compile(message: Message, version: number): Codec {
  invariant(supportsVersion(message, version), 'only versions of the table are read and written')
  const target = { version, flexible: isFlexible(message, version) }
  return { read: readerOf(message.body, target), write: writerOf(message.body, target) }
}

// Reading

function readerOf(type: TypeNode, target: Target): Read {
  switch (type.kind) {
    case 'bool':
      return from => from.bool()
    case 'int8':
      return from => from.int8()
    case 'int16':
      return from => from.int16()
    case 'uint16':
      return from => from.uint16()
    case 'int32':
      return from => from.int32()
    case 'uint32':
      return from => from.uint32()
    case 'int64':
      return from => from.int64()
    case 'int64Saturating':
      return from => from.int64Saturating()
    case 'float64':
      return from => from.float64()
    case 'uuid':
      return from => from.uuid()
    case 'string':
      return sizedReader(type, target, target.flexible ? lengthCompact : length16, (from, length) =>
        from.string(length),
      )
    case 'bytes':
      return sizedReader(type, target, length32Of(target), (from, length) => from.bytes(length))
    case 'records':
      return sizedReader(type, target, length32Of(target), (from, length) => from.rope(length))
    case 'array':
      return arrayReader(type, target)
    case 'struct':
      return target.version < type.nullableSince ? structReader(type, target) : nullableStructReader(type, target)
  }
}

const length16: Read<number> = from => from.length16()
const length32: Read<number> = from => from.length32()
const lengthCompact: Read<number> = from => from.lengthCompact()

function length32Of(target: Target): Read<number> {
  return target.flexible ? lengthCompact : length32
}

/** Reads a length, then that many bytes (or elements): null where the length is -1 and null is allowed. */
function sizedReader(
  type: TypeNode & { readonly nullableSince: number },
  target: Target,
  readLength: Read<number>,
  read: (from: WireReader, length: number) => unknown,
): Read {
  const nullable = target.version >= type.nullableSince
  return from => {
    const length = readLength(from)
    if (length >= 0) return read(from, length)
    if (!nullable) throw new ProtocolError(`null where a value of type ${type.kind} must be`)
    return null
  }
}

function arrayReader(type: TypeNode & { readonly kind: 'array' }, target: Target): Read {
  const readElement = readerOf(type.element, target)
  const elementBytesMin = bytesMin(type.element, target)
  invariant(elementBytesMin > 0, 'an array element takes bytes, or a count alone would allocate')
  return sizedReader(type, target, length32Of(target), (from, count) => {
    from.claimElements(count, elementBytesMin)
    const elements: unknown[] = []
    for (let i = 0; i < count; i++) elements.push(readElement(from))
    return elements
  })
}

/**
 * One object literal per struct, with the fields in the order of the table and all of them in every version, so that all
 * structs of a table have one shape.
 */
function structReader(struct: StructNode, target: Target): Read {
  const readTagged = target.flexible ? taggedReader(struct, target) : null
  const members = struct.fields.map(
    (field, i) => `${field.name}: ${isInPlace(field, target) ? `f${i}(from)` : `f${i}`}`,
  )
  const values = struct.fields.map(field => (isInPlace(field, target) ? readerOf(field.type, target) : field.default))
  const read = generate<Read<StructValue>>(values, `from => ({ ${members.join(', ')} })`)
  if (readTagged === null) return read
  return from => {
    const value = read(from)
    readTagged(from, value)
    return value
  }
}

/** A struct that may be null has a byte before it: negative for null. */
function nullableStructReader(struct: StructNode, target: Target): Read {
  const read = structReader(struct, target)
  return from => (from.int8() < 0 ? null : read(from))
}

function isInPlace(field: Field, target: Target): boolean {
  return field.tag === null && hasField(field, target.version)
}

/**
 * A function from its text, in which `f0`, `f1` … stand for `values`. Reading a struct with a loop over its fields takes three
 * and a half times as long (`bench/codec.ts`: Fetch with 100 partitions, 17 µs against 5). The text is made of field names
 * from our own tables and nothing else.
 */
function generate<F>(values: readonly unknown[], text: string): F {
  return new Function(...values.map((_, i) => `f${i}`), `'use strict'; return ${text}`)(...values) as F
}

function taggedReader(struct: StructNode, target: Target): (from: WireReader, value: StructValue) => void {
  const byTag = new Map<number, { readonly name: string; readonly read: Read }>()
  for (const field of taggedFields(struct, target)) {
    byTag.set(field.tag, { name: field.name, read: readerOf(field.type, target) })
  }
  return (from, value) =>
    from.taggedFields(tag => {
      const field = byTag.get(tag)
      if (field === undefined) return false
      ;(value as Record<string, unknown>)[field.name] = field.read(from)
      return true
    })
}

/** The fewest bytes that a value takes. */
function bytesMin(type: TypeNode, target: Target): number {
  switch (type.kind) {
    case 'bool':
    case 'int8':
      return 1
    case 'int16':
    case 'uint16':
      return 2
    case 'int32':
    case 'uint32':
      return 4
    case 'int64':
    case 'int64Saturating':
    case 'float64':
      return 8
    case 'uuid':
      return 16
    case 'string':
      return target.flexible ? 1 : 2
    case 'bytes':
    case 'records':
    case 'array':
      return target.flexible ? 1 : 4
    case 'struct':
      if (target.version >= type.nullableSince) return 1
      return type.fields
        .filter(field => field.tag === null && hasField(field, target.version))
        .reduce((sum, field) => sum + bytesMin(field.type, target), target.flexible ? 1 : 0)
  }
}

// Writing

function writerOf(type: TypeNode, target: Target): Write {
  return writers(type, target) as Write
}

function writers(type: TypeNode, target: Target) {
  const compact = target.flexible
  switch (type.kind) {
    case 'bool':
      return (to: WireWriter, value: boolean) => to.bool(value)
    case 'int8':
      return (to: WireWriter, value: number) => to.int8(value)
    case 'int16':
      return (to: WireWriter, value: number) => to.int16(value)
    case 'uint16':
      return (to: WireWriter, value: number) => to.uint16(value)
    case 'int32':
      return (to: WireWriter, value: number) => to.int32(value)
    case 'uint32':
      return (to: WireWriter, value: number) => to.uint32(value)
    case 'int64':
      return (to: WireWriter, value: number) => to.int64(value)
    case 'int64Saturating':
      return (to: WireWriter, value: number) => to.int64Saturating(value)
    case 'float64':
      return (to: WireWriter, value: number) => to.float64(value)
    case 'uuid':
      return (to: WireWriter, value: TopicId) => to.uuid(value)
    case 'string':
      return nullChecked(type, target, (to: WireWriter, value: string | null) => to.string(value, compact))
    case 'bytes':
      return nullChecked(type, target, (to: WireWriter, value: Buffer | null) => {
        to.length32(value === null ? -1 : value.length, compact)
        if (value !== null) to.bytes(value)
      })
    case 'records':
      return nullChecked(type, target, (to: WireWriter, value: Rope | null) => {
        to.length32(value === null ? -1 : value.length, compact)
        if (value !== null) to.rope(value)
      })
    case 'array':
      return nullChecked(type, target, arrayWriter(writerOf(type.element, target), compact))
    case 'struct':
      return target.version < type.nullableSince ? structWriter(type, target) : nullableStructWriter(type, target)
  }
}

function nullChecked<T>(
  type: TypeNode & { readonly nullableSince: number },
  target: Target,
  write: Write<T | null>,
): Write<T | null> {
  if (target.version >= type.nullableSince) return write
  return (to, value) => {
    invariant(value !== null, 'null is written only where the version allows it')
    write(to, value)
  }
}

function arrayWriter(writeElement: Write, compact: boolean): Write<readonly unknown[] | null> {
  return (to, elements) => {
    to.length32(elements === null ? -1 : elements.length, compact)
    if (elements === null) return
    for (const element of elements) writeElement(to, element)
  }
}

type StructValue = { readonly [name: string]: unknown }

function structWriter(struct: StructNode, target: Target): Write<StructValue> {
  const present = struct.fields.filter(field => isInPlace(field, target))
  const steps = present.map((field, i) => `f${i}(to, value.${field.name})`)
  const write = generate<Write<StructValue>>(
    present.map(field => fieldWriter(field, target)),
    `(to, value) => { ${steps.join('; ')} }`,
  )
  const lost = struct.fields.filter(field => field.essential && !hasField(field, target.version))
  const writeTagged = target.flexible ? taggedWriter(struct, target) : null
  return (to, value) => {
    for (const field of lost) {
      invariant(isDefault(field, value[field.name]), 'a field that matters is written only into versions that have it')
    }
    write(to, value)
    if (writeTagged !== null) writeTagged(to, value)
  }
}

function nullableStructWriter(struct: StructNode, target: Target): Write<StructValue | null> {
  const write = structWriter(struct, target)
  return (to, value) => {
    to.int8(value === null ? -1 : 1)
    if (value !== null) write(to, value)
  }
}

function fieldWriter(field: Field, target: Target): Write {
  const write = writerOf(field.type, target)
  return (to, value) => write(to, value === undefined ? field.default : value)
}

function taggedWriter(struct: StructNode, target: Target): Write<StructValue> {
  const fields = taggedFields(struct, target).map(field => ({ field, write: writerOf(field.type, target) }))
  const absent = fields.map(({ field }) => `value.${field.name} === undefined`)
  // Nearly always true, and then nothing more is to be asked.
  const leftOut = generate<(value: StructValue) => boolean>([], `value => ${absent.join(' && ') || 'true'}`)
  return (to, value) => {
    const given = leftOut(value) ? [] : fields.filter(({ field }) => !isDefault(field, value[field.name]))
    to.uvarint(given.length)
    for (const { field, write } of given) {
      to.uvarint(field.tag)
      to.sized(() => write(to, value[field.name]))
    }
  }
}

type TaggedField = Field & { readonly tag: number }

/** The tagged fields of a version, in the order of their tags, as they must be written. */
function taggedFields(struct: StructNode, target: Target): TaggedField[] {
  return struct.fields
    .filter((field): field is TaggedField => field.tag !== null && hasField(field, target.version))
    .sort((a, b) => a.tag - b.tag)
}

function isDefault(field: Field, value: unknown): boolean {
  return value === undefined || sameAsDefault(field.type, value, field.default)
}

function sameAsDefault(type: TypeNode, value: unknown, fallback: unknown): boolean {
  if (value === fallback) return true
  if (value === null || fallback === null) return false
  switch (type.kind) {
    case 'array':
      return (value as readonly unknown[]).length === 0
    case 'bytes':
    case 'records':
      return (value as { readonly length: number }).length === 0
    case 'struct':
      return type.fields.every(field => isDefault(field, (value as StructValue)[field.name]))
    default:
      return false
  }
}
