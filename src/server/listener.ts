/**
 * Listens on one port, on every address of its host: `localhost` is 127.0.0.1 and ::1, because clients resolve it to
 * either. Accepts connections within the bounds, looks after them once a second, and closes them when the node stops.
 */
import * as net from 'node:net'
import type { Rope } from '../base/rope.ts'
import type { Clock, Timer } from '../io/clock.ts'
import type { FrameLimits } from '../wire/frame.ts'
import { type Address, addressText, plainHost } from './address.ts'
import { bind } from './bind.ts'
import {
  Connection,
  type ConnectionHost,
  type ConnectionLimits,
  type Frame,
  type Framing,
  type Misdeed,
  type Service,
} from './connection.ts'
import { type Logger, RateLimitedLog } from './log.ts'
import { RequestBudget } from './request-budget.ts'

const sweepEveryMs = 1_000
/** After a minute TCP asks a silent peer whether it is still there. */
const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

export interface ListenerOptions<F extends Frame = Rope> {
  readonly name: string
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  /** The option that the port comes from, for the text of an error. */
  readonly portOption: string
  readonly advertise: Address | null
  readonly service: Service<F>
  readonly framing: (limits: FrameLimits) => Framing<F>
  /** Whether who has said that nothing more comes is answered what he asked before. */
  readonly answersAfterEnd?: boolean
  readonly limits: ConnectionLimits
  readonly requestBudgetBytesMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly clock: Clock
  readonly log: Logger
  /** What a request failed with that is not the client's doing. */
  readonly onFault: (error: unknown) => void
}

export class Listener<F extends Frame = Rope> {
  readonly #options: ListenerOptions<F>
  readonly #log: RateLimitedLog
  readonly #budget: RequestBudget
  readonly #host: ConnectionHost<F>
  readonly #connections = new Set<Connection<F>>()
  readonly #countByAddress = new Map<string, number>()
  #servers: readonly net.Server[] = []
  #sweeper: Timer | null = null
  #onEmpty: (() => void) | null = null

  private constructor(options: ListenerOptions<F>) {
    this.#options = options
    this.#log = new RateLimitedLog(options.log, options.clock)
    this.#budget = new RequestBudget(options.requestBudgetBytesMax, options.clock)
    this.#host = {
      service: options.service,
      framing: options.framing,
      answersAfterEnd: options.answersAfterEnd ?? false,
      limits: options.limits,
      budget: this.#budget,
      clock: options.clock,
      advertise: options.advertise,
      listenerName: options.name,
      closed: (connection, misdeed) => this.#closed(connection, misdeed),
      fault: options.onFault,
    }
  }

  /** Throws `LISTEN` when the address cannot be had. */
  static async open<F extends Frame>(options: ListenerOptions<F>): Promise<Listener<F>> {
    const listener = new Listener(options)
    const allowHalfOpen = options.answersAfterEnd ?? false
    const server = () => net.createServer({ ...socketOptions, allowHalfOpen }, socket => listener.#accept(socket))
    listener.#servers = await bind({ ...options, server })
    for (const server of listener.#servers) server.on('error', error => listener.#acceptFailed(error))
    return listener
  }

  get port(): number {
    return (this.addresses[0] as Address).port
  }

  /** The addresses listened on. */
  get addresses(): readonly Address[] {
    return this.#servers.map(server => {
      const { address, port } = server.address() as net.AddressInfo
      return { host: address, port }
    })
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Bytes of requests that are arriving or in flight, of all connections. */
  get requestBytes(): number {
    return this.#budget.usedBytes
  }

  /** Closes every connection, whatever is under way there; new ones are accepted as before. */
  dropConnections(): void {
    for (const connection of this.#connections) connection.destroy()
  }

  /** Accepts nobody any more, gives what is in flight `graceMs` to be answered, and closes every connection. */
  async close(graceMs: number): Promise<void> {
    const closed = this.#servers.map(server => new Promise<void>(resolve => server.close(() => resolve())))
    const emptied = new Promise<void>(resolve => {
      this.#onEmpty = resolve
    })
    const timer = this.#options.clock.setTimer(graceMs, () => {
      for (const connection of this.#connections) connection.destroy()
    })
    for (const connection of this.#connections) connection.drain()
    if (this.#connections.size > 0) await emptied
    timer.cancel()
    this.#sweeper?.cancel()
    await Promise.all(closed)
  }

  #accept(socket: net.Socket): void {
    const address = plainHost(socket.remoteAddress ?? '')
    const ofAddress = this.#countByAddress.get(address) ?? 0
    const { connectionsMax, connectionsPerAddressMax } = this.#options
    if (this.#connections.size >= connectionsMax || ofAddress >= connectionsPerAddressMax) {
      socket.destroy()
      const which = this.#connections.size >= connectionsMax ? 'max.connections' : 'max.connections.per.ip'
      this.#log.warn('too many', { client: address }, `turned a connection away: ${which} is reached`)
      return
    }
    // The client may be gone before it was accepted.
    if (socket.remoteAddress === undefined) return void socket.destroy()
    this.#countByAddress.set(address, ofAddress + 1)
    this.#connections.add(new Connection(socket, this.#host))
    this.#sweeper ??= this.#sweepLater()
  }

  #closed(connection: Connection<F>, misdeed: Misdeed | null): void {
    this.#connections.delete(connection)
    const left = (this.#countByAddress.get(connection.remote.host) ?? 1) - 1
    if (left > 0) this.#countByAddress.set(connection.remote.host, left)
    else this.#countByAddress.delete(connection.remote.host)
    if (misdeed !== null) {
      this.#log.warn(misdeed.kind, { client: addressText(connection.remote) }, `closed a connection: ${misdeed.why}`)
    }
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  /** Goes on only while there is somebody to look after. */
  #sweepLater(): Timer {
    return this.#options.clock.setTimer(sweepEveryMs, () => {
      const nowMs = this.#options.clock.monotonicMs()
      for (const connection of this.#connections) connection.sweep(nowMs)
      this.#sweeper = this.#connections.size > 0 ? this.#sweepLater() : null
    })
  }

  /** Out of descriptors, most likely; the kernel keeps the connection waiting until there is one. */
  #acceptFailed(error: Error): void {
    this.#log.error('accept', { cause: error.message }, 'a connection could not be accepted')
  }
}
