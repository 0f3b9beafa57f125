/**
 * A random walk of one group: clients that mostly behave, operators, time, writes that come back late, wrong or out of order,
 * crashes. After every step the state is held against what must be, and against the log.
 */
import assert from 'node:assert/strict'
import type { Prng } from '../../../base/prng.ts'
import type { KafkaErrorName } from '../../../wire/kafka-errors.ts'
import { stepGroup } from '../group.ts'
import type { GroupEvent } from '../group-events.ts'
import { exists, type Group } from '../group-state.ts'
import { commands } from './commands.ts'
import { effectText } from './texts.ts'
import { World } from './world.ts'

const dynamicClients = ['a', 'b', 'c', 'd']
const instances = ['x', 'y']
const topics = ['t', 'u']

export function walk(random: Prng, steps: number): void {
  const world = new World()
  const history: string[] = []
  world.observe = event => checkClone(world.group, event, random)
  world.configure({
    initialRebalanceDelayMs: random.pick([0, 0, 3_000]),
    membersMax: random.pick([3, 1_000]),
    groupBytesMax: random.pick([200, 1_000_000, 1_000_000]),
  })
  try {
    for (let i = 0; i < steps; i++) takeStep(world, random, history, i % 8 === 0)
    if (random.chance(0.2)) closeAll(world)
    else comeToRest(world, history)
  } catch (error) {
    throw new Error(`after\n${history.slice(-60).join('\n')}`, { cause: error })
  }
}

function takeStep(world: World, random: Prng, history: string[], thoroughly: boolean): void {
  const line = nextCommand(world.group, world, random)
  history.push(line)
  const generation = world.group.generation
  const life = world.life
  const [verb = '', ...words] = line.split(' ')
  commands[verb]?.(world, words)
  history.push(...world.lines.map(each => `    ${each}`))
  checkAssigned(world)
  world.lines.length = 0
  if (world.life === life) assert.ok(world.group.generation >= generation, 'generations rise')
  checkState(world)
  if (thoroughly) checkDurable(world)
}

/** All clients are gone: sessions and rebalances end, whatever waits is answered, and nobody is left. */
function comeToRest(world: World, history: string[]): void {
  for (let round = 0; round < 4; round++) {
    for (const write of world.unwritten.keys()) world.written(write, 'NONE')
    world.pass(1_000_000)
  }
  history.push(...world.lines)
  assert.deepEqual([...world.waiting.values()], [], 'every request is answered')
  assert.equal(world.group.members.size, 0, 'nobody is left')
  assert.equal(world.group.state, 'Empty')
  checkState(world)
  checkDurable(world)
}

function closeAll(world: World): void {
  world.feed({ do: 'close', error: 'NOT_COORDINATOR' })
  assert.deepEqual([...world.waiting.values()], [], 'every request is answered')
  checkWaiting(world)
}

function nextCommand(group: Group, world: World, random: Prng): string {
  const roll = random.between(0, 100)
  if (roll < 20 && world.unwritten.size > 0) return writtenCommand(world, random)
  if (roll < 60) return soundCommand(group, random)
  if (roll < 80) return anyCommand(group, random)
  if (roll < 93) return `pass ${random.pick([0, 1, 500, 3_000, 3_000, 6_000, 20_000])}`
  if (roll < 95) return `wall ${random.pick([1_000, 700_000_000])}`
  if (roll < 98) return random.pick(['expire', 'delete', 'topic-deleted t', 'delete-offsets t-0 u-1'])
  return roll < 99 ? 'reload' : `set membersMax=${random.pick([1, 3, 1000])}`
}

function writtenCommand(world: World, random: Prng): string {
  const writes = [...world.unwritten.keys()]
  const write = random.chance(0.8) ? writes[0] : random.pick(writes)
  const error: KafkaErrorName = random.chance(0.9)
    ? 'NONE'
    : random.pick(['NOT_ENOUGH_REPLICAS', 'KAFKA_STORAGE_ERROR'])
  return `written ${write} ${error}`
}

