"""What is wrong around the server: its data directory, its settings. Run by test_badinput.py."""
import os
import random
import shutil
import socket
import subprocess
import tempfile
import unittest

from harness import catalogue, kafka
from harness.kafka import Client, batch, good_batch
from harness.server import Server, run_to_end


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
        catalogue.change(self.data, "UPDATE meta SET value='999' WHERE name='format'")
        self.refuse(1, "format 999.*newer")
        for junk in ("0", "-1", "", "abc"):
            catalogue.change(self.data, "UPDATE meta SET value=? WHERE name='format'", junk)
            self.refuse(1, "format")

    def test_catalogue_is_no_database(self):
        """The copy takes its place; without one the start is refused, and changes nothing."""
        self.fill()
        self.spoil("tidings.db")
        server = self.start()
        self.assertTrue(server.log_lines("catalogue was damaged and is taken from its copy"))
        self.check_events(server, 20)
        self.assertEqual(server.stop(), 0)
        self.spoil("tidings.db")
        self.spoil("tidings-copy.db")
        for _ in range(2):
            names = sorted(os.listdir(self.data))
            self.refuse(1, "restore a backup.*tidings.db")
            self.assertEqual(sorted(os.listdir(self.data)), names)
            self.assertTrue(os.path.exists(self.data + "/topics/orders-0"))

    def spoil(self, name):
        with open(os.path.join(self.data, name), "r+b") as file:
            file.write(b"this is no database " * 300)
        for extra in ("-wal", "-shm"):
            if os.path.exists(os.path.join(self.data, name + extra)):
                os.remove(os.path.join(self.data, name + extra))

    def test_catalogue_damaged_inside(self):
        self.fill()
        catalogue.change(self.data, "UPDATE topic SET name='../../etc', partitions=1"
                                    " WHERE name='orders'")
        self.refuse(1, "damaged")

    def test_flipped_marks_remove_nothing(self):
        """Of a deletion, of a retention: the copy has what it was; alone, the start is refused."""
        for sql in ("UPDATE topic SET deleting = 1 WHERE name = 'orders'",
                    "UPDATE topic_setting SET value = '1' WHERE name = 'segment.bytes'",
                    "DELETE FROM topic_setting WHERE name = 'segment.bytes'",
                    "DELETE FROM topic WHERE name = 'orders'"):
            with self.subTest(sql):
                shutil.rmtree(self.data)
                os.mkdir(self.data)
                self.fill()
                db = catalogue.connect(self.data)
                self.assertGreater(db.execute(sql).rowcount, 0)
                db.commit()
                db.close()
                with open(self.data + "/tidings.db", "rb") as file:
                    bad = file.read()
                server = self.start()
                self.assertTrue(server.log_lines("taken from its copy"))
                self.check_events(server, 20)
                server.kill()
                catalogue.forget_copy(self.data)
                for extra in ("-wal", "-shm"):
                    if os.path.exists(self.data + "/tidings.db" + extra):
                        os.remove(self.data + "/tidings.db" + extra)
                with open(self.data + "/tidings.db", "wb") as file:
                    file.write(bad)
                self.refuse(1, "restore a backup")
                self.assertTrue(os.path.exists(self.segment()))

    def test_checkpoint_damaged(self):
        for damage in (b"", b"x", b"TDCP", os.urandom(200), b"TDCP" + bytes(300)):
            with self.subTest(damage[:8]):
                shutil.rmtree(self.data)
                os.mkdir(self.data)
                self.fill()
                with open(self.data + "/checkpoint", "wb") as file:
                    file.write(damage)
                server = self.start()
                self.assertTrue(server.log_lines("damaged; its copy is taken"))
                self.check_events(server, 20)
                server.kill()
                for name in "checkpoint", "checkpoint-copy":
                    with open(f"{self.data}/{name}", "wb") as file:
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
                for name in "checkpoint", "checkpoint-copy":
                    with open(f"{self.data}/{name}", "wb") as file:
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
                os.remove(self.data + "/checkpoint-copy")
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
        """A clean start reads no batches: the first fetch finds what rotted since. (The layer would read all of it at
        its own time.)"""
        for at, what in ((70, "value"), (10, "length"), (18, "crc"), (16, "magic"),
                         (7, "base offset")):
            for first in (0, 7, 15):
                with self.subTest((what, first)):
                    shutil.rmtree(self.data)
                    os.mkdir(self.data)
                    self.fill()
                    position = self.damage_batch(7, at)
                    server = self.start("bus.layer.enable=false")
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
                                 ("SSL://127.0.0.1:0", "ssl.keystore.location"),
                                 ("SASL_SSL://127.0.0.1:0", "ssl.keystore.location"),
                                 ("ODD://127.0.0.1:0", "listener.security.protocol.map"), ("", "listen")):
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
        self.assertEqual(code, 5, text)
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
