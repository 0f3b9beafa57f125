/** The text protocol through its socket: every reply and error byte for byte, and what becomes of bad bytes and bad clients. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { apis } from '../../src/wire/api-keys.ts'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TextClient, textFrame } from '../support/text-client.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

const length = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const long = (bytes: number) => 'x'.repeat(bytes)

/** On one connection each, in this order: what is sent, and all that comes back, as bytes. */
const golden: readonly (readonly [what: string, sent: readonly (Buffer | string)[], replies: readonly string[]])[] = [
  [
    "the five commands, by Walrus' own words",
    [
      'REGISTER logs',
      'REGISTER logs',
      'PUT logs hello',
      'PUT logs "two  words"',
      'GET logs',
      'GET logs',
      'GET logs',
    ].map(textFrame),
    ['OK', 'OK', 'OK', 'OK', 'OK hello', 'OK "two  words"', 'EMPTY'],
  ],
  [
    'all in one packet',
    [
      Buffer.concat(
        ['PUT logs a', 'GET logs', 'PUT logs b', 'PUT logs c', 'GET logs', 'GET logs', 'GET logs'].map(textFrame),
      ),
    ],
    ['OK', 'OK a', 'OK', 'OK', 'OK b', 'OK c', 'EMPTY'],
  ],
  [
    'what is left out',
    ['REGISTER', 'PUT', 'PUT logs', 'PUT logs ', 'GET', 'STATE', 'SKIP', 'FETCH', 'FETCH logs 1'].map(textFrame),
    [
      'ERR REGISTER requires a topic',
      'ERR PUT requires a topic',
      'ERR PUT requires a payload',
      'ERR PUT requires a payload',
      'ERR GET requires a topic',
      'ERR STATE requires a topic',
      'ERR SKIP requires a topic',
      'ERR FETCH requires a topic',
      'ERR FETCH requires a segment and an offset',
    ],
  ],
  [
    'what does not exist',
    [
      'PUT none x',
      'GET none',
      'STATE none',
      'SKIP none',
      'FETCH none 1 0',
      'FETCH logs 9 0',
      'FLUSH',
      'get logs',
      ' ',
    ].map(textFrame),
    [
      'ERR unknown topic none',
      'ERR unknown topic none',
      'ERR unknown topic none',
      'ERR unknown topic none',
      'ERR unknown topic none',
      'ERR unknown segment 9',
      'ERR unknown command',
      'ERR unknown command',
      'ERR unknown command',
    ],
  ],
  [
    'names that no topic has',
    ['REGISTER  x', 'REGISTER a/b', `PUT ${long(250)} x`, 'GET ..', 'REGISTER __consumer_offsets'].map(textFrame),
    Array.from({ length: 5 }, () => 'ERR invalid topic name'),
  ],
  ['a frame of nothing, then a good one', [length(0), textFrame('GET logs')], ['ERR invalid frame length', 'EMPTY']],
  [
    'the longest frame, and one that is a byte longer',
    [textFrame(`PUT logs ${long(65_527)}`), textFrame(`PUT logs ${long(65_528)}`), textFrame('GET logs')],
    ['OK', 'ERR invalid frame length', `OK ${long(65_527)}`],
  ],
  [
    'a frame of 16 MiB, all of which is dropped',
    [length(16 << 20), Buffer.alloc(16 << 20), textFrame('GET logs')],
    ['ERR invalid frame length', 'EMPTY'],
  ],
  [
    'what is no UTF-8',
    [textFrame(Buffer.from([0x50, 0xff])), textFrame(Buffer.from([0xc3])), textFrame('GET logs')],
    ['ERR invalid utf-8', 'ERR invalid utf-8', 'EMPTY'],
  ],
  [
    'text of every kind',
    [textFrame('PUT logs  ü 🌊 \\n\n{"a":1}\t\r\n'), textFrame('GET logs')],
    ['OK', 'OK  ü 🌊 \\n\n{"a":1}'],
  ],
  [
    'records that are read without a cursor',
    ['FETCH logs 1 0', 'FETCH logs 1 1', 'FETCH logs 1 999'].map(textFrame),
    ['OK 1 hello', 'OK 2 "two  words"', 'EMPTY'],
  ],
  [
    'a cursor of a group',
    ['GET logs g', 'GET logs g', `GET logs ${long(250)}`].map(textFrame),
    ['OK hello', 'OK "two  words"', 'ERR invalid group name'],
  ],
]

