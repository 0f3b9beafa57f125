/** The machine's own time. */
import type { Clock } from '../../io/clock.ts'

export const nodeClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, task) {
    const arm = (leftMs: number): NodeJS.Timeout =>
      leftMs <= timeoutMsMax
        ? setTimeout(task, leftMs).unref()
        : setTimeout(() => {
            timer = arm(leftMs - timeoutMsMax)
          }, timeoutMsMax).unref()
    let timer = arm(delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Node takes a longer one for 1 ms; configs such as `file.delete.delay.ms` may ask for it. */
const timeoutMsMax = 2 ** 31 - 1
