/**
 * What Kafka's protocol cannot say, asked over the broker's HTTP port. Where nothing answers there, or something that is no
 * tidelog, the error says in one line that this broker does not offer it.
 */
import { exitCodes } from '../base/errors.ts'
import { type Address, addressText, parseAddress } from '../server/address.ts'
import { CliError, everyError } from './failure.ts'
import type { BrokerFlags, HttpFlags } from './options.ts'

const httpPort = 8080
const answerMsMax = 10_000

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Where HTTP is: as was said, else at the host of the first broker. */
export async function httpAddress(flags: BrokerFlags & HttpFlags): Promise<Address> {
  if (flags.http === undefined) {
    const { parseBrokers } = await import('./brokers.ts')
    return { host: parseBrokers(flags.brokers)[0]!.host, port: httpPort }
  }
  const address = parseAddress(flags.http) ?? parseAddress(`${flags.http}:${httpPort}`)
  if (address === null) {
    throw new CliError(exitCodes.usage, `--http ${flags.http} is not HOST:PORT; write localhost:8080 or [::1]:8080`)
  }
  return address
}

/** Asks for JSON; rejects with exit code 3 where nobody answers. */
export async function askHttp(address: Address, path: string): Promise<Answer> {
  const where = addressText(address)
  let response: Response
  try {
    response = await fetch(`http://${where}${path}`, { signal: AbortSignal.timeout(answerMsMax), redirect: 'manual' })
  } catch (error) {
    throw new CliError(exitCodes.unreachable, noAnswer(where, error))
  }
  const text = await response.text().catch(() => '')
  return { status: response.status, body: parsed(text) }
}

/** Asks for something of `/api/v1` that must be there. */
export async function askApi(address: Address, path: string): Promise<unknown> {
  const where = addressText(address)
  const { status, body } = await askHttp(address, path)
  if (status === 200 && isObject(body)) return body
  const { code, message, hint } = isObject(body) ? body : {}
  if (typeof code !== 'string' || typeof message !== 'string') {
    throw new CliError(exitCodes.runtime, `what answers at http://${where} is not tidelog: ${notOffered}`)
  }
  const todo = typeof hint === 'string' && hint !== '' ? `; ${hint}` : ''
  throw new CliError(
    status === 404 ? exitCodes.notFound : status === 503 ? exitCodes.unhealthy : exitCodes.runtime,
    `${message}${todo}`,
  )
}

/**
 * Where nobody said which HTTP port it is, the default one may be another broker's: on one machine there may be several. What
 * it says of its Kafka port must be what it is asked as.
 */
export async function refuseAnotherBroker(address: Address, flags: BrokerFlags & HttpFlags): Promise<void> {
  if (flags.http !== undefined) return
  const { parseBrokers } = await import('./brokers.ts')
  const node = await askApi(address, '/api/v1/node')
  const { doors } = isObject(node) ? node : {}
  const { kafka } = isObject(doors) ? doors : {}
  const said = typeof kafka === 'string' ? parseAddress(kafka) : null
  if (said === null || parseBrokers(flags.brokers).some(({ port }) => port === said.port)) return
  throw new CliError(
    exitCodes.runtime,
    `http://${addressText(address)} is of another broker (${addressText(said)}); say where this one’s is with --http HOST:PORT`,
  )
}

export const notOffered = 'this broker does not offer it; where its HTTP port is another, say so with --http HOST:PORT'

function noAnswer(where: string, error: unknown): string {
  const codes = everyError(error).map(each => (each as { code?: unknown }).code)
  const why = codes.includes('ECONNREFUSED') ? `nobody listens at http://${where}` : `http://${where} does not answer`
  return `${why}: ${notOffered}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
