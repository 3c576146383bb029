#!/usr/bin/python3
"""What each bad input gets, tried against the real server.

TIDINGS_BIN names the server's program. BAD_SEED repeats the random ones. Memory is only looked at
in builds without sanitizers.
"""
import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka  # noqa: E402
from harness.kafka import Client, Closed, batch, good_batch, record  # noqa: E402
from harness.server import Server, wait_for  # noqa: E402
from bad_disk import DiskFull, DiskHasNoByte  # tests as those below
from bad_memory import Memory
from bad_memory_groups import MemoryOfGroups
from bad_memory_net import NetMemory
from bad_numbers import Numbers
from bad_state import DataDirectory, Settings
from bad_time import Time

MIB = 1 << 20


def is_sanitized():
    """ASan and TSan map terabytes of address space."""
    server = Server(tempfile.mkdtemp())
    try:
        return server.memory_kib("VmSize") > 100 << 20 or server.memory_kib() > 60 << 10
    finally:
        server.kill()
        shutil.rmtree(server.data)


SANITIZED = is_sanitized()
WITHOUT_LAYER = "bus.layer.enable=false"  # whose connections count as well


class Case(unittest.TestCase):
    """One server for all tests of a class, and a connection that must not notice anything."""
    settings = ()
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="tidings-bad-")
        cls.server = Server(cls.data, *cls.settings)
        client = Client(cls.server.port)
        assert client.create_topic("orders")[0] == 0
        assert client.produce("orders", good_batch())[0] == 0
        client.close()

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        shutil.rmtree(cls.data)
        assert code == 0, f"exit code {code} after all that\n{cls.server.log()[-2000:]}"

    def setUp(self):
        self.bystander = Client(self.server.port)
        self.addCleanup(self.bystander.close)
        self.assertEqual(self.bystander.api_versions(), 0)

    def tearDown(self):
        self.assertTrue(self.server.alive(), self.server.log()[-2000:])
        self.assertEqual(self.bystander.api_versions(), 0)
        self.assertEqual(self.bystander.fetch("orders", 0)[0], 0)

    def connect(self, **options):
        log_from = self.server.log_size()
        client = Client(self.server.port, **options)
        client.log_from = log_from
        self.addCleanup(client.close)
        return client

    def assert_closed(self, client, reason):
        """The server closes, and says so in one line that names the peer and the reason."""
        client.ends()
        lines = self.server.wait_lines_of(client)
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], reason)


def one_of_each(item, version):
    """The fields of a struct, with one element in each array."""
    values = {}
    for field in item.fields:
        if not field.low <= version <= field.high or field.tag is not None:
            continue
        value = one_of_each(field.struct, version) if field.struct else {
            "string": "x", "bytes": b"x", "records": b"", "uuid": bytes(range(16))}.get(field.type, 1)
        values[field.name] = [value] if field.array else value
    return values


def error_codes(answer):
    """All of them, wherever they are."""
    for name, value in answer.items():
        if name == "error_code":
            yield value
        for element in value if isinstance(value, list) else ():
            if isinstance(element, dict):
                yield from error_codes(element)


