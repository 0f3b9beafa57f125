/** The verbs besides `start`: what the help lists of them, and where each is when it is asked for. */
import type { Command } from 'commander'

export interface Verb {
  readonly name: string
  readonly summary: string
  load(): Promise<{ define(program: Command): void }>
}

export const verbs: readonly Verb[] = [
  {
    name: 'topic',
    summary: 'List, create, describe, configure, trim and delete topics.',
    load: () => import('./topic.ts'),
  },
  { name: 'produce', summary: 'Send lines as records.', load: () => import('./produce.ts') },
  { name: 'consume', summary: 'Print records.', load: () => import('./consume.ts') },
  { name: 'group', summary: 'List, describe, move and delete consumer groups.', load: () => import('./group.ts') },
  { name: 'inspect', summary: 'Show and check a file of a data directory.', load: () => import('./inspect.ts') },
  { name: 'bench', summary: 'Measure a broker.', load: () => import('./bench.ts') },
  { name: 'health', summary: 'Ask a broker whether it is ready.', load: () => import('./health.ts') },
]
