"""The console's pages, as HTML without scripts: beside any bus, in the server with its layer, of a bus that is new or gone,
and with payloads that nobody may see. build/tests/bus/console-beside stands in for the layer.
"""
import base64
import gzip
import http.client
import json
import os
import sys
import tempfile
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from console_case import Beside, Console, EVIL_GROUP, HOSTILE, PAGES, PATIENCE_S, Page, Server, ask, crawl, http_of, put, wait_for  # noqa: E402

def names_of(page):
    """What the navigation has."""
    return {link for link in page.links if link in PAGES}


class PagesTest(Console):
    def test_all_that_is_linked_is_there_and_whole(self):
        pages = crawl(self.address, PAGES + ["/topics/hostile/0/0", "/topics/orders?tab=settings"])
        self.assertGreater(len(pages), 40)
        for path, answer in pages.items():
            gone = answer.status == 404 and ("/topics/" in path and "No event has this offset" in answer.text
                                             or "This server does not have it" in answer.text)
            self.assertTrue(answer.status == 200 or gone, f"{path}: {answer.status} {answer.text[-1500:]}")
            if not answer.headers["Content-Type"].startswith("text/html"):
                continue
            page = Page(answer.text)
            self.assertEqual(page.wrong, [], path)
            self.assertLessEqual({"content", "keys", "find"}, page.ids)
            policy = answer.headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertNotIn("http", policy)
            self.assertNotIn("<img src=x", answer.text, path)
            self.assertNotIn("\u202e", answer.text, path)

    def test_everything_together_is_small(self):
        answer = ask(self.address, "/topics/orders")
        size = len(gzip.compress(answer.body))
        for name in ("console.css", "console.js", "theme.js", "icon.svg"):
            part = ask(self.address, "/console/" + name)
            self.assertEqual(part.status, 200)
            self.assertEqual(part.headers["Cache-Control"], "no-cache")
            size += len(gzip.compress(part.body))
        self.assertLess(size, 40 * 1024)
        style = [line for line in answer.text.split('"') if line.startswith("/console/console.css?v=")]
        self.assertIn("immutable", ask(self.address, style[0]).headers["Cache-Control"])

    def test_texts_of_others_are_shown_as_they_are(self):
        shown = HOSTILE.replace("\u202e", "\\xe2\\x80\\xae")
        for path in ("/topics/hostile", "/topics/hostile/0/0", "/topics/hostile/0/0?as=text"):
            self.assertIn(shown, self.page(path).text(), path)
        self.assertIn("</pre>", self.page("/topics/hostile/0/3").text())
        self.assertIn(EVIL_GROUP, self.page("/groups").text())
        group = self.page("/groups/" + urllib.parse.quote(EVIL_GROUP, safe="")).text()
        self.assertIn("tidings group describe 'g<b>\"'\\''&/../?#% '", group)
        self.assertIn(shown, self.page("/dead-letters/of?group=mail").text())
        said = self.page("/topics?q=" + urllib.parse.quote(HOSTILE)).text()
        self.assertIn("No name has this in it", said)

    def test_payloads_in_three_forms(self):
        self.assertIn("{\n  \"order\": ", self.page("/topics/orders/0/0").text())
        self.assertIn("1.1", self.page("/topics/orders/0/0?as=json").text())
        self.assertIn("7b 22 6f", self.page("/topics/orders/0/0?as=hex").text())
        self.assertIn("00000  00 01 02 03", self.page("/topics/hostile/0/1").text())
        self.assertIn("It has no value", self.page("/topics/hostile/0/2").text())

    def test_events_from_a_place_and_by_a_condition(self):
        newest = self.page("/topics/orders?limit=3&partition=0")
        ends = [link for link in newest.links if link.startswith("/topics/orders/0/")]
        self.assertEqual(len(ends), 3)
        self.assertGreater(int(ends[0].split("/")[-1]), int(ends[1].split("/")[-1]))
        first = self.page("/topics/orders?limit=2&partition=0&from=start")
        self.assertIn("/topics/orders/0/0", first.links)
        self.assertTrue([link for link in first.links if "from=2" in link])
        some = self.page("/topics/orders?where=" + urllib.parse.quote("data.order = 12"))
        self.assertEqual(len([link for link in some.links if link.startswith("/topics/orders/")]), 1)
        bad = self.page("/topics/orders?where=" + urllib.parse.quote("colour = red"), 400).text()
        self.assertIn("Bad condition", bad)
        self.assertIn("Nothing here fits", self.page("/topics/orders?where=key+%3D+nobody").text())

    def test_what_is_not_there_says_so(self):
        self.assertIn("does not exist", self.page("/topics/nothing", 404).text())
        self.assertIn("does not exist", self.page("/groups/nothing", 404).text())
        self.assertIn("No event has this offset", self.page("/topics/orders/0/999999", 404).text())
        self.assertIn("two numbers", self.page("/topics/orders/x/1", 404).text())
        self.assertIn("gave nothing up", self.page("/dead-letters/of?group=nothing").text())
        self.assertIn("no lanes", self.page("/lanes?group=nothing").text())

    def test_nothing_new_costs_no_page(self):
        mark = ask(self.address, "/topics/orders").headers["Tidings-Mark"]
        wait_for(lambda: ask(self.address, "/topics/orders", Tidings_Mark=ask(self.address, "/topics/orders").headers[
            "Tidings-Mark"]).status == 204, "no change")
        self.server.run("publish", "orders", "more", "--quiet")
        wait_for(lambda: ask(self.address, "/topics/orders", Tidings_Mark=mark).status == 200, "a change")

    def test_what_only_the_layer_knows(self):
        """In `tidings serve` itself, with the index, the map and who is connected."""
        address = http_of(self.server)

        def text(path, *statuses):
            answer = ask(address, path)
            page = Page(answer.text)
            self.assertEqual(page.wrong, [], path)
            self.assertNotIn("<img src=x", answer.text, path)
            return page.text() if answer.status in (statuses or (200,)) else ""

        self.assertEqual(names_of(Page(ask(address, "/").text)), set(PAGES))
        wait_for(lambda: "recorded" in text("/story?q=o-3"), "the story of an event by its id")
        wait_for(lambda: "/shop" in text("/story?q=orders:0:0"), "the story of an event at its place")
        self.assertIn("Story of c-1", text("/story?q=c-1"))
        self.assertEqual(ask(address, "/story?q=nobody-has-this").status, 404)
        wait_for(lambda: "order.placed" in text("/map"), "the map")
        self.assertNotIn("<style", ask(address, "/map").text)
        self.assertIn("tidings map --at -1m", text("/map?at=-1m", 200, 404))
        changes = text("/map?diff=1m", 200, 404)
        self.assertTrue("New" in changes or "nobody watched then" in changes, changes)
        wait_for(lambda: "rdkafka" in text("/clients"), "who is connected")
        text("/alerts")


