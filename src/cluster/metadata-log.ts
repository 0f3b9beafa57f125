/**
 * The metadata of a node by itself with its log: commands go through Raft, a group of one, into the state machine, and
 * snapshots let the journal forget old entries.
 */
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import type { Journal } from '../log/journal.ts'
import type { FoundRaft } from '../log/log-store.ts'
import type { Member } from '../raft/membership.ts'
import { type Command, encodeCommand } from './commands.ts'
import { randomId } from './identity.ts'
import { Metadata } from './metadata.ts'
import type { Outcome } from './outcome.ts'
import { RaftDriver, type RaftStatus } from './raft-driver.ts'
import { loadRaft, RaftStore } from './raft-store.ts'
import { decodeMetadata, encodeMetadata } from './snapshot.ts'

export class MetadataLog {
  readonly metadata: Metadata
  readonly #random: Random
  readonly #driver: RaftDriver
  #saving: Promise<void> | null = null

  private constructor(metadata: Metadata, random: Random, driver: RaftDriver) {
    this.metadata = metadata
    this.#random = random
    this.#driver = driver
  }

  /** Restores the metadata from its snapshot and the journal, and starts a new term. */
  static async open(options: {
    disk: Disk
    random: Random
    journal: Journal
    found: readonly FoundRaft[]
    self: Member
  }): Promise<MetadataLog> {
    const { disk, random, journal, found, self } = options
    const { restored, pins } = await loadRaft(disk, found, [{ ...self, role: 'voter' }])
    const { snapshot } = restored
    const metadata = snapshot === null ? new Metadata() : decodeMetadata(snapshot.data)
    const machine = {
      apply: (command: Buffer) => {
        const outcome = metadata.applyEncoded(command)
        // Here each partition looks at its record when it needs it; nobody follows the changes.
        metadata.takeTouched()
        return outcome
      },
      checksum: () => metadata.checksum(),
      save: () => encodeMetadata(metadata),
    }
    const store = new RaftStore(disk, journal, pins)
    const driver = new RaftDriver({ self, store, machine, restored })
    await driver.start()
    return new MetadataLog(metadata, random, driver)
  }

  get raft(): RaftStatus {
    return this.#driver.status
  }

  /** Resolves when the command is durable and applied; a refusal is an outcome, not an error. */
  propose(command: Command): Promise<Outcome> {
    return this.#driver.propose(encodeCommand(command, randomId(this.#random), this.metadata.applied))
  }

  /** Takes no more commands; those under way may still become durable. */
  close(): void {
    this.#driver.close()
  }

  /** The journal is closed: commands that did not become durable are rejected. */
  abandon(): void {
    this.#driver.abandon()
  }

  /** Saves the state and lets go of the journal's entries that it includes. */
  save(): Promise<void> {
    this.#saving ??= this.#driver.saveSnapshot().finally(() => {
      this.#saving = null
    })
    return this.#saving
  }
}
