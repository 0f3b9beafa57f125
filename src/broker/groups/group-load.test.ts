import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { stepGroup } from './group.ts'
import { applyRecord } from './group-durable.ts'
import { expiryMs } from './group-expiry.ts'
import type { CommittedOffset, StoredGroup, StoredMember } from './group-record.ts'
import { type Group, groupDefaults, newGroup } from './group-state.ts'
import { subscription } from './testing/commands.ts'

const stored: StoredGroup = {
  protocolType: 'consumer',
  generation: 7,
  protocol: 'range',
  leader: 'b',
  stateSinceMs: -1,
  members: [memberNamed('a'), memberNamed('b')],
}

describe('a group of old or odd records', () => {
  it('takes the session for the rebalance timeout where there was none', () => {
    const group = load(stored)
    assert.deepEqual(
      Array.from(group.members.values(), ({ rebalanceMs }) => rebalanceMs),
      [9_000, 9_000],
    )
    assert.equal(group.leader, 'b')
    assert.equal(group.state, 'Stable')
  })

  it('has a leader among its members, whatever the record says', () => {
    assert.equal(load({ ...stored, leader: 'nobody' }).leader, 'a')
    assert.equal(load({ ...stored, leader: null }).leader, 'a')
  })

  it('counts from each commit where it does not say since when it is empty', () => {
    const group = load({ ...stored, protocol: null, leader: null, members: [] })
    const value = { commitMs: 5, expireMs: -1 } as CommittedOffset
    assert.equal(expiryMs(group, 't', value), 5 + groupDefaults.offsetsRetentionMs)
  })

  it('takes a record without a protocol type for a simple group', () => {
    const group = load({ ...stored, protocolType: '', protocol: null, leader: null, members: [] })
    assert.equal(group.protocolType, null)
  })
})

function memberNamed(memberId: string): StoredMember {
  return {
    memberId,
    instanceId: null,
    clientId: 'c',
    clientHost: '/10.0.0.1',
    rebalanceTimeoutMs: -1,
    sessionTimeoutMs: 9_000,
    subscription: subscription(['t']),
    assignment: Buffer.alloc(0),
  }
}

function load(value: StoredGroup): Group {
  const group = newGroup('g', groupDefaults, 0)
  applyRecord(group, { of: 'group', groupId: 'g', value })
  assert.deepEqual(stepGroup(group, { do: 'loaded', at: { monotonicMs: 0, nowMs: 0 } }), [])
  return group
}
