/*
 * The agent of librdkafka: reads a request a line, answers it, until the input ends. The verbs are in the other files.
 */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef json_t *(*verb_fn)(const json_t *request);

static char *bootstrap;

static json_t *hello(const json_t *request) {
  free(bootstrap);
  bootstrap = strdup(text_of(request, "bootstrap"));
  return ok(json_pack("{s:s, s:s}", "client", "librdkafka", "version", rd_kafka_version_str()));
}

static const struct {
  const char *name;
  verb_fn run;
} verbs[] = {
    {"hello", hello},
    {"createTopic", create_topic},
    {"describeTopic", describe_topic},
    {"createPartitions", create_partitions},
    {"alterConfigs", alter_configs},
    {"describeConfigs", describe_configs},
    {"deleteRecords", delete_records},
    {"deleteTopic", delete_topic},
    {"produce", produce},
    {"produceMany", produce_many},
    {"consume", consume},
    {"countAll", count_all},
    {"offsets", offsets},
    {"join", join},
    {"assignment", assignment},
    {"received", received},
    {"seek", seek},
    {"leave", leave},
    {"commit", commit},
    {"committed", committed},
    {"describeGroup", describe_group},
    {"listGroups", list_groups},
    {"deleteGroup", delete_group},
};

json_t *ok(json_t *fields) {
  return json_pack("{s:o}", "ok", fields == NULL ? json_object() : fields);
}

json_t *failure(const char *code, const char *message) {
  return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message == NULL ? "" : message);
}

json_t *unsupported(const char *why) {
  return json_pack("{s:s}", "unsupported", why);
}

/* Where librdkafka's name is not Kafka's. */
static const struct {
  rd_kafka_resp_err_t err;
  const char *name;
} names[] = {
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "MESSAGE_TOO_LARGE"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "UNKNOWN_TOPIC_OR_PARTITION"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "UNKNOWN_TOPIC_OR_PARTITION"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "UNKNOWN_TOPIC_OR_PARTITION"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "INVALID_TOPIC_EXCEPTION"},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, "CORRUPT_MESSAGE"},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, "NOT_LEADER_OR_FOLLOWER"},
    {RD_KAFKA_RESP_ERR_GROUP_LOAD_IN_PROGRESS, "COORDINATOR_LOAD_IN_PROGRESS"},
    {RD_KAFKA_RESP_ERR_GROUP_COORDINATOR_NOT_AVAILABLE, "COORDINATOR_NOT_AVAILABLE"},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR_FOR_GROUP, "NOT_COORDINATOR"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, "REQUEST_TIMED_OUT"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, "REQUEST_TIMED_OUT"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, "REQUEST_TIMED_OUT"},
};

json_t *kafka_failure(rd_kafka_resp_err_t err, const char *message) {
  const char *said = message == NULL ? rd_kafka_err2str(err) : message;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (names[i].err == err) return failure(names[i].name, said);
  }
  const char *name = rd_kafka_err2name(err);
  /* An underscore marks the library's own. */
  return name[0] == '_' ? failure("CLIENT", said) : failure(name, said);
}

const char *text_of(const json_t *request, const char *field) {
  const char *text = json_string_value(json_object_get(request, field));
  return text == NULL ? "" : text;
}

long long number_of(const json_t *request, const char *field) {
  return (long long)json_number_value(json_object_get(request, field));
}

bool truth_of(const json_t *request, const char *field) {
  return json_is_true(json_object_get(request, field));
}

json_t *text_json(const void *bytes, size_t length) {
  if (bytes == NULL) return json_null();
  json_t *text = json_stringn(bytes, length);
  return text == NULL ? json_string("\xef\xbf\xbd") : text;
}

const char *bootstrap_servers(void) {
  return bootstrap == NULL ? "" : bootstrap;
}

double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[256];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK) return;
  fprintf(stderr, "%s\n", why);
  exit(1);
}

void set_number(rd_kafka_conf_t *conf, const char *name, long long value) {
  char text[32];
  snprintf(text, sizeof(text), "%lld", value);
  set(conf, name, text);
}

rd_kafka_conf_t *new_conf(void) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap_servers());
  set(conf, "client.id", "conformance-librdkafka");
  set(conf, "reconnect.backoff.ms", "100");
  set(conf, "reconnect.backoff.max.ms", "1000");
  set(conf, "message.max.bytes", "8388608");
  return conf;
}

rd_kafka_t *new_reader(const char *group, char *why, size_t why_size) {
  rd_kafka_conf_t *conf = new_conf();
  set(conf, "group.id", group);
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "error");
  set(conf, "fetch.wait.max.ms", "200");
  rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, why_size);
  if (reader == NULL) {
    rd_kafka_conf_destroy(conf);
    return NULL;
  }
  rd_kafka_poll_set_consumer(reader);
  return reader;
}

static json_t *answer_to(const json_t *request) {
  const char *wanted = text_of(request, "do");
  for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
    if (strcmp(verbs[i].name, wanted) == 0) return verbs[i].run(request);
  }
  return failure("CLIENT", "no such verb");
}

static void serve_line(const char *line) {
  json_error_t error;
  json_t *request = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
  json_t *answer = request == NULL ? failure("CLIENT", error.text) : answer_to(request);
  json_t *id = json_object_get(request, "id");
  json_object_set(answer, "id", id == NULL ? json_null() : id);
  json_dumpf(answer, stdout, JSON_COMPACT);
  putchar('\n');
  fflush(stdout);
  json_decref(answer);
  json_decref(request);
}

int main(void) {
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) serve_line(line);
  free(line);
  leave_all();
  close_admin();
  free(bootstrap);
  return 0;
}
