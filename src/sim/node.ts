/** The node under test: the storage engine with the sizes of a run. The one place where the simulator knows how it is opened. */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { TidelogError } from '../base/errors.ts'
import { flattenRope } from '../base/rope.ts'
import { brokerConfigs, topicSettings } from '../broker/configs.ts'
import { Engine, type EngineSettings } from '../broker/engine.ts'
import type { Compute } from '../io/compute.ts'
import type { NodeTuning } from './tuning.ts'
import type { OpenNode } from './world.ts'

const dayMs = 86_400_000
const defaults = brokerConfigs()

export function openEngine(tuning: NodeTuning): OpenNode {
  return async ({ disk, clock, random, acceptsDataLoss, onFailure, onReport }) => {
    const engine = await Engine.open(
      { disk, clock, random, compute: inlineCompute },
      settingsOf(tuning, acceptsDataLoss),
      {
        report: onReport,
        fail: onFailure,
      },
    )
    return { storage: engine, close: () => engine.close() }
  }
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
