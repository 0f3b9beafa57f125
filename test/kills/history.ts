/**
 * What the producers of a kill test have sent and what they were told, and the form of their records: each value names its
 * writer, partition and number, and the bytes that follow are a function of those, so that whoever reads a record knows who
 * sent it and what it must look like.
 */
export interface Place {
  readonly topic: string
  readonly partition: number
}

/** One record that was sent: the `number`th of its producer for that partition, from 0. */
export interface Sent extends Place {
  readonly producer: string
  readonly number: number
}

export interface Acknowledged extends Sent {
  /** Null where the client does not tell. */
  readonly offset: number | null
}

/** A client told that one of its producer's records is at an offset, and not which. */
export interface Told extends Place {
  readonly producer: string
  readonly offset: number
}

export const placeName = ({ topic, partition }: Place): string => `${topic}-${partition}`

export class History {
  readonly acknowledged: Acknowledged[] = []
  readonly told: Told[] = []
  /** Producers that promise to leave no duplicate, and to keep their order. */
  readonly idempotent: ReadonlySet<string>
  readonly #sent = new Map<string, number>()
  readonly #acknowledgedEnd = new Map<string, number>()

  constructor(idempotent: Iterable<string>) {
    this.idempotent = new Set(idempotent)
  }

  /** Takes the next number of a producer in a partition. */
  send(producer: string, place: Place): Sent {
    const key = sentKey(producer, place)
    const number = this.#sent.get(key) ?? 0
    this.#sent.set(key, number + 1)
    return { producer, ...place, number }
  }

  acknowledge(sent: Sent, offset: number | null): void {
    this.acknowledged.push({ ...sent, offset })
    if (offset !== null) this.#reach(sent, offset)
  }

  tell(producer: string, place: Place, offset: number): void {
    this.told.push({ producer, ...place, offset })
    this.#reach(place, offset)
  }

  #reach(place: Place, offset: number): void {
    const key = placeName(place)
    this.#acknowledgedEnd.set(key, Math.max(this.#acknowledgedEnd.get(key) ?? 0, offset + 1))
  }

  /** How many records a producer has sent to a partition. */
  sentCount(producer: string, place: Place): number {
    return this.#sent.get(sentKey(producer, place)) ?? 0
  }

  /** One past the highest offset that a producer was told of. */
  acknowledgedEnd(place: Place): number {
    return this.#acknowledgedEnd.get(placeName(place)) ?? 0
  }

  acknowledgedBy(producer: string): number {
    return this.acknowledged.filter(ack => ack.producer === producer).length
  }
}

const sentKey = (producer: string, place: Place) => `${producer} ${placeName(place)}`

const paddingBytesMax = 2_000

/** The value of a record: text without line ends, so that kcat can send it. */
export function valueFor({ producer, topic, partition, number }: Sent): string {
  const id = `${producer}|${topic}|${partition}|${number}|`
  const random = (Math.imul(number + 1, 0x9e37_79b1) ^ Math.imul(partition + id.length, 0x85eb_ca6b)) >>> 0
  return id + String.fromCharCode(97 + (random % 26)).repeat((random >>> 8) % paddingBytesMax)
}

/** Who sent a value; null for one that nobody did. */
export function senderOf(value: string): Sent | null {
  const [producer, topic, partition, number] = value.split('|', 4)
  if (producer === undefined || topic === undefined || partition === undefined || number === undefined) return null
  const sent = { producer, topic, partition: Number(partition), number: Number(number) }
  return Number.isInteger(sent.partition) && Number.isInteger(sent.number) && valueFor(sent) === value ? sent : null
}
