/** The agent of kcat: each verb is a run of the command line, and a member of a group one that stays. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { ConsumedRecord, Fields, Ok, ProduceRecord, ReceivedRecord } from '../harness/protocol.ts'
import { BulkCount, bulkValue, CannotDo, CodedError, type Handlers, inTime, serve } from '../javascript/serve.ts'

const giveUpMs = 18_000
/** Between key and value, and between records: none of them stands in what scenarios write. */
const keyEnd = '\x01'
const recordEnd = '\x02'

const common: readonly string[] = [
  ...['reconnect.backoff.ms=100', 'reconnect.backoff.max.ms=1000', 'message.max.bytes=8388608'],
].flatMap(setting => ['-X', setting])

let bootstrap = ''
const children = new Set<ChildProcessWithoutNullStreams>()

function start(args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn('kcat', ['-b', bootstrap, ...common, ...args], { stdio: 'pipe' })
  children.add(child)
  child.on('close', () => children.delete(child))
  child.stdin.on('error', () => undefined)
  child.stdout.setEncoding('utf8')
  child.stderr.setEncoding('utf8').on('data', text => process.stderr.write(text))
  return child
}

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs to the end, or for so long. */
async function run(args: readonly string[], input: Iterable<string>, limitMs: number): Promise<Run> {
  const child = start(args)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', text => {
    stdout += text
  })
  child.stderr.on('data', text => {
    stderr += text
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  void feed(child, input)
  const code = await new Promise<number | null>(resolve => {
    child.on('error', () => resolve(null))
    child.on('close', resolve)
  })
  clearTimeout(timer)
  return { code, stdout, stderr }
}

async function feed({ stdin }: ChildProcessWithoutNullStreams, input: Iterable<string>): Promise<void> {
  for (const text of input) {
    if (!stdin.write(text)) await new Promise(resolve => stdin.once('drain', resolve).once('close', resolve))
  }
  stdin.end()
}

/** librdkafka's sentences, as kcat prints them, with Kafka's names. */
const sentences: readonly (readonly [RegExp, string])[] = [
  [/Message size too large/, 'MESSAGE_TOO_LARGE'],
  [/Unknown topic or partition|Unknown partition|Unknown topic/, 'UNKNOWN_TOPIC_OR_PARTITION'],
  [/[Tt]imed out/, 'REQUEST_TIMED_OUT'],
]

function failureOf({ code, stderr }: Run): CodedError {
  const found = sentences.find(([sentence]) => sentence.test(stderr))
  return new CodedError(found?.[1] ?? 'CLIENT', `kcat ended with ${code}: ${stderr.trim().slice(0, 300)}`)
}

/** One run takes records of one partition with the same headers, all with a key or all without. */
function kindOf({ partition, key, headers }: ProduceRecord): string {
  return JSON.stringify([partition, key == null, headers ?? []])
}

async function produce({ topic, codec, acks, idempotent, records }: Fields<'produce'>): Promise<Ok<'produce'>> {
  if (records.some(({ timestamp }) => timestamp != null)) throw new CannotDo('kcat sets no timestamps')
  if (records.some(({ key, value }) => key === '' || value === '')) {
    throw new CannotDo('kcat has one notation for what is empty and what is null')
  }
  for (let from = 0; from < records.length; ) {
    const first = records[from]!
    let to = from + 1
    while (to < records.length && kindOf(records[to]!) === kindOf(first)) to++
    const args = ['-P', '-t', topic, '-p', `${first.partition}`, '-z', codec, '-D', recordEnd, '-Z']
    const settings = [
      `acks=${idempotent ? -1 : acks}`,
      `enable.idempotence=${idempotent}`,
      `message.timeout.ms=${giveUpMs - 2_000}`,
    ]
    const keys = first.key == null ? [] : ['-K', keyEnd]
    const headers = (first.headers ?? []).flatMap(([name, value]) => ['-H', `${name}=${value}`])
    const lines = records.slice(from, to).map(lineOf)
    const ran = await run([...args, ...settings.flatMap(each => ['-X', each]), ...keys, ...headers], lines, giveUpMs)
    if (ran.code !== 0 || /Delivery failed|ERROR/.test(ran.stderr)) throw failureOf(ran)
    from = to
  }
  return { offsets: records.map(() => -1) }
}

function lineOf({ key, value, valueBytes }: ProduceRecord): string {
  const text = valueBytes == null ? (value ?? '') : 'x'.repeat(valueBytes)
  return `${key == null ? '' : `${key}${keyEnd}`}${text}${recordEnd}`
}

async function produceMany(fields: Fields<'produceMany'>): Promise<Ok<'produceMany'>> {
  const { topic, partitions, count, valueBytes, codec, idempotent } = fields
  for (let partition = 0; partition < partitions; partition++) {
    const args = ['-P', '-t', topic, '-p', `${partition}`, '-z', codec, '-X', `enable.idempotence=${idempotent}`]
    const ran = await run(args, bulkLines(partition, partitions, count, valueBytes), 110_000 / partitions)
    if (ran.code !== 0) throw failureOf(ran)
  }
  // Exit code 0: kcat has seen every one of them acknowledged.
  return { acknowledged: count }
}

function* bulkLines(from: number, step: number, count: number, valueBytes: number): Generator<string> {
  const chunk = 1_000
  for (let i = from; i < count; i += step * chunk) {
    const size = Math.min(chunk, Math.ceil((count - i) / step))
    yield Array.from({ length: size }, (_, at) => `${bulkValue(i + at * step, valueBytes)}\n`).join('')
  }
}

/** A record as `kcat -J` prints it. */
interface Printed {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly ts?: number
  readonly headers?: readonly string[]
  readonly key: string | null
  readonly payload: string | null
}

async function consume({ topic, partition, from, count, timeoutMs }: Fields<'consume'>): Promise<Ok<'consume'>> {
  const args = ['-C', '-t', topic, '-p', `${partition}`, '-o', `${from}`, '-c', `${count}`, '-J', '-q', '-u']
  const ran = await run([...args, '-X', 'fetch.wait.max.ms=200'], [], timeoutMs)
  const printed = ran.stdout.split('\n').filter(line => line.endsWith('}'))
  if (printed.length === 0 && ran.code !== 0 && ran.code !== null) throw failureOf(ran)
  return { records: printed.map(line => consumedOf(JSON.parse(line) as Printed)) }
}

function consumedOf({ offset, ts = -1, headers = [], key, payload }: Printed): ConsumedRecord {
  const pairs = Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i]!, headers[2 * i + 1]!] as const)
  return { offset, key, value: payload, headers: pairs, timestamp: ts }
}

