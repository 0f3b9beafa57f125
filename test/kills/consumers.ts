/**
 * Two consumers of kafkajs in one group, and what feeds them. Each commits behind every record that it has processed. A
 * record may be processed twice, when its commit was not answered; none may be passed over: at the end each partition's
 * records were all processed up to the group's position.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Consumer, Kafka, logLevel } from 'kafkajs'
import { within } from '../support/waiting.ts'
import type { Positions } from './positions.ts'

export interface Consumption {
  readonly group: string
  stop(): void
  readonly ended: Promise<void>
}

const topic = 'tides'
const group = 'kafkajs'
const consumersCount = 2
const endMsMax = 60_000

export function consumeWithKafkajs(address: string, positions: Positions): Consumption {
  const kafka = new Kafka({
    clientId: 'consumers',
    brokers: [address],
    logLevel: logLevel.NOTHING,
    retry: { retries: 1_000, initialRetryTime: 30, maxRetryTime: 300 },
  })
  const processed = new Map<number, Set<number>>()
  let stopped = false

  const produce = async () => {
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    while (!stopped) {
      await producer.send({ topic, messages: Array.from({ length: 6 }, (_, i) => ({ value: `${i}` })) })
      await sleep(20)
    }
    await producer.disconnect()
  }

  const consume = async (consumer: Consumer) => {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        const offset = Number(message.offset)
        let seen = processed.get(partition)
        if (seen === undefined) {
          seen = new Set()
          processed.set(partition, seen)
        }
        seen.add(offset)
        await consumer.commitOffsets([{ topic, partition, offset: String(offset + 1) }])
        positions.acknowledge(group, partition, offset + 1)
      },
    })
    while (!stopped) await sleep(50)
    await consumer.disconnect()
  }

  const run = async () => {
    const consumers = Array.from({ length: consumersCount }, () =>
      kafka.consumer({ groupId: group, sessionTimeout: 6_000, heartbeatInterval: 300, maxWaitTimeInMs: 200 }),
    )
    await Promise.all([produce(), ...consumers.map(consume)])
    for (const [partition, seen] of processed) {
      const end = Math.max(...seen) + 1
      const missed = Array.from({ length: end }, (_, offset) => offset).filter(offset => !seen.has(offset))
      if (missed.length > 0)
        positions.anomalies.push(`${group}: ${missed.length} records of ${partition} were passed over`)
    }
  }

  const stopping = Promise.withResolvers<void>()
  const running = run()
  const ended = Promise.race([
    running,
    stopping.promise.then(() => within(endMsMax, 'the end of the consumers', running)),
  ])
  const stop = () => {
    stopped = true
    stopping.resolve()
  }
  return { group, stop, ended }
}
