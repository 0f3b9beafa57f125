/**
 * Groups that belong to the broker itself. They have offsets and never members: nobody joins them, and what they have committed
 * is kept however long it is not used.
 */

/** The place of each topic at which `GET` of the text protocol goes on. */
export const textGroupId = 'text'

const internal: ReadonlySet<string> = new Set([textGroupId])

export function isInternalGroup(groupId: string): boolean {
  return internal.has(groupId)
}
