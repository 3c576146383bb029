#!/usr/bin/python3
"""The scenario through kafka-python: Debian's 2.0.2, or a newer one from a virtual environment."""
import os

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError as LibraryError

from common import WAIT_S, Client, Fenced, KafkaError, Record, Skip, check, main

ANY_RELEASE = {}


def as_record(message):
    return Record(message.key, message.value, list(message.headers), message.timestamp,
                  message.partition, message.offset)


def flat(polled):
    return [as_record(message) for messages in polled.values() for message in messages]


def offset_of(offset):
    """Newer releases have a leader epoch as well."""
    fields = len(kafka.OffsetAndMetadata._fields)
    return kafka.OffsetAndMetadata(*((offset, "") if fields == 2 else (offset, "", -1)))


class Member:
    def __init__(self, bootstrap, group, topic):
        self.consumer = KafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=200)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()

    def poll(self):
        return flat(self.consumer.poll(timeout_ms=100))

    def assignment(self):
        return {one.partition for one in self.consumer.assignment()}

    def commit(self, topic, partition, offset):
        self.consumer.commit({TopicPartition(topic, partition): offset_of(offset)})


class Transactional:
    def __init__(self, bootstrap, name):
        if "transactional_id" not in KafkaProducer.DEFAULT_CONFIG:
            raise Skip(f"kafka-python {kafka.__version__} has no transactions")
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
        self.call(self.producer.init_transactions)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.producer.close(timeout=WAIT_S)

    @staticmethod
    def call(function, *arguments, **named):
        try:
            return function(*arguments, **named)
        except LibraryError as error:
            # The second is the fence's name in EndTxn of version 1, which this library speaks.
            if type(error).__name__ in ("ProducerFencedError", "InvalidProducerEpochError"):
                raise Fenced(repr(error)) from error
            raise KafkaError(getattr(error, "errno", None), repr(error)) from error

    def begin(self):
        self.call(self.producer.begin_transaction)

    def send(self, topic, keys):
        for future in [self.call(self.producer.send, topic, b"v", key.encode(), partition=0)
                       for key in keys]:
            self.call(future.get, timeout=WAIT_S)

    def send_offsets(self, _, group, topic, offset):
        self.call(self.producer.send_offsets_to_transaction,
                  {TopicPartition(topic, 0): offset_of(offset)}, group)

    def commit(self):
        self.call(self.producer.commit_transaction)

    def abort(self):
        self.call(self.producer.abort_transaction)


class KafkaPython(Client):
    name = os.environ.get("CLIENT_NAME", "kafka-python")

    def __init__(self, bootstrap, prefix):
        super().__init__(bootstrap, prefix)
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self.reader = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False,
                                    max_partition_fetch_bytes=4_000_000)

    @staticmethod
    def call(function, *arguments, **named):
        try:
            return function(*arguments, **named)
        except LibraryError as error:
            raise KafkaError(getattr(error, "errno", None), repr(error)) from error

    def create_topic(self, topic, partitions, config):
        wanted = NewTopic(topic, partitions, 1, topic_configs=config)
        self.call(self.admin.create_topics, [wanted], timeout_ms=WAIT_S * 1000)

    def delete_topic(self, topic):
        self.call(self.admin.delete_topics, [topic], timeout_ms=WAIT_S * 1000)

    def list_topics(self):
        return set(self.admin.list_topics())

    def count_partitions(self, topic):
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def get_config(self, topic, key):
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        answer = self.admin.describe_configs(asked)
        if isinstance(answer, dict):
            return str(list(list(answer.values())[0].values())[0][key]["value"])
        entries = answer[0].resources[0][4]
        return {entry[0]: entry[1] for entry in entries}[key]

    def set_config(self, topic, key, value):
        self.call(self.admin.alter_configs,
                  [ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: value})])

    def add_partitions(self, topic, partitions):
        self.call(self.admin.create_partitions, {topic: NewPartitions(partitions)})

    def produce(self, topic, records, codec, acks, idempotent):
        named = {}
        if idempotent:
            if "enable_idempotence" not in KafkaProducer.DEFAULT_CONFIG:
                raise Skip(f"kafka-python {kafka.__version__} has no idempotent producer")
            named["enable_idempotence"] = True
        elif "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG:
            named["enable_idempotence"] = False
        if acks == 0 and not kafka.__version__.startswith("2.0."):
            raise Skip(f"kafka-python {kafka.__version__} loses it, on Apache Kafka as well")
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, acks={-1: "all"}.get(acks, acks),
            compression_type=None if codec == "none" else codec, linger_ms=5,
            max_request_size=10_000_000, **named)
        try:
            sent = [self.call(producer.send, topic, record.value, record.key,
                              headers=record.headers, partition=record.partition,
                              timestamp_ms=record.timestamp_ms) for record in records]
            producer.flush(timeout=WAIT_S)
            for future in sent:
                self.call(future.get, timeout=WAIT_S)
        finally:
            producer.close(timeout=WAIT_S)

    def op_round_trip(self, step):
        if step.get("stored_codec") == "zstd" and kafka.__version__.startswith("2.0."):
            raise Skip(f"kafka-python {kafka.__version__} fetches by a version from before zstd")
        super().op_round_trip(step)

    def offsets(self, topic, partition):
        one = TopicPartition(topic, partition)
        return (self.reader.beginning_offsets([one])[one], self.reader.end_offsets([one])[one])

    def offset_at(self, topic, partition, time_ms):
        one = TopicPartition(topic, partition)
        found = self.reader.offsets_for_times({one: time_ms})[one]
        return found.offset if found else None

    def read(self, topic, partition, start, count, reader=None):
        one, reader = TopicPartition(topic, partition), reader or self.reader
        reader.assign([one])
        reader.seek(one, start)
        records = []
        while len(records) < count:
            more = flat(reader.poll(timeout_ms=WAIT_S * 1000, max_records=count))
            if not more:
                break
            records += more
        return records[:count]

    def read_isolated(self, topic, count, committed):
        reader = KafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted")
        try:
            return self.read(topic, 0, 0, count, reader)
        finally:
            reader.close()

    def transactions(self, name):
        return Transactional(self.bootstrap, name)

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)

    def list_groups(self):
        groups = self.admin.list_consumer_groups() if hasattr(
            self.admin, "list_consumer_groups") else self.admin.list_groups()
        return {group[0] if isinstance(group, tuple) else group["group_id"] for group in groups}

    def group_state(self, group):
        describe = getattr(self.admin, "describe_consumer_groups", None) or \
            self.admin.describe_groups
        answer = describe([group])
        one = answer[group] if isinstance(answer, dict) else answer[0]
        return one["group_state"] if isinstance(one, dict) else one.state

    def group_offset(self, group, topic, partition):
        listed = getattr(self.admin, "list_consumer_group_offsets", None) or \
            self.admin.list_group_offsets
        answer = listed(group)
        check(isinstance(answer, dict), f"{answer}")
        found = answer.get(TopicPartition(topic, partition))
        return found.offset if found else -1

    def delete_group(self, group):
        answer = self.call(self.admin.delete_consumer_groups, [group]) if hasattr(
            self.admin, "delete_consumer_groups") else self.call(self.admin.delete_groups, [group])
        if isinstance(answer, list):
            code = getattr(answer[0][1], "errno", 0)
            check(code == 0, f"error {code}")

    def delete_records(self, topic, partition, before):
        if not hasattr(self.admin, "delete_records"):
            raise Skip(f"kafka-python {kafka.__version__} has no delete records")
        self.call(self.admin.delete_records, {TopicPartition(topic, partition): before})


if __name__ == "__main__":
    main(KafkaPython)
