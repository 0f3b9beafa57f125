/**
 * The language of the recorded scripts in `testdata/`: a command, `----`, and the trace that it gave. Blank lines and lines with
 * `#` between commands tell the story. `REWRITE=1` records; the diff is what is reviewed.
 */
import type { NodeId, Offset, SegmentId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { Acks } from '../events.ts'
import type { ChainMessage } from '../messages.ts'
import { highWatermark, logEnd, readLimit, roleOf } from '../queries.ts'
import type { SealReason } from '../segment.ts'
import type { ChainSettings } from '../settings.ts'
import { type Parcel, partition, ScriptWorld } from './script-world.ts'
import { chainText } from './trace.ts'

/** Runs a script; gives back its text with the traces as they are now. */
export function runScript(text: string): string {
  const world = new ScriptWorld()
  const result: string[] = []
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    if (line === '' || line.startsWith('#')) {
      result.push(line)
      continue
    }
    result.push(line, '----')
    invariant(lines[i + 1] === '----', `no ---- behind the command “${line}”`)
    i += 2
    while (i < lines.length && lines[i] !== '') i += 1
    world.out.length = 0
    perform(world, line)
    result.push(...(world.out.length > 0 ? world.out : ['ok']), '')
  }
  return `${result
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`
}

class Words {
  readonly plain: readonly string[]
  readonly #named: ReadonlyMap<string, string>

  constructor(words: readonly string[]) {
    this.plain = words.filter(word => !word.includes('='))
    this.#named = new Map(words.filter(word => word.includes('=')).map(word => word.split('=', 2) as [string, string]))
  }

  text(name: string, otherwise?: string): string {
    const value = this.#named.get(name) ?? otherwise
    invariant(value !== undefined, `${name}= is missing`)
    return value
  }

  number(name: string, otherwise?: number): number {
    return Number(this.text(name, otherwise === undefined ? undefined : String(otherwise)))
  }

  has(name: string): boolean {
    return this.#named.has(name) || this.plain.includes(name)
  }

  ids(name: string): readonly number[] {
    return this.text(name, '')
      .split(',')
      .filter(id => id !== '')
      .map(Number)
  }

