#!/usr/bin/python3
"""What the runner of all tests makes of a failure: a test that fails, or one that is unsteady."""
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness import again

SUITE = textwrap.dedent('''
    import os, unittest
    class Some(unittest.TestCase):
        def test_first_time(self):
            """Fails once: what it does the first time is still there the second."""
            mark = os.path.join(os.environ["MARKS"], "first")
            if not os.path.exists(mark):
                open(mark, "w").close()
                self.fail("the first time")
        def test_always(self):
            self.fail("always")
        def test_parts(self):
            for i in range(2):
                with self.subTest(i=i):
                    self.fail("a part")
        def test_good(self): pass
        def test_nothing_is_lost(self): pass
        def test_skipped(self):
            if os.path.exists(os.path.join(os.environ["MARKS"], "skip")):
                self.skipTest("this time")
            self.fail("not this time")
    class Class(unittest.TestCase):
        @classmethod
        def setUpClass(cls): raise OSError("no place")
        def test_good(self): pass
    class Crashed(unittest.TestCase):
        def test_crashed(self):
            self.fail(os.environ.get("HOW", "") or "gone")
    unittest.main()
''')


class Again(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.marks = folder.name
        self.suite = os.path.join(folder.name, "suite.py")
        with open(self.suite, "w", encoding="utf-8") as file:
            file.write(SUITE)

    def run_command(self, *command, **env):
        done = subprocess.run(command, env=dict(os.environ, MARKS=self.marks, **env), text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode == 0, done.stdout

    def failures(self, *names, **env):
        command = (sys.executable, self.suite, "-v")
        good, text = self.run_command(*command, *names, **env)
        self.assertFalse(good)
        return {test.what: test for test in again.of_unittest("suite", command, env, text)}

    def test_names_of_a_suite(self):
        found = self.failures()
        self.assertEqual(sorted(found), [f"suite: {name}" for name in (
            "Class", "Crashed.test_crashed", "Some.test_always", "Some.test_first_time", "Some.test_parts",
            "Some.test_skipped")])
        self.assertEqual(found["suite: Some.test_parts"].count, 2)

    def test_only_what_passes_each_time_is_unsteady(self):
        found = self.failures()
        self.assertTrue(found["suite: Some.test_first_time"].passes(self.run_command))
        for name in ("Some.test_always", "Some.test_parts", "Class"):
            self.assertFalse(found["suite: " + name].passes(self.run_command), name)

    def test_what_is_skipped_has_not_passed(self):
        found = self.failures("Some.test_skipped")
        with open(os.path.join(self.marks, "skip"), "w", encoding="utf-8"):
            self.assertFalse(found["suite: Some.test_skipped"].passes(self.run_command))

    def test_evidence_is_not_forgiven(self):
        for how in ("==12==ERROR: AddressSanitizer: heap-use-after-free", "x.c:1:2: runtime error: null pointer",
                    "the server ended with -11", "2 events are lost", "Assertion `rkb' failed."):
            self.assertEqual(self.failures("Crashed", "Some.test_good", HOW=how), {}, how)
        for how in ("the server ended with -9", "the server ended with 1"):
            self.assertEqual(len(self.failures("Crashed", "Some.test_nothing_is_lost", HOW=how)), 1, how)

    def test_unit_tests(self):
        output = "[ RUN      ] nothing_is_lost\n[       OK ] nothing_is_lost\n1 != 2\n"
        test, = again.of_meson("build-test/asan", "unit-log", output, "--timeout-multiplier", "10")
        self.assertEqual((test.what, test.command[-3:]), ("asan: unit-log", ("--timeout-multiplier", "10", "unit-log")))
        self.assertTrue(test.passes(lambda *_: (True, "\nOk:                 1   \nFail:  0\n")))
        self.assertFalse(test.passes(lambda *_: (True, "\nOk:                 0   \nSkipped: 1\n")))
        self.assertEqual(again.of_meson("build-test/asan", "unit-log", "ERROR: LeakSanitizer: 8 bytes"), [])


if __name__ == "__main__":
    unittest.main()
