/**
 * Members of different clients in one group. They come and go until the group has rebalanced many times over, while records
 * flow: each must be received by somebody.
 */
import type { Agent } from '../harness/agent.ts'
import { type Client, type Run, type Stage, unique } from '../harness/stage.ts'
import { Crowd, type Member } from './crowd.ts'
import { Feed, feedPartitions } from './three-members.ts'

const perClient = 3
const settleMs = 30_000

/** Three members of each client; `rebalances` times one leaves or one comes. */
export async function mixedGroup(stage: Stage, clients: readonly Client[], rebalances: number): Promise<void> {
  const feed = await Feed.open(stage, 'mixed')
  const crowd = new Crowd(unique('mixed'), feed.topic, feedPartitions)
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

/** The clients that a mixed group is made of: kafkajs, with the newest Java client where there is one. */
export function mixedClients(run: Run): readonly Client[] {
  const java = run.clients.filter(({ program }) => program.client === 'kafka-clients').at(0)
  return java === undefined ? [run.helper] : [run.helper, java]
}
