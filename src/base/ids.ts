/**
 * Identifiers that cannot be mixed up. A brand costs nothing at run time; it keeps a byte position out of a parameter that
 * wants an offset. Offsets are JS numbers: exact to 2^53, which is 285 years at a million records a second.
 */
declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A record's number within its partition, dense from 0. */
export type Offset = Brand<number, 'Offset'>
/** Kafka's leader epoch of a partition: rises when the writer changes, not on a roll by the same writer. */
export type LeaderEpoch = Brand<number, 'LeaderEpoch'>
/** Unique for ever within a cluster; names one segment's bytes. */
export type SegmentId = Brand<number, 'SegmentId'>
export type NodeId = Brand<number, 'NodeId'>
/** A byte position in a segment file. */
export type Position = Brand<number, 'Position'>
/** A topic's id: 16 bytes as 32 lower-case hex digits (the wire has them raw; people see Kafka's base64 form). */
export type TopicId = Brand<string, 'TopicId'>
/** A disk's id: 16 bytes as hex, drawn when the disk is first used. A wiped disk is another disk. */
export type DiskId = Brand<string, 'DiskId'>
export type Term = Brand<number, 'Term'>
export type LogIndex = Brand<number, 'LogIndex'>

export const offset = (value: number): Offset => value as Offset
export const advance = (from: Offset, count: number): Offset => (from + count) as Offset

export const noTopicId = '00000000000000000000000000000000' as TopicId

/** The form of a topic id that Kafka's tools print: 22 characters of URL-safe base64. */
export function topicIdText(id: TopicId): string {
  return Buffer.from(id, 'hex').toString('base64url')
}
