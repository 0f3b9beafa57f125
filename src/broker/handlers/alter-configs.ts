/**
 * AlterConfigs: what is given takes the place of all overrides of a topic; what is not named falls back to its default. (Two
 * clients that read, change and write back undo each other's changes: IncrementalAlterConfigs is for that.)
 */
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from '../../wire/messages/alter-configs.ts'
import { type AskedChange, type Change, changeConfigs, invalid } from '../config-changes.ts'
import { checkTopicConfigs } from '../configs.ts'
import { handler } from '../handler.ts'

export const alterConfigs = handler({
  api: apis.alterConfigs,

  async handle({ resources, validateOnly }: AlterConfigsRequest, context): Promise<AlterConfigsResponse> {
    const outcomes = await changeConfigs(resources, replace, validateOnly, context)
    return {
      responses: outcomes.map(({ error, message, ...resource }) => ({
        ...resource,
        errorCode: kafkaErrors[error],
        errorMessage: message,
      })),
    }
  },

  failed: ({ resources }: AlterConfigsRequest, error): AlterConfigsResponse => ({
    responses: resources.map(({ resourceType, resourceName }) => ({
      resourceType,
      resourceName,
      errorCode: kafkaErrors[error],
      errorMessage: null,
    })),
  }),
})

const replace: Change<AskedChange> = ({ configs }) => {
  const empty = configs.find(({ value }) => value === null)
  if (empty !== undefined) return invalid(`The config ${empty.name.slice(0, 100)} has no value.`)
  const checked = checkTopicConfigs(configs.map(({ name, value }) => [name, value]))
  return checked.error === null ? checked.configs : { error: 'INVALID_CONFIG', message: checked.error }
}
