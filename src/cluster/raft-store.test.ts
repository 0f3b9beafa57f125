import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DiskId, LogIndex, NodeId, Term } from '../base/ids.ts'
import type { JournalFile } from '../log/journal-files.ts'
import { entryKinds } from '../log/journal-format.ts'
import type { FoundRaft } from '../log/log-store.ts'
import { saveWhole } from '../log/whole-file.ts'
import type { Membership } from '../raft/membership.ts'
import { encodeHardState, encodeRaftEntry, entryTypes } from '../raft/storage.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { Metadata } from './metadata.ts'
import { loadRaft } from './raft-store.ts'
import { encodeMetadata, metadataFile, toFile } from './snapshot.ts'

const file = { pins: 0 } as JournalFile
const alone: Membership = [{ nodeId: 1 as NodeId, diskId: '1'.repeat(32) as DiskId, role: 'voter' }]

const entry = (index: number, term: number, text: string): FoundRaft => ({
  kind: entryKinds.raftEntry,
  body: encodeRaftEntry({
    index: index as LogIndex,
    term: term as Term,
    type: entryTypes.command,
    data: Buffer.from(text),
  }),
  file,
})
const state = (term: number, votedFor: number | null): FoundRaft => ({
  kind: entryKinds.raftState,
  body: encodeHardState({ term: term as Term, votedFor: votedFor as NodeId | null }),
  file,
})

async function load(found: readonly FoundRaft[], disk = new MemoryDisk()) {
  const { restored, pins } = await loadRaft(disk, found, alone)
  return { ...restored, pins, log: restored.entries.map(({ index, term, data }) => `${index}.${term} ${data}`) }
}

/** A disk with a snapshot at entry 5 of term 3, saved in term 4. */
async function withSnapshot(membership: Membership = alone): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const data = encodeMetadata(new Metadata())
  const snapshot = { index: 5 as LogIndex, term: 3 as Term, membership, data, checksum: 0 }
  await saveWhole(disk, 'metadata', metadataFile, toFile(snapshot, { term: 4 as Term, votedFor: 1 as NodeId }))
  return disk
}

describe('what Raft finds when a node starts', () => {
  it('is nothing at first', async () => {
    const { hardState, snapshot, log } = await load([])
    assert.deepEqual({ hardState, snapshot, log }, { hardState: { term: 0, votedFor: null }, snapshot: null, log: [] })
  })

  it('is the newest term and vote, of one term the last', async () => {
    assert.deepEqual((await load([state(1, 1), state(3, null), state(3, 2)])).hardState, { term: 3, votedFor: 2 })
    const disk = await withSnapshot()
    assert.deepEqual((await load([state(3, 2)], disk)).hardState, { term: 4, votedFor: 1 }, 'the file’s is newer')
    assert.deepEqual((await load([state(5, 2)], disk)).hardState, { term: 5, votedFor: 2 })
  })

  it('is the entries behind the snapshot, each as it was written last', async () => {
    const found = [entry(4, 2, 'd'), entry(5, 3, 'e'), entry(6, 3, 'f'), entry(7, 3, 'g'), entry(8, 3, 'h')]
    const disk = await withSnapshot()
    assert.deepEqual((await load([...found, state(4, 2)], disk)).log, ['6.3 f', '7.3 g', '8.3 h'])
    const cut = [...found, state(5, 2), entry(7, 5, 'G'), entry(8, 5, 'H')]
    assert.deepEqual((await load(cut, disk)).log, ['6.3 f', '7.5 G', '8.5 H'])
    const shorter = [...found, state(5, 2), entry(6, 5, 'F')]
    assert.deepEqual((await load(shorter, disk)).log, ['6.5 F'], 'what was behind it is cut off')
  })

  it('has no gap, or the node does not start', async () => {
    const gap = { code: 'CORRUPT', message: /metadata entries 7 to 8 are missing/ }
    await assert.rejects(load([entry(6, 3, 'f'), entry(9, 3, 'i')], await withSnapshot()), gap)
    await assert.rejects(load([entry(2, 1, 'b')]), /metadata entries 1 to 1 are missing/)
  })

  it('tells of a term whose record was lost: its vote is this node’s own', async () => {
    const { hardState } = await load([state(1, 1), entry(1, 1, 'a'), entry(2, 6, 'b')])
    assert.deepEqual(hardState, { term: 6, votedFor: 1 })
    assert.deepEqual((await load([state(6, 3), entry(1, 6, 'a')])).hardState, { term: 6, votedFor: 3 })
  })

  it('holds the journal for every record, until a snapshot stands for it', async () => {
    const { pins } = await load([state(4, 1), entry(5, 3, 'e'), entry(6, 4, 'f')], await withSnapshot())
    assert.deepEqual(
      pins.map(({ index }) => index),
      [null, 5, 6],
    )
  })

  it('names the members that the snapshot names', async () => {
    const two: Membership = [...alone, { nodeId: 2 as NodeId, diskId: '2'.repeat(32) as DiskId, role: 'learner' }]
    assert.deepEqual((await load([], await withSnapshot(two))).snapshot?.membership, two)
  })
})
