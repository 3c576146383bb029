#!/usr/bin/python3
"""`tidings bus` beside a cluster of Apache Kafka: what goes over it is seen, and stays seen while things die.

usage: beside.py --bootstrap ADDRESS --brokers DIRECTORY

A shop of clients that know nothing of us: billing (confluent-kafka) sends an invoice for each order, mail (kafka-python)
and audit (kcat, without a group) read invoices. Map, who, why, find, spec, alerts, metrics and the console must show that,
and say what a cluster cannot tell. Then a service is killed, the layer is killed and loses all that it kept, a broker is
killed while events go on; what is told afterwards is what was told before, and what is new.

Times are printed, and nothing is asserted on them.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from harness.kafka_cluster import Foreign  # noqa: E402
from harness.server import BINARY, run, wait_for  # noqa: E402

PYTHON = "/usr/bin/python3"
SESSION_S = 6
ORDERS = 6
WAIT_S = 120
NEEDED = {"confluent_kafka": "python3-confluent-kafka", "kafka": "python3-kafka"}

BILLING = """
import json, sys
from confluent_kafka import Consumer, Producer
address, orders, invoices, session = sys.argv[1:5]
common = {"bootstrap.servers": address, "client.id": "billing-1"}
reader = Consumer({**common, "group.id": "billing", "session.timeout.ms": session, "auto.offset.reset": "earliest",
                   "enable.auto.commit": False})
writer = Producer({**common, "acks": "all"})
reader.subscribe([orders])
while True:
    order = reader.poll(0.1)
    if order is None or order.error():
        continue
    headers = {name: value for name, value in order.headers()}
    number = headers["ce_id"].decode()
    writer.produce(invoices, key=order.key(), value=b'{"sum": 3}', headers={
        "ce_specversion": "1.0", "ce_id": "i" + number, "ce_type": "InvoiceSent", "ce_source": "/billing",
        "ce_correlationid": number, "ce_causationid": number})
    writer.flush()
    reader.commit(order, asynchronous=False)
"""

MAIL = """
import sys
from kafka import KafkaConsumer
address, orders, invoices, session = sys.argv[1:5]
reader = KafkaConsumer(invoices, bootstrap_servers=address.split(","), client_id="mail-7f9c4d5b6-x2x8q", group_id="mail",
                       session_timeout_ms=int(session), heartbeat_interval_ms=int(session) // 4, auto_offset_reset="earliest",
                       auto_commit_interval_ms=200)
for event in reader:
    pass
"""


class Layer:
    """`tidings bus` as a process of its own."""

    def __init__(self, address, folder):
        self.words = [BINARY, "bus", "--bootstrap-server", address, "--state", os.path.join(folder, "state"),
                      "--http", "127.0.0.1:0"]
        self.log_path = os.path.join(folder, "layer.log")
        self.process = self.url = None
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        ready = dict(word.split("=", 1) for word in self.process.stdout.readline().split() if "=" in word)
        self.url = "http://" + ready["http"]

    def end(self, kill=True):
        (self.process.kill if kill else self.process.terminate)()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()


class Shop:
    def __init__(self, options, folder):
        self.cluster = Foreign(options.bootstrap, options.brokers)
        self.address, self.folder = options.bootstrap, folder
        self.orders, self.invoices = (f"{name}-{uuid.uuid4().hex[:6]}" for name in ("orders", "invoices"))
        self.processes = {}
        self.numbers, self.told = [], {}
        for topic in (self.orders, self.invoices):
            self.cluster.run("topic", "create", topic, "--partitions", "3")
        self.layer = Layer(self.address, folder)

    def spawn(self, name, *words):
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def start(self, name):
        words = (self.address, self.orders, self.invoices, str(SESSION_S * 1000))
        if name == "audit":
            self.spawn(name, "kcat", "-b", self.address, "-C", "-t", self.invoices, "-q", "-X", "client.id=audit-3")
        else:
            self.spawn(name, PYTHON, "-c", {"billing": BILLING, "mail": MAIL}[name], *words)

    def kill(self, name):
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def order(self, count):
        """So many orders."""
        for _ in range(count):
            self.numbers.append(f"{self.orders}-{len(self.numbers)}")
            self.cluster.run("publish", self.orders, "--ce-type", "OrderPlaced", "--ce-source", "/shop", "--ce-id",
                             self.numbers[-1], "--header", f"ce_correlationid={self.numbers[-1]}", "--key",
                             self.numbers[-1], '{"total": 3}')

    # -- asking --

    def get(self, path, raw=False):
        with urllib.request.urlopen(self.layer.url + path, timeout=60) as answer:
            body = answer.read().decode()
        return body if raw else json.loads(body)

    def ask(self, *words, code=0):
        return run(*words, "--url", self.layer.url, address=self.address, code=code)

    def until(self, look, what):
        """What look() gives, once it is something. An answer that does not come is none."""
        last = []

        def once():
            try:
                last[:] = [None, look()]
            except (OSError, urllib.error.HTTPError, AssertionError) as error:
                last[:] = [error, None]
            return last[1]
        try:
            return wait_for(once, what, WAIT_S)
        except AssertionError as error:
            told = "\n".join([self.get("/v1/map", raw=True)[-6000:], self.ask("why", self.numbers[-1], code=None)[0]])
            raise AssertionError(f"{error}: {last[0]}\n{told}\n{self.layer.log()[-3000:]}") from None

    def edge(self, kind, start, end, condition=lambda edge: True):
        def look():
            return next((edge for edge in self.get("/v1/map")["edges"]
                         if (edge["kind"], edge["from"], edge["to"]) == (kind, start, end) and condition(edge)), None)
        return self.until(look, f"{start} {kind} {end}")

    def node(self, name, condition=lambda node: True):
        def look():
            return next((node for node in self.get("/v1/map")["nodes"] if node["id"] == name and condition(node)), None)
        return self.until(look, name)

    def story(self, number):
        """Of an order: its events, and who is done with them; without times."""
        told = json.loads(self.ask("why", number, "--json")[0])
        return [(event["type"], event["topic"], event["partition"], event["offset"], event["parent"],
                 sorted((group["group"], group["state"]) for group in event["groups"] or [])) for event in told["events"]]

    def through(self, number):
        """Its story, once each hop is in it: billing is past the order, mail past its invoice."""
        def look():
            told = self.story(number)
            hops = [(event[0], event[4], event[5]) for event in told]
            return told if hops == [("OrderPlaced", None, [("billing", "passed")]),
                                    ("InvoiceSent", 0, [("mail", "passed")])] else None
        return self.until(look, f"each hop of {number}")

    def page(self, path):
        """The words of a page of the console, also of one that says why it shows nothing."""
        try:
            text = self.get(path, raw=True)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
        text = re.sub(r"<svg.*?</svg>", "", text, flags=re.S)
        return " ".join(re.sub(r"<[^>]+>", " ", text).split())

    def run(self, *words, code=0):
        """Without the layer's address."""
        return run(*words, address=self.address, code=code)

    def end(self):
        for name in list(self.processes):
            self.kill(name)
        if self.layer.process.poll() is None:
            self.layer.end()


