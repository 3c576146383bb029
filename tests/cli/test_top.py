#!/usr/bin/python3
"""`tidings top`: one frame, and the live form on a terminal: keys, resizes, a bus that dies and comes back, and the
terminal given back."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest
import uuid

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import BINARY, bus_address, Case, environment, Server, WAIT_S
from harness import kafka

LEAVE = "\x1b[?1049l"


class Screen:
    """The command on a terminal, and what it shows: enough of a terminal to follow it."""

    def __init__(self, case, *words, rows=24, columns=100, address=None):
        self.case = case
        self.text = ""
        self.host, self.terminal = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen([BINARY, "top", *words], stdin=self.terminal, stdout=self.terminal,
                                        stderr=self.terminal, env=environment(address), start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        case.addCleanup(self.close)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.host)
        os.close(self.terminal)

    def resize(self, rows, columns):
        fcntl.ioctl(self.host, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.host, keys.encode())

    def read(self):
        if select.select([self.host], [], [], 0.1)[0]:
            self.text += os.read(self.host, 1 << 16).decode(errors="replace")

    def frame(self):
        """The lines of the last whole frame, None when there is none yet."""
        frames = self.text.split("\x1b[H")
        whole = [frame for frame in frames[1:] if frame.endswith("\x1b[J")]
        if not whole:
            return None
        return [line.replace("\x1b[K", "").replace("\x1b[J", "") for line in whole[-1].split("\r\n")]

    def shows(self, pattern):
        """Waits for a frame with a line that matches; returns the frame."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            self.read()
            frame = self.frame()
            if frame and any(re.search(pattern, line) for line in frame):
                return frame
        self.case.fail(f"no frame shows {pattern!r}: {self.text[-3000:]!r}")
        return None

    def is_given_back(self):
        """Waits for the end of the command; the terminal is as it was."""
        self.process.wait(WAIT_S)
        while select.select([self.host], [], [], 0)[0]:
            self.text += os.read(self.host, 1 << 16).decode(errors="replace")
        self.case.assertEqual(termios.tcgetattr(self.terminal), self.before)
        self.case.assertTrue(self.text.rstrip().endswith(LEAVE), self.text[-200:])
        self.case.assertGreater(self.text.rfind("\x1b[?25h"), self.text.rfind("\x1b[?25l"))
        return self.process.returncode


def end(server):
    if server.process.poll() is None:
        server.kill()


def selected(frame):
    return [line for line in frame if "\x1b[7m" in line]


