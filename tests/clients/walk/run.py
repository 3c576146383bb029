#!/usr/bin/python3
"""Puts readers of every client at every place of logs in which many offsets hold nothing to read.

    tests/clients/walk/run.py [--clients kcat,kafkajs] [--keep]

A fetch that answers with nothing its reader can use, although newer records exist, leaves many
clients where they are for ever. The logs here are compacted, full of aborted transactions, cut by
DeleteRecords, or have batches larger than what a reader asks for. What is to be read from each
offset on is taken from the segment files, not from the server. Prints a line a client and log,
and last the counts.
"""
import argparse
import glob
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import confluent_kafka as ck

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)]

import run as clients  # noqa: E402
from harness.kafka import Client, batch, record  # noqa: E402
from harness.server import WAIT_S, Server, wait_for  # noqa: E402

WIDE, NARROW = 1 << 20, 200
READ_S = 600
COMPACT = (("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01"),
           ("delete.retention.ms", "0"))


# ---- what the files hold ----

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), at


def stored(folder):
    """Each batch of a partition's files: (attributes, producer, first, last, [offsets], abort)."""
    for path in sorted(glob.glob(os.path.join(folder, "*.log"))):
        with open(path, "rb") as file:
            data = file.read()
        at = 0
        while at < len(data):
            base, size = struct.unpack(">qi", data[at:at + 12])
            end = at + 12 + size
            attributes, last, _, _, producer, _, _, count = struct.unpack(
                ">hiqqqhii", data[at + 21:at + 61])
            place, offsets, abort = at + 61, [], False
            for _ in range(count):
                length, place = varint(data, place)
                following = place + length
                _, place = varint(data, place + 1)
                delta, place = varint(data, place)
                offsets.append(base + delta)
                key_size, place = varint(data, place)
                abort = attributes & 0x20 and data[place:place + key_size] == b"\0\0\0\0"
                place = following
            yield attributes, producer, base, base + last, offsets, abort
            at = end


def visible(folder, committed):
    """The offsets of the records that a reader may see."""
    pending, seen = {}, []
    for attributes, producer, _, _, offsets, abort in stored(folder):
        if attributes & 0x20:
            ended = pending.pop(producer, [])
            seen += [] if abort and committed else ended
        elif attributes & 0x10:
            pending.setdefault(producer, []).extend(offsets)
        else:
            seen += offsets
    still = sum(pending.values(), [])
    if committed and still:
        return sorted(offset for offset in seen if offset < min(still))
    return sorted(seen + still)


