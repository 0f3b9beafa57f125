import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { NodeId, TopicId } from '../base/ids.ts'
import { decodeRecord, encodeRecord } from '../wire/on-disk.ts'
import { anyCommand, anyStep, commandFor } from './arbitraries.test-kit.ts'
import { type Command, decodeCommand, encodeCommand } from './commands.ts'
import { Metadata, type Partition } from './metadata.ts'
import type { Outcome } from './outcome.ts'
import { metadataSnapshot, restoreMetadata, saveMetadata } from './snapshot.ts'

const id = (number: number) => number.toString(16).padStart(32, '0') as TopicId
const raft = { lastIndex: 5, lastTerm: 2, term: 3, votedFor: 1 }
const orders = id(0xaa)

/** A machine that takes commands one after the other, each with a request id of its own. */
class Machine {
  metadata = new Metadata()
  #requests = 0

  apply(command: Command): Outcome {
    return this.metadata.apply(command, id(++this.#requests))
  }

  ok(command: Command): number {
    const outcome = this.apply(command)
    assert.ok(outcome.ok, `${command.do}: ${outcome.ok ? '' : outcome.message}`)
    return outcome.value
  }

  refused(command: Command): string {
    const before = encodeState(this.metadata, false)
    const outcome = this.apply(command)
    assert.ok(!outcome.ok, `${command.do} is refused`)
    assert.ok(encodeState(this.metadata, false).equals(before), 'a refusal changes nothing')
    return outcome.error
  }

  partition(index = 0, topicId = orders): Partition {
    return this.metadata.topics.get(topicId)?.partitions[index] as Partition
  }

  chain(index = 0): string[] {
    return this.partition(index).chain.map(
      ({ id: segment, base, end, state }) => `${segment}: [${base}, ${end ?? ''}) ${state}`,
    )
  }
}

function encodeState(metadata: Metadata, withOutcomes = true): Buffer {
  const saved = saveMetadata(metadata, raft)
  return encodeRecord(metadataSnapshot, withOutcomes ? saved : { ...saved, outcomes: [] })
}

const create = (name = 'orders', topicId = orders, partitions = 2): Command => ({
  do: 'createTopic',
  topicId,
  name,
  writer: 1,
  partitions,
  configs: [{ name: 'retention.ms', value: '5' }],
  nowMs: 77,
})
const seal = (version: number, end: number, writer = 1): Command => ({
  do: 'sealAndOpen',
  topicId: orders,
  partition: 0,
  version,
  end,
  bytes: end * 10,
  maxTimestamp: end + 1000,
  writer,
  nowMs: 88,
})
const advance = (version: number, offset: number): Command => ({
  do: 'advanceStart',
  topicId: orders,
  partition: 0,
  version,
  offset,
})
const drop = (version: number, through: number): Command => ({
  do: 'dropSegments',
  topicId: orders,
  partition: 0,
  version,
  through,
})
const register = (confirmed: number, attempted: number, incarnation: number, diskId = id(0xd)): Command => ({
  do: 'registerNode',
  nodeId: 1,
  diskId,
  confirmed,
  attempted,
  incarnation,
})

describe('createTopic', () => {
  it('opens the first segment of each partition, with ids that nothing else gets', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(create('other', id(0xbb)))
    assert.equal(m.metadata.topicNamed('orders')?.id, orders)
    assert.deepEqual([m.chain(0), m.chain(1)], [['1: [0, ) open'], ['2: [0, ) open']])
    assert.equal(m.partition(0, id(0xbb)).chain[0]?.id, 3)
    const [first] = m.partition().chain
    assert.deepEqual([first?.writer, first?.leaderEpoch, first?.createdAtMs, first?.replicas], [1, 0, 77, [1]])
    assert.deepEqual([...(m.metadata.topics.get(orders)?.configs ?? [])], [['retention.ms', '5']])
  })

  it('is refused for a name or an id that is taken, and for no partitions at all', () => {
    const m = new Machine()
    m.ok(create())
    assert.equal(m.refused(create('orders', id(0xbb))), 'EXISTS')
    assert.equal(m.refused(create('other', orders)), 'EXISTS')
    assert.equal(m.refused(create('other', id(0xbb), 0)), 'INVALID')
  })
})

describe('deleteTopic', () => {
  it('frees the name at once and the topic with its purge', () => {
    const m = new Machine()
    m.ok(create())
    m.ok({ do: 'deleteTopic', topicId: orders })
    assert.equal(m.metadata.topicNamed('orders'), undefined)
    assert.equal(m.metadata.topics.get(orders)?.isDeleting, true)
    m.ok(create('orders', id(0xbb)))
    assert.equal(m.refused(create('again', orders)), 'EXISTS', 'its id is taken as long as its files are there')
    m.ok({ do: 'purgeTopic', topicId: orders })
    assert.equal(m.metadata.topics.has(orders), false)
    assert.equal(m.metadata.topicNamed('orders')?.id, id(0xbb), 'the name is the new topic’s')
  })

  it('is refused twice and for what is not there; only what was deleted is purged', () => {
    const m = new Machine()
    m.ok(create())
    assert.equal(m.refused({ do: 'deleteTopic', topicId: id(9) }), 'UNKNOWN')
    assert.equal(m.refused({ do: 'purgeTopic', topicId: orders }), 'UNKNOWN')
    m.ok({ do: 'deleteTopic', topicId: orders })
    assert.equal(m.refused({ do: 'deleteTopic', topicId: orders }), 'UNKNOWN')
    for (const command of [seal(1, 5), advance(1, 0), drop(1, 1)]) assert.equal(m.refused(command), 'UNKNOWN')
  })
})

describe('sealAndOpen', () => {
  it('ends the open segment where it says and opens the next there', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(seal(1, 10))
    m.ok(seal(2, 30))
    assert.deepEqual(m.chain(), ['1: [0, 10) sealed', '3: [10, 30) sealed', '4: [30, ) open'])
    const { version, chain, leaderEpoch } = m.partition()
    assert.deepEqual([version, leaderEpoch, chain[1]?.bytes, chain[1]?.maxTimestamp], [3, 0, 300, 1030])
    assert.deepEqual(
      chain.map(({ writeEpoch }) => writeEpoch),
      [1, 2, 3],
    )
    assert.equal(m.partition(1).version, 1, 'others are not touched')
  })

  it('raises the leader epoch when the writer changes, and only then', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(seal(1, 10))
    m.ok(seal(2, 20, 2))
    m.ok(seal(3, 30, 2))
    assert.deepEqual(
      m.partition().chain.map(({ leaderEpoch, writer }) => [leaderEpoch, writer]),
      [
        [0, 1],
        [0, 1],
        [1, 2],
        [1, 2],
      ],
    )
  })

