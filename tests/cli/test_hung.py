#!/usr/bin/python3
"""No command waits without end for a bus that hangs: each ends within its --timeout, with the exit
code that is documented and words that tell why."""
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from case import BINARY, Server, WAIT_S
from harness import kafka

API_FETCH, API_METADATA, API_FIND_COORDINATOR, API_API_VERSIONS = 1, 3, 10, 18
NOT_ACKNOWLEDGED, UNREACHABLE, TIMED_OUT = 1, 3, 6


class Swallower:
    """A proxy that lets requests of some APIs pass and swallows the others: they are never
    answered, while all connections stay."""

    def __init__(self):
        self.passing = ()
        self.port_behind = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def forward_to(self, port):
        """Until then who connects waits: the server's own clients may, before it says that it is ready."""
        self.port_behind = port
        threading.Thread(target=self.accept, args=(port,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self, port):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            server = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=self.requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self.answers, args=(server, client), daemon=True).start()

    def requests(self, client, server):
        with client, server, client.makefile("rb") as frames:
            while True:
                head = frames.read(6)
                if len(head) < 6:
                    server.shutdown(socket.SHUT_RDWR)
                    return
                size, api = struct.unpack(">ih", head)
                rest = frames.read(size - 2)
                if api in self.passing:
                    server.sendall(head + rest)

    @staticmethod
    def answers(server, client):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass


# What is asked, and what is said when the answer never comes.
COMMANDS = (
    (("topic", "create", "new"), "cannot create topic 'new'"),
    (("topic", "list"), "cannot look up the offsets of topic 't'"),
    (("topic", "describe", "t"), "cannot look up the offsets of topic 't'"),
    (("topic", "alter", "t", "--config", "retention.ms=1d"), "cannot read the settings"),
    (("topic", "alter", "t", "--partitions", "9"), "cannot add partitions"),
    (("topic", "delete", "t"), "cannot delete topic 't'"),
    (("publish", "new", "--create", "an event"), "cannot create topic 'new'"),
    (("subscribe", "t", "--until-end"), "cannot look up where to read"),
    (("subscribe", "t", "--from", "-2", "--until-end"), "cannot look up where to read"),
    (("subscribe", "^t", "--to", "2"), "cannot look up where to read"),
    (("subscribe", "t", "--group", "g", "--until-end"), "group 'g' did not let this member in"),
    (("top", "--once"), "cannot look at topics and groups"),
    (("group", "list"), "cannot list the groups"),
    (("group", "describe", "g"), "cannot describe group 'g'"),
    (("group", "reset", "g", "--to", "start", "--execute"), "cannot describe group 'g'"),
    (("group", "delete", "g"), "cannot delete group 'g'"),
    (("bench", "--events", "10"), "cannot create topic 'tidings-bench-"),
)
PUBLISH = ("publish", "t", "an event")

NOTHING_COMES = ("--timeout", "1s")
# Where some is answered, which may take a while where much else runs.
SOME_COMES = ("--timeout", "5s")

# The same when everything is answered but requests for events.
READING = (
    (("subscribe", "t", "--until-end"), "has events up to offset 2, but none came for 5 s"),
    (("subscribe", "t", "--from", "-1h", "--to", "end"), "but none came for 5 s"),
    (("subscribe", "t", "--from", "-2", "--until-end"), "no event came while counting back"),
    (("subscribe", "^t", "--to", "2"), "has events up to offset 1, but none came"),
    (("subscribe", "t", "--group", "new", "--until-end"), "but none came for 5 s"),
    (("bench", "--events", "10"), "read 0 of 10 events, then none came"),
)


class Hung(unittest.TestCase):
    def all_end(self, rows, port, code, timeout=SOME_COMES):
        """Runs all of them at once."""
        address = f"127.0.0.1:{port}"
        running = [subprocess.Popen([BINARY, *words, *timeout, "-b", address], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for words, _ in rows]
        for process in running:
            self.addCleanup(process.kill)
        for process, (words, said) in zip(running, rows):
            with self.subTest(words=" ".join(words)):
                _, err = process.communicate(timeout=WAIT_S)
                self.assertEqual(process.returncode, code, err)
                self.assertRegex(err, said)

    def serve(self, *settings):
        """A bus with three events in t, which g has read."""
        folder = tempfile.TemporaryDirectory(prefix="tidings-hung-")
        self.addCleanup(folder.cleanup)
        server = Server(folder.name, *settings)
        self.addCleanup(server.kill)
        return server

    def fill(self, server):
        server.run("publish", "t", "--create", "a", "b", "c")
        server.run("subscribe", "t", "--group", "g", "--until-end")

    def swallower(self):
        proxy = Swallower()
        self.addCleanup(proxy.close)
        server = self.serve(f"advertised.listeners=127.0.0.1:{proxy.port}")
        proxy.passing = range(100)
        proxy.forward_to(server.port)
        self.fill(server)
        return proxy

    def test_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            port = silent.getsockname()[1]
            said = f"cannot reach the bus at 127.0.0.1:{port}: it accepts connections but does not"
            self.all_end([(words, said) for words, _ in COMMANDS] + [(PUBLISH, said)], port,
                         UNREACHABLE, NOTHING_COMES)

    def test_a_stopped_server(self):
        server = self.serve()
        self.fill(server)
        server.process.send_signal(signal.SIGSTOP)
        self.all_end([(words, "cannot reach the bus at ") for words, _ in COMMANDS]
                     + [(PUBLISH, "cannot reach the bus at ")], server.port, UNREACHABLE, NOTHING_COMES)

    def test_a_server_that_hangs_at_the_request(self):
        proxy = self.swallower()
        proxy.passing = (API_METADATA, API_API_VERSIONS)
        self.all_end(COMMANDS, proxy.port, TIMED_OUT)
        self.all_end([(PUBLISH, "1 event was NOT acknowledged")], proxy.port, NOT_ACKNOWLEDGED)

    def test_a_server_that_gives_no_events(self):
        proxy = self.swallower()
        proxy.passing = [api for api in range(100) if api != API_FETCH]
        self.all_end(READING, proxy.port, TIMED_OUT)

    def test_many_groups_are_waited_for_once(self):
        proxy = self.swallower()
        client = kafka.Client(proxy.port_behind)
        for number in range(WAIT_S):  # one after another they would take longer than that
            client.commit(f"g-{number}", "t", 0)
        client.close()
        proxy.passing = [api for api in range(100) if api != API_FIND_COORDINATOR]
        self.all_end([(("group", "list"), "cannot describe group 'g'")], proxy.port, TIMED_OUT)


if __name__ == "__main__":
    unittest.main()
