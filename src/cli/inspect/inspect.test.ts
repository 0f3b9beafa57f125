/** What the readers of `inspect` say of files that are whole, cut short, damaged, or Kafka's. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ropeOf } from '../../base/rope.ts'
import { identityTable } from '../../cluster/identity.ts'
import { checkpointTable } from '../../log/checkpoint.ts'
import {
  encodeEntryHeader,
  encodeFileHeader,
  encodeGroupHeader,
  entryHeaderBytes,
  entryKinds,
  groupHeaderBytes,
  sectorBytes,
  toSector,
} from '../../log/journal-format.ts'
import { encodeWhole } from '../../log/whole-file.ts'
import { encodeHardState } from '../../raft/storage.ts'
import { buildBatch } from '../../wire/build-batch.ts'
import { stampBatch } from '../../wire/record-batch.ts'
import { detect } from './detect.ts'
import type { Finding } from './finding.ts'
import { Source } from './source.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidelog-inspect-'))
})
after(() => rmSync(folder, { recursive: true }))

function findingsIn(name: string, bytes: Buffer): Finding[] {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  using source = Source.open(path)
  return [...detect(source, { records: true, showRecords: false }).read(source)]
}

const problemsIn = (name: string, bytes: Buffer) =>
  findingsIn(name, bytes).flatMap(finding =>
    finding.is === 'problem' ? [`${finding.position}: ${finding.message}`] : [],
  )
const notesIn = (name: string, bytes: Buffer) =>
  findingsIn(name, bytes).flatMap(finding => (finding.is === 'note' ? [finding.message] : []))

function changed(bytes: Buffer, position: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[position]! ^= 1
  return copy
}

describe('a segment', () => {
  const batchAt = (base: number, ...values: string[]) => {
    const batch = buildBatch(
      values.map(value => ({ value })),
      { baseTimestamp: 1_700_000_000_000 },
    )
    stampBatch(ropeOf(batch), base as never, 0 as never)
    return batch
  }
  const ours = '00000000000000000005.7.log'
  const kafkas = '00000000000000000005.log'
  const sound = Buffer.concat([batchAt(5, 'a', 'b'), batchAt(7, 'c')])

  it('that is whole has nothing wrong', () => {
    assert.deepEqual(problemsIn(ours, sound), [])
    assert.deepEqual(notesIn(ours, sound), [])
    const entries = findingsIn(kafkas, sound).filter(finding => finding.is === 'entry')
    assert.deepEqual(
      entries.map(({ values: { base, last, records } }) => [base, last, records]),
      [
        [5, 6, 2],
        [7, 7, 1],
      ],
    )
  })

  it('has gaps only where Kafka compacts', () => {
    const gap = Buffer.concat([batchAt(5, 'a'), batchAt(9, 'b')])
    assert.deepEqual(notesIn(kafkas, gap), [])
    assert.match(notesIn(ours, gap)[0]!, /^offsets 6 to 8 are not here/)
  })

  it('never goes back', () => {
    const back = Buffer.concat([batchAt(5, 'a', 'b', 'c'), batchAt(6, 'd')])
    for (const name of [ours, kafkas]) assert.match(problemsIn(name, back)[0]!, /^\d+: offset 6 comes after offset 7$/)
    assert.match(problemsIn(ours, batchAt(4, 'a'))[0]!, /^0: offset 4 comes after offset 4$/)
  })

  it('that is being written ends in a batch that is cut short, or in zeros', () => {
    const cut = sound.subarray(0, sound.length - 5)
    assert.deepEqual(problemsIn(ours, cut), [])
    assert.match(notesIn(ours, cut)[0]!, /cut short \(\d+ bytes of it are here\) at position/)
    assert.match(notesIn(kafkas, Buffer.concat([sound, Buffer.alloc(9000)]))[0]!, /^zeros from position/)
  })

  it('of before magic 2 is said to be that', () => {
    const old = Buffer.from(sound)
    old[16] = 1
    assert.match(problemsIn(kafkas, old)[0]!, /message of format 1, which Kafka wrote before/)
  })

  it('that is damaged says where', () => {
    for (const position of [21, 40, 61, sound.length - 1]) {
      assert.match(problemsIn(ours, changed(sound, position))[0]!, /does not match its checksum$/)
    }
    const endless = Buffer.from(sound)
    endless[8] = 0x7f
    assert.match(problemsIn(ours, endless)[0]!, /^0: no record batch begins here/)
    assert.match(notesIn(ours, changed(sound, 8))[0]!, /or its length is damaged$/)
  })
})

describe('a journal', () => {
  const salt = 77
  const fileBytes = 16 * sectorBytes

  /** A file of groups with one entry each, the first of number 3. */
  function journal(groups: number): Buffer {
    const file = Buffer.alloc(fileBytes)
    encodeFileHeader({ clusterId: Buffer.alloc(16, 1), diskId: Buffer.alloc(16, 2), fileSeq: 4, fileBytes, salt }).copy(
      file,
    )
    let position = sectorBytes
    for (let i = 0; i < groups; i++) {
      const body = encodeHardState({ term: (i + 1) as never, votedFor: null })
      const bytes = groupHeaderBytes + entryHeaderBytes + body.length
      const group = { fileSeq: 4, groupSeq: 3 + i, durableThrough: 2 + i, position, bytes, entries: 1 }
      encodeGroupHeader(file, position, group, salt)
      const entry = { kind: entryKinds.raftState, segmentId: 0, base: 0, end: 0, sequence: i, length: body.length }
      encodeEntryHeader(file, position + groupHeaderBytes, entry, ropeOf(body))
      body.copy(file, position + groupHeaderBytes + entryHeaderBytes)
      position += toSector(bytes)
    }
    return file
  }

  it('that is whole tells its groups and where it ends', () => {
    const whole = journal(3)
    assert.deepEqual(problemsIn('1.journal', whole), [])
    assert.deepEqual(notesIn('1.journal', whole), [`the journal ends at position ${4 * sectorBytes}, before group 6`])
    const entries = findingsIn('1.journal', whole).filter(finding => finding.is === 'entry')
    assert.deepEqual(
      entries.map(({ values: { group, kind, what } }) => [group, kind, what]),
      [1, 2, 3].map(term => [term + 2, 'raftState', `term ${term}, vote none`]),
    )
  })

  it('that is damaged where a later group proves that it was durable says where', () => {
    const first = sectorBytes
    assert.match(problemsIn('1.journal', changed(journal(3), first + 20))[0]!, /^512: groups \? to 3 are damaged/)
    assert.match(
      problemsIn('1.journal', changed(journal(3), first + 75))[0]!,
      /^576: entry 1 of 1 of group 3 has a damaged header$/,
    )
    const body = first + groupHeaderBytes + entryHeaderBytes
    assert.match(
      problemsIn('1.journal', changed(journal(3), body))[0]!,
      /^576: the raftState of group 3 does not match its checksum$/,
    )
  })

  it('that is torn at its end has nothing wrong', () => {
    const last = 3 * sectorBytes
    for (const position of [last + 20, last + 70, last + groupHeaderBytes + entryHeaderBytes]) {
      const torn = changed(journal(3), position)
      assert.deepEqual(problemsIn('1.journal', torn), [])
      assert.match(notesIn('1.journal', torn).join(), /a group at position 1536, group 5 is not whole/)
    }
  })

  it('may be unused, unfinished or unreadable', () => {
    assert.match(notesIn('1.journal', Buffer.alloc(fileBytes)).join(), /being filled/)
    assert.match(problemsIn('1.journal', changed(journal(1), 40)).join(), /^0: the header does not match its checksum/)
    assert.match(
      problemsIn('1.journal', journal(3).subarray(0, 5 * sectorBytes)).join(),
      /made with 8192 bytes and has 2560/,
    )
  })
})

