/**
 * MurmurHash2 of 32 bits as Kafka's Java client computes it: the hash by which keys are spread over partitions. Everything
 * that picks a partition by a key must agree on it, or records of one key lie in two places.
 */
const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/** The hash as a signed number of 32 bits. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  let hash = seed ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    const word = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16)
    const mixed = Math.imul(word | (byteAt(bytes, at + 3) << 24), multiplier)
    hash = Math.imul(hash, multiplier) ^ Math.imul(mixed ^ (mixed >>> 24), multiplier)
  }
  if (at < length) {
    for (let i = length - 1; i >= at; i--) hash ^= byteAt(bytes, i) << (8 * (i - at))
    hash = Math.imul(hash, multiplier)
  }
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition of a key among `count`: the one that clients of Kafka choose by default. */
export function partitionOfKey(key: Uint8Array, count: number): number {
  return (murmur2(key) & 0x7fff_ffff) % count
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}
