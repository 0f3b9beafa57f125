/** Paths at which a connection becomes a WebSocket. The library is loaded when the first client asks for one. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { invariant } from '../../base/invariant.ts'
import { type Address, plainHost } from '../address.ts'
import type { RateLimitedLog } from '../log.ts'
import { type Problem, problem } from './problem.ts'

export interface WebSocketRoute {
  /** A longer message ends its connection with code 1009 and the reason. */
  readonly messageBytesMax: number
  /** Called with each new connection, which belongs to the callee from then on. */
  readonly onConnection: (socket: WebSocket, remote: Address) => void
}

interface Mounted {
  readonly route: WebSocketRoute
  server: Promise<WebSocketServer> | null
}

export class WebSockets {
  readonly #log: RateLimitedLog
  readonly #mounted = new Map<string, Mounted>()

  constructor(log: RateLimitedLog) {
    this.#log = log
  }

  mount(path: string, route: WebSocketRoute): void {
    invariant(!this.#mounted.has(path), 'a path has one owner')
    this.#mounted.set(path, { route, server: null })
  }

  refusalOf(path: string): Problem | null {
    if (this.#mounted.has(path)) return null
    return problem('UNKNOWN_PATH', `there is no WebSocket at ${path.slice(0, 200)}`, 'see docs/http.md')
  }

  open(path: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const mounted = this.#mounted.get(path)
    invariant(mounted !== undefined, 'only paths that are mounted are opened')
    mounted.server ??= newServer(mounted.route)
    const { remoteAddress = '', remotePort = 0 } = request.socket
    mounted.server.then(
      server =>
        server.handleUpgrade(request, socket, head, webSocket => {
          // An error is always followed by `close`.
          webSocket.on('error', () => undefined)
          sayWhy(webSocket, mounted.route)
          mounted.route.onConnection(webSocket, { host: plainHost(remoteAddress), port: remotePort })
        }),
      error => {
        mounted.server = null
        this.#log.error('websocket', { cause: String(error) }, 'WebSockets could not be loaded')
        socket.destroy()
      },
    )
  }
}

const messageTooLong = 1009

/** The library closes with a number alone; the reason is what a page in a browser can show. */
function sayWhy(webSocket: WebSocket, { messageBytesMax }: WebSocketRoute): void {
  const close = webSocket.close.bind(webSocket)
  const tooLong = `a message may have ${messageBytesMax} bytes`
  webSocket.close = (code, reason) => close(code, reason ?? (code === messageTooLong ? tooLong : undefined))
}

async function newServer({ messageBytesMax }: WebSocketRoute): Promise<WebSocketServer> {
  const { WebSocketServer } = await import('ws')
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytesMax,
    // Each compressed connection would hold some 300 KB.
    perMessageDeflate: false,
  })
}
