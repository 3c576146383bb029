"""A bus, two layers (in the server, and beside it), services of many languages, and what goes wrong with them."""
import contextlib
import importlib.util
import json
import os
import re
import select
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import confluent_kafka
from confluent_kafka.admin import AdminClient

import oracle
from harness.kafka import Client
from harness.server import BINARY, Server, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get("TIDINGS_BUILD") or os.path.join(ROOT, "build")
PYTHON = "/usr/bin/python3"
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
TOPICS = ("orders", "stock", "mails", "invoices", "parcels")
PARTITIONS = 2
# In the long form: what takes events away while services are at work, and what keeps that from going on.
TAKEN = {"invoices": ("retention.bytes=300000", "retention.bytes=-1"), "parcels": ("retention.ms=30000", "retention.ms=-1"),
         "mails": ("cleanup.policy=compact", "cleanup.policy=delete")}
TAKEN_CONFIG = ("segment.bytes=50000", "min.cleanable.dirty.ratio=0.1", "delete.retention.ms=1000")


def clients():
    """tests/clients/run.py, which knows how clients are got."""
    path = os.path.join(ROOT, "tests", "clients", "run.py")
    spec = importlib.util.spec_from_file_location("clients_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def java_command(run):
    path = run.java_classes()
    classes = os.path.join(run.CACHE, "foreign")
    source = os.path.join(HERE, "ForeignService.java")
    with run.alone("java"):
        run.stamped("javac-foreign", [source], lambda: run.sh("javac", "javac", "-cp", path, "-d", classes, source))
    return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{path}",
            "ForeignService"]


def languages(has_more):
    """(name, language, command, environment, inputs, outputs) of each service that there can be, and why others are not.
    has_more: also those whose clients have to be built (Java, Go)."""
    run = clients()
    env = {"PYTHONPATH": HERE}
    everything = TOPICS
    services = [
        ("billing", "C (librdkafka)", [os.path.join(BUILD, "tests", "bus", "foreign-service")], {}, ("orders", "stock"),
         ("invoices", "mails")),
        ("warehouse", "Python (confluent-kafka)", [PYTHON, os.path.join(HERE, "service_confluent.py")], env,
         ("orders", "parcels"), ("stock", "mails")),
        ("letters", "Python (kafka-python)", [PYTHON, os.path.join(HERE, "service_kafka.py")], env, ("mails", "invoices"),
         ("parcels",)),
        ("audit", "shell (kcat)", [os.path.join(HERE, "service.sh")], {}, everything, ())]
    wanted = [("shipping", "JavaScript (kafkajs)", lambda: (run.node("run_kafkajs.mjs"), ["node", os.path.join(
        HERE, "service.mjs")])[1], {"NODE_CLIENTS": os.path.join(ROOT, "tests", "clients", "node")}, ("stock", "parcels"),
               ("parcels", "mails"))]
    if has_more:
        wanted += [("ledger", "Go (franz-go)", lambda: run.go("story"), {}, ("invoices", "orders"), ("mails", "stock")),
                   ("points", "Java", lambda: java_command(run), {}, ("parcels", "orders"), ("invoices",))]
    missing = []
    for name, language, get, more, inputs, outputs in wanted:
        try:
            services.append((name, language, get(), more, inputs, outputs))
        except run.Missing as why:
            missing.append(f"{language}: {why}")
    return services, missing


class Service:
    """A process that is started again whenever it ends, until pause()."""

    def __init__(self, folder, name, language, command, env):
        self.name, self.language, self.command, self.env = name, language, command, env
        self.truth, self.log = (os.path.join(folder, name + end) for end in (".truth", ".log"))
        self.process, self.runs, self.starts, self.kills = None, False, 0, 0
        self.lock = threading.Lock()
        with open(self.truth, "w", encoding="utf-8"):
            pass

    def start(self):
        with self.lock:
            self.runs = True
            self.spawn()

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*DIES_WITH_US, *self.command], env=dict(os.environ, **self.env),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.starts += 1

    def look(self):
        with self.lock:
            if self.runs and self.process.poll() is not None:
                self.spawn()

    def kill(self):
        with self.lock:
            self.process.kill()
            self.process.wait(60)
            self.kills += 1

    def pause(self):
        with self.lock:
            self.runs = False
            if self.process:
                self.process.kill()
                self.process.wait(60)


