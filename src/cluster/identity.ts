/**
 * Who a node is (docs/formats/identity.md): written at the first start, kept in the data directory. The incarnation counts
 * starts; `attempted` is stored before the node registers with it and `confirmed` afterwards, so that a crash between the two
 * locks nobody out, while an old copy of the directory is recognised.
 */
import type { NodeId, TopicId } from '../base/ids.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import { loadWhole, saveWhole } from '../log/whole-file.ts'
import { onDisk } from '../wire/on-disk.ts'
import { type Body, int32, int64, message, uuid } from '../wire/schema.ts'

const identityTable = message({
  name: 'Identity',
  ...onDisk,
  versions: [0, 0],
  body: { clusterId: uuid, nodeId: int32, diskId: uuid, confirmed: int64, attempted: int64 },
})

export type NodeIdentity = Body<typeof identityTable>

const path = 'identity'

export async function loadIdentity(disk: Disk): Promise<NodeIdentity | null> {
  return loadWhole(disk, path, identityTable)
}

export async function saveIdentity(disk: Disk, identity: NodeIdentity): Promise<void> {
  await saveWhole(disk, path, identityTable, identity)
}

export function newIdentity(random: Random, nodeId: NodeId): NodeIdentity {
  return { clusterId: randomId(random), nodeId, diskId: randomId(random), confirmed: 0, attempted: 0 }
}

/** 128 random bits; never all zeros, which stands for none. */
export function randomId(random: Random): TopicId {
  const bytes = random.bytes(16)
  bytes[0] = (bytes[0] as number) | 1
  return bytes.toString('hex') as TopicId
}
