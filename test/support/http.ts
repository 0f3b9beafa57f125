/** One request over HTTP, on a connection of its own, with whatever headers a test wants. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { within } from './waiting.ts'

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface HttpAsk {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const answerMsMax = 10_000

export function ask(port: number, path: string, options: HttpAsk = {}): Promise<HttpAnswer> {
  const { method = 'GET', headers = {}, body } = options
  const answer = new Promise<HttpAnswer>((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      response.on('error', reject)
    })
    asking.on('error', reject).end(body)
  })
  return within(answerMsMax, `the answer to ${method} ${path}`, answer)
}

/** The JSON at a path that is there. */
export async function json<T>(port: number, path: string): Promise<T> {
  const { status, text } = await ask(port, path)
  if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
  return JSON.parse(text) as T
}

/** Raw bytes in; all that comes until the other side ends the connection. */
export async function talk(port: number, bytes: string, waitMs = answerMsMax): Promise<string> {
  const socket = await open(port)
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  const ended = new Promise<void>(resolve => socket.on('close', () => resolve()))
  socket.write(bytes)
  try {
    await within(waitMs, () => `the end of the connection (it said ${text})`, ended)
  } finally {
    socket.destroy()
  }
  return text
}

/** A connection that nobody reads yet. */
export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      // Those that are closed by the other side are what tests are about.
      socket.off('error', reject).on('error', () => undefined)
      resolve(socket)
    })
  })
}
