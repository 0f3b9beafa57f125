/**
 * Small files that are read and replaced as a whole: the node's identity, checkpoint tables, metadata snapshots. One envelope
 * for all of them (docs/formats/whole-file.md): magic, kind, version, length, checksum, then a body written from a table.
 *
 * Replacing is atomic: a temporary file is written, synced and renamed, and the folder is synced.
 */
import { crc32c } from '../base/crc32c.ts'
import { isPassing, systemCode, TidelogError } from '../base/errors.ts'
import type { Disk, DiskFile } from '../io/disk.ts'
import { decodeRecord, encodeRecord } from '../wire/on-disk.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type Body, type Draft, isFlexible, type Message } from '../wire/schema.ts'

const magic = Buffer.from('TIDEFILE')
const headerBytes = 32

/** Reads a record that must be sound; a `CORRUPT` error names `what`. */
export function decodeSound<M extends Message>(
  table: M,
  bytes: Buffer,
  what: string,
  version = table.versions[1],
): Body<M> {
  try {
    return decodeRecord(table, bytes, version)
  } catch (error) {
    if (error instanceof ProtocolError)
      throw new TidelogError('CORRUPT', `${what} cannot be read: ${error.message}`, error)
    throw error
  }
}

/** Writes `path` so that after a crash either the old content or the new is there, whole. */
export async function saveWhole<M extends Message>(disk: Disk, path: string, table: M, value: Draft<M>): Promise<void> {
  await replaceFile(disk, path, encodeWhole(table, value))
}

/** Header and body, as they lie in the file. */
export function encodeWhole<M extends Message>(table: M, value: Draft<M>): Buffer[] {
  const body = encodeRecord(table, value)
  const header = Buffer.alloc(headerBytes)
  magic.copy(header, 0)
  header.write(table.name.slice(0, 8), 8, 'latin1')
  header.writeUInt16BE(table.versions[1], 16)
  header.writeUInt32BE(body.length, 20)
  header.writeUInt32BE(crc32c(body, crc32c(header.subarray(0, 24))), 24)
  return [header, body]
}

/** Null when there is no such file. */
export async function loadWhole<M extends Message>(disk: Disk, path: string, table: M): Promise<Body<M> | null> {
  const bytes = await readWholeFile(disk, path)
  return bytes === null ? null : decodeWhole(bytes, path, table)
}

/** Reads what `encodeWhole` made; `path` is for the error's text. */
export function decodeWhole<M extends Message>(bytes: Buffer, path: string, table: M): Body<M> {
  if (bytes.length < headerBytes || !bytes.subarray(0, 8).equals(magic)) {
    throw new TidelogError('CORRUPT', `${path} is not a file of tidelog`)
  }
  const kind = bytes.toString('latin1', 8, 16).replaceAll('\0', '')
  const version = bytes.readUInt16BE(16)
  const body = bytes.subarray(headerBytes)
  const sum = crc32c(body, crc32c(bytes.subarray(0, 24)))
  // The last four bytes of the header are behind the checksum, and zero.
  if (body.length !== bytes.readUInt32BE(20) || sum !== bytes.readUInt32BE(24) || bytes.readUInt32BE(28) !== 0) {
    throw new TidelogError('CORRUPT', `${path} does not match its checksum`)
  }
  if (kind !== table.name.slice(0, 8))
    throw new TidelogError('FORMAT', `${path} is a file of kind ${kind}, not ${table.name}`)
  if (version < table.versions[0] || version > table.versions[1] || !isFlexible(table, version)) {
    throw new TidelogError('FORMAT', `${path} has version ${version}, which this program does not know`)
  }
  return decodeSound(table, body, path, version)
}

/** Replaces a file so that after a crash either is there, whole. What a failed attempt left is removed as far as possible. */
export async function replaceFile(disk: Disk, path: string, chunks: readonly Buffer[]): Promise<void> {
  const temporary = `${path}.tmp`
  await disk.remove(temporary)
  try {
    await writeNew(disk, temporary, chunks)
    await disk.rename(temporary, path)
  } catch (error) {
    if (isPassing(error)) await disk.remove(temporary).catch(() => {})
    throw error
  }
  await syncFolder(disk, folderOf(path))
}

async function writeNew(disk: Disk, path: string, chunks: readonly Buffer[]): Promise<void> {
  const file = await disk.open(path, 'create')
  try {
    await file.write(chunks, 0)
  } catch (error) {
    await file.close()
    throw error
  }
  // After a failed sync the node stops at once: nothing is waited for, not even a close.
  await syncFile(file, path)
  await file.close()
}

export async function syncFile(file: DiskFile, path: string): Promise<void> {
  try {
    await file.sync()
  } catch (error) {
    throw new TidelogError('DISK_FAILED', `the sync of ${path} failed`, error)
  }
}

/** A folder's sync is as final as a file's: after a failure nothing can be said about the names in it. */
export async function syncFolder(disk: Disk, path: string): Promise<void> {
  try {
    await disk.syncDirectory(path)
  } catch (error) {
    if (systemCode(error) === 'EMFILE' || systemCode(error) === 'ENFILE') throw error
    throw new TidelogError('DISK_FAILED', `the sync of the folder ${path} failed`, error)
  }
}

/** The same for a folder that may never have been made. */
export async function syncFolderIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await syncFolder(disk, path)
  } catch (error) {
    const cause = error instanceof TidelogError ? error.cause : error
    if (systemCode(cause) !== 'ENOENT') throw error
  }
}

export function folderOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '.' : path.slice(0, slash)
}

export async function readWholeFile(disk: Disk, path: string): Promise<Buffer | null> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (!(await disk.list(folderOf(path))).includes(name)) return null
  const file = await disk.open(path, 'read')
  try {
    const bytes = Buffer.allocUnsafe(await file.size())
    const count = await file.read(bytes, 0)
    return bytes.subarray(0, count)
  } finally {
    await file.close()
  }
}
