#!/usr/bin/python3
"""backup and restore of a real bus, also under load and killed.

    TIDINGS_BIN=build/tidings tests/cli/test_backup.py -v
"""
import glob
import json
import os
import shutil
import signal
import struct
import subprocess
import threading
import unittest

from directory import batches, Case, DEADLINE_S, patch, run, Server, wait_until
from harness.kafka import Client, batch, crc32c, record
from harness.server import BINARY

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None


class Load:
    """Publishes numbered events and commits offsets until stopped; knows what was acknowledged."""

    def __init__(self, bus, events):
        self.bus, self.events = bus, events
        self.ended = False
        self.acknowledged = 0 # events below were all acknowledged
        self.rounds = 0
        self.failure = None
        self.threads = [threading.Thread(target=self.work, args=(work,))
                        for work in (self.publish, self.consume)]

    def work(self, what):
        try:
            while not self.ended:
                what()
        except Exception as error: # pylint: disable=broad-except
            self.failure = error

    def publish(self):
        first = self.acknowledged
        text = "".join(f"{i} {200 * 'x'}\n" for i in range(first, first + self.events))
        self.bus.run("publish", "t", "-q", text=text)
        self.acknowledged = first + self.events

    def consume(self):
        self.bus.run("subscribe", "t", "--group", "g", "--max", "300", "--until-end")
        self.rounds += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure


