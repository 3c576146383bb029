"""A cluster of Apache Kafka on this machine, and what a suite sees of one that somebody else has started."""
import base64
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

from harness.server import BINARY, TOLD, run, wait_for

START_S = 300  # a machine with little to spare starts three of them slowly


def outgoing_ports():
    """Those that the system gives to whoever connects somewhere."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        least, most = (int(word) for word in file.read().split())
    return range(least, most + 1)


def free_ports(count):
    """
    Different ones that nobody listens at now, and that no connection of another test takes until a node is there: a
    node that is started again wants its port back.
    """
    taken, found = outgoing_ports(), []
    while len(found) < count:
        port = random.randrange(10000, 65536)
        if port in taken or port in found:
            continue
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def is_open(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


class Cluster:
    """
    Nodes that are brokers and controllers (KRaft), on loopback, with all their data in `directory`.
    One that is killed, by whomever, is started again. `with` stops them. Each has a file
    `directory`/broker-N.pid for those who want to kill it.
    """

    # as on a real cluster, but for times that a test would wait for
    SETTINGS = {
        "process.roles": "broker,controller", "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "default.replication.factor": 3, "min.insync.replicas": 2,
        "offsets.topic.replication.factor": 3, "offsets.topic.num.partitions": 5,
        "transaction.state.log.replication.factor": 3, "transaction.state.log.min.isr": 2,
        "transaction.state.log.num.partitions": 5, "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500, "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 100}

    def __init__(self, directory, class_path, nodes=3):
        self.directory, self.class_path = directory, class_path
        ports = free_ports(2 * nodes)
        self.ports = ports[:nodes]
        self.address = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.processes = [None] * nodes
        self.is_over = False
        voters = ",".join(f"{i + 1}@127.0.0.1:{ports[nodes + i]}" for i in range(nodes))
        for i in range(nodes):
            settings = dict(self.SETTINGS, **{
                "node.id": i + 1, "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{ports[i]},CONTROLLER://127.0.0.1:{ports[nodes + i]}",
                "log.dirs": self.path(i, "data")})
            with open(self.path(i, "properties"), "w", encoding="utf-8") as file:
                file.writelines(f"{name}={value}\n" for name, value in settings.items())
        self.watch = threading.Thread(target=self.keep_alive)

    def path(self, i, what):
        return os.path.join(self.directory, f"broker-{i + 1}.{what}")

    def java(self, i, *words):
        with open(self.path(i, "log"), "ab") as log:
            return subprocess.Popen(["java", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                                     "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self.class_path, *words],
                                    cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def spawn(self, i):
        self.processes[i] = self.java(i, "kafka.Kafka", self.path(i, "properties"))
        with open(self.path(i, "pid.new"), "w", encoding="ascii") as file:
            file.write(str(self.processes[i].pid))
        os.rename(self.path(i, "pid.new"), self.path(i, "pid"))

    def keep_alive(self):
        while not self.is_over:
            for i, process in enumerate(self.processes):
                if process.poll() is not None and not self.is_over:
                    self.spawn(i)
            time.sleep(0.2)

    def is_ready(self):
        """All are members: a topic with three replicas can be made."""
        if any(process.poll() is not None for process in self.processes):
            raise AssertionError("a node ended")
        if not all(is_open(port) for port in self.ports):
            return False
        name = f"ready-{uuid.uuid4()}"
        done = subprocess.run([BINARY, "topic", "create", name, "-b", self.address, "--timeout", "5s"],
                              capture_output=True, check=False)
        return done.returncode == 0

    def __enter__(self):
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formats = [self.java(i, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", self.path(i, "properties"))
                   for i in range(len(self.processes))]
        try:
            if any([process.wait(START_S) for process in formats]):
                raise AssertionError("the storage was not made")
            for i in range(len(self.processes)):
                self.spawn(i)
            wait_for(self.is_ready, "the cluster is ready", START_S)
        except BaseException:
            self.tell()
            self.stop()
            raise
        self.watch.start()
        return self

    def tell(self):
        for i in range(len(self.processes)):
            with open(self.path(i, "log"), encoding="utf-8", errors="replace") as log:
                sys.stderr.write(f"--- broker {i + 1}\n{log.read()[-TOLD:]}\n")

    def stop(self):
        self.is_over = True
        if self.watch.is_alive():
            self.watch.join()
        for process in self.processes:
            if process is not None and process.poll() is None:
                process.kill()  # nothing of it is needed any more
                process.wait()

    def __exit__(self, kind, *_):
        if kind is not None:
            self.tell()
        self.stop()


class Foreign:
    """
    The cluster of a Cluster in another process, with the face of harness.server.Server as far as suites need it: to
    kill it is to kill one node of it, another one each time, and start() waits until that one is back.
    """

    killed = 0

    def __init__(self, address, directory):
        self.address, self.directory = address, directory
        self.nodes = len(address.split(","))
        self.number = 0
        self.port = self.pid = None

    def run(self, *words, text=None, code=0):
        return run(*words, text=text, code=code, address=self.address)

    def read_pid(self, number):
        with open(os.path.join(self.directory, f"broker-{number}.pid"), encoding="ascii") as file:
            return int(file.read())

    def kill(self):
        ports = [int(one.rsplit(":", 1)[1]) for one in self.address.split(",")]
        self.number = Foreign.killed % len(ports) + 1
        Foreign.killed += 1
        self.port, self.pid = ports[self.number - 1], self.read_pid(self.number)
        os.kill(self.pid, signal.SIGKILL)

    def start(self):
        wait_for(lambda: self.read_pid(self.number) != self.pid and is_open(self.port),
                 f"broker {self.number} is back", START_S)

    def stop(self):
        """It goes on for others."""
