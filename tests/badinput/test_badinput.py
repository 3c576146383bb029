#!/usr/bin/python3
"""What each bad input gets, tried against the real server.

TIDINGS_BIN names the server's program. BAD_SEED repeats the random ones. Memory is only looked at
in builds without sanitizers.
"""
import os
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import kafka
from kafka import Client, Closed, batch, good_batch, record
from server import Server, run_to_end, wait_for

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
        client = Client(self.server.port, **options)
        self.addCleanup(client.close)
        return client

    def assert_closed(self, client, reason):
        """The server closes, and says so in one line that names the peer and the reason."""
        client.ends()
        lines = self.server.wait_log(f"peer={client.address} ")
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], reason)


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

    def test_versions_not_served(self):
        for key, version, name in ((kafka.PRODUCE, 99, "Produce"), (kafka.FETCH, 0, "Fetch"),
                                   (kafka.METADATA, -1, "Metadata"),
                                   (kafka.LIST_OFFSETS, 32767, "ListOffsets")):
            with self.subTest(name):
                client = self.connect()
                client.send(client.frame(key, version, bytes(64)))
                self.assert_closed(client, f"{name} version {version} is not served")

    def test_api_versions_of_any_version_is_answered(self):
        client = self.connect()
        for version in (99, 5, -1, 32767):
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
        """Compressed bytes are kept as they come; looking into them later harms nobody."""
        self.assertEqual(self.bystander.create_topic("squeezed")[0], 0)
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
            client.send(client.frame(kafka.FETCH, 4,
                                     client.fetch_body("orders", 1, max_bytes=25 * MIB)))
        lines = self.server.wait_log(f"peer={client.address} ")
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
        while time.monotonic() < until and not self.server.log_lines(f"peer={client.address} "):
            try:
                sent += client.socket.send(request * 1000)
            except TimeoutError:
                pass
            except OSError:
                break
        self.assertRegex(self.server.wait_log(f"peer={client.address} ")[0], "of a reply")
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
        server = self.start("max.connections=5")
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
        server = self.start("max.connections.per.ip=3")
        clients = [Client(server.port) for _ in range(3)]
        for client in clients:
            self.assertEqual(client.api_versions(), 0)
        self.assertTrue(self.refused(server))
        server.wait_log("max.connections.per.ip")
        self.assertFalse(self.refused(server, source="127.0.0.9"))
        for client in clients:
            client.close()


