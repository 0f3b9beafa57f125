/** What groups have committed, and what they were told of it: the least that any later answer may say. */
export class Positions {
  readonly anomalies: string[] = []
  /** Times that a member went on after a kill as if there had been none. */
  survivals = 0
  looks = 0
  readonly #least = new Map<string, number>()
  readonly #next = new Map<string, number>()
  readonly #acknowledged = new Map<string, number>()

  /** A number for each partition from 0 on, above all that the group committed before. */
  next(group: string, partitions: number): number[] {
    const number = (this.#next.get(group) ?? 0) + 1
    this.#next.set(group, number)
    return Array.from({ length: partitions }, () => number)
  }

  acknowledge(group: string, partition: number, offset: number): void {
    this.#acknowledged.set(group, (this.#acknowledged.get(group) ?? 0) + 1)
    this.#raise(group, partition, offset)
  }

  acknowledgedBy(group: string): number {
    return this.#acknowledged.get(group) ?? 0
  }

  groups(): string[] {
    return [...this.#acknowledged.keys()]
  }

  /** What is known now; to be taken before a question is asked. */
  snapshot(): ReadonlyMap<string, number> {
    return new Map(this.#least)
  }

  /** An answer to a question that was asked when `least` was known. */
  see(group: string, told: ReadonlyMap<number, number>, least: ReadonlyMap<string, number>): void {
    this.looks++
    for (const [key, offset] of least) {
      const [owner, partition] = key.split('|')
      if (owner !== group) continue
      const found = told.get(Number(partition))
      if (found === undefined || found < offset) {
        this.anomalies.push(
          `${group}'s partition ${partition} is at ${found ?? 'nothing'}, and ${offset} was committed`,
        )
      }
    }
    for (const [partition, offset] of told) this.#raise(group, partition, offset)
  }

  get summary(): string {
    const commits = [...this.#acknowledged.values()].reduce((sum, count) => sum + count, 0)
    return `${commits} positions acknowledged, ${this.looks} looks, ${this.survivals} times a member went on after a kill`
  }

  #raise(group: string, partition: number, offset: number): void {
    const key = `${group}|${partition}`
    this.#least.set(key, Math.max(this.#least.get(key) ?? -1, offset))
  }
}
