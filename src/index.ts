/** tidelog inside a program: a broker that Kafka clients reach, or the log by itself. See docs/embedding.md. */
import './embed/check-node.ts'

export { type ErrorCode, TidelogError } from './base/errors.ts'
export {
  type Appended,
  type EmbeddedBroker,
  type LagOptions,
  type ProduceOptions,
  type Snapshot,
  startBroker,
  type TopicOptions,
} from './embed/broker.ts'
export type { Call } from './embed/calls.ts'
export type { Fault, FaultRule, Faults } from './embed/faults.ts'
export {
  type Cursor,
  type Log,
  type LogOptions,
  type LogReadOptions,
  type LogRecord,
  type LogSegment,
  type LogStats,
  openLog,
} from './embed/log.ts'
export type { BrokerStartOptions } from './embed/options.ts'
export type { ReadOptions } from './embed/reading.ts'
export type { Bytes, ConsumedRecord, ProducerRecord } from './embed/records.ts'
