import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { addressText, kafkaHost, parseAddress, plainHost } from './address.ts'

describe('an address', () => {
  it('is read as it is written', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        assert.deepEqual(parseAddress(addressText({ host, port })), { host, port })
      }),
    )
  })

  it('is nothing else', () => {
    for (const text of [
      '',
      'host',
      ':1',
      'host:',
      'host:0',
      'host:65536',
      'a b:1',
      '[host]:1',
      '::1:1',
      'a/b:1',
      'h:1x',
    ]) {
      assert.equal(parseAddress(text), null, text)
    }
  })

  it('of IPv4 within IPv6 is told as IPv4', () => {
    assert.equal(plainHost('::ffff:192.0.2.7'), '192.0.2.7')
    assert.equal(plainHost('::1'), '::1')
    assert.equal(plainHost('::ffff:1'), '::ffff:1')
  })

  it('is told as Java prints it', () => {
    assert.equal(kafkaHost('127.0.0.1'), '/127.0.0.1')
    assert.equal(kafkaHost('::1'), '/0:0:0:0:0:0:0:1')
    assert.equal(kafkaHost('::'), '/0:0:0:0:0:0:0:0')
    assert.equal(kafkaHost('2001:db8::5:6'), '/2001:db8:0:0:0:0:5:6')
    assert.equal(kafkaHost('1:2:3:4:5:6:7:8'), '/1:2:3:4:5:6:7:8')
    assert.equal(kafkaHost('fe80::2%eth0'), '/fe80:0:0:0:0:0:0:2%eth0')
    assert.equal(kafkaHost('unknown'), '/unknown')
  })
})
