"""Connections that want all of the server's memory: half requests, answers that they do not read.
Run by test_badinput.py."""
import json
import os
import resource
import socket
import struct

from bad_memory import MEMORY_MAX, MIB, PARTITIONS, MemoryCase, fetch_frame
from harness import kafka
from harness.kafka import batch, good_batch, record
from harness.server import run, wait_for

HALF_FRAMES = 9000
SETTLED_KIB = 20 << 10  # above what it was: connections in TIME_WAIT cost nothing, the heap a little


class NetMemory(MemoryCase):
    """Everybody may connect and begin a request; it is not to cost others their place."""
    partitions = 2
    env = {"MALLOC_PERTURB_": "153"}  # what is allocated is written to, as if peers sent all of it

    def setUp(self):
        super().setUp()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        self.sockets = []
        self.addCleanup(self.close_all)
        self.check_others()
        self.before_kib = self.server.memory_kib()

    def close_all(self):
        for each in self.sockets:
            each.close()
        self.sockets = []

    def socket(self):
        each = socket.create_connection(("127.0.0.1", self.server.port))
        self.sockets.append(each)
        return each

    def share(self, name):
        status = json.loads(run("status", self.data, "--json")[0])
        self.assertEqual(status["memory"]["max_bytes"], MEMORY_MAX)
        return next(share for share in status["memory"]["shares"] if share["name"] == name)

    def end(self, *names):
        """The attack is over: what it took comes back, from the shares and from the process."""
        self.close_all()
        for name in names:
            wait_for(lambda: self.share(name)["used_bytes"] < MIB, f"the share {name} is free")
        if self.server.memory_kib("VmSize") < 100 << 20:
            wait_for(lambda: self.server.memory_kib() < self.before_kib + SETTLED_KIB,
                     "the memory goes back")
        self.check_others()
        self.stop()

    def send(self, each, data):
        """As much as goes without waiting: who is not read any more stops here."""
        each.setblocking(False)
        try:
            while data:
                data = data[each.send(data):]
        except OSError:
            pass

    def test_half_frames_below_64_kib(self):
        """500 MB, would they be kept."""
        count = min(HALF_FRAMES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
        half = struct.pack(">i", 54000) + bytes(53000)
        for i in range(count):
            self.send(self.socket(), half)
            if i % 1000 == 0:
                self.check_others()
        self.check_others()
        share = self.share("frames")
        self.assertLess(share["most_bytes"], share["limit_bytes"])
        self.end("frames")

    def test_pieces_of_a_request_come_through_beside_half_frames(self):
        for _ in range(1000):
            self.send(self.socket(), struct.pack(">i", 54000) + bytes(53000))
        frame = self.bystander.frame(kafka.API_VERSIONS, 0, b"")
        for at in range(len(frame)):
            self.bystander.send(frame[at:at + 1])
        self.assertEqual(self.bystander.receive()[:2], b"\0\0")
        self.end("frames")

    def test_large_frames_that_do_not_move(self):
        """Each is to be kept whole; a client at work goes before them, and they are closed."""
        for _ in range(60):
            self.send(self.socket(), struct.pack(">i", 8 * MIB) + bytes(200000))
        for _ in range(3):
            large = batch([record(os.urandom(700000))])
            self.assertEqual(self.bystander.produce("orders", large)[:2], (0, self.events))
            self.events += 1
            self.check_others()
        self.server.wait_log("others wait for the memory")
        self.end("frames")

    def test_answers_that_nobody_reads(self):
        """Metadata of all topics: some bytes ask for 150 KB, 20,000 times."""
        self.assertEqual(self.bystander.create_topic("wider", PARTITIONS)[0], 0)
        client = self.connect()
        frame = client.frame(kafka.METADATA, 1, struct.pack(">i", -1))
        for i in range(400):
            self.send(self.socket(), frame * 50)
            if i % 50 == 0:
                self.check_others()
        self.server.wait_log("the memory for answers is used up")
        self.check_others()
        self.end("answers", "requests")

    def test_small_requests_in_one_go_without_reading(self):
        client = self.connect()
        frame = client.frame(kafka.API_VERSIONS, 0, b"")
        for i in range(300):
            self.send(self.socket(), frame * 20000)
            if i % 100 == 0:
                self.check_others()
        self.end("answers", "frames")

    def test_fetches_of_a_client_that_is_gone(self):
        """With 256 waiting it is not read, so that nothing but the socket tells."""
        client = self.connect()
        before = self.share("requests")["used_bytes"]
        client.send(fetch_frame(client, "wide", [1]) * 300)
        wait_for(lambda: self.share("requests")["used_bytes"] >= before + 256 * 960,
                 "the fetches wait")
        client.close()
        wait_for(lambda: self.share("requests")["used_bytes"] <= before, "they are let go")
        self.end("requests")

    def test_a_request_that_memory_max_does_not_allow(self):
        client = self.connect()
        client.send(struct.pack(">i", MEMORY_MAX // 8 + 1))
        client.ends()
        self.server.wait_lines_of(client, "over the limit")
        self.end("frames")
