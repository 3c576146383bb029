#!/usr/bin/python3
"""`tidings subscribe`: places, filters, looks and groups."""
import os
import re
import select
import signal
import struct
import unittest
import uuid

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import bus_address, Case, start, transaction, wait_for, WAIT_S
from harness import kafka


def pipe_is_full(reading_end):
    """As whoever writes sees it: a page with a few bytes counts as one that is full."""
    end = os.open(f"/proc/self/fd/{reading_end}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [end], [], 0)[1]
    finally:
        os.close(end)


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

    def lines(self, process, count):
        lines = []
        while len(lines) < count:
            lines += self.line(process).splitlines()
        return lines

    def test_topics_made_later_are_read_from_their_start(self):
        for words in ([], ["-g"]):
            stem = "m-" + uuid.uuid4().hex[:8]
            for end in (".a", "-no", ".b"):
                self.addCleanup(self.run_tidings, "topic", "delete", stem + end, "--if-exists")
            self.run_tidings("topic", "create", stem + ".a")
            self.run_tidings("publish", stem + ".a", "first", "last")
            process = self.follow("^%s\\." % stem, "-v", "--from", "-1", *words,
                                  *(["g-" + stem] if words else []))
            self.assertEqual(self.lines(process, 1), ["last"])
            for end in ("-no", ".b"):
                self.run_tidings("topic", "create", stem + end)
                self.run_tidings("publish", stem + end, "1" + end, "2" + end)
            self.assertEqual(self.lines(process, 2), ["1.b", "2.b"])
            self.run_tidings("publish", stem + ".a", "more")
            self.assertEqual(self.lines(process, 1), ["more"])
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(WAIT_S), 0)

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
        self.assertTrue(select.select([process.stdout], [], [], WAIT_S)[0], "no line came")
        return os.read(process.stdout.fileno(), 65536).decode()

    def test_follows_and_ends_on_interrupt(self):
        name = self.topic()
        self.run_tidings("publish", name, "old")
        process = self.follow(name, "-v")
        self.assertEqual(self.line(process), "old\n")
        self.run_tidings("publish", name, "new")
        self.assertEqual(self.line(process), "new\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(WAIT_S), 0)

    def test_a_signal_ends_what_waits_for_its_reader(self):
        name, group = self.topic(), "g-" + uuid.uuid4().hex[:8]
        count = 100000  # more than the pipe and the command's own buffer take
        self.run_tidings("publish", name, text="x%06d\n" * count % tuple(range(count)))
        before = 0
        for how in (signal.SIGTERM, signal.SIGINT):
            process = self.follow(name, "-v", "-g", group)
            first = self.line(process)  # from now on nobody reads
            wait_for(lambda fd=process.stdout.fileno(): pipe_is_full(fd), "the pipe is full")
            process.send_signal(how)
            self.assertEqual(process.wait(WAIT_S), 0)
            written = (first + process.stdout.read().decode()).count("\n")
            self.assertLess(written, count)
            group_now = self.json("group", "describe", group, "--json")[0]
            committed = count - (group_now["total_lag"] or count)
            self.assertLessEqual(committed - before, written)
            before = committed

    def test_closed_pipe_is_no_failure(self):
        name = self.topic()
        self.run_tidings("publish", name, text="x\n" * 50000)
        process = self.follow(name, "-v")
        self.line(process)
        process.stdout.close()
        self.assertEqual(process.wait(WAIT_S), 0)

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
        self.assertEqual(process.wait(WAIT_S), 0)
        about = self.json("group", "describe", group, "--json")[0]
        self.assertEqual((about["state"], about["total_lag"]), ("Empty", 0))

    def test_fresh_group_begins_at_from(self):
        name = self.topic()
        self.run_tidings("publish", name, "a", "b", "c")
        group = "g-" + uuid.uuid4().hex[:8]
        self.assertEqual(self.values(name, "-g", group, "--from", "-1"), ["c"])

    def test_a_member_ends_before_it_was_given_anything(self):
        """Its leader is slow; librdkafka 2.0.2 aborts when it frees such a member (sticky)."""
        name, group = self.topic(), "g-" + uuid.uuid4().hex[:8]
        strategy = "cooperative-sticky"
        subscription = struct.pack(">h", 1) + kafka.array([kafka.string(name)]) + \
            struct.pack(">i", -1) + kafka.array([])
        host, port = bus_address().rsplit(":", 1)
        leader = kafka.Client((host, int(port)), timeout_s=WAIT_S)
        self.addCleanup(leader.close)

        def join(member):
            return leader.ask("join_group", 5, group_id=group, session_timeout_ms=60000,
                              rebalance_timeout_ms=60000, member_id=member, group_instance_id=None,
                              protocol_type="consumer",
                              protocols=[{"name": strategy, "metadata": subscription}])

        member = join("")["member_id"]
        self.assertEqual(join(member)["error_code"], 0)
        leader.ask("sync_group", 3, group_id=group, generation_id=1, member_id=member,
                   group_instance_id=None, assignments=[])
        process = self.follow(name, "-g", group, "-X", "partition.assignment.strategy=" + strategy)
        wait_for(lambda: self.json("group", "describe", group, "--json")[0]["state"] ==
                 "PreparingRebalance", "the other member to join")
        self.assertEqual(len(join(member)["members"]), 2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_S), 0)

    def test_refusals(self):
        self.fails(2, "which topic", "subscribe")
        self.fails(2, "leave --partition out", "subscribe", "t", "-g", "g", "-p", "0")
        self.fails(2, "--value-only", "subscribe", "t", "-v", "--json")
        self.fails(4, r"topic 'missing-topic' does not exist\nhint: .*topic create", "subscribe",
                   "missing-topic")


if __name__ == "__main__":
    unittest.main()
