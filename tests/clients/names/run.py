#!/usr/bin/python3
"""Clients of many languages that know nothing of Tidings, all shown with their names.

    tests/clients/names/run.py [--clients kcat,sarama]

Each is a service of a few lines (echo_*): with one client.id and as member of a group of that name it reads the topic `in`
and writes to a topic of its own. `tidings client list` and the flow map have to show each of them: its name, its software
where the client tells that, what it reads and what it writes. Prints a line a client, and last the counts; a client that
cannot be had on this machine is skipped with the reason.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)]

import run as clients  # noqa: E402
from harness.server import Server, wait_for  # noqa: E402

LEAST, LEAST_LANGUAGES = 12, 6  # where all that is needed is on the machine
WAIT_S = 120


def here(name):
    return os.path.join(HERE, name)


def kcat():
    clients.need("kcat")
    return ["sh", here("echo_kcat.sh")]


def built(compiler, source, library):
    """A program of one file."""
    clients.need(compiler)
    program = os.path.join(clients.CACHE, "names", source.split(".")[0])
    os.makedirs(os.path.dirname(program), exist_ok=True)
    with clients.alone("names-" + source):
        clients.stamped("names-" + source, [here(source)], lambda: clients.sh(
            compiler, compiler, "-O1", "-Wall", "-Werror", "-o", program, here(source), "-l" + library))
    return [program]


def java(prepare, protocol=None):
    """Echo.java with the client that `prepare` gets."""
    libraries = prepare()
    target = os.path.join(clients.CACHE, "names", "java" + (protocol or ""))
    with clients.alone("names-java"):
        clients.stamped("names-java" + (protocol or ""), [here("Echo.java")], lambda: clients.sh(
            "javac", *clients.JAVAC, "-cp", libraries, "-d", target, here("Echo.java")))
    words = [*clients.JAVA, "-cp", f"{target}:{libraries}", "Echo"]
    return ["env", f"GROUP_PROTOCOL={protocol}", *words] if protocol else words


def go(name):
    return [*clients.go("names"), name]


def node(name):
    return clients.node(f"echo_{name}.mjs")


def python(module, name):
    clients.sh(f"Debian's python3 module {module}", clients.PYTHON, "-c", f"import {module}")
    return [clients.PYTHON, here(f"echo_{name}.py")]


def confluent_new():
    return ["env", "GROUP_PROTOCOL=consumer",
            *clients.from_index("confluent-kafka", "requirements-confluent.txt"), here("echo_confluent.py")]


# name: (language, how to get it, its software as it tells it, by KIP-511; None: it tells nothing)
CLIENTS = {
    "kcat": ("C", kcat, "librdkafka"),
    "librdkafka": ("C", lambda: built("cc", "echo_librdkafka.c", "rdkafka"), "librdkafka"),
    "librdkafka-cpp": ("C++", lambda: built("c++", "echo_rdkafkacpp.cpp", "rdkafka++"), "librdkafka"),
    "confluent-kafka": ("Python", lambda: python("confluent_kafka", "confluent"), "confluent-kafka-python"),
    "confluent-kafka-new": ("Python", confluent_new, "confluent-kafka-python"),
    "kafka-python": ("Python", lambda: python("kafka", "kafka_python"), None),
    "kafka-python-new": ("Python", lambda: [*clients.aiokafka(), here("echo_kafka_python.py")], "kafka-python"),
    "aiokafka": ("Python", lambda: [*clients.aiokafka(), here("echo_aiokafka.py")], None),
    "kafkajs": ("JavaScript", lambda: node("kafkajs"), None),
    "platformatic-kafka": ("JavaScript", lambda: node("platformatic"), "platformatic-kafka"),
    "java": ("Java", lambda: java(clients.java_classes), "apache-kafka-java"),
    "java-of-kafka-4": ("Java", lambda: java(clients.java4_classes, "consumer"), "apache-kafka-java"),
    "franz-go": ("Go", lambda: go("franz-go"), "kgo"),
    "sarama": ("Go", lambda: go("sarama"), "sarama"),
    "kafka-go": ("Go", lambda: go("kafka-go"), None),
}


def client_of(client_id):
    """Which of CLIENTS it is: some add to the name that they were given, and one's name begins as another's."""
    return max((name for name in CLIENTS if client_id.startswith("svc." + name)), key=len, default=None)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.server = Server(os.path.join(folder, "data"), "http.listeners=127.0.0.1:0")
        self.url = "http://" + re.search(r" http=([^\s,]+)", self.server.ready).group(1)
        self.processes, self.edges, self.rows = {}, set(), []
        self.server.run("topic", "create", "in", "--partitions", "2")
        self.server.run("publish", "in", "a", "b", "c", "d")

    def start(self, name, command):
        with open(os.path.join(self.folder, name + ".log"), "wb") as log:
            self.processes[name] = subprocess.Popen([*command, self.server.address, "svc." + name, "in", "of." + name],
                                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def look(self):
        """The edges of the map, and what is known of the clients."""
        with urllib.request.urlopen(self.url + "/v1/map", timeout=60) as answer:
            edges = json.load(answer)["edges"]
        self.edges = {(edge["kind"], edge["from"], edge["to"]) for edge in edges}
        self.rows = json.loads(self.server.run("client", "list", "--over", "100ms", "--json")[0])

    def missing(self, name):
        """What is not shown of that client, or nothing."""
        service, software = "svc." + name, CLIENTS[name][2]
        edges = {("consumes", "topic:in", "service:" + service), ("publishes", "service:" + service, "topic:of." + name)}
        rows = [row for row in self.rows if client_of(row["client_id"]) == name]
        did = {(flow["did"], flow.get("topic") or flow.get("group")) for row in rows for flow in row["flows"]}
        does = {("produced", "of." + name), ("fetched", "in"), ("joined", service)}
        told = {row["software"] for row in rows}  # some tell it on their first connection only: these are shown as one
        return [*sorted(edges - self.edges), *sorted(does - did),
                *([] if told == {software} else [f"software {told}, not {software}"])]

    def log(self, name):
        with open(os.path.join(self.folder, name + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def end(self):
        for process in self.processes.values():
            try:
                os.killpg(process.pid, 9)
            except ProcessLookupError:
                pass
            process.wait()


def until_shown(world):
    """Of each that was started what is not shown in the end."""
    missing = {}

    def is_shown():
        time.sleep(0.2)  # it is not to keep them from their work
        world.look()
        missing.update({name: world.missing(name) for name in world.processes})
        return not any(missing.values())
    try:
        wait_for(is_shown, "all are shown", WAIT_S)
    except AssertionError:
        pass
    return missing


def start_all(world, names):
    """A line for each that cannot be had."""
    preparing = ThreadPoolExecutor(4)
    prepared = {name: preparing.submit(CLIENTS[name][1]) for name in names}
    lines = []
    for name in names:
        try:
            command = prepared[name].result()
            # what it writes to is there, so that none makes it with the first event it has
            world.server.run("topic", "create", "of." + name)
            world.start(name, command)
        except clients.Missing as why:
            lines.append(f"skip {name}: {why}")
    return lines


def all_at_once(world, names):
    """While all are connected each has its line in the list and its services on the map."""
    text = world.server.run("client", "list")[0] + world.server.run("map")[0]
    lost = [name for name in names if f"svc.{name}" not in text]
    languages = {CLIENTS[name][0] for name in names}
    print(f"{len(names)} clients in {len(languages)} languages at once: {', '.join(sorted(languages))}")
    return f"not ok all-at-once: not shown: {lost}\n{text}" if lost else "ok all-at-once"


def run_all(folder, names, is_whole):
    world = World(folder)
    try:
        with world.server:
            lines = start_all(world, names)
            for name, missing in until_shown(world).items():
                lines.append(f"not ok {name}: not shown: {missing}\n{world.log(name)}" if missing else
                             f"ok {name} ({CLIENTS[name][0]})")
            shown = [name for name in names if f"ok {name} ({CLIENTS[name][0]})" in lines]
            lines.append(all_at_once(world, shown))
            if is_whole and len(shown) == len(names):
                assert len(shown) >= LEAST and len({CLIENTS[name][0] for name in shown}) >= LEAST_LANGUAGES
            world.end()
    finally:
        world.end()
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--clients", help="comma-separated: " + ", ".join(CLIENTS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidings-names-") as folder:
        lines = run_all(folder, options.clients.split(",") if options.clients else list(CLIENTS), not options.clients)
    print("\n".join(lines))
    count = {kind: sum(line.startswith(kind) for line in lines) for kind in ("ok", "not ok", "skip")}
    print(f"names: {count['ok']} passed, {count['not ok']} failed, {count['skip']} skipped")
    return 1 if count["not ok"] or not count["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
