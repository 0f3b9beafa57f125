/**
 * Consumers' subscriptions, as far as a broker needs them: the topics. All versions of the consumer protocol begin like
 * version 0 (version, topics, user data), so that much is read and no more. What does not read as that is somebody's own.
 */

/** All topics of these subscriptions; null as soon as one cannot be read. */
export function subscribedTopics(subscriptions: Iterable<Uint8Array>): Set<string> | null {
  const topics = new Set<string>()
  let former: Uint8Array | null = null
  for (const subscription of subscriptions) {
    // Members of a group mostly say the same, ten thousand times.
    if (former !== null && Buffer.compare(former, subscription) === 0) continue
    if (!readTopics(subscription, topics)) return null
    former = subscription
  }
  return topics
}

function readTopics(subscription: Uint8Array, into: Set<string>): boolean {
  const bytes = Buffer.from(subscription.buffer, subscription.byteOffset, subscription.byteLength)
  if (bytes.length < 6 || bytes.readInt16BE(0) < 0) return false
  const count = bytes.readInt32BE(2)
  if (count < 0) return false
  let at = 6
  for (let i = 0; i < count; i++) {
    if (at + 2 > bytes.length) return false
    const length = bytes.readInt16BE(at)
    at += 2
    if (length < 0 || at + length > bytes.length) return false
    into.add(bytes.toString('utf8', at, at + length))
    at += length
  }
  return hasUserData(bytes, at)
}

function hasUserData(bytes: Buffer, at: number): boolean {
  if (at + 4 > bytes.length) return false
  const length = bytes.readInt32BE(at)
  return length <= bytes.length - at - 4
}
