/** A group of three: they come one by one, one leaves, one is killed. All records are received, and partitions always find an owner. */
import { holds } from '../harness/expect.ts'
import { type Scenario, type Stage, unique } from '../harness/stage.ts'
import { Crowd } from './crowd.ts'
import { Feed } from './feed.ts'

const partitions = 6
const settleMs = 20_000

export const threeMembers: Scenario = {
  name: 'group',
  about:
    'three members join one by one, one leaves, one is killed: every record is received, and every partition has one owner',
  limitMs: 170_000,
  async run(stage) {
    const feed = await Feed.open(stage, 'group', partitions)
    const crowd = new Crowd(unique('group'), feed.topic, partitions)
    const first = await stage.agent()
    const second = await stage.another()

    await feed.more()
    const leaver = await crowd.join(first, { commit: true })
    for (const agent of [first, second]) {
      await crowd.settle(settleMs)
      await feed.more()
      await crowd.receiveAll(feed.ends, settleMs)
      await crowd.join(agent, { commit: true })
    }
    await crowd.settle(settleMs)
    await feed.more()
    await crowd.receiveAll(feed.ends, settleMs)

    stage.at = 'one leaves'
    await crowd.leave(leaver)
    await feed.more()
    await crowd.settle(settleMs)
    await crowd.receiveAll(feed.ends, settleMs)

    stage.at = 'one is killed'
    await second.kill()
    for (const member of [...crowd.members]) if (member.agent === second) crowd.forget(member)
    await feed.more()
    await crowd.settle(settleMs)
    await crowd.receiveAll(feed.ends, settleMs)
    for (const member of [...crowd.members]) await crowd.leave(member)

    for (const assignor of ['roundrobin', 'cooperative-sticky'] as const) {
      await stage.step(`assignor ${assignor}`, () => comesAndGoes(stage, assignor))
    }
    await stage.step('a static member', () => comesBack(stage))
  },
}

async function comesAndGoes(stage: Stage, assignor: 'roundrobin' | 'cooperative-sticky'): Promise<void> {
  const feed = await Feed.open(stage, assignor, partitions)
  const crowd = new Crowd(unique(assignor), feed.topic, partitions)
  const agent = await stage.agent()
  await feed.more()
  await crowd.join(agent, { commit: true, assignor })
  const leaver = await crowd.join(agent, { commit: true, assignor })
  await crowd.settle(settleMs)
  await feed.more()
  await crowd.receiveAll(feed.ends, settleMs)
  await crowd.leave(leaver)
  await feed.more()
  await crowd.settle(settleMs)
  await crowd.receiveAll(feed.ends, settleMs)
  for (const member of [...crowd.members]) await crowd.leave(member)
}

/** A static member that dies and comes back under its name within its session gets what it had, without waiting for the session to end. */
async function comesBack(stage: Stage): Promise<void> {
  const feed = await Feed.open(stage, 'static', partitions)
  const crowd = new Crowd(unique('static'), feed.topic, partitions)
  const options = { commit: true, sessionTimeoutMs: 45_000 }
  const stays = await stage.agent()
  const dies = await stage.another()
  await crowd.join(stays, { ...options, instanceId: 'stays' })
  const dead = await crowd.join(dies, { ...options, instanceId: 'comes-back' })
  await crowd.settle(settleMs)
  await dies.kill()
  crowd.forget(dead)
  const startMs = performance.now()
  await crowd.join(await stage.another(), { ...options, instanceId: 'comes-back' })
  await crowd.settle(settleMs)
  holds(performance.now() - startMs < settleMs, 'the session of the dead member had to end first')
  await feed.more()
  await crowd.receiveAll(feed.ends, settleMs)
  for (const member of [...crowd.members]) await crowd.leave(member)
}
