/** Python: confluent-kafka, which brings its own librdkafka, and kafka-python, which is Python all through. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { AgentProgram, Folders, Language } from '../harness/language.ts'

const clients = [
  { client: 'confluent-kafka', version: '2.16.1', script: 'confluent.py' },
  { client: 'kafka-python', version: '3.0.12', script: 'kafka_python.py' },
] as const

/** Whether this Python can make an environment of its own: distributions leave parts of that out. */
const CHECK =
  'import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed")'

export const language: Language = {
  name: 'Python',
  tools: ['python3'],
  missing: () => {
    const checked = spawnSync('python3', ['-c', CHECK], { encoding: 'utf8' })
    return checked.status === 0 ? null : (checked.stderr.trim().split('\n').at(-1) ?? 'python3 does not run')
  },
  prepare: folders => [
    {
      command: ['python3', '-m', 'venv', environment(folders)],
      minutesMax: 1,
      makes: [join(environment(folders), 'pyvenv.cfg')],
    },
    {
      // Wheels only: nothing is compiled here. The report is the sign that it is done.
      command: [
        join(environment(folders), 'bin', 'pip'),
        'install',
        '--quiet',
        '--disable-pip-version-check',
        '--only-binary=:all:',
        `--cache-dir=${join(folders.cache, 'pip')}`,
        `--report=${join(folders.cache, 'installed.json')}`,
        '--requirement=requirements.txt',
      ],
      minutesMax: 3,
      makes: [join(folders.cache, 'installed.json')],
    },
  ],
  agents: folders => clients.map(each => agent(folders, each)),
}

const agent = (folders: Folders, { client, version, script }: (typeof clients)[number]): AgentProgram => ({
  client,
  version,
  command: [join(environment(folders), 'bin', 'python'), script],
  // Nothing is left beside the sources.
  env: { PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1' },
})

const environment = ({ cache }: Folders): string => join(cache, 'venv')