class Beside(Server):
    """`tidings bus` beside the server, a process of its own."""

    def __init__(self, state, bootstrap, log_path):
        self.bootstrap = bootstrap
        super().__init__(state, listen="127.0.0.1:0", log_path=log_path)

    def command(self):
        return [BINARY, "bus", "--bootstrap-server", self.bootstrap, "--state", self.data, "--http", self.listen]

    def start(self):
        self.spawn()
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        self.ready = self.process.stdout.readline().decode() if ready else ""
        if " http=" not in self.ready:
            self.kill()
            self.failed(f"the layer did not start: {self.ready}{self.log()[-3000:]}")


class World:
    """All of it. The lock is held while the server or the layer is not there."""

    def __init__(self, folder, seed, has_more):
        self.folder = folder
        self.server = Server(folder + "/data", "http.listeners=127.0.0.1:0", "group.initial.rebalance.delay.ms=0",
                             "group.min.session.timeout.ms=100", "auto.create.topics.enable=false", "log.cleaner.backoff.ms=500",
                             "log.retention.check.interval.ms=500",
                             log_path=folder + "/server.log")
        self.server.listen = self.server.address
        self.beside = Beside(folder + "/beside", self.server.address, folder + "/beside.log")
        self.takes_away, self.has_more = False, has_more
        self.compacted = {"mails"} if has_more else set()
        self.made_ms = {}  # topic: when its present life began
        self.starts = {}  # (topic, partition): where its records begin
        for topic in TOPICS:
            self.make(topic)
        found, self.missing = languages(has_more)
        self.services = [
            Service(folder, name, language, [*command, self.server.address, name, str(number), f"{folder}/{name}.truth",
                                             ",".join(inputs), ",".join(outputs)], env)
            for number, (name, language, command, env, inputs, outputs) in enumerate(found, 1)]
        self.source = Service(folder, "shop", "Python (confluent-kafka)", [
            PYTHON, os.path.join(HERE, "source.py"), self.server.address, "shop", str(seed), f"{folder}/shop.truth",
            "orders,stock,parcels"], {"PYTHONPATH": HERE})
        self.faults = []
        self.ends = threading.Event()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()

    def make(self, topic):
        configs = [*TAKEN_CONFIG, TAKEN[topic][0 if self.takes_away else 1]] if self.has_more and topic in TAKEN else []
        self.server.run("topic", "create", topic, "--partitions", str(PARTITIONS),
                        *(word for config in configs for word in ("--config", config)))
        self.made_ms[topic] = int(time.time() * 1000)
        for partition in range(PARTITIONS):
            self.starts[topic, partition] = 0

    def take_away(self, takes):
        """Retention and compaction begin, or end; in the short form there are none."""
        for topic, configs in TAKEN.items():
            if self.has_more:
                self.server.run("topic", "alter", topic, "--config", configs[0 if takes else 1])
        self.takes_away = takes

    def is_taken(self, place):
        """By retention, or perhaps by compaction."""
        topic, partition, offset = place
        if not self.has_more or topic not in TAKEN:
            return False
        if topic in self.compacted:
            said = self.story(self.server, "place", f"{topic}/{partition}/{offset}")
            return bool(said) and said["events"][0]["presence"] == "taken"
        with contextlib.closing(Client(self.server.port)) as client:
            return offset < client.offset(topic, -2, partition)[1]

    def keep(self):
        while not self.ends.wait(0.1):
            for service in (self.source, *self.services):
                service.look()

    def close(self):
        self.ends.set()
        self.keeper.join(60)
        for service in (self.source, *self.services):
            service.pause()
        for process in (self.beside, self.server):
            if process.alive():
                process.stop()

    # -- faults --

    def fault(self, rng):
        """One that the generator chooses; what it was."""
        kind = rng.choice(("service", "service", "service", "source", "bus", "layer", "again", "records"))
        if kind in ("service", "source"):
            service = self.source if kind == "source" else rng.choice(self.services)
            service.kill()
            said = f"killed {service.name}"
        elif kind == "bus":
            self.server.kill()
            self.server.start()
            said = "killed the bus"
        elif kind == "layer":
            self.beside.kill()
            self.beside.start()
            said = "killed the layer beside it"
        elif kind == "again":
            topic = rng.choice(TOPICS)
            self.make_again(topic)
            said = f"made {topic} again"
        else:
            topic, partition = rng.choice(TOPICS), rng.randrange(PARTITIONS)
            client = Client(self.server.port)
            start = client.offset(topic, -2, partition)[1]
            end = client.offset(topic, -1, partition)[1]
            self.starts[topic, partition] = rng.randrange(start, end + 1)
            client.delete_records(topic, self.starts[topic, partition], partition)
            client.close()
            said = f"took records of {topic}/{partition}"
        self.faults.append(said)
        return said

    def partitions(self):
        """Of all topics, the bus's own too."""
        with contextlib.closing(Client(self.server.port)) as client:
            return sum(len(topic["partitions"]) for topic in client.ask("metadata", 1, topics=None)["topics"])

    def make_again(self, topic):
        """Librdkafka tells no topic ids: of a topic that comes again at once the layer beside would not know (docs/operations.md)."""
        def knows_all():
            return self.ask(self.beside, "/v1/layer")["feed"]["partitions"] == self.partitions()
        wait_for(knows_all, "the layer beside to know all topics", 180)
        self.server.run("topic", "delete", topic)
        wait_for(knows_all, "the layer beside to see that a topic is gone", 180)
        self.make(topic)

    # -- questions --

    def ask(self, of, path, **query):
        """The layer's answer; None: no such event."""
        address = re.search(r" http=(\S+)", of.ready).group(1)
        url = f"http://{address}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def story(self, of, how, what):
        """how: id, trace, correlation, key or place."""
        if how == "id":
            return self.ask(of, f"/v1/events/{urllib.parse.quote(what, safe='')}/story", max=1000)
        if how == "place":
            topic, partition, offset = what.split("/")
            return self.ask(of, "/v1/story", topic=topic, partition=partition, offset=offset, max=1000)
        return self.ask(of, "/v1/story", **{how: what}, max=1000)

    def can_read(self, place):
        """Whether a reader of committed events is given what stands there; False as well when nobody answers."""
        topic, partition, offset = place
        try:
            with contextlib.closing(Client(self.server.port, timeout_s=5)) as client:
                answer = client.ask("list_offsets", 2, replica_id=-1, isolation_level=1, topics=[
                    {"name": topic, "partitions": [{"partition_index": partition, "timestamp": -1}]}])
        except OSError:
            return False
        found = answer["topics"][0]["partitions"][0]
        return found["error_code"] == 0 and found["offset"] > offset

    def stop_all(self):
        """Everybody is killed, and the bus has got over it: no members, no open transactions."""
        for service in (self.source, *self.services):
            service.pause()
        client = Client(self.server.port)
        reader = confluent_kafka.Consumer({"bootstrap.servers": self.server.address, "group.id": "no-group"})
        admin = AdminClient({"bootstrap.servers": self.server.address})

        def is_decided(place):
            return reader.get_watermark_offsets(place, timeout=30)[1] == client.end(place.topic, place.partition)
        for topic in TOPICS:
            for partition in range(PARTITIONS):
                wait_for(lambda place=confluent_kafka.TopicPartition(topic, partition): is_decided(place),
                         f"transactions on {topic}/{partition} to end", 180)
        wait_for(lambda: not any(group.members for group in admin.list_groups(timeout=30)), "members to be gone", 180)
        self.take_away(False)
        if self.has_more:  # what was begun is done when nothing changes any more
            wait_for(lambda: self.places() == self.places(), "retention and compaction to end", 180)
        reader.close()
        client.close()

    def places(self):
        return set(oracle.read_log(self.server.address, TOPICS, PARTITIONS, "read_uncommitted")[0])

    def truth(self):
        groups = [service.name for service in self.services]
        committed, bounds = oracle.read_log(self.server.address, TOPICS, PARTITIONS, "read_committed")
        everything, _ = oracle.read_log(self.server.address, TOPICS, PARTITIONS, "read_uncommitted")
        return oracle.Truth(committed, everything, bounds,
                            oracle.read_commits(self.server.address, groups, TOPICS, PARTITIONS))

    def surely_story(self, *question):
        """Who cannot answer in time says so (503), and is asked again: that is no false answer."""
        answers = []

        def look():
            try:
                answers.append(self.story(*question))
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
            return answers
        return wait_for(look, f"an answer about {question[1:]}", 180)[0]

    def wait_level(self):
        """Until both layers have read all that is there now."""
        now_ms = time.time() * 1000

        def is_level(of):
            state = self.ask(of, "/v1/layer")
            return all(state[part]["level_ms"] and state[part]["level_ms"] > now_ms and not state[part]["behind"]
                       for part in ("index", "history"))
        for of in (self.server, self.beside):
            wait_for(lambda of=of: is_level(of), "a layer to be level with the bus", 180)
