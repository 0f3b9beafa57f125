/** What may come between a request and its handler: a look at each, and a fault in the place of the answer. */
import type { Api } from '../wire/api-keys.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { ConnectionContext } from './context.ts'

export interface Call {
  readonly api: Api
  readonly version: number
  readonly clientId: string | null
  /** Decoded; only to be looked at within the call, as its bytes may be the log's afterwards. */
  readonly body: unknown
  readonly connection: ConnectionContext
}

export type Verdict =
  | { readonly do: 'answer'; readonly error: Exclude<KafkaErrorName, 'NONE'> }
  /** The connection closes without an answer. */
  | { readonly do: 'drop' }

/**
 * Null lets a request through at once, and in its order. A promise holds it back; requests behind it on the connection go on
 * unless they are held back, too.
 */
export type Intercept = (call: Call) => Verdict | null | Promise<Verdict | null>
