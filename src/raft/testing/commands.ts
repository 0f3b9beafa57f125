/**
 * The commands of the scripts, each one small: words in, what happened goes to the cluster's lines.
 *
 * `1->2` names messages from 1 to 2, `->2` all to 2, `1->` all from 1, `*` all; a kind of message behind it narrows
 * that down.
 */
import type { DiskId, NodeId } from '../../base/ids.ts'
import { membershipOf } from '../core.ts'
import type { RaftSettings } from '../events.ts'
import { lastIndex } from '../log.ts'
import type { MembershipChange } from '../membership.ts'
import type { Message } from '../messages.ts'
import { type Cluster, defaultSettings, memberOf, type Node } from './cluster.ts'
import { printEntries, printMembership, printMessage } from './print.ts'

type Command = (cluster: Cluster, words: readonly string[]) => void

export const commands: Readonly<Record<string, Command>> = {
  /** nodes COUNT [setting=value …]: a new cluster of so many voters. */
  nodes(cluster, [count = '', ...settings]) {
    cluster.clear()
    cluster.settings = { ...defaultSettings, ...parseSettings(settings) }
    const seats = Array.from({ length: Number(count) }, (_, i) => ({ ...memberOf(i + 1), role: 'voter' as const }))
    for (const { nodeId } of seats) cluster.add(memberOf(nodeId), seats)
  },

  /** join NODE [DISK]: a node that nobody knows yet, and that knows nobody. */
  join(cluster, [nodeId, disk]) {
    cluster.add(memberOf(Number(nodeId), disk), [])
  },

  campaign(cluster, [nodeId]) {
    cluster.feed(Number(nodeId), { type: 'campaign' })
  },

  /** tick NODE [COUNT] */
  tick(cluster, [nodeId, count = '1']) {
    tick(cluster, Number(nodeId), Number(count))
  },

  /** elapse NODE …: they have not heard a leader for the least election timeout, and do not campaign yet. */
  elapse(cluster, words) {
    for (const nodeId of words) {
      const { raft } = cluster.node(Number(nodeId))
      const left = raft!.settings.electionTicks - raft!.electionElapsed
      tick(cluster, Number(nodeId), Math.max(left, 0))
    }
  },

  /** propose NODE DATA … */
  propose(cluster, [nodeId, ...data]) {
    for (const text of data) {
      cluster.feed(Number(nodeId), { type: 'propose', token: cluster.nextToken(), data: Buffer.from(text) })
    }
  },

  read(cluster, [nodeId]) {
    cluster.feed(Number(nodeId), { type: 'read', token: cluster.nextToken() })
  },

  /** transfer LEADER VOTER */
  transfer(cluster, [nodeId, to]) {
    cluster.feed(Number(nodeId), { type: 'transfer', to: Number(to) as NodeId })
  },

  /** add-learner LEADER NODE [DISK], and promote, and remove. */
  'add-learner'(cluster, words) {
    change(cluster, 'addLearner', words)
  },
  promote(cluster, words) {
    change(cluster, 'promote', words)
  },
  remove(cluster, words) {
    change(cluster, 'remove', words)
  },

  /** compact NODE: its state machine takes a snapshot of what it has applied. */
  compact(cluster, [nodeId]) {
    const { raft, state } = cluster.node(Number(nodeId))
    cluster.feed(Number(nodeId), { type: 'snapshotTaken', index: raft!.applied, data: Buffer.from(state) })
  },

  unreachable(cluster, [nodeId, other]) {
    cluster.feed(Number(nodeId), { type: 'unreachable', nodeId: Number(other) as NodeId })
  },

  /** persist NODE [COUNT]: its oldest writes become durable. */
  persist(cluster, [nodeId, count]) {
    cluster.persist(Number(nodeId), count === undefined ? undefined : Number(count))
  },

  /** persisted NODE WRITE: the word alone, also where it says nothing new. */
  persisted(cluster, [nodeId, write]) {
    cluster.feed(Number(nodeId), { type: 'persisted', write: Number(write) })
  },

  /** deliver WHICH [KIND] [first]: what was sent so far, in that order, or the first only. */
  deliver(cluster, words) {
    for (const message of take(cluster, words)) cluster.deliver(message)
  },

  /** redeliver WHICH [KIND]: delivered, and still under way. */
  redeliver(cluster, words) {
    const messages = take(cluster, words)
    cluster.network.push(...messages)
    for (const message of messages) cluster.deliver(message)
  },

  /** reversed WHICH [KIND]: delivers the newest first. */
  reversed(cluster, words) {
    for (const message of take(cluster, words).reverse()) cluster.deliver(message)
  },

  drop(cluster, words) {
    for (const message of take(cluster, words))
      cluster.lines.push(`lost: ${message.from.nodeId} ${printMessage(message)}`)
  },

  /** inject JSON: a message that nobody sent. Members are written as numbers, or as `"3:disk"`. */
  inject(cluster, words) {
    cluster.deliver(parseMessage(words.join(' ')))
  },

  network(cluster) {
    for (const message of cluster.network) cluster.lines.push(`${message.from.nodeId}: ${printMessage(message)}`)
  },

  /** stabilize [NODE …]: persists and delivers, among all or among these, until nothing moves. */
  stabilize(cluster, words) {
    cluster.stabilize(words.length > 0 ? words.map(Number) : [...cluster.nodes.keys()])
  },

  /** partition 1 | 2 3: nothing passes between the sides. */
  partition(cluster, words) {
    const sides = words.join(' ').split('|')
    const side = new Map(
      sides.flatMap((text, i) =>
        text
          .trim()
          .split(' ')
          .map(nodeId => [Number(nodeId), i] as const),
      ),
    )
    for (const from of side.keys()) {
      for (const to of side.keys()) if (side.get(from) !== side.get(to)) cut(cluster, from, to)
    }
  },

  /** cut 1->2: nothing passes in this direction. */
  cut(cluster, [which = '']) {
    const [from, to] = which.split('->').map(Number)
    cut(cluster, from!, to!)
  },

  heal(cluster) {
    cluster.cut.clear()
  },

  crash(cluster, words) {
    for (const nodeId of words) cluster.crash(Number(nodeId))
  },

  restart(cluster, words) {
    for (const nodeId of words) cluster.start(Number(nodeId))
  },

  /** wipe NODE DISK: it comes back with an empty disk. */
  wipe(cluster, [nodeId, disk]) {
    cluster.crash(Number(nodeId))
    cluster.add(memberOf(Number(nodeId), disk), [])
  },

  /** corrupt NODE: its state machine's memory is not what it was. */
  corrupt(cluster, [nodeId]) {
    cluster.node(Number(nodeId)).state += '?'
  },

  status(cluster, words) {
    const nodeIds = words.length > 0 ? words.map(Number) : [...cluster.nodes.keys()]
    for (const nodeId of nodeIds) cluster.lines.push(`${nodeId}: ${printStatus(cluster.node(nodeId))}`)
  },

  /** progress LEADER: what it knows of its followers. */
  progress(cluster, [nodeId]) {
    for (const [follower, progress] of cluster.node(Number(nodeId)).raft!.leading.followers) {
      const { state, match, next, inflight, isProbeSent } = progress
      const sent = isProbeSent
        ? ' waits'
        : inflight.length > 0
          ? ` inflight=${inflight.map(({ index }) => index).join(',')}`
          : ''
      const position =
        progress.transfer === null
          ? ''
          : ` snapshot=${progress.transfer.snapshot.index} position=${progress.transfer.position}`
      cluster.lines.push(`${follower}: ${state} match=${match} next=${next}${sent}${position}`)
    }
  },

  log(cluster, words) {
    for (const nodeId of words.length > 0 ? words.map(Number) : [...cluster.nodes.keys()]) {
      const { log } = cluster.node(nodeId).raft!
      cluster.lines.push(
        `${nodeId}: behind ${log.beforeIndex}/${log.beforeTerm}: ${printEntries(log.entries)} durable=${log.durable}`,
      )
    }
  },
}

