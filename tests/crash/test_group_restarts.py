#!/usr/bin/python3
"""Kills the server under groups with live members; the members go on as if nothing had been.

usage: test_group_restarts.py

A group of the classic protocol and one of the consumer protocol (KIP-848), each with static members and
others and with committed offsets, are stable. The server is killed with SIGKILL and started again:
  - members heartbeat on with their ids and their generation or epoch, and are not told to rejoin; members,
    leader, assignments and offsets are as before; commits are taken. A static member that restarts too gets
    a new id and its old assignment, without a rebalance.
  - a static member of a consumer group that is away meanwhile comes back to the partitions it had.
  - partitions that are moving from one member to another end with one owner each.
  - a member that does not come back is out after its session time-out, the others rebalance, and the group
    they form outlives the next kill.
"""
import shutil
import tempfile

from group_client import (PARTITIONS, SETTINGS, ConsumerMember, Member,
                          consumer_described, create_topic, described, form, offsets, rejoin, settle,
                          try_commit)
from txn_client import Client, child

SESSION_MS = 5000
FENCED_INSTANCE_ID = 82
UNKNOWN_MEMBER_ID = 25
TOPIC = "orders"
SHORT = SETTINGS + tuple(f"group.consumer.{name}.ms={ms}" for name, ms in (
    ("min.session.timeout", SESSION_MS), ("session.timeout", SESSION_MS),
    ("min.heartbeat.interval", 500), ("heartbeat.interval", 500)))


def started(data, settings=SETTINGS):
    server = child.Server(data, *settings)
    create_topic(Client(server.port), TOPIC)
    return server


def killed(server, members, settings=SETTINGS):
    """A new server on the data of the one that was killed; the members find it."""
    server.kill()
    server = child.Server(server.data, *settings)
    for member in members:
        member.connect(server.port)
    return server


def commit_all(members, base):
    """One partition each."""
    for partition, member in enumerate(members):
        member.commit(partition, base + partition)


def expect_offsets(member, count, base):
    found = offsets(member.client, member.group, TOPIC)
    wanted = [base + p for p in range(count)] + [-1] * (PARTITIONS - count)
    assert found == wanted, f"{member.group}: offsets {found}, not {wanted}"


# ---- the members go on ----

def check_classic(members, before):
    for member in members:
        code = member.beat()
        assert code == 0, f"{member.group}: a heartbeat got error {code}"
    found = described(members[0].client, members[0].group)
    assert found == before, f"described as\n{found}\nnot as\n{before}"
    for member in members:
        assert member.sync() == member.assignment, "another assignment"
    follower = next(m for m in members if m.id != m.leader)
    generation, leader = follower.generation, follower.leader
    follower.send_join()  # asks again with what the group has: no rebalance
    follower.receive_join()
    assert (follower.generation, follower.leader) == (generation, leader), "another leader"


def restart_static(old, others, port):
    """The process of a static member comes back and knows its instance id only."""
    new = Member(old.group, old.topic, port, old.instance)
    new.send_join()
    new.receive_join()
    assert new.id != old.id and new.generation == old.generation, "the static member made a rebalance"
    assert new.sync() == old.assignment, "another assignment for the static member"
    assert old.beat() == FENCED_INSTANCE_ID, "the static member's old id is not fenced"
    # Its former self may not know any more who it is; as Apache Kafka answers.
    for member, epoch in ((old.id, old.generation), ("", old.generation), ("", -1)):
        assert try_commit(old.client, old.group, old.topic, 0, 1, epoch, member, old.instance) == (
            FENCED_INSTANCE_ID), "a commit of the static member's old self"
    for member in others:
        assert member.beat() == 0, "a static member's return made a rebalance"


def classic_goes_on(data):
    server = started(data)
    members = form([Member("classic", TOPIC, server.port, instance) for instance in
                    (None, "till", None)])
    commit_all(members, 100)
    before = described(members[0].client, "classic")
    assert before["group_state"] == "Stable" and len(before["members"]) == 3, before
    for base in (100, 200):  # twice: what was loaded is stored well too
        server = killed(server, members)
        check_classic(members, before)
        expect_offsets(members[0], 3, base)
        commit_all(members, base + 100)
    restart_static(members[1], [members[0], members[2]], server.port)
    assert server.stop() == 0
    print("ok a classic group goes on after 2 kills: 3 members", flush=True)


def check_consumer(members, before):
    for member in members:
        answer = member.try_beat()
        assert answer["error_code"] == 0, f"a heartbeat got {answer}"
        assert answer["member_epoch"] == member.epoch, f"another member epoch: {answer}"
        assert answer["assignment"] is None, f"given partitions anew: {answer}"
    found = consumer_described(members[0].client, members[0].group)
    assert found == before, f"described as\n{found}\nnot as\n{before}"


