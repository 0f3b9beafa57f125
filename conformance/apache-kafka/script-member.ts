/** A member of a group in a script: each of its requests has a connection of its own, so that one may wait while others go on. */
import { type Api, apis } from '../../src/wire/api-keys.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import type { Body, Draft } from '../../src/wire/schema.ts'
import { ConnectionClosed, KafkaClient } from '../../test/support/kafka-client.ts'
import type { Place } from './group-script.ts'

/** The shortest that Apache Kafka allows by default. */
const SESSION_MS = 6_000
const REBALANCE_MS = 5_000

export class ScriptMember implements AsyncDisposable {
  readonly name: string
  /** What it was called by the broker, now and before. */
  readonly ids: string[] = []
  id = ''
  readonly #instance: string | null
  readonly #place: Place
  readonly #idOf: (name: string) => string
  readonly #connections = new Set<KafkaClient>()
  #generation = -1

  constructor(name: string, instance: string | null, place: Place, idOf: (name: string) => string) {
    this.name = name
    this.#instance = instance
    this.#place = place
    this.#idOf = idOf
  }

  /** Does what a script says, and tells each answer when it comes. */
  async do(verb: string, words: readonly string[], tell: (answer: string) => void): Promise<void> {
    const options = new Map(words.map(word => word.split('=', 2) as [string, string | undefined]))
    try {
      if (verb === 'is') this.id = words[0] ?? ''
      else if (verb === 'enter') await this.#enter(options, tell)
      else tell(await this.#ask(verb, options))
    } catch (error) {
      if (!(error instanceof ConnectionClosed)) throw error
      tell(`${this.name} ${verb}: no answer`)
    }
  }

  #ask(verb: string, options: Options): Promise<string> {
    switch (verb) {
      case 'join':
        return this.#join(options)
      case 'sync':
        return this.#sync(options)
      case 'beat':
        return this.#beat(options)
      case 'commit':
        return this.#commit(options)
      case 'leave':
        return this.#leave(options)
      default:
        throw new Error(`a script says ${this.name} ${verb}`)
    }
  }

  /** Joins, with the second step that a new member is asked for. */
  async #enter(options: Options, tell: (answer: string) => void): Promise<void> {
    const first = await this.#join(options)
    tell(first)
    if (first.endsWith('MEMBER_ID_REQUIRED')) tell(await this.#join(options))
  }

  async #join(options: Options): Promise<string> {
    const topics = (options.get('topics') ?? this.#place.topic).split(',')
    const protocols = (options.get('protocols') ?? 'range').split(',')
    const answer = await this.#call(apis.joinGroup, Number(options.get('version') ?? 9), {
      groupId: this.#place.group,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: Number(options.get('rebalance') ?? REBALANCE_MS),
      memberId: this.id,
      groupInstanceId: this.#instance,
      protocolType: 'consumer',
      protocols: protocols.map(name => ({ name, metadata: subscription(topics) })),
      reason: null,
    })
    const error = kafkaErrorName(answer.errorCode)
    if (error === 'NONE' || error === 'MEMBER_ID_REQUIRED') {
      this.id = answer.memberId
      if (!this.ids.includes(this.id)) this.ids.push(this.id)
    }
    if (error !== 'NONE') return `${this.name} join: ${error}`
    this.#generation = answer.generationId
    // Their ids come in any order, and some are not known to the script yet.
    const members = answer.members.map(member => member.groupInstanceId ?? 'dynamic').sort()
    const told = [`generation ${answer.generationId}`, `${answer.protocolName}`, `leader ${answer.leader}`]
    if (members.length > 0) told.push(`members ${members.join(' ')}`)
    if (answer.skipAssignment) told.push('skip the assignment')
    return `${this.name} join: ${told.join(', ')}`
  }

  /** Every option is a member and what it is assigned. */
  async #sync(options: Options): Promise<string> {
    const answer = await this.#call(apis.syncGroup, 5, {
      ...this.#who(options),
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [...options]
        .filter(([name]) => name !== 'generation')
        .map(([name, assignment = '']) => ({ memberId: this.#idOf(name), assignment: Buffer.from(assignment) })),
    })
    const error = kafkaErrorName(answer.errorCode)
    return `${this.name} sync: ${error === 'NONE' ? `assigned ${answer.assignment.toString() || 'nothing'}` : error}`
  }

  async #beat(options: Options): Promise<string> {
    const { errorCode } = await this.#call(apis.heartbeat, 4, this.#who(options))
    return `${this.name} beat: ${kafkaErrorName(errorCode)}`
  }

  async #commit(options: Options): Promise<string> {
    const { generationId, ...who } = this.#who(options)
    const partition = { partitionIndex: 0, committedLeaderEpoch: -1, committedMetadata: '' }
    const { topics } = await this.#call(apis.offsetCommit, 9, {
      ...who,
      generationIdOrMemberEpoch: generationId,
      topics: [
        {
          name: this.#place.topic,
          partitions: [{ ...partition, committedOffset: Number(options.get('offset') ?? 1) }],
        },
      ],
    })
    return `${this.name} commit: ${kafkaErrorName(topics[0]!.partitions[0]!.errorCode)}`
  }

  async #leave(options: Options): Promise<string> {
    const memberId = options.has('by-instance') ? '' : this.id
    const { errorCode, members } = await this.#call(apis.leaveGroup, 5, {
      groupId: this.#place.group,
      members: [{ memberId, groupInstanceId: this.#instance, reason: null }],
    })
    const of = members.map(member => kafkaErrorName(member.errorCode))
    return `${this.name} leave: ${[kafkaErrorName(errorCode), ...of].join(' ')}`
  }

  #who(options: Options) {
    return {
      groupId: this.#place.group,
      generationId: Number(options.get('generation') ?? this.#generation),
      memberId: this.id,
      groupInstanceId: this.#instance,
    }
  }

  async #call<A extends Api>(api: A, version: number, body: Draft<A['request']>): Promise<Body<A['response']>> {
    const client = await KafkaClient.connect(this.#place.port, this.#place.host)
    this.#connections.add(client)
    try {
      return await client.call(api, version, body)
    } finally {
      this.#connections.delete(client)
      await client[Symbol.asyncDispose]()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#connections) await client[Symbol.asyncDispose]()
  }
}

type Options = ReadonlyMap<string, string | undefined>

/** ConsumerProtocolSubscription, version 0: the topics, no user data. */
function subscription(topics: readonly string[]): Buffer {
  const parts = [Buffer.from([0, 0]), int32(topics.length)]
  for (const topic of topics) {
    const length = Buffer.alloc(2)
    length.writeInt16BE(Buffer.byteLength(topic))
    parts.push(length, Buffer.from(topic))
  }
  return Buffer.concat([...parts, int32(-1)])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
