"""Bits that flip on the disk while the server is down, and what must be readable then."""
import os
import re
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka  # pylint: disable=wrong-import-position
from processes import Failure  # pylint: disable=wrong-import-position

TOPIC = "vault"
EVENTS = 10                     # in a batch
SEGMENT_BYTES = 16384
CORRUPT_MESSAGE = 2
EPOCH_AT, MAGIC_AT = 12, 16     # the leader epoch between them is no part of what was sent
MAX_BYTES = 8192
DISPOSABLE = (".index", ".timeindex", ".snapshot", ".txnindex")
# One of each: the other takes its place.
CATALOGUES = ("tidings.db", "tidings-copy.db")
CHECKPOINTS = ("checkpoint", "checkpoint-copy")


def flip_bit(path, position, bit):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def flip_disposable(data, rng):
    """Flips one bit in some of the files that the server can do without; the number of bits."""
    files = []
    spared = rng.choice(CATALOGUES)
    checkpoint = rng.choice(CHECKPOINTS)
    for folder, _, names in os.walk(data):
        for name in names:
            path = os.path.join(folder, name)
            catalogue = name.removesuffix("-wal") in CATALOGUES and not name.startswith(spared)
            if (name.endswith(DISPOSABLE) or name == checkpoint or catalogue) and \
                    os.path.getsize(path) > 0:
                files.append(path)
    chosen = rng.sample(sorted(files), min(len(files), rng.randint(1, 12)))
    for path in chosen:
        flip_bit(path, rng.randrange(os.path.getsize(path)), rng.randrange(8))
    return len(chosen)


def whole_batches(data):
    """(first offset, last offset, CRC fits, bytes)"""
    at = 0
    for first, last, good in kafka.batches(data):
        size = struct.unpack_from(">i", data, at + 8)[0] + 12
        yield first, last, good, data[at:at + size]
        at += size


class Vault:
    """A topic that the campaign itself fills and reads, batch by batch, to damage it."""

    def __init__(self, run):
        self.run = run
        self.count = 0
        self.batches = []               # (first offset, last offset)
        self.damaged = {}               # first offset -> last offset
        self.places = {}                # of those: (path, position) -> (first offset, size)
        self.reads = 0

    def client(self):
        return kafka.Client(self.run.server.ports[0])

    def create(self):
        client = self.client()
        code, why = client.create_topic(TOPIC, configs=[("segment.bytes", str(SEGMENT_BYTES)),
                                                        ("retention.ms", "-1")])
        client.close()
        if code != 0:
            raise Failure(f"creating {TOPIC}: error {code}: {why}")

    def send(self, client):
        """One batch, never the same again; the error code."""
        numbers = range(self.count, self.count + EVENTS)
        self.count += EVENTS
        for number in numbers:
            self.run.log(f"send vault:{number} {TOPIC} 0 k0 - -")
        records = [kafka.record((f"vault:{number} " + "v" * 300).encode(), delta, b"k0")
                   for delta, number in enumerate(numbers)]
        code, base, _, _ = client.produce(TOPIC, kafka.batch(records))
        if code == 0:
            for delta, number in enumerate(numbers):
                self.run.log(f"acked vault:{number} {base + delta}")
            self.batches.append((base, base + EVENTS - 1))
        return code

    def fill(self, batches):
        client = self.client()
        for _ in range(batches):
            self.run.wait_for(lambda: self.send(client) == 0, f"an event kept in {TOPIC}")
        client.close()

    def is_refused(self):
        """Whether the server refuses a write now."""
        client = self.client()
        code = self.send(client)
        client.close()
        return code != 0

    def place_of(self, offset):
        """(path, position, size) of the batch that begins there."""
        folder = os.path.join(self.run.data, "topics", f"{TOPIC}-0")
        names = sorted(name for name in os.listdir(folder) if name.endswith(".log"))
        path = os.path.join(folder, [name for name in names if int(name[:20]) <= offset][-1])
        with open(path, "rb") as file:
            data = file.read()
        position = 0
        while True:
            base, length = struct.unpack_from(">qi", data, position)
            base, size = self.places.get((path, position), (base, length + 12))
            if base == offset:
                return path, position, size
            position += size

    def flip(self, rng):
        """A bit of one batch, header or not; none of the last ones, which look like a torn tail."""
        whole = [batch for batch in self.batches[:-4] if batch[0] not in self.damaged]
        first, last = rng.choice(whole)
        path, position, size = self.place_of(first)
        at = rng.choice([*range(EPOCH_AT), *range(MAGIC_AT, size)])
        if rng.random() < 0.3:
            at = rng.randrange(EPOCH_AT)        # offset and length, which no CRC covers
        flip_bit(path, position + at, rng.randrange(8))
        self.damaged[first] = last
        self.places[path, position] = first, size
        self.run.log(f"damaged {TOPIC} 0 {first} {last}")

    def read(self):
        """From the start to the end. Only what was damaged may be missing, and not silently."""
        client = self.client()
        reader = f"vault-reader.{self.reads}"
        self.reads += 1
        self.run.log(f"start {reader} {TOPIC} 0 0 read_uncommitted")
        offset, end = 0, client.end(TOPIC)
        while offset < end:
            code, _, data = client.fetch(TOPIC, offset, MAX_BYTES)
            offset = self.take(reader, offset, code, data)
        self.run.log(f"end {reader} {TOPIC} 0 {end}")
        client.close()

    def take(self, reader, offset, code, data):
        """Logs what came; where to go on."""
        if code == CORRUPT_MESSAGE:
            return self.step_over(offset, "damaged batches that the server reported")
        if code != 0:
            raise Failure(f"fetch of {TOPIC} at {offset}: error {code}")
        for first, last, good, batch in whole_batches(data):
            if not good:
                raise Failure(f"{TOPIC} offset {first}: a damaged batch was sent as a good one")
            for number, value in enumerate(re.findall(rb"vault:\d+", batch), first):
                if number >= offset:
                    self.run.log(f"see {reader} {TOPIC} 0 {number} k0 {value.decode()}")
            offset = last + 1
        return offset

    def step_over(self, offset, what):
        for first, last in self.damaged.items():
            if first <= offset <= last:
                self.run.counts[what] += 1
                return last + 1
        raise Failure(f"{TOPIC} offset {offset} is unreadable, though only {self.damaged} is "
                      "damaged")
