/**
 * One client's connection: bytes in, frames to the service, answers out in the order of their requests.
 *
 * Requests are begun as they arrive, without waiting for those before them. What a client can make us hold is bounded: the
 * requests in flight by number and bytes, answers by their size and by what the client has not read yet, half a frame by
 * the time it may take. At a bound the socket is not read, which the client's own TCP tells it.
 */
import type { Socket } from 'node:net'
import { invariant } from '../base/invariant.ts'
import type { Rope } from '../base/rope.ts'
import type { AnswerFrame } from '../broker/broker.ts'
import type { ConnectionContext } from '../broker/context.ts'
import type { Clock } from '../io/clock.ts'
import { type FrameLimits, FrameReader } from '../wire/frame.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type Address, kafkaHost, plainHost } from './address.ts'
import type { RequestBudget } from './request-budget.ts'

/**
 * What the answer to a request may grow to: many small ones may be pending at a time, one large one. One that is held may take
 * minutes, as long as others have to do something first; who holds it bounds what that costs.
 */
export type AnswerSize = 'small' | 'medium' | 'large' | 'held'

/** A request as it is cut out of what arrives. */
export interface Frame {
  readonly length: number
}

/** Cuts what arrives on a connection into requests. */
export interface Framing<F extends Frame> {
  /** Bytes that have arrived of which no request was made yet. */
  readonly pendingBytes: number
  /** How many more are known to come before there is one. */
  readonly missingBytes: number
  push(chunk: Buffer): void
  /** The next request; null until more is pushed. A `ProtocolError` is final. */
  next(): F | null
}

export const kafkaFraming = (limits: FrameLimits): Framing<Rope> => new FrameReader(limits)

/** What answers requests. */
export interface Service<F extends Frame = Rope> {
  answerSize(frame: F): AnswerSize
  /**
   * The answer as it goes on the wire; null for a request that wants none. A `ProtocolError` closes the connection, after
   * the answers to earlier requests.
   */
  answer(frame: F, connection: ConnectionContext): Promise<SentAnswer | null>
}

/** An answer of somebody who wants to know what became of it. */
export interface SentAnswer extends AnswerFrame {
  /** Called once: whether the kernel took it all. */
  readonly settled?: (isSent: boolean) => void
}

export interface ConnectionLimits {
  readonly frameBytesMin: number
  readonly frameBytesMax: number
  /** Requests whose answer has not gone out yet, by the size of the answer. */
  readonly pendingMax: Readonly<Record<AnswerSize, number>>
  /** Bytes of requests in flight; one larger request is begun alone. */
  readonly inFlightBytesMax: number
  /** Bytes of answers that wait for the answer to an earlier request. */
  readonly heldAnswerBytesMax: number
  /** How long the first request may take from its first byte; found out up to a second later. */
  readonly firstRequestMsMax: number
  /** How long a frame that has begun may stand still. */
  readonly frameStallMsMax: number
  /** A frame that comes slower than this, after `frameStallMsMax` on top, is given up. */
  readonly frameBytesPerSecondMin: number
  /** -1 for no limit. */
  readonly idleMsMax: number
  /** How long earlier answers may take to go out on a connection that is being closed. */
  readonly closingMsMax: number
}

export const defaultLimits: ConnectionLimits = {
  frameBytesMin: 8,
  frameBytesMax: 100 * 1024 * 1024,
  pendingMax: { small: 256, medium: 2, large: 1, held: 2 },
  inFlightBytesMax: 32 * 1024 * 1024,
  heldAnswerBytesMax: 1024 * 1024,
  firstRequestMsMax: 9_000,
  frameStallMsMax: 30_000,
  frameBytesPerSecondMin: 64 * 1024,
  idleMsMax: 600_000,
  closingMsMax: 500,
}

/** How long one connection may begin requests before the others have a turn: heavy ones come pipelined, too. */
const workMsMax = 5

