import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { NodeId } from '../base/ids.ts'
import {
  createGrantor,
  createHolder,
  type Grantor,
  grantedMs,
  grantorStep,
  holderStep,
  isLive,
  defaultLivenessSettings as settings,
  watch,
} from './liveness.ts'

const one = 1 as NodeId
const two = 2 as NodeId
const { sessionMs } = settings
const graceMs = grantedMs(settings)

describe('the holder of a lease', () => {
  it('asks for it every tenth of a second, and counts from when it asked', () => {
    const holder = createHolder(settings)
    assert.deepEqual(holderStep(holder, { type: 'tick', nowMs: 1000 }), [{ do: 'renew', sentAtMs: 1000 }])
    assert.deepEqual(holderStep(holder, { type: 'tick', nowMs: 1050 }), [])
    assert.deepEqual(holderStep(holder, { type: 'tick', nowMs: 1100 }), [{ do: 'renew', sentAtMs: 1100 }])
    // The answer to the first took long.
    assert.deepEqual(holderStep(holder, { type: 'granted', sentAtMs: 1000, knownThrough: 0 }), [
      { do: 'lease', untilMs: 1000 + sessionMs },
    ])
  })

  it('is not impressed by answers that are doubled, late, or to what it never asked', () => {
    const holder = createHolder(settings)
    assert.deepEqual(holderStep(holder, { type: 'granted', sentAtMs: 0, knownThrough: 0 }), [], 'it has not asked yet')
    for (const nowMs of [0, 100, 200]) holderStep(holder, { type: 'tick', nowMs })
    assert.equal(holderStep(holder, { type: 'granted', sentAtMs: 200, knownThrough: 0 }).length, 1)
    assert.deepEqual(holderStep(holder, { type: 'granted', sentAtMs: 200, knownThrough: 0 }), [])
    assert.deepEqual(holderStep(holder, { type: 'granted', sentAtMs: 100, knownThrough: 0 }), [])
    assert.deepEqual(holderStep(holder, { type: 'granted', sentAtMs: 300, knownThrough: 0 }), [])
    assert.equal(holder.untilMs, 200 + sessionMs)
  })

  it('waits until it knows what the leader knew: it may have been replaced meanwhile', () => {
    const holder = createHolder(settings)
    for (const nowMs of [0, 100, 200, 300]) holderStep(holder, { type: 'tick', nowMs })
    const grant = (sentAtMs: number, knownThrough: number) =>
      holderStep(holder, { type: 'granted', sentAtMs, knownThrough })
    const known = (index: number) => holderStep(holder, { type: 'applied', index })
    assert.deepEqual([grant(0, 7), grant(100, 9), grant(200, 12)], [[], [], []])
    assert.deepEqual(known(6), [])
    assert.deepEqual(known(10), [
      { do: 'lease', untilMs: sessionMs },
      { do: 'lease', untilMs: 100 + sessionMs },
    ])
    assert.deepEqual(grant(300, 10), [{ do: 'lease', untilMs: 300 + sessionMs }])
    assert.deepEqual(known(12), [], 'a later one counts already')
    for (let i = 0; i < 100; i++) grant(300, 20 + i)
    assert.equal(holder.waiting.length, 16)
  })

  it('gives the lease up when its clock jumps back: it cannot tell how long it is', () => {
    const holder = createHolder(settings)
    holderStep(holder, { type: 'tick', nowMs: 5000 })
    holderStep(holder, { type: 'granted', sentAtMs: 5000, knownThrough: 0 })
    assert.deepEqual(holderStep(holder, { type: 'tick', nowMs: 4000 }), [
      { do: 'lease', untilMs: 4000 },
      { do: 'renew', sentAtMs: 4000 },
    ])
    assert.deepEqual(
      holderStep(holder, { type: 'granted', sentAtMs: 5000, knownThrough: 0 }),
      [],
      'asked for by a time that is not yet',
    )
  })
})

/** A grantor that leads since time 0, over nodes 1 and 2. */
function leader(): Grantor {
  const grantor = createGrantor(settings)
  grantorStep(grantor, { type: 'lead', nowMs: 0, nodes: [one, two] })
  return grantor
}

