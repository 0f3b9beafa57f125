/*
 * Topics and groups as an administrator has them. librdkafka's admin requests all go one way: build what is asked, hand it
 * over with a queue, wait for its event, and look for the error of the whole, then of the item.
 */
#include "agent.h"

#include <string.h>
#include <unistd.h>

enum { KNOWN_MS_MAX = 5000 };

static rd_kafka_t *admin;
static rd_kafka_queue_t *events;

/* A consumer's handle, because looking for a topic must not create it. */
static rd_kafka_t *admin_handle(void) {
  if (admin == NULL) {
    char why[256];
    admin = new_reader("conformance-admin", why, sizeof(why));
    if (admin != NULL) events = rd_kafka_queue_new(admin);
  }
  return admin;
}

void close_admin(void) {
  if (admin == NULL) return;
  rd_kafka_queue_destroy(events);
  rd_kafka_destroy(admin);
  admin = NULL;
}

static rd_kafka_AdminOptions_t *options_for(rd_kafka_admin_op_t operation) {
  char why[256];
  rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin_handle(), operation);
  rd_kafka_AdminOptions_set_request_timeout(options, VERB_MS_MAX - 2000, why, sizeof(why));
  return options;
}

/* The event of the request under way; NULL with the answer where it failed as a whole. */
static rd_kafka_event_t *await_event(json_t **answer) {
  rd_kafka_event_t *event = rd_kafka_queue_poll(events, VERB_MS_MAX);
  if (event == NULL) {
    *answer = failure("REQUEST_TIMED_OUT", "no answer to an admin request");
    return NULL;
  }
  if (rd_kafka_event_error(event)) {
    *answer = kafka_failure(rd_kafka_event_error(event), rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    return NULL;
  }
  return event;
}

static json_t *topic_answer(const rd_kafka_topic_result_t *const *results, size_t count) {
  if (count != 1) return failure("CLIENT", "not one result for one topic");
  rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[0]);
  return err ? kafka_failure(err, rd_kafka_topic_result_error_string(results[0])) : ok(NULL);
}

/* Kafka answers when the topic is decided on; a moment later the broker knows it. */
static json_t *once_known(json_t *answer, const json_t *request) {
  const double until_ms = now_ms() + KNOWN_MS_MAX;
  while (json_object_get(answer, "ok") != NULL && now_ms() < until_ms) {
    json_t *described = describe_topic(request);
    const bool is_known = json_object_get(described, "ok") != NULL;
    json_decref(described);
    if (is_known) break;
    usleep(50000);
  }
  return answer;
}

json_t *create_topic(const json_t *request) {
  char why[256];
  const int partitions = (int)number_of(request, "partitions");
  rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(text_of(request, "topic"), partitions, 1, why, sizeof(why));
  /* The library looks at the number itself. */
  if (topic == NULL) return failure(partitions < 1 ? "INVALID_PARTITIONS" : "CLIENT", why);
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(request, "configs"), name, value) {
    rd_kafka_NewTopic_set_config(topic, name, json_string_value(value));
  }
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_CreateTopics(admin_handle(), &topic, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy(topic);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  size_t count;
  const rd_kafka_topic_result_t **results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  answer = topic_answer(results, count);
  rd_kafka_event_destroy(event);
  return once_known(answer, request);
}

json_t *describe_topic(const json_t *request) {
  rd_kafka_topic_t *topic = rd_kafka_topic_new(admin_handle(), text_of(request, "topic"), NULL);
  const struct rd_kafka_metadata *metadata;
  rd_kafka_resp_err_t err = rd_kafka_metadata(admin_handle(), 0, topic, &metadata, VERB_MS_MAX);
  rd_kafka_topic_destroy(topic);
  if (err) return kafka_failure(err, NULL);
  json_t *answer;
  if (metadata->topic_cnt != 1) answer = failure("UNKNOWN_TOPIC_OR_PARTITION", "not in the metadata");
  else if (metadata->topics[0].err) answer = kafka_failure(metadata->topics[0].err, NULL);
  else answer = ok(json_pack("{s:i}", "partitions", metadata->topics[0].partition_cnt));
  rd_kafka_metadata_destroy(metadata);
  return answer;
}

