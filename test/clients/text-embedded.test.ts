/** The text protocol of a broker inside a program: what lies behind the door may be taken away under its clients. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startBroker } from '../../src/index.ts'
import { TextClient } from '../support/text-client.ts'

const portOf = (address: string | null) => Number(address?.split(':').at(-1))

describe('an embedded broker', () => {
  it('speaks the text protocol, and begins anew with a reset while its connections stay', async () => {
    await using broker = await startBroker({ text: true })
    await using client = await TextClient.connect(portOf(broker.text))
    for (const command of ['REGISTER t', 'PUT t a', 'PUT t b']) assert.equal(await client.say(command), 'OK')
    assert.equal(await client.say('GET t'), 'OK a')
    const [said] = await Promise.all([client.say('PUT t c'), broker.reset()])
    assert.ok(said === 'OK' || said === 'ERR unknown topic t', said)
    assert.equal(await client.say('GET t'), 'ERR unknown topic t')
    for (const command of ['REGISTER t', 'PUT t x']) assert.equal(await client.say(command), 'OK')
    assert.deepEqual([await client.say('GET t'), await client.say('GET t')], ['OK x', 'EMPTY'])
  })

  it('keeps its doors apart from those of others', async () => {
    await using one = await startBroker({ text: true })
    await using other = await startBroker({ text: true })
    await using client = await TextClient.connect(portOf(one.text))
    await using elsewhere = await TextClient.connect(portOf(other.text))
    assert.equal(await client.say('REGISTER t'), 'OK')
    assert.equal(await elsewhere.say('STATE t'), 'ERR unknown topic t')
    assert.equal((await startBroker({ text: false }).then(each => each.close().then(() => each))).text, null)
  })
})
