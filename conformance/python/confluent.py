"""The agent of confluent-kafka, which is librdkafka with its own error codes for what never reached a broker."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import confluent_kafka
from confluent_kafka import (
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from agent import EARLIEST, REBALANCE_MS, REQUEST_BYTES_MAX, Client, Joining, Member, Record, serve
from errors import Failure, name_of

ADMIN_SECONDS = 15.0

# librdkafka's own codes, where Kafka has a name for the same.
OWN_CODES = {
    KafkaError._TIMED_OUT: "REQUEST_TIMED_OUT",
    KafkaError._MSG_TIMED_OUT: "REQUEST_TIMED_OUT",
    KafkaError._TIMED_OUT_QUEUE: "REQUEST_TIMED_OUT",
    KafkaError._UNKNOWN_TOPIC: "UNKNOWN_TOPIC_OR_PARTITION",
    KafkaError._UNKNOWN_PARTITION: "UNKNOWN_TOPIC_OR_PARTITION",
    KafkaError._AUTO_OFFSET_RESET: "OFFSET_OUT_OF_RANGE",
    KafkaError._ALL_BROKERS_DOWN: "NETWORK_EXCEPTION",
    KafkaError._TRANSPORT: "NETWORK_EXCEPTION",
    KafkaError._WAIT_COORD: "COORDINATOR_NOT_AVAILABLE",
    KafkaError._FENCED: "FENCED_INSTANCE_ID",
}

# A member does not come back from these.
ENDINGS = {
    "FENCED_INSTANCE_ID",
    "INCONSISTENT_GROUP_PROTOCOL",
    "INVALID_SESSION_TIMEOUT",
    "INVALID_GROUP_ID",
    "GROUP_MAX_SIZE_REACHED",
    "GROUP_AUTHORIZATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
}

STATES = {
    ConsumerGroupState.EMPTY: "Empty",
    ConsumerGroupState.PREPARING_REBALANCING: "PreparingRebalance",
    ConsumerGroupState.COMPLETING_REBALANCING: "CompletingRebalance",
    ConsumerGroupState.STABLE: "Stable",
    ConsumerGroupState.DEAD: "Dead",
}


def failure_of(error: KafkaError) -> Failure:
    code = error.code()
    return Failure(OWN_CODES.get(code) or ("CLIENT" if code < -1 else name_of(code)), str(error))


def record_of(message: confluent_kafka.Message) -> Record:
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        key=message.key(),
        value=message.value(),
        headers=message.headers() or [],
        timestamp_ms=message.timestamp()[1],
        offset=message.offset(),
    )


class Confluent(Client):
    name = "confluent-kafka"
    version = confluent_kafka.__version__

    def __init__(self) -> None:
        self._producers: dict[tuple[str, int, bool], confluent_kafka.Producer] = {}

    def config(self, **more: Any) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "allow.auto.create.topics": False,
            # Reports of lost connections are no part of any answer.
            "log_level": 2,
            **{name.replace("_", "."): value for name, value in more.items()},
        }

    def _ask(self, ask: Callable[[AdminClient], Any]) -> Any:
        """Asks with a client of its own, kept until the answer is in: of librdkafka 2.16, one whose broker was away
        since the last time may not find its way back to a coordinator."""
        admin = AdminClient(self.config())
        asked = ask(admin)
        if isinstance(asked, dict):
            (asked,) = asked.values()
        return asked.result(ADMIN_SECONDS + 2)

    def failure(self, error: Exception) -> Failure:
        if isinstance(error, KafkaException):
            return failure_of(error.args[0])
        if isinstance(error, TimeoutError):
            return Failure("REQUEST_TIMED_OUT", repr(error))
        return Failure("CLIENT", repr(error))

    def create_topic(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=configs)
        self._ask(lambda admin: admin.create_topics([new], request_timeout=ADMIN_SECONDS))

    def partitions_of(self, topic: str) -> int:
        topics = TopicCollection([topic])
        return len(self._ask(lambda admin: admin.describe_topics(topics, request_timeout=ADMIN_SECONDS)).partitions)

    def create_partitions(self, topic: str, total: int) -> None:
        self._ask(lambda admin: admin.create_partitions([NewPartitions(topic, total)], request_timeout=ADMIN_SECONDS))

    def alter_configs(self, topic: str, values: dict[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self._ask(lambda admin: admin.incremental_alter_configs([resource], request_timeout=ADMIN_SECONDS))

    def describe_configs(self, topic: str, names: list[str]) -> dict[str, Any]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        configs = self._ask(lambda admin: admin.describe_configs([resource], request_timeout=ADMIN_SECONDS))
        of_topic = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        return {
            name: {"value": configs[name].value, "isDefault": configs[name].source != of_topic}
            for name in names
            if name in configs
        }

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        at = TopicPartition(topic, partition, before)
        self._ask(lambda admin: admin.delete_records([at], request_timeout=ADMIN_SECONDS))

    def delete_topic(self, topic: str) -> None:
        self._ask(lambda admin: admin.delete_topics([topic], request_timeout=ADMIN_SECONDS))

    def _producer(self, codec: str, acks: int, idempotent: bool) -> confluent_kafka.Producer:
        """One of each kind for as long as all goes well, as programs have: librdkafka asks for a producer id no earlier
        than half a second after its start."""
        kind = (codec, acks, idempotent)
        if kind not in self._producers:
            config = self.config(
                compression_type=codec, acks=acks, enable_idempotence=idempotent, message_max_bytes=REQUEST_BYTES_MAX
            )
            # Below the 20 s in which the agent has to answer.
            self._producers[kind] = confluent_kafka.Producer({**config, "message.timeout.ms": 18_000})
        return self._producers[kind]

    def produce(self, codec: str, acks: int, idempotent: bool, records: list[Record]) -> list[int]:
        producer = self._producer(codec, acks, idempotent)
        reports: dict[int, KafkaError | int] = {}

        def report(i: int, error: KafkaError | None, message: confluent_kafka.Message) -> None:
            # Without acknowledgements there is no offset.
            reports[i] = error or (-1 if message.offset() is None else message.offset())

        for i, record in enumerate(records):
            try:
                self._send(producer, record, partial(report, i))
            except KafkaException as refused:
                reports[i] = refused.args[0]
        producer.flush(19)
        for i in range(len(records)):
            said = reports.get(i)
            if isinstance(said, int):
                continue
            # Whatever is left of it, a fatal error among that, is nothing for the next request.
            self._producers.pop((codec, acks, idempotent)).purge()
            raise Failure("REQUEST_TIMED_OUT", "nothing was said of it") if said is None else failure_of(said)
        return [reports[i] for i in range(len(records))]

    def produce_many(self, codec: str, idempotent: bool, records: Iterator[Record], until: float) -> int:
        producer = self._producer(codec, -1, idempotent)
        acknowledged = 0

        def report(error: KafkaError | None, _message: confluent_kafka.Message) -> None:
            nonlocal acknowledged
            acknowledged += error is None

        for record in records:
            while time.monotonic() < until:
                try:
                    self._send(producer, record, report)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        producer.flush(max(0.1, until - time.monotonic()))
        return acknowledged

    @staticmethod
    def _send(producer: confluent_kafka.Producer, record: Record, report: Any) -> None:
        producer.produce(
            record.topic,
            value=record.value,
            key=record.key,
            partition=record.partition,
            headers=record.headers,
            timestamp=record.timestamp_ms or 0,
            on_delivery=report,
        )

    def consume(self, topic: str, start: dict[int, int], until: float) -> Iterator[Record]:
        config = self.config(enable_auto_commit=False, auto_offset_reset="error")
        # It is asked for, and means nothing without a subscription.
        consumer = confluent_kafka.Consumer({**config, "group.id": "assigned"})
        try:
            # EARLIEST is librdkafka's OFFSET_BEGINNING.
            consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in start.items()])
            while time.monotonic() < until:
                for message in consumer.consume(1_000, timeout=min(0.1, max(0.0, until - time.monotonic()))):
                    error = message.error()
                    if error is None:
                        yield record_of(message)
                    elif not error.retriable() and failure_of(error).code != "CLIENT":
                        raise failure_of(error)
        finally:
            consumer.close()

    def offset(self, topic: str, partition: int, time_ms: int) -> int:
        # Not by the admin client's list_offsets, which now and then takes three seconds.
        consumer = confluent_kafka.Consumer(self.config(group_id="offsets", enable_auto_commit=False))
        try:
            if time_ms < 0:
                at = TopicPartition(topic, partition)
                earliest, latest = consumer.get_watermark_offsets(at, timeout=ADMIN_SECONDS, cached=False)
                return earliest if time_ms == EARLIEST else latest
            (found,) = consumer.offsets_for_times([TopicPartition(topic, partition, time_ms)], timeout=ADMIN_SECONDS)
        finally:
            consumer.close()
        if found.error is not None:
            raise failure_of(found.error)
        # None is OFFSET_END, below 0.
        return max(-1, found.offset)

    def join(self, how: Joining) -> Member:
        return ConfluentMember(self, how)

    def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str) -> None:
        at = TopicPartition(topic, partition, offset, metadata=metadata)
        self._of_partition(group, lambda consumer: consumer.commit(offsets=[at], asynchronous=False))

    def committed(self, group: str, topic: str, partition: int) -> tuple[int, str]:
        asked = [TopicPartition(topic, partition)]
        at = self._of_partition(group, lambda consumer: consumer.committed(asked, timeout=ADMIN_SECONDS))
        return (at.offset, at.metadata or "") if at.offset >= 0 else (-1, "")

    def _of_partition(
        self, group: str, ask: Callable[[confluent_kafka.Consumer], list[TopicPartition]]
    ) -> TopicPartition:
        """By a consumer that never subscribes, and so is nobody's member: the admin client of librdkafka 2.16 crashes
        where a coordinator goes away while it is asked."""
        consumer = confluent_kafka.Consumer(self.config(group_id=group, enable_auto_commit=False))
        try:
            (at,) = ask(consumer)
        finally:
            consumer.close()
        if at.error is not None:
            raise failure_of(at.error)
        return at

    def describe_group(self, group: str) -> tuple[str, int]:
        described = self._ask(lambda admin: admin.describe_consumer_groups([group], request_timeout=ADMIN_SECONDS))
        return STATES.get(described.state, described.state.name), len(described.members)

    def list_groups(self) -> list[str]:
        listed = self._ask(lambda admin: admin.list_consumer_groups(request_timeout=ADMIN_SECONDS))
        for error in listed.errors:
            raise error
        return [each.group_id for each in listed.valid]

    def delete_group(self, group: str) -> None:
        self._ask(lambda admin: admin.delete_consumer_groups([group], request_timeout=ADMIN_SECONDS))


class ConfluentMember(Member):
    def __init__(self, client: Confluent, how: Joining) -> None:
        super().__init__(how)
        self._client = client

    def open(self) -> None:
        how = self.how
        config = self._client.config(
            group_id=how.group,
            group_protocol="classic",
            session_timeout_ms=how.session_ms,
            heartbeat_interval_ms=how.heartbeat_ms,
            # librdkafka insists that it is not below the session's.
            max_poll_interval_ms=max(REBALANCE_MS, how.session_ms),
            partition_assignment_strategy=how.assignor,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        if how.instance_id is not None:
            config["group.instance.id"] = how.instance_id
        self._consumer = confluent_kafka.Consumer(config)
        self._consumer.subscribe(how.topics, on_assign=self._assigned, on_revoke=self._gone, on_lost=self._gone)

    def _assigned(self, _consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        is_incremental = self.how.assignor == "cooperative-sticky"
        self.inbox.assigned([(each.topic, each.partition) for each in partitions], also=is_incremental)

    def _gone(self, _consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        self.inbox.revoked([(each.topic, each.partition) for each in partitions])

    def poll(self, seconds: float) -> list[Record]:
        records = []
        for message in self._consumer.consume(500, timeout=seconds):
            error = message.error()
            if error is None:
                records.append(record_of(message))
            elif error.fatal() or failure_of(error).code in ENDINGS:
                raise failure_of(error)
        return records

    def commit(self) -> None:
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException as nothing:
            if nothing.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def seek_to(self, topic: str, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(topic, partition, offset))

    def close(self) -> None:
        self._consumer.close()


if __name__ == "__main__":
    serve(Confluent())