class EmptyTest(unittest.TestCase):
    def test_a_new_bus_and_one_that_is_gone(self):
        with tempfile.TemporaryDirectory(prefix="tidings-console-") as folder:
            server = Server(os.path.join(folder, "data"))
            beside = Beside(server.address, timeout_ms=3000)
            for path in PAGES:
                answer = ask(beside.address, path)
                is_there = path not in ("/map", "/story", "/clients", "/alerts") # those are the layer's
                self.assertEqual((answer.status, Page(answer.text).wrong), (200 if is_there else 404, []), path)
            for path, line in (("/", "tidings publish orders --create"), ("/topics", "tidings topic create orders")):
                wait_for(lambda: line in Page(ask(beside.address, path).text).text(), line) # pylint: disable=cell-var-from-loop
            server.stop()
            for path, words in (("/", "topics are not known"), ("/topics", "topics are not known"), ("/groups", "groups are not known"),
                                ("/topics/orders", "not known"), ("/topics/orders/0/0", "orders"), ("/groups/mail", "not known"),
                                ("/dead-letters", "not known"), ("/dead-letters/of?group=mail", "could not be read"),
                                ("/lanes?group=mail", "could not be read")):
                answer = ask(beside.address, path)
                page = Page(answer.text)
                self.assertEqual(page.wrong, [])
                self.assertIn(answer.status, (503, 504), path)
                self.assertIn(words, page.text())
            self.assertEqual(beside.stop(), 0)


SECRET = "Kx7payload"


