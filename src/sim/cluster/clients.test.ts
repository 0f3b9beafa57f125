/** The clients against a small cluster that is honest, then against ones that are not: together with the oracle they must see it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../base/prng.ts'
import { type Clients, defaultClients, startClients } from './clients.ts'
import { FakeCluster, type Manners } from './fake-cluster.test-kit.ts'
import { History } from './history.ts'
import { judge } from './oracle.ts'
import { Producer, type ProducerStyle, steadyStyle } from './producer.ts'
import { Workload } from './workload.ts'

const rough: Partial<Manners> = { loss: 0.05, failover: 0.02, refusal: 0.05 }
const options = { ...defaultClients, producers: 4, producerPauseMs: 40, trimPauseMs: 4000 }

interface Run {
  readonly cluster: FakeCluster
  readonly clients: Clients
  readonly kinds: readonly string[]
}

/** Load for a while, then the last reading through a network that behaves. */
function run(seed: number, manners: Partial<Manners>, forMs = 20_000): Run {
  const cluster = new FakeCluster(seed, manners)
  const clients = startClients(cluster, new History(), options)
  cluster.run(forMs)
  clients.stop()
  cluster.run(5000, () => clients.isQuiet)
  assert.ok(clients.isQuiet, 'clients that were stopped wait for nothing after a while')
  cluster.manners = { ...cluster.manners, loss: 0 }
  cluster.run(100)
  let isDone = false
  clients.readEverything(() => {
    isDone = true
  })
  cluster.run(60_000, () => isDone)
  assert.ok(isDone, 'the last reading comes to an end')
  const anomalies = judge(clients.history, { copiesMin: 3, tellsWriterLosses: true, leaseMs: 1000 })
  return { cluster, clients, kinds: [...new Set(anomalies.map(anomaly => anomaly.kind))] }
}

test('an honest cluster behind a rough network: much is done, nothing is held against it', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { cluster, clients, kinds } = run(seed, rough)
    assert.deepEqual(kinds, [], `seed ${seed}`)
    assert.ok(clients.acknowledgedCount > 500, `seed ${seed}: ${clients.acknowledgedCount} records`)
    assert.ok(clients.tallies['records read'] > 1000, `seed ${seed}: ${clients.tallies['records read']} read`)
    for (let partition = 0; partition < cluster.partitions; partition++) {
      assert.ok(clients.lastAcknowledgedAtMs(partition) > 15_000, `seed ${seed}: partition ${partition} went on`)
    }
  }
})

test('what makes producers begin anew is reached', () => {
  const reached = { epochs: 0, timeouts: 0, givenUp: 0, refusals: 0, trims: 0, ids: 0 }
  for (let seed = 1; seed <= 20; seed++) {
    const { tallies } = run(seed, rough).clients
    reached.epochs += tallies['new producer epochs']
    reached.ids += tallies['new producer ids']
    reached.timeouts += tallies.timeouts
    reached.givenUp += tallies['batches given up']
    reached.refusals += tallies['definite refusals']
    reached.trims += tallies.trims
  }
  for (const [what, count] of Object.entries(reached)) assert.ok(count >= 20, `${what}: ${count}`)
})

test('a cluster that loses what it acknowledged, writes twice, or writes what it refused, is found out', () => {
  const found = (bug: Partial<Manners>) => {
    const kinds = new Set<string>()
    for (let seed = 1; seed <= 5; seed++)
      for (const kind of run(seed, { ...rough, ...bug }, 5000).kinds) kinds.add(kind)
    return kinds
  }
  assert.ok(found({ losesAcknowledged: 0.01 }).has('lost write'))
  assert.ok(found({ writesTwice: 0.02 }).has('duplicate'))
  assert.ok(found({ writesRefused: 0.5 }).has('refused write is visible'))
})

test('the same seed is the same workload', () => {
  const events = (seed: number) => JSON.stringify(run(seed, rough, 3000).clients.history.events)
  assert.equal(events(7), events(7))
  assert.notEqual(events(7), events(8))
})

test('requests without an answer are given up: clients of a dead cluster ask on, at a bounded pace, and stop', () => {
  const cluster = new FakeCluster(1, { loss: 1 })
  cluster.findWriter = () => {
    cluster.requests += 1
  }
  const clients = startClients(cluster, new History(), options)
  cluster.run(10_000)
  assert.ok(cluster.requests > 100 && cluster.requests < 1500, `${cluster.requests} requests in ten seconds`)
  clients.stop()
  cluster.run(5000, () => clients.isQuiet)
  assert.ok(clients.isQuiet)
})

test('a node that gives nothing does not keep the last reading from its end, and is said to give nothing', () => {
  const cluster = new FakeCluster(3)
  const clients = startClients(cluster, new History(), { ...options, trimPauseMs: null })
  cluster.run(5000)
  clients.stop()
  cluster.run(5000, () => clients.isQuiet)
  const read = cluster.read.bind(cluster)
  cluster.read = (node, partition, from, recordsMax, onAnswer) =>
    node === 2 && from < 40
      ? cluster.after(1, () => onAnswer({ ok: false, error: 'NOT_LEADER_OR_FOLLOWER' }))
      : read(node, partition, from, recordsMax, onAnswer)
  let isDone = false
  clients.readEverything(() => {
    isDone = true
  })
  cluster.run(60_000, () => isDone)
  assert.ok(isDone)
  assert.deepEqual(judge(clients.history, { copiesMin: 2, tellsWriterLosses: true }), [])
  const kinds = judge(clients.history, { copiesMin: 3, tellsWriterLosses: true }).map(anomaly => anomaly.kind)
  assert.deepEqual([...new Set(kinds)], ['unreadable'])
})

test('an idempotent producer never has more than five batches open, nor a second one before its first is known', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const cluster = new FakeCluster(seed, { ...rough, delayMs: 60 }, 1)
    const history = new History()
    const prng = new Prng(seed)
    const style: ProducerStyle = { ...steadyStyle(prng, 5), isIdempotent: true, openMax: 5, attemptsMax: 6 }
    new Producer(new Workload(cluster, history), prng, 0, style)
    cluster.run(20_000)
    const opens = openAtOnce(history)
    assert.equal(opens.most, 5, `seed ${seed}`)
    assert.equal(opens.mostUnknown, 1, `seed ${seed}`)
  }
})

/** Distinct batches of one producer epoch between the oldest that is unacknowledged and the newest that was sent. */
function openAtOnce({ events }: History): { most: number; mostUnknown: number } {
  const batchOf = new Map<number, { epoch: string; sequence: number }>()
  const open = new Map<string, Set<number>>()
  const knownIds = new Set<string>()
  let most = 0
  let mostUnknown = 0
  for (const event of events) {
    if (event.type === 'send') {
      const { producerId, producerEpoch, baseSequence } = event.batch
      const epoch = `${producerId}/${producerEpoch}`
      batchOf.set(event.request, { epoch, sequence: baseSequence })
      const sequences = open.get(epoch) ?? new Set()
      open.set(epoch, sequences.add(baseSequence))
      most = Math.max(most, sequences.size)
      if (!knownIds.has(`${producerId}`)) mostUnknown = Math.max(mostUnknown, sequences.size)
    } else if (event.type === 'acknowledged') {
      const batch = batchOf.get(event.request)
      if (batch === undefined) continue
      knownIds.add(batch.epoch.split('/')[0] as string)
      open.get(batch.epoch)?.delete(batch.sequence)
    }
  }
  return { most, mostUnknown }
}
