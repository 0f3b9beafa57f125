/** A service as it might be yours: adds up what each customer has ordered. */
import kafkajs from 'kafkajs'

export async function startTotals(broker: string) {
  const totals = new Map<string, number>()
  const kafka = new kafkajs.Kafka({ clientId: 'totals', brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
  // kafkajs waits for its last fetch when it stops: five seconds, unless it is told otherwise.
  const consumer = kafka.consumer({ groupId: 'totals', maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: ['orders'], fromBeginning: true })
  await consumer.run({
    async eachMessage({ message }) {
      const customer = String(message.key)
      const { amount } = JSON.parse(String(message.value)) as { amount: number }
      totals.set(customer, (totals.get(customer) ?? 0) + amount)
    },
  })
  return { totals, stop: () => consumer.disconnect() }
}