/** What a good client would do next. */
function soundCommand(group: Group, random: Prng): string {
  const members = [...group.members.values()]
  const pending = [...group.pending.keys()]
  if (pending.length > 0 && random.chance(0.5)) return joinCommand(random, random.pick(pending), null)
  if (members.length === 0 || random.chance(0.1)) return newcomerCommand(random)
  const member = random.pick(members)
  const { memberId, instanceId } = member
  const identity = instanceId === null ? '' : ` instance=${instanceId}`
  switch (group.state) {
    case 'PreparingRebalance':
      if (member.joining === null) return joinCommand(random, memberId, instanceId)
      break
    case 'CompletingRebalance':
      if (member.syncing === null) return syncCommand(group, random, memberId) + identity
      break
    default:
      if (group.unsynced.has(memberId)) return syncCommand(group, random, memberId) + identity
  }
  if (random.chance(0.5)) return `heartbeat ${memberId} gen=${group.generation}${identity}`
  return `commit ${offsetWord(random)} member=${memberId} gen=${group.generation}${identity}`
}

function newcomerCommand(random: Prng): string {
  if (random.chance(0.3)) return joinCommand(random, '', random.pick(instances))
  return joinCommand(random, '', null)
}

function joinCommand(random: Prng, memberId: string, instanceId: string | null): string {
  const words = [`join ${random.pick(dynamicClients)}`, `v=${random.pick([3, 4, 9])}`]
  if (memberId !== '') words.push(`id=${memberId}`)
  if (instanceId !== null) words.push(`instance=${instanceId}`)
  words.push(`protocols=${random.pick(['range', 'range,sticky', 'range,sticky', 'sticky,range'])}`)
  words.push(`topics=${random.pick(['t', 't', 'u', 't,u'])}`)
  words.push(`session=${random.pick([6_000, 10_000])}`, `rebalance=${random.pick([0, 5_000, 15_000])}`)
  return words.join(' ')
}

function syncCommand(group: Group, random: Prng, memberId: string): string {
  const draw = random.between(0, 1_000_000)
  const assign = [...group.members.keys()].map(id => `${id}:${draw}`).join(',')
  const given = memberId === group.leader ? ` assign=${assign}` : ''
  return `sync ${memberId} gen=${group.generation}${given}`
}

/** What anybody might do at any time, under any name that is or was somebody's. */
function anyCommand(group: Group, random: Prng): string {
  const known = [...group.members.keys(), ...group.pending.keys(), 'a-1', 'x-1', '']
  const memberId = random.pick(known)
  const instance = random.chance(0.3) ? ` instance=${random.pick(instances)}` : ''
  const gen = `gen=${group.generation + random.pick([0, 0, 0, -1, 1])}`
  switch (random.between(0, 8)) {
    case 0:
    case 1:
      return joinCommand(random, memberId, instance === '' ? null : random.pick(instances))
    case 2:
      return `sync ${memberId} ${gen}${instance}`
    case 3:
      return `heartbeat ${memberId} ${gen}${instance}`
    case 4:
      return `leave ${memberId} ${random.pick(known)}/${random.pick(instances)}`
    case 5:
      return `commit ${offsetWord(random)} ${offsetWord(random)} member=${memberId} ${gen}${instance}`
    case 6:
      return `commit ${offsetWord(random)}${random.chance(0.3) ? ' retention=5000' : ''}`
    default:
      return newcomerCommand(random)
  }
}

function offsetWord(random: Prng): string {
  return `${random.pick(topics)}-${random.between(0, 2)}=${random.between(0, 1_000)}`
}

