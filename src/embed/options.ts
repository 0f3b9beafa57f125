/** The options of an embedded broker: checked, and as the settings of a node of its size. */
import { TidelogError } from '../base/errors.ts'
import { parseBrokerConfigs } from '../broker/configs.ts'
import { nodeLogSettings } from '../broker/engine.ts'
import { nearestName } from '../broker/nearest-name.ts'
import type { LogStoreSettings } from '../log/log-store.ts'
import { openFilesLimit } from '../server/open-files.ts'
import { type DoorPort, type LogLevel, logLevels, type Settings } from '../server/settings.ts'
import { shown, wrongOption } from './failure.ts'

/** What `startBroker` takes; everything may be left out. */
export interface BrokerStartOptions {
  /** `'memory'` (the default): gone with the broker. `{ dir }`: a data directory, made where it is missing, kept at the end. */
  readonly storage?: 'memory' | { readonly dir: string }
  /** The Kafka port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number
  /** The text protocol's port: closed when left out or false, true or 0 for a free one. */
  readonly text?: boolean | number
  /** The port of health, metrics and the JSON API: closed when left out or false, true or 0 for a free one. */
  readonly http?: boolean | number
  /** Broker configs under Kafka's own names, as in `{ 'num.partitions': 3 }`; docs/configs.md has them all. */
  readonly configs?: Readonly<Record<string, string | number | boolean>>
  /** With `storage: 'memory'`, what it may hold; beyond that producers are told that the disk is full. 1 GiB when left out. */
  readonly memoryBytesMax?: number
  /** How many requests `calls` remembers, the newest; 0 for none. 1000 when left out. */
  readonly callsMax?: number
  /** What is written to standard error: nothing by default. */
  readonly logLevel?: 'silent' | LogLevel
  /**
   * Told when the broker had to stop because its disk failed, or by a fault of its own; nothing is acknowledged afterwards and
   * every call fails with that error.
   */
  readonly onFatal?: (error: Error) => void
}

export interface CheckedOptions {
  readonly dir: string | null
  readonly memoryBytesMax: number
  readonly callsMax: number
  readonly logLevel: 'silent' | LogLevel
  readonly settings: Settings
  readonly sizes: LogStoreSettings
}

const mib = 1 << 20

/** What a broker in a program has instead of the defaults of one with a machine to itself. */
const embeddedConfigs: Readonly<Record<string, string>> = {
  'tidelog.journal.bytes': String(64 * mib),
  'tidelog.log.cache.bytes': String(16 * mib),
  'tidelog.request.budget.bytes': String(32 * mib),
  // A partition costs a little at each start, and few groups fit into a program.
  'offsets.topic.num.partitions': '1',
}
const journalFileBytes = 4 * mib
const memoryBytesDefault = 1024 * mib
const callsDefault = 1000
/** Of what the process may have open: many brokers share it, with sockets besides. */
const openFilesShare = 8

const optionNames: ReadonlySet<string> = new Set([
  'storage',
  'port',
  'text',
  'http',
  'configs',
  'memoryBytesMax',
  'callsMax',
  'logLevel',
  'onFatal',
] satisfies (keyof BrokerStartOptions)[])

/** Throws `CONFIG` with what is wrong. */
export function checkOptions(options: BrokerStartOptions): CheckedOptions {
  checkNames(options, optionNames, 'startBroker')
  const { logLevel = 'silent', memoryBytesMax = memoryBytesDefault, callsMax = callsDefault, onFatal } = options
  if (logLevel !== 'silent' && !logLevels.includes(logLevel)) {
    throw wrongOption(`logLevel must be silent or one of ${logLevels.join(', ')}, not ${shown(logLevel)}.`)
  }
  if (onFatal !== undefined && typeof onFatal !== 'function') throw wrongOption('onFatal must be a function.')
  const dir = directoryOf(options.storage ?? 'memory')
  const broker = checkConfigs(options.configs ?? {}, embeddedConfigs)
  return {
    dir,
    memoryBytesMax: wholeOption('memoryBytesMax', memoryBytesMax, 16 * mib),
    callsMax: wholeOption('callsMax', callsMax, 0, 1_000_000),
    logLevel,
    sizes: sizesFor(broker),
    settings: {
      dataDir: dir ?? 'memory',
      host: '127.0.0.1',
      advertise: null,
      port: portOption('port', options.port ?? 0),
      textPort: doorOption('text', options.text),
      httpPort: doorOption('http', options.http),
      httpNames: [],
      insecureListen: false,
      acceptDataLoss: false,
      logLevel: logLevel === 'silent' ? 'fatal' : logLevel,
      broker,
    },
  }
}

/** Refuses what no option is called. */
export function checkNames(options: object, known: ReadonlySet<string>, of: string): void {
  if (typeof options !== 'object' || options === null) throw wrongOption(`${of} takes an object with options.`)
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue
    const nearest = nearestName(name, known)
    throw wrongOption(`${of} has no option ${shown(name)}${nearest === null ? '' : `; did you mean ${nearest}?`}`)
  }
}

export function checkConfigs(
  configs: Readonly<Record<string, string | number | boolean>>,
  defaults: Readonly<Record<string, string>>,
): Settings['broker'] {
  if (typeof configs !== 'object' || configs === null)
    throw wrongOption('configs must be an object of names and values.')
  const given = Object.entries(configs).map(([name, value]) => {
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    if (!isPlain) throw wrongOption(`The config ${name} must be a text, a number, true or false, not ${shown(value)}.`)
    return [name, String(value)] as const
  })
  const parsed = parseBrokerConfigs([...Object.entries(defaults), ...given])
  if (!parsed.ok) throw new TidelogError('CONFIG', parsed.errors.join(' '))
  return parsed.value
}

/** Small journal files, so that many fit into one process. */
export function sizesFor({ settings }: Settings['broker']): LogStoreSettings {
  const sizes = nodeLogSettings({
    journalBytes: settings.journalBytesMax,
    cacheBytes: settings.logCacheBytesMax,
    openFilesMax: Math.max(64, Math.floor(openFilesLimit() / openFilesShare)),
    acceptDataLoss: false,
  })
  const fileBytes = Math.min(sizes.journal.fileBytes, journalFileBytes)
  return { ...sizes, journal: { ...sizes.journal, fileBytes, firstFileBytes: fileBytes } }
}

function directoryOf(storage: NonNullable<BrokerStartOptions['storage']>): string | null {
  if (storage === 'memory') return null
  const dir: unknown = typeof storage === 'object' && storage !== null ? storage.dir : undefined
  if (typeof dir === 'string' && dir.trim() !== '') return dir
  throw wrongOption(`storage must be 'memory' or { dir: 'a folder' }, not ${shown(storage)}.`)
}

function doorOption(name: string, door: boolean | number | undefined): DoorPort | null {
  if (door === undefined || door === false) return null
  return { port: portOption(name, door === true ? 0 : door), isGiven: true }
}

function portOption(name: string, port: number): number {
  return wholeOption(name, port, 0, 65_535)
}

export function wholeOption(name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`
  throw wrongOption(`${name} must be a whole number ${range}, not ${shown(value)}.`)
}
