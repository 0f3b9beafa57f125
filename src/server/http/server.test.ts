import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, describe, it } from 'node:test'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { RateLimitedLog } from '../log.ts'
import { nodeClock } from '../node/clock.ts'
import { Health } from './health.ts'
import { AllowedHosts } from './hosts.ts'
import { HttpServer } from './server.ts'

describe('the HTTP server', () => {
  const opened: HttpServer[] = []

  async function open(health = new Health()): Promise<HttpServer> {
    const log = new RateLimitedLog(pino({ level: 'silent' }), nodeClock)
    const hosts = new AllowedHosts([])
    const server = await HttpServer.open({ host: '127.0.0.1', port: 0, hosts, health, clock: nodeClock, log })
    opened.push(server)
    return server
  }

  function readyHealth(): Health {
    const health = new Health()
    health.ready()
    return health
  }

  /** Echoes what it hears. */
  function mountEcho(server: HttpServer): void {
    server.webSocket('/echo', {
      messageBytesMax: 100,
      onConnection: (socket, remote) => {
        assert.equal(remote.host, '127.0.0.1')
        socket.on('message', data => socket.send(String(data)))
      },
    })
  }

  /** How a refused client hears of it. */
  async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
    const client = new WebSocket(url, { headers })
    client.on('error', () => undefined)
    const [, response] = await once(client, 'unexpected-response')
    response.destroy()
    return response.statusCode
  }

  const urlOf = ({ port }: HttpServer, path = '/echo') => `ws://127.0.0.1:${port}${path}`

  afterEach(async () => {
    for (const server of opened.splice(0)) await server.close()
  })

  it('opens WebSockets where one is mounted, and ends those that send too much', async () => {
    const server = await open(readyHealth())
    mountEcho(server)
    const client = new WebSocket(urlOf(server, '/echo?x=1'))
    await once(client, 'open')
    client.send('hello')
    const [heard] = await once(client, 'message')
    assert.equal(String(heard), 'hello')
    client.send('x'.repeat(101))
    const [code] = await once(client, 'close')
    assert.equal(code, 1009)
  })

  it('opens none elsewhere, for pages from elsewhere, or before it is ready', async () => {
    const server = await open(readyHealth())
    mountEcho(server)
    assert.equal(await statusOf(urlOf(server, '/other')), 404)
    assert.equal(await statusOf(urlOf(server), { origin: 'http://evil.example' }), 403)
    assert.equal(await statusOf(urlOf(server), { host: 'evil.example' }), 403)
    const starting = await open()
    mountEcho(starting)
    assert.equal(await statusOf(urlOf(starting)), 503)
  })

  it('is gone with all of its connections when it is closed', async () => {
    const server = await open(readyHealth())
    mountEcho(server)
    const client = new WebSocket(urlOf(server))
    client.on('error', () => undefined)
    await once(client, 'open')
    const closed = once(client, 'close')
    const beganMs = performance.now()
    await server.close()
    await closed
    assert.ok(performance.now() - beganMs < 500)
  })

  it('loads its routes when the first is asked for, and tries again when that failed', async () => {
    const server = await open(readyHealth())
    let builds = 0
    server.serve(async () => {
      if (builds++ === 0) throw new Error('not this time')
      return (_request, response) => response.end('here')
    })
    const ask = async () => {
      const response = await fetch(`http://127.0.0.1:${server.port}/x`)
      return [response.status, (await response.text()).slice(0, 4)]
    }
    assert.equal(builds, 0)
    assert.deepEqual(await ask(), [500, '{"co'])
    assert.deepEqual(await ask(), [200, 'here'])
    assert.deepEqual(await ask(), [200, 'here'])
    assert.equal(builds, 2)
    server.stop()
    assert.equal((await ask())[0], 503)
  })
})