json_t *create_partitions(const json_t *request) {
  char why[256];
  rd_kafka_NewPartitions_t *partitions = rd_kafka_NewPartitions_new(
      text_of(request, "topic"), (size_t)number_of(request, "total"), why, sizeof(why));
  if (partitions == NULL) return failure("CLIENT", why);
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
  rd_kafka_CreatePartitions(admin_handle(), &partitions, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewPartitions_destroy(partitions);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  size_t count;
  const rd_kafka_topic_result_t **results =
      rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
  answer = topic_answer(results, count);
  rd_kafka_event_destroy(event);
  return answer;
}

/* All configs of a topic, in the event that the caller destroys; NULL with the answer where it failed. */
static rd_kafka_event_t *describe(const char *topic, const rd_kafka_ConfigEntry_t ***entries, size_t *count,
                                  json_t **answer) {
  rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  rd_kafka_DescribeConfigs(admin_handle(), &resource, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_ConfigResource_destroy(resource);
  rd_kafka_event_t *event = await_event(answer);
  if (event == NULL) return NULL;
  size_t resources;
  const rd_kafka_ConfigResource_t **results =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &resources);
  rd_kafka_resp_err_t err = resources == 1 ? rd_kafka_ConfigResource_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
  if (err) {
    *answer = kafka_failure(err, resources == 1 ? rd_kafka_ConfigResource_error_string(results[0]) : NULL);
    rd_kafka_event_destroy(event);
    return NULL;
  }
  *entries = rd_kafka_ConfigResource_configs(results[0], count);
  return event;
}

static bool is_topic_config(const rd_kafka_ConfigEntry_t *entry) {
  return rd_kafka_ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
}

json_t *describe_configs(const json_t *request) {
  const rd_kafka_ConfigEntry_t **entries;
  size_t count;
  json_t *answer = NULL;
  rd_kafka_event_t *event = describe(text_of(request, "topic"), &entries, &count, &answer);
  if (event == NULL) return answer;
  json_t *configs = json_object();
  size_t at;
  json_t *name;
  json_array_foreach(json_object_get(request, "names"), at, name) {
    for (size_t i = 0; i < count; i++) {
      if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), json_string_value(name)) != 0) continue;
      json_object_set_new(configs, json_string_value(name),
                          json_pack("{s:s?, s:b}", "value", rd_kafka_ConfigEntry_value(entries[i]), "isDefault",
                                    !is_topic_config(entries[i])));
    }
  }
  rd_kafka_event_destroy(event);
  return ok(json_pack("{s:o}", "configs", configs));
}

/* This librdkafka may have AlterConfigs only, which forgets what it is not told. */
json_t *alter_configs(const json_t *request) {
  const char *topic = text_of(request, "topic");
  const rd_kafka_ConfigEntry_t **entries;
  size_t count;
  json_t *answer = NULL;
  rd_kafka_event_t *described = describe(topic, &entries, &count, &answer);
  if (described == NULL) return answer;
  rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
  json_t *wanted = json_object_get(request, "set");
  for (size_t i = 0; i < count; i++) {
    const char *name = rd_kafka_ConfigEntry_name(entries[i]);
    if (!is_topic_config(entries[i]) || json_object_get(wanted, name) != NULL) continue;
    rd_kafka_ConfigResource_set_config(resource, name, rd_kafka_ConfigEntry_value(entries[i]));
  }
  rd_kafka_event_destroy(described);
  const char *name;
  json_t *value;
  json_object_foreach(wanted, name, value) {
    rd_kafka_ConfigResource_set_config(resource, name, json_string_value(value));
  }
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
  rd_kafka_AlterConfigs(admin_handle(), &resource, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_ConfigResource_destroy(resource);
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  size_t resources;
  const rd_kafka_ConfigResource_t **results =
      rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &resources);
  rd_kafka_resp_err_t err = resources == 1 ? rd_kafka_ConfigResource_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
  answer = err ? kafka_failure(err, resources == 1 ? rd_kafka_ConfigResource_error_string(results[0]) : NULL) : ok(NULL);
  rd_kafka_event_destroy(event);
  return answer;
}

