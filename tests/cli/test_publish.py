#!/usr/bin/python3
"""`tidings publish`: events from arguments, files, pipes and terminals."""
import base64
import json
import os
import pty
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import BINARY, Case, environment, start, WAIT_S


class Publish(Case):
    def test_arguments(self):
        name = self.topic()
        self.assertEqual(self.out("publish", name, "hello"),
                         "published 1 event to %s, partition 0, offset 0\n" % name)
        self.run_tidings("publish", "--topic", name, "-m", "two", "-m", "three")
        self.assertEqual(self.values(name), ["hello", "two", "three"])

    def test_a_mistyped_topic_is_not_made(self):
        name = "typo-" + uuid.uuid4().hex[:8]
        self.fails(4, r"topic '%s' does not exist\nhint: .*--create" % name, "publish", name, "a")
        self.assertNotIn(name, self.out("topic", "list"))
        self.assertIn("published 1 event", self.out("publish", name, "a", "--create"))
        self.addCleanup(self.run_tidings, "topic", "delete", name)
        self.assertEqual(self.values(name), ["a"])

    def test_a_terminal_is_asked_for_a_new_topic(self):
        for answer, code in ((b"n\n", 4), (b"y\n", 0)):
            name = "asked-" + uuid.uuid4().hex[:8]
            master, slave = pty.openpty()
            process = subprocess.Popen([BINARY, "publish", name, "a"], env=environment(), stdin=slave,
                                       stdout=slave, stderr=slave)
            os.close(slave)
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(master, 65536)
            self.assertIn(b"Topic '%s' does not exist. Make it?" % name.encode(), shown)
            os.write(master, answer)
            self.assertEqual(process.wait(WAIT_S), code)
            os.close(master)
            self.assertEqual(name in self.out("topic", "list"), code == 0)
            self.run_tidings("topic", "delete", name, "--if-exists")

    def test_everything_on_an_event(self):
        name = self.topic(3)
        self.run_tidings("publish", name, "v", "-k", "k", "-H", "a=1", "-H", "a=2", "-H", "b=x=y",
                         "-p", "2", "--timestamp", "2026-02-01T12:00:00Z", "--content-type",
                         "text/plain")
        self.assertEqual(self.events(name), [{
            "topic": name, "partition": 2, "offset": 0, "timestamp": "2026-02-01T12:00:00.000Z",
            "key": "k", "headers": {"a": ["1", "2"], "b": "x=y", "content-type": "text/plain"},
            "value": "v"}])

    def test_cloud_events(self):
        name = self.topic()
        self.run_tidings("publish", name, "1", "2", "--ce-type", "order.placed", "--ce-source",
                         "/shop", "--ce-subject", "42")
        headers = [event["headers"] for event in self.events(name)]
        self.assertEqual(headers[0]["ce_specversion"], "1.0")
        self.assertEqual(headers[0]["ce_type"], "order.placed")
        self.assertEqual(headers[0]["ce_source"], "/shop")
        self.assertEqual(headers[0]["ce_subject"], "42")
        self.assertRegex(headers[0]["ce_time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(len({str(uuid.UUID(each["ce_id"])) for each in headers}), 2)
        self.run_tidings("publish", name, "3", "--ce-type", "t", "--ce-id", "mine")
        self.assertEqual(self.events(name)[2]["headers"]["ce_id"], "mine")

    def test_input_formats(self):
        name = self.topic()
        self.run_tidings("publish", name, text="a\n\nb\r\nc")
        self.assertEqual(self.values(name), ["a", "", "b", "c"])
        name = self.topic()
        self.run_tidings("publish", name, "-K", ":", text="k1:v1\nk2:v:2\n")
        self.assertEqual([(e["key"], e["value"]) for e in self.events(name)],
                         [("k1", "v1"), ("k2", "v:2")])
        name = self.topic()
        self.run_tidings("publish", name, "--input", "nul", text=b"a\nb\0c\0")
        self.assertEqual([e["value"] for e in self.events(name)], ["a\nb", "c"])
        name = self.topic()
        raw = bytes(range(256))
        self.run_tidings("publish", name, "--input", "whole", text=raw)
        event = self.events(name)[0]
        self.assertEqual(event["value_encoding"], "base64")
        self.assertEqual(base64.b64decode(event["value"]), raw)
        self.assertEqual(self.run_tidings("subscribe", name, "-e", "-v")[0], raw + b"\n")

    def test_json_goes_round(self):
        first, second = self.topic(2), self.topic(2)
        lines = [{"key": "k", "value": "v", "headers": {"a": "1", "b": [None, "2"]},
                  "partition": 1, "timestamp": 1700000000000},
                 {"key": "gone", "value": None, "partition": 1},
                 {"value": {"n": 1}, "partition": 0}]
        self.run_tidings("publish", first, "--input", "json",
                         text="\n".join(json.dumps(line) for line in lines))
        out = self.out("subscribe", first, "--until-end", "--json")
        self.run_tidings("publish", second, "--input", "json", text=out)
        strip = lambda event: {k: v for k, v in event.items() if k != "topic"}
        order = lambda event: (event["partition"], event["offset"])
        self.assertEqual([strip(e) for e in sorted(self.events(first), key=order)],
                         [strip(e) for e in sorted(self.events(second), key=order)])
        events = sorted(self.events(second), key=order)
        self.assertEqual(events[0]["value"], '{"n":1}')
        self.assertEqual(events[1]["timestamp"], "2023-11-14T22:13:20.000Z")
        self.assertIsNone(events[2]["value"])

    def test_file_with_progress_and_every_codec(self):
        count = 5000
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
            lines.write("".join("event %d\n" % i for i in range(count)))
            lines.flush()
            for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
                name = self.topic()
                out, err = self.run_tidings("publish", name, "--file", lines.name, "--progress",
                                            "--compression", codec, "--json")
                summary = json.loads(out)
                self.assertEqual((summary["acknowledged"], summary["failed"]), (count, 0))
                self.assertEqual(summary["partitions"], [
                    {"partition": 0, "count": count, "first_offset": 0, "last_offset": count - 1}])
                self.assertRegex(err, r"100 %%  %d events acknowledged" % count)
                self.assertEqual(self.values(name), ["event %d" % i for i in range(count)])

    def test_same_key_same_partition(self):
        name = self.topic(6)
        self.run_tidings("publish", name, "-k", "key", *[str(i) for i in range(20)])
        self.assertEqual(len({event["partition"] for event in self.events(name)}), 1)
        self.assertEqual(self.values(name), [str(i) for i in range(20)])

    def test_tombstone(self):
        name = self.topic()
        self.run_tidings("publish", name, "--tombstone", "-k", "k")
        self.run_tidings("publish", name, "")
        self.assertEqual([event["value"] for event in self.events(name)], [None, ""])

    def test_refused_events_are_named(self):
        name = self.topic()
        self.run_tidings("topic", "alter", name, "-c", "max.message.bytes=2000")
        out, err = self.run_tidings("publish", name, "small", "x" * 10000, "small too", "-X",
                                    "linger.ms=0", "-X", "batch.num.messages=1", code=1)
        self.assertIn("published 2 events", out.decode())
        self.assertRegex(err, r"1 event was NOT acknowledged\n  event 2: .*too large")
        self.assertEqual(self.values(name), ["small", "small too"])

    def test_bad_lines_are_named(self):
        name = self.topic()
        self.fails(1, r"stopped reading: line 2: no JSON", "publish", name, "--input", "json",
                   text='{"value":"a"}\n{oops\n')
        self.fails(1, r"stopped reading: line 1 has no key separator ':'", "publish", name, "-K",
                   ":", text="nokey\n")
        self.assertEqual(self.values(name), ["a"])

    def test_refusals(self):
        name = self.topic(2)
        self.fails(2, "which topic", "publish")
        self.fails(2, "not both", "publish", name, "x", "--file", "y")
        self.fails(1, r"cannot open '/nonexistent'.*\nhint: ", "publish", name, "--file",
                   "/nonexistent")
        self.fails(4, "no partition 7, only 0 to 1", "publish", name, "x", "-p", "7")
        self.fails(1, "timestamp 0", "publish", name, "x", "--timestamp", "@0")

    def test_interrupted_input_reports(self):
        name = self.topic()
        process = start("publish", name, stdin=subprocess.PIPE)
        process.stdin.write(b"a\nb\n")
        process.stdin.flush()
        self.eventually("both events arrive", lambda: self.values(name) == ["a", "b"])
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        out, err = process.stdout.read().decode(), process.stderr.read().decode()
        self.assertEqual(process.wait(WAIT_S), 1)
        process.stdout.close(), process.stderr.close()
        self.assertIn("published 2 events", out)
        self.assertIn("interrupted after 2 events", err)

    def test_progress_leaves_typed_lines_alone(self):
        """On a terminal a line being typed is not wiped by the progress of the ones before."""
        name = self.topic()
        master, slave = pty.openpty()
        process = subprocess.Popen([BINARY, "publish", name], env=environment(), stdin=slave,
                                   stdout=slave, stderr=slave)
        os.close(slave)
        shown, count = b"", 0
        until = time.monotonic() + 1.5  # progress is shown every half a second
        while time.monotonic() < until:
            os.write(master, b"event %d\n" % count)
            count += 1
            self.eventually("the event arrives", lambda: len(self.values(name)) == count)
        os.write(master, b"\x04")
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass  # how Linux tells that the other end is closed
        os.close(master)
        self.assertEqual(process.wait(WAIT_S), 0)
        self.assertIn(b"published %d events" % count, shown)
        self.assertNotIn(b"\x1b[K", shown)


if __name__ == "__main__":
    unittest.main()
