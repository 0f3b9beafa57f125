import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, NodeId, SegmentId, Term, TopicId } from '../base/ids.ts'
import type { Membership } from '../raft/membership.ts'
import { decodeRecord, encodeRecord } from '../wire/on-disk.ts'
import { anyStep, commandFor, prelude } from './arbitraries.test-kit.ts'
import { type Command, encodeCommand, newestFeatureLevel } from './commands.ts'
import { Metadata } from './metadata.ts'
import { decodeMetadata, encodeMetadata, fromFile, metadataFile, toFile } from './snapshot.ts'

const id = (number: number) => number.toString(16).padStart(32, '0') as TopicId

/** A machine that has gone through the steps, each as a command that fits or nearly fits. */
function machineAfter(steps: readonly Parameters<typeof commandFor>[1][]): Metadata {
  const metadata = new Metadata()
  ;[...prelude, ...steps].forEach((step, i) => {
    metadata.apply(commandFor(metadata, step), id(i + 1))
  })
  return metadata
}

const history = (maxLength: number) => fc.array(anyStep, { maxLength })

describe('a snapshot', () => {
  it('restored is equal to what was saved, byte for byte, and goes on alike', () => {
    let sealed = 0
    fc.assert(
      fc.property(history(80), history(30), (steps, later) => {
        const metadata = machineAfter(steps)
        const saved = encodeMetadata(metadata)
        const restored = decodeMetadata(saved)
        assert.ok(encodeMetadata(restored).equals(saved))
        assert.deepEqual([...restored.byName].sort(), [...metadata.byName].sort())
        assert.deepEqual(restored.topics, metadata.topics)
        assert.equal(restored.checksum(), metadata.checksum())
        later.forEach((step, i) => {
          const command = commandFor(metadata, step)
          assert.deepEqual(restored.apply(command, id(0xff00 + i)), metadata.apply(command, id(0xff00 + i)))
        })
        assert.ok(encodeMetadata(restored).equals(encodeMetadata(metadata)))
        for (const topic of metadata.topics.values()) {
          for (const { chain } of topic.partitions) sealed += chain.filter(segment => segment.end !== null).length
        }
      }),
      { numRuns: 200 },
    )
    assert.ok(sealed > 100, `only ${sealed} sealed segments`)
  })

  it('taken at any point and replayed from there leads to the same state as all commands do', () => {
    fc.assert(
      fc.property(history(60), fc.nat(), (later, at) => {
        const steps = [...prelude, ...later]
        const whole = new Metadata()
        const log: Buffer[] = []
        const cut = at % steps.length
        let snapshot = encodeMetadata(whole)
        steps.forEach((step, i) => {
          if (i === cut) snapshot = encodeMetadata(whole)
          const encoded = encodeCommand(commandFor(whole, step), id(i + 1))
          log.push(encoded)
          whole.applyEncoded(encoded)
        })
        const restored = decodeMetadata(snapshot)
        for (const encoded of log.slice(cut)) restored.applyEncoded(encoded)
        assert.ok(encodeMetadata(restored).equals(encodeMetadata(whole)))
        assert.equal(restored.checksum(), whole.checksum())
      }),
    )
  })

  it('of a version or a feature level that this program does not know is refused', () => {
    const isFormat = (error: unknown) => error instanceof TidelogError && error.code === 'FORMAT'
    const saved = encodeMetadata(new Metadata())
    const newer = Buffer.from(saved)
    newer.writeUInt16BE(2, 0)
    assert.throws(() => decodeMetadata(newer), isFormat)
    assert.throws(() => decodeMetadata(Buffer.alloc(0)), isFormat)
    const higher = Buffer.from(saved)
    higher.writeInt16BE(newestFeatureLevel + 1, 2)
    assert.throws(() => decodeMetadata(higher), isFormat)
    assert.throws(() => decodeMetadata(saved.subarray(0, -1)), { code: 'CORRUPT' })
  })

  it('lies in its file with Raft’s place, vote and members', () => {
    const data = encodeMetadata(machineAfter([]))
    const membership: Membership = [
      { nodeId: 1 as NodeId, diskId: id(0xd1) as never, role: 'voter' },
      { nodeId: 2 as NodeId, diskId: id(0xd2) as never, role: 'learner' },
    ]
    const snapshot = { index: 9 as LogIndex, term: 3 as Term, membership, data, checksum: 0 }
    for (const votedFor of [null, 2 as NodeId]) {
      const hardState = { term: 4 as Term, votedFor }
      const bytes = encodeRecord(metadataFile, toFile(snapshot, hardState))
      const saved = fromFile(decodeRecord(metadataFile, bytes))
      assert.deepEqual(saved, { lastIndex: 9, lastTerm: 3, hardState, membership, state: data })
    }
  })
})

