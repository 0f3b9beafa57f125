/** Which partitions a member of a group has, as the consumers' own protocol says it; to brokers it is opaque. */

/** Null where it is not of that protocol. */
export type Assignment = readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null

/** The consumers' protocol: int16 version, then topics, each with its partitions. Null for what it is not. */
export function decodeAssignment(bytes: Buffer): Assignment {
  if (bytes.length === 0) return []
  try {
    let at = 2
    const int32 = () => {
      at += 4
      return bytes.readInt32BE(at - 4)
    }
    const text = () => {
      const length = bytes.readInt16BE(at)
      at += 2 + length
      return bytes.toString('utf8', at - length, at)
    }
    const array = <T>(read: () => T) => {
      const found: T[] = []
      for (let left = int32(); left > 0; left--) found.push(read())
      return found
    }
    return array(() => ({ topic: text(), partitions: array(int32) }))
  } catch {
    return null
  }
}
