/**
 * The bounds and the waits of the chain's core, and what happens at each. Waits are counted in `tick`s alone, as
 * `now - since >= wait`; 0 means at the next tick.
 */
export interface ChainSettings {
  /** In one append or one copy message, a single larger batch excepted. */
  readonly appendBytesMax: number
  /** Sent to one replica and not acknowledged. At the bound what follows waits, and is read back from the store later. */
  readonly inflightBytesMax: number
  /** Appended and not acknowledged by one replica. Beyond it the replica counts as lost, and the segment is sealed without it. */
  readonly backlogBytesMax: number
  readonly backlogBatchesMax: number
  /** Appended and not committed. Beyond it produces are refused as `THROTTLED`. */
  readonly uncommittedBytesMax: number
  /** Produces held while a segment is sealed and the next opened. Beyond it they are refused as `THROTTLED`. */
  readonly bufferBytesMax: number
  readonly bufferBatchesMax: number
  /** A segment of this size asks for a placement of the next one. */
  readonly rollBytes: number
  readonly rollRecords: number
  /** A segment that cannot be rolled takes nothing beyond this: produces are refused as `THROTTLED`. */
  readonly segmentBytesMax: number
  /** A replica that owes acknowledgements and gives none for so long counts as lost. */
  readonly replicaTimeoutMs: number
  /** Without an answer for so long a message counts as lost, and is sent again. */
  readonly resendMs: number
  /** A planned roll waits so long for what is in flight to commit; then it freezes where the commit offset is. */
  readonly drainMs: number
  /** A command whose outcome is not known is proposed again, as the same request. */
  readonly proposeRetryMs: number
  /** A placement that does not come, or is refused, is asked for again. */
  readonly placeRetryMs: number
  /** Between two publications of commit offsets to a peer. */
  readonly publishMs: number
  /** A recovery that has its fence quorum waits so long for the other replicas, which may hold more. */
  readonly fenceWaitMs: number
  /** A segment of one copy with `uncleanSeal` whose only replica does not answer a fence for so long is given up. */
  readonly uncleanWaitMs: number
  /** Copying of sealed segments to this node, per repair. Beyond it the next read waits. */
  readonly repairBytesPerSecond: number
  /** The most that one tick counts as time in which the others were silent: a node that stalled does not count its stall. */
  readonly tickMsMax: number
}

const MiB = 1024 * 1024

interface Bounds {
  readonly default: number
  readonly min: number
  readonly max: number
}

const bounds = (value: number, min: number, max: number): Bounds => ({ default: value, min, max })

export const chainSettingBounds: { readonly [Name in keyof ChainSettings]: Bounds } = {
  appendBytesMax: bounds(MiB, 1, 64 * MiB),
  inflightBytesMax: bounds(8 * MiB, 1, 1024 * MiB),
  backlogBytesMax: bounds(64 * MiB, 1, 4096 * MiB),
  backlogBatchesMax: bounds(65_536, 1, 1_000_000),
  uncommittedBytesMax: bounds(64 * MiB, 1, 4096 * MiB),
  bufferBytesMax: bounds(16 * MiB, 0, 1024 * MiB),
  bufferBatchesMax: bounds(10_000, 0, 1_000_000),
  rollBytes: bounds(256 * MiB, 1, 1024 * 1024 * MiB),
  rollRecords: bounds(Number.MAX_SAFE_INTEGER, 1, Number.MAX_SAFE_INTEGER),
  segmentBytesMax: bounds(1024 * MiB, 1, 1024 * 1024 * MiB),
  replicaTimeoutMs: bounds(1_500, 0, 600_000),
  resendMs: bounds(100, 0, 60_000),
  drainMs: bounds(200, 0, 60_000),
  proposeRetryMs: bounds(300, 0, 60_000),
  placeRetryMs: bounds(300, 0, 60_000),
  publishMs: bounds(5, 0, 10_000),
  fenceWaitMs: bounds(300, 0, 60_000),
  uncleanWaitMs: bounds(10_000, 0, 3_600_000),
  repairBytesPerSecond: bounds(64 * MiB, 1, 16_384 * MiB),
  tickMsMax: bounds(100, 0, 60_000),
}

const names = Object.keys(chainSettingBounds) as (keyof ChainSettings)[]

/** The defaults with `changes`; null when one of them lies outside its bounds. */
export function chainSettings(changes: Partial<ChainSettings> = {}): ChainSettings | null {
  const settings = Object.fromEntries(names.map(name => [name, changes[name] ?? chainSettingBounds[name].default]))
  const isInside = (name: keyof ChainSettings) => {
    const { min, max } = chainSettingBounds[name]
    const value = settings[name] as number
    return value >= min && value <= max
  }
  return names.every(isInside) ? (settings as unknown as ChainSettings) : null
}

export const defaultChainSettings = chainSettings() as ChainSettings