class DataDirectory(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(shutil.rmtree, self.data)

    def start(self, *settings):
        server = Server(self.data, *settings)
        self.addCleanup(lambda: server.alive() and server.kill())
        return server

    def fill(self, count=20, partitions=1):
        """A stopped server's directory with some events."""
        server = self.start()
        client = Client(server.port)
        self.assertEqual(client.create_topic("orders", partitions)[0], 0)
        for i in range(count):
            self.assertEqual(client.produce("orders", good_batch(b"event %04d" % i))[0], 0)
        client.close()
        self.assertEqual(server.stop(), 0)

    def refuse(self, code, message):
        got, text, seconds = run_to_end("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertEqual(got, code, text)
        self.assertRegex(text, message)
        self.assertNotIn("ready listen", text)
        return seconds

    def test_second_server(self):
        server = self.start()
        seconds = self.refuse(5, f"process {server.process.pid}.*--data")
        self.assertLess(seconds, 20)
        client = Client(server.port)
        self.assertEqual(client.create_topic("still")[0], 0)
        client.close()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.start().stop(), 0)

    def test_newer_format(self):
        self.fill()
        db = sqlite3.connect(self.data + "/tidings.db")
        db.execute("UPDATE meta SET value='999' WHERE name='format'")
        db.commit()
        db.close()
        self.refuse(1, "format 999.*newer")
        for junk in ("0", "-1", "", "abc"):
            db = sqlite3.connect(self.data + "/tidings.db")
            db.execute("UPDATE meta SET value=? WHERE name='format'", (junk,))
            db.commit()
            db.close()
            self.refuse(1, "format")

    def test_catalogue_is_no_database(self):
        self.fill()
        with open(self.data + "/tidings.db", "r+b") as file:
            file.write(b"this is no database " * 300)
        for extra in ("-wal", "-shm"):
            if os.path.exists(self.data + "/tidings.db" + extra):
                os.remove(self.data + "/tidings.db" + extra)
        self.refuse(1, "tidings.db")
        self.assertTrue(os.path.exists(self.data + "/topics/orders-0"))

    def test_catalogue_damaged_inside(self):
        self.fill()
        db = sqlite3.connect(self.data + "/tidings.db")
        db.execute("UPDATE topic SET name='../../etc', partitions=1 WHERE name='orders'")
        db.commit()
        db.close()
        self.refuse(1, "damaged")

    def test_checkpoint_damaged(self):
        for damage in (b"", b"x", b"TDCP", os.urandom(200), b"TDCP" + bytes(300)):
            with self.subTest(damage[:8]):
                shutil.rmtree(self.data)
                os.mkdir(self.data)
                self.fill()
                with open(self.data + "/checkpoint", "wb") as file:
                    file.write(damage)
                server = self.start()
                self.assertTrue(server.log_lines("checkpoint is damaged.*checkpoint"))
                self.check_events(server, 20)
                self.assertEqual(server.stop(), 0)

    def test_checkpoint_bit_by_bit(self):
        """No single flipped byte of it costs an event."""
        self.fill(5)
        with open(self.data + "/checkpoint", "rb") as file:
            good = file.read()
        for at in sorted(random.Random(3).sample(range(len(good)), min(25, len(good)))):
            with self.subTest(at):
                with open(self.data + "/checkpoint", "wb") as file:
                    file.write(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1:])
                server = self.start()
                self.check_events(server, 5)
                server.kill()

    def check_events(self, server, count):
        client = Client(server.port)
        code, end, data = client.fetch("orders", 0)
        client.close()
        self.assertEqual((code, end), (0, count))
        self.assertEqual([base for base, _, fits in kafka.batches(data) if fits],
                         list(range(count)))

    def segment(self):
        return self.data + "/topics/orders-0/" + "0" * 20 + ".log"

    def damage_batch(self, number, at):
        """Flips a bit in one batch of the segment; all are of one size."""
        size = os.path.getsize(self.segment()) // 20
        with open(self.segment(), "r+b") as file:
            file.seek(number * size + at)
            byte = file.read(1)[0]
            file.seek(number * size + at)
            file.write(bytes([byte ^ 1]))
        return number * size

    def check_damage(self, server, position):
        lines = server.log_lines("damaged")
        self.assertTrue([line for line in lines if "orders-0/" in line and
                         f"position={position}" in line], lines)
        client = Client(server.port)
        self.assertEqual(client.fetch("orders", 7)[0], 2)
        code, _, data = client.fetch("orders", 0)
        self.assertEqual(code, 0)
        self.assertEqual([base for base, _, fits in kafka.batches(data) if fits],
                         list(range(7)))
        code, end, data = client.fetch("orders", 8)
        self.assertEqual((code, end), (0, 20))
        self.assertEqual([base for base, _, fits in kafka.batches(data) if fits],
                         list(range(8, 20)))
        self.assertEqual(client.produce("orders", good_batch())[:2], (0, 20))
        client.close()

    def test_flipped_bit_found_at_start(self):
        for at, what in ((70, "value"), (10, "length"), (18, "crc"), (16, "magic")):
            with self.subTest(what):
                shutil.rmtree(self.data)
                os.mkdir(self.data)
                self.fill()
                os.remove(self.data + "/checkpoint")
                position = self.damage_batch(7, at)
                server = self.start()
                self.check_damage(server, position)
                server.kill()
                again = self.start()
                client = Client(again.port)
                self.assertEqual(client.fetch("orders", 7)[0], 2)
                self.assertEqual(client.fetch("orders", 8)[1], 21)
                client.close()
                again.kill()

    def test_flipped_bit_found_by_a_read(self):
        """A clean start reads no batches: the first fetch finds what rotted since."""
        for at, what in ((70, "value"), (10, "length"), (18, "crc"), (16, "magic"),
                         (7, "base offset")):
            for first in (0, 7, 15):
                with self.subTest((what, first)):
                    shutil.rmtree(self.data)
                    os.mkdir(self.data)
                    self.fill()
                    position = self.damage_batch(7, at)
                    server = self.start()
                    self.assertEqual(server.log_lines("damaged bytes"), [])
                    client = Client(server.port)
                    code, _, data = client.fetch("orders", first)
                    client.close()
                    self.assertEqual(code, 2 if first == 7 else 0)
                    expected = {0: range(7), 7: [], 15: range(15, 20)}[first]
                    self.assertEqual([base for base, _, fits in kafka.batches(data) if fits],
                                     list(expected))
                    if first == 15:
                        other = Client(server.port)
                        other.fetch("orders", 0)
                        other.close()
                    self.check_damage(server, position)
                    server.kill()

    def test_segment_lost(self):
        self.fill()
        os.remove(self.segment())
        server = self.start()
        self.assertTrue(server.log_lines("level=(warn|error).*orders-0"), server.log())
        client = Client(server.port)
        code, base, _, _ = client.produce("orders", good_batch())
        client.close()
        self.assertEqual((code, base), (0, 20), "an offset was used twice")
        server.kill()

    def test_index_garbage(self):
        self.fill(20)
        for suffix in (".index", ".timeindex"):
            with open(self.segment()[:-4] + suffix, "wb") as file:
                file.write(os.urandom(400))
        server = self.start()
        self.check_events(server, 20)
        self.assertEqual(server.stop(), 0)

    def test_directory_that_cannot_be(self):
        path = self.data + "/file"
        with open(path, "w", encoding="ascii"):
            pass
        for data in (path, path + "/below", "/proc/tidings"):
            with self.subTest(data):
                code, text, _ = run_to_end("--data", data, "--listen", "127.0.0.1:0")
                self.assertEqual(code, 1, text)
                self.assertIn(data, text)

    def test_read_only(self):
        if os.geteuid() != 0 or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", self.data], check=False,
                capture_output=True).returncode != 0:
            self.skipTest("a read-only file system needs root")
        try:
            self.refuse(1, "[Rr]ead-only")
        finally:
            subprocess.run(["umount", self.data], check=True)


