/** Clients that send: plain ones that forget what they sent, idempotent ones that send again until they know. */
import type { Prng } from '../base/prng.ts'
import type { Acks } from '../broker/storage.ts'
import type { MadeBatch, Partition, SendResult, Workload } from './workload.ts'

const sequenceCount = 2 ** 31

export interface Pace {
  /** Mean pause between requests. */
  readonly pauseMs: number
  /** Requests under way at once. */
  readonly pipelined: number
}

/** Sends to any partition, never again what failed. */
export async function plainProducer(workload: Workload, prng: Prng, pace: Pace): Promise<void> {
  let underWay = 0
  while (!workload.stopping && workload.sendsLeft > 0) {
    const partition = workload.pickPartition(prng)
    if (partition === null || underWay >= pace.pipelined) {
      await workload.world.sleep(5)
      continue
    }
    workload.sendsLeft -= 1
    underWay += 1
    const acks = prng.pick<Acks>([-1, -1, 1, 0])
    const made = workload.makeBatch(prng, partition, null)
    void workload.send(prng, partition, made, acks, false).then(() => {
      underWay -= 1
    })
    await pause(workload, prng, pace)
  }
}

/**
 * An idempotent producer of one partition after the other. It sends up to five batches ahead; when one of them is not
 * acknowledged it sends those that are open again, one by one and in order, until they are or until it gives up and begins a
 * new epoch.
 */
export async function idempotentProducer(workload: Workload, prng: Prng, pace: Pace): Promise<void> {
  while (!workload.stopping && workload.sendsLeft > 0) {
    const partition = workload.pickPartition(prng)
    const id = partition === null ? null : await workload.producerId()
    if (partition === null || id === null) {
      await workload.world.sleep(20)
      continue
    }
    const session = new Session(workload, prng, partition, id)
    while (!workload.stopping && workload.sendsLeft > 0 && workload.partitions.includes(partition)) {
      await session.round(Math.min(pace.pipelined, 5))
      if (prng.chance(0.02)) break
      await pause(workload, prng, pace)
    }
  }
}

/** What an idempotent producer remembers. */
class Session {
  readonly #workload: Workload
  readonly #prng: Prng
  readonly #partition: Partition
  readonly #id: number
  #epoch = 0
  #sequence: number
  /** The newest acknowledged batches of this epoch, the newest last. */
  #acknowledged: MadeBatch[] = []

  constructor(workload: Workload, prng: Prng, partition: Partition, id: number) {
    this.#workload = workload
    this.#prng = prng
    this.#partition = partition
    this.#id = id
    // A broker takes any first sequence of a producer that it does not know; so the end of the range is soon reached.
    this.#sequence = prng.chance(0.1) ? sequenceCount - prng.between(1, 20) : 0
  }

  async round(ahead: number): Promise<void> {
    const open: MadeBatch[] = []
    for (let i = this.#prng.between(0, ahead); i >= 0; i--) open.push(this.#make())
    const results = await Promise.all(open.map((made, index) => this.#send(made, index === 0)))
    for (const [index, made] of open.entries()) {
      if (results[index] === 'acknowledged') this.#note(made)
      else if (!(await this.#sendUntilKnown(made))) return
    }
    if (this.#prng.chance(0.1)) await this.#repeat()
    if (this.#prng.chance(0.03)) await this.#newEpoch()
  }

  /** False when the producer gave up, and everything still open with it. */
  async #sendUntilKnown(made: MadeBatch): Promise<boolean> {
    for (let attempt = 0; this.#isWanted(); attempt++) {
      const result = await this.#send(made, true)
      if (result === 'acknowledged') {
        this.#note(made)
        return true
      }
      if (attempt > 5 && this.#prng.chance(0.1)) break
      await this.#workload.world.sleep(result === 'dead' ? 1 : 20 * (attempt + 1))
    }
    if (this.#isWanted()) await this.#newEpoch()
    return false
  }

  #isWanted(): boolean {
    return !this.#workload.stopping && this.#workload.partitions.includes(this.#partition)
  }

  /** The answer was lost, as far as this client is concerned: it sends an acknowledged batch again. */
  async #repeat(): Promise<void> {
    const made = this.#prng.pick(this.#acknowledged)
    this.#workload.world.count('repeated sends')
    await this.#send(made, true)
  }

  /** Begins anew, and perhaps lets something that was still on its way under the old epoch arrive late. */
  async #newEpoch(): Promise<void> {
    const late = this.#make()
    this.#epoch += 1
    this.#sequence = 0
    this.#acknowledged = []
    this.#workload.world.count('new epochs')
    const first = this.#make()
    if (!(await this.#sendFirst(first))) return
    this.#note(first)
    if (this.#prng.chance(0.5)) await this.#send(late, false)
  }

  async #sendFirst(made: MadeBatch): Promise<boolean> {
    while (this.#isWanted()) {
      const result = await this.#send(made, true)
      if (result === 'acknowledged') return true
      await this.#workload.world.sleep(50)
    }
    return false
  }

  #make(): MadeBatch {
    this.#workload.sendsLeft -= 1
    const producer = { id: this.#id, epoch: this.#epoch, sequence: this.#sequence }
    const made = this.#workload.makeBatch(this.#prng, this.#partition, producer)
    this.#sequence = (this.#sequence + made.sent.timestampsMs.length) % sequenceCount
    return made
  }

  #send(made: MadeBatch, inOrder: boolean): Promise<SendResult> {
    return this.#workload.send(this.#prng, this.#partition, made, this.#prng.pick<Acks>([-1, -1, 1]), inOrder)
  }

  #note(made: MadeBatch): void {
    this.#acknowledged = [...this.#acknowledged.slice(-4), made]
  }
}

async function pause(workload: Workload, prng: Prng, { pauseMs }: Pace): Promise<void> {
  const idle = prng.chance(0.01) ? 500 : 0
  await workload.world.sleep(idle + pauseMs * 2 * prng.float())
}
