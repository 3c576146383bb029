"""Members of consumer groups, of both protocols, that take one request of the protocol at a time."""
import struct

from txn_client import Client, check, child

REBALANCE_IN_PROGRESS = 27
MEMBER_ID_REQUIRED = 79
PARTITIONS = 4
SETTINGS = ("group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=1000")


def create_topic(client, name):
    answer = client.ask("create_topics", 4, timeout_ms=30000, topics=[
        {"name": name, "num_partitions": PARTITIONS, "replication_factor": 1}])
    check(answer["topics"][0]["error_code"], "CreateTopics")


def try_commit(client, group, topic, partition, offset, epoch=-1, member="", instance=None, **more):
    """The error code; `epoch` is a generation or a member epoch."""
    answer = client.ask(
        "offset_commit", more.pop("version", 9), group_id=group, generation_id_or_member_epoch=epoch,
        member_id=member, group_instance_id=instance, **more, topics=[
            {"name": topic, "partitions": [{"partition_index": partition, "committed_offset": offset,
                                            "committed_metadata": "note"}]}])
    return answer["topics"][0]["partitions"][0]["error_code"]


def offsets(client, group, topic):
    """The group's committed offset of each partition, -1 for none."""
    answer = client.ask("offset_fetch", 7, group_id=group, topics=[
        {"name": topic, "partition_indexes": list(range(PARTITIONS))}])
    check(answer["error_code"], "OffsetFetch")
    return [p["committed_offset"] for p in sorted(answer["topics"][0]["partitions"],
                                                  key=lambda p: p["partition_index"])]


# ---- the classic protocol ----

class Member:
    """One member, with a connection of its own."""

    def __init__(self, group, topic, port, instance=None, session_ms=60000):
        self.group, self.topic, self.instance, self.session_ms = group, topic, instance, session_ms
        self.id, self.generation, self.leader, self.assignment = "", -1, None, None
        self.connect(port)

    def connect(self, port):
        self.client = Client(port)

    def ids(self):
        return {"group_id": self.group, "member_id": self.id, "group_instance_id": self.instance}

    def send_join(self):
        name = self.topic.encode()
        subscription = struct.pack(">hih", 0, 1, len(name)) + name + b"\xff\xff\xff\xff"
        self.client.request("join_group", 5, **self.ids(), protocol_type="consumer",
                         session_timeout_ms=self.session_ms, rebalance_timeout_ms=60000,
                         protocols=[{"name": "range", "metadata": subscription}])

    def receive_join(self):
        answer = self.client.answer("join_group", 5)
        if answer["error_code"] == MEMBER_ID_REQUIRED:
            self.id = answer["member_id"]
            self.send_join()
            return self.receive_join()
        check(answer["error_code"], "JoinGroup")
        self.id, self.generation = answer["member_id"], answer["generation_id"]
        self.leader = answer["leader"]
        return answer

    def come(self):
        """The first JoinGroup of a member; it is answered when the others have come too."""
        self.send_join()
        if self.instance is None:  # the id comes at once
            answer = self.client.answer("join_group", 5)
            assert answer["error_code"] == MEMBER_ID_REQUIRED, f"JoinGroup: {answer}"
            self.id = answer["member_id"]
            self.send_join()

    def sync(self, assignments=()):
        answer = self.client.ask("sync_group", 3, **self.ids(), generation_id=self.generation,
                                 assignments=list(assignments))
        check(answer["error_code"], "SyncGroup")
        return answer["assignment"]

    def beat(self):
        return self.client.ask("heartbeat", 3, **self.ids(),
                               generation_id=self.generation)["error_code"]

    def commit(self, partition, offset, topic=None):
        check(try_commit(self.client, self.group, topic or self.topic, partition, offset,
                         self.generation, self.id, self.instance, version=7), "OffsetCommit")

    def leave(self):
        check(self.client.ask("leave_group", 1, group_id=self.group,
                              member_id=self.id)["error_code"], "LeaveGroup")


def rejoin(members, comer=None):
    """All join; the leader hands out an assignment that names the member and the generation."""
    for member in members:
        child.wait_for(lambda m=member: m.beat() == REBALANCE_IN_PROGRESS,
                       f"{member.group}: no rebalance")
    for member in members:
        member.send_join()
    everyone = members + ([comer] if comer else [])
    for member in everyone:
        member.receive_join()
    leader = next(m for m in everyone if m.id == m.leader)
    given = [{"member_id": m.id, "assignment": f"{i} of {len(everyone)}".encode()}
             for i, m in enumerate(everyone)]
    leader.sync(given)
    for member in everyone:
        member.assignment = member.sync()


def form(members):
    """They join one after the other; the group is stable."""
    for count, member in enumerate(members):
        member.come()
        rejoin(members[:count], member)
    return members


def described(client, group):
    answer = client.ask("describe_groups", 4, groups=[group])["groups"][0]
    check(answer["error_code"], "DescribeGroups")
    answer["members"].sort(key=lambda m: m["member_id"])
    return answer


# ---- the consumer protocol (KIP-848) ----

class ConsumerMember:
    def __init__(self, group, topic, port, name, instance=None):
        self.group, self.topic, self.id, self.instance = group, topic, name, instance
        self.epoch, self.owned = 0, []
        self.connect(port)

    def connect(self, port):
        self.client = Client(port)

    def try_beat(self, **more):
        return self.client.ask("consumer_group_heartbeat", 1, group_id=self.group, member_id=self.id,
                               member_epoch=self.epoch, instance_id=self.instance, **more)

    def take(self, answer):
        check(answer["error_code"], f"ConsumerGroupHeartbeat ({answer['error_message']})")
        self.epoch = answer["member_epoch"]
        if answer["assignment"] is not None:
            self.owned = answer["assignment"]["topic_partitions"]
        return answer

    def join(self):
        return self.take(self.try_beat(rebalance_timeout_ms=60000, topic_partitions=[],
                                       subscribed_topic_names=[self.topic]))

    def beat(self):
        """Owns what it was given."""
        return self.take(self.try_beat(topic_partitions=self.owned))

    def commit(self, partition, offset, topic=None):
        check(try_commit(self.client, self.group, topic or self.topic, partition, offset, self.epoch,
                         self.id, self.instance), "OffsetCommit")

    def leave(self):
        """For good; a static member keeps its place."""
        epoch = -1 if self.instance is None else -2
        answer = self.client.ask("consumer_group_heartbeat", 1, group_id=self.group,
                                 member_id=self.id, member_epoch=epoch, instance_id=self.instance)
        check(answer["error_code"], "leaving")

    def partitions(self):
        return sorted(p for topic in self.owned for p in topic["partitions"])


def consumer_described(client, group):
    answer = client.ask("consumer_group_describe", 1, group_ids=[group])["groups"][0]
    check(answer["error_code"], "ConsumerGroupDescribe")
    answer["members"].sort(key=lambda m: m["member_id"])
    return answer


def settle(members):
    """They heartbeat until the group is stable and every partition has one owner."""
    def stable():
        for member in members:
            member.beat()
        return consumer_described(members[0].client, members[0].group)["group_state"] == "Stable"

    child.wait_for(stable, f"{members[0].group}: is never stable")
    owned = sorted(p for member in members for p in member.partitions())
    assert owned == list(range(PARTITIONS)), f"{members[0].group}: owned: {owned}"
