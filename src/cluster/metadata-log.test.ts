import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DiskId, NodeId, TopicId } from '../base/ids.ts'
import { rest, seededRandom, until } from '../log/journal.test-kit.ts'
import type { JournalFile } from '../log/journal-files.ts'
import { entryKinds } from '../log/journal-format.ts'
import { smallStore } from '../log/log.test-kit.ts'
import { LogStore } from '../log/log-store.ts'
import { replaceFile } from '../log/whole-file.ts'
import { encodeRaftEntry, entryTypes } from '../raft/storage.ts'
import { ManualClock } from '../sim/clock.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import type { Command } from './commands.ts'
import { MetadataLog } from './metadata-log.ts'
import { oneNodeCommands, oneNodeFile } from './one-node.test-kit.ts'

const self = { nodeId: 1 as NodeId, diskId: '02'.repeat(16) as DiskId }
const identity = { clusterId: Buffer.alloc(16, 1), diskId: Buffer.alloc(16, 2) }

interface Opened {
  readonly disk: MemoryDisk
  readonly store: LogStore
  readonly log: MetadataLog
}

async function open(disk = new MemoryDisk()): Promise<Opened> {
  const io = { disk, clock: new ManualClock(), random: seededRandom(disk.operations + 1) }
  const store = await LogStore.open(io, identity, smallStore, {
    report: () => {},
    fail: () => {},
    saveMetadata: async () => {},
  })
  const found = store.raft.splice(0)
  const log = await MetadataLog.open({ ...io, journal: store.journal, found, self })
  if (!log.metadata.nodes.has(self.nodeId)) {
    await log.propose({ do: 'registerNode', ...self, confirmed: 0, attempted: 0, incarnation: 1 })
  }
  return { disk, store, log }
}

const create = (number: number): Command => ({
  do: 'createTopic',
  topicId: number.toString(16).padStart(32, '0') as TopicId,
  name: `topic-${number}`,
  partitions: 1,
  configs: [],
  replication: { replicas: 1, minInsync: 1, flush: 'sync', uncleanSeal: false },
  placements: [
    {
      partition: 0,
      next: {
        writer: self.nodeId,
        writerIncarnation: 1,
        replicas: [{ ...self, incarnation: 1 }],
        ackQuorum: 1,
      },
    },
  ],
  nowMs: 0,
})

const names = ({ log }: Opened) => [...log.metadata.byName.keys()]

