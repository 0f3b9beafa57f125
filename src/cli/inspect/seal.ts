/** Seal files (docs/formats/seal.md): summary and index of a complete segment. */
import { crc32c } from '../../base/crc32c.ts'
import { TidelogError } from '../../base/errors.ts'
import { sealBody } from '../../log/seal-file.ts'
import { decodeSound } from '../../log/whole-file.ts'
import { readInt64 } from '../../wire/record-batch.ts'
import type { Body } from '../../wire/schema.ts'
import { entry, type Finding, type Format, header, plain, problem } from './finding.ts'
import type { Source } from './source.ts'

export const sealFormat: Format = {
  name: 'seal',
  columns: [
    { field: 'offset', width: 12, right: true },
    { field: 'position', width: 12, right: true },
    { field: 'maxTimestampBefore', width: 18, right: true },
  ],
}

export const sealMagic = 'TIDESEAL'
const headerBytes = 16
const footerBytes = 32
const pageBytes = 4096
const pointBytes = 24
const version = 1

interface Read {
  readonly body: Body<typeof sealBody> | null
  readonly problems: readonly Finding[]
}

/** The body, and what is wrong with what is around it. */
export function readSeal(source: Source): Read {
  const problems: Finding[] = []
  const footerAt = source.bytes - footerBytes
  if (footerAt < headerBytes) return { body: null, problems: [problem(0, 'it is too short for a seal file')] }
  const head = source.read(0, headerBytes)
  if (
    head.toString('latin1', 0, 8) !== sealMagic ||
    head.readUInt16BE(8) !== version ||
    head.subarray(10).some(byte => byte !== 0)
  ) {
    problems.push(problem(0, 'the header is none of a seal file of version 1'))
  }
  const footer = source.read(footerAt, footerBytes)
  if (footer.toString('latin1', 0, 8) !== sealMagic || footer.readUInt32BE(28) !== crc32c(footer.subarray(0, 28))) {
    return { body: null, problems: [...problems, problem(footerAt, 'the footer does not match its checksum')] }
  }
  if (footer.readUInt16BE(8) !== version) {
    return {
      body: null,
      problems: [...problems, problem(footerAt, `version ${footer.readUInt16BE(8)} is not known here`)],
    }
  }
  const bodyAt = footer.readUInt32BE(12)
  if (bodyAt > footerAt)
    return { body: null, problems: [...problems, problem(footerAt, 'the footer names no place for the body')] }
  const bytes = source.read(bodyAt, footerAt - bodyAt)
  if (crc32c(bytes) !== footer.readUInt32BE(16)) {
    return { body: null, problems: [...problems, problem(bodyAt, 'the body does not match its checksum')] }
  }
  try {
    return { body: decodeSound(sealBody, bytes, 'the body'), problems }
  } catch (error) {
    if (!(error instanceof TidelogError)) throw error
    return { body: null, problems: [...problems, problem(bodyAt, error.message)] }
  }
}

export function* readSealFile(source: Source): Generator<Finding> {
  const { body, problems } = readSeal(source)
  yield* problems
  if (body === null) return
  const { pages, ...summary } = body
  yield header({ ...(plain(summary) as Record<string, never>), pages: pages.length })
  let before = { offset: -1, position: -1 }
  for (const [index, page] of pages.entries()) {
    const at = headerBytes + index * pageBytes
    const bytes = source.read(at, pageBytes)
    if (bytes.length < pageBytes || crc32c(bytes) !== page.crc) {
      yield problem(at, `page ${index} of the index does not match its checksum`)
      continue
    }
    for (let i = 0; i < Math.min(page.points, pageBytes / pointBytes); i++) {
      const point = pointAt(bytes, i * pointBytes)
      if (point.offset < before.offset || point.position <= before.position) {
        yield problem(
          at + i * pointBytes,
          `the index goes back, to offset ${point.offset} at position ${point.position}`,
        )
      }
      before = point
      yield entry(point)
    }
  }
}

function pointAt(page: Buffer, at: number) {
  return {
    offset: readInt64(page, at),
    position: readInt64(page, at + 8),
    maxTimestampBefore: readInt64(page, at + 16),
  }
}
