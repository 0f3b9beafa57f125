/** Where things lie in the data directory. */
import type { TopicId } from '../base/ids.ts'

export const topicsFolder = 'topics'

export function folderOfPartition(topicId: TopicId, index: number): string {
  return `${topicsFolder}/${topicId}-${index}`
}

/** A segment's path without the ending. Two segments may share a base after a failure; the id tells them apart. */
export function segmentPath(folder: string, segment: { readonly id: number; readonly base: number }): string {
  return `${folder}/${String(segment.base).padStart(20, '0')}.${segment.id}`
}

/** Files that a partition's folder may hold and that are ours to remove with it. */
export function isSegmentFile(name: string): boolean {
  return /^\d{20}\.\d+\.(log|seal|seal\.tmp)$/.test(name)
}
