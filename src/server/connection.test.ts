import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as net from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { pino } from 'pino'
import { TidelogError } from '../base/errors.ts'
import { InvariantViolation } from '../base/invariant.ts'
import { flattenRope } from '../base/rope.ts'
import { ManualClock } from '../sim/clock.ts'
import { FrameReader } from '../wire/frame.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type ConnectionLimits, defaultLimits, kafkaFraming } from './connection.ts'
import { Listener } from './listener.ts'
import { FakeService, frameOf } from './testing/fake-service.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** A client that collects the answers it is sent. */
class Client {
  readonly socket: net.Socket
  readonly answers: string[] = []
  readonly closed: Promise<unknown>
  readonly #frames = new FrameReader({ bytesMin: 0, bytesMax: 16 * mebibyte })

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1')
    this.socket.on('error', () => undefined)
    this.socket.on('data', chunk => {
      this.#frames.push(chunk)
      for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) {
        this.answers.push(flattenRope(frame).toString())
      }
    })
    this.closed = new Promise(resolve => this.socket.once('close', resolve))
  }

  send(...texts: string[]): void {
    this.socket.write(Buffer.concat(texts.map(frameOf)))
  }

  async untilAnswers(count: number): Promise<string[]> {
    while (this.answers.length < count) await once(this.socket, 'data')
    return this.answers
  }
}

