/** Time as an argument: the machine's in production, virtual in the simulator. */
export interface Clock {
  /** Wall time in ms since 1970. May jump either way; only for timestamps and retention. */
  nowMs(): number
  /** Monotonic time in ms. For every wait, age and deadline. */
  monotonicMs(): number
  /** Runs `task` once after `delayMs`. A timer alone never keeps the process alive. */
  setTimer(delayMs: number, task: () => void): Timer
}

export interface Timer {
  cancel(): void
}

/** Resolves after `delayMs`; the simulator decides what that means. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise(resolve => clock.setTimer(delayMs, resolve))
}