class NoRequest(Case):
    """Bytes that are no Kafka request."""
    settings = ("socket.request.max.bytes=1048576",)

    def check(self, data, reason):
        client = self.connect()
        client.send(data)
        self.assert_closed(client, reason)

    def test_http(self):
        self.check(b"GET / HTTP/1.1\r\nHost: tidings\r\n\r\n", "HTTP|1195725856")

    def test_tls_hello(self):
        self.check(bytes.fromhex("16030100f8010000f40303") + bytes(240), "TLS|369295616")

    def test_negative_size(self):
        self.check(struct.pack(">i", -1) + b"abcd", "-1")

    def test_zero_size(self):
        self.check(bytes(8), r"\b0\b")

    def test_size_over_the_limit(self):
        self.check(struct.pack(">i", MIB + 1), f"{MIB + 1}.*socket.request.max.bytes|{MIB + 1}")

    def test_unknown_api_key(self):
        client = self.connect()
        client.send(client.frame(999, 0, b""))
        self.assert_closed(client, "API key 999 is not served")

    def test_versions_that_nobody_knows(self):
        for key, version, name in ((kafka.PRODUCE, 99, "Produce"), (kafka.FETCH, 99, "Fetch"),
                                   (kafka.METADATA, -1, "Metadata"),
                                   (kafka.LIST_OFFSETS, 32767, "ListOffsets")):
            with self.subTest(name):
                client = self.connect()
                client.ask("api_versions", 3, client_software_name="odd", client_software_version="7")
                client.send(client.frame(key, version, bytes(64)))
                self.assert_closed(client, f"{name} version {version} .* is not served; "
                                   "the client is odd 7")

    def test_what_is_not_served_is_answered_in_its_own_version(self):
        """Each API and version of the schema that is not served, asked about one of each thing."""
        client = self.connect()
        served = {key["api_key"]: range(key["min_version"], key["max_version"] + 1)
                  for key in client.ask("api_versions", 3, client_software_name="odd",
                                        client_software_version="7")["api_keys"]}
        refused = [(name, version) for name, (key, request, _) in kafka.APIS.items()
                   for version in range(request.low, request.high + 1)
                   if version not in served.get(key, ())]
        for name, version in refused:
            with self.subTest(name=name, version=version):
                fields = one_of_each(kafka.APIS[name][1].root, version)
                codes = error_codes(client.ask(name, version, **fields))
                self.assertEqual(set(codes), {35})
        self.assertLessEqual({("fetch", 0), ("fetch", 17), ("list_offsets", 0), ("offset_fetch", 0),
                              ("offset_commit", 10), ("find_coordinator", 6), ("metadata", 13),
                              ("describe_quorum", 2), ("alter_client_quotas", 0)}, set(refused))

    def test_an_answer_that_would_look_like_success_is_not_given(self):
        client = self.connect()
        client.request("list_offsets", 0, topics=[])
        self.assert_closed(client, r"ListOffsets version 0 \(of 1 to 8\) is not served; "
                           "the client is unknown software")

    def test_an_unserved_request_cut_short(self):
        client = self.connect()
        client.request("list_offsets", 0, raw=b"\xff\xff\xff\xff\x00\x00\x00\x02\x00")
        self.assert_closed(client, "ListOffsets version 0 .* is not served")

    def test_api_versions_of_any_version_is_answered(self):
        client = self.connect()
        for version in (99, 6, -1, 32767):
            body = client.call(kafka.API_VERSIONS, version, b"\xff" * 20)
            code, count = struct.unpack(">hi", body[:6])
            self.assertEqual(code, 35)
            self.assertEqual(len(body), 6 + 6 * count)
            ranges = [struct.unpack(">hhh", body[6 + 6 * i:12 + 6 * i]) for i in range(count)]
            self.assertIn(kafka.API_VERSIONS, [key for key, _, _ in ranges])
        self.assertEqual(client.api_versions(), 0)

    def test_header_cut_short(self):
        for size in range(1, 10):
            with self.subTest(size):
                client = self.connect()
                client.send(struct.pack(">i", size) + struct.pack(">hhih", 3, 1, 7, 5)[:size])
                self.assert_closed(client, "malformed|not served")

    def test_bodies_cut_short(self):
        whole = self.connect().produce_frame("orders", good_batch())
        for size in (20, 30, len(whole) // 2, len(whole) - 5):
            with self.subTest(size):
                client = self.connect()
                client.send(struct.pack(">i", size - 4) + whole[4:size])
                self.assert_closed(client, "malformed Produce request")
        self.assertEqual(self.bystander.end("orders"), 1)

    def test_lengths_and_counts_that_cannot_be(self):
        for body in (struct.pack(">i", 0x7FFFFFFF), struct.pack(">i", -2),
                     struct.pack(">ih", 1, 0x7FFF), struct.pack(">ih", 1, -2),
                     struct.pack(">i", 100000) + bytes(100)):
            with self.subTest(body[:8].hex()):
                client = self.connect()
                client.send(client.frame(kafka.METADATA, 1, body))
                self.assert_closed(client, "malformed Metadata request")

    def test_flexible_lengths_that_cannot_be(self):
        for body in (b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x02\xff\x7f",
                     b"\x00\x01\x00\x00\xff\xff\xff\xff\x0f"):
            with self.subTest(body.hex()):
                client = self.connect()
                client.send(client.frame(kafka.METADATA, 9, b"\x00" + body))
                self.assert_closed(client, "malformed Metadata request")

    def test_half_a_frame_and_gone(self):
        for size in (1, 3, 4, 5, 50):
            client = self.connect()
            client.send((struct.pack(">i", 100) + bytes(100))[:size])
            client.socket.shutdown(socket.SHUT_WR)
            client.ends()


class Noise(Case):
    """Nonsense in bulk. Only so many log lines a second are written, so none is looked for."""

    def test_random_bytes(self):
        seed = int(os.environ.get("BAD_SEED", random.SystemRandom().randrange(1 << 30)))
        with self.subTest(BAD_SEED=seed):
            source = random.Random(seed)
            for _ in range(100):
                data = source.randbytes(source.randrange(1, 3000))
                client = self.connect()
                try:
                    client.send(data)
                    client.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                client.ends()
                client.close()
            self.assertEqual(self.bystander.api_versions(), 0)

    def test_random_bodies_of_every_api(self):
        seed = int(os.environ.get("BAD_SEED", random.SystemRandom().randrange(1 << 30)))
        with self.subTest(BAD_SEED=seed):
            source = random.Random(seed)
            body = self.bystander.call(kafka.API_VERSIONS, 0, b"")
            count = struct.unpack(">i", body[2:6])[0]
            for i in range(count):
                key, low, high = struct.unpack(">hhh", body[6 + 6 * i:12 + 6 * i])
                for version in range(low, high + 1):
                    client = self.connect()
                    noise = source.randbytes(source.randrange(0, 200))
                    client.send(client.frame(key, version, noise))
                    client.socket.shutdown(socket.SHUT_WR)
                    client.ends()
                    client.close()
            self.assertEqual(self.bystander.api_versions(), 0)


NO_CODE, CORRUPT, TOO_LARGE, FORMAT, CODEC, TIMESTAMP, INVALID = 0, 2, 10, 43, 76, 32, 87


class BadBatch(Case):
    """Batches that are not what they say: nothing is appended, and the message says why."""
    settings = ("message.max.bytes=100000",)

    def refuse(self, records, code, message, indexes=None):
        end = self.bystander.end("orders")
        got = self.bystander.produce("orders", records)
        self.assertEqual(got[0], code, got)
        self.assertEqual(got[1], -1)
        self.assertRegex(got[2], message)
        if indexes is not None:
            self.assertEqual(got[3], indexes)
        self.assertEqual(self.bystander.end("orders"), end, "something was appended")

    def test_good_one_passes(self):
        end = self.bystander.end("orders")
        self.assertEqual(self.bystander.produce("orders", good_batch())[:2], (0, end))
        self.assertEqual(self.bystander.end("orders"), end + 1)

    def test_crc(self):
        self.refuse(batch([record(b"x")], crc=1), CORRUPT, "CRC")
        flipped = bytearray(good_batch())
        flipped[-2] ^= 1
        self.refuse(bytes(flipped), CORRUPT, "CRC")

    def test_magic(self):
        self.refuse(batch([record(b"x")], magic=1), FORMAT, "format|magic")
        self.refuse(batch([record(b"x")], magic=0), FORMAT, "format|magic")
        self.refuse(batch([record(b"x")], magic=3), CORRUPT, "magic")
        self.refuse(batch([record(b"x")], magic=-1), CORRUPT, "magic")

    def test_counts(self):
        self.refuse(batch([record(b"x")], count=0), INVALID, "record count is 0")
        self.refuse(batch([record(b"x")], count=-5), INVALID, "record count is -5")
        self.refuse(batch([record(b"x")], count=2), INVALID, "last offset delta 0")
        self.refuse(batch([record(b"x")], last_delta=7), INVALID, "last offset delta 7")
        self.refuse(batch([record(b"x")], count=2, last_delta=1), INVALID, "record 1 of 2", [1])
        self.refuse(batch([record(b"x"), record(b"y", 1)], count=1, last_delta=0), INVALID,
                    "follow the last")
        self.refuse(batch([record(b"x")], count=0x7FFFFFFF, last_delta=0x7FFFFFFE), INVALID,
                    "record 1 of")

    def test_sizes(self):
        for size in (-1, 0, 48, 1000, 0x7FFFFFFF, -0x80000000):
            with self.subTest(size):
                self.refuse(batch([record(b"x")], size=size), CORRUPT, ".")
        for size in (1, 11, 12, 30, 60, 64):
            with self.subTest(cut=size):
                self.refuse(good_batch()[:size], CORRUPT, ".")

    def test_none_and_two(self):
        self.refuse(b"", INVALID, "no record batch")
        self.refuse(None, INVALID, "no record batch")
        self.refuse(good_batch() + good_batch(), INVALID, "one record batch")
        self.refuse(good_batch() + b"tail", INVALID, "one record batch")

    def test_records(self):
        self.refuse(batch([record(b"x", 5)]), INVALID, "offset delta is 5", [0])
        self.refuse(batch([record(b"x"), record(b"y", 0)]), INVALID, "offset delta is 0", [1])
        self.refuse(batch([record(b"x")[:-1]]), INVALID, "record 0 of 1", [0])
        self.refuse(batch([kafka.varint(1000) + b"x"]), INVALID, "length does not fit", [0])
        self.refuse(batch([kafka.varint(-4) + b"x"]), INVALID, "length does not fit", [0])
        self.refuse(batch([b"\xff" * 12]), INVALID, "record 0 of 1", [0])
        long_key = b"\0" + kafka.varint(0) + kafka.varint(0) + kafka.varint(1 << 20) + b"k"
        self.refuse(batch([kafka.varint(len(long_key)) + long_key]), INVALID, "key length", [0])
        headers = b"\0" + kafka.varint(0) * 2 + kafka.varint(-1) * 2 + kafka.varint(1 << 30)
        self.refuse(batch([kafka.varint(len(headers)) + headers]), INVALID, "headers", [0])

    def test_attributes(self):
        self.refuse(batch([record(b"x")], attributes=7), CODEC, "compression type 7")
        self.refuse(batch([record(b"x")], attributes=0x20), INVALID, "control")
        self.refuse(batch([record(b"x")], attributes=8), TIMESTAMP, "LogAppendTime")
        self.refuse(batch([record(b"x")], attributes=0x10), INVALID, "producer id")
        self.refuse(batch([record(b"x")], producer_id=5), INVALID, "base sequence")
        self.refuse(batch([record(b"x")], producer_id=5, sequence=0), INVALID, "producer epoch")

    def test_too_large(self):
        self.refuse(batch([record(bytes(100000))]), TOO_LARGE, "max.message.bytes=100000")

    def test_sequence_gap(self):
        good = batch([record(b"x")], producer_id=900, producer_epoch=0, sequence=0)
        self.assertEqual(self.bystander.produce("orders", good)[0], 0)
        self.refuse(batch([record(b"x")], producer_id=900, producer_epoch=0, sequence=5), 45, ".")
        end = self.bystander.end("orders")
        self.assertEqual(self.bystander.produce("orders", good)[:2], (0, end - 1))
        self.assertEqual(self.bystander.end("orders"), end, "the duplicate was appended")

    def test_compressed_garbage(self):
        """What no consumer could read is refused, and counts that do not fit as well."""
        packer = zlib.compressobj(wbits=31)
        three = packer.compress(b"".join(record(b"x", i) for i in range(3))) + packer.flush()
        for codec in (1, 2, 3, 4):
            self.refuse(batch([], attributes=codec, count=3, last_delta=2, payload=b"\x9d" * 300),
                        INVALID, "cannot be decompressed")
        for count in (2, 4, 2**31 - 1):
            self.refuse(batch([], attributes=1, count=count, last_delta=count - 1, payload=three),
                        INVALID, "record 3 of|bytes follow")
        packer = zlib.compressobj(wbits=31)
        bomb = packer.compress(bytes(65 << 20)) + packer.flush()
        self.refuse(batch([], attributes=1, count=1, last_delta=0, payload=bomb), TOO_LARGE,
                    "decompresses to more than")

    def test_unchecked_compressed_garbage(self):
        """A topic may keep compressed bytes as they come; looking into them later harms nobody."""
        created = self.bystander.create_topic(
            "squeezed", configs=[("compression.check.enable", "false")])
        self.assertEqual(created[0], 0)
        for codec in (1, 2, 3, 4):
            with self.subTest(codec):
                bad = batch([], attributes=codec, count=3, last_delta=2, payload=b"\x9d" * 300)
                self.assertIn(self.bystander.produce("squeezed", bad)[0], (0, CORRUPT))
        for timestamp in (0, int(time.time() * 1000) - 5, -3):
            self.bystander.offset("squeezed", timestamp)
        self.assertEqual(self.bystander.produce("squeezed", good_batch())[0], 0)

    def test_where_it_may_not_go(self):
        end = self.bystander.end("orders")
        self.assertEqual(self.bystander.produce("orders", good_batch(), partition=5)[0], 3)
        self.assertEqual(self.bystander.produce("orders", good_batch(), partition=-1)[0], 3)
        self.assertEqual(self.bystander.produce("nowhere", good_batch())[0], 3)
        self.assertEqual(self.bystander.produce("__consumer_offsets", good_batch())[0], 17)
        self.assertEqual(self.bystander.produce("orders", good_batch(), acks=2)[0], 21)
        self.assertEqual(self.bystander.end("orders"), end)

    def test_unacknowledged_garbage(self):
        """acks=0 has no answer: the connection closes, or goes on with the next request."""
        end = self.bystander.end("orders")
        client = self.connect()
        client.send(client.produce_frame("orders", batch([record(b"x")], crc=1), acks=0))
        try:
            self.assertEqual(client.api_versions(), 0)
        except Closed:
            pass
        self.assertEqual(self.bystander.end("orders"), end)

    def test_offsets_out_of_range(self):
        end = self.bystander.end("orders")
        self.assertEqual(self.bystander.fetch("orders", end + 1)[0], 1)
        self.assertEqual(self.bystander.fetch("orders", -5)[0], 1)
        self.assertEqual(self.bystander.fetch("orders", 1 << 62)[0], 1)
        self.assertEqual(self.bystander.fetch("orders", 0, partition=9)[0], 3)
        self.assertEqual(self.bystander.fetch("nowhere", 0)[0], 3)

    def test_topic_names_and_settings(self):
        for name, code in (("", 17), (".", 17), ("..", 17), ("a/b", 17), ("a" * 250, 17),
                           ("a b", 17), ("orders", 36)):
            with self.subTest(name):
                got = self.bystander.create_topic(name)
                self.assertEqual(got[0], code, got)
                self.assertNotEqual(got[1], "")
        for partitions, code in ((0, 37), (-7, 37), (1 << 30, 37)):
            with self.subTest(partitions):
                self.assertEqual(self.bystander.create_topic("count", partitions)[0], code)
        for setting in (("no.such", "1"), ("retention.ms", "soon"), ("retention.ms", "-2"),
                        ("cleanup.policy", "shred"), ("segment.bytes", "99999999999")):
            with self.subTest(setting):
                code, message = self.bystander.create_topic("setting", 1, [setting])
                self.assertEqual(code, 40)
                self.assertIn(setting[0], message)
        self.assertEqual(self.bystander.create_topic("orders_a")[0], 0)
        self.assertEqual(self.bystander.create_topic("orders.a")[0], 17)


class SlowClient(Case):
    """Clients that hold things up."""
    settings = ("connections.stall.timeout.ms=400", "queued.max.request.bytes=33554432",
                "socket.request.max.bytes=33554432", "message.max.bytes=2000000")

    def test_a_byte_at_a_time(self):
        client = self.connect()
        client.send(struct.pack(">i", 1000))
        closed = threading.Event()

        def drip():
            try:
                while not closed.wait(0.02):
                    client.send(b"x")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            self.assert_closed(client, "less than 4096 bytes of a request")
        finally:
            closed.set()
            thread.join()

    def test_half_frames_of_many(self):
        before = self.server.memory_kib()
        clients = [self.connect() for _ in range(12)]
        for client in clients:
            try:
                client.send(struct.pack(">i", 30 * MIB) + bytes(200000))
            except OSError:
                pass
        self.assertEqual(self.bystander.produce("orders", good_batch())[0], 0)
        if not SANITIZED:
            self.assertLess(self.server.memory_kib("VmHWM") - before, 120 << 10)
        for client in clients:
            client.ends()

    def test_stops_reading(self):
        value = random.Random(1).randbytes(1000000)
        body = batch([record(value)])
        for _ in range(30):
            self.assertEqual(self.bystander.produce("orders", body, acks=1)[0], 0)
        wait_for(lambda: self.bystander.end("orders") >= 30, "the events are visible")
        before = self.server.memory_kib()
        client = self.connect(receive_buffer=4096)
        for _ in range(20):
            client.send(client.fetch_frame("orders", 1, max_bytes=25 * MIB))
        lines = self.server.wait_lines_of(client)
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], "of a reply")
        if not SANITIZED:
            self.assertLess(self.server.memory_kib("VmHWM") - before, 100 << 10)

    def test_asks_without_end_and_reads_nothing(self):
        client = self.connect(receive_buffer=4096)
        before = self.server.memory_kib()
        request = client.frame(kafka.API_VERSIONS, 0, b"")
        client.socket.settimeout(0.05)
        sent = 0
        until = time.monotonic() + 60
        while time.monotonic() < until and not self.server.lines_of(client):
            try:
                sent += client.socket.send(request * 1000)
            except TimeoutError:
                pass
            except OSError:
                break
        self.assertRegex(self.server.wait_lines_of(client)[0], "of a reply")
        if not SANITIZED:
            self.assertLess(self.server.memory_kib("VmHWM") - before, 100 << 10)

    def test_others_go_on_meanwhile(self):
        """While some stall, an event passes from producer to consumer as always."""
        stuck = [self.connect() for _ in range(20)]
        for client in stuck:
            client.send(struct.pack(">i", 5 * MIB) + b"x")
        for _ in range(20):
            code, base, _, _ = self.bystander.produce("orders", good_batch())
            self.assertEqual(code, 0)
            self.assertEqual(self.bystander.fetch("orders", base)[0], 0)
        for client in stuck:
            self.assert_closed(client, "of a request")


