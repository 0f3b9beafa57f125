/**
 * What the simulated cluster offers to its clients, and all that they know of it. Requests and answers cross a client network
 * that delays and loses both: an answer may never come, and a request without an answer may have been carried out.
 */
import type { Prng } from '../../base/prng.ts'

/** A record is a serial number that nobody else writes: reading it tells who wrote it, and when. */
export type Serial = number

export interface ProduceRequest {
  readonly partition: number
  readonly acks: 0 | 1 | 'all'
  /** -1 for a producer that is not idempotent. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly serials: readonly Serial[]
}

export type ProduceAnswer =
  | { readonly ok: true; readonly base: number; readonly leaderEpoch: number }
  /** `isDefinite`: the broker vouches that these records are not in the log and never will be by this request. */
  | { readonly ok: false; readonly error: string; readonly isDefinite: boolean }

export interface ReadRecord {
  readonly offset: number
  readonly serial: Serial
  readonly leaderEpoch: number
}

export type ReadAnswer =
  | {
      readonly ok: true
      readonly records: readonly ReadRecord[]
      readonly highWatermark: number
      readonly logStart: number
      /** Of the chain that the node knows. */
      readonly leaderEpoch: number
      readonly isWriter: boolean
    }
  | { readonly ok: false; readonly error: string }

export interface ClientDoor {
  readonly nowMs: number
  readonly prng: Prng
  readonly partitions: number
  readonly nodes: readonly number[]
  /** Runs once, so many virtual milliseconds from now. */
  after(delayMs: number, run: () => void): void
  /** Asks a node who writes a partition, as far as it knows; null: it does not know, or did not answer in time. */
  findWriter(node: number, partition: number, onAnswer: (writer: number | null) => void): void
  /** `onAnswer` is called once or never (acks=0: never). */
  produce(node: number, request: ProduceRequest, onAnswer: (answer: ProduceAnswer) => void): void
  /** Reads at any node, from an offset on, up to so many records. */
  read(node: number, partition: number, from: number, recordsMax: number, onAnswer: (answer: ReadAnswer) => void): void
  /** Moves the log start, as retention or DeleteRecords do. */
  advanceStart(partition: number, offset: number, onAnswer: (isDone: boolean) => void): void
}
