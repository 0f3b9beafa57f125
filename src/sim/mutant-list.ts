/**
 * The planted bugs. Each is something that a careful engineer could get wrong, or that somebody did (docs/found-bugs.md); the
 * number of seeds is a bound that leaves room, not the usual number, which is one or two.
 */
import type { Fault, Operation } from './disk.ts'

export interface Mutant {
  readonly name: string
  /** The scenario in which it must be found, and within how many seeds. */
  readonly scenario: string
  readonly seedsMax: number
  readonly bug: { readonly disk: (operation: Operation) => Fault | null } | { readonly edits: readonly Edit[] }
}

export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

const lie: Fault = { lie: true }

export const mutants: readonly Mutant[] = [
  {
    name: 'acknowledges before the sync (the disk lies)',
    scenario: 'power-losses',
    seedsMax: 20,
    bug: { disk: ({ kind, path }) => (kind === 'sync' && path.startsWith('journal/') ? lie : null) },
  },
  {
    name: 'acknowledges before the sync',
    scenario: 'power-losses',
    seedsMax: 60,
    bug: edit('log/partition-log.ts', 'if (this.options.isRelaxed()) this.#acknowledge', 'this.#acknowledge'),
  },
  {
    name: 'ignores whose life a group of a recycled file is from',
    scenario: 'power-losses',
    seedsMax: 60,
    bug: {
      edits: [
        {
          file: 'src/log/journal-files.ts',
          find: 'const salt = this.#random.bytes(4).readUInt32BE(0)',
          replace: 'const salt = 7',
        },
        { file: 'src/log/journal-replay.ts', find: 'group.fileSeq !== this.file.seq || ', replace: '' },
        { file: 'src/log/journal-replay.ts', find: ' && file.seq === group.fileSeq', replace: '' },
        {
          file: 'src/log/journal-replay.ts',
          find: 'this.#expected === null || group.groupSeq === this.#expected',
          replace: 'true',
        },
      ],
    },
  },
  {
    name: 'cuts the tail below the durable mark',
    scenario: 'rot',
    seedsMax: 60,
    bug: edit(
      'log/journal-replay.ts',
      '#laterGroup(index: number, reader: GroupReader, group: GroupHeader): Promise<number | null> {',
      '#laterGroup(index: number, reader: GroupReader, group: GroupHeader): Promise<number | null> { if (index >= 0) return null',
    ),
  },
  {
    name: 'trims before the checkpoint is durable',
    scenario: 'power-losses',
    seedsMax: 200,
    bug: {
      edits: [
        {
          file: 'src/log/log-store.ts',
          find: '    await saveCheckpointTable(this.io.disk, ++this.#tableNumber, {',
          replace:
            '    const first = this.files.live[count]?.seq ?? 0\n    await this.files.free(count)\n    await saveCheckpointTable(this.io.disk, ++this.#tableNumber, {',
        },
        {
          file: 'src/log/log-store.ts',
          find: 'fromFileSeq: this.files.live[count]?.seq ?? 0',
          replace: 'fromFileSeq: first',
        },
        {
          file: 'src/log/log-store.ts',
          find: '    await this.files.free(count)\n    return true',
          replace: '    return true',
        },
      ],
    },
  },
  {
    name: 'forgets to sync folders (the disk lies)',
    scenario: 'power-losses',
    seedsMax: 20,
    bug: { disk: ({ kind }) => (kind === 'syncDirectory' ? lie : null) },
  },
  {
    name: 'forgets to sync segment files (the disk lies)',
    scenario: 'power-losses',
    seedsMax: 40,
    bug: { disk: ({ kind, path }) => (kind === 'sync' && path.endsWith('.log') ? lie : null) },
  },
  {
    name: 'forgets to sync what it renames (the disk lies)',
    scenario: 'power-losses',
    seedsMax: 60,
    bug: { disk: ({ kind, path }) => (kind === 'sync' && path.endsWith('.tmp') ? lie : null) },
  },
  {
    name: 'loses the producer window of what it replays',
    scenario: 'kills',
    seedsMax: 60,
    bug: edit('log/recovery.ts', 'log.producers.note(', 'void ('),
  },
  {
    name: 'loses the producer window of what was sealed',
    scenario: 'mixed',
    seedsMax: 300,
    bug: edit('log/recovery.ts', 'of toProducers(seal.body.producers)', 'of toProducers([])'),
  },
  {
    name: 'evicts bytes that are not flushed',
    scenario: 'power-losses',
    seedsMax: 60,
    bug: edit(
      'log/partition-log.ts',
      'await this.store.descriptors.writeSynced(segment.logPath, chunks, segment.progress.flushedBytes)',
      'this.store.descriptors.writeSynced(segment.logPath, chunks, segment.progress.flushedBytes).catch(() => {})',
    ),
  },
  {
    name: 'stores a retry again',
    scenario: 'mixed',
    seedsMax: 60,
    bug: edit(
      'log/producers.ts',
      "if (original !== undefined) return { kind: 'duplicate', of: original }",
      'if (original !== undefined) return append',
    ),
  },
  {
    name: 'lets an old epoch write',
    scenario: 'mixed',
    seedsMax: 100,
    bug: edit(
      'log/producers.ts',
      'if (header.producerEpoch < state.epoch) {',
      'if (header.producerEpoch < state.epoch) return append\n    if (header.producerEpoch < state.epoch) {',
    ),
  },
  {
    name: 'serves bytes that do not match their checksum',
    scenario: 'rot',
    seedsMax: 100,
    bug: edit('log/read.ts', 'if (!batchCrcMatches(ropeOf(bytes.subarray(at, at + header.bytes)), header)) break', ''),
  },
  {
    name: 'keeps a segment less than it should',
    scenario: 'mixed',
    seedsMax: 100,
    bug: edit('log/retention.ts', 'bytes - segment.bytes >= rules.retentionBytes', 'bytes >= rules.retentionBytes'),
  },
  {
    name: 'lets a batch pass one that is being looked into',
    scenario: 'mixed',
    seedsMax: 600,
    bug: edit('broker/partition.ts', 'const isAsItComes = this.#looks.isEmpty && ', 'const isAsItComes = '),
  },
  {
    name: 'deletes what is old from a topic that is only compacted',
    scenario: 'mixed',
    seedsMax: 300,
    bug: edit('broker/partition.ts', 'return settings.deletesOld ? settings : noLimits', 'return settings'),
  },
  {
    name: 'leaves changed configs out of the snapshot of the metadata',
    scenario: 'mixed',
    seedsMax: 60,
    bug: edit(
      'cluster/snapshot.ts',
      'configs: [...topic.configs].map(',
      'configs: [...topic.configs].slice(0, 1).map(',
    ),
  },
  {
    name: 'tells nobody that there is more to read',
    scenario: 'mixed',
    seedsMax: 60,
    bug: edit(
      'broker/partition.ts',
      'if (this.#retries.length > 0) this.#settleRetries()\n    for (const listener of this.#listeners) listener()',
      'if (this.#retries.length > 0) this.#settleRetries()',
    ),
  },
  {
    name: 'answers a group before its write is durable',
    scenario: 'groups',
    seedsMax: 20,
    bug: edit(
      'broker/groups/offsets-log.ts',
      'this.#queue.push({ records: encoded, bytes, done })',
      "queueMicrotask(() => done('NONE'))\n    this.#queue.push({ records: encoded, bytes, done: () => {} })",
    ),
  },
  {
    name: 'takes a refused write of a group for durable',
    scenario: 'groups',
    seedsMax: 40,
    bug: edit('broker/groups/offsets-log.ts', 'write.done(error)\n    }\n  }', "write.done('NONE')\n    }\n  }"),
  },
  {
    name: 'moves the start of the offsets log before its rewrite is durable',
    scenario: 'groups',
    seedsMax: 60,
    bug: edit(
      'broker/groups/offsets-log.ts',
      'const left = this.#parts.live()[Symbol.iterator]()',
      'await this.#parts.store.deleteRecords(this.#parts.store.highWatermark)\n      const left = this.#parts.live()[Symbol.iterator]()',
    ),
  },
  {
    name: 'moves the start of the offsets log behind its rewrite',
    scenario: 'groups',
    seedsMax: 20,
    bug: edit(
      'broker/groups/offsets-log.ts',
      'const start = from ?? store.highWatermark',
      'const start = store.highWatermark',
    ),
  },
  {
    name: 'rewrites groups as they were when the rewrite began',
    scenario: 'groups',
    seedsMax: 60,
    bug: edit(
      'broker/groups/offsets-log.ts',
      'const left = this.#parts.live()[Symbol.iterator]()',
      'const left = Array.from(this.#parts.live(), live => { const now = live(); return () => now })[Symbol.iterator]()',
    ),
  },
  {
    name: 'replays the records of a batch backwards',
    scenario: 'groups',
    seedsMax: 60,
    bug: edit(
      'broker/groups/offsets-log.ts',
      'of readRecords(header, body)) {',
      'of readRecords(header, body).reverse()) {',
    ),
  },
  {
    name: 'replays all partitions of groups but one',
    scenario: 'groups',
    seedsMax: 20,
    bug: edit(
      'broker/groups/offsets-log.ts',
      'const end = store.highWatermark',
      'const end = store.index === 0 ? store.logStartOffset : store.highWatermark',
    ),
  },
  {
    name: 'passes over tombstones of groups in a replay',
    scenario: 'groups',
    seedsMax: 20,
    bug: edit(
      'broker/groups/part.ts',
      'const kept = this.#keep(this.look(record.groupId))',
      'if (record.value === null) return\n    const kept = this.#keep(this.look(record.groupId))',
    ),
  },
  {
    name: 'takes what was committed of a topic for that of the next one under its name',
    scenario: 'groups',
    seedsMax: 100,
    bug: edit(
      'broker/groups/coordinator.ts',
      'found === undefined || (topicId !== noTopicId && found.id !== topicId)',
      'found === null',
    ),
  },
  {
    name: 'answers for groups before they are loaded',
    scenario: 'groups',
    seedsMax: 60,
    bug: edit(
      'broker/groups/part.ts',
      'await this.#log.replay(record => this.#apply(record))',
      'this.#isLoaded = true\n    await this.#log.replay(record => this.#apply(record))',
    ),
  },
  {
    name: 'the cursor of the text protocol is committed before the reply is sent',
    scenario: 'text',
    seedsMax: 20,
    bug: edit(
      'broker/text/partition-cursor.ts',
      'for (const { offset } of this.#outstanding) target = Math.min(target, offset)',
      '',
    ),
  },
  {
    name: 'a record whose reply was not sent is forgotten',
    scenario: 'text',
    seedsMax: 20,
    bug: edit('broker/text/partition-cursor.ts', 'if (!isSent) {', 'if (isSent === null) {'),
  },
  {
    name: 'what came back is given out again and again',
    scenario: 'text',
    seedsMax: 20,
    bug: edit(
      'broker/text/partition-cursor.ts',
      'if (this.#returned[0] === entry) this.#returned.shift()',
      'if (this.#returned[0] === entry) this.#returned.push(entry)',
    ),
  },
  {
    name: 'whoever asks a cursor does not wait for those before',
    scenario: 'text',
    seedsMax: 50,
    bug: edit('broker/text/cursor.ts', 'this.#before.then(work, work)', 'work()'),
  },
  {
    name: 'a cursor does not begin where its group was',
    scenario: 'text',
    seedsMax: 20,
    bug: edit('broker/text/partition-cursor.ts', 'this.#position = found ?? start', 'this.#position = start'),
  },
]

function edit(file: string, find: string, replace: string): { readonly edits: readonly Edit[] } {
  return { edits: [{ file: `src/${file}`, find, replace }] }
}