/** What a request in flight costs besides its bytes, about; many tiny ones are bounded by it. */
const requestOverheadBytes = 1024

/** What a connection needs of its listener. */
export interface ConnectionHost<F extends Frame = Rope> {
  readonly service: Service<F>
  readonly framing: (limits: FrameLimits) => Framing<F>
  /** Whether who has said that nothing more comes is answered what he asked before; else he is gone. */
  readonly answersAfterEnd: boolean
  readonly limits: ConnectionLimits
  readonly budget: RequestBudget
  readonly clock: Clock
  /** Null: the address that the client connected to. */
  readonly advertise: Address | null
  readonly listenerName: string
  /** The connection is over; `misdeed` says what the client did wrong, null when nothing. */
  closed(connection: Connection<F>, misdeed: Misdeed | null): void
  /** What a request failed with that is not the client's doing. The connection closes. */
  fault(error: unknown, connection: Connection<F>): void
}

export interface Misdeed {
  readonly kind: 'protocol' | 'too slow'
  readonly why: string
}

/** A request in flight, or answered and waiting for its turn on the wire. */
interface Pending {
  /** What it is charged with. */
  bytes: number
  readonly size: AnswerSize
  isAnswered: boolean
  /** Its answer will not be sent: an earlier request failed, or the connection is over. */
  isDropped: boolean
  answer: SentAnswer | null
}

interface Taken<F extends Frame> {
  readonly frame: F
  /** What it took on the wire. */
  readonly bytes: number
}

export class Connection<F extends Frame = Rope> implements ConnectionContext {
  readonly principal = 'anonymous'
  readonly listener: string
  readonly advertised: Address
  readonly remote: Address
  readonly clientHost: string
  readonly #socket: Socket
  readonly #host: ConnectionHost<F>
  #state: 'open' | 'draining' | 'closing' | 'closed' = 'open'
  #misdeed: Misdeed | null = null
  #abort: AbortController | null = null

  readonly #frames: Framing<F>
  /** A frame that is whole and must wait until there is room to begin it. */
  #parked: Taken<F> | null = null
  /** Bytes that arrived and do not belong to a request in flight yet. */
  #arrivedBytes = 0
  /** Whether the socket is not read, and why: for a bound of this connection, or for that of all together. */
  #paused: 'no' | 'own' | 'budget' = 'no'
  #pausedAtMs = 0

  /** In the order of arrival; those before `#firstPending` are done. */
  #pending: (Pending | null)[] = []
  #firstPending = 0
  readonly #pendingBySize: Record<AnswerSize, number> = { small: 0, medium: 0, large: 0, held: 0 }
  readonly #inFlightBySize: Record<AnswerSize, number> = { small: 0, medium: 0, large: 0, held: 0 }
  #inFlight = 0
  #inFlightBytes = 0
  #heldAnswerBytes = 0
  #corked = false
  #resting = false

  #hasEnded = false
  #hadRequest = false
  /** When bytes last went either way. */
  #lastActivityMs: number
  #lastArrivalMs: number
  /** When the frame that is arriving began, moved forward by the time for which we paused for a reason of our own. */
  #frameBeganMs: number

  constructor(socket: Socket, host: ConnectionHost<F>) {
    const { limits, clock, advertise } = host
    this.#socket = socket
    this.#host = host
    this.#frames = host.framing({ bytesMin: limits.frameBytesMin, bytesMax: limits.frameBytesMax })
    this.listener = host.listenerName
    this.advertised = advertise ?? addressOf(socket.localAddress, socket.localPort)
    this.remote = addressOf(socket.remoteAddress, socket.remotePort)
    this.clientHost = kafkaHost(this.remote.host)
    this.#lastActivityMs = clock.monotonicMs()
    this.#lastArrivalMs = this.#lastActivityMs
    this.#frameBeganMs = this.#lastActivityMs
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    // An error is always followed by `close`; a client that resets its connection is nothing to report.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#onClose())
  }