def consumer_goes_on(data):
    server = started(data)
    members = [ConsumerMember("consumer", TOPIC, server.port, name, instance)
               for name, instance in (("ann", None), ("bob", "till"), ("cat", None))]
    for member in members:
        member.join()
    settle(members)
    commit_all(members, 100)
    before = consumer_described(members[0].client, "consumer")
    for base in (100, 200):
        server = killed(server, members)
        check_consumer(members, before)
        expect_offsets(members[0], 3, base)
        commit_all(members, base + 100)
    assert server.stop() == 0
    print("ok a consumer group goes on after 2 kills: 3 members", flush=True)


# ---- a static member is away, partitions are moving ----

def consumer_static_comes_back(data):
    server = started(data)
    members = [ConsumerMember("consumer", TOPIC, server.port, name, instance)
               for name, instance in (("ann", None), ("bob", "till"))]
    for member in members:
        member.join()
    settle(members)
    away = members[1]
    away.leave()
    server = killed(server, members)
    back = ConsumerMember("consumer", TOPIC, server.port, "bob again", "till")
    back.join()
    assert (back.epoch, back.partitions()) == (away.epoch, away.partitions()), (
        f"epoch {back.epoch} and {back.partitions()}, not {away.epoch} and {away.partitions()}")
    assert away.try_beat()["error_code"] == FENCED_INSTANCE_ID, "the id before is not fenced"
    settle([members[0], back])
    assert server.stop() == 0
    print("ok a static member of a consumer group comes back after a kill", flush=True)


def consumer_moves(data):
    """Killed behind each answer of a move: the old owner is told, has given up, the new one has them."""
    server = started(data)
    moves = ("told", "given up", "taken")
    for done in range(len(moves) + 1):
        where = f"killed when {moves[done - 1] if done else 'the new member has joined'}"
        old, new = (ConsumerMember(f"moving-{done}", TOPIC, server.port, name)
                    for name in ("ann", "bob"))
        old.join()
        settle([old])
        new.join()
        for member in (old, old, new)[:done]:
            member.beat()
        server = killed(server, [old, new])
        if done < 2:
            new.beat()
            assert not new.partitions(), f"{where}: given {new.partitions()}, which the old owner has yet"
        settle([old, new])
        assert len(old.partitions()) == len(new.partitions()), (
            f"{where}: {old.partitions()} and {new.partitions()}")
    assert server.stop() == 0
    print(f"ok partitions that are moving: killed behind {len(moves) + 1} steps", flush=True)


# ---- a member is gone ----

def classic_member_is_gone(data):
    server = started(data)
    members = form([Member("classic", TOPIC, server.port, session_ms=ms)
                    for ms in (60000, SESSION_MS, 60000)])
    commit_all(members, 100)
    gone, stay = members[1], [members[0], members[2]]
    generation = gone.generation
    server = killed(server, stay)
    rejoin(stay)
    assert {m.generation for m in stay} == {generation + 1}, "not one rebalance"
    gone.connect(server.port)
    assert gone.beat() == UNKNOWN_MEMBER_ID, "the member that was gone is still known"
    found = described(stay[0].client, "classic")
    assert [m["member_id"] for m in found["members"]] == sorted(m.id for m in stay), found
    expect_offsets(stay[0], 3, 100)
    server = killed(server, stay)
    check_classic(stay, found)
    assert server.stop() == 0
    print("ok a member of a classic group is gone", flush=True)


def consumer_member_is_gone(data):
    server = started(data, SHORT)
    members = [ConsumerMember("consumer", TOPIC, server.port, name) for name in ("ann", "bob", "cat")]
    for member in members:
        member.join()
    settle(members)
    commit_all(members, 100)
    gone, stay = members[1], [members[0], members[2]]
    epoch = gone.epoch
    server = killed(server, stay, SHORT)

    def is_gone():
        for member in stay:
            member.beat()
        return len(consumer_described(stay[0].client, "consumer")["members"]) == 2

    child.wait_for(is_gone, "the member that is gone is still in the group")
    settle(stay)
    assert all(m.epoch > epoch for m in stay), "no new epoch"
    gone.connect(server.port)
    assert gone.try_beat()["error_code"] == UNKNOWN_MEMBER_ID, "the gone member is still known"
    expect_offsets(stay[0], 3, 100)
    found = consumer_described(stay[0].client, "consumer")
    server = killed(server, stay, SHORT)
    check_consumer(stay, found)
    assert server.stop() == 0
    print("ok a member of a consumer group is gone", flush=True)


def main():
    for play in (classic_goes_on, consumer_goes_on, consumer_static_comes_back, consumer_moves,
                 classic_member_is_gone, consumer_member_is_gone):
        folder = tempfile.mkdtemp(prefix="tidings-group-restarts-")
        play(folder + "/data")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
