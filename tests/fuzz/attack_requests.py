#!/usr/bin/python3
"""Valid requests of every API and version, filled at random and often spoilt, against a server.

    TIDINGS_BIN=build/tidings tests/fuzz/attack_requests.py [--seconds 60] [--seed N]

The server must live, stop cleanly and start again; a client beside it must get what it asks for in
time, and all that was acknowledged to it must be there in the end. On a failure the seed and the
last requests are printed; with the same seed and build the requests are the same.
"""
import argparse
import collections
import os
import random
import re
import select
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness import codec, kafka
from harness.server import Server

LINES = 8  # connections that send what is made up
ASK_EVERY = 200  # requests between two looks at the client beside them
LAST = 40  # requests that a failure shows
BYSTANDER = "bystander"

TOPICS = ["fuzz-plain", "fuzz-compacted", "fuzz-unchecked", "fuzz-many"]
NAMES = {  # what a field of this name mostly holds
    "topic": TOPICS, "name": TOPICS, "topics": TOPICS, "topic_name": TOPICS,
    "topic_names": TOPICS, "resource_name": TOPICS + ["", "1"],
    "group": ["g1", "g2", "g3"], "group_id": ["g1", "g2", "g3"], "groups": ["g1", "g2", "g3"],
    "groups_names": ["g1", "g2"], "groups_ids": ["g1", "g2"],
    "transactional_id": ["t1", "t2", "t3"], "transactional_ids": ["t1", "t2"],
    "protocol_type": ["consumer", ""], "group_instance_id": ["i1", "i2"], "instance_id": ["i1"],
    "member_id": ["", "m1", "m2"], "key": ["g1", "t1"], "subscribed_topic_regex": [
        "fuzz-.*", "(a|b)*c", "((a+)+)+$", "[", "x{1,1000}"],
    "server_assignor": ["uniform", "range", "none"],
}
FEW = {"num_partitions", "count", "replication_factor"}  # what costs others' time by right
WAITS = {"max_wait_ms": 50, "timeout_ms": 100, "session_timeout_ms": 6000,
         "rebalance_timeout_ms": 500, "transaction_timeout_ms": 1000}


