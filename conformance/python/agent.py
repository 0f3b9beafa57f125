"""What the agents of two Python libraries have in common: the protocol with the harness, and members of groups.

A library comes in as a Client. Requests are handled on a thread of their own, so that one that a library never ends is
left behind in time; each member of a group is a thread, too, and the only one that touches its consumer.
"""

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from errors import Failure, Unsupported

EARLIEST = -2
LATEST = -1

# The client's own limit of a record and of a request, high enough for the broker to decide.
REQUEST_BYTES_MAX = 8 * 1024 * 1024
VERB_SECONDS = 19.0
PRODUCE_MANY_SECONDS = 118.0
CLOSE_SECONDS = 4.0
# What members give each other to join again.
REBALANCE_MS = 10_000


@dataclass
class Record:
    """What is written and what is read. Bytes, since None (no key, a tombstone) is not the empty text."""

    topic: str
    partition: int
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp_ms: int | None = None
    offset: int = -1


@dataclass
class Joining:
    group: str
    topics: list[str]
    session_ms: int
    instance_id: str | None
    assignor: str
    commit: bool

    @property
    def heartbeat_ms(self) -> int:
        """Short, since members learn of a rebalance by a heartbeat only."""
        return min(self.session_ms // 3, 500)


class Inbox:
    """What the harness can ask of a member, written by the member's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._partitions: set[tuple[str, int]] = set()
        self._rebalances = 0
        self._received: list[Record] = []
        self._failure: Failure | None = None

    def assigned(self, partitions: list[tuple[str, int]], also: bool) -> None:
        """Counts a rebalance, with partitions beside those that the member has (`also`), or instead of them."""
        with self._lock:
            self._rebalances += 1
            self._partitions = (self._partitions if also else set()) | set(partitions)

    def revoked(self, partitions: list[tuple[str, int]]) -> None:
        with self._lock:
            self._partitions -= set(partitions)

    def has(self, topic: str, partition: int) -> bool:
        with self._lock:
            return (topic, partition) in self._partitions

    def received(self, records: list[Record]) -> None:
        with self._lock:
            self._received += records

    def failed(self, failure: Failure) -> None:
        with self._lock:
            self._failure = failure

    def assignment(self) -> dict[str, Any]:
        with self._lock:
            self._raise_failure()
            names = sorted(f"{topic}-{partition}" for topic, partition in self._partitions)
            return {"partitions": names, "rebalances": self._rebalances}

    def take_received(self) -> dict[str, Any]:
        with self._lock:
            self._raise_failure()
            taken, self._received = self._received, []
        return {
            "records": [
                {"topic": each.topic, "partition": each.partition, "offset": each.offset, "value": text(each.value)}
                for each in taken
            ]
        }

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class Member:
    """A member of a group: a thread that polls, commits, and does what it is asked between two polls."""

    # Short, for what is asked meanwhile.
    poll_seconds = 0.2

    def __init__(self, how: Joining) -> None:
        self.how = how
        self.inbox = Inbox()
        self.has_left = False
        self._asked: queue.Queue[Callable[[], None]] = queue.Queue()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    # What a library has to do, on the member's thread only.

    def open(self) -> None:
        """Subscribes; may fail while the broker is away."""
        raise NotImplementedError

    def poll(self, seconds: float) -> list[Record]:
        """Raises Failure for what a member does not come back from; anything else is tried again."""
        raise NotImplementedError

    def commit(self) -> None:
        """Commits what was polled."""
        raise NotImplementedError

    def seek_to(self, topic: str, partition: int, offset: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    # What the harness asks, on another thread.

    def seek(self, topic: str, partition: int, offset: int) -> None:
        if not self.inbox.has(topic, partition):
            raise Failure("CLIENT", f"{topic}-{partition} is not assigned to this member")
        self._ask(lambda: self.seek_to(topic, partition, offset))

    def leave(self, seconds: float) -> None:
        self.has_left = True
        self._leaving.set()
        self._thread.join(seconds)

    def _ask(self, do: Callable[[], None]) -> None:
        done: queue.Queue[Exception | None] = queue.Queue()

        def asked() -> None:
            try:
                do()
                done.put(None)
            except Exception as error:
                done.put(error)

        self._asked.put(asked)
        error = done.get(timeout=VERB_SECONDS)
        if error is not None:
            raise error

    def _run(self) -> None:
        while not self._leaving.is_set():
            try:
                self.open()
                break
            except Failure as failure:
                return self.inbox.failed(failure)
            except Exception:
                complain()
                self._leaving.wait(0.25)
        else:
            return
        try:
            while not self._leaving.is_set():
                self._turn()
            ignoring_failure(self.commit)
        except Failure as failure:
            self.inbox.failed(failure)
        finally:
            ignoring_failure(self.close)

    def _turn(self) -> None:
        while not self._asked.empty():
            self._asked.get()()
        try:
            records = self.poll(self.poll_seconds)
        except Failure:
            raise
        except Exception:
            complain()
            time.sleep(0.1)
            return
        if not records:
            return
        self.inbox.received(records)
        if self.how.commit:
            # What fails, the next commit covers.
            ignoring_failure(self.commit)


class Client:
    """One library. Its methods return when the broker has answered."""

    name = ""
    version = ""
    # Those errors of the library that are Kafka's, told by Kafka's names.
    bootstrap = ""

    def failure(self, error: Exception) -> Failure:
        raise NotImplementedError

    def create_topic(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        raise NotImplementedError

    def partitions_of(self, topic: str) -> int:
        raise NotImplementedError

    def create_partitions(self, topic: str, total: int) -> None:
        raise NotImplementedError

    def alter_configs(self, topic: str, values: dict[str, str]) -> None:
        raise NotImplementedError

    def describe_configs(self, topic: str, names: list[str]) -> dict[str, Any]:
        raise NotImplementedError

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        raise NotImplementedError

    def delete_topic(self, topic: str) -> None:
        raise NotImplementedError

    def produce(self, codec: str, acks: int, idempotent: bool, records: list[Record]) -> list[int]:
        """Gives offsets in the order of the records, or raises the error of the first that was not taken."""
        raise NotImplementedError

    def produce_many(self, codec: str, idempotent: bool, records: Iterator[Record], until: float) -> int:
        """How many were acknowledged until that time."""
        raise NotImplementedError

    def consume(self, topic: str, start: dict[int, int], until: float) -> Iterator[Record]:
        """Records of partitions, each from an offset or EARLIEST, until that time."""
        raise NotImplementedError

    def offset(self, topic: str, partition: int, time_ms: int) -> int:
        """Of the first record with that time or later; EARLIEST and LATEST are such times. None: -1."""
        raise NotImplementedError

    def join(self, how: Joining) -> Member:
        raise NotImplementedError

    def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str) -> None:
        raise NotImplementedError

    def committed(self, group: str, topic: str, partition: int) -> tuple[int, str]:
        raise NotImplementedError

    def describe_group(self, group: str) -> tuple[str, int]:
        raise NotImplementedError

    def list_groups(self) -> list[str]:
        raise NotImplementedError

    def delete_group(self, group: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Ends everything but members."""


def complain() -> None:
    traceback.print_exc(limit=4, file=sys.stderr)


def ignoring_failure(do: Callable[[], None]) -> None:
    try:
        do()
    except Exception:
        complain()


def text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def opaque(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


class Session:
    """One conversation with the harness. Its methods are the verbs, and their parameters the fields of requests."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._members: dict[str, Member] = {}

    def hello(self, bootstrap: str) -> dict[str, Any]:
        self._client.bootstrap = bootstrap
        return {"client": self._client.name, "version": self._client.version}

    def createTopic(self, topic: str, partitions: int, configs: dict[str, str]) -> dict[str, Any]:
        self._client.create_topic(topic, partitions, configs)
        return self._await(lambda: self._client.partitions_of(topic) == partitions)

    def describeTopic(self, topic: str) -> dict[str, Any]:
        return {"partitions": self._client.partitions_of(topic)}

    def createPartitions(self, topic: str, total: int) -> dict[str, Any]:
        self._client.create_partitions(topic, total)
        return self._await(lambda: self._client.partitions_of(topic) == total)

    def alterConfigs(self, topic: str, set: dict[str, str]) -> dict[str, Any]:
        self._client.alter_configs(topic, set)
        return self._await(
            lambda: {
                name: config["value"] for name, config in self._client.describe_configs(topic, list(set)).items()
            }
            == set
        )

    def describeConfigs(self, topic: str, names: list[str]) -> dict[str, Any]:
        return {"configs": self._client.describe_configs(topic, names)}

    def deleteRecords(self, topic: str, partition: int, before: int) -> dict[str, Any]:
        self._client.delete_records(topic, partition, before)
        return {}

    def deleteTopic(self, topic: str) -> dict[str, Any]:
        self._client.delete_topic(topic)

        def is_gone() -> bool:
            try:
                self._client.partitions_of(topic)
                return False
            except Exception as error:
                return self.failure(error).code == "UNKNOWN_TOPIC_OR_PARTITION"

        return self._await(is_gone)

    def produce(
        self, topic: str, codec: str, acks: int, idempotent: bool, records: list[dict[str, Any]]
    ) -> dict[str, Any]:
        asked = [
            Record(
                topic=topic,
                partition=each["partition"],
                key=opaque(each.get("key")),
                value=opaque(each.get("value")) if each.get("valueBytes") is None else b"x" * each["valueBytes"],
                headers=[(name, value.encode()) for name, value in each.get("headers") or []],
                timestamp_ms=each.get("timestamp"),
            )
            for each in records
        ]
        offsets = self._client.produce(codec, acks, idempotent, asked)
        return {"offsets": [-1] * len(asked) if acks == 0 else offsets}

    def produceMany(
        self, topic: str, partitions: int, count: int, valueBytes: int, codec: str, idempotent: bool
    ) -> dict[str, Any]:
        records = (
            Record(topic, i % partitions, value=(b"%d:" % i).ljust(valueBytes, b"x")) for i in range(count)
        )
        until = time.monotonic() + PRODUCE_MANY_SECONDS
        return {"acknowledged": self._client.produce_many(codec, idempotent, records, until)}

    def consume(self, topic: str, partition: int, **ask: Any) -> dict[str, Any]:
        start, count, timeout_ms = ask["from"], ask["count"], ask["timeoutMs"]
        records: list[dict[str, Any]] = []
        until = time.monotonic() + timeout_ms / 1000
        for record in self._client.consume(topic, {partition: start}, until) if count > 0 else ():
            records.append(
                {
                    "offset": record.offset,
                    "key": text(record.key),
                    "value": text(record.value),
                    "headers": [[name, text(value)] for name, value in record.headers],
                    "timestamp": record.timestamp_ms,
                }
            )
            if len(records) == count:
                break
        return {"records": records}

    def countAll(self, topic: str, partitions: int, expected: int, timeoutMs: int) -> dict[str, Any]:
        received = 0
        seen: set[bytes] = set()
        until = time.monotonic() + timeoutMs / 1000
        for record in self._client.consume(topic, dict.fromkeys(range(partitions), EARLIEST), until):
            received += 1
            seen.add((record.value or b"").partition(b":")[0])
            if len(seen) == expected:
                break
        return {"received": received, "distinct": len(seen)}

    def offsets(self, topic: str, partition: int, at: str | int) -> dict[str, Any]:
        time_ms = at if isinstance(at, int) else {"earliest": EARLIEST, "latest": LATEST}[at]
        return {"offset": self._client.offset(topic, partition, time_ms)}

    def join(
        self,
        group: str,
        topics: list[str],
        sessionTimeoutMs: int,
        assignor: str,
        commit: bool,
        instanceId: str | None = None,
    ) -> dict[str, Any]:
        member = self._client.join(Joining(group, topics, sessionTimeoutMs, instanceId, assignor, commit))
        name = f"member-{len(self._members) + 1}"
        self._members[name] = member
        member.start()
        return {"member": name}

    def assignment(self, member: str) -> dict[str, Any]:
        return self._member(member).inbox.assignment()

    def received(self, member: str) -> dict[str, Any]:
        return self._member(member).inbox.take_received()

    def seek(self, member: str, topic: str, partition: int, offset: int) -> dict[str, Any]:
        self._member(member).seek(topic, partition, offset)
        return {}

    def leave(self, member: str) -> dict[str, Any]:
        self._member(member).leave(VERB_SECONDS)
        return {}

    def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str) -> dict[str, Any]:
        self._patiently(lambda: self._client.commit(group, topic, partition, offset, metadata))
        return {}

    def committed(self, group: str, topic: str, partition: int) -> dict[str, Any]:
        offset, metadata = self._patiently(lambda: self._client.committed(group, topic, partition))
        return {"offset": offset, "metadata": metadata}

    def describeGroup(self, group: str) -> dict[str, Any]:
        state, members = self._patiently(lambda: self._client.describe_group(group))
        return {"state": state, "members": members}

    def listGroups(self) -> dict[str, Any]:
        return {"groups": self._patiently(self._client.list_groups)}

    def deleteGroup(self, group: str) -> dict[str, Any]:
        self._patiently(lambda: self._client.delete_group(group))
        return {}

    # Not verbs.

    def failure(self, error: Exception) -> Failure:
        if isinstance(error, Failure):
            return error
        if isinstance(error, (KeyError, TypeError, ValueError)):
            return Failure("CLIENT", repr(error))
        return self._client.failure(error)

    def close(self) -> None:
        members = [each for each in self._members.values() if not each.has_left]
        leaving = [threading.Thread(target=each.leave, args=[CLOSE_SECONDS], daemon=True) for each in members]
        for each in leaving:
            each.start()
        until = time.monotonic() + CLOSE_SECONDS
        for each in leaving:
            each.join(max(0, until - time.monotonic()))
        ignoring_failure(self._client.close)

    def _member(self, name: str) -> Member:
        if name not in self._members:
            raise Failure("CLIENT", f"no member {name}")
        return self._members[name]

    def _await(self, is_seen: Callable[[], bool]) -> dict[str, Any]:
        """Asks until a change is to be seen: Apache Kafka answers before every part of it knows. What is never seen is
        not this verb's error: the next one will show it."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                if is_seen():
                    break
            except Exception as error:
                if self.failure(error).code not in NOT_SEEN_YET:
                    raise
            time.sleep(0.02)
        return {}

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Asks a coordinator that may not be there yet."""
        until = time.monotonic() + 15
        while True:
            try:
                return ask()
            except Exception as error:
                if self.failure(error).code not in PASSING or time.monotonic() > until:
                    raise
            time.sleep(0.1)


# A coordinator that is not there yet, or not any more.
PASSING = {"COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR", "NETWORK_EXCEPTION"}
# A topic that was just made.
NOT_SEEN_YET = {"UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE", "NOT_LEADER_OR_FOLLOWER"}

NO_VERBS = {"failure", "close"}


def limit_of(request: dict[str, Any]) -> float:
    if request["do"] == "produceMany":
        return PRODUCE_MANY_SECONDS + 1
    return request["timeoutMs"] / 1000 + 4 if "timeoutMs" in request else VERB_SECONDS + 0.9


def answer(session: Session, line: str) -> dict[str, Any]:
    number = None
    try:
        request = json.loads(line)
        number = request["id"]
        given = {name: value for name, value in request.items() if name not in ("id", "do")}
        name = request["do"]
        verb = None if name.startswith("_") or name in NO_VERBS else getattr(session, name, None)
        if verb is None:
            raise ValueError(f"unknown verb {name}")
        limit = limit_of(request)
    except Exception as error:
        return {"id": number, "error": {"code": "CLIENT", "message": repr(error)}}

    outcome: queue.Queue[dict[str, Any]] = queue.Queue()

    def handle() -> None:
        try:
            outcome.put({"ok": verb(**given)})
        except Unsupported as unsupported:
            outcome.put({"unsupported": str(unsupported)})
        except Exception as error:
            failure = session.failure(error)
            outcome.put({"error": {"code": failure.code, "message": str(failure)}})

    threading.Thread(target=handle, daemon=True).start()
    try:
        return {"id": number, **outcome.get(timeout=limit)}
    except queue.Empty:
        message = f"the library has not come back within {limit} s"
        return {"id": number, "error": {"code": "REQUEST_TIMED_OUT", "message": message}}


def serve(client: Client) -> None:
    """Answers one request after the other until standard input ends; then members leave, in time."""
    session = Session(client)
    # Libraries may print: their words go where they are no answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        answers.write(json.dumps(answer(session, line), ensure_ascii=False) + "\n")
        answers.flush()
    closing = threading.Thread(target=session.close, daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS + 0.5)
    # Threads that a library has left running do not hold the process.
    os._exit(0)
