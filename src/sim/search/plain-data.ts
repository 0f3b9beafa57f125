/**
 * Plain data as the search needs it: a text that two values share exactly when they are equal, a copy to step on, and a
 * lock on what is shared.
 *
 * Maps and Sets are compared by content and not by the order of insertion. A core whose behaviour depended on that order
 * would be searched in one of the orders only; the cores' rule is to depend on sorted order or on none.
 */

/** The text of a value: equal for equal values, whatever the order of properties, Map entries and Set members. */
export function canonicalText(value: unknown): string {
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
      return value === null ? 'null' : textOfObject(value)
    default:
      throw new TypeError(`the search takes plain data, not a ${typeof value}`)
  }
}

function textOfObject(value: object): string {
  if (Array.isArray(value)) return textOfArray(value)
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]) => `${canonicalText(key)}:${canonicalText(item)}`)
    return `M{${entries.sort().join()}}`
  }
  if (value instanceof Set) return `S{${[...value].map(canonicalText).sort().join()}}`
  if (ArrayBuffer.isView(value)) {
    return `B${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  }
  return textOfRecord(value as Readonly<Record<string, unknown>>)
}

function textOfArray(items: readonly unknown[]): string {
  let text = '['
  for (const item of items) text += `${canonicalText(item)},`
  return `${text}]`
}

function textOfRecord(record: Readonly<Record<string, unknown>>): string {
  let text = '{'
  for (const key of Object.keys(record).sort()) text += `${key}:${canonicalText(record[key])},`
  return `${text}}`
}

/** A copy that may be changed. Bytes are opaque to the cores and stay shared; everything else is new. */
export function copyOf<T>(value: T): T {
  return (typeof value === 'object' && value !== null ? copyOfObject(value) : value) as T
}

function copyOfObject(value: object): object {
  if (Array.isArray(value)) return value.map(copyOf)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, copyOf(item)]))
  if (value instanceof Set) return new Set(value)
  if (ArrayBuffer.isView(value)) return value
  const copy: Record<string, unknown> = { ...value }
  for (const key in copy) {
    const item = copy[key]
    if (typeof item === 'object' && item !== null) copy[key] = copyOfObject(item)
  }
  return copy
}

/** Locks a value that many states share, so that a step which writes to it fails here and not by a wrong result. */
export function locked<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  if (value instanceof Map || value instanceof Set) {
    for (const item of value.values()) locked(item)
    return value
  }
  for (const item of Object.values(value)) locked(item)
  return Object.freeze(value)
}