class Maker:
    """Makes up requests."""

    def __init__(self, seed, ranges, topic_ids, members, producers):
        self.random = random.Random(seed)
        self.apis = [(name, key, request, low, high) for name, (key, request, _) in
                     sorted(kafka.APIS.items()) for low, high in [ranges.get(key, (0, -1))]
                     if low <= high]
        self.topic_ids = topic_ids
        self.names = dict(NAMES, member_id=members + NAMES["member_id"])
        self.producers = producers
        self.version = 0

    def text(self, name):
        pick = self.random.random()
        if pick < 0.85:
            return self.random.choice(self.names.get(name, ["", "a", "b"]))
        if pick < 0.95:
            return "".join(self.random.choice("abc.-_é\x1b\"") for _ in range(
                self.random.randrange(20)))
        return "x" * self.random.choice((249, 250, 5000, 32767))

    def integer(self, item):
        low, high = codec.schema.INTEGERS[item.type]
        if item.name in WAITS and self.random.random() < 0.9:
            return WAITS[item.name]
        if item.name in FEW:
            return max(low, min(high, self.random.choice((-1, 0, 1, 2, 3, 1 << 30, low, high))))
        if item.name == "producer_id" and self.random.random() < 0.8:
            return self.random.choice(self.producers)
        pick = self.random.random()
        if pick < 0.7:
            return self.random.choice((0, 0, 1, 1, 2, 3, -1 if low < 0 else 0))
        if pick < 0.9:
            return self.random.choice((low, low + 1, high, high - 1, -2 if low < 0 else 2))
        return self.random.randint(low, high)

    def records(self):
        made = [kafka.record(bytes(self.random.randrange(50)), i, self.random.choice((None, b"k")),
                             self.random.random() < 0.1)
                for i in range(self.random.randrange(1, 5))]
        changes = {}
        for name, values in (("attributes", (0, 1, 2, 3, 4, 7, 8, 16, 32)),
                             ("producer_id", (-1, 1000, *self.producers)), ("producer_epoch", (-1, 0, 1)),
                             ("sequence", (-1, 0, 1, 2147483647)), ("magic", (0, 1, 2)),
                             ("last_delta", (0, -1, 2147483647)),
                             ("count", (0, -1, 2147483647)), ("crc", (0,)), ("size", (0, 1 << 30)),
                             ("base", (0, -1, (1 << 63) - 1)),
                             ("timestamp", (0, -1, -(1 << 63), (1 << 63) - 1)),
                             ("max_timestamp", (0, -1, -(1 << 63), (1 << 63) - 1))):
            if self.random.random() < 0.12:
                changes[name] = self.random.choice(values)
        return kafka.batch(made, **changes) * self.random.choice((1, 1, 1, 2))

    def one(self, item):
        if item.type == "struct":
            if item.null is not None and not item.array and self.random.random() < 0.3:
                return None
            return self.struct(item.struct)
        if item.type == "records":
            return self.records() if self.random.random() < 0.95 else None
        nullable = item.null is not None and item.null[0] <= self.version <= item.null[1]
        if nullable and item.type in ("string", "bytes") and self.random.random() < 0.3:
            return None
        if item.type == "string":
            return self.text(item.name)
        if item.type == "bytes":
            return self.random.randbytes(self.random.choice((0, 1, 10, 300)))
        if item.type == "uuid":
            return self.random.choice(self.topic_ids + [bytes(16), self.random.randbytes(16)])
        if item.type == "bool":
            return self.random.random() < 0.5
        if item.type == "float64":
            return self.random.choice((0.0, -1.0, 1e300))
        return self.integer(item)

    def field(self, item):
        if not item.array:
            return self.one(item)
        nullable = item.null is not None and item.null[0] <= self.version <= item.null[1]
        if nullable and self.random.random() < 0.15:
            return None
        count = self.random.choice((0, 1, 1, 1, 2, 3)) if self.random.random() < 0.97 else 300
        if count == 300 and item.type == "struct" and any(f.array for f in item.struct.fields):
            count = 30
        return [self.one(item) for _ in range(count)]

    def struct(self, item):
        return {f.name: self.field(f) for f in item.fields
                if f.low <= self.version <= f.high
                and (f.tag is None or self.random.random() < 0.5)}

    def spoil(self, data):
        """Changes some bytes; the size in front may then be wrong as well."""
        data = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 5))):
            at = self.random.randrange(len(data))
            how = self.random.randrange(5)
            if how == 0:
                data[at] ^= 1 << self.random.randrange(8)
            elif how == 1:
                data[at:at + 4] = self.random.choice(
                    (b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0"))
            elif how == 2:
                del data[at:at + self.random.randrange(1, 9)]
            elif how == 3:
                data[at:at] = self.random.randbytes(self.random.randrange(1, 9))
            else:
                data[at:at + 5] = b"\xff\xff\xff\xff\x0f"
            if len(data) < 8:
                data += bytes(8)
        return bytes(data)

    def request(self, correlation):
        """(API, version, bytes with their size in front)"""
        name, key, message, low, high = self.random.choice(self.apis)
        self.version = self.random.randint(low, high)
        encoder = codec.Codec(message, self.version)
        body = encoder.encode(self.struct(message.root))
        if self.random.random() < 0.3:
            body = self.spoil(body + bytes(8))
        head = struct.pack(">hhi", key, self.version, correlation) + kafka.string("fuzz")
        data = head + (b"\0" if encoder.flexible else b"") + body
        if self.random.random() < 0.05:
            data = self.spoil(data)
        size = len(data) if self.random.random() < 0.995 else self.random.getrandbits(32)
        return name, self.version, struct.pack(">I", size) + data


class Line:
    """One connection: sends without waiting, drops what comes back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.out = bytearray()
        self.age = 0

    def push(self, data):
        self.out += data
        self.age += 1
        return self.move()

    def move(self):
        """False when the connection has ended, or has been used long enough."""
        try:
            while self.out:
                del self.out[:self.socket.send(self.out)]
        except BlockingIOError:
            pass
        except OSError:
            return False
        try:
            while select.select([self.socket], [], [], 0)[0]:
                if not self.socket.recv(1 << 16):
                    return False
        except OSError:
            return False
        return self.age < 500 and len(self.out) < 1 << 20

    def close(self):
        self.socket.close()


class Bystander:
    """What a client beside the attack sees."""

    def __init__(self, port):
        self.client = kafka.Client(port, timeout_s=120)
        self.count = 0

    def look(self):
        """Its own topic takes an event and gives it back, and the server answers others' questions."""
        value = b"event %d" % self.count
        code, offset, message, _ = self.client.produce(BYSTANDER, kafka.good_batch(value))
        assert (code, offset) == (0, self.count), f"produce: {code} {message} at {offset}"
        self.count += 1
        code, _, data = self.client.fetch(BYSTANDER, offset)
        assert code == 0 and value in data, f"fetch at {offset}: {code}, {len(data)} bytes"
        assert self.client.api_versions() == 0

    def check_all(self, port):
        """After a restart: everything that was acknowledged is there, in order."""
        client = kafka.Client(port)
        offset = 0
        while offset < self.count:
            code, _, data = client.fetch(BYSTANDER, offset)
            assert code == 0 and data, f"fetch at {offset} of {self.count} after a restart: {code}"
            for base, last, good in kafka.batches(data):
                assert good and base == offset, f"at {offset}: batch {base}, CRC fits: {good}"
                offset = last + 1
        client.close()


def prepare(client):
    """The topics; returns their ids."""
    for name, partitions, configs in (
            (BYSTANDER, 1, []), ("fuzz-plain", 3, []), ("fuzz-many", 20, []),
            ("fuzz-compacted", 1, [("cleanup.policy", "compact")]),
            ("fuzz-unchecked", 1, [("compression.check.enable", "false")])):
        code, message = client.create_topic(name, partitions, configs)
        assert code == 0, message
    answer = client.ask("metadata", 12, topics=[{"name": name, "topic_id": bytes(16)}
                                                for name in TOPICS])
    return [topic["topic_id"] for topic in answer["topics"]]


def states(client):
    """Member ids and producer ids that the server knows."""
    members, producers = [], []
    for group in ("g1", "g2"):
        answer = client.ask("join_group", 4, group_id=group, session_timeout_ms=60000,
                            rebalance_timeout_ms=60000, protocol_type="consumer",
                            protocols=[{"name": "range", "metadata": b""}])
        members.append(answer["member_id"])
    for transactional_id in ("t1", "t2", None):
        answer = client.ask("init_producer_id", 4, transactional_id=transactional_id,
                            transaction_timeout_ms=60000, producer_id=-1, producer_epoch=-1)
        assert answer["error_code"] == 0, answer
        producers.append(answer["producer_id"])
    return members, producers


def ranges_of(client):
    answer = client.ask("api_versions", 0)
    return {api["api_key"]: (api["min_version"], api["max_version"]) for api in answer["api_keys"]}


def attack(server, maker, bystander, until, last):
    """Sends until the time is over; how many of each API."""
    counts = collections.Counter()
    lines = [Line(server.port) for _ in range(LINES)]
    sent = 0
    while time.monotonic() < until:
        at = maker.random.randrange(LINES)
        name, version, data = maker.request(sent & 0x7fffffff)
        last.append((name, version, data))
        counts[name] += 1
        sent += 1
        if not lines[at].push(data):
            lines[at].close()
            lines[at] = Line(server.port)
        if sent % ASK_EVERY == 0:
            bystander.look()
            assert server.alive(), "the server has ended"
    for line in lines:
        line.close()
    return counts


def run(options, server, last):
    client = kafka.Client(server.port)
    maker = Maker(options.seed, ranges_of(client), prepare(client), *states(client))
    client.close()
    bystander = Bystander(server.port)
    counts = attack(server, maker, bystander, time.monotonic() + options.seconds, last)
    bystander.look()
    missing = [name for name, *_ in maker.apis if counts[name] == 0]
    assert not missing, f"never sent: {missing}"
    most = server.memory_kib("VmHWM")
    code = server.stop()
    assert code == 0, f"the server stopped with {code}"
    server.start()
    bystander.check_all(server.port)
    code = server.stop()
    assert code == 0, f"the server stopped with {code} after a restart"
    print(f"{sum(counts.values())} requests of {len(counts)} APIs, {bystander.count} events of the "
          f"client beside them, at most {most >> 10} MiB")


def tell_log(path):
    """What a sanitizer found, or the last lines."""
    with open(path, encoding="utf-8", errors="replace") as text:
        lines = [line for line in text if not re.match(r"time=\S+ level=(info|warn)", line)]
    first = next((i for i, line in enumerate(lines)
                  if re.search("Sanitizer|runtime error|Assertion", line)), max(len(lines) - 40, 0))
    print("".join(lines[first:first + 60]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    last = collections.deque(maxlen=LAST)
    with tempfile.TemporaryDirectory(prefix="tidings-fuzz-") as folder:
        server = Server(os.path.join(folder, "data"), "offsets.topic.num.partitions=2",
                        "transaction.state.log.num.partitions=2",
                        log_path=os.path.join(folder, "log"))
        try:
            run(options, server, last)
        except (AssertionError, OSError, kafka.Closed) as error:
            for name, version, data in last:
                print(f"  {name} {version} {data[:400].hex()}")
            tell_log(server.log_path)
            print(f"FAIL: {error!r}\n0 passed, 1 failed")
            return 1
        finally:
            if server.alive():
                server.kill()
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
