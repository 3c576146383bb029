"""The generator refuses a bad schema and names the line."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

WIRE = pathlib.Path(sys.argv.pop(1))
GOOD = """\
api 1 sample 0-3 flexible 2
request
    name  string null 1+
    items [item] 1+
        id    int32 = -1
        extra {extra} 2+ tag 0
            value int64
response
    code int16
"""
RECORDS = """\
data thing_key 1
    name string

data thing_value 0-1
    when   int64 = -1 as when?
    state  int8 names A|
        B
    parts  [part]
        text string as .
        more bytes  as -
topic __things
    thing a-thing
"""


def generate(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / 'sample.schema'
        path.write_text(text, encoding='utf-8')
        return subprocess.run([sys.executable, '-B', WIRE / 'generate.py', path, directory],
                              capture_output=True, text=True, check=False)


class SchemaTest(unittest.TestCase):
    def refuses(self, text, line, words):
        result = generate(text)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f'sample.schema:{line}: ', result.stderr)
        self.assertIn(words, result.stderr)

    def test_good_schema_passes(self):
        result = generate(GOOD)
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def test_lines_that_are_wrong(self):
        for old, new, line, words in [
                ('name  string', 'name  strong', 3, 'unknown type'),
                ('name  string', 'Name  string', 3, 'no usable name'),
                ('code int16', 'code int16 of thing', 9, 'no field "thing"'),
                ('name  string', 'int   string', 3, 'no usable name'),
                ('name  string null 1+', 'name string 4+', 3, 'not within 0-3'),
                ('name  string null 1+', 'name string 1-0', 3, 'not within'),
                ('name  string null 1+', 'name int32 null', 3, 'cannot be null'),
                ('name  string null 1+', 'name string null 1+ = null', 3, 'null default'),
                ('name  string null 1+', 'name string sometimes', 3, 'did not expect'),
                ('    name  string null 1+', '   name string', 3, 'four spaces'),
                ('    name  string null 1+', '        name string', 3, 'indented deeper'),
                ('    items [item]', '    name  [item]', 4, 'already there'),
                ('int32 = -1', 'int8 = 128', 5, 'no default'),
                ('int32 = -1', 'bool = 1', 5, 'no default'),
                ('{extra} 2+ tag 0', '{extra} 1+ tag 0', 6, 'flexible versions'),
                ('value int64', 'value records', 7, 'within a tagged field'),
                ('value int64', 'value [int64]', 7, 'plain values'),
                ('flexible 2', 'flexible 4', 1, 'not within 0-3'),
                ('api 1 sample 0-3', 'api one sample 0-3', 1, 'expected api'),
                ('response\n', 'reply\n', 8, 'expected api'),
                ('response\n    code int16\n', '', 1, 'one request, then one response'),
                ('    code int16\n', '', 8, 'no fields'),
        ]:
            with self.subTest(new=new):
                self.assertIn(old, GOOD)
                self.refuses(GOOD.replace(old, new), line, words)

    def test_elements_that_may_take_no_bytes(self):
        text = GOOD.replace('items [item] 1+', 'items [item]').replace('int32 = -1', 'int32 1+')
        self.refuses(text, 4, 'no bytes')

    def test_things_named_twice(self):
        self.refuses(GOOD + GOOD, 10, 'api key 1 is already there')
        self.refuses(GOOD + GOOD.replace('api 1', 'api 2'), 10, 'already there')
        self.refuses(GOOD.replace('        extra', '        other {other} 2+ tag 0\n'
                                  '            value int32\n        extra'), 4, 'same tag twice')

    def test_good_records_pass(self):
        result = generate(GOOD + RECORDS)
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def test_lines_of_records_that_are_wrong(self):
        for old, new, line, words in [
                ('as when?', 'as When', 14, 'no name for JSON'),
                ('int64 = -1 as when?', 'int64 as when?', 14, 'left out needs'),
                ('as when?', 'as state', 13, 'two fields under one name'),
                ('as -', 'as two', 17, 'two fields under one name'),
                ('names A|', 'name A|', 16, 'did not expect'),
                ('    thing a-thing', '    thing', 21, 'expected NAME KIND'),
                ('    thing a-thing', '    other a-thing', 21, 'expected NAME KIND'),
                ('    thing a-thing', '    thing a-thing\n    thing another', 22, 'the same version'),
                ('topic __things', 'topics __things', 20, 'or topic'),
        ]:
            with self.subTest(new=new):
                self.assertIn(old, RECORDS)
                self.refuses(GOOD + RECORDS.replace(old, new), line, words)
        self.refuses(GOOD.replace('code int16', 'code int16 as number'), 9, 'did not expect')

    def test_a_struct_cannot_hold_itself(self):
        self.refuses(GOOD.replace('value int64', 'value {extra}'), 7, 'already there')


unittest.main()
