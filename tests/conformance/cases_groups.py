"""Consumer groups."""
from session import lines


def coordinators(k):
    k.heading("FindCoordinator")
    k.show_all("a group", "find_coordinator", key="coord", key_type=0, coordinator_keys=["coord"])
    k.show("several", "find_coordinator", 4, key_type=0, coordinator_keys=["b", "a", "b"])
    k.show("none", "find_coordinator", 4, key_type=0, coordinator_keys=[])
    for version in (0, 1, 3):
        k.show("empty key", "find_coordinator", version, key="", key_type=0)
    k.show("empty key", "find_coordinator", 4, coordinator_keys=[""], key_type=0)
    for kind in (1, 2, 9, -1):
        k.show(f"type {kind}", "find_coordinator", 1, key="coord", key_type=kind)
        k.show(f"type {kind}", "find_coordinator", 4, coordinator_keys=["coord"], key_type=kind)


def joining(group, member="", protocols=(("range", b"r"),), kind="consumer", session_ms=10000,
            rebalance_ms=10000, instance=None):
    return {"group_id": group, "member_id": member, "protocol_type": kind,
            "session_timeout_ms": session_ms, "rebalance_timeout_ms": rebalance_ms,
            "group_instance_id": instance,
            "protocols": [{"name": name, "metadata": data} for name, data in protocols]}


def joined(k, group, version=5, **more):
    """One member, stable, with the assignment b'mine'; its id."""
    member = more.pop("member", "")
    answer = k.ask("join_group", version, **joining(group, member, **more))
    if answer["error_code"] == 79:
        answer = k.ask("join_group", version, **joining(group, answer["member_id"], **more))
    assert answer["error_code"] == 0, answer
    answer2 = k.ask("sync_group", 3, group_id=group, generation_id=answer["generation_id"],
                    member_id=answer["member_id"], group_instance_id=more.get("instance"),
                    assignments=[{"member_id": answer["member_id"], "assignment": b"mine"}])
    assert answer2["error_code"] == 0, answer2
    return answer["member_id"], answer["generation_id"]


def join(k):
    k.heading("JoinGroup")
    for version in range(0, 4):
        k.show("a new member", "join_group", version, **joining(f"join-{version}"))
    for version in range(4, k.ranges["join_group"][1] + 1):
        k.show("a new member must come back with its id", "join_group", version,
               **joining(f"join-{version}"))
        answer = k.ask("join_group", version, **joining(f"join-{version}"))
        k.show("comes back", "join_group", version,
               **joining(f"join-{version}", answer["member_id"]))
    k.show("unknown member, new group", "join_group", 5, **joining("join-none", "nobody"))
    member, _ = joined(k, "join-a")
    k.show("unknown member", "join_group", 5, **joining("join-a", "nobody"))
    k.show("empty group id", "join_group", 5, **joining(""))
    for session_ms in (0, -1, 1, 5999, 1800001):
        k.show(f"session time-out {session_ms}", "join_group", 5,
               **joining("join-time", session_ms=session_ms))
    k.show("session time-out of 6 s", "join_group", 5, **joining("join-time", session_ms=6000))
    k.show("no protocols", "join_group", 3, **joining("join-b", protocols=()))
    k.show("no protocol type", "join_group", 3, **joining("join-b", kind=""))
    k.show("no protocols, v5", "join_group", 5, **joining("join-b", protocols=()))
    k.show("other protocols", "join_group", 3, **joining("join-a", protocols=(("other", b""),)))
    k.show("other protocol type", "join_group", 3, **joining("join-a", kind="connect"))
    k.show("known member, other protocol type", "join_group", 3,
           **joining("join-a", member, kind="connect"))
    k.show("same member again, nothing new (leader)", "join_group", 5, **joining("join-a", member))
    k.show("rebalance time-out -1", "join_group", 3, **joining("join-c", rebalance_ms=-1))
    k.show("several protocols", "join_group", 3,
           **joining("join-e", protocols=(("sticky", b"1"), ("range", b"2"))))
    k.show("empty protocol name", "join_group", 3, **joining("join-f", protocols=(("", b"1"),)))
    two_members(k)
    k.show("a protocol twice", "join_group", 3,
           **joining("join-d", protocols=(("range", b"1"), ("range", b"2"))))


