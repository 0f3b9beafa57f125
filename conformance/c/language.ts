/** C: a program over librdkafka, and kcat. Both are the distribution's (Debian: librdkafka-dev, libjansson-dev, kcat). */
import { existsSync } from 'node:fs'
import { findTool } from '../../test/support/tools.ts'
import type { Language } from '../harness/language.ts'

const headers = ['librdkafka/rdkafka.h', 'jansson.h']
const headerFolders = ['/usr/include', '/usr/local/include', '/opt/homebrew/include']

const lacks = (header: string) => !headerFolders.some(folder => existsSync(`${folder}/${header}`))

export const language: Language = {
  name: 'C',
  tools: ['gcc'],
  missing: () => {
    const missing = headers.filter(lacks)
    return missing.length === 0 ? null : `no ${missing.join(' and ')}`
  },
  prepare: ({ source, cache }) => [
    {
      command: [
        'gcc',
        '-std=gnu11',
        '-O2',
        '-Wall',
        '-Wextra',
        '-o',
        `${cache}/agent`,
        ...['agent', 'topics', 'produce', 'read', 'members'].map(name => `${source}/${name}.c`),
        '-lrdkafka',
        '-ljansson',
        '-lpthread',
      ],
      minutesMax: 2,
      makes: [`${cache}/agent`],
    },
  ],
  agents: ({ source, cache }) => [
    { client: 'librdkafka', version: null, command: [`${cache}/agent`] },
    ...(findTool('kcat') === null
      ? []
      : [{ client: 'kcat', version: null, command: [process.execPath, `${source}/kcat.ts`] as const }]),
  ],
}