class Transform:
    """The exactly-once loop: events of `in` to `out`, offsets in the same transaction."""

    def __init__(self, address):
        self.common = {"bootstrap.servers": address}
        self.ended, self.commits, self.failure = False, 0, None

    def work(self):
        try:
            producer = confluent_kafka.Producer(dict(self.common, **{"transactional.id": "copier"}))
            producer.init_transactions(DEADLINE_S)
            consumer = self.consumer("copiers")
            consumer.assign([confluent_kafka.TopicPartition("in", 0, max(self.committed(), 0))])
            while not self.ended:
                events = consumer.consume(20, 1)
                if events:
                    self.copy(producer, consumer, events)
            consumer.close()
        except Exception as error: # pylint: disable=broad-except
            self.failure = error

    def copy(self, producer, consumer, events):
        producer.begin_transaction()
        for event in events:
            producer.produce("out", event.value())
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()),
                                             consumer.consumer_group_metadata(), DEADLINE_S)
        producer.commit_transaction(DEADLINE_S)
        self.commits += 1

    def consumer(self, group):
        return confluent_kafka.Consumer(dict(self.common, **{
            "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "enable.partition.eof": True}))

    def committed(self):
        consumer = self.consumer("copiers")
        where, = consumer.committed([confluent_kafka.TopicPartition("in", 0)], DEADLINE_S)
        consumer.close()
        return where.offset

    def output(self):
        """The values that a read_committed consumer finds in `out`."""
        consumer, values = self.consumer("reader"), []
        consumer.assign([confluent_kafka.TopicPartition("out", 0, 0)])
        while True:
            event = consumer.poll(DEADLINE_S)
            if event.error():
                consumer.close()
                if event.error().code() != confluent_kafka.KafkaError._PARTITION_EOF: # pylint: disable=protected-access
                    raise AssertionError(event.error())
                return values
            values.append(event.value().decode())

    def __enter__(self):
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        if self.failure:
            raise self.failure


def is_waiting(pid):
    """It takes signals as something to read, and has a socket."""
    folder = f"/proc/{pid}/fd"
    try:
        links = [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]
    except FileNotFoundError: # closed since it was listed
        return False
    return "anon_inode:[signalfd]" in links and any(link.startswith("socket:") for link in links)


class BackupTest(Case):
    def setUp(self):
        super().setUp()
        self.backup, self.restored = self.path("backup"), self.path("restored")

    def values(self, data):
        """The numbers of the events in topic t."""
        said, _ = run("dump", data, "--topic", "t", "--json")
        return [int(json.loads(line)["value"].split(" ")[0]) for line in said.splitlines()]

    def committed(self, bus):
        groups = json.loads(bus.run("group", "describe", "g", "--json")[0])
        group = groups[0] if isinstance(groups, list) else groups
        return {p["partition"]: p["offset"] for p in group["partitions"]
                if p.get("offset") is not None}

    def make_it_last(self, bus):
        """40 MB that come last: at 1 MB a second a backup, or a restore, is at work for long enough to be met there."""
        client = Client(int(bus.address.rsplit(":", 1)[1]))
        self.assertEqual(client.create_topic("z-ballast")[0], 0)
        heavy = batch([record(bytes(900000))])
        for _ in range(44):
            self.assertEqual(client.produce("z-ballast", heavy)[0], 0)
        client.close()

    def snapshots(self):
        return os.path.isdir(self.path("data/snapshots")) and os.listdir(self.path("data/snapshots"))

    def start_backup(self, *options):
        return subprocess.Popen([BINARY, "backup", self.data, self.backup, *options],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_under_load_killed_resumed_restored(self):
        with Server(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t", "--partitions", "3")
            self.make_it_last(bus)
            with Load(bus, 2000) as load:
                wait_until(lambda: load.acknowledged >= 20000 and load.rounds >= 2 or load.failure,
                           "load")
                killed = self.start_backup("--max-rate", "1")
                progress = os.path.join(self.backup, "progress")
                wait_until(lambda: os.path.exists(progress) and os.path.getsize(progress) > 0,
                           "a journal of what was copied")
                self.assertTrue(self.snapshots())
                killed.kill()
                killed.communicate()
                wait_until(lambda: not self.snapshots(), "the snapshot of a killed backup is gone")
                run("backup", "--verify", self.backup, code=4) # it is not whole
                run("restore", self.backup, self.restored, code=4)
                before, commits = load.acknowledged, self.committed(bus)
                done = json.loads(run("backup", self.data, self.backup, "--json")[0])
            last = load.acknowledged
        self.assertTrue(done["running"])
        self.assertLess(done["copied_files"], done["files"]) # the killed one's work was of use
        self.assertEqual(done["damaged"], [])
        said = json.loads(run("backup", "--verify", self.backup, "--json")[0])
        self.assertTrue(said["good"])
        run("restore", self.backup, self.restored)
        run("check", self.restored)
        found = self.values(self.restored)
        self.assertEqual(len(found), len(set(found)), "an event is there twice")
        self.assertEqual(set(range(before)) - set(found), set(), "an acknowledged event is missing")
        self.assertTrue(set(found) <= set(range(last)))
        with Server(self.restored) as bus:
            now = self.committed(bus)
            topics = json.loads(bus.run("topic", "describe", "t", "--json")[0])
            topic = topics[0] if isinstance(topics, list) else topics
            ends = {p["partition"]: p["end_offset"] for p in topic["partitions"]}
            for partition, offset in commits.items():
                self.assertGreaterEqual(now[partition], offset)
            for partition, offset in now.items():
                self.assertLessEqual(offset, ends[partition])
            bus.run("publish", "t", "the bus goes on")
        run("check", self.restored)

    @unittest.skipUnless(confluent_kafka, "python3-confluent-kafka is not installed")
    def test_exactly_once_over_a_restore(self):
        """Consume, transform, produce while backups are made: in each copy, offsets and output agree."""
        with Server(self.data) as bus:
            bus.run("topic", "create", "in")
            bus.run("topic", "create", "out")
            bus.run("publish", "in", "-q", text="".join(f"{i}\n" for i in range(50000)))
            with Transform(bus.address) as transform:
                for i in range(3):
                    seen = transform.commits
                    wait_until(lambda: transform.commits >= seen + 5 or transform.failure, "commits")
                    run("backup", self.data, f"{self.backup}{i}")
        for i in range(3):
            run("restore", f"{self.backup}{i}", f"{self.restored}{i}")
            with Server(f"{self.restored}{i}") as bus:
                with Transform(bus.address) as transform: # its start settles what was open
                    transform.ended = True
                committed = transform.committed()
                found = transform.output()
                self.assertGreater(committed, 0)
                self.assertEqual(found, [str(number) for number in range(committed)])
            run("check", f"{self.restored}{i}")

    def test_a_later_backup_copies_what_is_new(self):
        with Server(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t")
            lines = "".join(f"{i} {500 * 'x'}\n" for i in range(8000))
            bus.run("publish", "t", "-q", text=lines)
            first = json.loads(run("backup", self.data, self.backup, "--json")[0])
            self.assertEqual(first["copied_bytes"], first["bytes"])
            again = json.loads(run("backup", self.data, self.backup, "--json")[0])
            self.assertEqual(again["copied_bytes"], 0)
            bus.run("publish", "t", "8000 more")
            more = json.loads(run("backup", self.data, self.backup, "--json")[0])
            self.assertLess(more["copied_bytes"], 10000)
            wait_until(lambda: not self.snapshots(), "no snapshot is left")
            bus.run("topic", "delete", "t")
            bus.run("topic", "create", "t") # the same names, other bytes
            bus.run("publish", "t", "0 the second life")
            run("backup", self.data, self.backup)
        run("backup", "--verify", self.backup)
        run("restore", self.backup, self.restored)
        self.assertEqual(self.values(self.restored), [0])
        stored = glob.glob(os.path.join(self.backup, "data/topics/t-0/*"))
        self.assertEqual(len(stored), 1, stored) # what nobody names any more is gone

    def test_a_log_that_grew_again_differently(self):
        """The same file, longer, but with another beginning: as after a crash that lost its end."""
        path = self.made()
        run("backup", self.data, self.backup)
        with open(path, "r+b") as file:
            position, size, _ = batches(path)[4]
            file.seek(position)
            last = bytearray(file.read(size))
            last[-30] ^= 1
            last[17:21] = struct.pack(">I", crc32c(last[21:]))
            file.seek(position)
            file.write(last + struct.pack(">q", 5) + last[8:])
        run("backup", self.data, self.backup)
        run("backup", "--verify", self.backup)
        run("restore", self.backup, self.restored)
        with open(path, "rb") as one, \
                open(os.path.join(self.restored, "topics/t-0", os.path.basename(path)), "rb") as two:
            self.assertEqual(one.read(), two.read())

    def test_of_a_stopped_directory(self):
        self.made()
        done = json.loads(run("backup", self.data, self.backup, "--json")[0])
        self.assertFalse(done["running"])
        self.assertFalse(os.path.exists(os.path.join(self.data, "snapshots")))
        os.mkdir(self.restored) # an empty directory is as good as none
        run("restore", self.backup, self.restored)
        with Server(self.restored) as bus:
            said, _ = bus.run("subscribe", "t", "--max", "5")
            self.assertEqual(len(said.splitlines()), 5)
            self.assertIn("damaged_batches=0", bus.log())

    def test_a_damaged_backup_is_refused(self):
        self.made()
        run("backup", self.data, self.backup)
        stored = os.path.join(self.backup, "data/topics/t-0/00000000000000000000.log")
        for name, position in ((stored, 100), (os.path.join(self.backup, "manifest"), 50),
                               (os.path.join(self.backup, "data/tidings.db"), 200)):
            patch(name, position, lambda byte: byte ^ 1)
            code = 1
            said, error = run("backup", "--verify", self.backup, code=code)
            self.assertIn(os.path.basename(name).split(".")[0], said + error)
            _, error = run("restore", self.backup, self.restored, code=1)
            self.assertIn("damaged", error)
            self.assertFalse(os.path.exists(self.restored))
            shutil.rmtree(self.restored + ".restoring", ignore_errors=True)
            patch(name, position, lambda byte: byte ^ 1)
        os.truncate(stored, 100)
        _, error = run("restore", self.backup, self.restored, code=1)
        self.assertIn("too short", error)

    def test_a_damaged_source_is_copied_as_it_is(self):
        path = self.made()
        position, _, _ = batches(path)[2]
        patch(path, position + 80, lambda byte: byte ^ 1)
        said, error = run("backup", self.data, self.backup)
        self.assertIn(f"damaged batch at position {position}", error)
        said, _ = run("backup", "--verify", self.backup)
        self.assertIn("1 file was damaged in the bus already", said)
        run("restore", self.backup, self.restored)
        with Server(self.restored) as bus: # nothing behind the damage is lost
            said, _ = bus.run("subscribe", "t", "--from", "3", "--max", "2")
            self.assertEqual([line.split("event ")[1][0] for line in said.splitlines()], ["3", "4"])

    def test_restore_goes_on(self):
        with Server(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t")
            bus.run("publish", "t", "-q", text="".join(f"{i} {500 * 'x'}\n" for i in range(8000)))
            self.make_it_last(bus)
            run("backup", self.data, self.backup)
        slow = subprocess.Popen([BINARY, "restore", self.backup, self.restored, "--max-rate", "1"],
                                stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        segments = os.path.join(self.restored + ".restoring", "topics/t-0")
        wait_until(lambda: os.path.isdir(segments) and len(os.listdir(segments)) > 2, "a part")
        slow.kill()
        slow.communicate()
        self.assertFalse(os.path.exists(self.restored))
        done = json.loads(run("restore", self.backup, self.restored, "--json")[0])
        self.assertLess(done["copied_files"], done["files"])
        self.assertFalse(os.path.exists(self.restored + ".restoring"))
        self.assertEqual(sorted(self.values(self.restored)), list(range(8000)))

    def test_interrupted_by_a_signal(self):
        with Server(self.data, "log.segment.bytes=1048576") as bus:
            bus.run("topic", "create", "t")
            bus.run("publish", "t", "-q", text="".join(f"{i} {500 * 'x'}\n" for i in range(8000)))
            self.make_it_last(bus)
            slow = self.start_backup("--max-rate", "1")
            wait_until(self.snapshots, "a snapshot")
            slow.send_signal(signal.SIGINT)
            _, error = slow.communicate(timeout=DEADLINE_S)
            self.assertEqual(slow.returncode, 1)
            self.assertIn("the same command goes on", error)
            wait_until(lambda: not self.snapshots(), "no snapshot is left")
            run("backup", self.data, self.backup)
        run("backup", "--verify", self.backup)

    def test_a_killed_server_leaves_no_snapshot(self):
        bus = Server(self.data, "log.segment.bytes=1048576")
        bus.run("topic", "create", "t")
        bus.run("publish", "t", "-q", text="".join(f"{i} {500 * 'x'}\n" for i in range(8000)))
        self.make_it_last(bus)
        slow = self.start_backup("--max-rate", "1")
        wait_until(self.snapshots, "a snapshot")
        bus.end(signal.SIGKILL)
        slow.kill()
        slow.communicate()
        self.assertTrue(self.snapshots())
        with Server(self.data):
            self.assertFalse(self.snapshots())
            run("backup", self.data, self.backup)
        run("restore", self.backup, self.restored)
        self.assertEqual(sorted(self.values(self.restored)), list(range(8000)))

    def test_a_hung_server(self):
        """It is given time, then up; a signal ends the wait at once; no directory is left."""
        with Server(self.data) as bus:
            bus.run("topic", "create", "t")
            bus.process.send_signal(signal.SIGSTOP)
            try:
                _, said = run("backup", self.data, self.backup, "--timeout", "200ms", code=6)
                self.assertIn("did not answer within 200 ms", said)
                process = subprocess.Popen([BINARY, "backup", self.data, self.backup],
                                           stderr=subprocess.PIPE, text=True)
                wait_until(lambda: is_waiting(process.pid), "it has asked for a snapshot")
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=DEADLINE_S)
            finally:
                bus.process.send_signal(signal.SIGCONT)
            self.assertEqual(process.returncode, 1, said)
            self.assertIn("stopped before the server answered", said)
            self.assertFalse(os.path.exists(self.backup))
            run("backup", self.data, self.backup)

    def test_of_nothing_leaves_nothing(self):
        run("backup", self.data, self.backup, code=4)
        self.assertFalse(os.path.exists(self.backup))

    def test_refused(self):
        self.made()
        run("backup", self.data, self.backup)
        os.mkdir(self.path("full"))
        with open(self.path("full/file"), "w", encoding="ascii") as file:
            file.write("somebody's")
        _, error = run("backup", self.data, self.path("full"), code=5)
        self.assertIn("no backup", error)
        _, error = run("restore", self.backup, self.path("full"), code=5)
        self.assertIn("not empty", error)
        _, error = run("backup", self.path("nothing"), self.backup, code=4)
        self.assertIn("no data directory", error)
        other = self.path("other")
        with Server(other):
            _, error = run("backup", other, self.backup, code=5)
        self.assertIn("another bus", error)
        run("backup", "--verify", self.backup)
        run("backup", self.data, code=2)
        run("restore", self.backup, code=2)


if __name__ == "__main__":
    unittest.main()
