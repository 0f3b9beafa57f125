/** What is asked of all groups at once while their clients rest. */
import type { Offset } from '../base/ids.ts'
import { offsetsTopicName } from '../broker/groups/coordinator.ts'
import type { PartitionStore } from '../broker/storage.ts'
import { type GroupWorkload, noMember } from './group-workload.ts'
import type { NodeTuning } from './tuning.ts'
import type { Process } from './world.ts'

/** Longer than a rewrite that was refused waits for its next chance. */
const rewriteRetryMs = 10_500
const probeLimitMs = 20_000
const roundsMax = 200
const rewriteBytesMinMax = 10_000

/** Looks at the offsets of every group that was ever mentioned. */
export async function verifyGroups(groups: GroupWorkload): Promise<void> {
  const logs = groups.world.process?.node.storage.topicByName(offsetsTopicName)?.partitions ?? []
  groups.world.count('logs of groups seen rewritten', logs.filter(({ logStartOffset }) => logStartOffset > 0).length)
  for (const group of groups.groups) {
    const { process } = groups.world
    if (process === null) return
    // A part that cannot be read yet says so, for as long as faults are about.
    for (let attempt = 0; process.alive && attempt < 3; attempt++) {
      if ((await groups.fetch(process, group)) !== null) break
    }
    await groups.describe(process, group)
  }
}

/** All is well: every group takes a commit again, within its time and by itself. */
export async function probeGroups(groups: GroupWorkload): Promise<void> {
  const { world } = groups
  const untilMs = world.scheduler.nowMs + probeLimitMs
  for (const group of [...groups.groups]) {
    for (;;) {
      const { process } = world
      if (process === null) return
      const error = await commitByNobody(groups, process, group)
      if (error === 'NONE' || !process.alive) break
      if (world.scheduler.nowMs > untilMs) {
        if (!world.damaged) world.broken('stuck', `${group} takes no commit: ${error}`)
        return
      }
      await world.sleep(100)
    }
  }
}

/** Members may still be taken for alive: their sessions end soon. */
function commitByNobody(groups: GroupWorkload, process: Process, group: string) {
  return groups.commit(process, group, noMember, [0], '')
}

/** A log that is written to for long enough is not longer than a few times what it says. */
export async function checkGrowth(groups: GroupWorkload, tuning: NodeTuning): Promise<void> {
  const { world } = groups
  const { process } = world
  // To fill a long one would take longer than all the rest.
  if (process === null || world.damaged || tuning.offsetsRewriteBytesMin > rewriteBytesMinMax) return
  const stores = process.node.storage.topicByName(offsetsTopicName)?.partitions ?? []
  await world.sleep(rewriteRetryMs)
  for (let round = 0; round < roundsMax; round++) {
    for (const group of groups.groups) await commitByNobody(groups, process, group)
    if (round * groups.groups.size * recordBytes > 3 * tuning.offsetsRewriteBytesMin) break
  }
  await world.sleep(100)
  for (const store of stores) {
    if (!process.alive) return
    const { bytes, liveBytes } = await measure(store)
    const bound = 2 * Math.max(tuning.offsetsRewriteBytesMin, 5 * liveBytes) + slackBytes
    if (bytes > bound) {
      const what = `${offsetsTopicName}-${store.index} has ${bytes} bytes from its log start on`
      world.broken('unbounded growth', `${what}; with ${liveBytes} that hold it may have ${bound}`)
    }
  }
}

const recordBytes = 100
const slackBytes = 4000

/** The bytes of all batches, and those of the newest record of each key, as records lie in a batch without a codec. */
async function measure(store: PartitionStore): Promise<{ readonly bytes: number; readonly liveBytes: number }> {
  const newest = new Map<string, number>()
  let bytes = 0
  for (let at: number = store.logStartOffset; at < store.highWatermark; ) {
    const { records, error } = await store.read({ from: at as Offset, bytesMax: 1 << 30, minOne: true })
    if (error !== 'NONE' || records.length === 0) break
    const all = Buffer.concat(records.chunks as Buffer[])
    for (let from = 0; from < all.length; ) {
      const batch = all.subarray(from, from + all.readInt32BE(from + 8) + 12)
      for (const [key, size] of keysOf(batch)) newest.set(key, size)
      at = Number(batch.readBigInt64BE(0)) + batch.readInt32BE(23) + 1
      from += batch.length
      bytes += batch.length
    }
  }
  return { bytes, liveBytes: [...newest.values()].reduce((sum, size) => sum + size, 0) }
}

/** Each record's key and length; none for a tombstone. Its own reading, as everywhere in the simulator. */
function* keysOf(batch: Buffer): Generator<readonly [string, number]> {
  let at = 61
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = batch.readUInt8(at++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
  }
  while (at < batch.length) {
    const length = varint()
    const end = at + length
    at += 1
    varint()
    varint()
    const keyBytes = varint()
    const key = batch.toString('hex', at, at + keyBytes)
    at += keyBytes
    yield [key, varint() < 0 ? 0 : length]
    at = end
  }
}
