/**
 * The log on standard error: for people on a terminal, one JSON object a line otherwise. Fields: ts, level, component, msg,
 * and what the line is about.
 */
import { type Logger, pino } from 'pino'
import type { Clock } from '../io/clock.ts'
import type { LogLevel } from './settings.ts'

export type { Logger } from 'pino'

const standardError = 2

/** Written synchronously: the last line before an exit is the one that matters, and no thread is started for it. */
export async function openLog(level: LogLevel | 'silent', isTerminal: boolean): Promise<Logger> {
  const options = {
    level,
    base: null,
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  if (!isTerminal) return pino(options, pino.destination({ dest: standardError, sync: true }))
  // Loaded only here: the pretty printer is a third of the log's start-up time.
  const { default: pretty } = await import('pino-pretty')
  return pino(
    options,
    pretty({
      destination: standardError,
      sync: true,
      timestampKey: 'ts',
      translateTime: 'SYS:HH:MM:ss.l',
      messageFormat: '{component}: {msg}',
      ignore: 'component',
      singleLine: true,
    }),
  )
}

const quietMs = 10_000

/**
 * For lines that a stranger on the network can cause: the first of a kind is written at once, then at most one each ten
 * seconds, which says how many were left out.
 */
export class RateLimitedLog {
  readonly #log: Logger
  readonly #clock: Clock
  /** By kind: kinds are written in the code, so that there are few. */
  readonly #kinds = new Map<string, { quietUntilMs: number; leftOut: number }>()

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  warn(kind: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#write('warn', kind, fields, message)
  }

  error(kind: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#write('error', kind, fields, message)
  }

  #write(level: 'warn' | 'error', kind: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    const seen = this.#kinds.get(kind)
    if (seen !== undefined && nowMs < seen.quietUntilMs) {
      seen.leftOut++
      return
    }
    const leftOut = seen?.leftOut ?? 0
    this.#kinds.set(kind, { quietUntilMs: nowMs + quietMs, leftOut: 0 })
    this.#log[level]({ ...fields, ...(leftOut > 0 ? { leftOut } : {}) }, message)
  }
}
