/**
 * The HTTP door: its sockets, who may come in, health, and the way to everything else.
 *
 *     open (health answers: not ready) → serve (routes, WebSockets) → stop (health: not ready, routes refuse) → close
 *
 * It opens before the node is recovered and closes last, so that whoever asks meanwhile hears why the node is not ready.
 * Nothing here waits for a client: connections, header and answer times, and requests in flight on one connection are
 * bounded, and what the routes tell is gathered apart from the requests that are served to Kafka clients.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { systemCode } from '../../base/errors.ts'
import type { Clock } from '../../io/clock.ts'
import { bind } from '../bind.ts'
import type { RateLimitedLog } from '../log.ts'
import type { App } from './app.ts'
import type { Health } from './health.ts'
import type { AllowedHosts } from './hosts.ts'
import { Pace } from './pace.ts'
import { type Problem, problem, problemStatus } from './problem.ts'
import { type WebSocketRoute, WebSockets } from './web-sockets.ts'

export interface HttpOptions {
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  readonly hosts: AllowedHosts
  readonly health: Health
  readonly clock: Clock
  readonly log: RateLimitedLog
}

const bounds = {
  connectionsMax: 256,
  /** The same for a connection that is half-open, slow or asks for nothing. */
  headersMsMax: 10_000,
  requestMsMax: 15_000,
  stallMsMax: 30_000,
  keepAliveMs: 65_000,
  /** How often the times above are looked at. */
  checkMs: 2_000,
  headerBytesMax: 16 * 1024,
  /** No body is read; of a short one the method is what is wrong. */
  bodyBytesMax: 64 * 1024,
  /** Nobody pipelines; the answers of a thousand would fill the memory. */
  inFlightMax: 4,
  /** Far more than people and monitors ask, and far less than would be felt by Kafka clients. */
  health: { perSecond: 200, burst: 200, waitMsMax: 5_000 },
  routes: { perSecond: 100, burst: 200, waitMsMax: 5_000 },
  /** How long answers under way may take when the node stops. */
  closeMsMax: 1_000,
}

/** Imported as a module, Node would load its whole fetch and WebSocket client for the names that this module exports too. */
const http = process.getBuiltinModule('node:http')

const reading: ReadonlySet<string> = new Set(['GET', 'HEAD'])
const methods = 'GET, HEAD, OPTIONS'

export class HttpServer {
  readonly #options: HttpOptions
  readonly #sockets = new Set<Socket>()
  /** Those that are no WebSockets; whoever was answered last is the last. */
  readonly #plain = new Set<Socket>()
  readonly #inFlight = new WeakMap<Socket, number>()
  readonly #webSockets: WebSockets
  readonly #healthPace: Pace
  /** Of everything but health. Whoever answers at length charges it for that. */
  readonly pace: Pace
  #servers: readonly Server[] = []
  #build: (() => Promise<App>) | null = null
  #app: Promise<App> | null = null

  private constructor(options: HttpOptions) {
    this.#options = options
    this.#webSockets = new WebSockets(options.log)
    this.#healthPace = new Pace(bounds.health, options.clock)
    this.pace = new Pace(bounds.routes, options.clock)
  }

  /** Throws `LISTEN` when the port cannot be had. */
  static async open(options: HttpOptions): Promise<HttpServer> {
    const server = new HttpServer(options)
    const { host, port } = options
    server.#servers = await bind({ host, port, portOption: 'http-port', server: () => server.#newServer() })
    return server
  }

  get port(): number {
    const [first] = this.#servers
    return (first?.address() as AddressInfo | undefined)?.port ?? 0
  }

  /** Open connections, WebSockets among them. */
  get connectionCount(): number {
    return this.#sockets.size
  }

  /** From now on there is more than health; `build` is called when it is first asked for. */
  serve(build: () => Promise<App>): void {
    this.#build = build
  }

  /** Lets clients open WebSockets at a path. Whoever mounts it closes its sockets when the node stops. */
  webSocket(path: string, route: WebSocketRoute): void {
    this.#webSockets.mount(path, route)
  }

  /** Only health is answered any more: what the routes would tell of is being closed. */
  stop(): void {
    this.#build = null
  }

