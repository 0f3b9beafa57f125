/**
 * Random walks through a model: deeper than a search to completion can go, and without its certainty. The same seed walks the
 * same way. What a walk shows broken is not a shortest trace.
 */
import { Prng } from '../../base/prng.ts'
import type { Model } from './model.ts'
import { nothing, Transitions } from './transitions.ts'
import { sentenceOf, type Violation } from './violation.ts'

export interface WalkLimits {
  readonly seed: number
  readonly timeMs: number
  readonly actionsMax: number
  readonly now: () => number
}

export interface WalkResult {
  readonly model: string
  readonly walks: number
  readonly actions: number
  readonly violation: Violation | null
  readonly sights: ReadonlyMap<string, number>
}

/** Distinct node states kept; beyond, the memory of steps is dropped and starts again. */
const nodeStatesMax = 200_000

/** Actions between two looks for spent messages: to find them costs more than to draw one in vain. */
const forgetEvery = 16

/** What may happen next, as far as it is not known yet whether it does anything. */
interface Candidate {
  readonly index: number
  /** What is delivered; null for an event of the node's own. */
  readonly message: number | null
  readonly event: number
  readonly likelihood: number
}

/** How likely it is, against 1 for any other, that a message is delivered which has been before. */
const repetition = 0.1

/** A place on a walk; messages are numbers, as often as they are in flight. */
interface Place {
  readonly nodes: Int32Array
  readonly messages: number[]
  env: number
  duplicates: number
}

export function walk<Node, Message, Event, Note, Env>(
  model: Model<Node, Message, Event, Note, Env>,
  { seed, timeMs, actionsMax, now }: WalkLimits,
): WalkResult {
  const untilMs = now() + timeMs
  const random = new Prng(seed)
  const sights = new Map<string, number>()
  let transitions = new Transitions(model)
  let walks = 0
  let actions = 0
  let violation: Violation | null = null
  while (violation === null && now() < untilMs) {
    const one = new Walk(transitions, random)
    violation = one.run(actionsMax)
    walks += 1
    actions += one.length
    if (transitions.nodes.count < nodeStatesMax) continue
    addTo(sights, transitions.sights)
    transitions = new Transitions(model)
  }
  addTo(sights, transitions.sights)
  return { model: model.name, walks, actions, violation, sights }
}

function addTo(sums: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count)
}

class Walk<Node, Message, Event, Note, Env> {
  readonly #transitions: Transitions<Node, Message, Event, Note, Env>
  readonly #random: Prng
  readonly #taken: Candidate[] = []
  /** What is being tried or taken, told if it breaks. */
  #current: Candidate | null = null
  readonly #place: Place
  readonly #delivered = new Set<number>()

  constructor(transitions: Transitions<Node, Message, Event, Note, Env>, random: Prng) {
    const { model } = transitions
    this.#transitions = transitions
    this.#random = random
    this.#place = {
      nodes: Int32Array.from(model.nodes, node => transitions.internNode(node)),
      messages: (model.messages ?? []).map(message => transitions.internMessage(message)),
      env: transitions.envs.intern(model.env),
      duplicates: 0,
    }
  }

  get length(): number {
    return this.#taken.length
  }

  run(actionsMax: number): Violation | null {
    try {
      this.#check()
      while (this.length < actionsMax && this.#move()) this.#check()
      return null
    } catch (error) {
      return { sentence: sentenceOf(error), trace: this.#trace(), state: this.#print() }
    }
  }

  #check(): void {
    this.#transitions.check(this.#place.nodes, this.#place.nodes.length, this.#place.env)
  }

  /** Takes one of the things that can happen; false when nothing can. */
  #move(): boolean {
    const candidates = this.#urgent() ?? [...this.#events(), ...this.#deliveries()]
    while (candidates.length > 0) {
      const at = this.#draw(candidates)
      if (this.#take(candidates[at]!)) return true
      candidates[at] = candidates.at(-1)!
      candidates.pop()
    }
    return false
  }

  #draw(candidates: readonly Candidate[]): number {
    let left = this.#random.float() * candidates.reduce((sum, { likelihood }) => sum + likelihood, 0)
    for (const [at, { likelihood }] of candidates.entries()) {
      left -= likelihood
      if (left < 0) return at
    }
    return candidates.length - 1
  }

  #urgent(): Candidate[] | null {
    const { nodes, env } = this.#place
    for (const [index, node] of nodes.entries()) {
      const event = this.#transitions.urgentAt(node, env, index)
      if (event >= 0) return [{ index, message: null, event, likelihood: 1 }]
    }
    return null
  }

  *#events(): Generator<Candidate> {
    const { nodes, env } = this.#place
    const { model, events } = this.#transitions
    for (const [index, node] of nodes.entries()) {
      for (const event of this.#transitions.eventsAt(node, env, index)) {
        const likelihood = model.likelihood?.(events.values[event]!) ?? 1
        yield { index, message: null, event, likelihood }
      }
    }
  }

  *#deliveries(): Generator<Candidate> {
    for (const message of new Set(this.#place.messages)) {
      const index = this.#transitions.receivers[message]!
      yield { index, message, event: -1, likelihood: this.#delivered.has(message) ? repetition : 1 }
    }
  }

  /** False when it comes to nothing. */
  #take(candidate: Candidate): boolean {
    const { index, message, event } = candidate
    const place = this.#place
    const { model } = this.#transitions
    this.#current = candidate
    const before = place.nodes[index]!
    const outcome = message === null ? this.#transitions.act(before, event) : this.#transitions.receive(before, message)
    if (message !== null) this.#delivered.add(message)
    if (outcome === nothing) return false
    const { node, sends, notes } = this.#transitions.outcomes[outcome]!
    place.nodes[index] = node
    if (notes !== -1) place.env = this.#transitions.observe(place.env, notes)
    if (message !== null && model.network !== 'keep') this.#consume(message, model.network.duplicatesMax)
    for (const sent of sends) {
      if (model.network !== 'keep' || !place.messages.includes(sent)) place.messages.push(sent)
    }
    if (model.isSpent !== undefined && this.length % forgetEvery === 0) this.#forget()
    this.#taken.push(candidate)
    this.#current = null
    return true
  }

  #consume(message: number, duplicatesMax: number): void {
    if (this.#place.duplicates < duplicatesMax && this.#random.chance(0.1)) this.#place.duplicates += 1
    else this.#place.messages.splice(this.#place.messages.indexOf(message), 1)
  }

  #forget(): void {
    const { nodes, messages } = this.#place
    const kept = messages.filter(id => !this.#transitions.isSpent(nodes[this.#transitions.receivers[id]!]!, id))
    messages.splice(0, messages.length, ...kept)
  }

  #trace(): readonly string[] {
    const { model, messages, events } = this.#transitions
    const all = this.#current === null ? this.#taken : [...this.#taken, this.#current]
    return all.map(({ message, event, index }) =>
      message === null
        ? model.printEvent(events.values[event]!, index)
        : `deliver ${model.printMessage(messages.values[message]!)}`,
    )
  }

  #print(): readonly string[] {
    const { model, nodes } = this.#transitions
    return Array.from(this.#place.nodes, id => model.printNode(nodes.values[id]!))
  }
}
