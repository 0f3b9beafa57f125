/*
 * What the files of the librdkafka agent share: a verb takes a request and gives an answer, both JSON (PROTOCOL.md).
 */
#ifndef AGENT_H
#define AGENT_H

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* What every request has to be done in. */
enum { VERB_MS_MAX = 20000 };

/* The answers, but for their id. Each gives up its reference. */
json_t *ok(json_t *fields);
json_t *failure(const char *code, const char *message);
json_t *unsupported(const char *why);
/* Kafka's name of a librdkafka error. */
json_t *kafka_failure(rd_kafka_resp_err_t err, const char *message);

/* Fields of a request; of the wrong type they are empty, 0 or false. */
const char *text_of(const json_t *request, const char *field);
long long number_of(const json_t *request, const char *field);
bool truth_of(const json_t *request, const char *field);
/* Text or null; what is no UTF-8 comes as its replacement. */
json_t *text_json(const void *bytes, size_t length);

const char *bootstrap_servers(void);
/* A configuration with what all handles share; a wrong setting ends the agent. */
rd_kafka_conf_t *new_conf(void);
void set(rd_kafka_conf_t *conf, const char *name, const char *value);
void set_number(rd_kafka_conf_t *conf, const char *name, long long value);
/* A consumer that is no member: for reading, offsets and commits. Null with the reason in `why`. */
rd_kafka_t *new_reader(const char *group, char *why, size_t why_size);
double now_ms(void);

/* topics.c */
json_t *create_topic(const json_t *request);
json_t *describe_topic(const json_t *request);
json_t *create_partitions(const json_t *request);
json_t *alter_configs(const json_t *request);
json_t *describe_configs(const json_t *request);
json_t *delete_records(const json_t *request);
json_t *delete_topic(const json_t *request);
json_t *describe_group(const json_t *request);
json_t *list_groups(const json_t *request);
json_t *delete_group(const json_t *request);
void close_admin(void);

/* produce.c */
json_t *produce(const json_t *request);
json_t *produce_many(const json_t *request);

/* read.c */
json_t *consume(const json_t *request);
json_t *count_all(const json_t *request);
json_t *offsets(const json_t *request);
json_t *commit(const json_t *request);
json_t *committed(const json_t *request);

/* members.c */
json_t *join(const json_t *request);
json_t *assignment(const json_t *request);
json_t *received(const json_t *request);
json_t *seek(const json_t *request);
json_t *leave(const json_t *request);
void leave_all(void);

#endif
