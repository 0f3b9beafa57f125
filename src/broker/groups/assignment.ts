/** What the leader of a group of consumers gave a member: partitions by topic. Any version begins like version 0. */

export interface AssignedTopic {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** Null for what is not of the consumer protocol. An empty assignment is none. */
export function consumerAssignment(bytes: Buffer): readonly AssignedTopic[] | null {
  if (bytes.length === 0) return []
  try {
    return read(bytes)
  } catch (error) {
    // Past the end: somebody's own format.
    if (error instanceof RangeError) return null
    throw error
  }
}

function read(bytes: Buffer): AssignedTopic[] | null {
  if (bytes.readInt16BE(0) < 0) return null
  let at = 2
  const int32 = () => {
    at += 4
    return bytes.readInt32BE(at - 4)
  }
  /** A count of things that take at least so many bytes each. */
  const count = (bytesMin: number) => {
    const value = int32()
    if (value < 0 || value * bytesMin > bytes.length - at) throw new RangeError('more than there is')
    return value
  }
  return Array.from({ length: count(6) }, () => {
    const length = bytes.readUInt16BE(at)
    at += 2 + length
    if (at > bytes.length) throw new RangeError('more than there is')
    const topic = bytes.toString('utf8', at - length, at)
    return { topic, partitions: Array.from({ length: count(4) }, int32) }
  })
}
