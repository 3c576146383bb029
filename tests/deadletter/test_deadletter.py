#!/usr/bin/python3
"""`tidings deadletter` on a real server, with a service that gives events up, and with dead letters of other tools.

usage: test_deadletter.py LANE_SERVICE [unittest's arguments]
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.server import Server, run, wait_for  # noqa: E402

PROGRAM = None
SERVER = None
DIRECTORY = None


def setUpModule():
    global SERVER, DIRECTORY
    DIRECTORY = tempfile.TemporaryDirectory(prefix="tidings-dead-")
    SERVER = Server(os.path.join(DIRECTORY.name, "data"), "group.min.session.timeout.ms=100",
                    "group.initial.rebalance.delay.ms=0")


def tearDownModule():
    code = SERVER.stop()
    DIRECTORY.cleanup()
    assert code == 0, f"the server stopped with {code}"


class Case(unittest.TestCase):
    def setUp(self):
        self.group = "g-" + uuid.uuid4().hex[:8]
        self.topic = "t-" + self.group
        self.service = None
        self.gate = os.path.join(DIRECTORY.name, self.group + ".gate")
        self.effects = os.path.join(DIRECTORY.name, self.group + ".effects")

    def tearDown(self):
        if self.service is not None:
            self.service.kill()
            self.service.wait()

    # -- the bus --

    def tidings(self, *words, code=0, text=None):
        return run(*words, text=text, code=code, address=SERVER.address)

    def dead(self, verb, *words, code=0):
        return self.tidings("deadletter", verb, self.group, *words, code=code)

    def dead_json(self, verb, *words, code=0):
        return json.loads(self.dead(verb, *words, "--json", code=code)[0])

    def publish(self, topic, events):
        self.tidings("publish", topic, "--input", "json", "--quiet",
                     text="".join(json.dumps(event) + "\n" for event in events))

    def topics(self, partitions=2):
        self.tidings("topic", "create", self.topic, "--partitions", str(partitions))

    # -- the service --

    def start(self, attempts=2):
        with open(self.effects + ".log", "ab") as log:
            self.service = subprocess.Popen([PROGRAM, SERVER.address, self.group, self.topic, self.effects,
                                             str(attempts)], stderr=log)

    def stop(self):
        self.service.send_signal(signal.SIGTERM)
        self.assertEqual(self.service.wait(60), 0)
        self.service = None

    def open_gate(self):
        with open(self.gate, "w", encoding="utf-8"):
            pass

    def letters(self):
        out, _ = self.tidings("subscribe", "dlq." + self.group, "--until-end", "--json", code=None)
        return [json.loads(line) for line in out.splitlines()]

    def until_dead(self, count):
        wait_for(lambda: len(self.letters()) >= count, f"{count} are given up")

    def given_up(self, events, count):
        """A service that has given `count` of these up, and stopped."""
        self.topics()
        self.publish(self.topic, events)
        self.start()
        self.until_dead(count)
        wait_for(lambda: all(json.loads(self.tidings("group", "describe", self.group, "--json")[0])[0]
                             ["partitions"][i]["lag"] == 0 for i in range(2)), "all is committed")
        self.stop()


def event(key, value, kind="order.placed", **headers):
    return {"key": key, "value": value, "headers": dict({"ce_type": kind, "ce_id": key + "-id"}, **headers)}


class Listing(Case):
    def test_by_cause_and_each(self):
        self.given_up([event("a", "reject"), event("b", "reject", tenant="x"), event("a", "ok"),
                       event("c", "reject", "order.paid"), event("d", "ok")], 3)
        all_of = self.dead_json("list")
        self.assertEqual(all_of["events"], 3)
        self.assertEqual(len(all_of["groups"]), 1, all_of)  # offsets in the message do not count
        group = all_of["groups"][0]
        self.assertEqual((group["events"], group["states"]["open"], group["closed_lanes"]), (3, 3, 3))
        self.assertEqual((group["class"], sorted(group["types"])), ("test", ["order.paid", "order.placed"]))
        self.assertEqual(all_of["failed_again"], [])
        each = self.dead_json("list", "--each")
        self.assertEqual(sorted(letter["key"] for letter in each), ["a", "b", "c"])
        self.assertEqual({letter["state"] for letter in each}, {"open"})
        self.assertEqual({letter["topic"] for letter in each}, {self.topic})

        def keys(*words):
            return sorted(letter["key"] for letter in self.dead_json("list", "--each", *words))
        self.assertEqual(keys("--type", "order.placed"), ["a", "b"])
        self.assertEqual(keys("--key", "a", "--key", "c"), ["a", "c"])
        self.assertEqual(keys("--cause", group["cause"][:6], "--class", "test", "--handler", "test"),
                         ["a", "b", "c"])
        self.assertEqual(keys("--cause", "0" if group["cause"][0] != "0" else "1"), [])
        self.assertEqual(keys("--where", "header.tenant = x or type ~ '*paid'"), ["b", "c"])
        self.assertEqual(keys("--where", "not header.tenant and attempts >= 1 and lane = closed"), ["a", "c"])
        self.assertEqual(keys("--since", "-1h", "--until", "now"), ["a", "b", "c"])
        self.assertEqual(keys("--until", "-1h"), [])
        self.assertEqual(keys("--state", "done"), [])
        letter = next(letter for letter in each if letter["key"] == "c")
        self.assertEqual(keys("--topic", self.topic, "--partition", str(letter["partition"]), "--offset",
                              str(letter["offset"])), ["c"])
        self.assertEqual(keys(letter["id"]), ["c"])
        self.assertEqual(len(self.dead_json("list", "--each", "--limit", "2")), 2)
        self.assertEqual(sorted(g["name"] for g in self.dead_json("list", "--by", "key")["groups"]),
                         ["a", "b", "c"])
        out, _ = self.dead("list")
        self.assertIn("3 open", out)

    def test_one_in_full(self):
        self.given_up([event("a", "reject"), event("a", "ok")], 1)
        letter = self.dead_json("list", "--each")[0]
        shown = self.dead_json("show", letter["id"])[0]
        self.assertEqual(shown["value"], "reject")
        self.assertEqual(shown["headers"], {"ce_type": "order.placed", "ce_id": "a-id"})
        self.assertTrue(shown["lane_is_closed"])
        self.assertEqual([entry["what"] for entry in shown["history"]], ["died"])
        out, _ = self.dead("show", letter["id"])
        for part in ("order.placed", "reject", "what comes behind it waits", "did not work", "history"):
            self.assertIn(part, out)
        _, err = self.dead("show", "0:999999", code=4)
        self.assertIn("no dead letter 0:999999", err)

    def test_wrong_words_are_told(self):
        for words, pattern in ((("list", "--where", "colour = red"), "no field 'colour'"),
                               (("list", "--state", "wild"), "no state 'wild'"),
                               (("list", "--cause", "xyz"), "no fingerprint"),
                               (("list", "--since", "later"), "--since"),
                               (("show",), "show which"),
                               (("show", "one"), "PARTITION:OFFSET"),
                               (("discard", "0:0"), "--why"),
                               (("edit", "0:0"), "payload")):
            self.assertIn(pattern, self.dead(words[0], *words[1:], code=2)[1])
        _, err = self.dead("list", code=4)
        self.assertIn(f"no topic 'dlq.{self.group}'", err)


class Treating(Case):
    def test_discarded_and_taken_back(self):
        self.given_up([event("a", "reject"), event("b", "reject")], 2)
        a = next(letter for letter in self.dead_json("list", "--each") if letter["key"] == "a")
        self.dead("discard", a["id"], "--why", "a test")
        states = self.dead_json("list")["groups"][0]["states"]
        self.assertEqual((states["open"], states["discarded"]), (1, 1))
        entry = self.dead_json("show", a["id"])[0]["history"][-1]
        self.assertEqual((entry["what"], entry["why"]), ("discarded", "a test"))
        self.assertRegex(entry["who"], ".@.")
        self.dead("discard", a["id"], "--undo")
        self.assertEqual(self.dead_json("list")["groups"][0]["states"]["open"], 2)
        told = self.dead_json("discard", "--class", "test", "--why", "all of them")
        self.assertFalse(told["executed"])
        self.assertEqual(self.dead_json("list")["groups"][0]["states"]["open"], 2)
        self.dead("discard", "--class", "test", "--why", "all of them", "--execute")
        self.assertEqual(self.dead_json("list")["groups"][0]["states"]["discarded"], 2)

    def test_an_edited_payload_stands_beside_the_original(self):
        self.given_up([event("a", "reject")], 1)
        letter = self.dead_json("list", "--each")[0]
        self.dead("edit", letter["id"], "--value", "first\n\x1b[31mtry")
        path = os.path.join(DIRECTORY.name, "payload")
        with open(path, "wb") as file:
            file.write(b"ok")
        self.dead("edit", letter["id"], "--payload", path)
        shown = self.dead_json("show", letter["id"])[0]
        self.assertEqual((shown["value"], shown["edited_payload"]["value"]), ("reject", "ok"))
        self.assertEqual([entry["what"] for entry in shown["history"]], ["died", "edited", "edited"])
        self.assertEqual(self.dead_json("list")["events"], 1)
        self.assertEqual(shown["id"], letter["id"])
        self.assertEqual(self.dead_json("show", shown["edited"])[0]["id"], letter["id"])

    def test_notes(self):
        self.given_up([event("a", "reject")], 1)
        letter = self.dead_json("list", "--each")[0]
        self.dead("note", "--cause", letter["cause"][:5], "--text", "known \x1b[31m trouble")
        self.dead("note", letter["id"], "--text", "asked the customer")
        self.assertEqual(self.dead_json("list")["notes"][0]["cause"], letter["cause"])
        out, _ = self.dead("list")
        self.assertIn("known \\x1b[31m trouble", out)
        self.assertNotIn("\x1b", out)
        self.assertEqual(self.dead_json("show", letter["id"])[0]["history"][-1]["text"], "asked the customer")


class Foreign(Case):
    def test_records_of_other_tools(self):
        """Any bytes, no headers, half of the headers, tombstones: each is shown as what it is."""
        dlq = "dlq." + self.group
        self.tidings("topic", "create", dlq, "--partitions", "1")
        kafka = {"__dlq.errors.topic": "orders", "__dlq.errors.partition": "3", "__dlq.errors.offset": "77",
                 "__dlq.errors.message": "no such\x1b[2J user 12"}
        self.publish(dlq, [
            {"value": "plain"},
            {"key": "k", "value": None, "headers": {}},
            {"key": "ke\x1b[31my\n", "value": "v", "headers": kafka},
            {"key": "k", "value": "{", "headers": {"content-type": "application/cloudevents+json"}},
            {"key": "k", "value": "v", "headers": dict(kafka, **{"__dlq.errors.offset": "-1"})},
            {"key": "k", "value": "v", "headers": {
                "tidings-dead-version": "1", "tidings-dead-fingerprint": "short", "tidings-dead-lane": "ajar",
                "tidings-dead-first-failure": "yesterday", "tidings-dead-attempts": "many",
                "tidings-dead-edit-of": "9:", "tidings-dead-redrive": "-4"}},
        ])
        each = self.dead_json("list", "--each")
        self.assertEqual([letter["kind"] for letter in each],
                         ["foreign", "foreign", "kafka", "foreign", "kafka", "tidings"])
        self.assertEqual([letter["offset"] for letter in each], [None, None, 77, None, None, None])
        self.assertEqual({letter["state"] for letter in each}, {"open"})
        for words in (("list",), ("list", "--each"), ("show", *(letter["id"] for letter in each))):
            out, _ = self.dead(*words)
            self.assertNotIn("\x1b", out)
        shown = self.dead_json("show", *(letter["id"] for letter in each))
        self.assertEqual([one["value"] for one in shown], ["plain", None, "v", "{", "v", "v"])
        self.dead("discard", each[0]["id"], "--why", "not ours")
        self.dead("edit", each[2]["id"], "--value", "other")
        again = self.dead_json("list", "--each")
        self.assertEqual(again[0]["state"], "discarded")
        self.assertEqual((len(again), again[2]["edited"]), (6, "0:6"))

    def test_facts_that_are_none(self):
        dlq, state = "dlq." + self.group, "dlq-state." + self.group
        for topic in (dlq, state):
            self.tidings("topic", "create", topic, "--partitions", "1")
        self.publish(dlq, [{"key": "a", "value": "v"}])
        keys = ["", "discard", f"discard {dlq} 0", f"discard {dlq} 0 0 ", f"discard {dlq} x 0",
                f"redrive {dlq} 0 0 0", f"note {dlq} 0 0 " + "x" * 99, "plan 1", "task", f"discard {dlq} 0 0"]
        self.publish(state, [{"key": key, "value": value} for key in keys
                             for value in ("", "[]", "{}", '{"version":2}', '{"version":1', "\x00")])
        self.assertEqual(self.dead_json("list", "--each")[0]["state"], "open")
        self.publish(state, [{"key": f"discard {dlq} 0 0", "value": '{"version":1,"why":5}'}])
        self.assertEqual(self.dead_json("list", "--each")[0]["state"], "discarded")


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
