/**
 * The `.seal` file of a sealed segment (docs/formats/seal.md): its index in pages, then what the segment sums up to
 * (producers, holes, aborted transactions, the pages' directory), then a footer. It is written once, when the segment file is
 * complete and synced; its presence is what says so.
 *
 * A look-up reads at most one page: the directory, kept in memory, says which.
 */
import { crc32c } from '../base/crc32c.ts'
import { TidelogError } from '../base/errors.ts'
import type { Offset, Position } from '../base/ids.ts'
import type { Disk } from '../io/disk.ts'
import { encodeRecord, onDisk } from '../wire/on-disk.ts'
import { readInt64, writeInt64 } from '../wire/record-batch.ts'
import { array, type Body, type Draft, int32, int64, message, struct, uint32 } from '../wire/schema.ts'
import { holeTable, producerTable } from './checkpoint.ts'
import type { Descriptors } from './descriptors.ts'
import type { IndexPoint } from './segment-index.ts'
import { decodeSound, replaceFile } from './whole-file.ts'

const magic = Buffer.from('TIDESEAL')
const headerBytes = 16
const footerBytes = 32
const pointBytes = 24
const pagePoints = 170
const pageBytes = 4096
const sealVersion = 1

export const sealBody = message({
  name: 'SealBody',
  versions: [0, 0],
  ...onDisk,
  body: {
    segmentId: int64,
    base: int64,
    end: int64,
    /** Length of the segment file. */
    bytes: int64,
    records: int64,
    maxTimestamp: int64,
    maxTimestampBase: int64,
    leaderEpoch: int32,
    /** CRC-32C over each batch's first 21 bytes in order; these contain the batch's own CRC. */
    checksum: uint32,
    producers: array(producerTable),
    holes: array(holeTable),
    /** Aborted transactions, for readers of committed records. Empty until transactions exist. */
    aborted: array(struct({ producerId: int64, firstOffset: int64, lastOffset: int64, lastStableOffset: int64 })),
    /** First point of each index page. */
    pages: array(struct({ offset: int64, position: int64, maxTimestampBefore: int64, points: int32, crc: uint32 })),
  },
})

export type SealBody = Body<typeof sealBody>

/** Writes the file so that it is there whole or not at all. */
export async function writeSealFile(
  disk: Disk,
  path: string,
  summary: Omit<Draft<typeof sealBody>, 'pages' | 'aborted'>,
  points: readonly IndexPoint[],
): Promise<void> {
  const pages: { offset: number; position: number; maxTimestampBefore: number; points: number; crc: number }[] = []
  const chunks: Buffer[] = [fileHeader()]
  for (let from = 0; from < points.length; from += pagePoints) {
    const slice = points.slice(from, from + pagePoints)
    const page = encodePage(slice)
    chunks.push(page)
    pages.push({ ...(slice[0] as IndexPoint), points: slice.length, crc: crc32c(page) })
  }
  const body = encodeRecord(sealBody, { ...summary, aborted: [], pages })
  chunks.push(body, fileFooter(headerBytes + pages.length * pageBytes, body))
  await replaceFile(disk, path, chunks)
}

/** A sealed segment's summary and index, read on demand. */
export class SealFile {
  readonly body: SealBody
  readonly #path: string
  readonly #descriptors: Descriptors

  private constructor(path: string, descriptors: Descriptors, body: SealBody) {
    this.#path = path
    this.#descriptors = descriptors
    this.body = body
  }

  static async open(path: string, descriptors: Descriptors): Promise<SealFile> {
    const body = await descriptors.use(path, 'read', async file => {
      const size = await file.size()
      const footer = await readExactly(file, size - footerBytes, footerBytes, path)
      const position = checkFooter(footer, path)
      if (!(await readExactly(file, 0, headerBytes, path)).equals(fileHeader()))
        throw new TidelogError('CORRUPT', `${path} has no valid header`)
      const bytes = await readExactly(file, position, size - footerBytes - position, path)
      if (crc32c(bytes) !== footer.readUInt32BE(16))
        throw new TidelogError('CORRUPT', `${path} does not match its checksum`)
      return decodeSound(sealBody, bytes, path)
    })
    return new SealFile(path, descriptors, body)
  }

