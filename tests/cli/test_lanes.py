#!/usr/bin/python3
"""`tidings lanes` on records that no service of ours wrote, and what it says when something is wrong."""
import base64
import unittest
import uuid

from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import Case
from harness.lanes import Log


class Lanes(Case):
    def setUp(self):
        self.group = "g-" + uuid.uuid4().hex[:8]
        self.source = self.topic(2)

    def write(self, log):
        topic = "lanes." + self.group
        self.run_tidings("topic", "create", topic, "--if-not-exists")
        self.run_tidings("publish", topic, "--input", "json", "--quiet", text="".join(log.lines))
        log.lines.clear()

    def lanes(self, verb, *words):
        return self.json("lanes", verb, self.group, *words, "--json")

    def test_what_is_open_is_listed(self):
        log = Log(self.source)
        log.mark(0, 1)
        log.note(0, 1, b"anna", 5, 3, 1700000000000, 1)
        log.aside(0, 1, 6, b"anna", b"12345")
        log.aside(0, 1, 9, b"anna", b"123")
        log.reason(0, 1, b"anna", 1, b"smtp", b"no route\x1b[2J")
        log.put(0, 99, 1, b"of a later version")
        log.note(1, 1, b"bert", -1, 0, 0, 2)
        log.reason(1, 1, b"bert", 2, b"carl@host", b"until noon")
        gone = log.aside(1, 1, 4, b"carl")
        log.mark(0, 3)
        log.note(0, 2, b"void", 8, 1, 1, 1)  # of an owner of before
        log.aside(0, 3, 11, b"\xff\x1b[2J")
        log.aside(0, 3, 12, None)
        log.word(1)
        log.line(log.key(gone, 1), None)  # erased
        self.write(log)
        found = self.lanes("list")
        self.assertEqual(found["words_without_answer"], 1)
        rows = {lane.get("key") if lane["key"] is not None else lane["event_offset"]: lane
                for lane in found["lanes"]}
        self.assertEqual(set(rows), {"anna", "bert", base64.b64encode(b"\xff\x1b[2J").decode(), 12})
        self.assertEqual(
            {name: rows["anna"][name] for name in ("topic", "partition", "state", "head", "attempts",
                                                   "events_set_aside", "bytes_set_aside", "first_failure")},
            {"topic": self.source, "partition": 0, "state": "parked", "head": 5, "attempts": 3,
             "events_set_aside": 2, "bytes_set_aside": 16, "first_failure": "2023-11-14T22:13:20.000Z"})
        self.assertEqual((rows["bert"]["state"], rows["bert"]["head"]), ("held", None))
        self.assertEqual(rows["anna"]["failure"],
                         {"class": "smtp", "text": "no route\x1b[2J", "at": "2023-11-14T22:13:20.000Z"})
        self.assertEqual((rows["anna"]["held_by"], rows["bert"]["held_by"]["who"]), (None, "carl@host"))
        self.assertEqual((rows[12]["state"], rows[12]["head"]), ("set aside", 12))
        printed = self.out("lanes", "list", self.group)
        self.assertNotIn("\x1b", printed)
        self.assertRegex(printed, r"anna +parked +5 +3 +2023-11-14T22:13:20Z +2 +16 bytes +no route")
        self.assertRegex(printed, r"bert +held .* held by carl@host: until noon")
        self.assertIn("1 word to its lanes is not answered yet", printed)
        self.assertEqual([lane["key"] for lane in self.lanes("list", "--where", "state = parked")["lanes"]], ["anna"])
        self.assertEqual(len(self.lanes("list", "--topic", self.source + ":1")["lanes"]), 1)
        shown = self.lanes("show", "--key", "anna")
        self.assertEqual([(event["offset"], event["position"]) for event in shown[0]["events"]], [(6, 2), (9, 3)])
        self.assertIn("head: offset 5, dead", self.out("lanes", "show", self.group, "--key", "anna"))
        self.assertIn("failed: smtp: no route", self.out("lanes", "show", self.group, "--where", "reason ~ no*"))
        self.assertIn("held by: carl@host: until noon", self.out("lanes", "show", self.group, "--where", "who ~ carl*"))
        self.fails(4, "no such open lane", "lanes", "show", self.group, "--key", "void")

    def test_only_the_plan_is_shown_unless_a_key_is_named(self):
        log = Log(self.source)
        log.mark(0, 1)
        log.note(0, 1, b"anna", 5, 3, 1, 1)
        self.write(log)
        plan = self.out("lanes", "skip", self.group, "--all")
        self.assertIn("key anna, head 5", plan)
        self.assertIn("1 lane; nothing was said; add --execute to do it", plan)
        self.assertEqual(self.lanes("list")["words_without_answer"], 0)
        self.fails(6, "has no member now", "lanes", "skip", self.group, "--key", "anna", "--timeout", "300ms")
        self.assertEqual(self.lanes("list")["words_without_answer"], 1)

    def test_what_is_wrong_is_told(self):
        self.fails(4, "group '%s' has no lanes: there is no topic" % self.group, "lanes", "list", self.group)
        self.fails(2, "of which group?", "lanes", "list")
        self.fails(2, "which lanes?", "lanes", "hold", self.group)
        self.fails(2, "what is 'x'", "lanes", "list", self.group, "x")
        self.fails(2, "--where: ", "lanes", "list", self.group, "--where", "colour = red")
        self.fails(2, "--offset names one event", "lanes", "skip", self.group, "--offset", "3", "--topic", "t")
        self.assertIn("topic lanes.GROUP", self.out("lanes", "help"))
        names = [topic["name"] for topic in self.json("topic", "list", "--json")]
        self.assertNotIn("lanes." + self.group, names)  # looking makes nothing


if __name__ == "__main__":
    unittest.main(verbosity=2)
