/**
 * Starts Apache Kafka: one node, from the artifacts that its project publishes, with its data in a temporary folder.
 *
 * As a program (`node conformance/apache-kafka/start.ts`) it prints the address and runs until standard input ends.
 * As a module: `startApacheKafka()`, and the caller stops it.
 *
 * Configs are Kafka's defaults, except for what one node and a test make necessary: internal topics with one replica, and no wait
 * before the first rebalance of a group.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { steadyPort } from '../../test/support/tidelog.ts'
import { classPath, QUICK_START } from '../java/maven.ts'

const HOST = '127.0.0.1'
const START_MS = 60_000
/** What an orderly stop may take; afterwards the process is killed. */
const STOP_MS = 20_000
const COMPLAINT_CHARACTERS_MAX = 4000

export interface ApacheKafka {
  readonly host: string
  readonly port: number
  readonly version: string
  /** Where the segments lie. */
  readonly dataDir: string
  /** Ends the node and removes its data. */
  stop(): Promise<void>
  /** Stops the node in order and starts it again: same address, same data. */
  restart(): Promise<void>
}

/** Starts a node and resolves when it answers. `configs` are added to the broker's own. */
export async function startApacheKafka(configs: Readonly<Record<string, string>> = {}): Promise<ApacheKafka> {
  const folder = import.meta.dirname
  const classes = await classPath(join(folder, 'pom.xml'), folder, join(folder, '..', '.cache', 'apache-kafka'))
  const home = await mkdtemp(join(tmpdir(), 'apache-kafka-'))
  // Kafka must know its ports before it starts, and keeps them while it is down.
  const port = await steadyPort()
  const controllerPort = await steadyPort()
  const dataDir = join(home, 'data')
  const propertiesFile = join(home, 'server.properties')
  await writeFile(propertiesFile, properties({ ...serverConfigs(port, controllerPort, dataDir), ...configs }))

  let node = await Node.start(classes, propertiesFile).catch(async error => {
    await rm(home, { recursive: true, force: true })
    throw error
  })
  return {
    host: HOST,
    port,
    version: node.version,
    dataDir,
    async stop() {
      await node.stop()
      await rm(home, { recursive: true, force: true })
    },
    async restart() {
      await node.stop()
      node = await Node.start(classes, propertiesFile)
    },
  }
}

/** One run of the process. */
class Node {
  readonly version: string
  readonly #process: ChildProcess

  private constructor(process: ChildProcess, version: string) {
    this.#process = process
    this.version = version
  }

  static async start(classes: string, propertiesFile: string): Promise<Node> {
    const flags = [
      ...QUICK_START,
      ...['-Xms128m', '-Xmx320m', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'],
      // Codecs unpack their native parts there, and a process that is killed leaves them.
      `-Djava.io.tmpdir=${dirname(propertiesFile)}`,
    ]
    const child = spawn('java', [...flags, '-cp', classes, 'ApacheKafka', propertiesFile], { stdio: 'pipe' })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-COMPLAINT_CHARACTERS_MAX)
    })
    // A write to a process that is gone: its exit says more.
    child.stdin.on('error', () => {})
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS)
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        const ready = /^ready (\S+)$/.exec(line)
        if (ready !== null) return new Node(child, ready[1]!)
      }
    } finally {
      clearTimeout(timer)
    }
    throw new Error(`Apache Kafka did not start:\n${complaint}`)
  }

  async stop(): Promise<void> {
    const child = this.#process
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    // A word before the end says that somebody is left who looks after the files.
    child.stdin!.end('stop\n')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await exited
    clearTimeout(timer)
  }
}

function serverConfigs(port: number, controllerPort: number, dataDir: string): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.quorum.bootstrap.servers': `${HOST}:${controllerPort}`,
    'log.dirs': dataDir,
    'group.initial.rebalance.delay.ms': '0',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // It would take 128 MiB of a small heap.
    'log.cleaner.dedupe.buffer.size': String(8 * 1024 * 1024),
    'num.network.threads': '2',
    'num.io.threads': '4',
  }
}

const properties = (configs: Readonly<Record<string, string>>): string =>
  Object.entries(configs)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')

if (import.meta.main) {
  const kafka = await startApacheKafka()
  process.stdout.write(`${kafka.host}:${kafka.port}\n`)
  process.stderr.write(`Apache Kafka ${kafka.version}, data in ${kafka.dataDir}; runs until standard input ends\n`)
  const ended = new Promise<void>(resolve => {
    process.stdin
      .once('end', resolve)
      .once('error', () => resolve())
      .resume()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
  await ended
  await kafka.stop()
  process.exit(0)
}
