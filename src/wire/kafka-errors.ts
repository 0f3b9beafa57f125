/** Kafka's protocol errors: the outcomes told to clients. */
export const kafkaErrors = {
  NONE: 0,
} as const
export type KafkaErrorName = keyof typeof kafkaErrors