  /** Made when somebody asks: most connections never wait. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#state === 'closed' || this.#socket.readableEnded) this.#abort.abort()
    return this.#abort.signal
  }

  /** Looks at the clock: gives up frames that take too long, and closes what nobody uses. */
  sweep(nowMs: number): void {
    if (this.#state !== 'open') return
    const { idleMsMax } = this.#host.limits
    const why = this.isFrameArriving ? this.#frameLate(nowMs) : null
    if (why !== null) this.#refuse({ kind: 'too slow', why })
    else if (idleMsMax >= 0 && this.#inFlight === 0 && nowMs - this.#lastActivityMs >= idleMsMax) this.destroy()
  }

  /** Begins nothing more, and closes when what is in flight is answered. Waits for new records end at once. */
  drain(): void {
    if (this.#state !== 'open') return
    this.#state = 'draining'
    this.#setPaused('own')
    this.#closeWhenAnswered()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  // In.

  #onData(chunk: Buffer): void {
    if (this.#state !== 'open') return
    const nowMs = this.#host.clock.monotonicMs()
    if (this.#arrivedBytes === 0 && this.#frames.missingBytes === 0) this.#frameBeganMs = nowMs
    this.#lastArrivalMs = nowMs
    this.#lastActivityMs = nowMs
    this.#arrivedBytes += chunk.length
    this.#host.budget.charge(chunk.length)
    this.#frames.push(chunk)
    this.#work()
  }

  /** Begins what has arrived, as far as the bounds allow, and reads on where they do. */
  #work(): void {
    if (this.#state !== 'open' || this.#resting) return
    const untilMs = this.#host.clock.monotonicMs() + workMsMax
    try {
      while (this.#mayAnswerMore() && this.#beginNext()) {
        if (this.#host.clock.monotonicMs() < untilMs) continue
        this.#rest()
        return
      }
    } catch (error) {
      this.#fail(error)
      return
    }
    if (this.#parked !== null || !this.#mayAnswerMore()) this.#setPaused('own')
    else if (this.#hasEnded) this.#closeWhenAnswered()
    else if (!this.#host.budget.admits(this)) this.#setPaused('budget')
    else this.#setPaused('no')
  }

  /** Others have their turn of the event loop before this connection's next request is begun. */
  #rest(): void {
    this.#resting = true
    this.#setPaused('own')
    setImmediate(() => {
      this.#resting = false
      this.#work()
    })
  }

  #mayAnswerMore(): boolean {
    return !this.#socket.writableNeedDrain && this.#heldAnswerBytes < this.#host.limits.heldAnswerBytesMax
  }

  /** Whether there was a whole frame and room to begin it. */
  #beginNext(): boolean {
    this.#parked ??= this.#takeFrame()
    if (this.#parked === null) return false
    const { frame, bytes } = this.#parked
    const size = this.#host.service.answerSize(frame)
    const { pendingMax, inFlightBytesMax } = this.#host.limits
    if (this.#pendingBySize[size] >= pendingMax[size]) return false
    if (this.#inFlight > 0 && this.#inFlightBytes + frame.length > inFlightBytesMax) return false
    this.#parked = null
    this.#begin(frame, bytes, size)
    return true
  }

  /** What was read of no request is not held any more: it is the client's no longer. */
  #takeFrame(): Taken<F> | null {
    const frame = this.#frames.next()
    const bytes = this.#arrivedBytes - this.#frames.pendingBytes
    if (frame !== null) return { frame, bytes }
    if (bytes > 0) {
      this.#arrivedBytes -= bytes
      this.#host.budget.release(bytes)
    }
    return null
  }

  #begin(frame: F, frameBytes: number, size: AnswerSize): void {
    const bytes = frameBytes + requestOverheadBytes
    const pending: Pending = { bytes, size, isAnswered: false, isDropped: false, answer: null }
    this.#pending.push(pending)
    this.#pendingBySize[size]++
    this.#inFlightBySize[size]++
    this.#inFlight++
    this.#inFlightBytes += pending.bytes
    this.#arrivedBytes -= frameBytes
    this.#host.budget.charge(requestOverheadBytes)
    this.#hadRequest = true
    this.#frameBeganMs = this.#lastArrivalMs
    this.#host.service.answer(frame, this).then(
      answer => this.#settle(pending, answer),
      error => this.#settleFailed(pending, error),
    )
    if (size === 'held') this.#discharge(pending, frameBytes)
  }

  /** Whoever holds the request has counted what it keeps of it: others are not kept from sending theirs for minutes. */
  #discharge(pending: Pending, bytes: number): void {
    pending.bytes -= bytes
    this.#inFlightBytes -= bytes
    this.#host.budget.release(bytes)
    this.#host.budget.leaveLane(this)
  }

  // Out.

  #settle(pending: Pending, answer: SentAnswer | null): void {
    this.#account(pending)
    if (pending.isDropped) giveBack(answer, false)
    if (this.#state === 'closed') return
    if (!pending.isDropped) {
      pending.answer = answer
      this.#heldAnswerBytes += answer?.length ?? 0
      this.#writeAnswers()
    }
    if (this.#state === 'open') this.#work()
    else this.#closeWhenAnswered()
  }

  /** Answers to later requests have nothing to stand behind. */
  #settleFailed(pending: Pending, error: unknown): void {
    this.#account(pending)
    if (this.#state === 'closed') return
    if (!pending.isDropped) this.#dropFrom(this.#pending.indexOf(pending))
    this.#fail(error)
  }

  /** Forgets the requests from a place on, and gives back what their answers hold. */
  #dropFrom(place: number): void {
    for (const pending of this.#pending.splice(place)) {
      if (pending === null) continue
      pending.isDropped = true
      giveBack(pending.answer, false)
    }
  }

  #account(pending: Pending): void {
    invariant(!pending.isAnswered, 'a request is answered once')
    pending.isAnswered = true
    this.#inFlight--
    this.#inFlightBySize[pending.size]--
    this.#inFlightBytes -= pending.bytes
    this.#host.budget.release(pending.bytes)
    this.#host.budget.leaveLane(this)
  }

  /** Writes the answers whose turn it is. */
  #writeAnswers(): void {
    while (this.#firstPending < this.#pending.length) {
      const pending = this.#pending[this.#firstPending] as Pending
      if (!pending.isAnswered) break
      this.#pending[this.#firstPending++] = null
      this.#pendingBySize[pending.size]--
      if (pending.answer !== null) this.#write(pending.answer)
    }
    if (this.#firstPending === this.#pending.length) {
      this.#pending.length = 0
      this.#firstPending = 0
    } else if (this.#firstPending >= 1024) {
      this.#pending.splice(0, this.#firstPending)
      this.#firstPending = 0
    }
  }

  /** All that is written in one turn of the event loop goes out in one system call. */
  #write(answer: SentAnswer): void {
    this.#heldAnswerBytes -= answer.length
    this.#lastActivityMs = this.#host.clock.monotonicMs()
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
      process.nextTick(() => {
        this.#corked = false
        this.#socket.uncork()
      })
    }
    const last = answer.chunks.length - 1
    for (let i = 0; i < last; i++) this.#socket.write(answer.chunks[i] as Buffer)
    // Called when the kernel has the bytes, and when it never will: in either case nobody looks at them any more.
    const isAwaited = answer.release !== undefined || answer.settled !== undefined
    this.#socket.write(answer.chunks[last] as Buffer, isAwaited ? error => giveBack(answer, !error) : undefined)
  }

  #onDrain(): void {
    this.#lastActivityMs = this.#host.clock.monotonicMs()
    this.#work()
  }

