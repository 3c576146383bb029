#!/usr/bin/python3
"""A group moves from the classic to the consumer protocol (KIP-848) and back, under kill -9.

    moving.py TIDINGS LOG

Starts the server itself, since it kills it. Members come and go one at a time while a producer
writes on; in the end every record that was acknowledged must have been seen. Prints one line a step.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

WAIT_S = 60
PARTITIONS = 6
TOPIC, GROUP = "moving", "movers"
SETTINGS = ["group.consumer.min.heartbeat.interval.ms=200",
            "group.consumer.heartbeat.interval.ms=300",
            "group.consumer.min.session.timeout.ms=6000",
            "group.consumer.session.timeout.ms=8000"]


class Server:
    def __init__(self, binary, log_path):
        self.binary, self.log_path = binary, log_path
        self.data = tempfile.mkdtemp(prefix="tidings-moving-")
        self.held = socket.socket()  # while it is open, nobody else gets its port
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("127.0.0.1", 0))
        self.bootstrap = f"127.0.0.1:{self.held.getsockname()[1]}"
        self.start()

    def start(self):
        command = [self.binary, "serve", "--data", self.data, "--listen", self.bootstrap]
        for setting in SETTINGS:
            command += ["--set", setting]
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log,
                                            stdout=subprocess.PIPE, text=True)
        if not re.search("listen=", self.process.stdout.readline()):
            raise SystemExit(f"the server did not come up, see {self.log_path}")

    def kill_and_start(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.start()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(30)
        shutil.rmtree(self.data, ignore_errors=True)
        check(code == 0, f"the server ended with {code}")


def check(fact, text):
    if not fact:
        raise AssertionError(text)


def wait_for(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        check(time.monotonic() < end, f"waited {WAIT_S} s for {what}")
        time.sleep(0.05)


class Member(threading.Thread):
    """Reads and commits until it is told to leave."""

    def __init__(self, bootstrap, protocol, seen):
        super().__init__(daemon=True)
        settings = {"bootstrap.servers": bootstrap, "group.id": GROUP,
                    "auto.offset.reset": "earliest", "enable.auto.commit": False,
                    "topic.metadata.refresh.interval.ms": 500, "group.protocol": protocol}
        if protocol == "classic":
            settings.update({"partition.assignment.strategy": "cooperative-sticky",
                             "session.timeout.ms": 8000, "heartbeat.interval.ms": 300})
        self.consumer, self.seen = ck.Consumer(settings), seen
        self.leaves, self.owned, self.fatal = False, frozenset(), None
        self.start()

    def run(self):
        self.consumer.subscribe([TOPIC])
        while not self.leaves:
            messages = self.consumer.consume(200, timeout=0.1)
            self.owned = frozenset(one.partition for one in self.consumer.assignment())
            for message in messages:
                if not message.error():
                    self.seen.add((message.partition(), message.offset()))
                elif message.error().fatal():
                    self.fatal = message.error()
            if messages:
                self.commit()
        self.consumer.close()
        self.owned = frozenset()

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except ck.KafkaException:
            pass  # it is no longer ours, or the server is away: who reads on commits

    def leave(self):
        self.leaves = True
        self.join(WAIT_S)
        check(not self.is_alive(), "a member does not leave")


class Writer(threading.Thread):
    """Writes on; notes what was acknowledged."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.producer = ck.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        self.acknowledged, self.ends = set(), False
        self.start()

    def told(self, error, message):
        if error is None:
            self.acknowledged.add((message.partition(), message.offset()))

    def run(self):
        number = 0
        while not self.ends:
            self.producer.produce(TOPIC, str(number), partition=number % PARTITIONS,
                                  on_delivery=self.told)
            self.producer.poll(0)
            number += 1
            time.sleep(0.002)
        self.producer.flush(WAIT_S)


class Moving:
    def __init__(self, binary, log_path):
        self.server = Server(binary, log_path)
        self.bootstrap = self.server.bootstrap
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self.admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(WAIT_S)
        self.seen, self.members = set(), []
        self.writer = Writer(self.bootstrap)

    def type_of_group(self):
        listed = self.admin.list_consumer_groups(request_timeout=10).result(WAIT_S).valid
        return [one.type.name for one in listed if one.group_id == GROUP]

    def join(self, protocol):
        self.members.append(Member(self.bootstrap, protocol, self.seen))
        self.whole()

    def leave_first(self):
        self.members.pop(0).leave()
        self.whole()

    def whole(self):
        """Everybody has a part, together they have all, nobody has what another has."""
        def shared():
            owned = [one.owned for one in self.members]
            return all(owned) and sorted(p for one in owned for p in one) == list(range(PARTITIONS))
        wait_for(shared, f"{len(self.members)} members to share the partitions")
        before = len(self.seen)
        wait_for(lambda: len(self.seen) > before + 50, "records to be read")
        check(not any(one.fatal for one in self.members), str([one.fatal for one in self.members]))

    def type_is(self, name):
        wait_for(lambda: self.type_of_group() == [name], f"the group to be of type {name}")

    # ---- the steps ----

    def classic(self):
        self.join("classic")
        self.join("classic")
        self.type_is("CLASSIC")

    def roll_forward(self):
        self.join("consumer")
        self.type_is("CONSUMER")
        self.leave_first()
        self.join("consumer")
        self.type_is("CONSUMER")

    def killed_mixed(self):
        self.server.kill_and_start()
        self.whole()
        self.type_is("CONSUMER")

    def all_new(self):
        self.leave_first()
        self.type_is("CONSUMER")

    def killed_new(self):
        for _ in range(3):
            self.server.kill_and_start()
            self.whole()
        self.type_is("CONSUMER")

    def roll_back(self):
        self.join("classic")
        self.leave_first()
        self.join("classic")
        self.leave_first()
        self.type_is("CLASSIC")

    def nothing_lost(self):
        self.writer.ends = True
        self.writer.join(WAIT_S)
        lost = lambda: self.writer.acknowledged - self.seen
        wait_for(lambda: not lost(), "every acknowledged record to be seen")
        check(len(self.writer.acknowledged) > 1000, "hardly anything was written")
        for member in self.members:
            member.leave()
        offsets = ck.Consumer({"bootstrap.servers": self.bootstrap, "group.id": GROUP})
        asked = [ck.TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)]
        for one in offsets.committed(asked, WAIT_S):
            end = offsets.get_watermark_offsets(ck.TopicPartition(TOPIC, one.partition), WAIT_S)[1]
            check(one.offset == end, f"partition {one.partition}: {one.offset} of {end} committed")
        offsets.close()


STEPS = ["classic", "roll_forward", "killed_mixed", "all_new", "killed_new", "roll_back",
         "nothing_lost"]


def main():
    moving = Moving(sys.argv[1], sys.argv[2])
    failed = False
    for step in STEPS:
        name = step.replace("_", "-")
        if failed:
            print(f"not ok moving {name}: a step before it failed")
            continue
        began = time.monotonic()
        try:
            getattr(moving, step)()
            print(f"ok moving {name}")
        except Exception as error:  # pylint: disable=broad-except
            failed = True
            print(f"not ok moving {name}: {' '.join(str(error).split())}")
        print(f"# {name}: {time.monotonic() - began:.1f} s", flush=True)
    print(f"# {len(moving.writer.acknowledged)} records acknowledged, {len(moving.seen)} seen")
    sys.stdout.flush()
    moving.server.stop()
    os._exit(failed)  # members that a failed step left behind


if __name__ == "__main__":
    main()