async function countAll({ topic, timeoutMs }: Fields<'countAll'>): Promise<Ok<'countAll'>> {
  const child = start(['-C', '-t', topic, '-o', 'beginning', '-e', '-q'])
  const counted = new BulkCount()
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  for await (const line of createInterface({ input: child.stdout })) counted.add(line)
  clearTimeout(timer)
  return { received: counted.received, distinct: counted.distinct }
}

async function offsets({ topic, partition, at }: Fields<'offsets'>): Promise<Ok<'offsets'>> {
  const time = at === 'earliest' ? -2 : at === 'latest' ? -1 : at
  const ran = await run(['-Q', '-t', `${topic}:${partition}:${time}`], [], giveUpMs)
  const offset = /offset (-?\d+)/.exec(ran.stdout)?.[1]
  if (offset === undefined) throw failureOf(ran)
  return { offset: Math.max(Number(offset), -1) }
}

/** All topics are asked for: a question for one would create it. */
async function describeTopic({ topic }: Fields<'describeTopic'>): Promise<Ok<'describeTopic'>> {
  const ran = await run(['-L', '-J'], [], giveUpMs)
  if (ran.code !== 0) throw failureOf(ran)
  const { topics } = JSON.parse(ran.stdout) as { topics: { topic: string; partitions: unknown[] }[] }
  const found = topics.find(each => each.topic === topic)
  if (found === undefined) throw new CodedError('UNKNOWN_TOPIC_OR_PARTITION', 'not in the list of topics')
  return { partitions: found.partitions.length }
}

/** kcat commits by itself what it has printed: every so often, when partitions go, and at its end. */
const commitMs = 100
const neverMs = 86_400_000

/** kcat ends when its only broker is away. A member is started again then, as a service manager would. */
const startAgainMs = 500

class Member {
  readonly #args: readonly string[]
  #child: ChildProcessWithoutNullStreams
  #ended: Promise<void>
  #isLeaving = false
  #received: ReceivedRecord[] = []
  #partitions: string[] = []
  #rebalances = 0

