/**
 * What the commands of the text protocol do, over the same door as everybody who does not speak Kafka's protocol. It knows
 * nothing of sockets: a command goes in, a reply comes out, and whoever sends it says whether it went out.
 */
import { isUtf8 } from 'node:buffer'
import type { NodeId, Offset } from '../../base/ids.ts'
import { unreachable } from '../../base/invariant.ts'
import type { RaftStatus } from '../../cluster/raft-driver.ts'
import { type Clock, sleep } from '../../io/clock.ts'
import type { Door, Refused } from '../door.ts'
import { textGroupId } from '../groups/internal-groups.ts'
import type { Topic } from '../storage.ts'
import { newTopicNameProblem, topicNameProblem } from '../topic-names.ts'
import { helpText, type TextCommand } from './commands.ts'
import type { Taken } from './cursor.ts'
import { type CursorBounds, Cursors } from './cursors.ts'
import { chainOf, metricsOf, stateOf } from './facts.ts'

export interface TextDoorParts {
  readonly door: Door
  readonly clock: Clock
  readonly nodeId: NodeId
  readonly clusterId: string
  readonly raft: () => RaftStatus
  /** Where this door is reached, `host:port`. */
  readonly address: () => string
  readonly bounds?: Partial<CursorBounds>
}

export interface TextReply {
  readonly text: string
  /** Where replies are lines, in the place of `text`. */
  readonly line?: string
  /** To be called once with what became of the reply. */
  readonly settled?: (isSent: boolean) => void
}

/** As long as a topic's name may be. */
const groupNameMax = 249
/** How long a topic that somebody else makes may take to be there. */
const registerPollMs = 10
const registerPollsMax = 200

const noName: TextReply = { text: 'ERR invalid topic name' }
const ok: TextReply = { text: 'OK' }
const empty: TextReply = { text: 'EMPTY' }

export class TextDoor {
  readonly #parts: TextDoorParts
  readonly #cursors: Cursors
  readonly #registering = new Map<string, Promise<TextReply>>()

  constructor(parts: TextDoorParts) {
    this.#parts = parts
    this.#cursors = new Cursors(parts.door, parts.clock, parts.bounds)
  }

  /**
   * A `PUT` has its place in the topic when this returns; so those of one client may be under way side by side. Everything else
   * waits for what its client asked before.
   */
  async run(command: TextCommand): Promise<TextReply> {
    switch (command.do) {
      case 'refuse':
        return { text: command.reply }
      case 'help':
        return { text: helpText }
      case 'metrics':
        return this.#metrics()
      case 'register':
        return this.#register(command.topic)
      case 'put':
        return this.#put(command.topic, command.payload)
      case 'state':
        return this.#withTopic(command.topic, async topic => ({ text: JSON.stringify(stateOf(topic)) }))
      case 'get':
      case 'skip':
        return this.#take(command)
      case 'fetch':
        return this.#withTopic(command.topic, topic => this.#fetch(topic, command))
      default:
        return unreachable(command)
    }
  }

  /** Commits what has been sent. */
  close(): Promise<void> {
    return this.#cursors.close()
  }

