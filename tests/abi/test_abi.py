#!/usr/bin/python3
"""What programs that were built against 1.x may rely on, whichever library of 1.y they meet.

    tests/abi/test_abi.py BUILD [-v]

A service is built with headers whose structs have fewer members, and more, than the library's, and
runs with it; 1.0.txt is held against headers and library. BUILD/sdk has libtidings.so.1.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "sdk")
BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
FINE = "handled 1, shipped 1, dead 0\n"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def run(*command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=120, **more)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}")
    return done.stdout


def promised():
    """[(kind, name, ...)] of 1.0.txt"""
    return [line.split() for line in read(HERE, "1.0.txt").splitlines() if not line.startswith("#")]


class Abi(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidings-abi-")
        self.addCleanup(shutil.rmtree, self.folder)

    def headers(self, change):
        """The public headers, tidings.h changed."""
        for name in ("tidings.h", "tidings_once.h", "tidings_test.h"):
            text = read(HEADERS, name)
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(change(text) if name == "tidings.h" else text)

    def service(self, *defines):
        """What a service prints that is built with these headers, on the library as it is."""
        program = os.path.join(self.folder, "service")
        run("cc", "-std=c11", *STRICT, *defines, "-I" + self.folder, os.path.join(HERE, "service.c"),
            "-o", program, "-L" + os.path.join(BUILD, "sdk"), "-ltidings")
        return run(program, env=dict(os.environ, LD_LIBRARY_PATH=os.path.join(BUILD, "sdk")))

    def in_struct(self, text, name, change):
        """The header with another body of a struct."""
        found = re.search(r"^struct %s \{\n(.*?)^\};" % name, text, re.M | re.S)
        body = change(found[1])
        self.assertNotEqual(body, found[1])
        return text[:found.start(1)] + body + text[found.end(1):]

    def test_a_program_whose_structs_have_fewer_members_runs(self):
        def older(text):
            text = self.in_struct(text, "tidings_options", lambda body: body[:body.index("    tidings_log_fn *log;")])
            return self.in_struct(text, "tidings_message", lambda body:
                                  body[:body.index("    const struct tidings_header *headers;")])
        self.headers(older)
        self.assertEqual(self.service(), FINE)

    def newer(self, option, member):
        """What a service prints that gives members which the library does not know yet."""
        def change(text):
            text = self.in_struct(text, "tidings_options", lambda body: body + "    int added;\n")
            return self.in_struct(text, "tidings_message", lambda body: body + "    const char *added;\n")
        self.headers(change)
        return self.service(f"-DADDED_OPTION=.added = {option}", f"-DADDED_MEMBER=.added = {member}")

    def test_a_program_whose_structs_have_more_members_runs_when_they_are_0(self):
        self.assertEqual(self.newer(0, "NULL"), FINE)

    def test_an_option_that_the_library_is_too_old_to_know_is_told(self):
        printed = self.newer(1, "NULL")
        self.assertRegex(printed, r"^status 1: struct tidings_options: .* newer one is needed\n$")

    def test_a_member_of_a_message_that_the_library_is_too_old_to_know_is_told(self):
        printed = self.newer(0, '"x"')
        self.assertIn("struct tidings_message: the program sets a member that came after libtidings", printed)
        self.assertIn("handled 0, shipped 0, dead 1", printed)

    def test_what_1_0_promised_holds(self):
        asserts = ["#include <tidings_once.h>", "#include <tidings_test.h>"]
        for kind, name, *rest in promised():
            if kind == "value":
                asserts.append(f'_Static_assert({name} == {rest[0]}, "{name}");')
            elif kind == "member":
                asserts.append(f'_Static_assert(offsetof(struct {name}, {rest[0]}) == {rest[1]}, "{name}.{rest[0]}");')
            elif kind in ("size", "room"):
                sign = "==" if kind == "size" else ">="
                asserts.append(f'_Static_assert(sizeof(struct {name}) {sign} {rest[0]}, "{name}");')
        self.assertGreater(len(asserts), 130)
        source = os.path.join(self.folder, "promised.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(asserts) + "\n")
        if sys.maxsize < 2**32:
            self.skipTest("1.0.txt is about 64-bit machines")
        run("cc", "-std=c11", "-fsyntax-only", "-I" + HEADERS, source)

    def test_each_function_of_1_0_has_its_symbol(self):
        text = run("nm", "-D", "--defined-only", "--with-symbol-versions",
                   os.path.join(BUILD, "sdk", "libtidings.so"))
        have = set(re.findall(r" T (\S+)@@TIDINGS_1\.0$", text, re.M))
        want = {name for kind, name, *_ in promised() if kind == "function"}
        self.assertEqual(want - have, set())
        self.assertEqual(have - want, set(), "what comes later has a later version in tidings.map")

    def test_the_headers_are_clean_in_c_and_in_cpp(self):
        for name in ("tidings.h", "tidings_once.h", "tidings_test.h"):
            for compiler, language in (("cc", "c11"), ("c++", "c++11")):
                source = os.path.join(self.folder, "alone." + language.rstrip("1"))
                with open(source, "w", encoding="utf-8") as file:
                    file.write(f"#include <{name}>\nint main(void) {{ return 0; }}\n")
                if shutil.which(compiler):
                    run(compiler, "-x", "c++" if "+" in language else "c", "-std=" + language, *STRICT, "-Wshadow",
                        "-Wconversion", "-fsyntax-only", "-I" + HEADERS, source)


if __name__ == "__main__":
    unittest.main()
