/** Clients that read: at the tail as records come, and from anywhere in the log. */
import type { Prng } from '../base/prng.ts'
import type { PartitionStore } from '../broker/storage.ts'
import type { Partition, Workload } from './workload.ts'
import type { Process } from './world.ts'

/** Longer than any change may go unannounced. */
const pollMs = 1000

/** Follows a partition from the moment it comes on, waking up when there is news. */
export async function tailReader(workload: Workload, prng: Prng): Promise<void> {
  while (!workload.stopping) {
    const process = await workload.admitted()
    const partition = workload.pickPartition(prng)
    const store = partition === null ? null : workload.store(process, partition)
    if (partition === null || store === null) {
      await workload.world.sleep(50)
      continue
    }
    await followTail(workload, prng, process, partition, store)
  }
}

async function followTail(
  workload: Workload,
  prng: Prng,
  process: Process,
  partition: Partition,
  store: PartitionStore,
): Promise<void> {
  let position: number = store.highWatermark
  while (!workload.stopping && workload.doorsOpen && process.alive && workload.partitions.includes(partition)) {
    if (!(await somethingNew(workload, store, position, process))) continue
    const result = await workload.read(process, partition, {
      from: position,
      bytesMax: prng.pick([1, 500, 4000, 100_000]),
      minOne: true,
      lingerMs: prng.chance(0.3) ? 20 * prng.float() : 0,
    })
    if (result === null) return
    if (result.error === 'OFFSET_OUT_OF_RANGE') position = Math.max(result.marks.logStartOffset, position)
    else if (result.error !== 'NONE') await workload.world.sleep(20)
    position = result.batches.at(-1)?.end ?? position
    if (prng.chance(0.01)) return
  }
}

/** Waits until the partition says that there is news; it must say so when there is. */
async function somethingNew(
  workload: Workload,
  store: PartitionStore,
  position: number,
  process: Process,
): Promise<boolean> {
  if (store.highWatermark > position) return true
  let off = () => {}
  const told = await Promise.race([
    new Promise<boolean>(resolve => {
      off = store.onChange(() => resolve(true))
    }),
    workload.world.sleep(pollMs).then(() => false),
  ])
  off()
  if (!told && process.alive && store.highWatermark > position) {
    workload.world.broken('lost wake-up', `nobody was told that ${position} can be read`)
  }
  return store.highWatermark > position
}

/** Reads a stretch from a random offset, again and again. */
export async function catchUpReader(workload: Workload, prng: Prng): Promise<void> {
  while (!workload.stopping) {
    await workload.world.sleep(prng.between(1, 60))
    const process = await workload.admitted()
    const partition = workload.pickPartition(prng)
    const store = partition === null ? null : workload.store(process, partition)
    if (partition === null || store === null) continue
    let position = prng.between(store.logStartOffset, store.highWatermark + 1)
    if (prng.chance(0.02)) position = prng.pick([store.highWatermark + 5, Math.max(store.logStartOffset - 1, 0)])
    for (let steps = prng.between(1, 10); steps > 0 && workload.doorsOpen && !workload.stopping; steps--) {
      const result = await workload.read(process, partition, {
        from: position,
        bytesMax: prng.pick([0, 300, 3000, 30_000]),
        minOne: prng.chance(0.8),
        lingerMs: prng.chance(0.2) ? 30 * prng.float() : 0,
        forgets: prng.chance(0.1),
      })
      const end = result?.batches.at(-1)?.end
      if (end === undefined) break
      // Often in the middle of a batch.
      position = prng.chance(0.2) ? Math.max(end - 1, position) : end
    }
  }
}
