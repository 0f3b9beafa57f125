/**
 * Exhaustive search over the global states of a model, breadth first: what it finds broken, it shows by a shortest trace.
 *
 * A global state is a row of integers: the number of each node's state, of the set of messages in flight, of the
 * environment, and how often a message has been duplicated. Rows are kept exactly (no hashes in place of states), so a
 * search that ends by itself has seen every reachable state of the model.
 */
import { invariant } from '../../base/invariant.ts'
import type { Model } from './model.ts'
import { IntList, RowTable } from './tables.ts'
import { nothing, Transitions } from './transitions.ts'
import { sentenceOf, type Violation } from './violation.ts'

export interface SearchLimits {
  readonly statesMax: number
  readonly timeMs: number
  readonly now: () => number
}

export interface SearchResult {
  readonly model: string
  /** Complete: every reachable state was seen. Otherwise: which bound ended the search, or that it found something. */
  readonly end: 'complete' | 'states' | 'time' | 'violation'
  readonly violation: Violation | null
  readonly states: number
  readonly transitions: number
  readonly depth: number
  readonly elapsedMs: number
  /** Distinct states of single nodes, distinct messages, and steps of the cores that were really taken. */
  readonly nodeStates: number
  readonly messages: number
  readonly steps: number
  /** Of the tables of integers; values and texts come on top. */
  readonly tableBytes: number
  readonly sights: ReadonlyMap<string, number>
}

/** In flight at once, at most; a model that exceeds it is not bounded. */
const messagesMax = 4096
/** Nodes, at most: their index has so much room in the number of an action. */
const nodesMax = 8

export function search<Node, Message, Event, Note, Env>(
  model: Model<Node, Message, Event, Note, Env>,
  limits: SearchLimits,
): SearchResult {
  return new Search(model).run(limits)
}

/** An action as one integer, so that a trace costs four bytes per state. */
type Action = number
const actAction = (index: number, event: number): Action => (event * nodesMax + index) * 2
const deliverAction = (index: number, message: number): Action => (message * nodesMax + index) * 2 + 1
const isDelivery = (action: Action): boolean => action % 2 === 1
const indexOf = (action: Action): number => Math.floor(action / 2) % nodesMax
/** Of the event, or of the message that is delivered. */
const idOf = (action: Action): number => Math.floor(action / 2 / nodesMax)

const noAction: Action = -1

/** A sentence that does not hold: in a state, or in the middle of an action that led out of one. */
interface Broken {
  readonly sentence: string
  readonly state: number
  readonly action: Action
  /** The urgent events that followed the action, up to where it broke. */
  readonly urgent: readonly Action[]
}

/** One state, taken out of its row. */
class Frame {
  readonly row: Int32Array
  readonly net = new Int32Array(messagesMax)
  netLength = 0

  constructor(width: number) {
    this.row = new Int32Array(width)
  }
}

class Search<Node, Message, Event, Note, Env> {
  readonly #model: Model<Node, Message, Event, Note, Env>
  readonly #transitions: Transitions<Node, Message, Event, Note, Env>
  readonly #states = new RowTable()
  readonly #nets = new RowTable()
  readonly #parents = new IntList()
  readonly #actions = new IntList()
  readonly #nodeCount: number
  readonly #netAt: number
  readonly #envAt: number
  readonly #duplicatesAt: number
  readonly #keeps: boolean
  readonly #duplicatesMax: number
  readonly #forgets: boolean
  /** The state under construction, and room for the one before it. */
  #next: Frame
  #spare: Frame
  /** The urgent events that followed the latest action. */
  readonly #urgent: Action[] = []
  #urgentAtBeginning: readonly Action[] = []
  #taken = 0
  /** What is being taken. */
  #action: Action = noAction
  #checking = false

  constructor(model: Model<Node, Message, Event, Note, Env>) {
    invariant(model.nodes.length <= nodesMax, `a model has at most ${nodesMax} nodes`)
    this.#model = model
    this.#transitions = new Transitions(model)
    this.#nodeCount = model.nodes.length
    this.#netAt = this.#nodeCount
    this.#envAt = this.#nodeCount + 1
    this.#duplicatesAt = this.#nodeCount + 2
    this.#keeps = model.network === 'keep'
    this.#duplicatesMax = model.network === 'keep' ? 0 : model.network.duplicatesMax
    this.#forgets = model.isSpent !== undefined
    this.#next = new Frame(this.#nodeCount + 3)
    this.#spare = new Frame(this.#nodeCount + 3)
  }

