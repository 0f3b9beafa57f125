/** One run: a world, its clients, and the story that a scenario tells with them. */
import { Prng } from '../base/prng.ts'
import type { Timer } from '../io/clock.ts'
import { administrator, verifyAll } from './admin.ts'
import { type Anomaly, check } from './checker.ts'
import { groupMember, simpleCommitter, topicReplacer } from './group-clients.ts'
import { checkGrowth, probeGroups, verifyGroups } from './group-verify.ts'
import { GroupWorkload } from './group-workload.ts'
import { findLeftovers, logStarts, tidyMs } from './leftovers.ts'
import { idempotentProducer, plainProducer } from './producers.ts'
import { catchUpReader, tailReader } from './readers.ts'
import type { TraceSink } from './scheduler.ts'
import { TextWorkload } from './text-clients.ts'
import { type Crowd, drawCrowd, drawProfile, drawTuning, type NodeTuning } from './tuning.ts'
import { type Profile, Workload } from './workload.ts'
import { type Counts, inFull, type OpenNode, World } from './world.ts'

/** How a scenario differs from what the seed would draw. */
export interface Overrides {
  readonly tuning?: Partial<NodeTuning>
  readonly profile?: Partial<Profile>
  readonly crowd?: Partial<Crowd>
}

export interface Scenario {
  readonly name: string
  /** What it shows, in a sentence. */
  readonly title: string
  readonly overrides?: (prng: Prng) => Overrides
  readonly run: (simulation: Simulation) => Promise<void>
}

export interface RunOptions {
  readonly seed: number
  readonly scenario: Scenario
  readonly openWith: (tuning: NodeTuning) => OpenNode
  readonly onTrace?: TraceSink
}

export interface RunReport {
  readonly seed: number
  readonly scenario: string
  readonly anomalies: readonly Anomaly[]
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly counts: Counts
  /** What everything looked like when it broke, where the world can say it. */
  readonly state?: string
}

const probeLimitMs = 20_000
const restLimitMs = 20_000
const plentyBytes = 1 << 30

export class Simulation {
  readonly world: World
  readonly workload: Workload
  readonly prng: Prng
  readonly tuning: NodeTuning
  readonly crowd: Crowd
  readonly groups: GroupWorkload | null
  readonly text: TextWorkload | null
  #failedStarts = 0
  #troubles: Timer[] = []

  constructor(options: RunOptions) {
    const prng = new Prng(options.seed)
    const overrides = options.scenario.overrides?.(prng.fork()) ?? {}
    this.tuning = { ...drawTuning(prng.fork()), ...overrides.tuning }
    const profile = { ...drawProfile(prng.fork(), this.tuning), ...overrides.profile }
    this.crowd = { ...drawCrowd(prng.fork(), profile), ...overrides.crowd }
    this.world = new World(prng.uint32(), options.openWith(this.tuning))
    this.world.scheduler.onTrace = options.onTrace ?? null
    this.workload = new Workload(this.world, profile)
    this.prng = prng.fork()
    this.groups = this.crowd.groups === null ? null : new GroupWorkload(this.workload, this.crowd.groups)
    this.text = this.crowd.text === null ? null : new TextWorkload(this.workload, this.crowd.text)
  }

  /** Creates the topics and sends the clients in. */
  async populate(): Promise<void> {
    for (const plan of this.workload.profile.plans) await this.until(this.workload.createTopic(plan), 60_000)
    const { crowd, workload } = this
    for (const pace of crowd.plainProducers) this.#spawn(prng => plainProducer(workload, prng, pace))
    for (const pace of crowd.idempotentProducers) this.#spawn(prng => idempotentProducer(workload, prng, pace))
    for (let i = 0; i < crowd.tailReaders; i++) this.#spawn(prng => tailReader(workload, prng))
    for (let i = 0; i < crowd.catchUpReaders; i++) this.#spawn(prng => catchUpReader(workload, prng))
    const { admin } = crowd
    if (admin !== null) this.#spawn(prng => administrator(workload, prng, admin))
    if (this.groups !== null) await this.#populateGroups(this.groups)
    if (this.text !== null) await this.#populateText(this.text)
  }

