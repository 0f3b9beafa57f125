/**
 * Differences that are known and explained. A scenario that fails in just this way is shown with the reason, and does not fail
 * the run; the same client failing in another way does.
 */

export interface Expected {
  /** As in the table. */
  readonly client: string
  /** Of these versions only. */
  readonly version?: string
  readonly scenario: string
  /** Where it shows; everywhere unless given. */
  readonly against?: 'tidelog' | 'apache-kafka'
  /** What the difference says. */
  readonly matches: RegExp
  /** A sentence for the table. */
  readonly why: string
}

export const expected: readonly Expected[] = []

export interface Found {
  readonly client: string
  readonly version: string
  readonly scenario: string
  readonly against: string
  readonly what: string
}

/** The reason for a difference; null for one that nobody expected. */
export function reasonFor(found: Found, list: readonly Expected[] = expected): string | null {
  const explains = ({ client, version, scenario, against, matches }: Expected) =>
    client === found.client &&
    (version ?? found.version) === found.version &&
    scenario === found.scenario &&
    (against ?? found.against) === found.against &&
    matches.test(found.what)
  return list.find(explains)?.why ?? null
}
