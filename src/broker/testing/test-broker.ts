/** A broker over storage in memory, and a client that talks to it in whole frames, as over a connection. */
import type { NodeId } from '../../base/ids.ts'
import { Prng } from '../../base/prng.ts'
import { ropeOf, sliceRope } from '../../base/rope.ts'
import type { Compute } from '../../io/compute.ts'
import { ManualClock } from '../../sim/clock.ts'
import type { Api } from '../../wire/api-keys.ts'
import { type BatchOptions, buildBatch, type RecordDraft } from '../../wire/build-batch.ts'
import { decodeResponse, encodeRequest } from '../../wire/exchange.ts'
import { frameLengthBytes } from '../../wire/frame.ts'
import { type KafkaErrorName, kafkaErrorName } from '../../wire/kafka-errors.ts'
import type { Body, Draft } from '../../wire/schema.ts'
import type { Access } from '../access.ts'
import { Broker, type RequestFacts } from '../broker.ts'
import { type BrokerConfigs, brokerConfigs } from '../configs.ts'
import type { ConnectionContext } from '../context.ts'
import { MemoryStorage } from './memory-storage.ts'

export const advertised = { host: 'broker.example', port: 19092 }

/** What the server would know of a client. */
export const testConnection: ConnectionContext = {
  principal: 'User:ANONYMOUS',
  clientHost: '/192.0.2.1',
  listener: 'PLAINTEXT',
  advertised,
  signal: new AbortController().signal,
}

const nothing = () => Promise.reject(new Error('nothing is compressed'))

/** For brokers that meet no compressed records. */
export const noCompute: Compute = { decompress: nothing, compress: nothing }

export interface TestBroker {
  readonly broker: Broker
  readonly storage: MemoryStorage
  readonly clock: ManualClock
  readonly faults: { readonly error: unknown; readonly request: RequestFacts }[]
  /** The answer to a request; null for none. */
  ask<A extends Api>(api: A, version: number, body: Draft<A['request']>, from?: Asker): Promise<Body<A['response']>>
  /** As `ask`, for requests that are not answered. */
  tell<A extends Api>(api: A, version: number, body: Draft<A['request']>, from?: Asker): Promise<void>
}

export type Asker = Partial<ConnectionContext>

export function testBroker(set: Record<string, string> = {}, access?: Access): TestBroker {
  const clock = new ManualClock()
  const configs = brokerConfigs(set)
  return brokerOn(new MemoryStorage(clock, configs), clock, configs, access)
}

/** Another broker on what a former one has stored; the former one is not asked any more. */
export function restarted({ storage, clock }: TestBroker): TestBroker {
  return brokerOn(storage, clock, brokerConfigs())
}

function brokerOn(storage: MemoryStorage, clock: ManualClock, configs: BrokerConfigs, access?: Access): TestBroker {
  const faults: TestBroker['faults'] = []
  const broker = new Broker({
    storage,
    clock,
    random: new Prng(1),
    compute: noCompute,
    configs,
    ...(access === undefined ? {} : { access }),
    onFault: (error, request) => faults.push({ error, request }),
  })
  const send = async (api: Api, version: number, body: unknown, from: Asker) => {
    const whole = encodeRequest(api, version, { correlationId: 7, clientId: 'a client' }, body)
    const connection = { ...testConnection, ...from }
    return broker.handle(sliceRope(whole, frameLengthBytes, whole.length), connection)
  }
  return {
    broker,
    storage,
    clock,
    faults,
    async ask(api, version, body, from = {}) {
      const answer = await send(api, version, body, from)
      if (answer === null) throw new Error(`${api.name} was not answered`)
      answer.release?.()
      return decodeResponse(api, version, sliceRope(answer, frameLengthBytes, answer.length)).body
    },
    async tell(api, version, body, from = {}) {
      const answer = await send(api, version, body, from)
      if (answer !== null) throw new Error(`${api.name} was answered`)
    },
  }
}

/** A batch of records of which each has its value for content, as the records field of a produce request. */
export function batchOf(values: readonly (string | RecordDraft)[], options: BatchOptions = {}) {
  const records = values.map(value => (typeof value === 'string' ? { value } : value))
  return ropeOf(buildBatch(records, { baseTimestamp: Date.UTC(2026, 0, 1), ...options }))
}

export function errorIn(answer: { readonly errorCode: number } | undefined): KafkaErrorName | 'no answer' {
  return answer === undefined ? 'no answer' : kafkaErrorName(answer.errorCode)
}

export const otherNode = 2 as NodeId

/** A turn of the event loop: all promises that can go on have gone on. */
export function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
