/**
 * The tables of docs/formats against the code that writes those bytes. Byte tables: each field is encoded with a value of its
 * own and must lie where the page says, and the rows must cover the header without a gap. Tables of records: the fields of the
 * schema, in its order.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32c } from '../src/base/crc32c.ts'
import { ropeOf } from '../src/base/rope.ts'
import {
  groupMetadataKey,
  groupMetadataValue,
  keyKinds,
  offsetCommitKey,
  offsetCommitValue,
  writtenVersions,
} from '../src/broker/groups/offsets-format.ts'
import { commandTables } from '../src/cluster/commands.ts'
import { metadataFile, metadataState } from '../src/cluster/snapshot.ts'
import { checkpointEntry } from '../src/log/checkpoint.ts'
import {
  encodeEntryHeader,
  encodeFileHeader,
  encodeGroupHeader,
  entryHeaderBytes,
  entryKinds,
  fileHeaderBytes,
  groupHeaderBytes,
  journalVersion,
  sectorBytes,
} from '../src/log/journal-format.ts'
import { encodeWhole } from '../src/log/whole-file.ts'
import { onDisk } from '../src/wire/on-disk.ts'
import { batchUnsummedBytes } from '../src/wire/record-batch.ts'
import { int32, type Message, message } from '../src/wire/schema.ts'
import { root } from './support/source.ts'

/** The rows of the first table under a heading (`page#Heading`, or `page` for its title), without the table's head. */
function tableUnder(place: string): string[][] {
  const [name, heading] = place.split('#')
  const page = readFileSync(join(root, `docs/formats/${name}.md`), 'utf8')
  const section = heading === undefined ? page : page.split(`\n## ${heading}\n`)[1]
  const table = /(?:^\|.*\n)+/m.exec(section ?? '')?.[0] ?? ''
  const rows = table.trimEnd().split('\n').slice(2)
  return rows.map(row => {
    const cells = row.slice(1, -1).split('|')
    return cells.map(cell => cell.trim())
  })
}

/** Checks every row of a byte table against the bytes, and that the rows cover them and name every field. */
function assertLayout(place: string, bytes: Buffer, fields: Readonly<Record<string, Buffer>>): void {
  let expectedOffset = 0
  const named = new Set<string>()
  for (const [offset, size, field = ''] of tableUnder(place)) {
    if (size === 'length') continue
    const from = Number(offset)
    const to = from + Number(size)
    assert.equal(from, expectedOffset, `${place}: ${field} begins where the row before it ends`)
    const expected = field === 'zero' ? Buffer.alloc(to - from) : fields[field]
    assert.deepEqual(bytes.subarray(from, to), expected, `${place}: ${field} at ${from}, ${size} bytes`)
    if (field !== 'zero') named.add(field)
    expectedOffset = to
  }
  assert.equal(expectedOffset, bytes.length, `${place}: the rows cover all of it`)
  assert.deepEqual([...named].sort(), Object.keys(fields).sort(), `${place}: every field has a row`)
}

/** Checks a record's table against its schema: fields in order, their types, and offsets as long as those are fixed. */
function assertRecord(place: string, { fields }: Message['body']): void {
  let offset = 0
  const expected = fields.map(({ name, type }) => {
    const row = [Number.isNaN(offset) ? '' : `${offset}`, type.kind, name]
    offset += fixedBytes[type.kind] ?? Number.NaN
    return row
  })
  assert.deepEqual(
    tableUnder(place).map(row => row.slice(0, 3)),
    expected,
    place,
  )
}

const fixedBytes: Readonly<Partial<Record<string, number>>> = { bool: 1, int16: 2, int32: 4, uint32: 4, int64: 8 }

