import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { offset } from '../../base/ids.ts'
import { flattenRope, ropeOf } from '../../base/rope.ts'
import type { Clock } from '../../io/clock.ts'
import { MemoryDisk } from '../../sim/disk.ts'
import { apis } from '../../wire/api-keys.ts'
import { type BatchOptions, buildBatch, type RecordDraft } from '../../wire/build-batch.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import type { Door } from '../door.ts'
import { machineClock, startNode, type TestNode, type TestNodeOptions } from '../testing/engine-broker.ts'
import { helpText, parseCommand } from './commands.ts'
import { type CursorBounds, Cursors } from './cursors.ts'
import type { CursorDoor } from './partition-cursor.ts'
import { TextDoor, type TextReply } from './text-door.ts'

interface Rig extends AsyncDisposable {
  readonly node: TestNode
  readonly text: TextDoor
  /** The reply, without saying what became of it. */
  ask(command: string): Promise<TextReply>
  /** The reply, sent. */
  say(command: string): Promise<string>
}

function inflating() {
  const decompress = async (_codec: string, bytes: Parameters<typeof flattenRope>[0]) => gunzipSync(flattenRope(bytes))
  return { decompress, compress: () => Promise.reject(new Error('nothing is compressed')) }
}

/** What a process leaves that was killed must not keep this one. */
const clock: Clock = {
  ...machineClock,
  setTimer(delayMs, task) {
    const timer = setTimeout(task, delayMs).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

function bindAll(door: CursorDoor, commit: CursorDoor['commit']): CursorDoor {
  return {
    topic: name => door.topic(name),
    read: ask => door.read(ask),
    committed: (groupId, topic) => door.committed(groupId, topic),
    joined: groupId => door.joined(groupId),
    commit,
  }
}

async function rig(disk: MemoryDisk, options: TestNodeOptions & { bounds?: Partial<CursorBounds> } = {}): Promise<Rig> {
  const set = { 'offsets.topic.num.partitions': '1', ...options.set }
  const node = await startNode(disk, { compute: inflating(), clock, ...options, set })
  const { engine, broker } = node
  const { bounds = {} } = options
  const text = new TextDoor({
    door: broker.door('User:t'),
    clock,
    nodeId: engine.nodeId,
    clusterId: engine.clusterId,
    raft: () => engine.raft,
    address: () => 'localhost:9091',
    bounds,
  })
  const ask = (command: string) => text.run(parseCommand(command))
  return {
    node,
    text,
    ask,
    async say(command) {
      const { text, settled } = await ask(command)
      settled?.(true)
      return text
    },
    async [Symbol.asyncDispose]() {
      await text.close()
      await node[Symbol.asyncDispose]()
    },
  }
}

/** Over a door of which some calls are others. */
function changed({ node: { broker, engine } }: Rig, change: (door: Door) => Partial<Door>): TextDoor {
  const door = broker.door('User:t')
  const changes = change(door)
  const get = (_target: Door, name: keyof Door) => changes[name] ?? door[name].bind(door)
  const { nodeId, clusterId } = engine
  const rest = { clock, nodeId, clusterId, raft: () => engine.raft, address: () => '' }
  return new TextDoor({ door: new Proxy(door, { get: get as ProxyHandler<Door>['get'] & {} }), ...rest })
}

/** As a Kafka client appends. */
async function append(
  { node }: Rig,
  topic: string,
  records: readonly RecordDraft[],
  more: BatchOptions = {},
  index = 0,
) {
  const batch = ropeOf(buildBatch(records, { baseTimestamp: Date.now(), ...more }))
  const topicData = [{ name: topic, partitionData: [{ index, records: batch }] }]
  const { responses } = await node.ask(apis.produce, 9, { acks: -1, timeoutMs: 1000, topicData })
  assert.equal(kafkaErrorName(responses[0]?.partitionResponses[0]?.errorCode ?? -1), 'NONE')
}

async function committed({ node }: Rig, topic: string, group = 'text'): Promise<unknown> {
  const done = await node.broker.door('User:x').committed(group, topic)
  return done.error === 'NONE' ? done.offsets : done.error
}

/** Commits follow by themselves. */
async function untilCommitted(rig: Rig, topic: string, expected: readonly (number | null)[], group?: string) {
  for (let i = 0; i < 500; i++) {
    if (JSON.stringify(await committed(rig, topic, group)) === JSON.stringify(expected)) return
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  assert.deepEqual(await committed(rig, topic, group), expected)
}

const long = 'x'.repeat(250)

/** Commands in their order, on a node that has nothing; `$` are replies whose shape is looked at elsewhere. */
const golden: readonly (readonly [command: string, reply: string])[] = [
  ['', 'ERR unknown command'],
  ['   ', 'ERR unknown command'],
  ['put logs x', 'ERR unknown command'],
  [' PUT logs x', 'ERR unknown command'],
  ['DELETE logs', 'ERR unknown command'],
  ['REGISTER', 'ERR REGISTER requires a topic'],
  ['REGISTER ', 'ERR REGISTER requires a topic'],
  ['PUT', 'ERR PUT requires a topic'],
  ['PUT logs', 'ERR PUT requires a payload'],
  ['PUT logs \t \u0085\u3000', 'ERR PUT requires a payload'],
  ['PUT logs x', 'ERR unknown topic logs'],
  ['GET', 'ERR GET requires a topic'],
  ['GET logs', 'ERR unknown topic logs'],
  ['STATE', 'ERR STATE requires a topic'],
  ['STATE logs', 'ERR unknown topic logs'],
  ['SKIP', 'ERR SKIP requires a topic'],
  ['SKIP logs', 'ERR unknown topic logs'],
  ['FETCH', 'ERR FETCH requires a topic'],
  ['FETCH logs 1 0', 'ERR unknown topic logs'],
  ['FETCH logs', 'ERR FETCH requires a segment and an offset'],
  ['FETCH logs 1', 'ERR FETCH requires a segment and an offset'],
  ['FETCH logs 1 x', 'ERR FETCH requires a segment and an offset'],
  ['FETCH logs 1 -1', 'ERR FETCH requires a segment and an offset'],
  ['REGISTER  two-spaces', 'ERR invalid topic name'],
  ['REGISTER a/b', 'ERR invalid topic name'],
  ['REGISTER ..', 'ERR invalid topic name'],
  [`REGISTER ${long}`, 'ERR invalid topic name'],
  ['REGISTER __consumer_offsets', 'ERR invalid topic name'],
  ['PUT .. x', 'ERR invalid topic name'],
  ['GET tö', 'ERR invalid topic name'],
  ['STATE a/b', 'ERR invalid topic name'],
  ['FETCH a/b 1 0', 'ERR invalid topic name'],
  ['REGISTER logs', 'OK'],
  ['REGISTER logs and more', 'OK'],
  ['GET logs', 'EMPTY'],
  ['SKIP logs', 'EMPTY'],
  ['PUT logs hello', 'OK'],
  ['PUT logs  "hi"  there \r\n', 'OK'],
  ['PUT logs one\ntwo', 'OK'],
  ['GET logs', 'OK hello'],
  ['SKIP logs', 'ERR value is text'],
  ['GET logs', 'OK  "hi"  there'],
  ['GET logs', 'OK one\ntwo'],
  ['GET logs', 'EMPTY'],
  ['GET logs somebody', 'OK hello'],
  ['GET logs some body', 'OK hello'],
  [`GET logs ${long}`, 'ERR invalid group name'],
  ['GET logs text', 'EMPTY'],
  ['FETCH logs 1 0', 'OK 1 hello'],
  ['FETCH logs 1 2 0', 'OK 3 one\ntwo'],
  ['FETCH logs 1 3', 'EMPTY'],
  ['FETCH logs 1 999999999999999', 'EMPTY'],
  ['FETCH logs 0 0', 'ERR unknown segment 0'],
  ['FETCH logs 2 0', 'ERR unknown segment 2'],
  ['FETCH logs 1 0 1', 'ERR unknown partition 1'],
  ['GET __consumer_offsets', 'ERR invalid topic name'],
  ['PUT __consumer_offsets x', 'ERR invalid topic name'],
  ['HELP', helpText],
  ['HELP me', helpText],
]

describe('commands', () => {
  it('are answered byte for byte', async () => {
    await using one = await rig(new MemoryDisk())
    for (const [command, reply] of golden) assert.equal(await one.say(command), reply, command)
  })

  it('without an end to their white space take no time', () => {
    assert.deepEqual(parseCommand(`PUT t ${' '.repeat(1 << 20)}x`).do, 'put')
  })

  it('of any kind are answered, and leave the node well', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    const word = fc.constantFrom(
      'REGISTER',
      'PUT',
      'GET',
      'SKIP',
      'FETCH',
      'STATE',
      'METRICS',
      'HELP',
      't',
      'u',
      '0',
      '1',
      '',
    )
    const part = fc.oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: fc.string({ maxLength: 9 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async parts => {
        assert.match(await one.say(parts.join(' ')), /^(OK|OK .*|EMPTY|ERR .+|\{.*\})$/s)
      }),
      { numRuns: 80 },
    )
    await one.say('REGISTER last')
    assert.deepEqual([await one.say('PUT last x'), await one.say('GET last')], ['OK', 'OK x'])
  })

  it('STATE has the keys of Walrus, of a chain of several segments, which FETCH reads', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    const topic = one.node.engine.topicByName('t')
    assert.ok(topic)
    for (let i = 0; i < 5; i++) {
      await one.say(`PUT t ${i}`)
      if (i % 2 === 1) await one.node.engine.seal(topic.id, 0)
    }
    const state = JSON.parse(await one.say('STATE t'))
    const { partitions, ...walrus } = state
    assert.deepEqual(walrus, {
      current_segment: 3,
      leader_node: 1,
      last_sealed_entry_offset: 4,
      sealed_segments: { 1: 2, 2: 2 },
      segment_leaders: { 1: 1, 2: 1, 3: 1 },
      partition_count: 1,
    })
    assert.deepEqual([partitions[0].high_watermark, partitions[0].segments[2].base], [5, 4])
    const found = []
    for (const at of ['1 0', '1 1', '1 2', '2 0', '2 1', '3 0', '3 1']) found.push(await one.say(`FETCH t ${at}`))
    assert.deepEqual(found, ['OK 1 0', 'OK 2 1', 'EMPTY', 'OK 1 2', 'OK 2 3', 'OK 1 4', 'EMPTY'])
  })

  it('METRICS tells what Raft knows, and nothing else', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    const { text, line = '' } = await one.ask('METRICS')
    assert.ok(text.startsWith('{\n  "running_state": {\n    "Ok": null\n'))
    assert.deepEqual(JSON.parse(line), { ...JSON.parse(text), last_quorum_acked: JSON.parse(line).last_quorum_acked })
    const metrics = JSON.parse(text)
    const last = one.node.engine.raft.last
    const logId = { leader_id: { term: 1, node_id: 1 }, index: last }
    assert.ok(metrics.last_log_index > 0)
    assert.ok(metrics.replication['1'].index >= metrics.last_log_index)
    assert.deepEqual(
      { ...metrics, last_quorum_acked: 0 },
      {
        running_state: { Ok: null },
        id: 1,
        current_term: 1,
        vote: { leader_id: { term: 1, node_id: 1 }, committed: true },
        last_log_index: last,
        last_applied: logId,
        snapshot: null,
        purged: null,
        state: 'Leader',
        current_leader: 1,
        millis_since_quorum_ack: 0,
        last_quorum_acked: 0,
        membership_config: {
          log_id: null,
          membership: { configs: [[1]], nodes: { 1: { addr: 'localhost:9091' } } },
        },
        heartbeat: {},
        replication: { 1: logId },
        commit_index: last,
        cluster_id: one.node.engine.clusterId,
        topics: 1,
        partitions: 1,
      },
    )
  })

  it('REGISTER by many at once makes one topic of one partition, which takes records at once', async () => {
    await using one = await rig(new MemoryDisk(), { set: { 'num.partitions': '7' } })
    const replies = Array.from({ length: 20 }, async () => [await one.say('REGISTER t'), await one.say('PUT t x')])
    const byKafka = one.node.ask(apis.createTopics, 5, {
      topics: [{ name: 'u', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      timeoutMs: 1000,
      validateOnly: false,
    })
    replies.push((async () => [await one.say('REGISTER u'), await one.say('PUT u x')])())
    assert.deepEqual(new Set((await Promise.all(replies)).flat()), new Set(['OK']))
    await byKafka
    assert.equal(one.node.engine.topicByName('t')?.partitions.length, 1)
  })
})

describe('values', () => {
  it('are those of Kafka clients and the other way round, compressed ones too', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    const compression = { codec: 'gzip', compress: (records: Buffer) => gzipSync(records) } as const
    await append(one, 't', [{ key: 'k', value: 'one' }, { value: 'zwei' }, { value: '' }], { compression })
    await one.say('PUT t drei')
    const got = []
    for (let i = 0; i < 5; i++) got.push(await one.say('GET t'))
    assert.deepEqual(got, ['OK one', 'OK zwei', 'OK ', 'OK drei', 'EMPTY'])
    assert.equal(await one.say('FETCH t 1 1'), 'OK 2 zwei')
    await untilCommitted(one, 't', [4])
  })

  it('that are no text stay until they are skipped: bytes, tombstones, what does not decode', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    const garbage = { codec: 'gzip', compress: () => gzipSync(Buffer.from([0xff, 0xff])) } as const
    await append(one, 't', [{ value: 'a' }, { value: Buffer.from([0xff]) }, { key: 'k', value: null }])
    await append(one, 't', [{ value: 'x' }, { value: 'y' }], { compression: garbage })
    await append(one, 't', [{ value: 'b' }])
    const said = []
    const commands = ['GET', 'GET', 'GET', 'SKIP', 'GET', 'SKIP', 'GET', 'SKIP', 'SKIP', 'GET', 'SKIP']
    for (const command of commands) said.push((await one.say(`${command} t`)).replace(/do not decode.*/, '…'))
    const noText = 'ERR value is not text'
    const damaged = 'ERR The records at offset 3 of t-0 …'
    assert.deepEqual(said, [
      'OK a',
      noText,
      noText,
      'OK',
      noText,
      'OK',
      damaged,
      'OK',
      'ERR value is text',
      'OK b',
      'EMPTY',
    ])
    assert.equal(await one.say('FETCH t 1 1'), noText)
    await untilCommitted(one, 't', [6])
  })

  it('are passed over where there are only holes', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    await append(one, 't', [{ value: 'a' }, { value: 'b', offsetDelta: 5 }], {
      lastOffsetDelta: 9,
      recordCount: 2,
    }).catch(() => undefined)
    await one.say('PUT t c')
    const got = []
    for (let reply = await one.say('GET t'); reply !== 'EMPTY'; reply = await one.say('GET t')) got.push(reply)
    assert.equal(got.at(-1), 'OK c')
  })
})

