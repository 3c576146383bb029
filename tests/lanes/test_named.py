#!/usr/bin/python3
"""Members with names, and partitions that are nobody's.

usage: test_named.py TRANSFORM_SERVICE [--bootstrap ADDRESS --brokers DIRECTORY]

One dies while it gives partitions up, and comes back: the first life of the member "a" is spoken by hand, as only so it
dies where it is to. It has all partitions, another member comes, as the group's leader it says which ones it keeps, and
is gone before it has given the others up. They are nobody's then (KIP-429), and as it comes back under its name (KIP-345)
nobody would ask for them. Tidings sees that; on Apache Kafka the member does, as it does in the second scenario,
where a leader that is spoken by hand gives some to nobody, and to itself what no library expects.
"""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import test_runner  # noqa: E402
import test_transact  # noqa: E402
from harness.kafka import Client, array, string  # noqa: E402
from harness.odd_groups import ASSIGNMENTS  # noqa: E402
from harness.server import wait_for  # noqa: E402

UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS = 25, 27
PROTOCOL = "cooperative-sticky"
PARTITIONS = test_runner.PARTITIONS
FOUND_S = 60
ASKS = "joins it anew, so that somebody gets them"


def partitions_of(topic, numbers):
    return array([string(topic) + array([struct.pack(">i", n) for n in numbers])] if numbers else [])


class Hand:
    """A member of the classic protocol with this name, one request at a time."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.id, self.generation = "", -1
        self.client = wait_for(self.coordinator, "the group has a coordinator")

    def coordinator(self):
        """A connection to the one that knows of the group, if it says so too."""
        host, port = self.world.server.address.split(",")[0].rsplit(":", 1)
        client = Client((host, int(port)))
        found = client.ask("find_coordinator", 2, key=self.world.group, key_type=0)
        client.close()
        if found["error_code"] != 0:
            return None
        client = Client((found["host"], found["port"]))
        if client.ask("heartbeat", 3, **self.ids(), generation_id=0)["error_code"] == UNKNOWN_MEMBER_ID:
            return client
        client.close()
        return None

    def ids(self):
        return {"group_id": self.world.group, "member_id": self.id, "group_instance_id": self.name}

    def join(self, owned):
        """The members, once all of them joined."""
        metadata = struct.pack(">h", 1) + array([string(self.world.topic)]) + struct.pack(">i", 0) + \
            partitions_of(self.world.topic, owned)
        answer = self.client.ask("join_group", 5, **self.ids(), protocol_type="consumer", session_timeout_ms=60000,
                                 rebalance_timeout_ms=60000, protocols=[{"name": PROTOCOL, "metadata": metadata}])
        assert answer["error_code"] == 0, answer
        self.id, self.generation = answer["member_id"], answer["generation_id"]
        return [member["member_id"] for member in answer["members"]]

    def assign(self, members, own, others=()):
        """As the leader: to itself (partitions, or any bytes), and to each of the others. False: somebody came meanwhile."""
        answer = self.client.ask("sync_group", 3, **self.ids(), generation_id=self.generation, assignments=[
            {"member_id": member, "assignment": self.assignment(own if member == self.id else others)}
            for member in members])
        assert answer["error_code"] in (0, REBALANCE_IN_PROGRESS), answer
        return answer["error_code"] == 0

    def assignment(self, what):
        return what if isinstance(what, bytes) else \
            struct.pack(">h", 0) + partitions_of(self.world.topic, what) + struct.pack(">i", 0)

    def is_called(self):
        return self.client.ask("heartbeat", 3, **self.ids(), generation_id=self.generation)["error_code"] == \
            REBALANCE_IN_PROGRESS


def until_nobodys(world):
    """Half of the partitions are nobody's; the other member, which is to get them."""
    hand = Hand(world, "a")
    hand.assign(hand.join([]), range(PARTITIONS))
    other = test_transact.Member(world, "instance=b")
    wait_for(hand.is_called, "the other one joins")
    hand.assign(hand.join(range(PARTITIONS)), range(PARTITIONS // 2))
    wait_for(lambda: sorted(world.members()) == [0, PARTITIONS // 2], "it is to give some up")
    hand.client.close()
    return other


def rebalances(world):
    with open(world.server.log_path, encoding="utf-8") as log:
        return log.read().count("a rebalance begins")


def restarts_in_turn(world, members):
    """Nobody is called for it."""
    before = rebalances(world)
    for at, member in enumerate(members):
        member.kill()
        members[at] = member.again()
        wait_for(lambda at=at: "holds" in members[at].log(), "it is back")
    assert rebalances(world) == before, "a member that came back made a rebalance"
    assert sorted(world.members()) == [PARTITIONS // 2] * 2, world.members()


def comes_back(world):
    world.give([(f"k{i}", "ok") for i in range(test_transact.KEYS)])
    other = until_nobodys(world)
    members = [test_transact.Member(world, "instance=a"), other]
    wait_for(lambda: sorted(world.members()) == [PARTITIONS // 2] * 2, "all partitions are somebody's", FOUND_S)
    test_transact.until_all_done(world)
    if not world.options.bootstrap:
        restarts_in_turn(world, members)
    for member in members:
        member.stop()
    asked = sum(member.log().count(ASKS) for member in world.services)
    assert asked == (1 if world.options.bootstrap else 0), f"{asked} members asked for what is nobody's"
    world.check()


def asks_for_them(world):
    """Once, some seconds after it began to see that they are nobody's."""
    world.give([(f"k{i}", "ok") for i in range(test_transact.KEYS)])
    hand = Hand(world, "leader")
    hand.assign(hand.join([]), range(PARTITIONS))
    member = test_transact.Member(world, "instance=a")
    wait_for(hand.is_called, "the other one joins")
    assert hand.assign(hand.join([]), ASSIGNMENTS["cut"], range(PARTITIONS // 2))
    wait_for(hand.is_called, "it asks for what is nobody's", FOUND_S)
    members = hand.join([])
    while not hand.assign(members, ASSIGNMENTS["many"], range(PARTITIONS)) or len(members) < 2:
        wait_for(hand.is_called, "it has left, and joins anew")
        members = hand.join([])
    test_transact.until_all_done(world)
    member.stop()
    assert member.log().count(ASKS) == 1, member.log()
    world.check()


SCENARIOS = [comes_back, asks_for_them]


def main():
    parser = test_runner.arguments()
    parser.add_argument("scenarios", nargs="*")
    options = parser.parse_args()
    for scenario in SCENARIOS:
        name = scenario.__name__
        if name not in (options.scenarios or [name]):
            continue
        with (tempfile.TemporaryDirectory(prefix="tidings-named-") as directory,
              test_transact.World(options, directory, name.replace("_", "-")) as world):
            scenario(world)
        print(name.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