class HiddenTest(unittest.TestCase):
    """http.payloads=hidden: nothing of payloads, in whatever form, is told by any page, route or stream."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tidings-console-")
        cls.server = Server(os.path.join(cls.folder.name, "data"), "http.listeners=127.0.0.1:0", "http.payloads=hidden")
        cls.address = http_of(cls.server)
        cloud = {"ce_specversion": "1.0", "ce_source": "/shop", "ce_type": "order.placed", "traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"}
        value = json.dumps({"card": SECRET, SECRET: {"state": SECRET}})
        put(cls.server, "orders", [{"key": f"c-{i}", "value": value, "headers": dict(cloud, ce_id=f"o-{i}", tenant=SECRET)}
                                   for i in range(40)])
        put(cls.server, "structured", [{"value": json.dumps({
            "specversion": "1.0", "id": "s-1", "source": "/shop", "type": "order.sealed", "data": {"card": SECRET}}),
            "headers": {"content-type": "application/cloudevents+json"}}])
        put(cls.server, "plain", [{"value": SECRET, "headers": {SECRET: SECRET}}])
        put(cls.server, "dlq.mail", [{"key": "k", "value": SECRET, "headers": {
            "__dlq.errors.topic": "orders", "__dlq.errors.partition": "0", "__dlq.errors.offset": "0", "tenant": SECRET,
            "__dlq.errors.message": "550 no"}}])
        cls.server.run("subscribe", "orders", "--group", "mail", "--max", "5")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def forms(self):
        """How the secret may be written."""
        raw = SECRET.encode()
        return [SECRET, SECRET.lower(), raw.hex(), raw.hex(" "), *(base64.b64encode(b"x" * i + raw).decode()[i + 1:-4] for i in range(3))]

    def check(self, path, text):
        for form in self.forms():
            self.assertNotIn(form, text, path)

    def test_pages_and_routes(self):
        wait_for(lambda: "order.sealed" in ask(self.address, "/v1/spec").text, "the schemas")
        wait_for(lambda: ask(self.address, "/v1/events/o-3/story").status == 200, "the story of an event")
        wait_for(lambda: "order.placed" in ask(self.address, "/map").text, "the map")
        starts = PAGES + ["/story?q=o-3", "/story?q=c-1", "/topics/orders/0/0", "/topics/orders/0/3?as=hex", "/topics/structured/0/0",
                          "/topics/plain/0/0", "/dead-letters/of?group=mail", "/topics/dlq.mail/0/0"]
        paths = json.loads(ask(self.address, "/v1/openapi.json").text)["paths"]
        places = {"{topic}": "orders", "{id}": "o-3", "{group}": "mail", "{type}": "order.placed"}
        for path, methods in paths.items():
            for name, value in places.items():
                path = path.replace(name, value)
            if "get" in methods and not path.endswith("/stream") and "{" not in path:
                starts += [path] + [path.replace("orders", topic) for topic in ("structured", "plain", "dlq.mail")]
        pages = crawl(self.address, starts)
        self.assertGreater(len(pages), 60)
        for path, answer in pages.items():
            self.check(path, answer.text)
        event = json.loads(pages["/v1/topics/structured/events"].text)["events"][0]
        self.assertEqual((event["hidden"], event["cloudevent"]["type"], event["headers"]["ce_id"]), (True, "order.sealed", "s-1"))
        self.assertNotIn("value", event)
        shown = Page(pages["/topics/orders/0/0"].text).text()
        self.assertIn("hidden", shown)
        self.assertIn("order.placed", shown)

    def test_streams(self):
        for topic in ("orders", "structured", "plain"):
            connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
            connection.request("GET", f"/v1/topics/{topic}/stream?from=start")
            response, text = connection.getresponse(), ""
            while "data: {" not in text:
                text += response.readline().decode()
            self.check(topic, text)
            self.assertIn('"hidden":true', text)
            response.close()
            connection.close()

    def test_what_is_hidden_cannot_be_asked_for(self):
        for where in (f"data.card = {SECRET}", "value ~ '*Kx7*'", f"header.tenant = {SECRET}", f"not (type = x or data.{SECRET}.state)"):
            for path in ("/v1/topics/orders/events?where=", "/v1/topics/orders/stream?where=", "/topics/orders?where="):
                answer = ask(self.address, path + urllib.parse.quote(where))
                self.assertEqual(answer.status, 403, (path, where, answer.text))
                self.assertIn("hidden", answer.text)
        fits = "type = order.placed and header.ce_id = o-3 and key = c-3"
        answer = json.loads(ask(self.address, "/v1/topics/orders/events?where=" + urllib.parse.quote(fits)).text)
        self.assertEqual(len(answer["events"]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
