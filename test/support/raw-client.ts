/** A client that speaks Kafka's protocol by its tables and hides nothing: for what no real client would send. */
import { once } from 'node:events'
import * as net from 'node:net'
import { flattenRope, type Rope } from '../../src/base/rope.ts'
import type { Api } from '../../src/wire/api-keys.ts'
import { decodeResponse, encodeRequest } from '../../src/wire/exchange.ts'
import { FrameReader } from '../../src/wire/frame.ts'
import type { Body, Draft } from '../../src/wire/schema.ts'

const answerBytesMax = 1 << 30

export class RawClient implements Disposable {
  readonly socket: net.Socket
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>
  /** Answers that nobody took yet, without their lengths. */
  readonly answers: Rope[] = []
  readonly #frames = new FrameReader({ bytesMin: 4, bytesMax: answerBytesMax })
  #correlationId = 0
  #isClosed = false

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      this.#frames.push(chunk)
      for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) this.answers.push(frame)
    })
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        this.#isClosed = true
        resolve()
      })
    })
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Sends a request and returns the bytes that were sent. */
  request<A extends Api>(api: A, version: number, body: Draft<A['request']>): Buffer {
    const bytes = this.encode(api, version, body)
    this.send(bytes)
    return bytes
  }

  encode<A extends Api>(api: A, version: number, body: Draft<A['request']>): Buffer {
    const header = { correlationId: ++this.#correlationId, clientId: 'raw' }
    return flattenRope(encodeRequest(api, version, header, body))
  }

  /** The next answer; throws when the connection closes instead. */
  async answer(): Promise<Rope> {
    for (;;) {
      const answer = this.answers.shift()
      if (answer !== undefined) return answer
      if (this.#isClosed) throw new Error('the connection was closed instead of an answer')
      await Promise.race([once(this.socket, 'data'), this.closed])
    }
  }

  async ask<A extends Api>(api: A, version: number, body: Draft<A['request']>): Promise<Body<A['response']>> {
    this.request(api, version, body)
    return decodeResponse(api, version, await this.answer()).body
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
