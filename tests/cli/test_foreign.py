#!/usr/bin/python3
"""What others chose never does something to a terminal: no command and no line of the log prints a
control character, a change of direction or bytes that are no UTF-8, wherever a client put them.

    TIDINGS_BIN=build/tidings tests/cli/test_foreign.py -v
"""
import json
import os
import pty
import re
import struct
import subprocess
import sys
import unittest

from directory import Case, Server, kafka

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness.server import BINARY, WAIT_S

# ESC, BEL, line breaks, DEL; C1 CSI, an override and an isolate of direction, a line separator.
TEXT = ("\x1b]0;title\x07\x1b[31m\r\n\t\x7f a=b\"c'\\ d{}% "
        "\u009b31m\u0085\u202egro\u2066\u200f\u2028 é€")
BYTES = TEXT.encode() + b"\xff\xc3\xed\xa0\x80\xc0\xaf"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
PAIR = r'[a-z_.0-9]+=(?:"(?:[^"\\]|\\.)*"|[^ "=\\]*)'
LINE = re.compile(f"{PAIR}(?: {PAIR})*")


def foreign(prefix):
    """Names: one that is UTF-8, one that is not, and one that holds a NUL as well."""
    return [prefix.encode() + text for text in (TEXT.encode(), BYTES, b"\0" + BYTES)]


def string(data):
    return struct.pack(">h", len(data)) + data


class Stranger(kafka.Client):
    """Whose client.id is foreign, too."""

    def __init__(self, port, name):
        super().__init__(port)
        self.client_id = name

    def frame(self, key, version, body, flexible=False):
        self.correlation += 1
        data = struct.pack(">hhi", key, version, self.correlation) + string(self.client_id) + (
            b"\0" if flexible else b"") + body
        return struct.pack(">i", len(data)) + data


def header_record(name, value):
    body = b"\0" + kafka.varint(0) + kafka.varint(0)
    for part in (BYTES, BYTES):
        body += kafka.varint(len(part)) + part
    body += kafka.varint(2)
    for key, data in ((name, value), (b"ce_type", BYTES)):
        body += kafka.varint(len(key)) + key + kafka.varint(len(data)) + data
    return kafka.varint(len(body)) + body


def spread(port, name, number):
    """Puts the name wherever a client may choose one."""
    client = Stranger(port, name)
    note = TEXT.encode() if number == 0 else BYTES
    client.ask("offset_commit", 7, group_id=name, topics=[{"name": "orders", "partitions": [
        {"partition_index": 0, "committed_offset": 0, "committed_metadata": note}]}])
    client.ask("join_group", 3, group_id=b"live" + name, session_timeout_ms=60000,
               rebalance_timeout_ms=60000, member_id="", protocol_type="consumer",
               protocols=[{"name": name, "metadata": BYTES}])
    client.ask("join_group", 3, group_id=name, session_timeout_ms=1, rebalance_timeout_ms=1,
               member_id="", protocol_type="consumer", protocols=[])
    client.ask("consumer_group_heartbeat", 1, group_id=b"new" + name, member_id=b"m" + name,
               member_epoch=0, instance_id=b"i" + name, rack_id=name, rebalance_timeout_ms=60000,
               subscribed_topic_names=["orders", name], topic_partitions=[])
    client.ask("consumer_group_heartbeat", 1, group_id=b"new" + name, member_id=b"n" + name,
               member_epoch=0, rebalance_timeout_ms=60000, subscribed_topic_regex=name + b"(",
               server_assignor=name, topic_partitions=[])
    client.ask("init_producer_id", 1, transactional_id=name, transaction_timeout_ms=60000)
    client.ask("create_topics", 4, timeout_ms=1000, topics=[
        {"name": name, "num_partitions": 1, "replication_factor": 1},
        {"name": "new", "num_partitions": 1, "replication_factor": 1,
         "configs": [{"name": name, "value": name}, {"name": "retention.ms", "value": name}]}])
    client.ask("metadata", 1, topics=[{"name": name}])
    client.ask("delete_topics", 1, timeout_ms=1000, topic_names=[name])
    client.ask("delete_groups", 0, groups_names=[b"none" + name])
    client.ask("find_coordinator", 1, key=name, key_type=1)
    client.ask("incremental_alter_configs", 0, resources=[
        {"resource_type": 32, "resource_name": name, "configs": [
            {"name": "consumer.session.timeout.ms", "config_operation": 0, "value": "50000"}]},
        {"resource_type": 2, "resource_name": "orders", "configs": [
            {"name": name, "config_operation": 0, "value": name}]}])
    client.ask("api_versions", 3, client_software_name=name, client_software_version=name)
    for records in (kafka.batch([header_record(name, BYTES)]),
                    kafka.batch([header_record(name, BYTES)], crc=1)):
        client.produce("orders", records)
    return client


def close_badly(port, name):
    """Requests that close their connection, with a line in the log."""
    for key, version, body in ((3, 1, b"\x7f\xff\xff\xff"), (99, 0, name), (0, 99, name),
                               (18, 3, name)):
        client = Stranger(port, name)
        client.send(client.frame(key, version, body))
        client.socket.settimeout(WAIT_S)
        client.socket.recv(1 << 16)
        client.close()


