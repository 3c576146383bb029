#!/usr/bin/python3
"""check, dump, backup and restore against real data directories and a real bus.

    TIDINGS_BIN=build/tidings tests/cli/test_datadir.py -v
"""
import base64
import glob
import json
import os
import re
import signal
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
# pylint: disable=wrong-import-position
from group_client import PARTITIONS, ConsumerMember, consumer_described, settle

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None

BIN = os.path.abspath(os.environ.get("TIDINGS_BIN", "build/tidings"))
DEADLINE_S = 120
FIRST_MS = 1700000000000
HEADER_BYTES = 61


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


class CheckTest(Case):
    def test_sound(self):
        self.made()
        found = self.check(0)
        self.assertTrue(found["sound"])
        self.assertEqual(found["findings"], [])
        self.assertEqual(found["records"], 5)
        said, _ = run("check", self.data)
        self.assertIn("damage: 0, disposable: 0, notes: 0", said)

    def test_a_flipped_bit(self):
        path = self.made()
        position, size, _ = batches(path)[2]
        patch(path, position + size - 20, lambda byte: byte ^ 4)
        found = self.check(1)
        self.assertFalse(found["sound"])
        self.assertEqual(found["findings"], [{
            "level": "damage", "kind": "damaged-batch",
            "file": "topics/t-0/00000000000000000000.log", "position": position, "bytes": size,
            "first_offset": 2, "last_offset": 2,
            "before": {"offset": 1, "timestamp": "2023-11-14T22:13:20.001Z", "key": "k1"},
            "behind": {"offset": 3, "timestamp": "2023-11-14T22:13:20.003Z", "key": "k3"},
            "text": f"the CRC of the batch at position {position} does not fit",
            "repaired": False}])
        said, _ = run("check", self.data, code=1)
        self.assertIn(f"damaged-batch: topics/t-0/00000000000000000000.log position {position}, "
                      f"{size} bytes, offsets 2-2", said)
        self.assertIn("before: offset 1  2023-11-14T22:13:20.001Z  key=k1", said)
        self.assertIn("behind: offset 3  2023-11-14T22:13:20.003Z  key=k3", said)

    def test_every_bit_of_a_header_is_noticed(self):
        path = self.made()
        position, _, _ = batches(path)[2]
        for byte in (0, 7, 8, 11, 16, 17, 21, 26, 43, 60): # 12-15, the leader epoch, is not covered
            patch(path, position + byte, lambda old: old ^ 1)
            found = self.check(1)["findings"]
            self.assertIn("damaged-batch", [finding["kind"] for finding in found], byte)
            self.assertEqual(found[0]["position"], position, byte)
            patch(path, position + byte, lambda old: old ^ 1)
        self.check(0)

    def test_two_damages_and_the_first_batch(self):
        path = self.made()
        at = batches(path)
        patch(path, at[0][0] + 70, lambda byte: byte ^ 1)
        patch(path, at[3][0] + 70, lambda byte: byte ^ 1)
        found = self.check(1)["findings"]
        self.assertEqual([(f["position"], f["first_offset"], f["before"] and f["before"]["offset"],
                           f["behind"]["offset"]) for f in found],
                         [(0, 0, None, 1), (at[3][0], 3, 2, 4)])

    def test_damage_at_the_end_of_what_was_kept(self):
        path = self.made()
        position, size, _ = batches(path)[4]
        patch(path, position + 70, lambda byte: byte ^ 1)
        finding, = self.check(1)["findings"]
        self.assertEqual((finding["level"], finding["position"], finding["first_offset"],
                          finding["last_offset"], finding["behind"]),
                         ("damage", position, 4, 4, None))

    def test_a_torn_tail_is_no_damage(self):
        path = self.made()
        with open(path, "r+b") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.write(struct.pack(">qi", 5, 500) + b"half of a batch")
        finding, = self.check(0)["findings"]
        self.assertEqual((finding["level"], finding["kind"], finding["position"]),
                         ("note", "torn-tail", size))

    def test_a_cut_segment(self):
        path = self.made()
        os.truncate(path, batches(path)[3][0])
        finding, = [f for f in self.check(1)["findings"] if f["level"] == "damage"]
        self.assertEqual((finding["kind"], finding["first_offset"], finding["last_offset"],
                          finding["before"]["offset"]), ("missing-offsets", 3, 4, 2))

    def test_bad_records_inside_of_a_good_crc(self):
        """A record count that the CRC covers but the records do not have."""
        for codec in ("none", "zstd"):
            shutil.rmtree(self.data, ignore_errors=True)
            path = self.made(codec=codec)
            position, size, _ = batches(path)[1]
            with open(path, "r+b") as file:
                file.seek(position)
                batch = bytearray(file.read(size))
                batch[60] = 9
                batch[17:21] = struct.pack(">I", crc32c(batch[21:]))
                file.seek(position)
                file.write(batch)
            finding, = self.check(1)["findings"]
            self.assertEqual((finding["kind"], finding["position"], finding["first_offset"]),
                             ("bad-records", position, 1), codec)

    def test_indexes(self):
        path = self.made("log.index.interval.bytes=1", count=8)
        for suffix in (".index", ".timeindex"):
            index = path.replace(".log", suffix)
            size = os.path.getsize(index)
            self.assertGreater(size, 24)
            patch(index, 15, lambda byte: byte ^ 1)
            finding, = self.check(1)["findings"]
            self.assertEqual((finding["level"], finding["kind"], finding["file"]),
                             ("disposable", "bad-index", "topics/t-0/" + os.path.basename(index)))
            repaired = self.check(0, "--repair")
            self.assertTrue(repaired["findings"][0]["repaired"])
            self.assertFalse(os.path.exists(index))
            self.assertTrue(os.path.exists(path))
        with Bus(self.data) as bus: # it makes them anew and lost nothing
            said, _ = bus.run("subscribe", "t", "--max", "8")
            self.assertEqual(len(said.splitlines()), 8)

    def test_transaction_index(self):
        path = self.made()
        with open(path, "ab") as file: # an aborted transaction at 5-6, a committed one at 7-8
            for producer, offset, abort in ((1000, 5, True), (1001, 7, False)):
                file.write(batch(offset, 0x10, producer, 0, b"key", b"value"))
                file.write(batch(offset + 1, 0x30, producer, -1,
                                 struct.pack(">hh", 0, 0 if abort else 1), struct.pack(">hi", 0, 3)))
        with Bus(self.data): # it scans what is new and makes the index
            pass
        self.assertEqual(self.check(0)["findings"], [])
        markers = [line["decoded"] for line in map(json.loads, run(
            "dump", self.data, "--topic", "t", "--json")[0].splitlines()) if line["control"]]
        self.assertEqual(markers, [
            {"kind": "marker", "type": "abort", "coordinator_epoch": 3},
            {"kind": "marker", "type": "commit", "coordinator_epoch": 3}])
        index = path.replace(".log", ".txnindex")
        with open(index, "rb") as file:
            right = file.read()
        self.assertEqual(len(right), 34)
        extra = right[:10] + struct.pack(">qqq", 7, 8, 9)
        for wrong in (b"", right[:20], right[:9] + b"\x07" + right[10:], right + extra):
            with open(index, "wb") as file:
                file.write(wrong)
            finding, = self.check(1)["findings"]
            self.assertEqual((finding["level"], finding["kind"], finding["file"]),
                             ("disposable", "bad-index", "topics/t-0/" + os.path.basename(index)))
            self.check(0, "--repair")
            with open(index, "rb") as file:
                self.assertEqual(file.read(), right)
        os.unlink(index)
        finding, = self.check(1)["findings"]
        self.assertIn("producer 1000 at offsets 5-6 has no row", finding["text"])

    def test_snapshot(self):
        self.made()
        snapshot, = glob.glob(os.path.join(self.data, "topics/t-0/*.snapshot"))
        patch(snapshot, 12, lambda byte: byte ^ 1)
        finding, = self.check(1)["findings"]
        self.assertEqual((finding["level"], finding["kind"]), ("disposable", "bad-snapshot"))
        self.check(0, "--repair")
        with Bus(self.data) as bus:
            bus.run("publish", "t", "again")  # the first use of a log loads it
        self.check(0)

    def test_checkpoint(self):
        self.made()
        checkpoint = os.path.join(self.data, "checkpoint")
        patch(checkpoint, 20, lambda byte: byte ^ 1)
        finding, = self.check(1)["findings"]
        self.assertEqual((finding["level"], finding["kind"]), ("disposable", "bad-checkpoint"))
        self.check(0, "--repair")
        self.assertFalse(os.path.exists(checkpoint))
        self.assertEqual([f["kind"] for f in self.check(0)["findings"]], ["no-checkpoint"])

    def test_catalogue(self):
        self.made()
        with sqlite3.connect(os.path.join(self.data, "tidings.db")) as db:
            db.execute("UPDATE topic SET name = 'other' WHERE name = 't'")
        db.close()
        found = {f["kind"]: f for f in self.check(1)["findings"]}
        self.assertEqual(found["unknown-directory"]["file"], "topics/t-0")
        self.assertEqual(found["missing-directory"]["level"], "damage")
        with open(os.path.join(self.data, "tidings.db"), "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(4096))
        self.assertIn("bad-catalogue", [f["kind"] for f in self.check(1)["findings"]])

    def test_files_set_aside(self):
        path = self.made()
        with open(path.replace(".log", ".300.0badcafe.cut"), "wb") as file:
            file.write(b"cut off")
        with open(path.replace(".log", ".damage"), "w", encoding="ascii") as file:
            file.write("tidings-damage 1 00000000\n0 10 0 1\n")
        found = {f["kind"]: f["level"] for f in self.check(1)["findings"]}
        self.assertEqual(found, {"cut-file": "note", "bad-damage-file": "disposable"})

    def test_refused(self):
        with Bus(self.data) as bus:
            _, said = run("check", self.data, code=2)
            self.assertIn(f"process {bus.process.pid}", said)
        _, said = run("check", self.path("nothing"), code=2)
        self.assertIn("no data directory", said)
        self.assertFalse(os.path.exists(self.path("nothing")))
        _, said = run("check", self.data, "--topic", "nobody", code=2)
        self.assertIn("no topic 'nobody'", said)

    def test_only_one_topic(self):
        path = self.made()
        patch(path, 70, lambda byte: byte ^ 1)
        self.assertEqual(self.check(0, "--topic", "__consumer_offsets")["damage"], 0)
        self.assertEqual(self.check(1, "--topic", "t", "--partition", "0")["damage"], 1)


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


class StatusTest(Case):
    def status(self):
        return json.loads(run("status", self.data, "--json")[0])

    def fill_compacted(self, bus, rounds):
        """Each round is a segment of the same keys."""
        bus.run("topic", "create", "kept", "--config", "cleanup.policy=compact",
                "--config", "segment.bytes=100000", "--config", "min.cleanable.dirty.ratio=0.01")
        for _ in range(rounds):
            bus.run("publish", "kept", "--key-separator", "=",
                    text="".join(f"k{i}={'v' * 1000}\n" for i in range(90)))

    def test_what_it_tells(self):
        with Bus(self.data) as bus:
            bus.run("topic", "create", "orders", "--partitions", "3")
            bus.run("publish", "orders", "an order")
            status = self.status()
            self.assertEqual(status["pid"], bus.process.pid)
            self.assertEqual(status["offline_partitions"], 0)
            self.assertGreaterEqual(status["partitions"], 3)
            self.assertGreater(status["bytes"], 60)
            self.assertLess(abs(status["started_ms"] - time.time() * 1000), DEADLINE_S * 1000)
            self.assertIsNone(status["cleaner"]["now"])
            text = run("status", self.data)[0]
            self.assertRegex(text, rf"process {bus.process.pid}, since ")
            self.assertRegex(text, r"compaction +0 logs cleaned")
            self.assertNotIn("offline", text)

    def test_progress_of_a_compaction(self):
        with Bus(self.data, "log.cleaner.backoff.ms=10",
                 "log.cleaner.io.max.bytes.per.second=100000") as bus:
            self.fill_compacted(bus, 10)
            wait_until(lambda: (self.status()["cleaner"]["now"] or {}).get("moved_bytes", 0) > 0,
                       "a compaction under way")
            now = self.status()["cleaner"]["now"]
            self.assertEqual((now["topic"], now["partition"]), ("kept", 0))
            self.assertGreater(now["log_bytes"], 500000)
            self.assertIn(now["phase"], ("keys", "rewriting"))
            self.assertEqual(now["pass"], 1)
            self.assertGreaterEqual(now["at_most_bytes"], now["moved_bytes"])
            self.assertRegex(run("status", self.data)[0], 
                             r"at kept-0 for [0-9.]+ s, \w+, pass 1: .* of at most .* read")
        with Bus(self.data, "log.cleaner.backoff.ms=10") as bus:
            wait_until(lambda: self.status()["cleaner"]["freed_bytes"] > 500000, "a cleaned log")
            self.assertGreaterEqual(self.status()["cleaner"]["cleanings"], 1)
        with Bus(self.data, "log.cleaner.enable=false"):
            self.assertIsNone(self.status()["cleaner"])
            self.assertIn("compaction  off", run("status", self.data)[0])

    def test_offline_partitions_are_counted(self):
        with Bus(self.data) as bus:
            bus.run("topic", "create", "orders")
            bus.run("publish", "orders", "an order")
        shutil.rmtree(f"{self.data}/topics/orders-0")
        with open(f"{self.data}/topics/orders-0", "w", encoding="ascii"):
            pass
        with Bus(self.data):
            self.assertEqual(self.status()["offline_partitions"], 1)
            self.assertRegex(run("status", self.data)[0], r"offline +1 partitions")

    def test_no_server(self):
        _, said = run("status", self.data + "/none", code=4)
        self.assertIn("there is no", said)
        with Bus(self.data):
            pass
        _, said = run("status", self.data, code=3)
        self.assertIn("no server runs on", said)
        run("status", code=2)


class DumpTest(Case):
    def lines(self, *words, code=0):
        return [json.loads(line) for line in run("dump", *words, "--json", code=code)[0].splitlines()]

    def test_records_of_a_running_bus(self):
        with Bus(self.data) as bus:
            bus.run("topic", "create", "t")
            bus.run("publish", "t", "--key", "k", "-H", "name=value", "-z", "lz4",
                    "--timestamp", f"@{FIRST_MS}", "first")
            bus.run("publish", "t", "-i", "whole", text="\udcff\udcfe".encode(
                "utf-8", "surrogateescape").decode("latin-1"))
            bus.run("subscribe", "t", "--group", "g", "--max", "1")
            first, second = self.lines(self.data, "--topic", "t")
            groups = self.lines(self.data, "--topic", "__consumer_offsets")
        self.assertEqual((first["offset"], first["key"], first["value"], first["headers"],
                          first["timestamp"]),
                         (0, "k", "first", {"name": "value"}, "2023-11-14T22:13:20.000Z"))
        self.assertEqual(second["offset"], 1)
        decoded = [line["decoded"] for line in groups]
        self.assertTrue(any(d["kind"] == "group-metadata" and d["group"] == "g" for d in decoded))
        commit = [d for d in decoded if d["kind"] == "offset-commit"][-1]
        self.assertEqual((commit["group"], commit["topic"], commit["partition"], commit["offset"]),
                         ("g", "t", 0, 1))

    def test_records_of_a_consumer_group(self):
        """KIP-848: what its records say is what its member was told."""
        with Bus(self.data) as bus:
            bus.run("topic", "create", "t", "--partitions", str(PARTITIONS))
            member = ConsumerMember("g", "t", int(bus.address.rsplit(":", 1)[1]), "ann", "one")
            self.addCleanup(member.client.connection.socket.close)
            member.join()
            settle([member])
            described = consumer_described(member.client, "g")
            decoded = [line["decoded"] for line in
                       self.lines(self.data, "--topic", "__consumer_offsets")]
            text, _ = run("dump", self.data, "--topic", "__consumer_offsets")
        last = {d["kind"].removeprefix("consumer-group-"): d for d in decoded if d["group"] == "g"}
        topic_id = base64.urlsafe_b64encode(member.owned[0]["topic_id"]).decode().rstrip("=")
        whole = [{"topic_id": topic_id, "partitions": list(range(PARTITIONS))}]
        self.assertEqual(last["metadata"]["epoch"], described["group_epoch"])
        self.assertEqual(last["target-assignment"]["assignment_epoch"], described["assignment_epoch"])
        self.assertEqual(last["partition-metadata"]["topics"],
                         [{"topic_id": topic_id, "topic": "t", "partitions": PARTITIONS}])
        self.assertEqual([last["member"][name] for name in ("member", "group_instance_id", "topics")],
                         ["ann", "one", ["t"]])
        self.assertEqual(last["target-assignment-member"]["partitions"], whole)
        self.assertEqual([last["current-assignment"][name] for name in
                          ("member_epoch", "state", "assigned", "revoking")],
                         [member.epoch, "Stable", whole, []])
        self.assertIn('"group_instance_id":"one"', text)

    def test_ranges_and_headers_only(self):
        self.made()
        self.assertEqual([line["offset"] for line in
                          self.lines(self.data, "--topic", "t", "--from", "1", "--to", "3")], [1, 2])
        found = [line["batch"] for line in self.lines(self.data, "--topic", "t", "--batches")]
        self.assertEqual([(b["base_offset"], b["records"], b["codec"]) for b in found],
                         [(i, 1, "none") for i in range(5)])
        self.assertTrue(all(b["producer_id"] >= 0 and b["crc_ok"] for b in found))

    def test_one_file_with_damage(self):
        path = self.made()
        position, size, _ = batches(path)[1]
        patch(path, position + 80, lambda byte: byte ^ 1)
        lines = self.lines(path, code=1)
        self.assertEqual([line.get("offset") for line in lines], [0, None, 2, 3, 4])
        damage = lines[1]["damage"]
        self.assertEqual((damage["position"], damage["bytes"], damage["first_offset"],
                          damage["next_offset"]), (position, size, 1, 2))
        self.assertEqual(lines[0]["topic"], "t")

    def test_nothing_there(self):
        _, said = run("dump", self.path("nothing"), code=4)
        self.assertIn("there is no", said)
        self.made()
        _, said = run("dump", self.data, "--topic", "nobody", code=4)
        self.assertIn("nobody", said)


class Load:
    """Publishes numbered events and commits offsets until stopped; knows what was acknowledged."""

    def __init__(self, bus, events):
        self.bus, self.events = bus, events
        self.ended = False
        self.acknowledged = 0 # events below were all acknowledged
        self.rounds = 0
        self.failure = None
        self.threads = [threading.Thread(target=self.work, args=(work,))
                        for work in (self.publish, self.consume)]

    def work(self, what):
        try:
            while not self.ended:
                what()
        except Exception as error: # pylint: disable=broad-except
            self.failure = error

    def publish(self):
        first = self.acknowledged
        text = "".join(f"{i} {200 * 'x'}\n" for i in range(first, first + self.events))
        self.bus.run("publish", "t", "-q", text=text)
        self.acknowledged = first + self.events

    def consume(self):
        self.bus.run("subscribe", "t", "--group", "g", "--max", "300", "--until-end")
        self.rounds += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure


class Transform:
    """The exactly-once loop: events of `in` to `out`, offsets in the same transaction."""

    def __init__(self, address):
        self.common = {"bootstrap.servers": address}
        self.ended, self.commits, self.failure = False, 0, None

    def work(self):
        try:
            producer = confluent_kafka.Producer(dict(self.common, **{"transactional.id": "copier"}))
            producer.init_transactions(DEADLINE_S)
            consumer = self.consumer("copiers")
            consumer.assign([confluent_kafka.TopicPartition("in", 0, max(self.committed(), 0))])
            while not self.ended:
                events = consumer.consume(20, 1)
                if events:
                    self.copy(producer, consumer, events)
            consumer.close()
        except Exception as error: # pylint: disable=broad-except
            self.failure = error

    def copy(self, producer, consumer, events):
        producer.begin_transaction()
        for event in events:
            producer.produce("out", event.value())
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()),
                                             consumer.consumer_group_metadata(), DEADLINE_S)
        producer.commit_transaction(DEADLINE_S)
        self.commits += 1

    def consumer(self, group):
        return confluent_kafka.Consumer(dict(self.common, **{
            "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "enable.partition.eof": True}))

    def committed(self):
        consumer = self.consumer("copiers")
        where, = consumer.committed([confluent_kafka.TopicPartition("in", 0)], DEADLINE_S)
        consumer.close()
        return where.offset

    def output(self):
        """The values that a read_committed consumer finds in `out`."""
        consumer, values = self.consumer("reader"), []
        consumer.assign([confluent_kafka.TopicPartition("out", 0, 0)])
        while True:
            event = consumer.poll(DEADLINE_S)
            if event.error():
                consumer.close()
                if event.error().code() != confluent_kafka.KafkaError._PARTITION_EOF: # pylint: disable=protected-access
                    raise AssertionError(event.error())
                return values
            values.append(event.value().decode())

    def __enter__(self):
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        if self.failure:
            raise self.failure


class BackupTest(Case):
    def setUp(self):
        super().setUp()
        self.backup, self.restored = self.path("backup"), self.path("restored")

    def values(self, data):
        """The numbers of the events in topic t."""
        said, _ = run("dump", data, "--topic", "t", "--json")
        return [int(json.loads(line)["value"].split(" ")[0]) for line in said.splitlines()]

    def committed(self, bus):
        groups = json.loads(bus.run("group", "describe", "g", "--json")[0])
        group = groups[0] if isinstance(groups, list) else groups
        return {p["partition"]: p["offset"] for p in group["partitions"]
                if p.get("offset") is not None}

    def snapshots(self):
        return os.path.isdir(self.path("data/snapshots")) and os.listdir(self.path("data/snapshots"))

    def start_backup(self, *options):
        return subprocess.Popen([BIN, "backup", self.data, self.backup, *options],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_under_load_killed_resumed_restored(self):
        with Bus(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t", "--partitions", "3")
            with Load(bus, 2000) as load:
                wait_until(lambda: load.acknowledged >= 20000 and load.rounds >= 2 or load.failure,
                           "load")
                killed = self.start_backup("--max-rate", "1")
                progress = os.path.join(self.backup, "progress")
                wait_until(lambda: os.path.exists(progress) and os.path.getsize(progress) > 0,
                           "a journal of what was copied")
                self.assertTrue(self.snapshots())
                killed.kill()
                killed.communicate()
                wait_until(lambda: not self.snapshots(), "the snapshot of a killed backup is gone")
                run("backup", "--verify", self.backup, code=4) # it is not whole
                run("restore", self.backup, self.restored, code=4)
                before, commits = load.acknowledged, self.committed(bus)
                done = json.loads(run("backup", self.data, self.backup, "--json")[0])
            last = load.acknowledged
        self.assertTrue(done["running"])
        self.assertLess(done["copied_files"], done["files"]) # the killed one's work was of use
        self.assertEqual(done["damaged"], [])
        said = json.loads(run("backup", "--verify", self.backup, "--json")[0])
        self.assertTrue(said["good"])
        run("restore", self.backup, self.restored)
        run("check", self.restored)
        found = self.values(self.restored)
        self.assertEqual(len(found), len(set(found)), "an event is there twice")
        self.assertEqual(set(range(before)) - set(found), set(), "an acknowledged event is missing")
        self.assertTrue(set(found) <= set(range(last)))
        with Bus(self.restored) as bus:
            now = self.committed(bus)
            topics = json.loads(bus.run("topic", "describe", "t", "--json")[0])
            topic = topics[0] if isinstance(topics, list) else topics
            ends = {p["partition"]: p["end_offset"] for p in topic["partitions"]}
            for partition, offset in commits.items():
                self.assertGreaterEqual(now[partition], offset)
            for partition, offset in now.items():
                self.assertLessEqual(offset, ends[partition])
            bus.run("publish", "t", "the bus goes on")
        run("check", self.restored)

    @unittest.skipUnless(confluent_kafka, "python3-confluent-kafka is not installed")
    def test_exactly_once_over_a_restore(self):
        """Consume, transform, produce while backups are made: in each copy, offsets and output agree."""
        with Bus(self.data) as bus:
            bus.run("topic", "create", "in")
            bus.run("topic", "create", "out")
            bus.run("publish", "in", "-q", text="".join(f"{i}\n" for i in range(50000)))
            with Transform(bus.address) as transform:
                for i in range(3):
                    seen = transform.commits
                    wait_until(lambda: transform.commits >= seen + 5 or transform.failure, "commits")
                    run("backup", self.data, f"{self.backup}{i}")
        for i in range(3):
            run("restore", f"{self.backup}{i}", f"{self.restored}{i}")
            with Bus(f"{self.restored}{i}") as bus:
                with Transform(bus.address) as transform: # its start settles what was open
                    transform.ended = True
                committed = transform.committed()
                found = transform.output()
                self.assertGreater(committed, 0)
                self.assertEqual(found, [str(number) for number in range(committed)])
            run("check", f"{self.restored}{i}")

    def test_a_later_backup_copies_what_is_new(self):
        with Bus(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t")
            lines = "".join(f"{i} {500 * 'x'}\n" for i in range(8000))
            bus.run("publish", "t", "-q", text=lines)
            first = json.loads(run("backup", self.data, self.backup, "--json")[0])
            self.assertEqual(first["copied_bytes"], first["bytes"])
            again = json.loads(run("backup", self.data, self.backup, "--json")[0])
            self.assertEqual(again["copied_bytes"], 0)
            bus.run("publish", "t", "8000 more")
            more = json.loads(run("backup", self.data, self.backup, "--json")[0])
            self.assertLess(more["copied_bytes"], 10000)
            wait_until(lambda: not self.snapshots(), "no snapshot is left")
            bus.run("topic", "delete", "t")
            bus.run("topic", "create", "t") # the same names, other bytes
            bus.run("publish", "t", "0 the second life")
            run("backup", self.data, self.backup)
        run("backup", "--verify", self.backup)
        run("restore", self.backup, self.restored)
        self.assertEqual(self.values(self.restored), [0])
        stored = glob.glob(os.path.join(self.backup, "data/topics/t-0/*"))
        self.assertEqual(len(stored), 1, stored) # what nobody names any more is gone

    def test_a_log_that_grew_again_differently(self):
        """The same file, longer, but with another beginning: as after a crash that lost its end."""
        path = self.made()
        run("backup", self.data, self.backup)
        with open(path, "r+b") as file:
            position, size, _ = batches(path)[4]
            file.seek(position)
            last = bytearray(file.read(size))
            last[-30] ^= 1
            last[17:21] = struct.pack(">I", crc32c(last[21:]))
            file.seek(position)
            file.write(last + struct.pack(">q", 5) + last[8:])
        run("backup", self.data, self.backup)
        run("backup", "--verify", self.backup)
        run("restore", self.backup, self.restored)
        with open(path, "rb") as one, \
                open(os.path.join(self.restored, "topics/t-0", os.path.basename(path)), "rb") as two:
            self.assertEqual(one.read(), two.read())

    def test_of_a_stopped_directory(self):
        self.made()
        done = json.loads(run("backup", self.data, self.backup, "--json")[0])
        self.assertFalse(done["running"])
        self.assertFalse(os.path.exists(os.path.join(self.data, "snapshots")))
        os.mkdir(self.restored) # an empty directory is as good as none
        run("restore", self.backup, self.restored)
        with Bus(self.restored) as bus:
            said, _ = bus.run("subscribe", "t", "--max", "5")
            self.assertEqual(len(said.splitlines()), 5)
            self.assertIn("damaged_batches=0", open_log(bus))

    def test_a_damaged_backup_is_refused(self):
        self.made()
        run("backup", self.data, self.backup)
        stored = os.path.join(self.backup, "data/topics/t-0/00000000000000000000.log")
        for name, position in ((stored, 100), (os.path.join(self.backup, "manifest"), 50),
                               (os.path.join(self.backup, "data/tidings.db"), 200)):
            patch(name, position, lambda byte: byte ^ 1)
            code = 1
            said, error = run("backup", "--verify", self.backup, code=code)
            self.assertIn(os.path.basename(name).split(".")[0], said + error)
            _, error = run("restore", self.backup, self.restored, code=1)
            self.assertIn("damaged", error)
            self.assertFalse(os.path.exists(self.restored))
            shutil.rmtree(self.restored + ".restoring", ignore_errors=True)
            patch(name, position, lambda byte: byte ^ 1)
        os.truncate(stored, 100)
        _, error = run("restore", self.backup, self.restored, code=1)
        self.assertIn("too short", error)

    def test_a_damaged_source_is_copied_as_it_is(self):
        path = self.made()
        position, _, _ = batches(path)[2]
        patch(path, position + 80, lambda byte: byte ^ 1)
        said, error = run("backup", self.data, self.backup)
        self.assertIn(f"damaged batch at position {position}", error)
        said, _ = run("backup", "--verify", self.backup)
        self.assertIn("1 files were damaged in the bus already", said)
        run("restore", self.backup, self.restored)
        with Bus(self.restored) as bus: # nothing behind the damage is lost
            said, _ = bus.run("subscribe", "t", "--from", "3", "--max", "2")
            self.assertEqual([line.split("event ")[1][0] for line in said.splitlines()], ["3", "4"])

    def test_restore_goes_on(self):
        with Bus(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t")
            bus.run("publish", "t", "-q", text="".join(f"{i} {500 * 'x'}\n" for i in range(8000)))
            run("backup", self.data, self.backup)
        slow = subprocess.Popen([BIN, "restore", self.backup, self.restored, "--max-rate", "1"],
                                stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        segments = os.path.join(self.restored + ".restoring", "topics/t-0")
        wait_until(lambda: os.path.isdir(segments) and len(os.listdir(segments)) > 2, "a part")
        slow.kill()
        slow.communicate()
        self.assertFalse(os.path.exists(self.restored))
        done = json.loads(run("restore", self.backup, self.restored, "--json")[0])
        self.assertLess(done["copied_files"], done["files"])
        self.assertFalse(os.path.exists(self.restored + ".restoring"))
        self.assertEqual(sorted(self.values(self.restored)), list(range(8000)))

    def test_interrupted_by_a_signal(self):
        with Bus(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t")
            bus.run("publish", "t", "-q", text="".join(f"{i} {500 * 'x'}\n" for i in range(8000)))
            slow = self.start_backup("--max-rate", "1")
            wait_until(self.snapshots, "a snapshot")
            slow.send_signal(signal.SIGINT)
            _, error = slow.communicate(timeout=DEADLINE_S)
            self.assertEqual(slow.returncode, 1)
            self.assertIn("the same command goes on", error)
            wait_until(lambda: not self.snapshots(), "no snapshot is left")
            run("backup", self.data, self.backup)
        run("backup", "--verify", self.backup)

    def test_a_killed_server_leaves_no_snapshot(self):
        bus = Bus(self.data, "log.segment.bytes=1048576").__enter__()
        bus.run("topic", "create", "t")
        bus.run("publish", "t", "-q", text="".join(f"{i} {500 * 'x'}\n" for i in range(8000)))
        slow = self.start_backup("--max-rate", "1")
        wait_until(self.snapshots, "a snapshot")
        bus.end(signal.SIGKILL)
        slow.kill()
        slow.communicate()
        self.assertTrue(self.snapshots())
        with Bus(self.data):
            self.assertFalse(self.snapshots())
            run("backup", self.data, self.backup)
        run("restore", self.backup, self.restored)
        self.assertEqual(sorted(self.values(self.restored)), list(range(8000)))

    def test_refused(self):
        self.made()
        run("backup", self.data, self.backup)
        os.mkdir(self.path("full"))
        with open(self.path("full/file"), "w", encoding="ascii") as file:
            file.write("somebody's")
        _, error = run("backup", self.data, self.path("full"), code=5)
        self.assertIn("no backup", error)
        _, error = run("restore", self.backup, self.path("full"), code=5)
        self.assertIn("not empty", error)
        _, error = run("backup", self.path("nothing"), self.backup, code=4)
        self.assertIn("no data directory", error)
        other = self.path("other")
        with Bus(other):
            _, error = run("backup", other, self.backup, code=5)
        self.assertIn("another bus", error)
        run("backup", "--verify", self.backup)
        run("backup", self.data, code=2)
        run("restore", self.backup, code=2)


def open_log(bus):
    with open(bus.log.fileno(), encoding="utf-8", closefd=False) as file:
        file.seek(0)
        return file.read()


if __name__ == "__main__":
    unittest.main()
