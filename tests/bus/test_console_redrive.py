"""Dead letters and lanes of a real service, by the console's buttons.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from console_case import BUILD, HOSTILE, Page, Server, ask, http_of, put, wait_for  # noqa: E402


class RedriveTest(unittest.TestCase):
    """Dead letters of a real service are redriven by buttons, and the server is killed meanwhile."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tidings-console-")
        self.gate, self.effects = (os.path.join(self.folder.name, name) for name in ("gate", "effects"))
        self.server = Server(os.path.join(self.folder.name, "data"), "http.listeners=127.0.0.1:0",
                             "group.min.session.timeout.ms=100", "group.initial.rebalance.delay.ms=0")
        self.service = None

    def tearDown(self):
        if self.service:
            self.service.kill()
            self.service.wait()
        self.server.stop()
        self.folder.cleanup()

    def start_service(self):
        with open(self.effects + ".log", "ab") as log:
            self.service = subprocess.Popen([os.path.join(BUILD, "tests", "lanes", "lane-service"), self.server.address, "mail",
                                             "orders", self.effects, "2", "1000000"], stderr=log)

    def give_up(self, count):
        self.server.run("topic", "create", "orders", "--partitions", "2")
        put(self.server, "orders", [{"key": f"k{i}", "value": "closed " + self.gate, "headers": {"ce_id": f"o-{i}", "ce_type": "order"}}
                                    for i in range(count)])
        self.start_service()

        def are_given_up():
            put(self.server, "orders", [{"key": f"fine{i}", "value": "ok"} for i in range(10)]) # others have to succeed meanwhile
            told = ask(http_of(self.server), "/v1/groups/mail/dead-letters")
            return told.status == 200 and json.loads(told.text)["events"] == count
        wait_for(are_given_up, f"{count} are given up")
        with open(self.gate, "w", encoding="utf-8"):
            pass

    def press(self, page, word, fields=""):
        """What the form with this in its action leads to."""
        action = [form["action"] for form in page.forms if form.get("method") == "post" and word in form["action"]]
        self.assertEqual(len(action), 1, page.forms)
        address = http_of(self.server)
        self.assertEqual(ask(address, action[0], "POST", fields, Origin="http://evil.example",
                             Content_Type="application/x-www-form-urlencoded").status, 403)
        done = ask(address, action[0], "POST", fields, Origin="http://" + address,
                   Content_Type="application/x-www-form-urlencoded")
        self.assertEqual(done.status, 303, done.text)
        return done.headers["Location"]

    def page(self, path):
        answer = ask(http_of(self.server), path)
        page = Page(answer.text)
        self.assertEqual((answer.status, page.wrong), (200, []), answer.text)
        return page

    def task(self, at):
        fields = urllib.parse.parse_qs(at.split("?")[1])
        return json.loads(ask(http_of(self.server), f"/v1/groups/mail/redrives/{fields['task'][0]}").text)

    def test_by_buttons_through_a_kill(self):
        self.give_up(6)
        page = self.page("/dead-letters/of?group=mail")
        page = self.page(self.press(page, "/plan"))
        self.assertIn("6 events of 6 lanes", page.text())
        self.assertIn("tidings deadletter redrive mail --plan ", page.text())
        at = self.press(page, "/redrive", "rate=1")
        self.assertIn("tidings deadletter tasks cancel mail", self.page(at).text())
        wait_for(lambda: self.task(at)["done"] >= 2, "some are redriven")
        listen = self.server.address
        self.server.kill()
        self.server.listen = listen
        self.server.start()
        wait_for(lambda: self.task(at)["state"] == "done", "it went on by itself")
        told = self.task(at)
        self.assertEqual((told["total"], told["done"], told["failed_again"]), (6, 6, 0))
        tasks = json.loads(self.server.run("deadletter", "tasks", "list", "mail", "--json")[0])
        self.assertEqual([(task["task"], task["state"]) for task in tasks], [(told["task"], "done")])
        page = self.page("/dead-letters/of?group=mail")
        self.assertIn(at, page.links)
        self.assertIn("nothing=1", self.press(page, "/plan"))
        with open(self.effects, encoding="utf-8") as lines:
            ends = [line.split()[5] for line in lines if line.startswith("end ") and line.split()[5].startswith("k")]
        self.assertEqual(sorted(set(ends)), [f"k{i}" for i in range(6)])

    def test_words_to_lanes(self):
        self.give_up(2)
        put(self.server, "orders", [{"key": "k0", "value": "ok"}])
        wait_for(lambda: [lane["state"] for lane in json.loads(
            ask(http_of(self.server), "/v1/groups/mail/lanes").text)["lanes"]] == ["parked"] * 2, "both lanes are closed")
        page = self.page("/lanes?group=mail")
        of_lane = [link for link in page.links if "lane=" in link]
        self.assertEqual(len(of_lane), 2)
        told = json.loads(ask(http_of(self.server), "/v1/groups/mail/lanes").text)
        self.assertEqual((told["count"], told["stopped"], {lane["state"] for lane in told["lanes"]}), (2, "complete", {"parked"}))
        page = self.page(of_lane[0].split("#")[0])
        self.assertIn("tidings lanes skip mail --topic orders:", page.text())
        self.assertIn("said=hold&outcome=", at := self.press(page, "verb=hold", "why=" + urllib.parse.quote(HOSTILE)))
        self.assertRegex(self.page(at).text(), "hold: (carried out|no answer; it stays)") # of a busy service
        held = wait_for(lambda: [lane for lane in json.loads(ask(http_of(self.server), "/v1/groups/mail/lanes").text)["lanes"]
                                 if lane["state"] == "parked, held"], "a lane is held")
        self.assertEqual(len(held), 1)
        self.assertIn("<img src=x", held[0]["held_by"]["text"])
        page = self.page(of_lane[0].split("#")[0])
        self.assertIn("said=release", self.press(page, "verb=release"))
        wait_for(lambda: "verb=hold" in str(self.page(of_lane[0].split("#")[0]).forms), "it is let go on")
        self.assertIn("said=skip", at := self.press(self.page(of_lane[0].split("#")[0]), "verb=skip"))
        self.assertIn("skip: ", self.page(at).text())
        wait_for(lambda: json.loads(ask(http_of(self.server), "/v1/groups/mail/lanes").text)["count"] == 1, "the head is given up")
        address = http_of(self.server)
        for body, status in (("{}", 400), ("[]", 400), ("", 400), ('{"verb": "hold", "topic": "x", "partition": 0, "head": 1}', 404),
                             ('{"verb": "redrive", "topic": "orders", "partition": 0, "head": 0}', 400),
                             (json.dumps({"verb": "hold", "topic": "x", "partition": 0, "head": 1, "why": "x" * 1001}), 400)):
            answer = ask(address, "/v1/groups/mail/lanes", "POST", body, Content_Type="application/json")
            self.assertEqual(answer.status, status, (body, answer.text))
        self.assertEqual(ask(address, "/v1/groups/nobody/lanes").status, 404)

    def test_what_is_discarded_opens_its_lane(self):
        self.give_up(2)
        address = http_of(self.server)
        lanes = lambda: json.loads(ask(address, "/v1/groups/mail/lanes").text)["lanes"]
        wait_for(lambda: [lane["state"] for lane in lanes()] == ["parked"] * 2, "both lanes are closed")
        put(self.server, "orders", [{"key": "k0", "value": "behind"}])
        cause = [link for link in self.page("/dead-letters/of?group=mail").links if "cause=" in link][0]
        page = self.page(cause + "&discard=1")
        self.assertIn("2 events of this cause would be discarded", page.text())
        self.assertIn("2 lanes are closed because of them", page.text())
        self.assertIn("2 events are discarded", self.page(self.press(page, "/discard", "why=tests")).text())
        wait_for(lambda: lanes() == [], "the lanes are open")
        def effects():
            with open(self.effects, encoding="utf-8") as lines:
                return [line.split()[5] for line in lines if line.startswith("end ")]
        wait_for(lambda: "k0" in effects(), "what stood behind is handled")
        self.assertNotIn("k1", effects())
        self.assertIn("nothing=1", self.press(self.page("/dead-letters/of?group=mail"), "/plan"))

    def test_cancelled_and_gone_on_with(self):
        count = 20 # one a second: it is cancelled long before the last
        self.give_up(count)
        cause = [link for link in self.page("/dead-letters/of?group=mail").links if "cause=" in link][0]
        at = self.press(self.page(self.press(self.page(cause), "/plan")), "/redrive", "rate=1")
        wait_for(lambda: self.task(at)["done"] >= 1, "one is redriven")
        self.assertEqual(self.press(self.page(at), "/cancel"), at)
        wait_for(lambda: self.task(at)["state"] == "cancelled", "it ends")
        left = count - self.task(at)["done"]
        self.assertGreater(left, 0)
        again = self.press(self.page(at), "/redrive")
        wait_for(lambda: self.task(again)["state"] == "done", "it goes on")
        self.assertEqual(self.task(again)["done"], left)


if __name__ == "__main__":
    unittest.main(verbosity=2)
