"""A proxy that clients reach the server through, to cut their connections within a frame."""
import random
import socket
import struct
import threading

PIECE = 1 << 16
RESET = struct.pack("ii", 1, 0)     # SO_LINGER: closing sends RST


class Proxy:
    """Listens on a port of its own; two threads a connection copy its bytes."""

    def __init__(self, server_port, seed):
        self.server_port = server_port
        self.random = random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()    # guards the counts and the random numbers
        self.cuts_left = 0
        self.connections = self.cuts = 0
        self.flowing = threading.Event()
        self.flowing.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self, count):
        """The next `count` pieces that pass are cut within, and their connections reset."""
        with self.lock:
            self.cuts_left = count

    def hold(self, held):
        """While held nothing passes, but connections stay: a network that swallows all."""
        if held:
            self.flowing.clear()
        else:
            self.flowing.set()

    def close(self):
        self.flowing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return                  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port), 5)
            except OSError:
                client.close()          # the server is away
                continue
            server.settimeout(None)
            self.connections += 1
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(source, target), daemon=True).start()

    def shorten(self, data):
        """What is to pass of a piece: a part, when it is to be cut."""
        with self.lock:
            if self.cuts_left == 0 or len(data) < 2:
                return data
            self.cuts_left -= 1
            self.cuts += 1
            return data[:self.random.randrange(1, len(data))]

    def copy(self, source, target):
        cut = False
        try:
            while not cut:
                data = source.recv(PIECE)
                self.flowing.wait()
                part = self.shorten(data)
                cut = len(part) < len(data) or not data
                target.sendall(part)
        except OSError:
            pass
        for side in (source, target):
            try:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                    # the other thread was first
            side.close()
