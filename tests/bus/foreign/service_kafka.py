"""A service on kafka-python (README.md beside this file): commits what one poll gave, all at once."""
import json
import sys
import time
import uuid

import kafka

from rules import follow_ups, Truth

address, name, number, truth_path, inputs, outputs = sys.argv[1:7]
truth = Truth(truth_path)
consumer = kafka.KafkaConsumer(
    *inputs.split(","), bootstrap_servers=address, group_id=name, api_version=(2, 5, 0), auto_offset_reset="earliest",
    enable_auto_commit=False, session_timeout_ms=3000, heartbeat_interval_ms=500, fetch_max_wait_ms=50,
    metadata_max_age_ms=1000, max_poll_records=20)
producer = kafka.KafkaProducer(bootstrap_servers=address, api_version=(2, 5, 0), acks="all", retries=10,
                               metadata_max_age_ms=1000, max_block_ms=30000)


def is_marker(message):
    """The end of a transaction, which this client hands out like an event."""
    return message.value[:1] == b"\0"


def take(message):
    truth.tell("took", (message.topic, message.partition, message.offset))
    value = json.loads(message.value)
    headers = {header: text.decode() for header, text in message.headers}
    for topic, own, token, sent in follow_ups(value, headers, name, int(number), outputs.split(","),
                                              lambda i: uuid.uuid4().hex):
        there = producer.send(topic, json.dumps(own).encode(), message.key, sent).get(30)
        truth.acked(token, (there.topic, there.partition, there.offset), time.time())


while True:
    for partition, messages in consumer.poll(timeout_ms=200).items():
        for one in messages:
            if not is_marker(one):
                take(one)
        done = (partition.topic, partition.partition, messages[-1].offset + 1)
        truth.tell("commits", done)
        consumer.commit({partition: kafka.OffsetAndMetadata(done[2], "")})
        truth.tell("committed", done)