  run({ statesMax, timeMs, now }: SearchLimits): SearchResult {
    const startedMs = now()
    let end: SearchResult['end'] = 'complete'
    let depth = 0
    let levelEnd = 1
    let broken = this.#attempt(-1, () => this.#begin())
    const frame = new Frame(this.#next.row.length)
    for (let head = 0; head < this.#states.count && broken === null; head++) {
      if (head === levelEnd) {
        depth += 1
        levelEnd = this.#states.count
      }
      if (this.#states.count > statesMax) end = 'states'
      if ((head & 0x3ff) === 0 && now() - startedMs > timeMs) end = 'time'
      if (end !== 'complete') break
      broken = this.#attempt(head, () => this.#expand(head, frame))
    }
    return {
      model: this.#model.name,
      end: broken === null ? end : 'violation',
      violation: broken === null ? null : this.#violationOf(broken),
      states: this.#states.count,
      transitions: this.#taken,
      depth,
      elapsedMs: now() - startedMs,
      nodeStates: this.#transitions.nodes.count,
      messages: this.#transitions.messages.count,
      steps: this.#transitions.steps,
      tableBytes: this.#tableBytes(),
      sights: this.#transitions.sights,
    }
  }

  /** What a step or a check throws is a broken invariant: of the core itself, or of the model that watches it. */
  #attempt(state: number, work: () => void): Broken | null {
    const before = this.#states.count
    this.#take(noAction)
    try {
      work()
      return null
    } catch (error) {
      const sentence = sentenceOf(error)
      // The check of a new state failed: that state is the last one noted, and its trace is complete.
      const last = this.#states.count - 1
      const isNew = last >= before && this.#checking
      if (isNew) return { sentence, state: last, action: noAction, urgent: [] }
      return { sentence, state, action: this.#action, urgent: [...this.#urgent] }
    }
  }

  #tableBytes(): number {
    const rows = [this.#states, this.#nets, this.#parents, this.#actions]
    return rows.reduce((sum, table) => sum + table.bytes, this.#transitions.bytesOfMaps)
  }

  #begin(): void {
    const transitions = this.#transitions
    const { row, net } = this.#next
    for (const [index, node] of this.#model.nodes.entries()) row[index] = transitions.internNode(node)
    row[this.#envAt] = transitions.envs.intern(this.#model.env)
    const messages = (this.#model.messages ?? [])
      .map(message => transitions.internMessage(message))
      .sort((a, b) => a - b)
    for (const [at, message] of messages.entries()) net[at] = message
    row[this.#netAt] = this.#nets.intern(net, messages.length)
    this.#settle()
    this.#urgentAtBeginning = [...this.#urgent]
    this.#reach(-1)
  }

  #load(state: number, frame: Frame): void {
    this.#states.read(state, frame.row)
    frame.netLength = this.#nets.read(frame.row[this.#netAt]!, frame.net)
  }

  #expand(state: number, frame: Frame): void {
    this.#load(state, frame)
    for (let index = 0; index < this.#nodeCount; index++) this.#expandNode(state, frame, index)
    for (let at = 0; at < frame.netLength; at++) {
      // Equal messages stand side by side: one of them is enough.
      if (at > 0 && frame.net[at] === frame.net[at - 1]) continue
      this.#expandMessage(state, frame, at)
    }
  }

  #take(action: Action): void {
    this.#action = action
    this.#urgent.length = 0
  }

  #expandNode(state: number, frame: Frame, index: number): void {
    const node = frame.row[index]!
    for (const event of this.#transitions.eventsAt(node, frame.row[this.#envAt]!, index)) {
      this.#take(actAction(index, event))
      const outcome = this.#transitions.act(node, event)
      if (outcome !== nothing) this.#follow(state, frame, index, outcome, -1, 0)
    }
  }

  #expandMessage(state: number, frame: Frame, at: number): void {
    const message = frame.net[at]!
    const index = this.#transitions.receivers[message]!
    this.#take(deliverAction(index, message))
    const outcome = this.#transitions.receive(frame.row[index]!, message)
    if (outcome === nothing) return
    this.#follow(state, frame, index, outcome, this.#keeps ? -1 : at, 0)
    if (frame.row[this.#duplicatesAt]! < this.#duplicatesMax) this.#follow(state, frame, index, outcome, -1, 1)
  }

  #follow(state: number, frame: Frame, index: number, outcome: number, withoutAt: number, duplicates: number): void {
    this.#taken += 1
    this.#compose(frame, index, outcome, withoutAt, duplicates)
    this.#settle()
    this.#reach(state)
  }

  /** The state that an outcome makes of another, into `#next`. */
  #compose(frame: Frame, index: number, outcome: number, withoutAt: number, duplicates: number): void {
    const { node, sends, notes } = this.#transitions.outcomes[outcome]!
    const { row } = this.#next
    row.set(frame.row)
    row[index] = node
    row[this.#duplicatesAt] = row[this.#duplicatesAt]! + duplicates
    if (notes !== -1) row[this.#envAt] = this.#transitions.observe(frame.row[this.#envAt]!, notes)
    if (sends.length > 0 || withoutAt >= 0 || (this.#forgets && node !== frame.row[index])) {
      this.#mergeNet(frame, index, sends, withoutAt)
    }
  }

  /**
   * Takes what is urgent in `#next`, until nothing is. One urgent event stands for all orders in which it could come, so the
   * states on the way are checked and not kept.
   */
  #settle(): void {
    this.#urgent.length = 0
    while (this.#model.isUrgent !== undefined && this.#takeUrgent()) this.#taken += 1
  }

  #takeUrgent(): boolean {
    const { row } = this.#next
    const env = row[this.#envAt]!
    for (let index = 0; index < this.#nodeCount; index++) {
      const event = this.#transitions.urgentAt(row[index]!, env, index)
      if (event < 0) continue
      this.#transitions.check(row, this.#nodeCount, env)
      this.#urgent.push(actAction(index, event))
      const outcome = this.#transitions.act(row[index]!, event)
      if (outcome === nothing) {
        this.#urgent.pop()
        continue
      }
      const before = this.#next
      before.netLength = this.#nets.read(row[this.#netAt]!, before.net)
      this.#next = this.#spare
      this.#spare = before
      this.#compose(before, index, outcome, -1, 0)
      return true
    }
    return false
  }

  /** The messages in flight after a step, ascending: those before, one taken away, some added, the spent ones forgotten. */
  #mergeNet(frame: Frame, index: number, sends: readonly number[], withoutAt: number): void {
    const { net, row } = this.#next
    let length = 0
    let sent = 0
    const put = (message: number, isNew: boolean) => {
      if (this.#keeps && length > 0 && net[length - 1] === message) return
      if (this.#forgets) {
        const receiver = this.#transitions.receivers[message]!
        if ((isNew || receiver === index) && this.#transitions.isSpent(row[receiver]!, message)) return
      }
      net[length++] = message
    }
    for (let at = 0; at < frame.netLength; at++) {
      const message = frame.net[at]!
      while (sent < sends.length && sends[sent]! < message) put(sends[sent++]!, true)
      if (at !== withoutAt) put(message, false)
    }
    while (sent < sends.length) put(sends[sent++]!, true)
    invariant(length < messagesMax, 'a model bounds the messages in flight')
    row[this.#netAt] = this.#nets.intern(net, length)
  }

  /** Notes the state in `#next`, if nobody has been there. */
  #reach(parent: number): void {
    const { row } = this.#next
    const before = this.#states.count
    if (this.#states.intern(row, row.length) !== before) return
    this.#parents.push(parent)
    this.#actions.push(this.#action)
    this.#checking = true
    this.#transitions.check(row, this.#nodeCount, row[this.#envAt]!)
    this.#checking = false
  }

  #violationOf({ sentence, state, action, urgent }: Broken): Violation {
    const steps: (readonly Action[])[] = action === noAction ? [urgent] : [[action, ...urgent]]
    for (let at = state; at > 0; at = this.#parents.at(at)) steps.push(this.#stepInto(at))
    steps.push(this.#urgentAtBeginning)
    const trace = steps
      .reverse()
      .flat()
      .map(each => this.#print(each))
    return { sentence, trace, state: state < 0 ? [] : this.#printState(state) }
  }

  /** The action that led to a state, and the urgent events that followed it. */
  #stepInto(state: number): readonly Action[] {
    const action = this.#actions.at(state)
    const frame = new Frame(this.#next.row.length)
    this.#load(this.#parents.at(state), frame)
    const [id, index] = [idOf(action), indexOf(action)]
    const node = frame.row[index]!
    const outcome = isDelivery(action) ? this.#transitions.receive(node, id) : this.#transitions.act(node, id)
    this.#compose(frame, index, outcome, isDelivery(action) && !this.#keeps ? frame.net.indexOf(id) : -1, 0)
    this.#settle()
    return [action, ...this.#urgent]
  }

  #print(action: Action): string {
    const id = idOf(action)
    return isDelivery(action)
      ? `deliver ${this.#model.printMessage(this.#transitions.messages.values[id]!)}`
      : this.#model.printEvent(this.#transitions.events.values[id]!, indexOf(action))
  }

  #printState(state: number): readonly string[] {
    const frame = new Frame(this.#next.row.length)
    this.#load(state, frame)
    const nodes = Array.from(frame.row.subarray(0, this.#nodeCount), id => this.#transitions.nodes.values[id]!)
    const messages = Array.from(frame.net.subarray(0, frame.netLength), id => this.#transitions.messages.values[id]!)
    return [
      ...nodes.map(node => this.#model.printNode(node)),
      ...messages.map(message => `in flight: ${this.#model.printMessage(message)}`),
    ]
  }
}
