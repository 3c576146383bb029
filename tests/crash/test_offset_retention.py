#!/usr/bin/python3
"""Lets committed offsets grow old by the wall clock: offsets.retention.minutes (KIP-211).

usage: test_offset_retention.py FAULT_LAYER

Offsets go when they are older than the retention: those of a group without members counted from when it
became empty, those of a consumer that is nobody's member from their commit; those of a group with members
stay, but for topics that no member reads. A commit may have a retention of its own (OffsetCommit 2 to 4).
What went stays away after a kill, though the clock is set back and the retention is long: it was stored.
The server's wall clock is moved by the preloaded FAULT_LAYER.
"""
import os
import shutil
import sys
import tempfile

from group_client import (PARTITIONS, SETTINGS, ConsumerMember, Member, create_topic, form, offsets,
                          settle, try_commit)
from txn_client import Client, check, child

sys.path.insert(0, os.path.join(child.ROOT, "tests", "campaign"))
from layer import Layer  # pylint: disable=wrong-import-position

TOPIC = "orders"
UNREAD = "invoices"  # no member subscribes to it
KEPT_LONG = SETTINGS
KEPT_SHORT = SETTINGS + ("offsets.retention.minutes=1", "offsets.retention.check.interval.ms=20")
NONE = [-1] * PARTITIONS


class World:
    """A server whose wall clock can be moved, and what its groups have."""

    def __init__(self, folder, gate):
        self.data, self.gate = os.path.join(folder, "data"), gate
        self.control = os.path.join(folder, "control")
        self.layer = Layer(self.control, 1)

    def start(self, settings):
        self.server = child.Server(self.data, *settings, preload=[self.gate], env={
            "FAULTS_DIR": self.data, "FAULTS_CONTROL": self.control})
        self.client = Client(self.server.port)

    def at(self, seconds):
        self.layer["clock_ms"] = seconds * 1000

    def commit(self, group, partition, offset, **more):
        check(try_commit(self.client, group, TOPIC, partition, offset, **more), "OffsetCommit")

    def expect(self, group, wanted, topic=TOPIC):
        found = offsets(self.client, group, topic)
        assert found == wanted, f"{group}: offsets {found} in {topic}, not {wanted}"

    def wait_gone(self, group, left=None, topic=TOPIC):
        child.wait_for(lambda: offsets(self.client, group, topic) == (left or NONE),
                       f"{group}: its offsets do not expire")

    def sweep(self):
        """Until all groups were looked through: an offset that is old at once has gone three times, so
        the second look began behind this call and ended before the third."""
        for _ in range(3):
            self.commit("canary", 0, 1, version=4, retention_time_ms=0)
            self.wait_gone("canary")


def at_first(world):
    """Each commits at second 0; the live members."""
    port = world.server.port
    left, late, live = (form([Member(name, TOPIC, port)])[0] for name in ("left", "late", "live"))
    consumer = ConsumerMember("consumer", TOPIC, port, "ann")
    consumer.join()
    settle([consumer])
    for member in (left, late, live, consumer):
        member.commit(0, 10)
        member.commit(0, 10, UNREAD)
    world.commit("simple", 0, 10)
    world.commit("own", 0, 10, version=4, retention_time_ms=100000)
    left.leave()
    return late, live, consumer


def offsets_expire(folder, gate):
    world = World(folder, gate)
    world.start(KEPT_SHORT)
    create_topic(world.client, TOPIC)
    create_topic(world.client, UNREAD)
    late, live, consumer = at_first(world)
    first, second, both = [10, -1, -1, -1], [-1, 20, -1, -1], [10, 20, -1, -1]

    world.at(40)
    late.leave()
    world.commit("simple", 1, 20)
    world.sweep()
    for group, wanted in (("left", first), ("late", first), ("simple", both), ("own", first)):
        world.expect(group, wanted)
    for group in ("left", "late", "live", "consumer"):
        world.expect(group, first, UNREAD)

    world.at(70)  # second 0 is old, second 40 is not
    world.wait_gone("left")
    world.wait_gone("simple", second)
    for group in ("live", "consumer"):
        world.wait_gone(group, topic=UNREAD)
    world.sweep()
    for group in ("late", "live", "consumer", "own"):
        world.expect(group, first)
    world.expect("late", first, UNREAD)

    world.server.kill()
    world.at(0)
    world.start(KEPT_LONG)
    for group, wanted in (("left", NONE), ("simple", second), ("late", first), ("live", first),
                          ("consumer", first), ("own", first)):
        world.expect(group, wanted)
    for group in ("live", "consumer"):
        world.expect(group, NONE, UNREAD)
    listed = {g["group_id"] for g in world.client.ask("list_groups", 4)["groups"]}
    assert listed == {"simple", "late", "live", "consumer", "own"}, f"groups: {listed}"

    world.server.kill()
    world.at(110)  # second 40 is old too: both times were kept across the restarts
    world.start(KEPT_SHORT)
    for group in ("late", "simple", "own"):
        world.wait_gone(group)
    world.sweep()
    for member in (live, consumer):
        member.connect(world.server.port)
        world.expect(member.group, first)
    assert live.beat() == 0, "the live member was told to rejoin"
    consumer.beat()
    live.leave()
    world.sweep()
    world.expect("live", first)  # it is empty since now, whatever the age of the commit
    assert world.server.stop() == 0


def main():
    folder = tempfile.mkdtemp(prefix="tidings-offset-retention-")
    offsets_expire(folder, sys.argv[1])
    shutil.rmtree(folder)
    print("ok offsets expire by their group", flush=True)


if __name__ == "__main__":
    main()
