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

interface Choice {
  readonly index: number
  readonly outcome: number
  /** What is delivered; null for an event of the node's own. */
  readonly message: number | null
  readonly event: number
}

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
  readonly #taken: Choice[] = []
  /** What is being tried or taken, told if it breaks. */
  #current: Choice | null = null
  readonly #place: Place

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
    const urgent = this.#urgent()
    const choices = urgent === null ? [...this.#events(), ...this.#deliveries()] : [urgent]
    if (choices.length === 0) return false
    this.#take(this.#random.pick(choices))
    return true
  }

  #urgent(): Choice | null {
    const { nodes, env } = this.#place
    for (const [index, node] of nodes.entries()) {
      const event = this.#transitions.urgentAt(node, env, index)
      if (event < 0) continue
      this.#current = { index, outcome: nothing, message: null, event }
      const outcome = this.#transitions.act(node, event)
      if (outcome !== nothing) return { index, outcome, message: null, event }
    }
    return null
  }

  *#events(): Generator<Choice> {
    const { nodes, env } = this.#place
    for (const [index, node] of nodes.entries()) {
      for (const event of this.#transitions.eventsAt(node, env, index)) {
        this.#current = { index, outcome: nothing, message: null, event }
        const outcome = this.#transitions.act(node, event)
        if (outcome !== nothing) yield { index, outcome, message: null, event }
      }
    }
  }

  *#deliveries(): Generator<Choice> {
    for (const message of new Set(this.#place.messages)) {
      const index = this.#transitions.receivers[message]!
      this.#current = { index, outcome: nothing, message, event: -1 }
      const outcome = this.#transitions.receive(this.#place.nodes[index]!, message)
      if (outcome !== nothing) yield { index, outcome, message, event: -1 }
    }
  }

  #take(choice: Choice): void {
    const { index, outcome, message } = choice
    const place = this.#place
    const { model } = this.#transitions
    const { node, sends, notes } = this.#transitions.outcomes[outcome]!
    this.#current = choice
    place.nodes[index] = node
    if (notes !== -1) place.env = this.#transitions.observe(place.env, notes)
    if (message !== null && model.network !== 'keep') this.#consume(message, model.network.duplicatesMax)
    for (const sent of sends) {
      if (model.network !== 'keep' || !place.messages.includes(sent)) place.messages.push(sent)
    }
    if (model.isSpent !== undefined) this.#forget()
    this.#taken.push(choice)
    this.#current = null
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
