/**
 * What a machine's disk holds, as two things at once: what programs see (the page cache) and what a power loss would leave.
 * Everything here happens at once and in order; latency, faults and descriptors are the business of `disk.ts`.
 *
 * A file remembers each change since its last sync together with the bytes it replaced. A sync forgets changes; a power loss
 * undoes some of them, sector by sector: every sector comes back as one of the states it was in since the last sync. A
 * folder remembers its changes of names in the same way; each survives or not, in any combination.
 */
import { invariant } from '../base/invariant.ts'
import type { Prng } from '../base/prng.ts'

export const sectorBytes = 512

/** One change of a file's content or size that is not known to be on stable storage. */
interface Change {
  readonly position: number
  readonly length: number
  /** What `[position, position + length)` held, as far as the file reached. */
  readonly before: Buffer
  readonly sizeBefore: number
  readonly sizeAfter: number
  /** A sync over this change failed: the system holds its pages for clean and will not write them again. */
  abandoned: boolean
}

export interface FileNode {
  readonly kind: 'file'
  readonly id: number
  /** At least `size` long; zeros from `size` on. */
  bytes: Buffer
  size: number
  unsynced: Change[]
  /** What the newest syncs brought to the disk, oldest first. */
  synced: Span[]
  links: number
  descriptors: number
}

export interface Span {
  readonly from: number
  readonly to: number
}

/** How many spans a file remembers. */
const spansMax = 100

interface NameChange {
  readonly name: string
  readonly node: Node | null
  /** A rename takes one name away and gives another in one step. */
  readonly also: { readonly name: string; readonly node: Node | null } | null
}

export interface FolderNode {
  readonly kind: 'folder'
  readonly id: number
  names: Map<string, Node>
  durableNames: Map<string, Node>
  unsynced: NameChange[]
}

type Node = FileNode | FolderNode

export interface FileSystemOptions {
  /** Growth beyond this fails with `ENOSPC`. */
  readonly capacityBytes?: number
}

/** What a power loss did, for reports: whether the fault that a scenario wanted was reached. */
export interface PowerLossReport {
  readonly filesTorn: number
  readonly sectorsKept: number
  readonly sectorsLost: number
  readonly namesKept: number
  readonly namesLost: number
}

export class FileSystem {
  capacityBytes: number
  #usedBytes = 0
  #ids = 0
  #root: FolderNode

