"""Clients that want memory of groups, offsets, producers, transactional ids and partitions, which a
server keeps for long. Run by test_badinput.py."""
import shutil
import tempfile
import unittest

from harness import kafka
from harness.kafka import Client, batch, good_batch, record
from harness.server import Server

MIB = 1 << 20
MEMORY_MAX = 128 * MIB
INVALID_COMMIT_OFFSET_SIZE, POLICY_VIOLATION, MEMBER_ID_REQUIRED, GROUP_MAX_SIZE = 28, 44, 79, 81
IN_FLIGHT = 100


class MemoryOfGroups(unittest.TestCase):
    """A server with memory.max: whatever one client has it keep, it stays below, the groups and events
    of others go on, and a restart finds all that was acknowledged."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(shutil.rmtree, self.data)
        self.server = Server(self.data, f"memory.max={MEMORY_MAX}", "num.network.threads=2")
        self.addCleanup(lambda: self.server.alive() and self.server.kill())
        self.bystander = self.connect("bystander")
        self.assertEqual(self.bystander.create_topic("orders", 20)[0], 0)
        self.member = self.join(self.bystander, "quiet")
        self.events = 0

    def connect(self, name="attacker"):
        client = Client(self.server.port, name=name, timeout_s=120)
        self.addCleanup(client.close)
        return client

    @staticmethod
    def join(client, group, member="", metadata=b"m"):
        """The member's id, of a stable group of one."""
        answer = client.ask("join_group", 3, group_id=group, session_timeout_ms=300000,
                            rebalance_timeout_ms=300000, member_id=member,
                            protocol_type="consumer",
                            protocols=[{"name": "range", "metadata": metadata}])
        if answer["error_code"]:
            return answer["error_code"]
        client.ask("sync_group", 2, group_id=group, generation_id=answer["generation_id"],
                   member_id=answer["member_id"], assignments=[
                       {"member_id": answer["member_id"], "assignment": b"a"}])
        return answer["member_id"], answer["generation_id"]

    def commit(self, partition=0, note="n"):
        member, generation = self.member
        answer = self.bystander.ask(
            "offset_commit", 2, group_id="quiet", generation_id_or_member_epoch=generation,
            member_id=member, retention_time_ms=-1, topics=[{"name": "orders", "partitions": [
                {"partition_index": partition, "committed_offset": self.events,
                 "committed_metadata": note}]}])
        return answer["topics"][0]["partitions"][0]["error_code"]

    def check_others(self):
        """An event goes in and out, a group heartbeats and commits, and memory.max holds."""
        code, offset, message, _ = self.bystander.produce("orders", good_batch())
        self.assertEqual((code, offset), (0, self.events), message)
        self.events += 1
        self.assertEqual(self.bystander.fetch("orders", offset)[0], 0)
        member, generation = self.member
        beat = self.bystander.ask("heartbeat", 1, group_id="quiet", generation_id=generation,
                                  member_id=member)
        self.assertEqual(beat["error_code"], 0)
        self.assertEqual(self.commit(), 0)
        if self.server.memory_kib("VmSize") < 100 << 20:  # ASan and TSan take memory of their own
            self.assertLess(self.server.memory_kib("VmHWM") << 10, MEMORY_MAX)

    def restart(self):
        """Killed, and found again as it was."""
        self.server.kill()
        self.server.start()
        self.bystander = self.connect("bystander")
        self.check_others()

    def stop(self):
        self.bystander.close()
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])

    def ask_many(self, client, api, version, requests):
        """The answers to all, with many under way."""
        waiting, answers = 0, []
        for fields in requests:
            client.request(api, version, **fields)
            waiting += 1
            if waiting == IN_FLIGHT:
                answers.append(client.answer(api, version))
                waiting -= 1
        return answers + [client.answer(api, version) for _ in range(waiting)]

    # -- groups --

    def test_joins_with_much_metadata(self):
        """218 of 16 MiB ended a server of 5 GiB once; one is more than a request may have here, and all
        together are six times memory.max. Each finds the memory of the one before it free."""
        codes = set()
        for i in range(50):
            client = self.connect()
            codes.add(self.join(client, f"g{i}", metadata=bytes(15 * MIB)))
            client.close()
            if i % 10 == 0:
                self.check_others()
        self.assertEqual(codes, {GROUP_MAX_SIZE})
        self.assertTrue(self.server.log_lines("there is no room for it.*group.member.max.bytes"))
        self.check_others()
        self.restart()
        self.stop()

    def test_joins_with_as_much_metadata_as_is_allowed(self):
        client = self.connect()
        joined = [self.join(client, f"g{i}", metadata=bytes(MIB - 1000)) for i in range(100)]
        refused = joined.count(GROUP_MAX_SIZE)
        self.assertGreater(refused, 50)
        self.assertLess(refused, 100)
        self.assertTrue(self.server.log_lines("share=groups is full"))
        self.check_others()
        members = [(f"g{i}", who[0]) for i, who in enumerate(joined) if who != GROUP_MAX_SIZE]
        self.restart()
        client = self.connect()
        for group, member in members:
            answer = client.ask("leave_group", 1, group_id=group, member_id=member)
            self.assertEqual(answer["error_code"], 0)
        self.assertIsInstance(self.join(client, "late", metadata=bytes(MIB - 1000)), tuple)
        self.check_others()
        self.stop()

    def test_many_groups(self):
        client = self.connect()
        count = 100000
        answers = self.ask_many(client, "offset_commit", 2, (
            kafka.commit_of(f"group-{i:06}", "orders", 1) for i in range(count)))
        codes = [answer["topics"][0]["partitions"][0]["error_code"] for answer in answers]
        kept = codes.count(0)
        self.assertEqual(set(codes), {0, INVALID_COMMIT_OFFSET_SIZE})
        self.assertGreater(kept, 5000)
        self.check_others()
        self.restart()
        answer = self.connect().ask("list_groups", 2)
        self.assertEqual(len(answer["groups"]), kept + 1)
        self.check_others()
        self.stop()

    def test_ids_given_out_to_members_that_do_not_come_back(self):
        client = self.connect()
        answers = self.ask_many(client, "join_group", 4, (
            {"group_id": f"g{i % 5}", "session_timeout_ms": 300000, "member_id": "",
             "rebalance_timeout_ms": 300000, "protocol_type": "consumer",
             "protocols": [{"name": "range", "metadata": b""}]} for i in range(100000)))
        codes = {answer["error_code"] for answer in answers}
        self.assertEqual(codes, {MEMBER_ID_REQUIRED, GROUP_MAX_SIZE})
        self.check_others()
        self.stop()

    def check_consumers(self, subscription):
        """Groups of the new protocol, of one member each, that reads 2,000 partitions."""
        client = self.connect()
        self.assertEqual(client.create_topic("wide", 2000)[0], 0)
        answers = self.ask_many(client, "consumer_group_heartbeat", 1, (
            {"group_id": f"g{i}", "member_id": f"m{i}", "member_epoch": 0, "instance_id": None,
             "rack_id": None, "rebalance_timeout_ms": 60000, "server_assignor": None,
             "topic_partitions": [], **subscription} for i in range(500)))
        codes = [answer["error_code"] for answer in answers]
        self.assertEqual(set(codes), {0, GROUP_MAX_SIZE})
        self.assertGreater(codes.count(0), 20)
        self.check_others()
        self.restart()
        client = self.connect()
        for i, code in enumerate(codes):
            if code == 0:
                answer = client.ask("consumer_group_heartbeat", 1, group_id=f"g{i}",
                                    member_id=f"m{i}", member_epoch=-1, instance_id=None,
                                    rack_id=None, rebalance_timeout_ms=-1,
                                    subscribed_topic_names=None, subscribed_topic_regex=None,
                                    server_assignor=None, topic_partitions=None)
                self.assertEqual(answer["error_code"], 0)
        self.check_others()
        self.stop()

    def test_consumer_groups_of_many_partitions(self):
        self.check_consumers({"subscribed_topic_names": ["wide"], "subscribed_topic_regex": None})

    def test_consumer_groups_with_an_expression_for_many_partitions(self):
        self.check_consumers({"subscribed_topic_names": None, "subscribed_topic_regex": "w.*"})

    # -- offsets --

    def test_offsets_with_long_notes(self):
        """150,000 of 4 KB took 618 MiB once, and again after each restart."""
        client = self.connect()
        note = "n" * 4096

        def notes(group):
            return {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "",
                    "retention_time_ms": -1, "topics": [{"name": "orders", "partitions": [
                        {"partition_index": p, "committed_offset": 1, "committed_metadata": note}
                        for p in range(20)]}]}

        answers = self.ask_many(client, "offset_commit", 2,
                                (notes(f"notes-{i}") for i in range(7500)))
        codes = [partition["error_code"] for answer in answers
                 for partition in answer["topics"][0]["partitions"]]
        self.assertEqual(len(codes), 150000)
        self.assertEqual(set(codes), {0, INVALID_COMMIT_OFFSET_SIZE})
        self.assertGreater(codes.count(0), 1000)
        self.check_others()
        self.restart()
        client = self.connect()
        more = client.ask("offset_commit", 2, **notes("notes-more"))
        self.assertIn(INVALID_COMMIT_OFFSET_SIZE, [
            partition["error_code"] for partition in more["topics"][0]["partitions"]])
        names = [f"notes-{i}" for i, answer in enumerate(answers)
                 if answer["topics"][0]["partitions"][0]["error_code"] == 0]
        answer = client.ask("delete_groups", 1, groups_names=names)
        self.assertEqual({result["error_code"] for result in answer["results"]}, {0})
        self.assertEqual(self.commit(note="longer " * 500), 0)
        more = client.ask("offset_commit", 2, **notes("notes-again"))
        self.assertEqual({partition["error_code"]
                          for partition in more["topics"][0]["partitions"]}, {0})
        self.check_others()
        self.stop()

    # -- producers --

    def test_many_producer_ids(self):
        client = self.connect()
        answers = self.ask_many(client, "init_producer_id", 1, (
            {"transactional_id": None, "transaction_timeout_ms": 1000} for _ in range(100000)))
        self.assertEqual({answer["error_code"] for answer in answers}, {0})
        self.assertEqual(len({answer["producer_id"] for answer in answers}), 100000)
        self.check_others()
        self.stop()

    def test_many_transactional_ids(self):
        client = self.connect()
        answers = self.ask_many(client, "init_producer_id", 1, (
            {"transactional_id": f"id-{i}", "transaction_timeout_ms": 1000}
            for i in range(100000)))
        codes = [answer["error_code"] for answer in answers]
        self.assertEqual(set(codes), {0, POLICY_VIOLATION})
        self.assertGreater(codes.count(0), 1000)
        self.assertEqual(client.create_topic("t")[0], 0)
        self.assertEqual(client.produce("t", batch([record(b"x")], producer_id=1 << 40,
                                                   producer_epoch=0, sequence=0))[0], 0)
        self.check_others()
        self.restart()
        client = self.connect()
        answer = client.ask("init_producer_id", 1, transactional_id="id-0",
                            transaction_timeout_ms=1000)
        self.assertEqual((answer["error_code"], answer["producer_epoch"]), (0, 1))
        self.check_others()
        self.stop()

    def test_many_producers_of_one_partition(self):
        client = self.connect()
        self.assertEqual(client.create_topic("t")[0], 0)
        answers = self.ask_many(client, "produce", 8, (Client.produce_fields(
            "t", batch([record(b"x")], producer_id=1000000 + i, producer_epoch=0, sequence=0), -1,
            0) for i in range(20000)))
        codes = [answer["responses"][0]["partition_responses"][0]["error_code"]
                 for answer in answers]
        self.assertEqual(set(codes), {0, POLICY_VIOLATION})
        self.assertGreater(codes.count(0), 1000)
        self.assertEqual(client.end("t"), codes.count(0))
        self.check_others()
        self.restart()
        self.stop()

    # -- partitions --

    def test_many_partitions(self):
        client = self.connect()
        codes, messages = [], []
        for i in range(40):
            code, message = client.create_topic(f"wide-{i}", 1000)
            codes.append(code)
            messages.append(message)
        made = codes.count(0)
        self.assertEqual(codes, [0] * made + [POLICY_VIOLATION] * (40 - made))
        self.assertIn("memory.max", messages[-1])
        self.assertGreater(made, 2)
        self.check_others()
        self.restart()
        client = self.connect()
        deleted = client.ask("delete_topics", 1, timeout_ms=60000,
                             topic_names=[f"wide-{i}" for i in range(made)])
        self.assertEqual({topic["error_code"] for topic in deleted["responses"]}, {0})
        self.assertEqual(client.create_topic("again", 1000)[0], 0)
        self.check_others()
        self.stop()
