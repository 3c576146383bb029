#!/usr/bin/python3
"""The flow map and the list of clients on a real server: clients of several libraries that know nothing of it, one that
is killed, hostile names, a restart, a damaged history. Waits for conditions; nothing here goes by the clock."""
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.server import BINARY, Server, wait_for  # pylint: disable=wrong-import-position

CONSUMER = """
import sys
from confluent_kafka import Consumer
address, group, client, topic = sys.argv[1:5]
reader = Consumer({"bootstrap.servers": address, "group.id": group, "client.id": client, "session.timeout.ms": 45000,
                   "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200})
reader.subscribe([topic])
while True:
    if reader.poll(0.1) is not None:
        print("got", flush=True)
"""

PYTHON_PRODUCER = """
import sys
from kafka import KafkaProducer
address, client, topic, kind, source = sys.argv[1:6]
writer = KafkaProducer(bootstrap_servers=address, client_id=client)
headers = [("ce_specversion", b"1.0"), ("ce_id", b"p1"), ("ce_type", kind.encode()), ("ce_source", source.encode())]
writer.send(topic, b"{}", headers=headers)
writer.flush()
for line in sys.stdin:
    pass
"""

HOSTILE = "</text><script>alert(1)</script>\"];\\ `x`"


class Map(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="tidings-map-")
        self.addCleanup(self.home.cleanup)
        self.data = os.path.join(self.home.name, "data")
        self.server = Server(self.data)
        self.addCleanup(self.end_server)
        self.processes = []
        self.find_http()

    def find_http(self):
        words = dict(word.split("=", 1) for word in self.server.ready.split() if "=" in word)
        if "http" not in words:
            self.skipTest("this server has no bus layer")
        self.url = "http://" + words["http"].rstrip(",")

    def end_server(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        if self.server.alive():
            self.assertEqual(self.server.stop(), 0, self.server.log()[-3000:])

    def spawn(self, *words):
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def consume(self, group, client, topic):
        return self.spawn("/usr/bin/python3", "-c", CONSUMER, self.server.address, group, client, topic)

    def get(self, path, raw=False):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            body = answer.read().decode()
        return body if raw else json.loads(body)

    def publish(self, topic, kind, source, number, *more):
        self.server.run("publish", topic, "--ce-type", kind, "--ce-source", source, "--ce-id",
                        str(number), *more, "{}")

    def edge(self, kind, start, end, condition=lambda edge: True):
        """The edge, as soon as the map has it."""
        def look():
            for edge in self.get("/v1/map")["edges"]:
                if (edge["kind"], edge["from"], edge["to"]) == (kind, start, end) and condition(edge):
                    return edge
            return None
        return wait_for(look, f"{start} {kind} {end} in {json.dumps(self.get('/v1/map'), indent=1)[-6000:]}")

    def node(self, name, condition=lambda node: True):
        def look():
            return next((node for node in self.get("/v1/map")["nodes"] if node["id"] == name and condition(node)), None)
        return wait_for(look, f"{name} in {json.dumps(self.get('/v1/map'), indent=1)[-6000:]}")

    def make_shop(self):
        for topic in ("orders", "invoices"):
            self.server.run("topic", "create", topic)
        self.publish("orders", "OrderPlaced", "/shop", 1, "--header", "ce_correlationid=1")
        self.publish("invoices", "InvoiceSent", "/billing", 2, "--header", "ce_correlationid=1",
                     "--header", "ce_causationid=1")

    def test_who_publishes_consumes_and_causes_is_seen_and_a_killed_consumer_is_gone_at_once(self):
        self.make_shop()
        billing = self.consume("billing", "billing-1", "orders")
        mail = self.consume("mail", "mail-7f9c4d5b6-x2x8q", "invoices")
        self.spawn("kcat", "-b", self.server.address, "-C", "-t", "invoices", "-u", "-X", "client.id=audit-3")
        self.spawn("/usr/bin/python3", "-c", PYTHON_PRODUCER, self.server.address, "stock-app", "stock", "StockCounted",
                   "/stock")
        self.edge("publishes", "service:shop", "type:OrderPlaced")
        self.edge("publishes", "service:billing", "type:InvoiceSent")
        self.edge("publishes", "service:stock", "type:StockCounted")
        self.edge("consumes", "type:OrderPlaced", "service:billing", lambda edge: edge["lag"] == 0)
        self.edge("consumes", "type:InvoiceSent", "service:mail")
        self.edge("consumes", "type:InvoiceSent", "service:audit")
        self.edge("causes", "type:OrderPlaced", "type:InvoiceSent", lambda edge: edge["share"] == 1)
        node = self.node("service:billing", lambda node: node["members"] == 1 and node["connections"])
        self.assertEqual(node["names"]["group"], ["billing"])
        self.assertEqual(node["names"]["client"], ["billing"])
        self.assertEqual(self.get("/v1/map")["gone_by"], "connections and sessions")

        # its session still lives, for 45 s: it is the connection that tells
        mail.kill()
        node = self.node("service:mail", lambda node: node["state"] == "gone")
        self.assertIn("connection", node["why"])
        self.assertIsNotNone(node["gone_since"])
        self.assertIsNone(billing.poll())
        self.assertNotEqual(self.node("service:billing")["state"], "gone")

        # the command says the same
        text, _ = self.server.run("map")
        self.assertIn("OrderPlaced  in orders", text)
        self.assertIn("  to      mail", text)
        text, _ = self.server.run("who", "OrderPlaced")
        self.assertIn("  from    shop", text)
        self.assertIn("  to      billing", text)
        self.assertIn("  causes  InvoiceSent", text)
        who = json.loads(self.server.run("who", "InvoiceSent", "--json")[0])
        self.assertEqual(sorted(edge["name"] for edge in who["consumers"]), ["audit", "mail"])
        _, error = self.server.run("who", "OrderPlacd", code=4)
        self.assertIn("did you mean 'OrderPlaced'", error)

        # who is connected
        clients = json.loads(self.server.run("client", "list", "--over", "100ms", "--json")[0])
        billing_client = next(client for client in clients if client["client_id"] == "billing-1")
        self.assertTrue(billing_client["software"])
        self.assertGreaterEqual(billing_client["connections"], 1)
        self.assertIn("billing", [flow["group"] for flow in billing_client["flows"] if flow["did"] == "joined"])
        text, _ = self.server.run("client", "list", "--topic", "stock", "--sort", "produced")
        self.assertIn("stock-app", text)
        self.assertNotIn("billing-1", text)
        text, _ = self.server.run("client", "list", "--gone")
        self.assertIn("mail-7f9c4d5b6-x2x8q", text)

    def test_the_command_is_no_service_and_a_client_of_its_name_is_one(self):
        self.make_shop()
        self.server.run("subscribe", "orders", "-n", "1")
        self.spawn("kcat", "-b", self.server.address, "-C", "-t", "invoices", "-u", "-X", "client.id=tidings-cli")
        self.edge("consumes", "type:InvoiceSent", "service:tidings-cli")  # seen later than what the command did
        edges = self.get("/v1/map")["edges"]
        self.assertNotIn(("type:OrderPlaced", "service:tidings-cli"), [(edge["from"], edge["to"]) for edge in edges])
        software = {client["software"] for client in self.get("/v1/clients?over=1ms") if client["client_id"] == "tidings-cli"}
        self.assertLessEqual({"librdkafka", "tidings-cli"}, software)

    def test_beside_a_cluster_of_others_sessions_tell_who_is_gone_and_that_is_said(self):
        layer = self.spawn(BINARY, "bus", "--bootstrap-server", self.server.address, "--http", "127.0.0.1:0",
                           "--state", os.path.join(self.home.name, "state"))
        words = layer.stdout.readline().decode().split()
        self.url = "http://" + dict(word.split("=", 1) for word in words if "=" in word)["http"]
        self.make_shop()
        billing = self.spawn("/usr/bin/python3", "-c", CONSUMER.replace("45000", "6000"), self.server.address, "billing",
                             "billing-1", "orders")
        self.edge("publishes", "service:shop", "type:OrderPlaced")
        self.edge("consumes", "type:OrderPlaced", "service:billing", lambda edge: edge["lag"] == 0)
        self.assertEqual(self.get("/v1/map")["gone_by"], "sessions")
        self.node("service:billing", lambda node: node["members"] == 1 and node["connections"] is None)
        billing.kill()
        self.assertIn("session", self.node("service:billing", lambda node: node["state"] == "gone")["why"])
        _, error = self.server.run("client", "list", "--url", self.url, code=None)
        self.assertIn("cannot see", error)
        layer.terminate()
        self.assertEqual(layer.wait(60), 0)

    def test_hostile_names_are_text_in_every_form(self):
        self.server.run("topic", "create", "odd")
        self.publish("odd", HOSTILE, HOSTILE, 1)
        self.consume(HOSTILE, HOSTILE, "odd")
        wait_for(lambda: any(edge["kind"] == "consumes" for edge in self.get("/v1/map")["edges"]), "a consumer")
        svg = self.get("/v1/map.svg", raw=True)
        self.assertNotIn("<script", svg)
        self.assertIn("&lt;script&gt;", svg)
        import xml.dom.minidom  # pylint: disable=import-outside-toplevel
        xml.dom.minidom.parseString(svg)
        for form in ("text", "dot", "mermaid", "svg"):
            picture = os.path.join(self.home.name, "map." + form)
            self.server.run("map", "--format", form, "-o", picture)
            with open(picture, encoding="utf-8") as text:
                self.assertGreater(len(text.read()), 50)
        who = self.get("/v1/who/" + urllib.parse.quote(HOSTILE, safe=""))
        self.assertEqual(who["name"], HOSTILE)
        self.assertEqual(len(who["publishers"]), 1)

    def test_what_was_seen_is_known_after_a_restart_and_a_damaged_history_begins_anew(self):
        self.make_shop()
        self.edge("publishes", "service:shop", "type:OrderPlaced")
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.find_http()
        edge = self.edge("publishes", "service:shop", "type:OrderPlaced")
        self.assertEqual(edge["events"], 1)
        self.publish("orders", "OrderPlaced", "/shop", 3)
        self.edge("publishes", "service:shop", "type:OrderPlaced", lambda edge: edge["events"] == 2)
        past = self.get("/v1/map?at=-0s")
        self.assertIn("service:shop", [node["id"] for node in past["nodes"]])
        changes = self.get("/v1/map?diff=0s")
        self.assertEqual(changes["removed"], [])
        with self.assertRaises(urllib.error.HTTPError) as error:
            self.get("/v1/map?at=-400d")
        self.assertEqual(error.exception.code, 404)
        error.exception.close()

        self.assertEqual(self.server.stop(), 0)
        with open(os.path.join(self.data, "bus", "flows.db"), "r+b") as file:
            file.write(b"nonsense" * 20)
        self.server.start()
        self.find_http()
        self.server.wait_log("history of flows is damaged")
        self.edge("publishes", "service:shop", "type:OrderPlaced", lambda edge: edge["events"] == 2)

    def test_rules_rename_and_merge_while_it_runs(self):
        self.make_shop()
        self.edge("publishes", "service:shop", "type:OrderPlaced")
        rules = os.path.join(self.data, "bus", "map.rules")
        with open(rules, "w", encoding="utf-8") as text:
            text.write("source:/(shop|billing) = front office\n")
        self.edge("publishes", "service:front office", "type:OrderPlaced")
        self.edge("publishes", "service:front office", "type:InvoiceSent")
        with open(rules, "w", encoding="utf-8") as text:
            text.write("nobody:x = y\n")
        self.server.wait_log("rules of the flow map are wrong")
        self.edge("publishes", "service:front office", "type:OrderPlaced")

    def test_what_is_asked_wrongly_is_told(self):
        for path, code in (("/v1/map?format=png", 400), ("/v1/map?at=yesterday", 400), ("/v1/map?diff=x", 400),
                           ("/v1/who/Nothing", 404), ("/v1/clients?over=1h", 400), ("/v1/map?at=2999-01-01", 400)):
            with self.assertRaises(urllib.error.HTTPError) as error:
                self.get(path)
            self.assertEqual(error.exception.code, code, path)
            self.assertIn("detail", json.loads(error.exception.read()))
            error.exception.close()
        self.assertEqual(self.get("/v1/alerts"), [])
        _, error = self.server.run("map", "--format", "png", code=2)
        self.assertIn("--format is text, json, dot, mermaid or svg", error)


class Store(unittest.TestCase):
    """The online store of examples/store, whose services know nothing of the map."""

    WANTED = {("publishes", "service:order-intake", "type:OrderPlaced"), ("consumes", "type:OrderPlaced", "service:email"),
              ("consumes", "type:OrderPlaced", "service:inventory"), ("consumes", "type:OrderPlaced", "service:shipping"),
              ("consumes", "type:OrderPlaced", "service:analytics"), ("causes", "type:OrderPlaced", "type:StockReserved"),
              ("publishes", "service:inventory", "type:StockReserved"), ("consumes", "type:StockReserved", "service:shipping"),
              ("causes", "type:StockReserved", "type:ShipmentPrepared"),
              ("publishes", "service:shipping", "type:ShipmentPrepared"),
              ("consumes", "type:ShipmentPrepared", "service:email")}

    def setUp(self):
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
        import test_saga  # pylint: disable=import-outside-toplevel
        self.saga = test_saga.Saga("test_each_end_of_an_order")
        self.saga.setUp()
        self.addCleanup(self.saga.doCleanups)
        self.saga.open_store()
        self.url = "http://" + self.saga.store.bus.server.ready(r" http=([^\s,]+)")

    def map(self):
        with urllib.request.urlopen(self.url + "/v1/map", timeout=60) as answer:
            return json.load(answer)

    def test_every_edge_is_named_and_a_killed_service_is_shown(self):
        """How soon is told, and not demanded: it is the machine's business as well."""
        began, seen = time.monotonic(), {}
        self.saga.place("A-1001", "4711", ("MUG", 3))

        def edges():
            now = self.map()
            for edge in now["edges"]:
                seen.setdefault((edge["kind"], edge["from"], edge["to"]), time.monotonic() - began)
            return self.WANTED <= set(seen)
        try:
            wait_for(edges, "every edge")
        except AssertionError as error:
            raise AssertionError(f"{error}: {sorted(self.WANTED - set(seen))} not in {sorted(seen)}") from None
        self.assertEqual([edge for edge in self.map()["edges"] if edge["kind"] == "causes" and edge["guessed_from"]], [])

        killed = {}
        for name in ("email", "shipping"):
            began = time.monotonic()
            self.saga.store.processes.pop(name + "-2").kill()
            wait_for(lambda name=name: any(node["id"] == "service:" + name and node["state"] == "gone"
                                           for node in self.map()["nodes"]), f"{name} to be gone")
            killed[name] = time.monotonic() - began
        print(f"{len(self.WANTED)} edges named within {max(seen[edge] for edge in self.WANTED):.2f} s of the order; "
              f"killed services shown within {max(killed.values()):.2f} s")


if __name__ == "__main__":
    unittest.main(verbosity=2)
