"""Reads kafka.schema, the compact text that describes Kafka's messages.

parse() gives the messages, or raises SchemaError with the line that is wrong. The syntax is
explained at the top of kafka.schema.
"""

import re
from dataclasses import dataclass, field

INTEGERS = {
    'int8': (-(1 << 7), (1 << 7) - 1),
    'int16': (-(1 << 15), (1 << 15) - 1),
    'uint16': (0, (1 << 16) - 1),
    'int32': (-(1 << 31), (1 << 31) - 1),
    'uint32': (0, (1 << 32) - 1),
    'int64': (-(1 << 63), (1 << 63) - 1),
}
FIXED_SIZES = {'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'uint32': 4,
               'int64': 8, 'float64': 8, 'uuid': 16}
PRIMITIVES = set(FIXED_SIZES) | {'string', 'bytes', 'records'}
NULLABLE = {'string', 'bytes', 'records'}
NAME = re.compile(r'[a-z][a-z0-9_]*$')
C_KEYWORDS = set('auto break case char const continue default do double else enum extern float for '
                 'goto if inline int long register restrict return short signed sizeof static '
                 'struct switch typedef union unsigned void volatile while bool'.split())


class SchemaError(Exception):
    """The schema breaks a rule on this line."""

    def __init__(self, line, text):
        super().__init__(text)
        self.line = line


@dataclass
class Struct:
    name: str  # full C name
    low: int
    high: int
    line: int
    fields: list = field(default_factory=list)


@dataclass
class Field:
    name: str
    type: str  # a primitive, or 'struct'
    array: bool
    low: int
    high: int
    line: int
    null: tuple = None  # versions in which null is allowed
    tag: int = None
    default: object = None  # None: the zero of its type; 'null'; an int; True
    struct: Struct = None
    shown: str = None  # its name in JSON: '-' for none, '.' for that of its struct
    left_out: bool = False  # of JSON while it is null or has its default
    names: list = field(default_factory=list)  # of its values from 0 on
    of: str = None  # the field of the request that it tells of, or several, with | in between


@dataclass
class Message:
    name: str
    low: int
    high: int
    flexible: int  # first flexible version, -1 for none
    line: int
    lenient: bool = False  # a newer version is read as the highest one
    root: Struct = None
    structs: list = field(default_factory=list)  # what a struct contains comes before it


@dataclass
class Unit:
    """One pair of generated files: an API with its request and response, or one data record."""
    name: str
    key: int  # -1 for data
    messages: list
    line: int
    record: 'Record' = None  # what it is the value of


@dataclass
class Record:
    """A kind of record that a topic holds."""
    topic: str
    kind: str
    key: Message
    value: Message


def parse_versions(text, low, high, line):
    """'3', '3+' or '3-5', which must lie within low..high."""
    match = re.fullmatch(r'(\d+)(?:(\+)|-(\d+))?', text)
    if not match:
        raise SchemaError(line, f'"{text}" is no version range')
    first = int(match[1])
    last = high if match[2] else int(match[3]) if match[3] else first
    if first > last or first < low or last > high:
        raise SchemaError(line, f'versions {text} are not within {low}-{high}')
    return first, last


def check_name(name, line):
    if not NAME.match(name) or name in C_KEYWORDS:
        raise SchemaError(line, f'"{name}" is no usable name')
    return name


