/**
 * Operating errors: what can go wrong with a healthy program on a real machine. Each has a code from this table and, where
 * the process must end because of it, the exit code that it ends with. Outcomes told to Kafka clients are not here
 * (`wire/kafka-errors.ts`), nor are broken invariants (`invariant.ts`).
 */
export const exitCodes = {
  ok: 0,
  runtime: 1,
  usage: 2,
  /** Of a command: no broker answers there. */
  unreachable: 3,
  /** Of a command: the broker does not allow it. */
  denied: 4,
  /** Of a command: there is no such topic, group or file. */
  notFound: 5,
  /** Of `health`: the broker says that it is not ready. */
  unhealthy: 6,
  storage: 70,
  config: 78,
} as const

const table = {
  /** A setting has a name or a value that cannot be used. */
  CONFIG: exitCodes.config,
  /** Another process uses the data directory. */
  DATA_DIR_IN_USE: exitCodes.config,
  /** A port or an address cannot be listened on. */
  LISTEN: exitCodes.runtime,
  /** A file has a format or a version that this program does not know. */
  FORMAT: exitCodes.storage,
  /** A file's content does not match its checksum. */
  CORRUPT: exitCodes.storage,
  /** The disk failed a sync, or a write that cannot be repeated. The process must stop. */
  DISK_FAILED: exitCodes.storage,
  /** There is no space left for now; the operation may be repeated. */
  DISK_FULL: exitCodes.storage,
  /** The thing is closed or being closed. */
  CLOSED: exitCodes.runtime,
  /** A bound was reached and its wait is over; the operation may be repeated. */
  OVERLOADED: exitCodes.runtime,
  /** Compressed data unfolds to more than its reader takes. */
  TOO_LARGE: exitCodes.runtime,
  /** A metadata command was refused by the state machine, or what a program asks of its broker by that. */
  REFUSED: exitCodes.runtime,
  /** An argument cannot be used. */
  USAGE: exitCodes.usage,
  /** There is no such topic, partition or cursor. */
  NOT_FOUND: exitCodes.notFound,
  ALREADY_EXISTS: exitCodes.runtime,
  /** There are no records at that offset, or none any more. */
  OUT_OF_RANGE: exitCodes.runtime,
  /** What was waited for has not come about in time. */
  TIMED_OUT: exitCodes.runtime,
} as const

export type ErrorCode = keyof typeof table

export class TidelogError extends Error {
  override readonly name = 'TidelogError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }

  get exitCode(): number {
    return table[this.code]
  }
}

/** The `code` of a system error (`ENOSPC`, `EIO` …), or null for anything else. */
export function systemCode(error: unknown): string | null {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : null
}

/** Whether a call to the system may succeed later: no space, no descriptors, or an error that it may not repeat. */
export function isPassing(error: unknown): boolean {
  const code = systemCode(error)
  return isDiskFull(error) || code === 'EMFILE' || code === 'ENFILE' || code === 'EIO'
}

/** Whether the system says that there is no room: a state that passes, unlike a broken disk. */
export function isDiskFull(error: unknown): boolean {
  if (error instanceof TidelogError) return error.code === 'DISK_FULL'
  const code = systemCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}
