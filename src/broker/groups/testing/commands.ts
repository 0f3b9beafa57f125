/**
 * The commands of a script: a verb, then words. A word `name=value` sets something, any other names what it is about.
 *
 *     join CLIENT [id=] [instance=] [protocols=range,sticky] [topics=t,u | meta=raw] [type=consumer] [session=] [rebalance=] [v=]
 *     sync MEMBER gen= [instance=] [assign=MEMBER:what,…] [type=] [protocol=]
 *     heartbeat MEMBER gen= [instance=] | leave MEMBER[/INSTANCE]…
 *     commit TOPIC-PARTITION=OFFSET[:metadata]… [member=] [gen=] [instance=] [retention=] [id=TOPIC-ID]
 *     stable CLIENT[/INSTANCE]… [as join]: all of them join an empty group and get their assignments
 *     delete | delete-offsets TOPIC-PARTITION… | topic-deleted TOPIC [id=]
 *     written [WRITE…] [ERROR] | pass MS | wall MS | expire | reload | close ERROR | set name=value…
 *     describe | list | fetch [TOPIC-PARTITION…] | members | waiting | log
 */
import type { TopicId } from '../../../base/ids.ts'
import type { KafkaErrorName } from '../../../wire/kafka-errors.ts'
import { recordsOf } from '../group-durable.ts'
import { nextExpiryMs } from '../group-expiry.ts'
import { describe, fetchOffsets, listed } from '../group-queries.ts'
import { exists } from '../group-state.ts'
import type { CommitRequest, JoinRequest, SyncRequest, TopicPartition } from '../requests.ts'
import { identityText, metadataText, noteText, recordText } from './texts.ts'
import type { World } from './world.ts'

type Command = (world: World, words: readonly string[]) => void

export const commands: Readonly<Record<string, Command>> = {
  join: askToJoin,
  sync(world, words) {
    world.ask({ do: 'sync', sync: syncOf(words) })
  },
  heartbeat(world, words) {
    const [memberId = ''] = plain(words)
    const { gen, instance = null } = settings(words)
    const heartbeat = { groupId: 'g', memberId, generation: Number(gen), instanceId: instance }
    world.ask({ do: 'heartbeat', heartbeat })
  },
  leave(world, words) {
    const members = plain(words).map(word => {
      const [memberId = '', instanceId = null] = word.split('/')
      return { memberId, instanceId, reason: null }
    })
    world.ask({ do: 'leave', leave: { groupId: 'g', members } })
  },
  commit(world, words) {
    world.ask({ do: 'commit', commit: commitOf(words) })
  },
  delete(world) {
    world.ask({ do: 'delete' })
  },
  stable(world, words) {
    makeStable(world, plain(words), words.filter(isSetting))
  },
  'delete-offsets'(world, words) {
    world.ask({ do: 'deleteOffsets', partitions: words.map(partitionOf) })
  },
  'topic-deleted'(world, words) {
    const [topic = ''] = plain(words)
    world.feed({ do: 'topicDeleted', topic, topicId: topicIdOf(words.find(isSetting)?.slice('id='.length)) })
  },
  written(world, words) {
    const numbers = words.filter(word => /^\d/.test(word)).map(Number)
    const error = (words.find(word => /^[A-Z]/.test(word)) ?? 'NONE') as KafkaErrorName
    for (const write of numbers.length > 0 ? numbers : [...world.unwritten.keys()]) world.written(write, error)
  },
  pass(world, [ms]) {
    world.pass(Number(ms))
  },
  wall(world, [ms]) {
    world.nowMs += Number(ms)
  },
  expire(world) {
    world.lines.push(`due ${dueText(world)}`)
    world.feed({ do: 'expire' })
  },
  reload(world) {
    world.reload()
    world.lines.push(`loaded: ${world.group.state} in generation ${world.group.generation}`)
  },
  close(world, [error]) {
    world.feed({ do: 'close', error: error as KafkaErrorName })
  },
  set(world, words) {
    const values = Object.entries(settings(words)).map(([name, value]) => [name, Number(value)])
    world.configure(Object.fromEntries(values))
  },
  describe(world) {
    const { error, state, protocolType, protocol, members } = describe(world.group)
    world.lines.push(`${error} ${state} ${protocolType || '-'}/${protocol || '-'}`)
    for (const { memberId, instanceId, clientId, clientHost, metadata, assignment } of members)
      world.lines.push(
        `  ${identityText(memberId, instanceId)} ${clientId} ${clientHost} (${metadataText(metadata)}) [${assignment.toString()}]`,
      )
  },
  list(world) {
    const line = listed(world.group)
    world.lines.push(line === null ? 'no group' : `${line.state} ${line.protocolType || '-'}`)
    if ((line !== null) !== exists(world.group)) throw new Error('what is listed exists')
  },
  fetch(world, words) {
    const wanted = words.length === 0 ? null : words.map(partitionOf)
    for (const each of fetchOffsets(world.group, wanted).partitions) {
      const epoch = each.leaderEpoch === -1 ? '' : ` epoch=${each.leaderEpoch}`
      const metadata = each.metadata === '' ? '' : ` ${noteText(each.metadata)}`
      world.lines.push(`${each.topic}-${each.partition}=${each.offset}${epoch}${metadata}`)
    }
  },
  members(world) {
    const { members, pending, leader } = world.group
    for (const { memberId, instanceId, joining, syncing } of members.values()) {
      const words = [identityText(memberId, instanceId)]
      if (memberId === leader) words.push('leads')
      if (joining !== null) words.push(`joins by #${joining}`)
      if (syncing !== null) words.push(`syncs by #${syncing}`)
      if (world.group.unsynced.has(memberId)) words.push('has to sync')
      world.lines.push(words.join(' '))
    }
    for (const memberId of pending.keys()) world.lines.push(`${memberId} is expected`)
  },
  waiting(world) {
    const waiting = Array.from(world.waiting, ([request, kind]) => `${kind} #${request}`)
    world.lines.push(waiting.length === 0 ? 'nothing waits' : waiting.join(', '))
  },
  log(world) {
    for (const record of recordsOf(world.group)) world.lines.push(recordText(record))
  },
}