class Parser:
    def __init__(self, text):
        self.units = []
        self.message = None
        self.topic = None  # whose records follow
        self.named = {}
        self.open = []  # the struct that takes fields at each depth
        self.text = text

    def parse(self):
        begun = ''
        for number, raw in enumerate(self.text.split('\n'), 1):
            line = begun + (raw.strip() if begun else raw).split('#', 1)[0].rstrip()
            begun = line if line.endswith('|') else ''
            if line and not begun:
                self.parse_line(line, number)
        for unit in self.units:
            check_unit(unit)
        check_unique(self.units)
        return self.units

    def parse_line(self, line, number):
        spaces = len(line) - len(line.lstrip(' '))
        words = line.split()
        if '\t' in line or spaces % 4 != 0:
            raise SchemaError(number, 'indent by four spaces')
        depth = spaces // 4
        if depth == 0:
            self.parse_heading(words, number)
        elif self.message is None and self.topic and depth == 1:
            self.parse_record(words, number)
        elif self.message is None:
            raise SchemaError(number, 'a field outside of a message')
        elif depth > len(self.open):
            raise SchemaError(number, 'indented deeper than what it could belong to')
        else:
            del self.open[depth:]
            if words[0] == 'struct' and depth == 1 and len(words) == 2:
                self.open.append(self.new_struct(words[1], self.message.low, self.message.high,
                                                 number))
            else:
                self.parse_field(self.open[-1], words, number)

    def parse_heading(self, words, line):
        if words[0] in ('request', 'response') and len(words) == 1:
            unit = self.units[-1] if self.units else None
            if unit is None or unit.key < 0:
                raise SchemaError(line, f'{words[0]} outside of an api')
            self.begin_message(unit, f'{unit.name}_{words[0]}', line)
        elif words[0] == 'api' and len(words) in (4, 6) and words[1].isdigit():
            self.begin_unit(words[2], int(words[1]), words[3], words[4:], line)
            self.message = None
        elif words[0] == 'data' and len(words) >= 3:
            self.begin_unit(words[1], -1, words[2], words[3:], line)
            self.begin_message(self.units[-1], words[1], line)
        elif words[0] == 'topic' and len(words) == 2:
            self.message, self.topic = None, words[1]
        else:
            raise SchemaError(line, 'expected api, request, response, data or topic, '
                              f'not "{words[0]}"')

    def parse_record(self, words, line):
        """Its key's and its value's data stand above; the key's version tells its kind."""
        units = {unit.name: unit for unit in self.units if unit.key < 0}
        key, value = (units.get(words[0] + end) for end in ('_key', '_value'))
        if len(words) != 2 or not key or not value:
            raise SchemaError(line, 'expected NAME KIND, with data NAME_key and NAME_value above')
        record = Record(self.topic, words[1], key.messages[0], value.messages[0])
        for other in [unit.record for unit in self.units if unit.record]:
            if other.topic == record.topic and (other.key.low <= record.key.high and
                                                record.key.low <= other.key.high):
                raise SchemaError(line, f'keys of {other.kind} have the same version')
        value.record = record

    def begin_unit(self, name, key, versions, options, line):
        check_name(name, line)
        low, high = parse_versions(versions, 0, 32767, line)
        flexible, lenient = -1, False
        while options:
            if options[0] == 'flexible' and len(options) > 1 and options[1].isdigit():
                flexible = int(options[1])
                if not low <= flexible <= high:
                    raise SchemaError(line, f'flexible {flexible} is not within {low}-{high}')
                options = options[2:]
            elif options[0] == 'lenient' and key < 0:
                lenient, options = True, options[1:]
            else:
                raise SchemaError(line, f'unknown option "{options[0]}"')
        self.units.append(Unit(name, key, [], line))
        self.range = (low, high, flexible, lenient)

    def begin_message(self, unit, name, line):
        low, high, flexible, lenient = self.range
        self.message = Message(name, low, high, flexible, line, lenient)
        self.message.root = Struct(name, low, high, line)
        self.named = {}
        self.open = [self.message.root]
        unit.messages.append(self.message)

    def new_struct(self, name, low, high, line):
        check_name(name, line)
        if name in self.named:
            raise SchemaError(line, f'struct "{name}" is already there')
        struct = Struct(f'{self.message.name}_{name}', low, high, line)
        self.named[name] = struct
        return struct

    def parse_field(self, parent, words, line):
        if len(words) < 2:
            raise SchemaError(line, 'a field needs a name and a type')
        name = check_name(words[0], line)
        if any(name == other.name for other in parent.fields):
            raise SchemaError(line, f'field "{name}" is already there')
        match = re.fullmatch(r'\[(\w+)\]|\{(\w+)\}|(\w+)', words[1])
        if not match or (match[3] and match[3] not in PRIMITIVES):
            raise SchemaError(line, f'unknown type "{words[1]}"')
        base = match[1] or match[2] or match[3]
        result = Field(name, base, bool(match[1]), parent.low, parent.high, line)
        rest = self.parse_options(result, words[2:], line)
        self.parse_shown(result, rest, line)
        if base not in PRIMITIVES:
            self.attach_struct(result, base, line)
        elif match[2]:
            raise SchemaError(line, f'{{{base}}}: only a struct stands in braces')
        check_field(result, self.message)
        parent.fields.append(result)

    def attach_struct(self, result, name, line):
        """A struct that is already there is meant, or a new one whose fields follow."""
        result.type = 'struct'
        if name in self.named and self.named[name].fields:
            result.struct = self.named[name]
        else:
            result.struct = self.new_struct(name, result.low, result.high, line)
            self.open.append(result.struct)

    def parse_options(self, result, words, line):
        def versions_next():
            return bool(words) and words[0][0].isdigit()

        if versions_next():
            result.low, result.high = parse_versions(words.pop(0), result.low, result.high, line)
        if words and words[0] == 'null':
            words.pop(0)
            result.null = (result.low, result.high)
            if versions_next():
                result.null = parse_versions(words.pop(0), result.low, result.high, line)
        if len(words) > 1 and words[0] == 'tag' and words[1].isdigit():
            result.tag = int(words[1])
            del words[:2]
        if len(words) > 1 and words[0] == '=':
            result.default = parse_default(result, words[1], line)
            del words[:2]
        result.of = result.name
        if len(words) > 1 and words[0] == 'of' and self.message.name.endswith('_response'):
            result.of = '|'.join(check_name(name, line) for name in words[1].split('|'))
            del words[:2]
        return words

    def parse_shown(self, result, words, line):
        result.shown = result.name
        data = self.units[-1].key < 0
        if data and len(words) > 1 and words[0] == 'as':
            match = re.fullmatch(r'([-.]|[a-z][a-z0-9_]*)(\?)?', words[1])
            if not match:
                raise SchemaError(line, f'"{words[1]}" is no name for JSON')
            result.shown, result.left_out = match[1], bool(match[2])
            del words[:2]
        if data and len(words) > 1 and words[0] == 'names' and result.type in INTEGERS:
            result.names = words[1].split('|')
            del words[:2]
        if words:
            raise SchemaError(line, f'did not expect "{words[0]}" here')


