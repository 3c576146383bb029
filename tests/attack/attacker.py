"""One attacker: many connections that send without end, in a process of its own."""
import collections
import multiprocessing
import selectors
import signal
import socket
import struct
import time

CHUNK = 1 << 18
ADDRESS = "127.0.0.2"  # of the attacker; the others have 127.0.0.1
BIND_ADDRESS_NO_PORT = 24  # ip(7); not in the socket module


class Line:
    """
    One connection. `make` gives its next bytes, None when there are no more. `depth`: requests
    that wait for their answers at a time. `reads`: whether answers are taken at all. `hangs_up`:
    closes behind each answer, and begins again.
    """

    def __init__(self, make, depth=1, reads=True, hangs_up=False):
        self.make, self.depth, self.reads, self.hangs_up = make, depth, reads, hangs_up
        self.socket = None
        self.out = memoryview(b"")
        self.owed = 0
        self.head = b""  # the beginning of an answer
        self.skip = 0  # what is to come of an answer
        self.done = False

    def connect(self, port):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        self.socket.bind((ADDRESS, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.out, self.owed, self.head, self.skip = memoryview(b""), 0, b"", 0

    def wants_to_send(self):
        return bool(self.out) or (not self.done and self.owed < self.depth)

    def next_bytes(self):
        data = self.make()
        self.done = data is None
        self.out = memoryview(data or b"")
        self.owed += 1

    def count_answers(self, data):
        """How many answers begin in these bytes. The error codes are not looked at."""
        count = at = 0
        while at < len(data):
            step = min(self.skip, len(data) - at)
            self.skip -= step
            at += step
            if at == len(data):
                break
            need = 4 - len(self.head)
            self.head += data[at:at + need]
            at += min(need, len(data) - at)
            if len(self.head) == 4:
                self.skip, self.head = struct.unpack(">i", self.head)[0], b""
                count += 1
        return count


class Attacker:
    """
    Moves its lines until it is ended. What it did is in `counts`, which both processes see.
    `manner`: has what it is to do before it begins, as taking a priority.
    """

    def __init__(self, port, lines, manner=lambda: None):
        self.port, self.lines, self.manner = port, lines, manner
        self.shared = multiprocessing.Array("q", 4)
        self.process = None

    # -- in the child --

    def note(self, what, count=1):
        self.shared[("connections", "requests", "answers", "closed").index(what)] += count

    def open(self, selector, line):
        line.connect(self.port)
        self.note("connections")
        selector.register(line.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, line)

    def again(self, selector, line):
        """The connection was closed: another one takes its place."""
        selector.unregister(line.socket)
        line.socket.close()
        self.note("closed")
        if not line.done:
            self.open(selector, line)

    def watch(self, selector, line):
        events = selectors.EVENT_WRITE if line.wants_to_send() else 0
        events |= selectors.EVENT_READ if line.reads else 0
        if events:
            selector.modify(line.socket, events, line)
        else:
            selector.unregister(line.socket)

    def send(self, line):
        if not line.out:
            if not line.wants_to_send():
                return
            line.next_bytes()
            self.note("requests")
        if line.out:
            line.out = line.out[line.socket.send(line.out[:CHUNK]):]

    def move(self, selector, line, events):
        try:
            if events & selectors.EVENT_READ and line.reads:
                data = line.socket.recv(CHUNK)
                if not data:
                    raise ConnectionResetError()
                count = line.count_answers(data)
                line.owed -= count
                self.note("answers", count)
                if count and line.hangs_up:
                    raise ConnectionResetError()
            if events & selectors.EVENT_WRITE:
                self.send(line)
            self.watch(selector, line)
        except BlockingIOError:
            pass
        except OSError:
            self.again(selector, line)

    def attack(self):
        self.manner()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        waiting = collections.deque(self.lines)
        with selectors.DefaultSelector() as selector:
            while True:
                for _ in range(min(50, len(waiting))):
                    self.open(selector, waiting.popleft())
                for key, events in selector.select(0 if waiting else 1):
                    self.move(selector, key.data, events)

    # -- in the parent --

    def __enter__(self):
        self.process = multiprocessing.get_context("fork").Process(target=self.attack, daemon=True)
        self.process.start()
        return self

    def __exit__(self, *_):
        assert self.process.is_alive(), "the attacker has ended by itself"
        self.process.kill()
        self.process.join()

    def counts(self):
        return dict(zip(("connections", "requests", "answers", "closed"), self.shared))

    def has_begun(self):
        """Every line has sent what it first had to, and some were answered, if answers are read."""
        counts = self.counts()
        return counts["requests"] >= len(self.lines) and (
            counts["answers"] > 0 or not any(line.reads for line in self.lines))
