#!/usr/bin/python3
"""The overview: lists with sizes, lag, types and times, of many topics and groups."""
import re
import unittest
import uuid
from datetime import datetime, timezone

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import Bus, bus_address, Case
from harness import kafka

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

    def test_security_that_is_not_plain(self):
        """What is asked without librdkafka is not known then, and the reason says so."""
        name = self.named("plain")
        err = self.fails(3, "cannot reach", "topic", "list", name, "-X", "security.protocol=ssl",
                         "--timeout", "1s")
        self.assertNotIn("plain connections", err)

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
                         r"-behind +Empty +classic +0 +1 +2 +\d+s ago\n")

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


if __name__ == "__main__":
    unittest.main()
