/** The harness of the conformance programs, without any: what agents may do to it, and what it makes of the results. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Expected, reasonFor } from '../conformance/expected.ts'
import { Agent, AgentFailure, KafkaError, Unsupported } from '../conformance/harness/agent.ts'
import type { AgentProgram } from '../conformance/harness/language.ts'
import { parseAnswer } from '../conformance/harness/protocol.ts'
import { differencesOf, markdownOf, type Outcome, type Results, withTable } from '../conformance/harness/table.ts'

/** An agent whose answers depend on the topic's name. */
const fake: AgentProgram = {
  client: 'fake',
  version: '1',
  command: [
    process.execPath,
    '-e',
    `require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
      const { id, topic } = JSON.parse(line)
      const say = answer => console.log(JSON.stringify({ id, ...answer }))
      if (topic === undefined) say({ ok: { client: 'fake', version: '1' } })
      else if (topic === 'fine') say({ ok: { partitions: 3 } })
      else if (topic === 'refused') say({ error: { code: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'where?' } })
      else if (topic === 'unable') say({ unsupported: 'it is a fake' })
      else if (topic === 'half') say({ ok: {} })
      else if (topic === 'garbage') console.log('partitions: 3')
      else if (topic === 'death') { console.error('out of luck'); process.exit(3) }
    })`,
  ],
}

const describeTopic = (agent: Agent, topic: string) => agent.ask('describeTopic', { topic })

describe('an agent', () => {
  it('answers, refuses and is unable, each told apart', async () => {
    await using agent = await Agent.start(fake, '.', '127.0.0.1:9')
    assert.equal(agent.version, '1')
    assert.equal((await describeTopic(agent, 'fine')).partitions, 3)
    const isRefusal = (error: unknown) => error instanceof KafkaError && error.code === 'UNKNOWN_TOPIC_OR_PARTITION'
    await assert.rejects(describeTopic(agent, 'refused'), isRefusal)
    await assert.rejects(describeTopic(agent, 'unable'), Unsupported)
    assert.equal((await describeTopic(agent, 'fine')).partitions, 3)
    await agent.stop()
  })

  for (const [topic, words] of [
    ['half', /answered describeTopic without partitions/],
    ['garbage', /wrote what is no JSON: partitions: 3/],
    ['death', /ended \(exit code 3\); it said last:\nout of luck/],
  ] as const) {
    it(`that gives ${topic} fails that request and all after it`, async () => {
      await using agent = await Agent.start(fake, '.', '127.0.0.1:9')
      await assert.rejects(
        describeTopic(agent, topic),
        error => error instanceof AgentFailure && words.test(error.message),
      )
      await assert.rejects(describeTopic(agent, 'fine'), words)
      assert.ok(agent.isOver)
    })
  }

  it('that hangs is given up on', async () => {
    await using agent = await Agent.start(fake, '.', '127.0.0.1:9')
    const asked = { topic: 'nothing', partition: 0, from: 0, count: 1, timeoutMs: -9_900 }
    await assert.rejects(agent.ask('consume', asked), /had no answer to consume within 0.1 s/)
  })

  it('that cannot be started says so', async () => {
    const missing: AgentProgram = { ...fake, command: ['/nowhere/agent'] }
    await assert.rejects(Agent.start(missing, '.', '127.0.0.1:9'), /could not be started/)
  })
})

it('an answer is for its request', () => {
  assert.match(String(parseAnswer('{"id":4,"ok":{}}', 5, 'createTopic')), /answered request 4 where 5/)
  assert.deepEqual(parseAnswer('{"id":5,"ok":{}}', 5, 'createTopic'), { kind: 'ok', ok: {} })
  assert.match(String(parseAnswer('{"id":5}', 5, 'createTopic')), /neither ok, error nor unsupported/)
})

const pass: Outcome = { kind: 'pass', without: [] }
const results = (outcomes: Readonly<Record<string, Outcome>>): Results => ({
  broker: 'tidelog 1',
  columns: [
    { name: 'a', about: 'first' },
    { name: 'b', about: 'second' },
  ],
  rows: [{ language: 'L', client: 'one', version: '1', outcomes: new Map(Object.entries(outcomes)) }],
  extras: [{ program: 'tool 2', name: 'works', outcome: pass }],
  leftOut: [{ language: 'M', why: 'm not installed' }],
})

describe('the table', () => {
  it('has a row for each client, and numbered remarks', () => {
    const lack = { why: 'has no headers' }
    const without: Outcome = {
      kind: 'pass',
      without: [
        { step: 'x', ...lack },
        { step: 'y', ...lack },
      ],
    }
    const lines = markdownOf(results({ a: without, b: { kind: 'n/a', why: 'too | old' } })).split('\n')
    assert.ok(lines.includes('| client | a | b |'), lines.join('\n'))
    assert.ok(lines.includes('| one 1 | ✓ <sup>1</sup> | – <sup>2</sup> |'))
    assert.ok(lines.includes('1. one, without x, y: has no headers'))
    assert.ok(lines.includes('2. one: too | old'))
    assert.ok(lines.includes('| tool 2 | works | ✓ |'))
    assert.ok(lines.includes('Not run: M (m not installed).'))
  })

  it('counts differences as such, known ones not', () => {
    const known: Outcome = { kind: 'known', what: 'x is 1, not 2.', why: 'Because.' }
    assert.deepEqual(differencesOf(results({ a: pass, b: known })), [])
    const differs: Outcome = { kind: 'differs', what: 'x is 1, not 2' }
    assert.deepEqual(differencesOf(results({ a: differs, b: differs })), ['one 1, a and 1 more: x is 1, not 2'])
    const failed = {
      ...results({ a: pass }),
      leftOut: [{ language: 'M', why: 'no compiler', isFailure: true as const }],
    }
    assert.deepEqual(differencesOf(failed), ['M: no compiler'])
  })

  it('replaces what stands between the markers of a page, again and again', () => {
    const page =
      '# x\n<!-- conformance: generated by `npm run conformance -- --readme` -->\nold\n<!-- conformance: end -->\ny\n'
    const once = withTable(page, 'new\n')
    assert.match(once, /^# x\n<!-- .*-->\n\nnew\n\n<!-- conformance: end -->\ny\n$/)
    assert.equal(withTable(once, 'new\n'), once)
    assert.throws(() => withTable('# x', 'new'), /there are no lines/)
  })
})

it('a known difference is that of its client, version, scenario, broker and words only', () => {
  const list: Expected[] = [
    { client: 'one', version: '1', scenario: 'a', against: 'tidelog', matches: /x is 1/, why: 'Because.' },
  ]
  const found = { client: 'one', version: '1', scenario: 'a', against: 'tidelog', what: 'x is 1, not 2' }
  assert.equal(reasonFor(found, list), 'Because.')
  for (const other of [{ client: 'two' }, { version: '2' }, { scenario: 'b' }, { against: 'running' }, { what: 'y' }]) {
    assert.equal(reasonFor({ ...found, ...other }, list), null)
  }
})
