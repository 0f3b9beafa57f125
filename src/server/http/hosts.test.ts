import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AllowedHosts } from './hosts.ts'

describe('allowed hosts', () => {
  const hosts = new AllowedHosts(['Broker.Example.', '0.0.0.0'])

  it('are names of loopback, of ours, and all addresses', () => {
    const ours = ['localhost', 'LOCALHOST:80', 'a.localhost:1', 'localhost.', 'broker.example', 'BROKER.example.:8080']
    for (const host of [...ours, '127.0.0.1', '192.0.2.1:8080', '[::1]', '[2001:db8::1]:8080']) {
      assert.ok(hosts.allows(host), host)
    }
    assert.ok(hosts.allows(undefined), 'a client without that header is no browser')
  })

  it('are nothing else', () => {
    const near = [
      'localhost.example',
      'xlocalhost',
      'broker.example.evil',
      'sub.broker.example',
      '127.0.0.1.nip.example',
    ]
    const odd = ['', ' ', 'localhost:', 'localhost:x', 'localhost:123456', '[::1', '::1', '[localhost]', 'a b']
    const tricky = [
      'localhost/evil.example',
      'evil.example#localhost',
      'x@localhost',
      'localhost@evil.example',
      '[::1]x',
    ]
    const numbers = ['127.1', '0x7f.0.0.1', '2130706433']
    for (const host of [...near, ...odd, ...tricky, ...numbers]) assert.ok(!hosts.allows(host), host)
  })

  it('may have pages that open WebSockets', () => {
    for (const origin of [undefined, 'http://localhost:3000', 'https://broker.example', 'http://[::1]:8080']) {
      assert.ok(hosts.allowsOrigin(origin), origin)
    }
    for (const origin of [
      'null',
      '',
      'file://',
      'http://evil.example',
      'localhost',
      'ftp://localhost',
      'http://a@localhost',
    ]) {
      assert.ok(!hosts.allowsOrigin(origin), origin)
    }
  })
})