/** What holds in every state. */
function checkState(world: World): void {
  const { group } = world
  const members = [...group.members.values()]
  assert.equal(group.joiningCount, members.filter(({ joining }) => joining !== null).length)
  for (const [name, count] of group.supporters) {
    assert.ok(count > 0)
    assert.equal(count, members.filter(({ protocols }) => protocols.some(each => each.name === name)).length)
  }
  assert.equal(group.memberBytes + group.pendingBytes, bytesOf(group))
  for (const memberId of group.unsynced) assert.ok(group.members.has(memberId), 'members are waited for')
  for (const [instanceId, memberId] of group.statics)
    assert.equal(group.members.get(memberId)?.instanceId, instanceId, 'an instance is its member')
  assert.equal(group.statics.size, members.filter(({ instanceId }) => instanceId !== null).length)
  if (group.state === 'Stable')
    assert.ok(
      members.every(({ syncing }) => syncing === null),
      'the barrier is open',
    )
  if (group.state === 'PreparingRebalance') assert.equal(group.unsynced.size, 0)
  if (group.unsynced.size > 0) assert.notEqual(group.syncEndMs, null, 'nobody is waited for without end')
  checkSessions(group)
  checkWaiting(world)
}

function bytesOf(group: Group): number {
  let bytes = 0
  for (const memberId of group.pending.keys()) bytes += memberId.length
  for (const { memberId, instanceId, clientId, clientHost, protocols, assignment } of group.members.values()) {
    bytes += memberId.length + (instanceId ?? '').length + clientId.length + clientHost.length + assignment.length
    for (const { name, metadata } of protocols) bytes += name.length + metadata.length
  }
  return bytes
}

function checkSessions(group: Group): void {
  for (const { sessionEndMs, joining, syncing } of group.members.values()) {
    assert.ok(sessionEndMs >= group.sessionsCheckMs, 'no session ends unnoticed')
    if (sessionEndMs === Number.POSITIVE_INFINITY) assert.ok(joining !== null || syncing !== null)
  }
  for (const endMs of group.pending.values()) assert.ok(endMs >= group.sessionsCheckMs)
}

/** Whoever is told its assignment is told what is durable, of the generation that it is in. */
function checkAssigned({ lines, group }: World): void {
  for (const line of lines) {
    const told = /sync #\d+: NONE \S+ \[(.*)\]/.exec(line)?.[1]
    if (told === undefined) continue
    assert.equal(group.stored?.generation, group.generation)
    const durable = group.stored?.members.map(({ assignment }) => assignment.toString())
    assert.ok(durable?.includes(told), `${told} is durable`)
  }
}

/** Every request that has no answer is one that the state knows of, and the other way round. */
function checkWaiting(world: World): void {
  const known: number[] = []
  for (const { joining, syncing } of world.group.members.values())
    for (const request of [joining, syncing]) if (request !== null) known.push(request)
  for (const { then } of world.group.writes.values())
    if ('request' in then && then.of !== 'staticMember' && then.request !== null) known.push(then.request)
  const byNumber = (one: number, other: number) => one - other
  assert.deepEqual(known.sort(byNumber), [...world.waiting.keys()].sort(byNumber))
}

/** What the group holds to be durable is what the log says. */
function checkDurable(world: World): void {
  const { group } = world
  for (const { outcome } of group.writes.values()) if (outcome !== null) return
  const replayed = world.replayed()
  assert.deepEqual(group.stored, replayed.stored, 'the stored generation is the log’s')
  assert.deepEqual(sorted(group), sorted(replayed), 'the offsets are the log’s')
  if (group.state === 'Stable' && exists(group)) assert.equal(group.stored?.generation, group.generation)
}

function sorted(group: Group) {
  const all = [...group.offsets].flatMap(([topic, each]) =>
    [...each].map(([n, value]) => ({ key: `${topic}-${n}`, value })),
  )
  return all.sort((one, other) => (one.key < other.key ? -1 : 1))
}

/** A copy of the state does the same as the state. */
function checkClone(group: Group, event: GroupEvent, random: Prng): ((after: readonly string[]) => void) | null {
  if (!random.chance(0.05)) return null
  const effects = stepGroup(structuredClone(group), event).map(effectText)
  return after => assert.deepEqual(effects, after, 'the copy does the same')
}
