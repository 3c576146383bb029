"""usage: echo_confluent.py ADDRESS NAME IN OUT: confluent-kafka as a service that knows nothing of Tidings."""
import os
import sys

from confluent_kafka import Consumer, Producer

address, name, source, target = sys.argv[1:]
common = {"bootstrap.servers": address, "client.id": name}
more = {"group.protocol": os.environ["GROUP_PROTOCOL"]} if "GROUP_PROTOCOL" in os.environ else {}
reader = Consumer({**common, **more, "group.id": name, "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200})
writer = Producer(common)
reader.subscribe([source])
while True:
    event = reader.poll(0.1)
    if event is not None and not event.error():
        writer.produce(target, event.value())
    writer.poll(0)