  it('is refused for an empty segment, a stale version and what is not there', () => {
    const m = new Machine()
    m.ok(create())
    assert.equal(m.refused(seal(1, 0)), 'INVALID')
    m.ok(seal(1, 10))
    assert.equal(m.refused(seal(1, 20)), 'STALE')
    assert.equal(m.refused(seal(3, 20)), 'STALE')
    assert.equal(m.refused(seal(2, 10)), 'INVALID')
    assert.equal(m.refused({ ...seal(2, 20), partition: 2 } as Command), 'UNKNOWN')
    assert.equal(m.refused({ ...seal(2, 20), topicId: id(9) } as Command), 'UNKNOWN')
  })
})

describe('advanceStart and dropSegments', () => {
  it('mark what lies wholly below the log start, and take it out once its files are gone', () => {
    const m = new Machine()
    m.ok(create())
    for (const [version, end] of [
      [1, 10],
      [2, 20],
      [3, 30],
    ] as const)
      m.ok(seal(version, end))
    m.ok(advance(4, 19))
    assert.deepEqual(m.chain(), ['1: [0, 10) deleting', '3: [10, 20) sealed', '4: [20, 30) sealed', '5: [30, ) open'])
    assert.equal(m.partition().logStartOffset, 19)
    m.ok(advance(5, 20))
    m.ok(drop(6, 3))
    assert.deepEqual(m.chain(), ['4: [20, 30) sealed', '5: [30, ) open'])
    m.ok(advance(7, 35))
    m.ok(drop(8, 4))
    assert.deepEqual(m.chain(), ['5: [30, ) open'], 'the open segment stays')
  })

  it('are refused when they would go back, or drop what is not below the log start', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(seal(1, 10))
    m.ok(seal(2, 20))
    m.ok(advance(3, 10))
    assert.equal(m.refused(advance(4, 9)), 'INVALID')
    assert.equal(m.refused(advance(3, 15)), 'STALE')
    assert.equal(m.refused(drop(4, 3)), 'INVALID')
    assert.equal(m.refused(drop(4, 99)), 'UNKNOWN')
    assert.equal(m.refused(drop(3, 1)), 'STALE')
  })
})

