#!/usr/bin/python3
"""Compaction on the real server: readers, kills and settings while logs are cleaned.

TIDINGS_BIN names the server's program.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import zlib

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, "clients")]

import run as clients  # noqa: E402
from harness import catalogue  # noqa: E402
from harness.kafka import Client, batch, record  # noqa: E402
from harness.server import BINARY, WAIT_S, Server, wait_for  # noqa: E402

INVALID_RECORD, POLICY_VIOLATION, INVALID_CONFIG = 87, 44, 40
EAGER = ("log.cleaner.backoff.ms=20", "log.retention.check.interval.ms=200")
COMPACT = (("cleanup.policy", "compact"), ("segment.bytes", "40000"),
           ("min.cleanable.dirty.ratio", "0.01"))
KEYS = 200


def consume(port, topic):
    """What librdkafka reads of the topic up to its present end: [(offset, key, value)]."""
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "reader",
                         "check.crcs": True, "enable.partition.eof": True,
                         "enable.auto.commit": False})
    end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=WAIT_S)[1]
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    out = []
    at_end = end == 0
    while not at_end:
        message = consumer.poll(WAIT_S)
        assert message is not None, f"nothing at {out[-1:]} of {end}"
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            at_end = True
        else:
            value = message.value()
            out.append((message.offset(), message.key().decode(), value and value.decode()))
            at_end = message.offset() >= end - 1
    consumer.close()
    return out


class Writer(threading.Thread):
    """Rounds of one value for each key, some batches compressed, until it is enough."""

    def __init__(self, port, rounds=1 << 20, first=0):
        super().__init__()
        self.port, self.rounds, self.first = port, rounds, first
        self.enough = False
        self.acked = first - 1  # this round and all before it are acknowledged
        self.stopped = None

    def run(self):
        try:
            client = Client(self.port)
            for number in range(self.first, self.first + self.rounds):
                for start in range(0, KEYS, 50):
                    records = [record(b"%d" % number, i, b"k%d" % (start + i)) for i in range(50)]
                    code = client.produce("state", self.encode(number, records))[0]
                    assert code == 0, code
                self.acked = number
                if self.enough:
                    break
            client.close()
        except Exception as error:  # pylint: disable=broad-except
            self.stopped = error  # the server was killed

    @staticmethod
    def encode(number, records):
        if number % 3:
            return batch(records)
        packer = zlib.compressobj(wbits=31)
        packed = packer.compress(b"".join(records)) + packer.flush()
        return batch(records, attributes=1, payload=packed)


class Compaction(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-compact-")
        self.server = None

    def tearDown(self):
        if self.server and self.server.alive():
            self.assertEqual(self.server.stop(), 0)
        shutil.rmtree(self.data)

    def start(self, *settings):
        self.server = Server(self.data, *EAGER, *settings)
        client = Client(self.server.port)
        self.addCleanup(client.close)
        return client

    def check_view(self, seen, least):
        """Every key is there, with a value of round `least` or newer, and offsets rise."""
        offsets = [offset for offset, _, _ in seen]
        self.assertEqual(offsets, sorted(set(offsets)))
        newest = {key: int(value) for _, key, value in seen}
        if least >= 0:
            self.assertEqual(len(newest), KEYS)
            self.assertGreaterEqual(min(newest.values()), least)

    def cleaned_to(self):
        """The last offset of the last cleaning."""
        return max([int(re.search(r"offsets=\d+-(\d+)", line).group(1))
                    for line in self.server.log_lines("log compacted")], default=-1)

    def files(self, topic="state-0"):
        return os.listdir(os.path.join(self.data, "topics", topic))

    def test_readers_see_every_key_while_it_is_cleaned(self):
        client = self.start("log.cleaner.io.max.bytes.per.second=600000",
                            "log.cleaner.io.buffer.size=8192")
        self.assertEqual(client.create_topic("state", configs=COMPACT)[0], 0)
        first = 0
        for _ in range(8):
            cleanings = len(self.server.log_lines("log compacted"))
            writer = Writer(self.server.port, 40, first)
            writer.start()
            writer.join()
            self.assertIsNone(writer.stopped)
            for _ in range(5):
                self.check_view(consume(self.server.port, "state"), writer.acked)
            wait_for(lambda: len(self.server.log_lines("log compacted")) > cleanings, "a cleaning")
            first += 40
        # Of 320 rounds, the newest and what is in the active segment and the next to be cleaned.
        wait_for(lambda: len(consume(self.server.port, "state")) < 60 * KEYS, "a clean log")
        self.check_view(consume(self.server.port, "state"), writer.acked)
        self.assertEqual(client.end("state"), (writer.acked + 1) * KEYS)
        line = self.server.log_lines("log compacted")[-1]
        self.assertRegex(line, r"topic=state partition=0 .*bytes_before=\d+ bytes_after=\d+ .*"
                               r"seconds=[\d.]+ mb_per_second=[\d.]+")

    def test_kills_lose_nothing(self):
        first = 0
        for life in range(6):
            client = self.start("log.cleaner.io.max.bytes.per.second=3000000")
            if life == 0:
                self.assertEqual(client.create_topic("state", configs=COMPACT)[0], 0)
            writer = Writer(self.server.port, first=first)
            writer.start()
            self.server.wait_log("log compacted")
            wait_for(lambda: writer.acked >= first + 20, "some rounds")
            acked = writer.acked
            self.server.kill()
            writer.join()
            self.start("log.cleaner.enable=false")
            self.check_view(consume(self.server.port, "state"), acked)
            self.assertFalse([name for name in self.files() if re.search("cleaned|swap", name)])
            self.assertFalse(self.server.log_lines("damaged_batches=[1-9]|cut|level=error"))
            self.assertEqual(self.server.stop(), 0)
            first = max(acked, writer.acked) + 2
        self.start()

    def java(self, *arguments):
        try:
            classes = clients.java_classes()
        except clients.Missing as why:
            self.skipTest(f"Kafka's tools: {why}")
        done = subprocess.run([*clients.JAVA, "-cp", classes, *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120, check=False, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        return done.stdout

    def test_kafkas_tools_read_compacted_segments(self):
        client = self.start()
        self.assertEqual(client.create_topic("state", configs=COMPACT)[0], 0)
        writer = Writer(self.server.port, 60)
        writer.start()
        writer.join()
        tombstones = [record(b"", i, b"k%d" % (2 * i), null=True) for i in range(KEYS // 2)]
        code, offset, _, _ = client.produce("state", batch(tombstones))
        self.assertEqual(code, 0)
        for i in range(60):  # so that they are not in the active segment
            filler = [record(b"%d" % i, k, b"filler%d" % k) for k in range(50)]
            self.assertEqual(client.produce("state", batch(filler))[0], 0)
        wait_for(lambda: self.cleaned_to() > offset + len(tombstones), "the tombstones cleaned")
        seen = consume(self.server.port, "state")
        text = self.java("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server",
                         f"127.0.0.1:{self.server.port}", "--topic", "state", "--partition", "0",
                         "--offset", "earliest", "--timeout-ms", "20000", "--property",
                         "print.offset=true", "--property", "print.value=false")
        self.assertEqual([int(offset) for offset in re.findall(r"^Offset:(\d+)", text, re.M)],
                         [offset for offset, _, _ in seen])
        self.assertEqual(self.server.stop(), 0)
        folder = os.path.join(self.data, "topics", "state-0")
        files = sorted(os.path.join(folder, name) for name in os.listdir(folder)
                       if name.endswith((".log", ".index", ".timeindex")))
        text = self.java("kafka.tools.DumpLogSegments", "--deep-iteration", "--files",
                         ",".join(files))
        self.assertFalse([line for line in text.splitlines() if re.search(
            "Exception|mismatch|Found|not found|isvalid: false|non-monotonic", line)])
        self.assertRegex(text, "deleteHorizonMs: OptionalLong\\[\\d+\\]")
        self.assertRegex(text, "count: 0 ")
        offsets = [int(offset) for offset in re.findall(r"^\| offset: (\d+)", text, re.M)]
        self.assertEqual(offsets, [offset for offset, _, _ in seen])

    def test_restart_does_not_begin_anew(self):
        client = self.start()
        self.assertEqual(client.create_topic("state", configs=COMPACT)[0], 0)
        writer = Writer(self.server.port, 30)
        writer.start()
        writer.join()
        self.server.wait_log("log compacted")
        end = self.cleaned_to()
        self.assertEqual(self.server.stop(), 0)
        client = self.start()
        writer = Writer(self.server.port, 30, 30)
        writer.start()
        writer.join()
        line = self.server.wait_log("log compacted")[0]
        self.assertGreater(int(re.search(r"offsets=(\d+)-", line).group(1)), end // 2)

    def test_null_keys_are_refused_one_by_one(self):
        client = self.start()
        for name, policy in (("state", "compact"), ("both", "compact,delete"), ("old", "delete")):
            self.assertEqual(client.create_topic(name, configs=[("cleanup.policy", policy)])[0], 0)
        records = [record(b"1", 0, b"a"), record(b"2", 1), record(b"3", 2, b"b")]
        packer = zlib.compressobj(wbits=31)
        packed = packer.compress(b"".join(records)) + packer.flush()
        for topic in ("state", "both"):
            for bad in (batch(records), batch(records, attributes=1, payload=packed)):
                code, base, message, indexes = client.produce(topic, bad)
                self.assertEqual((code, base, indexes), (INVALID_RECORD, -1, [1]))
                self.assertIn("no key", message)
            self.assertEqual(client.end(topic), 0)
        self.assertEqual(client.produce("old", batch(records))[0], 0)

    def test_settings_act_or_are_refused(self):
        client = self.start()
        for key, value in (("cleanup.policy", "compact,shred"), ("min.cleanable.dirty.ratio", "1.1"),
                           ("min.cleanable.dirty.ratio", "nan"), ("delete.retention.ms", "-1"),
                           ("min.compaction.lag.ms", "-1"), ("max.compaction.lag.ms", "0")):
            self.assertEqual(client.create_topic("bad", configs=[(key, value)])[0], INVALID_CONFIG)
        lags = [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "9")]
        self.assertEqual(client.create_topic("bad", configs=lags)[0], INVALID_CONFIG)
        self.assertEqual(client.create_topic("state", configs=COMPACT)[0], 0)
        self.assertEqual(client.create_topic("both", configs=[
            ("cleanup.policy", "compact,delete"), ("segment.bytes", "20000"),
            ("retention.bytes", "40000"), ("min.compaction.lag.ms", "100000000")])[0], 0)
        filler = batch([record(b"x" * 10000, 0, b"k")])
        for _ in range(20):
            for topic in ("state", "both"):
                self.assertEqual(client.produce(topic, filler)[0], 0)
        self.assertEqual(client.delete_records("state", 1), POLICY_VIOLATION)
        self.assertEqual(client.delete_records("both", 1), 0)
        wait_for(lambda: client.offset("both", -2)[1] > 10, "retention of compact,delete")
        self.assertEqual(client.offset("state", -2)[1], 0)

    def test_max_lag_rolls_and_cleans(self):
        client = self.start()
        self.assertEqual(client.create_topic("state", configs=[
            ("cleanup.policy", "compact"), ("max.compaction.lag.ms", "300"),
            ("min.cleanable.dirty.ratio", "1")])[0], 0)
        for value in (b"1", b"2", b"3"):
            client.produce("state", batch([record(value, 0, b"a"), record(value, 1, b"b")]))
        wait_for(lambda: len(consume(self.server.port, "state")) == 2, "a clean log")
        self.assertEqual(consume(self.server.port, "state"), [(4, "a", "3"), (5, "b", "3")])

    def test_group_offsets_are_compacted(self):
        client = self.start("offsets.topic.num.partitions=1")
        self.assertEqual(client.create_topic("orders")[0], 0)
        subprocess.run([BINARY, "topic", "alter", "__consumer_offsets", "--bootstrap-server",
                        f"127.0.0.1:{self.server.port}", "--config", "segment.bytes=5000",
                        "--config", "min.cleanable.dirty.ratio=0.1"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        for offset in range(2000):
            self.assertEqual(client.commit("readers", "orders", offset), 0)
        line = self.server.wait_log("log compacted.* topic=__consumer_offsets|"
                                    "log compacted.*__consumer_offsets")
        self.assertTrue(line)
        folder = os.path.join(self.data, "topics", "__consumer_offsets-0")

        def size():
            return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)
                       if name.endswith(".log"))
        wait_for(lambda: size() < 60000, "a small log of offsets")
        self.server.kill()
        self.start("offsets.topic.num.partitions=1")
        out = subprocess.run([BINARY, "group", "describe", "readers", "--bootstrap-server",
                              f"127.0.0.1:{self.server.port}"], check=True, timeout=60,
                             stdout=subprocess.PIPE, text=True).stdout
        self.assertIn("1999", out)

    def test_old_offsets_topic_becomes_compacted(self):
        self.start()
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(catalogue.change(
            self.data, "update topic_setting set name='retention.ms', value='-1' "
                       "where name='cleanup.policy'"), 2)
        self.start()
        out = subprocess.run([BINARY, "topic", "describe", "__consumer_offsets",
                              "--bootstrap-server", f"127.0.0.1:{self.server.port}"], check=True,
                             timeout=60, stdout=subprocess.PIPE, text=True).stdout
        self.assertRegex(out, "cleanup.policy.*compact")
        self.assertNotIn("retention.ms=-1", out)

    def test_memory_for_keys_is_bounded(self):
        client = self.start("log.cleaner.dedupe.buffer.size=1048576",
                            "log.cleaner.io.max.bytes.per.second=1e12")
        self.assertEqual(client.create_topic("state", configs=[
            ("cleanup.policy", "compact"), ("segment.bytes", "1000000"),
            ("min.cleanable.dirty.ratio", "0.01")])[0], 0)
        for start in range(0, 120000, 2000):  # three times what the map holds
            records = [record(b"v", i, b"key-%d" % (start + i)) for i in range(2000)]
            self.assertEqual(client.produce("state", batch(records))[0], 0)
        lines = self.server.wait_log("log compacted")
        for line in lines:
            self.assertLessEqual(int(re.search(r"map_bytes=(\d+)", line).group(1)), 1048576)
        wait_for(lambda: self.cleaned_to() > 90000, "all")
        self.assertEqual(len(consume(self.server.port, "state")), 120000)


if __name__ == "__main__":
    unittest.main()
