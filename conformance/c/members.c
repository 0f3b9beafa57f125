/*
 * Members of groups. Each has a thread that polls; what it receives waits under a lock until it is asked for.
 */
#include "agent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS_MAX = 64, BATCH_MAX = 500, REBALANCE_MS_MAX = 10000 };

typedef struct {
  char name[32];
  rd_kafka_t *consumer;
  pthread_t thread;
  bool has_left;
  bool commits;
  /* Below: under the lock. */
  pthread_mutex_t lock;
  bool stopping;
  json_t *records;
  json_t *partitions;
  int rebalances;
  rd_kafka_resp_err_t ended;
  /* One past what was received last; the partitions that it has had. */
  rd_kafka_topic_partition_list_t *positions;
} member_t;

static member_t *members[MEMBERS_MAX];
static int member_count;

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What it has now, sorted. */
static void show_assignment(member_t *member) {
  rd_kafka_topic_partition_list_t *assigned;
  if (rd_kafka_assignment(member->consumer, &assigned)) return;
  char **names = calloc((size_t)assigned->cnt + 1, sizeof(char *));
  for (int i = 0; i < assigned->cnt; i++) {
    const size_t size = strlen(assigned->elems[i].topic) + 16;
    names[i] = malloc(size);
    snprintf(names[i], size, "%s-%d", assigned->elems[i].topic, assigned->elems[i].partition);
  }
  qsort(names, (size_t)assigned->cnt, sizeof(char *), by_text);
  json_t *partitions = json_array();
  for (int i = 0; i < assigned->cnt; i++) {
    json_array_append_new(partitions, json_string(names[i]));
    free(names[i]);
  }
  free(names);
  rd_kafka_topic_partition_list_destroy(assigned);
  pthread_mutex_lock(&member->lock);
  json_decref(member->partitions);
  member->partitions = partitions;
  pthread_mutex_unlock(&member->lock);
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque) {
  member_t *member = opaque;
  const bool is_assigned = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  if (strcmp(rd_kafka_rebalance_protocol(consumer), "COOPERATIVE") == 0) {
    rd_kafka_error_t *error = is_assigned ? rd_kafka_incremental_assign(consumer, partitions)
                                          : rd_kafka_incremental_unassign(consumer, partitions);
    if (error != NULL) {
      fprintf(stderr, "assign: %s\n", rd_kafka_error_string(error));
      rd_kafka_error_destroy(error);
    }
  } else {
    rd_kafka_assign(consumer, is_assigned ? partitions : NULL);
  }
  pthread_mutex_lock(&member->lock);
  if (is_assigned) member->rebalances++;
  pthread_mutex_unlock(&member->lock);
  show_assignment(member);
}

static void keep(member_t *member, const rd_kafka_message_t *message, rd_kafka_topic_partition_list_t *batch) {
  const char *topic = rd_kafka_topic_name(message->rkt);
  json_t *record = json_pack("{s:s, s:i, s:I, s:o}", "topic", topic, "partition", message->partition, "offset",
                             (json_int_t)message->offset, "value", text_json(message->payload, message->len));
  pthread_mutex_lock(&member->lock);
  json_array_append_new(member->records, record);
  rd_kafka_topic_partition_list_t *lists[] = {member->positions, batch};
  for (int i = 0; i < 2; i++) {
    rd_kafka_topic_partition_t *position = rd_kafka_topic_partition_list_find(lists[i], topic, message->partition);
    if (position == NULL) position = rd_kafka_topic_partition_list_add(lists[i], topic, message->partition);
    position->offset = message->offset + 1;
  }
  pthread_mutex_unlock(&member->lock);
}

static void commit_positions(member_t *member, const rd_kafka_topic_partition_list_t *positions) {
  rd_kafka_resp_err_t err = rd_kafka_commit(member->consumer, positions, 0);
  if (err) fprintf(stderr, "commit: %s\n", rd_kafka_err2str(err));
}

/* What has arrived, up to a batch of it; waits a moment where there is nothing. */
static void poll_batch(member_t *member) {
  rd_kafka_topic_partition_list_t *batch = rd_kafka_topic_partition_list_new(8);
  for (int i = 0; i < BATCH_MAX; i++) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(member->consumer, i == 0 ? 100 : 0);
    if (message == NULL) break;
    if (!message->err) {
      keep(member, message, batch);
    } else {
      fprintf(stderr, "poll: %s\n", rd_kafka_message_errstr(message));
      if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        pthread_mutex_lock(&member->lock);
        member->ended = rd_kafka_fatal_error(member->consumer, NULL, 0);
        pthread_mutex_unlock(&member->lock);
      }
    }
    rd_kafka_message_destroy(message);
  }
  if (batch->cnt > 0 && member->commits) commit_positions(member, batch);
  rd_kafka_topic_partition_list_destroy(batch);
}

static void *poll_until_stopped(void *argument) {
  member_t *member = argument;
  for (;;) {
    pthread_mutex_lock(&member->lock);
    const bool is_over = member->stopping || member->ended;
    pthread_mutex_unlock(&member->lock);
    if (is_over) return NULL;
    poll_batch(member);
  }
}

