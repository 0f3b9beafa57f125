import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeId, Offset, SegmentId } from '../../base/ids.ts'
import type { Batch } from '../../chain/messages.ts'
import { chainConfigurations } from './chain-configurations.ts'
import { crashed, emptyDisk, endOf, synced, visibleOf, withWrite } from './chain-disk.ts'
import { chainModel, chainModels } from './chain-model.ts'
import { partition } from './chain-node.ts'
import { observed, type Promises } from './chain-promises.ts'
import type { Searchable } from './searchable.ts'

const now = () => performance.now()
const named = (name: string) => chainModels.find(model => model.name === name) as Searchable

describe('the search of the chain', () => {
  it('comes to an end with two nodes, and finds nothing (the others: npm run search)', () => {
    const result = named('chain-two-nodes').search({ statesMax: 100_000, timeMs: 50_000, now })
    assert.equal(result.violation, null)
    assert.equal(result.end, 'complete')
    for (const sight of ['a copy is cut', 'a recovery is copying', 'a writer is frozen', 'three segments']) {
      assert.ok((result.sights.get(sight) ?? 0) > 0, sight)
    }
  })

  it('walks through every model without finding anything', () => {
    for (const model of chainModels) {
      assert.equal(model.walk({ seed: 7, timeMs: 200, actionsMax: 200, now }).violation, null, model.name)
    }
  })
})

const batch = (base: number): Batch => ({
  base: base as Offset,
  end: (base + 1) as Offset,
  bytes: 1,
  crc: base + 1,
  maxTimestamp: 0,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  payload: null,
})
const segment = 1 as SegmentId

describe('the disk of the search', () => {
  const opened = withWrite(emptyDisk(false), {
    write: 1,
    record: { kind: 'open', partition, segment, base: 0 as Offset, epoch: 1, producers: [] },
  })
  const written = withWrite(opened, { write: 2, record: { kind: 'batch', segment, batch: batch(0) } })

  it('shows what is written, and keeps what is durable', () => {
    assert.deepEqual(visibleOf(written).map(endOf), [1])
    assert.deepEqual(visibleOf(crashed(written, true)), [])
    assert.deepEqual(visibleOf(crashed(synced(written), true)).map(endOf), [1])
  })

  it('forgets what was acknowledged before the sync, up to the last fence, and says that it may have', () => {
    const relaxed = { ...written, safe: [] }
    assert.deepEqual(visibleOf(crashed(synced(relaxed), true)), [])
    const fenced = withWrite(relaxed, { write: 3, record: { kind: 'fence', segment, epoch: 2 } })
    const more = withWrite(synced(fenced), { write: 4, record: { kind: 'batch', segment, batch: batch(1) } })
    const [left] = visibleOf(crashed(synced(more), true))
    assert.deepEqual([left?.batches.length, left?.isDirty], [1, true])
  })

  it('refuses what must not be: a hole, a lower fence, a change of what is sealed', () => {
    const hole = withWrite(written, { write: 3, record: { kind: 'batch', segment, batch: batch(5) } })
    assert.throws(() => visibleOf(hole), /no holes/)
    const sealed = withWrite(written, { write: 3, record: { kind: 'seal', segment, end: 1 as Offset, checksum: 1 } })
    const longer = withWrite(sealed, { write: 4, record: { kind: 'batch', segment, batch: batch(1) } })
    assert.throws(() => visibleOf(longer), /I7/)
    const fenced = withWrite(written, { write: 3, record: { kind: 'fence', segment, epoch: 5 } })
    const lower = withWrite(fenced, { write: 4, record: { kind: 'fence', segment, epoch: 4 } })
    assert.throws(() => visibleOf(lower), /I11/)
  })
})

describe('promises', () => {
  const [configuration] = chainConfigurations
  const { env } = chainModel(configuration as (typeof chainConfigurations)[number])
  const [first] = env.records
  const commit = (end: number, before: Promises = env) =>
    observed(before, [{ note: 'commit', segment, commit: end as Offset }])

  it('never change', () => {
    const read = observed(commit(1), [{ note: 'readable', end: 1 as Offset, crcs: [1] }])
    assert.throws(() => observed(read, [{ note: 'readable', end: 1 as Offset, crcs: [2] }]), /I9/)
    assert.throws(() => observed(env, [{ note: 'readable', end: 1 as Offset, crcs: [1] }]), /I9/)
  })

  it('are covered by every seal, whoever sealed', () => {
    const [open] = first?.chain ?? []
    assert.ok(first !== undefined && open !== undefined)
    const record = {
      ...first,
      version: first.version + 1,
      chain: [
        { ...open, state: 'sealed', end: 1 as Offset, complete: [0 as NodeId, 1 as NodeId] } as const,
        { ...open, id: 2 as SegmentId, base: 1 as Offset, writeEpoch: 2 },
      ],
    }
    const command = {
      do: 'sealAndOpen',
      partition,
      segment,
      epoch: 1,
      end: 1 as Offset,
      bytes: 1,
      maxTimestamp: 0,
      checksum: 1,
      complete: [0 as NodeId, 1 as NodeId],
      reason: 'rotation',
      next: { writer: 0 as NodeId, writerIncarnation: 1, replicas: open.replicas, ackQuorum: 2 },
    } as const
    const seal = { note: 'record', command, record, nextSegment: 3 as SegmentId } as const
    assert.equal(observed(commit(1), [seal]).ends.length, 1)
    assert.throws(() => observed(commit(2), [seal]), /I5/)
    assert.throws(() => commit(2, observed(commit(1), [seal])), /I5/)
    assert.throws(() => observed(env, [{ ...seal, command: { ...command, epoch: 0 } }]), /I12/)
  })
})
