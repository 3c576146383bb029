"""A service on confluent-kafka (README.md beside this file): idempotent producer, commits each event."""
import json
import sys
import time
import uuid

import confluent_kafka

from rules import follow_ups, Truth

address, name, number, truth_path, inputs, outputs = sys.argv[1:7]
truth = Truth(truth_path)
consumer = confluent_kafka.Consumer({
    "bootstrap.servers": address, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False,
    "session.timeout.ms": 3000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 50,
    "topic.metadata.refresh.interval.ms": 1000})
producer = confluent_kafka.Producer({
    "bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 0, "topic.metadata.refresh.interval.ms": 1000})
consumer.subscribe(inputs.split(","))


def take(message):
    truth.tell("took", (message.topic(), message.partition(), message.offset()))
    value = json.loads(message.value())
    headers = {header: text.decode() for header, text in message.headers() or []}
    for topic, own, token, sent in follow_ups(value, headers, name, int(number), outputs.split(","),
                                              lambda i: uuid.uuid4().hex):
        def on_delivery(error, there, token=token):
            if error:
                sys.exit(f"not delivered: {error}")
            truth.acked(token, (there.topic(), there.partition(), there.offset()), time.time())
        producer.produce(topic, json.dumps(own), message.key(), headers=sent, callback=on_delivery)
    if producer.flush(30):
        sys.exit("not delivered in time")
    place = (message.topic(), message.partition(), message.offset() + 1)
    truth.tell("commits", place)
    consumer.commit(message, asynchronous=False)
    truth.tell("committed", place)


while True:
    got = consumer.poll(0.2)
    if got is not None and not got.error():
        take(got)
