/**
 * Takes one port on every address of a host: `localhost` is 127.0.0.1 and ::1, because clients resolve it to either. What
 * cannot be had is said as `LISTEN`, with what to do about it.
 */
import type { AddressInfo, Server } from 'node:net'
import { systemCode, TidelogError } from '../base/errors.ts'
import { type Address, addressText } from './address.ts'

/** How often a free port of one family may turn out to be taken in the other. */
const portAttemptsMax = 20

export interface BindOptions<S extends Server> {
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  /** The option that the port comes from, for the text of an error. */
  readonly portOption: string
  /** Makes a server that does not listen yet; called once for each address. */
  readonly server: () => S
}

/** One server for each address of the host, all on the same port. */
export async function bind<S extends Server>(options: BindOptions<S>): Promise<S[]> {
  const { host, port } = options
  if (host.toLowerCase() !== 'localhost') return [await listen(options)]
  for (let attempt = 1; ; attempt++) {
    try {
      return await bindLoopback(options)
    } catch (error) {
      if (port !== 0 || !isTaken(error) || attempt === portAttemptsMax) throw error
    }
  }
}

/** Whether somebody else listens where we would. */
export function isTaken(error: unknown): boolean {
  return error instanceof TidelogError && systemCode(error.cause) === 'EADDRINUSE'
}

/** A machine may have only one of the two families. */
async function bindLoopback<S extends Server>(options: BindOptions<S>): Promise<S[]> {
  const v4 = await listenIfPresent({ ...options, host: '127.0.0.1' })
  try {
    const port = v4 === null ? options.port : (v4.address() as AddressInfo).port
    const inV6 = { ...options, host: '::1', port }
    const v6 = v4 === null ? await listen(inV6) : await listenIfPresent(inV6)
    return [v4, v6].filter(server => server !== null)
  } catch (error) {
    v4?.close()
    throw error
  }
}

const familyMissing: ReadonlySet<string | null> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'])

async function listenIfPresent<S extends Server>(options: BindOptions<S>): Promise<S | null> {
  try {
    return await listen(options)
  } catch (error) {
    if (error instanceof TidelogError && familyMissing.has(systemCode(error.cause))) return null
    throw error
  }
}

function listen<S extends Server>({ host, port, portOption, server: make }: BindOptions<S>): Promise<S> {
  return new Promise((resolve, reject) => {
    const server = make()
    const onError = (error: Error) => reject(cannotListen({ host, port }, portOption, error))
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.removeListener('error', onError)
      resolve(server)
    })
  })
}

function cannotListen(address: Address, portOption: string, error: Error): TidelogError {
  const where = addressText(address)
  const say = (what: string) => new TidelogError('LISTEN', `${where}: ${what}`, error)
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return say(`the port is in use; stop who uses it or choose another --${portOption}`)
    case 'EACCES':
      return say(`this user may not listen there; choose a --${portOption} above 1023`)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return say('this machine does not have that address; check --host')
    default:
      return say(`cannot be listened on (${error.message})`)
  }
}
