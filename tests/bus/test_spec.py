#!/usr/bin/python3
"""`tidings spec`: what a real server says goes over it, as AsyncAPI, over a restart too, and which changes of it are
told to break whom. Waits for conditions; nothing here goes by the clock."""
import copy
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.server import Server, run, wait_for  # pylint: disable=wrong-import-position

SECRET = "sk_live_4242"


class Spec(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory(prefix="tidings-spec-")
        cls.addClassCleanup(cls.home.cleanup)
        cls.server = Server(os.path.join(cls.home.name, "data"))
        cls.addClassCleanup(cls.end_server)
        if "http=" not in cls.server.ready:
            raise unittest.SkipTest("this server has no bus layer")
        for topic in ("orders", "raw"):
            cls.server.run("topic", "create", topic)
        for number in range(3):
            payload = {"id": number, "total": number + 0.5, "at": "2026-02-01T12:00:00Z", "note": SECRET,
                       "lines": [{"sku": "a-1", "count": 1}]}
            if number == 1:
                payload["coupon"] = None
            cls.server.run("publish", "orders", "--ce-type", "OrderPlaced", "--ce-source", "/shop", "--ce-id",
                           str(number), "--key", "k", json.dumps(payload))
        cls.server.run("publish", "raw", "no JSON at all")
        cls.server.run("subscribe", "orders", "--group", "billing-group", "--max", "3")

    @classmethod
    def end_server(cls):
        if cls.server.alive():
            code, log = cls.server.stop(), cls.server.log()
            if code != 0:
                raise AssertionError(f"ended with {code}: {log[-3000:]}")

    def spec(self):
        return json.loads(self.server.run("spec")[0])

    def whole(self):
        """The document once all is in it."""
        def look():
            document = self.spec()
            seen = document["components"]["messages"].get("OrderPlaced", {}).get("x-seen", {})
            raw = document["components"]["messages"].get("raw", {}).get("x-seen", {})
            actions = {one["action"] for one in document["operations"].values()}
            return document if seen.get("events", 0) >= 3 and raw.get("events", 0) >= 1 and actions == {
                "send", "receive"} else None
        return wait_for(look, "all of it in the document")

    def check(self, document, *more, code=0):
        path = os.path.join(self.home.name, "document.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        return run("spec", "--check", path, *more, code=code, address=self.server.address)[0]

    def test_topics_types_schemas_and_who_uses_them_are_told_and_no_payload(self):
        document = self.whole()
        self.assertEqual(document["asyncapi"], "3.0.0")
        self.assertEqual(document["servers"]["bus"], {"host": self.server.address, "protocol": "kafka", "bindings": {
            "kafka": {"bindingVersion": "0.5.0"}}})
        kafka = document["channels"]["orders"]["bindings"]["kafka"]
        self.assertEqual((kafka["partitions"], kafka["topicConfiguration"]["cleanup.policy"]), (1, ["delete"]))
        message = document["components"]["messages"]["OrderPlaced"]
        payload = message["payload"]
        self.assertEqual(payload["required"], ["at", "id", "lines", "note", "total"])
        self.assertEqual(payload["properties"]["at"], {"type": "string", "format": "date-time"})
        self.assertEqual(payload["properties"]["total"], {"type": "number"})
        self.assertEqual(payload["properties"]["coupon"], {"type": "null"})
        self.assertEqual(payload["properties"]["lines"]["items"]["required"], ["count", "sku"])
        self.assertIn("ce_id", message["headers"]["required"])
        self.assertEqual(document["components"]["messages"]["raw"]["payload"], {})
        operations = {(one["x-service"], one["action"]): one for one in document["operations"].values()}
        self.assertEqual(operations["shop", "send"]["messages"], [{"$ref": "#/channels/orders/messages/OrderPlaced"}])
        receivers = [one["bindings"]["kafka"]["groupId"]["enum"] for one in operations.values()
                     if one["action"] == "receive"]
        self.assertIn(["billing-group"], receivers)
        self.assertNotIn(SECRET, json.dumps(document))

    def test_a_change_that_breaks_a_consumer_fails_and_names_it(self):
        document = self.whole()
        self.assertIn("0 breaking", self.check(document))
        more = copy.deepcopy(document)
        payload = more["components"]["messages"]["OrderPlaced"]["payload"]
        payload["properties"]["added"] = {"type": "string"}
        self.assertIn("0 breaking", self.check(more))
        payload["properties"]["id"] = {"type": "string"}
        del payload["properties"]["lines"]["items"]["properties"]["sku"]
        told = self.check(more, code=1)
        self.assertIn("OrderPlaced: breaks ", told)
        self.assertIn("billing-group", told)
        self.assertIn("id becomes a string: it was an integer", told)
        self.assertIn("lines[].sku is lost: it was in every event", told)
        report = json.loads(self.check(more, "--json", code=1))
        self.assertEqual(sorted(one["field"] for one in report["types"][0]["differences"] if one["breaks"]),
                         ["id", "lines[].sku"])
        self.assertIn("billing-group", [group for one in report["types"][0]["consumers"] for group in one["groups"]])

    def test_a_baseline_is_kept_as_long_as_the_bus_keeps_to_it(self):
        document = self.whole()
        self.check(document, "--baseline")
        properties = document["components"]["messages"]["OrderPlaced"]["payload"]["properties"]
        del properties["note"]                                 # was added since
        properties["never"] = {"type": "string"}               # not required, and not seen
        self.check(document, "--baseline")
        properties["total"] = {"type": "integer"}
        self.assertIn("total may be a number: it was always an integer", self.check(document, "--baseline", code=1))
        self.check(document, "--baseline", "--lenient")

    def test_what_is_no_document_is_refused_with_a_hint(self):
        for text, words in (("asyncapi: 3.0.0\n", "yq -o json"), ("{}", "no AsyncAPI document"),
                            ('{"asyncapi": "2.6.0"}', "asyncapi convert")):
            _, error = run("spec", "--check", "-", text=text, code=2, address=self.server.address)
            self.assertIn(words, error)
        run("spec", "--baseline", code=2, address=self.server.address)

    def test_z_what_was_learned_outlives_a_restart(self):
        before = self.whole()
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        after = self.whole()
        self.assertEqual(before["components"], after["components"])


if __name__ == "__main__":
    unittest.main()
