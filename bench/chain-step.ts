/**
 * What a step of the chain's core costs on the steady path: 6 partitions on 3 nodes, every record on all three, acks=all. Prints
 * microseconds per step, of the core alone and of nothing around it. Run: `node bench/chain-step.ts`.
 */
import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId, TopicId } from '../src/base/ids.ts'
import { type Chain, createChain, step } from '../src/chain/core.ts'
import type { ChainEffect, ChainEvent, NewBatch, SegmentStore } from '../src/chain/events.ts'
import type { ChainMessage, Peer } from '../src/chain/messages.ts'
import type { Partition, PartitionId, Segment } from '../src/chain/segment.ts'
import { chainSettings } from '../src/chain/settings.ts'

const partitions = 6
const nodes = 3
const rounds = 40_000

const peers: readonly Peer[] = Array.from({ length: nodes }, (_, i) => ({
  nodeId: (i + 1) as NodeId,
  diskId: `d${i}` as DiskId,
  incarnation: 1,
}))

function partitionOf(index: number): PartitionId {
  return { topicId: '1'.padStart(32, '0') as TopicId, index }
}

function recordOf(index: number): Partition {
  const segment: Segment = {
    id: (index + 1) as SegmentId,
    base: 0 as Offset,
    end: null,
    state: 'open',
    writer: 1 as NodeId,
    writerIncarnation: 1,
    writeEpoch: 1,
    recoveryEpoch: null,
    leaderEpoch: 0 as LeaderEpoch,
    replicas: peers,
    complete: null,
    ackQuorum: 2,
    bytes: 0,
    maxTimestamp: -1,
    checksum: 0,
    archive: [],
    createdAtMs: 0,
    sealReason: 'none',
  }
  return {
    version: 1,
    nextEpoch: 1,
    leaderEpoch: 0 as LeaderEpoch,
    logStartOffset: 0 as Offset,
    chain: [segment],
    config: { replicas: 3, minInsync: 2, flush: 'sync', uncleanSeal: false },
  }
}

/** The steady path reads nothing back. */
const store: SegmentStore = { read: () => [], summary: () => null }
const giant = Number.MAX_SAFE_INTEGER
const settings = chainSettings({ rollRecords: giant, segmentBytesMax: 1024 ** 4, rollBytes: 1024 ** 4 })!

interface Cost {
  steps: number
  ns: number
}

class Meter {
  readonly costs = new Map<string, Cost>()

  step(what: string, chain: Chain, event: ChainEvent): ChainEffect[] {
    const start = process.hrtime.bigint()
    const effects = step(chain, event, store)
    const ns = Number(process.hrtime.bigint() - start)
    const cost = this.costs.get(what)
    if (cost === undefined) this.costs.set(what, { steps: 1, ns })
    else {
      cost.steps += 1
      cost.ns += ns
    }
    return effects
  }
}

function batchOf(round: number, isIdempotent: boolean): NewBatch {
  return {
    records: 10,
    bytes: 10_000,
    crc: round,
    maxTimestamp: round,
    producerId: isIdempotent ? 7 : -1,
    producerEpoch: isIdempotent ? 0 : -1,
    baseSequence: isIdempotent ? (round * 10) % 0x8000_0000 : -1,
    payload: null,
  }
}

/** One record through all of it, per round and partition: produce, both replicas, their syncs, their acks, the own sync. */
function run(meter: Meter, count: number, isIdempotent: boolean): void {
  const chains = peers.map(self => createChain({ self, settings, restored: [] }))
  const durable = [0, 0, 0]
  const note = (node: number, effects: readonly ChainEffect[]) => {
    for (const effect of effects) if (effect.do === 'write') durable[node] = effect.write
  }
  for (let index = 0; index < partitions; index++) {
    for (const chain of chains)
      step(chain, { type: 'metadata', partition: partitionOf(index), record: recordOf(index) }, store)
  }
  const ids = Array.from({ length: partitions }, (_, index) => partitionOf(index))
  for (let round = 0; round < count; round++) {
    for (const partition of ids) {
      const produced = meter.step('writer: produce', chains[0]!, {
        type: 'produce',
        token: round,
        partition,
        batch: batchOf(round, isIdempotent),
        acks: 'all',
      })
      note(0, produced)
      for (const effect of produced) {
        if (effect.do !== 'send') continue
        const at = effect.to - 1
        note(at, meter.step('replica: append', chains[at]!, message(0, effect.message)))
      }
      for (const at of [1, 2]) {
        for (const effect of meter.step('replica: durable', chains[at]!, { type: 'durable', write: durable[at]! })) {
          if (effect.do === 'send') meter.step('writer: ack', chains[0]!, message(at, effect.message))
        }
      }
      meter.step('writer: durable', chains[0]!, { type: 'durable', write: durable[0]! })
    }
  }
}

function message(from: number, said: ChainMessage): ChainEvent {
  return { type: 'message', from: peers[from]!, message: said }
}

const clockNs = (() => {
  const start = process.hrtime.bigint()
  for (let i = 0; i < 100_000; i++) process.hrtime.bigint()
  return Number(process.hrtime.bigint() - start) / 100_000
})()

for (const isIdempotent of [false, true]) {
  run(new Meter(), rounds / 4, isIdempotent)
  const meter = new Meter()
  run(meter, rounds, isIdempotent)
  console.log(isIdempotent ? 'idempotent producer' : 'plain producer')
  for (const [what, { steps, ns }] of meter.costs) {
    console.log(`  ${what.padEnd(20)} ${Math.max(0, (ns / steps - clockNs) / 1000).toFixed(2)} µs`)
  }
}
