/**
 * IncrementalAlterConfigs: sets, resets, and adds to or takes from lists; every other override of a topic stays. What is
 * added to or taken from a list that has no override is added to or taken from its default.
 */
import { apis } from '../../wire/api-keys.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../wire/messages/incremental-alter-configs.ts'
import { answerChanges, type Change, failChanges, invalid, configOperations as operations } from '../config-changes.ts'
import type { ConfigRefusal } from '../config-resources.ts'
import { type BrokerConfigs, checkTopicConfigs, defaultOf, listItems, topicDefinition } from '../configs.ts'
import { handler } from '../handler.ts'

type AskedResource = IncrementalAlterConfigsRequest['resources'][number]
type AskedConfig = AskedResource['configs'][number]

export const incrementalAlterConfigs = handler({
  api: apis.incrementalAlterConfigs,

  handle: (
    { resources, validateOnly }: IncrementalAlterConfigsRequest,
    context,
  ): Promise<IncrementalAlterConfigsResponse> => answerChanges(resources, change, validateOnly, context),

  failed: ({ resources }: IncrementalAlterConfigsRequest, error): IncrementalAlterConfigsResponse =>
    failChanges(resources, error),
})

const change: Change<AskedResource> = ({ configs }, overrides, { parts }) => {
  const changed = new Map(overrides)
  for (const asked of configs) {
    if (asked.configOperation === operations.delete) {
      changed.delete(asked.name)
      continue
    }
    const value = newValue(asked, overrides, parts.configs)
    if (typeof value !== 'string') return value
    // Only what is changed is checked: what a newer version stored stays as it is.
    const checked = checkTopicConfigs([[asked.name, value]])
    if (checked.error !== null) return { error: 'INVALID_CONFIG', message: checked.error }
    for (const [name, text] of checked.configs) changed.set(name, text)
  }
  return changed
}

function newValue(
  { name, configOperation, value }: AskedConfig,
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfigs,
): string | ConfigRefusal {
  const shown = name.slice(0, 100)
  if (value === null) return invalid(`The config ${shown} has no value.`)
  if (configOperation === operations.set) return value
  const isAppend = configOperation === operations.append
  if (!isAppend && configOperation !== operations.subtract) return invalid(`There is no operation ${configOperation}.`)
  const definition = topicDefinition(name)
  if (definition !== undefined && definition.type !== 'list') {
    return {
      error: 'INVALID_CONFIG',
      message: `The config ${shown} is no list: nothing can be added to it or taken away.`,
    }
  }
  const items = listItems(overrides.get(name) ?? defaultOf(broker, name) ?? '')
  const named = listItems(value)
  return [...new Set(isAppend ? [...items, ...named] : items.filter(item => !named.includes(item)))].join(',')
}
