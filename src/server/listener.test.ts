import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, it } from 'node:test'
import { pino } from 'pino'
import { defaultLimits, kafkaFraming } from './connection.ts'
import { Listener, type ListenerOptions } from './listener.ts'
import { nodeClock } from './node/clock.ts'
import { FakeService } from './testing/fake-service.ts'

const hasV6 = Object.values(networkInterfaces())
  .flat()
  .some(entry => entry?.address === '::1')

describe('a listener', () => {
  const opened: Listener[] = []

  async function open(options: Partial<ListenerOptions>): Promise<Listener> {
    const listener = await Listener.open({
      name: 'kafka',
      host: 'localhost',
      port: 0,
      portOption: 'port',
      advertise: null,
      service: new FakeService(),
      framing: kafkaFraming,
      limits: defaultLimits,
      requestBudgetBytesMax: 1 << 20,
      connectionsMax: 10,
      connectionsPerAddressMax: 10,
      clock: nodeClock,
      log: pino({ level: 'silent' }),
      onFault: error => assert.fail(error as Error),
      ...options,
    })
    opened.push(listener)
    return listener
  }
  afterEach(async () => {
    for (const listener of opened.splice(0)) await listener.close(0)
  })

  it('of localhost has one port in every family of this machine', async () => {
    const listener = await open({})
    const hosts = listener.addresses.map(({ host }) => host)
    assert.deepEqual(hosts, hasV6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'])
    assert.deepEqual(new Set(listener.addresses.map(({ port }) => port)), new Set([listener.port]))
    for (const host of hosts) {
      const client = net.connect(listener.port, host)
      await once(client, 'connect')
      client.destroy()
    }
  })

  it('finds a port that is free in both families, again and again', async () => {
    await Promise.all(Array.from({ length: 30 }, () => open({})))
    assert.equal(new Set(opened.map(({ port }) => port)).size, 30)
  })

  it('of everything tells each client the address it came by', async () => {
    const service = new FakeService()
    const listener = await open({ host: '0.0.0.0', service })
    const client = net.connect(listener.port, '127.0.0.1')
    client.write(Buffer.from('0000000868656c6c6f212121', 'hex'))
    await service.untilBegun(1)
    assert.deepEqual(service.asked[0]?.connection.advertised, { host: '127.0.0.1', port: listener.port })
    service.reply('hello!!!', null)
    client.destroy()
  })

  it('says what is wrong when it cannot have its address, and what to do', async () => {
    const { port } = await open({})
    const cases: [Partial<ListenerOptions>, RegExp][] = [
      [{ port }, /^127\.0\.0\.1:\d+: the port is in use; .*choose another --port/],
      [{ host: '192.0.2.1' }, /^192\.0\.2\.1:0: this machine does not have that address; check --host/],
      [{ host: 'nowhere.invalid' }, /^nowhere\.invalid:0: /],
    ]
    for (const [options, message] of cases) {
      await assert.rejects(open(options), { code: 'LISTEN', exitCode: 1, message })
    }
  })

  it('leaves nothing open when only one family could be had', { skip: hasV6 ? false : 'needs IPv6' }, async () => {
    const other = net.createServer().listen(0, '::1')
    await once(other, 'listening')
    const { port } = other.address() as net.AddressInfo
    await assert.rejects(open({ port }), { code: 'LISTEN', message: /^\[::1\]:\d+: the port is in use/ })
    const v4 = net.createServer().listen(port, '127.0.0.1')
    await once(v4, 'listening')
    await Promise.all([once(other.close(), 'close'), once(v4.close(), 'close')])
  })
})
