/** The node under test: the storage engine and the coordinator of groups over it, with the sizes of a run. The one place where the simulator knows how it is opened. */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { TidelogError } from '../base/errors.ts'
import { flattenRope } from '../base/rope.ts'
import { allowAll } from '../broker/access.ts'
import { brokerConfigs, topicSettings } from '../broker/configs.ts'
import { Door, type DoorParts } from '../broker/door.ts'
import { Engine, type EngineSettings } from '../broker/engine.ts'
import { FetchSessions } from '../broker/fetch-sessions.ts'
import { FetchWaits } from '../broker/fetch-waits.ts'
import { GroupCoordinator } from '../broker/groups/coordinator.ts'
import { ProducerIds } from '../broker/producer-ids.ts'
import { TextDoor } from '../broker/text/text-door.ts'
import { TopicMaker } from '../broker/topic-maker.ts'
import { type Clock, sleep } from '../io/clock.ts'
import type { Compute } from '../io/compute.ts'
import type { Random } from '../io/random.ts'
import type { NodeTuning } from './tuning.ts'
import type { NodeParts, OpenNode } from './world.ts'

const dayMs = 86_400_000
const defaults = brokerConfigs()

export function openEngine(tuning: NodeTuning): OpenNode {
  return async ({ disk, clock, random, acceptsDataLoss, onFailure, onReport }) => {
    const engine = await Engine.open(
      { disk, clock, random, compute: takingTime(clock, random) },
      settingsOf(tuning, acceptsDataLoss),
      {
        report: onReport,
        fail: onFailure,
      },
    )
    const groups = new GroupCoordinator({
      storage: engine,
      clock,
      random,
      configs: brokerConfigs({
        'offsets.topic.num.partitions': String(tuning.offsetsPartitions),
        'group.min.session.timeout.ms': '1',
      }),
      bounds: {
        rewriteBytesMin: tuning.offsetsRewriteBytesMin,
        rewriteBatchBytes: tuning.offsetsRewriteBatchBytes,
        segmentBytes: tuning.offsetsSegmentBytes,
      },
      onReport: what => onReport({ event: what.includes('are lost') ? 'damage' : 'groups' }),
      onFatal: error => onFailure(error as Error),
    })
    let text: TextDoor | null = null
    const close = async () => {
      await text?.close()
      await groups.close()
      await engine.close()
    }
    return {
      storage: engine,
      groups,
      get text() {
        text ??= textDoor(engine, groups, { clock, random, onFailure })
        return text
      },
      close,
    }
  }
}

function textDoor(
  engine: Engine,
  groups: GroupCoordinator,
  { clock, random, onFailure }: Pick<NodeParts, 'clock' | 'random' | 'onFailure'>,
): TextDoor {
  const parts: DoorParts = {
    served: [],
    storage: engine,
    clock,
    configs: defaults,
    access: allowAll,
    producerIds: new ProducerIds(engine),
    fetchSessions: new FetchSessions(clock, random, 1),
    fetchWaits: new FetchWaits(clock),
    topicMaker: new TopicMaker(engine, defaults),
    groups,
    compute: inlineCompute,
    onFault: error => onFailure(error as Error),
    onFatal: error => onFailure(error as Error),
  }
  return new TextDoor({
    door: new Door(parts, 'simulated'),
    clock,
    nodeId: engine.nodeId,
    clusterId: engine.clusterId,
    raft: () => engine.raft,
    address: () => 'simulated',
  })
}

function settingsOf(tuning: NodeTuning, acceptDataLoss: boolean): EngineSettings {
  return {
    log: {
      journal: {
        fileBytes: tuning.journalFileBytes,
        firstFileBytes: tuning.journalFirstFileBytes,
        bytesMax: tuning.journalBytes,
        groupBytesMax: tuning.groupBytesMax,
        markDelayMs: tuning.markDelayMs,
      },
      cacheBytes: tuning.cacheBytes,
      flush: {
        runBytes: tuning.flushRunBytes,
        runBytesMax: tuning.flushRunBytesMax,
        thinBytes: tuning.flushThinBytes,
        idleMs: tuning.flushIdleMs,
      },
      openFilesMax: tuning.openFilesMax,
      acceptDataLoss,
    },
    retentionCheckMs: tuning.retentionCheckMs,
    producerIdExpirationMs: dayMs,
    topicSettings: configs => topicSettings(defaults, configs),
  }
}

/** As from another thread: jobs take their time, one after the other. */
function takingTime(clock: Clock, random: Random): Compute {
  let before: Promise<unknown> = Promise.resolve()
  const later = <T>(job: () => Promise<T>): Promise<T> => {
    const done = before
      .catch(() => {})
      .then(() => sleep(clock, (random.bytes(1)[0] as number) / 50))
      .then(job)
    before = done
    return done
  }
  return {
    decompress: (codec, bytes, bytesMax) => later(() => inlineCompute.decompress(codec, bytes, bytesMax)),
    compress: (codec, level, bytes) => later(() => inlineCompute.compress(codec, level, bytes)),
  }
}

/** At once and in place, so that a seed gives the same run. Only the codecs that come with Node. */
const inlineCompute: Compute = {
  async decompress(codec, bytes, bytesMax) {
    const input = flattenRope(bytes)
    if (codec === 'none') return input
    if (codec === 'gzip') return gunzipSync(input, { maxOutputLength: bytesMax })
    if (codec === 'zstd') return zstdDecompressSync(input, { maxOutputLength: bytesMax })
    throw new TidelogError('CORRUPT', `the simulator makes no ${codec}`)
  },

  async compress(codec, level, bytes) {
    const input = flattenRope(bytes)
    if (codec === 'gzip') return gzipSync(input, { level: level ?? -1 })
    if (codec === 'zstd') return zstdCompressSync(input)
    throw new TidelogError('CORRUPT', `the simulator makes no ${codec}`)
  },
}
