"""Makes C from kafka.schema: structs, defaults, decoders, encoders and the tables of them.

    generate.py --list SCHEMA         prints the names of the files it makes
    generate.py SCHEMA DIRECTORY      makes them
"""

import pathlib
import sys

import refusal
import schema

C_TYPES = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t',
           'int32': 'int32_t', 'uint32': 'uint32_t', 'int64': 'int64_t', 'float64': 'double',
           'uuid': 'struct wire_uuid', 'string': 'struct slice', 'bytes': 'struct slice',
           'records': 'struct wire_records'}
BANNER = '/* Made from kafka.schema by generate.py: do not edit. */\n'


def within(inner, outer, variable='version'):
    """The C condition that a version of the range `outer` is in `inner`; '' when it always is."""
    (low, high), (first, last) = inner, outer
    if low == high and low != first and high != last:
        return f'{variable} == {low}'
    terms = []
    if low > first:
        terms.append(f'{variable} >= {low}')
    if high < last:
        terms.append(f'{variable} <= {high}')
    return ' && '.join(terms)


def shown(inner, outer):
    low, high = inner
    return f'{low}+' if high == outer[1] else f'{low}-{high}' if low != high else f'{low}'


def c_type(item):
    return f'struct {item.struct.name}' if item.struct else C_TYPES[item.type]


def by_pointer(item):
    return item.array or (item.struct is not None and item.null is not None)


class Code:
    """Lines of C; a block indents what is added within it."""

    def __init__(self):
        self.lines = []
        self.depth = 0

    def add(self, *lines):
        for line in lines:
            self.lines.append('    ' * self.depth + line if line else '')

    def block(self, head):
        self.add(head + ' {')
        self.depth += 1
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.depth -= 1
        self.add('}')

    def text(self):
        return '\n'.join(self.lines) + '\n'


def field_note(item, struct):
    notes = []
    if (item.low, item.high) != (struct.low, struct.high):
        notes.append(shown((item.low, item.high), (struct.low, struct.high)))
    if item.null:
        where = '' if item.null == (item.low, item.high) else ' in ' + shown(
            item.null, (item.low, item.high))
        notes.append('may be null' + where)
    if item.tag is not None:
        notes.append(f'tag {item.tag}')
    if item.default not in (None, 'null'):
        notes.append(f'default {str(item.default).lower()}')
    return f' /* {", ".join(notes)} */' if notes else ''


def emit_struct(code, struct):
    code.add(f'struct {struct.name} {{')
    for item in struct.fields:
        star = '*' if by_pointer(item) else ''
        code.add(f'    {c_type(item)} {star}{item.name};{field_note(item, struct)}')
        if item.array:
            code.add(f'    int32_t {item.name}_count;')
    code.add('};', '')


def default_value(item):
    """The initialiser of a field's default, or None for zero."""
    if item.array:
        return ('_count', '-1') if item.default == 'null' else None
    if item.type in ('string', 'bytes'):
        return None if item.default == 'null' else ('', 'WIRE_EMPTY')
    if item.default in (None, 'null', 0):
        return None
    return '', integer(item, item.default)


def integer(item, value):
    if value is True:
        return 'true'
    _, high = schema.INTEGERS[item.type]
    if value == -high - 1:
        return {'int32': 'INT32_MIN', 'int64': 'INT64_MIN'}.get(item.type, str(value))
    return str(value)


def emit_init(code, struct):
    with_default = [(f.name, default_value(f)) for f in struct.fields if default_value(f)]
    nested = [f for f in struct.fields if f.struct and not by_pointer(f)]
    code.add(f'static inline void {struct.name}_init(struct {struct.name} *out)', '{')
    if with_default:
        code.add(f'    *out = (struct {struct.name}){{')
        code.add(*[f'        .{name}{suffix} = {value},' for name, (suffix, value) in with_default])
        code.add('    };')
    else:
        code.add('    memset(out, 0, sizeof *out);')
    code.add(*[f'    {f.struct.name}_init(&out->{f.name});' for f in nested])
    code.add('}', '')


