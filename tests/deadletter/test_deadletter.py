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
from harness.server import BINARY, Server, run, wait_for  # noqa: E402

NO_OUTAGE = "1000000"  # the service is never down, so that it gives up soon
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
                                             str(attempts), NO_OUTAGE], stderr=log)

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
        def are_given_up():
            # others have to succeed meanwhile
            self.publish(self.topic, [event(f"fine{i}", "ok") for i in range(10)])
            return len(self.letters()) >= count
        wait_for(are_given_up, f"{count} are given up")

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
        about = json.loads(self.tidings("topic", "describe", "dlq." + self.group, "--json")[0])
        self.assertIn("errors.deadletterqueue.group.enable", json.dumps(about))
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


class WithGate(Case):
    def closed(self, count, behind=0):
        """As many keys with an event that is given up until the gate is open, and so many behind each."""
        events = [event(f"k{i}", "closed " + self.gate) for i in range(count)]
        events += [event(f"k{i}", "ok") for i in range(count) for _ in range(behind)]
        self.given_up(events, count)

    def ends(self, key):
        """What was done with a key's events: their offsets in this order."""
        with open(self.effects, encoding="utf-8") as lines:
            fields = [line.split() for line in lines]
        return [int(f[3]) for f in fields if f[0] == "end" and f[5] == key]

    def states(self):
        return {letter["key"]: letter["state"] for letter in self.dead_json("list", "--each")}


class Redriving(WithGate):
    def test_in_order_and_once(self):
        self.given_up([event("a", "closed " + self.gate), event("b", "closed " + self.gate), event("c", "reject"),
                       event("a", "ok"), event("a", "ok"), event("c", "ok")], 3)
        self.start()
        plan = self.dead_json("redrive", "--all", "--dry-run")
        self.assertEqual((plan["events"], plan["lanes"]), (3, 3))
        self.assertEqual(set(self.states().values()), {"open"})
        self.open_gate()
        told = self.dead_json("redrive", "--plan", plan["plan"], code=1)
        self.assertEqual((told["state"], told["sent"], told["done"], told["failed_again"]), ("done", 3, 2, 1))
        self.assertEqual(self.states(), {"a": "done", "b": "done", "c": "failed"})
        wait_for(lambda: len(self.ends("a")) == 3, "what waited behind it is done")
        self.assertEqual(self.ends("a"), sorted(set(self.ends("a"))))
        self.assertEqual(self.ends("c"), [])
        listed = self.dead_json("list")
        self.assertEqual([(g["events"], g["closed_lanes"]) for g in listed["failed_again"]], [(1, 1)])
        self.assertEqual(listed["groups"][0]["states"]["done"], 2)
        out, _ = self.dead("list")
        self.assertIn("failed again after a redrive:", out)
        again = self.dead_json("redrive", "--plan", plan["plan"])
        self.assertEqual((again["events"], again["changed_since"]), (0, 3))
        one = next(letter for letter in self.dead_json("list", "--each") if letter["key"] == "c")
        self.assertEqual((one["failed_again"], one["letters"]), (1, 2))
        self.dead("edit", one["id"], "--value", "ok")
        self.dead("redrive", one["id"])
        wait_for(lambda: len(self.ends("c")) == 2, "c goes on")
        self.assertEqual(self.states()["c"], "done")
        whats = [entry["what"] for entry in self.dead_json("show", one["id"])[0]["history"]]
        self.assertEqual(sorted(whats), sorted(["died", "redrive requested", "died", "redrive failed", "edited",
                                                "redrive requested", "redrive done"]))
        tasks = json.loads(self.tidings("deadletter", "tasks", "list", self.group, "--json")[0])
        self.assertEqual([task["state"] for task in tasks], ["done", "done"])
        self.assertEqual(tasks[0]["plan"], plan["plan"])

    def test_a_discard_opens_its_lane(self):
        self.given_up([event("a", "reject"), event("a", "ok"), event("b", "reject"), event("b", "ok")], 2)
        ids = {letter["key"]: letter["id"] for letter in self.dead_json("list", "--each")}
        out, _ = self.dead("discard", ids["b"], "--why", "a test", "--lane", "leave")
        self.assertIn("1 lane stays closed", out)
        out, _ = self.dead("discard", ids["a"], "--why", "a test")
        self.assertIn("1 lane is opened when the service comes to it", out)
        self.start()
        wait_for(lambda: len(self.ends("a")) == 1, "what waited is done")
        self.dead("discard", ids["b"], "--undo")
        out, _ = self.dead("discard", ids["b"], "--why", "a test")
        self.assertIn("1 lane is opened", out)
        wait_for(lambda: len(self.ends("b")) == 1, "what waited is done")
        self.assertEqual(self.states(), {"a": "discarded", "b": "discarded"})
        self.assertEqual(self.dead_json("redrive", "--all")["passed_over"], {"discarded": 2})


