#!/usr/bin/python3
"""`tidings why` and `tidings find` on a real server, with services that know nothing of us (confluent-kafka,
kafka-python) and one with key lanes (tests/lanes/lane_service.c).

$STORY_QUESTIONS: how many questions the random workload is asked [25]; $STORY_SEED: of which workload [1].
"""
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

import confluent_kafka
import kafka

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.kafka import Client  # noqa: E402
from harness.server import Server, run, wait_for  # noqa: E402

BUILD = os.environ.get("TIDINGS_BUILD") or os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build")
LANE_SERVICE = os.path.join(BUILD, "tests", "lanes", "lane-service")
QUESTIONS = int(os.environ.get("STORY_QUESTIONS", "25"))
SEED = int(os.environ.get("STORY_SEED", "1"))
ENDED = {"passed", "done", "redriven"}


class World:
    server = directory = None
    published = ""  # when the last event was, as text


def note_published():
    World.published = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")[:23]


def setUpModule():
    World.directory = tempfile.TemporaryDirectory(prefix="tidings-story-")
    World.server = Server(World.directory.name + "/data", "group.initial.rebalance.delay.ms=0",
                          "group.min.session.timeout.ms=100")


def tearDownModule():
    if World.server.alive():
        World.server.stop()
    World.directory.cleanup()


def event_headers(id_, type_, source="/test", cause=None, correlation=None, trace=None):
    headers = {"ce_specversion": "1.0", "ce_id": id_, "ce_source": source, "ce_type": type_,
               "ce_causationid": cause, "ce_correlationid": correlation, "traceparent": trace}
    return [(name, value.encode()) for name, value in headers.items() if value is not None]


class Consumer(threading.Thread):
    """A service of its own thread: takes events, publishes their effects, commits. stop() ends it."""

    def __init__(self, group, topic, effect=None):
        super().__init__(daemon=True)
        self.group, self.topic, self.effect, self.ending = group, topic, effect, threading.Event()
        self.failure = None

    def stop(self):
        self.ending.set()
        self.join(60)
        if self.failure or self.is_alive():
            raise AssertionError(f"service {self.group}: {self.failure or 'does not end'}")

    def run(self):
        try:
            self.work()
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure


class Confluent(Consumer):
    def work(self):
        settings = {"bootstrap.servers": World.server.address}
        publisher = confluent_kafka.Producer(settings)
        consumer = confluent_kafka.Consumer(dict(settings, **{
            "group.id": self.group, "auto.offset.reset": "earliest", "enable.auto.commit": False}))
        consumer.subscribe([self.topic])
        while not self.ending.is_set():
            message = consumer.poll(0.05)
            if message is None or message.error():
                continue
            if self.effect:
                headers = dict(message.headers())
                publisher.produce(self.effect[0], b"{}", message.key(), headers=event_headers(
                    uuid.uuid4().hex, self.effect[1], "/" + self.group, headers["ce_id"].decode(),
                    headers["ce_correlationid"].decode()))
                publisher.flush()
            consumer.commit(message, asynchronous=False)
        consumer.close()


class KafkaPython(Consumer):
    def work(self):
        address = World.server.address
        publisher = kafka.KafkaProducer(bootstrap_servers=address, api_version=(2, 5, 0))
        consumer = kafka.KafkaConsumer(self.topic, bootstrap_servers=address, group_id=self.group, api_version=(2, 5, 0),
                                       auto_offset_reset="earliest", enable_auto_commit=False)
        while not self.ending.is_set():
            for messages in consumer.poll(timeout_ms=50).values():
                for message in messages:
                    self.take(publisher, message)
                consumer.commit()
        consumer.close()
        publisher.close()

    def take(self, publisher, message):
        if self.effect:
            headers = dict(message.headers)
            publisher.send(self.effect[0], b"{}", message.key, event_headers(
                uuid.uuid4().hex, self.effect[1], "/" + self.group, headers["ce_id"].decode(),
                headers["ce_correlationid"].decode())).get(30)


