#!/usr/bin/python3
"""The `tidings` command as a whole: help, slips of the tongue, closed descriptors, and a bus that is
not there."""
import socket
import subprocess
import unittest

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import BINARY, bus_address, Case, environment, WAIT_S


class Help(Case):
    def test_help_teaches(self):
        for words in (["help"], ["--help"], ["topic", "--help"], ["group", "help"]):
            self.assertIn("Usage: tidings", self.out(*words))
        for words in (["publish"], ["subscribe"], ["version"], ["topic", "create"],
                      ["topic", "list"], ["topic", "describe"], ["topic", "alter"],
                      ["topic", "delete"], ["group", "list"], ["group", "describe"],
                      ["group", "reset"], ["group", "delete"]):
            text = self.out(*words, "--help")
            self.assertIn("Examples:", text)
            self.assertEqual(text, self.out("help", *words))

    def test_exit_codes_are_documented(self):
        self.assertIn("Exit codes:", self.out("help"))

    def test_version(self):
        version = self.json("version", "--json")["version"]
        self.assertIn(version, self.out("version"))
        self.assertIn(version, self.out("--version"))

    def test_slips_get_a_hint(self):
        for words in ([], ["topic"], ["group"]):
            self.assertIn("Commands:\n", self.fails(2, "^Usage: tidings", *words))
        self.fails(2, r"did you mean 'tidings subscribe'", "subscrbe")
        self.fails(2, r"did you mean 'tidings topic create'", "topic", "creat")
        self.fails(2, r"unknown option '--jsno'\nhint: did you mean --json\?", "topic", "list",
                   "--jsno")
        self.fails(2, r"--timeout: 'soon' is no duration", "topic", "list", "--timeout", "soon")
        self.fails(2, r'No such configuration property: "nonsense"', "topic", "list", "-X",
                   "nonsense=1")


    def test_usual_words_are_understood(self):
        name = self.topic()
        self.assertIn(name, self.out("topic", "ls"))
        self.assertIn("deleted", self.out("topic", "rm", name))
        self.assertEqual(self.out("-v"), self.out("--version"))

    def test_a_shortened_option_is_no_other_word(self):
        name = self.topic()
        self.fails(2, r"unknown option '--tim'\nhint: did you mean --timeout\?", "topic", "list",
                   "--tim", "1s")
        self.fails(2, r"unknown option '--part=1'\nhint: did you mean --partition\?", "subscribe",
                   name, "--part=1")
        self.fails(2, "unknown option '--js'", "topic", "list", "--js")
        self.fails(2, "unknown option '--top'", "subscribe", "--top")
        self.run_tidings("publish", name, "--message", "--top", "--header=--top=1")
        self.assertEqual(self.values(name), ["--top"])


class ClosedDescriptors(Case):
    """Started without standard input or output, nothing else takes their place."""

    def shell(self, script, code):
        done = subprocess.run(["/bin/sh", "-c", script, BINARY, self.name], env=environment(),
                              capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, code, done)
        return done

    def setUp(self):
        self.name = self.topic()

    def test_publish_without_input(self):
        self.assertIn("cannot read the input", self.shell('"$0" publish "$1" <&-', 1).stderr)
        self.assertIn("published 1", self.shell('"$0" publish "$1" a <&-', 0).stdout)

    def test_output_does_not_go_into_a_socket(self):
        self.assertIn("cannot write the output", self.shell('"$0" publish "$1" a >&-', 1).stderr)
        self.shell('"$0" publish "$1" --nonsense 2>&-', 2)
        self.shell('"$0" topic list <&- >&- 2>&-', 1)
        self.assertEqual(self.values(self.name), ["a"])


class Reach(Case):
    def test_nobody_listens(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % unused.getsockname()[1]
            for words in (["topic", "list"], ["publish", "t", "x"], ["subscribe", "t"],
                          ["group", "list"]):
                err = self.fails(3, r"cannot reach the bus at %s: nobody listens" % address, *words,
                                 address=address)
                self.assertIn("--bootstrap-server", err)

    def test_unknown_host(self):
        self.fails(3, "cannot reach the bus", "topic", "list", "-b", "nowhere.invalid:9092")

    def test_option_beats_environment(self):
        self.run_tidings("topic", "list", "--bootstrap-server", bus_address(), address="127.0.0.1:1")


if __name__ == "__main__":
    unittest.main()