  constructor({ group, topics, sessionTimeoutMs, instanceId, assignor, commit }: Fields<'join'>) {
    const settings = [
      `session.timeout.ms=${sessionTimeoutMs}`,
      `heartbeat.interval.ms=${Math.min(500, Math.floor(sessionTimeoutMs / 3))}`,
      `max.poll.interval.ms=${Math.max(10_000, sessionTimeoutMs)}`,
      `partition.assignment.strategy=${assignor}`,
      'enable.auto.commit=true',
      `auto.commit.interval.ms=${commit ? commitMs : neverMs}`,
      'auto.offset.reset=earliest',
      'fetch.wait.max.ms=200',
      ...(instanceId == null ? [] : [`group.instance.id=${instanceId}`]),
    ]
    this.#args = ['-G', group, ...topics, '-J', '-u', ...settings.flatMap(each => ['-X', each])]
    this.#child = start(this.#args)
    this.#ended = this.#watch()
  }

  assignment(): Ok<'assignment'> {
    return { partitions: this.#partitions, rebalances: this.#rebalances }
  }

  received(): Ok<'received'> {
    return { records: this.#received.splice(0) }
  }

  /** On SIGINT kcat commits and leaves. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    this.#child.kill('SIGINT')
    await this.#ended
  }

  #watch(): Promise<void> {
    const child = this.#child
    createInterface({ input: child.stdout }).on('line', line => this.#onRecord(line))
    createInterface({ input: child.stderr }).on('line', line => this.#onNews(line))
    return new Promise(resolve => {
      child.on('close', code => {
        this.#partitions = []
        resolve()
        if (this.#isLeaving) return
        process.stderr.write(`kcat ended by itself (exit code ${code}), and is started again\n`)
        setTimeout(() => this.#startAgain(), startAgainMs)
      })
    })
  }

  #startAgain(): void {
    if (this.#isLeaving) return
    this.#child = start(this.#args)
    this.#ended = this.#watch()
  }

  #onRecord(line: string): void {
    const { topic, partition, offset, payload } = JSON.parse(line) as Printed
    this.#received.push({ topic, partition, offset, value: payload })
  }

  /** `% Group g rebalanced (memberid m): assigned: t [0], t [1]`; with the cooperative protocol `incremental assignment of …`. */
  #onNews(line: string): void {
    const isAssigned = / rebalanced.*: (?:assigned|incremental assignment)/.test(line)
    if (!isAssigned && !/ rebalanced.*: (?:revoked|incremental revoke)/.test(line)) return
    const named = [...line.matchAll(/(\S+) \[(\d+)\]/g)].map(([, topic, partition]) => `${topic}-${partition}`)
    if (isAssigned) this.#rebalances++
    const others = this.#partitions.filter(each => !named.includes(each))
    this.#partitions = (isAssigned ? [...others, ...named] : others).sort()
  }
}

const members = new Map<string, Member>()

function memberOf(name: string): Member {
  const member = members.get(name)
  if (member === undefined) throw new CodedError('CLIENT', `there is no member ${name}`)
  return member
}

const handlers: Handlers = {
  hello(fields) {
    bootstrap = fields.bootstrap
    const { stdout } = spawnSync('kcat', ['-V'], { encoding: 'utf8' })
    const own = /Version (\S+)/.exec(stdout)?.[1] ?? 'unknown'
    const library = /librdkafka ([\d.]+)/.exec(stdout)?.[1]
    return { client: 'kcat', version: library === undefined ? own : `${own} (librdkafka ${library})` }
  },
  describeTopic,
  produce,
  produceMany,
  consume,
  countAll,
  offsets,
  join(fields) {
    const name = `kcat-${members.size + 1}`
    members.set(name, new Member(fields))
    return { member: name }
  },
  assignment: ({ member }) => memberOf(member).assignment(),
  received: ({ member }) => memberOf(member).received(),
  async leave({ member }) {
    await inTime(giveUpMs, 'leave', memberOf(member).leave())
    return {}
  },
}

await serve({
  handlers,
  absent: 'kcat has no admin requests, commits or seeks of its own',
  codeOf: () => null,
  async close() {
    await Promise.all([...members.values()].map(member => member.leave()))
    for (const child of children) child.kill('SIGKILL')
  },
})
