/** What goes wrong with a request over HTTP, as its client is told: a code for programs, a sentence, and what to do. */

export const problemStatus = {
  BAD_REQUEST: 400,
  FOREIGN_HOST: 403,
  FOREIGN_ORIGIN: 403,
  UNKNOWN_PATH: 404,
  UNKNOWN_TOPIC: 404,
  UNKNOWN_GROUP: 404,
  METHOD_NOT_ALLOWED: 405,
  TOO_SLOW: 408,
  BODY_TOO_LARGE: 413,
  TOO_MANY: 429,
  HEADERS_TOO_LARGE: 431,
  FAILED: 500,
  NOT_READY: 503,
  BUSY: 503,
} as const satisfies Readonly<Record<string, number>>

export type ProblemCode = keyof typeof problemStatus

export interface Problem {
  readonly code: ProblemCode
  /** What is wrong, and where. */
  readonly message: string
  /** What to do about it. */
  readonly hint: string
}

/** Thrown by a route; becomes the answer. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly problem: Problem

  constructor(code: ProblemCode, message: string, hint: string) {
    super(message)
    this.problem = { code, message, hint }
  }
}

export const problem = (code: ProblemCode, message: string, hint: string): Problem => ({ code, message, hint })
