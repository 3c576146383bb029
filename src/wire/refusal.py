"""Makes refusals.c (wire/refusal.h): for each API the answer that gives one error to all that a
request asks for.

An error at the top of the answer says it all. Else each element of an array with errors tells of an
element of the request: of the array with the same name, or with the one that `of` names; where it names two, each
is in versions of its own.
"""


def is_error(item):
    return item.name in ('error_code', 'partition_error_code') and item.type == 'int16' and (
        not item.array)


def has_error(struct):
    return any(is_error(f) or (f.array and f.struct and has_error(f.struct))
               for f in struct.fields)


def value_field(struct):
    """Which field of an answer's struct takes a plain value of the request."""
    return next(f for f in struct.fields if not f.name.startswith('error_'))


def counterparts(item, request):
    """The fields of the request that this one of the answer tells of, as far as they can be."""
    return [f for f in request.fields if f.name in item.of.split('|') and fits(item, f)]


def counterpart(item, request):
    """The first of them, or None."""
    return next(iter(counterparts(item, request)), None)


def fits(item, other):
    if other.array != item.array or item.type in ('records', 'bytes') or (
            {item.default, other.default} - {None, 'null'}):
        return False  # a default other than null: not what tells one from another
    if item.array and item.struct and other.struct is None:
        return value_field(item.struct).type == other.type
    return item.type == other.type and (item.array == bool(item.struct))


def is_told(item, request):
    """Whether an answer with an error has this array: for its errors, or it names what was asked."""
    other = counterpart(item, request)
    return other is not None and (has_error(item.struct) or (other.struct is not None and all(
        counterpart(f, other.struct) is not None for f in item.struct.fields)))


def ways(unit):
    """The error at the top of the answer, if any, and whether the answer tells of what was asked."""
    request, answer = (m.root for m in unit.messages)
    top = next((f for f in answer.fields if is_error(f)), None)
    always = top is not None and (top.low, top.high) == (answer.low, answer.high)
    mirrored = any(f.array and f.struct and is_told(f, request) and has_error(f.struct)
                   for f in answer.fields)
    return top, mirrored and not always


class Refusals:
    def __init__(self, code, within):
        self.code = code
        self.within = within
        self.done = set()

    def mirror(self, answer, request):
        """Fills one struct of the answer from that of the request; what it needs comes before."""
        if answer.name in self.done:
            return
        self.done.add(answer.name)
        arrays = [f for f in answer.fields if f.array and f.struct and is_told(f, request)]
        for item in arrays:
            for other in counterparts(item, request):
                if other.struct:
                    self.mirror(item.struct, other.struct)
        code = self.code
        code.add(f'static void {answer.name}_refuse(struct refusal *refusal,',
                 f'    const struct {request.name} *in, struct {answer.name} *out)', '{')
        code.depth += 1
        code.add(f'{answer.name}_init(out);')
        for item in answer.fields:
            if is_error(item):
                self.give_error(item, answer)
            elif item in arrays:
                self.give_arrays(item, counterparts(item, request), request)
            elif counterpart(item, request) is not None and not item.array:
                code.add(f'out->{item.name} = in->{item.of};')
        code.depth -= 1
        code.add('}', '')

    def give_error(self, item, answer):
        condition = self.within((item.low, item.high), (answer.low, answer.high),
                                'refusal->version')
        if condition:
            with self.code.block(f'if ({condition})'):
                self.code.add(f'out->{item.name} = refusal_tell(refusal);')
        else:
            self.code.add(f'out->{item.name} = refusal_tell(refusal);')

    def give_arrays(self, item, all_asked, request):
        if len(all_asked) == 1:
            self.give_array(item, all_asked[0])
            return
        for asked in all_asked:
            condition = self.within((asked.low, asked.high), (request.low, request.high),
                                    'refusal->version')
            with self.code.block(f'if ({condition})'):
                self.give_array(item, asked)

    def give_array(self, item, asked):
        code = self.code
        code.add(f'out->{item.name} = refusal_array(refusal, in->{asked.name}_count,',
                 f'    sizeof *out->{item.name}, &out->{item.name}_count);')
        with code.block(f'for (int32_t i = 0; i < out->{item.name}_count; i++)'):
            if asked.struct:
                code.add(f'{item.struct.name}_refuse(refusal, &in->{asked.name}[i], '
                         f'&out->{item.name}[i]);')
                return
            code.add(f'{item.struct.name}_init(&out->{item.name}[i]);',
                     f'out->{item.name}[i].{value_field(item.struct).name} = in->{asked.name}[i];')
            code.add(*[f'out->{item.name}[i].{f.name} = refusal_tell(refusal);'
                       for f in item.struct.fields if is_error(f)])

    def api(self, unit):
        request, answer = (m.root for m in unit.messages)
        name = unit.name
        top, mirrored = ways(unit)
        if mirrored:
            self.mirror(answer, request)
        code = self.code
        code.add(f'static void refuse_{name}(struct refusal *refusal, struct wire_reader *reader,',
                 '    struct wire_writer *writer)', '{')
        code.depth += 1
        code.add(f'struct {answer.name} out;', f'{answer.name}_init(&out);')
        if top is not None:
            condition = self.within((top.low, top.high), (answer.low, answer.high),
                                    'refusal->version')
            code.add('out.error_code = ' + (
                'refusal_tell(refusal);' if not condition else
                f'{condition} ? refusal_tell(refusal) : 0;'))
        if mirrored:
            code.add(f'struct {request.name} in;')
            asked = 'refusal->told == 0 && ' if top is not None else ''
            with code.block(f'if ({asked}{request.name}_decode(reader, refusal->version, &in) == '
                            'ERR_NONE)'):
                code.add(f'{answer.name}_refuse(refusal, &in, &out);')
        else:
            code.add('(void)reader;')
        with code.block('if (refusal->told > 0)'):
            code.add(f'{answer.name}_encode(writer, refusal->version, &out);')
        code.depth -= 1
        code.add('}', '')


def text(units, code, within):
    apis = [u for u in units if u.key >= 0]
    code.add('#include "wire/refusal_inside.h"', '')
    code.add(*[f'#include "wire/generated/{u.name}.h"' for u in sorted(apis, key=lambda u: u.name)],
             '')
    refusals = Refusals(code, within)
    able = [u for u in apis if ways(u) != (None, False)]
    for unit in able:
        refusals.api(unit)
    code.add('const struct refusal_of_api wire_refusals[] = {')
    code.add(*[f'    {{{u.key}, refuse_{u.name}}},' for u in able])
    code.add('};', '', f'const int wire_refusals_count = {len(able)};')
    return code.text()
