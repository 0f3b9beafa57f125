/** Writers that sleep while another one takes over, and wake up believing that they still are what they were. */
import type { ClusterScenario } from '../run.ts'
import { isAppendOf, isAsking, isChain, story } from './stage.ts'

const duringRecovery = story(
  'zombie-resumes-during-recovery',
  'a writer that slept before it could send wakes up while its segment is being recovered',
  {},
  stage => {
    stage.begin()
    const { writer, open } = stage
    stage.leadAwayFrom(writer)
    // The zombie is not told by the recoverer: only the other replicas can stop it.
    stage.lose((_, to, message) => to === writer && isChain(message, 'fence'))
    const answers = stage.hold((_, __, message) => isChain(message, 'fenceReply'))
    const { others } = stage
    const areFenced = () => others.every(other => (stage.copyAt(other, open.id)?.durableFence ?? 0) > open.writeEpoch)
    stage.asleepUntil(writer, 'the other replicas are fenced', areFenced)
    const late = stage.watch((from, _, message) => from === writer && isAppendOf(message, open.id))
    stage.until('the zombie sends', () => late.count > 0)
    stage.wait(stage.prng.between(0, 200))
    // What counts is what was said when the fence was new.
    answers.kept.splice(1)
    answers.letGo()
    stage.untilGoesOn(open.id)
  },
)

const afterSeal = story(
  'zombie-resumes-after-seal',
  'a writer that slept before it could send wakes up at the moment when its segment is sealed',
  {},
  stage => {
    stage.begin()
    const { writer, open } = stage
    stage.leadAwayFrom(writer)
    stage.asleepUntil(writer, 'its segment is sealed', () => stage.open.id !== open.id)
    const late = stage.watch((from, _, message) => from === writer && isAppendOf(message, open.id))
    stage.until('the zombie sends', () => late.count > 0)
    stage.untilGoesOn(open.id)
  },
)

const afterNextOpen = story(
  'zombie-resumes-after-next-open',
  'a writer that slept before it could send wakes up when its successor has long committed records',
  {},
  stage => {
    stage.begin()
    const { writer, open, prng } = stage
    stage.leadAwayFrom(writer)
    const commits = prng.between(1, 100)
    const isFar = () => stage.open.id !== open.id && stage.committed() > stage.open.base + commits
    stage.asleepUntil(writer, 'its successor has commits', isFar)
    const late = stage.watch((from, _, message) => from === writer && isAppendOf(message, open.id))
    stage.until('the zombie sends', () => late.count > 0)
    stage.until('the zombie gives up', () => stage.writing(writer, open.id) === null)
    stage.untilWritten()
  },
)

const ownSealInFlight = story(
  'zombie-own-seal-in-flight',
  'a writer sleeps while its own seal is on its way to the leader, and the seal arrives after the recovery',
  {},
  stage => {
    stage.begin()
    const { writer, open } = stage
    stage.leadAwayFrom(writer)
    const seals = stage.hold((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    if (stage.prng.chance(0.5)) stage.roll()
    else stage.rotate()
    stage.until('the writer asks for its seal', () => seals.kept.length > 0)
    stage.asleepUntil(writer, 'the segment is recovered', () => stage.open.id !== open.id)
    seals.letGo()
    stage.until('the zombie gives up', () => stage.writing(writer, open.id) === null)
    stage.untilGoesOn(open.id)
  },
)

const ownSealApplied = story(
  'zombie-own-seal-applied',
  'a writer sleeps and does not hear that its own seal was applied, while its successor writes',
  {},
  stage => {
    stage.begin()
    const { writer, open } = stage
    stage.leadAwayFrom(writer)
    const seals = stage.watch((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    stage.rotate()
    stage.until('the writer asks for its seal', () => seals.count > 0)
    const hears = stage.lose((_, to, message) => to === writer && !isChain(message))
    const hasMoved = () => stage.open.id !== open.id && stage.writer !== writer && stage.committed() > stage.open.base
    stage.asleepUntil(writer, 'its successor has commits', hasMoved)
    stage.wait(stage.prng.between(10, 1000))
    stage.promise(
      stage.writing(writer, open.id)?.phase !== 'writing',
      'a writer that asked for its seal does not go on writing before it knows the outcome',
    )
    hears()
    stage.until('the zombie gives up', () => stage.writing(writer, open.id) === null)
    stage.untilWritten()
  },
)

const diesWithOwnSeal = story(
  'writer-dies-with-its-seal-in-flight',
  'a writer asks for its seal and dies; the seal arrives before, during or after the recovery of its segment',
  {},
  stage => {
    stage.begin()
    const { writer, open, prng, cluster } = stage
    stage.leadAwayFrom(writer)
    const seals = stage.hold((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    stage.rotate()
    stage.until('the writer asks for its seal', () => seals.kept.length > 0)
    cluster.crash(writer)
    stage.wait(prng.between(0, 3000))
    seals.letGo()
    stage.untilSealed(open.id)
    cluster.startNode(writer)
    stage.untilWritten()
  },
)

export const zombies: readonly ClusterScenario[] = [
  duringRecovery,
  afterSeal,
  afterNextOpen,
  ownSealInFlight,
  ownSealApplied,
  diesWithOwnSeal,
]
