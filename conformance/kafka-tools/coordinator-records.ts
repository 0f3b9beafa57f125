/** What the tools print of `__consumer_offsets`: a group's offsets and its state, as Kafka's own formatters read the bytes. */
import { holds } from '../harness/expect.ts'
import type { Tools } from './tools.ts'

export const OFFSETS_TOPIC = '__consumer_offsets'

export interface OffsetRecord {
  readonly key: {
    readonly type: number
    readonly data: { readonly group: string; readonly topic: string; readonly partition: number }
  }
  readonly value: {
    readonly data: { readonly offset: number; readonly metadata: string; readonly commitTimestamp: number }
  } | null
}

export interface GroupRecord {
  readonly key: { readonly type: number; readonly data: { readonly group: string } }
  readonly value: {
    readonly data: {
      readonly protocolType: string
      readonly generation: number
      readonly protocol: string | null
      readonly leader: string | null
      readonly members: readonly { readonly memberId: string; readonly clientId: string; readonly clientHost: string }[]
    }
  } | null
}

/** The partition that has everything about a group: Java's hash of its id, as Kafka takes it. */
export async function partitionOf(tools: Tools, group: string): Promise<number> {
  const description = await tools.ok('kafka-topics', ['--describe', '--topic', OFFSETS_TOPIC])
  const [, partitions] = /PartitionCount: (\d+)/.exec(description) ?? []
  holds(partitions !== undefined, `${OFFSETS_TOPIC} is not described`)
  let hash = 0
  for (let i = 0; i < group.length; i++) hash = (Math.imul(hash, 31) + group.charCodeAt(i)) | 0
  return Math.abs(hash) % Number(partitions)
}
