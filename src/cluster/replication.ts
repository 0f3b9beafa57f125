/** What a topic's overrides say about how its records are replicated. */
import type { ReplicationConfig } from '../chain/segment.ts'

/**
 * A quorum larger than the copies that there are could never be had: `minInsync` is at most `replicas` here. Whether
 * acknowledgements of all are refused because min.insync.replicas asks for more is decided where requests come in.
 */
export function replicationOf(replicas: number, configs: ReadonlyMap<string, string>): ReplicationConfig {
  const wanted = Number(configs.get('min.insync.replicas') ?? 1)
  return {
    replicas,
    minInsync: Math.min(Math.max(Number.isSafeInteger(wanted) ? wanted : 1, 1), replicas),
    flush: configs.get('tidelog.flush') === 'relaxed' ? 'relaxed' : 'sync',
    uncleanSeal: configs.get('unclean.leader.election.enable') === 'true',
  }
}
