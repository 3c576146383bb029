"""Records of lanes.<group> as docs/formats.md has them, written apart from the C code."""
import base64
import json
import os


def varlong(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while True:
        byte = number & 0x7f
        number >>= 7
        if number == 0:
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def text(value):
    return varlong(-1) if value is None else varlong(len(value)) + value


class Log:
    """Lines for `tidings publish --input json` of a writer of its own."""

    def __init__(self, topic, places=1):
        self.topic, self.places, self.serial, self.lines = topic, places, 0, []
        self.writer = os.urandom(8)

    def key(self, serial, partition):
        return (b"\x01" + self.writer + varlong(serial) + text(self.topic.encode()) + varlong(partition))

    def put(self, partition, kind, fence, body):
        self.serial += 1
        self.line(self.key(self.serial, partition), bytes([1, kind]) + varlong(fence) + body, partition)
        return self.serial

    def line(self, key, value, partition=0):
        encoded = base64.b64encode(value).decode() if value is not None else None
        self.lines.append(json.dumps({
            "partition": partition % self.places, "key": base64.b64encode(key).decode(), "key_encoding": "base64", "value": encoded,
            **({"value_encoding": "base64"} if value is not None else {})}) + "\n")

    def mark(self, partition, fence):
        return self.put(partition, 1, fence, b"")

    def aside(self, partition, fence, offset, key, value=b"value"):
        return self.put(partition, 2, fence, varlong(offset) + varlong(1000) + text(key) + text(value) + varlong(0))

    def note(self, partition, fence, key, head, attempts, first_ms, flags):
        return self.put(partition, 3, fence, text(key) + varlong(-1) + varlong(head) + varlong(attempts) +
                        varlong(first_ms) + bytes([flags]))

    def reason(self, partition, fence, key, kind, what, why):
        """kind: 1 failed, 2 held."""
        return self.put(partition, 10, fence, text(key) + varlong(-1) + bytes([kind]) + varlong(-1) + text(what) +
                        text(why) + varlong(1700000000000))

    def word(self, partition):
        return self.put(partition, 7, 0, b"\x03" + text(b"k") + varlong(-1) * 2 + varlong(-1) * 2 + varlong(0) +
                        text(b"anna") + text(b"") + varlong(1000))

    def redrive(self, partition, key, offset, letter, number):
        """letter: its partition and offset in dlq.<group>."""
        return self.put(partition, 7, 0, b"\x05" + text(key) + varlong(-1) + varlong(offset) + varlong(letter[0]) +
                        varlong(letter[1]) + varlong(number) + text(b"anna") + text(b"") + varlong(1000))
