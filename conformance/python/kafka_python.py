"""The agent of kafka-python, whose consumers belong to one thread, and whose admin client drops some errors."""

import inspect
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import kafka
from kafka import errors as their
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata

from agent import (
    EARLIEST,
    LATEST,
    REBALANCE_MS,
    REQUEST_BYTES_MAX,
    Client,
    Joining,
    Member,
    Record,
    ignoring_failure,
    serve,
)
from errors import Failure, Unsupported, failure_of_text, name_of

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}

CODES = {each.__name__: each.errno for _, each in inspect.getmembers(their, inspect.isclass) if hasattr(each, "errno")}

# A member does not come back from these.
ENDINGS = (
    their.FencedInstanceIdError,
    their.InconsistentGroupProtocolError,
    their.InvalidSessionTimeoutError,
    their.InvalidGroupIdError,
    their.GroupMaxSizeReachedError,
    their.GroupAuthorizationFailedError,
    their.TopicAuthorizationFailedError,
)

# Records under way before a bulk producer waits for the first of them.
UNDER_WAY_MAX = 10_000


def failure_of(error: Exception) -> Failure:
    if isinstance(error, their.BrokerResponseError) and error.errno is not None:
        return Failure(name_of(error.errno), str(error))
    if isinstance(error, their.KafkaTimeoutError):
        return Failure("REQUEST_TIMED_OUT", str(error))
    if isinstance(error, their.RetriableError):
        # Of those that are no broker's: no connection, or none any more.
        return Failure("NETWORK_EXCEPTION", repr(error))
    return Failure("CLIENT", repr(error))


def raise_class(error: type[their.BrokerResponseError]) -> None:
    if error is not their.NoError:
        raise error()


def record_of(record: Any) -> Record:
    return Record(
        topic=record.topic,
        partition=record.partition,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        timestamp_ms=record.timestamp,
        offset=record.offset,
    )


