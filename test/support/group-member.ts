/**
 * A member of a consumer group for tests, over one connection, step by step: nothing is sent that the test did not ask for,
 * no heartbeat, no second try. It subscribes as consumers do, so that the broker can read what it wants.
 */
import { type Api, apis } from '../../src/wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import type { Body } from '../../src/wire/schema.ts'
import { KafkaClient } from './kafka-client.ts'

type Response<A extends Api> = Body<A['response']>

export interface MemberOptions {
  readonly group: string
  readonly topics: readonly string[]
  readonly instanceId?: string
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
}

export class GroupMember implements AsyncDisposable {
  readonly client: KafkaClient
  readonly #options: MemberOptions
  id = ''
  generation = -1
  /** The member ids that the last join told this member, when it leads. */
  followers: readonly string[] = []

  private constructor(client: KafkaClient, options: MemberOptions) {
    this.client = client
    this.#options = options
  }

  static async connect(port: number, options: MemberOptions): Promise<GroupMember> {
    return new GroupMember(await KafkaClient.connect(port), options)
  }

  get instanceId(): string | null {
    return this.#options.instanceId ?? null
  }

  /** One JoinGroup with the id that this member has; takes the id and generation of the answer. */
  async join(): Promise<Response<typeof apis.joinGroup>> {
    const { group, topics, sessionTimeoutMs = 10_000, rebalanceTimeoutMs = 10_000 } = this.#options
    const answer = await this.client.call(apis.joinGroup, 9, {
      groupId: group,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberId: this.id,
      groupInstanceId: this.instanceId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription(topics) }],
      reason: null,
    })
    if (answer.memberId !== '') this.id = answer.memberId
    this.generation = answer.generationId
    this.followers = answer.members.map(({ memberId }) => memberId)
    return answer
  }

  /** Joins, with the second step that a new member is asked for. */
  async enter(): Promise<Response<typeof apis.joinGroup>> {
    const answer = await this.join()
    return kafkaErrorName(answer.errorCode) === 'MEMBER_ID_REQUIRED' ? this.join() : answer
  }

  /** SyncGroup; a leader gives everybody, itself too, `of(memberId)`. */
  async sync(of: ((memberId: string) => string) | null = null): Promise<{ error: KafkaErrorName; assignment: string }> {
    const assignments = of === null ? [] : this.followers.map(id => ({ memberId: id, assignment: Buffer.from(of(id)) }))
    const answer = await this.client.call(apis.syncGroup, 5, {
      groupId: this.#options.group,
      generationId: this.generation,
      memberId: this.id,
      groupInstanceId: this.instanceId,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments,
    })
    return { error: kafkaErrorName(answer.errorCode), assignment: answer.assignment.toString() }
  }

  async heartbeat(): Promise<KafkaErrorName> {
    const { errorCode } = await this.client.call(apis.heartbeat, 4, {
      groupId: this.#options.group,
      generationId: this.generation,
      memberId: this.id,
      groupInstanceId: this.instanceId,
    })
    return kafkaErrorName(errorCode)
  }

  commit(topic: string, offset: number, metadata = ''): Promise<KafkaErrorName> {
    return commit(this.client, this.#options.group, topic, offset, metadata, this)
  }

  async leave(): Promise<KafkaErrorName> {
    const { errorCode, members } = await this.client.call(apis.leaveGroup, 5, {
      groupId: this.#options.group,
      members: [{ memberId: this.id, groupInstanceId: this.instanceId, reason: null }],
    })
    return kafkaErrorName(errorCode === 0 ? (members[0]?.errorCode ?? 0) : errorCode)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]()
  }
}

interface Committer {
  readonly id: string
  readonly generation: number
  readonly instanceId: string | null
}

/** Commits an offset of partition 0; by nobody in particular unless a member is given. */
export async function commit(
  client: KafkaClient,
  group: string,
  topic: string,
  offset: number,
  metadata = '',
  { id, generation, instanceId }: Committer = { id: '', generation: -1, instanceId: null },
): Promise<KafkaErrorName> {
  const { topics } = await client.call(apis.offsetCommit, 9, {
    groupId: group,
    generationIdOrMemberEpoch: generation,
    memberId: id,
    groupInstanceId: instanceId,
    topics: [
      {
        name: topic,
        partitions: [
          { partitionIndex: 0, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: metadata },
        ],
      },
    ],
  })
  return kafkaErrorName(topics[0]!.partitions[0]!.errorCode)
}

/** The committed offset and metadata of partition 0; the offset is -1 where there is none. */
export async function committed(client: KafkaClient, group: string, topic: string) {
  const { groups } = await client.call(apis.offsetFetch, 8, {
    groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] }],
    requireStable: false,
  })
  const answer = groups[0]!
  const partition = answer.topics[0]?.partitions[0]
  if (answer.errorCode !== 0 || partition === undefined) throw new Error(kafkaErrorName(answer.errorCode))
  return {
    error: kafkaErrorName(partition.errorCode),
    offset: partition.committedOffset,
    metadata: partition.metadata,
  }
}

/** What a consumer says it wants, as consumers write it. */
export function subscription(topics: readonly string[]): Buffer {
  const names = topics.flatMap(topic => {
    const length = Buffer.alloc(2)
    length.writeInt16BE(Buffer.byteLength(topic))
    return [length, Buffer.from(topic)]
  })
  const head = Buffer.alloc(6)
  head.writeInt32BE(topics.length, 2)
  return Buffer.concat([head, ...names, Buffer.from([0xff, 0xff, 0xff, 0xff])])
}
