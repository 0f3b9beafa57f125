/*
 * Reading without a group, offsets, and commits by nobody's member.
 */
#include "agent.h"

#include <stdlib.h>
#include <string.h>

static json_t *headers_json(const rd_kafka_message_t *message) {
  json_t *list = json_array();
  rd_kafka_headers_t *headers;
  if (rd_kafka_message_headers(message, &headers)) return list;
  const char *name;
  const void *value;
  size_t length;
  for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &length); i++) {
    json_array_append_new(list, json_pack("[s, o]", name, text_json(value, length)));
  }
  return list;
}

static json_t *record_json(const rd_kafka_message_t *message) {
  rd_kafka_timestamp_type_t type;
  return json_pack("{s:I, s:o, s:o, s:o, s:I}", "offset", (json_int_t)message->offset, "key",
                   text_json(message->key, message->key_len), "value", text_json(message->payload, message->len),
                   "headers", headers_json(message), "timestamp",
                   (json_int_t)rd_kafka_message_timestamp(message, &type));
}

/* A reader with partitions from..to of a topic assigned from an offset on. NULL with the answer where it failed. */
static rd_kafka_t *open_reader(const char *topic, int32_t from, int32_t to, int64_t offset, json_t **answer) {
  char why[256];
  rd_kafka_t *reader = new_reader("conformance-reader", why, sizeof(why));
  if (reader == NULL) {
    *answer = failure("CLIENT", why);
    return NULL;
  }
  rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(to - from + 1);
  for (int32_t partition = from; partition <= to; partition++) {
    rd_kafka_topic_partition_list_add(partitions, topic, partition)->offset = offset;
  }
  rd_kafka_resp_err_t err = rd_kafka_assign(reader, partitions);
  rd_kafka_topic_partition_list_destroy(partitions);
  if (!err) return reader;
  *answer = kafka_failure(err, NULL);
  rd_kafka_destroy(reader);
  return NULL;
}

static void close_reader(rd_kafka_t *reader) {
  rd_kafka_consumer_close(reader);
  rd_kafka_destroy(reader);
}

/* Errors about which librdkafka says that it goes on: the broker is away, for one. */
static bool is_passing(rd_kafka_resp_err_t err) {
  return err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         err == RD_KAFKA_RESP_ERR__RESOLVE || err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
}

json_t *consume(const json_t *request) {
  const int32_t partition = (int32_t)number_of(request, "partition");
  const size_t count = (size_t)number_of(request, "count");
  const double until_ms = now_ms() + number_of(request, "timeoutMs");
  json_t *answer = NULL;
  rd_kafka_t *reader =
      open_reader(text_of(request, "topic"), partition, partition, number_of(request, "from"), &answer);
  if (reader == NULL) return answer;
  json_t *records = json_array();
  while (answer == NULL && json_array_size(records) < count && now_ms() < until_ms) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 50);
    if (message == NULL) continue;
    if (!message->err) {
      json_array_append_new(records, record_json(message));
    } else if (!is_passing(message->err)) {
      /* With auto.offset.reset=error, this is how an offset out of range shows. */
      answer = message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
                   ? failure("OFFSET_OUT_OF_RANGE", rd_kafka_message_errstr(message))
                   : kafka_failure(message->err, rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
  }
  close_reader(reader);
  if (answer == NULL) return ok(json_pack("{s:o}", "records", records));
  json_decref(records);
  return answer;
}

json_t *count_all(const json_t *request) {
  const int32_t partitions = (int32_t)number_of(request, "partitions");
  const long long expected = number_of(request, "expected");
  const double until_ms = now_ms() + number_of(request, "timeoutMs");
  json_t *answer = NULL;
  rd_kafka_t *reader =
      open_reader(text_of(request, "topic"), 0, partitions - 1, RD_KAFKA_OFFSET_BEGINNING, &answer);
  if (reader == NULL) return answer;
  /* Numbers below `expected` are what was written; others count as received only. */
  bool *seen = calloc((size_t)expected + 1, sizeof(bool));
  long long total = 0, distinct = 0;
  while (distinct < expected && now_ms() < until_ms) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 50);
    if (message == NULL) continue;
    if (!message->err) {
      char number[24] = "";
      memcpy(number, message->payload, message->len < sizeof(number) - 1 ? message->len : sizeof(number) - 1);
      const long long index = strtoll(number, NULL, 10);
      total++;
      if (index >= 0 && index < expected && !seen[index]) {
        seen[index] = true;
        distinct++;
      }
    }
    rd_kafka_message_destroy(message);
  }
  free(seen);
  close_reader(reader);
  return ok(json_pack("{s:I, s:I}", "received", (json_int_t)total, "distinct", (json_int_t)distinct));
}

