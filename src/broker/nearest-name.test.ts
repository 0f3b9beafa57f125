import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestName } from './nearest-name.ts'

const names = ['num.partitions', 'log.retention.ms', 'log.retention.hours', 'port']

test('the nearest name is found across a slip of the fingers', () => {
  assert.equal(nearestName('num.partition', names), 'num.partitions')
  assert.equal(nearestName('log.retentoin.ms', names), 'log.retention.ms')
  assert.equal(nearestName('LOG.RETENTION.HOUR', names), 'log.retention.hours')
  assert.equal(nearestName('prot', names), 'port')
})

test('nothing is suggested where nothing is near', () => {
  assert.equal(nearestName('zookeeper.connect', names), null)
  assert.equal(nearestName('x', []), null)
})
