"""Encodes and decodes any message of src/wire/kafka.schema, from and to dictionaries.

Written apart from the generated C, so that a mistake in one of them shows.
"""
import os
import struct
import sys

WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "wire")
sys.path.insert(0, WIRE)
import schema  # pylint: disable=wrong-import-position,import-error

PACKED = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i",
          "uint32": ">I", "int64": ">q", "float64": ">d"}
ZERO_ID = bytes(16)


def load():
    """name of an API: (key, request, response)"""
    with open(os.path.join(WIRE, "kafka.schema"), encoding="utf-8") as text:
        units = schema.parse(text.read())
    return {unit.name: (unit.key, *unit.messages) for unit in units if unit.key >= 0}


def uvarint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Malformed(Exception):
    """The bytes are not this message."""


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size < 0 or size > len(self.data) - self.at:
            raise Malformed(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, packed):
        return struct.unpack(packed, self.take(struct.calcsize(packed)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


class Codec:
    """One message in one version."""

    def __init__(self, message, version):
        self.version = version
        self.flexible = 0 <= message.flexible <= version
        self.root = message.root

    def fields(self, item):
        return [f for f in item.fields if f.low <= self.version <= f.high]

    # -- to bytes --

    def encode(self, values):
        return self.write_struct(self.root, values)

    def write_struct(self, item, values):
        unknown = set(values) - {f.name for f in item.fields}
        assert not unknown, f"{item.name} has no {unknown}"
        fields = self.fields(item)
        out = b"".join(self.write(f, self.value(f, values)) for f in fields if f.tag is None)
        if self.flexible:
            tagged = [(f.tag, self.write(f, values[f.name]))
                      for f in fields if f.tag is not None and f.name in values]
            out += uvarint(len(tagged))
            for tag, data in sorted(tagged):
                out += uvarint(tag) + uvarint(len(data)) + data
        return out

    @staticmethod
    def value(item, values):
        if item.name in values:
            return values[item.name]
        if item.default == "null":
            return None
        if item.array:
            return []
        return {"string": "", "bytes": b"", "records": None, "uuid": ZERO_ID,
                "struct": {} if item.null is None else None}.get(item.type, item.default or 0)

    def length(self, size, item):
        """size None: null"""
        if self.flexible:
            return uvarint(0 if size is None else size + 1)
        return struct.pack(">h" if item.type == "string" else ">i", -1 if size is None else size)

    def count(self, size):
        return uvarint(0 if size is None else size + 1) if self.flexible else struct.pack(
            ">i", -1 if size is None else size)

    def write(self, item, value):
        if not item.array:
            return self.write_one(item, value)
        if value is None:
            return self.count(None)
        return self.count(len(value)) + b"".join(self.write_one(item, one) for one in value)

    def write_one(self, item, value):
        if item.type == "struct":
            if item.null is not None and not item.array:
                return b"\xff" if value is None else b"\x01" + self.write_struct(item.struct, value)
            return self.write_struct(item.struct, value)
        if item.type in ("string", "bytes", "records"):
            data = value.encode() if isinstance(value, str) else value
            return self.length(None if data is None else len(data), item) + (data or b"")
        if item.type == "uuid":
            return value
        return struct.pack(PACKED[item.type], value)

    # -- from bytes --

    def decode(self, data):
        reader = Reader(data)
        out = self.read_struct(reader, self.root)
        if reader.at != len(data):
            raise Malformed(f"{len(data) - reader.at} bytes more than the message has")
        return out

    def read_struct(self, reader, item):
        fields = self.fields(item)
        out = {f.name: self.read(reader, f) for f in fields if f.tag is None}
        if self.flexible:
            by_tag = {f.tag: f for f in fields if f.tag is not None}
            for _ in range(reader.uvarint()):
                tag, size = reader.uvarint(), reader.uvarint()
                data = reader.take(size)
                if tag in by_tag:
                    out[by_tag[tag].name] = self.read(Reader(data), by_tag[tag])
        return out

    def read_count(self, reader, short=False):
        if self.flexible:
            return reader.uvarint() - 1
        return reader.number(">h" if short else ">i")

    def read(self, reader, item):
        if not item.array:
            return self.read_one(reader, item)
        count = self.read_count(reader)
        return None if count < 0 else [self.read_one(reader, item) for _ in range(count)]

    def read_one(self, reader, item):
        if item.type == "struct":
            if item.null is not None and not item.array and reader.number(">b") < 0:
                return None
            return self.read_struct(reader, item.struct)
        if item.type in ("string", "bytes", "records"):
            size = self.read_count(reader, item.type == "string")
            data = None if size < 0 else reader.take(size)
            if item.type != "string" or data is None:
                return data
            return data.decode(errors="surrogateescape")
        if item.type == "uuid":
            return reader.take(16)
        return reader.number(PACKED[item.type])