json_t *delete_records(const json_t *request) {
  rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(before, text_of(request, "topic"), (int32_t)number_of(request, "partition"))->offset =
      number_of(request, "before");
  rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(before);
  rd_kafka_topic_partition_list_destroy(before);
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_DELETERECORDS);
  rd_kafka_DeleteRecords(admin_handle(), &records, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_DeleteRecords_destroy(records);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  const rd_kafka_topic_partition_list_t *results =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
  rd_kafka_resp_err_t err = results->cnt == 1 ? results->elems[0].err : RD_KAFKA_RESP_ERR__FAIL;
  answer = err ? kafka_failure(err, NULL) : ok(NULL);
  rd_kafka_event_destroy(event);
  return answer;
}

json_t *delete_topic(const json_t *request) {
  rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(text_of(request, "topic"));
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_DELETETOPICS);
  rd_kafka_DeleteTopics(admin_handle(), &topic, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_DeleteTopic_destroy(topic);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  size_t count;
  const rd_kafka_topic_result_t **results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  answer = topic_answer(results, count);
  rd_kafka_event_destroy(event);
  return answer;
}

static json_t *described_group(const rd_kafka_ConsumerGroupDescription_t *group) {
  const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(group);
  if (error != NULL) return kafka_failure(rd_kafka_error_code(error), rd_kafka_error_string(error));
  return ok(json_pack("{s:s, s:I}", "state",
                      rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(group)), "members",
                      (json_int_t)rd_kafka_ConsumerGroupDescription_member_count(group)));
}

json_t *describe_group(const json_t *request) {
  const char *group = text_of(request, "group");
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
  rd_kafka_DescribeConsumerGroups(admin_handle(), &group, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  size_t count;
  const rd_kafka_ConsumerGroupDescription_t **groups =
      rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event), &count);
  answer = count == 1 ? described_group(groups[0]) : failure("CLIENT", "not one result for one group");
  rd_kafka_event_destroy(event);
  return answer;
}

json_t *list_groups(const json_t *request) {
  (void)request;
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
  rd_kafka_ListConsumerGroups(admin_handle(), options, events);
  rd_kafka_AdminOptions_destroy(options);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(event);
  size_t count;
  const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
  if (count > 0) {
    answer = kafka_failure(rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]));
    rd_kafka_event_destroy(event);
    return answer;
  }
  const rd_kafka_ConsumerGroupListing_t **groups = rd_kafka_ListConsumerGroups_result_valid(result, &count);
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append_new(list, json_string(rd_kafka_ConsumerGroupListing_group_id(groups[i])));
  }
  rd_kafka_event_destroy(event);
  return ok(json_pack("{s:o}", "groups", list));
}

json_t *delete_group(const json_t *request) {
  rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(text_of(request, "group"));
  rd_kafka_AdminOptions_t *options = options_for(RD_KAFKA_ADMIN_OP_DELETEGROUPS);
  rd_kafka_DeleteGroups(admin_handle(), &group, 1, options, events);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_DeleteGroup_destroy(group);
  json_t *answer = NULL;
  rd_kafka_event_t *event = await_event(&answer);
  if (event == NULL) return answer;
  size_t count;
  const rd_kafka_group_result_t **results =
      rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
  const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(results[0]) : NULL;
  answer = error == NULL ? ok(NULL) : kafka_failure(rd_kafka_error_code(error), rd_kafka_error_string(error));
  rd_kafka_event_destroy(event);
  return answer;
}