def parse_default(result, text, line):
    if text == 'null':
        if result.null != (result.low, result.high):
            raise SchemaError(line, 'a null default needs null in all versions of the field')
        return 'null'
    if result.array:
        raise SchemaError(line, 'an array has no other default than null')
    if result.type == 'bool' and text == 'true':
        return True
    if result.type in INTEGERS and re.fullmatch(r'-?\d+', text):
        low, high = INTEGERS[result.type]
        if low <= int(text) <= high:
            return int(text)
    raise SchemaError(line, f'"{text}" is no default for {result.type}')


def check_field(result, message):
    is_struct = result.type == 'struct'
    if result.null and not (result.array or is_struct or result.type in NULLABLE):
        raise SchemaError(result.line, f'{result.type} cannot be null')
    if result.null and is_struct and not result.array and result.null != (result.low, result.high):
        raise SchemaError(result.line, 'a struct is null in all its versions or in none')
    if result.left_out and result.null is None and (
            result.default is None or result.type not in INTEGERS):
        raise SchemaError(result.line, 'what is left out needs a null or a default number')
    if result.array and result.type in ('bytes', 'records'):
        raise SchemaError(result.line, f'an array of {result.type} is not supported')
    if result.tag is None:
        return
    if message.flexible < 0 or result.low < message.flexible:
        raise SchemaError(result.line, 'a tag needs flexible versions')
    if result.type == 'records':
        raise SchemaError(result.line, 'records cannot be tagged')
    if result.type in NULLABLE and result.null and result.default != 'null':
        raise SchemaError(result.line, 'a nullable tagged field needs the default null')


def check_unit(unit):
    if unit.key >= 0 and [m.name for m in unit.messages] != [
            f'{unit.name}_request', f'{unit.name}_response']:
        raise SchemaError(unit.line, f'api {unit.name} needs one request, then one response')
    for message in unit.messages:
        collect_structs(message, message.root, tagged=False)
    if unit.key >= 0:
        check_told_of(*unit.messages)


def check_told_of(request, response):
    asked = {f.name for struct in request.structs for f in struct.fields}
    for item in [f for struct in response.structs for f in struct.fields]:
        for name in item.of.split('|'):
            if name not in asked | {item.name}:
                raise SchemaError(item.line, f'the request has no field "{name}"')


def collect_structs(message, struct, tagged):
    """Fills message.structs, and checks what needs whole structs."""
    tags = [f.tag for f in struct.fields if f.tag is not None]
    if len(tags) != len(set(tags)):
        raise SchemaError(struct.line, f'{struct.name} has the same tag twice')
    if not struct.fields:
        raise SchemaError(struct.line, f'{struct.name} has no fields')
    shown = [f.shown for f in struct.fields if f.shown != '-']
    if len(shown) != len(set(shown)) or ('.' in shown and len(shown) > 1):
        raise SchemaError(struct.line, f'{struct.name} shows two fields under one name')
    for item in struct.fields:
        if item.type == 'records' and tagged:
            raise SchemaError(item.line, 'records cannot be within a tagged field')
        if item.struct:
            collect_structs(message, item.struct, tagged or item.tag is not None)
            if item.tag is not None and not item.array and not item.null:
                for inner in item.struct.fields:
                    if inner.array or inner.struct or inner.type == 'float64':
                        raise SchemaError(inner.line, 'a tagged struct holds plain values only')
        if item.array and minimum_size(message, item) == 0:
            raise SchemaError(item.line, 'an element may take no bytes: counts would be unbounded')
    if struct not in message.structs:
        message.structs.append(struct)


def check_unique(units):
    names, keys = {}, {}
    for unit in units:
        if unit.key >= 0 and unit.key in keys:
            raise SchemaError(unit.line, f'api key {unit.key} is already there')
        keys[unit.key] = unit
        for name in {unit.name} | {s.name for m in unit.messages for s in m.structs}:
            if name in names:
                raise SchemaError(unit.line, f'"{name}" is already there')
            names[name] = unit


def minimum_size(message, item):
    """The fewest bytes that one element of this array takes in any version that has the array."""
    return min(element_size(message, item, version)
               for version in range(item.low, item.high + 1))


def element_size(message, item, version):
    if item.struct is None:
        return FIXED_SIZES.get(item.type) or length_size(message, item.type, version)
    return struct_size(message, item.struct, version)


def length_size(message, kind, version):
    if 0 <= message.flexible <= version:
        return 1
    return 2 if kind == 'string' else 4


def struct_size(message, struct, version):
    size = 1 if 0 <= message.flexible <= version else 0
    for item in struct.fields:
        if item.tag is None and item.low <= version <= item.high:
            if item.array:
                size += length_size(message, 'array', version)
            elif item.struct and item.null:
                size += 1
            else:
                size += element_size(message, item, version)
    return size


def parse(text):
    return Parser(text).parse()