def two_members(k):
    """A second member joins, the first is told, both sync, one leaves."""
    member, generation = joined(k, "pair", 3, protocols=(("a", b"1"), ("b", b"1")))
    k.masks.numbered(k.masks.members, "M", member)
    other = k.connect()
    second = joining("pair", protocols=(("b", b"2"), ("c", b"2")))
    k.send("join_group", 3, second, other)

    def beat():
        return k.ask("heartbeat", 1, group_id="pair", generation_id=generation, member_id=member)
    k.until(beat, lambda answer: answer["error_code"] != 0)
    k.show("while the group rebalances", "heartbeat", 1, group_id="pair",
           generation_id=generation, member_id=member)
    k.show("while the group rebalances", "sync_group", 3, group_id="pair",
           generation_id=generation, member_id=member)
    k.show("while the group rebalances", "offset_commit", 5, **commit(
        "pair", "pair-none", 1, generation, member))
    k.show("while the group rebalances", "describe_groups", 1, groups=["pair"])
    k.show("first, again: leads", "join_group", 3, **joining(
        "pair", member, protocols=(("a", b"1"), ("b", b"1"))))
    answer = k.receive("join_group", 3, other)
    k.write("join_group v3: second: follows", lines(k.masks, answer))
    two_sync(k, member, answer, other)


def two_sync(k, member, answer, other):
    second, generation = answer["member_id"], answer["generation_id"]
    k.show("before the sync", "heartbeat", 1, group_id="pair", generation_id=generation,
           member_id=member)
    k.show("before the sync", "offset_commit", 5, **commit(
        "pair", "pair-none", 1, generation, member))
    k.send("sync_group", 3, {"group_id": "pair", "generation_id": generation,
                             "member_id": second}, other)
    k.show("of the leader, who forgets the other", "sync_group", 3, group_id="pair",
           generation_id=generation, member_id=member,
           assignments=[{"member_id": member, "assignment": b"all"}])
    k.write("sync_group v3: of the follower", lines(k.masks, k.receive("sync_group", 3, other)))
    k.show("of the follower again", "sync_group", 3, group_id="pair",
           generation_id=generation, member_id=second)
    k.show("stable", "describe_groups", 1, groups=["pair"])
    k.show("the second leaves", "leave_group", 1, group_id="pair", member_id=second)
    k.show("and is gone", "heartbeat", 1, group_id="pair", generation_id=generation,
           member_id=second)
    k.show("the first hears", "heartbeat", 1, group_id="pair", generation_id=generation,
           member_id=member)


def members(k):
    k.heading("SyncGroup, Heartbeat, LeaveGroup")
    member, generation = joined(k, "members")

    def sync(title, version=5, **more):
        k.show(title, "sync_group", version, **{
            "group_id": "members", "generation_id": generation, "member_id": member,
            "protocol_type": "consumer", "protocol_name": "range", **more})

    def beat(title, version=3, **more):
        k.show(title, "heartbeat", version, **{
            "group_id": "members", "generation_id": generation, "member_id": member, **more})

    k.show_all("of a stable group", "sync_group", group_id="members", generation_id=generation,
               member_id=member, protocol_type="consumer", protocol_name="range")
    k.show_all("of a stable group", "heartbeat", group_id="members", generation_id=generation,
               member_id=member)
    for name in (sync, beat):
        name("unknown member", member_id="nobody")
        name("empty member id", member_id="")
        name("older generation", generation_id=generation - 1)
        name("newer generation", generation_id=generation + 1)
        name("generation -1", generation_id=-1)
        name("unknown group", group_id="members-none")
        name("empty group id", group_id="")
        name("unknown instance", group_instance_id="ghost")
    sync("other protocol type", protocol_type="connect")
    sync("other protocol", protocol_name="sticky")
    sync("no protocol", protocol_name=None, protocol_type=None)
    leave(k)