/** Members join together, and each is assigned what is named like itself. */
function makeStable(world: World, clients: readonly string[], joinWords: readonly string[]): void {
  const before = new Set(world.group.members.keys())
  for (const each of clients) {
    const [client = '', instance] = each.split('/')
    const identity = instance === undefined ? [] : [`instance=${instance}`]
    askToJoin(world, [client, ...identity, ...joinWords])
  }
  world.pass(0)
  const { generation, leader, members } = world.group
  const came = [...members.keys()].filter(id => !before.has(id))
  const assign = came.map(id => `${id}:p-${id}`).join(',')
  for (const id of came) {
    const words = [id, `gen=${generation}`, id === leader ? `assign=${assign}` : '']
    world.ask({ do: 'sync', sync: syncOf(words) })
  }
  for (const write of world.unwritten.keys()) world.written(write, 'NONE')
}

function askToJoin(world: World, words: readonly string[]): void {
  const uuid = world.nextUuid()
  world.ask({ do: 'join', join: joinOf(words), uuid })
}

function dueText({ group, nowMs }: World): string {
  const next = nextExpiryMs(group)
  if (next === null) return 'never'
  return next <= nowMs ? 'now' : `in ${next - nowMs}`
}

function joinOf(words: readonly string[]): JoinRequest {
  const [clientId = ''] = plain(words)
  const { id = '', instance = null, protocols = 'range', topics = 't', meta, v = '3', ...rest } = settings(words)
  const version = Number(v)
  const metadata = meta === undefined ? subscription(topics.split(',')) : Buffer.from(expanded(meta))
  const { session = '10000', rebalance = '60000', type = 'consumer' } = rest
  return {
    groupId: 'g',
    memberId: id,
    instanceId: instance,
    clientId,
    clientHost: '/10.0.0.1',
    sessionTimeoutMs: Number(session),
    rebalanceTimeoutMs: Number(rebalance),
    protocolType: type,
    protocols: protocols === '' ? [] : protocols.split(',').map(name => ({ name, metadata })),
    requiresKnownMember: version >= 4,
    supportsSkippingAssignment: version >= 9,
    reason: null,
  }
}

/** Version 0 of the consumer protocol. */
export function subscription(topics: readonly string[]): Buffer {
  const head = Buffer.alloc(6)
  head.writeInt32BE(topics.length, 2)
  const names = topics.map(topic => {
    const length = Buffer.alloc(2)
    length.writeInt16BE(topic.length)
    return Buffer.concat([length, Buffer.from(topic)])
  })
  return Buffer.concat([head, ...names, Buffer.from([255, 255, 255, 255])])
}

function syncOf(words: readonly string[]): SyncRequest {
  const [memberId = ''] = plain(words)
  const { gen, instance = null, assign = '', type = null, protocol = null } = settings(words)
  const assignments = assign === '' ? [] : assign.split(',').map(pair => pair.split(':'))
  return {
    groupId: 'g',
    generation: Number(gen),
    memberId,
    instanceId: instance,
    protocolType: type,
    protocol,
    assignments: assignments.map(([id = '', what = '']) => ({
      memberId: id,
      assignment: Buffer.from(expanded(what)),
    })),
  }
}

function commitOf(words: readonly string[]): CommitRequest {
  const { member = '', gen = '-1', instance = null, retention = '-1', id, ...offsets } = settings(words)
  return {
    groupId: 'g',
    generation: Number(gen),
    memberId: member,
    instanceId: instance,
    retentionMs: Number(retention),
    offsets: Object.entries(offsets).map(([key, value]) => {
      const [offset = '', metadata = '', epoch = '-1'] = value.split(':')
      return {
        ...partitionOf(key),
        topicId: topicIdOf(id),
        offset: Number(offset),
        leaderEpoch: Number(epoch),
        metadata: expanded(metadata),
      }
    }),
  }
}

/** Ids are numbers in scripts; 0 is none. */
function topicIdOf(number = '1'): TopicId {
  return number.padStart(32, '0') as TopicId
}

function partitionOf(word: string): TopicPartition {
  const dash = word.lastIndexOf('-')
  return { topic: word.slice(0, dash), partition: Number(word.slice(dash + 1)) }
}

/** `12chars` is that many of them. */
function expanded(text: string): string {
  const length = /^(\d+)chars$/.exec(text)?.[1]
  return length === undefined ? text : 'm'.repeat(Number(length))
}

function plain(words: readonly string[]): string[] {
  return words.filter(word => !isSetting(word) && word !== '')
}

function settings(words: readonly string[]): Record<string, string> {
  const pairs = words.filter(isSetting)
  return Object.fromEntries(pairs.map(word => word.split(/=(.*)/s, 2)))
}

function isSetting(word: string): boolean {
  return word.includes('=')
}
