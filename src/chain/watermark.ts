/** Kafka's high watermark of a partition, as this node knows it. */
import type { Offset } from '../base/ids.ts'
import { readableEnd } from './replica.ts'
import type { Chain, PartitionState } from './state.ts'

/**
 * What is readable of the unsealed segment here, but at least where that begins: everything before is sealed, and what is sealed
 * is committed. So it does not go back when the writer changes.
 */
export function highWatermarkOf(chain: Chain, { record }: Pick<PartitionState, 'record'>): Offset {
  const last = record?.chain.at(-1)
  if (last === undefined) return 0 as Offset
  if (last.end !== null) return last.end
  const local = chain.segments.get(last.id)
  return local === undefined ? last.base : (Math.max(last.base, readableEnd(local)) as Offset)
}
