/**
 * What everything transactional is told until transactions exist. Of Kafka's errors TRANSACTIONAL_ID_AUTHORIZATION_FAILED is
 * the one that every client takes for fatal at once, wherever it comes (FindCoordinator, InitProducerId, Produce): most
 * others are retried until some long timeout, or taken for the end of one transaction. The message says what is really meant.
 */
export const noTransactions = {
  error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  message: 'Transactions are not supported yet.',
} as const
