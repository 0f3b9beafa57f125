/**
 * One handler per API: what answers its requests. A handler reads and decides; bytes are `broker.ts`' matter. Outcomes are
 * data in the response; what a handler throws is either a `ProtocolError`, which closes the connection, or a fault.
 */
import type { Api } from '../wire/api-keys.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { Body, Draft } from '../wire/schema.ts'
import type { RequestContext } from './context.ts'

export interface Handler<A extends Api = Api> {
  readonly api: A
  /** Null for no response. What must happen in the order of the requests happens before the first await. */
  handle(request: Body<A['request']>, context: RequestContext): Answer<A> | Promise<Answer<A>>
  /** The answer to a request that failed as a whole; null where the response has no room for that. */
  failed(request: Body<A['request']>, error: KafkaErrorName, context: RequestContext): Answer<A>
  /** As if each item of a request that was not handled had met the error; `failed`, where it says the same. */
  refused?(request: Body<A['request']>, error: KafkaErrorName, context: RequestContext): Answer<A>
}

export type Answer<A extends Api> = Draft<A['response']> | null

/** A handler among others, its types forgotten: `broker.ts` hands each what was decoded by its own table. */
export function handler<A extends Api>(definition: Handler<A>): Handler {
  return definition as unknown as Handler
}