class Case(unittest.TestCase):
    def topic(self, name, *words):
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        World.server.run("topic", "create", topic, "--partitions", "1", *words)
        return topic

    def publish(self, topic, id_, type_="test.made", key="k", value="{}", **attributes):
        """Returns the offset."""
        got = []
        publisher = confluent_kafka.Producer({"bootstrap.servers": World.server.address})
        publisher.produce(topic, value.encode(), key, headers=event_headers(id_, type_, **attributes),
                          callback=lambda error, message: got.append(error or message.offset()))
        publisher.flush(60)
        self.assertIsInstance(got[0], int, got)
        note_published()
        return got[0]

    def commit(self, group, topic, offset, partition=0):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": World.server.address, "group.id": group})
        consumer.commit(offsets=[confluent_kafka.TopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()

    def why(self, *words, code=0):
        """The answer, once the index is behind what was published before. What is not there is asked of the log."""
        if code != 0:
            World.server.run("why", *words, "--scan", code=code)
            return None
        def look():
            out, _ = World.server.run("why", *words, "--json", code=None)
            told = json.loads(out) if out else None
            return told if told and (told["known_from"] == "log" or
                                     (told["indexed_until"] or "") > World.published) else None
        return wait_for(look, f"an answer about {words}")

    def states(self, *words):
        """Of the event that is asked for: group: (state, evidence)."""
        told = self.why(*words)
        asked = [event for event in told["events"] if event.get("asked")]
        self.assertEqual(len(asked), 1, told)
        return {group["group"]: group for group in asked[0]["groups"]}

    def wait_state(self, group, state, *words):
        def look():
            found = self.states(*words).get(group)
            self.assertFalse(found and found["state"] in ENDED and state not in ENDED, found)
            return found if found and found["state"] == state else None
        return wait_for(look, f"{group} {state} of {words}")


class Hops(Case):
    def test_every_hop_of_an_order_is_told_with_its_evidence(self):
        orders, invoices, mails = (self.topic(name) for name in ("orders", "invoices", "mails"))
        services = [Confluent("billing-" + orders, orders, (invoices, "invoice.sent")),
                    KafkaPython("mail-" + orders, invoices, (mails, "mail.sent")), Confluent("stock-" + orders, orders)]
        for service in services:
            service.start()
        try:
            id_ = "order-" + uuid.uuid4().hex
            self.publish(orders, id_, "order.placed", "42", source="/shop", correlation=id_)

            def look():
                told = self.why(id_)
                groups = [group for event in told["events"] for group in event["groups"]]
                return told if len(told["events"]) == 3 and len(groups) == 3 and all(
                    group["state"] == "passed" for group in groups) else None
            told = wait_for(look, "all hops of the order")
        finally:
            for service in services:
                service.stop()
        order, invoice, mail = told["events"]
        self.assertEqual([event["type"] for event in told["events"]], ["order.placed", "invoice.sent", "mail.sent"])
        self.assertEqual([event["parent"] for event in told["events"]], [None, 0, 1])
        self.assertEqual({event["link"]["evidence"] for event in (invoice, mail)}, {"recorded"})
        self.assertEqual({group["group"] for group in order["groups"]}, {"billing-" + orders, "stock-" + orders})
        self.assertTrue(mail["nobody_subscribes"])
        self.assertIn({"name": "/shop", "from": "ce_source", "evidence": "recorded"}, order["publishers"])
        self.assertEqual(len(self.why("--correlation", id_)["events"]), 3)
        self.assertEqual(len(self.why(f"{mails}/0/0")["events"]), 3)
        printed, _ = World.server.run("why", id_, "--colour", "never")
        self.assertIn("order.placed from /shop", printed)
        self.assertRegex(printed, r"(?m)^`- invoice.sent|^└─ invoice.sent|^[│|]  ")

    def test_a_trace_is_followed_and_its_cause_labelled_a_guess(self):
        topic = self.topic("traced")
        trace = uuid.uuid4().hex
        self.publish(topic, "t1-" + trace, trace=f"00-{trace}-00f067aa0ba902b7-01")
        self.publish(topic, "t2-" + trace, trace=f"00-{trace}-00f067aa0ba902b8-01")
        told = self.why("--trace", trace)
        self.assertEqual([event["parent"] for event in told["events"]], [None, 0])
        self.assertEqual(told["events"][1]["link"]["evidence"], "inferred")
        self.assertIn("note", told["events"][1]["link"])

    def test_ids_are_told_apart_by_their_source(self):
        topic, id_ = self.topic("ids"), uuid.uuid4().hex
        self.publish(topic, id_, source="/a")
        self.publish(topic, id_, source="/b")
        told = self.why(id_, "--source", "/b")
        self.assertEqual([event["source"] for event in told["events"] if event.get("asked")], ["/b"])
        self.assertEqual(len([event for event in self.why(id_)["events"] if event.get("asked")]), 2)


class States(Case):
    def test_not_yet_and_passed_follow_the_commit(self):
        topic, group = self.topic("states"), "g-" + uuid.uuid4().hex
        ids = [uuid.uuid4().hex for _ in range(5)]
        for id_ in ids:
            self.publish(topic, id_)
        self.assertEqual(self.states(ids[3]), {})
        self.commit(group, topic, 1)
        found = self.states(ids[3])[group]
        self.assertEqual((found["state"], found["before"]), ("not-yet", 2))
        self.assertIn("no member is there", [note["text"] for note in found["notes"]])
        self.commit(group, topic, 4)
        self.assertEqual(self.states(ids[3])[group]["state"], "passed")
        self.assertEqual(self.states(ids[4])[group]["state"], "not-yet")
        self.commit(group, topic, 0)
        self.assertEqual(self.states(ids[3])[group]["state"], "not-yet")

    def test_an_aborted_event_is_none(self):
        topic, id_ = self.topic("aborted"), uuid.uuid4().hex
        publisher = confluent_kafka.Producer({"bootstrap.servers": World.server.address, "transactional.id": id_})
        publisher.init_transactions()
        publisher.begin_transaction()
        publisher.produce(topic, b"{}", "k", headers=event_headers(id_, "test.aborted"))
        publisher.flush()
        self.why(id_, code=4)
        self.assertEqual(self.why(f"{topic}/0/0")["events"][0]["presence"], "undecided")
        publisher.abort_transaction()
        self.why(id_, code=4)
        self.assertEqual(self.why(f"{topic}/0/0")["events"][0]["presence"], "aborted")
        self.assertEqual(self.why(f"{topic}/0/0")["events"][0]["groups"], [])

    def test_what_retention_took_is_gone_or_was_passed(self):
        topic = self.topic("kept")
        slow, fast = "slow-" + topic, "fast-" + topic
        for i in range(4):
            self.publish(topic, f"{topic}-{i}")
        self.commit(slow, topic, 1)
        self.commit(fast, topic, 3)
        client = Client(World.server.port)
        self.assertEqual(client.delete_records(topic, 3), 0)
        client.close()
        self.why(f"{topic}-2", code=4)
        event = self.why(f"{topic}/0/2")["events"][0]
        self.assertEqual(event["presence"], "taken")
        self.assertEqual({group["group"]: group["state"] for group in event["groups"]}, {slow: "gone", fast: "passed"})

    def test_events_of_one_that_is_gone_are_told_together(self):
        """One names it as its cause, another as its correlation: nothing else joins them."""
        topic, lost = self.topic("joined"), uuid.uuid4().hex
        effect, later = f"{lost}.effect", f"{lost}.later"
        self.publish(topic, effect, cause=lost)
        self.publish(topic, later, correlation=lost)
        for id_ in (effect, later):
            self.assertEqual({event["id"] for event in self.why(id_)["events"]}, {effect, later})

    def test_a_topic_that_was_made_again_passes_nothing_of_before(self):
        topic = self.topic("again")
        group = "g-" + topic
        for i in range(3):
            self.publish(topic, f"old-{topic}-{i}")
        self.commit(group, topic, 3)
        World.server.run("topic", "delete", topic)
        World.server.run("topic", "create", topic, "--partitions", "1")
        self.publish(topic, "new-" + topic)
        self.assertNotIn(self.states("new-" + topic).get(group, {"state": "none"})["state"], ENDED)
        self.why(f"old-{topic}-0", code=4)

    def tell(self, group, topic, offset, what, **fields):
        """An outcome as docs/formats.md has it."""
        value = json.dumps({"version": 1, "what": what, "time": int(time.time() * 1000), "group": group, "topic": topic,
                            "partition": 0, "offset": offset, **fields})
        World.server.run("publish", "__tidings_outcomes", "--create", "--quiet", "--key", f"{topic}/0/{offset}", value)
        note_published()

    def test_a_group_that_reads_others_is_not_subscribed(self):
        topic, other, group = self.topic("left"), self.topic("others"), "g-" + uuid.uuid4().hex
        ids = [uuid.uuid4().hex for _ in range(3)]
        for id_ in ids:
            self.publish(topic, id_)
        self.commit(group, topic, 2)
        unread = uuid.uuid4().hex
        self.publish(self.topic("unread"), unread)
        service = Confluent(group, other)
        service.start()
        try:
            found = self.wait_state(group, "not-subscribed", ids[2])
            self.assertEqual(found["evidence"], "recorded")
            self.assertEqual(self.states(ids[1])[group]["state"], "passed")
            printed, _ = World.server.run("why", ids[2], "--colour", "never")
            self.assertRegex(printed, rf"{group}\s+not subscribed")
            asked = self.why(unread, "--group", group)["events"][0]
            self.assertEqual([one["state"] for one in asked["groups"]], ["not-subscribed"])
        finally:
            service.stop()
        asked = self.why(ids[0], "--group", "no-such-group")
        self.assertEqual(asked["events"][0]["groups"], [])
        self.assertNotIn("nobody_subscribes", asked["events"][0])
        self.assertTrue([text for text in asked["horizon"] if "no group 'no-such-group'" in text])

    def test_what_a_filter_leaves_out_is_skipped(self):
        topic, group = self.topic("filtered"), "g-" + uuid.uuid4().hex
        for i, type_ in enumerate(("order.placed", "order.paid", "order.placed")):
            self.publish(topic, f"{topic}-{i}", type_)
        value = {"version": 1, "what": "handles", "time": int(time.time() * 1000), "group": group,
                 "handles": [{"topic": topic, "type": "order.placed"}, {"topic": "^other", "type": "order.paid"}]}
        World.server.run("publish", "__tidings_outcomes", "--create", "--quiet", "--key", group, json.dumps(value))
        note_published()
        self.commit(group, topic, 2)
        states = [self.states(f"{topic}-{i}")[group] for i in range(3)]
        self.assertEqual([one["state"] for one in states], ["passed", "filtered", "not-yet"])
        self.assertEqual(states[1]["evidence"], "inferred")
        # two members that tell nothing: one of them at least may have handled it
        services = [Confluent(group, topic) for _ in range(2)]
        for service in services:
            service.start()
        try:
            def is_told():
                found = self.states(f"{topic}-1")[group]
                return found["state"] == "passed" and any(
                    "do not tell what they take" in note["text"] for note in found["notes"])
            wait_for(is_told, "a silent member is told of")
        finally:
            for service in services:
                service.stop()

    def test_topics_that_are_left_out_are_named(self):
        with tempfile.TemporaryDirectory(prefix="tidings-story-") as folder, Server(
                folder + "/data", r"bus.index.exclude=logs\..*") as server:
            server.run("publish", "logs.web", "--create", "--quiet", "--key", "k", "{}")
            server.run("publish", "orders", "--create", "--quiet", "--key", "k", "{}")
            wanted = "events of logs.web"
            out, _ = server.run("why", "orders/0/0", "--json")
            self.assertTrue([text for text in json.loads(out)["horizon"] if wanted in text], out)
            _, said = server.run("why", "no-such-id", code=4)
            self.assertIn(wanted, said)

    def test_what_members_tell_counts_for_their_group_and_event_only(self):
        topic, group = self.topic("told"), "g-" + uuid.uuid4().hex
        ids = [f"{topic}-{i}" for i in range(3)]
        for id_ in ids:
            self.publish(topic, id_)
        self.commit(group, topic, 0)
        self.commit("other-" + group, topic, 0)
        self.tell(group, topic, 0, "failed", id=ids[0], attempt=3, counted=2, most=5, message="the bank\nis away",
                  **{"class": "Timeout", "next": int(time.time() * 1000) + 60000})
        self.tell(group, topic, 1, "waits", id=ids[1], behind=0)
        self.tell(group, topic, 2, "done", id="of another life")
        found = self.states(ids[0])
        waiting = found[group]
        self.assertEqual((waiting["state"], waiting["evidence"], waiting["attempt"], waiting["attempts_most"]),
                         ("waiting", "told", 2, 5))
        self.assertEqual((waiting["error_class"], found["other-" + group]["state"]), ("Timeout", "not-yet"))
        behind = self.states(ids[1])[group]
        self.assertEqual((behind["state"], behind["behind"]), ("behind", 0))
        self.assertEqual(self.states(ids[2])[group]["state"], "not-yet")
        printed, _ = World.server.run("why", ids[0], "--colour", "never")
        self.assertRegex(printed, r"waits: attempt 2 of 5 failed; next try in \d+ s")
        self.tell(group, topic, 0, "done", id=ids[0], took=12)
        self.assertEqual(self.states(ids[0])[group]["state"], "done")

    def test_hostile_names_do_nothing(self):
        topic, id_ = self.topic("hostile"), uuid.uuid4().hex
        bad = "\x1b[2J\u202e\n<script>"
        self.publish(topic, id_, "type" + bad, key=bad, source="/s" + bad)
        self.assertEqual(self.why(id_)["events"][0]["key"], bad)
        printed, _ = World.server.run("why", id_, "--colour", "never")
        self.assertTrue(all(letter >= " " and letter != "\u202e" or letter == "\n" for letter in printed), printed)

    def test_a_kill_of_the_bus_changes_nothing(self):
        topic, id_ = self.topic("killed"), uuid.uuid4().hex
        self.publish(topic, id_)
        self.commit("g-" + topic, topic, 1)
        before = self.states(id_)
        World.server.kill()
        World.server.listen = World.server.address
        World.server.start()
        self.assertEqual(self.states(id_), before)


class Lanes(Case):
    """A service with key lanes, whose events say what becomes of them."""

    def setUp(self):
        self.source = self.topic("lanes")
        self.group = "g-" + self.source
        self.gate = os.path.join(World.directory.name, self.source)
        self.effects = open(self.gate + ".effects", "wb")  # pylint: disable=consider-using-with
        self.log = open(self.gate + ".log", "wb")  # pylint: disable=consider-using-with
        self.service = None

    def tearDown(self):
        if self.service:
            self.service.terminate()
            self.service.wait(60)
        self.effects.close()
        self.log.close()

    def begin(self, attempts):
        self.service = subprocess.Popen([LANE_SERVICE, World.server.address, self.group, self.source,
                                         self.gate + ".effects", str(attempts)], stderr=self.log)

    def open_gate(self):
        with open(self.gate, "wb"):
            pass

    def test_waiting_behind_dead_and_redriven(self):
        self.begin(2)
        ids = {name: f"{name}-{self.source}" for name in ("poison", "after", "other", "fails")}
        self.publish(self.source, ids["other"], key="other", value="ok")
        self.publish(self.source, ids["poison"], key="a", value="closed " + self.gate)
        self.publish(self.source, ids["after"], key="a", value="ok")
        dead = self.wait_state(self.group, "dead", ids["poison"])
        self.assertEqual(dead["evidence"], "recorded")
        self.assertIn("offset", dead["dead_letter"])
        self.wait_state(self.group, "passed", ids["other"])
        behind = self.wait_state(self.group, "behind", ids["after"])
        self.assertEqual(behind["behind"], 1)
        self.open_gate()
        World.server.run("deadletter", "redrive", self.group, "--all")
        redriven = self.wait_state(self.group, "redriven", ids["poison"])
        self.assertEqual(redriven["evidence"], "told")

        def is_over():
            return self.states(ids["after"])[self.group]["state"] in ENDED
        wait_for(is_over, "what stood behind it goes on")


class Find(Case):
    def test_events_are_found_by_headers_and_conditions(self):
        topic = self.topic("found")
        for i in range(20):
            self.publish(topic, f"{topic}-{i}", "even" if i % 2 == 0 else "odd", value=json.dumps({"n": i}))
        out, _ = World.server.run("find", "type = odd and data.n > 10", "--topic", topic, "--json")
        found = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([json.loads(event["value"])["n"] for event in found], [11, 13, 15, 17, 19])
        out, _ = World.server.run("find", "--header", f"ce_id={topic}-7", "--json")
        self.assertEqual(json.loads(out)["offset"], 7)
        out, said = World.server.run("find", "--type", "odd", "--topic", topic, "--max", "3", "--json")
        self.assertEqual(len(out.splitlines()), 3)
        self.assertIn("stopped", said)
        World.server.run("find", "--topic", topic, code=2)
        World.server.run("find", "type = odd", "--topic", "no-" + topic, code=4)
        World.server.run("find", "nonsense =", "--topic", topic, code=2)


class Store(unittest.TestCase):
    """The online store of examples/store: five services in C, of which each listens to some others."""

    def setUp(self):
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
        import test_saga  # pylint: disable=import-outside-toplevel
        self.saga = test_saga.Saga("test_each_end_of_an_order")
        self.saga.setUp()
        self.addCleanup(self.saga.doCleanups)

    def test_one_order_shows_every_hop(self):
        self.saga.open_store()
        self.saga.place("A-1001", "4711", ("MUG", 3))
        address = self.saga.store.bus.address
        wanted = {"OrderPlaced": dict.fromkeys(("analytics", "email", "inventory", "shipping"), "passed"),
                  "StockReserved": {"analytics": "passed", "email": "filtered", "shipping": "passed"},
                  "ShipmentPrepared": {"analytics": "passed", "email": "passed"}}

        def look():
            """Until a service has told what it takes, an event that it leaves out is only passed."""
            out, _ = run("why", "A-1001.placed", "--json", address=address, code=None)
            events = json.loads(out)["events"] if out else []
            self.assertFalse([event for event in events if event["link"].get("evidence") == "inferred"])
            return {event["type"]: {group["group"]: group["state"] for group in event["groups"]}
                    for event in events} == wanted
        wait_for(look, "every hop of the order, and who has handled it")


class Random(Case):
    """Events that cause others, groups that commit somewhere; each answer is compared with the truth."""

    def make(self, count):
        rng = random.Random(SEED)
        run_ = uuid.uuid4().hex[:8]
        topics = [self.topic(f"random{i}") for i in range(5)]
        publisher = confluent_kafka.Producer({"bootstrap.servers": World.server.address, "linger.ms": 0})
        events = []
        for i in range(count):
            parent = rng.choice(events[-30:]) if events and rng.random() < 0.75 else None
            event = {"id": f"{run_}-{i}", "topic": rng.choice(topics), "parent": parent, "offset": None}
            event["root"] = parent["root"] if parent else event["id"]

            def on_delivery(error, message, event=event):
                self.assertIsNone(error)
                event["offset"] = message.offset()
            publisher.produce(event["topic"], b"{}", "k%d" % rng.randrange(5), headers=event_headers(
                event["id"], "random", cause=parent and parent["id"], correlation=event["root"]), callback=on_delivery)
            events.append(event)
        publisher.flush(120)
        note_published()
        commits = {}
        for group in (f"{run_}-{letter}" for letter in "abcde"):
            for topic in topics:
                end = sum(event["topic"] == topic for event in events)
                if end and rng.random() < 0.7:
                    commits[group, topic] = rng.randrange(end + 1)
                    self.commit(group, topic, commits[group, topic])
        return rng, events, commits

    def check(self, told, event, events, commits):
        family = {e["id"]: e for e in events if e["root"] == event["root"]}
        by_id = {e["id"]: e for e in told["events"]}
        self.assertEqual(set(by_id), set(family), "a hop is missing, or there is one too many")
        for id_, said in by_id.items():
            truth = family[id_]
            parent = told["events"][said["parent"]]["id"] if said["parent"] is not None else None
            self.assertEqual(parent, truth["parent"] and truth["parent"]["id"])
            self.assertEqual((said["topic"], said["offset"]), (truth["topic"], truth["offset"]))
            self.assertEqual({group["group"]: group["state"] for group in said["groups"]}, {
                group: "passed" if offset > truth["offset"] else "not-yet"
                for (group, topic), offset in commits.items() if topic == truth["topic"]})

    def test_no_answer_is_false(self):
        rng, events, commits = self.make(200 if QUESTIONS < 1000 else 2000)
        for _ in range(QUESTIONS):
            event = rng.choice(events)
            words = rng.choice(([event["id"]], ["--correlation", event["root"]],
                                [f"{event['topic']}/0/{event['offset']}"]))
            self.check(self.why(*words), event, events, commits)


if __name__ == "__main__":
    unittest.main()
