/**
 * The routes behind health: a fastify app without a socket of its own. It is built when somebody first asks for one of its
 * paths, because loading fastify takes longer than the rest of a start.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { apiRoutes, type RouteRequest } from './api.ts'
import { MetricsPage } from './metrics-page.ts'
import type { Pace } from './pace.ts'
import { HttpProblem, type Problem, problem, problemStatus } from './problem.ts'
import type { Subject } from './subject.ts'

export type App = (request: IncomingMessage, response: ServerResponse) => void

export interface AppOptions {
  readonly subject: Subject
  /** Charged for long answers. */
  readonly pace: Pace
  /** Told of what a route threw that is no answer. */
  readonly onFault: (error: unknown, path: string) => void
}

const pathBytesMax = 16 * 1024
/** An answer counts for one more request with each so many bytes: that is about what it takes to make them. */
const chargedBytes = 64 * 1024
/** Of answers that their clients have not taken yet, all together. */
const unsentBytesMax = 64 << 20

export async function buildApp({ subject, pace, onFault }: AppOptions): Promise<App> {
  const onError = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const answer = problemOf(error)
    if (answer.code === 'FAILED') onFault(error, pathOf(request.url))
    return refuse(reply, answer)
  }
  const app = fastify({
    logger: false,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: pathBytesMax },
    frameworkErrors: onError,
  })
  const unsent = new UnsentAnswers()
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    if (typeof payload !== 'string') return payload
    pace.charge(Math.floor(payload.length / chargedBytes))
    if (!unsent.take(payload.length, reply.raw)) {
      reply.code(problemStatus[busy.code])
      return `${JSON.stringify(busy)}\n`
    }
    // For people at a terminal.
    return payload.endsWith('\n') ? payload : `${payload}\n`
  })
  app.setNotFoundHandler((request, reply) =>
    refuse(reply, problem('UNKNOWN_PATH', `there is nothing at ${pathOf(request.url)}`, 'see docs/http.md')),
  )
  app.setErrorHandler(onError)
  for (const [path, route] of Object.entries(apiRoutes)) {
    app.get(path, ({ params, query }) => route(subject, { params, query } as RouteRequest))
  }
  const metrics = new MetricsPage(subject)
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
  await app.ready()
  return (request, response) => app.routing(request, response)
}

const busy = problem('BUSY', 'too many answers are not taken by their clients', 'come again in a moment')

class UnsentAnswers {
  #bytes = 0

  /** Whether there is room for an answer, until it is sent or its client is gone. */
  take(bytes: number, response: ServerResponse): boolean {
    const { socket } = response.req
    if (this.#bytes + bytes > unsentBytesMax) return false
    if (socket.destroyed) return true
    this.#bytes += bytes
    const release = () => {
      response.off('close', release)
      socket.off('close', release)
      this.#bytes -= bytes
    }
    // Answers behind others of their connection are told nothing when it ends.
    response.on('close', release)
    socket.on('close', release)
    return true
  }
}

function refuse(reply: FastifyReply, answer: Problem): FastifyReply {
  return reply.code(problemStatus[answer.code]).send(answer)
}

function problemOf(error: unknown): Problem {
  if (error instanceof HttpProblem) return error.problem
  const status = (error as { statusCode?: unknown }).statusCode
  const isOfClient = typeof status === 'number' && status >= 400 && status < 500
  if (isOfClient) return problem('BAD_REQUEST', (error as Error).message, 'see docs/http.md')
  return problem('FAILED', 'the request failed here', 'the log says why')
}

/** As much of a path as is repeated to the client or in a log. */
function pathOf(url: string): string {
  return (url.split('?', 1)[0] ?? '').slice(0, 200)
}
