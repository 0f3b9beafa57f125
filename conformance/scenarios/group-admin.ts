/** Groups as an administrator sees them: described, listed, deleted, and not while somebody is in them. */
import { eventually } from '../../test/support/waiting.ts'
import { type Agent, KafkaError } from '../harness/agent.ts'
import { Difference, holds, refused, same } from '../harness/expect.ts'
import { type Scenario, unique } from '../harness/stage.ts'
import { Crowd } from './crowd.ts'
import { Feed } from './feed.ts'

const partitions = 4

export const groupAdmin: Scenario = {
  name: 'group admin',
  about: 'a group is described, listed and deleted; one with members is not deleted, one that is not there is unknown',
  limitMs: 90_000,
  async run(stage) {
    const agent = await stage.agent()
    const feed = await Feed.open(stage, 'admin', partitions)
    const group = unique('admin')
    const describe = () => agent.ask('describeGroup', { group })

    await stage.step('describing a group that is not there', () => isUnknown(agent, unique('never')))
    const crowd = new Crowd(group, feed.topic, partitions)
    await feed.more()
    await crowd.join(agent, { commit: true })
    await crowd.join(agent, { commit: true })
    await crowd.settle(20_000)
    await crowd.receiveAll(feed.ends, 20_000)

    await stage.step('describing a group with members', async () => {
      same('the group', await describe(), { state: 'Stable', members: 2 })
    })
    await stage.step('listing groups', async () => {
      holds((await agent.ask('listGroups', {})).groups.includes(group), 'the group is not in the list')
    })
    await stage.step('deleting a group with members', async () => {
      await refused('deleting a group with members', 'NON_EMPTY_GROUP', agent.ask('deleteGroup', { group }))
    })
    for (const member of [...crowd.members]) await crowd.leave(member)

    await stage.step('describing a group that everybody left', async () => {
      await eventually(10_000, 'that the group is empty', async () => (await describe()).state === 'Empty', 200)
      same('the group', await describe(), { state: 'Empty', members: 0 })
    })
    await stage.step('deleting an empty group', async () => {
      await agent.ask('deleteGroup', { group })
      await stage.step('the list without it', async () => {
        holds(!(await agent.ask('listGroups', {})).groups.includes(group), 'the group is still in the list')
      })
      await isUnknown(agent, group)
      await refused('deleting it again', 'GROUP_ID_NOT_FOUND', agent.ask('deleteGroup', { group }))
    })
  },
}

/** Dead or not found: both are Kafka's way, by version. */
async function isUnknown(agent: Agent, group: string): Promise<void> {
  try {
    const { state, members } = await agent.ask('describeGroup', { group })
    if (state !== 'Dead' || members !== 0)
      throw new Difference(`a group that is not there is ${state} with ${members} members`)
  } catch (error) {
    if (!(error instanceof KafkaError) || error.code !== 'GROUP_ID_NOT_FOUND') throw error
  }
}
