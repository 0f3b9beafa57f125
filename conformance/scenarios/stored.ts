/** What the broker really has, read over a connection of the harness's own: no client library stands between. */
import { KafkaClient } from '../../test/support/kafka-client.ts'
import type { StoredBatch } from '../../test/support/stored-batches.ts'
import type { Broker } from '../harness/broker.ts'

export async function storedIn({ host, port }: Broker, topic: string, partition: number): Promise<StoredBatch[]> {
  await using client = await KafkaClient.connect(port, host)
  return await client.readAll(topic, partition)
}

export async function storedValues(broker: Broker, topic: string, partitions: number): Promise<string[]> {
  const values: string[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (const { records } of await storedIn(broker, topic, partition)) {
      values.push(...records.map(({ value }) => String(value)))
    }
  }
  return values
}
