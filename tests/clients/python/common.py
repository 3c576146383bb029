"""What the Python runners share: the scenario's ops, told in terms of a few things a client does.

A runner subclasses Client with its own library's calls and ends with main(ItsClass). The ops
here are the reference for the runners in other languages; README.md describes them.
"""
import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple, Optional

WAIT_S = 30


class Skip(Exception):
    """This client cannot do this step; the text says why."""


class Record(NamedTuple):
    key: Optional[bytes]
    value: Optional[bytes]
    headers: list = []
    timestamp_ms: Optional[int] = None
    partition: int = 0
    offset: int = -1


class KafkaError(Exception):
    """The server's error code as the client's library handed it out."""

    def __init__(self, code, text=""):
        super().__init__(f"error {code} {text}")
        self.code = code


class Fenced(Exception):
    """A newer producer has the transactional id, as the client's library says it."""


def check(fact, text):
    if not fact:
        raise AssertionError(text)


def wait_for(condition, what, wait_s=WAIT_S):
    """Calls condition until it holds; condition itself waits a little (a poll)."""
    deadline = time.monotonic() + wait_s
    while not condition():
        check(time.monotonic() < deadline, f"waited {wait_s} s for {what}")


def fill(text, size_bytes):
    return (text * (size_bytes // len(text) + 1))[:size_bytes].encode()


class Client:
    """Primitives a runner overrides; a primitive left out skips the steps that need it."""

    name = "?"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    one_thread = False  # polls never block, and must all come from one thread

    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix

    def topic(self, name):
        return f"{self.prefix}.{name}"

    def __getattr__(self, name):
        def missing(*_, **__):
            raise Skip(f"{self.name} has no {name.replace('_', ' ')}")
        return missing

    # The ops: each takes the step and either returns, raises Skip, or fails.

    def op_create_topics(self, step):
        for wanted in step["topics"]:
            self.create_topic(self.topic(wanted["topic"]), wanted["partitions"], wanted["config"])

    def op_list_topics(self, step):
        def listed():
            names = self.list_topics()
            return all(self.topic(name) in names for name in step["contains"])
        wait_for(listed, "the topics to be listed")

    def op_describe_topic(self, step):
        partitions = self.count_partitions(self.topic(step["topic"]))
        check(partitions == step["partitions"], f"{partitions} partitions")

    def op_describe_config(self, step):
        value = self.get_config(self.topic(step["topic"]), step["key"])
        check(value == step["value"], f"{step['key']} is {value}")

    def op_alter_config(self, step):
        self.set_config(self.topic(step["topic"]), step["key"], step["value"])
        wait_for(lambda: self.get_config(self.topic(step["topic"]), step["key"]) == step["value"],
                 "the setting to change")

    def records_of(self, step):
        headers = [(key, value.encode()) for key, value in step.get("headers", [])]
        for index in range(step["count"]):
            text = f"{step['step']}-{index} "
            size = step["value_bytes"]
            yield Record(
                text.strip().encode() if step.get("keyed", True) else None,
                None if size is None else fill(text, size), headers,
                partition=step["partition"])

    def op_round_trip(self, step):
        for codec in (step["codec"], step.get("stored_codec", "none")):
            if codec not in self.codecs:
                raise Skip(f"{self.name} has no {codec}")
        topic, partition = self.topic(step["topic"]), step["partition"]
        start = 0 if step.get("fresh") else self.offsets(topic, partition)[1]
        sent = list(self.records_of(step))
        self.produce(topic, sent, codec=step["codec"], acks=step.get("acks", -1),
                     idempotent=step.get("idempotent", False))
        got = self.read(topic, partition, start, len(sent))
        check(len(got) == len(sent), f"sent {len(sent)}, read {len(got)}")
        for index, (one, other) in enumerate(zip(sent, got)):
            check(other.offset == start + index, f"offset {other.offset}, not {start + index}")
            check(other.key == one.key, f"key {other.key} at {index}")
            check(other.value == one.value, f"the value differs at {index}")
            check(list(other.headers) == one.headers, f"headers {other.headers}")

    def op_produce_error(self, step):
        record = Record(b"key", fill("too large ", step["value_bytes"]),
                        partition=step["partition"])
        try:
            self.produce(self.topic(step["topic"]), [record], codec="none", acks=-1,
                         idempotent=False)
        except KafkaError as error:
            check(error.code == step["error"], f"{error}")
            return
        check(False, f"taken, but {step['error_name']} was due")

    def op_seek_time(self, step):
        topic = self.topic(step["topic"])
        records = [Record(f"{index}".encode(), b"at", [],
                          step["start_ms"] + index * step["every_ms"])
                   for index in range(step["count"])]
        self.produce(topic, records, codec="none", acks=-1, idempotent=False)
        offset = self.offset_at(topic, 0, step["at_ms"])
        check(offset == step["offset"], f"offset {offset}")
        first = self.read(topic, 0, offset, 1)[0]
        check(first.timestamp_ms == records[offset].timestamp_ms, f"time {first.timestamp_ms}")
        after = self.offset_at(topic, 0, step["after_ms"])
        check(after in (None, -1, step["count"]), f"offset {after} for a time to come")

    def op_watermarks(self, step):
        got = tuple(self.offsets(self.topic(step["topic"]), step["partition"]))
        check(got == (step["earliest"], step["latest"]), f"{got}")

    def op_commit_resume(self, step):
        topic, group = self.topic(step["topic"]), self.topic(step["group"])
        first, second = [], []
        with self.member(group, topic) as member:
            wait_for(lambda: self.take(member, first, step["take"]), "the first records")
            member.commit(topic, 0, step["take"])
        with self.member(group, topic) as member:
            rest = step["total"] - step["take"]
            wait_for(lambda: self.take(member, second, rest), "the rest")
            member.commit(topic, 0, step["total"])
        offsets = [record.offset for record in first[:step["take"]] + second]
        check(offsets == list(range(step["total"])), f"resumed at {second[0].offset}")

    @staticmethod
    def take(member, into, count):
        into.extend(member.poll())
        return len(into) >= count

    def op_rebalance(self, step):
        topic, group = self.topic(step["topic"]), self.topic(step["group"])
        half, seen = step["partitions"] // 2, set()
        threads, polls = ThreadPoolExecutor(2), {}

        def both(*members):
            """One poll each; joining blocks in some clients, and must not keep the other waiting."""
            if self.one_thread:
                for member in members:
                    seen.update((one.partition, one.offset) for one in member.poll())
                return
            for member in members:
                polls[member] = polls.get(member) or threads.submit(member.poll)
            wait([polls[member] for member in members], timeout=0.2)
            for member in [member for member in members if polls[member].done()]:
                seen.update((one.partition, one.offset) for one in polls.pop(member).result())

        def owned(*counts):
            both(*members)
            return [len(member.assignment()) for member in members] == list(counts)

        def produced(round_number):
            each = step["records"] // step["partitions"]
            for partition in range(step["partitions"]):
                self.produce(topic, [Record(b"k", b"v", partition=partition)] * each,
                             codec="none", acks=-1, idempotent=False)
            due = step["records"] * round_number
            wait_for(lambda: both(*members) or len(seen) >= due, f"{due} records")

        with self.member(group, topic) as stays:
            members = [stays]
            wait_for(lambda: owned(step["partitions"]), "one member to own all")
            with self.member(group, topic) as leaves:
                members = [stays, leaves]
                wait_for(lambda: owned(half, half), "two members to share")
                check(not set(stays.assignment()) & set(leaves.assignment()), "both own one")
                produced(1)
                wait_for(lambda: both(leaves) or leaves not in polls, "its last poll to end")
            members = [stays]
            wait_for(lambda: owned(step["partitions"]), "the member that stays to own all")
            produced(2)
        check(len(seen) == 2 * step["records"], f"{len(seen)} records")

    # Transactions. transactions(id) gives a producer, used in a with statement, that can begin(),
    # send(topic, keys), send_offsets(member, group, topic, offset), commit() and abort(), and
    # raises Fenced.

    def check_seen(self, topic, committed, keys):
        """A reader of that isolation level sees these keys, in this order."""
        got = [record.key.decode() for record in
               self.read_isolated(topic, len(keys), committed)]
        level = "read_committed" if committed else "read_uncommitted"
        check(got == keys, f"{level} sees {got}, not {keys}")

    def op_transaction(self, step):
        topic, seen = self.topic(step["topic"]), {True: [], False: []}
        with self.transactions(self.topic(step["step"])) as producer:
            for number, wanted in enumerate(step["transactions"]):
                keys = [f"{number}-{index}" for index in range(wanted["count"])]
                producer.begin()
                producer.send(topic, keys)
                seen[False] += keys
                if wanted is step["transactions"][-1]:
                    self.check_seen(topic, False, seen[False])
                if wanted["commit"]:
                    producer.commit()
                    seen[True] += keys
                else:
                    producer.abort()
        for committed, keys in seen.items():
            self.check_seen(topic, committed, keys)

    def op_transaction_fence(self, step):
        topic, name = self.topic(step["topic"]), self.topic(step["step"])
        old, new = ([f"{who}-{index}" for index in range(step["count"])]
                    for who in ("old", "new"))
        with self.transactions(name) as first:
            first.begin()
            first.send(topic, old)
            with self.transactions(name) as second:
                try:
                    first.commit()
                    check(False, "the fenced producer could commit")
                except Fenced as error:
                    print("fenced:", error, file=sys.stderr)
                second.begin()
                second.send(topic, new)
                second.commit()
        self.check_seen(topic, False, old + new)
        self.check_seen(topic, True, new)

    def transform(self, step, start, count, commit):
        """One consume-transform-produce: the group's next records go out, and its offset."""
        topic, group = self.topic(step["topic"]), self.topic(step["group"])
        got = []
        with self.member(group, topic) as member, \
                self.transactions(self.topic(step["step"])) as producer:
            wait_for(lambda: self.take(member, got, count), "the records to transform")
            check(got[0].offset == start, f"resumed at {got[0].offset}, not {start}")
            producer.begin()
            producer.send(self.topic(step["into"]), [one.key.decode() for one in got[:count]])
            producer.send_offsets(member, group, topic, start + count)
            if commit:
                producer.commit()
            else:
                producer.abort()

    def op_transaction_offsets(self, step):
        topic, group, position = self.topic(step["topic"]), self.topic(step["group"]), 0
        keys = [f"in-{index}" for index in range(step["total"])]
        self.produce(topic, [Record(key.encode(), b"v") for key in keys], codec="none", acks=-1,
                     idempotent=False)
        seen = {True: [], False: []}
        for wanted in step["transactions"]:
            end = position + wanted["count"]
            self.transform(step, position, wanted["count"], wanted["commit"])
            seen[False] += keys[position:end]
            if wanted["commit"]:
                seen[True] += keys[position:end]
                position = end
                wait_for(lambda: self.group_offset(group, topic, 0) == end,
                         f"the group's offset to be {end}")
        for committed, due in seen.items():
            self.check_seen(self.topic(step["into"]), committed, due)

    def op_list_groups(self, step):
        groups = self.list_groups()
        missing = [name for name in step["contains"] if self.topic(name) not in groups]
        check(not missing, f"not listed: {missing}")

    def op_describe_group(self, step):
        wait_for(lambda: self.group_state(self.topic(step["group"])) == step["state"],
                 f"the group to be {step['state']}")

    def op_group_offsets(self, step):
        offset = self.group_offset(self.topic(step["group"]), self.topic(step["topic"]),
                                   step["partition"])
        check(offset == step["offset"], f"offset {offset}")

    def op_delete_group(self, step):
        group = self.topic(step["group"])
        self.delete_group(group)
        check(group not in self.list_groups(), "still listed")

    def op_create_partitions(self, step):
        topic = self.topic(step["topic"])
        self.add_partitions(topic, step["partitions"])
        wait_for(lambda: self.count_partitions(topic) == step["partitions"], "more partitions")

    def op_delete_records(self, step):
        topic, partition = self.topic(step["topic"]), step["partition"]
        self.delete_records(topic, partition, step["before"])
        earliest = self.offsets(topic, partition)[0]
        check(earliest == step["before"], f"earliest is {earliest}")

    def due_error(self, step, call, *arguments):
        try:
            call(*arguments)
        except KafkaError as error:
            check(error.code == step["error"], f"{error}, but {step['error_name']} was due")
            return
        check(False, f"taken, but {step['error_name']} was due")

    def op_create_error(self, step):
        self.due_error(step, self.create_topic, self.topic(step["topic"]), step["partitions"],
                       step["config"])

    def op_delete_error(self, step):
        self.due_error(step, self.delete_topic, self.topic(step["topic"]))

    def op_delete_topic(self, step):
        topic = self.topic(step["topic"])
        self.delete_topic(topic)
        wait_for(lambda: topic not in self.list_topics(), "the topic to go")


def report(word, client, step, why=""):
    why = " ".join(str(why).split())[:300]
    print(f"{word} {client} {step}" + (f": {why}" if why else ""), flush=True)


def main(client_class):
    """RUNNER SCENARIO BOOTSTRAP PREFIX [STEP ...]: runs the scenario, one line a step."""
    scenario, bootstrap, prefix, *only = sys.argv[1:]
    with open(scenario, encoding="utf-8") as file:
        steps = json.load(file)["steps"]
    client = client_class(bootstrap, prefix)
    for step in steps:
        if only and step["step"] not in only:
            continue
        began = time.monotonic()
        try:
            getattr(client, "op_" + step["op"])(step)
            print(f"{step['step']} {time.monotonic() - began:.2f} s", file=sys.stderr)
            report("ok", client.name, step["step"])
        except Skip as why:
            report("skip", client.name, step["step"], why)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            report("not ok", client.name, step["step"], f"{type(error).__name__}: {error}")
    if "close" in dir(client):
        client.close()