class Tasks(WithGate):
    def test_cancelled_and_gone_on_with(self):
        count = 20  # one a second: it is cancelled long before the last
        self.closed(count)
        self.open_gate()
        self.start()
        words = ["deadletter", "redrive", self.group, "--all", "--rate", "1/s", "--json"]
        with subprocess.Popen([BINARY, *words], env=dict(os.environ, TIDINGS_BOOTSTRAP_SERVER=SERVER.address),
                              stdout=subprocess.PIPE, text=True) as command:
            tasks = wait_for(lambda: [task for task in json.loads(
                self.tidings("deadletter", "tasks", "list", self.group, "--json")[0]) if task["sent"]], "it is at work")
            self.tidings("deadletter", "tasks", "cancel", self.group, tasks[0]["task"])
            told = json.loads(command.communicate(timeout=60)[0])
        self.assertEqual(told["state"], "cancelled")
        self.assertEqual(told["sent"], told["done"])
        self.assertLess(told["sent"], count)
        states = sorted(self.states().values())
        self.assertEqual(states.count("done"), told["done"])
        self.assertNotIn("running", states)
        shown = json.loads(self.tidings("deadletter", "tasks", "show", self.group, told["task"], "--json")[0])
        self.assertEqual(shown[0]["state"], "cancelled")
        self.tidings("deadletter", "tasks", "cancel", self.group, "0" * 16, code=4)
        rest = self.dead_json("redrive", "--plan", told["plan"])
        self.assertEqual(rest["done"] + told["done"], count)
        self.assertEqual(set(self.states().values()), {"done"})

    def test_what_is_sent_stays_without_the_service(self):
        self.closed(2, 1)
        self.open_gate()
        _, err = self.dead("redrive", "--all", "--timeout", "5s", code=6)
        self.assertIn("no member", err)
        self.assertEqual(set(self.states().values()), {"running"})
        self.start()
        wait_for(lambda: set(self.states().values()) == {"done"}, "the service comes to it")
        wait_for(lambda: len(self.ends("k0")) == 2 and len(self.ends("k1")) == 2, "and to what is behind")


class Republishing(Case):
    """A group without key lanes."""

    def test_all_who_read_there_see_it(self):
        dlq = "dlq." + self.group
        self.topics(1)
        self.tidings("topic", "create", dlq, "--partitions", "1")
        source = {"__dlq.errors.topic": self.topic, "__dlq.errors.partition": "0", "tenant": "x"}
        self.publish(dlq, [{"key": "k", "value": f"v{i}", "headers": dict(source, **{"__dlq.errors.offset": str(i)})}
                           for i in (2, 1, 0)] + [{"key": "k", "value": "nowhere"}])
        self.publish(self.topic, [{"key": "k", "value": "before"}])
        for group in (self.group, "other-" + self.group):
            self.tidings("subscribe", self.topic, "--group", group, "--max", "1", "--value-only")
        _, err = self.dead("redrive", "--all", code=4)
        self.assertIn("--republish", err)
        _, err = self.dead("redrive", "--all", "--republish", code=5)
        self.assertIn(f"group other-{self.group} reads topic {self.topic}", err)
        self.assertNotIn(f"group {self.group} reads", err)
        self.assertEqual(len(self.values()), 1)
        edited = self.dead_json("list", "--each")[0]["id"]
        self.dead("edit", edited, "--value", "edited")
        out, _ = self.dead("redrive", "--all", "--republish", "--others-will-see-it")
        self.assertIn("3 of 3 events published again", out)
        self.assertEqual(self.values(), ["before", "v0", "v1", "edited"])
        last = self.events()[-1]
        self.assertEqual(last["headers"], {"tenant": "x", "tidings-redrive-for": self.group})
        states = sorted(letter["state"] for letter in self.dead_json("list", "--each"))
        self.assertEqual(states, ["open", "republished", "republished", "republished"])
        out, _ = self.dead("redrive", "--all", "--republish", "--others-will-see-it")
        self.assertIn("0 events", out)

    def events(self):
        out, _ = self.tidings("subscribe", self.topic, "--until-end", "--json")
        return [json.loads(line) for line in out.splitlines()]

    def values(self):
        return [one["value"] for one in self.events()]


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
