import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ChainEvent } from './events.ts'
import type { ChainMessage, Peer } from './messages.ts'
import { checkLocal } from './testing/local-invariants.ts'
import { partition, ScriptWorld } from './testing/script-world.ts'

/** Numbers that are plausible, that are off by a little, and that are none. */
const number = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 31) },
)

const batch = fc.record({
  base: number,
  end: number,
  bytes: fc.constantFrom(100, 100, 0, -5),
  crc: fc.integer({ min: 0, max: 4 }),
  maxTimestamp: number,
  producerId: fc.constantFrom(-1, -1, 7),
  producerEpoch: fc.constantFrom(-1, 0, 1),
  baseSequence: fc.integer({ min: -1, max: 3 }),
  payload: fc.constant(null),
})

const common = {
  segment: fc.integer({ min: 0, max: 3 }),
  epoch: number,
  segmentBase: number,
  end: number,
  commit: number,
  from: number,
  bytesMax: number,
  fenceEpoch: number,
  bytes: number,
  maxTimestamp: number,
  checksum: number,
  isGap: fc.boolean(),
  standing: fc.constantFrom('clean', 'dirty', 'damaged', 'stranger'),
  reason: fc.constantFrom('dirty', 'damaged', 'stranger'),
  batches: fc.array(batch, { maxLength: 3 }),
  producers: fc.constantFrom(null, []),
  commits: fc.array(fc.record({ segment: fc.integer({ min: 0, max: 3 }), epoch: number, commit: number }), {
    maxLength: 2,
  }),
  partition: fc.constant(partition),
}

const types = [
  'append',
  'ack',
  'gap',
  'fenced',
  'unfit',
  'commits',
  'fence',
  'fenceReply',
  'recoveryAppend',
  'recoveryAck',
  'read',
  'readReply',
  'summary',
  'summaryReply',
  'producers',
  'producersReply',
] as const satisfies readonly ChainMessage['type'][]

/** Every message has all fields: those of its kind are looked at. */
const message = fc
  .record({ type: fc.constantFrom(...types), ...common })
  .map(fields => (fields.type === 'read' && fields.epoch === 5 ? { ...fields, epoch: null } : fields))

const peer = fc.record({
  nodeId: fc.integer({ min: 1, max: 4 }),
  diskId: fc.constantFrom('d1', 'd2', 'd3', 'd4', 'd5'),
  incarnation: fc.constantFrom(1, 1, 1, 2, 0, Number.NaN),
})

const happening = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('message' as const), message, peer }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('durable' as const), write: number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('outcome' as const), proposal: number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tick' as const), nowMs: fc.integer({ min: 0, max: 3000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('world' as const), node: fc.integer({ min: 1, max: 3 }) }) },
)

/** A world in the middle of things: a sealed segment, an open one, one recovery begun. */
function busyWorld(): ScriptWorld {
  const world = new ScriptWorld()
  world.addNodes(3)
  world.apply({ do: 'create', config: { replicas: 3, minInsync: 2, flush: 'sync', uncleanSeal: false } })
  world.apply({ do: 'openFirst', version: 0, next: world.placement(1, [1, 2, 3]) })
  const produce = (crc: number) =>
    world.feed(1, { type: 'produce', token: crc, partition, acks: 'all', batch: plain(crc) })
  for (const id of [1, 2, 3]) world.learn(id)
  produce(1)
  world.settle()
  world.feed(1, { type: 'placement', partition, reason: 'size', next: world.placement(1, [1, 2, 3]) })
  world.settle()
  produce(2)
  world.deliver(({ to }) => to === 2)
  const segment = world.record!.chain.at(-1)!.id
  world.feed(3, { type: 'recover', partition, segment, next: world.placement(3, [2, 3]), spares: [] })
  world.decide(3)
  world.outcomes(3)
  return world
}

const plain = (crc: number) => ({
  records: 1,
  bytes: 100,
  crc,
  maxTimestamp: 0,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  payload: null,
})

describe('nonsense', () => {
  it('is ignored, refused, or stops the node; it never throws, and leaves no state that cannot be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(happening, { maxLength: 40 }), (id, happenings) => {
        const world = busyWorld()
        for (const each of happenings) {
          if (each.kind === 'world') {
            world.sync(each.node)
            world.deliver(({ to }) => to === each.node)
          } else world.feed(id, eventOf(each))
          checkLocal(world.node(id).chain!)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

type Happening = Exclude<typeof happening extends fc.Arbitrary<infer T> ? T : never, { kind: 'world' }>

function eventOf(each: Happening): ChainEvent {
  switch (each.kind) {
    case 'message':
      return { type: 'message', from: each.peer as unknown as Peer, message: each.message as unknown as ChainMessage }
    case 'durable':
      return { type: 'durable', write: each.write }
    case 'outcome':
      return { type: 'outcome', proposal: each.proposal, outcome: { kind: 'done', value: each.proposal } }
    case 'tick':
      return { type: 'tick', nowMs: each.nowMs }
  }
}
