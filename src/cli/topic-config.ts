/** `topic config`: shows the configs of a topic, or changes some and leaves the others as they are. */
import { ConfigResourceTypes, ConfigSources, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka'
import { exitCodes } from '../base/errors.ts'
import { type Cluster, withCluster } from './connection.ts'
import { attempt, CliError } from './failure.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { note, paint, show, tableOf } from './output.ts'

interface ConfigFlags extends BrokerFlags, OutputFlags {
  readonly addConfig?: readonly (readonly [string, string])[]
  readonly deleteConfig?: readonly string[]
}

/** `topic config -o json` is a list of these. */
interface ShownConfig {
  readonly name: string
  readonly value: string | null
  readonly source: 'topic' | 'broker' | 'default'
  readonly readOnly: boolean
}

export async function configureTopic(name: string, flags: ConfigFlags): Promise<void> {
  const { addConfig = [], deleteConfig = [] } = flags
  await withCluster(flags.brokers, async cluster => {
    await cluster.topic(name)
    const known = await attempt(`read the configs of topic ${name}`, () => configsOf(cluster, name))
    if (addConfig.length + deleteConfig.length === 0) return await showConfigs(known, flags)
    await refuseUnknown([...addConfig.map(([config]) => config), ...deleteConfig], known)
    await attempt(`change the configs of topic ${name}`, () =>
      cluster.admin.incrementalAlterConfigs({ resources: [changeOf(name, addConfig, deleteConfig)] }),
    )
    const changed = [
      ...addConfig.map(([config, value]) => `${config}=${value}`),
      ...deleteConfig.map(each => `${each} back to its default`),
    ]
    note(`topic ${name}: ${changed.join(', ')}`)
  })
}

function changeOf(name: string, added: readonly (readonly [string, string])[], deleted: readonly string[]) {
  const { SET, DELETE } = IncrementalAlterConfigOperationTypes
  return {
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName: name,
    configs: [
      ...added.map(([config, value]) => ({ name: config, configOperation: SET, value })),
      ...deleted.map(config => ({ name: config, configOperation: DELETE, value: null })),
    ],
  }
}

/** Before anything is changed; the broker would say so too, but not what was probably meant. */
async function refuseUnknown(names: readonly string[], known: readonly ShownConfig[]): Promise<void> {
  const { nearestName } = await import('../broker/nearest-name.ts')
  const all = known.map(({ name }) => name)
  for (const name of names) {
    if (all.includes(name)) continue
    const near = nearestName(name, all)
    const hint = near === null ? `'tidelog topic config' without changes lists them` : `did you mean ${near}?`
    throw new CliError(exitCodes.runtime, `there is no topic config '${name}'; ${hint}`)
  }
}

async function configsOf(cluster: Cluster, name: string): Promise<ShownConfig[]> {
  const [described] = await cluster.admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: name, configurationKeys: null }],
  })
  return (described?.configs ?? [])
    .map(config => ({
      name: config.name,
      value: config.value ?? null,
      source: sourceOf(config.configSource),
      readOnly: config.readOnly,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function sourceOf(source: number): ShownConfig['source'] {
  if (source === ConfigSources.DYNAMIC_TOPIC_CONFIG) return 'topic'
  return source === ConfigSources.DEFAULT_CONFIG ? 'default' : 'broker'
}

async function showConfigs(configs: readonly ShownConfig[], { output }: OutputFlags): Promise<void> {
  await show(output, {
    data: configs.map(config => ({ ...config })),
    names: () => configs.map(({ name }) => name),
    table: () =>
      tableOf<ShownConfig>(
        [
          { title: 'name', of: config => config.name },
          { title: 'value', of: config => config.value },
          { title: 'set by', of: config => config.source },
        ],
        configs,
      ).replaceAll(/^(\S+ .*\S {2,}topic)$/gm, line => paint('bold', line)),
  })
}
