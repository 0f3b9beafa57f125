/**
 * What a user may set, from four places: a flag wins over the environment, that over the file, that over the default.
 * Names are the same everywhere: `--data-dir`, `TIDELOG_DATA_DIR`, `data-dir` in the file. Broker configs have Kafka's own
 * names: `--set log.retention.ms=1000`, `TIDELOG_LOG_RETENTION_MS`, `log.retention.ms` in the file.
 *
 * A name that nothing knows is an error in all of them: a setting that is silently ignored is found out in production.
 */

import { TidelogError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import { type BrokerConfigs, brokerConfigNames, parseBrokerConfigs } from '../broker/configs.ts'
import { nearestName } from '../broker/nearest-name.ts'
import { type Address, isLoopback, parseAddress } from './address.ts'

export interface Settings {
  readonly dataDir: string
  readonly host: string
  /** The address told to clients; null for the one that each of them connected to. */
  readonly advertise: Address | null
  readonly port: number
  /** Null: the door stays closed. */
  readonly textPort: DoorPort | null
  readonly httpPort: DoorPort | null
  /** Names by which HTTP may be asked, besides those of loopback, the host and the advertised one. */
  readonly httpNames: readonly string[]
  readonly insecureListen: boolean
  readonly acceptDataLoss: boolean
  readonly logLevel: LogLevel
  readonly broker: BrokerConfigs
}

/** Where a door other than Kafka's listens. */
export interface DoorPort {
  /** 0 for a free one. */
  readonly port: number
  /** Somebody asked for this very port: that it is taken is an error then. */
  readonly isGiven: boolean
}

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

export interface SettingSources {
  /** The flags that were given, by name without dashes; a switch has the value `true`. */
  readonly flags: ReadonlyMap<string, readonly string[]>
  readonly environment: Readonly<Record<string, string | undefined>>
  readFile(path: string): string
}

export interface OptionDefinition {
  readonly name: string
  /** What stands for the value in the help; null for a switch. */
  readonly value: string | null
  readonly default: string | null
  readonly help: string
}

/** Every option but the broker configs, in the order of the help. */
export const optionTable = [
  { name: 'data-dir', value: 'DIR', default: './data', help: 'where everything is kept' },
  {
    name: 'host',
    value: 'HOST',
    default: 'localhost',
    help: 'the address to listen on; localhost is both 127.0.0.1 and ::1',
  },
  {
    name: 'advertise',
    value: 'HOST:PORT',
    default: null,
    help: 'the address told to Kafka clients (default: the one each of them connected to)',
  },
  { name: 'port', value: 'PORT', default: '9092', help: "the Kafka protocol's port; 0 picks a free one" },
  {
    name: 'text-port',
    value: 'PORT',
    default: '9091',
    help: "the text protocol's port; 0 picks a free one, off closes that door",
  },
  {
    name: 'http-port',
    value: 'PORT',
    default: '8080',
    help: 'the port of health, metrics and the JSON API; 0 picks a free one, off closes that door',
  },
  {
    name: 'http-names',
    value: 'NAME,…',
    default: null,
    help: 'names by which HTTP may be asked besides localhost, addresses, --host and --advertise',
  },
  {
    name: 'set',
    value: 'NAME=VALUE',
    default: null,
    help: "a broker config under Kafka's own name, or one of tidelog.*; may be repeated",
  },
  { name: 'config', value: 'FILE', default: null, help: 'a file with settings, see below' },
  { name: 'log-level', value: 'LEVEL', default: 'info', help: logLevels.join(', ') },
  {
    name: 'insecure-listen',
    value: null,
    default: 'false',
    help: 'allow a host that is not loopback; there is no authentication yet',
  },
  {
    name: 'accept-data-loss',
    value: null,
    default: 'false',
    help: 'after corruption was reported: go on without the records that are lost',
  },
] as const satisfies readonly OptionDefinition[]

export const settingsHelp = `
Every option can also be set in the environment (--data-dir as TIDELOG_DATA_DIR) and in the file given with --config
(data-dir). A flag wins over the environment, the environment over the file. Broker configs work the same way:
  --set log.retention.hours=24    TIDELOG_LOG_RETENTION_HOURS=24    log.retention.hours=24 in the file
The file holds a line name=value for each setting (# starts a comment), or one JSON object of names and values.
All configs are listed in docs/configs.md. Compacted topics (cleanup.policy=compact) keep everything for now.`

type OptionName = (typeof optionTable)[number]['name']
const optionNames: ReadonlySet<string> = new Set(optionTable.map(option => option.name))

/** Throws `CONFIG` with everything that is wrong, on one line. */
export function readSettings(sources: SettingSources): Settings {
  const environment = readEnvironment(sources.environment)
  const path = last(sources.flags.get('config')) ?? environment.get('config')
  const file = path === undefined ? emptyLayer() : readConfigFile(path, sources.readFile)
  return interpret([layerOfFlags(sources.flags), environment, file])
}

/** One place's settings: options by name, and broker configs. */
class Layer {
  readonly #options = new Map<OptionName, Given>()
  readonly configs = new Map<string, string>()
  readonly #origin: (name: string) => string

  /** `origin` says how the user wrote a name in this place, for error texts. */
  constructor(origin: (name: string) => string) {
    this.#origin = origin
  }

  set(name: string, text: string): void {
    if (name === 'set') this.setConfig(text)
    else if (isOptionName(name)) this.#options.set(name, { text, origin: this.#origin(name) })
    else this.configs.set(name, text)
  }

  /** Takes a broker config as `name=value`. */
  setConfig(assignment: string): void {
    const equals = assignment.indexOf('=')
    if (equals <= 0) throw wrong(`${this.#origin('set')}: '${assignment}' must have the form name=value`)
    this.configs.set(assignment.slice(0, equals).trim(), assignment.slice(equals + 1).trim())
  }

  given(name: OptionName): Given | undefined {
    return this.#options.get(name)
  }

  get(name: OptionName): string | undefined {
    return this.#options.get(name)?.text
  }
}

/** A value with the place it comes from. */
interface Given {
  readonly text: string
  readonly origin: string
}

const emptyLayer = () => new Layer(name => name)

function layerOfFlags(flags: ReadonlyMap<string, readonly string[]>): Layer {
  const layer = new Layer(name => `--${name}`)
  for (const [name, texts] of flags) {
    invariant(optionNames.has(name), 'the command line lets only known flags through')
    for (const text of texts) layer.set(name, text)
  }
  return layer
}

// The environment.

const environmentPrefix = 'TIDELOG_'
/** Said to the commands that talk to a broker; whoever sets it for them may start one as well. */
const commandVariables: ReadonlySet<string> = new Set(['TIDELOG_BROKERS'])

/** An empty variable counts as unset: that is how compose files and shells leave one out. */
function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Layer {
  const layer = new Layer(environmentName)
  const given = Object.entries(environment).filter(
    ([name, text]) => name.startsWith(environmentPrefix) && text !== '' && !commandVariables.has(name),
  )
  if (given.length === 0) return layer
  const known = new Map([...optionNames, ...brokerConfigNames()].map(name => [environmentName(name), name]))
  for (const [variable, text = ''] of given) {
    const name = known.get(variable)
    if (name === undefined) throw unknown(`environment variable ${variable}`, variable, known.keys())
    if (name === 'set') for (const assignment of splitAssignments(text)) layer.setConfig(assignment)
    else layer.set(name, text)
  }
  return layer
}

/** `log.retention.ms` is TIDELOG_LOG_RETENTION_MS; our own prefix is not doubled. */
function environmentName(name: string): string {
  const bare = name.startsWith('tidelog.') ? name.slice('tidelog.'.length) : name
  return environmentPrefix + bare.toUpperCase().replaceAll(/[.-]/g, '_')
}

/** `a=1,b=2,3` has two assignments: a comma ends one only where the next begins. */
function splitAssignments(text: string): string[] {
  return text.split(/,(?=[a-z][a-z0-9._-]*=)/)
}

// The file.

function readConfigFile(path: string, readFile: (path: string) => string): Layer {
  let text: string
  try {
    text = readFile(path)
  } catch (error) {
    throw new TidelogError('CONFIG', `config file ${path}: cannot be read (${(error as Error).message})`, error)
  }
  const layer = new Layer(name => `${name} in ${path}`)
  const known = new Set([...optionNames, ...brokerConfigNames()])
  known.delete('config')
  const entries = text.trimStart().startsWith('{') ? jsonEntries(path, text) : propertyEntries(path, text)
  for (const [name, value] of entries) {
    if (!known.has(name)) throw unknown(`setting '${name}' in ${path}`, name, known)
    layer.set(name, value)
  }
  return layer
}

function propertyEntries(path: string, text: string): (readonly [name: string, value: string])[] {
  const entries: (readonly [string, string])[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const content = line.trim()
    if (content === '' || content.startsWith('#') || content.startsWith('!')) continue
    const equals = content.indexOf('=')
    if (equals <= 0) throw wrong(`config file ${path}, line ${index + 1}: '${content}' must have the form name=value`)
    entries.push([content.slice(0, equals).trim(), content.slice(equals + 1).trim()])
  }
  return entries
}

/** Flat names and values; under `set` the broker configs may stand in an object of their own. */
function jsonEntries(path: string, text: string): (readonly [name: string, value: string])[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new TidelogError('CONFIG', `config file ${path}: is not JSON (${(error as Error).message})`, error)
  }
  return Object.entries(parsed as Record<string, unknown>).flatMap(([name, value]) => {
    const isNested = name === 'set' && typeof value === 'object' && value !== null
    if (!isNested) return [[name, plainText(path, name, value)] as const]
    return Object.entries(value).map(
      ([config, inner]) => ['set', `${config}=${plainText(path, config, inner)}`] as const,
    )
  })
}

