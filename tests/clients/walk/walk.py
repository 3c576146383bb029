#!/usr/bin/python3
"""Reads logs from many of their offsets on: walk.py CLIENT HOST:PORT WALKS.

WALKS is a JSON list of {"log", "topic", "committed", "max_bytes", "reads": [[START, OFFSET, ...]]}:
a reader of partition 0 that is put at START must get these offsets next. Prints a line a log,
`ok CLIENT LOG` or `not ok CLIENT LOG: why`. walk.mjs, walk.go and Walk.java do the same.
"""
import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 6  # logs
WAIT_S = 20
WAIT_MS = 100  # of a fetch


class Skip(Exception):
    """This client cannot read this log; the text says why."""


def level(walk):
    return "read_committed" if walk["committed"] else "read_uncommitted"


class Kcat:
    def __init__(self, bootstrap, walk):
        self.command = ["kcat", "-b", bootstrap, "-C", "-q", "-t", walk["topic"], "-p", "0", "-f",
                        "%o\\n", "-X", f"isolation.level={level(walk)}", "-X",
                        f"fetch.message.max.bytes={walk['max_bytes']}", "-X",
                        f"fetch.wait.max.ms={WAIT_MS}"]

    def read(self, start, count):
        done = subprocess.run([*self.command, "-o", str(start), "-c", str(count)], text=True,
                              capture_output=True, timeout=WAIT_S, check=False)
        if done.stderr.strip():
            raise AssertionError(done.stderr)
        return [int(line) for line in done.stdout.split()]

    def close(self):
        pass


class Confluent:
    def __init__(self, bootstrap, walk):
        import confluent_kafka as ck
        self.ck, self.topic = ck, walk["topic"]
        self.consumer = ck.Consumer({
            "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
            "isolation.level": level(walk), "max.partition.fetch.bytes": walk["max_bytes"],
            "fetch.wait.max.ms": WAIT_MS})

    def read(self, start, count):
        self.consumer.assign([self.ck.TopicPartition(self.topic, 0, start)])
        offsets = []
        while len(offsets) < count:
            message = self.consumer.poll(WAIT_S)
            if message is None:
                break
            if message.error():
                raise AssertionError(message.error().str())
            offsets.append(message.offset())
        return offsets

    def close(self):
        self.consumer.close()


class KafkaPython:
    def __init__(self, bootstrap, walk):
        import kafka
        named = {"isolation_level": level(walk)}
        if "isolation_level" not in kafka.KafkaConsumer.DEFAULT_CONFIG:
            if walk["topic"].startswith("txn"):
                raise Skip(f"kafka-python {kafka.__version__} takes markers for records")
            named = {}
        self.partition = kafka.TopicPartition(walk["topic"], 0)
        self.consumer = kafka.KafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=WAIT_MS,
            max_partition_fetch_bytes=walk["max_bytes"], **named)
        self.consumer.assign([self.partition])

    def read(self, start, count):
        self.consumer.seek(self.partition, start)
        offsets = []
        while len(offsets) < count:
            more = self.consumer.poll(timeout_ms=WAIT_S * 1000).values()
            if not more:
                break
            offsets += [record.offset for records in more for record in records]
        return offsets[:count]

    def close(self):
        self.consumer.close()


class Aiokafka:
    def __init__(self, bootstrap, walk):
        import aiokafka
        self.loop = asyncio.new_event_loop()
        self.partition = aiokafka.TopicPartition(walk["topic"], 0)

        async def start():
            self.consumer = aiokafka.AIOKafkaConsumer(
                bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level=level(walk),
                max_partition_fetch_bytes=walk["max_bytes"], fetch_max_wait_ms=WAIT_MS)
            await self.consumer.start()
            self.consumer.assign([self.partition])
        self.loop.run_until_complete(start())

    async def take(self, start, count):
        self.consumer.seek(self.partition, start)
        offsets = []
        while len(offsets) < count:
            more = (await self.consumer.getmany(timeout_ms=WAIT_S * 1000)).values()
            if not more:
                break
            offsets += [record.offset for records in more for record in records]
        return offsets[:count]

    def read(self, start, count):
        return self.loop.run_until_complete(self.take(start, count))

    def close(self):
        self.loop.run_until_complete(self.consumer.stop())


CLIENTS = {"kcat": Kcat, "confluent-kafka": Confluent, "confluent-kafka-new": Confluent,
           "kafka-python": KafkaPython, "kafka-python-new": KafkaPython, "aiokafka": Aiokafka}


def go(client, bootstrap, walk):
    """Walks, and returns the log's line."""
    try:
        reader = CLIENTS[client](bootstrap, walk)
    except Skip as why:
        return f"skip {client} {walk['log']}: {why}"
    why = steps(reader, walk)
    return f"not ok {client} {walk['log']}: {why}" if why else f"ok {client} {walk['log']}"


def steps(reader, walk):
    """Why the walk went wrong; None: it did not."""
    try:
        for start, *due in walk["reads"]:
            got = reader.read(start, len(due))
            if got != due:
                return f"from {start} on it got {got}, not {due}"
    except Exception as error:  # pylint: disable=broad-except
        return " ".join(f"from {start} on: {type(error).__name__} {error}".split())
    finally:
        reader.close()
    return None


def main(client, bootstrap, walks):
    with open(walks, encoding="utf-8") as text, ThreadPoolExecutor(AT_ONCE) as threads:
        for line in threads.map(lambda walk: go(client, bootstrap, walk), json.load(text)):
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