describe('a file that is one record', () => {
  const checkpoint = Buffer.concat(encodeWhole(checkpointTable, { fromFileSeq: 3, durableThrough: 9, segments: [] }))

  it('is shown as it is', () => {
    const [found] = findingsIn('checkpoint.1', checkpoint)
    assert.deepEqual(found, { is: 'document', value: { fromFileSeq: 3, durableThrough: 9, segments: [] } })
  })

  it('of which any byte is damaged is damaged', () => {
    for (let position = 0; position < checkpoint.length; position++) {
      assert.equal(problemsIn('checkpoint.1', changed(checkpoint, position)).length, 1, `byte ${position}`)
    }
  })

  it('twice, as identity is, says which copy is damaged and shows the other', () => {
    const slotOf = (generation: number) => {
      const id = 'ab'.repeat(16)
      const value = { generation, clusterId: id, nodeId: 1, diskId: id, confirmed: 1, attempted: 1 }
      const whole = Buffer.concat(encodeWhole(identityTable, value as never))
      const slot = Buffer.alloc(512)
      slot.writeUInt16BE(whole.length, 0)
      whole.copy(slot, 2)
      return slot
    }
    const both = Buffer.concat([slotOf(4), slotOf(3)])
    assert.deepEqual(problemsIn('identity', both), [])
    const damaged = findingsIn('identity', changed(both, 40))
    assert.deepEqual(
      damaged.map(finding => finding.is),
      ['problem', 'header', 'document'],
    )
    assert.ok(damaged[2]?.is === 'document' && (damaged[2].value as { generation: number }).generation === 3)
  })
})
