/**
 * What people and monitors are shown of the broker: topics, groups, how far groups are behind. It only looks, and only at what
 * the principal may see; what it costs is bounded by its caller.
 */
import { noTopicId, type Offset } from '../base/ids.ts'
import { accessRules, topicRules } from './access.ts'
import type { BrokerParts } from './context.ts'
import { type ConfigSource, type configSources, describeTopicConfigs } from './described-configs.ts'
import type { FirstOffsets } from './groups/group-queries.ts'
import type { DescribedGroup, ListedGroup } from './groups/requests.ts'
import type { LookUps, RecordTimes } from './record-times.ts'
import type { Topic } from './storage.ts'

export interface TopicConfig {
  readonly value: string | null
  readonly source: keyof typeof configSources
}

export interface GroupView {
  readonly described: DescribedGroup
  /** In order of topic and partition; those of topics that are there. */
  readonly offsets: readonly GroupOffset[]
  /** Offsets that there was no room for. */
  readonly leftOut: number
}

export interface GroupOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
  readonly end: Offset
  /** Records between the offset and the end. */
  readonly lag: number
  /** How long ago the first of them was written: 0 where there is none, null where it is not known. */
  readonly lagSeconds: number | null
}

export interface GroupBounds {
  readonly offsetsMax: number
  readonly lookUps: LookUps
}

export class Overview {
  readonly #parts: BrokerParts
  readonly #times: RecordTimes
  readonly #principal: string

  constructor(parts: BrokerParts, times: RecordTimes, principal: string) {
    this.#parts = parts
    this.#times = times
    this.#principal = principal
  }

  /** In order of name. */
  topics(): readonly Topic[] {
    return this.#parts.storage.topics().filter(({ name }) => this.#maySee(name))
  }

  topic(name: string): Topic | null {
    const topic = this.#maySee(name) ? this.#parts.storage.topicByName(name) : undefined
    return topic ?? null
  }

  /** In order of name. */
  configsOf({ configs }: Topic): ReadonlyMap<string, TopicConfig> {
    const described = describeTopicConfigs(this.#parts.configs, configs)
    return new Map(described.map(({ name, value, source }) => [name, { value, source: sourceNames[source] }]))
  }

  /** In order of name; not complete while some are being loaded. */
  async groups(): Promise<{ readonly isComplete: boolean; readonly groups: readonly ListedGroup[] }> {
    const { error, groups } = await this.#parts.groups.list()
    const seen = groups.filter(({ groupId }) => this.#maySeeGroup(groupId))
    return { isComplete: error === 'NONE', groups: seen.sort((a, b) => (a.groupId < b.groupId ? -1 : 1)) }
  }

  /** Null: there is no such group. */
  async group(groupId: string, bounds: GroupBounds): Promise<GroupView | 'LOADING' | null> {
    if (!this.#maySeeGroup(groupId)) return null
    const described = await this.#parts.groups.describe(groupId)
    if (described.error === 'GROUP_ID_NOT_FOUND') return null
    if (described.error !== 'NONE') return 'LOADING'
    const { access, groups } = this.#parts
    const maySee = (topic: string) => access.check(this.#principal, topicRules.describe, topic)
    const committed = await groups.firstOffsets(groupId, maySee, bounds.offsetsMax)
    if (typeof committed === 'string') return 'LOADING'
    const offsets: GroupOffset[] = []
    for (const one of committed.offsets) {
      const seen = await this.#behind(one, bounds.lookUps)
      if (seen !== null) offsets.push(seen)
    }
    return { described, offsets, leftOut: committed.total - committed.offsets.length }
  }

  /** Null: the partition is gone, or is another that was made under its name. */
  async #behind({ topic, partition, value }: Committed, lookUps: LookUps): Promise<GroupOffset | null> {
    const { offset, metadata, topicId } = value
    const store = this.#parts.storage.topicByName(topic)?.partitions[partition]
    if (store === undefined || (topicId !== noTopicId && store.topicId !== topicId)) return null
    const { highWatermark: end, logStartOffset } = store
    // Records that were deleted before they were read are not read any more, but counted by Kafka's own tools as well.
    const lag = Math.max(end - offset, 0)
    const first = Math.max(offset, logStartOffset) as Offset
    const writtenMs = first >= end ? null : await this.#times.of(store, first, lookUps)
    const ageMs = writtenMs === null ? null : Math.max(this.#parts.clock.nowMs() - writtenMs, 0)
    const lagSeconds = first >= end ? 0 : ageMs === null ? null : ageMs / 1000
    return { topic, partition, offset, metadata, end, lag, lagSeconds }
  }

  #maySee(topic: string): boolean {
    return this.#parts.access.check(this.#principal, accessRules.metadata, topic)
  }

  #maySeeGroup(groupId: string): boolean {
    return this.#parts.access.check(this.#principal, accessRules.describeGroups, groupId)
  }
}

type Committed = FirstOffsets['offsets'][number]

const sourceNames = { 1: 'topic', 4: 'broker', 5: 'default' } as const satisfies Record<
  ConfigSource,
  keyof typeof configSources
>
