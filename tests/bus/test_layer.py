#!/usr/bin/python3
"""The layer beside the bus, in `tidings serve`: it is there by default, goes on where it was,
makes anew what is lost or damaged, and whatever becomes of it, the bus goes on."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka, odd_groups
from harness.server import BINARY, Server, run, wait_for


class Layer(Server):
    """A server whose layer listens on a free port."""

    def __init__(self, data, *settings, **more):
        super().__init__(data, "http.listeners=127.0.0.1:0", *settings, **more)

    def start_again(self):
        """At the address of before."""
        self.listen = self.address
        self.start()

    def state(self):
        """What the layer tells of itself."""
        address = re.search(r" http=(\S+)", self.ready).group(1)
        with urllib.request.urlopen(f"http://{address}/v1/layer", timeout=30) as answer:
            return json.load(answer)

    def until(self, condition, what):
        """Waits until the layer's state is so, and returns it."""
        last = []

        def look():
            last[:] = [self.state()]
            return condition(last[0])
        try:
            wait_for(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}\n{self.log()[-3000:]}") from None
        return last[0]

    def publish(self, count, first=0, topic="orders"):
        lines = "".join(f"key-{n}:event {n}\n" for n in range(first, first + count))
        run("publish", topic, "--create", "--quiet", "--key-separator", ":", text=lines, address=self.address)

    def consume(self, group="shipping"):
        run("subscribe", "orders", "--group", group, "--from", "start", "--until-end",
            address=self.address)