  async #populateText(text: TextWorkload): Promise<void> {
    await this.until(text.makeTopic(), 60_000)
    for (let i = 0; i < text.plan.writers; i++) this.#spawn(prng => text.writer(prng))
    for (let i = 0; i < text.plan.readers; i++) this.#spawn(prng => text.reader(prng))
  }

  async #populateGroups(groups: GroupWorkload): Promise<void> {
    await this.until(groups.makeTopic(), 60_000)
    for (const [index, members] of groups.plan.members.entries()) {
      for (let i = 0; i < members; i++) this.#spawn(prng => groupMember(groups, prng, `group-${index}`, `client-${i}`))
    }
    if (groups.plan.replacesTopic) this.#spawn(prng => topicReplacer(groups, prng))
    for (let i = 0; i < groups.plan.simple; i++) this.#spawn(prng => simpleCommitter(groups, prng, `simple-${i}`))
  }

  #spawn(client: (prng: Prng) => Promise<void>): void {
    client(this.prng.fork()).catch(error => this.world.broken('fault of the simulator', inFull(error)))
  }

  /**
   * Starts a process and looks at every partition before any client does. A start may fail while faults are about; where it
   * fails again and again without one, something is broken. False when no process runs now.
   */
  async start(): Promise<boolean> {
    const { world, workload } = this
    workload.setDoors(false)
    const failures = world.counts.get('refused starts') ?? 0
    if (!(await world.start())) {
      const refused = (world.counts.get('refused starts') ?? 0) > failures
      const isWell = world.faults.length === 0 && world.files.freeBytes > plentyBytes
      this.#failedStarts = refused && isWell ? this.#failedStarts + 1 : 0
      // Without its metadata a node that was damaged may refuse to start for good.
      if (this.#failedStarts > 2) {
        if (!world.damaged) world.broken('refuses to start', inFull(world.lastFailure))
        throw new EndOfStory('the node does not start')
      }
      return false
    }
    this.#failedStarts = 0
    const { process } = world
    if (process === null) return false
    for (const partition of [...workload.partitions]) workload.noteMarks(process, partition)
    return true
  }

  /** Starts until it works, with the faults gone if need be. */
  async startForSure(): Promise<void> {
    for (let attempt = 0; !(await this.start()); attempt++) {
      if (attempt >= 3) this.heal()
    }
  }

  /** Reads and checks everything while the clients wait outside. */
  async verify(): Promise<boolean> {
    this.world.count('verifications')
    const isRead = (await this.until(verifyAll(this.workload, this.prng), 120_000)) === true
    if (this.groups !== null) await this.until(verifyGroups(this.groups), 60_000)
    if (this.text !== null) await this.until(this.text.verify(), 60_000)
    return isRead
  }

  /** Sets something going wrong in a while, unless all is healed before. */
  later(delayMs: number, task: () => void): void {
    this.#troubles.push(this.world.scheduler.after(delayMs, task))
  }

  /** No fault from here on. */
  heal(): void {
    for (const trouble of this.#troubles.splice(0)) trouble.cancel()
    this.world.faults.length = 0
    this.world.slowness = 1
    this.world.files.capacityBytes = Number.MAX_SAFE_INTEGER
  }

  /** Every partition must take a batch again, within its time and by itself. */
  async probe(): Promise<void> {
    const { world, workload } = this
    workload.setDoors(true)
    for (const partition of [...workload.partitions]) {
      const { process } = world
      if (process === null) return
      const made = workload.makeBatch(this.prng, partition, null)
      const untilMs = world.scheduler.nowMs + probeLimitMs
      let result = await this.until(workload.send(this.prng, partition, made, -1, false), probeLimitMs)
      while (result === 'open' && process.alive && world.scheduler.nowMs < untilMs) {
        await world.run(50)
        const again = workload.makeBatch(this.prng, partition, null)
        result = await this.until(workload.send(this.prng, partition, again, -1, false), probeLimitMs)
      }
      if (!process.alive) return
      const excused = (world.damaged && !world.acceptsDataLoss) || !workload.partitions.includes(partition)
      if (result !== 'acknowledged' && !excused) {
        world.broken('stuck', `${partition.key} takes no batch ${probeLimitMs} ms after all is well (${result})`)
      }
    }
  }

  /** The clients stop; what they asked must be answered. */
  async rest(): Promise<void> {
    const { world, workload } = this
    workload.stopping = true
    const { process } = world
    if (process === null) return
    const rested = await world.run(restLimitMs, () => workload.open.size === 0 || !process.alive)
    if (!rested) world.broken('stuck', `never answered: ${[...workload.open.values()].slice(0, 5).join('; ')}`)
  }

  /** A clean stop: no new requests, those under way are answered, then the node closes. */
  async stop(): Promise<void> {
    const { world, workload } = this
    workload.setDoors(false)
    const { process } = world
    await world.run(restLimitMs, () => world.outstanding === 0 || process?.alive !== true)
    if (process?.alive === true && world.outstanding > 0) {
      world.broken('stuck', `before a stop, never answered: ${[...workload.open.values()].slice(0, 5).join('; ')}`)
    }
    await world.close()
  }

  /** The end of every story: all is healed, all is checked, once as it is and once after a clean restart. */
  async finish(): Promise<void> {
    const { world, workload } = this
    this.heal()
    if (world.process === null) await this.startForSure()
    workload.setDoors(true)
    await world.run(this.prng.between(1, 500))
    if (world.process === null) await this.startForSure()
    await this.rest()
    await this.probe()
    if (this.groups !== null) await this.until(probeGroups(this.groups), 60_000)
    await this.verify()
    await this.stop()
    await this.startForSure()
    await this.verify()
    if (this.groups !== null) await this.until(checkGrowth(this.groups, this.tuning), 60_000)
    if (this.prng.chance(0.5)) {
      world.losePower()
      await this.startForSure()
      await this.verify()
    }
    await this.#checkLeftovers()
    await this.stop()
    if (world.damaged) await this.#acceptLoss()
  }

  /** After damage some partitions may take nothing more; when an operator accepts the loss, all do. */
  async #acceptLoss(): Promise<void> {
    const { world } = this
    world.acceptsDataLoss = true
    await this.startForSure()
    await this.probe()
    await this.verify()
    await this.stop()
  }

  /** A node that is left alone cleans up behind itself. */
  async #checkLeftovers(): Promise<void> {
    const { world, workload } = this
    const { process } = world
    if (process === null || world.damaged) return
    const starts = logStarts(workload, process)
    await world.run(tidyMs)
    if (!process.alive) return
    const leftovers = findLeftovers(starts, world.files.walk())
    if (leftovers.length > 0) world.broken('leftovers', leftovers.slice(0, 3).join('; '))
    const journalBytes = world.files.walk('journal').reduce((sum, path) => sum + world.files.file(path).size, 0)
    const limit = this.tuning.journalBytes + 4 * this.tuning.journalFileBytes + 2 * workload.profile.hugeBytes
    if (journalBytes > limit) world.broken('leftovers', `the journal has ${journalBytes} bytes; it may have ${limit}`)
  }

  /** Lets time pass until a promise settles; its value, or undefined when it takes too long or its process is gone. */
  async until<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined> {
    let settled = false
    let value: T | undefined
    const settle = () => {
      settled = true
    }
    promise
      .then(result => {
        value = result
      })
      .catch(error => this.world.broken('fault of the simulator', inFull(error)))
      .finally(settle)
    await this.world.run(limitMs, () => settled)
    return value
  }
}

/** Thrown by what ends a story early; what was broken is in the history. */
export class EndOfStory extends Error {
  override readonly name = 'EndOfStory'
}

export async function runScenario(options: RunOptions): Promise<RunReport> {
  const simulation = new Simulation(options)
  const { world } = simulation
  const onRejection = (reason: unknown) => world.broken('unhandled rejection', inFull(reason))
  process.on('unhandledRejection', onRejection)
  try {
    await options.scenario.run(simulation)
  } catch (error) {
    if (!(error instanceof EndOfStory)) world.broken('fault of the simulator', inFull(error))
  } finally {
    process.off('unhandledRejection', onRejection)
  }
  return {
    seed: options.seed,
    scenario: options.scenario.name,
    anomalies: check(world.history),
    hash: world.scheduler.hash,
    events: world.scheduler.events,
    virtualMs: world.scheduler.nowMs,
    counts: world.counts,
  }
}