class ForeignTest(Case):
    def check_plain(self, what, data):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            self.fail(f"{what}: {error}")
        found = CONTROLS.search(text)
        if found:
            self.fail(f"{what}: {text[max(0, found.start() - 60):found.end() + 20]!r}")
        return text

    def command(self, *words):
        """Any exit code; standard output and error are plain. Returns the output."""
        done = subprocess.run([BINARY, *words], env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=WAIT_S, check=False)
        out = self.check_plain(words, done.stdout)
        self.check_plain(words, done.stderr)
        self.assertGreaterEqual(done.returncode, 0, words)
        return out

    def on_terminal(self, *words):
        """The same with standard output on a terminal, whose own carriage returns are taken off."""
        host, terminal = pty.openpty()
        with subprocess.Popen([BINARY, *words], env=dict(self.env, NO_COLOR="1"), stdout=terminal,
                              stdin=subprocess.DEVNULL, stderr=terminal) as process:
            os.close(terminal)
            data = b""
            try:
                while more := os.read(host, 1 << 16):
                    data += more
            except OSError: # EIO: nobody has it any more
                pass
            process.wait(WAIT_S)
        os.close(host)
        return self.check_plain(words, data.replace(b"\r\n", b"\n"))

    def check_log(self, server):
        """Each line is plain, and is made of pairs, so that no value passes for another pair."""
        with open(server.log_path, "rb") as lines:
            text = self.check_plain("the log", lines.read())
        for line in text.splitlines():
            self.assertIsNotNone(LINE.fullmatch(line), line)
        return text

    def look_at_lists(self, names):
        for words in (("topic", "list"), ("topic", "describe", "orders"), ("group", "list"),
                      ("group", "describe", "--all"), ("status", self.data)):
            self.command(*words)
            json.loads(self.command(*words, "--json") or "null")
        self.assertIn(r"\x1b[31m\r\n\t\x7f", self.command("group", "list"))
        listed = json.loads(self.command("group", "list", "--json"))
        known = [group["group"] for group in listed]
        self.assertIn(names[0].decode(), known)
        if len(names) > 1: # stray bytes
            self.assertIn(names[1][:-6].decode(errors="replace").rstrip("\ufffd"),
                          " ".join(known).encode().decode())
        described = json.loads(self.command("group", "describe", names[0], "--json"))
        self.assertEqual(described[0]["group"], names[0].decode())

    def look_running(self, names):
        for group in [*names[:2], b"new" + names[1], BYTES]:
            for words in (("group", "describe", group), ("group", "delete", group),
                          ("group", "reset", group, "--topic", "orders", "--to", "start"),
                          ("subscribe", "orders", "-g", group, "-X", TEXT.encode()),
                          ("topic", "create", group), ("topic", "delete", group),
                          ("topic", "describe", group), ("topic", "alter", group, "--set", group),
                          ("topic", "alter", "orders", "--config", b"retention.ms=" + group),
                          ("topic", "settings", group), ("publish", group, "value"),
                          ("publish", "orders", "--key", group, "--header", group, group),
                          ("subscribe", group, "--until-end"), ("subscribe", b"^(" + group),
                          ("bench", group), (group,), ("group", group), ("topic", b"--" + group),
                          ("status", group), ("check", group), ("dump", group),
                          ("backup", group, group), ("restore", group, group),
                          ("serve", "--data", group, "--set", group)):
                self.command(*words)

    def look_at_events(self):
        every = ("subscribe", "orders", "--until-end")
        self.command(*every, "--headers", "--colour", "never")
        for line in self.command(*every, "--json").splitlines():
            json.loads(line)
        for look in (("-v",), ("-F", r"%k %s %h %{ce_type} %t\n"), ("-H",), ("--json",)):
            self.assertIn("title", self.on_terminal(*every, *look))
        raw = subprocess.run([BINARY, *every, "-v"], env=self.env, stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=WAIT_S, check=True).stdout
        self.assertIn(BYTES, raw) # byte for byte for a program

    def look_stopped(self):
        for words in (("check", self.data), ("dump", self.data, "--headers"),
                      ("dump", self.data, "--topic", "__consumer_offsets"),
                      ("dump", self.data, "--topic", "__transaction_state"),
                      ("backup", self.data, self.path("backup"))):
            self.command(*words)
        for topic in ("orders", "__consumer_offsets", "__transaction_state"):
            lines = self.command("dump", self.data, "--topic", topic, "--json").splitlines()
            self.assertTrue(lines)
            for line in lines:
                json.loads(line)

    def test_no_command_and_no_log_line_moves_a_terminal(self):
        log = self.path("log")
        with Server(self.data, log_path=log) as server:
            self.env = dict(os.environ, TIDINGS_BOOTSTRAP_SERVER=server.address)
            client = kafka.Client(server.port)
            self.assertEqual(client.create_topic("orders")[0], 0)
            names = foreign("name-")
            strangers = [spread(server.port, name, i) for i, name in enumerate(names)]
            for name in names:
                close_badly(server.port, name)
            self.look_at_lists(names)
            self.look_running(names)
            self.look_at_lists([b"live" + names[0]])
            self.look_at_events()
            for stranger in [*strangers, client]:
                stranger.close()
        self.look_stopped()
        with Server(self.data, log_path=log) as server:
            pass
        self.assertIn(r"\x1b[31m", self.check_log(server))


if __name__ == "__main__":
    unittest.main()
