/**
 * AlterConfigs: what is given takes the place of all overrides of a topic; what is not named falls back to its default. (Two
 * clients that read, change and write back undo each other's changes: IncrementalAlterConfigs is for that.)
 */
import { apis } from '../../wire/api-keys.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from '../../wire/messages/alter-configs.ts'
import { type AskedChange, answerChanges, type Change, failChanges, invalid } from '../config-changes.ts'
import { checkTopicConfigs } from '../configs.ts'
import { handler } from '../handler.ts'

export const alterConfigs = handler({
  api: apis.alterConfigs,

  handle: ({ resources, validateOnly }: AlterConfigsRequest, context): Promise<AlterConfigsResponse> =>
    answerChanges(resources, replace, validateOnly, context),

  failed: ({ resources }: AlterConfigsRequest, error): AlterConfigsResponse => failChanges(resources, error),
})

const replace: Change<AskedChange> = ({ configs }) => {
  const empty = configs.find(({ value }) => value === null)
  if (empty !== undefined) return invalid(`The config ${empty.name.slice(0, 100)} has no value.`)
  const checked = checkTopicConfigs(configs.map(({ name, value }) => [name, value]))
  return checked.error === null ? checked.configs : { error: 'INVALID_CONFIG', message: checked.error }
}