  #metrics(): TextReply {
    const { door, clock, nodeId, clusterId, raft, address } = this.#parts
    const topics = door.topics()
    const partitions = topics.reduce((sum, topic) => sum + topic.partitions.length, 0)
    const facts = { nodeId, clusterId, address: address(), topics: topics.length, partitions, nowMs: clock.nowMs() }
    const metrics = metricsOf(raft(), facts)
    return { text: JSON.stringify(metrics, null, 2), line: JSON.stringify(metrics) }
  }

  async #register(name: string): Promise<TextReply> {
    if (newTopicNameProblem(name) !== null) return noName
    const { door } = this.#parts
    if (door.topic(name).error === 'NONE') return ok
    const making = this.#registering.get(name) ?? this.#makeTopic(name)
    this.#registering.set(name, making)
    try {
      return await making
    } finally {
      this.#registering.delete(name)
    }
  }

  async #makeTopic(name: string): Promise<TextReply> {
    const { door, clock } = this.#parts
    const made = await door.createTopic(name, { partitions: 1 })
    if (made.error === 'NONE') return ok
    if (made.error !== 'TOPIC_ALREADY_EXISTS') return errorOf(made, name)
    for (let poll = 0; door.topic(name).error !== 'NONE'; poll++) {
      if (poll === registerPollsMax) return errorOf(made, name)
      await sleep(clock, registerPollMs)
    }
    return ok
  }

  async #put(name: string, payload: string): Promise<TextReply> {
    if (newTopicNameProblem(name) !== null) return noName
    const done = await this.#parts.door.produce(name, null, [{ value: Buffer.from(payload) }])
    return done.error === 'NONE' ? ok : errorOf(done, name)
  }

  #withTopic(name: string, work: (topic: Topic) => Promise<TextReply>): Promise<TextReply> {
    if (topicNameProblem(name) !== null) return Promise.resolve(noName)
    const found = this.#parts.door.topic(name)
    return found.error === 'NONE' ? work(found.topic) : Promise.resolve(errorOf(found, name))
  }

  #take(command: Extract<TextCommand, { readonly do: 'get' | 'skip' }>): Promise<TextReply> {
    const { topic: name, group } = command
    if (group !== null && (group === '' || group.length > groupNameMax)) {
      return Promise.resolve({ text: 'ERR invalid group name' })
    }
    // Reading what groups commit would be a commit, too.
    if (newTopicNameProblem(name) !== null) return Promise.resolve(noName)
    return this.#withTopic(name, async topic => {
      const cursor = this.#cursors.of(group ?? textGroupId, topic)
      return takenReply(await (command.do === 'get' ? cursor.next(topic) : cursor.skip(topic)), name)
    })
  }

  async #fetch(topic: Topic, asked: Extract<TextCommand, { readonly do: 'fetch' }>): Promise<TextReply> {
    const { segment: number, offset, partition: index } = asked
    const partition = topic.partitions[index]
    if (partition === undefined) return { text: `ERR unknown partition ${index}` }
    const segment = chainOf(partition)[number - 1]
    if (segment === undefined) return { text: `ERR unknown segment ${number}` }
    const { base } = segment
    const end = () => segment.end ?? partition.highWatermark
    for (let from = Math.max(base + offset, partition.logStartOffset); from < end(); ) {
      const ask = { topic: topic.name, partition: index, from: from as Offset, bytesMax: 1, recordsMax: 1 }
      const read = await this.#parts.door.read(ask)
      if (read.error !== 'NONE') return errorOf(read, topic.name)
      const [record] = read.records
      if (record === undefined && read.next === from) return empty
      if (record !== undefined && record.offset < end()) return fetched(record, base)
      from = read.next
    }
    return empty
  }
}

function fetched({ offset, value }: { readonly offset: number; readonly value: Buffer | null }, base: number) {
  if (value === null || !isUtf8(value)) return { text: 'ERR value is not text' }
  return { text: `OK ${offset + 1 - base} ${value}` }
}

function takenReply(taken: Taken, topic: string): TextReply {
  switch (taken.is) {
    case 'text':
      return { text: `OK ${taken.text}`, settled: taken.settled }
    case 'passed':
      return { ...ok, settled: taken.settled }
    case 'nothing':
      return empty
    case 'no text':
      return { text: `ERR ${taken.why}` }
    case 'good':
      return { text: 'ERR value is text' }
    case 'refused':
      return errorOf(taken.refusal, topic)
    default:
      return unreachable(taken)
  }
}

/** Of one line, whatever is in it. */
function errorOf({ error, message }: Refused, topic: string): TextReply {
  if (error === 'UNKNOWN_TOPIC_OR_PARTITION') return { text: `ERR unknown topic ${topic}` }
  return { text: `ERR ${message}` }
}
