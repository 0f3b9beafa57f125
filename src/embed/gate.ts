/**
 * Stands between the clients' connections and the broker, so that the broker can be exchanged behind them. While the gate is
 * closed requests wait in front of it, in order; those inside are brought to their end first.
 */
import type { Rope } from '../base/rope.ts'
import type { AnswerFrame, Broker } from '../broker/broker.ts'
import type { ConnectionContext } from '../broker/context.ts'
import type { Clock } from '../io/clock.ts'
import type { AnswerSize, Service } from '../server/connection.ts'
import { kafkaService } from '../server/dispatch.ts'

/** How long what is inside may take when the gate closes. */
const emptyMsMax = 5000

export class Gate implements Service {
  readonly #clock: Clock
  readonly #service: Service
  #shut = 0
  #closed: PromiseWithResolvers<void> | null = null
  #inside = 0
  #onEmpty: (() => void) | null = null
  /** Of what is inside; aborts when the gate closes, so that nothing waits any more for what may come. */
  #passing = new AbortController()
  #visits = new WeakMap<ConnectionContext, ConnectionContext>()

  constructor(clock: Clock, broker: () => Broker) {
    this.#clock = clock
    this.#service = kafkaService(broker)
  }

  answerSize(frame: Rope): AnswerSize {
    return this.#service.answerSize(frame)
  }

  answer(frame: Rope, connection: ConnectionContext): Promise<AnswerFrame | null> {
    return this.pass(() => this.#service.answer(frame, this.#visit(connection)))
  }

  /** Aborts when those inside shall come to their end. */
  get passing(): AbortSignal {
    return this.#passing.signal
  }

  /** Does some work inside, at once while the gate is open. */
  pass<T>(work: () => Promise<T>): Promise<T> {
    return this.#closed === null ? this.#enter(work) : this.#closed.promise.then(() => this.pass(work))
  }

  /** From here on everybody waits. Whoever shuts it opens it again; it may be shut several times over. */
  shut(): void {
    this.#shut++
    this.#closed ??= Promise.withResolvers()
  }

  /** Resolves when nobody is inside any more. `hurry` answers those who wait for others. */
  async emptied(hurry: () => Promise<void>): Promise<void> {
    this.#passing.abort()
    await hurry()
    if (this.#inside === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    const timer = this.#clock.setTimer(emptyMsMax, resolve)
    await promise
    timer.cancel()
    this.#onEmpty = null
  }

  open(): void {
    if (--this.#shut > 0) return
    this.#passing = new AbortController()
    this.#visits = new WeakMap()
    const closed = this.#closed
    this.#closed = null
    closed?.resolve()
  }

  async #enter<T>(work: () => Promise<T>): Promise<T> {
    this.#inside++
    try {
      return await work()
    } finally {
      if (--this.#inside === 0) this.#onEmpty?.()
    }
  }

  #visit(connection: ConnectionContext): ConnectionContext {
    const known = this.#visits.get(connection)
    if (known !== undefined) return known
    const visit = visitOf(connection, this.#passing.signal)
    this.#visits.set(connection, visit)
    return visit
  }
}

/** A connection as seen while the gate stays open: it ends with that. */
function visitOf(connection: ConnectionContext, passing: AbortSignal): ConnectionContext {
  const { principal, clientHost, listener, advertised } = connection
  let signal: AbortSignal | null = null
  return {
    principal,
    clientHost,
    listener,
    advertised,
    get signal() {
      signal ??= AbortSignal.any([connection.signal, passing])
      return signal
    },
  }
}
