"""A few requests of the Kafka protocol by hand, so that each byte of them can be made wrong."""
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 2, 3, 18, 19
OFFSET_COMMIT, FIND_COORDINATOR = 8, 10


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
        table.append(byte)
    return table


CRC_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def record(value, offset_delta=0, key=None, null=False):
    """One record of message format 2; null: a tombstone."""
    body = b"\0" + varint(0) + varint(offset_delta)
    body += varint(-1) if key is None else varint(len(key)) + key
    body += (varint(-1) if null else varint(len(value)) + value) + varint(0)
    return varint(len(body)) + body


def batch(records, **changes):
    """One record batch; `changes` sets its fields wrong. The CRC fits unless `crc` is given."""
    fields = {"base": 0, "epoch": -1, "magic": 2, "attributes": 0, "last_delta": len(records) - 1,
              "timestamp": int(time.time() * 1000), "producer_id": -1, "producer_epoch": -1,
              "sequence": -1, "count": len(records), "payload": b"".join(records)}
    fields.update(changes)
    body = struct.pack(">hiqqqhii", fields["attributes"], fields["last_delta"],
                       fields["timestamp"], fields.get("max_timestamp", fields["timestamp"]),
                       fields["producer_id"], fields["producer_epoch"], fields["sequence"],
                       fields["count"]) + fields["payload"]
    crc = fields.get("crc", crc32c(body))
    size = fields.get("size", len(body) + 9)
    return struct.pack(">qiibI", fields["base"], size, fields["epoch"], fields["magic"],
                       crc) + body


def good_batch(value=b"good"):
    return batch([record(value)])


class Closed(Exception):
    """The server closed the connection."""


class Client:
    """One connection. Every call waits for its answer."""

    def __init__(self, port, source=None, receive_buffer=None, timeout_s=30):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))
        self.correlation = 0

    @property
    def address(self):
        return "%s:%d" % self.socket.getsockname()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, key, version, body, client="bad"):
        self.correlation += 1
        data = struct.pack(">hhi", key, version, self.correlation) + string(client) + body
        return struct.pack(">i", len(data)) + data

    def read(self, size):
        out = b""
        while len(out) < size:
            try:
                more = self.socket.recv(min(size - len(out), 1 << 20))
            except ConnectionError as error:
                raise Closed() from error
            if not more:
                raise Closed()
            out += more
        return out

    def receive(self):
        """The body of the next response."""
        size, correlation = struct.unpack(">ii", self.read(8))
        body = self.read(size - 4)
        assert correlation == self.correlation, (correlation, self.correlation)
        return body

    def call(self, key, version, body):
        self.send(self.frame(key, version, body))
        return self.receive()

    def ends(self):
        """Waits until the server closes; whatever it still sends is dropped."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass

    # -- requests --

    def api_versions(self):
        body = self.call(API_VERSIONS, 0, b"")
        return struct.unpack(">h", body[:2])[0]

    def create_topic(self, name, partitions=1, configs=()):
        """(error code, message)"""
        topic = string(name) + struct.pack(">ih", partitions, 1) + array([]) + array(
            [string(key) + string(value) for key, value in configs])
        body = self.call(CREATE_TOPICS, 1, array([topic]) + struct.pack(">ib", 30000, 0))
        at = 4 + 2 + len(name.encode())
        code, size = struct.unpack(">hh", body[at:at + 4])
        return code, body[at + 4:at + 4 + size].decode() if size > 0 else ""

    def produce_frame(self, topic, records, acks=-1, partition=0):
        size = struct.pack(">i", -1) if records is None else struct.pack(">i", len(records))
        data = struct.pack(">i", partition) + size + (records or b"")
        return self.frame(PRODUCE, 8, struct.pack(">hhi", -1, acks, 30000) +
                          array([string(topic) + array([data])]))

    def produce(self, topic, records, acks=-1, partition=0):
        """(error code, base offset, message, [indexes of bad records])"""
        self.send(self.produce_frame(topic, records, acks, partition))
        body = self.receive()
        at = 4 + 2 + len(topic) + 4
        _, code, base, _, _ = struct.unpack(">ihqqq", body[at:at + 30])
        at += 30
        count, at = struct.unpack(">i", body[at:at + 4])[0], at + 4
        indexes = []
        for _ in range(count):
            index, size = struct.unpack(">ih", body[at:at + 6])
            indexes.append(index)
            at += 6 + max(size, 0)
        size = struct.unpack(">h", body[at:at + 2])[0]
        message = body[at + 2:at + 2 + size].decode() if size >= 0 else ""
        return code, base, message, indexes

    def fetch_body(self, topic, offset, max_bytes=1 << 20, partition=0, wait_ms=0):
        return struct.pack(">iiiib", -1, wait_ms, 1, max_bytes, 0) + array(
            [string(topic) + array([struct.pack(">iqi", partition, offset, max_bytes)])])

    def fetch(self, topic, offset, max_bytes=1 << 20, partition=0):
        """(error code, high watermark, bytes of record batches)"""
        body = self.call(FETCH, 4, self.fetch_body(topic, offset, max_bytes, partition))
        at = 4 + 4 + 2 + len(topic) + 4
        _, code, end, _, aborted = struct.unpack(">ihqqi", body[at:at + 26])
        at += 26 + 16 * max(aborted, 0)
        size = struct.unpack(">i", body[at:at + 4])[0]
        return code, end, body[at + 4:at + 4 + max(size, 0)]

    def offset(self, topic, timestamp=-1, partition=0):
        """(error code, offset); timestamp -1: the end, -2: the start."""
        body = self.call(LIST_OFFSETS, 1, struct.pack(">i", -1) + array(
            [string(topic) + array([struct.pack(">iq", partition, timestamp)])]))
        at = 4 + 2 + len(topic) + 4
        _, code, _, offset = struct.unpack(">ihqq", body[at:at + 22])
        return code, offset

    def end(self, topic, partition=0):
        return self.offset(topic, -1, partition)[1]

    def commit(self, group, topic, offset):
        body = self.call(OFFSET_COMMIT, 2, string(group) + struct.pack(">i", -1) + string("") +
                         struct.pack(">q", -1) + array(
                             [string(topic) + array([struct.pack(">iq", 0, offset) + string("")])]))
        return struct.unpack(">h", body[-2:])[0]


def batches(data, check=True):
    """(base offset, last offset, CRC fits) of each whole batch."""
    at = 0
    while at + 61 <= len(data):
        base, size, _, _, crc = struct.unpack(">qiibI", data[at:at + 21])
        if at + 12 + size > len(data):
            return
        last_delta = struct.unpack(">i", data[at + 23:at + 27])[0]
        yield base, base + last_delta, not check or crc == crc32c(data[at + 21:at + 12 + size])
        at += 12 + size