/** Enough turns of the event loop for what a loopback socket was given to arrive, as a test that nothing more happens. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setTimeout(resolve, 1))
}

describe('a connection', () => {
  let service: FakeService
  let clock: ManualClock
  let listener: Listener
  let faults: unknown[]
  let lines: string[]
  let clients: Client[]

  async function open(
    limits: Partial<ConnectionLimits> = {},
    rest: { requestBudgetBytesMax?: number; connectionsMax?: number; connectionsPerAddressMax?: number } = {},
  ): Promise<void> {
    listener = await Listener.open({
      name: 'kafka',
      host: '127.0.0.1',
      port: 0,
      portOption: 'port',
      advertise: null,
      service,
      framing: kafkaFraming,
      limits: { ...defaultLimits, frameBytesMin: 1, ...limits },
      requestBudgetBytesMax: 64 * mebibyte,
      connectionsMax: 1000,
      connectionsPerAddressMax: 1000,
      ...rest,
      clock,
      log: pino({ base: null, timestamp: false }, { write: line => void lines.push(line) }),
      onFault: error => void faults.push(error),
    })
  }

  function connect(): Client {
    const client = new Client(listener.port)
    clients.push(client)
    return client
  }

  beforeEach(() => {
    service = new FakeService()
    clock = new ManualClock()
    faults = []
    lines = []
    clients = []
  })
  afterEach(async () => {
    for (const client of clients) client.socket.destroy()
    for (const asked of service.asked) asked.resolve(null)
    await listener.close(0)
    assert.equal(listener.requestBytes, 0, 'every byte that was charged is released')
  })

  describe('pipelines', () => {
    it('begins requests as they arrive and answers in their order', async () => {
      await open()
      const client = connect()
      client.send('a', 'b', 'c')
      await service.untilBegun(3)
      service.reply('c')
      service.reply('a')
      assert.deepEqual(await client.untilAnswers(1), ['A'])
      await settle()
      assert.deepEqual(client.answers, ['A'])
      service.reply('b')
      assert.deepEqual(await client.untilAnswers(3), ['A', 'B', 'C'])
    })

    it('takes frames out of any chunks', async () => {
      await open()
      service.immediate = text => frameOf(text)
      const client = connect()
      const bytes = Buffer.concat(['one', 'two', 'three'].map(frameOf))
      client.socket.setNoDelay(true)
      for (const byte of bytes) {
        client.socket.write(Buffer.from([byte]))
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.deepEqual(await client.untilAnswers(3), ['one', 'two', 'three'])
    })

    it('writes what one turn of the event loop answers at once', async () => {
      await open()
      const chunks: number[] = []
      const client = connect()
      client.socket.on('data', chunk => chunks.push(chunk.length))
      const texts = Array.from({ length: 100 }, (_, i) => `request ${i}`)
      client.send(...texts)
      await service.untilBegun(100)
      for (const text of texts) service.reply(text)
      await client.untilAnswers(100)
      assert.ok(chunks.length <= 2, `100 answers came in ${chunks.length} pieces`)
    })

    it('Q15: sends nothing for a request that wants no answer, and keeps the order of the others', async () => {
      await open()
      const client = connect()
      client.send('a', 'silent', 'b')
      await service.untilBegun(3)
      service.reply('b')
      service.reply('a')
      service.reply('silent', null)
      assert.deepEqual(await client.untilAnswers(2), ['A', 'B'])
    })

    it('begins one request with a large answer at a time, and everything else beside it', async () => {
      await open()
      const client = connect()
      client.send('large 1', 'a', 'large 2', 'b')
      await service.untilBegun(2)
      await settle()
      assert.deepEqual(service.begun, ['large 1', 'a'])
      service.reply('a')
      service.reply('large 1')
      await service.untilBegun(4)
      service.reply('large 2')
      service.reply('b')
      assert.deepEqual(await client.untilAnswers(4), ['LARGE 1', 'A', 'LARGE 2', 'B'])
    })

    it('tells requests who asks, and by which address', async () => {
      await open()
      connect().send('a')
      await service.untilBegun(1)
      const context = service.asked[0]!.connection
      assert.equal(context.principal, 'anonymous')
      assert.equal(context.listener, 'kafka')
      assert.deepEqual(context.advertised, { host: '127.0.0.1', port: listener.port })
      assert.equal(context.signal.aborted, false)
    })
  })

  describe('has bounds', () => {
    it('for requests in flight: the socket is not read until one is answered', async () => {
      await open({ pendingMax: { small: 4, medium: 1, large: 1, held: 1 } })
      const client = connect()
      client.send(...Array.from({ length: 10 }, (_, i) => `r${i}`))
      await service.untilBegun(4)
      await settle()
      assert.equal(service.begun.length, 4)
      for (let i = 0; i < 10; i++) {
        await service.untilBegun(Math.min(i + 4, 10))
        service.reply(`r${i}`)
      }
      assert.equal((await client.untilAnswers(10)).at(-1), 'R9')
    })

    it('for their bytes: a larger one waits until it is alone', async () => {
      await open({ inFlightBytesMax: 100 * kibibyte })
      const client = connect()
      client.send('a', 'x'.repeat(mebibyte), 'b')
      await service.untilBegun(1)
      await settle()
      assert.deepEqual(service.begun, ['a'])
      service.reply('a')
      await service.untilBegun(2)
      await settle()
      assert.equal(service.begun.length, 2)
      service.reply('x'.repeat(mebibyte), frameOf('big'))
      await service.untilBegun(3)
      service.reply('b')
      assert.deepEqual(await client.untilAnswers(3), ['A', 'big', 'B'])
    })

    it('for answers that the client does not read', async () => {
      await open()
      service.immediate = () => frameOf(Buffer.alloc(256 * kibibyte))
      const client = connect()
      client.socket.pause()
      for (let i = 0; i < 2000; i++) client.send('medium')
      await settle()
      // What the kernel buffers on both sides, and what was being written when it was full.
      assert.ok(
        service.begun.length < 100,
        `${service.begun.length} requests were begun for a client that reads nothing`,
      )
      client.socket.resume()
      await client.untilAnswers(50)
    })

    it('for answers that wait for an earlier one', async () => {
      await open({ heldAnswerBytesMax: 64 * kibibyte })
      const client = connect()
      client.send('slow', 'a', 'b', 'c')
      await service.untilBegun(4)
      for (const text of ['a', 'b', 'c']) service.reply(text, frameOf(Buffer.alloc(40 * kibibyte, text)))
      client.send('d')
      await settle()
      assert.equal(service.begun.length, 4)
      service.reply('slow')
      await service.untilBegun(5)
      service.reply('d')
      await client.untilAnswers(5)
    })

    it('for the memory of all connections: the rest go on as requests are answered', async () => {
      await open({}, { requestBudgetBytesMax: 100 * kibibyte })
      const first = connect()
      first.send('a'.repeat(200 * kibibyte))
      await service.untilBegun(1)
      const others = Array.from({ length: 5 }, () => connect())
      for (const [i, other] of others.entries()) other.send(`${i}${'b'.repeat(300 * kibibyte)}`)
      await settle()
      const heldBytes = listener.requestBytes
      assert.ok(heldBytes < 900 * kibibyte, `${heldBytes} bytes were read beyond the budget`)
      assert.equal(service.begun.length, 1)
      service.immediate = () => frameOf('done')
      service.reply('a'.repeat(200 * kibibyte))
      for (const other of others) assert.deepEqual(await other.untilAnswers(1), ['done'])
    })

    it('for the memory of all connections: requests that are held for others do not count', async () => {
      await open({}, { requestBudgetBytesMax: 100 * kibibyte })
      const joined = `held ${'j'.repeat(200 * kibibyte)}`
      connect().send(joined)
      await service.untilBegun(1)
      const other = connect()
      other.send('o'.repeat(50 * kibibyte), 'p')
      await service.untilBegun(3)
      assert.ok(listener.requestBytes < 60 * kibibyte, `${listener.requestBytes} bytes are counted`)
      service.reply(joined)
      service.reply('o'.repeat(50 * kibibyte))
      service.reply('p')
      await other.untilAnswers(2)
      assert.equal(listener.requestBytes, 0)
    })

    it('for the memory of all connections: who holds everybody up with half a request is closed', async () => {
      await open({}, { requestBudgetBytesMax: 100 * kibibyte })
      service.immediate = () => frameOf('done')
      const stuck = connect()
      stuck.socket.write(frameOf(Buffer.alloc(mebibyte)).subarray(0, 200 * kibibyte))
      await settle()
      const other = connect()
      other.send('x'.repeat(200 * kibibyte))
      await settle()
      assert.deepEqual(other.answers, [])
      clock.advance(2_000)
      await stuck.closed
      await clock.run(50)
      assert.deepEqual(await other.untilAnswers(1), ['done'])
    })

    it('for connections', async () => {
      await open({}, { connectionsMax: 2 })
      service.immediate = text => frameOf(text)
      const allowed = [connect(), connect()]
      for (const client of allowed) {
        client.send('hello')
        await client.untilAnswers(1)
      }
      await connect().closed
      allowed[0]!.socket.destroy()
      while (listener.connectionCount > 1) await settle()
      const again = connect()
      again.send('hello')
      await again.untilAnswers(1)
    })

    it('for connections from one address', async () => {
      await open({}, { connectionsPerAddressMax: 1 })
      service.immediate = text => frameOf(text)
      const first = connect()
      first.send('hello')
      await first.untilAnswers(1)
      await connect().closed
      assert.match(lines.join(''), /max\.connections\.per\.ip is reached/)
    })
  })

  describe('closes', () => {
    const lengths: Record<string, number> = { zero: 0, 'minus one': -1, huge: 0x7fff_ffff, 'just over': 1001 }
    for (const [name, length] of Object.entries(lengths)) {
      it(`on a frame with the length ${name}, and no other connection`, async () => {
        await open({ frameBytesMax: 1000 })
        service.immediate = text => frameOf(text)
        const [good, bad] = [connect(), connect()]
        const head = Buffer.alloc(4)
        head.writeInt32BE(length)
        bad.socket.write(head)
        await bad.closed
        good.send('hello')
        assert.deepEqual(await good.untilAnswers(1), ['hello'])
        assert.match(lines.join(''), /closed a connection: a frame of/)
      })
    }

    it('on a TLS or HTTP greeting', async () => {
      await open()
      for (const greeting of [Buffer.from('160301020001000000', 'hex'), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
        const client = connect()
        client.socket.write(greeting)
        await client.closed
      }
    })

    it('when a request cannot be understood, after the answers before it and without those behind', async () => {
      await open()
      const client = connect()
      client.send('a', 'bad', 'b')
      await service.untilBegun(3)
      service.reply('b')
      service.fail('bad', new ProtocolError('4 bytes are left over'))
      await settle()
      service.reply('a')
      await client.closed
      assert.deepEqual(client.answers, ['A'])
      assert.match(lines.join(''), /4 bytes are left over/)
    })

    it('within half a second, even when an earlier request is not answered', async () => {
      await open()
      const client = connect()
      client.send('a', 'bad')
      await service.untilBegun(2)
      service.fail('bad', new ProtocolError('nonsense'))
      await settle()
      assert.equal(listener.connectionCount, 1)
      clock.advance(500)
      await client.closed
      service.reply('a')
      await settle()
    })

    it('when a request fails, and reports what it failed with', async () => {
      await open()
      for (const error of [new InvariantViolation('two and two are four'), new TidelogError('OVERLOADED', 'no room')]) {
        const client = connect()
        client.send('a')
        while (service.asked.length === 0) await settle()
        service.fail('a', error)
        await client.closed
        assert.equal(faults.pop(), error)
      }
    })

    it('logs what strangers do at most once in ten seconds for each kind', async () => {
      await open()
      for (let i = 0; i < 20; i++) {
        const client = connect()
        client.socket.write(Buffer.alloc(4))
        await client.closed
      }
      while (listener.connectionCount > 0) await settle()
      assert.equal(lines.length, 1)
      clock.advance(10_000)
      const client = connect()
      client.socket.write(Buffer.alloc(4))
      await client.closed
      while (lines.length < 2) await settle()
      assert.match(lines[1]!, /"leftOut":19/)
    })

    it('when it is idle, not while a request is in flight', async () => {
      await open({ idleMsMax: 60_000 })
      const [idle, busy] = [connect(), connect()]
      busy.send('wait')
      await service.untilBegun(1)
      while (listener.connectionCount < 2) await settle()
      await clock.run(59_000)
      assert.equal(listener.connectionCount, 2)
      await clock.run(2_000)
      await idle.closed
      await clock.run(60_000)
      assert.equal(listener.connectionCount, 1)
      service.reply('wait')
      await busy.untilAnswers(1)
      await clock.run(61_000)
      await busy.closed
    })

    it('never for being idle when that is switched off', async () => {
      await open({ idleMsMax: -1 })
      connect()
      while (listener.connectionCount < 1) await settle()
      await clock.run(10_000_000)
      assert.equal(listener.connectionCount, 1)
    })
  })

  describe('gives up half a request', () => {
    const half = frameOf('some request').subarray(0, 6)

    const dripping = new Set<Client>()
    /** A request of a hundred bytes, a byte each second. */
    async function drip(client: Client, seconds: number): Promise<void> {
      if (!dripping.has(client)) client.socket.write(frameOf('x'.repeat(100)).subarray(0, 4))
      dripping.add(client)
      for (let second = 0; second < seconds; second++) {
        client.socket.write('x')
        await settle()
        await clock.run(1_000)
      }
    }

    it('that is the first, within ten seconds, however it drips', async () => {
      await open()
      const client = connect()
      await drip(client, 8)
      assert.equal(listener.connectionCount, 1)
      await drip(client, 2)
      await client.closed
      assert.match(lines.join(''), /its first request did not arrive in time/)
    })

    it('that stopped, after thirty seconds', async () => {
      await open()
      service.immediate = text => frameOf(text)
      const client = connect()
      client.send('hello')
      await client.untilAnswers(1)
      client.socket.write(half)
      await settle()
      await clock.run(29_000)
      assert.equal(listener.connectionCount, 1)
      await clock.run(2_000)
      await client.closed
      assert.match(lines.join(''), /stopped half-way/)
    })

    it('that drips on for longer than its size warrants', async () => {
      await open()
      service.immediate = text => frameOf(text)
      const client = connect()
      client.send('hello')
      await client.untilAnswers(1)
      await drip(client, 29)
      assert.equal(listener.connectionCount, 1)
      await drip(client, 3)
      await client.closed
      assert.match(lines.join(''), /arrived too slowly/)
    })

    it('but not while this side does not read', async () => {
      await open({ pendingMax: { small: 1, medium: 1, large: 1, held: 1 } })
      const client = connect()
      client.send('a', 'b')
      client.socket.write(half)
      await service.untilBegun(1)
      await settle()
      await clock.run(100_000)
      assert.equal(listener.connectionCount, 1)
      service.reply('a')
      await service.untilBegun(2)
      service.reply('b')
      await client.untilAnswers(2)
      client.socket.write(frameOf('some request').subarray(6))
      await service.untilBegun(3)
      service.reply('some request')
      await client.untilAnswers(3)
    })
  })

  describe('gives answers back', () => {
    it('when they are sent, not before', async () => {
      await open()
      const client = connect()
      client.socket.pause()
      client.send('large', 'small')
      await service.untilBegun(2)
      service.reply('large', frameOf(Buffer.alloc(16 * mebibyte - 4)))
      await settle()
      assert.deepEqual(service.released, [])
      client.socket.resume()
      await client.untilAnswers(1)
      service.reply('small')
      await client.untilAnswers(2)
      await settle()
      assert.deepEqual(service.released, ['large', 'small'])
    })

    it('when they never will be: the client is gone, before or after the answer', async () => {
      await open()
      const client = connect()
      client.socket.pause()
      client.send('large being sent', 'waits for its turn', 'answered later', 'last')
      await service.untilBegun(4)
      service.reply('large being sent', frameOf(Buffer.alloc(16 * mebibyte - 4)))
      service.reply('last')
      await settle()
      client.socket.resetAndDestroy()
      while (listener.connectionCount > 0) await settle()
      service.reply('waits for its turn')
      service.reply('answered later')
      await settle()
      assert.deepEqual(service.released.sort(), ['answered later', 'large being sent', 'last', 'waits for its turn'])
    })

    it('when they stand behind a request that failed', async () => {
      await open()
      const client = connect()
      client.send('a', 'bad', 'b', 'c')
      await service.untilBegun(4)
      service.reply('b')
      service.fail('bad', new ProtocolError('nonsense'))
      await settle()
      service.reply('c')
      await settle()
      assert.deepEqual(service.released, ['b', 'c'])
      service.reply('a')
      await client.closed
      assert.deepEqual(client.answers, ['A'])
    })
  })

  describe('ends', () => {
    it('with its signal aborted when the client goes', async () => {
      await open()
      const client = connect()
      client.send('a')
      await service.untilBegun(1)
      const { signal } = service.asked[0]!.connection
      client.socket.destroy()
      await once(signal, 'abort')
      service.reply('a')
    })

    it('with the node: what is in flight is answered, nothing more is begun', async () => {
      await open()
      const [idle, busy] = [connect(), connect()]
      busy.send('a')
      await service.untilBegun(1)
      while (listener.connectionCount < 2) await settle()
      const closing = listener.close(10_000)
      await idle.closed
      busy.send('b')
      await settle()
      service.reply('a')
      await busy.closed
      await closing
      assert.deepEqual(busy.answers, ['A'])
      assert.deepEqual(service.begun, ['a'])
    })

    it('with the node: waits for new records end at once', async () => {
      await open()
      const client = connect()
      client.send('large wait')
      await service.untilBegun(1)
      const { signal } = service.asked[0]!.connection
      const closing = listener.close(10_000)
      assert.equal(signal.aborted, true)
      service.reply('large wait')
      await closing
      await client.closed
      assert.deepEqual(client.answers, ['LARGE WAIT'])
    })

    it('with the node, in ten seconds at most', async () => {
      await open()
      const client = connect()
      client.send('a')
      await service.untilBegun(1)
      const closing = listener.close(10_000)
      clock.advance(10_000)
      await closing
      await client.closed
      service.reply('a')
      await settle()
    })

    it('and nobody new is accepted', async () => {
      await open()
      const port = listener.port
      await listener.close(0)
      const late = new Client(port)
      await late.closed
      assert.equal(late.socket.bytesRead, 0)
    })
  })
})