class Codec:
    """The decoder and encoder of one message."""

    def __init__(self, message, code):
        self.message = message
        self.code = code

    def flexible(self, outer):
        """The C expression for 'this version is flexible', within a range of versions."""
        first = self.message.flexible
        if first < 0 or outer[1] < first:
            return 'false'
        return 'true' if outer[0] >= first else 'flexible'

    def nullable(self, item, outer):
        if not item.null:
            return 'false'
        return within(item.null, (max(item.low, outer[0]), min(item.high, outer[1]))) or 'true'

    def read_value(self, item, outer):
        if item.type in ('string', 'bytes', 'records'):
            null = 'false' if item.array else self.nullable(item, outer)
            return f'wire_read_{item.type}(reader, {self.flexible(outer)}, {null})'
        return f'wire_read_{item.type}(reader)'

    def write_value(self, item, outer, value):
        if item.type in ('string', 'bytes', 'records'):
            null = 'false' if item.array else self.nullable(item, outer)
            mark = '&' if item.type == 'records' else ''
            return (f'wire_write_{item.type}(writer, {mark}{value}, {self.flexible(outer)}, '
                    f'{null});')
        return f'wire_write_{item.type}(writer, {value});'

    def read_field(self, item):
        code, outer, name = self.code, (item.low, item.high), item.name
        if item.array:
            code.add(f'out->{name} = wire_read_array(',
                     f'    reader, {self.flexible(outer)}, {self.nullable(item, outer)}, '
                     f'{schema.minimum_size(self.message, item)}, sizeof *out->{name}, '
                     f'&out->{name}_count);')
            with code.block(f'for (int32_t i = 0; i < out->{name}_count && '
                            'reader->err == ERR_NONE; i++)'):
                if item.struct:
                    code.add(f'{item.struct.name}_read(reader, version, &out->{name}[i]);')
                else:
                    code.add(f'out->{name}[i] = {self.read_value(item, outer)};')
        elif item.struct and item.null:
            with code.block('if (wire_read_present(reader))'):
                code.add(f'out->{name} = wire_reader_alloc(reader, 1, sizeof *out->{name});')
                with code.block(f'if (out->{name} != NULL)'):
                    code.add(f'{item.struct.name}_read(reader, version, out->{name});')
        elif item.struct:
            code.add(f'{item.struct.name}_read(reader, version, &out->{name});')
        else:
            code.add(f'out->{name} = {self.read_value(item, outer)};')

    def write_field(self, item):
        code, outer, name = self.code, (item.low, item.high), item.name
        if item.array:
            code.add(f'wire_write_count(writer, in->{name}_count, {self.flexible(outer)}, '
                     f'{self.nullable(item, outer)});')
            with code.block(f'for (int32_t i = 0; i < in->{name}_count; i++)'):
                if item.struct:
                    code.add(f'{item.struct.name}_write(writer, version, &in->{name}[i]);')
                else:
                    code.add(self.write_value(item, outer, f'in->{name}[i]'))
        elif item.struct and item.null:
            code.add(f'wire_write_present(writer, in->{name} != NULL);')
            with code.block(f'if (in->{name} != NULL)'):
                code.add(f'{item.struct.name}_write(writer, version, in->{name});')
        elif item.struct:
            code.add(f'{item.struct.name}_write(writer, version, &in->{name});')
        else:
            code.add(self.write_value(item, outer, f'in->{name}'))

    def fields(self, struct, each):
        """The untagged fields in order, those of the same versions within one condition."""
        items = [f for f in struct.fields if f.tag is None]
        at = 0
        while at < len(items):
            end = at
            while end < len(items) and (items[end].low, items[end].high) == (
                    items[at].low, items[at].high):
                end += 1
            condition = within((items[at].low, items[at].high), (struct.low, struct.high))
            if condition:
                with self.code.block(f'if ({condition})'):
                    for item in items[at:end]:
                        each(item)
            else:
                for item in items[at:end]:
                    each(item)
            at = end

    def read_tags(self, struct, tagged):
        code = self.code
        if not tagged:
            code.add('wire_read_unknown_tags(reader);')
            return
        code.add('uint32_t tag_count = wire_read_tag_count(reader);')
        with code.block('for (uint32_t k = 0; k < tag_count && reader->err == ERR_NONE; k++)'):
            code.add('uint32_t tag;', 'size_t whole_size = wire_read_tag_begin(reader, &tag);')
            head = 'if'
            for item in tagged:
                condition = self.tag_condition(item, struct)
                code.add(f'{head} (tag == {item.tag}{" && " + condition if condition else ""}) {{')
                code.depth += 1
                self.read_field(item)
                code.depth -= 1
                head = '} else if'
            code.add('} else {', '    wire_read_tag_skip(reader);', '}')
            code.add('wire_read_tag_end(reader, whole_size);')

    def tag_condition(self, item, struct):
        low = max(struct.low, self.message.flexible)
        return within((item.low, item.high), (low, struct.high))

    def write_tags(self, struct, tagged):
        code = self.code
        if not tagged:
            code.add('wire_write_uvarint(writer, 0);')
            return
        for item in tagged:
            condition = self.tag_condition(item, struct)
            code.add(f'const bool with_{item.name} = {condition + " && " if condition else ""}'
                     f'{set_expression(item)};')
        total = ' + '.join(f'with_{item.name}' for item in tagged)
        code.add(f'wire_write_uvarint(writer, (uint32_t)({total}));')
        for item in tagged:
            with code.block(f'if (with_{item.name})'):
                code.add(f'size_t begin = wire_write_tag_begin(writer, {item.tag});')
                self.write_field(item)
                code.add('wire_write_tag_end(writer, begin);')

    def body(self, struct, each, tags):
        """The fields, then the tags of flexible versions. Says first whether it is flexible."""
        flexible = self.flexible((struct.low, struct.high))
        tagged = sorted((f for f in struct.fields if f.tag is not None), key=lambda f: f.tag)
        if flexible == 'flexible':
            self.code.add(f'const bool flexible = version >= {self.message.flexible};')
        self.fields(struct, each)
        if flexible == 'flexible':
            with self.code.block('if (flexible)'):
                tags(struct, tagged)
        elif flexible == 'true':
            tags(struct, tagged)

    def emit_struct_codec(self, struct):
        code = self.code
        code.add(f'static void {struct.name}_read(struct wire_reader *reader, int16_t version,',
                 f'    struct {struct.name} *out)', '{')
        code.depth += 1
        code.add(f'{struct.name}_init(out);')
        self.body(struct, self.read_field, self.read_tags)
        code.depth -= 1
        code.add('}', '')
        code.add(f'static void {struct.name}_write(struct wire_writer *writer, int16_t version,',
                 f'    const struct {struct.name} *in)', '{')
        code.depth += 1
        self.body(struct, self.write_field, self.write_tags)
        code.depth -= 1
        code.add('}', '')

    def emit_public(self):
        code, message = self.code, self.message
        name = message.name
        wrong = f'version < {message.low} || version > {message.high}'
        code.add(f'enum err {name}_decode(struct wire_reader *reader, int16_t version,',
                 f'    struct {name} *out)', '{')
        if message.lenient:
            code.add(f'    version = version > {message.high} ? {message.high} : version;')
        code.add(f'    if ({wrong}) {{', f'        {name}_init(out);',
                 '        return ERR_UNSUPPORTED;', '    }',
                 f'    {name}_read(reader, version, out);', '    return reader->err;', '}', '')
        code.add(f'void {name}_encode(struct wire_writer *writer, int16_t version,',
                 f'    const struct {name} *in)', '{',
                 f'    if ({wrong}) {{', '        wire_writer_fail(writer, ERR_UNSUPPORTED);',
                 '        return;', '    }', f'    {name}_write(writer, version, in);', '}', '')

    def emit_versioned(self):
        """Data records begin with their version."""
        code, name = self.code, self.message.name
        code.add(f'enum err {name}_decode_versioned(struct wire_reader *reader, int16_t *version,',
                 f'    struct {name} *out)', '{', '    *version = wire_read_int16(reader);',
                 '    if (reader->err != ERR_NONE) {', f'        {name}_init(out);',
                 '        return reader->err;', '    }',
                 f'    return {name}_decode(reader, *version, out);', '}', '')
        code.add(f'void {name}_encode_versioned(struct wire_writer *writer, int16_t version,',
                 f'    const struct {name} *in)', '{', '    wire_write_int16(writer, version);',
                 f'    {name}_encode(writer, version, in);', '}', '')