class KafkaPython(Client):
    name = "kafka-python"
    version = kafka.__version__

    def __init__(self) -> None:
        self._admin_client: KafkaAdminClient | None = None
        self._producers: dict[tuple[str, int, bool], KafkaProducer] = {}

    def config(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "bootstrap_timeout_ms": 15_000,
            "reconnect_backoff_ms": 100,
            "reconnect_backoff_max_ms": 1_000,
        }

    @property
    def _admin(self) -> KafkaAdminClient:
        if self._admin_client is None:
            self._admin_client = KafkaAdminClient(**self.config(), request_timeout_ms=15_000)
        return self._admin_client

    def close(self) -> None:
        for producer in self._producers.values():
            producer.close(timeout=0.5)
        if self._admin_client is not None:
            self._admin_client.close()

    def failure(self, error: Exception) -> Failure:
        return failure_of(error)

    def create_topic(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        self._admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})

    def partitions_of(self, topic: str) -> int:
        (described,) = self._admin.describe_topics([topic])
        raise_class(their.for_code(described["error_code"]))
        return len(described["partitions"])

    def create_partitions(self, topic: str, total: int) -> None:
        self._admin.create_partitions({topic: total})

    def alter_configs(self, topic: str, values: dict[str, str]) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, values)
        # Names are left to the broker to know.
        altered = self._admin.alter_configs([resource], raise_on_unknown=False)["topic"][topic]
        if altered != "OK":
            raise failure_of_text(altered)

    def describe_configs(self, topic: str, names: list[str]) -> dict[str, Any]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(names))
        configs = self._admin.describe_configs([resource], config_filter="all")["topic"][topic]
        if not configs:
            # The broker's error is dropped; this asks for it again.
            self.partitions_of(topic)
        return {
            name: {"value": config["value"], "isDefault": config["config_source"] != "DYNAMIC_TOPIC_CONFIG"}
            for name, config in configs.items()
        }

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        self._admin.delete_records({TopicPartition(topic, partition): before})

    def delete_topic(self, topic: str) -> None:
        self._admin.delete_topics([topic])

    def _producer(self, codec: str, acks: int, idempotent: bool) -> KafkaProducer:
        """One of each kind for as long as all goes well, as programs have."""
        kind = (codec, acks, idempotent)
        if kind not in self._producers:
            self._producers[kind] = KafkaProducer(
                **self.config(),
                acks=acks,
                enable_idempotence=idempotent,
                compression_type=None if codec == "none" else codec,
                max_request_size=REQUEST_BYTES_MAX,
                allow_auto_create_topics=False,
                max_block_ms=10_000,
                request_timeout_ms=15_000,
                delivery_timeout_ms=18_000,
            )
        return self._producers[kind]

    def produce(self, codec: str, acks: int, idempotent: bool, records: list[Record]) -> list[int]:
        if any(each.key is None and each.value is None for each in records):
            raise Unsupported("a record without key and value is refused by KafkaProducer.send")
        until = time.monotonic() + 18.5
        producer = self._producer(codec, acks, idempotent)
        # All are sent, whatever becomes of the first.
        sent = [self._sent(producer, record) for record in records]
        try:
            return [self._offset_of(each, until) for each in sent]
        except Exception:
            # Whatever is left of it is nothing for the next request.
            del self._producers[codec, acks, idempotent]
            ignoring_failure(lambda: producer.close(timeout=0.5))
            raise

    def _sent(self, producer: KafkaProducer, record: Record) -> Any:
        try:
            return self._send(producer, record)
        except their.KafkaError as refused:
            return refused
        except ValueError as refused:
            is_partition = "Unrecognized partition" in str(refused)
            return their.UnknownTopicOrPartitionError(str(refused)) if is_partition else refused

    @staticmethod
    def _offset_of(sent: Any, until: float) -> int:
        if isinstance(sent, Exception):
            raise sent
        return sent.get(timeout=max(0.1, until - time.monotonic())).offset

    def produce_many(self, codec: str, idempotent: bool, records: Iterator[Record], until: float) -> int:
        producer = self._producer(codec, -1, idempotent)
        acknowledged = 0
        under_way: deque[Any] = deque()

        def settle() -> None:
            nonlocal acknowledged
            try:
                self._offset_of(under_way.popleft(), until)
                acknowledged += 1
            except their.KafkaError:
                pass

        for record in records:
            under_way.append(self._sent(producer, record))
            if len(under_way) > UNDER_WAY_MAX:
                settle()
            if time.monotonic() > until:
                break
        while under_way:
            settle()
        return acknowledged

    @staticmethod
    def _send(producer: KafkaProducer, record: Record) -> Any:
        return producer.send(
            record.topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
            partition=record.partition,
            timestamp_ms=record.timestamp_ms,
        )

    def consume(self, topic: str, start: dict[int, int], until: float) -> Iterator[Record]:
        consumer = KafkaConsumer(
            **self.config(),
            auto_offset_reset="none",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
        )
        try:
            places = {TopicPartition(topic, partition): offset for partition, offset in start.items()}
            consumer.assign(list(places))
            for place, offset in places.items():
                if offset == EARLIEST:
                    consumer.seek_to_beginning(place)
                else:
                    consumer.seek(place, offset)
            while time.monotonic() < until:
                polled = consumer.poll(timeout_ms=max(0, min(100, int(1000 * (until - time.monotonic())))))
                for records in polled.values():
                    yield from map(record_of, records)
        finally:
            consumer.close(autocommit=False, timeout_ms=1_000)

    def offset(self, topic: str, partition: int, time_ms: int) -> int:
        place = TopicPartition(topic, partition)
        spec = {EARLIEST: OffsetSpec.EARLIEST, LATEST: OffsetSpec.LATEST}.get(time_ms, time_ms)
        return self._admin.list_partition_offsets({place: spec})[place].offset

    def join(self, how: Joining) -> Member:
        return KafkaPythonMember(self, how)

    def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str) -> None:
        place = TopicPartition(topic, partition)
        committed = self._admin.alter_group_offsets(group, {place: OffsetAndMetadata(offset, metadata, -1)})
        raise_class(committed[place])

    def committed(self, group: str, topic: str, partition: int) -> tuple[int, str]:
        place = TopicPartition(topic, partition)
        at = self._admin.list_group_offsets({group: [place]})[group].get(place)
        return (-1, "") if at is None or at.offset < 0 else (at.offset, at.metadata or "")

    def describe_group(self, group: str) -> tuple[str, int]:
        described = self._admin.describe_groups([group])[group]
        if described["error"] is not None:
            raise failure_of_text(described["error"])
        return described["group_state"], len(described["members"])

    def list_groups(self) -> list[str]:
        return [each["group_id"] for each in self._admin.list_groups()]

    def delete_group(self, group: str) -> None:
        deleted = self._admin.delete_groups([group])[group]
        if deleted != "OK":
            raise Failure(name_of(CODES.get(deleted, -1)), deleted)


class KafkaPythonMember(Member):
    # Of 3.0.12: a consumer whose poll times out again and again while it joins now and then hangs for good, within its
    # own event loop, whatever broker it is at. A poll is long enough for most joins.
    poll_seconds = 1.0

    def __init__(self, client: KafkaPython, how: Joining) -> None:
        super().__init__(how)
        self._client = client

    def open(self) -> None:
        how = self.how
        self._consumer = KafkaConsumer(
            **self._client.config(),
            group_id=how.group,
            group_instance_id=how.instance_id,
            session_timeout_ms=how.session_ms,
            heartbeat_interval_ms=how.heartbeat_ms,
            max_poll_interval_ms=REBALANCE_MS,
            partition_assignment_strategy=[ASSIGNORS[how.assignor]],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
        )
        self._consumer.subscribe(how.topics, listener=Listener(self))

    def poll(self, seconds: float) -> list[Record]:
        try:
            polled = self._consumer.poll(timeout_ms=int(seconds * 1000))
        except ENDINGS as ending:
            raise failure_of(ending) from ending
        return [record_of(record) for records in polled.values() for record in records]

    def commit(self) -> None:
        if self._consumer.assignment():
            self._consumer.commit(timeout_ms=5_000)

    def seek_to(self, topic: str, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(topic, partition), offset)

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=3_000)


class Listener(ConsumerRebalanceListener):
    """Tells the inbox. Called on kafka-python's own thread."""

    def __init__(self, member: KafkaPythonMember) -> None:
        self._inbox = member.inbox
        self._is_incremental = member.how.assignor == "cooperative-sticky"

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._inbox.assigned([(each.topic, each.partition) for each in assigned], also=self._is_incremental)

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._inbox.revoked([(each.topic, each.partition) for each in revoked])


if __name__ == "__main__":
    serve(KafkaPython())
