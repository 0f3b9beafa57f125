/**
 * All clients of a run: producers, readers and a trimmer, drawn from the door's chance, so that a seed is a workload. They run
 * until `stop`, through whatever happens to the cluster; the last word is `readEverything`.
 */
import type { ClientDoor } from './client-door.ts'
import { drain } from './drain.ts'
import type { History } from './history.ts'
import { drawStyle, Producer, type ProducerStyle, steadyStyle } from './producer.ts'
import { drawReaderStyle, drawSamplerStyle, Reader } from './reader.ts'
import { Trimmer, trim } from './trimmer.ts'
import { type Tally, Workload } from './workload.ts'

export interface ClientOptions {
  /** Besides one steady producer (acks=all, patient) per partition. */
  readonly producers: number
  /** Besides one follower per partition. */
  readonly followers: number
  readonly samplers: number
  /** Mean time between batches of a producer. */
  readonly producerPauseMs: number
  /** Mean time between reads of a reader that has nothing new. */
  readonly readerPauseMs: number
  /** Mean time between trims; null for none. */
  readonly trimPauseMs: number | null
}

export const defaultClients: ClientOptions = {
  producers: 2,
  followers: 1,
  samplers: 1,
  producerPauseMs: 60,
  readerPauseMs: 150,
  trimPauseMs: 20_000,
}

export interface Clients {
  readonly history: History
  /** No new requests from here on. What is under way may still be carried out, and answered. */
  stop(): void
  /** Nothing is waited for. */
  readonly isQuiet: boolean
  /** Records, whatever acks they were sent with. */
  readonly acknowledgedCount: number
  /** When each partition last acknowledged something with acks=all. */
  lastAcknowledgedAtMs(partition: number): number
  readonly tallies: Readonly<Record<Tally, number>>
  /** One more producer, from now on. */
  addProducer(partition: number, style: ProducerStyle): void
  /** Asks for the log start to be moved; `onDone` hears when it was. */
  trim(partition: number, offset: number, onDone: () => void): void
  /** Reads all partitions at all nodes to their ends. To be called when quiet and nothing is on its way any more. */
  readEverything(onDone: () => void): void
}

export function startClients(door: ClientDoor, history: History, options: ClientOptions = defaultClients): Clients {
  const workload = new Workload(door, history)
  for (let partition = 0; partition < door.partitions; partition++) startSteady(workload, partition, options)
  startOthers(workload, options)
  return {
    history,
    stop: () => {
      workload.isStopping = true
    },
    get isQuiet() {
      return workload.waiting === 0
    },
    get acknowledgedCount() {
      return workload.acknowledgedRecords
    },
    lastAcknowledgedAtMs: partition => workload.seenOf(partition).lastAcknowledgedAtMs,
    tallies: workload.tallies,
    addProducer: (partition, style) => {
      new Producer(workload, workload.prng.fork(), partition, style)
    },
    trim: (partition, offset, onDone) => trim(workload, partition, offset, onDone),
    readEverything: onDone => drain(workload, onDone),
  }
}

/** So that every partition is written and read in every run. */
function startSteady(workload: Workload, partition: number, { producerPauseMs, readerPauseMs }: ClientOptions): void {
  const producerPrng = workload.prng.fork()
  new Producer(workload, producerPrng, partition, steadyStyle(producerPrng, producerPauseMs))
  const readerPrng = workload.prng.fork()
  new Reader(workload, readerPrng, partition, drawReaderStyle(readerPrng, readerPauseMs))
}

function startOthers(workload: Workload, options: ClientOptions): void {
  const { partitions } = workload.door
  for (let i = 0; i < options.producers; i++) {
    const prng = workload.prng.fork()
    new Producer(workload, prng, prng.between(0, partitions), drawStyle(prng, options.producerPauseMs))
  }
  for (let i = 0; i < options.followers; i++) {
    const prng = workload.prng.fork()
    new Reader(workload, prng, prng.between(0, partitions), drawReaderStyle(prng, options.readerPauseMs))
  }
  for (let i = 0; i < options.samplers; i++) {
    const prng = workload.prng.fork()
    new Reader(workload, prng, 0, drawSamplerStyle(prng, options.readerPauseMs))
  }
  if (options.trimPauseMs !== null) new Trimmer(workload, workload.prng.fork(), options.trimPauseMs)
}