  constructor(options: FileSystemOptions = {}) {
    this.capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER
    this.#root = this.#newFolder()
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get freeBytes(): number {
    return Math.max(this.capacityBytes - this.#usedBytes, 0)
  }

  // --- names ---

  file(path: string): FileNode {
    const node = this.#find(path)
    if (node === undefined) throw systemError('ENOENT', path)
    if (node.kind === 'folder') throw systemError('EISDIR', path)
    return node
  }

  exists(path: string): boolean {
    return this.#find(path) !== undefined
  }

  create(path: string): FileNode {
    const [folder, name] = this.#place(path)
    const there = folder.names.get(name)
    if (there !== undefined) {
      if (there.kind === 'folder') throw systemError('EISDIR', path)
      return there
    }
    const bytes = Buffer.alloc(0)
    const id = this.#ids++
    const file: FileNode = { kind: 'file', id, bytes, size: 0, unsynced: [], synced: [], links: 1, descriptors: 0 }
    this.#change(folder, { name, node: file, also: null })
    return file
  }

  list(path: string): string[] {
    const node = this.#find(path)
    if (node === undefined) return []
    if (node.kind === 'file') throw systemError('ENOTDIR', path)
    return [...node.names.keys()].sort()
  }

  makeFolder(path: string): void {
    let folder = this.#root
    for (const name of parts(path)) {
      let next = folder.names.get(name)
      if (next === undefined) {
        next = this.#newFolder()
        this.#change(folder, { name, node: next, also: null })
      }
      if (next.kind === 'file') throw systemError('ENOTDIR', path)
      folder = next
    }
  }

  rename(from: string, to: string): void {
    const [source, sourceName] = this.#place(from)
    const [target, targetName] = this.#place(to)
    const node = source.names.get(sourceName)
    if (node === undefined) throw systemError('ENOENT', from)
    const replaced = target.names.get(targetName)
    if (replaced === node) return
    if (replaced?.kind === 'folder' && (node.kind === 'file' || replaced.names.size > 0))
      throw systemError('EISDIR', to)
    if (node.kind === 'file') node.links += 1
    if (source === target) {
      this.#change(source, { name: sourceName, node: null, also: { name: targetName, node } })
    } else {
      this.#change(target, { name: targetName, node, also: null })
      this.#change(source, { name: sourceName, node: null, also: null })
    }
  }

  remove(path: string): void {
    const node = this.#find(path)
    if (node === undefined) return
    if (node.kind === 'folder') throw systemError('EISDIR', path)
    const [folder, name] = this.#place(path)
    this.#change(folder, { name, node: null, also: null })
  }

  removeFolder(path: string): void {
    const node = this.#find(path)
    if (node === undefined) return
    if (node.kind === 'file') throw systemError('ENOTDIR', path)
    if (node.names.size > 0 || node === this.#root) return
    const [folder, name] = this.#place(path)
    this.#change(folder, { name, node: null, also: null })
  }

  /** How much of the folder's history a sync that begins now covers. */
  folderMark(path: string): FolderMark {
    const node = this.#find(path)
    if (node === undefined) throw systemError('ENOENT', path)
    if (node.kind === 'file') throw systemError('ENOTDIR', path)
    return { folder: node, last: node.unsynced.at(-1) }
  }

  /** The names as of `mark` are on stable storage. */
  syncFolder(mark: FolderMark): void {
    const { folder } = mark
    if (mark.last === undefined) return
    const covered = folder.unsynced.indexOf(mark.last) + 1
    for (const change of folder.unsynced.splice(0, covered)) applyNames(folder.durableNames, change)
  }

  #find(path: string): Node | undefined {
    let node: Node = this.#root
    for (const name of parts(path)) {
      if (node.kind === 'file') return undefined
      const next: Node | undefined = node.names.get(name)
      if (next === undefined) return undefined
      node = next
    }
    return node
  }

  #place(path: string): [FolderNode, string] {
    const names = parts(path)
    const name = names.pop()
    if (name === undefined) throw systemError('EINVAL', path)
    const folder = this.#find(names.join('/'))
    if (folder === undefined) throw systemError('ENOENT', path)
    if (folder.kind === 'file') throw systemError('ENOTDIR', path)
    return [folder, name]
  }

  #change(folder: FolderNode, change: NameChange): void {
    const dropped = [
      folder.names.get(change.name),
      change.also === null ? undefined : folder.names.get(change.also.name),
    ]
    applyNames(folder.names, change)
    folder.unsynced.push(change)
    for (const node of dropped) if (node?.kind === 'file') this.#unlink(node)
  }

