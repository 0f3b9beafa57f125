/**
 * Configs as tools are told of them: every one with its value, where that comes from, and what stands behind it. The broker's
 * own are set at its start, so that none of them can be altered; of a topic's those can that have an effect.
 */
import { type ConfigDefinition, type ConfigType, type Synonym, topicConfigTable } from './config-table.ts'
import { type BrokerConfigs, brokerDefinitionList } from './configs.ts'

/** Where a value comes from, by Kafka's numbers. */
export const configSources = { topic: 1, broker: 4, default: 5 } as const
export type ConfigSource = (typeof configSources)[keyof typeof configSources]

const configTypes = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
} as const satisfies Record<ConfigType, number>

export interface DescribedConfig {
  readonly name: string
  /** Null for a config that has no value of its own, as log.retention.ms where only log.retention.hours has one. */
  readonly value: string | null
  readonly source: ConfigSource
  readonly readOnly: boolean
  readonly typeCode: number
  readonly doc: string
  /** Everything that gives it a value, the winner first. */
  readonly synonyms: readonly DescribedSynonym[]
}

export interface DescribedSynonym {
  readonly name: string
  readonly value: string
  readonly source: ConfigSource
}

/** Every config of a topic, in order of name. */
export function describeTopicConfigs(broker: BrokerConfigs, overrides: ReadonlyMap<string, string>): DescribedConfig[] {
  return topicConfigTable.map((row): DescribedConfig => {
    const { value, source } = broker.topicDefaults.get(row.name)!
    const inherited = { value, source: configSources[source] }
    const override = overrides.get(row.name)
    const own: DescribedSynonym[] =
      override === undefined ? [] : [{ name: row.name, value: override, source: configSources.topic }]
    return {
      ...factsOf(row),
      readOnly: 'fixed' in row,
      ...(own[0] ?? inherited),
      name: row.name,
      synonyms: [...own, ...synonymsOf(broker.given, row.synonyms)],
    }
  })
}

/** Every config of a broker, in order of name. Facts are what the running node knows of its own. */
export function describeBrokerConfigs(broker: BrokerConfigs, facts: ReadonlyMap<string, string>): DescribedConfig[] {
  const given = new Map([...broker.given, ...facts])
  return brokerDefinitionList().map((row): DescribedConfig => {
    const own = given.get(row.name)
    return {
      ...factsOf(row),
      readOnly: true,
      name: row.name,
      value: own ?? row.default,
      source: own === undefined ? configSources.default : configSources.broker,
      synonyms: synonymsOf(given, coarserUnits.get(row.name) ?? [row]),
    }
  })
}

/** `log.retention.ms` is followed by `log.retention.minutes` and `.hours`: what counts where it is not set. */
const coarserUnits: ReadonlyMap<string, readonly Defaulted[]> = new Map(
  topicConfigTable.flatMap(({ synonyms }: { readonly synonyms: readonly Synonym[] }) =>
    synonyms.map(({ name }, index) => [name, synonyms.slice(index)] as const),
  ),
)

type Defaulted = Pick<ConfigDefinition, 'name' | 'default'>

function factsOf({ type, doc }: ConfigDefinition) {
  return { typeCode: configTypes[type], doc }
}

/** What is given wins over what is by default, within both the finer unit: the order in which values are looked for. */
function synonymsOf(given: ReadonlyMap<string, string>, synonyms: readonly Defaulted[]): DescribedSynonym[] {
  const described: DescribedSynonym[] = []
  for (const { name } of synonyms) {
    const value = given.get(name)
    if (value !== undefined) described.push({ name, value, source: configSources.broker })
  }
  for (const { name, default: value } of synonyms) {
    if (value !== null) described.push({ name, value, source: configSources.default })
  }
  return described
}
