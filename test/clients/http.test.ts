/** The HTTP door: health, metrics, the JSON API, and whoever should not be answered or must not be in the way. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { exporterMetrics } from '../../src/server/http/exporter-metrics.ts'
import { nodeMetrics } from '../../src/server/http/node-metrics.ts'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { commit, GroupMember } from '../support/group-member.ts'
import { ask, type HttpAnswer, json, open, talk } from '../support/http.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { steadyPort, Tidelog } from '../support/tidelog.ts'
import { eventually, within } from '../support/waiting.ts'

const batchOf = (values: readonly string[], timestampMs = Date.now()) =>
  buildBatch(values.map(value => ({ value, timestampMs })))

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

describe('health', () => {
  it('is not ready while the node recovers, and says why', async () => {
    await using dir = await tempDir()
    // Between the opened door and the ready line there may be only some milliseconds: whoever missed them looks again.
    for (let attempt = 1; ; attempt++) {
      const httpPort = await steadyPort()
      await using tidelog = Tidelog.spawn({ dataDir: dir.path, httpPort })
      const first = await eventually(10_000, 'an answer', () => ask(httpPort, '/readyz').catch(() => null), 1)
      await tidelog.ready()
      assert.equal((await ask(httpPort, '/readyz')).text, '{"status":"ready"}\n')
      assert.equal((await ask(httpPort, '/livez')).text, '{"status":"alive"}\n')
      if (first.status === 200 && attempt < 5) continue
      assert.equal(first.status, 503)
      const { status, reasons } = JSON.parse(first.text)
      assert.deepEqual([status, reasons[0].code], ['not ready', 'RECOVERING'])
      return
    }
  })

  it('is not ready from the first moment of the end, when what is in flight is still being finished', async () => {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({ dataDir: dir.path, httpPort: 0 })
    await using client = await KafkaClient.connect(tidelog.port)
    await client.createTopic('t')
    const batch = batchOf(['x'.repeat(900_000)])
    for (let i = 0; i < 16; i++) assert.equal((await client.produce('t', 0, batch)).error, 'NONE')
    // An answer that its client does not take keeps the node from its end.
    client.pause()
    const fetched = client.fetch('t', 0, 0)
    fetched.catch(() => undefined)
    await eventually(5_000, 'the answer on its way', async () => {
      await using other = await KafkaClient.connect(tidelog.port)
      await other.latest('t', 0)
      return metricOf(await ask(tidelog.httpPort, '/metrics'), 'tidelog_fetched_bytes_total') > 10_000_000
    })
    tidelog.signal('SIGTERM')
    const { text } = await eventually(5_000, 'a node that is not ready', async () => {
      const answer = await ask(tidelog.httpPort, '/readyz')
      return answer.status === 503 && answer
    })
    assert.equal(JSON.parse(text).reasons[0].code, 'STOPPING')
    assert.equal((await ask(tidelog.httpPort, '/livez')).status, 200)
    assert.equal((await ask(tidelog.httpPort, '/api/v1/topics')).status, 503)
    client.resume()
    await fetched
    assert.equal((await tidelog.ended()).code, 0)
  })
})

describe('the HTTP door', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient
  let port: number
  /** Half a request, sent before everything else: its time runs while other tests do. */
  let dawdler: { readonly socket: Socket; readonly ended: Promise<string> }

  before(async () => {
    dir = await tempDir()
    const flags = ['--advertise', 'broker.example:9092', '--http-names', 'tides.example']
    tidelog = await Tidelog.start({ dataDir: dir.path, httpPort: 0, flags })
    port = tidelog.httpPort
    client = await KafkaClient.connect(tidelog.port)
    const socket = await open(port)
    let text = ''
    socket.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
    dawdler = { socket, ended: new Promise(resolve => socket.on('close', () => resolve(text))) }
    socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow')
  })
  after(async () => {
    dawdler.socket.destroy()
    await client[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  describe('as JSON', () => {
    it('tells of topics, page by page', async () => {
      for (const name of ['tides', 'harbour', 'winds']) await client.createTopic(name, 3)
      await client.produce('tides', 1, batchOf(['high', 'low']))
      type Page = {
        topics: { name: string; records: number; bytes: number; partitions: number }[]
        next: string | null
      }
      const first = await json<Page>(port, '/api/v1/topics?limit=2')
      assert.deepEqual([first.topics.map(({ name }) => name), first.next], [['harbour', 'tides'], 'tides'])
      const [, tides] = first.topics
      assert.deepEqual([tides?.records, tides?.partitions, (tides?.bytes ?? 0) > 61], [2, 3, true])
      const second = await json<Page>(port, `/api/v1/topics?limit=2&after=${first.next}`)
      assert.deepEqual([second.topics.map(({ name }) => name), second.next], [['winds'], null])
    })

    it('tells of a topic, its configs and partitions', async () => {
      await client.createTopic('logbook', 2, { 'retention.ms': 60_000 })
      await client.produce('logbook', 1, batchOf(['a', 'b', 'c']))
      const topic = await json<Record<string, unknown>>(port, '/api/v1/topics/logbook')
      const { configs, partitions, ...head } = topic as { configs: Record<string, unknown>; partitions: object[] }
      const next = null
      assert.deepEqual({ ...head, id: '' }, { name: 'logbook', id: '', internal: false, replicationFactor: 1, next })
      assert.deepEqual(configs['retention.ms'], { value: '60000', source: 'topic' })
      assert.deepEqual(configs['segment.bytes'], { value: '1073741824', source: 'default' })
      const copies = { leader: 1, leaderEpoch: 0, replicas: [1], inSyncReplicas: [1] }
      const sized = partitions.map(partition => ({ ...partition, bytes: 0 }))
      assert.deepEqual(sized, [
        { partition: 0, ...copies, start: 0, end: 0, bytes: 0 },
        { partition: 1, ...copies, start: 0, end: 3, bytes: 0 },
      ])
      const page = await json<{ partitions: { partition: number }[]; next: string }>(
        port,
        '/api/v1/topics/logbook?limit=1&after=0',
      )
      assert.deepEqual([page.partitions[0]?.partition, page.next], [1, null])
    })

    it('tells of the chain of segments behind each partition', async () => {
      await client.createTopic('chain', 1, { 'tidelog.segment.records': 2 })
      const timestampMs = Date.now() - 5_000
      for (const value of ['1', '2', '3', '4', '5']) await client.produce('chain', 0, batchOf([value], timestampMs))
      type Segment = {
        id: number
        base: number
        end: number | null
        state: string
        writer: number
        bytes: number
        maxTimestamp: number
        createdAtMs: number
        sealReason: string | null
      }
      type Chains = { name: string; partitions: { partition: number; leftOut: number; segments: Segment[] }[] }
      const { name, partitions } = await json<Chains>(port, '/api/v1/topics/chain/segments')
      assert.deepEqual([name, partitions[0]?.partition, partitions[0]?.leftOut], ['chain', 0, 0])
      const segments = partitions[0]?.segments ?? []
      const told = segments.map(({ base, end, state, writer, maxTimestamp }) => [
        base,
        end,
        state,
        writer,
        maxTimestamp,
      ])
      assert.deepEqual(told, [
        [0, 2, 'sealed', 1, timestampMs],
        [2, 4, 'sealed', 1, timestampMs],
        [4, null, 'open', 1, timestampMs],
      ])
      assert.ok(segments.every(({ id, bytes, createdAtMs }) => id > 0 && bytes > 61 && createdAtMs > timestampMs))
      assert.deepEqual([segments[0]?.sealReason, segments[2]?.sealReason], ['size', null])
    })

    it('tells of groups, their members, and how far behind they are', async () => {
      await client.createTopic('catch')
      await client.produce('catch', 0, batchOf(['old'], Date.now() - 60_000))
      await client.produce('catch', 0, batchOf(['new'], Date.now() - 20_000))
      await using member = await GroupMember.connect(tidelog.port, { group: 'a/b "c"', topics: ['catch'] })
      await member.enter()
      // Version 0, the topic with partition 0, no user data.
      const assigned = Buffer.from(
        '0000 00000001 0005 6361746368 00000001 00000000 ffffffff'.replaceAll(' ', ''),
        'hex',
      )
      await member.sync(() => assigned.toString('latin1'))
      assert.equal(await member.commit('catch', 1, 'here'), 'NONE')

      type Listed = { groups: { id: string; state: string; protocolType: string }[] }
      const { groups } = await json<Listed>(port, '/api/v1/groups')
      assert.deepEqual(groups, [{ id: 'a/b "c"', state: 'Stable', protocolType: 'consumer' }])
      const path = `/api/v1/groups/${encodeURIComponent('a/b "c"')}`
      const group = await json<Record<string, unknown> & { lagSeconds: number; members: object[] }>(port, path)
      const { lagSeconds, members, offsets, ...head } = group as typeof group & { offsets: { lagSeconds: number }[] }
      assert.deepEqual(head, {
        id: 'a/b "c"',
        state: 'Stable',
        protocolType: 'consumer',
        protocol: 'range',
        lag: 1,
        leftOut: 0,
      })
      assert.ok(lagSeconds >= 20 && lagSeconds < 60, `${lagSeconds}`)
      assert.equal(offsets[0]?.lagSeconds, lagSeconds)
      const behind = { ...offsets[0], lagSeconds: 0 }
      const expected = { topic: 'catch', partition: 0, offset: 1, metadata: 'here', end: 2, lag: 1, lagSeconds: 0 }
      assert.deepEqual(behind, expected)
      const { clientHost } = members[0] as { clientHost: string }
      const assignment = [{ topic: 'catch', partitions: [0] }]
      assert.deepEqual(members, [{ id: member.id, instanceId: null, clientId: 'test', clientHost, assignment }])
    })

    it('tells of the node', async () => {
      type Node = {
        id: number
        clusterId: string
        doors: Record<string, string | null>
        uptimeSeconds: number
        connections: { kafka: number; http: number }
        disk: { freeBytes: number; totalBytes: number; storedBytes: number }
        journal: { bytes: number; bytesMax: number; stalled: boolean }
        cache: { bytes: number; bytesMax: number }
      }
      const node = await json<Node>(port, '/api/v1/node')
      const { doors, connections, disk, journal, cache } = node
      assert.equal(node.id, 1)
      assert.match(node.clusterId, /^[\w-]{22}$/)
      assert.deepEqual(doors, { kafka: `localhost:${tidelog.port}`, text: null, http: `localhost:${port}` })
      assert.ok(node.uptimeSeconds > 0 && node.uptimeSeconds < 600)
      assert.ok(connections.kafka >= 1 && connections.http >= 1)
      assert.ok(disk.freeBytes > 0 && disk.freeBytes < disk.totalBytes && disk.storedBytes > 0)
      assert.ok(journal.bytes > 0 && journal.bytes <= journal.bytesMax && !journal.stalled)
      assert.ok(cache.bytes > 0 && cache.bytes <= cache.bytesMax)
    })

    it('says what is wrong with a question, and what was meant', async () => {
      const refused = async (path: string) => {
        const { status, text } = await ask(port, path)
        const { code, hint, message } = JSON.parse(text)
        assert.ok(message.length > 0 && hint.length > 0, text)
        return [status, code, /did you mean '?(\w+)/.exec(hint)?.[1] ?? null]
      }
      assert.deepEqual(await refused('/api/v1/topics/tidse'), [404, 'UNKNOWN_TOPIC', 'tides'])
      assert.deepEqual(await refused('/api/v1/topics/tidse/segments'), [404, 'UNKNOWN_TOPIC', 'tides'])
      assert.deepEqual(await refused('/api/v1/groups/nobody'), [404, 'UNKNOWN_GROUP', null])
      assert.deepEqual(await refused('/api/v1/topic'), [404, 'UNKNOWN_PATH', null])
      assert.deepEqual(await refused('/api/v1/topics?limt=1'), [400, 'BAD_REQUEST', 'limit'])
      assert.deepEqual(await refused('/api/v1/topics?limit=0'), [400, 'BAD_REQUEST', null])
      assert.deepEqual(await refused('/api/v1/topics?limit=1&limit=2'), [400, 'BAD_REQUEST', null])
      assert.deepEqual(await refused('/api/v1/topics?__proto__[limit]=1'), [400, 'BAD_REQUEST', null])
      assert.deepEqual(await refused('/api/v1/topics/tides?after=x'), [400, 'BAD_REQUEST', null])
      assert.deepEqual(await refused('/api/v1/topics/%zz'), [400, 'BAD_REQUEST', null])
      assert.deepEqual(await refused('/api/v1/topics/__proto__'), [404, 'UNKNOWN_TOPIC', null])
      assert.deepEqual(await refused(`/api/v1/topics/${'x'.repeat(5_000)}`), [404, 'UNKNOWN_TOPIC', null])
    })
  })

  describe('for Prometheus', () => {
    it('has every metric, with its help and type', async () => {
      const { text, headers } = await ask(port, '/metrics')
      assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
      for (const { name, type, help } of [...nodeMetrics, ...exporterMetrics]) {
        assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`), name)
      }
      const known = new Set([...nodeMetrics, ...exporterMetrics].map(({ name }) => name))
      for (const line of text.split('\n').filter(one => one !== '' && !one.startsWith('#'))) {
        const name = /^([a-z_]+)(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? -?[\d.e+-]+$/.exec(line)?.[1]
        assert.ok(name !== undefined, line)
        assert.ok(known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, '')), line)
      }
    })

    it('has the figures that kafka_exporter would have, under its names', async () => {
      await client.createTopic('lagging', 2)
      await client.produce('lagging', 0, batchOf(['a', 'b', 'c', 'd'], Date.now() - 30_000))
      await commit(client, 'slow "ones"', 'lagging', 1)
      const answer = await fresh(
        port,
        ({ text }) => text.includes('topic="lagging"') && text.includes('slow \\"ones\\"'),
      )
      const of = (name: string, labels: string) => metricOf(answer, `${name}{${labels}}`)
      const partition = 'topic="lagging",partition="0"'
      assert.equal(of('kafka_topic_partitions', 'topic="lagging"'), 2)
      assert.equal(of('kafka_topic_partition_current_offset', partition), 4)
      assert.equal(of('kafka_topic_partition_oldest_offset', partition), 0)
      assert.equal(of('kafka_topic_partition_leader', partition), 1)
      assert.equal(of('kafka_topic_partition_leader_is_preferred', partition), 1)
      assert.equal(of('kafka_topic_partition_replicas', partition), 1)
      assert.equal(of('kafka_topic_partition_in_sync_replica', partition), 1)
      assert.equal(of('kafka_topic_partition_under_replicated_partition', partition), 0)
      const group = 'consumergroup="slow \\"ones\\""'
      assert.equal(of('kafka_consumergroup_members', group), 0)
      assert.equal(of('kafka_consumergroup_current_offset', `${group},${partition}`), 1)
      assert.equal(of('kafka_consumergroup_lag', `${group},${partition}`), 3)
      assert.equal(of('kafka_consumergroup_lag_sum', `${group},topic="lagging"`), 3)
      const lagSeconds = of('tidelog_group_lag_seconds', `${group},${partition}`)
      assert.ok(lagSeconds >= 30 && lagSeconds < 60, `${lagSeconds}`)
    })

    it('counts requests with their time, errors, syncs, and what goes in and out', async () => {
      await client.createTopic('counted')
      for (let i = 0; i < 3; i++) await client.produce('counted', 0, batchOf(['a', 'b']))
      assert.equal((await client.produce('counted', 7, batchOf(['a']))).error, 'UNKNOWN_TOPIC_OR_PARTITION')
      const { bytes } = await client.fetch('counted', 0, 0)
      const answer = await fresh(
        port,
        one => metricOf(one, 'tidelog_topic_fetched_bytes_total{topic="counted"}') === bytes.length,
      )
      const of = (name: string) => metricOf(answer, name)
      assert.equal(of('tidelog_topic_produced_records_total{topic="counted"}'), 6)
      assert.equal(of('tidelog_topic_produced_bytes_total{topic="counted"}'), bytes.length)
      assert.equal(of('tidelog_topic_stored_bytes{topic="counted"}'), bytes.length)
      const error = 'tidelog_request_errors_total{api="Produce",error="UNKNOWN_TOPIC_OR_PARTITION"}'
      assert.equal(of(error), 1)
      const produced = of('tidelog_request_seconds_count{api="Produce"}')
      assert.ok(produced >= 4)
      assert.equal(of('tidelog_request_seconds_bucket{api="Produce",le="+Inf"}'), produced)
      assert.ok(of('tidelog_request_seconds_sum{api="Produce"}') > 0)
      assert.ok(of('tidelog_journal_sync_seconds_count') >= 3)
      assert.ok(of('tidelog_journal_sync_seconds_sum') > 0)
      assert.ok(of('tidelog_event_loop_delay_seconds_count') > 0)
      assert.ok(of('tidelog_cache_hits_total') >= 1)
      assert.ok(of('tidelog_produced_bytes_total') >= bytes.length)
      assert.ok(of('tidelog_disk_free_bytes') > 0)
      assert.ok(of('tidelog_connections{door="kafka"}') >= 1)
    })
  })

  describe('answers nobody', () => {
    it('who means another host: a page that was made to ask under a name of its own', async () => {
      const status = async (host: string) => (await ask(port, '/livez', { headers: { host } })).status
      for (const host of ['localhost', `localhost:${port}`, 'LOCALHOST.', 'x.localhost', '127.0.0.1:1', '[::1]:8080']) {
        assert.equal(await status(host), 200, host)
      }
      for (const host of ['10.1.2.3', 'broker.example', 'tides.example:80']) assert.equal(await status(host), 200, host)
      for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'a@localhost']) {
        assert.equal(await status(host), 403, host)
      }
      for (const path of ['/readyz', '/metrics', '/api/v1/node', '/nothing']) {
        const { status, text } = await ask(port, path, { headers: { host: 'evil.example' } })
        assert.deepEqual([status, JSON.parse(text).code], [403, 'FOREIGN_HOST'], path)
      }
    })

    it('of another origin: there is no CORS', async () => {
      const { headers } = await ask(port, '/api/v1/topics', { headers: { origin: 'http://evil.example' } })
      assert.deepEqual(
        Object.keys(headers).filter(name => name.startsWith('access-control')),
        [],
      )
      assert.equal(headers['x-content-type-options'], 'nosniff')
    })

    it('who wants to change something, or sends a body', async () => {
      const refused = async (method: string, body?: string, headers: Record<string, string> = {}) => {
        const answer = await ask(port, '/api/v1/topics', { method, headers, ...(body === undefined ? {} : { body }) })
        return [answer.status, JSON.parse(answer.text).code]
      }
      assert.deepEqual(await refused('POST', '{"__proto__":{"polluted":1}}'), [405, 'METHOD_NOT_ALLOWED'])
      for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE']) {
        assert.deepEqual(await refused(method), [405, 'METHOD_NOT_ALLOWED'], method)
      }
      assert.deepEqual(await refused('GET', '{}', { 'content-length': '2' }), [413, 'BODY_TOO_LARGE'])
      const huge = `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n${'x'.repeat(100_000)}`
      assert.match(await talk(port, huge), /^HTTP\/1\.1 413 /)
      const endless = 'GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\nxxx'
      assert.match(await talk(port, endless), /^HTTP\/1\.1 413 /)
    })

    it('who speaks something else', async () => {
      for (const [bytes, status] of [
        ['\x00\x00\x00\x10\x00\x12\x00\x03', 400],
        ['PUT topic 5\r\n\r\n', 400],
        [`GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
        ['GET /livez HTTP/1.1\r\n\r\n', 400],
        [`GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n`, 200],
        ['GET /livez HTTP/1.0\r\n\r\n', 200],
        ['GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n', 200],
      ] as const) {
        assert.match(
          await talk(port, bytes),
          new RegExp(`^HTTP/1\\.[01] ${status} `),
          JSON.stringify(bytes.slice(0, 60)),
        )
      }
      for (const [bytes, code] of [
        ['GET /livez HTTP/1.1\r\n\r\n', 'BAD_REQUEST'],
        ['CONNECT localhost:9092 HTTP/1.1\r\nHost: localhost\r\n\r\n', 'METHOD_NOT_ALLOWED'],
        [
          'PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
          'METHOD_NOT_ALLOWED',
        ],
        ['PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: less\r\nContent-Length: 9\r\n\r\n', 'METHOD_NOT_ALLOWED'],
      ] as const) {
        const [head = '', body = ''] = (await talk(port, bytes)).split('\r\n\r\n')
        assert.match(head, /^HTTP\/1\.1 40[05] /)
        const problem = JSON.parse(body)
        assert.equal(problem.code, code)
        assert.ok(problem.message !== '' && problem.hint !== '')
      }
      const odd = await ask(port, 'http://evil.example/livez', { headers: { host: 'localhost' } })
      assert.equal(odd.status, 404)
    })

    it('who asks on and on without taking an answer', async () => {
      const answered = (text: string) => text.match(/200 OK/g)?.length ?? 0
      assert.ok(answered(await talk(port, get('/api/v1/node').repeat(200))) <= 4)
      const few = `${get('/api/v1/node').repeat(3)}GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
      assert.equal(answered(await talk(port, few)), 4)
    })

    it('who opens a WebSocket where there is none, or from elsewhere', async () => {
      const upgrade = (path: string, headers: string) =>
        `GET ${path} HTTP/1.1\r\n${headers}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
      const first = async (path: string, headers: string) => (await talk(port, upgrade(path, headers))).split(' ')[1]
      assert.equal(await first('/nothing', 'Host: localhost'), '404')
      assert.equal(await first('/nothing', 'Host: evil.example'), '403')
      assert.equal(await first('/nothing', 'Host: localhost\r\nOrigin: http://evil.example'), '403')
      assert.equal(await first('/nothing', 'Host: localhost\r\nOrigin: null'), '403')
      assert.equal(await first('/nothing', 'Host: localhost\r\nOrigin: http://localhost:3000'), '404')
    })
  })

  it('answers HEAD and OPTIONS as it should', async () => {
    for (const path of ['/livez', '/readyz', '/metrics', '/api/v1/topics']) {
      const { status, text, headers } = await ask(port, path, { method: 'HEAD' })
      assert.deepEqual([status, text, Number(headers['content-length']) > 0], [200, '', true], path)
    }
    const { status, headers } = await ask(port, '/api/v1/topics', { method: 'OPTIONS' })
    assert.deepEqual([status, headers.allow], [204, 'GET, HEAD, OPTIONS'])
  })

  it('gives up whoever does not finish a request', async () => {
    const text = await within(20_000, 'the end of the slow client', dawdler.ended)
    assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"code":"TOO_SLOW"/)
  })

  it('does not keep producers waiting, nor whoever asks whether all is well, however many bad clients it has', async () => {
    await client.createTopic('busy')
    const before = tidelog.residentBytes
    const sockets: Socket[] = []
    const bad = [
      '',
      'GET /met',
      'GET /metrics HTTP/1.1\r\nHost: localhost\r\n',
      get('/metrics').repeat(4),
      'nonsense\r\n\r\n',
    ]
    for (let i = 0; i < 400; i++) {
      const socket = await open(port)
      // Nobody reads what comes.
      socket.pause()
      socket.write(bad[i % bad.length] as string)
      sockets.push(socket)
    }
    const tookMs: number[] = []
    for (let i = 0; i < 200; i++) {
      const beganMs = performance.now()
      assert.equal((await client.produce('busy', 0, batchOf([`${i}`]))).error, 'NONE')
      tookMs.push(performance.now() - beganMs)
    }
    tookMs.sort((a, b) => a - b)
    assert.ok((tookMs[100] as number) < 100, `half of the acknowledgements took ${tookMs[100]} ms`)
    assert.ok((tookMs.at(-1) as number) < 2_000, `the longest took ${tookMs.at(-1)} ms`)
    assert.ok(tidelog.residentBytes - before < 100 << 20, `${(tidelog.residentBytes - before) >> 20} MiB more`)
    // Those that were there first make room.
    assert.equal((await ask(port, '/readyz')).status, 200)
    for (const socket of sockets) socket.destroy()
  })

  it('answers whoever asks in an endless loop no more than a little', async () => {
    await client.createTopic('calm')
    let answers = 0
    const sockets = await Promise.all(Array.from({ length: 16 }, () => open(port)))
    for (const socket of sockets) {
      socket.on('data', () => {
        answers++
        socket.write(get('/api/v1/topics'))
      })
      socket.write(get('/api/v1/topics'))
    }
    const beganMs = performance.now()
    while (performance.now() - beganMs < 1_500) await client.produce('calm', 0, batchOf(['x']))
    const seconds = (performance.now() - beganMs) / 1_000
    for (const socket of sockets) socket.destroy()
    assert.ok(answers > 50 && answers < 250 + seconds * 110, `${answers} answers in ${seconds} seconds`)
  })
})

/** The metrics, once they are no older than what the test waits for. */
async function fresh(port: number, isThere: (answer: HttpAnswer) => boolean): Promise<HttpAnswer> {
  return eventually(
    8_000,
    'the metrics',
    async () => {
      const answer = await ask(port, '/metrics')
      return isThere(answer) && answer
    },
    100,
  )
}

/** NaN where there is none. */
function metricOf({ text }: HttpAnswer, name: string): number {
  const line = text.split('\n').find(one => one.startsWith(`${name} `))
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1))
}