const renewal = (grantor: Grantor, nodeId: NodeId, nowMs: number, incarnation = 1) =>
  grantorStep(grantor, { type: 'renewal', nodeId, incarnation, nowMs })

/** Ticks on the way, as a leader that runs has them. */
function tickTo(grantor: Grantor, fromMs: number, toMs: number) {
  const effects = []
  for (let nowMs = fromMs + 50; nowMs <= toMs; nowMs += 50)
    effects.push(...grantorStep(grantor, { type: 'tick', nowMs }))
  return effects
}

describe('the grantor of leases', () => {
  it('gives everybody a full session when it begins to lead', () => {
    const grantor = leader()
    assert.ok(isLive(grantor, one) && isLive(grantor, two))
    renewal(grantor, one, 1000)
    renewal(grantor, two, 1000)
    grantorStep(grantor, { type: 'lead', nowMs: 90_000, nodes: [one, two] })
    assert.deepEqual(tickTo(grantor, 90_000, 90_000 + sessionMs), [])
    assert.ok(isLive(grantor, one))
  })

  it('tells once that a lease is over, and that its node has come back', () => {
    const grantor = leader()
    renewal(grantor, one, 1000, 3)
    renewal(grantor, two, 3000)
    const expired = [{ do: 'expired', nodeId: one, incarnation: 3 }]
    assert.deepEqual(tickTo(grantor, 0, 3000), expired)
    assert.deepEqual([isLive(grantor, one), isLive(grantor, two)], [false, true])
    assert.deepEqual(renewal(grantor, one, 3010, 3), [{ do: 'returned', nodeId: one, incarnation: 3 }])
    assert.ok(isLive(grantor, one))
  })

  it('suspects a node at once when its connection breaks, but leaves it its lease', () => {
    const grantor = leader()
    renewal(grantor, one, 100)
    assert.deepEqual(grantorStep(grantor, { type: 'peerDown', nodeId: one, nowMs: 110 }), [])
    assert.equal(isLive(grantor, one), false)
    assert.deepEqual(renewal(grantor, one, 200), [], 'nobody had been told')
    assert.equal(isLive(grantor, one), true)
  })

  it('does not count the time in which it stalled itself', () => {
    const grantor = leader()
    renewal(grantor, one, 900)
    renewal(grantor, two, 900)
    tickTo(grantor, 0, 1000)
    assert.deepEqual(grantorStep(grantor, { type: 'tick', nowMs: 60_000 }), [])
    assert.ok(isLive(grantor, one))
    assert.deepEqual(tickTo(grantor, 60_000, 60_000 + 1400), [])
    assert.equal(tickTo(grantor, 61_400, 60_000 + graceMs).length, 2, 'who has been silent since is gone after all')
  })

  it('grants no more than a session however its clock jumps', () => {
    const grantor = leader()
    renewal(grantor, one, 100)
    renewal(grantor, two, 100)
    grantorStep(grantor, { type: 'tick', nowMs: 1_000_000 })
    grantorStep(grantor, { type: 'tick', nowMs: 0 })
    assert.equal(tickTo(grantor, 0, graceMs + 100).length, 2)
  })

  it('hears of a boot by its registration as well as by its renewals, and not of boots before', () => {
    const grantor = leader()
    renewal(grantor, one, 100, 2)
    tickTo(grantor, 0, 3000)
    assert.equal(isLive(grantor, one), false)
    watch(grantor, one, 2, 3000)
    assert.equal(isLive(grantor, one), false)
    watch(grantor, one, 3, 3000)
    assert.equal(isLive(grantor, one), true)
    assert.deepEqual(renewal(grantor, one, 4000, 2), [])
    assert.equal(tickTo(grantor, 3000, 5000).length, 1, 'the boot before does not hold the lease')
    watch(grantor, 7 as NodeId, 1, 5000)
    assert.equal(isLive(grantor, 7 as NodeId), true)
  })

  it('gives a session to a boot that registers after the election, once, though it has not renewed yet', () => {
    const grantor = leader()
    // Registered when the leader looks first: it has the session that everybody got.
    watch(grantor, one, 3, 50)
    tickTo(grantor, 0, 1600)
    watch(grantor, one, 4, 1600)
    watch(grantor, one, 4, 1650)
    assert.deepEqual(tickTo(grantor, 1600, 3200), [], 'node 2 expires, but under no number that this leader heard of')
    assert.deepEqual([isLive(grantor, one), isLive(grantor, two)], [true, false])
    assert.deepEqual(tickTo(grantor, 3200, 3300), [{ do: 'expired', nodeId: one, incarnation: 4 }])
    renewal(grantor, one, 3300, 4)
    watch(grantor, one, 4, 4000)
    assert.equal(grantor.nodes.get(one)?.untilMs, 3300 + graceMs, 'looking is no renewal')
  })

  it('minds a lost connection only of whom it knows, and a stall only of more than a few ticks', () => {
    const grantor = leader()
    grantorStep(grantor, { type: 'peerDown', nodeId: 9 as NodeId, nowMs: 10 })
    assert.equal(isLive(grantor, 9 as NodeId), false)
    grantorStep(grantor, { type: 'tick', nowMs: settings.stallMs })
    assert.equal(grantor.nodes.get(one)?.untilMs, graceMs)
    grantorStep(grantor, { type: 'tick', nowMs: 2 * settings.stallMs + 1 })
    assert.equal(grantor.nodes.get(one)?.untilMs, graceMs + settings.stallMs + 1)
  })

  it('knows nothing while it does not lead', () => {
    const grantor = leader()
    grantorStep(grantor, { type: 'retire' })
    assert.deepEqual(renewal(grantor, one, 10), [])
    watch(grantor, one, 1, 10)
    assert.equal(isLive(grantor, one), false)
  })
})

