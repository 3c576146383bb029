"""A disk that is full. Run by test_badinput.py."""
import os
import random
import re
import subprocess
import tempfile
import unittest

from harness import kafka
from harness.kafka import Client, batch, good_batch, record
from harness.server import Server, wait_for

MIB = 1 << 20
NOT_AVAILABLE = 15  # COORDINATOR_NOT_AVAILABLE


class SmallDisk(unittest.TestCase):
    """48 MiB: producers are refused below 3 MiB, state below 768 KiB, 192 KiB are kept for deletions."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(os.rmdir, self.data)
        if os.geteuid() != 0 or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", self.data], check=False,
                capture_output=True).returncode != 0:
            self.skipTest("a small file system needs root")
        self.addCleanup(subprocess.run, ["umount", self.data], check=True)

    def fill(self, client):
        """Produces until it is refused; how many were acknowledged."""
        body = batch([record(random.Random(2).randbytes(100000))])
        count = 0
        while True:
            code, base, message, _ = client.produce("orders", body)
            if code != 0:
                self.assertEqual(code, 56, message)
                self.assertRegex(message, "space|full")
                return count
            self.assertEqual(base, count)
            count += 1
            self.assertLess(count, 1000, "48 MiB hold no 100 MB")

    def start(self, *settings):
        server = Server(self.data, *settings)
        self.addCleanup(lambda: server.alive() and server.kill())
        client = Client(server.port)
        self.addCleanup(client.close)
        return server, client


class DiskFull(SmallDisk):
    """Producers are told, consumers read on, and with room it goes on without a restart."""

    def check_all(self, client, count):
        offset = 0
        while offset < count:
            code, end, data = client.fetch("orders", offset, 8 * MIB)
            self.assertEqual((code, end >= count), (0, True))
            found = list(kafka.batches(data, check=False))
            self.assertTrue(found)
            for base, last, _ in found:
                self.assertEqual(base, offset)
                offset = last + 1

    def test_full_and_free_again(self):
        with open(self.data + "/ballast", "wb") as file:
            file.write(bytes(16 * MIB))
        server = Server(self.data, "log.segment.bytes=4194304")
        self.addCleanup(lambda: server.alive() and server.kill())
        client = Client(server.port)
        self.addCleanup(client.close)
        self.assertEqual(client.create_topic("orders")[0], 0)
        self.assertEqual(client.commit("billing", "orders", 1), 0)
        count = self.fill(client)
        self.assertGreater(count, 50)
        lines = server.log_lines("level=error.*(full|space)")
        self.assertTrue(lines, server.log()[-2000:])
        self.check_all(client, count)
        while client.produce("orders", good_batch(bytes(50000)))[0] == 0:
            count += 1  # room that an upkeep freed meanwhile
            self.assertLess(count, 1000, "48 MiB hold no 50 MB")
        tried = client.create_topic("later", 4)[0]
        self.assertIn(tried, (0, 56))
        self.assertIn(client.commit("billing", "orders", 2), (0, 14, 15, 16, -1, 56))

        os.remove(self.data + "/ballast")
        wait_for(lambda: client.produce("orders", good_batch())[0] == 0, "writes go on")
        end = client.end("orders")
        self.assertEqual(end, count + 1)
        self.check_all(client, end)
        if tried != 0:
            wait_for(lambda: client.create_topic("later", 4) == (0, ""), "the topic can be made")
        self.assertEqual(client.produce("later", good_batch())[0], 0)
        wait_for(lambda: client.commit("billing", "orders", 3) == 0, "commits go on")

        server.kill()
        again = Server(self.data, "log.segment.bytes=4194304")
        self.addCleanup(lambda: again.alive() and again.kill())
        client = Client(again.port)
        self.assertEqual(client.end("orders"), end)
        self.check_all(client, end)
        client.close()
        self.assertEqual(again.stop(), 0)

    def test_start_and_stop_when_full(self):
        server = Server(self.data)
        client = Client(server.port)
        self.assertEqual(client.create_topic("orders")[0], 0)
        count = self.fill(client)
        with open(self.data + "/ballast", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        client.close()
        server.kill()
        again = Server(self.data)
        self.addCleanup(lambda: again.alive() and again.kill())
        client = Client(again.port)
        self.check_all(client, count)
        self.assertEqual(client.produce("orders", good_batch(bytes(50000)))[0], 56)
        os.remove(self.data + "/ballast")
        client.close()
        self.assertEqual(again.stop(), 0)


class DiskHasNoByte(SmallDisk):
    """The server's own small records go on in the reserve, and what frees space needs none."""

    SETTINGS = ("log.segment.bytes=1048576", "log.retention.check.interval.ms=200",
                "group.initial.rebalance.delay.ms=0")

    def take_the_rest(self):
        """As another process would: not a byte is left."""
        with open(self.data + "/foreign", "ab", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        status = os.statvfs(self.data)
        self.assertEqual(status.f_bavail, 0)

    def give_it_back(self):
        """Until the server has its room for deletions again."""
        os.remove(self.data + "/foreign")
        wait_for(lambda: os.path.exists(self.data + "/spare"), "room is kept for deletions")

    def fill_topic(self, client, name, count):
        self.assertEqual(client.create_topic(name)[0], 0)
        body = batch([record(random.Random(3).randbytes(100000))])
        for _ in range(count):
            self.assertEqual(client.produce(name, body)[0], 0)

    @staticmethod
    def delete_topic(client, name):
        answer = client.ask("delete_topics", 1, topic_names=[name], timeout_ms=30000)
        return answer["responses"][0]["error_code"]

    @staticmethod
    def alter(client, topic, name, value):
        """(error code, message)"""
        answer = client.ask("incremental_alter_configs", 0, resources=[
            {"resource_type": 2, "resource_name": topic,
             "configs": [{"name": name, "config_operation": 0, "value": value}]}])
        return answer["responses"][0]["error_code"], answer["responses"][0]["error_message"] or ""

    @staticmethod
    def join_and_sync(client, group):
        """As the only member of a classic group: the error codes of both steps."""
        joined = client.ask("join_group", 2, group_id=group, session_timeout_ms=10000,
                            rebalance_timeout_ms=10000, member_id="", protocol_type="consumer",
                            protocols=[{"name": "range", "metadata": b""}])
        synced = client.ask("sync_group", 1, group_id=group, generation_id=joined["generation_id"],
                            member_id=joined["member_id"], assignments=[
                                {"member_id": joined["member_id"], "assignment": b""}])
        return joined["error_code"], synced["error_code"]

    @staticmethod
    def init_producer(client):
        return client.ask("init_producer_id", 1, transactional_id="pay",
                          transaction_timeout_ms=1000)["error_code"]

    def test_state_goes_on_while_producers_wait(self):
        _, client = self.start(*self.SETTINGS)
        self.assertEqual(client.create_topic("orders")[0], 0)
        count = self.fill(client)
        for offset in range(count):
            self.assertEqual(client.commit("billing", "orders", offset), 0)
        self.assertEqual(self.join_and_sync(client, "shipping"), (0, 0))
        self.assertEqual(client.produce("orders", good_batch(bytes(50000)))[0], 56)

    def test_what_frees_space_needs_none(self):
        server, client = self.start(*self.SETTINGS)
        for name in ("gone", "short", "kept"):
            self.fill_topic(client, name, 40)
        self.assertEqual(client.create_topic("orders")[0], 0)
        self.assertEqual(self.init_producer(client), 0)
        count = self.fill(client)
        self.assertTrue(os.path.exists(self.data + "/spare"))

        self.take_the_rest()
        self.assertEqual(client.commit("billing", "orders", 1), NOT_AVAILABLE)
        self.assertEqual(self.join_and_sync(client, "late"), (0, NOT_AVAILABLE))
        self.assertEqual(self.init_producer(client), NOT_AVAILABLE)
        self.assertNotEqual(self.alter(client, "kept", "segment.ms", "7000000")[0], 0,
                            "the room for deletions is for what frees space")
        self.assertEqual(client.delete_records("orders", count - 1), 0)
        self.assertEqual(client.offset("orders", -2), (0, count - 1))
        self.give_it_back()

        self.take_the_rest()
        self.assertEqual(self.delete_topic(client, "gone"), 0)
        self.assertEqual(client.offset("gone")[0], 3)
        self.give_it_back()

        self.take_the_rest()
        self.assertEqual(self.alter(client, "short", "retention.ms", "1"), (0, ""))
        wait_for(lambda: client.offset("short", -2) == (0, 40), "retention deletes")
        self.give_it_back()

        self.assertEqual(client.produce("orders", good_batch())[0], 0)
        self.assertEqual(client.commit("billing", "orders", 1), 0)
        self.assertEqual(client.end("kept"), 40)

        self.take_the_rest()  # a start needs a little as well
        client.close()
        server.kill()
        _, client = self.start(*self.SETTINGS)
        self.assertEqual(client.end("kept"), 40)
        self.assertEqual(self.delete_topic(client, "kept"), 0)
        self.give_it_back()
        self.assertEqual(client.produce("orders", good_batch())[0], 0)

    def test_a_stop_without_a_byte_is_clean(self):
        server, client = self.start(*self.SETTINGS)
        self.fill_topic(client, "orders", 40)
        self.assertEqual(client.commit("billing", "orders", 1), 0)
        self.take_the_rest()
        client.close()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(len(server.log_lines('msg="server stopped" clean=yes')), 1)
        self.assertFalse(os.path.exists(self.data + "/spare"))
        again, client = self.start(*self.SETTINGS)  # in what is left of it
        self.assertEqual(client.end("orders"), 40)
        self.assertEqual(client.fetch("orders", 39)[0], 0)
        client.close()
        self.assertEqual(again.stop(), 0)
        os.remove(self.data + "/foreign")

    def test_lines_about_refusals_are_limited(self):
        server, client = self.start(*self.SETTINGS)
        self.assertEqual(client.create_topic("orders")[0], 0)
        self.take_the_rest()
        clients = [Client(server.port) for _ in range(400)]  # each has to wait for its answer
        for each in clients:
            each.request("offset_commit", 2, **kafka.commit_of("billing", "orders", 1))
        for each in clients:
            answer = each.answer("offset_commit", 2)
            self.assertEqual(answer["topics"][0]["partitions"][0]["error_code"],
                             NOT_AVAILABLE)
            each.close()
        refused = len(clients)
        os.remove(self.data + "/foreign")
        client.close()
        self.assertEqual(server.stop(), 0)
        kind = "the server's own state could not be stored; who waited was told"
        lines = len(server.log_lines(f'level=error room=\\w+ msg="{kind}"'))
        left_out = sum(int(re.search(r"count=(\d+)", line)[1])
                       for line in server.log_lines(f'msg="log lines were left out".*of="{kind}"'))
        self.assertEqual(lines + left_out, refused)
        others = [line for line in server.log_lines("level=error") if "room=log" not in line]
        self.assertEqual(len(others), lines)  # one line for a failed write
        self.assertLess(lines, refused)
