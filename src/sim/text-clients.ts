/**
 * Clients of the text protocol at a node, over the door itself: some `PUT` numbers, some `GET` them by the shared cursor, and
 * the replies to some never arrive. What must hold is looked at here: what was acknowledged is given out, in one process once
 * only; and when all is given out and the process was stopped in order, nothing comes again.
 */
import type { Prng } from '../base/prng.ts'
import { parseCommand } from '../broker/text/commands.ts'
import type { TextReply } from '../broker/text/text-door.ts'
import type { Workload } from './workload.ts'
import { inFull, type Process, type World } from './world.ts'

/** Nobody else sends to it. */
export const textTopic = 'texts'

export interface TextPlan {
  readonly writers: number
  readonly readers: number
  readonly partitions: number
  readonly putsMax: number
  readonly pauseMs: number
}

/** How long the last commits may take once all is well. */
const commitsMs = 3_000
const drainMax = 10_000

export class TextWorkload {
  readonly plan: TextPlan
  readonly #workload: Workload
  #puts = 0
  readonly #acknowledged = new Set<string>()
  /** The processes that each number was given out by, and its reply sent. */
  readonly #sent = new Map<string, Set<number>>()
  #requests = 0
  /** Records that are asked for, or given out and their reply on its way. */
  #underWay = 0
  /** Nothing was put since all was given out and committed. */
  #isDrained = false

  constructor(workload: Workload, plan: TextPlan) {
    this.#workload = workload
    this.plan = plan
  }

  get world(): World {
    return this.#workload.world
  }

  async makeTopic(): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const process = await this.#workload.admitted()
      const { storage } = process.node
      const spec = { name: textTopic, partitions: this.plan.partitions, replicationFactor: 1, configs: new Map() }
      await this.world.ask(process, () => storage.createTopic(spec))
      if (process.alive && storage.topicByName(textTopic) !== undefined) return
      await this.world.sleep(50)
    }
  }

  async writer(prng: Prng): Promise<void> {
    while (!this.#workload.stopping && this.#puts < this.plan.putsMax) {
      const process = await this.#workload.admitted()
      const number = String(++this.#puts)
      this.#isDrained = false
      const reply = await this.#ask(process, `PUT ${textTopic} ${number}`)
      this.world.count(`PUT: ${reply === null ? 'no reply' : reply.text.slice(0, 20)}`)
      if (reply?.text === 'OK') this.#acknowledged.add(number)
      await this.world.sleep(this.plan.pauseMs * 2 * prng.float())
    }
  }

  async reader(prng: Prng): Promise<void> {
    while (!this.#workload.stopping) {
      const process = await this.#workload.admitted()
      this.#underWay++
      const reply = await this.#ask(process, `GET ${textTopic}`)
      await this.world.sleep(prng.float() * 5)
      // The process may have ended before its reply was out, or the connection.
      if (reply !== null && process.alive) this.#settle(process, reply, !prng.chance(0.1))
      this.#underWay--
      const isIdle = reply === null || !reply.text.startsWith('OK')
      await this.world.sleep(isIdle ? 20 : prng.float() * this.plan.pauseMs)
    }
  }

  /** Everything that was acknowledged is given out; on the second look, after a restart in order, nothing is left. */
  async verify(): Promise<void> {
    const { world } = this
    const { process } = world
    if (process === null || world.damaged) return
    // What a client has in its hands may come back.
    while (this.#underWay > 0 && process.alive) await world.sleep(1)
    const wasDrained = this.#isDrained
    for (let i = 0; i < drainMax; i++) {
      const reply = await this.#ask(process, `GET ${textTopic}`)
      if (reply === null || !process.alive) return
      if (reply.text === 'EMPTY') break
      // What cannot be read or committed for now will be.
      if (!reply.text.startsWith('OK ')) return
      if (wasDrained) world.broken('given out again', `${reply.text.slice(3)}, after a stop in order`)
      this.#settle(process, reply, true)
    }
    for (const number of this.#acknowledged) {
      if (!this.#sent.has(number)) world.broken('skipped', `${number} was acknowledged and never given out`)
    }
    world.count('cursors drained')
    await world.sleep(commitsMs)
    const [faults, isLater] = [world.faults.length, this.#workload.stopping]
    this.#isDrained = process.alive && faults === 0 && isLater
  }

  #settle({ number: life }: Process, { text, settled }: TextReply, isSent: boolean): void {
    settled?.(isSent)
    const value = text.startsWith('OK ') ? text.slice(3) : null
    this.world.count(value === null ? `GET: ${text.slice(0, 20)}` : isSent ? 'GET: sent' : 'GET: not sent')
    if (value === null || !isSent) return
    const lives = this.#sent.get(value) ?? new Set()
    if (lives.has(life)) this.world.broken('given out twice', `${value}, by process ${life}`)
    if (lives.size > 0) this.world.count('given out again after a crash')
    this.#sent.set(value, lives.add(life))
  }

  /** Null: the process ended. */
  async #ask(process: Process, command: string): Promise<TextReply | null> {
    // Beside the numbers of other requests.
    const request = ++this.#requests + 0.5
    this.#workload.open.set(request, command)
    const answer = await this.world.ask(process, () => process.node.text.run(parseCommand(command)))
    this.#workload.open.delete(request)
    if (answer.kind === 'answered') return answer.value
    if (answer.kind === 'failed') {
      const { code } = answer.error as { code?: string }
      // The node is about to end, and says why itself.
      if (code !== 'CLOSED' && code !== 'DISK_FAILED') {
        this.world.broken('rejected request', `${command}: ${inFull(answer.error)}`)
      }
    }
    return null
  }
}