describe('allocateProducerIds', () => {
  it('gives each block once, one behind the other', () => {
    const m = new Machine()
    const take = (count: number) => m.ok({ do: 'allocateProducerIds', nodeId: 1, count })
    assert.deepEqual([take(1000), take(10), take(1)], [1, 1001, 1011])
    assert.equal(m.refused({ do: 'allocateProducerIds', nodeId: 1, count: 0 }), 'INVALID')
  })
})

describe('registerNode', () => {
  it('takes a node that knows one of its last two incarnations, however it crashed in between', () => {
    const m = new Machine()
    m.ok(register(0, 0, 1))
    m.ok(register(1, 1, 2))
    // Registered as 2, and crashed before it noted that.
    m.ok(register(1, 2, 3))
    // Stored its attempt at 4, and crashed before it registered.
    m.ok(register(3, 4, 5))
    assert.equal(m.metadata.nodes.get(1 as NodeId)?.incarnation, 5)
  })

  it('refuses an old copy of the disk, another disk, and an incarnation that was', () => {
    const m = new Machine()
    for (let i = 0; i < 5; i++) m.ok(register(i, i, i + 1))
    assert.equal(m.refused(register(3, 3, 6)), 'STALE')
    assert.equal(m.refused(register(3, 4, 6)), 'STALE')
    assert.equal(m.refused(register(6, 6, 7)), 'STALE')
    assert.equal(m.refused(register(5, 5, 6, id(0xe))), 'STALE')
    assert.equal(m.refused(register(5, 5, 5)), 'INVALID')
  })
})

