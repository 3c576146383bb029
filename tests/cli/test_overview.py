#!/usr/bin/python3
"""The overview: lists with sizes, lag, types and times, of many topics and groups."""
import json
import re
import signal
import unittest
import uuid
from datetime import datetime, timezone

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
import case
from case import Bus, bus_address, Case, start
from harness import kafka
from harness.lanes import Log

MANY = 150


def port():
    return int(bus_address().rsplit(":", 1)[1])


class Lists(Case):
    def setUp(self):
        self.mark = uuid.uuid4().hex[:8]
        self.expression = "^" + self.mark

    def named(self, name, partitions=1):
        name = f"{self.mark}-{name}"
        self.run_tidings("topic", "create", name, "--partitions", str(partitions))
        self.addCleanup(self.run_tidings, "topic", "delete", name, "--if-exists")
        return name

    def order(self, *words):
        return [topic["name"][9:] for topic in self.json("topic", "list", self.expression, "--json", *words)]

    def test_topics_by_size_and_time(self):
        large, small, none = self.named("large", 2), self.named("small"), self.named("none")
        self.run_tidings("publish", large, "x" * 5000, "--timestamp", "@1000000000000")
        self.run_tidings("publish", small, "a", "b", "c", "--timestamp", "@1100000000000")
        listed = {topic["name"]: topic for topic in
                  self.json("topic", "list", self.expression, "--json")}
        self.assertEqual([listed[name]["last_event"] for name in (large, small, none)],
                         ["2001-09-09T01:46:40.000Z", "2004-11-09T11:33:20.000Z", None])
        self.assertGreater(listed[large]["bytes"], 5000)
        self.assertGreater(5000, listed[small]["bytes"])
        self.assertEqual(listed[none]["bytes"], 0)
        self.assertEqual(self.order(), ["large", "none", "small"])
        self.assertEqual(self.order("--sort", "size"), ["large", "small", "none"])
        self.assertEqual(self.order("--sort", "last"), ["small", "large", "none"])
        self.assertEqual(self.order("--sort", "last", "--reverse"), ["large", "small", "none"])
        self.assertEqual(self.order("--sort", "offsets"), ["small", "large", "none"])
        self.assertEqual(self.order("--sort", "partitions")[0], "large")
        self.assertRegex(self.out("topic", "list", large), r"\n%s +2 +1 +5\.\d kB +\d+d ago\n" % large)

    def test_what_is_named_is_there(self):
        name = self.named("one")
        self.assertEqual(self.order(), ["one"])
        self.fails(4, "topic 'missing' does not exist", "topic", "list", name, "missing")
        self.fails(4, r"no topic's name matches '\^missing'", "topic", "list", "^missing")
        self.fails(4, r"group 'missing' does not exist", "group", "list", "missing")
        self.fails(2, r"no regular expression", "topic", "list", "^(")
        self.fails(2, "--sort: 'colour' is none of name, partitions", "topic", "list", "--sort",
                   "colour")
        self.fails(2, "--sort: 'colour' is none of name, members", "group", "list", "--sort",
                   "colour")
        internal = self.json("topic", "list", "__consumer_offsets", "--json")
        self.assertEqual([topic["internal"] for topic in internal], [True])

    def test_groups_with_commits_and_types(self):
        topic = self.named("read")
        self.run_tidings("publish", topic, "a", "b", "c")
        before = datetime.now(timezone.utc)
        for group, upto in (("behind", "1"), ("done", "3")):
            self.run_tidings("group", "reset", f"{self.mark}-{group}", "--topic", topic, "--to",
                             upto, "--execute")
        client = kafka.Client(port())
        client.ask("consumer_group_heartbeat", 0, group_id=self.mark + "-new", member_id="m",
                   member_epoch=0, rebalance_timeout_ms=60000, subscribed_topic_names=[topic],
                   topic_partitions=[])
        listed = {group["group"][9:]: group for group in
                  self.json("group", "list", self.expression, "--json", "--commits")}
        client.close()
        self.assertEqual({name: (group["type"], group["members"]) for name, group in listed.items()},
                         {"behind": ("classic", 0), "done": ("classic", 0), "new": ("consumer", 1)})
        self.assertIsNone(listed["new"]["last_commit"])
        for name in ("behind", "done"):
            at = datetime.fromisoformat(listed[name]["last_commit"].replace("Z", "+00:00"))
            self.assertGreaterEqual(at.timestamp(), int(before.timestamp()))
        by_lag = [group["group"][9:] for group in
                  self.json("group", "list", self.expression, "--json", "--sort", "lag")]
        self.assertLess(by_lag.index("behind"), by_lag.index("done"))
        by_commit = [group["group"][9:] for group in
                     self.json("group", "list", self.expression, "--json", "--sort", "commit")]
        self.assertEqual(by_commit, ["done", "behind", "new"])
        self.assertRegex(self.out("group", "list", self.expression, "--commits"),
                         r"-behind +Empty +classic +0 +1 +2 +\d+[sm] ago\n")

    def test_many_are_asked_together(self):
        client = kafka.Client(port())
        names = [f"{self.mark}-{number}" for number in range(MANY)]
        if Bus.server:
            client.ask("create_topics", 4, timeout_ms=30000, topics=[
                {"name": name, "num_partitions": 1, "replication_factor": 1} for name in names])
        else:
            self.skipTest("a bus of others")
        for name in names:
            client.commit(name, name, 0)
        client.close()
        topics = self.json("topic", "list", self.expression, "--json")
        self.assertEqual(len(topics), MANY)
        self.assertEqual({topic["bytes"] for topic in topics}, {0})
        groups = self.json("group", "list", self.expression, "--json", "--commits")
        self.assertEqual(len(groups), MANY)
        self.assertEqual({(group["total_lag"], group["type"]) for group in groups}, {(0, "classic")})
        self.assertTrue(all(re.fullmatch(r"[0-9T:.-]+Z", group["last_commit"]) for group in groups))


