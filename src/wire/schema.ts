/**
 * Kafka's messages as data. A message is a table of fields with version ranges; the TypeScript type of its body follows from
 * the table, and so do the reader and the writer (`compile.ts`). The tables (`messages/*.ts`) are the only place that knows
 * what is in which version.
 *
 *     body: {
 *       throttleTimeMs: since(1, int32, 0),              // there from version 1 on; reads as 0 before
 *       topics: nullableSince(1, array(struct({ … }))),  // null is allowed from version 1 on
 *       key: until(3, string),                           // there up to version 3
 *       clusterId: tagged(0, 12, nullableString, null),  // a tagged field with tag 0, from version 12 on
 *     }
 *
 * Field names are Kafka's own, so that its documentation is ours. Two types follow from a table: `Body` is what a reader
 * returns (every field is there, an absent one with its default), `Draft` is what a writer takes (a field that states its
 * default may be left out).
 */
import type { TopicId } from '../base/ids.ts'
import { noTopicId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Rope } from '../base/rope.ts'

declare const readAs: unique symbol
declare const writtenAs: unique symbol
declare const omissible: unique symbol

/** Types that a table's node stands for; nothing of it exists at run time. */
interface Carries<Read, Written> {
  readonly [readAs]?: Read
  readonly [writtenAs]?: Written
}

export type ScalarKind =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'int64Saturating'
  | 'float64'
  | 'uuid'

/** What the compiler sees of a type. `nullableSince` is Infinity where null is never allowed. */
export type TypeNode =
  | { readonly kind: ScalarKind }
  | { readonly kind: 'string' | 'bytes' | 'records'; readonly nullableSince: number }
  | { readonly kind: 'array'; readonly element: TypeNode; readonly nullableSince: number }
  | StructNode

export interface StructNode {
  readonly kind: 'struct'
  readonly fields: readonly Field[]
  readonly nullableSince: number
}

/** One row of a table, as the compiler sees it. */
export interface Field {
  readonly name: string
  readonly type: TypeNode
  /** First and last version that has the field. */
  readonly from: number
  readonly to: number
  /** What it reads as in a version without it, and what is written for a value that was left out. */
  readonly default: unknown
  /** Null for a field in its fixed place. */
  readonly tag: number | null
  readonly essential: boolean
}

export type Type<Read, Written = Read> = TypeNode & Carries<Read, Written>

/** A type with a place in a version range. */
export interface FieldSpec<Read, Written, Omissible extends boolean> extends Carries<Read, Written> {
  readonly kind: 'field'
  readonly row: Omit<Field, 'name'>
  readonly [omissible]?: Omissible
}

type Entry = (TypeNode & Carries<unknown, unknown>) | FieldSpec<unknown, unknown, boolean>
export type Table = { readonly [name: string]: Entry }

type ReadOf<E> = E extends { readonly [readAs]?: infer Read } ? Read : never
type WrittenOf<E> = E extends { readonly [writtenAs]?: infer Written } ? Written : never
type OmissibleKeys<T extends Table> = {
  [K in keyof T]: T[K] extends FieldSpec<unknown, unknown, true> ? K : never
}[keyof T]
type Flat<T> = { [K in keyof T]: T[K] }

type TableRead<T extends Table> = Flat<{ readonly [K in keyof T]: ReadOf<T[K]> }>
type TableWritten<T extends Table> = Flat<
  { readonly [K in Exclude<keyof T, OmissibleKeys<T>>]: WrittenOf<T[K]> } & {
    readonly [K in OmissibleKeys<T>]?: WrittenOf<T[K]> | undefined
  }
>

export interface Message<Read = unknown, Written = unknown> extends Carries<Read, Written> {
  readonly name: string
  readonly apiKey: number
  /** Lowest and highest version that can be read and written. */
  readonly versions: readonly [number, number]
  /** The first version with compact lengths and tagged fields; Infinity when there is none. */
  readonly flexibleSince: number
  readonly body: StructNode
}

/** What a reader of the message returns. */
export type Body<M> = M extends Message<infer Read, infer _> ? Read : never
/** What a writer of the message takes. */
export type Draft<M> = M extends Message<infer _, infer Written> ? Written : never

export const bool: Type<boolean> = { kind: 'bool' }
export const int8: Type<number> = { kind: 'int8' }
export const int16: Type<number> = { kind: 'int16' }
export const uint16: Type<number> = { kind: 'uint16' }
export const int32: Type<number> = { kind: 'int32' }
export const uint32: Type<number> = { kind: 'uint32' }
/** A number; what no number holds exactly is a protocol error. */
export const int64: Type<number> = { kind: 'int64' }
/**
 * A number; what no number holds exactly reads as the nearest that does. For fields where clients send the ends of the int64
 * range to say "none" or "everything". The two ends of the safe range are written as the ends of the int64 range.
 */
export const int64Saturating: Type<number> = { kind: 'int64Saturating' }
export const float64: Type<number> = { kind: 'float64' }
/** 16 raw bytes on the wire, 32 lower-case hex digits here. */
export const uuid: Type<TopicId> = { kind: 'uuid' }

const never = Number.POSITIVE_INFINITY
export const string: Type<string> = { kind: 'string', nullableSince: never }
export const nullableString: Type<string | null> = { kind: 'string', nullableSince: 0 }
/** A view of the frame where it lies in one chunk; copy what outlives the request. */
export const bytes: Type<Buffer> = { kind: 'bytes', nullableSince: never }
export const nullableBytes: Type<Buffer | null> = { kind: 'bytes', nullableSince: 0 }
/** Record batches: a view of the frame when read, appended by reference when written. */
export const records: Type<Rope | null> = { kind: 'records', nullableSince: 0 }

