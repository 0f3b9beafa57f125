/**
 * The text protocol against Kafka's: as many connections, each with one record of 1 KiB under way at a time, which a PUT or a
 * produce request of a single record brings; synced either way. Both share the group commit, so what differs is the door.
 *
 *     node bench/text.ts
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { cpus, totalmem } from 'node:os'
import { flattenRope, ropeOf } from '../src/base/rope.ts'
import { apis } from '../src/wire/api-keys.ts'
import { buildBatch } from '../src/wire/build-batch.ts'
import { encodeRequest } from '../src/wire/exchange.ts'
import { KafkaClient } from '../test/support/kafka-client.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { TextClient, textFrame } from '../test/support/text-client.ts'
import { Tidelog } from '../test/support/tidelog.ts'

const connections = 16
const valueBytes = 1024
/** Short and in turns: what else the machine does then falls on both. */
const runMs = 700
const rounds = 15

const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()
const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0]
console.log(`${new Date().toISOString().slice(0, 10)}, ${commit || 'no commit'}, node ${process.version}`)
console.log(`${cpus().length} × ${cpus()[0]?.model}, ${(totalmem() / 1e9).toFixed(0)} GB; load before: ${load}`)

await using dir = await tempDir()
await using tidelog = await Tidelog.start({ dataDir: dir.path, textPort: 0, set: { 'log.retention.bytes': 512 << 20 } })
{
  await using text = await TextClient.connect(tidelog.textPort)
  await text.say('REGISTER by-text')
  await using kafka = await KafkaClient.connect(tidelog.port)
  await kafka.createTopic('by-kafka', 1)
}
const value = 'x'.repeat(valueBytes)
const doors = {
  text: { port: tidelog.textPort, request: textFrame(`PUT by-text ${value}`), replyBytes: textReply },
  kafka: { port: tidelog.port, request: produceRequest(), replyBytes: kafkaReply },
}

await drive(doors.text, 1_000)
await drive(doors.kafka, 1_000)
const rates: Record<keyof typeof doors, number[]> = { text: [], kafka: [] }
for (let round = 0; round < rounds; round++) {
  for (const name of ['kafka', 'text'] as const) rates[name].push(await drive(doors[name], runMs))
}
for (const name of ['kafka', 'text'] as const) {
  const sorted = rates[name].toSorted((a, b) => a - b)
  const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map(rate =>
    (rate ?? 0).toFixed(0),
  )
  console.log(`${name.padEnd(6)} median ${median}, ${least} to ${most} records/s`)
}
const ratio = mean(rates.text) / mean(rates.kafka)
console.log(`text / kafka: ${(ratio * 100).toFixed(0)} % (at least 60 %)`)

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function produceRequest(): Buffer {
  const records = ropeOf(buildBatch([{ value, timestampMs: Date.now() }]))
  const topicData = [{ name: 'by-kafka', partitionData: [{ index: 0, records }] }]
  const body = { acks: -1, timeoutMs: 30_000, topicData }
  return flattenRope(encodeRequest(apis.produce, 9, { correlationId: 1, clientId: 'bench' }, body))
}

/** Of the reply that begins a buffer; 0 while its length is not there. */
function textReply(bytes: Buffer): number {
  if (bytes.length < 4) return 0
  if (bytes.length >= 7 && bytes.toString('latin1', 4, 6) !== 'OK') throw new Error(`refused: ${bytes}`)
  return 4 + bytes.readUInt32LE(0)
}

function kafkaReply(bytes: Buffer): number {
  return bytes.length < 4 ? 0 : 4 + bytes.readUInt32BE(0)
}

interface Drive {
  readonly port: number
  readonly request: Buffer
  readonly replyBytes: (bytes: Buffer) => number
}

/** Records per second: each connection sends its next when the one before is acknowledged. */
async function drive({ port, request, replyBytes }: Drive, forMs: number): Promise<number> {
  let acknowledged = 0
  const beganMs = performance.now()
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(request))
      let held = Buffer.alloc(0)
      socket.on('data', chunk => {
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
        const length = replyBytes(held)
        if (length === 0 || held.length < length) return
        held = held.subarray(length)
        acknowledged++
        if (performance.now() - beganMs < forMs) socket.write(request)
        else socket.end()
      })
      socket.on('error', reject)
      socket.on('close', () => resolve())
    })
  await Promise.all(Array.from({ length: connections }, one))
  return acknowledged / ((performance.now() - beganMs) / 1_000)
}