describe('a lease', () => {
  it('is over for its holder before the grantor acts on it, with clocks that drift within the bound and any delays', () => {
    const drift = fc.double({ min: 1 - settings.driftMax, max: 1 + settings.driftMax, noNaN: true })
    fc.assert(
      fc.property(
        drift,
        drift,
        fc.array(fc.nat(800), { maxLength: 60 }),
        fc.nat(3000),
        (fast, slow, delays, silence) => {
          // Real time in ms; each side sees it through its own clock.
          const holderClock = (realMs: number) => 7_000 + realMs * slow
          const grantorClock = (realMs: number) => 1_000_000 + realMs * fast
          const holder = createHolder(settings)
          const grantor = createGrantor(settings)
          grantorStep(grantor, { type: 'lead', nowMs: grantorClock(0), nodes: [one] })
          const arriving: { atMs: number; run: (realMs: number) => void }[] = []
          for (let realMs = 0; realMs < 12_000; realMs += 10) {
            const due = arriving.filter(({ atMs }) => atMs <= realMs)
            for (const message of due) {
              arriving.splice(arriving.indexOf(message), 1)
              message.run(realMs)
            }
            for (const effect of holderStep(holder, { type: 'tick', nowMs: holderClock(realMs) })) {
              if (effect.do !== 'renew' || realMs > 5000 + silence) continue
              const [there, back] = [delays[realMs % 60] ?? 0, delays[(realMs + 7) % 60] ?? 0]
              arriving.push({
                atMs: realMs + there,
                run: nowMs => {
                  renewal(grantor, one, grantorClock(nowMs))
                  const { sentAtMs } = effect
                  arriving.push({
                    atMs: nowMs + back,
                    run: () => holderStep(holder, { type: 'granted', sentAtMs, knownThrough: 0 }),
                  })
                },
              })
            }
            grantorStep(grantor, { type: 'tick', nowMs: grantorClock(realMs) })
            const holdsOn = holderClock(realMs) < holder.untilMs
            if (holdsOn) assert.ok(isLive(grantor, one), `at ${realMs} the holder still relies on its lease`)
          }
          assert.equal(isLive(grantor, one), false)
        },
      ),
      { numRuns: 60 },
    )
  })
})