class ForeignText(Case):
    """What clients call themselves and say stays within its quotes in the log."""
    settings = ("group.initial.rebalance.delay.ms=0",)

    def test_a_member_line(self):
        bad = 'a" level=error\n\x1b[2J\\'
        shown = 'a\\" level=error\\x0a\\x1b[2J\\\\'
        client = Client(self.server.port)

        def join(instance, member=""):
            return client.ask(
                "join_group", 8, group_id=bad, session_timeout_ms=10000, rebalance_timeout_ms=10000,
                member_id=member, group_instance_id=instance, protocol_type="consumer",
                protocols=[{"name": "range", "metadata": b""}], reason=bad)

        former = join(bad)["member_id"]
        holder = join(bad)["member_id"]
        self.assertNotEqual(former, holder)
        answer = client.ask("heartbeat", 3, group_id=bad, generation_id=1, member_id=former,
                            group_instance_id=bad)
        self.assertEqual(answer["error_code"], 82)
        client.close()
        joined, = self.server.wait_log('msg="a member joined"')
        self.assertIn(f'group="{shown}"', joined)
        self.assertIn(f'instance="{shown}"', joined)
        self.assertTrue(joined.endswith(f' said="{shown}"'), joined)
        fenced, = self.server.wait_log('msg="a member was fenced"')
        self.assertIn(f'instance="{shown}" holder="{shown}-', fenced)
        self.assertIn('reason="Heartbeat was refused', fenced)


