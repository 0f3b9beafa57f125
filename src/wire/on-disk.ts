/** What lies on disk is written from the same kind of tables as what goes over the wire, compact from its first version. */
import { flattenRope, ropeOf } from '../base/rope.ts'
import { readBody, writeBody } from './compile.ts'
import { WireReader } from './reader.ts'
import type { Body, Draft, Message } from './schema.ts'
import { WireWriter } from './writer.ts'

/** What every table of something on disk has in common. */
export const onDisk = { apiKey: -1, flexibleSince: 0 } as const

/** Writes at the newest version that this program knows. */
export function encodeRecord<M extends Message>(table: M, value: Draft<M>): Buffer {
  const writer = new WireWriter()
  writeBody(table, table.versions[1], writer, value)
  return flattenRope(writer.finish())
}

/** Reads what `encodeRecord` wrote; throws `ProtocolError` for anything else. */
export function decodeRecord<M extends Message>(table: M, bytes: Buffer, version = table.versions[1]): Body<M> {
  const reader = new WireReader(ropeOf(bytes), Number.POSITIVE_INFINITY)
  const value = readBody(table, version, reader)
  reader.finish()
  return value
}