  #unlink(file: FileNode): void {
    file.links -= 1
    if (file.links === 0 && file.descriptors === 0) this.#usedBytes -= file.size
  }

  #newFolder(): FolderNode {
    return { kind: 'folder', id: this.#ids++, names: new Map(), durableNames: new Map(), unsynced: [] }
  }

  // --- contents ---

  acquire(file: FileNode): void {
    file.descriptors += 1
  }

  release(file: FileNode): void {
    invariant(file.descriptors > 0, 'a descriptor is released once')
    file.descriptors -= 1
    if (file.links === 0 && file.descriptors === 0) this.#usedBytes -= file.size
  }

  read(file: FileNode, target: Buffer, position: number): number {
    if (position >= file.size) return 0
    return file.bytes.copy(target, 0, position, Math.min(position + target.length, file.size))
  }

  /** How many of `length` bytes at `position` there is room for. */
  room(file: FileNode, position: number, length: number): number {
    const growth = Math.max(position + length - file.size, 0)
    if (growth <= this.freeBytes) return length
    return Math.max(Math.min(length, file.size + this.freeBytes - position), 0)
  }

  write(file: FileNode, data: Buffer, position: number): void {
    if (data.length === 0) return
    const end = position + data.length
    const before = Buffer.from(file.bytes.subarray(position, Math.min(end, file.size)))
    const sizeBefore = file.size
    this.#resize(file, Math.max(file.size, end))
    data.copy(file.bytes, position)
    file.unsynced.push({ position, length: data.length, before, sizeBefore, sizeAfter: file.size, abandoned: false })
  }

  truncate(file: FileNode, size: number): void {
    if (size === file.size) return
    if (size - file.size > this.freeBytes) throw systemError('ENOSPC', 'truncate')
    const sizeBefore = file.size
    const before = Buffer.from(file.bytes.subarray(Math.min(size, sizeBefore), sizeBefore))
    this.#resize(file, size)
    const length = before.length
    file.unsynced.push({ position: size, length, before, sizeBefore, sizeAfter: size, abandoned: false })
  }

  /** How much of the file's history a sync that begins now covers. */
  fileMark(file: FileNode): FileMark {
    return { file, last: file.unsynced.at(-1) }
  }

  /** What was there at `mark` is on stable storage; what came during the sync is not known to be. */
  syncFile(mark: FileMark): void {
    const { file, last } = mark
    if (last === undefined) return
    const covered = file.unsynced.indexOf(last) + 1
    const synced = file.unsynced.splice(0, covered)
    file.synced.push(...synced.map(change => ({ from: change.position, to: change.position + change.length })))
    if (file.synced.length > spansMax) file.synced.splice(0, file.synced.length - spansMax)
    if (synced.some(change => change.abandoned)) file.unsynced.unshift(...stillAbandoned(synced))
  }

  /** A sync failed: its pages count as clean from now on, and nothing will bring them to the disk. */
  abandon(mark: FileMark): void {
    const covered = mark.last === undefined ? 0 : mark.file.unsynced.indexOf(mark.last) + 1
    for (const change of mark.file.unsynced.slice(0, covered)) change.abandoned = true
  }

  isDirty(file: FileNode): boolean {
    return file.unsynced.length > 0
  }

  #resize(file: FileNode, size: number): void {
    if (size > file.bytes.length) {
      const grown = Buffer.alloc(Math.max(size, file.bytes.length * 2, 1024))
      file.bytes.copy(grown, 0, 0, file.size)
      file.bytes = grown
    }
    if (size < file.size) file.bytes.fill(0, size, file.size)
    if (file.links > 0 || file.descriptors > 0) this.#usedBytes += size - file.size
    file.size = size
  }

  // --- surgery, for tests and faults ---

  /** A copy of a file's bytes as programs see them. */
  peek(path: string): Buffer {
    const file = this.file(path)
    return Buffer.from(file.bytes.subarray(0, file.size))
  }

  /** Makes a file of these bytes, on stable storage under a durable name, whatever was there. */
  poke(path: string, bytes: Buffer): void {
    const [folder, name] = this.#place(path)
    const file = this.create(path)
    this.#resize(file, 0)
    this.#resize(file, bytes.length)
    bytes.copy(file.bytes)
    file.unsynced = []
    folder.unsynced = folder.unsynced.filter(change => change.name !== name && change.also?.name !== name)
    folder.durableNames.set(name, file)
  }

  /** Bit rot: changes bits of one byte behind everybody's back. */
  flip(path: string, position: number, mask: number): void {
    const file = this.file(path)
    invariant(position < file.size, 'rot hits bytes that are there')
    file.bytes[position] = (file.bytes[position] as number) ^ mask
  }

  /** All paths of files below a folder, sorted. */
  walk(path = ''): string[] {
    const node = this.#find(path)
    if (node === undefined) return []
    if (node.kind === 'file') return [path]
    return [...node.names.keys()].sort().flatMap(name => this.walk(path === '' ? name : `${path}/${name}`))
  }

  // --- the ends of processes and machines ---

  /** The process is gone: its descriptors are closed, the page cache stays. */
  closeAll(): void {
    const seen = new Set<FileNode>()
    this.#eachFile(this.#root, file => seen.add(file))
    for (const file of seen) file.descriptors = 0
    this.#recount()
  }

  /** The power fails: only stable storage is left, and chance decides about everything that was on its way. */
  losePower(prng: Prng): PowerLossReport {
    const report = { filesTorn: 0, sectorsKept: 0, sectorsLost: 0, namesKept: 0, namesLost: 0 }
    const keepNames = prng.pick([0, 0.5, 0.5, 0.9, 1])
    this.#settleNames(this.#root, prng, keepNames, report)
    const files: FileNode[] = []
    this.#eachFile(this.#root, file => void files.push(file))
    for (const file of files) {
      file.descriptors = 0
      if (file.unsynced.length > 0) tearFile(file, prng, report)
    }
    this.#recount()
    return report
  }

  #settleNames(folder: FolderNode, prng: Prng, keep: number, report: { namesKept: number; namesLost: number }): void {
    for (const change of folder.unsynced) {
      const kept = prng.chance(keep)
      if (kept) applyNames(folder.durableNames, change)
      report[kept ? 'namesKept' : 'namesLost'] += 1
    }
    folder.unsynced = []
    folder.names = new Map(folder.durableNames)
    for (const node of folder.names.values()) if (node.kind === 'folder') this.#settleNames(node, prng, keep, report)
  }

  #eachFile(folder: FolderNode, visit: (file: FileNode) => void): void {
    for (const node of folder.names.values()) {
      if (node.kind === 'folder') this.#eachFile(node, visit)
      else visit(node)
    }
  }

  /** Counts links and used bytes anew, after names came and went at once. */
  #recount(): void {
    const links = new Map<FileNode, number>()
    this.#eachFile(this.#root, file => void links.set(file, (links.get(file) ?? 0) + 1))
    this.#usedBytes = 0
    for (const [file, count] of links) {
      file.links = count
      this.#usedBytes += file.size
    }
  }
}

