#!/usr/bin/python3
"""`tidings group`: who reads, how far, and moving that."""
import os
import select
import signal
import unittest
import uuid

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import bus_address, Case, start, WAIT_S
from harness import kafka, odd_groups


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

    def test_what_members_say_of_themselves_ends_no_command(self):
        """Any client can have a group like these; librdkafka ends a process that opens them."""
        host, port = bus_address().rsplit(":", 1)
        client = kafka.Client((host, int(port)))
        self.addCleanup(client.close)
        groups = {name: f"{self.group}-{name}" for name in odd_groups.ASSIGNMENTS}
        for name, group in groups.items():
            odd_groups.join(client, group, "consumer", odd_groups.ASSIGNMENTS[name], "i-" + name)
        odd_groups.join(client, self.group, "consumer", odd_groups.ASSIGNMENTS["cut"], client.name)  # as its client.id
        self.assertEqual(self.json("group", "describe", self.group, "--json")[0]["members"][0]["instance_id"], client.name)
        told = {g["group"]: g for g in self.json("group", "describe", *groups.values(), "--json")}
        self.assertEqual({name: told[group]["members"][0]["instance_id"] for name, group in groups.items()},
                         {name: "i-" + name for name in groups})
        self.assertEqual(told[groups["good"]]["members"][0]["partitions"], [{"topic": "orders", "partition": 2}])
        self.assertEqual(told[groups["less"]]["members"][0]["partitions"], [])
        for words in (("group", "list"), ("group", "describe", groups["good"]), ("top", "--once")):
            self.assertIn(groups["good"], self.out(*words))

    def test_active_group_is_left_alone(self):
        self.run_tidings("publish", self.name, "a", "-p", "0")
        process = start("subscribe", self.name, "-g", self.group, "-v")
        try:
            self.assertTrue(select.select([process.stdout], [], [], WAIT_S)[0])
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
            process.communicate(timeout=WAIT_S)
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
        self.assertEqual(listed[self.group], {"group": self.group, "state": "Empty", "type": "classic",
                                              "members": 0, "topics": 1, "total_lag": 3})
        self.assertRegex(self.out("group", "list"), r"(?m)^%s +Empty +classic +0 +1 +3$" % self.group)

    def test_lag_of_a_group_that_never_committed(self):
        if confluent_kafka is None:
            self.skipTest("no confluent_kafka")
        self.run_tidings("publish", self.name, "a", "b", "c", "-p", "0")
        member = confluent_kafka.Consumer({
            "bootstrap.servers": bus_address(), "group.id": self.group, "enable.auto.commit": False,
            "auto.offset.reset": "earliest"})
        member.subscribe([self.name])
        self.assertIsNotNone(member.poll(WAIT_S))
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
            self.assertTrue(select.select([process.stdout], [], [], WAIT_S)[0], "it was lost")
            self.assertEqual(os.read(process.stdout.fileno(), 100), b"new\n")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=WAIT_S)

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
