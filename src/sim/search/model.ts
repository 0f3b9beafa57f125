/**
 * What the search searches: a few deterministic nodes, the messages in flight between them, and an environment that holds
 * budgets (how many crashes are left) and history (what has been committed), so that the invariants can be stated.
 *
 * Every function here must be pure: its result may depend on its arguments only. The engine runs each once per distinct
 * argument and uses the result for every global state in which the same thing happens, which is what makes a search fast.
 * Values are plain data (src/sim/search/plain-data.ts). A broken invariant is thrown, with `invariant(…, 'sentence')`.
 */

export interface Model<Node, Message, Event, Note, Env> {
  readonly name: string
  /** What is searched, and what is bounded or left out: printed with the result. */
  readonly title: string
  readonly limits: readonly string[]

  readonly nodes: readonly Node[]
  readonly env: Env
  /** In flight at the beginning. */
  readonly messages?: readonly Message[]

  /**
   * `keep`: a message stays in flight for ever, so every delivery may be late, out of order, repeated any number of times,
   * or missing. `consume`: a delivery takes the message away; it may be late, out of order or missing, and up to
   * `duplicatesMax` deliveries in a run leave the message in flight. Loss needs no action of its own in either: it is a
   * delivery that never happens.
   */
  readonly network: 'keep' | { readonly consume: true; readonly duplicatesMax: number }

  /** The index of the node that a message is for; null for one that nobody will get. */
  receiverOf(message: Message): number | null

  /** What a node may do by itself: complete a write, time out, crash, start again, take a client's proposal. */
  eventsAt(node: Node, env: Env, index: number): readonly Event[]

  /**
   * True for an event that is tried alone wherever it is enabled, before anything else may happen. The search then sees fewer
   * orders: only for events of which the model can say that the others come to the same, or that it leaves them out.
   */
  isUrgent?(event: Event): boolean

  /** One event at one node. `node` is a copy to change and hand back. Null: nothing happens (the event is not enabled). */
  act(node: Node, event: Event): Step<Node, Message, Note> | null

  /** One delivery. `node` is a copy to change and hand back. Null: the node does not react (it is down, it ignores it). */
  receive(node: Node, message: Message): Step<Node, Message, Note> | null

  /** The environment after a step with notes; throws when what the notes tell breaks an invariant. `env` is a copy. */
  observe(env: Env, notes: readonly Note[]): Env

  /**
   * True when a message can never again change its receiver nor make it send, in this state of the receiver and in every
   * later one, across crashes too. The engine forgets such messages, if they do nothing in this state indeed. Leave it out
   * when in doubt.
   */
  isSpent?(node: Node, message: Message): boolean

  /** Names of properties (at any depth of a node or an environment) that no step changes in place: they are not copied for it. */
  readonly shared?: ReadonlySet<string>

  /** How likely a random walk takes an event, against 1 for a delivery; 1 without it. A search takes everything. */
  likelihood?(event: Event): number

  /** What makes two states of a node the same; without it, everything. Dropped fields must not influence any behaviour. */
  project?(node: Node): unknown

  /** What must hold of each node in each environment, of each two nodes, and of all. */
  checkNode?(node: Node, env: Env): void
  checkPair?(one: Node, other: Node): void
  checkAll?(nodes: readonly Node[], env: Env): void

  /** Names of what a node's state shows (a leader, a cut log): counted, so that the result says what the search has reached. */
  sights?(node: Node): readonly string[]

  /** One line each, for traces. */
  printNode(node: Node): string
  printMessage(message: Message): string
  printEvent(event: Event, index: number): string
}

export interface Step<Node, Message, Note> {
  readonly node: Node
  readonly sends?: readonly Message[]
  /** What the environment must know of this step. */
  readonly notes?: readonly Note[]
}
