/** The nodes that clients are told about: one so far, at the address by which the asking client reached it. */
import type { NodeId } from '../base/ids.ts'
import type { RequestContext } from './context.ts'

export interface NodeEndpoint {
  readonly nodeId: NodeId
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export function nodesSeenBy({ parts, connection }: RequestContext): readonly NodeEndpoint[] {
  const { host, port } = connection.advertised
  return [{ nodeId: parts.storage.nodeId, host, port, rack: parts.configs.settings.rack }]
}
