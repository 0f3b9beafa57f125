/** Committed offsets: written by nobody's member, read back with their metadata, and where members begin; then seek. */
import { eventually } from '../../test/support/waiting.ts'
import type { Agent } from '../harness/agent.ts'
import { same } from '../harness/expect.ts'
import { type Scenario, unique } from '../harness/stage.ts'

const count = 20
const waitMs = 20_000

export const commits: Scenario = {
  name: 'commit, seek',
  about:
    'offsets are committed and read back with their metadata, members begin at them and leave theirs, and seek goes back',
  limitMs: 90_000,
  async run(stage) {
    const agent = await stage.agent()
    const topic = await stage.topic('commits')
    const group = unique('commits')
    const records = Array.from({ length: count }, (_, i) => ({ partition: 0, value: `${i}` }))
    await (await stage.helper()).ask('produce', { topic, codec: 'none', acks: -1, idempotent: false, records })
    const commit = (offset: number, metadata = '') =>
      agent.ask('commit', { group, topic, partition: 0, offset, metadata })
    const committed = () => agent.ask('committed', { group, topic, partition: 0 })

    await stage.step('committed offsets of an unknown group', async () => {
      same('the offset', await committed(), { offset: -1, metadata: '' })
    })
    await stage.step('commit', async () => {
      await commit(5)
      same('the committed offset', (await committed()).offset, 5)
      await commit(3)
      same('the offset committed after it, which is lower', (await committed()).offset, 3)
    })
    await stage.step('metadata', async () => {
      await commit(7, 'up to here, ключ 🌊')
      same('what was committed', await committed(), { offset: 7, metadata: 'up to here, ключ 🌊' })
    })
    await stage.step('a member begins where it was committed', async () => {
      const from = await beginOf(committed)
      const { member } = await agent.ask('join', {
        group,
        topics: [topic],
        sessionTimeoutMs: 6_000,
        assignor: 'range',
        commit: false,
      })
      const got = await receive(agent, member, count - from)
      same('the offsets received', got, range(from, count))
      await stage.step('seek', async () => {
        await agent.ask('seek', { member, topic, partition: 0, offset: 2 })
        same('the offsets received after a seek', await receive(agent, member, count - 2), range(2, count))
      })
      await agent.ask('leave', { member })
      await stage.step('what a member leaves behind', async () => {
        same('the committed offset', (await committed()).offset, count)
      })
    })
  },
}

/** Where a client cannot commit from outside, its members begin at the start. */
async function beginOf(committed: () => Promise<{ offset: number }>): Promise<number> {
  const { offset } = await committed().catch(() => ({ offset: -1 }))
  return Math.max(offset, 0)
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

async function receive(agent: Agent, member: string, due: number): Promise<number[]> {
  const offsets: number[] = []
  await eventually(
    waitMs,
    `that the member receives ${due} records`,
    async () => {
      const { records } = await agent.ask('received', { member })
      offsets.push(...records.map(({ offset }) => offset))
      return offsets.length >= due
    },
    100,
  )
  return offsets
}
