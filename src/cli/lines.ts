/**
 * Lines of standard input or of files, as bytes: each without its newline, the last one also where it has none. They come in
 * handfuls, as many as are there, so that whoever waits for them can send what it has before it waits for more.
 */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { exitCodes, systemCode } from '../base/errors.ts'
import { CliError } from './failure.ts'

const lineBytesMax = 64 << 20
const readBytes = 1 << 20
const newline = 0x0a

export interface Line {
  readonly bytes: Buffer
  readonly source: string
  readonly number: number
}

/** `paths` empty, or `-`, is standard input. Ends early, after whole lines, when the signal comes. */
export async function* linesOf(paths: readonly string[], signal: AbortSignal): AsyncGenerator<readonly Line[]> {
  for (const path of paths.length === 0 ? ['-'] : paths) {
    if (signal.aborted) return
    const source = path === '-' ? 'standard input' : path
    const stream: Readable = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: readBytes })
    try {
      yield* linesIn(stream, source, signal)
    } catch (error) {
      if (signal.aborted) return
      throw readFailure(error, source)
    }
  }
}

async function* linesIn(stream: Readable, source: string, signal: AbortSignal): AsyncGenerator<readonly Line[]> {
  const splitter = new Splitter(source)
  const stop = () => stream.destroy()
  signal.addEventListener('abort', stop)
  try {
    for await (const chunk of stream) {
      const lines = splitter.push(chunk as Buffer)
      if (lines.length > 0) yield lines
      if (signal.aborted) return
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
  const last = splitter.end()
  if (last !== null) yield [last]
}

/** Cuts bytes into lines; what has no end yet waits for the next bytes. */
export class Splitter {
  readonly #source: string
  #number = 0
  #rest: Buffer[] = []
  #restBytes = 0

  constructor(source: string) {
    this.#source = source
  }

  push(chunk: Buffer): Line[] {
    const lines: Line[] = []
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      lines.push(this.#line(chunk.subarray(from, at)))
      from = at + 1
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from))
    return lines
  }

  end(): Line | null {
    return this.#restBytes === 0 ? null : this.#line(Buffer.alloc(0))
  }

  #line(tail: Buffer): Line {
    const bytes = this.#restBytes === 0 ? tail : Buffer.concat([...this.#rest, tail])
    this.#rest = []
    this.#restBytes = 0
    this.#number++
    return { bytes, source: this.#source, number: this.#number }
  }

  #keep(rest: Buffer): void {
    this.#rest.push(rest)
    this.#restBytes += rest.length
    if (this.#restBytes <= lineBytesMax) return
    const where = `line ${this.#number + 1} of ${this.#source}`
    throw new CliError(
      exitCodes.runtime,
      `${where} is longer than ${lineBytesMax >> 20} MiB; no broker takes that much`,
    )
  }
}

function readFailure(error: unknown, source: string): Error {
  const code = systemCode(error)
  if (code === 'ENOENT') return new CliError(exitCodes.notFound, `${source}: there is no such file; check the path`)
  if (code !== null) return new CliError(exitCodes.runtime, `${source} cannot be read (${code})`)
  return error instanceof Error ? error : new Error(String(error))
}