describe('the checksum', () => {
  it('is that of the state, however often it was taken on the way there', () => {
    fc.assert(
      fc.property(history(60), fc.nat(7), (steps, every) => {
        const [often, once] = [new Metadata(), new Metadata()]
        steps.forEach((step, i) => {
          const command = commandFor(often, step)
          often.apply(command, id(i + 1))
          once.apply(command, id(i + 1))
          if (i % (every + 1) === 0) often.checksum()
        })
        assert.equal(often.checksum(), once.checksum())
      }),
    )
  })

  it('tells states apart that differ in one field', () => {
    const metadata = new Metadata()
    const register: Command = {
      do: 'registerNode',
      nodeId: 1 as NodeId,
      diskId: id(0xd1) as never,
      confirmed: 0,
      attempted: 0,
      incarnation: 1,
    }
    metadata.apply(register, id(1))
    const create: Command = {
      do: 'createTopic',
      topicId: id(0xaa),
      name: 'orders',
      writer: 1 as NodeId,
      partitions: 1,
      configs: [],
      nowMs: 1,
    }
    metadata.apply(create, id(2))
    const first = metadata.checksum()
    const copy = () => decodeMetadata(encodeMetadata(metadata))
    const changed = (change: (other: Metadata) => void) => {
      const other = copy()
      change(other)
      return decodeMetadata(encodeMetadata(other)).checksum()
    }
    assert.equal(copy().checksum(), first)
    const topic = metadata.topicNamed('orders')
    assert.ok(topic !== undefined)
    const [partition] = topic.partitions
    const [segment] = partition?.chain ?? []
    assert.ok(partition !== undefined && segment !== undefined)
    const withSegment = (fields: Partial<typeof segment>) => (other: Metadata) => {
      const partitions = [{ ...partition, chain: [{ ...segment, ...fields }] }]
      other.topics.set(topic.id, { ...topic, partitions })
    }
    const node = metadata.nodes.get(1 as NodeId)
    assert.ok(node !== undefined)
    const differences: ((other: Metadata) => void)[] = [
      other => other.nextSegmentId++,
      other => other.nextProducerId++,
      other => other.applied++,
      other => other.nodes.set(1 as NodeId, { ...node, isUp: false }),
      other => other.nodes.set(1 as NodeId, { ...node, rack: 'r' }),
      other => other.removedNodes.set(7 as NodeId, 1),
      other => other.outcomes.set(id(2), { ok: true, value: 9 }),
      other => other.topics.set(topic.id, { ...topic, configs: new Map([['a', 'b']]) }),
      other => other.topics.set(topic.id, { ...topic, partitions: [{ ...partition, version: 2 }] }),
      withSegment({ id: 2 as SegmentId }),
      withSegment({ state: 'sealing', recoveryEpoch: 3 }),
      withSegment({ writerIncarnation: 2 }),
      withSegment({ ackQuorum: 2 }),
      withSegment({ complete: [1 as NodeId] }),
      withSegment({ complete: [] }),
      withSegment({ replicas: [] }),
      withSegment({ checksum: 5 }),
      withSegment({ maxTimestamp: 2 ** 40 }),
    ]
    const sums = differences.map(changed)
    assert.equal(new Set([first, ...sums]).size, sums.length + 1)
  })
})
