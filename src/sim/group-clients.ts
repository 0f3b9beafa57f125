/** Groups at work: members that rebalance, commit, leave and fall silent; clients that commit without a group's protocol. */
import type { Prng } from '../base/prng.ts'
import type { JoinAnswer } from '../broker/groups/requests.ts'
import { type Committer, type GroupWorkload, noMember } from './group-workload.ts'
import type { Process } from './world.ts'

/** One member of a group, over as many processes and generations as there are. */
export async function groupMember(groups: GroupWorkload, prng: Prng, group: string, clientId: string): Promise<void> {
  let memberId = ''
  while (groups.isWanted) {
    const process = await groups.workload.admitted()
    const joined = await groups.join(process, group, memberId, clientId)
    if (joined?.error === 'MEMBER_ID_REQUIRED') {
      memberId = joined.memberId
      continue
    }
    if (joined?.error !== 'NONE') {
      // It did not learn that it had been given another id.
      if (joined?.error === 'UNKNOWN_MEMBER_ID' || joined?.error === 'FENCED_INSTANCE_ID') memberId = ''
      await groups.world.sleep(prng.between(1, 40))
      continue
    }
    memberId = joined.memberId
    const member = { memberId, generation: joined.generation, instanceId: groups.plan.isStatic ? clientId : null }
    const partitions = await takeAssignment(groups, process, group, member, joined)
    if (partitions === null) await groups.world.sleep(prng.between(1, 20))
    else await work(groups, prng, process, group, member, partitions)
    // A static one comes back under its name, and has forgotten its id.
    if (groups.plan.isStatic && prng.chance(0.3)) memberId = ''
    else if (process.alive && prng.chance(0.15)) {
      await groups.leave(process, group, memberId)
      memberId = ''
      await groups.world.sleep(prng.between(1, 300))
    }
  }
}

/** Null when the group goes on without this member, or again. */
async function takeAssignment(
  groups: GroupWorkload,
  process: Process,
  group: string,
  { generation, memberId, instanceId }: Committer,
  { members }: JoinAnswer,
): Promise<readonly number[] | null> {
  const shares = members.map((member, index) => {
    const all = Array.from({ length: groups.plan.partitions }, (_, partition) => partition)
    const share = all.filter(partition => partition % members.length === index)
    return { memberId: member.memberId, assignment: Buffer.from(JSON.stringify(share)) }
  })
  const names = { protocolType: 'consumer', protocol: 'range' }
  const request = { groupId: group, generation, memberId, instanceId, ...names, assignments: shares }
  const synced = await groups.sync(process, request)
  if (synced?.error !== 'NONE') return null
  const partitions: number[] = synced.assignment.length === 0 ? [] : JSON.parse(synced.assignment.toString())
  groups.world.record({ type: 'assigned', group, generation, member: instanceId ?? memberId, partitions })
  return partitions
}

/** Commits what it was given until the group rebalances, the process ends, or it has had enough. */
async function work(
  groups: GroupWorkload,
  prng: Prng,
  process: Process,
  group: string,
  member: Committer,
  partitions: readonly number[],
): Promise<void> {
  const { world, plan } = groups
  let isOut = false
  await groups.fetch(process, group)
  for (let rounds = prng.between(1, 40); rounds > 0 && !isOut && process.alive && groups.isWanted; rounds--) {
    if (!groups.workload.doorsOpen) return
    if (partitions.length > 0) {
      // Several at once, as a client does that does not wait.
      const commits = Array.from({ length: prng.chance(0.2) ? 3 : 1 }, () =>
        groups.commit(
          process,
          group,
          member,
          someOf(prng, partitions),
          'm'.repeat(prng.between(0, plan.metadataBytesMax)),
        ),
      )
      for (const error of await Promise.all(commits)) isOut ||= isOutOf(error)
    }
    if (prng.chance(0.1)) await groups.fetch(process, group)
    // Now and then it is silent for longer than its session lasts, and commits all the same.
    const isSilent = prng.chance(0.03)
    await world.sleep(isSilent ? plan.sessionMs * (0.8 + prng.float()) : plan.pauseMs * 2 * prng.float())
    if (!isSilent) isOut ||= isOutOf(await groups.heartbeat(process, group, member))
  }
}

function isOutOf(error: string | null): boolean {
  return error !== 'NONE' && error !== 'COORDINATOR_NOT_AVAILABLE' && error !== 'COORDINATOR_LOAD_IN_PROGRESS'
}

function someOf(prng: Prng, partitions: readonly number[]): number[] {
  const some = partitions.filter(() => prng.chance(0.7))
  return some.length > 0 ? some : [prng.pick(partitions)]
}

/** Commits, looks, and now and then deletes its group or one of its offsets; one request at a time. */
export async function simpleCommitter(groups: GroupWorkload, prng: Prng, group: string): Promise<void> {
  const { plan, world } = groups
  const partitions = Array.from({ length: plan.partitions }, (_, partition) => partition)
  while (groups.isWanted) {
    const process = await groups.workload.admitted()
    const metadata = 'm'.repeat(prng.between(0, plan.metadataBytesMax))
    await groups.commit(process, group, noMember, someOf(prng, partitions), metadata)
    if (prng.chance(0.2)) await groups.fetch(process, group)
    if (prng.chance(0.06)) {
      await groups.forget(process, group, prng.chance(0.5) ? null : prng.pick(partitions))
      if (process.alive) await groups.fetch(process, group)
    }
    await world.sleep(plan.pauseMs * 2 * prng.float())
  }
}

/** Deletes the topic that the groups consume, and makes it again. */
export async function topicReplacer(groups: GroupWorkload, prng: Prng): Promise<void> {
  while (groups.isWanted) {
    await groups.world.sleep(prng.between(50, 600))
    if (groups.isWanted) await groups.replaceTopic()
  }
}