def leave(k):
    def go(title, version, group="members", **more):
        k.show(title, "leave_group", version, group_id=group, **more)

    for version in (0, 1, 2):
        go("unknown member", version, member_id="nobody")
        go("empty member id", version, member_id="")
    go("unknown group", 1, "members-none", member_id="nobody")
    go("empty group id", 1, "", member_id="nobody")
    for version in (3, 4, 5):
        go("unknown member", version, members=[{"member_id": "nobody"}])
    go("unknown group", 3, "members-none", members=[{"member_id": "nobody"}])
    go("empty group id", 3, "", members=[{"member_id": "nobody"}])
    go("nobody", 3, members=[])
    go("nobody, unknown group", 3, "members-none", members=[])
    go("unknown instance", 3, members=[{"member_id": "", "group_instance_id": "ghost"}])
    member, _ = joined(k, "leave")
    go("one known, one not", 3, "leave", members=[
        {"member_id": member}, {"member_id": "nobody"}])
    go("again", 3, "leave", members=[{"member_id": member}])
    k.show("empty group", "describe_groups", 4, groups=["leave"])
    for version in range(k.ranges["leave_group"][1] + 1):
        member, _ = joined(k, f"leave-{version}")
        go("leaves", version, f"leave-{version}", member_id=member,
           members=[{"member_id": member}])
    member, generation = joined(k, "leave-still")
    go("one of two named twice", 3, "leave-still", members=[
        {"member_id": member}, {"member_id": member}])


def static_members(k):
    k.heading("Static members")
    k.topic("static-offsets")
    k.show("joins", "join_group", 5, **joining("static", instance="one"))
    member, generation = joined(k, "static", instance="one")
    k.show("joins again: a new id, the same generation", "join_group", 5,
           **joining("static", instance="one"))
    k.show("old id", "heartbeat", 3, group_id="static", generation_id=generation,
           member_id=member, group_instance_id="one")
    k.show("old id without instance", "heartbeat", 3, group_id="static",
           generation_id=generation, member_id=member)
    k.show("old id", "sync_group", 3, group_id="static", generation_id=generation,
           member_id=member, group_instance_id="one")
    k.show("old id", "offset_commit", 7, **commit(
        "static", "static-none", 1, generation, member, group_instance_id="one"))
    # As from a client that took its session for over and forgot its id.
    for title, given in (("old id", member), ("no id", "")):
        for number in (generation, -1):
            k.show(f"{title}, {'its' if number >= 0 else 'no'} generation", "offset_commit", 7,
                   **commit("static", "static-offsets", 1, number, given, group_instance_id="one"))
    k.show("no id", "heartbeat", 3, group_id="static", generation_id=-1, member_id="",
           group_instance_id="one")
    k.show("no id", "sync_group", 3, group_id="static", generation_id=generation, member_id="",
           group_instance_id="one")
    k.show("old id", "join_group", 5, **joining("static", member, instance="one"))
    k.show("unknown instance with an id", "join_group", 5,
           **joining("static", member, instance="two"))
    k.show("old id", "leave_group", 3, group_id="static", members=[
        {"member_id": member, "group_instance_id": "one"}])
    k.show("describes", "describe_groups", 4, groups=["static"])
    k.show("by instance", "leave_group", 3, group_id="static", members=[
        {"member_id": "", "group_instance_id": "one"}])
    k.show("joins with changed protocols", "join_group", 9, **joining(
        "static-new", instance="one"))
    member, generation = joined(k, "static-new", instance="one")
    k.show("joins with another protocol", "join_group", 9, **joining(
        "static-new", instance="one", protocols=(("other", b"x"),)))
    member, generation = joined(k, "static-same", instance="one")
    k.show("restarts with the same subscription, v9", "join_group", 9, **joining(
        "static-same", instance="one"))
    k.show("empty instance", "join_group", 5, **joining("static-e", instance=""))


def commit(group, topic, offset, generation=-1, member="", partition=0, metadata="", **more):
    inner = {"committed_leader_epoch": more.pop("epoch")} if "epoch" in more else {}
    return {"group_id": group, "generation_id_or_member_epoch": generation, "member_id": member,
            **more, "topics": [{"name": topic, "partitions": [
                {"partition_index": partition, "committed_offset": offset,
                 "committed_metadata": metadata, **inner}]}]}


