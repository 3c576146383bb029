"""A server on a data directory, the command, and what tests of data directories share."""
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
import unittest

BIN = os.path.abspath(os.environ.get("TIDINGS_BIN", "build/tidings"))
DEADLINE_S = 120
FIRST_MS = 1700000000000


class Bus:
    """A server on a data directory; `with` stops it cleanly."""

    def __init__(self, data, *settings):
        self.data, self.settings = data, settings

    def __enter__(self):
        options = [word for setting in self.settings for word in ("--set", setting)]
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [BIN, "serve", "--data", self.data, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"listen=(\S+)", line)
        if not found:
            self.log.seek(0)
            raise AssertionError(f"no ready line but {line!r}: {self.log.read()}")
        self.address = found[1]
        return self

    def run(self, *words, text=None, code=0):
        return run(*words, text=text, code=code, address=self.address)

    def end(self, how):
        self.process.send_signal(how)
        code = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.log.seek(0)
        self.said = self.log.read()
        self.log.close()
        return code

    def __exit__(self, kind, *_):
        code = self.end(signal.SIGTERM)
        if kind is None and code != 0:
            raise AssertionError(f"serve ended with {code}")


def run(*words, text=None, code=0, address=None):
    """Runs the command; checks its exit code; returns standard output and error."""
    env = dict(os.environ, **({"TIDINGS_BOOTSTRAP_SERVER": address} if address else {}))
    done = subprocess.run([BIN, *words], input=text, capture_output=True, text=True, env=env,
                          timeout=DEADLINE_S, check=False)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}, not {code}: "
                             f"{done.stdout[-2000:]} {done.stderr[-2000:]}")
    return done.stdout, done.stderr


def wait_until(holds, what):
    until = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"never: {what}")
        time.sleep(0.01)


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


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(value):
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytearray([value]))


def batch(offset, attributes, producer, sequence, key, value):
    """A batch of one record, as it lies in a segment."""
    record = b"\0\0\0" + varint(len(key)) + key + varint(len(value)) + value + b"\0"
    rest = struct.pack(">hiqqqhii", attributes, 0, FIRST_MS, FIRST_MS, producer, 0, sequence, 1) + \
        varint(len(record)) + record
    return struct.pack(">qiibI", offset, len(rest) + 9, 0, 2, crc32c(rest)) + rest


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
        with Bus(self.data, *settings) as bus:
            bus.run("topic", "create", "t")
            for i in range(count):
                bus.run("publish", "t", "--key", f"k{i}", "-z", codec,
                        "--timestamp", f"@{FIRST_MS + i}", f"event {i} " + 100 * "x")
        return os.path.join(self.data, "topics/t-0/00000000000000000000.log")
