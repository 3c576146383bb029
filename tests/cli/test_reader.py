#!/usr/bin/python3
"""What a reader sends to the bus, seen by a proxy between them.

    TIDINGS_BIN=build/tidings tests/cli/test_reader.py -v
"""
import collections
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.server import BINARY, Server, WAIT_S, wait_for

OFFSET_COMMIT, HEARTBEAT = 8, 12


class Proxy:
    """Counts requests by API, and keeps those of one API while it is told to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.server_port = None
        self.seen = collections.Counter()
        self.held_api, self.held = None, []
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            threading.Thread(target=self.pass_requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pass_answers, args=(server, client), daemon=True).start()

    def pass_requests(self, client, server):
        with client, server, client.makefile("rb") as requests:
            while len(head := requests.read(4)) == 4:
                frame = head + requests.read(struct.unpack(">i", head)[0])
                api, = struct.unpack(">h", frame[4:6])
                with self.lock:
                    self.seen[api] += 1
                    if api == self.held_api:
                        self.held.append((server, frame))
                    else:
                        server.sendall(frame)

    @staticmethod
    def pass_answers(server, client):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass

    def hold(self, api):
        with self.lock:
            self.held_api = api

    def release(self):
        with self.lock:
            self.held_api = None
            for server, frame in self.held:
                server.sendall(frame)


class Commits(unittest.TestCase):
    def test_one_at_a_time(self):
        """Two on their way can be tried again in the wrong order, and progress would go back."""
        folder = tempfile.TemporaryDirectory(prefix="tidings-reader-")
        self.addCleanup(folder.cleanup)
        proxy = Proxy()
        self.addCleanup(proxy.listener.close)
        with Server(folder.name, "advertised.listeners=" + proxy.address) as server:
            proxy.server_port = server.port
            server.run("topic", "create", "t")
            reader = subprocess.Popen(
                [BINARY, "subscribe", "t", "-g", "g", "-v", "-b", proxy.address,
                 "-X", "heartbeat.interval.ms=100"], stdout=subprocess.PIPE)
            self.addCleanup(reader.stdout.close)
            self.addCleanup(reader.kill)

            def publish_and_read(value):
                server.run("publish", "t", value)
                self.assertEqual(reader.stdout.readline(), value.encode() + b"\n")

            publish_and_read("first")
            wait_for(lambda: proxy.seen[OFFSET_COMMIT] > 0, "the first commit")
            proxy.hold(OFFSET_COMMIT)
            publish_and_read("held")
            wait_for(lambda: proxy.held, "a commit that is held")
            for i in range(3): # seconds of heartbeats, each with news to commit
                publish_and_read(f"later {i}")
                beats = proxy.seen[HEARTBEAT]
                wait_for(lambda beats=beats: proxy.seen[HEARTBEAT] > beats + 3, "heartbeats")
            self.assertEqual(len(proxy.held), 1, "commits passed one another")
            proxy.release()

            def lag():
                out, _ = server.run("group", "describe", "g", "--json")
                return json.loads(out)[0]["total_lag"]

            wait_for(lambda: lag() == 0, "all to be committed")
            reader.send_signal(signal.SIGTERM)
            self.assertEqual(reader.wait(WAIT_S), 0)


if __name__ == "__main__":
    unittest.main()