class Describe(Case):
    """Why a group is behind."""

    def setUp(self):
        self.topic_name = self.topic(2)
        self.group = "g-" + uuid.uuid4().hex[:8]

    def about(self, *words):
        return self.json("group", "describe", self.group, "--json", *words)[0]

    def reasons(self, *words):
        return [why["reason"] for why in self.about(*words)["why"]]

    def commit(self, to, partition=0):
        self.run_tidings("group", "reset", self.group, "--topic", f"{self.topic_name}:{partition}",
                         "--to", str(to), "--execute")

    def member(self):
        process = start("subscribe", self.topic_name, "--group", self.group, "-v")
        def end():
            process.kill()
            process.communicate()
        self.addCleanup(end)
        self.eventually("the member is there", lambda: self.about()["members"])
        return process

    def test_since_when_and_nobody_is_there(self):
        self.run_tidings("publish", self.topic_name, "old", "-p", "0", "--timestamp", "@1000000000000")
        self.run_tidings("publish", self.topic_name, "older", "-p", "1", "--timestamp", "@900000000000")
        self.run_tidings("publish", self.topic_name, "done", "-p", "1", "--timestamp", "@800000000000")
        self.commit(0)
        self.commit(0, 1)
        self.commit(1, 1)
        about = self.about()
        self.assertEqual(about["oldest_waiting"],
                         {"topic": self.topic_name, "partition": 1, "offset": 1,
                          "timestamp": "1995-05-09T06:13:20.000Z"})
        self.assertEqual([why["reason"] for why in about["why"]], ["no-members"])
        self.assertIsNotNone(about["last_commit"])
        self.assertEqual((about["lanes"], about["dead_letters_at_most"], about["handlers_down"]),
                         (None, None, []))
        text = self.out("group", "describe", self.group)
        self.assertRegex(text, r"\n  last commit \d+[sm] ago, .*\n  oldest waiting event %s/1@1, waiting for"
                               r" \d+d, since 1995-05-09T06:13:20.000Z\n  behind: no member is there; the"
                               r" last commit was \d+[sm] ago\n" % self.topic_name)
        self.commit(2, 1)
        self.commit(1)
        about = self.about()
        self.assertEqual((about["total_lag"], about["oldest_waiting"], about["why"]), (0, None, []))
        self.assertNotIn("behind:", self.out("group", "describe", self.group))

    def test_how_fast(self):
        self.run_tidings("publish", self.topic_name, *[str(number) for number in range(50)], "-p", "0")
        self.commit(0)
        self.assertEqual(self.about()["published_a_second"], 50 / 60)
        self.commit(30)
        self.assertGreater(self.about()["handled_a_second"], 30 / 60.001)
        self.assertEqual(self.about()["total_lag"], 20)

    def test_members_that_commit_nothing(self):
        self.commit(0)
        process = self.member()
        process.send_signal(signal.SIGSTOP)
        self.run_tidings("publish", self.topic_name, "new", "-p", "0", "--timestamp", "-1h")
        # what was committed just now is no silence; the unit test has that an hour is
        self.assertEqual(self.reasons(), ["unknown"])
        process.send_signal(signal.SIGCONT)

    def test_a_partition_that_nobody_reads(self):
        other = self.topic()
        self.run_tidings("publish", other, "a")
        self.run_tidings("group", "reset", self.group, "--topic", other, "--to", "0", "--execute")
        self.member()
        self.assertEqual(self.reasons(), ["unread-partitions"])

    def test_markers_are_no_events(self):
        if case.confluent_kafka is None:
            self.skipTest("no confluent_kafka")
        topic = self.topic()
        case.transaction(topic, ["a", "b"], "abort")
        self.run_tidings("group", "reset", self.group, "--topic", topic, "--to", "0", "--execute")
        about = self.about()
        self.assertEqual((about["total_lag"], about["oldest_waiting"]), (3, None))
        self.assertEqual([why["reason"] for why in about["why"]], ["no-events"])

    def test_lanes_and_handlers_of_the_library(self):
        log = Log(self.topic_name)
        log.mark(0, 1)
        log.note(0, 1, b"anna", 5, 3, 1700000000000, 1)
        log.aside(0, 1, 6, b"anna", b"12345")
        log.note(1, 1, b"bert", -1, 0, 0, 2)
        self.run_tidings("topic", "create", "lanes." + self.group)
        self.run_tidings("publish", "lanes." + self.group, "--input", "json", "--quiet",
                         text="".join(log.lines))
        self.run_tidings("publish", "dlq." + self.group, "--create", "a", "b")
        down = {"version": 1, "what": "down", "time": 1700000000000, "group": self.group,
                "handler": "orders \x1b[2J"}
        up = dict(down, what="up", handler="mended")
        lines = [json.dumps(dict(what, **more)) for what, more in
                 ((down, {}), (down, {"handler": "mended"}), (up, {}), (down, {"group": "another"}))]
        self.run_tidings("publish", "__tidings_outcomes", "--create", "--key", self.group, *lines)
        self.run_tidings("publish", self.topic_name, "a", "--partition", "0")
        self.commit(1)
        about = self.about()
        self.assertEqual(about["lanes"], {"parked": 1, "held": 1, "failing": 0, "set_aside": 0,
                                          "events_aside": 1})
        self.assertEqual(about["dead_letters_at_most"], 2)
        self.assertEqual([why["reason"] for why in about["why"]], ["lanes-parked", "lanes-held"])
        self.assertEqual(about["handlers_down"], [])  # nobody is there who could be down
        member = self.member()
        about = self.about()
        self.assertEqual([(down["handler"], down["since"]) for down in about["handlers_down"]],
                         [("orders \x1b[2J", "2023-11-14T22:13:20.000Z")])
        member.send_signal(signal.SIGSTOP)
        self.run_tidings("publish", self.topic_name, "b", "--partition", "0")
        self.assertEqual(self.reasons("--long")[0], "handler-down")
        text = self.out("group", "describe", self.group)
        self.assertIn(r"nothing of its handler orders \x1b[2J succeeds, for ", text)
        self.assertIn("  lanes: 1 parked, 1 held, 0 failing, 0 set aside; 1 event aside", text)
        self.assertIn("  dead letters: at most 2 (tidings deadletter list ", text)
        member.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
