/** The nodes that clients are told about: one so far, at the address by which the asking client reached it. */
import type { NodeId } from '../base/ids.ts'
import type { RequestContext } from './context.ts'

export interface NodeEndpoint {
  readonly nodeId: NodeId
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export function nodesSeenBy({ parts, advertised }: RequestContext): readonly NodeEndpoint[] {
  return [{ nodeId: parts.storage.nodeId, ...advertised, rack: parts.configs.settings.rack }]
}
