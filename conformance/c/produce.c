/*
 * Producing: a producer for each request, so that none inherits what an earlier one could not send.
 */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BULK_MS_MAX = 115000 };

/* What became of each record of a request. */
typedef struct {
  int64_t *offsets;
  size_t waiting;
  long long acknowledged;
  rd_kafka_resp_err_t first_error;
  size_t first_failed;
} delivery_t;

static void note(delivery_t *delivery, size_t index, rd_kafka_resp_err_t err, int64_t offset) {
  delivery->waiting--;
  if (!err) {
    delivery->acknowledged++;
    if (delivery->offsets != NULL) delivery->offsets[index] = offset;
  } else if (!delivery->first_error || index < delivery->first_failed) {
    delivery->first_error = err;
    delivery->first_failed = index;
  }
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
  (void)producer;
  note(opaque, (size_t)message->_private, message->err, message->offset);
}

static rd_kafka_t *new_producer(const json_t *request, long long acks, delivery_t *delivery, char *why, size_t size) {
  rd_kafka_conf_t *conf = new_conf();
  const bool idempotent = truth_of(request, "idempotent");
  set(conf, "compression.codec", text_of(request, "codec"));
  set(conf, "enable.idempotence", idempotent ? "true" : "false");
  set_number(conf, "acks", idempotent ? -1 : acks);
  set_number(conf, "message.timeout.ms", VERB_MS_MAX - 2000);
  set(conf, "linger.ms", "5");
  set(conf, "retry.backoff.ms", "100");
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_conf_set_opaque(conf, delivery);
  rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, size);
  if (producer == NULL) rd_kafka_conf_destroy(conf);
  return producer;
}

static rd_kafka_headers_t *headers_of(const json_t *record) {
  json_t *given = json_object_get(record, "headers");
  if (json_array_size(given) == 0) return NULL;
  rd_kafka_headers_t *headers = rd_kafka_headers_new(json_array_size(given));
  size_t i;
  json_t *header;
  json_array_foreach(given, i, header) {
    json_t *name = json_array_get(header, 0), *value = json_array_get(header, 1);
    rd_kafka_header_add(headers, json_string_value(name), -1, json_string_value(value),
                        (ssize_t)json_string_length(value));
  }
  return headers;
}

/* The error of a record that is not even taken into the queue. */
static rd_kafka_resp_err_t enqueue(rd_kafka_t *producer, const char *topic, const json_t *record, size_t index) {
  json_t *key = json_object_get(record, "key"), *value = json_object_get(record, "value");
  json_t *length = json_object_get(record, "valueBytes");
  char *filler = NULL;
  const char *payload = json_string_value(value);
  size_t payload_length = json_string_length(value);
  if (json_is_number(length)) {
    payload_length = (size_t)json_number_value(length);
    payload = filler = malloc(payload_length + 1);
    memset(filler, 'x', payload_length);
  }
  rd_kafka_headers_t *headers = headers_of(record);
  rd_kafka_vu_t parts[8];
  size_t count = 0;
  parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic};
  parts[count++] =
      (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = (int32_t)number_of(record, "partition")};
  parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
  parts[count++] =
      (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = (void *)payload, .size = payload_length}};
  parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY,
                                   .u.mem = {.ptr = (void *)json_string_value(key), .size = json_string_length(key)}};
  parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)index};
  if (headers != NULL) parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
  if (json_is_number(json_object_get(record, "timestamp"))) {
    parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = number_of(record, "timestamp")};
  }
  rd_kafka_error_t *error = rd_kafka_produceva(producer, parts, count);
  free(filler);
  if (error == NULL) return RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_resp_err_t err = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  if (headers != NULL) rd_kafka_headers_destroy(headers);
  return err;
}

json_t *produce(const json_t *request) {
  json_t *records = json_object_get(request, "records");
  const size_t count = json_array_size(records);
  const long long acks = number_of(request, "acks");
  delivery_t delivery = {.offsets = calloc(count + 1, sizeof(int64_t)), .waiting = count};
  char why[256];
  rd_kafka_t *producer = new_producer(request, acks, &delivery, why, sizeof(why));
  if (producer == NULL) {
    free(delivery.offsets);
    return failure("CLIENT", why);
  }
  size_t i;
  json_t *record;
  json_array_foreach(records, i, record) {
    rd_kafka_resp_err_t err = enqueue(producer, text_of(request, "topic"), record, i);
    if (err) note(&delivery, i, err, -1);
  }
  rd_kafka_flush(producer, VERB_MS_MAX);
  rd_kafka_destroy(producer);
  json_t *answer;
  if (delivery.first_error) {
    answer = kafka_failure(delivery.first_error, NULL);
  } else if (delivery.waiting > 0) {
    answer = failure("REQUEST_TIMED_OUT", "not everything was delivered");
  } else {
    json_t *offsets = json_array();
    for (size_t at = 0; at < count; at++) {
      const int64_t offset = acks == 0 || delivery.offsets[at] < 0 ? -1 : delivery.offsets[at];
      json_array_append_new(offsets, json_integer(offset));
    }
    answer = ok(json_pack("{s:o}", "offsets", offsets));
  }
  free(delivery.offsets);
  return answer;
}

json_t *produce_many(const json_t *request) {
  const long long count = number_of(request, "count"), partitions = number_of(request, "partitions");
  const size_t value_bytes = (size_t)number_of(request, "valueBytes");
  const double until_ms = now_ms() + BULK_MS_MAX;
  delivery_t delivery = {.waiting = (size_t)count};
  char why[256];
  rd_kafka_t *producer = new_producer(request, -1, &delivery, why, sizeof(why));
  if (producer == NULL) return failure("CLIENT", why);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, text_of(request, "topic"), NULL);
  char *value = malloc(value_bytes + 32);
  for (long long i = 0; i < count && now_ms() < until_ms; i++) {
    const int prefix = snprintf(value, 32, "%lld:", i);
    const size_t length = value_bytes > (size_t)prefix ? value_bytes : (size_t)prefix;
    memset(value + prefix, 'x', length - (size_t)prefix);
    while (rd_kafka_produce(topic, (int32_t)(i % partitions), RD_KAFKA_MSG_F_COPY, value, length, NULL, 0, NULL) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL || now_ms() > until_ms) {
        note(&delivery, (size_t)i, rd_kafka_last_error(), -1);
        break;
      }
      rd_kafka_poll(producer, 10);
    }
    rd_kafka_poll(producer, 0);
  }
  free(value);
  const double left_ms = until_ms - now_ms();
  rd_kafka_flush(producer, left_ms > 0 ? (int)left_ms : 0);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
  if (delivery.first_error) return kafka_failure(delivery.first_error, NULL);
  return ok(json_pack("{s:I}", "acknowledged", (json_int_t)delivery.acknowledged));
}