def set_expression(item):
    """The C condition that a tagged field differs from its default and so must be written."""
    value = f'in->{item.name}'
    if item.array:
        return f'{value}_count {">= 0" if item.default == "null" else "> 0"}'
    if item.struct and item.null:
        return f'{value} != NULL'
    if item.struct:
        return '(' + ' || '.join(
            differs(f, f'{value}.{f.name}') for f in item.struct.fields) + ')'
    return differs(item, value)


def differs(item, value):
    if item.type in ('string', 'bytes'):
        return f'{value}.data != NULL' if item.default == 'null' else f'{value}.size != 0'
    if item.type == 'uuid':
        return f'!wire_uuid_is_zero({value})'
    if item.type == 'bool':
        return f'!{value}' if item.default is True else value
    return f'{value} != {integer(item, item.default or 0)}'


def header_text(unit):
    guard = f'TIDINGS_WIRE_GENERATED_{unit.name.upper()}_H'
    code = Code()
    first = unit.messages[0]
    code.add(f'#ifndef {guard}', f'#define {guard}', '', '#include "wire/reader.h"',
             '#include "wire/writer.h"', '')
    code.add('enum {', f'    {unit.name.upper()}_LOWEST_VERSION = {first.low},',
             f'    {unit.name.upper()}_HIGHEST_VERSION = {first.high},',
             f'    {unit.name.upper()}_FLEXIBLE_VERSION = {first.flexible}, /* -1: none */', '};',
             '')
    for message in unit.messages:
        for struct in message.structs:
            emit_struct(code, struct)
        code.add('/* Sets every field to its default. Begin with it before encoding, in nested',
                 ' * structs too: a zeroed struct may write tagged fields. */')
        for struct in message.structs:
            emit_init(code, struct)
        name = message.name
        code.add('/* On an error *out is of no use. ERR_UNSUPPORTED: no such version here. */',
                 f'CHECKED enum err {name}_decode(struct wire_reader *reader, int16_t version,',
                 f'    struct {name} *out);', '',
                 '/* Errors stick in the writer. */',
                 f'void {name}_encode(struct wire_writer *writer, int16_t version,',
                 f'    const struct {name} *in);', '')
        if unit.key < 0:
            code.add('/* With the INT16 version at the front. */',
                     f'CHECKED enum err {name}_decode_versioned(struct wire_reader *reader,',
                     f'    int16_t *version, struct {name} *out);',
                     f'void {name}_encode_versioned(struct wire_writer *writer, int16_t version,',
                     f'    const struct {name} *in);', '')
    code.add('#endif')
    return BANNER + code.text()


