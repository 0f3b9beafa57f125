/**
 * What the log asks of a file system, and no more. Paths are relative to the data directory, with `/` between parts.
 * Every method may reject with a system error (`ENOSPC`, `EIO`, `EMFILE`, `ENOENT` …) that carries its `code`.
 *
 * What survives a power loss: file contents and sizes as of the last resolved `sync` of that file; names as of the last
 * resolved `syncDirectory` of their folder. A resolved `write` alone survives the process, not the machine.
 */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>
  /** The names in a folder, sorted; empty when the folder does not exist. */
  list(path: string): Promise<string[]>
  /** Creates a folder and its missing parents. The caller syncs the parents. */
  makeDirectory(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Removes a file; succeeds when it is not there. */
  remove(path: string): Promise<void>
  /** Removes an empty folder; succeeds when it is not there or not empty. */
  removeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** Where the data directory is, and what room its file system has; for health and reports. */
  space(): Promise<DiskSpace>
}

export interface DiskSpace {
  readonly path: string
  readonly totalBytes: number
  /** For this process. */
  readonly freeBytes: number
}

/** `read`: must exist. `write`: must exist, for reading and writing. `create`: made if missing, kept as it is if not. */
export type OpenMode = 'read' | 'write' | 'create'

export interface DiskFile {
  /** Reads up to `target.length` bytes; resolves to the count, short only at the end of the file. */
  read(target: Buffer, position: number): Promise<number>
  /** Writes all chunks in order from `position`; short writes are finished by the implementation. */
  write(chunks: readonly Buffer[], position: number): Promise<void>
  /** Contents and size are on stable storage when this resolves. After a rejection the file must not be trusted again. */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}
