#!/usr/bin/python3
"""The scenario through aiokafka, from a virtual environment."""
import asyncio

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError as LibraryError
from aiokafka.errors import ProducerFenced
from aiokafka.structs import TopicPartition

from common import WAIT_S, Client, Fenced, KafkaError, Record, check, main

LOOP = asyncio.new_event_loop()


def wait(awaitable, wait_s=2 * WAIT_S):
    try:
        return LOOP.run_until_complete(asyncio.wait_for(awaitable, wait_s))
    except ProducerFenced as error:
        raise Fenced(repr(error)) from error
    except LibraryError as error:
        raise KafkaError(error.errno, repr(error)) from error


def check_answer(errors):
    for one in errors:
        if one[1]:
            raise KafkaError(one[1], str(one))


def flat(polled):
    return [Record(message.key, message.value, list(message.headers), message.timestamp,
                   message.partition, message.offset)
            for messages in polled.values() for message in messages]


async def started(kind, *arguments, **named):
    """Made inside of the loop, as aiokafka wants it."""
    one = kind(*arguments, **named)
    await one.start()
    return one


class Member:
    def __init__(self, bootstrap, group, topic):
        self.consumer = wait(started(
            aiokafka.AIOKafkaConsumer, topic, bootstrap_servers=bootstrap, group_id=group,
            auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=6000,
            heartbeat_interval_ms=200))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wait(self.consumer.stop())

    def poll(self):
        return flat(wait(self.consumer.getmany(timeout_ms=50)))

    def assignment(self):
        return {one.partition for one in self.consumer.assignment()}

    def commit(self, topic, partition, offset):
        wait(self.consumer.commit({TopicPartition(topic, partition): (offset, "scenario")}))


class Transactional:
    def __init__(self, bootstrap, name):
        self.producer = wait(started(aiokafka.AIOKafkaProducer, bootstrap_servers=bootstrap,
                                     transactional_id=name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wait(self.producer.stop())

    def begin(self):
        wait(self.producer.begin_transaction())

    def send(self, topic, keys):
        for key in keys:
            wait(self.producer.send_and_wait(topic, b"v", key.encode(), 0))

    def send_offsets(self, _, group, topic, offset):
        wait(self.producer.send_offsets_to_transaction({TopicPartition(topic, 0): offset}, group))

    def commit(self):
        wait(self.producer.commit_transaction())

    def abort(self):
        wait(self.producer.abort_transaction())


class Aiokafka(Client):
    name = "aiokafka"
    one_thread = True

    def __init__(self, bootstrap, prefix):
        super().__init__(bootstrap, prefix)
        asyncio.set_event_loop(LOOP)
        self.admin = wait(started(AIOKafkaAdminClient, bootstrap_servers=bootstrap))
        self.reader = wait(started(aiokafka.AIOKafkaConsumer, bootstrap_servers=bootstrap,
                                   enable_auto_commit=False, max_partition_fetch_bytes=4_000_000))

    def close(self):
        wait(self.reader.stop())
        wait(self.admin.close())

    def create_topic(self, topic, partitions, config):
        answer = wait(self.admin.create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=config)], timeout_ms=WAIT_S * 1000))
        check_answer(answer.topic_errors)

    def delete_topic(self, topic):
        check_answer(wait(self.admin.delete_topics([topic])).topic_error_codes)

    def list_topics(self):
        return set(wait(self.admin.list_topics()))

    def count_partitions(self, topic):
        return len(wait(self.admin.describe_topics([topic]))[0]["partitions"])

    def get_config(self, topic, key):
        answer = wait(self.admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic)]))
        entries = answer[0].resources[0][4]
        return {entry[0]: entry[1] for entry in entries}[key]

    def set_config(self, topic, key, value):
        wait(self.admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: value})]))

    def add_partitions(self, topic, partitions):
        answer = wait(self.admin.create_partitions({topic: NewPartitions(partitions)}))
        check_answer(answer.topic_errors)

    def delete_records(self, topic, partition, before):
        wait(self.admin.delete_records(
            {TopicPartition(topic, partition): RecordsToDelete(before)}))

    def produce(self, topic, records, codec, acks, idempotent):
        async def send():
            producer = await started(
                aiokafka.AIOKafkaProducer, bootstrap_servers=self.bootstrap,
                acks={-1: "all"}.get(acks, acks), enable_idempotence=idempotent,
                compression_type=None if codec == "none" else codec,
                max_request_size=10_000_000, linger_ms=5)
            try:
                sent = [await producer.send(
                    topic, record.value, record.key, record.partition, record.timestamp_ms,
                    record.headers) for record in records]
                for future in sent:
                    await future
            finally:
                await producer.stop()
        wait(send())

    def offsets(self, topic, partition):
        one = TopicPartition(topic, partition)
        return (wait(self.reader.beginning_offsets([one]))[one],
                wait(self.reader.end_offsets([one]))[one])

    def offset_at(self, topic, partition, time_ms):
        one = TopicPartition(topic, partition)
        found = wait(self.reader.offsets_for_times({one: time_ms}))[one]
        return found.offset if found else None

    def read(self, topic, partition, start, count, reader=None):
        one, records, reader = TopicPartition(topic, partition), [], reader or self.reader

        async def seek():  # in the loop, as everything of aiokafka
            reader.assign([one])
            reader.seek(one, start)
        wait(seek())
        while len(records) < count:
            more = flat(wait(reader.getmany(one, timeout_ms=WAIT_S * 1000,
                                            max_records=count - len(records))))
            if not more:
                break
            records += more
        return records

    def read_isolated(self, topic, count, committed):
        reader = wait(started(
            aiokafka.AIOKafkaConsumer, bootstrap_servers=self.bootstrap, enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted"))
        try:
            return self.read(topic, 0, 0, count, reader)
        finally:
            wait(reader.stop())

    def transactions(self, name):
        return Transactional(self.bootstrap, name)

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)

    def list_groups(self):
        return {group[0] for group in wait(self.admin.list_consumer_groups())}

    def group_state(self, group):
        return wait(self.admin.describe_consumer_groups([group]))[0].groups[0][2]

    def group_offset(self, group, topic, partition):
        answer = wait(self.admin.list_consumer_group_offsets(group))
        check(isinstance(answer, dict), f"{answer}")
        found = answer.get(TopicPartition(topic, partition))
        return found.offset if found else -1


if __name__ == "__main__":
    main(Aiokafka)
