#!/usr/bin/python3
"""What a service of libtidings passes over is told as that by `tidings why`: it says what it takes when it starts."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.server import ROOT, Server, wait_for  # noqa: E402

BUILD = os.path.abspath(os.environ.get("TIDINGS_BUILD") or os.path.join(ROOT, "build"))
SERVICE = os.path.join(BUILD, "tests", "spans", "span-service")
DEADLINE_S = 60


class Handles(unittest.TestCase):
    def start(self, folder, server, type_):
        process = subprocess.Popen([SERVICE, server.address, "billing", os.path.join(folder, "handled")],
                                   env=dict(os.environ, SPAN_TYPE=type_), stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            process.stdin.close()
            process.terminate()
            self.assertEqual(process.wait(DEADLINE_S), 0)
        return end

    def wait_state(self, server, id_, *states):
        """What is told last; only `states` may be told on the way."""
        def look():
            events = json.loads(server.run("why", id_, "--json")[0])["events"]
            told = {one["group"]: one["state"] for event in events for one in event["groups"] or []}
            state = told.get("billing", states[0])
            self.assertIn(state, states)
            return state == states[-1]
        wait_for(look, f"{id_} is {states[-1]}", DEADLINE_S)

    def test_what_a_service_passes_over_is_skipped(self):
        with tempfile.TemporaryDirectory(prefix="tidings-handles-") as folder, Server(
                folder + "/data", "group.initial.rebalance.delay.ms=0") as server:
            for topic in ("first", "second", "many"):
                server.run("topic", "create", topic, "--partitions", "1")
            end = self.start(folder, server, "Wanted")
            for number, type_ in enumerate(("Wanted", "Other", "Wanted")):
                server.run("publish", "first", "--ce-id", f"e{number}", "--ce-type", type_, "--ce-source", "/test",
                           "--key", "k", "ok")
            self.wait_state(server, "e1", "not-yet", "passed", "filtered")
            self.wait_state(server, "e0", "not-yet", "passed")
            printed = server.run("why", "e1", "--colour", "never")[0]
            self.assertRegex(printed, r"billing\s+skipped")
            end()
            # another version, which takes it: what was passed by both is not told as skipped by one of them
            end = self.start(folder, server, "Other")
            server.run("publish", "first", "--ce-id", "e3", "--ce-type", "Wanted", "--ce-source", "/test", "--key", "k", "ok")
            self.wait_state(server, "e3", "not-yet", "passed")
            end()


if __name__ == "__main__":
    unittest.main()
