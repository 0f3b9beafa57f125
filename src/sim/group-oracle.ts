/** What may and must be true of the offsets of all groups, given everything that their clients asked and were told so far. */
import { invariant } from '../base/invariant.ts'
import type { Surroundings } from './checker.ts'
import { type CommittedNumber, type GroupHappening, refusesCommit } from './group-history.ts'

export const groupAnomalyKinds = [
  'assigned twice',
  'commit went back',
  'deleted offset is back',
  'invented commit',
  'lost commit',
  'refused commit is visible',
  'zombie commit',
] as const
export type GroupAnomalyKind = (typeof groupAnomalyKinds)[number]

/** One partition of one group. */
interface Position {
  /** Numbers that were sent, and whether they were refused for sure. */
  readonly sent: Map<number, { isRefused: boolean }>
  sentMax: number
  /** Durable for sure: acknowledged, or told of. */
  floor: number
  /** It may have been taken away, or never have been there. */
  mayBeAbsent: boolean
  /** Numbers up to this were taken away for good. */
  goneMax: number
  /** Numbers up to this were committed of a topic that was deleted meanwhile: they may go at any time. */
  staleMax: number
}

interface Ask {
  readonly group: string
  readonly known: ReadonlyMap<
    number,
    { readonly floor: number; readonly mayBeAbsent: boolean; readonly goneMax: number }
  >
}

type Committing = Extract<GroupHappening, { type: 'committing' }>
type Going = Extract<GroupHappening, { type: 'offsets going' }>

export class GroupOracle {
  readonly #around: Surroundings
  readonly #groups = new Map<string, Map<number, Position>>()
  readonly #commits = new Map<number, { readonly commit: Committing; readonly isZombie: boolean }>()
  readonly #asks = new Map<number, Ask>()
  readonly #goings = new Map<
    number,
    { readonly going: Going; readonly before: readonly (readonly [Position, boolean])[] }
  >()
  readonly #generations = new Map<string, number>()
  readonly #owners = new Map<string, string>()
  #isTopicGoing = false

  constructor(around: Surroundings) {
    this.#around = around
  }

  take(event: GroupHappening): void {
    switch (event.type) {
      case 'committing':
        this.#committing(event)
        break
      case 'committed':
        this.#committed(event)
        break
      case 'offsets asked':
        this.#asked(event.request, event.group)
        break
      case 'offsets':
        this.#told(event.request, event.offsets)
        break
      case 'offsets going':
        this.#going(event)
        break
      case 'offsets gone':
        this.#gone(event)
        break
      case 'topic going':
        this.#isTopicGoing = true
        this.#allStale()
        break
      case 'topic is new':
        this.#isTopicGoing = false
        this.#allStale()
        break
      case 'assigned':
        this.#assigned(event)
        break
    }
  }

  /** What is left of a topic that is gone is dropped when groups are loaded. */
  restarted(): void {
    if (this.#isTopicGoing) return
    for (const positions of this.#groups.values()) {
      for (const position of positions.values()) position.goneMax = Math.max(position.goneMax, position.staleMax)
    }
  }

  #allStale(): void {
    for (const positions of this.#groups.values()) {
      for (const position of positions.values()) {
        position.staleMax = position.sentMax
        position.floor = -1
        position.mayBeAbsent = true
      }
    }
  }