export interface FolderMark {
  readonly folder: FolderNode
  readonly last: NameChange | undefined
}

export interface FileMark {
  readonly file: FileNode
  readonly last: Change | undefined
}

/** An error as the system gives it, with `code`. */
export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

function parts(path: string): string[] {
  const names = path.split('/').filter(name => name !== '' && name !== '.')
  if (names.includes('..')) throw systemError('EINVAL', path)
  return names
}

function applyNames(names: Map<string, Node>, change: NameChange): void {
  setName(names, change.name, change.node)
  if (change.also !== null) setName(names, change.also.name, change.also.node)
}

function setName(names: Map<string, Node>, name: string, node: Node | null): void {
  if (node === null) names.delete(name)
  else names.set(name, node)
}

/**
 * What stays abandoned when a later sync succeeds: a sector written again since the failure was dirty again, and went to
 * the disk whole; the others did not.
 */
function stillAbandoned(synced: readonly Change[]): Change[] {
  let left: Change[] = []
  for (const change of synced) {
    if (change.abandoned) {
      left.push(change)
      continue
    }
    const from = Math.floor(change.position / sectorBytes) * sectorBytes
    const to = Math.ceil((change.position + change.length) / sectorBytes) * sectorBytes
    left = left.flatMap(old => [part(old, old.position, from), part(old, to, old.position + old.length)])
    left = left.filter(old => old.length > 0)
  }
  return left
}