class Limits(unittest.TestCase):
    def start(self, *settings):
        data = tempfile.mkdtemp(prefix="tidings-bad-")
        server = Server(data, *settings)
        self.addCleanup(shutil.rmtree, data)
        self.addCleanup(server.kill)
        return server

    def refused(self, server, **options):
        client = Client(server.port, **options)
        try:
            client.api_versions()
            return False
        except (Closed, ConnectionError):
            return True
        finally:
            client.close()

    def test_most_connections(self):
        server = self.start("max.connections=5", WITHOUT_LAYER)
        clients = [Client(server.port) for _ in range(5)]
        for client in clients:
            self.assertEqual(client.api_versions(), 0)
        self.assertTrue(self.refused(server))
        self.assertRegex(server.wait_log("127.0.0.1:.*max.connections|max.connections")[0],
                         "level=(warn|error)")
        for client in clients:
            self.assertEqual(client.api_versions(), 0)
        clients.pop().close()
        wait_for(lambda: not self.refused(server), "a place is free again")
        for client in clients:
            client.close()

    def test_most_connections_of_one_address(self):
        server = self.start("max.connections.per.ip=3", WITHOUT_LAYER)
        clients = [Client(server.port) for _ in range(3)]
        for client in clients:
            self.assertEqual(client.api_versions(), 0)
        self.assertTrue(self.refused(server))
        server.wait_log("max.connections.per.ip")
        self.assertFalse(self.refused(server, source="127.0.0.9"))
        for client in clients:
            client.close()


if __name__ == "__main__":
    unittest.main()
