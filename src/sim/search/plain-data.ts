/**
 * Plain data as the search needs it: equal values are one object and have one number, at every depth, so that a million states
 * which differ in little cost little; and a copy to step on.
 *
 * Maps and Sets are compared by content and not by the order of insertion. A core whose behaviour depended on that order
 * would be searched in one of the orders only; the cores' rule is to depend on sorted order or on none.
 */

/** Values with their parts, each stored once, and locked: a step that writes to what it shares fails there and then. */
export class SharedValues {
  readonly #ids = new Map<string, number>()
  readonly #values: object[] = []
  /** Objects that were handed out, so that they need not be looked through again when they come back. */
  readonly #handedOut = new WeakMap<object, number>()

  /** A text that two values share exactly when they are equal, short for what is known. */
  textOf(value: unknown): string {
    return textWith(value, object => `#${this.#idOf(object)}`)
  }

  /** The value that stands for all that are equal to this one. */
  shared<T>(value: T): T {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
    return this.#values[this.#idOf(value)] as T
  }

  #idOf(value: object): number {
    const familiar = this.#handedOut.get(value)
    if (familiar !== undefined) return familiar
    const text = structureOf(value, part => this.textOf(part))
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    this.#ids.set(text, this.#values.length)
    const lockedValue = this.#lock(value)
    this.#values.push(lockedValue)
    // A Map or a Set cannot be locked, so one that comes back may have been changed by mistake.
    if (Object.isFrozen(lockedValue)) this.#handedOut.set(lockedValue, this.#values.length - 1)
    return this.#values.length - 1
  }

  /** A new object: what was handed in may be a part of something that its owner still changes. */
  #lock(value: object): object {
    if (Array.isArray(value)) return Object.freeze(value.map(item => this.shared(item)))
    if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, this.shared(item)]))
    if (value instanceof Set) return new Set(value)
    const parts = Object.entries(value).map(([key, item]) => [key, this.shared(item)])
    return Object.freeze(Object.fromEntries(parts))
  }
}

/** The text of a value: equal for equal values, whatever the order of properties, Map entries and Set members. */
export function canonicalText(value: unknown): string {
  return textWith(value, object => structureOf(object, canonicalText))
}

function textWith(value: unknown, textOfObject: (value: object) => string): string {
  switch (typeof value) {
    case 'number':
    case 'boolean':
      return `${value}`
    case 'string':
      return JSON.stringify(value)
    case 'bigint':
      return `${value}n`
    case 'undefined':
      return 'u'
    case 'object':
      if (value === null) return 'null'
      return ArrayBuffer.isView(value) ? hexOf(value) : textOfObject(value)
    default:
      throw new TypeError(`the search takes plain data, not a ${typeof value}`)
  }
}

/** One level of a value, with the texts of its parts. */
function structureOf(value: object, textOf: (part: unknown) => string): string {
  if (Array.isArray(value)) {
    let text = '['
    for (const item of value) text += `${textOf(item)},`
    return `${text}]`
  }
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => `${textOf(key)}:${textOf(item)}`)
    return `M{${entries.sort().join()}}`
  }
  if (value instanceof Set) return `S{${[...value].map(textOf).sort().join()}}`
  let text = '{'
  for (const key of Object.keys(value).sort()) text += `${key}:${textOf((value as Record<string, unknown>)[key])},`
  return `${text}}`
}

const hexOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  `B${Buffer.from(buffer, byteOffset, byteLength).toString('hex')}`

/**
 * A copy that may be changed, but for the properties named in `shared`. Bytes are opaque to the cores and stay shared too;
 * everything else is new.
 */
export function copyOf<T>(value: T, shared: ReadonlySet<string> = new Set()): T {
  return (typeof value === 'object' && value !== null ? copyOfObject(value, shared) : value) as T
}

function copyOfObject(value: object, shared: ReadonlySet<string>): object {
  if (Array.isArray(value)) return value.map(item => copyOf(item, shared))
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, copyOf(item, shared)]))
  if (value instanceof Set) return new Set(value)
  if (ArrayBuffer.isView(value)) return value
  const copy: Record<string, unknown> = { ...value }
  for (const key in copy) {
    const item = copy[key]
    if (typeof item === 'object' && item !== null && !shared.has(key)) copy[key] = copyOfObject(item, shared)
  }
  return copy
}
