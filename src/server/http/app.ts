/**
 * The routes behind health: a fastify app without a socket of its own. It is built when somebody first asks for one of its
 * paths, because loading fastify takes longer than the rest of a start.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fastify } from 'fastify'
import { HttpProblem, type Problem, problem, problemStatus } from './problem.ts'

export type Route = (path: string, answer: (request: RouteRequest) => Promise<unknown>) => void

export interface RouteRequest {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
}

export interface AppOptions {
  /** Told of what a route threw that is no answer. */
  readonly onFault: (error: unknown, path: string) => void
}

export type App = (request: IncomingMessage, response: ServerResponse) => void

export async function buildApp({ onFault }: AppOptions): Promise<App> {
  const app = fastify({ logger: false, exposeHeadRoutes: true, routerOptions: { maxParamLength: 300 } })
  app.setNotFoundHandler((request, reply) => {
    const { code, ...rest } = problem('UNKNOWN_PATH', `there is nothing at ${pathOf(request.url)}`, 'see docs/http.md')
    return reply.code(problemStatus[code]).send({ code, ...rest })
  })
  app.setErrorHandler((error, request, reply) => {
    const answer = problemOf(error)
    if (answer.code === 'FAILED') onFault(error, pathOf(request.url))
    return reply.code(problemStatus[answer.code]).send(answer)
  })
  await app.ready()
  return (request, response) => app.routing(request, response)
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
