#!/usr/bin/python3
"""`tidings topic`: topics, their settings and what they hold."""
import unittest
import uuid

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import Case


class Topic(Case):
    def test_life(self):
        name = "life-" + uuid.uuid4().hex[:8]
        self.assertIn("created topic " + name,
                      self.out("topic", "create", name, "-p", "2", "-c", "retention.ms=1d"))
        listed = {topic["name"]: topic for topic in self.json("topic", "list", "--json")}
        self.assertEqual(listed[name], {"name": name, "partitions": 2, "offsets": 0,
                                        "internal": False, "bytes": 0, "last_event": None})
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
        self.assertRegex(self.out("topic", "list"), r"TOPIC +PARTITIONS +OFFSETS +SIZE +LAST EVENT\n")
        self.assertRegex(self.out("topic", "list"), r"(?m)^%s +2 +3 +[0-9]+ bytes +[0-9]+s ago$" % name)


if __name__ == "__main__":
    unittest.main()
