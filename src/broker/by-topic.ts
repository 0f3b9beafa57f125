/**
 * What a request asks of each topic. A topic that is named several times comes once, with everything it was named with:
 * clients read answers as maps by topic, and no answer grows by repeating a question.
 */
export function byTopic<T, Item>(
  topics: readonly T[],
  nameOf: (topic: T) => string,
  itemsOf: (topic: T) => readonly Item[],
): ReadonlyMap<string, readonly Item[]> {
  const merged = new Map<string, Item[]>()
  for (const topic of topics) {
    const items = merged.get(nameOf(topic))
    if (items === undefined) merged.set(nameOf(topic), [...itemsOf(topic)])
    else for (const item of itemsOf(topic)) items.push(item)
  }
  return merged
}
