#!/usr/bin/python3
"""The scenario through confluent-kafka (Debian's python3-confluent-kafka)."""
import os

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from common import WAIT_S, Client, Fenced, KafkaError, Record, Skip, main


def as_record(message):
    return Record(message.key(), message.value(), message.headers() or [], message.timestamp()[1],
                  message.partition(), message.offset())


# With the consumer protocol (KIP-848), the server has the time-outs.
PROTOCOL = ({"group.protocol": os.environ["GROUP_PROTOCOL"]} if "GROUP_PROTOCOL" in os.environ else
            {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200})


class Member:
    def __init__(self, bootstrap, group, topic):
        self.consumer = ck.Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "topic.metadata.refresh.interval.ms": 500, **PROTOCOL})
        self.consumer.subscribe([topic])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()

    def poll(self):
        messages = self.consumer.consume(500, timeout=0.1)
        return [as_record(message) for message in messages if not message.error()]

    def assignment(self):
        return {one.partition for one in self.consumer.assignment()}

    def commit(self, topic, partition, offset):
        self.consumer.commit(offsets=[ck.TopicPartition(topic, partition, offset)],
                             asynchronous=False)


class Transactional:
    def __init__(self, bootstrap, name):
        self.producer = ck.Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
        self.call(self.producer.init_transactions, WAIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass  # what was sent is flushed

    @staticmethod
    def call(function, *arguments):
        try:
            return function(*arguments)
        except ck.KafkaException as error:
            told = error.args[0]
            if told.code() == ck.KafkaError._FENCED:  # pylint: disable=protected-access
                raise Fenced(f"{told.name()}, fatal: {told.fatal()}: {told.str()}") from error
            raise KafkaError(told.code(), told.str()) from error

    def begin(self):
        self.call(self.producer.begin_transaction)

    def send(self, topic, keys):
        for key in keys:
            self.producer.produce(topic, b"v", key.encode(), 0)
        self.producer.flush(WAIT_S)

    def send_offsets(self, member, _, topic, offset):
        self.call(self.producer.send_offsets_to_transaction,
                  [ck.TopicPartition(topic, 0, offset)],
                  member.consumer.consumer_group_metadata(), WAIT_S)

    def commit(self):
        self.call(self.producer.commit_transaction, WAIT_S)

    def abort(self):
        self.call(self.producer.abort_transaction, WAIT_S)


class Confluent(Client):
    name = os.environ.get("CLIENT_NAME", "confluent-kafka")

    def __init__(self, bootstrap, prefix):
        super().__init__(bootstrap, prefix)
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.reader = ck.Consumer({"bootstrap.servers": bootstrap, "group.id": prefix + ".reader",
                                   "enable.auto.commit": False, "enable.partition.eof": False})

    @staticmethod
    def wait(futures):
        for future in futures.values():
            try:
                future.result(timeout=WAIT_S)
            except ck.KafkaException as error:
                raise KafkaError(error.args[0].code(), error.args[0].str()) from error

    def create_topic(self, topic, partitions, config):
        if partitions < 1:
            raise Skip("confluent-kafka refuses it before it reaches the server")
        self.wait(self.admin.create_topics([NewTopic(topic, partitions, 1, config=config)]))

    def delete_topic(self, topic):
        self.wait(self.admin.delete_topics([topic]))

    def list_topics(self):
        return set(self.admin.list_topics(timeout=WAIT_S).topics)

    def count_partitions(self, topic):
        return len(self.admin.list_topics(topic, timeout=WAIT_S).topics[topic].partitions)

    def get_config(self, topic, key):
        asked = self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])
        return list(asked.values())[0].result(timeout=WAIT_S)[key].value

    def set_config(self, topic, key, value):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={key: value})
        self.wait(self.admin.alter_configs([resource]))

    def add_partitions(self, topic, partitions):
        self.wait(self.admin.create_partitions([NewPartitions(topic, partitions)]))

    def produce(self, topic, records, codec, acks, idempotent):
        producer = ck.Producer({
            "bootstrap.servers": self.bootstrap, "compression.type": codec, "acks": acks,
            "enable.idempotence": idempotent, "message.max.bytes": 10_000_000, "linger.ms": 5})
        failed = []

        def delivered(error, _):
            if error:
                failed.append(error)

        for record in records:
            more = {} if record.timestamp_ms is None else {"timestamp": record.timestamp_ms}
            producer.produce(topic, record.value, record.key, record.partition,
                             headers=record.headers or None, on_delivery=delivered, **more)
            producer.poll(0)
        left = producer.flush(WAIT_S)
        if failed:
            raise KafkaError(failed[0].code(), failed[0].str())
        if left:
            raise TimeoutError(f"{left} records not acknowledged")

    def offsets(self, topic, partition):
        return self.reader.get_watermark_offsets(ck.TopicPartition(topic, partition), WAIT_S)

    def offset_at(self, topic, partition, time_ms):
        asked = [ck.TopicPartition(topic, partition, time_ms)]
        return self.reader.offsets_for_times(asked, timeout=WAIT_S)[0].offset

    def read(self, topic, partition, start, count):
        self.reader.assign([ck.TopicPartition(topic, partition, start)])
        records = []
        while len(records) < count:
            messages = self.reader.consume(count - len(records), timeout=WAIT_S)
            if not messages:
                break
            for message in messages:
                if message.error():
                    raise KafkaError(message.error().code(), message.error().str())
                records.append(as_record(message))
        self.reader.unassign()
        return records

    def read_isolated(self, topic, count, committed):
        consumer = ck.Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": self.prefix + ".reader",
            "isolation.level": "read_committed" if committed else "read_uncommitted"})
        consumer.assign([ck.TopicPartition(topic, 0, 0)])
        records = []
        while len(records) < count:
            messages = consumer.consume(count - len(records), timeout=WAIT_S)
            if not messages:
                break
            records += [as_record(message) for message in messages]
        consumer.close()
        return records

    def transactions(self, name):
        return Transactional(self.bootstrap, name)

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)

    def list_groups(self):
        return {group.id for group in self.admin.list_groups(timeout=WAIT_S)}

    def group_state(self, group):
        return self.admin.list_groups(group, timeout=WAIT_S)[0].state

    def group_offset(self, group, topic, partition):
        consumer = ck.Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        offset = consumer.committed([ck.TopicPartition(topic, partition)], WAIT_S)[0].offset
        consumer.close()
        return offset


if __name__ == "__main__":
    main(Confluent)
