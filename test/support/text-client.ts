/** A connection of the text protocol for tests: bytes out, and what comes back as it comes. */
import { connect, type Socket } from 'node:net'
import { within } from './waiting.ts'

const answerMsMax = 15_000

export class TextClient implements AsyncDisposable {
  readonly socket: Socket
  /** Every chunk as the socket gave it, since the last `take`. */
  chunks: Buffer[] = []
  #ended = false
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => {
      this.chunks.push(chunk)
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  static connect(port: number, host = '127.0.0.1'): Promise<TextClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new TextClient(socket))
      })
    })
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  write(bytes: Buffer | string): void {
    this.socket.write(bytes)
  }

  /** One command as a frame, and its reply. */
  async say(command: string | Buffer): Promise<string> {
    this.write(textFrame(command))
    return this.reply()
  }

  /** The next reply of a connection that speaks frames. */
  async reply(): Promise<string> {
    await this.#until(bytes => bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32LE(0), 'a reply')
    return this.#take(4 + this.received.readUInt32LE(0))
      .subarray(4)
      .toString()
  }

  /** The next reply of a connection that speaks lines. */
  async line(): Promise<string> {
    await this.#until(bytes => bytes.includes(0x0a), 'a line')
    return this.#take(this.received.indexOf(0x0a) + 1)
      .subarray(0, -1)
      .toString()
  }

  /** All that comes until the other side has closed. */
  async rest(): Promise<Buffer> {
    await within(answerMsMax, 'the end of the connection', this.#untilEnd())
    return this.#take(this.received.length)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    await this.#untilEnd()
  }

  #take(length: number): Buffer {
    const bytes = this.received
    this.chunks = bytes.length === length ? [] : [bytes.subarray(length)]
    return bytes.subarray(0, length)
  }

  async #until(isThere: (bytes: Buffer) => boolean, what: string): Promise<void> {
    const wait = async () => {
      while (!isThere(this.received)) {
        if (this.#ended) throw new Error(`the connection ended before ${what}: ${this.received}`)
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    }
    await within(answerMsMax, what, wait())
  }

  async #untilEnd(): Promise<void> {
    while (!this.#ended) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

/** A command as Walrus' clients send it. */
export function textFrame(command: string | Buffer): Buffer {
  const body = Buffer.from(command)
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32LE(body.length)
  frame.set(body, 4)
  return frame
}
