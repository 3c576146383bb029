"""Clients that want all of the server's time. Run by test_badinput.py.

Nothing here measures time: another client's request has its answer while most of the attack is not answered yet.
"""
import select
import shutil
import tempfile
import unittest
import zlib

from harness import codec, kafka
from harness.kafka import Client, batch, good_batch, record
from harness.server import Server

MIB = 1 << 20
PARTITIONS = 16
ATTACKERS = 12
DAY_MS = 86400000


def bomb(size=PARTITIONS * MIB):
    """A batch of one record, in gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return batch([record(b"")], attributes=1,
                 payload=packer.compress(record(bytes(size))) + packer.flush())


class Time(unittest.TestCase):
    """Others have their turns, whatever one client asks for, and on however many connections."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(shutil.rmtree, self.data)
        self.server = Server(self.data)
        self.addCleanup(lambda: self.server.alive() and self.server.kill())
        self.bystander = self.connect()
        self.assertEqual(self.bystander.create_topic("wide", PARTITIONS)[0], 0)

    def connect(self):
        client = Client(self.server.port, timeout_s=300)
        self.addCleanup(client.close)
        return client

    def attack(self, frame, count=ATTACKERS):
        """The clients that have sent the frame and wait for its answer."""
        clients = [self.connect() for _ in range(count)]
        for client in clients:
            client.correlation += 1
            client.send(frame)
        return clients

    def check_few_are_answered(self, clients):
        ready, _, _ = select.select([client.socket for client in clients], [], [], 0)
        self.assertLess(len(ready), (len(clients) + 1) // 2)

    def check_others(self, clients):
        """Changes, events and look-ups of others are answered before the attack is."""
        for i in range(4):
            self.assertEqual(self.bystander.create_topic(f"other-{i}", 4)[0], 0)
            self.assertEqual(self.bystander.produce(f"other-{i}", good_batch())[0], 0)
            self.assertEqual(self.bystander.fetch(f"other-{i}", 0)[0], 0)
        self.check_few_are_answered(clients)

    def stop(self):
        self.bystander.close()
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])

    def test_bombs(self):
        """Requests of 256 KiB, each of which opens into 256 MiB."""
        message = codec.Codec(kafka.APIS["produce"][1], 8)
        data = bomb()
        clients = self.attack(self.connect().frame(kafka.PRODUCE, 8, message.encode({
            "acks": -1, "timeout_ms": 30000, "topic_data": [{"name": "wide", "partition_data": [
                {"index": partition, "records": data} for partition in range(PARTITIONS)]}]})))
        self.check_others(clients)
        for client in clients: # in order, and whole
            answer = codec.Codec(kafka.APIS["produce"][2], 8).decode(client.receive())
            codes = [part["error_code"] for part in answer["responses"][0]["partition_responses"]]
            self.assertEqual(codes, [0] * (PARTITIONS - 1) + [10]) # the last is over the sum
        self.stop()

    def test_look_ups_by_time(self):
        """300 in a request, each behind a batch that has to be opened."""
        count = 300
        for partition in range(PARTITIONS):
            for _ in range(2):
                self.assertEqual(
                    self.bystander.produce("wide", bomb(MIB), partition=partition)[0], 0)
        key, request, reply = kafka.APIS["list_offsets"]
        frame = self.connect().frame(key, 1, codec.Codec(request, 1).encode({
            "replica_id": -1, "topics": [{"name": "wide", "partitions": [
                {"partition_index": i % PARTITIONS, "timestamp": 1} for i in range(count)]}]}))
        clients = self.attack(frame)
        self.check_others(clients)
        for client in clients:
            answer = codec.Codec(reply, 1).decode(client.receive())
            found = answer["topics"][0]["partitions"]
            self.assertEqual([part["offset"] for part in found], [0] * count)
        self.stop()

    def test_many_partitions(self):
        """CreateTopics and DeleteTopics of 4,000."""
        client = self.connect()
        client.request("create_topics", 4, timeout_ms=30000, topics=[
            {"name": "huge", "num_partitions": 4000, "replication_factor": 1, "configs": []}])
        self.check_others([client])
        self.assertEqual(client.answer("create_topics", 4)["topics"][0]["error_code"], 0)
        client.request("delete_topics", 1, topic_names=["huge"], timeout_ms=30000)
        for i in range(4):
            self.assertEqual(self.bystander.create_topic(f"more-{i}", 1)[0], 0)
        self.check_few_are_answered([client])
        self.assertEqual(client.answer("delete_topics", 1)["responses"][0]["error_code"], 0)
        self.assertEqual(client.create_topic("huge", 1)[0], 0)
        self.stop()

    def test_many_topics(self):
        """300 in a request, and as many settings and cuts."""
        client = self.connect()
        names = [f"t-{i}" for i in range(300)]
        client.request("create_topics", 4, timeout_ms=30000, topics=[
            {"name": name, "num_partitions": 1, "replication_factor": 1, "configs": []}
            for name in names])
        self.check_others([client])
        self.assertEqual({topic["error_code"] for topic in
                          client.answer("create_topics", 4)["topics"]}, {0})
        client.request("alter_configs", 0, resources=[
            {"resource_type": 2, "resource_name": name,
             "configs": [{"name": "retention.ms", "value": "1"}]} for name in names])
        self.assertEqual(self.bystander.create_topic("more-0", 1)[0], 0)
        self.check_few_are_answered([client])
        self.assertEqual({one["error_code"] for one in
                          client.answer("alter_configs", 0)["responses"]}, {0})
        client.request("delete_topics", 1, topic_names=names, timeout_ms=30000)
        self.assertEqual(self.bystander.create_topic("more-1", 1)[0], 0)
        self.check_few_are_answered([client])
        self.assertEqual({one["error_code"] for one in
                          client.answer("delete_topics", 1)["responses"]}, {0})
        self.stop()

    def test_topics_that_are_made_when_they_are_asked_for(self):
        """40 of 100 partitions in a Metadata, among such as cannot be made, or are there."""
        self.bystander.close()
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])
        self.server = Server(self.data, "num.partitions=100")
        self.bystander = self.connect()
        names = [f"asked.{i}" for i in range(40)]
        wanted = names[:20] + ["wide", "not/one", "asked_7", "asked.7"] + names[20:]
        client = self.connect()
        client.request("metadata", 4, topics=[{"name": name} for name in wanted],
                       allow_auto_topic_creation=True)
        self.check_others([client])
        answer = client.answer("metadata", 4)["topics"]
        self.assertEqual([topic["name"] for topic in answer],
                         [name for i, name in enumerate(wanted) if name not in wanted[:i]])
        for topic in answer:
            code, count = {"wide": (0, PARTITIONS), "not/one": (17, 0), "asked_7": (17, 0)}.get(
                topic["name"], (0, 100))
            self.assertEqual(topic["error_code"], code, topic["name"])
            self.assertEqual([part["partition_index"] for part in topic["partitions"]],
                             list(range(count)))
        self.stop()

    def test_costly_expressions(self):
        """Members whose regular expressions keep thousands of steps alive at each byte of a name."""
        for i in range(200):
            self.assertEqual(self.bystander.create_topic("a" * 220 + str(i))[0], 0)
        clients = [self.connect() for _ in range(ATTACKERS)]
        for i, client in enumerate(clients):
            client.request("consumer_group_heartbeat", 1, group_id=f"g{i}", member_id=f"m{i}",
                           member_epoch=0, instance_id=None, rack_id=None,
                           rebalance_timeout_ms=60000, subscribed_topic_names=None,
                           subscribed_topic_regex=f"(a?){{900}}(.?){{900}}b{i}",
                           server_assignor=None, topic_partitions=[])
        self.check_others(clients)
        for client in clients:
            answer = client.answer("consumer_group_heartbeat", 1)
            self.assertEqual(answer["error_code"], 128, answer) # INVALID_REGULAR_EXPRESSION
        self.stop()
