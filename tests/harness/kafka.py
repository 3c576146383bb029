"""The Kafka protocol from a test's side: record batches whose every field can be made wrong, and a
client that asks any API of src/wire/kafka.schema by name, or sends bytes of any kind."""
import socket
import struct
import time

from . import codec

APIS = codec.load()  # name: (key, request, response)
PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18


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


def stored_zstd(data):
    """Up to 255 bytes as one frame of zstd with one raw block (RFC 8878)."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + \
        struct.pack("<I", len(data) << 3 | 1)[:3] + data


def good_batch(value=b"good"):
    return batch([record(value)])


class Closed(ConnectionError):
    """The server closed the connection."""


class Client:
    """One connection, to a port or to (host, port)."""

    def __init__(self, address, source=None, receive_buffer=None, timeout_s=120, name="test"):
        self.name = name
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(("127.0.0.1", address) if isinstance(address, int) else address)
        except OSError:
            self.socket.close()
            raise
        self.correlation = 0
        self.asked = []  # correlation ids of requests by name that are not answered yet

    @property
    def address(self):
        return "%s:%d" % self.socket.getsockname()

    def close(self):
        self.socket.close()

    # -- bytes --

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, key, version, body, flexible=False):
        self.correlation += 1
        data = struct.pack(">hhi", key, version, self.correlation) + string(self.name) + (
            b"\0" if flexible else b"") + body
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

    def receive(self, correlation=None):
        """The body of the next response, which answers this request: the last one."""
        size, found = struct.unpack(">ii", self.read(8))
        body = self.read(size - 4)
        wanted = correlation or self.correlation
        assert found == wanted, f"the answer is to request {found}, not {wanted}"
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

    # -- APIs by name; a body of raw bytes instead of fields: raw= --

    def request(self, api, version, raw=None, **fields):
        """Sends, and does not wait."""
        key, request, _ = APIS[api]
        message = codec.Codec(request, version)
        body = message.encode(fields) if raw is None else raw
        self.send(self.frame(key, version, body, message.flexible))
        self.asked.append(self.correlation)

    def answer(self, api, version):
        """The answer to the first request that has none yet, as a dictionary."""
        message = codec.Codec(APIS[api][2], version)
        body = self.receive(self.asked.pop(0))
        if message.flexible and api != "api_versions":  # whose header is never flexible (KIP-511)
            assert body[0] == 0, "tagged fields in a response header"
            body = body[1:]
        return message.decode(body)

    def ask(self, api, version, **fields):
        self.request(api, version, **fields)
        return self.answer(api, version)

    # -- requests --

    def api_versions(self):
        return self.ask("api_versions", 0)["error_code"]

    def create_topic(self, name, partitions=1, configs=()):
        """(error code, message)"""
        answer = self.ask("create_topics", 4, timeout_ms=120000, topics=[
            {"name": name, "num_partitions": partitions, "replication_factor": 1,
             "configs": [{"name": key, "value": value} for key, value in configs]}])
        topic = answer["topics"][0]
        return topic["error_code"], topic["error_message"] or ""

    def delete_records(self, topic, offset, partition=0):
        answer = self.ask("delete_records", 0, timeout_ms=120000, topics=[
            {"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}])
        return answer["topics"][0]["partitions"][0]["error_code"]

    @staticmethod
    def produce_fields(topic, records, acks, partition):
        return {"acks": acks, "timeout_ms": 120000, "topic_data": [
            {"name": topic, "partition_data": [{"index": partition, "records": records}]}]}

    def produce_frame(self, topic, records, acks=-1, partition=0):
        message = codec.Codec(APIS["produce"][1], 8)
        return self.frame(PRODUCE, 8, message.encode(
            self.produce_fields(topic, records, acks, partition)))

    def produce(self, topic, records, acks=-1, partition=0):
        """(error code, base offset, message, [indexes of bad records])"""
        answer = self.ask("produce", 8, **self.produce_fields(topic, records, acks, partition))
        found = answer["responses"][0]["partition_responses"][0]
        return (found["error_code"], found["base_offset"], found["error_message"] or "",
                [record["batch_index"] for record in found["record_errors"]])

    @staticmethod
    def fetch_fields(topic, offset, max_bytes, partition):
        return {"replica_id": -1, "max_wait_ms": 0, "min_bytes": 1, "max_bytes": max_bytes,
                "topics": [{"topic": topic, "partitions": [
                    {"partition": partition, "fetch_offset": offset,
                     "partition_max_bytes": max_bytes}]}]}

    def fetch_frame(self, topic, offset, max_bytes=1 << 20, partition=0):
        message = codec.Codec(APIS["fetch"][1], 4)
        return self.frame(FETCH, 4, message.encode(
            self.fetch_fields(topic, offset, max_bytes, partition)))

    def fetch(self, topic, offset, max_bytes=1 << 20, partition=0):
        """(error code, high watermark, bytes of record batches)"""
        answer = self.ask("fetch", 4, **self.fetch_fields(topic, offset, max_bytes, partition))
        found = answer["responses"][0]["partitions"][0]
        return found["error_code"], found["high_watermark"], found["records"] or b""

    def offset(self, topic, timestamp=-1, partition=0):
        """(error code, offset); timestamp -1: the end, -2: the start."""
        answer = self.ask("list_offsets", 1, replica_id=-1, topics=[
            {"name": topic, "partitions": [{"partition_index": partition, "timestamp": timestamp}]}])
        found = answer["topics"][0]["partitions"][0]
        return found["error_code"], found["offset"]

    def end(self, topic, partition=0):
        return self.offset(topic, -1, partition)[1]

    def commit(self, group, topic, offset):
        answer = self.ask("offset_commit", 2, **commit_of(group, topic, offset))
        return answer["topics"][0]["partitions"][0]["error_code"]


def commit_of(group, topic, offset):
    """The fields of OffsetCommit 2 to 4 for partition 0, by no member."""
    return {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "",
            "retention_time_ms": -1, "topics": [{"name": topic, "partitions": [
                {"partition_index": 0, "committed_offset": offset, "committed_metadata": ""}]}]}


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