def offset_commit(k):
    k.heading("OffsetCommit")
    k.topic("commits", 2)

    def put(title, *arguments, version=7, **more):
        k.show(title, "offset_commit", version, **commit(*arguments, **more))

    k.show_all("without members", "offset_commit", **commit("simple", "commits", 5))
    put("unknown topic", "simple", "commits-none", 5)
    put("unknown partition", "simple", "commits", 5, partition=9)
    put("bad topic name", "simple", "com/mits", 5)
    put("negative offset", "simple", "commits", -1)
    put("offset -5", "simple", "commits", -5, partition=1)
    put("huge offset", "simple", "commits", 1 << 62)
    put("null metadata", "simple", "commits", 5, metadata=None)
    put("longest metadata", "simple", "commits", 5, metadata="x" * 4096)
    put("too long metadata", "simple", "commits", 5, metadata="x" * 4097)
    put("leader epoch", "simple", "commits", 6, epoch=3)
    put("leader epoch -5", "simple", "commits", 6, epoch=-5)
    put("empty group id", "", "commits", 5)
    put("generation without members", "simple", "commits", 5, 3)
    put("member without members", "simple", "commits", 5, -1, "nobody")
    put("generation and member in no group", "commit-none", "commits", 5, 3, "nobody")
    put("unknown instance without members", "simple", "commits", 5, group_instance_id="ghost")
    put("retention", "simple", "commits", 5, version=4, retention_time_ms=100000)
    put("internal topic", "simple", "__consumer_offsets", 5)
    k.show("no topics", "offset_commit", 7, group_id="simple", member_id="")
    k.show("good, unknown and too long together", "offset_commit", 7, group_id="simple",
           member_id="", topics=[{"name": "commits", "partitions": [
               {"partition_index": 0, "committed_offset": 9, "committed_metadata": ""},
               {"partition_index": 7, "committed_offset": 9, "committed_metadata": ""},
               {"partition_index": 1, "committed_offset": 9,
                "committed_metadata": "x" * 5000}]}])
    member, generation = joined(k, "committers")
    put("member", "committers", "commits", 1, generation, member)
    put("older generation", "committers", "commits", 1, generation - 1, member)
    put("newer generation", "committers", "commits", 1, generation + 1, member)
    put("unknown member", "committers", "commits", 1, generation, "nobody")
    put("no member, no generation", "committers", "commits", 1)
    put("no member, a generation", "committers", "commits", 1, generation, "")
    put("unknown instance", "committers", "commits", 1, generation, member,
        group_instance_id="ghost")


def offset_fetch(k):
    k.heading("OffsetFetch")
    k.topic("fetched", 3)
    k.ask("offset_commit", 7, **commit("reader", "fetched", 5, metadata="note", epoch=2))
    k.ask("offset_commit", 7, **commit("reader", "fetched", 7, partition=1))

    def look(title, version, group="reader", topics=(("fetched", [0, 1, 2]),), **more):
        wanted = None if topics is None else [
            {"name": name, "partition_indexes": indexes} for name, indexes in topics]
        k.show(title, "offset_fetch", version, group_id=group, topics=wanted,
               groups=[{"group_id": group, "topics": wanted}], **more)

    low, high = k.ranges["offset_fetch"]
    k.show_all("three partitions", "offset_fetch", group_id="reader", topics=[
        {"name": "fetched", "partition_indexes": [0, 1, 2]}], groups=[
            {"group_id": "reader", "topics": [
                {"name": "fetched", "partition_indexes": [0, 1, 2]}]}])
    for version in range(2, high + 1):
        look("all", version, topics=None)
    for version in (low, 5, 7, 8):
        look("unknown group", version, "reader-none")
        look("unknown topic", version, topics=(("fetched-none", [0]),))
        look("unknown partition", version, topics=(("fetched", [9]),))
        look("no topics", version, topics=())
        look("empty group id", version, "")
    look("all of an unknown group", 5, "reader-none", None)
    look("all of an unknown group", 8, "reader-none", None)
    look("stable ones only", 7, require_stable=True)
    look("bad topic name", 5, topics=(("fet/ched", [0]),))
    look("no partitions", 5, topics=(("fetched", []),))
    look("a partition twice", 5, topics=(("fetched", [0, 0]),))
    k.show("several groups", "offset_fetch", 8, groups=[
        {"group_id": "reader", "topics": None}, {"group_id": "reader-none", "topics": None},
        {"group_id": "reader", "topics": [{"name": "fetched", "partition_indexes": [0]}]}])
    k.show("no groups", "offset_fetch", 8, groups=[])


