/** The broker as a service of connections: which answers may be large, and what becomes of faults. */
import type { Rope } from '../base/rope.ts'
import type { Broker } from '../broker/broker.ts'
import { apis } from '../wire/api-keys.ts'
import { peekRequest } from '../wire/headers.ts'
import type { AnswerSize, Service } from './connection.ts'

/**
 * A fetch brings up to `fetch.max.bytes`: one at a time on a connection. A produce answer is a few bytes for each partition,
 * and producers pipeline. A join or sync waits for the other members of its group, whose coordinator bounds what that holds. All others
 * list topics, at worst all there are.
 */
const answerSizes: ReadonlyMap<number, AnswerSize> = new Map([
  [apis.produce.key, 'small'],
  [apis.fetch.key, 'large'],
  [apis.joinGroup.key, 'held'],
  [apis.syncGroup.key, 'held'],
])

/** `broker` is asked for with each request. */
export function kafkaService(broker: () => Broker): Service {
  return {
    answerSize: (frame: Rope) => answerSizes.get(peekRequest(frame).apiKey) ?? 'medium',
    answer: (frame, connection) => broker().handle(frame, connection),
  }
}