  #committing(commit: Committing): void {
    for (const { partition, offset } of commit.offsets) {
      const position = this.#position(commit.group, partition)
      position.sent.set(offset, { isRefused: false })
      position.sentMax = Math.max(position.sentMax, offset)
    }
    const newest = this.#generations.get(commit.group) ?? -1
    this.#commits.set(commit.request, { commit, isZombie: commit.generation >= 0 && commit.generation < newest })
  }

  #committed({ request, error }: Extract<GroupHappening, { type: 'committed' }>): void {
    const asked = this.#commits.get(request)
    invariant(asked !== undefined, 'an answer has a request')
    this.#commits.delete(request)
    const { commit, isZombie } = asked
    if (error === 'NONE') {
      if (this.#around.syncFailed) this.#report('ack after failed sync', `a commit of ${commit.group} is acknowledged`)
      if (isZombie && !this.#around.damageReported) {
        this.#report('zombie commit', `generation ${commit.generation} of ${commit.group} commits after a later one`)
      }
    }
    for (const { partition, offset } of commit.offsets) {
      const position = this.#position(commit.group, partition)
      const sent = position.sent.get(offset)
      if (error === 'NONE' && !this.#isTopicGoing && offset > position.staleMax) {
        position.floor = Math.max(position.floor, offset)
        position.mayBeAbsent = false
      } else if (error !== null && error !== 'NONE' && sent !== undefined && refusesCommit(error)) sent.isRefused = true
    }
  }

  #asked(request: number, group: string): void {
    const positions = [...this.#positions(group)]
    const known = positions.map(
      ([partition, { floor, mayBeAbsent, goneMax }]) => [partition, { floor, mayBeAbsent, goneMax }] as const,
    )
    this.#asks.set(request, { group, known: new Map(known) })
  }

  #told(request: number, offsets: readonly CommittedNumber[] | null): void {
    const ask = this.#asks.get(request)
    invariant(ask !== undefined, 'an answer has a request')
    this.#asks.delete(request)
    if (offsets === null) return
    const told = new Map(offsets.map(({ partition, offset }) => [partition, offset]))
    for (const [partition, position] of this.#positions(ask.group)) {
      const offset = told.get(partition) ?? -1
      const name = `${ask.group}'s partition ${partition}`
      const known = ask.known.get(partition)
      if (offset === -1) this.#absent(name, position, known)
      else this.#present(name, position, offset, known)
    }
    for (const partition of told.keys()) {
      if (!this.#positions(ask.group).has(partition)) {
        this.#report('invented commit', `${ask.group} has partition ${partition}, which nobody committed`)
      }
    }
  }

  #absent(
    name: string,
    position: Position,
    known: { readonly mayBeAbsent: boolean; readonly floor: number } | undefined,
  ) {
    if (known === undefined || known.mayBeAbsent || position.mayBeAbsent || this.#around.damageReported) return
    this.#report('lost commit', `${name} has no offset, and ${known.floor} was committed`)
  }

  #present(
    name: string,
    position: Position,
    offset: number,
    known: { readonly floor: number; readonly goneMax: number } | undefined,
  ): void {
    const sent = position.sent.get(offset)
    if (sent === undefined) this.#report('invented commit', `${name} has ${offset}, which nobody committed`)
    if (sent?.isRefused) this.#report('refused commit is visible', `${name} has ${offset}`)
    if (!this.#around.damageReported) {
      if (known !== undefined && offset < known.floor) {
        this.#report('commit went back', `${name} has ${offset}, and ${known.floor} was committed`)
      }
      if (known !== undefined && offset <= known.goneMax) {
        this.#report('deleted offset is back', `${name} has ${offset}, and all up to ${known.goneMax} were deleted`)
      }
    }
    if (this.#isTopicGoing || offset <= position.staleMax) return
    position.floor = Math.max(position.floor, offset)
    position.mayBeAbsent = false
  }

  #going(going: Going): void {
    const positions = [...this.#positions(going.group)]
    const wanted = positions.filter(([partition]) => going.partition === null || partition === going.partition)
    const before = wanted.map(([, position]) => [position, position.mayBeAbsent] as const)
    this.#goings.set(going.request, { going, before })
    for (const [position] of before) position.mayBeAbsent = true
  }

  #gone({ request, error }: Extract<GroupHappening, { type: 'offsets gone' }>): void {
    const asked = this.#goings.get(request)
    invariant(asked !== undefined, 'an answer has a request')
    this.#goings.delete(request)
    const isDone = error === 'NONE' || error === 'GROUP_ID_NOT_FOUND'
    const isOpen = error === null || error === 'COORDINATOR_NOT_AVAILABLE' || error === 'UNKNOWN_SERVER_ERROR'
    for (const [position, mayBeAbsent] of asked.before) {
      if (isDone) {
        position.goneMax = position.sentMax
        position.floor = -1
      } else if (!isOpen) position.mayBeAbsent = mayBeAbsent
    }
  }

  /** In a generation each partition is one member's. */
  #assigned({ group, generation, member, partitions }: Extract<GroupHappening, { type: 'assigned' }>): void {
    this.#generations.set(group, Math.max(generation, this.#generations.get(group) ?? -1))
    for (const partition of partitions) {
      const key = `${group} ${generation} ${partition}`
      const owner = this.#owners.get(key)
      if (owner !== undefined && owner !== member && !this.#around.damageReported) {
        this.#report('assigned twice', `partition ${partition} in generation ${generation} of ${group}`)
      }
      this.#owners.set(key, member)
    }
  }

  #positions(group: string): Map<number, Position> {
    let positions = this.#groups.get(group)
    if (positions === undefined) {
      positions = new Map()
      this.#groups.set(group, positions)
    }
    return positions
  }

  #position(group: string, partition: number): Position {
    const positions = this.#positions(group)
    let position = positions.get(partition)
    if (position === undefined) {
      position = { sent: new Map(), sentMax: -1, floor: -1, mayBeAbsent: true, goneMax: -1, staleMax: -1 }
      positions.set(partition, position)
    }
    return position
  }

  #report(kind: Parameters<Surroundings['report']>[0], text: string): void {
    this.#around.report(kind, text)
  }
}