/** In lines, likewise; what comes back is one text. */
const lines: readonly (readonly [what: string, sent: string, replies: string])[] = [
  ['commands', 'REGISTER l\nPUT l hello\nGET l\nGET l\n', 'OK\nOK\nOK hello\nEMPTY\n'],
  ['with CR LF', 'PUT l hello\r\nGET l\r\n', 'OK\nOK hello\n'],
  ['with newlines and backslashes inside', 'PUT l a\\nb\\\\n\\t\nGET l\n', 'OK\nOK a\\nb\\\\n\\\\t\n'],
  [
    'that are empty or no commands',
    'HELLO\n\nPUT\n',
    'ERR unknown command\nERR unknown command\nERR PUT requires a topic\n',
  ],
  ['of which the last has no end', 'PUT l whole\nPUT l cut o', 'OK\n'],
  ['of which one is too long', `PUT l ${long(65_536)}\nGET l\n`, 'ERR line too long\nOK whole\n'],
]

describe('the text protocol', () => {
  let dir: Awaited<ReturnType<typeof tempDir>>
  let tidelog: Tidelog

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path, textPort: 0, httpPort: 0 })
  })
  after(async () => {
    await tidelog.stop()
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
    await dir[Symbol.asyncDispose]()
  })

  for (const [what, sent, replies] of golden) {
    it(`answers ${what}`, async () => {
      await using client = await TextClient.connect(tidelog.textPort)
      for (const bytes of sent) client.write(bytes)
      const got = []
      for (const _ of replies) got.push(await client.reply())
      assert.deepEqual(got, replies)
      client.socket.end()
      assert.equal((await client.rest()).length, 0)
    })
  }

  for (const [what, sent, replies] of lines) {
    it(`answers lines ${what}`, async () => {
      await using client = await TextClient.connect(tidelog.textPort)
      client.write(sent)
      client.socket.end()
      assert.equal((await client.rest()).toString(), replies)
    })
  }

  it('answers STATE and METRICS with bare JSON, in a line where replies are lines', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    const state = await client.say('STATE logs')
    assert.match(state, /^\{"current_segment":1,"leader_node":1,"last_sealed_entry_offset":0,"sealed_segments":\{\},/)
    const metrics = await client.say('METRICS')
    assert.match(metrics, /^\{\n {2}"running_state": \{\n/)
    const { replication, last_log_index, membership_config } = JSON.parse(metrics)
    assert.ok(last_log_index > 0 && replication['1'].index >= last_log_index)
    assert.deepEqual(membership_config.membership.configs, [[1]])
    await using typist = await TextClient.connect(tidelog.textPort)
    typist.write('METRICS\nSTATE logs\nHELP\n')
    assert.equal(JSON.parse(await typist.line()).id, 1)
    assert.deepEqual(JSON.parse(await typist.line()), JSON.parse(state))
    assert.match(await typist.line(), /^OK REGISTER .*PUT .*GET .*SKIP .*FETCH .*STATE .*METRICS .*HELP$/)
  })

  it('sends the length and the text of a reply together', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    for (let i = 0; i < 20; i++) {
      client.write(textFrame('HELP'))
      await eventually(5_000, 'a reply', () => client.chunks.length > 0, 1)
      assert.equal(client.chunks[0]?.length, 4 + (client.chunks[0]?.readUInt32LE(0) ?? 0))
      await client.reply()
    }
  })

  it('understands a frame that comes byte by byte, and lines of people who are slow', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    for (const byte of textFrame('GET none')) {
      client.write(Buffer.from([byte]))
      await sleep(2)
    }
    assert.equal(await client.reply(), 'ERR unknown topic none')
    await using typist = await TextClient.connect(tidelog.textPort)
    for (const piece of ['G', 'E', 'T', ' none', '\r', '\n']) {
      typist.write(piece)
      await sleep(5)
    }
    assert.equal(await typist.line(), 'ERR unknown topic none')
  })

  it('says nothing to a frame that is cut off', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    client.write(textFrame('PUT logs whole').subarray(0, -3))
    client.socket.end()
    assert.equal((await client.rest()).length, 0)
  })

  it('hangs up on HTTP, which pages in a browser can send to any port', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    client.write('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nREGISTER evil\nPUT evil x\n')
    assert.equal((await client.rest()).length, 0)
    await using other = await TextClient.connect(tidelog.textPort)
    assert.equal(await other.say('STATE evil'), 'ERR unknown topic evil')
  })

  it('gives up a frame of gigabytes after 16 MiB, having said why', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    client.write(length(0xffff_fff0))
    assert.equal(await client.reply(), 'ERR invalid frame length')
    const chunk = Buffer.alloc(1 << 20)
    for (let i = 0; i < 18; i++) client.write(chunk)
    assert.equal((await client.rest()).length, 0)
  })

  it('gives what PUT wrote to Kafka clients, and what they wrote to GET', async () => {
    await using kafka = await KafkaClient.connect(tidelog.port)
    await using client = await TextClient.connect(tidelog.textPort)
    assert.equal(await client.say('REGISTER both'), 'OK')
    assert.equal(await client.say('PUT both from text'), 'OK')
    const records = [{ value: 'from kafka' }, { value: Buffer.from([0xff]) }, { value: 'after' }]
    await kafka.produce('both', 0, buildBatch(records, { baseTimestamp: Date.now() }))
    const { batches } = await kafka.fetch('both', 0, 0)
    assert.equal(batches[0]?.records[0]?.value?.toString(), 'from text')
    const got = []
    for (const command of ['GET', 'GET', 'GET', 'GET', 'SKIP', 'SKIP', 'GET', 'SKIP'])
      got.push(await client.say(`${command} both`))
    const noText = 'ERR value is not text'
    assert.deepEqual(got, [
      'OK from text',
      'OK from kafka',
      noText,
      noText,
      'OK',
      'ERR value is text',
      'OK after',
      'EMPTY',
    ])
  })

  it('shows its cursor to Kafka’s tools as a group that nobody can join', async () => {
    await using kafka = await KafkaClient.connect(tidelog.port)
    await using client = await TextClient.connect(tidelog.textPort)
    for (const command of ['REGISTER seen', 'PUT seen a', 'PUT seen b', 'PUT seen c']) await client.say(command)
    assert.equal(await client.say('GET seen'), 'OK a')
    const group = await eventually(5_000, 'the commit', async () => {
      const path = `http://localhost:${tidelog.httpPort}/api/v1/groups/text`
      const shown = (await (await fetch(path)).json()) as { offsets: { topic: string; offset: number; lag: number }[] }
      return shown.offsets.find(({ topic, offset }) => topic === 'seen' && offset === 1)
    })
    assert.equal(group.lag, 2)
    const { groups } = await kafka.call(apis.listGroups, 4, { statesFilter: [] })
    assert.ok(groups.some(({ groupId, groupState }) => groupId === 'text' && groupState === 'Empty'))
    const join = { groupId: 'text', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: '' }
    const joined = await kafka.call(apis.joinGroup, 4, { ...join, protocolType: 'consumer', protocols: [] })
    assert.equal(kafkaErrorName(joined.errorCode), 'INVALID_GROUP_ID')
  })

  it('does not read on from who does not read', async () => {
    await using client = await TextClient.connect(tidelog.textPort)
    await client.say('REGISTER big')
    await client.say(`PUT big ${long(60_000)}`)
    client.socket.pause()
    const before = tidelog.residentBytes
    const command = textFrame('FETCH big 1 0')
    const commands = Buffer.concat(Array.from({ length: 5_000 }, () => command))
    client.write(commands)
    await sleep(500)
    assert.ok(tidelog.residentBytes - before < 100 << 20, '300 MB of replies are not held')
    await using other = await TextClient.connect(tidelog.textPort)
    assert.match(await other.say('FETCH big 1 0'), /^OK 1 x/)
  })

  it('takes longer frames where the broker is told to', async () => {
    await using own = await tempDir()
    await using raised = await Tidelog.start({
      dataDir: own.path,
      textPort: 0,
      set: { 'text.max.frame.bytes': 500_000 },
    })
    await using client = await TextClient.connect(raised.textPort)
    assert.equal(await client.say('REGISTER t'), 'OK')
    assert.equal(await client.say(`PUT t ${long(499_000)}`), 'OK')
    assert.equal(await client.say('GET t'), `OK ${long(499_000)}`)
    assert.equal(await client.say(`PUT t ${long(500_000)}`), 'ERR invalid frame length')
    assert.equal(await client.say('GET t'), 'EMPTY')
  })
})
