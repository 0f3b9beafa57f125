/**
 * What a peer sent, or would be sent, is not Kafka's protocol. It ends one connection and nothing else: no other error ever
 * comes out of the codecs, however the bytes look.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}
