/** JavaScript: both libraries are installed with the project itself, in the versions that package.json pins. */
import { readFileSync } from 'node:fs'
import type { AgentProgram, Language } from '../harness/language.ts'

const { devDependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  devDependencies: Readonly<Record<string, string>>
}

const agent = (client: string, program: string, source: string): AgentProgram => ({
  client,
  version: devDependencies[client] ?? null,
  command: [process.execPath, `${source}/${program}`],
})

export const language: Language = {
  name: 'JavaScript',
  tools: [],
  prepare: () => [],
  agents: ({ source }) => [
    agent('kafkajs', 'kafkajs.ts', source),
    agent('@platformatic/kafka', 'platformatic.ts', source),
  ],
}