def source_text(unit):
    code = Code()
    code.add(f'#include "wire/generated/{unit.name}.h"', '')
    for message in unit.messages:
        codec = Codec(message, code)
        for struct in message.structs:
            codec.emit_struct_codec(struct)
        codec.emit_public()
        if unit.key < 0:
            codec.emit_versioned()
    return BANNER + code.text().rstrip('\n') + '\n'


def api_info_text(units):
    code = Code()
    code.add('#include "wire/api_key.h"', '', 'const struct wire_api_info wire_api_info[] = {')
    apis = [u for u in units if u.key >= 0]
    for unit in sorted(apis, key=lambda u: u.key):
        request = unit.messages[0]
        name = ''.join(word.capitalize() for word in unit.name.split('_'))
        code.add(f'    {{API_KEY_{unit.name.upper()}, "{name}", {request.low}, {request.high}, '
                 f'{request.flexible}}},')
    code.add('};', '', f'const int wire_api_info_count = {len(apis)};')
    keys = ''.join(f'_Static_assert(API_KEY_{u.name.upper()} == {u.key}, "{u.name}");\n'
                   for u in apis)
    return BANNER + code.text() + '\n' + keys


def codecs_text(units):
    code = Code()
    code.add('#include "wire/codec.h"', '')
    code.add(*[f'#include "wire/generated/{unit.name}.h"' for unit in sorted(
        units, key=lambda u: u.name)], '')
    messages = [m for u in units for m in u.messages]
    for message in messages:
        name = message.name
        code.add(*any_decode(message),
                 f'static void any_{name}_encode(struct wire_writer *writer, int16_t version,',
                 '    const void *in)', '{', f'    {name}_encode(writer, version, in);', '}', '',
                 f'static void any_{name}_init(void *out)', '{', f'    {name}_init(out);', '}', '')
    code.add('const struct wire_codec wire_codecs[] = {')
    for m in messages:
        code.add(f'    {{"{m.name}", {m.low}, {m.high}, {m.flexible}, sizeof(struct {m.name}),',
                 f'        any_{m.name}_decode, any_{m.name}_encode, any_{m.name}_init}},')
    code.add('};', '', f'const int wire_codecs_count = {len(messages)};')
    return BANNER + code.text()


