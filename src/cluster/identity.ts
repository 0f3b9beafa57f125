/**
 * Who a node is (docs/formats/identity.md): written at the first start, kept in the data directory. The incarnation counts
 * starts; `attempted` is stored before the node registers with it and `confirmed` afterwards, so that a crash between the two
 * locks nobody out, while an old copy of the directory is recognised.
 */
import { TidelogError } from '../base/errors.ts'
import type { DiskId, NodeId, TopicId } from '../base/ids.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import { decodeWhole, encodeWhole, readWholeFile, replaceFile, syncFile } from '../log/whole-file.ts'
import { onDisk } from '../wire/on-disk.ts'
import { type Body, int64, message, uuid } from '../wire/schema.ts'
import { diskId, nodeId } from './record-tables.ts'

export const identityTable = message({
  name: 'Identity',
  ...onDisk,
  versions: [0, 0],
  body: {
    /** Rises with every save; of the two copies the newer counts. */
    generation: int64,
    clusterId: uuid,
    nodeId,
    diskId,
    confirmed: int64,
    attempted: int64,
  },
})

export type NodeIdentity = Body<typeof identityTable>

const path = 'identity'
const slotBytes = 512

/** Null at the first start. */
export async function loadIdentity(disk: Disk): Promise<NodeIdentity | null> {
  const bytes = await readWholeFile(disk, path)
  if (bytes === null) return null
  const copies = [0, 1].map(slot => loadSlot(bytes, slot))
  let newest: NodeIdentity | null = null
  for (const copy of copies) {
    if (!(copy instanceof TidelogError) && copy.generation > (newest?.generation ?? -1)) newest = copy
  }
  if (newest === null) throw copies[0]
  return newest
}

/**
 * Saves over the older of the two copies. Nothing is allocated, so that a node starts on a full disk; a copy is a sector, and
 * the other one is whole whatever becomes of this.
 */
export async function saveIdentity(disk: Disk, identity: NodeIdentity): Promise<NodeIdentity> {
  const saved = { ...identity, generation: identity.generation + 1 }
  const slot = encodeSlot(saved)
  if ((await readWholeFile(disk, path)) === null) await replaceFile(disk, path, [slot, slot])
  else {
    const file = await disk.open(path, 'write')
    await file.write([slot], (saved.generation % 2) * slotBytes)
    await syncFile(file, path)
    await file.close()
  }
  return saved
}

export function newIdentity(random: Random, nodeId: NodeId): NodeIdentity {
  return {
    generation: 0,
    clusterId: randomId(random),
    nodeId,
    diskId: randomId(random) as string as DiskId,
    confirmed: 0,
    attempted: 0,
  }
}

/** 128 random bits; never all zeros, which stands for none. */
export function randomId(random: Random): TopicId {
  const bytes = random.bytes(16)
  bytes[0] = (bytes[0] as number) | 1
  return bytes.toString('hex') as TopicId
}

function encodeSlot(identity: NodeIdentity): Buffer {
  const slot = Buffer.alloc(slotBytes)
  let at = 2
  for (const chunk of encodeWhole(identityTable, identity)) at += chunk.copy(slot, at)
  slot.writeUInt16BE(at - 2, 0)
  return slot
}

function loadSlot(bytes: Buffer, slot: number): NodeIdentity | TidelogError {
  const from = slot * slotBytes
  try {
    const length = bytes.length < from + slotBytes ? 0 : bytes.readUInt16BE(from)
    return decodeWhole(bytes.subarray(from + 2, from + 2 + length), path, identityTable)
  } catch (error) {
    if (error instanceof TidelogError) return error
    throw error
  }
}
