/**
 * CRC-32C (Castagnoli). The native routine is fast on large input; below about 300 bytes the call costs more than the sum,
 * so that short input is summed here, sixteen bytes a step.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

const polynomial = 0x82f63b78
const slices = 16
const shortInputBytesMax = 300

const tables = buildTables()

function buildTables(): Uint32Array[] {
  const first = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    first[byte] = crc >>> 0
  }
  const all = [first]
  for (let slice = 1; slice < slices; slice++) {
    const previous = all[slice - 1] as Uint32Array
    const table = new Uint32Array(256)
    for (let byte = 0; byte < 256; byte++) {
      const crc = previous[byte] as number
      table[byte] = ((crc >>> 8) ^ (first[crc & 0xff] as number)) >>> 0
    }
    all.push(table)
  }
  return all
}

/** The checksum of `bytes`, going on from `previous` (the checksum of what came before; 0 at the start). */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return bytes.length <= shortInputBytesMax ? crc32cShort(bytes, previous) : nativeCrc32c(bytes, previous)
}

/** The portable routine; exported so that a test compares the two. */
export function crc32cShort(bytes: Uint8Array, previous = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = tables as unknown as Tables
  let crc = ~previous
  let at = 0
  const end = bytes.length
  for (; end - at >= slices; at += slices) {
    const b = bytes as unknown as Indexed
    crc ^= b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)
    crc =
      t15[crc & 0xff]! ^
      t14[(crc >>> 8) & 0xff]! ^
      t13[(crc >>> 16) & 0xff]! ^
      t12[crc >>> 24]! ^
      t11[b[at + 4]!]! ^
      t10[b[at + 5]!]! ^
      t9[b[at + 6]!]! ^
      t8[b[at + 7]!]! ^
      t7[b[at + 8]!]! ^
      t6[b[at + 9]!]! ^
      t5[b[at + 10]!]! ^
      t4[b[at + 11]!]! ^
      t3[b[at + 12]!]! ^
      t2[b[at + 13]!]! ^
      t1[b[at + 14]!]! ^
      t0[b[at + 15]!]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!
  return ~crc >>> 0
}

type Indexed = Uint32Array
type Tables = readonly [
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
  Indexed,
]
