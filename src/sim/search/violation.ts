/** What a search shows of something broken. */

export interface Violation {
  readonly sentence: string
  /** One line per action, from the initial state to the one that breaks the sentence. */
  readonly trace: readonly string[]
  /** Each node and message of the last state. */
  readonly state: readonly string[]
}

/** An invariant says itself what does not hold; anything else that a core throws is a fault too, and says where. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'InvariantViolation') return error.message
  const where = error.stack?.split('\n')[1]?.trim() ?? ''
  return `${error.name}: ${error.message} ${where}`
}

export function printViolation({ sentence, trace, state }: Violation): string {
  const actions = trace.map((line, at) => `  ${String(at + 1).padStart(3)} ${line}`)
  return [`does not hold: ${sentence}`, ...actions, ...state.map(line => `      ${line}`)].join('\n')
}