function plainText(path: string, name: string, value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw wrong(`config file ${path}: ${name} must be a text, a number, true or false`)
}

// Meaning.

/** The layers come strongest first. */
function interpret(layers: readonly [Layer, Layer, Layer]): Settings {
  const errors: string[] = []
  const read = <T>(name: OptionName, parse: (text: string, isGiven: boolean) => T | Problem): T | undefined => {
    const definition: OptionDefinition | undefined = optionTable.find(option => option.name === name)
    const fallback = definition?.default
    const given = layers.map(layer => layer.given(name)).find(value => value !== undefined)
    const text = given?.text ?? fallback ?? undefined
    if (text === undefined) return undefined
    const value = parse(text, given !== undefined)
    if (!(value instanceof Problem)) return value
    errors.push(`${given?.origin ?? name}: '${text}' ${value.sentence}.`)
    return undefined
  }
  const host = read('host', parseHost)
  const insecureListen = read('insecure-listen', parseSwitch)
  const settings = {
    dataDir: read('data-dir', parsePath),
    host,
    advertise: read('advertise', parseAdvertised) ?? null,
    port: read('port', parsePort),
    textPort: read('text-port', parseDoorPort),
    httpPort: read('http-port', parseDoorPort),
    httpNames: read('http-names', parseNames) ?? [],
    insecureListen,
    acceptDataLoss: read('accept-data-loss', parseSwitch),
    logLevel: read('log-level', parseLogLevel),
  }
  if (host !== undefined && insecureListen === false && !isLoopback(host)) {
    errors.push(
      `host ${host} can be reached from other machines and there is no authentication yet; ` +
        'add --insecure-listen if everyone who can reach it may read and write.',
    )
  }
  const broker = parseBrokerConfigs(layers.toReversed().flatMap(layer => [...layer.configs]))
  if (!broker.ok) errors.push(...broker.errors)
  if (errors.length > 0 || !broker.ok) throw wrong(errors.join(' '))
  return { ...(settings as Omit<Settings, 'broker'>), broker: broker.value }
}

