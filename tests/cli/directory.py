"""What tests of data directories share."""
import json
import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka  # noqa: E402
from harness.server import Server, run, wait_for  # noqa: E402

DEADLINE_S = 120
FIRST_MS = 1700000000000


def wait_until(holds, what):
    wait_for(holds, what, DEADLINE_S)


def batches(path):
    """(position, size, base offset) of each batch of a segment."""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at < len(data):
        base, length = struct.unpack_from(">qi", data, at)
        found.append((at, length + 12, base))
        at += length + 12
    return found


def patch(path, position, change):
    """Replaces the byte at position by change(byte)."""
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([change(byte)]))


def batch(offset, attributes, producer, sequence, key, value):
    """A batch of one record, as it lies in a segment."""
    return kafka.batch([kafka.record(value, key=key)], base=offset, epoch=0, attributes=attributes,
                       timestamp=FIRST_MS, producer_id=producer, producer_epoch=0,
                       sequence=sequence)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tidings-datadir-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(folder.name, "data")

    def path(self, name):
        return os.path.join(self.folder, name)

    def check(self, code, *options):
        return json.loads(run("check", self.data, "--json", *options, code=code)[0])

    def made(self, *settings, codec="none", count=5):
        """A stopped directory: topic t, one batch an event, at known times; the segment's path."""
        with Server(self.data, *settings) as bus:
            bus.run("topic", "create", "t")
            for i in range(count):
                bus.run("publish", "t", "--key", f"k{i}", "-z", codec,
                        "--timestamp", f"@{FIRST_MS + i}", f"event {i} " + 100 * "x")
        return os.path.join(self.data, "topics/t-0/00000000000000000000.log")
