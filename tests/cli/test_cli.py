#!/usr/bin/python3
"""The tidings command end to end: every subcommand against a real bus.

TIDINGS_BIN        the binary (default: build/tidings)
TIDINGS_LOG        set: show the log of the bus
TIDINGS_BOOTSTRAP  HOST:PORT of a bus to use; unset: the binary's own `serve` is started
"""

import base64
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None

BIN = os.path.abspath(os.environ.get("TIDINGS_BIN", "build/tidings"))
DEADLINE_S = 60


class Bus:
    """The bus under test; started here unless one is given."""

    process = None
    data = None
    address = os.environ.get("TIDINGS_BOOTSTRAP")

    @classmethod
    def start(cls):
        if cls.address:
            return
        cls.data = tempfile.TemporaryDirectory(prefix="tidings-cli-")
        cls.process = subprocess.Popen(
            [BIN, "serve", "--data", cls.data.name, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=None if os.environ.get("TIDINGS_LOG") else subprocess.DEVNULL,
            text=True)
        line = cls.process.stdout.readline()
        found = re.search(r"listen=(\S+)", line)
        if not found:
            raise RuntimeError("serve did not get ready, it said: %r" % line)
        cls.address = found.group(1)

    @classmethod
    def stop(cls):
        if cls.process:
            cls.process.send_signal(signal.SIGTERM)
            if cls.process.wait(DEADLINE_S) != 0:
                raise RuntimeError("serve ended with %d" % cls.process.returncode)
            cls.process.stdout.close()
            cls.data.cleanup()


def transaction(topic, values, outcome):
    """Publishes the values within a transaction that is committed or aborted."""
    producer = confluent_kafka.Producer({"bootstrap.servers": Bus.address,
                                         "transactional.id": "t-" + uuid.uuid4().hex[:8]})
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(DEADLINE_S)
    if outcome == "commit":
        producer.commit_transaction(DEADLINE_S)
    else:
        producer.abort_transaction(DEADLINE_S)


def setUpModule():
    Bus.start()


def tearDownModule():
    Bus.stop()


def environment(address=None):
    return dict(os.environ, TIDINGS_BOOTSTRAP_SERVER=address or Bus.address)


def start(*words, **options):
    return subprocess.Popen([BIN, *words], env=environment(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


class Case(unittest.TestCase):
    def run_tidings(self, *words, code=0, text=None, address=None):
        """Runs the command, checks its exit code, returns (stdout, stderr)."""
        data = text.encode() if isinstance(text, str) else text
        result = subprocess.run([BIN, *words], input=data if data is not None else b"",
                                env=environment(address), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=DEADLINE_S)
        out, err = result.stdout, result.stderr.decode()
        self.assertEqual(result.returncode, code, "%r said %r %r" % (words, out[:500], err))
        return out, err

    def out(self, *words, **options):
        return self.run_tidings(*words, **options)[0].decode()

    def json(self, *words, **options):
        return json.loads(self.run_tidings(*words, **options)[0])

    def events(self, topic, *words):
        out = self.out("subscribe", topic, "--until-end", "--json", *words)
        return [json.loads(line) for line in out.splitlines()]

    def values(self, topic, *words):
        return self.out("subscribe", topic, "--until-end", "--value-only", *words).splitlines()

    def fails(self, code, pattern, *words, **options):
        out, err = self.run_tidings(*words, code=code, **options)
        self.assertRegex(err, pattern)
        self.assertNotIn("%3|", err)  # librdkafka's own log
        return err

    def topic(self, partitions=1):
        name = "t-" + uuid.uuid4().hex[:12]
        self.run_tidings("topic", "create", name, "--partitions", str(partitions))
        self.addCleanup(self.run_tidings, "topic", "delete", name, "--if-exists")
        return name

    def eventually(self, what, check):
        end = time.monotonic() + DEADLINE_S
        while not check():
            self.assertLess(time.monotonic(), end, "never: " + what)
            time.sleep(0.05)


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
        done = subprocess.run(["/bin/sh", "-c", script, BIN, self.name], env=environment(),
                              capture_output=True, text=True, timeout=DEADLINE_S)
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

    def test_not_a_kafka_bus(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.fails(3, "does not answer in the Kafka protocol", "topic", "list", "--timeout",
                       "1s", "-b", "127.0.0.1:%d" % silent.getsockname()[1])

    def test_option_beats_environment(self):
        self.run_tidings("topic", "list", "--bootstrap-server", Bus.address, address="127.0.0.1:1")


class Topic(Case):
    def test_life(self):
        name = "life-" + uuid.uuid4().hex[:8]
        self.assertIn("created topic " + name,
                      self.out("topic", "create", name, "-p", "2", "-c", "retention.ms=1d"))
        listed = {topic["name"]: topic for topic in self.json("topic", "list", "--json")}
        self.assertEqual(listed[name], {"name": name, "partitions": 2, "offsets": 0,
                                        "internal": False})
        self.assertRegex(self.out("topic", "list"), r"%s +2" % name)
        self.run_tidings("publish", name, "a", "b", "-p", "1")
        about = self.json("topic", "describe", name, "--json")[0]
        self.assertEqual([(p["start_offset"], p["end_offset"]) for p in about["partitions"]],
                         [(0, 0), (0, 2)])
        self.assertEqual(about["settings"], {"retention.ms": "86400000"})
        self.assertIn("retention.ms=86400000", self.out("topic", "describe", name))
        self.assertGreater(
            len(self.json("topic", "describe", name, "--all", "--json")[0]["settings"]), 5)

        self.run_tidings("topic", "alter", name, "--config", "retention.bytes=1MB",
                         "--partitions", "4")
        about = self.json("topic", "describe", name, "--json")[0]
        self.assertEqual(len(about["partitions"]), 4)
        self.assertEqual(about["settings"],
                         {"retention.ms": "86400000", "retention.bytes": "1000000"})
        self.run_tidings("topic", "alter", name, "--delete-config", "retention.ms")
        self.assertEqual(self.json("topic", "describe", name, "--json")[0]["settings"],
                         {"retention.bytes": "1000000"})

        self.assertIn("deleted topic " + name, self.out("topic", "delete", name))
        self.fails(4, "topic '%s' does not exist" % name, "topic", "describe", name)

    def test_create_and_delete_again(self):
        name = self.topic()
        self.fails(5, r"(?s)'%s'.*already exists.*hint: .*--if-not-exists" % name, "topic",
                   "create", name)
        self.assertEqual(self.json("topic", "create", name, "--if-not-exists", "--json"),
                         [{"name": name, "created": False}])
        self.run_tidings("topic", "delete", name)
        self.fails(4, "does not exist", "topic", "delete", name)
        self.assertEqual(self.json("topic", "delete", name, "--if-exists", "--json"),
                         [{"name": name, "deleted": False}])

    def test_refusals(self):
        name = self.topic(2)
        self.fails(2, "create which topic", "topic", "create")
        self.fails(2, "--config needs NAME=VALUE", "topic", "create", "x", "-c", "retention.ms")
        self.fails(2, "between 1 and", "topic", "create", "x", "-p", "0")
        self.fails(1, "cannot create topic 'no blanks'", "topic", "create", "no blanks")
        self.fails(1, "nonsense", "topic", "create", "x", "-c", "nonsense=1")
        self.fails(1, "retention.ms", "topic", "alter", name, "-c", "retention.ms=soon")
        self.fails(2, r"--config retention.ms: '1y' is no duration: write 500ms", "topic", "create",
                   "x", "-c", "retention.ms=1y")
        self.fails(2, r"--config segment.bytes: '1M' is no size: write 1000000, 10MB or 1GiB",
                   "topic", "alter", name, "-c", "segment.bytes=1M")
        self.fails(1, "no setting 'nonsense'", "topic", "alter", name, "-d", "nonsense")
        self.fails(1, "has 2 partitions already", "topic", "alter", name, "-p", "2")
        self.fails(2, "change what", "topic", "alter", name)
        self.fails(4, "does not exist", "topic", "alter", "missing-topic", "-p", "2")

    def test_looking_does_not_create(self):
        name = "look-" + uuid.uuid4().hex[:8]
        self.fails(4, "does not exist", "topic", "describe", name)
        self.fails(4, "does not exist", "subscribe", name)
        self.fails(4, "does not exist", "group", "reset", "g", "--to", "start", "--topic", name)
        self.assertNotIn(name, self.out("topic", "list"))


    def test_settings_before_there_is_a_topic(self):
        text = self.out("topic", "settings", "retention")
        self.assertRegex(text, r"(?m)^retention.ms=604800000\n    \S")
        self.assertNotIn("segment.ms", text)
        names = [row["name"] for row in self.json("topic", "settings", "--json")]
        for name in ("cleanup.policy", "retention.ms", "segment.bytes"):
            self.assertIn(name, names)
        self.fails(4, "no setting whose name holds 'nonsense'", "topic", "settings", "nonsense")

    def test_offsets_are_not_called_events(self):
        name = self.topic(2)
        self.run_tidings("publish", name, "a", "b", "c", "-p", "1")
        self.assertRegex(self.out("topic", "describe", name), r"(?m)START +END +OFFSETS$")
        self.assertRegex(self.out("topic", "list"), r"TOPIC +PARTITIONS +OFFSETS\n")
        self.assertRegex(self.out("topic", "list"), r"(?m)^%s +2 +3$" % name)


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
            process = subprocess.Popen([BIN, "publish", name, "a"], env=environment(), stdin=slave,
                                       stdout=slave, stderr=slave)
            os.close(slave)
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(master, 65536)
            self.assertIn(b"Topic '%s' does not exist. Make it?" % name.encode(), shown)
            os.write(master, answer)
            self.assertEqual(process.wait(DEADLINE_S), code)
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
        self.assertEqual(process.wait(DEADLINE_S), 1)
        process.stdout.close(), process.stderr.close()
        self.assertIn("published 2 events", out)
        self.assertIn("interrupted after 2 events", err)

    def test_progress_leaves_typed_lines_alone(self):
        """On a terminal a line being typed is not wiped by the progress of the ones before."""
        name = self.topic()
        master, slave = pty.openpty()
        process = subprocess.Popen([BIN, "publish", name], env=environment(), stdin=slave,
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
        self.assertEqual(process.wait(DEADLINE_S), 0)
        self.assertIn(b"published %d events" % count, shown)
        self.assertNotIn(b"\x1b[K", shown)


class Subscribe(Case):
    def test_places(self):
        name = self.topic()
        for i in range(5):
            self.run_tidings("publish", name, str(i), "--timestamp", "@%d" % (1000 + i * 1000))
        self.assertEqual(self.values(name), ["0", "1", "2", "3", "4"])
        self.assertEqual(self.values(name, "--from", "3"), ["3", "4"])
        self.assertEqual(self.values(name, "--from", "-2"), ["3", "4"])
        self.assertEqual(self.values(name, "--from", "@2500"), ["2", "3", "4"])
        self.assertEqual(self.values(name, "--from", "1970-01-01T00:00:05Z"), ["4"])
        self.assertEqual(self.values(name, "--from", "-1h"), [])
        self.assertEqual(self.values(name, "--from", "end"), [])
        self.assertEqual(self.values(name, "--max", "2"), ["0", "1"])
        self.fails(2, "'middle' is no place", "subscribe", name, "--from", "middle")

    def test_to_a_place(self):
        name = self.topic()
        for i in range(5):
            self.run_tidings("publish", name, str(i), "--timestamp", "@%d" % (1000 + i * 1000))
        read = lambda *words: self.out("subscribe", name, "-v", *words).split()
        self.assertEqual(read("--to", "2"), ["0", "1"])
        self.assertEqual(read("--to", "-1"), ["0", "1", "2", "3"])
        self.assertEqual(read("--from", "1", "--to", "@3500"), ["1", "2"])
        self.assertEqual(read("--from", "2", "--to", "end"), ["2", "3", "4"])
        self.assertEqual(read("--from", "end", "--to", "end"), [])
        self.assertEqual(read("--to", "start"), [])
        self.fails(2, "give one of them", "subscribe", name, "--to", "2", "--until-end")
        group = "g-" + uuid.uuid4().hex[:8]
        self.assertEqual(read("-g", group, "--to", "2"), ["0", "1"])
        self.assertEqual(read("-g", group, "--to", "end"), ["2", "3", "4"])

    def test_the_last_are_events_not_offsets(self):
        """Markers and aborted events have offsets too; nobody waits for them."""
        if confluent_kafka is None:
            self.skipTest("no confluent_kafka")
        name = self.topic()
        self.run_tidings("publish", name, "a", "b", "c")
        for outcome in ("commit", "abort", "abort", "abort"):
            transaction(name, [outcome + "ted"], outcome)
        last = lambda n: self.out("subscribe", name, "-v", "--from", "-%d" % n, "--max",
                                  str(n)).split()
        self.assertEqual(last(1), ["committed"])
        self.assertEqual(last(3), ["b", "c", "committed"])
        self.assertEqual(self.values(name, "--from", "-99"), ["a", "b", "c", "committed"])
        group = "g-" + uuid.uuid4().hex[:8]
        moved = self.json("group", "reset", group, "--topic", name, "--to", "-2", "--execute",
                          "--json")
        self.assertEqual(moved["partitions"][0]["to_offset"], 2)
        self.assertEqual(self.values(name, "-g", group), ["c", "committed"])
        fresh = "g-" + uuid.uuid4().hex[:8]
        self.assertEqual(self.values(name, "-g", fresh, "--from", "-1"), ["committed"])

    def test_pattern(self):
        stem = "p-" + uuid.uuid4().hex[:8]
        for end in ("a", "b", "x"):
            self.run_tidings("topic", "create", stem + end)
            self.addCleanup(self.run_tidings, "topic", "delete", stem + end)
            self.run_tidings("publish", stem + end, end)
        self.assertEqual(sorted(self.values("^%s[ab]$" % stem)), ["a", "b"])
        self.assertEqual(sorted(self.values("^" + stem, "-g", "g-" + stem)), ["a", "b", "x"])
        self.fails(4, "no topic's name matches", "subscribe", "^%snone" % stem)
        self.fails(2, "no regular expression", "subscribe", "^(")

    def test_format(self):
        name = self.topic()
        self.run_tidings("publish", name, "v", "-k", "k", "-H", "a=1", "-H", "b=2", "--timestamp",
                         "@1")
        read = lambda text: self.out("subscribe", name, "-e", "--format", text)
        self.assertEqual(read(r"%t[%p]@%o %T %d %k=%s (%S) %h %{b}%{none} 100%%\n"),
                         "%s[0]@0 1 1970-01-01T00:00:00.001Z k=v (1) a=1,b=2 2 100%%\n" % name)
        self.assertEqual(read(r"\t\\\0"), "\t\\\0")
        self.fails(2, "'%z' is none of", "subscribe", name, "--format", "%z")
        self.fails(2, "needs a '}'", "subscribe", name, "--format", "%{a")
        self.fails(2, "is none of", "subscribe", name, "--format", "\\")

    def test_colours(self):
        name = self.topic()
        self.run_tidings("publish", name, "v", "-k", "k")
        plain = self.out("subscribe", name, "-e")
        coloured = self.out("subscribe", name, "-e", "--colour", "always")
        self.assertNotIn("\x1b", plain)
        self.assertIn("\x1b[33mkey=k\x1b[0m", coloured)
        self.assertEqual(re.sub("\x1b\\[[0-9]*m", "", coloured), plain)
        self.fails(2, "auto, always or never", "subscribe", name, "--colour", "red")

    def test_sources_and_headers(self):
        name = self.topic()
        self.run_tidings("publish", name, "a", "--ce-type", "t", "--ce-source", "/shop", "-H",
                         "tenant=1")
        self.run_tidings("publish", name, "b", "--ce-type", "t", "--ce-source", "/mail", "-H",
                         "tenant=2", "-H", "tenant=1")
        self.run_tidings("publish", name, "c")
        self.assertEqual(self.values(name, "--source", "/shop"), ["a"])
        self.assertEqual(self.values(name, "--source", "/shop", "--source", "/mail"), ["a", "b"])
        self.assertEqual(self.values(name, "--header", "tenant=1"), ["a", "b"])
        self.assertEqual(self.values(name, "--header", "tenant=1", "--header", "tenant=2"), ["b"])
        self.assertEqual(self.values(name, "--header", "ce_id", "--source", "/mail"), ["b"])

    def test_filters(self):
        name = self.topic()
        self.run_tidings("publish", name, "plain", "-k", "a")
        self.run_tidings("publish", name, "placed", "--ce-type", "order.placed", "-k", "a")
        self.run_tidings("publish", name, "paid", "--ce-type", "order.paid", "-k", "b")
        whole = '{"specversion":"1.0","type":"order.placed","id":"1","source":"/"}'
        self.run_tidings("publish", name, whole, "--content-type", "application/cloudevents+json")
        self.assertEqual(self.values(name, "--type", "order.placed"), ["placed", whole])
        self.assertEqual(self.values(name, "--type", "order.placed", "--type", "order.paid"),
                         ["placed", "paid", whole])
        self.assertEqual(self.values(name, "--key", "a"), ["plain", "placed"])
        self.assertEqual(self.values(name, "--key", "a", "--type", "order.placed"), ["placed"])

    def test_lines_for_people(self):
        name = self.topic()
        self.run_tidings("publish", name, "a\nb\x1b[31m", "-k", "k", "-H", "h=v", "--timestamp",
                         "@1", "--ce-type", "t")
        lines = self.out("subscribe", name, "-e", "--headers").splitlines()
        self.assertEqual(lines[0], "1970-01-01T00:00:00.001Z  %s[0]@0  key=k  type=t  a\\nb\\x1b"
                                   "[31m" % name)
        self.assertIn("    h: v", lines)

    def test_several_topics_and_a_partition(self):
        first, second = self.topic(2), self.topic()
        self.run_tidings("publish", first, "a", "-p", "0")
        self.run_tidings("publish", first, "b", "-p", "1")
        self.run_tidings("publish", second, "c")
        out = self.out("subscribe", first, second, first, "-e", "-v")
        self.assertEqual(sorted(out.split()), ["a", "b", "c"])
        self.assertEqual(self.values(first, "-p", "1"), ["b"])
        self.fails(4, "no partition 5, only 0 to 1", "subscribe", first, "-p", "5")

    def follow(self, *words):
        process = start("subscribe", *words)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def line(self, process):
        self.assertTrue(select.select([process.stdout], [], [], DEADLINE_S)[0], "no line came")
        return os.read(process.stdout.fileno(), 65536).decode()

    def test_follows_and_ends_on_interrupt(self):
        name = self.topic()
        self.run_tidings("publish", name, "old")
        process = self.follow(name, "-v")
        self.assertEqual(self.line(process), "old\n")
        self.run_tidings("publish", name, "new")
        self.assertEqual(self.line(process), "new\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE_S), 0)

    def test_closed_pipe_is_no_failure(self):
        name = self.topic()
        self.run_tidings("publish", name, text="x\n" * 50000)
        process = self.follow(name, "-v")
        self.line(process)
        process.stdout.close()
        self.assertEqual(process.wait(DEADLINE_S), 0)

    def test_group_commits_and_goes_on(self):
        name, group = self.topic(2), "g-" + uuid.uuid4().hex[:8]
        self.run_tidings("publish", name, "a", "b", "c", "-p", "0")
        self.assertEqual(self.values(name, "-g", group, "--max", "2"), ["a", "b"])
        self.assertEqual(self.values(name, "-g", group), ["c"])
        self.assertEqual(self.values(name, "-g", group), [])
        self.assertEqual(self.values(name), ["a", "b", "c"])  # without group: no trace
        process = self.follow(name, "-g", group, "-v")
        self.run_tidings("publish", name, "d", "-p", "1")
        self.assertEqual(self.line(process), "d\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(DEADLINE_S), 0)
        about = self.json("group", "describe", group, "--json")[0]
        self.assertEqual((about["state"], about["total_lag"]), ("Empty", 0))

    def test_fresh_group_begins_at_from(self):
        name = self.topic()
        self.run_tidings("publish", name, "a", "b", "c")
        group = "g-" + uuid.uuid4().hex[:8]
        self.assertEqual(self.values(name, "-g", group, "--from", "-1"), ["c"])

    def test_refusals(self):
        self.fails(2, "which topic", "subscribe")
        self.fails(2, "leave --partition out", "subscribe", "t", "-g", "g", "-p", "0")
        self.fails(2, "--value-only", "subscribe", "t", "-v", "--json")
        self.fails(4, r"topic 'missing-topic' does not exist\nhint: .*topic create", "subscribe",
                   "missing-topic")


class Group(Case):
    def setUp(self):
        self.name = self.topic(2)
        self.group = "g-" + uuid.uuid4().hex[:8]

    def committed(self):
        about = self.json("group", "describe", self.group, "--json")[0]
        return [p["committed_offset"] for p in about["partitions"]]

    def test_describe_reset_delete(self):
        self.run_tidings("publish", self.name, "a", "b", "c", "-p", "0", "--timestamp", "@1000")
        self.run_tidings("publish", self.name, "d", "-p", "1", "--timestamp", "@9000")
        self.run_tidings("subscribe", self.name, "-g", self.group, "--until-end")
        self.run_tidings("publish", self.name, "e", "-p", "1")
        self.assertIn(self.group, [g["group"] for g in self.json("group", "list", "--json")])
        self.assertRegex(self.out("group", "list"), self.group + " +Empty")
        about = self.json("group", "describe", self.group, "--json")[0]
        self.assertEqual(about["total_lag"], 1)
        self.assertEqual([(p["partition"], p["committed_offset"], p["end_offset"], p["lag"])
                          for p in about["partitions"]], [(0, 3, 3, 0), (1, 1, 2, 1)])
        self.assertIn("total lag 1", self.out("group", "describe", self.group))

        plan = self.out("group", "reset", self.group, "--to", "start")
        self.assertIn("nothing was changed; add --execute", plan)
        self.assertEqual(self.committed(), [3, 1])
        done = self.json("group", "reset", self.group, "--to", "start", "--topic",
                         self.name + ":0", "--execute", "--json")
        self.assertEqual(done, {"group": self.group, "executed": True, "partitions": [
            {"topic": self.name, "partition": 0, "from_offset": 3, "to_offset": 0}]})
        self.assertEqual(self.committed(), [0, 1])
        self.run_tidings("group", "reset", self.group, "--to", "@5000", "--execute")
        self.assertEqual(self.committed(), [3, 0])
        self.run_tidings("group", "reset", self.group, "--to", "2", "--execute")
        self.assertEqual(self.committed(), [2, 2])
        self.run_tidings("group", "reset", self.group, "--to", "end", "--execute")
        self.assertEqual(self.values(self.name, "-g", self.group), [])

        self.assertIn("deleted group", self.out("group", "delete", self.group))
        self.fails(4, "group '%s' does not exist" % self.group, "group", "describe", self.group)
        self.fails(4, "does not exist", "group", "delete", self.group)
        self.run_tidings("group", "delete", self.group, "--if-exists")

    def test_active_group_is_left_alone(self):
        self.run_tidings("publish", self.name, "a", "-p", "0")
        process = start("subscribe", self.name, "-g", self.group, "-v")
        try:
            self.assertTrue(select.select([process.stdout], [], [], DEADLINE_S)[0])
            about = self.json("group", "describe", self.group, "--json")[0]
            self.assertEqual(about["state"], "Stable")
            self.assertEqual(about["members"][0]["client_id"], "tidings-cli")
            self.assertEqual(len(about["members"][0]["partitions"]), 2)
            self.assertIn("tidings-cli", self.out("group", "describe", self.group))
            self.fails(5, r"is active: 1 member .*nothing was moved\nhint: stop the members",
                       "group", "reset", self.group, "--to", "start", "--execute")
            self.fails(5, r"not empty", "group", "delete", self.group)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE_S)
        self.assertEqual(process.returncode, 0)

    def test_lag_without_commits(self):
        """What was never committed is still to be read, and does not hide behind a zero."""
        self.run_tidings("publish", self.name, "a", "b", "c", "-p", "0")
        self.run_tidings("publish", self.name, "d", "e", "-p", "1")
        self.run_tidings("group", "reset", self.group, "--topic", self.name + ":0", "--to", "2",
                         "--execute")
        about = self.json("group", "describe", self.group, "--json")[0]
        self.assertEqual(about["total_lag"], 3)
        self.assertEqual(about["uncommitted_partitions"], 1)
        self.assertEqual([(p["partition"], p["committed_offset"], p["lag"])
                          for p in about["partitions"]], [(0, 2, 1), (1, None, 2)])
        text = self.out("group", "describe", self.group)
        self.assertIn("total lag 3 (1 partition without a committed offset, counted from the start)",
                      text)
        listed = {group["group"]: group for group in self.json("group", "list", "--json")}
        self.assertEqual(listed[self.group], {"group": self.group, "state": "Empty", "members": 0,
                                              "topics": 1, "total_lag": 3})
        self.assertRegex(self.out("group", "list"), r"(?m)^%s +Empty +0 +1 +3$" % self.group)

    def test_lag_of_a_group_that_never_committed(self):
        if confluent_kafka is None:
            self.skipTest("no confluent_kafka")
        self.run_tidings("publish", self.name, "a", "b", "c", "-p", "0")
        member = confluent_kafka.Consumer({
            "bootstrap.servers": Bus.address, "group.id": self.group, "enable.auto.commit": False,
            "auto.offset.reset": "earliest"})
        member.subscribe([self.name])
        self.assertIsNotNone(member.poll(DEADLINE_S))
        about = self.json("group", "describe", self.group, "--json")[0]
        self.assertEqual((about["state"], about["total_lag"]), ("Stable", 3))
        member.close()
        about = self.json("group", "describe", self.group, "--json")[0]
        self.assertEqual((about["state"], about["total_lag"]), ("Empty", None))
        self.assertIn("nobody knows what it reads", about["lag_unknown_because"])
        self.assertIn("total lag not known: it has committed nothing", self.out("group", "describe",
                                                                               self.group))

    def test_the_end_is_for_the_first_start(self):
        """Events of a partition that is added while a group reads from the end are not lost."""
        process = start("subscribe", self.name, "-g", self.group, "-v", "--from", "end", "-X",
                        "topic.metadata.refresh.interval.ms=200")
        try:
            self.eventually("the group is there", lambda: self.group in
                            [group["group"] for group in self.json("group", "list", "--json")])
            self.eventually("it has begun", lambda: self.committed() == [0, 0])
            self.run_tidings("topic", "alter", self.name, "-p", "3")
            self.run_tidings("publish", self.name, "new", "-p", "2")
            self.assertTrue(select.select([process.stdout], [], [], DEADLINE_S)[0], "it was lost")
            self.assertEqual(os.read(process.stdout.fileno(), 100), b"new\n")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE_S)

    def test_new_group_by_reset(self):
        self.run_tidings("publish", self.name, "a", "b", "-p", "0")
        self.run_tidings("group", "reset", self.group, "--topic", self.name, "--to", "1",
                         "--execute")
        self.assertEqual(self.values(self.name, "-g", self.group), ["b"])

    def test_refusals(self):
        self.fails(4, r"group 'missing' does not exist\nhint: .*group list", "group", "describe",
                   "missing")
        self.fails(4, "does not exist", "group", "reset", "missing", "--to", "start")
        self.fails(4, "no partition 9", "group", "reset", self.group, "--to", "start", "--topic",
                   self.name + ":9")
        self.fails(2, "to where", "group", "reset", "g")
        self.fails(2, "is not TOPIC or TOPIC:PARTITION", "group", "reset", "g", "--to", "start",
                   "--topic", "a:b")


if __name__ == "__main__":
    unittest.main()
