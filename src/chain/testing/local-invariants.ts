/** What must hold of one node's state after every step, whatever it was told. */
import { invariant } from '../../base/invariant.ts'
import type { Chain, LocalSegment, Writer } from '../state.ts'

export function checkLocal(chain: Chain): void {
  for (const local of chain.segments.values()) checkCopy(chain, local)
  for (const writer of chain.writers.values()) checkWriter(chain, writer)
  const writes = chain.pending.map(({ write }) => write)
  const isAscending = writes.every((write, i) => i === 0 || write > writes[i - 1]!)
  invariant(
    isAscending && writes.every(write => write > chain.durableWrite),
    'pending writes are those not durable yet',
  )
}

function checkCopy(chain: Chain, local: LocalSegment): void {
  const { base, durableEnd, end, sealedEnd, fenceEpoch, durableFence, epoch } = local
  invariant(base <= durableEnd && durableEnd <= end, 'a copy is durable up to somewhere between its base and its end')
  invariant(durableFence <= fenceEpoch && epoch <= fenceEpoch, 'a fence stands before it is durable')
  invariant(sealedEnd === null || sealedEnd === end, 'a sealed copy ends where it was sealed')
  invariant(sealedEnd === null || local.isClosed, 'a sealed copy takes nothing more')
  const state = [...chain.partitions.values()].find(({ copies }) => copies.has(local.id))
  invariant(state !== undefined, 'the partition knows its copies')
}

function checkWriter(chain: Chain, writer: Writer): void {
  const { base, commit, next, entries, committed, local, phase, replicas } = writer
  invariant(base <= commit && commit <= next, 'a writer commits what it has appended')
  invariant(committed <= entries.length && local <= entries.length, 'the marks lie within the entries')
  invariant(
    replicas.every(({ durableEnd }) => durableEnd >= base && durableEnd <= next),
    'nobody has what was not sent',
  )
  if (phase === 'stopped') return
  const copy = chain.segments.get(writer.segment)
  invariant(copy !== undefined && copy.end === next, 'the writer’s own copy has everything that it appended')
  invariant(copy.commit <= commit || commit === base, 'the own copy knows no commit that the writer does not')
  const isDense = entries.every((entry, i) => i === 0 || entry.base === entries[i - 1]!.end)
  invariant(isDense, 'entries follow each other')
  const firstOpen = entries[committed]
  invariant(firstOpen === undefined || firstOpen.end > commit, 'what is committed is counted')
}
