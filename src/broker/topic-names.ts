/** What a topic may be called. Kafka's rules: names become file names and metric names. */
export const topicNameLengthMax = 249

/**
 * Names of Kafka's own topics. Their content would be taken for groups' and transactions' state by tools, so that nobody
 * makes them by hand.
 */
const reservedNames: ReadonlySet<string> = new Set([
  '__cluster_metadata',
  '__consumer_offsets',
  '__share_group_state',
  '__transaction_state',
])

/** Those of them that are made by brokers as topics of their own: clients read them, and neither write nor delete them. */
const internalNames: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state'])

export function isInternalTopic(name: string): boolean {
  return internalNames.has(name)
}

/** What is wrong with a topic's name, as a sentence; null when nothing is. */
export function topicNameProblem(name: string): string | null {
  if (name === '') return 'A topic name must not be empty.'
  if (name === '.' || name === '..') return "A topic cannot be called '.' or '..'."
  if (name.length > topicNameLengthMax) return `A topic name has at most ${topicNameLengthMax} characters.`
  if (!/^[a-zA-Z0-9._-]+$/.test(name))
    return 'A topic name consists of ASCII letters, digits, dots, underscores and hyphens.'
  return null
}

/** As `topicNameProblem`, for a topic that is to be made. */
export function newTopicNameProblem(name: string): string | null {
  return topicNameProblem(name) ?? (reservedNames.has(name) ? `The topic name ${name} is reserved.` : null)
}

/** Names that differ only in dots and underscores are one in metric names; topics with the same key collide. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_')
}

export function canCollide(name: string): boolean {
  return name.includes('.') || name.includes('_')
}