export function array<Read, Written>(element: Type<Read, Written>): Type<readonly Read[], readonly Written[]> {
  return { kind: 'array', element, nullableSince: never }
}

export function nullableArray<Read, Written>(
  element: Type<Read, Written>,
): Type<readonly Read[] | null, readonly Written[] | null> {
  return { kind: 'array', element, nullableSince: 0 }
}

export function struct<const T extends Table>(table: T): Type<TableRead<T>, TableWritten<T>> {
  return structNode(table)
}

/** Allows null from a version on; before, null is a protocol error. */
export function nullableSince<Read, Written>(
  version: number,
  type: Type<Read, Written>,
): Type<Read | null, Written | null> {
  invariant('nullableSince' in type, 'strings, bytes, records, arrays and structs can be null')
  return { ...type, nullableSince: version }
}

/** The field is there from a version on. */
export function since<R, W>(from: number, type: Type<R, W>): FieldSpec<R, W, false>
export function since<R, W>(from: number, type: Type<R, W>, fallback: NoInfer<R>): FieldSpec<R, W, true>
export function since(from: number, type: TypeNode, fallback?: unknown): FieldSpec<unknown, unknown, boolean> {
  return spec(type, from, never, fallback)
}

/** The field is there up to and including a version. */
export function until<R, W>(to: number, type: Type<R, W>): FieldSpec<R, W, false>
export function until<R, W>(to: number, type: Type<R, W>, fallback: NoInfer<R>): FieldSpec<R, W, true>
export function until(to: number, type: TypeNode, fallback?: unknown): FieldSpec<unknown, unknown, boolean> {
  return spec(type, 0, to, fallback)
}

/** The field is there between two versions, both included. */
export function between<R, W>(from: number, to: number, type: Type<R, W>): FieldSpec<R, W, false>
export function between<R, W>(from: number, to: number, type: Type<R, W>, fallback: NoInfer<R>): FieldSpec<R, W, true>
export function between(
  from: number,
  to: number,
  type: TypeNode,
  fallback?: unknown,
): FieldSpec<unknown, unknown, boolean> {
  return spec(type, from, to, fallback)
}

/** The field is always there, but may be left out when writing. */
export function withDefault<R, W>(type: Type<R, W>, fallback: NoInfer<R>): FieldSpec<R, W, true> {
  return spec(type, 0, never, fallback)
}

/** A tagged field: written only when it differs from its default. */
export function tagged<R, W>(
  tag: number,
  from: number,
  type: Type<R, W>,
  fallback?: NoInfer<R>,
): FieldSpec<R, W, true> {
  return { kind: 'field', row: { ...spec(type, from, never, fallback).row, tag } }
}

/**
 * A field that must not be dropped in silence: to write anything but its default into a version without it is a fault of the
 * program. (Kafka's schemas say "ignorable: false".) Any other field is left out of versions that do not have it.
 */
export function essential<R, W, O extends boolean>(field: FieldSpec<R, W, O>): FieldSpec<R, W, O> {
  return { kind: 'field', row: { ...field.row, essential: true } }
}

export function message<const T extends Table>(definition: {
  readonly name: string
  readonly apiKey: number
  readonly versions: readonly [number, number]
  readonly flexibleSince: number
  readonly body: T
}): Message<TableRead<T>, TableWritten<T>> {
  return { ...definition, body: structNode(definition.body) }
}

/** The versions of a message, lowest first. */
export function versionsOf(message: Message): number[] {
  const [lowest, highest] = message.versions
  return Array.from({ length: highest - lowest + 1 }, (_, i) => lowest + i)
}

export function isFlexible(message: Message, version: number): boolean {
  return version >= message.flexibleSince
}

export function hasField(field: Field, version: number): boolean {
  return version >= field.from && version <= field.to
}

/** The default of a type whose field states none. Shared between messages, hence frozen. */
export function zeroOf(type: TypeNode): unknown {
  switch (type.kind) {
    case 'bool':
      return false
    case 'uuid':
      return noTopicId
    case 'string':
      return ''
    case 'bytes':
      return noBytes
    case 'records':
      return null
    case 'array':
      return noElements
    case 'struct':
      return Object.freeze(Object.fromEntries(type.fields.map(field => [field.name, field.default])))
    default:
      return 0
  }
}

const noBytes = Buffer.alloc(0)
const noElements: readonly never[] = Object.freeze([])

function structNode(table: Table): StructNode {
  return {
    kind: 'struct',
    nullableSince: never,
    fields: Object.entries(table).map(([name, entry]) => {
      invariant(fieldName.test(name), 'a field name is an identifier, as it becomes part of generated code')
      return { name, ...(entry.kind === 'field' ? entry.row : spec(entry, 0, never, undefined).row) }
    }),
  }
}

const fieldName = /^[a-z][A-Za-z0-9]*$/

function spec<R, W, O extends boolean>(
  type: TypeNode,
  from: number,
  to: number,
  fallback: unknown,
): FieldSpec<R, W, O> {
  const value = fallback === undefined ? zeroOf(type) : fallback
  return {
    kind: 'field',
    row: { type, from, to, default: Array.isArray(value) ? noElements : value, tag: null, essential: false },
  }
}
