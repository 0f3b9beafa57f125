/**
 * How a command ends when it cannot do what it was asked: one line that says what, where and what to do, and an exit code.
 * Whatever a Kafka client throws is brought into that form here.
 */
import { exitCodes, systemCode, TidelogError } from '../base/errors.ts'

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** What a command says before it ends. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Whoever read the output has closed it, as `head` does: no failure, and nothing more to do. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}

/** As shells tell it of a program that a Ctrl-C ended. */
export const interruptedExitCode = 130

/** The sentence and the exit code for whatever was thrown, of several tries for the last; `doing` is what failed, as in `create topic tides`. */
export function failureOf(error: unknown, doing = ''): CliError {
  if (error instanceof CliError) return error
  const before = doing === '' ? '' : `${doing}: `
  if (error instanceof TidelogError) return new CliError(error.exitCode, `${before}${error.message}`)
  const all = everyError(error)
  const refusal = all.findLast(isKafkaError)
  if (refusal !== undefined) return new CliError(exitCodeOf(refusal.apiId), `${before}${sentenceOf(refusal)}`)
  const network = all.find(isOfNetwork)
  if (network !== undefined) {
    const why = all.map(systemCode).find(code => code !== null) ?? network.message
    return new CliError(exitCodes.unreachable, `${before}the connection to the broker was lost (${why}); try again`)
  }
  const unsupported = all.find(each => codeOf(each) === 'PLT_KFK_UNSUPPORTED_API')
  if (unsupported !== undefined) {
    return new CliError(exitCodes.runtime, `${before}this broker does not offer it (${unsupported.message})`)
  }
  const last = all.at(-1)
  return new CliError(exitCodes.runtime, `${before}${last === undefined ? String(error) : last.message}`)
}

/** Does something, and says of a failure what it was that failed. */
export async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OutputClosed) throw error
    throw failureOf(error, doing)
  }
}

/** The name of the (last) Kafka error in what was thrown, such as `MESSAGE_TOO_LARGE`; null for anything else. */
export function kafkaErrorName(error: unknown): string | null {
  return everyError(error).findLast(isKafkaError)?.apiId ?? null
}

interface KafkaError extends Error {
  readonly apiId: string
  readonly serverErrorMessage?: string | null
}

/** The error, those it sums up and its causes, outermost first. */
export function everyError(error: unknown): Error[] {
  const found: Error[] = []
  const visit = (each: unknown) => {
    if (!(each instanceof Error) || found.includes(each)) return
    found.push(each)
    if (each instanceof AggregateError) for (const inner of each.errors) visit(inner)
    visit(each.cause)
  }
  visit(error)
  return found
}

function isKafkaError(error: Error): error is KafkaError {
  return typeof (error as { apiId?: unknown }).apiId === 'string'
}

const codeOf = (error: Error): unknown => (error as { code?: unknown }).code

function isOfNetwork(error: Error): boolean {
  const code = codeOf(error)
  return code === 'PLT_KFK_NETWORK' || code === 'PLT_KFK_TIMEOUT' || systemCode(error) !== null
}

/** What to do about the refusals that people meet most. */
const advice: Readonly<Record<string, string>> = {
  TOPIC_ALREADY_EXISTS: 'choose another name, or add --if-not-exists',
  NON_EMPTY_GROUP: 'stop its members first',
  UNKNOWN_MEMBER_ID: 'the group has members; stop them first',
  KAFKA_STORAGE_ERROR: 'the broker’s disk is full or broken; see its log',
  MESSAGE_TOO_LARGE: 'raise max.message.bytes of the topic, or send less at a time',
  POLICY_VIOLATION: 'the broker has a rule against it',
  TOPIC_DELETION_DISABLED: 'the broker is set not to delete topics',
}

function sentenceOf({ apiId, message, serverErrorMessage }: KafkaError): string {
  const what = (serverErrorMessage ?? '').trim() || message
  const plain = what.replace(/[.\s]+$/, '')
  const todo = advice[apiId]
  return `${plain} (${apiId})${todo === undefined ? '' : `; ${todo}`}`
}

function exitCodeOf(name: string): number {
  if (/AUTHORIZATION_FAILED|AUTHENTICATION/.test(name)) return exitCodes.denied
  if (/^UNKNOWN_TOPIC|^GROUP_ID_NOT_FOUND$/.test(name)) return exitCodes.notFound
  return exitCodes.runtime
}