describe('the metadata log', () => {
  it('has every command that was answered after a crash at any operation, with and without snapshots', async () => {
    for (const end of ['kill', 'losePower'] as const) {
      for (let last = 1, isOver = false; !isOver; last++) {
        const crash = Promise.withResolvers<void>()
        const schedule = ({ number }: Operation, _: number, task: () => void) => {
          if (number > last) return
          setImmediate(() => {
            task()
            if (number === last) setImmediate(crash.resolve)
          })
        }
        const disk = new MemoryDisk({ schedule })
        const answered: string[] = []
        const life = (async () => {
          const opened = await open(disk)
          for (let i = 1; i <= 8; i++) {
            const outcome = await opened.log.propose(create(i))
            assert.ok(outcome.ok)
            answered.push(`topic-${i}`)
            if (i % 3 === 0) await opened.log.save()
          }
          isOver = true
        })()
        await Promise.race([crash.promise, life])
        const again = await open(end === 'kill' ? disk.kill({}) : disk.losePower({}).disk)
        const what = `${end} after operation ${last}`
        assert.deepEqual(names(again).slice(0, answered.length), answered, what)
        assert.ok(names(again).length <= answered.length + 1, what)
        const ids = [...again.log.metadata.topics.values()].map(topic => topic.partitions[0]?.chain[0]?.id)
        assert.deepEqual(
          ids,
          ids.map((_, i) => i + 1),
          what,
        )
        const twice = await open(again.disk.losePower({}).disk)
        assert.deepEqual(names(twice), names(again), `${what}, then a power loss`)
      }
    }
  })

  it('lets go of journal files with a snapshot, and of none before it is durable', async () => {
    const { disk, store, log } = await open()
    for (let i = 0; store.files.live.length < 3; i++) await log.propose(create(i + 1))
    assert.equal(store.files.freeable(), 0)
    const saving = log.save()
    assert.equal(store.files.freeable(), 0)
    await saving
    assert.equal(store.files.freeable(), 2)
    await rest()
    const again = await open(disk.kill({}))
    assert.deepEqual(names(again), [...log.metadata.byName.keys()])
  })

  it('keeps the entries that came while a snapshot was being saved', async () => {
    const { store, log, disk } = await open()
    await log.propose(create(1))
    const saving = log.save()
    await log.propose(create(2))
    await saving
    const again = await open(disk.kill({}))
    assert.deepEqual(names(again), ['topic-1', 'topic-2'])
    assert.ok(store.files.live.some(file => file.pins > 0))
  })

  it('with a snapshot that found no room goes on without it, and holds the journal', async () => {
    const full = { is: false }
    const fault = ({ path, kind }: Operation): Fault | null =>
      full.is && path.startsWith('metadata') && kind === 'write' ? { error: 'ENOSPC' } : null
    const { disk, log, store } = await open(new MemoryDisk({ fault }))
    await log.propose(create(1))
    full.is = true
    await assert.rejects(log.save(), { code: 'ENOSPC' })
    const pins = store.files.live.map(file => file.pins)
    await log.propose(create(2))
    full.is = false
    await log.save()
    assert.ok((pins[0] as number) > 0)
    assert.deepEqual(names(await open(disk.kill({}))), ['topic-1', 'topic-2'])
  })

  it('refuses to start, with a sentence, when entries in the middle are missing', async () => {
    const { disk, log, store } = await open()
    for (let i = 1; i <= 4; i++) await log.propose(create(i))
    await until(() => store.journal.durableThrough === store.journal.nextGroupSeq - 1)
    await store.close()
    const path = 'journal/000001.journal'
    const at = disk.files.peek(path).indexOf('topic-2')
    const next = disk.kill({})
    next.files.flip(path, at, 1)
    await assert.rejects(open(next), (error: Error) => /metadata entries 4 to 4 are missing/.test(error.message))
  })

  it('refuses a snapshot that is damaged, and one whose command nobody knows', async () => {
    const { disk, log } = await open()
    await log.propose(create(1))
    await log.save()
    const next = disk.kill({})
    next.files.flip('metadata', 60, 1)
    await assert.rejects(open(next), { code: 'CORRUPT' })
  })

  it('opens what a node by itself left before there were clusters: its file, and the entries behind it', async () => {
    const disk = new MemoryDisk()
    await replaceFile(disk, 'metadata', [Buffer.from(oneNodeFile, 'base64')])
    const { store, log } = await open(disk)
    const found = oneNodeCommands.map((command, i) => {
      const [index, term] = [3 + i, i < 8 ? 3 : 4] as const
      const body = encodeRaftEntry({
        index,
        term,
        type: entryTypes.command,
        data: Buffer.from(command, 'base64'),
      } as never)
      return { kind: entryKinds.raftEntry, body, file: store.files.live[0] as JournalFile }
    })
    log.close()
    const random = seededRandom(1)
    const again = await MetadataLog.open({ disk, random, journal: store.journal, found, self })
    const topic = again.metadata.topicNamed('orders')
    assert.deepEqual(
      topic?.partitions[0]?.chain.map(segment => segment.id),
      [3, 4],
      'what the last two commands dropped and purged is gone',
    )
    assert.equal(again.metadata.topics.size, 1)
    await again.propose({ do: 'deleteTopic', topicId: topic?.id as TopicId })
    assert.equal(again.metadata.byName.size, 0)
  })

  it('begins a new term with every start', async () => {
    let opened = await open()
    for (let start = 2; start < 5; start++) {
      await opened.log.save()
      opened = await open(opened.disk.losePower({}).disk)
    }
    const again = await open(opened.disk.kill({}))
    await again.log.propose(create(1))
    await again.log.save()
    assert.deepEqual(names(await open(again.disk.kill({}))), ['topic-1'])
  })
})