def groups(k):
    k.heading("DescribeGroups, ListGroups, DeleteGroups, OffsetDelete")
    k.topic("listed", 2)
    k.ask("offset_commit", 7, **commit("list-simple", "listed", 5))
    subscription = b"\0\0\0\0\0\1\0\6listed\xff\xff\xff\xff"
    member, _ = joined(k, "list-stable", protocols=(("range", subscription),))
    gone, _ = joined(k, "list-empty", kind="connect")
    k.ask("leave_group", 1, group_id="list-empty", member_id=gone)
    k.show_all("stable", "describe_groups", groups=["list-stable"])
    k.show_all("unknown", "describe_groups", groups=["list-none"])
    k.show("empty", "describe_groups", 4, groups=["list-empty"])
    k.show("offsets only", "describe_groups", 4, groups=["list-simple"])
    k.show("empty group id", "describe_groups", 4, groups=[""])
    k.show("none", "describe_groups", 4, groups=[])
    k.show("twice", "describe_groups", 4, groups=["list-simple", "list-simple"])
    k.show("authorised operations", "describe_groups", 4, groups=["list-stable", "list-none"],
           include_authorized_operations=True)
    for version in range(k.ranges["list_groups"][0], k.ranges["list_groups"][1] + 1):
        listed(k, version, "all")
    for states in (["Stable"], ["Empty"], ["stable"], ["STABLE"], ["Dead"], ["Nonsense"],
                   ["Stable", "Empty"], ["PreparingRebalance"], [""]):
        listed(k, 4, f"states {states}", states_filter=states)
    for types in (["classic"], ["Classic"], ["consumer"], ["Nonsense"], ["classic", "consumer"]):
        listed(k, 5, f"types {types}", types_filter=types)
    listed(k, 5, "state and type", states_filter=["Empty"], types_filter=["classic"])
    offset_delete(k)
    delete_groups(k)


def listed(k, version, title, **filters):
    answer = k.ask("list_groups", version, **filters)
    answer["groups"] = [g for g in answer["groups"] if g["group_id"].startswith("list-")]
    k.write(f"list_groups v{version}: {title}", lines(k.masks, answer))


def offset_delete(k):
    def drop(title, group, *topics):
        k.show(title, "offset_delete", 0, group_id=group, topics=[
            {"name": name, "partitions": [{"partition_index": i} for i in indexes]}
            for name, indexes in topics])

    k.ask("offset_commit", 7, **commit("list-simple", "listed", 5, partition=1))
    drop("one partition", "list-simple", ("listed", [0]))
    drop("one without an offset", "list-simple", ("listed", [0]))
    drop("unknown partition", "list-simple", ("listed", [9]))
    drop("unknown topic", "list-simple", ("listed-none", [0]))
    drop("unknown group", "list-none", ("listed", [0]))
    drop("empty group id", "", ("listed", [0]))
    drop("no topics", "list-simple")
    drop("a topic that is subscribed to", "list-stable", ("listed", [0]))
    drop("another one of the same group", "list-stable", ("members-none", [0]))
    k.topic("listed-other")
    short = b"\0\1\0\0\0\1\0\6listed\xff\xff\xff\xff"  # version 1 without its owned partitions
    joined(k, "list-short", protocols=(("range", short),))
    drop("a topic that is subscribed to, metadata cut short", "list-short", ("listed", [0]))
    drop("another one, metadata cut short", "list-short", ("listed-other", [0]))
    drop("group of another kind", "list-empty", ("listed", [0]))
    k.show("what is left", "offset_fetch", 5, group_id="list-simple", topics=None)
    drop("the last", "list-simple", ("listed", [1]))
    k.show("after its last offset", "describe_groups", 4, groups=["list-simple"])


def delete_groups(k):
    low, high = k.ranges["delete_groups"]
    for version in range(low, high + 1):
        k.ask("offset_commit", 7, **commit(f"drop-{version}", "listed", 5))
        k.show("offsets only", "delete_groups", version, groups_names=[f"drop-{version}"])
    k.show("again", "delete_groups", 1, groups_names=["drop-0"])
    k.show("its offsets", "offset_fetch", 5, group_id="drop-0", topics=None)
    k.show("with members", "delete_groups", 1, groups_names=["list-stable"])
    k.show("without members", "delete_groups", 1, groups_names=["list-empty"])
    k.show("unknown", "delete_groups", 1, groups_names=["drop-none"])
    k.show("empty group id", "delete_groups", 1, groups_names=[""])
    k.show("none", "delete_groups", 1, groups_names=[])
    k.ask("offset_commit", 7, **commit("drop-twice", "listed", 5))
    k.show("twice", "delete_groups", 1, groups_names=["drop-twice", "drop-twice"])
    k.show("after it", "describe_groups", 4, groups=["drop-0"])


CASES = [coordinators, join, members, static_members, offset_commit, offset_fetch, groups]
