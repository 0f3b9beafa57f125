/** A broken invariant: a fault of the program, never of its input. The node stops rather than go on with a wrong answer. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation'
}

/** States what must hold, in a sentence. Stays on in production. */
export function invariant(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new InvariantViolation(sentence)
}

/** Closes a switch over a union: the compiler lists what a new case breaks. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`a case nobody handles: ${JSON.stringify(value)}`)
}
