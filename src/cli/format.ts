/**
 * How `consume -f` prints a record: kcat's tokens and escapes, compiled once. The pieces are bytes, so that keys and values
 * come out as they were sent, whatever they are.
 */
import { exitCodes } from '../base/errors.ts'
import { CliError } from './failure.ts'

export interface ConsumedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** -1 for none. */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
}

type Piece = (record: ConsumedRecord) => string | Buffer

const empty = Buffer.alloc(0)

/** Each with what it is for the help. */
export const tokens: Readonly<Record<string, readonly [help: string, piece: Piece]>> = {
  t: ['topic', record => record.topic],
  p: ['partition', record => String(record.partition)],
  o: ['offset', record => String(record.offset)],
  k: ['key', record => record.key ?? empty],
  s: ['value', record => record.value ?? empty],
  h: ['headers, as a=1,b=2', record => headersText(record)],
  T: ['timestamp in milliseconds since 1970', record => String(record.timestampMs)],
  K: ['length of the key, -1 for none', record => String(record.key?.length ?? -1)],
  S: ['length of the value, -1 for a tombstone', record => String(record.value?.length ?? -1)],
  '%': ['a percent sign', () => '%'],
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0', e: '\u001b', '\\': '\\' }

export function compileFormat(text: string): (record: ConsumedRecord) => Buffer {
  const pieces: Piece[] = []
  const plain: Buffer[] = []
  const endPlain = () => {
    const done = Buffer.concat(plain.splice(0))
    if (done.length > 0) pieces.push(() => done)
  }
  for (const [match, hex, escaped, token] of text.matchAll(/\\x([0-9a-fA-F]{2})|\\(.)|%(.?)|[^\\%]+|\\/gs)) {
    if (token !== undefined) {
      endPlain()
      pieces.push(pieceOf(token))
    } else if (hex !== undefined) plain.push(Buffer.from(hex, 'hex'))
    else plain.push(Buffer.from(escaped === undefined ? match : (escapes[escaped] ?? match)))
  }
  endPlain()
  return record => Buffer.concat(pieces.map(piece => bytesOf(piece(record))))
}

function bytesOf(piece: string | Buffer): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece) : piece
}

function pieceOf(token: string): Piece {
  const found = Object.hasOwn(tokens, token) ? tokens[token] : undefined
  if (found !== undefined) return found[1]
  const all = Object.keys(tokens).map(name => `%${name}`)
  throw new CliError(exitCodes.usage, `-f: there is no %${token}; there are ${all.join(', ')}`)
}

function headersText({ headers }: ConsumedRecord): string {
  return headers.map(({ key, value }) => `${key}=${value?.toString() ?? 'NULL'}`).join(',')
}

/** The documented shape of a record. Bytes that are no UTF-8 come as Base64, under a name that says so. */
export function recordJson(record: ConsumedRecord) {
  const { topic, partition, offset, timestampMs } = record
  return {
    topic,
    partition,
    offset,
    timestampMs,
    ...named('key', record.key),
    ...named('value', record.value),
    headers: record.headers.map(({ key, value }) => ({ key, ...named('value', value) })),
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function named(name: 'key' | 'value', bytes: Buffer | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null }
  try {
    return { [name]: utf8.decode(bytes) }
  } catch {
    return { [`${name}Base64`]: bytes.toString('base64') }
  }
}
