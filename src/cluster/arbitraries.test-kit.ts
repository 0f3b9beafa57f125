/** Arbitrary commands, and commands that make sense for a given state, for tests of the metadata. */
import fc from 'fast-check'
import type { TopicId } from '../base/ids.ts'
import type { Command } from './commands.ts'
import type { Metadata } from './metadata.ts'

const plain = { noNullPrototype: true }
const count = fc.maxSafeNat()
const int32 = fc.nat({ max: 0x7fff_ffff })

export const anyId: fc.Arbitrary<TopicId> = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map(id => Buffer.from(id).toString('hex') as TopicId)

const text = fc.string({ maxLength: 12 })
const config = fc.record({ name: text, value: text }, plain)
const partition = { topicId: anyId, partition: int32, version: count }

const as = <Name extends Command['do']>(name: Name) => fc.constant(name)

/** Every kind of command, with any values at all. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record(
    { do: as('registerNode'), nodeId: int32, diskId: anyId, confirmed: count, attempted: count, incarnation: count },
    plain,
  ),
  fc.record(
    {
      do: as('createTopic'),
      topicId: anyId,
      name: text,
      writer: int32,
      partitions: int32,
      configs: fc.array(config, { maxLength: 3 }),
      nowMs: count,
    },
    plain,
  ),
  fc.record({ do: as('deleteTopic'), topicId: anyId }, plain),
  fc.record({ do: as('purgeTopic'), topicId: anyId }, plain),
  fc.record(
    { do: as('sealAndOpen'), ...partition, end: count, bytes: count, maxTimestamp: count, writer: int32, nowMs: count },
    plain,
  ),
  fc.record({ do: as('advanceStart'), ...partition, offset: count }, plain),
  fc.record({ do: as('dropSegments'), ...partition, through: count }, plain),
  fc.record({ do: as('allocateProducerIds'), nodeId: int32, count: int32 }, plain),
)

/** What a step of a random history draws; `pick` chooses among what there is, `off` makes it wrong now and then. */
export interface Step {
  readonly what: Command['do']
  readonly pick: number
  readonly amount: number
  /** 0 in most steps. */
  readonly off: number
}

export const anyStep: fc.Arbitrary<Step> = fc.record(
  {
    what: fc.constantFrom<Command['do'][]>(
      'createTopic',
      'createTopic',
      'deleteTopic',
      'purgeTopic',
      'sealAndOpen',
      'sealAndOpen',
      'sealAndOpen',
      'advanceStart',
      'advanceStart',
      'dropSegments',
      'allocateProducerIds',
      'registerNode',
    ),
    pick: fc.nat(1000),
    amount: fc.nat(30),
    off: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
  },
  plain,
)

/** A command that a client or the broker might send in this state; where `off` is not 0, a wrong one. */
export function commandFor(metadata: Metadata, { what, pick, amount, off }: Step): Command {
  const topics = [...metadata.topics.values()]
  const topic = topics[pick % (topics.length || 1)]
  const topicId = topic?.id ?? ('ffffffffffffffffffffffffffffffff' as TopicId)
  const index = pick % (topic?.partitions.length ?? 1)
  const chosen = topic?.partitions[index]
  const ref = { topicId, partition: index + (off < 0 ? 100 : 0), version: (chosen?.version ?? 0) + Math.max(off, 0) }
  const open = chosen?.chain.at(-1)
  switch (what) {
    case 'createTopic': {
      const newId = (0x1000 + pick).toString(16).padStart(32, '0') as TopicId
      const configs = [{ name: 'retention.ms', value: String(amount) }]
      const partitions = off < 0 ? 0 : 1 + (amount % 4)
      return { do: what, topicId: newId, name: `topic-${pick % 12}`, writer: 1, partitions, configs, nowMs: pick }
    }
    case 'deleteTopic':
    case 'purgeTopic':
      return { do: what, topicId }
    case 'sealAndOpen': {
      const end = (open?.base ?? 0) + amount
      return {
        do: what,
        ...ref,
        end,
        bytes: amount * 100,
        maxTimestamp: pick,
        writer: 1 + (pick % 7 === 0 ? 1 : 0),
        nowMs: pick,
      }
    }
    case 'advanceStart':
      return { do: what, ...ref, offset: Math.max((chosen?.logStartOffset ?? 0) + amount - 3, 0) }
    case 'dropSegments':
      return { do: what, ...ref, through: chosen?.chain.findLast(one => one.state === 'deleting')?.id ?? pick }
    case 'allocateProducerIds':
      return { do: what, nodeId: 1, count: off < 0 ? 0 : 1 + amount }
    case 'registerNode': {
      const recorded = metadata.nodes.get(1 as never)?.incarnation ?? 0
      const diskId = '000000000000000000000000000000d1' as TopicId
      return {
        do: what,
        nodeId: 1,
        diskId,
        confirmed: recorded - Math.abs(off),
        attempted: recorded - Math.abs(off),
        incarnation: recorded + 1,
      }
    }
  }
}
