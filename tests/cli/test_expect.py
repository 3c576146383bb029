#!/usr/bin/python3
"""`tidings expect`: what it waits for, what it says, and how it ends.

    TIDINGS_BIN=build/tidings tests/cli/test_expect.py -v
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
from harness.server import BINARY, Server, WAIT_S, wait_for

LONG = "60s"  # for what comes
SHORT = "100ms"  # for what does not come


class ExpectTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bus = cls.new_bus()

    @classmethod
    def tearDownClass(cls):
        code = cls.bus.stop()
        if code != 0:
            raise AssertionError(f"the bus ended with {code}: {cls.bus.log()}")

    @staticmethod
    def new_bus():
        return Server(None, listen=None, options=["--memory"])

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tidings-expect-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.topic = self.id().rpartition(".")[2]

    def publish(self, kind, value="{}", topic=None, subject="1", key="k", bus=None, create=True):
        (bus or self.bus).run(
            "publish", topic or self.topic, *(["--create"] if create else []), "--ce-type", kind,
            "--ce-source", "/test", "--ce-subject", subject, "--key", key, "--", value)

    def expect(self, *words, code=0, within=LONG, topic=True):
        names = ["--topic", self.topic] if topic else []
        return self.bus.run("expect", *words, "--within", within, *names, code=code)[0]

    def background(self, *words, bus=None):
        env = dict(os.environ, TIDINGS_BOOTSTRAP_SERVER=(bus or self.bus).address)
        process = subprocess.Popen([BINARY, "expect", *words], env=env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def end(self, process, code):
        said, error = process.communicate(timeout=WAIT_S)
        self.assertEqual(process.returncode, code, said + error)
        return said

    # -- what is fulfilled --

    def test_an_event_that_came_before_or_comes_later_fulfils_it(self):
        self.publish("InvoiceSent", '{"total":12.5,"lines":[{"price":3}],"paid":true}', subject="42")
        for where in ("type='InvoiceSent' AND subject='42'", "data.total = 12.5",
                      "data.total < 100", "data.total > 9", "data.lines.0.price = 3",
                      "data.paid = true", "key = k and source ~ '/t*'",
                      "header.ce_type = InvoiceSent", "not data.none and partition = 0",
                      'data.lines = \'[{"price":3}]\'', "at > -1h"):
            self.assertIn("1 event fulfils it", self.expect(where), where)
        later = self.background("type=Later", "--topic", self.topic, "--within", LONG)
        self.publish("Later")
        self.end(later, 0)

    def test_a_topic_that_is_made_meanwhile_is_read_from_its_start(self):
        named = self.background("type=New", "--topic", self.topic, "--within", LONG)
        pattern = self.background("type=New", "--topic", "^" + self.topic[:20], "--within", LONG)
        self.publish("New")
        for process in (named, pattern):
            self.assertIn("ok      ", self.end(process, 0))

    def test_from_now_sees_what_comes_of_all_topics(self):
        process = self.background(f"type=New and topic = {self.topic}", "--within", LONG,
                                  "--from", "now")

        def told():
            self.publish("New")
            return process.poll() is not None
        wait_for(told, "an event published while it reads")
        self.assertIn("ok      ", self.end(process, 0))

    def test_from_now_does_not_see_what_was(self):
        self.publish("Old")
        self.expect("type=Old", "--none", "--from", "now", within=SHORT)
        self.expect("type=Old", "--from", "-1h")
        self.assertIn("not ok", self.expect("type=Old", "--none", within=SHORT, code=1))

    def test_structured_events_are_read_as_binary_ones(self):
        event = {"specversion": "1.0", "id": "7", "source": "/s", "type": "Struct",
                 "data": {"name": "x"}}
        self.bus.run("publish", self.topic, "--create", "--header",
                     "content-type=application/cloudevents+json", json.dumps(event))
        self.expect("type=Struct and id=7 and data.name=x")

    # -- how many --

    def test_counts(self):
        for _ in range(3):
            self.publish("Thing")
        self.expect("type=Thing", "--at-least", "3")
        self.expect("type=Thing", "--count", "3", within=SHORT)
        self.assertIn("3 events fulfil it, 2 were to",
                      self.expect("type=Thing", "--count", "2", within=LONG, code=1))
        self.assertIn("at least 4 were to",
                      self.expect("type=Thing", "--at-least", "4", within=SHORT, code=1))
        self.assertIn("none was to", self.expect("type=Thing", "--none", within=LONG, code=1))
        self.expect("type=Other", "--none", within=SHORT)

    def test_what_was_there_at_the_end_of_the_time_counts(self):
        """The events are many, and the time is over at once: all are looked at all the same."""
        lines = "\n".join(str(i) for i in range(20000))
        self.bus.run("publish", self.topic, "--create", "--file", "-", text=lines)
        self.assertIn("not ok", self.expect("value = 19999", "--none", within="0s", code=1))
        self.expect("value = 19999", "--count", "1", within="0s")

    def test_order(self):
        for kind in ("A", "B", "A"):
            self.publish(kind)
        self.expect("type=A", "type=B", "--in-order")
        self.expect("type=B", "type=A", "--in-order")
        self.expect("type=A", "type=B", "type=A", "--in-order")
        said = self.expect("type=B", "type=A", "type=B", "--in-order", within=SHORT, code=1)
        self.assertIn("not behind one that fulfils the condition before it", said)

    def test_events_of_other_partitions_stand_in_the_order_of_their_time(self):
        self.bus.run("topic", "create", self.topic, "--partitions", "2")
        for kind, time, partition in (("B", 2000, 0), ("A", 1000, 1), ("C", 3000, 1)):
            event = {"value": "{}", "timestamp": time, "headers": {"kind": kind}}
            self.bus.run("publish", self.topic, "--partition", str(partition), "--input", "json",
                         "--file", "-", text=json.dumps(event) + "\n")
        names = [f"header.kind={kind}" for kind in "ABC"]
        self.expect(*names, "--in-order")
        self.expect(names[1], names[0], "--in-order", within=SHORT, code=1)

    # -- why not --

    def test_it_says_what_was_nearest_and_what_about_it_failed(self):
        self.publish("InvoiceSent", subject="41")
        self.publish("InvoiceFailed", subject="40")
        said = self.expect("type=InvoiceSent and subject=42 and (key=a or key=b)", within=SHORT,
                           code=1)
        nearest = said[said.index("nearest to it"):]
        self.assertLess(nearest.index("InvoiceSent"), nearest.index("InvoiceFailed"))
        self.assertIn("holds: type = 'InvoiceSent'", said)
        self.assertIn("fails: subject = '42': it is '41'", said)
        self.assertIn("fails: (key = 'a' or key = 'b')", said)
        self.assertIn("the last events read", said)

    def test_json(self):
        self.publish("A")
        done = json.loads(self.expect("type=A", "--json"))
        self.assertEqual((done["outcome"], done["conditions"][0]["count"]), ("fulfilled", 1))
        done = json.loads(self.expect("type=A", "subject=9", "--json", within=SHORT, code=1))
        self.assertEqual([item["fulfilled"] for item in done["conditions"]], [True, False])
        self.assertEqual(done["conditions"][1]["nearest"][0]["why"],
                         ["fails: subject = '9': it is '1'"])

    def junit(self, *words, **how):
        path = os.path.join(self.folder, "result.xml")
        self.expect(*words, "--junit", path, **how)
        suite = xml.parse(path).getroot().find("testsuite")
        return suite, suite.find("testcase")

    def test_junit(self):
        self.publish("A")
        suite, case = self.junit("type=A", "--name", "an <A> & \"more\"")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("1", "0"))
        self.assertEqual(case.get("name"), "an <A> & \"more\"")
        self.assertIsNone(case.find("failure"))
        suite, case = self.junit("type='<B>'", within=SHORT, code=1)
        self.assertEqual((suite.get("failures"), case.get("name")), ("1", "type='<B>'"))
        self.assertIn("fails: type = '<B>': it is 'A'", case.find("failure").text)
        path = os.path.join(self.folder, "none", "result.xml")
        self.expect("type=A", "--junit", path, code=1)

    def test_hostile_texts_do_nothing(self):
        hostile = "\x1b[2J]]><x a=\"&\">\r\n\u202e\ufffe\x01'\\"
        self.publish(hostile, hostile, subject=hostile)
        self.bus.run("publish", self.topic, "--file", "-", text="\x1b]0;x\x07\xff\n")
        said = self.expect("type = gone and subject = '\x1b[31m'", within=SHORT, code=1)
        for letter in "\x1b\x07\x01\u202e":
            self.assertNotIn(letter, said)
        _, case = self.junit("type = gone and subject = '\x1b[31m\ufffe'", within=SHORT, code=1)
        self.assertIn("\\x1b[2J]]><x a=\"&\">", case.find("failure").text)
        json.loads(self.expect("type = gone", "--json", within=SHORT, code=1))

    def test_no_json_and_no_value_are_no_fields(self):
        self.bus.run("publish", self.topic, "--create", "--file", "-", text="no json\n{\"a\":\n[1,2]\nnull\n")
        self.bus.run("publish", self.topic, "--key", "k", "--tombstone")
        self.expect("data.1 = 2", "--count", "1", within=SHORT)
        self.expect("data.a", "--none", within=SHORT)
        self.expect("not value", "--count", "1", within=SHORT)

    # -- how it ends --

    def test_wrong_use_is_refused_before_anything_is_asked(self):
        for words in ([], ["type="], ["nosuch=1"], ["type=a", "--none", "--count", "1"],
                      ["type=a", "--in-order", "--count", "2"], ["type=a", "--from", "42"],
                      ["type=a", "--from", "-5"], ["type=a", "--name", "x"],
                      ["type=a", "--topic", "^["], ["data.=1"]):
            self.bus.run("expect", *words, "--bootstrap-server", "127.0.0.1:1", code=2)

    def test_a_bus_that_cannot_be_reached_is_no_failed_expectation(self):
        path = os.path.join(self.folder, "result.xml")
        for words in (["type=a"], ["type=a", "--none"]):
            self.bus.run("expect", *words, "--bootstrap-server", "127.0.0.1:1", "--junit", path,
                         code=3)
        suite = xml.parse(path).getroot().find("testsuite")
        self.assertEqual((suite.get("failures"), suite.get("errors")), ("0", "1"))

    def said_when_that_happens_while_it_reads(self, happens, words):
        """What it says when its time is over and the bus cannot be asked any more, and the bus. On a busy machine its
        time may be over before: then it has more."""
        for within in ("1s", "5s", "25s", LONG):
            bus = self.new_bus()
            self.addCleanup(bus.kill)
            self.publish("Some", bus=bus)
            process = self.background(*words, "--within", within, bus=bus)
            wait_for(lambda found=process, port=bus.port: found.poll() is not None or self.is_reading(found.pid, port),
                     "it reads")
            happens(bus)
            said, error = process.communicate(timeout=2 * WAIT_S)
            if process.returncode == 3:
                return said
        raise AssertionError(f"{words} ended with {process.returncode}: {said}{error}")

    def test_a_bus_that_dies_meanwhile_is_no_failed_expectation(self):
        for words in (["type=Never"], ["type=Never", "--none"]):
            said = self.said_when_that_happens_while_it_reads(lambda bus: bus.process.kill(), words)
            self.assertIn("not known", said)
            self.assertNotIn("ok", said)

    def test_a_bus_that_hangs_is_no_failed_expectation(self):
        said = self.said_when_that_happens_while_it_reads(
            lambda bus: bus.process.send_signal(signal.SIGSTOP), ["type=Never", "--none"])
        self.assertIn("not known", said)

    def test_a_signal_ends_it(self):
        process = self.background("type=Never", "--within", LONG)
        wait_for(lambda: self.is_reading(process.pid, self.bus.port), "it reads")
        process.send_signal(signal.SIGINT)
        self.assertIn("interrupted", self.end(process, 1))

    @staticmethod
    def is_reading(pid, port):
        """Whether the process has connections to the bus: those that ask, and those that read."""
        try:
            with open(f"/proc/{pid}/net/tcp", encoding="ascii") as lines:
                sockets = {line.split()[9] for line in lines
                           if line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01"}
        except OSError:  # it has ended
            return False
        own = 0
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            own += link.startswith("socket:[") and link[8:-1] in sockets
        return own >= 2


if __name__ == "__main__":
    unittest.main()
