/** The file that is looked at: read only, by position, and no further than it was long when it was opened. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import { exitCodes, systemCode } from '../../base/errors.ts'
import { CliError } from '../failure.ts'

export class Source implements Disposable {
  readonly path: string
  readonly name: string
  readonly bytes: number
  readonly #fd: number

  private constructor(path: string, fd: number, bytes: number) {
    this.path = path
    this.name = basename(path)
    this.bytes = bytes
    this.#fd = fd
  }

  static open(path: string): Source {
    let fd: number
    try {
      fd = openSync(path, 'r')
    } catch (error) {
      throw openFailure(path, error)
    }
    const stat = fstatSync(fd)
    if (!stat.isFile()) {
      closeSync(fd)
      throw new CliError(
        exitCodes.runtime,
        `${path} is ${stat.isDirectory() ? 'a folder' : 'no file'}; name a file in it`,
      )
    }
    return new Source(path, fd, stat.size)
  }

  /** Up to `length` bytes from `position` on; fewer at the end of the file. */
  read(position: number, length: number): Buffer {
    const target = Buffer.alloc(Math.max(Math.min(length, this.bytes - position), 0))
    let count = 0
    while (count < target.length) {
      const read = readSync(this.#fd, target, count, target.length - count, position + count)
      if (read === 0) break
      count += read
    }
    return target.subarray(0, count)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

function openFailure(path: string, error: unknown): CliError {
  const code = systemCode(error)
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new CliError(exitCodes.notFound, `${path}: there is no such file; check the path`)
  if (code === 'EACCES' || code === 'EPERM')
    return new CliError(exitCodes.denied, `${path} may not be read by this user (${code})`)
  return new CliError(exitCodes.runtime, `${path} cannot be opened (${code ?? String(error)})`)
}
