/**
 * A walk through a small world by chance: records, losses, crashes, rolls and recoveries in any order, then a time in which
 * everything heals. What was acknowledged must be there at the end, where it was said to be, and the partition must take
 * records again. The oracle knows clients' answers, the record, and bytes; of the core nothing.
 */

import type { NodeId, Offset } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { Prng } from '../../base/prng.ts'
import type { Acks, ChainEffect } from '../events.ts'
import { readLimit } from '../queries.ts'
import { type SealReason, unsealed } from '../segment.ts'
import { checkLocal } from './local-invariants.ts'
import { partition, ScriptWorld } from './script-world.ts'

export interface WalkOptions {
  readonly nodes: number
  readonly copies: number
  readonly minInsync: number
  readonly steps: number
  readonly wipes: number
  /** flush=relaxed: acknowledged when written, and one crash that may take it. */
  readonly isRelaxed?: boolean
  /** One writer with a lease, for ever: then nothing that was acknowledged is lost, by whatever kind of acknowledgement. */
  readonly isOneWriter?: boolean
  /** The log start advances, over all that is sealed. */
  readonly isTrimmed?: boolean
}

interface Sent {
  readonly crc: number
  readonly producer: Producer | null
  /** The node that took it, as long as it lives without a break. */
  readonly at: string
  base: number | null
  isRefused: boolean
}

/** An idempotent producer with one batch in flight, which it repeats until it is acknowledged. */
interface Producer {
  readonly id: number
  sequence: number
  crc: number
  /** Where the batch in flight was acknowledged; null: not yet. */
  base: number | null
  waits: number
}

export class Walk {
  readonly world: ScriptWorld
  readonly #prng: Prng
  readonly #options: WalkOptions
  readonly #sent: Sent[] = []
  readonly #seen = new Map<number, number>()
  readonly #placesWanted = new Map<number, { reason: SealReason; avoid: readonly number[] }>()
  readonly reached = new Map<string, number>()
  readonly #producers: readonly Producer[] = [1, 2].map(id => ({ id, sequence: -1, crc: 0, base: 0, waits: 0 }))
  #wipes: number
  #crc = 0

  constructor(prng: Prng, options: WalkOptions) {
    this.#prng = prng
    this.#options = options
    this.#wipes = options.wipes
    this.world = new ScriptWorld({
      rollRecords: 12,
      fenceWaitMs: 20,
      resendMs: 20,
      drainMs: 20,
      proposeRetryMs: 20,
      placeRetryMs: 20,
    })
    this.world.onEffect = (id, effect) => this.#onEffect(id, effect)
    this.world.addNodes(options.nodes)
    const on = this.#some(options.copies)
    this.world.apply({
      do: 'create',
      config: {
        replicas: options.copies,
        minInsync: options.minInsync,
        flush: options.isRelaxed === true ? 'relaxed' : 'sync',
        uncleanSeal: false,
      },
    })
    this.world.apply({ do: 'openFirst', version: 0, next: this.world.placement(on[0]!, on) })
  }

  run(): void {
    for (const id of this.world.nodes.keys()) {
      this.world.learn(Number(id))
      this.world.feed(Number(id), { type: 'lease', untilMs: Number.MAX_SAFE_INTEGER })
    }
    for (let i = 0; i < this.#options.steps; i++) {
      this.#act()
      for (const { chain } of this.world.nodes.values()) if (chain !== null) checkLocal(chain)
      this.#checkReaders()
    }
    this.#heal()
    this.#checkAll()
    this.#checkQuiet()
  }

