"""usage: echo_kafka_python.py ADDRESS NAME IN OUT: kafka-python as a service that knows nothing of Tidings."""
import sys

from kafka import KafkaConsumer, KafkaProducer

address, name, source, target = sys.argv[1:]
writer = KafkaProducer(bootstrap_servers=address, client_id=name)
for event in KafkaConsumer(source, bootstrap_servers=address, client_id=name, group_id=name, auto_offset_reset="earliest",
                           auto_commit_interval_ms=200):
    writer.send(target, event.value)
