/** Asks `/readyz`, once or until the answer is good. */
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes } from '../base/errors.ts'
import { type Address, addressText } from '../server/address.ts'
import { CliError } from './failure.ts'
import { askHttp, httpAddress, isObject, notOffered, refuseAnotherBroker } from './http-api.ts'
import type { BrokerFlags, HttpFlags, OutputFlags } from './options.ts'
import { show } from './output.ts'

interface Health {
  readonly status: string
  readonly reasons: readonly { readonly code: string; readonly message: string }[]
}

const againMs = 200

export async function askHealth(
  flags: BrokerFlags & HttpFlags & OutputFlags & { readonly wait?: number },
): Promise<void> {
  const address = await httpAddress(flags)
  const health = await readyWithin(address, flags.wait ?? 0)
  if (health.status === 'ready') await refuseAnotherBroker(address, flags)
  const where = addressText(address)
  await show(flags.output, {
    data: { status: health.status, reasons: health.reasons.map(({ code, message }) => ({ code, message })) },
    names: () => [health.status],
    table: () => `${health.status}\n`,
  })
  if (health.status === 'ready') return
  const why = health.reasons.map(({ message }) => message).join('; ')
  const todo = flags.wait === undefined ? '; --wait 30s waits for it' : ''
  throw new CliError(exitCodes.unhealthy, `the broker at http://${where} is not ready: ${why}${todo}`)
}

/** The last answer; who does not answer until the time is over is not there. */
async function readyWithin(address: Address, waitMs: number): Promise<Health> {
  const endMs = performance.now() + waitMs
  for (;;) {
    const isLast = performance.now() >= endMs
    try {
      const health = await readiness(address)
      if (health.status === 'ready' || isLast) return health
    } catch (error) {
      if (!(error instanceof CliError) || error.exitCode !== exitCodes.unreachable || isLast) throw error
    }
    await sleep(Math.min(againMs, Math.max(endMs - performance.now(), 0)))
  }
}

async function readiness(address: Address): Promise<Health> {
  const { body } = await askHttp(address, '/readyz')
  const { status, reasons = [] } = isObject(body) ? body : {}
  if (typeof status === 'string' && Array.isArray(reasons) && reasons.every(isReason)) return { status, reasons }
  throw new CliError(exitCodes.runtime, `what answers at http://${addressText(address)} is not tidelog: ${notOffered}`)
}

function isReason(reason: unknown): reason is Health['reasons'][number] {
  const { code, message } = isObject(reason) ? reason : {}
  return typeof code === 'string' && typeof message === 'string'
}