def equal(got, wanted):
    assert got == wanted, f"{got} is not {wanted}"


def contains(text, *words):
    for word in words:
        assert word in text, f"'{word}' is not in {text}"


def who_does_what(shop):
    for name in ("billing", "mail", "audit"):
        shop.start(name)
    shop.order(ORDERS)
    shop.edge("publishes", "service:shop", "type:OrderPlaced", lambda edge: edge["events"] == ORDERS)
    shop.edge("publishes", "service:billing", "type:InvoiceSent", lambda edge: edge["events"] == ORDERS)
    shop.edge("consumes", "type:OrderPlaced", "service:billing", lambda edge: edge["lag"] == 0)
    shop.edge("consumes", "type:InvoiceSent", "service:mail", lambda edge: edge["lag"] == 0)
    shop.edge("causes", "type:OrderPlaced", "type:InvoiceSent", lambda edge: edge["share"] == 1)
    contains(shop.ask("map")[0], f"InvoiceSent  in {shop.invoices}", "from    billing", "to      mail",
             "Connections are not seen here")
    contains(shop.ask("who", "OrderPlaced")[0], "from    shop", "to      billing", "causes  InvoiceSent")
    for form in ("svg", "dot", "mermaid"):
        contains(shop.ask("map", "--format", form)[0], "InvoiceSent", "billing")
    channels = json.loads(shop.ask("spec")[0])["channels"]
    assert {shop.orders, shop.invoices} <= set(channels), channels


def the_story_of_each_order(shop):
    shop.told = {number: shop.through(number) for number in shop.numbers}
    found = shop.run("find", "--header", f"ce_id={shop.numbers[2]}")[0]
    contains(found, "OrderPlaced", f"key={shop.numbers[2]}")


def status(shop):
    return json.loads(shop.ask("status", "--json")[0])


def what_a_cluster_cannot_tell(shop):
    contains(shop.ask("client", "list", code=1)[1], "whose connections it cannot see")
    contains(shop.page("/clients"), "Not seen here", "whose connections it cannot see")
    contains(shop.page("/map"), "known by sessions", "Connections are not seen here")
    equal(shop.get("/v1/map")["gone_by"], "sessions")
    assert not [node for node in shop.get("/v1/map")["nodes"] if node.get("connections") is not None]
    # who is in no group is in no answer of a cluster
    assert not [node for node in shop.get("/v1/map")["nodes"] if "audit" in node["id"]]
    equal([broker["answer_ms"] is not None for broker in status(shop)["brokers"]], [True] * 3)
    contains(shop.ask("status")[0], "another broker of the Kafka protocol", "the protocol does not tell them", ": ready")
    contains(shop.run("map", code=3)[1], "tells no address of a bus layer", "tidings bus", "--url")


