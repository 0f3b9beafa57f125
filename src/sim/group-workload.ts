/**
 * What groups' clients ask of a node: one function for each kind of request that makes it, notes it in the history and notes
 * its answer. Who calls them when is in `group-clients.ts`. They use the same contract as the request handlers
 * (`broker/groups/coordinator.ts`).
 */
import { noTopicId, type Offset, type TopicId } from '../base/ids.ts'
import type { DescribedGroup, JoinAnswer, JoinRequest, SyncAnswer, SyncRequest } from '../broker/groups/requests.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { CommittedNumber } from './group-history.ts'
import type { Workload } from './workload.ts'
import { inFull, type Process, type World } from './world.ts'

/** The topic whose consumers the groups are. Nobody sends to it. */
export const consumedTopic = 'consumed'

export interface GroupsPlan {
  /** Members of each group that rebalances. */
  readonly members: readonly number[]
  /** Groups without members, of one client each. */
  readonly simple: number
  readonly partitions: number
  /** Commits in all. */
  readonly commitsMax: number
  readonly metadataBytesMax: number
  readonly sessionMs: number
  readonly rebalanceMs: number
  readonly pauseMs: number
  /** Members have a name of their own, under which they come back. */
  readonly isStatic: boolean
  /** The topic is deleted now and then, and made again. */
  readonly replacesTopic: boolean
}

/** Who commits: a member of a generation, or nobody. */
export interface Committer {
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
}

export const noMember: Committer = { memberId: '', instanceId: null, generation: -1 }

export class GroupWorkload {
  readonly workload: Workload
  readonly plan: GroupsPlan
  readonly groups = new Set<string>()
  commitsLeft: number
  readonly #numbers = new Map<string, number>()
  #topicId: TopicId = noTopicId
  #requests = 0

  constructor(workload: Workload, plan: GroupsPlan) {
    this.workload = workload
    this.plan = plan
    this.commitsLeft = plan.commitsMax
  }

  get world(): World {
    return this.workload.world
  }

  get isWanted(): boolean {
    return !this.workload.stopping && this.commitsLeft > 0
  }

