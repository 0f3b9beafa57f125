/**
 * Faults on purpose: what a network or a broker does to its clients once in a while, done when a test asks for it.
 *
 * A rule holds for one API or for all, for one client id or for all, once or until it is taken back. Of several rules that fit
 * a request, the oldest is its fate.
 */

import type { ConnectionContext } from '../broker/context.ts'
import type { Call, Intercept, Verdict } from '../broker/intercept.ts'
import { nearestName } from '../broker/nearest-name.ts'
import type { Clock, Timer } from '../io/clock.ts'
import { apiList } from '../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../wire/kafka-errors.ts'
import { shown, wrongUse } from './failure.ts'

/** What happens to a request: at least one of `error`, `delayMs` and `drop`. */
export interface Fault {
  /** It is not handled, and answered with this error of Kafka's, for each topic and partition where the API has room for that. */
  readonly error?: Exclude<KafkaErrorName, 'NONE'>
  /** It is held back so long, and what comes behind it on its connection; then handled, unless there is an `error` or a `drop`. */
  readonly delayMs?: number
  /** Its connection is closed without an answer; it is not handled. */
  readonly drop?: boolean
  /** Only of clients with this id (`client.id`). */
  readonly clientId?: string
}

/** A fault that is waiting for its request. */
export interface FaultRule {
  /** How many requests have met it. */
  readonly met: number
  /** Takes it back. */
  remove(): void
}

interface Rule {
  readonly api: string
  readonly fault: Fault
  readonly isOnce: boolean
  met: number
}

const everyApi = '*'
const delayMsMax = 3_600_000

export class Faults {
  readonly #clock: Clock
  readonly #dropConnections: () => void
  #rules: readonly Rule[] = []
  /** Of connections with a request that is held back: when it goes on. */
  #held = new WeakMap<ConnectionContext, Promise<void>>()
  readonly #delays = new Map<Timer, () => void>()

  /** Made by `startBroker`. */
  constructor(clock: Clock, dropConnections: () => void) {
    this.#clock = clock
    this.#dropConnections = dropConnections
  }

  /**
   * Befalls the next request of an API (`'Produce'`, `'Fetch'`, … as in Kafka's documentation; `'*'` for any).
   * Throws `USAGE` for an API that is not served, and for a fault that is none.
   */
  once(api: string, fault: Fault): FaultRule {
    return this.#add(api, fault, true)
  }

  /** Befalls every request of an API until it is removed, or the broker is reset. */
  always(api: string, fault: Fault): FaultRule {
    return this.#add(api, fault, false)
  }

  /** Closes all connections of Kafka clients now, whatever is under way there. They may connect again at once. */
  dropConnections(): void {
    this.#dropConnections()
  }

  /** Takes back every rule; what is held back goes on. */
  clear(): void {
    this.#rules = []
    this.release()
  }

  /** @internal What is held back goes on. */
  release(): void {
    for (const [timer, resolve] of [...this.#delays]) {
      timer.cancel()
      resolve()
    }
    this.#delays.clear()
    this.#held = new WeakMap()
  }

  /** @internal */
  readonly meet: Intercept = call => {
    const rule = this.#rules.find(({ api, fault }) => fits(call, api, fault))
    if (rule === undefined) {
      // Behind one that is held back: on a slow network nothing overtakes.
      return this.#held.get(call.connection)?.then(() => null) ?? null
    }
    rule.met++
    if (rule.isOnce) this.#rules = this.#rules.filter(each => each !== rule)
    const verdict = verdictOf(rule.fault)
    const before = this.#held.get(call.connection)
    const { delayMs } = rule.fault
    if (delayMs === undefined) return before === undefined ? verdict : before.then(() => verdict)
    const held = Promise.all([before, this.#wait(delayMs)]).then(() => undefined)
    this.#held.set(call.connection, held)
    return held.then(() => {
      if (this.#held.get(call.connection) === held) this.#held.delete(call.connection)
      return verdict
    })
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#clock.setTimer(delayMs, () => {
        this.#delays.delete(timer)
        resolve()
      })
      this.#delays.set(timer, resolve)
    })
  }

  #add(api: string, fault: Fault, isOnce: boolean): FaultRule {
    checkApi(api)
    checkFault(fault)
    const rule: Rule = { api, fault: { ...fault }, isOnce, met: 0 }
    this.#rules = [...this.#rules, rule]
    const remove = () => {
      this.#rules = this.#rules.filter(each => each !== rule)
    }
    return {
      get met() {
        return rule.met
      },
      remove,
    }
  }
}

function fits({ api, clientId }: Call, wanted: string, fault: Fault): boolean {
  return (wanted === everyApi || wanted === api.name) && (fault.clientId ?? clientId) === clientId
}

function verdictOf({ error, drop }: Fault): Verdict | null {
  if (drop === true) return { do: 'drop' }
  return error === undefined ? null : { do: 'answer', error }
}

function checkApi(api: string): void {
  const names = apiList.map(({ name }) => name)
  if (api === everyApi || names.includes(api)) return
  const nearest = typeof api === 'string' ? nearestName(api, names) : null
  throw wrongUse(`There is no API ${shown(api)}${nearest === null ? '' : `; did you mean ${nearest}?`}`)
}

function checkFault(fault: Fault): void {
  const isObject = typeof fault === 'object' && fault !== null
  const { error, delayMs, drop, clientId } = isObject ? fault : ({} as Fault)
  if (error === undefined && delayMs === undefined && drop !== true) {
    throw wrongUse(`A fault has an error, a delayMs or drop: true, as in { error: 'NOT_LEADER_OR_FOLLOWER' }.`)
  }
  if (error !== undefined && (!Object.hasOwn(kafkaErrors, error) || (error as string) === 'NONE')) {
    const nearest = typeof error === 'string' ? nearestName(error, Object.keys(kafkaErrors)) : null
    throw wrongUse(`There is no error ${shown(error)}${nearest === null ? '' : `; did you mean ${nearest}?`}`)
  }
  if (delayMs !== undefined && !(delayMs >= 0 && delayMs <= delayMsMax)) {
    throw wrongUse(`delayMs must be from 0 to ${delayMsMax}, not ${shown(delayMs)}.`)
  }
  if (clientId !== undefined && typeof clientId !== 'string') {
    throw wrongUse(`clientId must be a text, not ${shown(clientId)}.`)
  }
}
