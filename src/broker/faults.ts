/** Which errors end the process, and which end only the request that met them. */
import { TidelogError } from '../base/errors.ts'
import { InvariantViolation } from '../base/invariant.ts'

/** After a broken invariant or a failed sync every further answer could be wrong. */
export function isFatal(error: unknown): boolean {
  return error instanceof InvariantViolation || (error instanceof TidelogError && error.code === 'DISK_FAILED')
}