def numbers_and_pages(shop):
    metrics = shop.get("/metrics", raw=True)
    contains(metrics, "kafka_brokers 3", f'kafka_topic_partitions{{topic="{shop.orders}"}} 3', "tidings_bus_up 1")
    ends = re.findall(rf'kafka_topic_partition_current_offset{{topic="{shop.orders}",partition="\d"}} (\d+)', metrics)
    equal(sum(map(int, ends)), len(shop.numbers))
    lags = re.findall(rf'kafka_consumergroup_lag{{consumergroup="billing",topic="{shop.orders}",partition="\d"}} (\d+)', metrics)
    equal(lags, ["0"] * 3)
    equal(json.loads(shop.get("/readyz", raw=True))["status"], "ready")
    contains(shop.page("/"), "Largest topics", "Groups that are furthest behind")
    contains(shop.page("/groups"), "billing reading 1 1 0")
    contains(shop.page("/story?q=" + shop.numbers[0]), "OrderPlaced", "InvoiceSent", "billing", "passed")
    contains(shop.page(f"/topics/{shop.orders}"), "OrderPlaced", shop.numbers[0])


def a_service_that_is_killed(shop):
    """Its session has to end first: that is told by the group, and nothing tells it before."""
    shop.kill("mail")
    killed = time.monotonic()
    node = shop.node("service:mail", lambda node: node["state"] == "gone")
    print(f"killed with a session of {SESSION_S} s, shown as gone after {time.monotonic() - killed:.1f} s", flush=True)
    contains(node["why"], "session")
    equal(shop.node("service:billing")["state"] == "gone", False)
    shop.order(1)
    shop.until(lambda: shop.story(shop.numbers[-1])[1:] and
               shop.story(shop.numbers[-1])[1][5] == [("mail", "not-yet")], "mail has not read the invoice")
    alert = shop.until(lambda: next((alert for alert in shop.get("/v1/alerts") if "InvoiceSent" in json.dumps(alert)), None),
                       "an alert that the last consumer left")
    contains(json.dumps(alert), "mail")
    contains(shop.page("/alerts"), "InvoiceSent", "mail")
    shop.start("mail")
    shop.node("service:mail", lambda node: node["state"] != "gone")
    shop.told[shop.numbers[-1]] = shop.through(shop.numbers[-1])


def same_as_before(shop):
    for number, told in shop.told.items():
        shop.until(lambda number=number, told=told: shop.story(number) == told, f"the story of {number} as before: {told}")
    shop.edge("publishes", "service:shop", "type:OrderPlaced")
    shop.edge("consumes", "type:InvoiceSent", "service:mail", lambda edge: edge["lag"] == 0)
    shop.edge("causes", "type:OrderPlaced", "type:InvoiceSent")


def the_layer_is_killed(shop):
    shop.layer.end()
    shop.order(2)
    shop.layer.start()
    for number in shop.numbers[-2:]:
        shop.told[number] = shop.through(number)
    same_as_before(shop)


def and_loses_all_that_it_kept(shop):
    shop.layer.end()
    shutil.rmtree(os.path.join(shop.folder, "state"))
    began = time.monotonic()
    shop.layer.start()
    same_as_before(shop)
    print(f"all is told again {time.monotonic() - began:.1f} s after a start with nothing", flush=True)


def a_broker_is_killed(shop):
    shop.cluster.kill()
    for _ in range(3):
        shop.order(1)
        shop.told[shop.numbers[-1]] = shop.through(shop.numbers[-1])
    for name in ("billing", "mail"):
        assert shop.node("service:" + name)["state"] != "gone", name
    equal(status(shop)["is_tidings"], False)
    shop.kill("mail")
    killed = time.monotonic()
    shop.node("service:mail", lambda node: node["state"] == "gone")
    print(f"killed while a broker is away, shown as gone after {time.monotonic() - killed:.1f} s", flush=True)
    shop.start("mail")
    shop.node("service:mail", lambda node: node["state"] != "gone")
    shop.cluster.start()
    shop.order(2)
    for number in shop.numbers[-2:]:
        shop.told[number] = shop.through(number)
    same_as_before(shop)
    shop.until(lambda: "kafka_brokers 3" in shop.get("/metrics", raw=True), "three brokers")
    for name in ("billing", "mail"):
        assert shop.node("service:" + name)["state"] != "gone", name


def it_stops(shop):
    equal(shop.layer.end(kill=False), 0)


SCENARIOS = [who_does_what, the_story_of_each_order, what_a_cluster_cannot_tell, numbers_and_pages, a_service_that_is_killed,
             the_layer_is_killed, and_loses_all_that_it_kept, a_broker_is_killed, it_stops]


def missing():
    found = [package for module, package in NEEDED.items()
             if subprocess.run([PYTHON, "-c", "import " + module], capture_output=True, check=False).returncode != 0]
    return found if shutil.which("kcat") else [*found, "kcat"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--brokers", required=True)
    options = parser.parse_args()
    if missing():
        sys.exit(f"not installed: {', '.join(missing())}")
    with tempfile.TemporaryDirectory(prefix="tidings-beside-") as folder:
        shop = Shop(options, folder)
        try:
            for scenario in SCENARIOS:
                scenario(shop)
                print(scenario.__name__.replace("_", " "), flush=True)
        finally:
            shop.end()


if __name__ == "__main__":
    main()
