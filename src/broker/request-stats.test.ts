import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { apis } from '../wire/api-keys.ts'
import { kafkaErrors } from '../wire/kafka-errors.ts'
import { RequestStats } from './request-stats.ts'

describe('statistics of requests', () => {
  it('have the errors of answers, wherever in them they stand', () => {
    const stats = new RequestStats()
    const partition = (index: number, error: keyof typeof kafkaErrors) => ({ index, errorCode: kafkaErrors[error] })
    const partitionResponses = [partition(0, 'NONE'), partition(1, 'NOT_LEADER_OR_FOLLOWER')]
    const responses = [{ partitionResponses }, { partitionResponses: [partition(2, 'NOT_LEADER_OR_FOLLOWER')] }]
    stats.note(apis.produce, { responses }, 3)
    stats.note(apis.produce, null, 1)
    stats.note(apis.heartbeat, { errorCode: kafkaErrors.REBALANCE_IN_PROGRESS }, 2)
    stats.note(apis.describeConfigs, { results: null }, 2)
    const told = stats.all().map(({ api, ms, errors }) => [api, ms.count, ms.sum, [...errors]])
    assert.deepEqual(told, [
      [apis.describeConfigs.name, 1, 2, []],
      [apis.heartbeat.name, 1, 2, [['REBALANCE_IN_PROGRESS', 1]]],
      [apis.produce.name, 2, 4, [['NOT_LEADER_OR_FOLLOWER', 2]]],
    ])
  })
})
