/*
 * A librdkafka producer as fast as it goes: constant values, all partitions in turn, for so many seconds. Prints one line of
 * JSON about the time between the first and the last acknowledgement.
 *
 *   cc -O2 -o rdkafka-producer rdkafka-producer.c -lrdkafka
 *   rdkafka-producer BROKER TOPIC PARTITIONS VALUE-BYTES SECONDS [RECORDS-MAX]
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHUNK = 1000 };

static long long delivered, failed;
static double first_ms, last_ms;

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
  (void)producer;
  (void)opaque;
  if (message->err) {
    failed++;
    return;
  }
  delivered++;
  /* The clock costs more than the rest of this: looked at once in a while. */
  if (delivered % CHUNK == 1) last_ms = now_ms();
  if (delivered == 1) first_ms = last_ms;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[256];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK) return;
  fprintf(stderr, "%s\n", why);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: %s BROKER TOPIC PARTITIONS VALUE-BYTES SECONDS [RECORDS-MAX]\n", argv[0]);
    return 2;
  }
  int partitions = atoi(argv[3]), bytes = atoi(argv[4]);
  double until_ms = now_ms() + atof(argv[5]) * 1e3;
  long long records_max = argc > 6 ? atoll(argv[6]) : -1, sent = 0;

  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", argv[1]);
  set(conf, "acks", "all");
  set(conf, "linger.ms", "5");
  set(conf, "batch.num.messages", "100000");
  set(conf, "batch.size", "1000000");
  set(conf, "queue.buffering.max.messages", "1000000");
  set(conf, "queue.buffering.max.kbytes", "262144");
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  char why[256];
  rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
  if (producer == NULL) {
    fprintf(stderr, "%s\n", why);
    return 1;
  }
  rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, argv[2], NULL);
  char *value = malloc(bytes);
  memset(value, 'x', bytes);
  static rd_kafka_message_t chunk[CHUNK];

  for (int partition = 0; now_ms() < until_ms && (records_max < 0 || sent < records_max);
       partition = (partition + 1) % partitions) {
    for (int i = 0; i < CHUNK; i++) {
      memset(&chunk[i], 0, sizeof(chunk[i]));
      chunk[i].payload = value;
      chunk[i].len = bytes;
    }
    int taken = rd_kafka_produce_batch(topic, partition, 0, chunk, CHUNK);
    sent += taken;
    /* A full queue: wait for acknowledgements. */
    rd_kafka_poll(producer, taken < CHUNK ? 5 : 0);
  }
  rd_kafka_flush(producer, 60000);
  last_ms = now_ms();
  printf("{\"records\":%lld,\"failed\":%lld,\"ms\":%.1f}\n", delivered, failed, last_ms - first_ms);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
  return failed > 0;
}
