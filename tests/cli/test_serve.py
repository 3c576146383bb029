#!/usr/bin/python3
"""`tidings serve` as its user meets it: options, settings, the ready line, signals.

    TIDINGS_BIN=build/tidings tests/cli/test_serve.py -v
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
from harness.server import BINARY, Server, WAIT_S, wait_for


class Serve(Server):
    """One server with these options; `with` stops it and checks that it ended with 0."""

    def __init__(self, *options, pass_fds=(), env=None, cwd=None, stop=signal.SIGTERM):
        self.how = stop
        super().__init__(None, listen=None, options=options, env=env,
                         popen={"pass_fds": pass_fds, "cwd": cwd})
        found = re.search(r"^ready listen=(\S+) data=(\S+) pid=(\d+)( http=\S+)?$", self.ready)
        if not found:
            raise AssertionError(f"no ready line but {self.ready!r}")
        self.addresses, self.data, self.pid = found[1].split(","), found[2], int(found[3])

    def stop(self):
        code = self.end(self.how)
        if self.rest:
            raise AssertionError(f"more than one line on standard output: {self.rest!r}")
        return code


def tidings(address, *arguments):
    return subprocess.run([BINARY, *arguments, "--bootstrap-server", address], timeout=WAIT_S,
                          capture_output=True, text=True, check=False)


def refused(*options):
    """Exit code and standard error of a server that must not start."""
    done = subprocess.run([BINARY, "serve", *options], timeout=WAIT_S, capture_output=True,
                          text=True, check=False)
    if done.stdout:
        raise AssertionError(f"it said ready: {done.stdout}")
    return done.returncode, done.stderr


class ServeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tidings-serve-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(folder.name, "data")
        self.common = ["--data", self.data, "--listen", "127.0.0.1:0"]

    def test_a_group_can_be_left_while_the_server_hangs(self):
        with Serve(*self.common) as server:
            bus = server.addresses[0]
            tidings(bus, "publish", "t", "--create", "one")
            reader = subprocess.Popen(
                [BINARY, "subscribe", "t", "--group", "g", "--value-only", "--timeout", "5s",
                 "--bootstrap-server", bus], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True)
            self.addCleanup(reader.kill)
            self.assertEqual(reader.stdout.readline(), "one\n")
            server.process.send_signal(signal.SIGSTOP)
            try:
                reader.send_signal(signal.SIGTERM)
                _, said = reader.communicate(timeout=WAIT_S)
            finally:
                server.process.send_signal(signal.SIGCONT)
            # 0 when its commit was answered just before
            self.assertIn(reader.returncode, (0, 6), said)
            if reader.returncode == 6:
                self.assertIn("cannot leave group 'g'", said)

    def test_a_damaged_read_names_its_place(self):
        with Serve(*self.common) as server:
            for value in ("one", "two", "three"):
                tidings(server.addresses[0], "publish", "t", "--create", "value-" + value)
        path = os.path.join(self.data, "topics", "t-0", "0" * 20 + ".log")
        with open(path, "r+b") as file:
            file.seek(file.read().index(b"value-two"))
            file.write(b"V")
        with Serve(*self.common) as server:
            said = tidings(server.addresses[0], "subscribe", "t", "--until-end", "--value-only")
        self.assertEqual((said.returncode, said.stdout), (1, "value-one\n"), said.stderr)
        self.assertIn("topic t partition 0 at offset 1", said.stderr)

    def test_start_and_stop_are_in_the_log(self):
        with Serve(*self.common) as server:
            tidings(server.addresses[0], "topic", "create", "t")
        version = subprocess.run([BINARY, "version"], capture_output=True, text=True,
                                 check=True).stdout.split()[1]
        self.assertRegex(server.log(), r'level=info room=broker msg="server started" version=%s '
                         r'pid=%d listen=%s data="%s"' % (re.escape(version), server.pid,
                                                          server.addresses[0], self.data))
        self.assertRegex(server.log(), r'msg="server is stopping" pid=%d requests=[1-9]' % server.pid)
        self.assertRegex(server.log().splitlines()[-1], r'msg="server stopped" clean=yes')

    def partitions_of_a_new_topic(self, address):
        self.assertEqual(tidings(address, "topic", "create", "t").returncode, 0)
        said = tidings(address, "topic", "describe", "t", "--json")
        topic = json.loads(said.stdout)
        topic = topic[0] if isinstance(topic, list) else topic
        return len(topic["partitions"])

    def test_one_ready_line(self):
        with Serve(*self.common) as bus:
            self.assertEqual(bus.data, self.data)
            self.assertEqual(bus.pid, bus.process.pid)
            self.assertEqual(tidings(bus.addresses[0], "topic", "list").returncode, 0)

    def test_every_listener_answers(self):
        with Serve(*self.common, "--listen", "127.0.0.1:0") as bus:
            self.assertEqual(len(set(bus.addresses)), 2)
            for address in bus.addresses:
                self.assertEqual(tidings(address, "topic", "list").returncode, 0, address)

    def test_default_data_directory(self):
        with Serve("--listen", "127.0.0.1:0", cwd=self.folder) as bus:
            self.assertEqual(bus.data, "tidings-data")
            self.assertTrue(os.path.exists(os.path.join(self.folder, "tidings-data/tidings.db")))

    def test_config_file_and_set(self):
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# a comment\n\nnum.partitions = 3\nlog.level=warn\n")
        with Serve(*self.common, "--config", path) as bus:
            self.assertEqual(self.partitions_of_a_new_topic(bus.addresses[0]), 3)
        self.assertNotIn("level=info", bus.log())

    def test_set_is_stronger_than_the_file(self):
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.write("num.partitions=3\n")
        with Serve(*self.common, "--config", path, "--set", "num.partitions=5") as bus:
            self.assertEqual(self.partitions_of_a_new_topic(bus.addresses[0]), 5)

    def test_ready_fd(self):
        reader, writer = os.pipe()
        with Serve(*self.common, "--ready-fd", str(writer), pass_fds=[writer]) as bus:
            os.close(writer)
            with os.fdopen(reader) as pipe:
                self.assertEqual(pipe.read(), bus.ready)  # to its end: the server closed it

    def test_detached(self):
        """The command ends when clients can connect; the server goes on without the terminal."""
        with open(os.path.join(self.folder, "log"), "w+", encoding="utf-8") as log:
            done = subprocess.run([BINARY, "serve", *self.common, "--detach"], timeout=WAIT_S,
                                  stdout=subprocess.PIPE, stderr=log, text=True, check=False)
            address, pid = re.fullmatch(r"ready listen=(\S+) data=\S+ pid=(\d+)(?: http=\S+)?\n",
                                        done.stdout).groups()
            try:
                self.assertEqual(done.returncode, 0)
                self.assertEqual(tidings(address, "topic", "list").returncode, 0)
                self.assertEqual(os.getsid(int(pid)), int(pid))
                again = subprocess.run([BINARY, "serve", *self.common, "--detach"],
                                       timeout=WAIT_S, capture_output=True, text=True, check=False)
                self.assertEqual((again.returncode, again.stdout), (5, ""))
                self.assertIn(f"process {pid}", again.stderr)
            finally:
                os.kill(int(pid), signal.SIGTERM)
                wait_for(lambda: "clean=yes" in pathlib.Path(log.name).read_text("utf-8"),
                         "the clean end")

    def test_detached_has_no_input(self):
        code, text = refused(*self.common, "--detach", "--until-eof")
        self.assertEqual(code, 2)
        self.assertIn("--until-eof does not go with it", text)

    def test_systemd_is_notified(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(WAIT_S)
            with Serve(*self.common, env={"NOTIFY_SOCKET": path}):
                self.assertEqual(listener.recv(100), b"READY=1")
            self.assertEqual(listener.recv(100), b"STOPPING=1")

    def test_signals_stop_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with Serve(*self.common, stop=number) as bus:
                pass
            self.assertNotIn("level=error", bus.log())
        with Serve(*self.common) as bus:
            pass
        self.assertIn("clean=yes scanned_bytes=0", bus.log())

    def test_settings_are_listed(self):
        done = subprocess.run([BINARY, "serve", "--settings"], capture_output=True, text=True,
                              check=True, timeout=WAIT_S)
        for name in ("listeners", "log.retention.ms", "num.partitions", "message.max.bytes"):
            self.assertRegex(done.stdout, rf"(?m)^{re.escape(name)}=")

    def test_bad_command_lines(self):
        path = os.path.join(self.folder, "bad.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.write("num.partitions=3\nnonsense\n")
        values = os.path.join(self.folder, "values.properties")
        with open(values, "w", encoding="utf-8") as file:
            file.write("# a comment\nnum.partitions=many\n")
        units = os.path.join(self.folder, "units.properties")
        with open(units, "w", encoding="utf-8") as file:
            file.write("log.retention.ms=1y\n")
        cut = os.path.join(self.folder, "cut.properties")
        with open(cut, "w", encoding="utf-8") as file:
            file.write("num.partitions=3\n\0num.partitions=5\n")
        for options, word in [
                (["--set", "num.partition=3"], "num.partitions"),
                (["--set", "num.partitions=many"], "whole number"),
                (["--set", "num.partitions"], "NAME=VALUE"),
                (["--config", path], "bad.properties:2"),
                (["--config", values], "values.properties:2: num.partitions=many"),
                (["--config", units], "units.properties:1: log.retention.ms: '1y' is no duration"),
                (["--set", "log.retention.hours=90m"], "no whole number of hours"),
                (["--config", cut], "cut.properties is no text file: byte 17 is NUL"),
                (["--config", self.folder], "is no regular file"),
                (["--config", path + ".missing"], "no such file"),
                (["--listen", "nowhere"], "HOST:PORT"),
                (["extra"], "extra"),
                (["--no-such-option"], "no-such-option")]:
            with self.subTest(options=options):
                code, text = refused("--data", self.data, *options)
                self.assertEqual(code, 2, text)
                self.assertIn(word, text)
        self.assertFalse(os.path.exists(self.data), "a refused start left something behind")

    def test_a_port_in_use_is_a_conflict_and_leaves_nothing(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            deep = os.path.join(self.data, "deep/er")
            code, text = refused("--data", deep, "--listen", address)
            self.assertEqual(code, 5, text)
            self.assertIn("the port is in use", text)
            self.assertFalse(os.path.exists(self.data), "a refused start left something behind")
            os.mkdir(self.data)
            self.assertEqual(refused("--data", self.data, "--listen", address)[0], 5)
            self.assertTrue(os.path.isdir(self.data), "it was there before")

    def test_durations_and_sizes(self):
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w", encoding="utf-8") as file:
            file.write("log.retention.ms=1h30m\nlog.retention.bytes=10MiB\n")
        with Serve(*self.common, "--config", path, "--set", "log.segment.bytes=2MB") as bus:
            self.partitions_of_a_new_topic(bus.addresses[0])
            said = tidings(bus.addresses[0], "topic", "describe", "t", "--all", "--json")
            settings = json.loads(said.stdout)[0]["settings"]
        self.assertEqual((settings["retention.ms"], settings["retention.bytes"],
                          settings["segment.bytes"]), ("5400000", "10485760", "2000000"))

    def test_without_standard_descriptors(self):
        """Nothing of the data directory takes the place of standard input, output or error."""
        reader, writer = os.pipe()
        with subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', BINARY, "serve", *self.common,
                 "--ready-fd", str(writer)], pass_fds=[writer]) as process:
            os.close(writer)
            with os.fdopen(reader) as pipe:
                ready = pipe.read()
            self.assertIn("ready listen=", ready)
            held = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
            self.partitions_of_a_new_topic(re.search(r"listen=(\S+)", ready)[1])
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(WAIT_S), 0)
        self.assertEqual(held, ["/dev/null"] * 3)


if __name__ == "__main__":
    unittest.main()
