/** docs/configs.md is written by this test: with `REWRITE=1` from the tables of configs as they are, else compared with them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { brokerConfigTable } from '../src/broker/broker-config-table.ts'
import { type ConfigDefinition, type TopicConfigDefinition, topicConfigTable } from '../src/broker/config-table.ts'
import { root } from './support/source.ts'

const { REWRITE } = process.env
const path = join(root, 'docs', 'configs.md')

const intro = `# Configs

What can be set, and what tools are told. Names, defaults and ranges are Kafka's, but for \`tidelog.*\`, \`text.*\` and what is said here.

- A topic's configs are given when it is made, and altered with any tool of Kafka (\`kafka-configs\`, a client's admin).
- A broker's configs are given at its start: \`--set NAME=VALUE\`, the environment or a file. Those in the column "broker" below
  give topics their defaults.
- What has no effect here is read-only: its default is accepted, another value is refused with the reason.
- **Compacted topics (\`cleanup.policy=compact\`) keep everything for now**: records must have keys, and none is removed until log
  compaction exists.

(Written by \`test/config-docs.test.ts\` from the tables in \`src/broker\`; \`REWRITE=1\` writes it anew.)
`

function page(): string {
  const topics: readonly TopicConfigDefinition[] = topicConfigTable
  const brokers: readonly ConfigDefinition[] = brokerConfigTable
  return [
    intro,
    '## Topics\n',
    table(
      ['config', 'default', 'values', 'broker', 'what it does'],
      topics.map(row => [code(row.name), code(row.default), valuesOf(row), synonymsOf(row), effectOf(row)]),
    ),
    '## Brokers\n',
    table(
      ['config', 'default', 'values', 'what it does'],
      brokers.map(row => [code(row.name), code(row.default ?? ''), valuesOf(row), effectOf(row)]),
    ),
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return `${lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``
}

function valuesOf({ type, min, max, oneOf }: ConfigDefinition): string {
  if (oneOf !== undefined) return `${type === 'list' ? 'list of ' : ''}${oneOf.map(code).join(', ')}`
  if (min === undefined && max === undefined) return type
  const range = max === undefined ? `from ${min}` : `${min} to ${max}`
  return `${type}, ${range}`
}

function synonymsOf({ synonyms }: TopicConfigDefinition): string {
  return synonyms.map(({ name }) => code(name)).join(', ')
}

function effectOf({ doc, fixed }: ConfigDefinition): string {
  return fixed === undefined ? doc : `${doc} *Read-only: ${fixed}.*`
}

describe('docs/configs.md', () => {
  it('tells the configs as they are', () => {
    const expected = page()
    if (REWRITE === '1') writeFileSync(path, expected)
    assert.equal(readFileSync(path, 'utf8'), expected, 'REWRITE=1 writes it anew')
  })
})
