"""What people do by the console's forms, and by the routes behind them: publish, move a group, give dead letters of a group
without lanes back or up.
"""
import json
import os
import subprocess
import sys
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from console_case import BUILD, Console, HOSTILE, Page, ask, put, wait_for  # noqa: E402


class ActsTest(Console):
    def test_a_form_publishes(self):
        fields = urllib.parse.urlencode({"value": '{"a": 1,\r\n "b": "ü&="}', "key": "k/1 %", "type": "a.b", "source": "",
                                         "subject": "s ä"})
        form = "application/x-www-form-urlencoded"
        refused = ask(self.address, "/topics/quiet/publish", "POST", fields, Content_Type=form)
        self.assertIn(refused.status, (403, 415))
        other = ask(self.address, "/topics/quiet/publish", "POST", fields, Content_Type=form, Origin="http://evil.example")
        self.assertEqual(other.status, 403)
        self.assertIn("No events are in this topic", self.page("/topics/quiet").text())
        done = ask(self.address, "/topics/quiet/publish", "POST", fields, Content_Type=form, Origin="http://" + self.address)
        self.assertEqual(done.status, 303, done.text)
        self.assertEqual(done.headers["Location"], "/topics/quiet?published=0%3A0")
        self.assertIn("Published: the bus keeps it at 0:0", self.page(done.headers["Location"]).text())
        line = json.loads(self.server.run("subscribe", "quiet", "--until-end", "--json")[0])
        self.assertEqual((line["key"], line["value"]), ("k/1 %", '{"a": 1,\n "b": "ü&="}'))
        self.assertEqual(line["headers"]["ce_type"], "a.b")
        self.assertEqual(line["headers"]["ce_subject"], "s ä")
        self.assertEqual(line["headers"]["content-type"], "application/json")
        missing = ask(self.address, "/topics/no..topic%20here/publish", "POST", fields, Content_Type=form,
                      Origin="http://" + self.address)
        self.assertGreaterEqual(missing.status, 400)
        self.assertEqual(Page(missing.text).wrong, [])

    def test_a_group_is_moved_as_was_shown(self):
        def committed():
            about = json.loads(self.server.run("group", "describe", "moving", "--json")[0])[0]
            return {(at["topic"], at["partition"]): at["committed_offset"] for at in about["partitions"]}

        self.server.run("subscribe", "orders", "--group", "moving", "--until-end")
        ends = committed()
        wait_for(lambda: ask(self.address, "/groups/moving").status == 200, "the group")
        plan = self.page("/group?name=moving&to=start")
        self.assertIn("tidings group reset moving --to start --execute", plan.text())
        self.assertEqual(committed(), ends)
        action = [form["action"] for form in plan.forms if form.get("method") == "post"]
        self.assertEqual(action, ["/group/reset?name=moving&to=start"])
        form = "application/x-www-form-urlencoded"
        refused = ask(self.address, action[0], "POST", "", Content_Type=form, Origin="http://evil.example")
        self.assertEqual((refused.status, committed()), (403, ends))
        done = ask(self.address, action[0], "POST", "", Content_Type=form, Origin="http://" + self.address)
        self.assertEqual((done.status, done.headers["Location"]), (303, "/group?name=moving&moved=3"), done.text)
        self.assertEqual(set(committed().values()), {0})
        self.assertIn("Moved, in 3 partitions", self.page(done.headers["Location"]).text())
        time = self.page("/group?name=moving&to=-1h")
        self.assertTrue([form for form in time.forms if "&to=%40" in form.get("action", "")], time.forms)
        self.assertIn("Where to", self.page("/group?name=moving&to=nowhere").text())
        self.assertIn("here that is", self.page("/group?name=moving&to=-5").text())
        member = subprocess.Popen([os.environ.get("TIDINGS_BIN") or os.path.join(BUILD, "tidings"), "subscribe", "orders",
                                   "--group", "moving", "-b", self.server.address], stdout=subprocess.PIPE)
        member.stdout.readline()
        self.assertIn("members, which go on", self.page("/group?name=moving&to=start").text())
        busy = ask(self.address, action[0], "POST", "", Content_Type=form, Origin="http://" + self.address)
        self.assertEqual(busy.status, 409)
        member.kill()
        member.wait()
        member.stdout.close()

    def test_dead_letters_by_cause(self):
        page = self.page("/dead-letters/of?group=mail")
        causes = [link for link in page.links if "cause=" in link]
        self.assertEqual(len(causes), 2)
        one = self.page(causes[1])
        self.assertTrue([link for link in one.links if link.startswith("/topics/orders/0/")])
        of_group = "/v1/groups/mail/dead-letters"
        told = json.loads(ask(self.address, of_group).text)
        self.assertEqual((told["events"], told["stopped"], told["has_lanes"]), (3, "complete", False))
        at, seen = f"{of_group}/{max(told['causes'], key=lambda cause: cause['events'])['cause']}?limit=1", []
        while at:
            answer = json.loads(ask(self.address, at).text)
            seen += [letter["newest"] for letter in answer["letters"]]
            at = answer["next"] and f"{at.split('&')[0]}&after={answer['next']}"
        self.assertEqual(seen, ["0:1", "0:2"])
        for path, status in ((of_group + "/x?after=y", 400), (of_group + "/x?limit=0", 400), (of_group + "/nothing", 200),
                             ("/v1/groups/nothing/dead-letters", 404), ("/v1/groups/mail/redrives/nothing", 404),
                             ("/v1/groups/mail/redrive-plans/nothing", 404), ("/dead-letters/of", 400),
                             ("/dead-letters/task?group=mail&task=nothing", 404)):
            self.assertEqual(ask(self.address, path).status, status, path)

    def test_what_has_no_lanes_is_not_redriven(self):
        ours = {"Origin": "http://" + self.address, "Content_Type": "application/x-www-form-urlencoded"}
        answer = ask(self.address, "/dead-letters/plan?group=mail", "POST", "", **ours)
        self.assertEqual(answer.status, 409, answer.text)
        self.assertIn("--republish", Page(answer.text).text())
        self.assertEqual(Page(answer.text).wrong, [])
        self.assertIn("tidings deadletter redrive mail --all --republish --dry-run",
                      self.page("/dead-letters/of?group=mail").text())
        for body in ("", "[]", "{}", '{"all": true, "plan": "x"}', '{"all": true, "rate": -1}', '{"all": true, "more": 1}', "[" * 60000,
                     '{"plan": "x", "dry_run": true}', '{"cause": 7}', '{"all": true, "all": true}',
                     '{"all": true, "republish": true, "rate": 5}', '{"all": true, "others_will_see_it": true}'):
            answer = ask(self.address, "/v1/groups/mail/redrives", "POST", body, Content_Type="application/json")
            self.assertEqual(answer.status, 400, (body[:60], answer.text))
        self.assertEqual(ask(self.address, "/v1/groups/mail/redrives", "POST", "{}", Origin="http://evil.example").status, 403)
        self.assertEqual(ask(self.address, "/v1/groups/mail/redrives/x", "DELETE", Origin="http://evil.example").status, 403)

    def give_up(self, group, count, message="550 no"):
        """Dead letters of a group without lanes, as another tool writes them."""
        put(self.server, "source." + group, [{"key": f"k{i}", "value": f"v{i}", "headers": {"ce_id": f"{group}-{i}"}}
                                             for i in range(count)])
        put(self.server, "dlq." + group, [{"key": f"k{i}", "value": f"v{i}", "headers": {
            "ce_id": f"{group}-{i}", "__dlq.errors.topic": "source." + group, "__dlq.errors.partition": "0",
            "__dlq.errors.offset": str(i), "__dlq.errors.message": message}} for i in range(count)])
        for reader in (group, HOSTILE[:20] + group):
            self.server.run("subscribe", "source." + group, "--group", reader, "--max", str(count))

    def press(self, page, word, body=""):
        """Where the form with this in its action leads to; no other site can press it."""
        action = [form["action"] for form in page.forms if form.get("method") == "post" and word in form["action"]]
        self.assertEqual(len(action), 1, page.forms)
        form = "application/x-www-form-urlencoded"
        for origin, status in (({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({}, 415)):
            self.assertEqual(ask(self.address, action[0], "POST", body, Content_Type=form, **origin).status, status)
        done = ask(self.address, action[0], "POST", body, Origin="http://" + self.address, Content_Type=form)
        self.assertEqual(done.status, 303, done.text)
        return done.headers["Location"]

    def api(self, path, body, status=200):
        answer = ask(self.address, path, "POST", json.dumps(body), Content_Type="application/json")
        self.assertEqual(answer.status, status, answer.text)
        return json.loads(answer.text)

    def test_events_are_published_again_by_a_button(self):
        self.give_up("again", 3)
        page = self.page("/dead-letters/of?group=again")
        page = self.page(self.press(page, "/plan"))
        self.assertIn("3 events would be published to their topics once more", page.text())
        self.assertIn(HOSTILE[:20] + "again", page.text()) # who else reads there
        self.assertIn("--republish --others-will-see-it", page.text())
        events = "/v1/topics/source.again/events"
        self.assertEqual(len(json.loads(ask(self.address, events).text)["events"]), 3)
        page = self.page(self.press(page, "/republish"))
        self.assertIn("3 of 3 events were published again", page.text())
        seen = json.loads(ask(self.address, events + "?from=start").text)["events"]
        self.assertEqual([(event["key"], event["value"]) for event in seen[3:]], [(f"k{i}", f"v{i}") for i in range(3)])
        self.assertEqual({event["headers"]["tidings-redrive-for"] for event in seen[3:]}, {"again"})
        self.assertEqual({name for event in seen[3:] for name in event["headers"]}, {"ce_id", "tidings-redrive-for"})
        cause = json.loads(ask(self.address, "/v1/groups/again/dead-letters").text)["causes"][0]
        self.assertEqual(cause["states"], {"republished": 3})
        self.assertIn("nothing=1", self.press(self.page("/dead-letters/of?group=again"), "/plan")) # not twice

    def test_publishing_again_is_agreed_to(self):
        self.give_up("agreed", 2)
        redrives = "/v1/groups/agreed/redrives"
        plan = self.api(redrives, {"all": True, "republish": True, "dry_run": True})
        self.assertEqual(sorted(reader["group"] for reader in plan["readers"]), sorted([HOSTILE[:20] + "agreed", "agreed"]))
        self.assertEqual({reader["topic"] for reader in plan["readers"]}, {"source.agreed"})
        refused = self.api(redrives, {"plan": plan["plan"], "republish": True}, 409)
        self.assertIn("others_will_see_it", refused["detail"])
        self.assertEqual(len(json.loads(ask(self.address, "/v1/topics/source.agreed/events").text)["events"]), 2)
        done = self.api(redrives, {"plan": plan["plan"], "republish": True, "others_will_see_it": True})
        self.assertEqual((done["state"], done["sent"], done["refused"]), ("done", 2, 0))
        tasks = json.loads(ask(self.address, redrives).text)["tasks"]
        self.assertEqual([(task["task"], task["state"]) for task in tasks], [(done["task"], "done")])
        once_more = self.api(redrives, {"plan": plan["plan"], "republish": True, "others_will_see_it": True})
        self.assertEqual((once_more["events"], once_more.get("task")), (0, None))

    def test_a_cause_is_discarded_by_a_button(self):
        self.give_up("gone", 3)
        self.give_up("gone", 1, "other")
        cause = max(json.loads(ask(self.address, "/v1/groups/gone/dead-letters").text)["causes"],
                    key=lambda cause: cause["events"])["cause"]
        at = f"/dead-letters/of?group=gone&cause={cause}"
        self.assertEqual([form for form in self.page(at).forms if "/discard" in form.get("action", "")], [])
        page = self.page(at + "&discard=1")
        self.assertIn("events of this cause would be discarded", page.text())
        self.assertIn(f"tidings deadletter discard gone --cause {cause} --why ", page.text())
        action = [form["action"] for form in page.forms if "/discard" in form.get("action", "")][0]
        ours = {"Origin": "http://" + self.address, "Content_Type": "application/x-www-form-urlencoded"}
        self.assertEqual(ask(self.address, action, "POST", "why=+", **ours).status, 400) # for no reason
        stale = ask(self.address, action.split("&events=")[0] + "&events=7", "POST", "why=old", **ours)
        self.assertEqual((stale.status, "look again" in stale.text), (409, True), stale.text)
        told = lambda: {one["cause"]: one["states"] for one in json.loads(
            ask(self.address, "/v1/groups/gone/dead-letters").text)["causes"]}
        before = told()
        self.assertNotIn("discarded", str(before))
        page = self.page(self.press(page, "/discard", "why=" + urllib.parse.quote(HOSTILE)))
        self.assertIn("events are discarded", page.text())
        count = before[cause]["open"]
        self.assertEqual(told(), {**before, cause: {"discarded": count}})
        kept = json.loads(ask(self.address, f"/v1/groups/gone/dead-letters/{cause}").text)["letters"]
        self.assertEqual([letter["state"] for letter in kept], ["discarded"] * count)
        shown = self.server.run("deadletter", "show", "gone", kept[0]["id"], "--json")[0]
        self.assertIn(HOSTILE, json.dumps(json.loads(shown), ensure_ascii=False).replace('\\"', '"'))
        undo = f"tidings deadletter discard gone --cause {cause} --undo --execute"
        self.assertIn(undo, page.text())
        self.assertIn(f"{count} events are open again", self.page(self.press(page, "/undo")).text())
        self.assertEqual(told(), before)
        self.press(self.page(at + "&discard=1"), "/discard", "why=again")
        page = self.page(at + "&discard=1") # there is nothing left but to take it back
        self.assertNotIn("Discard 3", page.text())
        self.assertIn(f"{count} events of this cause are discarded", page.text())
        self.assertIn(undo, page.text())
        undone = self.api("/v1/groups/gone/discards", {"cause": cause, "undo": True})
        self.assertEqual((undone["executed"], undone["undone"], undone["events"]), (True, True, count))
        self.assertEqual(told(), before)
        page = self.page(at + "&discard=1")
        self.assertEqual([form for form in page.forms if "/undo" in form.get("action", "")], [])
        for body in ({}, {"cause": cause}, {"cause": cause, "why": ""}, {"cause": cause, "why": "x" * 1001}, {"why": "x"},
                     {"cause": cause, "why": "x", "lanes": "shut"}, {"cause": cause, "why": "x", "more": 1}, []):
            self.api("/v1/groups/gone/discards", body, 400)


if __name__ == "__main__":
    unittest.main(verbosity=2)
