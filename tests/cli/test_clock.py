#!/usr/bin/python3
"""`tidings clock`: what comes with time comes when the clock of a bus for tests is moved, as clients see it.

    TIDINGS_BIN=build/tidings tests/cli/test_clock.py -v
"""
import json
import os
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
import confluent_kafka
import kafka

from harness.kafka import Client, batch, record
from harness.server import Server, WAIT_S, wait_for

HOUR_MS = 3600 * 1000


class Memory(Server):
    def __init__(self, *settings):
        super().__init__(None, *settings, listen=None, options=["--memory"])

    def advance(self, *words):
        return json.loads(self.run("clock", "--json", "--advance", *words)[0])


class ClockTest(unittest.TestCase):
    def bus(self, *settings):
        bus = Memory(*settings)
        self.addCleanup(bus.__exit__, None, None, None)
        return bus

    def consumer(self, bus, group, **settings):
        consumer = confluent_kafka.Consumer(dict(
            {"bootstrap.servers": bus.address, "group.id": group, "auto.offset.reset": "earliest",
             "enable.auto.commit": False}, **settings))
        self.addCleanup(consumer.close)
        return consumer

    def members(self, bus, group):
        return json.loads(bus.run("group", "describe", group, "--json")[0])[0]["members"]

    def begin(self, bus, topic):
        return json.loads(bus.run("topic", "describe", topic, "--json")[0])[0]["partitions"][0]["start_offset"]

    def test_it_is_the_machines_until_it_is_moved_and_goes_on_then(self):
        bus = self.bus()
        first = json.loads(bus.run("clock", "--json")[0])
        self.assertEqual((first["ahead_ms"], first["timers_ahead_ms"]), (0, 0))
        self.assertLess(abs(first["now_ms"] / 1000 - time.time()), WAIT_S)
        moved = bus.advance("2h")
        self.assertEqual((moved["ahead_ms"], moved["timers_ahead_ms"], moved["done"]),
                         (2 * HOUR_MS, 2 * HOUR_MS, True))
        self.assertGreaterEqual(moved["now_ms"], first["now_ms"] + 2 * HOUR_MS)
        moved = bus.advance("1h", "--keep-sessions")
        self.assertEqual((moved["ahead_ms"], moved["timers_ahead_ms"]), (3 * HOUR_MS, 2 * HOUR_MS))
        self.assertRegex(bus.run("clock")[0],
                         r"^\S+Z, 3h ahead of this machine \(sessions and transactions 2h\)\n$")
        wait_for(lambda: json.loads(bus.run("clock", "--json")[0])["now_ms"] > moved["now_ms"], "it goes on")

    def test_a_member_that_says_nothing_is_out(self):
        bus = self.bus()
        client = Client(bus.port)
        protocols = [{"name": "range", "metadata": b""}]
        joined = client.ask("join_group", 3, group_id="g", session_timeout_ms=300000, protocol_type="consumer",
                            rebalance_timeout_ms=60000, member_id="", protocols=protocols)
        client.ask("sync_group", 1, group_id="g", generation_id=1, member_id=joined["member_id"],
                   assignments=[{"member_id": joined["member_id"], "assignment": b""}])
        beat = {"group_id": "g", "generation_id": 1, "member_id": joined["member_id"]}
        bus.advance("3m")  # the other two are for what this machine takes to say so
        self.assertEqual(client.ask("heartbeat", 1, **beat)["error_code"], 0)
        bus.advance("3m")  # from that heartbeat on
        self.assertEqual(client.ask("heartbeat", 1, **beat)["error_code"], 0)
        bus.advance("1d", "--keep-sessions")
        self.assertEqual(client.ask("heartbeat", 1, **beat)["error_code"], 0)
        bus.advance("301s")
        self.assertEqual(client.ask("heartbeat", 1, **beat)["error_code"], 25)  # UNKNOWN_MEMBER_ID
        client.close()

    def test_consumers_are_thrown_out_and_come_back(self):
        bus = self.bus()
        bus.run("publish", "t", "--create", "one")
        events = []
        consumer = self.consumer(bus, "g", **{"session.timeout.ms": 30000, "heartbeat.interval.ms": 200})
        consumer.subscribe(["t"], on_assign=lambda _, parts: events.append("assigned"),
                           on_revoke=lambda _, parts: events.append("revoked"),
                           on_lost=lambda _, parts: events.append("lost"))
        wait_for(lambda: consumer.poll(0.05) and events == ["assigned"], "assigned")
        bus.advance("31s")
        wait_for(lambda: consumer.poll(0.05) or events[-2:] == ["lost", "assigned"], "lost, and back again")
        self.assertEqual(events, ["assigned", "lost", "assigned"])

    def test_another_member_takes_over(self):
        """kafka-python beside confluent-kafka: one stops polling for good, as a hung service does."""
        bus = self.bus()
        bus.run("topic", "create", "t", "--partitions", "2")
        client = Client(bus.port)  # hangs: it joins and says nothing more
        metadata = b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"
        client.ask("join_group", 3, group_id="g", session_timeout_ms=60000, protocol_type="consumer",
                   rebalance_timeout_ms=60000, member_id="", protocols=[{"name": "range", "metadata": metadata}])
        other = kafka.KafkaConsumer("t", bootstrap_servers=bus.address, group_id="g",
                                    session_timeout_ms=30000, heartbeat_interval_ms=200)
        self.addCleanup(other.close)
        polls = threading.Thread(target=lambda: wait_for(
            lambda: other.poll(50) is not None and len(other.assignment()) == 2, "both partitions"))
        polls.start()
        wait_for(lambda: len(self.members(bus, "g")) == 2, "both in the group")
        bus.advance("61s")
        polls.join(WAIT_S)
        self.assertEqual(len(other.assignment()), 2)
        client.close()

    def test_retention(self):
        bus = self.bus()
        bus.run("topic", "create", "t", "--config", "retention.ms=1h")
        bus.run("publish", "t", "one", "two")
        bus.advance("59m")
        self.assertEqual(self.begin(bus, "t"), 0)
        bus.advance("2m", "--keep-sessions")
        self.assertEqual(self.begin(bus, "t"), 2)
        self.assertEqual(bus.run("subscribe", "t", "--until-end", "--value-only")[0], "")

    def test_what_the_bus_stamps_carries_its_time(self):
        bus = self.bus()
        bus.run("topic", "create", "t", "--config", "message.timestamp.type=LogAppendTime")
        now_ms = bus.advance("30d")["now_ms"]
        producer = confluent_kafka.Producer({"bootstrap.servers": bus.address})
        stamps = []
        producer.produce("t", b"one", on_delivery=lambda error, message: stamps.append(message.timestamp()))
        producer.flush(WAIT_S)
        self.assertEqual(stamps[0][0], confluent_kafka.TIMESTAMP_LOG_APPEND_TIME)
        self.assertGreaterEqual(stamps[0][1], now_ms)

    def test_a_transaction_that_takes_too_long_is_aborted(self):
        bus = self.bus()
        bus.run("topic", "create", "t")
        producer = confluent_kafka.Producer({"bootstrap.servers": bus.address, "transactional.id": "tx",
                                             "transaction.timeout.ms": 600000})
        producer.init_transactions(WAIT_S)
        producer.begin_transaction()
        producer.produce("t", b"never")
        producer.flush(WAIT_S)
        bus.run("publish", "t", "behind it")
        bus.advance("1d", "--keep-sessions")
        reader = self.consumer(bus, "r", **{"isolation.level": "read_committed"})
        reader.assign([confluent_kafka.TopicPartition("t", 0, 0)])
        stable = Client(bus.port)
        listed = {"replica_id": -1, "isolation_level": 1, "topics": [
            {"name": "t", "partitions": [{"partition_index": 0, "timestamp": -1}]}]}
        last_stable = lambda: stable.ask("list_offsets", 2, **listed)["topics"][0]["partitions"][0]["offset"]
        self.assertEqual(last_stable(), 0)  # it is open
        bus.advance("11m")
        self.assertEqual(last_stable(), 3)  # its marker was there when the command ended
        stable.close()
        self.assertEqual(wait_for(lambda: reader.poll(0.05), "what stands behind it").value(), b"behind it")
        with self.assertRaises(confluent_kafka.KafkaException) as fenced:
            producer.commit_transaction(WAIT_S)
        self.assertTrue(fenced.exception.args[0].fatal() or fenced.exception.args[0].txn_requires_abort())

    def test_offsets_of_an_empty_group_are_forgotten(self):
        bus = self.bus("offsets.retention.minutes=1440")
        bus.run("publish", "t", "--create", "one")
        reader = self.consumer(bus, "g")
        part = confluent_kafka.TopicPartition("t", 0, 1)
        reader.commit(offsets=[part], asynchronous=False)
        bus.advance("23h")
        self.assertEqual(reader.committed([part], WAIT_S)[0].offset, 1)
        bus.advance("2h", "--keep-sessions")
        self.assertEqual(reader.committed([part], WAIT_S)[0].offset, confluent_kafka.OFFSET_INVALID)

    def test_compaction_that_has_to_wait_begins(self):
        bus = self.bus("log.cleaner.backoff.ms=1h")
        bus.run("topic", "create", "t", "--config", "cleanup.policy=compact", "--config",
                "min.compaction.lag.ms=1h", "--config", "segment.bytes=1024", "--config",
                "min.cleanable.dirty.ratio=0.01")
        client = Client(bus.port)
        for i in range(20):
            client.produce("t", batch([record(b"%d" % i + bytes(200), key=b"k")]))
        client.close()
        read = lambda: bus.run("subscribe", "t", "--until-end", "--value-only")[0].split("\n")[:-1]
        self.assertEqual(len(read()), 20)
        bus.advance("2h")
        wait_for(lambda: len(read()) < 10, "compacted")

    def test_a_usual_server_refuses(self):
        with tempfile.TemporaryDirectory(prefix="tidings-clock-") as folder:
            data = os.path.join(folder, "data")
            with Server(data) as bus:
                for words in ([], ["--advance", "1h"], ["--data", data]):
                    said = bus.run("clock", *words, code=1)[1]
                    self.assertIn("its clock is the machine's and cannot be moved", said)
                    self.assertIn("--test-clock", said)
            with Server(data, options=["--test-clock"]) as bus:
                self.assertIn(", 1h ahead", bus.run("clock", "--advance", "1h")[0])
                self.assertEqual(len(bus.log_lines("msg=\"the clock was moved forward\" ms=3600000")), 1)
            with Server(data) as bus:  # what was in the future is there
                bus.run("clock", code=1)
            bus.run("clock", "--data", data, code=3)
            bus.run("clock", "--data", os.path.join(folder, "none"), code=4)

    def test_command_lines_that_are_wrong(self):
        bus = self.bus()
        for words in (["2h"], ["--keep-sessions"], ["--advance", "-1h"], ["--advance", "soon"],
                      ["--advance", "40000d"]):
            bus.run("clock", *words, code=2)
        bus.advance("36500d", "--keep-sessions")
        self.assertIn("more than 100 years ahead", bus.run("clock", "--advance", "1d", code=1)[1])

    def test_odd_requests_at_the_control_socket(self):
        import socket
        bus = self.bus()
        data = bus.ready.split(" data=")[1].split(" ")[0]
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(os.path.join(data, "control"))
            lines = control.makefile("rw")
            for text in ("clock {", "clock []", "clock {}", 'clock {"advance_ms": "1"}', "clock {\"advance_ms\": -1}",
                         'clock {"advance_ms": 9223372036854775807}', "clocks", "clock\t{}"):
                lines.write(text + "\n")
                lines.flush()
                self.assertIs(json.loads(lines.readline())["ok"], False, text)
            lines.write("clock\n")
            lines.flush()
            self.assertEqual(json.loads(lines.readline())["ahead_ms"], 0)


if __name__ == "__main__":
    unittest.main()