  get entries(): readonly (readonly [string, string])[] {
    return [...this.#named]
  }

  /** The nodes that a command is for; all when it names none. */
  nodes(world: ScriptWorld): readonly number[] {
    const named = this.plain.slice(1).filter(word => /^\d+$/.test(word))
    return named.length > 0 ? named.map(Number) : [...world.nodes.keys()]
  }
}

function perform(world: ScriptWorld, line: string): void {
  const words = new Words(line.split(/\s+/))
  const name = words.plain[0] as string
  const command = commands[name]
  invariant(command !== undefined, `no command ${name}`)
  command(world, words, line)
}

const commands: Readonly<Record<string, (world: ScriptWorld, words: Words, line: string) => void>> = {
  /** settings rollRecords=3 */
  settings: (world, words) =>
    world.configure(
      Object.fromEntries(words.entries.map(([name, value]) => [name, Number(value)])) as Partial<ChainSettings>,
    ),
  /** nodes 3 */
  nodes: (world, words) => world.addNodes(Number(words.plain[1])),
  /** topic replicas=3 min-insync=2 writer=1 on=1,2,3: a partition with its first segment, known to all nodes. */
  topic: (world, words) => {
    const on = words.ids('on')
    world.apply({
      do: 'create',
      config: {
        replicas: words.number('replicas', on.length),
        minInsync: words.number('min-insync', Math.min(2, on.length)),
        flush: words.has('relaxed') ? 'relaxed' : 'sync',
        uncleanSeal: words.has('unclean'),
      },
    })
    world.apply({ do: 'openFirst', version: 0, next: world.placement(words.number('writer'), on) })
    for (const id of world.nodes.keys()) world.learn(id)
  },
  /** produce 1 a records=2 acks=all producer=7:0:3 (id, epoch, sequence) */
  produce: (world, words) => {
    const [, id, token] = words.plain
    const [producerId, producerEpoch, baseSequence] = words.text('producer', '-1:-1:-1').split(':').map(Number)
    const acks = words.text('acks', 'all')
    world.feed(Number(id), {
      type: 'produce',
      token: world.token(token as string),
      partition,
      acks: (acks === 'all' ? 'all' : Number(acks)) as Acks,
      batch: {
        records: words.number('records', 1),
        bytes: words.number('bytes', 100),
        crc: words.number('crc', world.token(token as string) + 1),
        maxTimestamp: 0,
        producerId: producerId!,
        producerEpoch: producerEpoch!,
        baseSequence: baseSequence!,
        payload: null,
      },
    })
  },
  /** sync 1 2, or sync 1 writes=2 */
  sync: (world, words) => {
    for (const id of words.nodes(world)) world.sync(id, words.number('writes', Number.POSITIVE_INFINITY))
  },
  /** deliver, deliver to=2 from=1 type=append: what is on its way and matches. `again`: and leaves it on its way. */
  deliver: (world, words) => void world.deliver(matching(words), words.has('again')),
  /** drop to=2 */
  drop: (world, words) => {
    const count = world.drop(matching(words))
    world.out.push(`${count} lost`)
  },
  settle: world => world.settle(),
  /** tick ms=100, tick 1 ms=100: time passes at all nodes, or at one. */
  tick: (world, words) => {
    for (const id of words.nodes(world)) {
      const node = world.node(id)
      node.nowMs += words.number('ms')
      world.feed(id, { type: 'tick', nowMs: node.nowMs })
    }
  },
  /** decide 1: Raft decides what 1 proposed. */
  decide: (world, words) => {
    for (const id of words.nodes(world)) world.decide(id)
  },
  /** outcome 1, outcome 1 unknown */
  outcome: (world, words) => {
    for (const id of words.nodes(world)) world.outcomes(id, !words.has('unknown'))
  },
  /** learn 2: applies the newest version of the record; learn 2 next: the one after that which it knows. */
  learn: (world, words) => {
    for (const id of words.nodes(world)) world.learn(id, words.has('next'))
  },
  /** placement 1 reason=rotation writer=2 on=2,3,1; placement 1 reason=rotation none */
  placement: (world, words) => {
    const next = words.has('none') ? null : world.placement(words.number('writer'), words.ids('on'))
    const reason = words.text('reason').replaceAll('-', ' ') as SealReason
    world.feed(Number(words.plain[1]), { type: 'placement', partition, reason, next })
  },
  /** recover 2 segment=1 writer=2 on=2,3 spares=4 */
  recover: (world, words) => {
    const segment = words.number('segment') as SegmentId
    const next = world.placement(words.number('writer'), words.ids('on'))
    const spares = world.replicas(words.ids('spares'))
    world.feed(Number(words.plain[1]), { type: 'recover', partition, segment, next, spares })
  },
  /** repair 3 segment=1 sources=1,2 */
  repair: (world, words) => {
    const segment = words.number('segment') as SegmentId
    const sources = words.ids('sources') as readonly NodeId[]
    world.feed(Number(words.plain[1]), { type: 'repair', partition, segment, sources })
  },
  crash: (world, words) => {
    for (const id of words.nodes(world)) world.crash(id)
  },
  /** restart 1, restart 1 dirty, restart 1 damaged, restart 1 wiped */
  restart: (world, words) => {
    const standing = words.has('dirty') ? 'dirty' : words.has('damaged') ? 'damaged' : 'clean'
    for (const id of words.nodes(world)) world.restart(id, { isWiped: words.has('wiped'), standing })
  },
  /** lease 1 until=1000 */
  lease: (world, words) => {
    for (const id of words.nodes(world)) world.feed(id, { type: 'lease', untilMs: words.number('until') })
  },
  /** down 1 peer=2 */
  down: (world, words) =>
    world.feed(Number(words.plain[1]), { type: 'peerDown', nodeId: words.number('peer') as NodeId }),
  /** up 1 peer=2 */
  up: (world, words) =>
    world.feed(Number(words.plain[1]), { type: 'peerUp', peer: world.node(words.number('peer')).peer }),
  /** raft {"do":"advanceStart",...}: a command of the controller. */
  raft: (world, _, line) => {
    const change = JSON.parse(line.slice(5)) as object
    const version = world.record?.version ?? 0
    const outcome = world.apply({ version, ...change } as Parameters<ScriptWorld['apply']>[0])
    world.out.push(outcome.kind)
  },
  /** forget: the topic is deleted. */
  forget: (world, words) => {
    for (const id of words.nodes(world)) world.feed(id, { type: 'metadata', partition, record: null })
  },
  /** inject 2 from=1 incarnation=1 {"type":"ack",...}: a message that nobody of this world would send. */
  inject: (world, words, line) => {
    const message = JSON.parse(line.slice(line.indexOf('{'))) as ChainMessage
    const from = words.number('from')
    const known = world.nodes.get(from as NodeId)?.peer
    const peer = {
      nodeId: from as NodeId,
      diskId: known?.diskId ?? ('d?' as never),
      incarnation: words.number('incarnation', known?.incarnation ?? 1),
    }
    const whole = 'segmentBase' in message ? { ...message, partition } : message
    world.feed(Number(words.plain[1]), { type: 'message', from: peer, message: whole })
  },
  /** durable 1 write=3: a completion as a driver might repeat it. */
  durable: (world, words) => {
    for (const id of words.nodes(world)) world.feed(id, { type: 'durable', write: words.number('write') })
  },
  /** rot 3 segment=1 offset=0 */
  rot: (world, words) =>
    world
      .node(Number(words.plain[1]))
      .store.rot(words.number('segment') as SegmentId, words.number('offset') as Offset),
  /** read 2 offset=0: who serves it, and how far. */
  read: (world, words) => {
    for (const id of words.nodes(world)) {
      const { chain } = world.node(id)
      if (chain === null) continue
      const limit = readLimit(chain, partition, words.number('offset') as Offset)
      const rest = Object.entries(limit).filter(([key]) => key !== 'kind')
      world.out.push(`${id}: ${limit.kind}${rest.map(([key, value]) => ` ${key}=${value}`).join('')}`)
    }
  },
  /** state 1: what a node is and holds. */
  state: (world, words) => {
    for (const id of words.nodes(world)) {
      const { chain } = world.node(id)
      if (chain === null) {
        world.out.push(`${id}: down`)
        continue
      }
      const what = [
        roleOf(chain, partition),
        `hw=${highWatermark(chain, partition)}`,
        `end=${logEnd(chain, partition)}`,
      ]
      const copies = [...chain.segments.values()].map(({ id: segment, base, end, sealedEnd, standing, fenceEpoch }) => {
        const how = sealedEnd !== null ? 'sealed' : standing === 'clean' ? `fence ${fenceEpoch}` : standing
        return `s${segment}[${base},${end}) ${how}`
      })
      world.out.push(`${id}: ${what.join(' ')} | ${copies.join(' | ')}`)
    }
  },
  /** record: the chain as Raft has it. */
  record: world => {
    world.out.push(world.record === null ? 'none' : chainText(world.record))
  },
}

function matching(words: Words): (parcel: Parcel) => boolean {
  const [to, from] = [words.ids('to'), words.ids('from')]
  const type = words.text('type', '')
  return parcel =>
    (to.length === 0 || to.includes(parcel.to)) &&
    (from.length === 0 || from.includes(parcel.from.nodeId)) &&
    (type === '' || parcel.message.type === type)
}
