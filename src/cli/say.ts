/** What a person at the terminal is told: one line on standard error, "what, where, what to do". */
import { writeSync } from 'node:fs'

/** Written before it returns: the process may be about to end. */
export function say(message: string): void {
  try {
    writeSync(2, `tidelog: ${oneLine(message)}\n`)
  } catch {
    // Nobody listens; the exit code still tells.
  }
}

export function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' ')
}