class Shapes:
    """The tables of how structs are shown, each before those that name it."""

    def __init__(self, code):
        self.code = code
        self.done = set()

    def emit(self, struct):
        if struct.name in self.done:
            return
        self.done.add(struct.name)
        fields = [f for f in struct.fields if f.shown != '-']
        for item in fields:
            if item.struct:
                self.emit(item.struct)
        self.code.add(f'static const struct wire_field {struct.name}_fields[] = {{',
                      *[self.field(struct, item) for item in fields], '};', '',
                      f'static const struct wire_shape {struct.name}_shape = {{',
                      f'    {struct.name}_fields, {len(fields)}, sizeof(struct {struct.name})}};', '')

    @staticmethod
    def field(struct, item):
        parts = [f'"{item.shown}"', f'WIRE_{item.type.upper()}',
                 f'offsetof(struct {struct.name}, {item.name})']
        if item.array:
            parts.append(f'.count_at = offsetof(struct {struct.name}, {item.name}_count)')
        parts.append(f'.bytes = sizeof({c_type(item)})')
        if item.struct:
            parts.append(f'.shape = &{item.struct.name}_shape')
        if item.struct and by_pointer(item) and not item.array:
            parts.append('.by_pointer = true')
        if item.left_out:
            parts.append('.left_out = true')
        if item.type in schema.INTEGERS and item.default is not None:
            parts.append(f'.default_value = {integer(item, item.default)}')
        if item.names:
            names = ', '.join(f'"{name}"' for name in item.names)
            parts.append(f'.names = (const char *const[]){{{names}}}')
            parts.append(f'.names_count = {len(item.names)}')
        return f'    {{{", ".join(parts)}}},'


def any_decode(message):
    """The message's decoder for those that know no struct."""
    return [f'static enum err any_{message.name}_decode(struct wire_reader *reader, int16_t version,',
            '    void *out)', '{', f'    return {message.name}_decode(reader, version, out);', '}', '']


def records_text(units):
    code = Code()
    code.add('#include "wire/record.h"', '')
    records = [u.record for u in units if u.record]
    messages = [m for record in records for m in (record.key, record.value)]
    code.add(*[f'#include "wire/generated/{name}.h"' for name in sorted(m.name for m in messages)],
             '')
    shapes = Shapes(code)
    for message in messages:
        shapes.emit(message.root)
        code.add(*any_decode(message))
    code.add('const struct wire_record_kind wire_record_kinds[] = {')
    for record in records:
        code.add(f'    {{"{record.topic}", "{record.kind}",')
        code.add(*[f'        {{"{m.name}", {m.low}, {m.high}, any_{m.name}_decode, &{m.name}_shape}},'
                   for m in (record.key, record.value)], '    },')
    code.add('};', '', f'const int wire_record_kinds_count = {len(records)};')
    return BANNER + code.text()


def outputs(units):
    files = {}
    for unit in units:
        files[f'{unit.name}.h'] = lambda unit=unit: header_text(unit)
        files[f'{unit.name}.c'] = lambda unit=unit: source_text(unit)
    files['api_info.c'] = lambda: api_info_text(units)
    files['codecs.c'] = lambda: codecs_text(units)
    files['records.c'] = lambda: records_text(units)
    files['refusals.c'] = lambda: BANNER + refusal.text(units, Code(), within)
    return files


def main(arguments):
    listing = arguments[:1] == ['--list']
    path = pathlib.Path(arguments[1 if listing else 0])
    try:
        units = schema.parse(path.read_text(encoding='utf-8'))
    except schema.SchemaError as error:
        print(f'{path}:{error.line}: {error}', file=sys.stderr)
        return 1
    if listing:
        print('\n'.join(outputs(units)))
        return 0
    for name, text in outputs(units).items():
        (pathlib.Path(arguments[1]) / name).write_text(text(), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
