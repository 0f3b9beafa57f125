/**
 * Members of different clients in one group. They come and go until the group has rebalanced many times over, while records
 * flow: each must be received by somebody, and every partition must find one owner again.
 */
import type { Agent } from '../harness/agent.ts'
import { type Client, type Run, type Stage, unique } from '../harness/stage.ts'
import { Crowd, type Member } from './crowd.ts'
import { Feed } from './feed.ts'

/** A member that misses a rebalance is waited for as long as any member's rebalance timeout, which is 60 s with some libraries. */
const settleMs = 75_000

export interface MixedGroup {
  readonly name: string
  readonly clients: readonly Client[]
  readonly perClient: number
  /** So many times somebody leaves or comes. */
  readonly rebalances: number
}

/**
 * kafkajs and the newest Java client, three members each, many rebalances; and everybody in one group. The one or the other is
 * not there where only one client would be in it twice.
 */
export function mixedGroups({ clients, helper }: Run, rebalances: number): MixedGroup[] {
  const java = clients.find(({ program }) => program.client === 'kafka-clients')
  const pair = java === undefined ? [helper] : [helper, java]
  const groups = [
    { name: `one group, three members of each, ${rebalances} rebalances`, clients: pair, perClient: 3, rebalances },
  ]
  if (clients.length < 2) return groups
  const everybody = { clients, perClient: 1, rebalances: 2 * clients.length }
  return [...groups, { name: `one group, a member of each, ${everybody.rebalances} rebalances`, ...everybody }]
}

export async function playMixedGroup(stage: Stage, { clients, perClient, rebalances }: MixedGroup): Promise<void> {
  const feed = await Feed.open(stage, 'mixed', perClient * Math.max(2, clients.length))
  const crowd = new Crowd(unique('mixed'), feed.topic, feed.partitions)
  const agents: Agent[] = []
  for (const client of clients) agents.push(await stage.another(client))
  await feed.more()
  for (let i = 0; i < perClient; i++) {
    for (const agent of agents) await crowd.join(agent, { commit: true })
  }
  await crowd.settle(settleMs)

  for (let done = 0; done < rebalances; done += 2) {
    stage.at = `rebalance ${done + 1} of ${rebalances}`
    // Each client in turn, and of its members the oldest: so that leaders leave, too.
    const agent = agents[(done / 2) % agents.length]!
    const leaver = crowd.members.find(member => member.agent === agent) as Member
    await crowd.leave(leaver)
    await feed.more()
    await crowd.settle(settleMs)
    await crowd.join(agent, { commit: true })
    await feed.more()
    await crowd.settle(settleMs)
    await crowd.collect()
  }
  stage.at = 'the last records'
  await crowd.receiveAll(feed.ends, settleMs)
  for (const member of [...crowd.members]) await crowd.leave(member)
}
