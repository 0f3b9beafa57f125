/** The log start moves while segments are repaired, recovered or read. */
import type { NodeId, SegmentId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isChain, type Stage, story } from './stage.ts'

const repairAndDelete = story(
  'repair-races-delete',
  'a segment is deleted while a node copies it, and while the copy asks to be counted',
  { tuning: { nodes: 3 }, chain: { rollRecords: 40, appendBytesMax: 2000 } },
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    const absent = prng.pick(stage.others)
    stage.leadAwayFrom(absent)
    cluster.crash(absent)
    const { open } = stage
    stage.until('segments are sealed without it', () => sealedSince(stage, open.id).length >= 3)
    const copies = stage.hold((_, to, message) => to === absent && isChain(message, 'readReply'))
    const asks = stage.hold((from, _, message) => from === absent && message.type === 'propose' && prng.chance(0.5))
    cluster.startNode(absent)
    // Its registration is not what the story is about.
    stage.untilNowAndThen('it copies what it lacks', () => {
      if (stage.node(absent)?.chain == null) for (const { deliver } of asks.kept.splice(0)) deliver()
      return copies.kept.length > 0
    })
    const repaired = (stage.node(absent)?.chain?.repairs.keys().next().value ?? open.id) as SegmentId
    const { end } = stage.segment(repaired) ?? stage.cut('it is gone already')
    stage.trim(end ?? stage.open.base)
    copies.letGo()
    asks.letGo()
    stage.until('the segment is gone', () => stage.segment(repaired) === undefined)
    stage.untilWritten()
    stage.until('nobody has it', () => copyHolders(stage, repaired).length === 0)
  },
)

const duringRecovery = story(
  'retention-during-recovery',
  'the log start moves, up to the segment that is being recovered or into it, while that goes on',
  { chain: { rollRecords: 60 } },
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    stage.until('there is something to delete', () => stage.record.chain.length >= 4)
    const { open, writer } = stage
    stage.leadAwayFrom(writer)
    const answers = stage.hold((_, __, message) => isChain(message, 'fenceReply'))
    const { id } = stage.open
    cluster.crash(stage.open.writer)
    stage.untilSealing(id)
    const oldest = stage.record.chain[0] ?? open
    stage.trim(prng.pick([stage.open.base, stage.open.base, (oldest.end ?? 0) as number]))
    stage.until('the oldest segment is gone', () => stage.segment(oldest.id)?.state !== 'sealed')
    answers.letGo()
    stage.untilSealed(id)
    cluster.startNode(writer)
    stage.untilWritten()
  },
)

const readerOfDeleted = story(
  'reader-of-deleted-segment',
  'readers go on at a node that does not know yet that a segment is deleted, and whose sources have dropped it',
  { tuning: { nodes: 4 }, chain: { rollRecords: 60 }, clients: { followers: 3, readerPauseMs: 40 } },
  stage => {
    stage.begin()
    const { prng, run } = stage
    stage.until('there is something to delete', () => stage.record.chain.length >= 4)
    const reader = prng.pick(stage.allBut(stage.writer))
    stage.leadAwayFrom(reader)
    const oldest = stage.record.chain[0] ?? stage.open
    const news = stage.lose((_, to, message) => to === reader && message.type === 'raft')
    stage.trim(oldest.end ?? stage.open.base)
    stage.until('the oldest segment is gone', () => stage.segment(oldest.id)?.state !== 'sealed')
    const stale = () => stage.recordAt(reader)?.chain[0]?.id === oldest.id
    const reads = run.clients.tallies.reads
    stage.until('readers have asked', () => run.clients.tallies.reads > reads + 20)
    if (!stale()) stage.cut('the node knew')
    news()
    stage.until('the node knows', () => !stale())
    stage.untilWritten()
  },
)

const trimmedAway = story(
  'everything-is-deleted',
  'the log start moves to the very end of the log, and the log goes on from there, through a failover',
  { chain: { rollRecords: 100 } },
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    stage.leadAwayFrom(stage.writer)
    stage.trim(stage.committed())
    const { writer, open } = stage
    if (prng.chance(0.5)) stage.roll()
    else cluster.crash(writer)
    stage.untilSealed(open.id)
    cluster.startNode(writer)
    stage.untilGoesOn(open.id)
  },
)

function sealedSince(stage: Stage, id: SegmentId) {
  const at = stage.record.chain.findIndex(segment => segment.id === id)
  return stage.record.chain.slice(Math.max(at, 0)).filter(segment => segment.end !== null)
}

function copyHolders(stage: Stage, id: SegmentId): NodeId[] {
  return stage.everybody.filter(nodeId => stage.copyAt(nodeId, id) !== null)
}

export const removals: readonly ClusterScenario[] = [repairAndDelete, duringRecovery, readerOfDeleted, trimmedAway]