describe('the state machine', () => {
  it('gives a retry the outcome of the first, and changes nothing by it', () => {
    const machine = new Metadata()
    const request = id(1)
    const block: Command = { do: 'allocateProducerIds', nodeId: 1, count: 10 }
    const first = machine.apply(block, request)
    const before = encodeState(machine)
    assert.deepEqual(machine.apply(block, request), first)
    assert.ok(encodeState(machine).equals(before))
    assert.deepEqual(machine.apply(block, id(2)), { ok: true, value: 11 })
    const refusal = machine.apply({ do: 'deleteTopic', topicId: orders }, id(3))
    machine.apply(create(), id(4))
    assert.deepEqual(machine.apply({ do: 'deleteTopic', topicId: orders }, id(3)), refusal, 'a refusal stays one')
  })

  it('remembers a bounded number of outcomes, the newest', () => {
    const machine = new Metadata()
    const take = (request: number) => machine.apply({ do: 'allocateProducerIds', nodeId: 1, count: 1 }, id(request))
    for (let i = 1; i <= 300; i++) take(i)
    assert.equal(machine.outcomes.size, 256)
    assert.deepEqual(
      [take(300), take(45)],
      [
        { ok: true, value: 300 },
        { ok: true, value: 45 },
      ],
    )
    assert.deepEqual(take(44), { ok: true, value: 301 }, 'too long ago')
  })

  it('keeps its promises over random histories: chains without gaps, ids given once, names of what is there', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 80 }), steps => {
        const m = new Machine()
        const segmentIds = new Set<number>()
        let nextProducerId = 1
        for (const step of steps) {
          const before = encodeState(m.metadata, false)
          const versions = new Map(
            [...m.metadata.topics].map(([topic, { partitions }]) => [topic, partitions.map(p => p.version)]),
          )
          const command = commandFor(m.metadata, step)
          const outcome = m.apply(command)
          if (!outcome.ok) assert.ok(encodeState(m.metadata, false).equals(before))
          if (outcome.ok && command.do === 'allocateProducerIds') {
            assert.equal(outcome.value, nextProducerId)
            nextProducerId += command.count
          }
          for (const topic of m.metadata.topics.values()) {
            if (!topic.isDeleting) assert.equal(m.metadata.byName.get(topic.name), topic.id)
            topic.partitions.forEach((partition, i) => {
              const was = versions.get(topic.id)?.[i]
              if (was !== undefined) assert.ok(partition.version === was || partition.version === was + 1)
              checkChain(partition)
              for (const segment of partition.chain) segmentIds.add(segment.id)
            })
          }
          for (const [name, topic] of m.metadata.byName) assert.equal(m.metadata.topics.get(topic)?.name, name)
          const live = [...m.metadata.topics.values()].flatMap(topic =>
            topic.partitions.flatMap(p => p.chain.map(s => s.id)),
          )
          assert.equal(new Set(live).size, live.length)
          assert.ok(live.every(segment => segment < m.metadata.nextSegmentId))
        }
      }),
    )
  })

  function checkChain({ chain, logStartOffset }: Partition): void {
    assert.ok(chain.length > 0)
    chain.forEach((segment, i) => {
      const isLast = i === chain.length - 1
      assert.equal(segment.end === null, isLast)
      assert.equal(segment.state === 'open', isLast)
      if (!isLast) {
        assert.equal(segment.end, chain[i + 1]?.base)
        assert.ok(segment.base < (segment.end as number))
        if (segment.state === 'deleting') assert.ok((segment.end as number) <= logStartOffset)
      }
    })
  }

  it('never throws, whatever commands come', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 20 }), commands => {
        const m = new Machine()
        for (const command of commands) {
          if (command.do === 'createTopic' && command.partitions > 100) continue
          m.apply(command)
        }
      }),
    )
  })
})

describe('a snapshot', () => {
  it('restored is equal to what was saved, byte for byte, and goes on alike', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), fc.array(anyStep, { maxLength: 20 }), (steps, later) => {
        const m = new Machine()
        for (const step of steps) m.apply(commandFor(m.metadata, step))
        const saved = encodeState(m.metadata)
        const restored = restoreMetadata(decodeRecord(metadataSnapshot, saved))
        assert.ok(encodeState(restored).equals(saved))
        assert.deepEqual([...restored.byName].sort(), [...m.metadata.byName].sort())
        later.forEach((step, i) => {
          const command = commandFor(m.metadata, step)
          const request = id(0xff00 + i)
          assert.deepEqual(restored.apply(command, request), m.metadata.apply(command, request))
        })
        assert.ok(encodeState(restored).equals(encodeState(m.metadata)))
      }),
    )
  })

  it('taken at any point and replayed from there leads to the same state as all commands do', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 1, maxLength: 50 }), fc.nat(), (steps, at) => {
        const whole = new Metadata()
        const log: Buffer[] = []
        const cut = at % steps.length
        let snapshot = encodeState(whole)
        steps.forEach((step, i) => {
          if (i === cut) snapshot = encodeState(whole)
          const encoded = encodeCommand(commandFor(whole, step), id(i + 1))
          log.push(encoded)
          applyEncoded(whole, encoded)
        })
        const restored = restoreMetadata(decodeRecord(metadataSnapshot, snapshot))
        for (const encoded of log.slice(cut)) applyEncoded(restored, encoded)
        assert.ok(encodeState(restored).equals(encodeState(whole)))
      }),
    )
  })
})

function applyEncoded(metadata: Metadata, encoded: Buffer): void {
  const decoded = decodeCommand(encoded)
  assert.ok('command' in decoded)
  metadata.apply(decoded.command, decoded.requestId)
}