  // Pauses.

  /** For the budget: part of a request is here, and it is up to the client to send the rest. */
  get isFrameArriving(): boolean {
    const isAmidst = this.#arrivedBytes > 0 || this.#frames.missingBytes > 0
    return isAmidst && this.#parked === null && this.#paused !== 'own'
  }

  /** For the budget: there is room. */
  onRoom(): boolean {
    this.#work()
    return this.#state === 'open' && this.#paused === 'no'
  }

  /** For the budget: everybody waits for this connection's request, which should be here by now. */
  onLaneOver(): void {
    if (this.isFrameArriving) this.#refuse({ kind: 'too slow', why: 'memory is short and its request did not arrive' })
  }

  /**
   * Time in which we did not read is not held against the client, unless it shares the blame: a half request in memory is
   * what keeps everybody waiting for the budget.
   */
  #setPaused(paused: 'no' | 'own' | 'budget'): void {
    const before = this.#paused
    if (before === paused) return
    const nowMs = this.#host.clock.monotonicMs()
    if (before === 'own') this.#frameBeganMs += nowMs - this.#pausedAtMs
    this.#paused = paused
    this.#pausedAtMs = nowMs
    if (paused === 'no') {
      this.#lastArrivalMs = nowMs
      this.#socket.resume()
    } else if (before === 'no') {
      this.#socket.pause()
    }
  }

  /** Why the frame that is arriving is given up; null when it is not. */
  #frameLate(nowMs: number): string | null {
    const { firstRequestMsMax, frameStallMsMax, frameBytesPerSecondMin } = this.#host.limits
    const ageMs = nowMs - this.#frameBeganMs
    if (!this.#hadRequest && ageMs >= firstRequestMsMax) return 'its first request did not arrive in time'
    if (this.#paused === 'no' && nowMs - this.#lastArrivalMs >= frameStallMsMax) return 'a request stopped half-way'
    const frameBytes = this.#frames.pendingBytes + this.#frames.missingBytes
    const ageMsMax = frameStallMsMax + (frameBytes / frameBytesPerSecondMin) * 1000
    return ageMs >= ageMsMax ? 'a request arrived too slowly' : null
  }

  // The end.

  /** Nothing more comes. */
  #onEnd(): void {
    this.#abort?.abort()
    if (!this.#host.answersAfterEnd) return
    this.#hasEnded = true
    this.#work()
  }

  #fail(error: unknown): void {
    const isMisdeed = error instanceof ProtocolError
    if (!isMisdeed) this.#host.fault(error, this)
    this.#refuse(isMisdeed ? { kind: 'protocol', why: error.message } : null)
  }

  /** Reads no more, lets the answers to earlier requests out, and closes. */
  #refuse(misdeed: Misdeed | null): void {
    if (this.#state === 'closed') return
    this.#misdeed ??= misdeed
    if (this.#state !== 'closing') {
      this.#state = 'closing'
      this.#setPaused('own')
      this.#host.clock.setTimer(this.#host.limits.closingMsMax, () => this.destroy())
    }
    this.#closeWhenAnswered()
  }

  #closeWhenAnswered(): void {
    // What is left waits for new records only, or for nobody: such waits end.
    if (this.#inFlight === this.#inFlightBySize.large) this.#abort?.abort()
    if (this.#pending.length === this.#firstPending) this.#socket.destroySoon()
  }

  #onClose(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#abort?.abort()
    this.#host.budget.release(this.#arrivedBytes)
    this.#host.budget.forget(this)
    this.#arrivedBytes = 0
    this.#parked = null
    this.#dropFrom(this.#firstPending)
    this.#host.closed(this, this.#misdeed)
  }
}

function giveBack(answer: SentAnswer | null, isSent: boolean): void {
  answer?.release?.()
  answer?.settled?.(isSent)
}

function addressOf(host: string | undefined, port: number | undefined): Address {
  return { host: plainHost(host ?? 'unknown'), port: port ?? 0 }
}