class Test(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tidings-layer-")
        self.addCleanup(self.folder.cleanup)
        self.data = os.path.join(self.folder.name, "data")
        self.bus = os.path.join(self.data, "bus")

    def indexed(self, server, entries):
        return server.until(lambda s: s["index"]["entries"] == entries and not s["index"]["behind"]
                            and s["index"]["level_ms"], f"{entries} entries")

    def test_its_connections_take_no_place_and_its_name_gives_none(self):
        with Layer(self.data, "max.connections=1") as server:
            server.until(lambda s: s["index"]["level_ms"], "the layer to be level")
            client = kafka.Client(server.port, name="tidings-bus")
            self.assertEqual(client.create_topic("orders")[0], 0)
            with self.assertRaises(OSError):
                kafka.Client(server.port, name="tidings-bus").create_topic("more")
            address = re.search(r" http=(\S+)", server.ready).group(1)
            with urllib.request.urlopen(f"http://{address}/v1/topics", timeout=30) as answer:
                self.assertIn("orders", answer.read().decode())  # which it asks the bus for
            with urllib.request.urlopen(f"http://{address}/v1/clients", timeout=30) as answer:
                self.assertEqual([who["client_id"] for who in json.load(answer)], ["tidings-bus"])
            client.close()

    def test_it_is_there_by_default_and_for_its_user_alone(self):
        with Layer(self.data) as server:
            server.publish(100)
            server.consume()
            self.indexed(server, 100)
            server.until(lambda s: s["history"]["tracks"] == 1, "the group's commits")
            said, _ = run("topic", "list", address=server.address)  # and what it does is not in it
            self.assertEqual(said.count("orders"), 1)
            for path, folders, files in os.walk(self.bus):
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)
                for name in files:
                    self.assertEqual(os.stat(os.path.join(path, name)).st_mode & 0o777, 0o600, name)
        with Layer(self.data) as server:
            state = self.indexed(server, 100)
            self.assertEqual(state["index"]["events"], 0)  # nothing is read again
            self.assertEqual(state["history"]["commits"], 0)
            self.assertEqual(state["history"]["tracks"], 1)

    def test_the_bus_tells_where_it_listens(self):
        with Layer(self.data) as server:
            address = re.search(r" http=(\S+)", server.ready).group(1)
            client = kafka.Client(server.port)
            answer = client.ask("describe_configs", 4, resources=[
                {"resource_type": 4, "resource_name": "1",
                 "configuration_keys": ["http.advertised.url"]}])
            client.close()
            told = answer["results"][0]["configs"][0]
            self.assertEqual((told["value"], told["read_only"]), (f"http://{address}", True))

    def test_it_can_be_left_out(self):
        with Server(self.data, "bus.layer.enable=false") as server:
            self.assertNotIn("http=", server.ready)
            self.assertFalse(os.path.exists(self.bus))
        with Server(self.data, "http.listeners=") as server:
            self.assertNotIn("http=", server.ready)
            wait_for(lambda: os.path.exists(self.bus + "/index/manifest"), "an index")

    def test_a_port_that_is_taken_is_told_and_had_later(self):
        with Layer(self.data) as first:
            address = re.search(r" http=(\S+)", first.ready).group(1)
            other = os.path.join(self.folder.name, "other")
            with Server(other, f"http.listeners={address}") as second:
                self.assertNotIn("http=", second.ready)
                run("topic", "create", "orders", address=second.address)
                wait_for(lambda: "HTTP cannot be served" in second.log(), "a word of it")
                first.stop()
                second.ready = f"ready http={address}"

                def answers():
                    try:
                        return Layer.state(second)["index"]["is_open"]
                    except OSError:
                        return False
                wait_for(answers, "the port to be had")
            first.start()

    def test_topics_can_be_left_out_of_the_index(self):
        with Layer(self.data, r"bus.index.exclude=logs\..*|audit") as server:
            server.publish(50)
            server.publish(50, topic="logs.web")
            server.publish(50, topic="audit")
            server.publish(10, first=50)
            self.indexed(server, 60)
        code = subprocess.run([*Server(self.data, "bus.index.exclude=(", start=False).command()],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(code.returncode, 2)
        self.assertIn("bus.index.exclude", code.stderr)

    def test_what_is_lost_or_damaged_is_made_anew(self):
        def spoil(name):
            with open(os.path.join(self.bus, name), "r+b") as file:
                file.write(b"this is not what was written")

        with Layer(self.data) as server:
            server.publish(300)
            server.consume()
            self.indexed(server, 300)
        for how in (lambda: shutil.rmtree(self.bus),
                    lambda: os.unlink(self.bus + "/index/manifest"),
                    lambda: spoil("index/manifest"),
                    lambda: [spoil("index/" + name) for name in os.listdir(self.bus + "/index")
                             if name.endswith(".run")],
                    lambda: spoil("commits.db"),
                    lambda: os.unlink(self.bus + "/commits.db")):
            how()
            with Layer(self.data) as server:
                self.indexed(server, 300)
                server.until(lambda s: s["history"]["tracks"] == 1, "the group's commits")
            said, _ = run("check", self.data)
            self.assertIn("damage: 0", said)

    def test_a_kill_loses_nothing(self):
        server = Layer(self.data)
        for turn in range(4):
            server.publish(200, first=turn * 200)
            server.consume()
            if turn == 2:
                self.indexed(server, 600)
            server.kill()
            server.start()
        with server:
            server.until(lambda s: not s["index"]["behind"] and s["index"]["level_ms"], "all read")
            # An event that was added twice is found once: entries may be more than events.
            self.assertGreaterEqual(server.state()["index"]["entries"], 800)
            server.until(lambda s: s["history"]["tracks"] == 1, "the group's commits")

    def test_a_place_that_cannot_be_used_stops_nobody(self):
        with Layer(self.data) as server:
            server.publish(10)
        shutil.rmtree(self.bus)
        with open(self.bus, "w", encoding="utf-8") as file:
            file.write("somebody else's")
        with Layer(self.data) as server:
            server.publish(90, first=10)
            server.consume()
            server.until(lambda s: s["index"]["is_failing"] and s["history"]["is_failing"], "a word")
            server.wait_log("events cannot be indexed")
            self.assertEqual(server.log().count("events cannot be indexed"), 1)
            os.unlink(self.bus)
            self.indexed(server, 100)
            server.until(lambda s: s["history"]["tracks"] == 1, "the group's commits")
        os.rename(self.bus, self.bus + ".real")
        os.symlink(self.bus + ".real", self.bus)
        with Layer(self.data) as server:  # it is not for whoever put the link there to say where
            server.publish(10, first=100)
            server.until(lambda s: s["index"]["is_failing"] and s["history"]["is_failing"], "a word")
            server.wait_log("is no directory")

    def test_what_members_of_groups_say_ends_nothing(self):
        """Assignments are bytes of the clients'; librdkafka ends a process that asks for odd ones."""
        with Layer(self.data) as server:
            client = kafka.Client(server.port)
            self.addCleanup(client.close)
            self.assertEqual(client.create_topic("orders", 4)[0], 0)
            for name, assignment in odd_groups.ASSIGNMENTS.items():
                for kind in ("consumer", "connect"):
                    odd_groups.join(client, f"{kind}-{name}", kind, assignment, f"{name}-1")
            url = "http://" + re.search(r" http=(\S+)", server.ready).group(1)
            groups = {}

            def read():
                with urllib.request.urlopen(url + "/v1/groups", timeout=30) as answer:
                    groups.update((g["name"], g) for g in json.load(answer)["groups"])
                return len(groups) == len(odd_groups.ASSIGNMENTS)  # those of consumers
            wait_for(read, "all groups")
            for path in ("/v1/map", "/groups", "/groups/consumer-cut", "/metrics"):
                with urllib.request.urlopen(url + path, timeout=30) as answer:
                    self.assertEqual(answer.status, 200)
            with urllib.request.urlopen(url + "/v1/groups/consumer-good", timeout=30) as answer:
                members = json.load(answer)["members"]
            self.assertEqual([m["partitions"] for m in members],
                             [[{"topic": "orders", "partition": 2}]])
            self.assertEqual([m["instance_id"] for m in members], ["good-1"])
            self.assertTrue(server.alive())

    def test_a_bus_for_tests_has_none_unless_it_is_asked_for(self):
        with Server(None, options=("--memory",)) as server:
            self.assertNotIn("http=", server.ready)
            self.assertFalse(os.path.exists(
                os.path.join(re.search(r"data=(\S+)", server.ready).group(1), "bus")))
        with Layer(None, options=("--memory",)) as server:
            server.publish(10)
            self.indexed(server, 10)


class Beside:
    """`tidings bus` beside a server, which stands for any cluster here."""

    state = Layer.state
    until = Layer.until

    def __init__(self, server, folder):
        self.log_path = os.path.join(folder, "beside.log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "bus", "--bootstrap-server", server.address, "--state",
                 os.path.join(folder, "state"), "--http", "127.0.0.1:0"],
                stdout=subprocess.PIPE, stderr=log, text=True)
        self.ready = self.process.stdout.readline()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.code = self.process.wait(60)
        self.process.stdout.close()