def places(folder, start, end):
    """Of each batch, and of each hole between two, the first offset, one inside and the last."""
    batches = [(first, last) for _, _, first, last, _, _ in stored(folder)] + [(end, end)]
    pieces, at = [], 0
    for first, last in batches:
        pieces += [(at, first - 1), (first, last)] if at < first else [(first, last)]
        at = last + 1
    return sorted({at for first, last in pieces for at in (first, (first + last) // 2, last)
                   if start <= at < end} | {start})


def reads(offsets, starts):
    """[start, the next offsets] for each start from which there is something to read."""
    out = []
    for at in starts:
        following = [offset for offset in offsets if offset >= at][:3]
        if following:
            out.append([at, *following])
    return out


# ---- the logs ----

def one_key(client):
    """Almost all segments hold nothing but an empty batch."""
    client.create_topic("one-key", configs=COMPACT + (("segment.bytes", "1000"),))
    for number in range(100):
        client.produce("one-key", batch([record(b"%d" % number, 0, b"key")]))


def holes(client):
    """Batches of which the first, the last or all records are gone."""
    client.create_topic("holes", configs=COMPACT + (("segment.bytes", "1500"),))
    for number in range(40):
        keys = [b"k%d" % (i if (number + i) % 7 else 100 + number) for i in range(5)]
        client.produce("holes", batch([record(b"v", i, key) for i, key in enumerate(keys)]))


def producers(client):
    """The last batch of each producer stays, empty."""
    client.create_topic("producers", configs=COMPACT + (("segment.bytes", "1500"),))
    for number in range(80):
        key = b"k%d" % number if number % 16 == 5 else b"key"
        client.produce("producers", batch([record(b"v", 0, key)], producer_id=900000 + number,
                                          producer_epoch=0, sequence=0))


def transactions(port, topic, keys):
    """Many aborted records between few committed ones, markers, and an open transaction at the
    end, which is left to its time-out."""
    made = [ck.Producer({"bootstrap.servers": f"127.0.0.1:{port}", "transactional.id": name,
                         "linger.ms": 0, "batch.num.messages": 3, "transaction.timeout.ms": 600000})
            for name in (f"{topic}-a", f"{topic}-b")]
    for producer in made:
        producer.init_transactions(WAIT_S)

    def write(producer, count, end):
        producer.begin_transaction()
        for number in range(count):
            producer.produce(topic, b"x" * 60, b"key%d" % (number % keys), 0)
        producer.flush(WAIT_S)
        if end:
            getattr(producer, end)(WAIT_S)
    first, second = made
    for _ in range(3):
        write(first, 2, "commit_transaction")
        write(second, 12, "abort_transaction")
        write(first, 7, "abort_transaction")
    for _ in range(4):
        write(first, 1, "abort_transaction")
    write(second, 1, "commit_transaction")
    write(first, 9, "abort_transaction")
    write(second, 4, "commit_transaction")
    write(first, 3, None)
    return first  # it goes when the server has stopped


def cut(client):
    """The log begins in the middle of a batch."""
    client.create_topic("cut")
    for _ in range(15):
        client.produce("cut", batch([record(b"v" * 50, i, b"k") for i in range(4)]))
    client.delete_records("cut", 22)


def large(client):
    """Batches larger than what is asked for, with small ones between."""
    client.create_topic("large")
    for number in range(20):
        size = 30 if number % 3 else 5000
        client.produce("large", batch([record(b"v" * size, i, b"k") for i in range(2)]))


def is_compacted(folder, end):
    try:
        return len(visible(folder, False)) < end * 0.8
    except FileNotFoundError:  # it is at work
        return False


def make(data):
    """Writes and compacts the logs; the server has stopped then. {topic: (start, end)}."""
    with Server(data, "log.cleaner.backoff.ms=20") as server:
        client = Client(server.port)
        one_key(client)
        holes(client)
        producers(client)
        client.create_topic("txn")
        client.create_topic("txn-compact", configs=COMPACT + (("segment.bytes", "1000"),))
        open_ones = [transactions(server.port, "txn", 1 << 20),
                     transactions(server.port, "txn-compact", 2)]
        cut(client)
        large(client)
        compacted = ("one-key", "holes", "producers", "txn-compact")
        for topic in compacted:
            folder = os.path.join(data, "topics", topic + "-0")
            end = client.end(topic)
            wait_for(lambda: is_compacted(folder, end), f"{topic} to be compacted")  # pylint: disable=cell-var-from-loop
        ends = {topic: (client.offset(topic, -2)[1], client.end(topic))
                for topic in (*compacted, "txn", "cut", "large")}
        client.close()
    del open_ones
    return ends


def walks_of(data, ends):
    out = []
    for topic, (start, end) in ends.items():
        folder = os.path.join(data, "topics", topic + "-0")
        starts = places(folder, start, end)
        for committed in ((False, True) if topic.startswith("txn") else (False,)):
            for max_bytes in (WIDE, NARROW):
                name = "-".join([topic, "committed" if committed else "all",
                                 "wide" if max_bytes == WIDE else "narrow"])
                every = 1 if max_bytes == WIDE else 3
                out.append({"log": name, "topic": topic, "committed": committed,
                            "max_bytes": max_bytes,
                            "reads": reads(visible(folder, committed), starts)[::every]})
    return out


# ---- the clients ----

def python(name, interpreter=clients.PYTHON):
    module = {"kcat": "confluent_kafka", "confluent-kafka": "confluent_kafka"}.get(name, "kafka")
    if interpreter == clients.PYTHON:
        clients.python_module("common.py", module)
    if name == "kcat":
        clients.need("kcat")
    return [interpreter, os.path.join(HERE, "walk.py")]


def node():
    clients.node("run_kafkajs.mjs")
    return ["node", os.path.join(HERE, "walk.mjs")]


def java(name, classes):
    path = classes()
    target = os.path.join(clients.CACHE, "walk-" + name)
    source = os.path.join(HERE, "Walk.java")
    clients.stamped("walk-" + name, [source], lambda: clients.sh(
        "javac", *clients.JAVAC, "-cp", path, "-d", target, source))
    return [*clients.JAVA, "-cp", f"{target}:{path}", "Walk"]


CLIENTS = {  # the slowest first
    "sarama": lambda: clients.go("walk"),
    "java": lambda: java("java", clients.java_classes),
    "java-4": lambda: java("java-4", clients.java4_classes),
    "kcat": lambda: python("kcat"),
    "confluent-kafka": lambda: python("confluent-kafka"),
    "confluent-kafka-new": lambda: python("confluent-kafka-new", clients.confluent_new()[2]),
    "kafka-python": lambda: python("kafka-python"),
    "kafka-python-new": lambda: python("kafka-python-new", clients.aiokafka()[0]),
    "aiokafka": lambda: python("aiokafka", clients.aiokafka()[0]),
    "kafkajs": node,
    "platformatic-kafka": node,
    "franz-go": lambda: clients.go("walk"),
    "kafka-go": lambda: clients.go("walk"),
}


def go(name, port, walks):
    try:
        command = CLIENTS[name]()
    except clients.Missing as why:
        return [f"skip {name} all-logs: {why}"]
    try:
        done = subprocess.run([*command, name, f"127.0.0.1:{port}", walks], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=READ_S, check=False)
        text, errors = done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        text, errors = (late.stdout or b"").decode(), f"not over after {READ_S} s"
    lines = [line for line in text.splitlines() if line.startswith(("ok ", "not ok ", "skip "))]
    told = {line.split(":")[0].split()[-1] for line in lines}
    with open(walks, encoding="utf-8") as file:
        lines += [f"not ok {name} {walk['log']}: not reported: {errors[-300:]!r}"
                  for walk in json.load(file) if walk["log"] not in told]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", help="comma-separated: " + ", ".join(CLIENTS))
    parser.add_argument("--keep", action="store_true", help="leave the data directory")
    options = parser.parse_args()
    names = options.clients.split(",") if options.clients else list(CLIENTS)
    data = tempfile.mkdtemp(prefix="tidings-walk-data-")
    ends = make(data)
    walks = os.path.join(data, "walks.json")
    with open(walks, "w", encoding="utf-8") as file:
        json.dump(walks_of(data, ends), file)
    counts = clients.Counts()
    with Server(data, "log.cleaner.enable=false", "group.initial.rebalance.delay.ms=0") as server:
        with ThreadPoolExecutor(6) as threads:  # they mostly wait
            list(threads.map(lambda name: counts.add(go(name, server.port, walks)), names))
        code = server.stop()
    counts.add([f"not ok server clean-stop: {code}" if code else "ok server clean-stop"])
    if options.keep:
        print("kept", data)
    else:
        shutil.rmtree(data)
    print(f"walks: {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main())
