/** The text protocol over WebSocket: a message is a command, a message is its reply. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { tempDir } from '../support/temp-dir.ts'
import { TextClient } from '../support/text-client.ts'
import { Tidelog } from '../support/tidelog.ts'
import { within } from '../support/waiting.ts'

class Client implements Disposable {
  readonly socket: WebSocket
  readonly replies: string[] = []
  closedWith: number | null = null
  closedFor = ''
  #wake: () => void = () => {}

  constructor(port: number) {
    this.socket = new WebSocket(`ws://localhost:${port}/text`)
    this.socket.on('message', data => {
      this.replies.push(String(data))
      this.#wake()
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', (code, reason) => {
      this.closedWith = code
      this.closedFor = String(reason)
      this.#wake()
    })
  }

  async say(...messages: readonly (string | Buffer)[]): Promise<string[]> {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open')
    for (const message of messages) this.socket.send(message)
    await within(
      10_000,
      'the replies',
      this.until(() => this.replies.length >= messages.length),
    )
    return this.replies.splice(0)
  }

  async until(isThere: () => boolean): Promise<void> {
    while (!isThere()) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  [Symbol.dispose](): void {
    this.socket.terminate()
  }
}

describe('the text protocol over WebSocket', () => {
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

  it('has the same commands, in order, with nothing escaped', async () => {
    using client = new Client(tidelog.httpPort)
    const commands = [
      'REGISTER t',
      'PUT t a\nb\\n',
      'GET t',
      'GET t',
      '',
      'put t x',
      'PUT t c',
      'PUT t d',
      'GET t',
      'GET t',
    ]
    const replies = [
      'OK',
      'OK',
      'OK a\nb\\n',
      'EMPTY',
      'ERR unknown command',
      'ERR unknown command',
      'OK',
      'OK',
      'OK c',
      'OK d',
    ]
    assert.deepEqual(await client.say(...commands), replies)
    assert.deepEqual(await client.say(Buffer.from('GET t'), Buffer.from([0xff])), ['EMPTY', 'ERR invalid utf-8'])
    assert.equal(JSON.parse((await client.say('STATE t'))[0] as string).current_segment, 1)
    await using tcp = await TextClient.connect(tidelog.textPort)
    assert.equal(await tcp.say('PUT t e'), 'OK')
    assert.deepEqual(await client.say('GET t'), ['OK e'])
    assert.equal(await tcp.say('GET t'), 'EMPTY', 'the cursor is the same')
  })

  it('ends a connection whose message is too long, and no other', async () => {
    using client = new Client(tidelog.httpPort)
    using other = new Client(tidelog.httpPort)
    await client.say('REGISTER long')
    assert.deepEqual(await client.say(`PUT long ${'x'.repeat(65_527)}`), ['OK'])
    client.socket.send(`PUT long ${'x'.repeat(65_528)}`)
    await within(
      10_000,
      'the close',
      client.until(() => client.closedWith !== null),
    )
    assert.deepEqual([client.closedWith, client.closedFor], [1009, 'a message may have 65536 bytes'])
    assert.match((await other.say('GET long'))[0] as string, /^OK x+$/)
    assert.deepEqual(await other.say('GET long'), ['EMPTY'])
  })

  it('does not read on from who does not read', async () => {
    using client = new Client(tidelog.httpPort)
    await client.say('REGISTER big', `PUT big ${'x'.repeat(60_000)}`)
    client.socket.pause()
    const before = tidelog.residentBytes
    for (let i = 0; i < 5_000; i++) client.socket.send('FETCH big 1 0')
    await sleep(500)
    assert.ok(tidelog.residentBytes - before < 100 << 20, '300 MB of replies are not held')
    client.socket.resume()
    await within(
      20_000,
      'all replies',
      client.until(() => client.replies.length === 5_000),
    )
  })

  it('closes what nobody uses, like the connections of the other ports', async () => {
    await using own = await tempDir()
    const set = { 'connections.max.idle.ms': 300 }
    await using quiet = await Tidelog.start({ dataDir: own.path, textPort: 0, httpPort: 0, set })
    using client = new Client(quiet.httpPort)
    await using tcp = await TextClient.connect(quiet.textPort)
    await client.say('REGISTER t')
    await within(
      10_000,
      'the close',
      client.until(() => client.closedWith !== null),
    )
    assert.equal(client.closedWith, 1001)
    assert.equal((await tcp.rest()).length, 0)
  })

  it('says that it goes away when the broker stops', async () => {
    await using own = await tempDir()
    await using stopping = await Tidelog.start({ dataDir: own.path, textPort: 0, httpPort: 0 })
    using client = new Client(stopping.httpPort)
    await client.say('REGISTER t')
    assert.deepEqual(await stopping.stop(), { code: 0, signal: null })
    await within(
      5_000,
      'the close',
      client.until(() => client.closedWith !== null),
    )
    assert.equal(client.closedWith, 1001)
  })
})