static json_t *offset_at(rd_kafka_t *reader, const char *topic, int32_t partition, const json_t *at) {
  if (json_is_string(at)) {
    int64_t low, high;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(reader, topic, partition, &low, &high, VERB_MS_MAX);
    if (err) return kafka_failure(err, NULL);
    const bool is_earliest = strcmp(json_string_value(at), "earliest") == 0;
    return ok(json_pack("{s:I}", "offset", (json_int_t)(is_earliest ? low : high)));
  }
  rd_kafka_topic_partition_list_t *times = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(times, topic, partition)->offset = (int64_t)json_number_value(at);
  rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(reader, times, VERB_MS_MAX);
  if (!err) err = times->elems[0].err;
  const int64_t offset = times->elems[0].offset;
  rd_kafka_topic_partition_list_destroy(times);
  if (err) return kafka_failure(err, NULL);
  return ok(json_pack("{s:I}", "offset", (json_int_t)(offset < 0 ? -1 : offset)));
}

json_t *offsets(const json_t *request) {
  char why[256];
  rd_kafka_t *reader = new_reader("conformance-offsets", why, sizeof(why));
  if (reader == NULL) return failure("CLIENT", why);
  json_t *answer = offset_at(reader, text_of(request, "topic"), (int32_t)number_of(request, "partition"),
                             json_object_get(request, "at"));
  close_reader(reader);
  return answer;
}

/* One partition, for a reader of the group. */
static rd_kafka_topic_partition_list_t *partition_of(const json_t *request) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, text_of(request, "topic"), (int32_t)number_of(request, "partition"));
  return list;
}

json_t *commit(const json_t *request) {
  char why[256];
  rd_kafka_t *reader = new_reader(text_of(request, "group"), why, sizeof(why));
  if (reader == NULL) return failure("CLIENT", why);
  rd_kafka_topic_partition_list_t *list = partition_of(request);
  const char *metadata = text_of(request, "metadata");
  list->elems[0].offset = number_of(request, "offset");
  if (metadata[0] != '\0') {
    list->elems[0].metadata = strdup(metadata);
    list->elems[0].metadata_size = strlen(metadata);
  }
  rd_kafka_resp_err_t err = rd_kafka_commit(reader, list, 0);
  if (!err) err = list->elems[0].err;
  rd_kafka_topic_partition_list_destroy(list);
  close_reader(reader);
  return err ? kafka_failure(err, NULL) : ok(NULL);
}

json_t *committed(const json_t *request) {
  char why[256];
  rd_kafka_t *reader = new_reader(text_of(request, "group"), why, sizeof(why));
  if (reader == NULL) return failure("CLIENT", why);
  rd_kafka_topic_partition_list_t *list = partition_of(request);
  rd_kafka_resp_err_t err = rd_kafka_committed(reader, list, VERB_MS_MAX);
  const rd_kafka_topic_partition_t *found = &list->elems[0];
  if (!err) err = found->err;
  json_t *answer;
  if (err) {
    answer = kafka_failure(err, NULL);
  } else {
    const bool is_there = found->offset >= 0;
    json_t *metadata = is_there && found->metadata_size > 0 ? text_json(found->metadata, found->metadata_size)
                                                            : json_string("");
    answer = ok(json_pack("{s:I, s:o}", "offset", (json_int_t)(is_there ? found->offset : -1), "metadata", metadata));
  }
  rd_kafka_topic_partition_list_destroy(list);
  close_reader(reader);
  return answer;
}