static rd_kafka_conf_t *member_conf(const json_t *request) {
  const long long session_ms = number_of(request, "sessionTimeoutMs");
  rd_kafka_conf_t *conf = new_conf();
  set(conf, "group.id", text_of(request, "group"));
  set_number(conf, "session.timeout.ms", session_ms);
  set_number(conf, "heartbeat.interval.ms", session_ms / 3 < 500 ? session_ms / 3 : 500);
  set_number(conf, "max.poll.interval.ms", session_ms > REBALANCE_MS_MAX ? session_ms : REBALANCE_MS_MAX);
  set(conf, "partition.assignment.strategy", text_of(request, "assignor"));
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "fetch.wait.max.ms", "200");
  if (text_of(request, "instanceId")[0] != '\0') set(conf, "group.instance.id", text_of(request, "instanceId"));
  rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  return conf;
}

json_t *join(const json_t *request) {
  if (member_count == MEMBERS_MAX) return failure("CLIENT", "too many members");
  member_t *member = calloc(1, sizeof(member_t));
  snprintf(member->name, sizeof(member->name), "librdkafka-%d", member_count + 1);
  pthread_mutex_init(&member->lock, NULL);
  member->commits = truth_of(request, "commit");
  member->records = json_array();
  member->partitions = json_array();
  member->positions = rd_kafka_topic_partition_list_new(8);

  rd_kafka_conf_t *conf = member_conf(request);
  rd_kafka_conf_set_opaque(conf, member);
  char why[256];
  member->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
  if (member->consumer == NULL) return failure("CLIENT", why);
  rd_kafka_poll_set_consumer(member->consumer);
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  size_t i;
  json_t *topic;
  json_array_foreach(json_object_get(request, "topics"), i, topic) {
    rd_kafka_topic_partition_list_add(topics, json_string_value(topic), RD_KAFKA_PARTITION_UA);
  }
  rd_kafka_resp_err_t err = rd_kafka_subscribe(member->consumer, topics);
  rd_kafka_topic_partition_list_destroy(topics);
  if (err) return kafka_failure(err, NULL);
  members[member_count++] = member;
  pthread_create(&member->thread, NULL, poll_until_stopped, member);
  return ok(json_pack("{s:s}", "member", member->name));
}

static member_t *member_of(const json_t *request) {
  const char *name = text_of(request, "member");
  for (int i = 0; i < member_count; i++) {
    if (strcmp(members[i]->name, name) == 0) return members[i];
  }
  return NULL;
}

json_t *assignment(const json_t *request) {
  member_t *member = member_of(request);
  if (member == NULL) return failure("CLIENT", "no such member");
  pthread_mutex_lock(&member->lock);
  json_t *answer = member->ended ? kafka_failure(member->ended, NULL)
                                 : ok(json_pack("{s:O, s:i}", "partitions", member->partitions, "rebalances",
                                                member->rebalances));
  pthread_mutex_unlock(&member->lock);
  return answer;
}

json_t *received(const json_t *request) {
  member_t *member = member_of(request);
  if (member == NULL) return failure("CLIENT", "no such member");
  pthread_mutex_lock(&member->lock);
  json_t *answer;
  if (member->ended && json_array_size(member->records) == 0) {
    answer = kafka_failure(member->ended, NULL);
  } else {
    answer = ok(json_pack("{s:o}", "records", member->records));
    member->records = json_array();
  }
  pthread_mutex_unlock(&member->lock);
  return answer;
}

json_t *seek(const json_t *request) {
  member_t *member = member_of(request);
  if (member == NULL || member->has_left) return failure("CLIENT", "no such member");
  rd_kafka_topic_partition_list_t *target = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(target, text_of(request, "topic"), (int32_t)number_of(request, "partition"))->offset =
      number_of(request, "offset");
  rd_kafka_error_t *error = rd_kafka_seek_partitions(member->consumer, target, 10000);
  json_t *answer;
  if (error != NULL) {
    answer = kafka_failure(rd_kafka_error_code(error), rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  } else {
    answer = target->elems[0].err ? kafka_failure(target->elems[0].err, NULL) : ok(NULL);
  }
  rd_kafka_topic_partition_list_destroy(target);
  return answer;
}

/* Of what was received, what it still has. */
static void commit_held(member_t *member) {
  rd_kafka_topic_partition_list_t *assigned;
  if (rd_kafka_assignment(member->consumer, &assigned)) return;
  rd_kafka_topic_partition_list_t *held = rd_kafka_topic_partition_list_new(8);
  for (int i = 0; i < assigned->cnt; i++) {
    const rd_kafka_topic_partition_t *each = &assigned->elems[i];
    const rd_kafka_topic_partition_t *position =
        rd_kafka_topic_partition_list_find(member->positions, each->topic, each->partition);
    if (position == NULL) continue;
    rd_kafka_topic_partition_list_add(held, each->topic, each->partition)->offset = position->offset;
  }
  if (held->cnt > 0) commit_positions(member, held);
  rd_kafka_topic_partition_list_destroy(held);
  rd_kafka_topic_partition_list_destroy(assigned);
}

static void leave_group(member_t *member) {
  if (member->has_left) return;
  pthread_mutex_lock(&member->lock);
  member->stopping = true;
  pthread_mutex_unlock(&member->lock);
  pthread_join(member->thread, NULL);
  commit_held(member);
  rd_kafka_consumer_close(member->consumer);
  rd_kafka_destroy(member->consumer);
  member->has_left = true;
}

json_t *leave(const json_t *request) {
  member_t *member = member_of(request);
  if (member == NULL) return failure("CLIENT", "no such member");
  leave_group(member);
  return ok(NULL);
}

void leave_all(void) {
  for (int i = 0; i < member_count; i++) leave_group(members[i]);
}