  /** Lets answers under way go out, for a second at most. */
  async close(): Promise<void> {
    this.stop()
    const closed = this.#servers.map(server => new Promise<void>(resolve => server.close(() => resolve())))
    // Idle ones, those that dawdle, and WebSockets that their owner has left.
    for (const socket of this.#sockets) if ((this.#inFlight.get(socket) ?? 0) === 0) socket.destroy()
    const timer = this.#options.clock.setTimer(bounds.closeMsMax, () => {
      for (const socket of this.#sockets) socket.destroy()
    })
    await Promise.all(closed)
    timer.cancel()
    this.#healthPace.close()
    this.pace.close()
  }

  #newServer(): Server {
    const server = http.createServer(
      {
        noDelay: true,
        keepAlive: true,
        headersTimeout: bounds.headersMsMax,
        requestTimeout: bounds.requestMsMax,
        keepAliveTimeout: bounds.keepAliveMs,
        connectionsCheckingInterval: bounds.checkMs,
        maxHeaderSize: bounds.headerBytesMax,
        // Missing, it is refused in words.
        requireHostHeader: false,
        // Others, as h2c, are offers that a server may pass over.
        shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
      },
      (request, response) => this.#onRequest(request, response),
    )
    server.setTimeout(bounds.stallMsMax)
    server.on('connection', socket => this.#onConnection(socket))
    server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
    // Nobody is asked for a body that is not wanted.
    server.on('checkContinue', (request, response) => this.#onRequest(request, response))
    server.on('checkExpectation', (request, response) => this.#onRequest(request, response))
    server.on('connect', (_request, socket) => {
      socket.on('error', () => socket.destroy())
      refuseRaw(socket, notServed('CONNECT'))
    })
    server.on('clientError', (error, socket) => this.#onClientError(error, socket as Socket))
    return server
  }

  /**
   * At the bound whoever was answered longest ago makes room: those that never ask anything must not keep away whoever asks
   * whether the broker is well.
   */
  #onConnection(socket: Socket): void {
    if (this.#sockets.size >= bounds.connectionsMax) {
      const [oldest = socket] = this.#plain
      this.#options.log.warn('too many', {}, `closed a connection: there are ${bounds.connectionsMax}`)
      oldest.destroy()
      this.#forget(oldest)
      if (oldest === socket) return
    }
    this.#sockets.add(socket)
    this.#plain.add(socket)
    socket.on('close', () => this.#forget(socket))
  }

  #forget(socket: Socket): void {
    this.#sockets.delete(socket)
    this.#plain.delete(socket)
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#mayAnswer(request, response)) return
    const isHealth = healthPaths.has(pathOf(request))
    const pace = isHealth ? this.#healthPace : this.pace
    const go = () => this.#answer(request, response, isHealth)
    pace.enter(go, () => refuse(request, response, tooMany))
  }

  #answer(request: IncomingMessage, response: ServerResponse, isHealth: boolean): void {
    // Its client may be gone by now.
    if (request.socket.destroyed) return
    const refusal = this.#refusalOf(request)
    if (refusal !== null) refuse(request, response, refusal)
    else if (request.method === 'OPTIONS') response.writeHead(204, { allow: methods }).end()
    else if (isHealth) this.#answerHealth(request, response)
    else this.#route(request, response)
  }

  /** Answered without anything that could fail or would have to be loaded. */
  #answerHealth(request: IncomingMessage, response: ServerResponse): void {
    const { isReady, reasons } = this.#options.health
    if (pathOf(request) === '/livez') answer(request, response, 200, { status: 'alive' })
    else if (isReady) answer(request, response, 200, { status: 'ready' })
    else answer(request, response, 503, { status: 'not ready', reasons })
  }