  /** Makes the topic, over as many processes as it takes. */
  async makeTopic(): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const process = await this.workload.admitted()
      const { storage } = process.node
      const spec = { name: consumedTopic, partitions: 1, replicationFactor: 1, configs: new Map<string, string>() }
      await this.world.ask(process, () => process.node.storage.createTopic(spec))
      const topic = storage.topicByName(consumedTopic)
      if (process.alive && topic !== undefined && topic.id !== this.#topicId) {
        // At once: whatever is committed next is of this one.
        if (this.#topicId !== noTopicId) this.world.record({ type: 'topic is new' })
        this.#topicId = topic.id
        return
      }
      await this.world.sleep(50)
    }
  }

  /** As DeleteTopics and CreateTopics do it, whatever ends in between. */
  async replaceTopic(): Promise<void> {
    const id = this.#topicId
    this.world.record({ type: 'topic going' })
    for (let attempt = 0; attempt < 50; attempt++) {
      const process = await this.workload.admitted()
      await this.world.ask(process, () => process.node.storage.deleteTopic(id))
      if (process.alive && process.node.storage.topicById(id) === undefined) {
        process.node.groups.topicDeleted(consumedTopic, id)
        break
      }
      await this.world.sleep(50)
    }
    await this.makeTopic()
    if (this.#topicId !== id) this.world.count('topics of groups replaced')
  }

  async find(process: Process, group: string): Promise<KafkaErrorName | null> {
    this.groups.add(group)
    return this.#ask('find', group, process, () => process.node.groups.find(group))
  }

  async join(process: Process, group: string, memberId: string, clientId: string): Promise<JoinAnswer | null> {
    this.groups.add(group)
    const request: JoinRequest = {
      groupId: group,
      memberId,
      instanceId: this.plan.isStatic ? clientId : null,
      clientId,
      clientHost: '/simulated',
      sessionTimeoutMs: this.plan.sessionMs,
      rebalanceTimeoutMs: this.plan.rebalanceMs,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription }],
      requiresKnownMember: true,
      supportsSkippingAssignment: true,
      reason: null,
    }
    const answer = await this.#ask('join', group, process, () => process.node.groups.join(request))
    if (answer !== null) this.world.count(`join: ${answer.error}`)
    return answer
  }

  async sync(process: Process, request: SyncRequest): Promise<SyncAnswer | null> {
    const answer = await this.#ask('sync', request.groupId, process, () => process.node.groups.sync(request))
    if (answer !== null) this.world.count(`sync: ${answer.error}`)
    return answer
  }

  async heartbeat(process: Process, group: string, by: Committer) {
    const request = { groupId: group, ...by }
    return (await this.#ask('heartbeat', group, process, () => process.node.groups.heartbeat(request)))?.error ?? null
  }

  async leave(process: Process, group: string, memberId: string): Promise<void> {
    const members = [{ memberId, instanceId: null, reason: null }]
    this.world.count('members leave')
    await this.#ask('leave', group, process, () => process.node.groups.leave({ groupId: group, members }))
  }

  /** Commits the next number of each partition; they are given out when this is called. Null: the process ended. */
  async commit(process: Process, group: string, by: Committer, partitions: readonly number[], metadata: string) {
    this.groups.add(group)
    this.commitsLeft -= 1
    const request = this.#next()
    const offsets = partitions.map(partition => ({ partition, offset: this.#nextNumber(group, partition) }))
    const { generation, memberId, instanceId } = by
    this.world.record({ type: 'committing', request, group, generation, offsets })
    this.world.count('commits')
    const answer = await this.#ask('commit', group, process, () =>
      process.node.groups.commit({
        groupId: group,
        generation,
        memberId,
        instanceId,
        retentionMs: -1,
        offsets: offsets.map(({ partition, offset }) => ({
          topic: consumedTopic,
          topicId: this.#topicId,
          partition,
          offset: offset as Offset,
          leaderEpoch: -1,
          metadata,
        })),
      }),
    )
    const error = answer?.errors[0] ?? null
    if (answer?.errors.some(other => other !== error)) {
      this.world.broken('split commit', `${group}: ${answer.errors.join(', ')}`)
    }
    if (error !== null) this.world.count(`commit: ${error}`)
    this.world.record({ type: 'committed', request, error })
    return error
  }

  /** All offsets of a group; null when they cannot be had. */
  async fetch(process: Process, group: string): Promise<readonly CommittedNumber[] | null> {
    const request = this.#next()
    this.world.record({ type: 'offsets asked', request, group })
    const question = { groupId: group, memberId: null, memberEpoch: -1, partitions: null }
    const answer = await this.#ask('fetch of offsets', group, process, () => process.node.groups.fetchOffsets(question))
    const isKnown = answer !== null && answer.error === 'NONE'
    const offsets = isKnown ? answer.partitions.map(({ partition, offset }) => ({ partition, offset })) : null
    this.world.count(isKnown ? 'fetches of offsets' : 'fetches of offsets refused')
    this.world.record({ type: 'offsets', request, offsets })
    return offsets
  }

  /** Deletes the group, or its offset in one partition. */
  async forget(process: Process, group: string, partition: number | null): Promise<void> {
    const request = this.#next()
    this.world.record({ type: 'offsets going', request, group, partition })
    const { groups } = process.node
    const error = await this.#ask('delete', group, process, async () => {
      if (partition === null) return groups.deleteGroup(group)
      const deleted = await groups.deleteOffsets(group, [{ topic: consumedTopic, partition }])
      return deleted.error === 'NONE' ? (deleted.partitions[0] as KafkaErrorName) : deleted.error
    })
    this.world.count(`delete: ${error}`)
    this.world.record({ type: 'offsets gone', request, error })
  }

  async describe(process: Process, group: string): Promise<DescribedGroup | null> {
    return this.#ask('describe', group, process, () => process.node.groups.describe(group))
  }

  #next(): number {
    this.#requests -= 1
    return this.#requests
  }

  #nextNumber(group: string, partition: number): number {
    const key = `${group} ${partition}`
    const number = (this.#numbers.get(key) ?? 0) + 1
    this.#numbers.set(key, number)
    return number
  }

  /** Every request is answered; only a stopping node may reject. */
  async #ask<T>(what: string, group: string, process: Process, request: () => Promise<T>): Promise<T | null> {
    const number = this.#next()
    this.workload.open.set(number, `${what} of ${group}`)
    const answer = await this.world.ask(process, request)
    this.workload.open.delete(number)
    if (answer.kind === 'answered') return answer.value
    if (answer.kind === 'failed') {
      const { code } = answer.error as { code?: string }
      this.world.count(`rejected: ${what} ${code ?? answer.error.name}`)
      // The node is about to end, and says why itself.
      if (code !== 'CLOSED' && code !== 'DISK_FAILED') {
        this.world.broken('rejected request', `${what}: ${inFull(answer.error)}`)
      }
    }
    return null
  }
}

/** As a consumer's: version 0, one topic, no user data. */
const subscription = Buffer.concat([
  Buffer.from([0, 0, 0, 0, 0, 1, 0, consumedTopic.length]),
  Buffer.from(consumedTopic),
  Buffer.from([0xff, 0xff, 0xff, 0xff]),
])