class Settings(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(shutil.rmtree, self.data)

    def refuse(self, code, message, *arguments):
        got, text, _ = run_to_end("--data", self.data, *arguments)
        self.assertEqual(got, code, text)
        self.assertRegex(text, message)
        self.assertEqual(os.listdir(self.data), [], "a refused start left something behind")

    def test_settings(self):
        for setting, message in (("no.such.setting=1", "no.such.setting"),
                                 ("num.partitions=many", "num.partitions"),
                                 ("num.partitions=0", "num.partitions"),
                                 ("num.partitions=", "num.partitions"),
                                 ("log.segment.bytes=99999999999999999999", "log.segment.bytes"),
                                 ("log.level=loud", "log.level.*debug"),
                                 ("log.cleanup.policy=shred", "log.cleanup.policy"),
                                 ("auto.create.topics.enable=perhaps", "auto.create"),
                                 ("connections.stall.timeout.ms=1", "connections.stall"),
                                 ("nonsense", "NAME=VALUE")):
            with self.subTest(setting):
                self.refuse(2, message, "--listen", "127.0.0.1:0", "--set", setting)

    def test_addresses(self):
        for address, message in (("nowhere", "nowhere"), ("127.0.0.1:", "127.0.0.1:"),
                                 ("127.0.0.1:99999", "99999"), ("127.0.0.1:x", "127.0.0.1:x"),
                                 ("SSL://127.0.0.1:0", "PLAINTEXT"), ("", "listen")):
            with self.subTest(address):
                self.refuse(2, message, "--listen", address)
        self.refuse(2, "advertised.listeners", "--listen", "127.0.0.1:0", "--set",
                    "advertised.listeners=a:1,b:2")

    def test_port_in_use(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            code, text, _ = run_to_end("--data", self.data, "--listen", f"127.0.0.1:{port}")
        self.assertEqual(code, 1, text)
        self.assertRegex(text, f"127.0.0.1:{port}.*in use")

    def test_host_unknown(self):
        code, text, _ = run_to_end("--data", self.data, "--listen", "no-such-host.invalid:0")
        self.assertEqual(code, 1, text)
        self.assertIn("no-such-host.invalid", text)

    def test_file(self):
        path = self.data + ".conf"
        self.addCleanup(os.remove, path)
        for text, message in (("num.partitions=3\nno equals sign\n", "2"),
                              ("no.such=1\n", "no.such"), ("=5\n", "1")):
            with self.subTest(text):
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
                self.refuse(2, message, "--listen", "127.0.0.1:0", "--config", path)
        self.refuse(2, "missing.conf", "--config", self.data + "/missing.conf")


class DiskFull(unittest.TestCase):
    """Producers are told, consumers read on, and with room it goes on without a restart."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(os.rmdir, self.data)
        if os.geteuid() != 0 or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", self.data], check=False,
                capture_output=True).returncode != 0:
            self.skipTest("a small file system needs root")
        self.addCleanup(subprocess.run, ["umount", self.data], check=True)

    def fill(self, client):
        """Produces until it is refused; how many were acknowledged."""
        body = batch([record(random.Random(2).randbytes(100000))])
        count = 0
        while True:
            code, base, message, _ = client.produce("orders", body)
            if code != 0:
                self.assertEqual(code, 56, message)
                self.assertRegex(message, "space|full")
                return count
            self.assertEqual(base, count)
            count += 1
            self.assertLess(count, 1000, "48 MiB hold no 100 MB")

    def check_all(self, client, count):
        offset = 0
        while offset < count:
            code, end, data = client.fetch("orders", offset, 8 * MIB)
            self.assertEqual((code, end >= count), (0, True))
            found = list(kafka.batches(data, check=False))
            self.assertTrue(found)
            for base, last, _ in found:
                self.assertEqual(base, offset)
                offset = last + 1

    def test_full_and_free_again(self):
        with open(self.data + "/ballast", "wb") as file:
            file.write(bytes(16 * MIB))
        server = Server(self.data, "log.segment.bytes=4194304")
        self.addCleanup(lambda: server.alive() and server.kill())
        client = Client(server.port)
        self.addCleanup(client.close)
        self.assertEqual(client.create_topic("orders")[0], 0)
        self.assertEqual(client.commit("billing", "orders", 1), 0)
        count = self.fill(client)
        self.assertGreater(count, 50)
        lines = server.log_lines("level=error.*(full|space)")
        self.assertTrue(lines, server.log()[-2000:])
        self.check_all(client, count)
        while client.produce("orders", good_batch(bytes(50000)))[0] == 0:
            count += 1  # room that an upkeep freed meanwhile
            self.assertLess(count, 1000, "48 MiB hold no 50 MB")
        tried = client.create_topic("later", 4)[0]
        self.assertIn(tried, (0, 56))
        self.assertIn(client.commit("billing", "orders", 2), (0, 14, 15, 16, -1, 56))

        os.remove(self.data + "/ballast")
        wait_for(lambda: client.produce("orders", good_batch())[0] == 0, "writes go on")
        end = client.end("orders")
        self.assertEqual(end, count + 1)
        self.check_all(client, end)
        if tried != 0:
            wait_for(lambda: client.create_topic("later", 4) == (0, ""), "the topic can be made")
        self.assertEqual(client.produce("later", good_batch())[0], 0)
        wait_for(lambda: client.commit("billing", "orders", 3) == 0, "commits go on")

        server.kill()
        again = Server(self.data, "log.segment.bytes=4194304")
        self.addCleanup(lambda: again.alive() and again.kill())
        client = Client(again.port)
        self.assertEqual(client.end("orders"), end)
        self.check_all(client, end)
        client.close()
        self.assertEqual(again.stop(), 0)

    def test_start_and_stop_when_full(self):
        server = Server(self.data)
        client = Client(server.port)
        self.assertEqual(client.create_topic("orders")[0], 0)
        count = self.fill(client)
        with open(self.data + "/ballast", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        client.close()
        server.kill()
        again = Server(self.data)
        self.addCleanup(lambda: again.alive() and again.kill())
        client = Client(again.port)
        self.check_all(client, count)
        self.assertEqual(client.produce("orders", good_batch(bytes(50000)))[0], 56)
        os.remove(self.data + "/ballast")
        client.close()
        self.assertEqual(again.stop(), 0)


if __name__ == "__main__":
    unittest.main()
