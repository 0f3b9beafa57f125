/**
 * docs/cli.md is true: it has the help of every command as it is. `REWRITE=1` puts it there anew; what changed is to be
 * looked at, as it is what people read.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Command } from 'commander'
import { exitCodes } from '../src/base/errors.ts'
import { tokens } from '../src/cli/format.ts'
import { fields } from '../src/cli/template.ts'
import { verbs } from '../src/cli/verbs.ts'
import { root } from './support/source.ts'

const path = join(root, 'docs/cli.md')
const columns = 110
const { REWRITE } = process.env
const isRewriting = REWRITE === '1'

/** Every command that does something, by what one types for it. */
async function commands(): Promise<Map<string, Command>> {
  const program = new Command('tidelog').configureHelp({ helpWidth: columns })
  for (const { load } of verbs) (await load()).define(program)
  const found = new Map<string, Command>()
  const visit = (words: string, command: Command) => {
    if (command.commands.length === 0) found.set(words, command)
    for (const each of command.commands) visit(`${words} ${each.name()}`, each)
  }
  for (const command of program.commands) visit(`tidelog ${command.name()}`, command)
  return found
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut: part => {
      text += part
    },
  })
  command.outputHelp()
  return text.trimEnd()
}

/** The block of a command's help: it is told by its first line. */
const blockOf = (words: string) => new RegExp(`\`\`\`text\nUsage: ${words}(?= |\n)[^\`]*\`\`\``)

describe('docs/cli.md', () => {
  it('has the help of every command', async () => {
    let docs = readFileSync(path, 'utf8')
    for (const [words, command] of await commands()) {
      const block = `\`\`\`text\n${helpOf(command)}\n\`\`\``
      assert.match(docs, blockOf(words), `docs/cli.md has no help of ${words}; put an empty one there: Usage: ${words}`)
      if (isRewriting) docs = docs.replace(blockOf(words), () => block)
      else assert.equal(blockOf(words).exec(docs)?.[0], block, 'REWRITE=1 puts it there anew')
    }
    if (isRewriting) writeFileSync(path, docs)
  })

  it('has every exit code, token and template', () => {
    const docs = readFileSync(path, 'utf8')
    for (const code of Object.values(exitCodes))
      assert.match(docs, new RegExp(`^\\| ${code} \\|`, 'm'), `exit code ${code}`)
    for (const token of Object.keys(tokens)) assert.ok(docs.includes(`%${token}`), `%${token}`)
    for (const field of Object.keys(fields)) assert.ok(docs.includes(field), field)
  })
})
