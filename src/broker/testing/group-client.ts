/** Members of consumer groups, as requests to a test broker: one step each, in whatever version. */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrorName } from '../../wire/kafka-errors.ts'
import type { Body, Draft } from '../../wire/schema.ts'
import type { Asker, TestBroker } from './test-broker.ts'

export type Join = Partial<Draft<typeof apis.joinGroup.request>>
export type Joined = Body<typeof apis.joinGroup.response>

/** A member with its place in a generation. */
export interface Placed {
  readonly memberId: string
  readonly generationId: number
}

export const groupId = 'g'

/** The answer to a request, with time going on until it is there, a millisecond at a time. */
export async function answerTo<T>({ clock }: TestBroker, asked: Promise<T>, msMax = 100): Promise<T> {
  let answered = false
  const mark = () => {
    answered = true
  }
  asked.then(mark, mark)
  for (let ms = 0; !answered && ms < msMax; ms++) await clock.run(1)
  if (!answered) throw new Error(`not answered in ${msMax} ms`)
  return asked
}

/** Whether a request is held: nothing came of it for now. */
export async function isHeld({ clock }: TestBroker, asked: Promise<unknown>): Promise<boolean> {
  let held = true
  const mark = () => {
    held = false
  }
  asked.then(mark, mark)
  await clock.run(20)
  return held
}

/** What consumers write into their subscription (version 0): the topics they want. */
export function subscription(...topics: readonly string[]): Buffer {
  const int = (value: number, bytes: 2 | 4) => {
    const buffer = Buffer.alloc(bytes)
    buffer.writeIntBE(value, 0, bytes)
    return buffer
  }
  const names = topics.flatMap(topic => [int(Buffer.byteLength(topic), 2), Buffer.from(topic)])
  return Buffer.concat([int(0, 2), int(topics.length, 4), ...names, int(-1, 4)])
}

export function joinOnce({ ask }: TestBroker, more: Join = {}, version = 9, from: Asker = {}): Promise<Joined> {
  const request = {
    groupId,
    sessionTimeoutMs: 10_000,
    ...(version >= 1 ? { rebalanceTimeoutMs: 20_000 } : {}),
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('t') }],
    ...more,
  }
  return ask(apis.joinGroup, version, request, from)
}

/** A new dynamic member's id, from version 4 on. */
export async function newMemberId(broker: TestBroker, more: Join = {}): Promise<string> {
  const { errorCode, memberId } = await answerTo(broker, joinOnce(broker, more))
  if (kafkaErrorName(errorCode) !== 'MEMBER_ID_REQUIRED') throw new Error(`joined with ${kafkaErrorName(errorCode)}`)
  return memberId
}

/** A group of so many members with a generation that is agreed on; the first is its leader. */
export async function stableGroup(broker: TestBroker, count = 1, more: Join = {}): Promise<Placed[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) ids.push(await newMemberId(broker, more))
  const joined = await answerTo(broker, Promise.all(ids.map(memberId => joinOnce(broker, { ...more, memberId }))))
  const placed = joined.map(({ memberId, generationId }) => ({ memberId, generationId }))
  const leaderFirst = [...placed].sort((a, b) => Number(isLeader(b, joined)) - Number(isLeader(a, joined)))
  const syncs = leaderFirst.map((member, i) => sync(broker, member, i === 0 ? assignAll(ids) : {}))
  await answerTo(broker, Promise.all(syncs))
  return leaderFirst
}

function isLeader({ memberId }: Placed, [first]: readonly Joined[]): boolean {
  return first?.leader === memberId
}

/** What a leader brings: to each member its own id. */
export function assignAll(memberIds: readonly string[]): Partial<Draft<typeof apis.syncGroup.request>> {
  return { assignments: memberIds.map(memberId => ({ memberId, assignment: Buffer.from(`of ${memberId}`) })) }
}

export function sync(
  { ask }: TestBroker,
  { memberId, generationId }: Placed,
  more: Partial<Draft<typeof apis.syncGroup.request>> = {},
  version = 5,
): Promise<Body<typeof apis.syncGroup.response>> {
  const named = version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}
  return ask(apis.syncGroup, version, { groupId, memberId, generationId, assignments: [], ...named, ...more })
}

export async function beat(broker: TestBroker, { memberId, generationId }: Placed): Promise<KafkaErrorName> {
  const asked = broker.ask(apis.heartbeat, 4, { groupId, memberId, generationId })
  return kafkaErrorName((await answerTo(broker, asked)).errorCode)
}

/** Commits offsets of the topic `t`, partition by partition from 0 on. */
export async function commit(
  broker: TestBroker,
  offsets: readonly number[],
  more: Partial<Draft<typeof apis.offsetCommit.request>> = {},
): Promise<KafkaErrorName[]> {
  const partitions = offsets.map((committedOffset, partitionIndex) => ({
    partitionIndex,
    committedOffset,
    committedMetadata: null,
  }))
  const request = { groupId, memberId: '', topics: [{ name: 't', partitions }], ...more }
  const { topics } = await answerTo(broker, broker.ask(apis.offsetCommit, 9, request))
  return topics.flatMap(topic => topic.partitions.map(({ errorCode }) => kafkaErrorName(errorCode)))
}

/** The offsets that are committed for the topic `t`, in order of the partitions. */
export async function committed(broker: TestBroker, group = groupId): Promise<number[]> {
  const asked = broker.ask(apis.offsetFetch, 9, { groups: [{ groupId: group, topics: null }] })
  const [answer] = (await answerTo(broker, asked)).groups
  const partitions = answer?.topics.find(({ name }) => name === 't')?.partitions ?? []
  return [...partitions]
    .sort((a, b) => a.partitionIndex - b.partitionIndex)
    .map(({ committedOffset }) => committedOffset)
}

export async function described(broker: TestBroker, group = groupId) {
  const asked = broker.ask(apis.describeGroups, 6, { groups: [group] })
  return (await answerTo(broker, asked)).groups[0]!
}
