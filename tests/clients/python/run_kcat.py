#!/usr/bin/python3
"""The scenario through kcat. kcat has no admin calls: confluent-kafka makes what its steps need."""
import json
import re
import subprocess
import threading

from common import WAIT_S, Client, KafkaError, Record, Skip, check, main
from run_confluent_kafka import Confluent

ERRORS = {"Broker: Message size too large": 10}


def as_record(line):
    one = json.loads(line)

    def octets(text):
        return None if text is None else text.encode()

    flat = one.get("headers") or []
    headers = [(flat[at], octets(flat[at + 1])) for at in range(0, len(flat), 2)]
    return Record(octets(one["key"]), octets(one["payload"]), headers, one["ts"],
                  one["partition"], one["offset"])


class Member:
    """A running `kcat -G`: its records on standard output, its assignment on standard error."""

    def __init__(self, command):
        self.lock = threading.Lock()
        self.records, self.owned = [], set()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.threads = [threading.Thread(target=self.follow, args=(stream, take)) for stream, take
                        in ((self.process.stdout, self.on_record),
                            (self.process.stderr, self.on_notice))]
        for thread in self.threads:
            thread.start()

    def follow(self, stream, take):
        for line in stream:
            with self.lock:
                take(line)

    def on_record(self, line):
        self.records.append(as_record(line))

    def on_notice(self, line):
        if "rebalanced" in line and "assigned" in line:
            self.owned = {int(one) for one in re.findall(r"\[(\d+)\]", line)}
        elif "revoked" in line:
            self.owned = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        for thread in self.threads:
            thread.join(WAIT_S)
        self.process.wait(WAIT_S)

    def poll(self):
        threading.Event().wait(0.05)
        with self.lock:
            taken, self.records = self.records, []
        return taken

    def assignment(self):
        with self.lock:
            return set(self.owned)


class Kcat(Client):
    name = "kcat"

    def __init__(self, bootstrap, prefix):
        super().__init__(bootstrap, prefix)
        self.other = Confluent(bootstrap, prefix)

    def kcat(self, *arguments, sent=None):
        done = subprocess.run(["kcat", "-b", self.bootstrap, *arguments], input=sent, text=True,
                              capture_output=True, timeout=WAIT_S, check=False)
        for text, code in ERRORS.items():
            if text in done.stderr:
                raise KafkaError(code, text)
        check(done.returncode == 0, f"kcat {arguments} ended with {done.returncode}: "
                                    f"{done.stderr}")
        return done.stdout

    def op_create_topics(self, step):
        self.other.op_create_topics(step)
        raise Skip("kcat has no admin calls; confluent-kafka made the topics")

    def list_topics(self):
        return {one["topic"] for one in json.loads(self.kcat("-L", "-J"))["topics"]}

    def count_partitions(self, topic):
        listed = json.loads(self.kcat("-L", "-J", "-t", topic))
        return len(listed["topics"][0]["partitions"])

    def produce(self, topic, records, codec, acks, idempotent):
        one = records[0]
        if one.timestamp_ms is not None:  # kcat cannot set times
            self.other.produce(topic, records, codec, acks, idempotent)
            return
        options = ["-P", "-t", topic, "-p", str(one.partition), "-z", codec, "-X",
                   f"acks={acks}", "-X", f"enable.idempotence={str(idempotent).lower()}", "-X",
                   "message.max.bytes=10000000"]
        for key, value in one.headers:
            options += ["-H", f"{key}={value.decode()}"]
        if one.value is None:
            options += ["-Z"]
        if one.key is not None:
            options += ["-K", "\t"]
        lines = [("" if record.key is None else record.key.decode() + "\t") +
                 (record.value or b"").decode() + "\n" for record in records]
        self.kcat(*options, sent="".join(lines))

    def query(self, topic, partition, time_ms):
        text = self.kcat("-Q", "-t", f"{topic}:{partition}:{time_ms}")
        return int(re.search(r"offset (-?\d+)", text).group(1))

    def offsets(self, topic, partition):
        return self.query(topic, partition, -2), self.query(topic, partition, -1)

    def offset_at(self, topic, partition, time_ms):
        return self.query(topic, partition, time_ms)

    def read(self, topic, partition, start, count):
        text = self.kcat("-C", "-t", topic, "-p", str(partition), "-o", str(start), "-c",
                         str(count), "-e", "-J", "-q")
        return [as_record(line) for line in text.splitlines()]

    def transactions(self, name):
        raise Skip("kcat makes one transaction a run and cannot hold it open")

    def group_command(self, group, topic, *options):
        return ["kcat", "-b", self.bootstrap, "-J", "-u", "-X", "auto.offset.reset=earliest",
                "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=200",
                "-X", "topic.metadata.refresh.interval.ms=500", *options, "-G", group, topic]

    def member(self, group, topic):
        return Member(self.group_command(group, topic))

    def op_commit_resume(self, step):
        """kcat commits what it printed when it leaves."""
        offsets = []
        for count in (step["take"], step["total"] - step["take"]):
            command = self.group_command(self.topic(step["group"]), self.topic(step["topic"]),
                                         "-c", str(count))
            done = subprocess.run(command, text=True, capture_output=True, timeout=WAIT_S,
                                  check=True)
            offsets += [as_record(line).offset for line in done.stdout.splitlines()]
        check(offsets == list(range(step["total"])), f"{offsets}")


if __name__ == "__main__":
    main(Kcat)
