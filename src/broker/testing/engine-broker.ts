/**
 * A broker over the real engine on a disk in memory, and a client that talks to it in whole frames: what a node does across
 * restarts, without a process. A fault of the engine or of a handler fails the test.
 */
import assert from 'node:assert/strict'
import { Prng } from '../../base/prng.ts'
import { sliceRope } from '../../base/rope.ts'
import type { Clock } from '../../io/clock.ts'
import type { Compute } from '../../io/compute.ts'
import type { MemoryDisk } from '../../sim/disk.ts'
import type { Api } from '../../wire/api-keys.ts'
import { decodeResponse, encodeRequest } from '../../wire/exchange.ts'
import { frameLengthBytes } from '../../wire/frame.ts'
import type { Body, Draft } from '../../wire/schema.ts'
import { Broker } from '../broker.ts'
import { brokerConfigs, topicSettings } from '../configs.ts'
import { Engine, nodeLogSettings } from '../engine.ts'
import { noCompute, testConnection } from './test-broker.ts'

export const machineClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

export interface TestNode extends AsyncDisposable {
  readonly engine: Engine
  readonly broker: Broker
  ask<A extends Api>(api: A, version: number, body: Draft<A['request']>): Promise<Body<A['response']>>
}

export interface TestNodeOptions {
  /** Broker configs, as `--set name=value`. */
  readonly set?: Record<string, string>
  readonly clock?: Clock
  readonly compute?: Compute
}

let starts = 0

/** A broker on what the disk holds. */
export async function startNode(disk: MemoryDisk, options: TestNodeOptions = {}): Promise<TestNode> {
  const { set = {}, clock = machineClock, compute = noCompute } = options
  const configs = brokerConfigs(set)
  const random = new Prng(++starts)
  const log = nodeLogSettings({
    journalBytes: 64 << 20,
    cacheBytes: 16 << 20,
    openFilesMax: 100,
    acceptDataLoss: false,
  })
  const engine = await Engine.open(
    { disk, clock, random, compute },
    {
      log,
      retentionCheckMs: 60_000,
      producerIdExpirationMs: configs.settings.producerIdExpirationMs,
      topicSettings: overrides => topicSettings(configs, overrides),
    },
    { report: () => {}, fail: error => assert.fail(error) },
  )
  const onFault = (error: unknown) => assert.fail(error as Error)
  const broker = new Broker({ storage: engine, clock, random, compute, configs, onFault })
  const connection = testConnection
  return {
    engine,
    broker,
    async ask(api, version, body) {
      const whole = encodeRequest(api, version, { correlationId: 1, clientId: 'c' }, body)
      const answer = await broker.handle(sliceRope(whole, frameLengthBytes, whole.length), connection)
      assert.ok(answer)
      return decodeResponse(api, version, sliceRope(answer, frameLengthBytes, answer.length)).body
    },
    async [Symbol.asyncDispose]() {
      await broker.close()
      await engine.close()
    },
  }
}
