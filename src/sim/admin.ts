/** What administrators do, and what is asked of everything at once while the clients rest. */
import type { Prng } from '../base/prng.ts'
import type { StoredBatch } from './batches.ts'
import type { Partition, TopicPlan, Workload } from './workload.ts'
import type { Process } from './world.ts'

export interface AdminHabits {
  readonly trims: boolean
  readonly deletesTopics: boolean
  /** Lets topics grow, and changes configs of theirs that the checker need not know of. */
  readonly changesTopics: boolean
  readonly clockJumpsMs: number
}

export async function administrator(workload: Workload, prng: Prng, habits: AdminHabits): Promise<void> {
  while (!workload.stopping) {
    await workload.world.sleep(prng.between(20, 300))
    const process = await workload.admitted()
    const partition = workload.pickPartition(prng)
    if (partition === null || workload.stopping) continue
    workload.noteMarks(process, partition)
    if (habits.trims && prng.chance(0.2)) await trimSome(workload, prng, process, partition)
    if (habits.deletesTopics && prng.chance(0.05)) await replaceTopic(workload, prng, partition)
    if (habits.changesTopics && prng.chance(0.3)) await changeTopic(workload, prng, process, partition)
    if (habits.clockJumpsMs > 0 && prng.chance(0.1)) {
      const byMs = prng.between(0, habits.clockJumpsMs)
      workload.world.jumpClock(prng.chance(0.8) ? byMs : -byMs)
    }
  }
}

async function trimSome(workload: Workload, prng: Prng, process: Process, partition: Partition): Promise<void> {
  const store = workload.store(process, partition)
  if (store === null) return
  const { logStartOffset, highWatermark } = store
  const before = prng.chance(0.1) ? highWatermark : prng.between(logStartOffset, highWatermark + 1)
  await workload.trim(process, partition, before)
}

/** More than this a topic does not grow to, by much. */
const partitionsMax = 12

async function changeTopic(workload: Workload, prng: Prng, process: Process, partition: Partition): Promise<void> {
  const partitions = process.node.storage.topicById(partition.topicId)?.partitions.length ?? 0
  if (partitions < partitionsMax && prng.chance(0.3)) await workload.growTopic(process, partition, prng.between(1, 4))
  else {
    const changes: [string, string][] = [
      ['segment.ms', String(prng.pick([50, 500, 604_800_000]))],
      ['tidelog.segment.records', String(prng.pick([0, 3, 25]))],
      ['file.delete.delay.ms', String(prng.pick([0, 100]))],
    ]
    await workload.configureTopic(process, partition, [prng.pick(changes)])
  }
}

async function replaceTopic(workload: Workload, prng: Prng, partition: Partition): Promise<void> {
  await workload.deleteTopic(partition.topicId)
  if (prng.chance(0.3)) await workload.world.sleep(100)
  const fresh: TopicPlan = partition.plan
  await workload.createTopic(fresh)
}

/**
 * Reads everything there is and asks by time; false when the process ended meanwhile. Nobody else may be at work, except that
 * retention may move the log start, in which case it begins again.
 */
export async function verifyAll(workload: Workload, prng: Prng): Promise<boolean> {
  for (const partition of [...workload.partitions]) {
    const { process } = workload.world
    if (process === null) return false
    const topic = process.node.storage.topicById(partition.topicId)
    if (topic !== undefined) workload.checkConfigs(topic, partition.plan)
    const start = await drain(workload, process, partition)
    if (!process.alive) return false
    if (start === null || workload.world.damaged) continue
    for (const timestampMs of timesToAsk(workload, prng)) {
      await workload.findByTime(process, partition, timestampMs, start)
    }
  }
  return workload.world.process !== null
}

function timesToAsk(workload: Workload, prng: Prng): (number | null)[] {
  const nowMs = workload.world.scheduler.wallMs
  const ranMs = Math.ceil(workload.world.scheduler.nowMs)
  return [null, 0, nowMs + 10_000, nowMs - prng.between(0, ranMs + 1), nowMs - prng.between(0, ranMs + 1)]
}

/** Returns the log start that it began at; null when there was nothing to read or no way to. */
async function drain(workload: Workload, process: Process, partition: Partition): Promise<number | null> {
  const { world } = workload
  for (let attempt = 0; attempt < 20; attempt++) {
    const store = workload.store(process, partition)
    if (store === null || !process.alive) return null
    workload.noteMarks(process, partition)
    const start: number = store.logStartOffset
    const drained = await readThrough(workload, process, partition, start, store.highWatermark)
    if (drained === null || store.logStartOffset !== start) continue
    const marks = { highWatermark: store.highWatermark, logStartOffset: start }
    world.record({ type: 'drained', partition: partition.key, marks, ...drained })
    return start
  }
  if (process.alive) world.broken('stuck', `${partition.key} cannot be read to its end`)
  return null
}

interface Drained {
  readonly batches: StoredBatch[]
  readonly damaged: [number, number][]
}

/** Null when it must be tried again. */
async function readThrough(
  workload: Workload,
  process: Process,
  partition: Partition,
  start: number,
  end: number,
): Promise<Drained | null> {
  const batches: StoredBatch[] = []
  const damaged: [number, number][] = []
  for (let at = start; at < end; ) {
    const spec = { from: at, bytesMax: 16_384, minOne: true, lingerMs: 0 }
    const result = await workload.read(process, partition, spec)
    if (result === null) return null
    const { error, batches: found } = result
    if (error === 'CORRUPT_MESSAGE') {
      const last = damaged.at(-1)
      if (last?.[1] === at) last[1] = at + 1
      else damaged.push([at, at + 1])
      at += 1
    } else if (error !== 'NONE') {
      await workload.world.sleep(20)
      return null
    } else {
      const next = found.at(-1)?.end
      // The checker has noted that nothing came; going on would never end.
      if (next === undefined || next <= at) return { batches, damaged: [...damaged, [at, end]] }
      // Behind damage a batch may come that began before it, whole.
      for (const batch of found) if (batch.base !== batches.at(-1)?.base) batches.push(batch)
      at = next
    }
  }
  return { batches, damaged }
}
