/** Go: franz-go and sarama, which share nothing but what the harness wants of them (`agent/`). */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { AgentProgram, Folders, Language } from '../harness/language.ts'

/** The libraries' own floor; a Go below it would fetch a whole toolchain of another version. */
const GO_MINOR_MIN = 26

const clients = [
  { client: 'franz-go', version: '1.22.2' },
  { client: 'sarama', version: '1.61.1' },
] as const

export const language: Language = {
  name: 'Go',
  tools: ['go'],
  missing: () => {
    const version = execFileSync('go', ['env', 'GOVERSION'], {
      encoding: 'utf8',
      env: localToolchain(process.env),
    }).trim()
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? []
    const isNewEnough = Number(major) > 1 || (major === '1' && Number(minor) >= GO_MINOR_MIN)
    return isNewEnough ? null : `Go 1.${GO_MINOR_MIN} or newer is needed, ${version} is here`
  },
  prepare: folders => [
    {
      // Without symbols for debuggers: two thirds of the time of linking.
      command: ['go', 'build', '-ldflags=-s -w', '-trimpath', '-o', `${folders.cache}/`, './...'],
      env: localToolchain({
        GOMODCACHE: join(folders.cache, 'modules'),
        GOCACHE: join(folders.cache, 'build'),
        // So that the cache can be removed like any folder.
        GOFLAGS: '-modcacherw -mod=readonly -buildvcs=false',
      }),
      minutesMax: 4,
      makes: clients.map(each => program(folders, each.client)),
    },
  ],
  agents: folders => clients.map(each => agent(folders, each)),
}

const agent = (folders: Folders, { client, version }: (typeof clients)[number]): AgentProgram => ({
  client,
  version,
  command: [program(folders, client)],
})

const program = ({ cache }: Folders, client: string): string => join(cache, client)

function localToolchain<E extends Readonly<Record<string, string | undefined>>>(env: E): E & { GOTOOLCHAIN: string } {
  return { ...env, GOTOOLCHAIN: 'local' }
}