class Top(Case):
    def setUp(self):
        self.mark = "m" + uuid.uuid4().hex[:8]
        self.name = f"{self.mark}-a"
        for end in ("a", "b"):
            self.run_tidings("topic", "create", f"{self.mark}-{end}")
            self.addCleanup(self.run_tidings, "topic", "delete", f"{self.mark}-{end}", "--if-exists")
        self.run_tidings("publish", self.name, "x", "y", "z", "--timestamp", "@1000000000000")
        self.group = self.mark + "-g"
        self.run_tidings("group", "reset", self.group, "--topic", self.name, "--to", "1", "--execute")

    def test_once(self):
        shown = self.json("top", "--once", "--json", "--interval", "100ms")
        topic = [row for row in shown["topics"] if row["topic"] == self.name][0]
        self.assertEqual((topic["in_a_second"], topic["out_a_second"], topic["bytes_in_a_second"], topic["lag"],
                          topic["groups"]), (0, 0, 0, 2, 1))
        group = [row for row in shown["groups"] if row["group"] == self.group][0]
        self.assertEqual((group["state"], group["lag"], group["members"], group["behind_is_at_least"]),
                         ("Empty", 2, 0, False))
        self.assertGreater(group["behind_ms"], 86400000 * 365 * 20)
        text = self.out("top", "--once", "--interval", "100ms")
        self.assertRegex(text, r"\nTOPIC +GROUPS +IN/S +OUT/S +BYTES/S +LAG  ERROR\n")
        self.assertRegex(text, r"\n%s +1 +0.0 +0.0 +0 bytes +2 " % self.name)
        self.assertRegex(text, r"\n%s +Empty +0 +0.0 +0.0 +2 +\d+d" % self.group)
        self.assertNotIn("\x1b", text)

    def test_rates_are_what_comes_between_two_looks(self):
        process = subprocess.Popen([BINARY, "top", "--once", "--json", "--interval", "3s"], env=environment(),
                                   stdout=subprocess.PIPE, text=True)
        client = kafka.Client(int(bus_address().rsplit(":", 1)[1]))
        while process.poll() is None: # so some fall between
            client.produce(self.name, kafka.batch([kafka.record(b"v")]))
        out = process.communicate(timeout=WAIT_S)[0]
        client.close()
        rows = {row["topic"]: row for row in json.loads(out)["topics"]}
        self.assertGreater(rows[self.name]["in_a_second"], 0)
        self.assertGreater(rows[self.name]["bytes_in_a_second"], 0)
        self.assertEqual(rows[self.mark + "-b"]["in_a_second"], 0)

    def test_clients_and_what_they_do(self):
        publisher = subprocess.Popen([BINARY, "publish", self.name, "-X", f"client.id={self.mark}"],
                                     env=environment(), stdin=subprocess.PIPE)
        screen = Screen(self, "--interval", "100ms")
        screen.shows(self.name)
        screen.press("c")
        publisher.stdin.write(b"one\n")
        publisher.stdin.flush()
        screen.shows(r"%s +tidings-cli [\d.]+\S* +127.0.0.1 +\d" % self.mark)
        screen.press("/" + self.mark + "\r")
        screen.shows(r"/%s  \(" % self.mark)
        screen.press("\r")
        screen.shows(f"clients: topics of {self.mark}")
        until = time.monotonic() + WAIT_S
        while screen.process.poll() is None and not any(re.search(r"%s +[1-9][\d.]* +0.0" % self.name, line)
                                                        for line in screen.frame()):
            self.assertLess(time.monotonic(), until, screen.frame())
            publisher.stdin.write(b"more\n" * 10)
            publisher.stdin.flush()
            screen.read()
        shown = self.json("top", "--once", "--json", "--interval", "100ms")
        client = [row for row in shown["clients"] if row["client_id"] == self.mark][0]
        self.assertEqual(client["address"], "127.0.0.1")
        self.assertGreater(client["connections"], 0)
        publisher.stdin.close()
        self.assertEqual(publisher.wait(WAIT_S), 0)
        screen.press("q")
        self.assertEqual(screen.is_given_back(), 0)

    def test_refusals(self):
        self.fails(2, "no terminal\nhint: without one: tidings top --once", "top")
        self.fails(2, "--json goes with --once", "top", "--json")
        self.fails(2, "top takes no argument 'x'", "top", "x")
        self.fails(3, "cannot reach the bus", "top", "--once", address="127.0.0.1:1")

    def test_keys(self):
        screen = Screen(self, "--interval", "100ms")
        screen.shows(self.name)
        screen.press("/" + self.mark)
        frame = screen.shows(f"/{self.mark}_")
        screen.press("\r")
        frame = screen.shows(r"/%s  \(" % self.mark)
        self.assertEqual(len(frame), 5, frame) # the bus, what is chosen, titles, two topics
        self.assertIn(self.name, selected(frame)[0])
        for key in ("j", "\x1b[B"):
            screen.press(key)
            frame = screen.shows(r"\x1b\[7m%s-b" % self.mark)
        for key in ("k", "\x1b[A", "\x1bOA"):
            screen.press(key)
            screen.shows(r"\x1b\[7m%s-a" % self.mark)
        screen.press("r")
        screen.shows("by rate")
        screen.press("l")
        frame = screen.shows("by lag")
        self.assertIn(self.name, selected(frame)[0])
        screen.press("\r")
        screen.shows(f"topics: groups of {self.name}")
        screen.shows(r"%s +0.0 +0.0 +2" % self.group)
        screen.press("\x7f")
        screen.shows(r"^topics  by lag")
        screen.press("g")
        screen.shows(r"%s +Empty +0 " % self.group)
        screen.press("?")
        screen.shows("sort by name, rate, lag")
        screen.press(" ")
        screen.shows(r"^groups  by lag")
        screen.press("\x1b[99~\x1b[6~") # one that is not known, and page down
        screen.press("\t")
        screen.shows(r"^clients  by lag")
        screen.press("\t")
        screen.shows(r"^topics  by lag")
        screen.press("q")
        self.assertEqual(screen.is_given_back(), 0)

    def test_resizes(self):
        screen = Screen(self, "--interval", "100ms")
        screen.shows(self.name)
        for rows, columns in ((6, 30), (1, 5), (3, 10), (40, 200)):
            screen.resize(rows, columns)
            os.kill(screen.process.pid, signal.SIGWINCH)
            self.eventually("the frame fits", lambda: self.fits(screen, rows, columns))
        screen.shows(self.name)
        screen.press("q")
        self.assertEqual(screen.is_given_back(), 0)

    @staticmethod
    def fits(screen, rows, columns):
        screen.read()
        frame = [re.sub(r"\x1b\[\d*m", "", line) for line in screen.frame()]
        return len(frame) <= rows and max(map(len, frame)) <= columns

    def test_signals_give_the_terminal_back(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            screen = Screen(self, "--interval", "100ms")
            screen.shows(self.name)
            screen.process.send_signal(number)
            self.assertEqual(screen.is_given_back(), 0)
        for number in (signal.SIGSEGV, signal.SIGABRT):
            screen = Screen(self, "--interval", "100ms")
            screen.shows(self.name)
            screen.process.send_signal(number)
            self.assertEqual(screen.is_given_back(), -number)

    def test_a_stop_gives_the_terminal_back_until_it_goes_on(self):
        screen = Screen(self, "--interval", "100ms")
        screen.shows(self.name)
        screen.press("\x1a")
        os.waitid(os.P_PID, screen.process.pid, os.WSTOPPED | os.WNOWAIT)
        self.assertEqual(termios.tcgetattr(screen.terminal), screen.before)
        screen.process.send_signal(signal.SIGCONT)
        screen.text = ""
        screen.shows(self.name)
        screen.press("q")
        self.assertEqual(screen.is_given_back(), 0)

    def test_a_bus_that_dies_and_comes_back(self):
        with tempfile.TemporaryDirectory(prefix="tidings-top-") as folder:
            server = Server(folder)
            self.addCleanup(end, server)
            server.run("topic", "create", "here")
            screen = Screen(self, "--interval", "100ms", "--timeout", "500ms", address=server.address)
            screen.shows("here")
            port = server.port
            server.kill()
            frame = screen.shows(r"^bus away since 20.*Z: \S")
            self.assertTrue(any(line.startswith("\x1b[7mhere") for line in frame), frame) # the last that was known
            screen.press("g")
            screen.shows("^groups") # keys go on
            screen.press("t")
            again = Server(folder, listen=f"127.0.0.1:{port}")
            self.addCleanup(end, again)
            again.run("topic", "create", "later")
            screen.shows("later")
            screen.shows(r"2 topics, 0 groups")
            again.kill()
            screen.shows("^bus away since")
            screen.press("q")
            self.assertEqual(screen.is_given_back(), 0)

    def test_names_of_others_are_escaped(self):
        client = kafka.Client(int(bus_address().rsplit(":", 1)[1]))
        self.assertEqual(client.commit(self.mark + "\x1b[2J\n\u202e", self.name, 0), 0)
        client.close()
        screen = Screen(self, "--interval", "100ms")
        screen.press("g")
        frame = screen.shows(re.escape(self.mark + r"\x1b[2J\n"))
        screen.press("/" + self.mark + "\r")
        frame = screen.shows(re.escape(self.mark + r"\x1b[2J\n"))
        self.assertEqual(re.sub(r"\x1b\[\d*m", "", "".join(frame)).count("\x1b"), 0)
        screen.press("j\r") # one of the two, whichever it is
        screen.shows("groups: topics of ")
        screen.press("q")
        self.assertEqual(screen.is_given_back(), 0)


if __name__ == "__main__":
    unittest.main()
