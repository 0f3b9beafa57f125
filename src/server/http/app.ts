/**
 * The routes behind health: a fastify app without a socket of its own. It is built when somebody first asks for one of its
 * paths, because loading fastify takes longer than the rest of a start.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { apiRoutes, type RouteRequest } from './api.ts'
import { MetricsPage } from './metrics-page.ts'
import { HttpProblem, type Problem, problem, problemStatus } from './problem.ts'
import type { Subject } from './subject.ts'

export type App = (request: IncomingMessage, response: ServerResponse) => void

export interface AppOptions {
  readonly subject: Subject
  /** Told of what a route threw that is no answer. */
  readonly onFault: (error: unknown, path: string) => void
}

const pathBytesMax = 16 * 1024

export async function buildApp({ subject, onFault }: AppOptions): Promise<App> {
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
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    // For people at a terminal.
    return typeof payload === 'string' && !payload.endsWith('\n') ? `${payload}\n` : payload
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
