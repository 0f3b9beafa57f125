/**
 * The broker that a run is against: a fresh tidelog, Apache Kafka started from its artifacts, or one that runs already.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { version } from '../../src/cli/version.ts'
import { KafkaClient } from '../../test/support/kafka-client.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { steadyPort, Tidelog } from '../../test/support/tidelog.ts'

export interface Broker extends AsyncDisposable {
  readonly kind: 'tidelog' | 'apache-kafka' | 'running'
  /** For people, `Apache Kafka 4.1.1`. */
  readonly title: string
  readonly host: string
  readonly port: number
  /** Where its files are; null where that is not known. */
  readonly dataDir: string | null
  /** SIGKILL, and a new start on the same files and port; null where that is not ours to do. */
  readonly restart: (() => Promise<void>) | null
  /** What is wrong with it since it was last asked: silence, or errors in its log. Null where nothing is. */
  readonly complaint: () => Promise<string | null>
}

/** What the module of `apache-kafka/` gives. */
interface ApacheKafka {
  readonly host: string
  readonly port: number
  readonly version: string
  readonly dataDir: string
  stop(): Promise<void>
  restart(): Promise<void>
}

export async function startTidelog(): Promise<Broker> {
  const dir = await tempDir()
  // Steady, because clients look for a restarted broker where it was.
  const options = { dataDir: join(dir.path, 'data'), port: await steadyPort() }
  let tidelog = await Tidelog.start(options)
  process.once('exit', () => rmSync(dir.path, { recursive: true, force: true }))
  let told = 0
  // A scenario may have failed in the middle of one.
  let restarting = Promise.resolve()
  const restart = async () => {
    await tidelog.kill()
    tidelog = await Tidelog.start(options)
    told = 0
  }
  return {
    kind: 'tidelog',
    title: `tidelog ${version()}`,
    host: '127.0.0.1',
    port: options.port,
    dataDir: options.dataDir,
    restart: () => {
      restarting = restarting.catch(() => undefined).then(restart)
      return restarting
    },
    complaint: async () => {
      await restarting.catch(() => undefined)
      const silence = await silenceOf('127.0.0.1', options.port)
      if (silence !== null) return `${silence}: ${tidelog.stderr.slice(-1_000)}`
      const trouble = [...tidelog.logged('fatal'), ...tidelog.logged('error')].slice(told)
      told += trouble.length
      return trouble.length === 0 ? null : `the broker logged: ${trouble.join('\n').slice(-1_000)}`
    },
    [Symbol.asyncDispose]: async () => {
      await tidelog.kill()
      await dir[Symbol.asyncDispose]()
    },
  }
}

export async function startKafka(): Promise<Broker> {
  // Named at run time: the folder is a language's own, and this harness works without it.
  const module = new URL('../apache-kafka/start.ts', import.meta.url).href
  const { startApacheKafka } = (await import(module)) as { startApacheKafka: () => Promise<ApacheKafka> }
  const kafka = await startApacheKafka()
  let restarting = Promise.resolve()
  return {
    kind: 'apache-kafka',
    title: `Apache Kafka ${kafka.version}`,
    host: kafka.host,
    port: kafka.port,
    dataDir: kafka.dataDir,
    restart: () => {
      restarting = restarting.catch(() => undefined).then(() => kafka.restart())
      return restarting
    },
    complaint: async () => {
      await restarting.catch(() => undefined)
      return silenceOf(kafka.host, kafka.port)
    },
    [Symbol.asyncDispose]: () => kafka.stop(),
  }
}

export function runningBroker(address: string): Broker {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  const port = Number(address.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`${address} is no HOST:PORT`)
  }
  return {
    kind: 'running',
    title: address,
    host,
    port,
    dataDir: null,
    restart: null,
    complaint: () => silenceOf(host, port),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

export const bootstrapOf = ({ host, port }: Broker) => `${host}:${port}`

/** Null where a connection can be made. */
async function silenceOf(host: string, port: number): Promise<string | null> {
  try {
    await using _client = await KafkaClient.connect(port, host)
    return null
  } catch (error) {
    return `the broker does not take connections (${error instanceof Error ? error.message : String(error)})`
  }
}
