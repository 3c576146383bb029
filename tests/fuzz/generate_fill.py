"""Makes C that fills any message of kafka.schema with random values, for seeds and round trips.

    generate_fill.py WIRE_DIRECTORY OUTPUT
"""

import pathlib
import sys


def fill_lines(item, schema):
    name = f'out->{item.name}'
    null = 'true' if item.null else 'false'
    if item.array:
        yield f'    {name}_count = fill_count(filler, {null});'
        yield f'    {name} = fill_array(filler, {name}_count, sizeof *{name});'
        yield f'    for (int32_t i = 0; i < {name}_count; i++) {{'
        if item.struct:
            yield f'        {item.struct.name}_fill(filler, &{name}[i]);'
        else:
            yield f'        {name}[i] = {fill_value(item, "false", schema)};'
        yield '    }'
    elif item.struct and item.null:
        yield f'    {name} = fill_array(filler, fill_bool(filler), sizeof *{name});'
        yield f'    if ({name} != NULL) {{'
        yield f'        {item.struct.name}_fill(filler, {name});'
        yield '    }'
    elif item.struct:
        yield f'    {item.struct.name}_fill(filler, &{name});'
    else:
        yield f'    {name} = {fill_value(item, null, schema)};'


def fill_value(item, null, schema):
    if item.type in schema.INTEGERS:
        return f'({schema_c_type(item.type)})fill_integer(filler)'
    if item.type in ('bytes', 'string'):
        return f'fill_text(filler, {null})'
    if item.type == 'records':
        return f'(struct wire_records){{.bytes = fill_text(filler, {null})}}'
    return f'fill_{item.type}(filler)'


def schema_c_type(name):
    return f'{name}_t'


def main(arguments):
    wire = pathlib.Path(arguments[0])
    sys.path.insert(0, str(wire))
    sys.dont_write_bytecode = True
    import schema
    units = schema.parse((wire / 'kafka.schema').read_text(encoding='utf-8'))
    messages = [m for unit in units for m in unit.messages]
    lines = ['#include "fill.h"', '']
    lines += [f'#include "wire/generated/{unit.name}.h"' for unit in units] + ['']
    for message in messages:
        for struct in message.structs:
            lines += [f'static void {struct.name}_fill(struct filler *filler, '
                      f'struct {struct.name} *out)', '{', f'    {struct.name}_init(out);']
            for item in struct.fields:
                lines += fill_lines(item, schema)
            lines += ['}', '']
        lines += [f'static void any_{message.name}_fill(struct filler *filler, void *out)', '{',
                  f'    {message.name}_fill(filler, out);', '}', '']
    lines += ['/* In the order of wire_codecs. */', 'const fill_function wire_fills[] = {']
    lines += [f'    any_{m.name}_fill,' for m in messages] + ['};', '']
    pathlib.Path(arguments[1]).write_text('\n'.join(lines), encoding='utf-8')


main(sys.argv[1:])