  /** Whoever asks on and on without reading the answers is disconnected. */
  #mayAnswer(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const count = (this.#inFlight.get(socket) ?? 0) + 1
    this.#inFlight.set(socket, count)
    response.on('close', () => this.#inFlight.set(socket, (this.#inFlight.get(socket) ?? 1) - 1))
    response.on('finish', () => {
      if (this.#plain.delete(socket)) this.#plain.add(socket)
    })
    if (count > bounds.inFlightMax) socket.destroy()
    return !socket.destroyed
  }

  #refusalOf(request: IncomingMessage): Problem | null {
    const host = request.headers.host
    if (host === undefined && request.httpVersion === '1.1') return noHost
    if (!this.#options.hosts.allows(host)) return foreignHost(host ?? '')
    const { method = '', headers } = request
    if (Number(headers['content-length'] ?? 0) > bounds.bodyBytesMax) {
      return problem('BODY_TOO_LARGE', `the body is longer than ${bounds.bodyBytesMax} bytes`, 'nothing here takes one')
    }
    if (!reading.has(method) && method !== 'OPTIONS') {
      return notServed(method)
    }
    if (!hasBody(request)) return null
    return problem('BODY_TOO_LARGE', 'nothing here takes a body', 'send the request without one')
  }

  #notReady(): Problem {
    const why = this.#options.health.reasons.map(({ message }) => message).join('; ')
    return problem('NOT_READY', why === '' ? 'the node starts' : why, '/readyz says when to come again')
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#options.health.isReady || this.#build === null) {
      refuse(request, response, this.#notReady())
      return
    }
    this.#app ??= this.#build()
    this.#app.then(
      app => app(request, response),
      error => {
        this.#app = null
        this.#options.log.error('http', { cause: String(error) }, 'the routes of HTTP could not be loaded')
        refuse(request, response, problem('FAILED', 'the request failed here', 'the log says why'))
      },
    )
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const { hosts, health } = this.#options
    const { host, origin } = request.headers
    const path = pathOf(request)
    const refusal = !hosts.allows(host)
      ? foreignHost(host ?? '')
      : !hosts.allowsOrigin(origin)
        ? problem('FOREIGN_ORIGIN', `pages of ${shown(origin ?? '')} may not connect here`, namesHint)
        : !health.isReady
          ? this.#notReady()
          : this.#webSockets.refusalOf(path)
    if (refusal !== null) {
      refuseRaw(socket, refusal)
      return
    }
    this.#plain.delete(socket as Socket)
    this.#webSockets.open(path, request, socket, head)
  }

  /** What is no HTTP, too long, or did not come in time. */
  #onClientError(error: Error, socket: Socket): void {
    const code = systemCode(error) ?? (error as NodeJS.ErrnoException).code
    if (!socket.writable || code === 'ECONNRESET') return void socket.destroy()
    if (code === 'HPE_HEADER_OVERFLOW') {
      refuseRaw(socket, problem('HEADERS_TOO_LARGE', 'the headers are too long', 'send at most 16 KiB of them'))
    } else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      refuseRaw(socket, problem('TOO_SLOW', 'the request did not arrive in time', 'send it within ten seconds'))
    } else {
      refuseRaw(socket, problem('BAD_REQUEST', 'this is no request of HTTP/1.1', 'Kafka clients connect to --port'))
    }
  }
}

const healthPaths: ReadonlySet<string> = new Set(['/livez', '/readyz'])

const tooMany = problem(
  'TOO_MANY',
  'more is asked here than is answered',
  'ask less often; /metrics changes every two seconds',
)

const noHost = problem('BAD_REQUEST', 'the request has no Host header', 'send one, as HTTP/1.1 asks for')

const namesHint = 'ask for localhost or an address, or start the node with --http-names'

function foreignHost(host: string): Problem {
  return problem('FOREIGN_HOST', `this node is not called ${shown(host)}`, namesHint)
}

function notServed(method: string): Problem {
  return problem('METHOD_NOT_ALLOWED', `${method} is not served here`, `this door only tells: ${methods}`)
}

/** As much of a header as is told to its sender. */
function shown(header: string): string {
  return `'${header.slice(0, 100)}'`
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] as string
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** What is left of the request is not read: the connection ends with the answer. */
function refuse(request: IncomingMessage, response: ServerResponse, refusal: Problem): void {
  if (hasBody(request) || refusal.code === 'BAD_REQUEST') response.setHeader('connection', 'close')
  if (refusal.code === 'METHOD_NOT_ALLOWED') response.setHeader('allow', methods)
  answer(request, response, problemStatus[refusal.code], refusal)
}

function answer({ method }: IncomingMessage, response: ServerResponse, status: number, value: unknown): void {
  const body = `${JSON.stringify(value)}\n`
  const headers = { ...answerHeaders, 'content-length': Buffer.byteLength(body) }
  response.writeHead(status, headers).end(method === 'HEAD' ? undefined : body)
}

const answerHeaders = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const

/** On a socket that Node has no response for. */
function refuseRaw(socket: Duplex, refusal: Problem): void {
  const status = problemStatus[refusal.code]
  const body = `${JSON.stringify(refusal)}\n`
  const headers = { ...answerHeaders, 'content-length': Buffer.byteLength(body), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy())
}