class TestBeside(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tidings-beside-")
        self.addCleanup(self.folder.cleanup)
        self.data = os.path.join(self.folder.name, "data")

    def test_beside_a_cluster_it_knows_the_same(self):
        with Layer(self.data, "bus.layer.enable=false") as server:
            server.publish(200)
            server.consume()
            with Beside(server, self.folder.name) as beside:
                level = "index level"
                beside.until(lambda s: s["index"]["entries"] == 200 and s["history"]["tracks"] == 1,
                             level)
                server.publish(100, topic="later")  # a topic that is met while it reads
                server.kill()                       # and the cluster goes, and comes back
                server.start_again()
                server.publish(50, first=200)
                beside.until(lambda s: s["index"]["entries"] == 350 and not s["index"]["behind"],
                             level)
                with Beside(server, self.folder.name) as second:
                    self.assertEqual(second.ready, "")  # one process keeps a directory
                    self.assertEqual(second.process.wait(60), 5)
            self.assertEqual(beside.code, 0)
            groups, _ = run("group", "list", address=server.address)
            self.assertEqual(groups.count("\n"), 2, groups)  # it is member of none
            with Beside(server, self.folder.name) as beside:
                beside.until(lambda s: s["index"]["level_ms"], level)
                state = beside.state()
                self.assertEqual((state["index"]["entries"], state["index"]["events"]), (350, 0))
            run("topic", "delete", "orders", address=server.address)
            server.publish(300, first=1000)  # another topic of its name, which is longer, and nobody saw that
            with Beside(server, self.folder.name) as beside:
                beside.until(lambda s: s["index"]["level_ms"] and s["index"]["events"] == 300, "the new topic is read")


if __name__ == "__main__":
    unittest.main()