  #count(what: string): void {
    this.reached.set(what, (this.reached.get(what) ?? 0) + 1)
  }

  // ── actions

  #act(): void {
    const { world } = this
    if (this.#options.isTrimmed === true && this.#below(60) === 0) this.#trim()
    const chance = this.#below(1000)
    const id = this.#node()
    if (chance < 120) this.#produce(this.#below(10) === 0 ? id : this.#writer())
    else if (chance < 540) this.#deliverOne()
    else if (chance < 720) this.#sync(id)
    else if (chance < 760) world.decide(id)
    else if (chance < 800) world.outcomes(id, this.#below(4) > 0)
    else if (chance < 860) world.learn(id, this.#below(4) > 0)
    else if (chance < 940) this.#tick(id, this.#below(30))
    else if (chance < 965) this.#place(this.#below(3) === 0 ? id : this.#writer())
    else if (chance < 977) this.#recover(id)
    else if (chance < 983) this.#crashOrRestart(id)
    else if (chance < 988) world.drop(() => this.#below(4) === 0)
    else if (chance < 991) world.feed(id, { type: 'peerDown', nodeId: this.#node() as NodeId })
    else if (chance < 995) world.feed(id, { type: 'peerUp', peer: world.node(this.#other(id)).peer })
    else this.#repair(id)
  }

  #trim(): void {
    const { record } = this.world
    if (record === null) return
    const offset = record.chain[this.#below(record.chain.length)]!.base
    if (offset > record.logStartOffset) this.world.apply({ do: 'advanceStart', version: record.version, offset })
    this.#count('trims')
  }

  #sync(id: number): void {
    if (this.#options.isRelaxed === true && this.#below(4) > 0) this.world.flush(id, 1 + this.#below(6))
    else this.world.sync(id, 1 + this.#below(6))
  }

  #writer(): number {
    const { record } = this.world
    const segment = record === null ? null : unsealed(record)
    return segment === null ? this.#node() : Number(segment.writer)
  }

  #below(count: number): number {
    return this.#prng.between(0, count)
  }

  #node = () => 1 + this.#below(this.#options.nodes)

  #other(id: number): number {
    const other = 1 + this.#below(this.#options.nodes - 1)
    return other >= id ? other + 1 : other
  }

  #some(count: number): readonly number[] {
    const ids = [...this.world.nodes.keys()].map(Number)
    while (ids.length > count) ids.splice(this.#below(ids.length), 1)
    const first = this.#below(ids.length)
    return [...ids.slice(first), ...ids.slice(0, first)]
  }

  #produce(id: number): void {
    if (this.#below(3) === 0) this.#produceNext(id, this.#producers[this.#below(2)]!)
    else this.#send(id, ++this.#crc, null)
  }

  /** The next batch, or the one that nobody has acknowledged again. */
  #produceNext(id: number, producer: Producer): void {
    if (producer.base !== null) {
      producer.base = null
      producer.sequence += 1
      producer.crc = ++this.#crc
    } else if (--producer.waits > 0) return
    producer.waits = 3
    this.#send(id, producer.crc, producer)
  }

  #send(id: number, crc: number, producer: Producer | null, asked: Acks | null = null): void {
    const batch = {
      records: producer === null ? 1 + this.#below(3) : 1,
      bytes: 100,
      crc,
      maxTimestamp: 0,
      producerId: producer?.id ?? -1,
      producerEpoch: producer === null ? -1 : 0,
      baseSequence: producer?.sequence ?? -1,
      payload: null,
    }
    const some: readonly Acks[] = this.#options.isOneWriter === true && producer === null ? [0, 1, 'all'] : ['all']
    const acks = asked ?? this.#prng.pick(some)
    const isAlive = this.world.node(id).chain !== null
    const at = acks === 0 || !isAlive ? '' : this.#lifeOf(id)
    const token = this.#sent.push({ crc, producer, at, base: null, isRefused: false }) - 1
    this.world.feed(id, { type: 'produce', token, partition, batch, acks })
  }

  #deliverOne(): void {
    const { net } = this.world
    const parcel = net[Math.min(this.#below(Math.max(1, net.length)), this.#below(Math.max(1, net.length)))]
    if (parcel !== undefined) this.world.deliver(other => other === parcel, this.#below(10) === 0)
  }

  #tick(id: number, ms: number): void {
    const node = this.world.node(id)
    node.nowMs += ms
    this.world.feed(id, { type: 'tick', nowMs: node.nowMs })
  }

  #place(id: number): void {
    const wanted = this.#placesWanted.get(id)
    const on = this.#placed(id)
    const reason = wanted?.reason ?? 'rotation'
    this.#placesWanted.delete(id)
    const next = this.#below(10) === 0 ? null : this.world.placement(on[0]!, on)
    this.world.feed(id, { type: 'placement', partition, reason, next })
  }

  #recover(id: number): void {
    if (this.#options.isOneWriter === true) return
    const segment = this.world.record === null ? null : unsealed(this.world.record)
    if (segment === null) return
    const { chain, peer } = this.world.node(Number(segment.writer))
    const isWritten = segment.state === 'open' && chain !== null && peer.incarnation === segment.writerIncarnation
    if (isWritten && this.#below(4) > 0) return
    const on = this.#some(this.#options.copies)
    const spares = this.world.replicas([...this.world.nodes.keys()].map(Number))
    const next = this.world.placement(on[0]!, on)
    this.world.feed(id, { type: 'recover', partition, segment: segment.id, next, spares })
  }

  #crashOrRestart(id: number): void {
    if (this.#options.isOneWriter === true) return
    const { world } = this
    const down = [...world.nodes.values()].find(({ chain }) => chain === null)
    if (down !== undefined) {
      this.#restart(Number(down.peer.nodeId))
    } else if (this.#options.isRelaxed !== true || !this.reached.has('crashes')) {
      this.#count('crashes')
      world.crash(id)
    }
  }

  #restart(id: number): void {
    const isWiped = this.#wipes > 0 && this.#below(3) === 0
    if (isWiped) this.#wipes -= 1
    this.#placesWanted.delete(id)
    this.world.restart(id, { isWiped, standing: this.#options.isRelaxed === true ? 'dirty' : 'clean' })
  }

  #repair(id: number): void {
    const { record } = this.world
    const segment = record?.chain[this.#below(record.chain.length)]
    if (segment === undefined || segment.end === null) return
    const sources = segment.complete ?? []
    this.world.feed(id, { type: 'repair', partition, segment: segment.id, sources })
  }

  #onEffect(id: number, effect: ChainEffect): void {
    if (effect.do === 'answer') this.#onAnswer(effect)
    if (effect.do === 'place') this.#placesWanted.set(id, effect)
    if (effect.do === 'propose') this.#count(effect.command.do)
    invariant(effect.do !== 'halt', effect.do === 'halt' ? `node ${id} halts: ${effect.sentence}` : '')
  }

  #onAnswer({ token, result }: Extract<ChainEffect, { do: 'answer' }>): void {
    const sent = this.#sent[token]!
    invariant(sent.base === null && !sent.isRefused, `produce ${token} is answered once`)
    if (result.ok) sent.base = result.base
    else sent.isRefused = true
    this.#count(result.ok ? 'acknowledged' : result.error)
    const { producer, crc } = sent
    if (producer === null) return
    if (!result.ok) {
      const isOrderly = !/SEQUENCE|EPOCH/.test(result.error)
      invariant(isOrderly, `producer ${producer.id} repeats in order, and is told ${result.error}`)
    } else if (producer.crc === crc) {
      invariant(
        producer.base === null || producer.base === result.base,
        'a retry is acknowledged where the original is',
      )
      producer.base = result.base
    }
  }

  // ── what must hold

  /** No reader anywhere sees other bytes at an offset that a reader has seen. */
  #checkReaders(): void {
    const { record } = this.world
    if (record === null) return
    for (const { chain, store } of this.world.nodes.values()) {
      if (chain === null) continue
      for (const segment of record.chain.slice(-2)) {
        const limit = readLimit(chain, partition, segment.base)
        if (limit.kind !== 'here' || limit.segment !== segment.id) continue
        for (const batch of store.batches(segment.id)) {
          if (batch.end > limit.end) break
          const seen = this.#seen.get(batch.base)
          invariant(seen === undefined || seen === batch.crc, `offset ${batch.base} was read with other bytes before`)
          this.#seen.set(batch.base, batch.crc)
        }
      }
    }
  }

  #heal(): void {
    const { world } = this
    const ids = [...world.nodes.keys()].map(Number)
    for (const id of ids) if (world.node(id).chain === null) this.#restart(id)
    for (const id of ids)
      for (const other of ids) if (other !== id) world.feed(id, { type: 'peerUp', peer: world.node(other).peer })
    for (let round = 0; round < 40; round++) {
      world.settle()
      for (const id of ids) this.#tick(id, 50)
      this.#control()
    }
    world.settle()
    this.#send(Number(unsealed(world.record!)!.writer), ++this.#crc, null, 'all')
    world.settle()
    invariant(this.#sent.at(-1)!.base !== null, 'after healing a record is acknowledged')
    for (const id of ids) this.#tick(id, 200)
    world.settle()
  }

  /** What a controller would do: recover what has no writer, place what asks for it, repair. */
  #control(): void {
    const { world } = this
    const record = world.record!
    const segment = unsealed(record)!
    const { chain, peer } = world.node(Number(segment.writer))
    const isWritten = segment.state === 'open' && chain !== null && peer.incarnation === segment.writerIncarnation
    if (!isWritten) this.#recover(this.#node())
    for (const id of this.#placesWanted.keys()) this.#placeHealthy(id)
    for (const old of record.chain) {
      if (old.end === null) continue
      for (const { nodeId, diskId } of old.replicas) {
        const node = world.node(Number(nodeId))
        const isOther = node.peer.diskId !== diskId
        if (isOther || !old.complete?.includes(nodeId))
          world.feed(Number(nodeId), { type: 'repair', partition, segment: old.id, sources: old.complete ?? [] })
      }
    }
  }

  #placed(id: number): readonly number[] {
    const on = this.#some(this.#options.copies)
    return this.#options.isOneWriter === true ? [id, ...on.filter(other => other !== id)].slice(0, on.length) : on
  }

  #placeHealthy(id: number): void {
    const on = this.#placed(id)
    const reason = this.#placesWanted.get(id)?.reason ?? 'rotation'
    this.#placesWanted.delete(id)
    this.world.feed(id, { type: 'placement', partition, reason, next: this.world.placement(on[0]!, on) })
  }

  /** Each sequence once, in order, without a gap. */
  #checkSequences(bytes: ReadonlyMap<number, number>): void {
    const crcs = [...bytes].sort(([a], [b]) => a - b).map(([, crc]) => crc)
    invariant(new Set(crcs).size === crcs.length, 'no batch is in the log twice')
    for (const { id } of this.#producers) {
      const sent = [...new Set(this.#sent.filter(({ producer }) => producer?.id === id).map(({ crc }) => crc))]
      const kept = crcs.filter(crc => sent.includes(crc))
      const first = this.#options.isTrimmed === true ? sent.indexOf(kept[0] ?? 0) : 0
      invariant(
        kept.every((crc, i) => crc === sent[first + i]),
        `the batches of producer ${id} are in the log in order, without a gap`,
      )
    }
  }

  #lifeOf(id: number): string {
    return `node ${id} in its life ${this.world.node(id).peer.incarnation}`
  }

  /** What is over leaves nothing behind, and nobody without an answer. */
  #checkQuiet(): void {
    const lives = new Set([...this.world.nodes.keys()].map(id => this.#lifeOf(Number(id))))
    for (const [token, { at, base, isRefused }] of this.#sent.entries()) {
      invariant(base !== null || isRefused || !lives.has(at), `produce ${token} is never answered by ${at}`)
    }
    const open = unsealed(this.world.record!)!
    for (const { chain, peer } of this.world.nodes.values()) {
      if (chain === null) continue
      const { recoveries, repairs, removals, pending, unpublished, behind, writers } = chain
      const left = { recoveries, repairs, removals, unpublished, behind }
      for (const [what, { size }] of Object.entries(left)) {
        invariant(size === 0, `node ${peer.nodeId} has ${size} ${what} left when all is quiet`)
      }
      invariant(pending.length === 0, 'nothing waits for a disk that has synced')
      const roles = [...writers.values()].filter(({ segment }) => segment !== open.id)
      invariant(roles.length === 0, 'nobody is the writer of a sealed segment')
    }
  }

  #checkAll(): void {
    const bytes = new Map<number, number>()
    for (const segment of this.world.record!.chain) {
      const holders = segment.complete ?? segment.replicas.map(({ nodeId }) => nodeId)
      let longest: ReadonlyMap<number, number> = new Map()
      for (const nodeId of holders) {
        const mine = new Map(
          this.world
            .node(Number(nodeId))
            .store.batches(segment.id)
            .map(({ base, crc }) => [base as number, crc]),
        )
        if (mine.size > longest.size) longest = mine
        if (segment.state === 'sealed') this.#checkComplete(segment, Number(nodeId))
      }
      for (const [base, crc] of longest) bytes.set(base, crc)
    }
    const start = this.world.record!.logStartOffset
    for (const [token, { base, crc }] of this.#sent.entries()) {
      if (base === null || base < start) continue
      invariant(
        bytes.get(base) === crc,
        `produce ${token} was acknowledged at ${base}; there is ${bytes.get(base)}, not ${crc}`,
      )
    }
    for (const [base, crc] of this.#seen) {
      invariant(base < start || bytes.get(base) === crc, `what was read at ${base} is gone`)
      bytes.set(base, crc)
    }
    this.#checkSequences(bytes)
  }

  #checkComplete(
    segment: { readonly id: number; readonly end: Offset | null; readonly checksum: number },
    nodeId: number,
  ): void {
    const { store } = this.world.node(nodeId)
    const facts = store.summary(segment.id as never, segment.end as Offset)
    invariant(
      facts?.checksum === segment.checksum,
      `the complete copy of s${segment.id} at ${nodeId} is what the record says`,
    )
  }
}
