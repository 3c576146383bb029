"""Who does what in a round: topics, clients, and the fresh readers at the end."""
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka  # pylint: disable=wrong-import-position

PARTITIONS = 3
COMPACTED = "kept"
TRANSACTION_MS = 15000
ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 24, 25, 26, 28
CONSUMER_GROUP_HEARTBEAT = 68


def served_apis(port):
    """The keys in the server's ApiVersions."""
    client = kafka.Client(port)
    body = client.call(kafka.API_VERSIONS, 0, b"")
    client.close()
    count = struct.unpack(">i", body[2:6])[0]
    return {struct.unpack_from(">h", body, 6 + 6 * index)[0] for index in range(count)}


class Plan:
    """clients: (name, mode, behind the proxy, options); a name's first letter says its kind."""

    kinds = {"p": "sent", "t": "transacted", "x": "transformed", "j": "transformed in Java",
             "c": "consumed", "k": "consumed by KIP-848", "r": "read"}
    ending = "ptxjckr"                  # in this order, so that readers see all

    def __init__(self, java):
        self.java = java                # the commands of Java clients, by mode
        self.topics = ["in", "plain"]
        self.sent_to = ["in", "plain"]  # by producers of all kinds
        self.clients = []
        self.loops = []
        self.by_epoch = []              # groups of the new protocol
        self.groups = {}                # group -> topics
        self.progress = {"sent": 60, "consumed": 40, "read": 60}

    @property
    def transactional(self):
        return "transacted" in self.progress

    @property
    def compacts(self):
        return COMPACTED in self.topics

    def add(self, name, mode, topics, **rest):
        """Every second client of a kind is behind the proxy."""
        options = dict(rest, topics=",".join(topics), partitions=PARTITIONS)
        self.clients.append((name, mode, name[1:] == "2", options))
        if "group" in rest:
            self.groups.setdefault(rest["group"], topics)

    def add_transactions(self):
        self.progress["transacted"] = 20
        for name in ("t1", "t2"):
            self.add(name, "transact", self.sent_to, rate=200, batch=30, transactional_id=name,
                     transaction_ms=TRANSACTION_MS)

    def add_loop(self, group, output, kind, names, mode):
        self.progress[kind] = 20
        self.topics.append(output)
        self.loops.append((group, "in", output))
        for name in names:
            self.add(name, mode, ["in"], output=output, group=group, batch=100, abort_percent=5,
                     transactional_id=name, transaction_ms=TRANSACTION_MS)

    def add_loops(self):
        self.add_loop("transformers", "out", "transformed", ["x1", "x2"], "transform")
        if "java" in self.java:
            self.add_loop("java", "java-out", "transformed in Java", ["j1", "j2"], "java")

    def add_new_protocol(self):
        self.progress[self.kinds["k"]] = 40
        self.by_epoch.append("shipping")
        for name in ("k1", "k2", "k3"):
            self.add(name, "java-consume", [topic for topic in self.topics if topic != COMPACTED],
                     group="shipping", isolation="read_committed", batch=50)

    def add_rest(self):
        for name in ("p1", "p2"):
            self.add(name, "produce", self.sent_to, rate=100)
        consumed = [topic for topic in self.topics if topic not in ("in", COMPACTED)]
        for name in ("c1", "c2", "c3"):
            self.add(name, "consume", consumed,
                     group="billing", isolation="read_committed", batch=50)
        self.add("r1", "read", self.topics, isolation="read_uncommitted")
        self.add("r2", "read", self.topics, isolation="read_committed", slow_ms=1)

    @property
    def last_look(self):
        """(name, mode, options) of the readers at the end."""
        look = []
        for isolation in ("read_uncommitted", "read_committed"):
            look.append((f"last-{isolation}", "read", {
                "topics": ",".join(self.topics), "partitions": PARTITIONS, "end_s": 60,
                "isolation": isolation}))
        for group, topics in self.groups.items():
            look.append((f"last-{group}", "committed", {
                "topics": ",".join(topics), "partitions": PARTITIONS, "group": group,
                "end_s": 60}))
        return look

    def create_topics(self, port, log):
        client = kafka.Client(port)
        for topic in self.topics:
            if topic != COMPACTED:
                code, why = client.create_topic(topic, PARTITIONS)
                assert code == 0, (code, why)
            log(f"topic {topic} {'compact' if topic == COMPACTED else 'delete'}")
        for loop in self.loops:
            log("loop " + " ".join(loop))
        for group in self.by_epoch:
            log("epochs " + group)
        client.close()

    def command(self, tools, mode):
        return self.java.get(mode) or [tools.client, mode]


def create_compacted(port):
    """Whether the server compacts topics."""
    client = kafka.Client(port)
    code, _ = client.create_topic(COMPACTED, PARTITIONS, [
        ("cleanup.policy", "compact"), ("segment.bytes", "32768"),
        ("min.cleanable.dirty.ratio", "0.1")])
    client.close()
    return code == 0


def plan_for(port, java):
    """By what the server serves."""
    served = served_apis(port)
    plan = Plan(java)
    if create_compacted(port):
        plan.topics.append(COMPACTED)
        plan.sent_to.append(COMPACTED)
    else:
        print("  without a compacted topic: the server does not compact")
    if not {ADD_PARTITIONS_TO_TXN, END_TXN} <= served:
        print("  without transactions: the server does not serve them")
    else:
        plan.add_transactions()
        if {ADD_OFFSETS_TO_TXN, TXN_OFFSET_COMMIT} <= served:
            plan.add_loops()
        else:
            print("  without exactly-once loops: the server has no offsets in transactions")
    if CONSUMER_GROUP_HEARTBEAT not in served:
        print("  without the new group protocol: the server does not serve it")
    elif "java-consume" in java:
        plan.add_new_protocol()
    plan.add_rest()
    return plan
