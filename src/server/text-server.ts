/**
 * The door of the text protocol: a port of its own, and `/text` on that of HTTP. Both are the same door behind, so that
 * whoever comes by either shares the cursors.
 */
import type { Broker } from '../broker/broker.ts'
import type { Engine } from '../broker/engine.ts'
import { TextDoor } from '../broker/text/text-door.ts'
import type { Clock } from '../io/clock.ts'
import { type TextFrame, TextReader } from '../wire/text.ts'
import { addressText } from './address.ts'
import type { ConnectionLimits } from './connection.ts'
import type { WebSocketRoute } from './http/web-sockets.ts'
import { Listener } from './listener.ts'
import { type Logger, RateLimitedLog } from './log.ts'
import { type RunCommand, runCommand, textService } from './text-connection.ts'
import { messageBytesLimit, TextWebSockets } from './text-web-sockets.ts'

export interface TextServerOptions {
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  /** Asked for with each command: what lies behind may be swapped. */
  readonly behind: () => { readonly broker: Broker; readonly engine: Engine }
  /** Lets a command in when what lies behind can be asked: at once, unless it is just being swapped. */
  readonly pass?: <T>(work: () => Promise<T>) => Promise<T>
  readonly limits: ConnectionLimits
  readonly requestBudgetBytesMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly clock: Clock
  readonly log: Logger
  /** What a command failed with that is not the client's doing. */
  readonly onFault: (error: unknown) => void
}

const principal = 'anonymous'

export class TextServer {
  readonly #options: TextServerOptions
  readonly #run: RunCommand
  readonly #sockets: TextWebSockets
  #listener: Listener<TextFrame> | null = null
  #door: { readonly broker: Broker; readonly text: TextDoor } | null = null

  private constructor(options: TextServerOptions) {
    this.#options = options
    const { limits, clock, log, onFault, pass = work => work() } = options
    this.#run = content => pass(() => runCommand(this.#current(), content))
    this.#sockets = new TextWebSockets({
      run: this.#run,
      limits,
      clock,
      log: new RateLimitedLog(log, clock),
      onFault,
    })
  }

  /** Throws `LISTEN` when the port cannot be had. */
  static async open(options: TextServerOptions): Promise<TextServer> {
    const server = new TextServer(options)
    server.#listener = await Listener.open({
      ...options,
      name: 'text',
      portOption: 'text-port',
      advertise: null,
      service: textService(server.#run),
      framing: ({ bytesMax }) => new TextReader(bytesMax),
      answersAfterEnd: true,
    })
    return server
  }

  get port(): number {
    return this.#listener?.port ?? 0
  }

  get connectionCount(): number {
    return (this.#listener?.connectionCount ?? 0) + this.#sockets.size
  }

  /** For HTTP's port. */
  get webSocketRoute(): WebSocketRoute {
    return {
      messageBytesMax: Math.min(this.#options.limits.frameBytesMax, messageBytesLimit),
      onConnection: (socket, remote) => this.#sockets.accept(socket, remote),
    }
  }

  /** Gives what is in flight `graceMs` to be answered, and commits what has been sent. */
  async close(graceMs: number): Promise<void> {
    await Promise.all([this.#listener?.close(graceMs), this.#sockets.close(graceMs)])
    await this.#door?.text.close()
  }

  #current(): TextDoor {
    const { broker, engine } = this.#options.behind()
    if (this.#door?.broker === broker) return this.#door.text
    // Of the broker before, which is closed by now.
    void this.#door?.text.close()
    const { host, clock } = this.#options
    const text = new TextDoor({
      door: broker.door(principal),
      clock,
      nodeId: engine.nodeId,
      clusterId: engine.clusterId,
      raft: () => engine.raft,
      address: () => addressText({ host, port: this.port }),
    })
    this.#door = { broker, text }
    return text
  }
}
