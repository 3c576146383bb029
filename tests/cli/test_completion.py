#!/usr/bin/python3
"""Completion in shells: of commands, options, topics and groups; quiet whatever the bus does."""
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import unittest
import uuid

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import BINARY, bus_address, Case, environment, wait_for, WAIT_S
from harness import kafka

# Calls the function as bash does when TAB is pressed behind the line.
BASH = """
source <("$1" completion bash)
COMP_LINE=$2; COMP_POINT=${#COMP_LINE} COMP_WORDS=("$1")
_tidings
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Completion(Case):
    def words(self, *words, address=None):
        out, err = self.run_tidings("completion", "words", "--", *words, address=address)
        self.assertEqual(err, "")
        return out.decode().splitlines()

    def comes(self, words, how):
        """Who asks the bus gives up after a second, as a person waits: on a busy machine it is asked again."""
        last = []

        def look():
            last[:] = how()
            return last == words
        try:
            wait_for(look, words)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None

    def bash(self, line):
        done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", BINARY, line.replace("tidings", BINARY, 1)],
                              env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=WAIT_S, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands_and_options(self):
        self.assertEqual(self.words("to"), ["topic", "top"])
        self.assertIn("describe", self.words("group", ""))
        self.assertEqual(self.words("topic", "de"), ["describe", "delete"])
        self.assertEqual(self.words("topic", "list", "--so"), ["--sort"])
        self.assertEqual(self.words("topic", "list", "--bo"), ["--bootstrap-server"])
        self.assertIn("--help", self.words("publish", "-"))
        self.assertEqual(self.words("nonsense", ""), [])
        self.assertEqual(self.words("topic", "nonsense", "--"), [])
        self.assertEqual(self.words("backup", ""), [])  # files are the shell's
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("completion words", self.out("completion", shell))
        self.fails(2, "for which shell", "completion")
        self.fails(2, "for which shell", "completion", "csh")

    def test_topics_and_groups(self):
        mark = "c" + uuid.uuid4().hex[:8]
        names = [f"{mark}-{name}" for name in ("one", "two")]
        for name in names:
            self.run_tidings("topic", "create", name)
            self.addCleanup(self.run_tidings, "topic", "delete", name)
            self.run_tidings("group", "reset", "of:" + name, "--topic", name, "--to", "0",
                             "--execute")
        self.comes(names, lambda: self.words("topic", "describe", mark))
        self.comes(names[1:], lambda: self.words("topic", "describe", names[0], mark + "-t"))
        self.comes(names, lambda: self.words("subscribe", mark))
        self.comes(names, lambda: self.words("topic", "list", mark))
        self.comes(["of:" + name for name in names], lambda: self.words("group", "describe", "of:" + mark))
        self.comes(["of:" + names[0]], lambda: self.words("subscribe", names[0], "--group", "of:" + mark + "-o"))
        self.comes(["of:" + names[0]], lambda: self.words("subscribe", names[0], "-g", "of:" + mark + "-o"))
        self.comes(["of:" + names[0]], lambda: self.words("lanes", "list", "of:" + mark + "-o"))
        self.comes(names, lambda: self.words("topic", "describe", "-b", bus_address(), mark, address="127.0.0.1:1"))
        wait_for(lambda: "__consumer_offsets" in self.words("topic", "describe", "__"), "the bus's own topics")
        plain = wait_for(lambda: self.words("topic", "describe", ""), "the topics")
        self.assertNotIn("__consumer_offsets", plain)
        self.comes(names[:1], lambda: self.bash(f"tidings topic describe {mark}-o"))
        self.comes(plain, lambda: self.bash(f"tidings topic describe {names[0]} "))
        # bash takes what is behind the colon for a word of its own
        self.comes(names, lambda: self.bash(f"tidings group describe of:{mark}"))
        self.assertEqual(self.bash("tidings topic desc"), ["describe"])
        self.assertEqual(self.bash("X=1 tidings topic desc"), ["describe"])

    def test_names_that_are_more_than_a_word_are_left_out(self):
        client = kafka.Client(int(bus_address().rsplit(":", 1)[1]))
        mark = "h" + uuid.uuid4().hex[:8]
        name = self.topic()
        for end in ("$(reboot)", " x", ";x", "\x1b[2J", "`x`", "'x", "\nx", "-plain"):
            self.assertEqual(client.commit(mark + end, name, 0), 0)
        client.commit("-" + mark, name, 0)
        client.close()
        self.comes([mark + "-plain"], lambda: self.words("group", "describe", mark))
        self.assertEqual(self.words("group", "describe", "-" + mark), [])

    def test_a_bus_that_does_not_answer(self):
        self.assertEqual(self.words("topic", "describe", "", address="127.0.0.1:1"), [])
        self.assertEqual(self.words("topic", "describe", "", address="nowhere.invalid:1"), [])
        with socket.create_server(("127.0.0.1", 0), backlog=10) as silent:
            address = "127.0.0.1:%d" % silent.getsockname()[1]
            self.assertEqual(self.words("topic", "describe", "", address=address), [])
            self.assertEqual(self.words("group", "describe", "", address=address), [])

    def test_a_key_in_bash(self):
        """What a person sees who presses TAB."""
        mark = "k" + uuid.uuid4().hex[:8]
        pid, host = pty.fork()
        if pid == 0:
            os.environ.update(environment(), TERM="dumb", PS1="$ ", INPUTRC="/dev/null")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        try:
            os.write(host, f"tidings() {{ {BINARY} \"$@\"; }}; source <({BINARY} completion bash); "
                           f"echo rea''dy\n".encode())
            self.read_until(host, r"\nready\r?\n")
            os.write(host, f"tidings topic describe {mark}".encode())
            self.read_until(host, mark)
            self.assertFalse(self.completes(host, "-orders "))
            self.run_tidings("topic", "create", mark + "-orders")
            self.addCleanup(self.run_tidings, "topic", "delete", mark + "-orders")
            wait_for(lambda: self.completes(host, "-orders "), "the topic's name")
            os.write(host, b"\n")
            self.read_until(host, f"topic {mark}-orders, 1 partition")
        finally:
            os.close(host)
            os.waitpid(pid, 0)

    def completes(self, host, rest):
        """Presses TAB: the rest of the word comes, or the bell when the bus has not answered in time."""
        os.write(host, b"\t")
        return rest in self.read_until(host, f"\a|{rest}")

    def read_until(self, host, pattern):
        text = ""
        while not re.search(pattern, text):
            self.assertTrue(select.select([host], [], [], WAIT_S)[0], text)
            text += os.read(host, 4096).decode(errors="replace")
        return text

    def test_zsh(self):
        self.check_shell("zsh", ["-n"])

    def test_fish(self):
        self.check_shell("fish", ["--no-execute"])

    def check_shell(self, shell, words):
        if shutil.which(shell) is None:
            self.skipTest(f"no {shell}")
        script = self.out("completion", shell)
        done = subprocess.run([shell, *words, "/dev/stdin"], input=script, text=True, timeout=WAIT_S,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