/** Why a text is no value for its setting, as the end of a sentence. */
class Problem {
  readonly sentence: string
  constructor(sentence: string) {
    this.sentence = sentence
  }
}

const parsePath = (text: string) => (text.trim() === '' ? new Problem('is no folder') : text)

function parseHost(text: string): string | Problem {
  const host = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  return /^[^\s[\]/]+$/.test(host) ? host : new Problem('is no host name or address')
}

function parsePort(text: string): number | Problem {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  return port <= 65_535 ? port : new Problem('must be a port from 0 to 65535')
}

function parseDoorPort(text: string, isGiven: boolean): DoorPort | null | Problem {
  if (text === 'off') return null
  const port = parsePort(text)
  return port instanceof Problem ? new Problem(`${port.sentence}, or off`) : { port, isGiven }
}

function parseNames(text: string): readonly string[] | Problem {
  const names = text.split(',').map(name => name.trim().toLowerCase())
  const isName = (name: string) => /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name)
  return names.every(isName) ? names : new Problem('must be host names with commas between them, without ports')
}

function parseAdvertised(text: string): Address | Problem {
  return parseAddress(text) ?? new Problem('must have the form HOST:PORT, as in broker.example:9092 or [::1]:9092')
}

function parseSwitch(text: string): boolean | Problem {
  if (text === 'true' || text === '1') return true
  return text === 'false' || text === '0' ? false : new Problem('must be true or false')
}

function parseLogLevel(text: string): LogLevel | Problem {
  return logLevels.find(level => level === text) ?? new Problem(`must be one of ${logLevels.join(', ')}`)
}

function isOptionName(name: string): name is OptionName {
  return optionNames.has(name)
}

function last<T>(items: readonly T[] | undefined): T | undefined {
  return items?.at(-1)
}

function unknown(what: string, name: string, candidates: Iterable<string>): TidelogError {
  const nearest = nearestName(name, candidates)
  return wrong(`${what} is not known${nearest === null ? '' : `; did you mean ${nearest}?`}`)
}

const wrong = (sentence: string) => new TidelogError('CONFIG', sentence)
