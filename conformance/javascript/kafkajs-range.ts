/**
 * The range assignor for kafkajs, which has none: under the name and in the protocol of Java's, so that both can be members
 * of one group. Each topic by itself is cut into as many stretches as it has members, the first ones longer by one.
 */
import kafkajs, { type PartitionAssigner } from 'kafkajs'

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

/** The first: what later ones add, kafkajs does not write. */
const version = 0

export const rangeAssigner: PartitionAssigner = ({ cluster }) => ({
  name: 'range',
  version,
  protocol: ({ topics }) => ({
    name: 'range',
    metadata: MemberMetadata.encode({ version, topics, userData: Buffer.alloc(0) }),
  }),
  assign: async ({ members, topics }) => {
    const given = new Map(members.map(({ memberId }) => [memberId, {} as Record<string, number[]>]))
    for (const topic of topics) {
      const partitions = cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => partitionId)
        .sort((a, b) => a - b)
      const takers = members
        .filter(({ memberMetadata }) => MemberMetadata.decode(memberMetadata)?.topics.includes(topic))
        .map(({ memberId }) => memberId)
        .sort()
      for (const [i, taker] of takers.entries()) {
        given.get(taker)![topic] = partitions.slice(...stretchOf(i, takers.length, partitions.length))
      }
    }
    return [...given].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version, assignment, userData: Buffer.alloc(0) }),
    }))
  },
})

/** Where the stretch of the i-th of `takers` begins and ends. */
function stretchOf(i: number, takers: number, partitions: number): [from: number, to: number] {
  const each = Math.floor(partitions / takers)
  const longer = partitions % takers
  const from = i * each + Math.min(i, longer)
  return [from, from + each + (i < longer ? 1 : 0)]
}
