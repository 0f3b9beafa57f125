/** What must not be on the disk of a node that has had time to clean up. */
import { offsetsTopicName } from '../broker/groups/coordinator.ts'
import { consumedTopic } from './group-workload.ts'
import { textTopic } from './text-clients.ts'
import type { Workload } from './workload.ts'
import type { Process } from './world.ts'

/** Longer than the delays of deletion and two looks at retention. */
export const tidyMs = 4000

/** Where each partition's log starts, by the name of its folder. */
export function logStarts(workload: Workload, process: Process): ReadonlyMap<string, number> {
  const starts = new Map<string, number>()
  for (const partition of [...workload.partitions]) {
    const store = workload.store(process, partition)
    if (store !== null) starts.set(`${partition.topicId}-${partition.index}`, store.logStartOffset)
  }
  // The clients of groups and of the text protocol have topics of their own, whose deleted segments stay for the default of a minute.
  for (const name of [offsetsTopicName, consumedTopic, textTopic]) {
    for (const { topicId, index } of process.node.storage.topicByName(name)?.partitions ?? []) {
      starts.set(`${topicId}-${index}`, 0)
    }
  }
  return starts
}

/** Files of deleted topics, of segments wholly below a log start, and temporary ones; a sentence each. */
export function findLeftovers(starts: ReadonlyMap<string, number>, paths: readonly string[]): string[] {
  const sentences = paths.filter(path => path.endsWith('.tmp')).map(path => `${path} is left over`)
  const folders = Map.groupBy(
    paths.filter(path => path.startsWith('topics/')),
    path => path.split('/')[1] ?? '',
  )
  for (const [folder, files] of folders) {
    const start = starts.get(folder)
    if (start === undefined) sentences.push(`${folder} belongs to no topic and holds ${files.length} files`)
    else sentences.push(...oldSegments(files, start))
  }
  return sentences
}

function oldSegments(files: readonly string[], logStartOffset: number): string[] {
  const baseOf = (path: string) => Number(path.split('/').at(-1)?.slice(0, 20))
  const bases = [...new Set(files.map(baseOf))].sort((a, b) => a - b)
  const oldest = bases.filter(base => base <= logStartOffset).at(-1) ?? 0
  return files
    .filter(path => baseOf(path) < oldest)
    .map(path => `${path} lies wholly below the log start ${logStartOffset}`)
}
