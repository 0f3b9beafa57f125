/** The sizes and times of a simulated cluster: small, so that everything that happens once a day happens every second. */
import type { ChainSettings } from '../../chain/settings.ts'
import type { ControllerSettings } from '../../cluster/controller.ts'
import type { LivenessSettings } from '../../cluster/liveness.ts'
import type { RaftSettings } from '../../raft/events.ts'

export interface ClusterTuning {
  readonly nodes: number
  readonly partitions: number
  readonly replicas: number
  readonly minInsync: number
  readonly tickMs: number
  readonly raftTickMs: number
  readonly controlMs: number
  readonly proposeTimeoutMs: number
  /** Entries of the metadata log between snapshots. */
  readonly snapshotEntries: number
  readonly raft: RaftSettings
  readonly chain: ChainSettings
  readonly liveness: LivenessSettings
  readonly controller: ControllerSettings
}
