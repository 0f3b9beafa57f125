/**
 * Load from real clients, each as its users run it, with retries so patient that no kill makes them give up: kcat, kafkajs and
 * @platformatic/kafka, plain and idempotent. What they are told goes into the history.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Producer as PlatformaticProducer, ProduceAcks, stringSerializers } from '@platformatic/kafka'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import type { Prng } from '../../src/base/prng.ts'
import { spawnKcat } from '../support/kcat.ts'
import { within } from '../support/waiting.ts'
import { type History, type Place, type Sent, valueFor } from './history.ts'

export interface Load {
  readonly name: string
  readonly isIdempotent: boolean
  /** Sends until `stop` is called; resolves when all that was sent has its answer. */
  run(address: string, history: History, prng: Prng): { stop(): void; readonly ended: Promise<void> }
}

const drainMsMax = 60_000
const recordsPerSendMax = 12
/** Sends of one producer underway at a time, where their order does not matter. */
const concurrentSends = 3
/** So many records a second at most from each kcat. */
const kcatRecordsPerTick = 20
const kcatTickMs = 20

/**
 * kcat sends to one partition and tells an offset for each record, not for which. An idempotent one keeps the order in which it
 * was given them; a plain one may let others pass a batch that it has to send again, also with one request at a time.
 */
export function kcatLoad(name: string, place: Place, isIdempotent: boolean): Load {
  return {
    name,
    isIdempotent,
    run(address, history) {
      const order = isIdempotent ? ['enable.idempotence=true'] : ['max.in.flight=1']
      const settings = [
        ...order,
        'topic.produce.offset.report=true',
        'message.timeout.ms=300000',
        'reconnect.backoff.max.ms=300',
      ]
      const flags = settings.flatMap(setting => ['-X', setting])
      const child = spawnKcat(address, ['-P', '-t', place.topic, '-p', String(place.partition), '-E', '-vvv', ...flags])
      const waiting: Sent[] = []
      let unanswered = 0
      const complaints: string[] = []
      child.stdin.on('error', () => undefined)
      child.stdout.resume()
      createInterface({ input: child.stderr }).on('line', line => {
        const offset = /Message delivered to partition \d+ \(offset (-?\d+)\)/.exec(line)?.[1]
        if (offset === undefined) complaints.push(line)
        else if (isIdempotent) history.acknowledge(waiting.shift() as Sent, Number(offset) < 0 ? null : Number(offset))
        else {
          history.tell(name, place, Number(offset))
          unanswered--
        }
      })
      let stopped = false
      const feed = async () => {
        while (!stopped) {
          for (let i = 0; i < kcatRecordsPerTick; i++) {
            const sent = history.send(name, place)
            waiting.push(sent)
            unanswered++
            if (!child.stdin.write(`${valueFor(sent)}\n`)) await once(child.stdin, 'drain')
          }
          await sleep(kcatTickMs)
        }
        child.stdin.end()
      }
      const closed = new Promise<number | null>(resolve => child.on('close', resolve))
      const end = async () => {
        await feed()
        const code = await within(drainMsMax, () => `the end of ${name} (${tail(complaints)})`, closed)
        const left = isIdempotent ? waiting.length : unanswered
        if (code !== 0 || left > 0) {
          throw new Error(`${name} ended with ${code}, ${left} records unanswered (${tail(complaints)})`)
        }
        // All were delivered; where is known of the idempotent ones only.
        for (const sent of waiting.splice(0)) history.acknowledge(sent, null)
      }
      const stop = () => {
        stopped = true
      }
      return { stop, ended: end() }
    },
  }
}

export function kafkajsLoad(name: string, places: readonly Place[], isIdempotent: boolean): Load {
  return {
    name,
    isIdempotent,
    run(address, history, prng) {
      const kafka = new Kafka({
        brokers: [address],
        clientId: name,
        logLevel: logLevel.NOTHING,
        connectionTimeout: 2_000,
        requestTimeout: 10_000,
        retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 100_000 },
      })
      const producer = kafka.producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        ...(isIdempotent ? { idempotent: true, maxInFlightRequests: 1 } : {}),
      })
      const send = async (records: readonly Sent[]) => {
        const { topic, partition } = records[0] as Sent
        const messages = records.map(sent => ({ value: valueFor(sent), partition, key: String(sent.number) }))
        const [answer] = await producer.send({ topic, acks: -1, messages })
        return Number(answer?.baseOffset ?? -1)
      }
      return sending(name, places, isIdempotent, history, prng, {
        connect: () => producer.connect(),
        send,
        close: () => producer.disconnect(),
      })
    },
  }
}

export function platformaticLoad(name: string, places: readonly Place[], isIdempotent: boolean): Load {
  return {
    name,
    isIdempotent,
    run(address, history, prng) {
      const producer = new PlatformaticProducer({
        clientId: name,
        bootstrapBrokers: [address],
        serializers: stringSerializers,
        idempotent: isIdempotent,
        retries: 100_000,
        retryDelay: 100,
        connectTimeout: 2_000,
        timeout: 10_000,
      })
      const send = async (records: readonly Sent[]) => {
        const messages = records.map(sent => ({
          topic: sent.topic,
          partition: sent.partition,
          key: String(sent.number),
          value: valueFor(sent),
          headers: { from: name },
        }))
        const { offsets } = await producer.send({ messages, acks: ProduceAcks.ALL })
        return Number(offsets?.[0]?.offset ?? -1)
      }
      return sending(name, places, isIdempotent, history, prng, {
        connect: async () => undefined,
        send,
        close: () => producer.close(),
      })
    },
  }
}

interface Client {
  connect(): Promise<void>
  /** The base offset, -1 for one that is not told. */
  send(records: readonly Sent[]): Promise<number>
  close(): Promise<void>
}

/** Sends to one partition after the other; an idempotent producer waits for each answer, which keeps its order. */
function sending(
  name: string,
  places: readonly Place[],
  isIdempotent: boolean,
  history: History,
  prng: Prng,
  client: Client,
): ReturnType<Load['run']> {
  let stopped = false
  const sendOn = async () => {
    while (!stopped) {
      const place = prng.pick(places)
      const records = Array.from({ length: prng.between(1, recordsPerSendMax + 1) }, () => history.send(name, place))
      const baseOffset = await client.send(records)
      for (const [i, sent] of records.entries()) history.acknowledge(sent, baseOffset < 0 ? null : baseOffset + i)
      if (prng.chance(0.5)) await sleep(prng.between(0, 20))
    }
  }
  const run = async () => {
    await client.connect()
    await Promise.all(Array.from({ length: isIdempotent ? 1 : concurrentSends }, sendOn))
    await client.close()
  }
  const stop = () => {
    stopped = true
  }
  const ended = run().catch(error => {
    throw new Error(`${name} gave up`, { cause: error })
  })
  return { stop, ended }
}

const tail = (lines: readonly string[]) => lines.slice(-5).join(' / ')
