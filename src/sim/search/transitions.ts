/**
 * The model, in numbers: every distinct node state, message, event, environment and list of notes gets one, and every step
 * is taken once per distinct pair of numbers. The search above this file handles integers only.
 */
import { invariant } from '../../base/invariant.ts'
import type { Model, Step } from './model.ts'
import { copyOf, SharedValues } from './plain-data.ts'
import { PairMap, RowTable } from './tables.ts'

/** Values by number and numbers by text. */
class Interned<T> {
  readonly values: T[] = []
  readonly #ids = new Map<string, number>()
  readonly #shared: SharedValues

  constructor(shared: SharedValues) {
    this.#shared = shared
  }

  get count(): number {
    return this.values.length
  }

  intern(value: T, identity: unknown = value): number {
    const text = this.#shared.textOf(identity)
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    this.values.push(this.#shared.shared(value))
    this.#ids.set(text, this.values.length - 1)
    return this.values.length - 1
  }
}

/** What a step comes to. */
export interface Outcome {
  readonly node: number
  /** Message numbers, ascending, each as often as it is sent. */
  readonly sends: readonly number[]
  /** A number of a list of notes; -1 for none. */
  readonly notes: number
}

/** The outcome number of a step that is not enabled or changes nothing. */
export const nothing = 0

export class Transitions<Node, Message, Event, Note, Env> {
  readonly model: Model<Node, Message, Event, Note, Env>
  readonly #shared = new SharedValues()
  readonly nodes = new Interned<Node>(this.#shared)
  readonly messages = new Interned<Message>(this.#shared)
  readonly events = new Interned<Event>(this.#shared)
  readonly envs = new Interned<Env>(this.#shared)
  readonly #notes = new Interned<readonly Note[]>(this.#shared)
  readonly outcomes: Outcome[] = [{ node: -1, sends: [], notes: -1 }]
  /** Of each message, the index of its receiver; -1 for nobody. */
  readonly receivers: number[] = []
  /** How many distinct node states show what `sights` names. */
  readonly sights = new Map<string, number>()
  steps = 0

  readonly #received = new PairMap()
  readonly #acted = new PairMap()
  readonly #observed = new PairMap()
  readonly #spent = new PairMap()
  /** Of each node index, because two nodes may be in equal states and yet differ in what they may do. */
  readonly #enabled: readonly PairMap[]
  readonly #urgent: readonly PairMap[]
  readonly #eventLists: (readonly number[])[] = []
  readonly #nodesChecked = new PairMap()
  readonly #pairsChecked = new PairMap()
  /** Nodes and environment without the messages: many states differ in these only. */
  readonly #rowsChecked = new RowTable()
  readonly #row: Int32Array

  constructor(model: Model<Node, Message, Event, Note, Env>) {
    this.model = model
    this.#row = new Int32Array(model.nodes.length + 1)
    this.#enabled = model.nodes.map(() => new PairMap())
    this.#urgent = model.nodes.map(() => new PairMap())
  }

  get bytesOfMaps(): number {
    const maps = [this.#received, this.#acted, this.#observed, this.#spent, ...this.#enabled, ...this.#urgent]
    const checks = [this.#nodesChecked, this.#pairsChecked, this.#rowsChecked]
    return [...maps, ...checks].reduce((sum, table) => sum + table.bytes, 0)
  }

  internNode(node: Node): number {
    const before = this.nodes.count
    const id = this.nodes.intern(node, this.model.project?.(node) ?? node)
    if (id === before) {
      for (const sight of this.model.sights?.(node) ?? []) this.sights.set(sight, (this.sights.get(sight) ?? 0) + 1)
    }
    return id
  }

  internMessage(message: Message): number {
    const id = this.messages.intern(message)
    if (id === this.receivers.length) this.receivers.push(this.model.receiverOf(message) ?? -1)
    return id
  }

  /** Event numbers that are enabled at a node in an environment. */
  eventsAt(node: number, env: number, index: number): readonly number[] {
    const enabled = this.#enabled[index]!
    const known = enabled.get(node, env)
    if (known >= 0) return this.#eventLists[known]!
    const events = this.model.eventsAt(this.nodes.values[node]!, this.envs.values[env]!, index)
    this.#eventLists.push(events.map(event => this.events.intern(event)))
    enabled.add(node, env, this.#eventLists.length - 1)
    return this.#eventLists.at(-1)!
  }

  /** The first urgent event that is enabled at a node; -1 for none. */
  urgentAt(node: number, env: number, index: number): number {
    const { isUrgent } = this.model
    if (isUrgent === undefined) return -1
    const known = this.#urgent[index]!.get(node, env)
    if (known >= 0) return known - 1
    const event = this.eventsAt(node, env, index).find(id => isUrgent(this.events.values[id]!)) ?? -1
    this.#urgent[index]!.add(node, env, event + 1)
    return event
  }

  /** The outcome number of an event at a node. */
  act(node: number, event: number): number {
    const known = this.#acted.get(node, event)
    if (known >= 0) return known
    this.steps += 1
    const copy = copyOf(this.nodes.values[node]!, this.model.shared)
    const outcome = this.#outcomeOf(node, this.model.act(copy, this.events.values[event]!))
    this.#acted.add(node, event, outcome)
    return outcome
  }

  /** The outcome number of a delivery. */
  receive(node: number, message: number): number {
    const known = this.#received.get(node, message)
    if (known >= 0) return known
    this.steps += 1
    const copy = copyOf(this.nodes.values[node]!, this.model.shared)
    const outcome = this.#outcomeOf(node, this.model.receive(copy, this.messages.values[message]!))
    this.#received.add(node, message, outcome)
    return outcome
  }

  observe(env: number, notes: number): number {
    const known = this.#observed.get(env, notes)
    if (known >= 0) return known
    const next = this.envs.intern(
      this.model.observe(copyOf(this.envs.values[env]!, this.model.shared), this.#notes.values[notes]!),
    )
    this.#observed.add(env, notes, next)
    return next
  }

  isSpent(node: number, message: number): boolean {
    const known = this.#spent.get(node, message)
    if (known >= 0) return known === 1
    const isSaid = this.model.isSpent?.(this.nodes.values[node]!, this.messages.values[message]!) ?? false
    const spent = isSaid && this.receive(node, message) === nothing
    this.#spent.add(node, message, spent ? 1 : 0)
    return spent
  }

  /** Throws when what must hold of one node, or of two, does not. Each distinct combination is looked at once. */
  check(nodes: Int32Array, count: number, env: number): void {
    const { checkNode, checkPair } = this.model
    for (let index = 0; index < count && checkNode !== undefined; index++) {
      if (this.#nodesChecked.get(nodes[index]!, env) >= 0) continue
      this.model.checkNode?.(this.nodes.values[nodes[index]!]!, this.envs.values[env]!)
      this.#nodesChecked.add(nodes[index]!, env, 1)
    }
    for (let one = 0; one < count && checkPair !== undefined; one++) {
      for (let other = one + 1; other < count; other++) this.#checkPair(nodes[one]!, nodes[other]!)
    }
    if (this.model.checkAll !== undefined) this.#checkAll(nodes, count, env)
  }

  #checkAll(nodes: Int32Array, count: number, env: number): void {
    const row = this.#row
    for (let index = 0; index < count; index++) row[index] = nodes[index]!
    row[count] = env
    const before = this.#rowsChecked.count
    if (this.#rowsChecked.intern(row, count + 1) !== before) return
    const all = Array.from(nodes.subarray(0, count), id => this.nodes.values[id]!)
    this.model.checkAll?.(all, this.envs.values[env]!)
  }

  #checkPair(one: number, other: number): void {
    if (this.#pairsChecked.get(one, other) >= 0) return
    this.model.checkPair?.(this.nodes.values[one]!, this.nodes.values[other]!)
    this.#pairsChecked.add(one, other, 1)
  }

  #outcomeOf(from: number, step: Step<Node, Message, Note> | null): number {
    if (step === null) return nothing
    const node = this.internNode(step.node)
    const sends = (step.sends ?? []).map(message => this.internMessage(message)).filter(id => this.receivers[id] !== -1)
    const notes = step.notes === undefined || step.notes.length === 0 ? -1 : this.#notes.intern(step.notes)
    if (node === from && sends.length === 0 && notes === -1) return nothing
    invariant(this.outcomes.length < 1 << 30, 'outcome numbers fit a typed array')
    this.outcomes.push({ node, sends: sends.sort((a, b) => a - b), notes })
    return this.outcomes.length - 1
  }
}
