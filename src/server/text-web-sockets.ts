/**
 * The text protocol over WebSocket: a message is a command, a message is its reply. The bounds are those of the other
 * connections: who does not read his replies is not read from, and then disconnected; so is who is silent for too long.
 */
import { isUtf8 } from 'node:buffer'
import type { WebSocket } from 'ws'
import type { Clock, Timer } from '../io/clock.ts'
import type { TextContent } from '../wire/text.ts'
import { type Address, addressText } from './address.ts'
import { CommandTurns } from './command-turns.ts'
import type { ConnectionLimits } from './connection.ts'
import type { RateLimitedLog } from './log.ts'
import { isPut, type RunCommand } from './text-connection.ts'

/** A browser's message is held whole and more than once until it is answered. */
export const messageBytesLimit = 1024 * 1024

/** Of one socket: commands that are not answered yet, and replies that are not read. */
const inFlightMax = 64
const inFlightBytesMax = 1024 * 1024
const unreadBytesMax = 1024 * 1024
const sweepEveryMs = 1_000
const goingAway = 1001

export interface WebSocketsOptions {
  readonly run: RunCommand
  readonly limits: ConnectionLimits
  readonly clock: Clock
  readonly log: RateLimitedLog
  /** What a command failed with that is not the client's doing. */
  readonly onFault: (error: unknown) => void
}

export class TextWebSockets {
  readonly #options: WebSocketsOptions
  readonly #open = new Set<TextWebSocket>()
  #sweeper: Timer | null = null
  #isClosing = false

  constructor(options: WebSocketsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#open.size
  }

  accept(socket: WebSocket, remote: Address): void {
    if (this.#isClosing) {
      socket.close(goingAway)
      return
    }
    const opened = new TextWebSocket(socket, this.#options)
    this.#open.add(opened)
    socket.on('close', () => this.#open.delete(opened))
    socket.on('error', error => {
      const client = { client: addressText(remote) }
      this.#options.log.warn('websocket', client, `closed a WebSocket: ${error.message}`)
    })
    this.#sweeper ??= this.#sweepLater()
  }

  /** Answers what is under way for `graceMs` at most, and closes all of them. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true
    this.#sweeper?.cancel()
    await Promise.all([...this.#open].map(socket => socket.close(graceMs)))
  }

  /** Goes on only while there is somebody to look after. */
  #sweepLater(): Timer {
    return this.#options.clock.setTimer(sweepEveryMs, () => {
      for (const socket of this.#open) socket.sweep()
      this.#sweeper = this.#open.size > 0 && !this.#isClosing ? this.#sweepLater() : null
    })
  }
}

class TextWebSocket {
  readonly #socket: WebSocket
  readonly #options: WebSocketsOptions
  readonly #turns = new CommandTurns()
  #inFlight = 0
  #inFlightBytes = 0
  #isPaused = false
  #lastActivityMs: number
  #onEmpty: (() => void) | null = null
  /** Commands whose turn it is, once earlier replies have been read. */
  readonly #unread: (() => void)[] = []

  constructor(socket: WebSocket, options: WebSocketsOptions) {
    this.#socket = socket
    this.#options = options
    this.#lastActivityMs = options.clock.monotonicMs()
    socket.on('message', data => this.#onMessage(data as Buffer))
    socket.on('close', () => this.#goOn())
  }

  sweep(): void {
    const { idleMsMax, frameStallMsMax } = this.#options.limits
    const quietMs = this.#options.clock.monotonicMs() - this.#lastActivityMs
    if (this.#socket.bufferedAmount > 0 && quietMs >= frameStallMsMax) this.#socket.terminate()
    else if (idleMsMax >= 0 && this.#inFlight === 0 && quietMs >= idleMsMax) this.#socket.close(goingAway)
  }

  async close(graceMs: number): Promise<void> {
    const { clock } = this.#options
    const closed = new Promise<void>(resolve => {
      if (this.#socket.readyState === this.#socket.CLOSED) resolve()
      else this.#socket.on('close', () => resolve())
    })
    this.#setPaused(true)
    const timer = clock.setTimer(graceMs, () => this.#socket.terminate())
    if (this.#inFlight > 0) {
      await Promise.race([
        closed,
        new Promise<void>(resolve => {
          this.#onEmpty = resolve
        }),
      ])
    }
    // To hear the other side say the same, it is read again.
    this.#socket.close(goingAway)
    this.#socket.resume()
    const soon = clock.setTimer(this.#options.limits.closingMsMax, () => this.#socket.terminate())
    await closed
    timer.cancel()
    soon.cancel()
  }

  #onMessage(bytes: Buffer): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    this.#touch()
    const content: TextContent = isUtf8(bytes) ? { text: bytes.toString() } : { fault: 'encoding' }
    this.#inFlight++
    this.#inFlightBytes += bytes.length
    this.#pace()
    this.#turns
      .run(isPut(content), () => this.#whenRead(() => this.#options.run(content)))
      .then(
        ({ text, settled }) => {
          if (this.#socket.readyState !== this.#socket.OPEN) return settled?.(false)
          this.#socket.send(text, error => {
            settled?.(!error)
            this.#touch()
            this.#pace()
            this.#goOn()
          })
        },
        error => {
          this.#options.onFault(error)
          this.#socket.terminate()
        },
      )
      .finally(() => {
        this.#inFlight--
        this.#inFlightBytes -= bytes.length
        this.#pace()
        if (this.#inFlight === 0) this.#onEmpty?.()
      })
  }

  #touch(): void {
    this.#lastActivityMs = this.#options.clock.monotonicMs()
  }

  /** Messages come many at a time, even where it is not read any more: those wait here, in order. */
  #whenRead<T>(work: () => Promise<T>): Promise<T> {
    if (this.#unread.length === 0 && this.#socket.bufferedAmount < unreadBytesMax) return work()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#unread.push(resolve)
    return promise.then(work)
  }

  #goOn(): void {
    const isOver = this.#socket.readyState !== this.#socket.OPEN
    if (isOver || this.#socket.bufferedAmount < unreadBytesMax) for (const begin of this.#unread.splice(0)) begin()
  }

  /** Reads on while there is room for what comes of it. */
  #pace(): void {
    if (this.#onEmpty !== null) return
    const isFull =
      this.#inFlight >= inFlightMax ||
      this.#inFlightBytes >= inFlightBytesMax ||
      this.#socket.bufferedAmount >= unreadBytesMax
    this.#setPaused(isFull)
  }

  #setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return
    this.#isPaused = isPaused
    if (isPaused) this.#socket.pause()
    else this.#socket.resume()
  }
}
