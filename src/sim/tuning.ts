/**
 * What a run is like: sizes, topics, clients, weather. Everything is drawn from the seed, small enough that files roll, fill
 * up and are recycled many times in a second, and uneven on purpose: a run that has all features at once rarely goes deep
 * into any of them.
 */
import type { Prng } from '../base/prng.ts'
import type { AdminHabits } from './admin.ts'
import type { GroupsPlan } from './group-workload.ts'
import type { PartitionRules } from './history.ts'
import type { Pace } from './producers.ts'
import type { TextPlan } from './text-clients.ts'
import type { Profile, TopicPlan } from './workload.ts'

/** The sizes of a node. */
export interface NodeTuning {
  readonly journalFileBytes: number
  readonly journalFirstFileBytes: number
  readonly journalBytes: number
  readonly groupBytesMax: number
  readonly markDelayMs: number
  readonly cacheBytes: number
  readonly flushRunBytes: number
  readonly flushRunBytesMax: number
  readonly flushThinBytes: number
  readonly flushIdleMs: number
  readonly openFilesMax: number
  readonly retentionCheckMs: number
  /** Of the topic that groups write to. */
  readonly offsetsPartitions: number
  readonly offsetsSegmentBytes: number
  readonly offsetsRewriteBytesMin: number
  readonly offsetsRewriteBatchBytes: number
}

export interface Crowd {
  readonly plainProducers: readonly Pace[]
  readonly idempotentProducers: readonly Pace[]
  readonly tailReaders: number
  readonly catchUpReaders: number
  readonly admin: AdminHabits | null
  readonly groups: GroupsPlan | null
  /** In a scenario of its own only. */
  readonly text: TextPlan | null
}

export function drawTuning(prng: Prng): NodeTuning {
  const journalFileBytes = prng.pick([8192, 16_384, 16_384, 65_536, 262_144])
  const flushRunBytes = prng.pick([512, 4096, 32_768])
  return {
    journalFileBytes,
    journalFirstFileBytes: prng.pick([4096, journalFileBytes]),
    journalBytes: journalFileBytes * prng.pick([4, 6, 6, 12]),
    groupBytesMax: prng.pick([1024, 8192, 8 << 20]),
    markDelayMs: prng.pick([5, 50]),
    cacheBytes: prng.pick([32_768, 131_072, 131_072, 4 << 20]),
    flushRunBytes,
    flushRunBytesMax: flushRunBytes * prng.pick([1, 4, 100]),
    flushThinBytes: prng.pick([0, 256, flushRunBytes]),
    flushIdleMs: prng.pick([5, 100, 2000]),
    openFilesMax: prng.pick([4, 16, 1000]),
    retentionCheckMs: prng.pick([20, 200, 1000]),
    offsetsPartitions: prng.pick([1, 2, 5]),
    offsetsSegmentBytes: prng.pick([1500, 10_000, 100_000]),
    offsetsRewriteBytesMin: prng.pick([1000, 5000, 50_000]),
    offsetsRewriteBatchBytes: prng.pick([200, 200, 1000, 100_000]),
  }
}

export function drawProfile(prng: Prng, tuning: NodeTuning): Profile {
  const topics = prng.between(1, 4)
  return {
    plans: Array.from({ length: topics }, (_, index) => drawTopic(prng, `topic-${index}`)),
    sendsMax: prng.pick([100, 400, 1500]),
    recordsMax: prng.pick([1, 5, 20]),
    fillBytesMax: prng.pick([0, 50, 50, 600]),
    hugeEvery: prng.pick([0, 0, 30]),
    hugeBytes: Math.ceil(tuning.journalFileBytes * (0.8 + prng.float())),
    compresses: prng.chance(0.3),
  }
}

function drawTopic(prng: Prng, name: string): TopicPlan {
  const configs = new Map<string, string>()
  const relaxed = prng.chance(0.15)
  const stampsAppendTime = prng.chance(0.15)
  const retentionMs = prng.chance(0.25) ? prng.pick([300, 3000, 7_200_000]) : -1
  const retentionBytes = prng.chance(0.25) ? prng.pick([4000, 40_000]) : -1
  configs.set('segment.bytes', String(prng.pick([1500, 6000, 30_000, 1 << 20])))
  configs.set('retention.ms', String(retentionMs))
  configs.set('retention.bytes', String(retentionBytes))
  configs.set('index.interval.bytes', String(prng.pick([0, 300, 4096])))
  configs.set('file.delete.delay.ms', String(prng.pick([0, 100])))
  if (prng.chance(0.3)) configs.set('tidelog.segment.records', String(prng.pick([3, 25])))
  if (prng.chance(0.3)) configs.set('segment.ms', String(prng.pick([50, 500])))
  if (relaxed) configs.set('tidelog.flush', 'relaxed')
  if (stampsAppendTime) configs.set('message.timestamp.type', 'LogAppendTime')
  const rules = { relaxed, stampsAppendTime, retentionMs, retentionBytes }
  const partitions = prng.between(1, 5)
  if (prng.chance(0.15)) return { name, partitions, configs, rules: packed(prng, configs, rules) }
  if (prng.chance(0.1)) {
    // Nothing of it is too old, or too much.
    configs.set('cleanup.policy', 'compact')
    return { name, partitions, configs, rules: { ...rules, compacts: true, retentionMs: -1, retentionBytes: -1 } }
  }
  return { name, partitions, configs, rules }
}

/** A topic whose batches are all of one codec. How long they come to be is nobody's guess, so that no limit goes by that. */
function packed(prng: Prng, configs: Map<string, string>, rules: PartitionRules): PartitionRules {
  const codec = prng.pick(['none', 'gzip', 'zstd'] as const)
  configs.set('compression.type', codec === 'none' ? 'uncompressed' : codec)
  configs.set('segment.bytes', String(1 << 20))
  configs.set('retention.bytes', '-1')
  return { ...rules, codec, retentionBytes: -1 }
}

export function drawCrowd(prng: Prng, profile: Profile): Crowd {
  const pace = () => ({ pauseMs: prng.pick([0.2, 2, 10]), pipelined: prng.pick([1, 3, 10]) })
  const several = (max: number) => Array.from({ length: prng.between(0, max + 1) }, pace)
  const idempotentProducers = several(3)
  const plainProducers = several(2)
  const expires = profile.plans.some(plan => plan.rules.retentionMs >= 0)
  return {
    plainProducers: plainProducers.length + idempotentProducers.length === 0 ? [pace()] : plainProducers,
    idempotentProducers,
    tailReaders: prng.between(0, 3),
    catchUpReaders: prng.between(0, 3),
    admin: prng.chance(0.6)
      ? {
          trims: prng.chance(0.5),
          deletesTopics: prng.chance(0.3),
          changesTopics: prng.chance(0.4),
          clockJumpsMs: expires ? prng.pick([0, 2000, 3_600_000]) : 0,
        }
      : null,
    groups: prng.chance(0.2) ? drawGroups(prng) : null,
    text: null,
  }
}

export function drawGroups(prng: Prng): GroupsPlan {
  return {
    members: Array.from({ length: prng.between(0, 3) }, () => prng.between(1, 5)),
    simple: prng.between(1, 4),
    partitions: prng.between(1, 6),
    commitsMax: prng.pick([50, 200, 600]),
    metadataBytesMax: prng.pick([0, 20, 500]),
    sessionMs: prng.pick([60, 400]),
    rebalanceMs: prng.pick([100, 600]),
    pauseMs: prng.pick([1, 5, 20]),
    isStatic: prng.chance(0.3),
    replacesTopic: prng.chance(0.3),
  }
}