  /** The last point at or before an offset. */
  atOffset(offset: Offset): Promise<IndexPoint> {
    return this.#lastWhere(point => point.offset <= offset)
  }

  /** The last point before which every timestamp is lower than the one asked for. */
  beforeTime(timestampMs: number): Promise<IndexPoint> {
    return this.#lastWhere(point => point.maxTimestampBefore < timestampMs)
  }

  /** The first point behind a position. */
  async behind(position: Position): Promise<IndexPoint | null> {
    const isBehind = (point: { position: number }) => point.position > position
    const index = this.body.pages.findLastIndex(page => !isBehind(page))
    const inPage = (await this.#page(Math.max(index, 0))).find(isBehind)
    return inPage ?? (index + 1 < this.body.pages.length ? (await this.#page(index + 1)).find(isBehind) : null) ?? null
  }

  async #lastWhere(holds: (point: { offset: number; maxTimestampBefore: number }) => boolean): Promise<IndexPoint> {
    const index = this.body.pages.findLastIndex(holds)
    const points = await this.#page(Math.max(index, 0))
    return points.findLast(holds) ?? (points[0] as IndexPoint)
  }

  async #page(index: number): Promise<IndexPoint[]> {
    const entry = this.body.pages[index]
    if (entry === undefined)
      return [{ offset: this.body.base as Offset, position: 0 as Position, maxTimestampBefore: -1 }]
    const page = await this.#descriptors.use(this.#path, 'read', file =>
      readExactly(file, headerBytes + index * pageBytes, pageBytes, this.#path),
    )
    if (crc32c(page) !== entry.crc)
      throw new TidelogError('CORRUPT', `page ${index} of ${this.#path} does not match its checksum`)
    return decodePage(page, entry.points)
  }
}

function fileHeader(): Buffer {
  const header = Buffer.alloc(headerBytes)
  magic.copy(header, 0)
  header.writeUInt16BE(sealVersion, 8)
  return header
}

function fileFooter(bodyPosition: number, body: Buffer): Buffer {
  const footer = Buffer.alloc(footerBytes)
  magic.copy(footer, 0)
  footer.writeUInt16BE(sealVersion, 8)
  footer.writeUInt32BE(bodyPosition, 12)
  footer.writeUInt32BE(crc32c(body), 16)
  footer.writeUInt32BE(crc32c(footer.subarray(0, 28)), 28)
  return footer
}

/** Returns where the body starts. */
function checkFooter(footer: Buffer, path: string): number {
  const version = footer.readUInt16BE(8)
  if (!footer.subarray(0, 8).equals(magic) || footer.readUInt32BE(28) !== crc32c(footer.subarray(0, 28))) {
    throw new TidelogError('CORRUPT', `${path} has no valid footer`)
  }
  if (version !== sealVersion)
    throw new TidelogError('FORMAT', `${path} has version ${version}, which this program does not know`)
  return footer.readUInt32BE(12)
}

function encodePage(points: readonly IndexPoint[]): Buffer {
  const page = Buffer.alloc(pageBytes)
  points.forEach((point, i) => {
    writeInt64(page, point.offset, i * pointBytes)
    writeInt64(page, point.position, i * pointBytes + 8)
    writeInt64(page, point.maxTimestampBefore, i * pointBytes + 16)
  })
  return page
}

function decodePage(page: Buffer, count: number): IndexPoint[] {
  return Array.from({ length: count }, (_, i) => ({
    offset: readInt64(page, i * pointBytes) as Offset,
    position: readInt64(page, i * pointBytes + 8) as Position,
    maxTimestampBefore: readInt64(page, i * pointBytes + 16),
  }))
}

async function readExactly(
  file: { read(target: Buffer, position: number): Promise<number> },
  position: number,
  length: number,
  path: string,
): Promise<Buffer> {
  if (position < 0 || length < 0) throw new TidelogError('CORRUPT', `${path} is too short`)
  const bytes = Buffer.allocUnsafe(length)
  if ((await file.read(bytes, position)) < length) throw new TidelogError('CORRUPT', `${path} is too short`)
  return bytes
}