function tick(cluster: Cluster, nodeId: number, count: number): void {
  const event = { type: 'tick', electionTicks: cluster.drawFor(nodeId) } as const
  for (let i = 0; i < count; i++) cluster.feed(nodeId, event)
}

function printStatus({ raft, state }: Node): string {
  if (raft === null) return 'down'
  const { role, term, leader, commit, handedOut, votedFor } = raft
  const members = printMembership(membershipOf(raft))
  const place = `last=${lastIndex(raft.log)} durable=${raft.log.durable} commit=${commit} applied=${handedOut}`
  return `${role} term=${term} vote=${votedFor ?? '-'} leader=${leader?.nodeId ?? '-'} ${place} members=[${members}] state=${JSON.stringify(state)}`
}

function change(cluster: Cluster, kind: MembershipChange['kind'], [nodeId, member, disk]: readonly string[]): void {
  const token = cluster.nextToken()
  cluster.feed(Number(nodeId), {
    type: 'changeMembership',
    token,
    change: { kind, member: memberOf(Number(member), disk) },
  })
}

function cut(cluster: Cluster, from: number, to: number): void {
  cluster.cut.add(`${from}>${to}`)
  cluster.network = cluster.network.filter(message => message.from.nodeId !== from || message.to.nodeId !== to)
}

function take(cluster: Cluster, [which = '*', ...rest]: readonly string[]): Message[] {
  const kind = rest.find(word => word !== 'first')
  const [from = '', to = ''] = which === '*' ? [] : which.split('->')
  let left = rest.includes('first') ? 1 : Number.POSITIVE_INFINITY
  return cluster.take(message => {
    const isIt =
      (from === '' || message.from.nodeId === Number(from)) &&
      (to === '' || message.to.nodeId === Number(to)) &&
      (kind === undefined || message.type === kind)
    return isIt && left-- > 0
  })
}

function parseSettings(words: readonly string[]): Partial<RaftSettings> {
  for (const word of words) {
    if (!(word.split('=')[0]! in defaultSettings)) throw new Error(`there is no setting ${word}`)
  }
  return Object.fromEntries(words.map(word => word.split('=')).map(([name, value]) => [name!, Number(value)]))
}

function parseMessage(text: string): Message {
  const parsed = JSON.parse(text, (key, value: unknown) => {
    if (key === 'from' || key === 'to') return parseMember(String(value))
    return key === 'data' ? Buffer.from(String(value)) : value
  })
  return parsed as Message
}

function parseMember(text: string): { nodeId: NodeId; diskId: DiskId } {
  const [nodeId, disk] = text.split(':')
  return memberOf(Number(nodeId), disk)
}
