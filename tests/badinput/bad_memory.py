"""Clients that want all of the server's memory. Run by test_badinput.py."""
import select
import shutil
import tempfile
import unittest

from harness import codec, kafka
from harness.kafka import Client, good_batch
from harness.server import Server

MIB = 1 << 20
MEMORY_MAX = 128 * MIB
PARTITIONS = 5000
HOUR_MS = 3600000


def fetch_frame(client, topic, partitions, wait_ms=HOUR_MS):
    message = codec.Codec(kafka.APIS["fetch"][1], 4)
    return client.frame(kafka.FETCH, 4, message.encode({
        "replica_id": -1, "max_wait_ms": wait_ms, "min_bytes": 1, "max_bytes": MIB,
        "topics": [{"topic": topic, "partitions": [
            {"partition": partition, "fetch_offset": 0, "partition_max_bytes": MIB}
            for partition in partitions]}]}))


class MemoryCase(unittest.TestCase):
    """A server with memory.max: whatever one client does, it stays below, and others are served."""
    partitions = PARTITIONS
    env = {}  # of the server

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(shutil.rmtree, self.data)
        self.server = Server(self.data, f"memory.max={MEMORY_MAX}", env=self.env)
        self.addCleanup(lambda: self.server.alive() and self.server.kill())
        self.bystander = Client(self.server.port)
        self.addCleanup(self.bystander.close)
        self.assertEqual(self.bystander.create_topic("orders")[0], 0)
        self.assertEqual(self.bystander.create_topic("wide", self.partitions)[0], 0)
        self.events = 0

    def check_others(self):
        """An event goes in and out beside it all, and memory.max holds."""
        code, offset, message, _ = self.bystander.produce("orders", good_batch())
        self.assertEqual((code, offset), (0, self.events), message)
        self.events += 1
        self.assertEqual(self.bystander.fetch("orders", offset)[0], 0)
        if self.server.memory_kib("VmSize") < 100 << 20: # ASan and TSan take memory of their own
            self.assertLess(self.server.memory_kib("VmHWM") << 10, MEMORY_MAX)

    def connect(self):
        log_from = self.server.log_size()
        client = Client(self.server.port)
        client.log_from = log_from
        self.addCleanup(client.close)
        return client

    def stop(self):
        self.bystander.close()
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])


class Memory(MemoryCase):
    """Requests that wait."""

    def test_fetches_that_wait(self):
        """20 on each of 64 connections, each for 5,000 partitions: 1.3 GB, would they all be kept."""
        clients = [self.connect() for _ in range(64)]
        frame = fetch_frame(clients[0], "wide", range(PARTITIONS))
        for _ in range(10):
            for client in clients:
                client.socket.settimeout(0.05)
                try:
                    client.send(frame * 2)
                except OSError: # its answers are not read, so it is not read any more
                    pass
            self.check_others()
        for client in clients:
            client.close()
        self.check_others()
        self.stop()

    def test_small_ones_wait_on_beside_large_ones(self):
        small = self.connect()
        small.send(fetch_frame(small, "wide", [7]))
        clients = [self.connect() for _ in range(32)]
        for client in clients:
            for _ in range(2): # one waits, the other one is not looked at before that has ended
                client.send(fetch_frame(client, "wide", range(PARTITIONS)))
        ready, _, _ = select.select([client.socket for client in clients], [], [], 60)
        self.assertTrue(ready, "none was answered for the memory of the others")
        self.check_others()
        self.assertEqual(self.bystander.produce("wide", good_batch(), partition=7)[0], 0)
        self.assertIn(b"good", small.receive())
        self.stop()

    def test_one_partition_named_many_times(self):
        for count in (2, 1000, 400000):
            client = self.connect()
            client.send(fetch_frame(client, "wide", [3] * count))
            try:
                answer = codec.Codec(kafka.APIS["fetch"][2], 4).decode(client.receive())
                codes = [partition["error_code"]
                         for partition in answer["responses"][0]["partitions"]]
                self.assertEqual(codes, [0] + [42] * (count - 1)) # INVALID_REQUEST
            except kafka.Closed: # more than a request may decode into
                self.assertEqual(count, 400000)
                self.server.wait_lines_of(client)
            self.check_others()
        self.stop()
