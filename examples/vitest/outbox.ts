/** A program as it might be yours: publishes events, and tries again where the broker asks for that. */
import { Producer, stringSerializers } from '@platformatic/kafka'

export async function publish(broker: string, events: readonly { id: string; what: string }[]) {
  const producer = new Producer({
    clientId: 'outbox',
    bootstrapBrokers: [broker],
    serializers: stringSerializers,
    retries: 5,
    retryDelay: 20,
  })
  try {
    await producer.send({ messages: events.map(({ id, what }) => ({ topic: 'events', key: id, value: what })) })
  } finally {
    await producer.close()
  }
}
