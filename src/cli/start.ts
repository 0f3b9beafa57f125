/**
 * `tidelog start`: runs a broker until it is told to stop.
 *
 *     settings → log → storage, listeners → the ready line → … → SIGTERM or SIGINT → finish, sync, exit 0
 *
 * A second signal exits at once. What the node cannot go on after is one line and its exit code, without a farewell to
 * anybody: nothing may be acknowledged any more.
 */
import { readFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { constants } from 'node:os'
import { exitCodes, TidelogError } from '../base/errors.ts'
import { addressText } from '../server/address.ts'
import type { Logger } from '../server/log.ts'
import type { Doors } from '../server/server.ts'
import { readSettings, type Settings } from '../server/settings.ts'
import { oneLine, say } from './say.ts'

type StopSignal = 'SIGTERM' | 'SIGINT'

/** npm passes on to its scripts the SIGINT that the terminal sends them as well: that is one Ctrl-C, not two. */
const sameKeystrokeMsMax = 200

/** Returns the exit code when the broker has stopped. */
export async function start(flags: ReadonlyMap<string, readonly string[]>): Promise<number> {
  let settings: Settings
  try {
    settings = readSettings({ flags, environment: process.env, readFile: path => readFileSync(path, 'utf8') })
  } catch (error) {
    return refuse(error)
  }
  const stopped = stopSignal()
  const { openLog } = await import('../server/log.ts')
  const log = await openLog(settings.logLevel, process.stderr.isTTY)
  const onFatal = (error: unknown) => failFast(log, error)
  process.on('uncaughtException', onFatal)
  try {
    const { Server } = await import('../server/server.ts')
    await using server = await Server.open({ settings, log, onFatal })
    // Whoever waited for the line may be gone; that ends nothing.
    process.stdout.on('error', () => undefined)
    process.stdout.write(`tidelog ready ${doorsText(server.doors)} data=${settings.dataDir}\n`)
    keepCompiled()
    const signal = await stopped
    log.info({ component: 'server', signal }, 'stopping: finishing what is in flight')
    await server.close()
    log.info({ component: 'server' }, 'stopped')
    return exitCodes.ok
  } catch (error) {
    return refuse(error)
  }
}

/** `kafka=localhost:9092 text=localhost:9091`: a door that is closed is left out. */
function doorsText(doors: Doors): string {
  const { kafka, text, http } = doors
  return Object.entries({ kafka, text, http })
    .flatMap(([name, address]) => (address === null ? [] : [`${name}=${addressText(address)}`]))
    .join(' ')
}

/** Resolves with the first signal to stop; the second ends the process, with the code that shells give to such an end. */
function stopSignal(): Promise<StopSignal> {
  const { npm_lifecycle_event: npmScript } = process.env
  return new Promise(resolve => {
    let firstMs: number | null = null
    const onSignal = (signal: StopSignal) => {
      const nowMs = performance.now()
      const isEcho = signal === 'SIGINT' && npmScript !== undefined
      if (firstMs === null) {
        firstMs = nowMs
        resolve(signal)
      } else if (!isEcho || nowMs - firstMs > sameKeystrokeMsMax) {
        process.exit(128 + constants.signals[signal])
      }
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

/** The compiled sources are saved when everything is loaded, for a faster next start: a killed process saves nothing. */
function keepCompiled(): void {
  setTimeout(flushCompileCache, 2_000).unref()
}

function refuse(error: unknown): number {
  say(sentenceOf(error))
  return exitCodeOf(error)
}

function failFast(log: Logger, error: unknown): never {
  const fields = { component: 'server', stack: error instanceof Error ? error.stack : undefined }
  const isOperating = error instanceof TidelogError
  log.fatal(isOperating ? { component: 'server', code: error.code } : fields, oneLine(sentenceOf(error)))
  process.exit(exitCodeOf(error))
}

/** An operating error says what, where and what to do; anything else is a fault of this program. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof TidelogError)) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return `stopped by a fault of its own (${text}); please report it with the log`
  }
  const cause = error.cause instanceof Error ? error.cause.message : ''
  const what = cause === '' || error.message.includes(cause) ? error.message : `${error.message} (${cause})`
  if (error.code !== 'DISK_FAILED') return what
  return `${what}; what was acknowledged is on disk, nothing after this can be: check the disk, then start again`
}

function exitCodeOf(error: unknown): number {
  return error instanceof TidelogError ? error.exitCode : exitCodes.runtime
}
