#!/usr/bin/python3
"""`tidings status`: of a data directory on its machine, and of a bus from any machine."""
import json
import os
import re
import tempfile
import unittest

import case
from case import setUpModule, tearDownModule  # pylint: disable=unused-import
from case import bus_address, Case
from harness import odd_groups, kafka
from harness.server import run, Server, wait_for


class Status(Case):
    def test_from_afar_it_tells_what_can_be_known_and_names_the_rest(self):
        topic = self.topic(3)
        self.run_tidings("publish", topic, "a", "b", "c")
        self.run_tidings("subscribe", topic, "-g", "reads-" + topic, "--until-end")
        client = kafka.Client(int(bus_address().rsplit(":", 1)[1]))
        self.addCleanup(client.close)
        odd_groups.join(client, "stays-" + topic, "consumer", odd_groups.ASSIGNMENTS["long"])
        far = self.json("status", "--json")
        self.assertTrue(far["is_tidings"])
        self.assertEqual([broker["address"] for broker in far["brokers"]], [bus_address()])
        self.assertGreaterEqual(far["brokers"][0]["answer_ms"], 0)
        self.assertGreaterEqual(far["groups"]["states"]["Empty"], 1)
        self.assertGreaterEqual(far["groups"]["states"]["Stable"], 1)
        self.assertEqual(far["groups"]["count"], sum(far["groups"]["states"].values()))
        self.assertGreaterEqual(far["offsets"], 3)
        self.assertEqual(far["bus_layer"]["answers"], True)
        wait_for(lambda: self.json("status", "--json")["bus_layer"]["status"] == "ready", "the layer is ready")
        text = self.out("status")
        self.assertIn(f"cluster     {far['cluster_id']}\n", text)
        self.assertRegex(text, r"(?m)^server +tidings \d")
        self.assertRegex(text, rf"(?m)^ +1 at {re.escape(bus_address())} answers within \d+ ms$")
        self.assertRegex(text, r"(?m)^topics +\d+ with \d+ partitions, \d+ offsets, ")
        self.assertRegex(text, r"(?m)^groups +\d+: .*\d+ Stable")
        self.assertRegex(text, r"(?m)^bus layer +http://\S+: ready$")
        self.assertIn("tidings status DATA tells them on the server's machine", text)
        if case.Bus.data:
            self.near_and_far_agree(case.Bus.data.name)

    def near_and_far_agree(self, data):
        """The bus may write on for itself between two looks."""
        both = []

        def look():
            both[:] = [self.json("status", data, "--json"), self.json("status", "--json")]
            names = ("version", "cluster_id", "topics", "partitions", "offline_partitions", "bytes")
            return [both[0][name] for name in names] == [both[1][name] for name in names]
        wait_for(look, "the same from near and from afar")
        self.assertEqual(set(both[0]) - set(both[1]), set(both[1]["not_known"]))

    def test_what_is_not_answered_is_not_known(self):
        at = self.json("status", "--json", "--url", "http://127.0.0.1:1")
        self.assertEqual(at["bus_layer"], {"url": "http://127.0.0.1:1", "answers": False, "status": None, "checks": None})
        self.assertIsNone(at["version"])
        self.assertIn("http://127.0.0.1:1: it does not answer from here", self.out("status", "--url", "http://127.0.0.1:1"))
        with tempfile.TemporaryDirectory(prefix="tidings-status-") as folder:
            with Server(os.path.join(folder, "data"), "bus.layer.enable=false") as server:
                self.assertIsNone(json.loads(server.run("status", "--json")[0])["bus_layer"])
                self.assertRegex(server.run("status")[0], r"(?m)^bus layer +none is known: name it with --url")
                self.assertRegex(server.run("status")[0], r"(?m)^groups +0$")
            _, error = run("status", "--timeout", "2s", address=server.address, code=3)
            self.assertIn("cannot reach the bus", error)

    def test_a_partition_without_a_leader_is_named(self):
        with tempfile.TemporaryDirectory(prefix="tidings-status-") as data:
            with Server(data) as server:
                server.run("topic", "create", "good", "--partitions", "2")
                server.run("topic", "create", "lost", "--partitions", "2")
                server.run("publish", "lost", "a", "-p", "1")
            for name in os.listdir(os.path.join(data, "topics", "lost-1")):
                if name.endswith(".log"):
                    os.unlink(os.path.join(data, "topics", "lost-1", name))
                    os.mkdir(os.path.join(data, "topics", "lost-1", name))
            with Server(data) as server:
                far, near = (json.loads(server.run("status", *where, "--json")[0]) for where in ((), (data,)))
                self.assertEqual(near["offline_partitions"], 1, server.log())
                self.assertEqual(far["offline_partitions"], 1)
                self.assertIn("offline     1 partition without a leader, first lost/1", server.run("status")[0])

    def test_what_is_asked_wrongly_is_told(self):
        self.fails(2, "either a directory, or --bootstrap-server", "status", "/tmp", "-b", bus_address())
        self.fails(2, "one directory at most", "status", "/tmp", "/var")
        self.fails(4, "no/such/place", "status", "/no/such/place")


if __name__ == "__main__":
    unittest.main()
