#!/usr/bin/python3
"""`tidings chaos`: each fault as clients see it, in the list, and in the server's log.

    TIDINGS_BIN=build/tidings tests/cli/test_chaos.py -v
"""
import json
import os
import re
import socket
import sys
import tempfile
import textwrap
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
import confluent_kafka
import kafka

from harness.kafka import Client, Closed, commit_of, good_batch
from harness.server import ROOT, Server, WAIT_S, wait_for

PARTS = [{"partition_index": 0, "timestamp": -1}]
PROTOCOLS = [{"name": "range", "metadata": b""}]


def error_codes(answer):
    """All of them, wherever they stand in an answer."""
    if isinstance(answer, dict):
        own = [answer[name] for name in ("error_code", "partition_error_code") if name in answer]
        return own + [code for value in answer.values() for code in error_codes(value)]
    if isinstance(answer, list):
        return [code for value in answer for code in error_codes(value)]
    return []


class ChaosTest(unittest.TestCase):
    def setUp(self):
        self.bus = Server(None, listen=None, options=["--memory", "--set", "auto.create.topics.enable=false"])
        self.addCleanup(self.bus.__exit__, None, None, None)
        self.bus.run("topic", "create", "t", "u")

    def chaos(self, *words):
        """Makes a fault; its id."""
        return json.loads(self.bus.run("chaos", *words, "--json")[0])["id"]

    def fault(self, number):
        return next(f for f in json.loads(self.bus.run("chaos", "list", "--json")[0]) if f["id"] == number)

    def struck(self, number):
        return self.fault(number)["struck"]

    def clear(self):
        self.bus.run("chaos", "clear")

    def client(self, name="test"):
        client = Client(self.bus.port, name=name)
        self.addCleanup(client.close)
        return client

    def producer(self, **settings):
        return confluent_kafka.Producer({"bootstrap.servers": self.bus.address, "retry.backoff.ms": 20,
                                         "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
                                         **{name.replace("_", "."): value for name, value in settings.items()}})

    def publish(self, producer, topic="t", value=b"x"):
        """What it comes to: None, or the error."""
        outcomes = []
        producer.produce(topic, value, on_delivery=lambda error, _: outcomes.append(error))
        producer.flush(WAIT_S)
        return outcomes[0]

    def consumer(self, group, *topics, events=None, **settings):
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.bus.address, "group.id": group, "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": 100, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
            **{name.replace("_", "."): value for name, value in settings.items()}})
        self.addCleanup(consumer.close)
        events = events if events is not None else []
        consumer.subscribe(list(topics), on_assign=lambda *_: events.append("assigned"),
                           on_revoke=lambda *_: events.append("revoked"), on_lost=lambda *_: events.append("lost"))
        return consumer

    def next(self, consumer):
        return wait_for(lambda: consumer.poll(0.05), "an event").value()

    # -- error --

    def test_a_producer_gets_over_errors_that_pass(self):
        number = self.chaos("error", "produce", "NOT_ENOUGH_REPLICAS", "--topic", "t", "--count", "3")
        producer = self.producer()
        self.assertIsNone(self.publish(producer, "u"))
        self.assertEqual(self.struck(number), 0)
        self.assertIsNone(self.publish(producer))
        fault = self.fault(number)
        self.assertEqual((fault["struck"], fault["seen"], fault["active"], fault["ended_by"]), (3, 3, False, "count"))
        self.assertEqual(len(self.bus.log_lines(f'msg="a fault on request struck" id={number} fault=error api=Produce')), 3)
        self.assertEqual(self.client().end("t"), 1)

    def test_a_producer_is_told_errors_that_do_not_pass(self):
        self.chaos("error", "produce", "message-too-large", "--count", "1")
        error = self.publish(self.producer())
        self.assertEqual(error.code(), confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE)
        self.assertEqual(self.client().end("t"), 0)

    def test_kafka_python_is_told_as_well(self):
        self.chaos("error", "produce", "TOPIC_AUTHORIZATION_FAILED", "-n", "1")
        producer = kafka.KafkaProducer(bootstrap_servers=self.bus.address, retries=0)
        self.addCleanup(producer.close)
        with self.assertRaises(kafka.errors.TopicAuthorizationFailedError):
            producer.send("t", b"x").get(WAIT_S)
        producer.send("t", b"y").get(WAIT_S)

    def test_after_and_chance(self):
        self.chaos("error", "produce", "10", "--after", "2", "-n", "1")
        client = self.client()
        self.assertEqual([client.produce("t", good_batch())[0] for _ in range(4)], [0, 0, 10, 0])
        rows = []
        for _ in range(2):
            number = self.chaos("error", "produce", "10", "--chance", "50%", "--seed", "3")
            rows.append([client.produce("t", good_batch())[0] for _ in range(20)])
            self.assertEqual(self.struck(number), rows[-1].count(10))
            self.clear()
        self.assertEqual(rows[0], rows[1])
        self.assertIn(0, rows[0])
        self.assertIn(10, rows[0])

    def test_each_api_names_what_it_is_about(self):
        """Raw requests: of another topic or group they are let through, of this one they are struck."""
        topic = lambda name: {"topics": [{"name": name, "partitions": PARTS}]}
        group = lambda name: {"group_id": name, "member_id": "m", "generation_id": 1}
        txn = lambda name: {"transactional_id": name, "producer_id": 1, "producer_epoch": 0}
        parts = lambda name: [{"name": name, "partitions": [0]}]
        cases = [
            ("--topic", "list_offsets", 4, topic),
            ("--topic", "metadata", 1, lambda name: {"topics": [{"name": name}]}),
            ("--topic", "metadata", 12, lambda name: {"topics": [{"name": name}]}),
            ("--topic", "fetch", 4, lambda name: Client.fetch_fields(name, 0, 1000, 0)),
            ("--topic", "offset_commit", 2, lambda name: commit_of("g", name, 0)),
            ("--group", "offset_commit", 2, lambda name: commit_of(name, "t", 0)),
            ("--group", "offset_fetch", 5, lambda name: {"group_id": name, "topics": None}),
            ("--group", "offset_fetch", 8, lambda name: {"groups": [{"group_id": name, "topics": None}]}),
            ("--topic", "offset_fetch", 5, lambda name: {
                "group_id": "g", "topics": [{"name": name, "partition_indexes": [0]}]}),
            ("--topic", "offset_fetch", 8, lambda name: {"groups": [
                {"group_id": "g", "topics": [{"name": name, "partition_indexes": [0]}]}]}),
            ("--group", "find_coordinator", 1, lambda name: {"key": name, "key_type": 0}),
            ("--group", "find_coordinator", 4, lambda name: {"coordinator_keys": [name], "key_type": 0}),
            ("--transactional-id", "find_coordinator", 4, lambda name: {"coordinator_keys": [name], "key_type": 1}),
            ("--group", "join_group", 3, lambda name: {
                "group_id": name, "session_timeout_ms": 10000, "rebalance_timeout_ms": 10000, "member_id": "m",
                "protocol_type": "consumer", "protocols": PROTOCOLS}),
            ("--group", "sync_group", 1, lambda name: dict(group(name), assignments=[])),
            ("--group", "heartbeat", 1, group),
            ("--group", "leave_group", 3, lambda name: {"group_id": name, "members": [{"member_id": "m"}]}),
            ("--group", "consumer_group_heartbeat", 0, lambda name: {
                "group_id": name, "member_id": "m", "member_epoch": 5}),
            ("--transactional-id", "init_producer_id", 1, lambda name: {
                "transactional_id": name, "transaction_timeout_ms": 1000}),
            ("--transactional-id", "add_partitions_to_txn", 1, lambda name: {
                "v3_and_below_transactional_id": name, "v3_and_below_producer_id": 1,
                "v3_and_below_producer_epoch": 0, "v3_and_below_topics": parts("t")}),
            ("--topic", "add_partitions_to_txn", 1, lambda name: {
                "v3_and_below_transactional_id": "x", "v3_and_below_producer_id": 1,
                "v3_and_below_producer_epoch": 0, "v3_and_below_topics": parts(name)}),
            ("--transactional-id", "add_offsets_to_txn", 1, lambda name: dict(txn(name), group_id="g")),
            ("--group", "add_offsets_to_txn", 1, lambda name: dict(txn("x"), group_id=name)),
            ("--transactional-id", "end_txn", 1, lambda name: dict(txn(name), committed=True)),
            ("--group", "txn_offset_commit", 2, lambda name: dict(txn("x"), group_id=name, topics=[
                {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 0, "committed_metadata": ""}]}])),
            ("--topic", "create_topics", 4, lambda name: {"timeout_ms": 1000, "validate_only": True, "topics": [
                {"name": name, "num_partitions": 1, "replication_factor": 1}]}),
            ("--topic", "delete_topics", 3, lambda name: {"topic_names": [name + "-none"], "timeout_ms": 1000}),
            ("--topic", "delete_topics", 6, lambda name: {"topics": [{"name": name + "-none"}], "timeout_ms": 1000}),
            ("--topic", "delete_records", 1, lambda name: {"timeout_ms": 1000, "topics": [
                {"name": name, "partitions": [{"partition_index": 0, "offset": 0}]}]}),
        ]
        client = self.client()
        for scope, api, version, fields in cases:
            with self.subTest(api=api, version=version, scope=scope):
                number = self.chaos("error", api, "POLICY_VIOLATION", scope, "mine*", "--count", "1")
                self.assertNotIn(44, error_codes(client.ask(api, version, **fields("another"))))
                self.assertEqual(self.fault(number)["seen"], 0)
                self.assertIn(44, error_codes(client.ask(api, version, **fields("mine"))))
                self.assertEqual(self.struck(number), 1)

    def test_a_topic_is_known_by_its_id_too(self):
        client = self.client()
        asked = client.ask("metadata", 10, topics=[{"name": "t"}])["topics"][0]["topic_id"]
        fields = Client.fetch_fields("t", 0, 1000, 0)
        fields["topics"][0]["topic_id"] = asked
        number = self.chaos("error", "fetch", "6", "--topic", "t", "-n", "1")
        self.assertIn(6, error_codes(client.ask("fetch", 13, **fields)))
        self.assertEqual(self.struck(number), 1)

    def test_who_wants_no_answer_is_cut_off(self):
        self.chaos("error", "produce", "NOT_ENOUGH_REPLICAS", "-n", "1")
        client = self.client()
        client.send(client.produce_frame("t", good_batch(), acks=0))
        client.ends()
        self.assertEqual(self.client().end("t"), 0)

    # -- delay, drop, lose --

    def test_delayed_answers(self):
        number = self.chaos("delay", "300ms", "metadata", "produce", "--client", "slow*")
        slow, fast = self.client("slow-1"), self.client("fast")
        began = time.monotonic()
        slow.request("metadata", 1, topics=[])
        fast.ask("metadata", 1, topics=[])
        slow.answer("metadata", 1)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        began = time.monotonic()
        self.assertEqual(slow.produce("t", good_batch())[0], 0)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual(self.struck(number), 2)

    def test_a_client_without_a_network(self):
        number = self.chaos("drop", "--client", "checkout")
        mine, other = self.producer(client_id="checkout"), self.producer(client_id="other")
        outcomes = []
        mine.produce("t", b"late", on_delivery=lambda error, _: outcomes.append(error))
        self.assertIsNone(self.publish(other))
        wait_for(lambda: mine.poll(0.05) or self.struck(number) >= 2, "it tries again")
        self.assertEqual(outcomes, [])
        self.clear()
        mine.flush(WAIT_S)
        self.assertEqual(outcomes, [None])

    def test_what_is_lost_after_the_act_is_done_twice_without_idempotence(self):
        for idempotent, expected in ((False, 2), (True, 3)):
            number = self.chaos("lose", "--topic", "t", "--count", "1")
            self.assertIsNone(self.publish(self.producer(enable_idempotence=idempotent)))
            self.assertEqual(self.struck(number), 1)
            self.assertEqual(self.client().end("t"), expected)

    def test_a_lost_commit_was_done(self):
        number = self.chaos("lose", "offset-commit", "--group", "g", "-n", "1")
        client = self.client()
        with self.assertRaises(Closed):
            client.commit("g", "t", 7)
        self.assertEqual(self.struck(number), 1)
        consumer = self.consumer("g", "t")
        self.assertEqual(consumer.committed([confluent_kafka.TopicPartition("t", 0)], WAIT_S)[0].offset, 7)

    def test_a_fetch_and_one_without_an_answer_are_lost(self):
        self.bus.run("publish", "t", "one")
        self.chaos("lose", "fetch", "-n", "1")
        client = self.client()
        with self.assertRaises(Closed):
            client.fetch("t", 0)
        self.chaos("lose", "-n", "1")
        client = self.client()
        client.send(client.produce_frame("t", good_batch(), acks=0))
        client.ends()
        self.assertEqual(self.client().end("t"), 2)

    # -- pause, full --

    def test_a_topic_that_is_paused(self):
        consumer = self.consumer("g", "t", "u")
        number = self.chaos("pause", "--topic", "t")
        self.bus.run("publish", "t", "waits")
        self.bus.run("publish", "u", "comes")
        self.assertEqual(self.next(consumer), b"comes")
        wait_for(lambda: consumer.poll(0.05) or self.struck(number) >= 3, "it asks again")
        self.assertEqual(len(self.bus.log_lines(f'msg="a fault on request struck" id={number} ')), 1)
        self.clear()
        self.assertEqual(self.next(consumer), b"waits")

    def test_a_group_that_is_paused(self):
        mine = self.consumer("mine", "t", client_id="mine-1")
        other = self.consumer("other", "t", client_id="other-1")
        self.bus.run("publish", "t", "one")
        self.assertEqual((self.next(mine), self.next(other)), (b"one", b"one"))
        number = self.chaos("pause", "--group", "mine")
        wait_for(lambda: mine.poll(0.02) or self.struck(number) > 0, "its fetches are struck")
        self.bus.run("publish", "t", "two")
        self.assertEqual(self.next(other), b"two")
        self.assertIsNone(mine.poll(0.05))
        self.clear()
        self.assertEqual(self.next(mine), b"two")

    def test_a_full_disk(self):
        number = self.chaos("full", "--topic", "t", "--count", "2")
        client = self.client()
        self.assertEqual(client.produce("t", good_batch())[0], 56)  # KAFKA_STORAGE_ERROR
        self.assertEqual((client.commit("g", "t", 1), client.produce("u", good_batch())[0]), (0, 0))
        self.assertIsNone(self.publish(self.producer()))  # which tries again
        self.assertEqual(self.struck(number), 2)

    # -- what is done to groups and producers --

    def test_members_that_are_thrown_out_come_back(self):
        events = []
        consumer = self.consumer("g", "t", events=events, client_id="mine")
        wait_for(lambda: consumer.poll(0.05) or events == ["assigned"], "assigned")
        self.bus.run("chaos", "expire", "g", "--client", "other", code=1)
        number = self.chaos("expire", "g", "--client", "mi*")
        self.assertEqual((self.struck(number), self.fault(number)["ended_by"]), (1, "done"))
        wait_for(lambda: consumer.poll(0.05) or events[1:] == ["lost", "assigned"], "lost, and assigned again")

    def test_kafka_python_joins_again_when_its_group_is_rebalanced(self):
        seen = []

        class Listener(kafka.ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                seen.append(("revoked", len(revoked)))

            def on_partitions_assigned(self, assigned):
                seen.append(("assigned", len(assigned)))

        consumer = kafka.KafkaConsumer(bootstrap_servers=self.bus.address, group_id="g", heartbeat_interval_ms=100)
        self.addCleanup(consumer.close)
        consumer.subscribe(["t", "u"], listener=Listener())
        polls = lambda: consumer.poll(50) or True
        wait_for(lambda: polls() and seen[-1:] == [("assigned", 2)], "assigned")
        generation = consumer._coordinator._generation.generation_id  # pylint: disable=protected-access
        self.chaos("rebalance", "g")
        wait_for(lambda: polls() and seen[-2:] == [("revoked", 2), ("assigned", 2)] and len(seen) > 2, "assigned again")
        self.assertGreater(consumer._coordinator._generation.generation_id, generation)  # pylint: disable=protected-access
        group = json.loads(self.bus.run("group", "describe", "g", "--json")[0])[0]
        self.assertEqual(len(group["members"]), 1)  # nobody who passed by is left

    def test_members_of_the_consumer_protocol(self):
        client = self.client()
        beat = lambda **fields: client.ask("consumer_group_heartbeat", 0, group_id="g", **fields)
        joined = beat(member_id="m1", member_epoch=0, rebalance_timeout_ms=10000, subscribed_topic_names=["t"],
                      topic_partitions=[])
        self.assertEqual(joined["error_code"], 0)
        epoch = joined["member_epoch"]
        self.chaos("rebalance", "g")
        again = wait_for(lambda: (a := beat(member_id="m1", member_epoch=epoch))["member_epoch"] > epoch and a, "a new epoch")
        self.chaos("expire", "g")
        self.assertEqual(beat(member_id="m1", member_epoch=again["member_epoch"])["error_code"], 25)

    def test_a_producer_that_is_fenced(self):
        producer = self.producer(transactional_id="billing-1")
        producer.init_transactions(WAIT_S)
        producer.begin_transaction()
        self.assertIsNone(self.publish(producer, value=b"never"))
        self.chaos("fence", "billing-1")
        with self.assertRaises(confluent_kafka.KafkaException) as caught:
            producer.commit_transaction(WAIT_S)
        self.assertEqual(caught.exception.args[0].code(), confluent_kafka.KafkaError._FENCED)
        self.bus.run("publish", "t", "behind it")
        reader = self.consumer("g", "t", isolation_level="read_committed")
        self.assertEqual(self.next(reader), b"behind it")

    # -- how they end, and who may --

    def test_they_end_by_time_which_can_be_moved(self):
        number = self.chaos("drop", "--client", "mine", "--for", "1h")
        self.bus.run("clock", "--advance", "59m")
        self.assertTrue(self.fault(number)["active"])
        self.bus.run("clock", "--advance", "1m")
        self.assertEqual(self.fault(number)["ended_by"], "time")
        self.client("mine").api_versions()
        self.assertEqual(self.client("mine").produce("t", good_batch())[0], 0)

    def test_they_can_always_be_ended(self):
        self.chaos("drop")
        self.chaos("error", "api-versions,metadata,describe-configs", "POLICY_VIOLATION")
        listed = json.loads(self.bus.run("chaos", "list", "--json", "--active")[0])
        self.assertEqual([fault["fault"] for fault in listed], ["drop", "error"])
        self.assertEqual(self.bus.run("chaos", "clear", "1")[0], "1 fault ended\n")
        self.bus.run("chaos", "clear", "1", code=4)
        self.assertEqual(self.bus.run("chaos", "clear")[0], "1 fault ended\n")
        self.assertEqual(self.bus.run("chaos", "list", "--active")[0], "no faults\n")
        self.assertEqual(self.client().produce("t", good_batch())[0], 0)

    def test_a_stop_does_not_wait_for_delayed_answers(self):
        self.chaos("delay", "1h")
        client = self.client()
        client.request("metadata", 1, topics=[])
        wait_for(lambda: self.struck(1) == 1, "it is there")
        self.assertEqual(self.bus.stop(), 0)
        client.answer("metadata", 1)

    def test_many_clients_at_once(self):
        number = self.chaos("error", "produce", "NOT_ENOUGH_REPLICAS", "--count", "40")
        threads = [threading.Thread(target=lambda: self.assertIsNone(self.publish(self.producer())))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            self.chaos("drop", "produce", "--count", "1")
        for thread in threads:
            thread.join()
        self.clear()
        self.assertEqual(self.struck(number), 40)
        self.assertEqual(self.client().end("t"), 8)

    def test_a_usual_server_refuses(self):
        with tempfile.TemporaryDirectory(prefix="tidings-chaos-") as folder:
            data = os.path.join(folder, "data")
            with Server(data) as bus:
                for words in (["list"], ["drop"], ["clear"], ["list", "--data", data]):
                    said = bus.run("chaos", *words, code=1)[1]
                    self.assertIn("it makes no faults: only a server for tests does", said)
                    self.assertIn("--allow-chaos", said)
            with Server(data, options=["--allow-chaos"]) as bus:
                bus.run("chaos", "full", "--count", "1")
                self.assertEqual(len(bus.log_lines('level=warn room=broker msg="a fault on request was made" id=1 fault=full')), 1)
                bus.run("clock", code=1)  # which is another matter

    def test_command_lines_that_are_wrong(self):
        for words in (["error"], ["error", "produce"], ["delay"], ["delay", "soon"], ["pause", "t"], ["full", "t"],
                      ["expire"], ["fence"], ["rebalance", "a", "b"], ["drop", "--count", "0"], ["drop", "--chance", "2"],
                      ["drop", "--chance", "some"], ["expire", "g", "--topic", "t"], ["clear", "x"], ["list", "x"], ["nothing"]):
            self.bus.run("chaos", *words, code=2)
        for words, said in ((["error", "prod", "6"], "no API 'prod'"), (["drop", "nothing"], "no API 'nothing'"),
                            (["error", "produce", "BAD"], "Kafka's errors"), (["pause"], "takes a topic, a group or a client"),
                            (["expire", "none"], "no group 'none'"), (["rebalance", "none"], "no group 'none'"),
                            (["fence", "none"], "no transactional id 'none'"), (["drop", "--topic", "x" * 256], "1 to 255 bytes")):
            self.assertIn(said, self.bus.run("chaos", *words, code=1)[1])
        self.assertEqual(self.bus.run("chaos", "list")[0], "no faults\n")

    def test_odd_requests_at_the_control_socket(self):
        data = self.bus.ready.split(" data=")[1].split(" ")[0]
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(os.path.join(data, "control"))
            lines = control.makefile("rw", errors="surrogateescape")
            for text in ("chaos {", "chaos []", "chaos 1", "chaos {}", 'chaos {"add": 1}', 'chaos {"add": []}',
                         'chaos {"add": {"fault": "drop", "topic": ["t"]}}', 'chaos {"clear": 1}', 'chaos {"clear": "some"}',
                         'chaos {"add": {"fault": "error", "apis": ["' + "é" * 100 + '"], "error": 1}}',
                         'chaos {"add": {"fault": "drop", "' + "é" * 100 + '": 1}}', "chaos \udcff", "chaosx"):
                lines.write(text + "\n")
                lines.flush()
                self.assertIs(json.loads(lines.readline())["ok"], False, text)
            lines.write('chaos {"clear": [1, "x", null, -5]}\n')
            lines.flush()
            self.assertEqual(json.loads(lines.readline())["cleared"], 0)

    def test_the_example_of_the_manual(self):
        with open(os.path.join(ROOT, "docs", "testing.md"), encoding="utf-8") as file:
            block = re.search(r"^    def ask\(.*?(?=^\S)", file.read(), re.M | re.S)[0]
        place = {"json": json, "socket": socket, "data": self.bus.ready.split(" data=")[1].split(" ")[0]}
        exec(textwrap.dedent(block), place)  # pylint: disable=exec-used
        self.assertEqual(place["ask"](place["data"], "clock", advance_ms=0)["ahead_ms"], 45000)
        self.assertEqual((self.fault(1)["fault"], self.fault(1)["ended_by"]), ("lose", "cleared"))

    def test_foreign_names_are_printed_safely(self):
        self.chaos("drop", "--topic", "\x1b[2J\n*", "--client", "é€")
        shown = self.bus.run("chaos", "list")[0]
        self.assertNotIn("\x1b", shown)
        self.assertEqual(shown.count("\n"), 2)
        self.assertNotIn("\x1b", self.bus.log())


if __name__ == "__main__":
    unittest.main()