function part(change: Change, from: number, to: number): Change {
  const start = Math.max(change.position, from)
  const end = Math.max(Math.min(change.position + change.length, to), start)
  const before = change.before.subarray(start - change.position, Math.max(end - change.position, 0))
  const size = Math.max(change.sizeBefore, change.sizeAfter)
  return { position: start, length: end - start, before, sizeBefore: size, sizeAfter: size, abandoned: true }
}

type Survival = 'all' | 'none' | 'some' | 'start' | 'end'

/**
 * Undoes unsynced changes: each sector goes back to how it was after some number of them. Sizes follow the order of the
 * file's changes (file systems keep metadata in order); a sector cut off by a truncation that survived cannot show what it
 * held before.
 */
function tearFile(
  file: FileNode,
  prng: Prng,
  report: { filesTorn: number; sectorsKept: number; sectorsLost: number },
): void {
  const changes = file.unsynced
  const survival: Survival = prng.pick(['all', 'none', 'some', 'some', 'some', 'start', 'end'] as const)
  const sizeLevel = survival === 'all' ? changes.length : survival === 'none' ? 0 : prng.between(0, changes.length + 1)
  const keep = prng.pick([0.1, 0.5, 0.9])
  const border = Math.floor(prng.between(0, file.size + 1) / sectorBytes)
  const levels = new Map<number, number>()
  const drawLevel = (sector: number): number => {
    const onItsWay = changes.some(change => !change.abandoned && touches(change, sector))
    const kept = onItsWay
      ? survival === 'all' ||
        (survival === 'some' && prng.chance(keep)) ||
        (survival === 'start' && sector < border) ||
        (survival === 'end' && sector >= border)
      : prng.chance(0.1)
    const level = kept ? changes.length : survival === 'some' ? prng.between(0, changes.length) : 0
    return clampLevel(changes, sector, level, sizeLevel)
  }
  for (let index = changes.length - 1; index >= 0; index--) {
    const change = changes[index] as Change
    const end = change.position + change.length
    for (let at = change.position; at < end; at = (Math.floor(at / sectorBytes) + 1) * sectorBytes) {
      const sector = Math.floor(at / sectorBytes)
      const level = levels.get(sector) ?? drawLevel(sector)
      levels.set(sector, level)
      const lost = level <= index
      if (lost) undo(file, change, at, Math.min(end, (sector + 1) * sectorBytes))
      report[lost ? 'sectorsLost' : 'sectorsKept'] += 1
    }
  }
  let size = changes[0]?.sizeBefore ?? file.size
  for (const change of changes.slice(0, sizeLevel)) size = change.sizeAfter
  if (size < file.size) file.bytes.fill(0, size, file.size)
  if (size > file.bytes.length) file.bytes = Buffer.concat([file.bytes, Buffer.alloc(size - file.bytes.length)])
  file.size = size
  file.unsynced = []
  report.filesTorn += 1
}

function touches(change: Change, sector: number): boolean {
  return change.position < (sector + 1) * sectorBytes && change.position + change.length > sector * sectorBytes
}

function clampLevel(changes: readonly Change[], sector: number, level: number, sizeLevel: number): number {
  let clamped = level
  for (const [index, change] of changes.entries()) {
    if (change.sizeAfter >= change.sizeBefore || (sector + 1) * sectorBytes <= change.position) continue
    if (index < sizeLevel) clamped = Math.max(clamped, index + 1)
    else return Math.min(clamped, index)
  }
  return clamped
}

/** Puts back what `[from, to)` held before a change. */
function undo(file: FileNode, change: Change, from: number, to: number): void {
  if (to > file.bytes.length) file.bytes = Buffer.concat([file.bytes, Buffer.alloc(to - file.bytes.length)])
  const there = change.before.subarray(from - change.position, to - change.position)
  there.copy(file.bytes, from)
  file.bytes.fill(0, from + there.length, to)
}