describe('a cursor', () => {
  it('is shared: at once or one by one, nobody gets what another got', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    await Promise.all(Array.from({ length: 100 }, (_, i) => one.say(`PUT t ${i}`)))
    const got = await Promise.all(Array.from({ length: 110 }, () => one.say('GET t')))
    const expected = Array.from({ length: 100 }, (_, i) => `OK ${i}`)
    assert.deepEqual(got, [...expected, ...Array.from({ length: 10 }, () => 'EMPTY')])
    await untilCommitted(one, 't', [100])
  })

  it('of one topic does not wait for that of another', async () => {
    await using one = await rig(new MemoryDisk())
    for (const topic of ['slow', 'fast'])
      for (const command of ['REGISTER', 'PUT']) await one.say(`${command} ${topic} x`)
    const hang = Promise.withResolvers<void>()
    const slow = changed(one, door => ({
      read: async ask => {
        if (ask.topic === 'slow') await hang.promise
        return door.read(ask)
      },
    }))
    const waiting = slow.run(parseCommand('GET slow'))
    assert.equal((await slow.run(parseCommand('GET fast'))).text, 'OK x')
    hang.resolve()
    assert.equal((await waiting).text, 'OK x')
    await slow.close()
  })

  it('goes back where a reply could not be sent, and nothing is committed past that', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    for (const value of 'abcd') await one.say(`PUT t ${value}`)
    const [a, b, c] = [await one.ask('GET t'), await one.ask('GET t'), await one.ask('GET t')]
    assert.deepEqual([a.text, b.text, c.text], ['OK a', 'OK b', 'OK c'])
    c.settled?.(true)
    b.settled?.(false)
    a.settled?.(true)
    await untilCommitted(one, 't', [1])
    assert.equal(await one.say('GET t'), 'OK b')
    await untilCommitted(one, 't', [3])
    assert.equal(await one.say('GET t'), 'OK d')
    b.settled?.(false)
    assert.equal(await one.say('GET t'), 'EMPTY', 'what became of a reply is said once')
  })

  it('survives a crash: what was not committed comes again, and nothing is skipped', async () => {
    const disk = new MemoryDisk()
    const first = await rig(disk)
    await first.say('REGISTER t')
    for (const value of 'abcde') await first.say(`PUT t ${value}`)
    for (const value of 'ab') assert.equal(await first.say('GET t'), `OK ${value}`)
    await untilCommitted(first, 't', [2])
    assert.equal((await first.ask('GET t')).text, 'OK c', 'handed out, not known to be sent')
    const next = disk.kill()
    await using second = await rig(next)
    assert.deepEqual([await second.say('GET t'), await second.say('GET t')], ['OK c', 'OK d'])
    await second.text.close()
    assert.deepEqual(await committed(second, 't'), [4], 'a close commits what was sent')
  })

  it('takes the partitions of a topic in turn', async () => {
    await using one = await rig(new MemoryDisk())
    await one.node.broker.door('User:t').createTopic('t', { partitions: 3 })
    for (let i = 0; i < 3; i++) for (const value of 'ab') await append(one, 't', [{ value: `${i}${value}` }], {}, i)
    const got = []
    for (let i = 0; i < 7; i++) got.push(await one.say('GET t'))
    assert.deepEqual(got, ['OK 0a', 'OK 1a', 'OK 2a', 'OK 0b', 'OK 1b', 'OK 2b', 'EMPTY'])
    await untilCommitted(one, 't', [2, 2, 2])
    assert.deepEqual(new Set([await one.say('PUT t x'), await one.say('GET t')]), new Set(['OK', 'OK x']))
  })

  it('follows the log when its beginning is deleted, what was read ahead included', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    for (const value of 'abcdef') await one.say(`PUT t ${value}`)
    assert.equal(await one.say('GET t'), 'OK a')
    const b = await one.ask('GET t')
    b.settled?.(false)
    const topic = one.node.engine.topicByName('t')
    await topic?.partitions[0]?.deleteRecords(offset(4))
    assert.equal(await one.say('GET t'), 'OK e')
    assert.equal(await one.say('FETCH t 1 0'), 'OK 5 e')
    await untilCommitted(one, 't', [5])
    await using late = await rig(new MemoryDisk())
    await late.say('REGISTER t')
    for (const value of 'abc') await late.say(`PUT t ${value}`)
    await late.node.engine.topicByName('t')?.partitions[0]?.deleteRecords(offset(2))
    assert.equal(await late.say('GET t'), 'OK c')
  })

  it('begins anew with a topic that was deleted and made again', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    for (const value of 'abc') await one.say(`PUT t ${value}`)
    for (const value of 'ab') assert.equal(await one.say('GET t'), `OK ${value}`)
    const c = await one.ask('GET t')
    await one.node.broker.door('User:t').deleteTopic('t')
    assert.equal(await one.say('GET t'), 'ERR unknown topic t')
    await one.say('REGISTER t')
    c.settled?.(true)
    assert.equal(await one.say('GET t'), 'EMPTY')
    for (const value of 'xy') await one.say(`PUT t ${value}`)
    assert.deepEqual([await one.say('GET t'), await one.say('GET t')], ['OK x', 'OK y'])
    await untilCommitted(one, 't', [2])
  })

  it('of a topic that was deleted meanwhile takes nothing of its successor', async () => {
    await using one = await rig(new MemoryDisk())
    for (const command of ['REGISTER t', 'PUT t old']) await one.say(command)
    const [asked, hang] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const late = changed(one, door => ({
      committed: async (...ask) => {
        const done = await door.committed(...ask)
        asked.resolve()
        await hang.promise
        return done
      },
    }))
    const waiting = late.run(parseCommand('GET t'))
    await asked.promise
    await one.node.broker.door('User:t').deleteTopic('t')
    for (const command of ['REGISTER t', 'PUT t new']) assert.equal(await one.say(command), 'OK')
    hang.resolve()
    assert.equal((await waiting).text, 'ERR unknown topic t')
    assert.equal((await late.run(parseCommand('GET t'))).text, 'OK new')
    await late.close()
  })

  it('follows who moves the group by Kafka’s own means', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    for (const value of 'abcd') await one.say(`PUT t ${value}`)
    for (const value of 'abc') assert.equal(await one.say('GET t'), `OK ${value}`)
    await untilCommitted(one, 't', [3])
    const door = one.node.broker.door('User:tool')
    await door.commit('text', 't', 0, offset(1))
    assert.deepEqual([await one.say('GET t'), await one.say('GET t')], ['OK b', 'OK c'])
    await untilCommitted(one, 't', [3])
    await door.commit('text', 't', 0, offset(100))
    assert.equal(await one.say('GET t'), 'EMPTY', 'there is nothing that far')
    assert.equal(await one.say('PUT t e'), 'OK')
    assert.equal(await one.say('GET t'), 'OK e')
    await untilCommitted(one, 't', [5])
    await one.node.ask(apis.deleteGroups, 1, { groupsNames: ['text'] })
    assert.equal(await one.say('GET t'), 'OK a', 'from the beginning')
  })

  it('of a group with members is not moved', async () => {
    await using one = await rig(new MemoryDisk(), { set: { 'group.initial.rebalance.delay.ms': '0' } })
    await one.say('REGISTER t')
    for (const value of 'abc') await one.say(`PUT t ${value}`)
    assert.equal(await one.say('GET t g'), 'OK a')
    await untilCommitted(one, 't', [1], 'g')
    const join = {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
    }
    const protocols = [{ name: 'range', metadata: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) }]
    await one.node.ask(apis.joinGroup, 3, { ...join, protocols })
    // That somebody joined shows when the next place is to be committed.
    assert.equal(await one.say('GET t g'), 'OK b')
    for (let i = 0; i < 100 && (await one.say('GET t g')).startsWith('OK'); i++) await new Promise(setImmediate)
    assert.equal(await one.say('GET t g'), 'ERR group g has members')
    assert.equal(await one.say('GET t'), 'OK a')
    assert.deepEqual(await committed(one, 't', 'g'), [1])
    await using other = await rig(new MemoryDisk())
    await other.say('REGISTER t')
    const { memberId } = await other.node.ask(apis.joinGroup, 3, { ...join, protocols })
    assert.notEqual(memberId, '')
    await other.say('PUT t a')
    assert.equal(await other.say('GET t g'), 'ERR group g has members')
  })

  it('that nobody uses is forgotten, and what was read ahead of a few is not kept for all', async () => {
    const bounds = { cursorsMax: 4, readAheadBytesMax: 2000 }
    await using one = await rig(new MemoryDisk(), { bounds })
    await one.say('REGISTER t')
    for (let i = 0; i < 12; i++) await one.say(`PUT t ${i} ${'x'.repeat(100)}`)
    for (let round = 0; round < 5; round++) {
      const said = await Promise.all(Array.from({ length: 8 }, (_, i) => one.say(`GET t group-${i}`)))
      for (const [i, reply] of said.entries()) assert.match(reply, new RegExp(`^OK ${round} x`), `group-${i}`)
      // Only what is committed may be forgotten.
      for (let i = 0; i < 8; i++) await untilCommitted(one, 't', [round + 1], `group-${i}`)
    }
  })

  it('whose places cannot be committed are not kept for ever, and give out again what was not', async () => {
    await using one = await rig(new MemoryDisk())
    await one.say('REGISTER t')
    for (const text of ['a', 'b']) await one.say(`PUT t ${text}`)
    const door: CursorDoor = one.node.broker.door('User:t')
    let isRefused = true
    const commit: Door['commit'] = async (...place) =>
      isRefused ? { error: 'COORDINATOR_NOT_AVAILABLE', message: 'not now' } : door.commit(...place)
    const found = door.topic('t')
    assert.ok(found.error === 'NONE')
    const cursors = new Cursors(bindAll(door, commit), clock, { cursorsMax: 4 })
    const take = async (group: string) => {
      const taken = await cursors.of(group, found.topic).next(found.topic)
      assert.ok(taken.is === 'text')
      taken.settled(true)
      return taken.text
    }
    for (let i = 0; i < 20; i++) assert.equal(await take(`group-${i}`), 'a')
    assert.ok(cursors.size <= 4, `${cursors.size} are kept`)
    isRefused = false
    assert.equal(await take('group-19'), 'b')
    assert.equal(await take('group-0'), 'a')
    await cursors.close()
  })
})