function uint(value: number, bytes: 1 | 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

function int64(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer
}

/** A number that fills seven bytes and is like no other. */
const marker = (field: number) => 0x11_1213_1415_1600 + field
const salt = 0xdead_beef

describe('docs/formats/journal.md', () => {
  it('has the file header as it is written', () => {
    const clusterId = Buffer.alloc(16, 0xc1)
    const diskId = Buffer.alloc(16, 0xd2)
    const sector = encodeFileHeader({ clusterId, diskId, fileSeq: marker(1), fileBytes: marker(2), salt })
    assertLayout('journal#File header', sector.subarray(0, fileHeaderBytes), {
      magic: Buffer.from('TIDE'),
      kind: Buffer.from('JRNL'),
      version: uint(journalVersion, 2),
      salt: uint(salt, 4),
      clusterId,
      diskId,
      fileSeq: int64(marker(1)),
      fileBytes: int64(marker(2)),
      checksum: uint(crc32c(sector.subarray(0, 64)), 4),
    })
    assert.deepEqual(sector.subarray(fileHeaderBytes), Buffer.alloc(sectorBytes - fileHeaderBytes))
  })

  it('has the group header as it is written', () => {
    const bytes = Buffer.alloc(groupHeaderBytes, 0xff)
    const [fileSeq, groupSeq, durableThrough] = [marker(1), marker(2), marker(3)]
    const small = { position: 0x2122_2324, bytes: 0x3132_3334, entries: 0x4142_4344 }
    encodeGroupHeader(bytes, 0, { fileSeq, groupSeq, durableThrough, ...small }, salt)
    assertLayout('journal#Group header', bytes, {
      magic: Buffer.from('TGRP'),
      checksum: uint(crc32c(bytes.subarray(8, 64), salt), 4),
      fileSeq: int64(fileSeq),
      groupSeq: int64(groupSeq),
      durableThrough: int64(durableThrough),
      position: uint(small.position, 4),
      bytes: uint(small.bytes, 4),
      entries: uint(small.entries, 4),
    })
  })

  for (const kind of [entryKinds.batch, entryKinds.checkpoint]) {
    it(`has the entry header as it is written, for kind ${kind}`, () => {
      const body = Buffer.alloc(300, 0xb0)
      const bytes = Buffer.alloc(entryHeaderBytes, 0xff)
      const [segmentId, base, end, sequence] = [marker(1), marker(2), marker(3), marker(4)]
      encodeEntryHeader(bytes, 0, { kind, segmentId, base, end, sequence, length: body.length }, ropeOf(body))
      const covered = kind === entryKinds.batch ? body.subarray(0, batchUnsummedBytes) : body
      const start = crc32c(bytes.subarray(0, 4))
      assertLayout('journal#Entry header', bytes, {
        kind: uint(kind, 1),
        checksum: uint(crc32c(covered, crc32c(bytes.subarray(8, 48), start)), 4),
        segmentId: int64(segmentId),
        base: int64(base),
        end: int64(end),
        sequence: int64(sequence),
        length: uint(body.length, 4),
        headerChecksum: uint(crc32c(bytes.subarray(8, 44), start), 4),
      })
    })
  }

  it('has the kinds of entries', () => {
    const kinds = tableUnder('journal#Kinds').map(([number, name]) => [name, Number(number)])
    assert.deepEqual(Object.fromEntries(kinds), entryKinds)
  })
})

describe('docs/formats/whole-file.md', () => {
  it('has the envelope as it is written', () => {
    const table = message({ name: 'Something', versions: [0, 0x1122], ...onDisk, body: { field: int32 } })
    const [header, body] = encodeWhole(table, { field: 1 }) as [Buffer, Buffer]
    assertLayout('whole-file', header, {
      magic: Buffer.from('TIDEFILE'),
      kind: Buffer.from('Somethin'),
      version: uint(0x1122, 2),
      length: uint(body.length, 4),
      checksum: uint(crc32c(body, crc32c(header.subarray(0, 24))), 4),
    })
  })
})

describe('the tables of records in docs/formats', () => {
  it('have the fields of a checkpoint entry', () => {
    assertRecord('checkpoint#Entry', checkpointEntry.body)
  })

  it('have the fields of a metadata snapshot', () => {
    assertRecord('metadata#Snapshot', metadataFile.body)
    assertRecord('metadata#State', metadataState.body)
  })

  it('have every command of the metadata, with its fields', () => {
    const rows = tableUnder('metadata#Types').map(([type, name, version, fields]) => {
      return {
        type: Number(type),
        name,
        version: Number(version),
        fields: [...(fields ?? '').matchAll(/`(\w+)`/g)].map(m => m[1]),
      }
    })
    const expected = Object.entries(commandTables).map(([name, { type, table }]) => {
      return { type, name, version: table.versions[1], fields: table.body.fields.map(field => field.name) }
    })
    assert.deepEqual(rows, expected)
  })
})

describe('docs/formats/consumer-offsets.md', () => {
  const fieldsOf = (message: Message) => message.body.fields.map(({ name, type }) => [type.kind, name])
  const fieldsUnder = (heading: string) => tableUnder(`consumer-offsets#${heading}`).map(row => row.slice(0, 2))

  it('has the fields of keys and values', () => {
    assert.deepEqual(fieldsUnder('Key of an offset'), fieldsOf(offsetCommitKey))
    assert.deepEqual(fieldsUnder('Value of an offset'), fieldsOf(offsetCommitValue))
    assert.deepEqual(fieldsUnder('Key of a group'), fieldsOf(groupMetadataKey))
    assert.deepEqual(fieldsUnder('Value of a group'), fieldsOf(groupMetadataValue))
  })

  it('has the kinds of records, and the versions that are written', () => {
    const rows = tableUnder('consumer-offsets#Kinds').map(([kind, , , written]) => [
      Number(kind),
      ...Array.from((written ?? '').matchAll(/version (\d)|; (\d) for/g), found => Number(found[1] ?? found[2])),
    ])
    const { offset, offsetWithExpiry, group } = writtenVersions
    assert.deepEqual(rows, [
      [keyKinds.legacyOffset],
      [keyKinds.offset, offset, offsetWithExpiry],
      [keyKinds.group, group],
    ])
  })
})
