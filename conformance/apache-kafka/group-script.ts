/**
 * Scripts of what members of a group do, step by step on the wire, with what Apache Kafka answered to them.
 *
 *     # A comment.
 *     A enter            ← steps: a member, what it does, with what; `&` at the end: without waiting for the answer
 *     B/i2 join &        ← a static member, by its first appearance
 *     ----
 *     A join: …          ← the answers; those that others waited for come last
 *
 * Member ids differ from run to run and are shown as the members' names. Connections are independent, so answers that come at
 * the same time have no order and are shown sorted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { apis } from '../../src/wire/api-keys.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { KafkaClient } from '../../test/support/kafka-client.ts'
import { ScriptMember } from './script-member.ts'

/** An id that the broker has given and not told yet: a UUID behind the client's name or the instance id. */
const UNTOLD_ID = /[\w.]+-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

export interface Block {
  /** Comments and steps, as they stand in the file. */
  readonly lines: readonly string[]
  readonly answers: readonly string[]
}

/** How long a step that waits for others is given to reach the broker, and to be answered when its time has come. */
const GRACE_MS = 200

export function parseScript(text: string): Block[] {
  return text
    .trim()
    .split(/\n\n+/)
    .map(block => {
      const lines = block.split('\n')
      const end = lines.indexOf('----')
      return end === -1 ? { lines, answers: [] } : { lines: lines.slice(0, end), answers: lines.slice(end + 1) }
    })
}

export const printScript = (blocks: readonly Block[]): string =>
  blocks.map(({ lines, answers }) => `${[...lines, '----', ...answers].join('\n')}\n`).join('\n')

/** Plays a script in a group of its own and gives it back with the answers that came. The topic must exist. */
export async function playScript(blocks: readonly Block[], place: Place): Promise<Block[]> {
  await using play = new Play(place)
  const played: Block[] = []
  for (const { lines } of blocks) {
    played.push({ lines, answers: await play.block(lines.filter(line => !line.startsWith('#'))) })
  }
  return played
}

export interface Place {
  readonly host: string
  readonly port: number
  readonly group: string
  readonly topic: string
}

class Play implements AsyncDisposable {
  readonly #place: Place
  readonly #members = new Map<string, ScriptMember>()
  readonly #waiting = new Set<Promise<void>>()
  /** What came from steps that nobody waited for. */
  readonly #late: string[] = []

  constructor(place: Place) {
    this.#place = place
  }

  async block(steps: readonly string[]): Promise<string[]> {
    const answers: string[] = []
    for (const step of steps) {
      if (step.endsWith(' &')) await this.#start(step.slice(0, -2))
      else await this.#do(step, answer => answers.push(answer))
    }
    if (this.#waiting.size > 0) await Promise.race([Promise.all(this.#waiting), sleep(GRACE_MS)])
    const late = this.#late.splice(0)
    return [...answers.map(answer => this.#named(answer)), ...late.map(answer => this.#named(answer)).sort()]
  }

  /** Begins a step; what it waits for may come in a later block. */
  async #start(step: string): Promise<void> {
    let onFirst: (() => void) | undefined
    const first = new Promise<void>(resolve => {
      onFirst = resolve
    })
    const over = this.#do(step, answer => {
      this.#late.push(answer)
      onFirst?.()
    }).finally(() => this.#waiting.delete(over))
    this.#waiting.add(over)
    // A new member is told its id at once, and only then begins to wait.
    if (step.includes(' enter')) await first
    await Promise.race([over, sleep(GRACE_MS)])
  }

  async #do(step: string, tell: (answer: string) => void): Promise<void> {
    const [who = '', verb = '', ...rest] = step.split(' ')
    if (who === 'pause') await sleep(Number(verb))
    else if (who === 'group') tell(await this.#ofGroup(verb))
    else await this.#member(who).do(verb, rest, tell)
  }

  #member(who: string): ScriptMember {
    const [name = '', instance = null] = who.split('/')
    const known = this.#members.get(name)
    if (known !== undefined) return known
    const member = new ScriptMember(name, instance, this.#place, other => this.#members.get(other)?.id ?? other)
    this.#members.set(name, member)
    return member
  }

  async #ofGroup(verb: string): Promise<string> {
    const { host, port, group } = this.#place
    await using client = await KafkaClient.connect(port, host)
    if (verb === 'delete') {
      const { results } = await client.call(apis.deleteGroups, 2, { groupsNames: [group] })
      return `delete: ${kafkaErrorName(results[0]!.errorCode)}`
    }
    if (verb === 'offsets') {
      const { groups } = await client.call(apis.offsetFetch, 8, {
        groups: [{ groupId: group, topics: null }],
        requireStable: false,
      })
      return `offsets: ${groups[0]!.topics.flatMap(({ partitions }) => partitions.map(each => each.committedOffset)).join(' ')}`.trimEnd()
    }
    if (verb !== 'state') throw new Error(`a script asks for the group's ${verb}`)
    const { groups } = await client.call(apis.describeGroups, 5, {
      groups: [group],
      includeAuthorizedOperations: false,
    })
    const { groupState, protocolType, protocolData, members } = groups[0]!
    const shown = members.map(member => {
      const assignment = member.memberAssignment.toString()
      return `${member.memberId}${assignment === '' ? '' : `=${assignment}`}`
    })
    const sorted = shown.map(each => this.#named(each)).sort()
    return ['state:', groupState, protocolType, protocolData, ...sorted].filter(part => part !== '').join(' ')
  }

  /** With names for member ids. */
  #named(answer: string): string {
    let named = answer
    for (const { name, ids } of this.#members.values()) for (const id of ids) named = named.replaceAll(id, name)
    return named.replace(UNTOLD_ID, '?')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.#members.values()) await member[Symbol.asyncDispose]()
    await Promise.all(this.#waiting)
  }
}
