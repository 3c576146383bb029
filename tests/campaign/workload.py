"""Who does what in a round: topics, clients, and the fresh readers at the end."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "badinput"))
import kafka  # pylint: disable=wrong-import-position,import-error

PARTITIONS = 3
ADD_OFFSETS_TO_TXN, TXN_OFFSET_COMMIT = 25, 28


def served_apis(port):
    """The keys in the server's ApiVersions."""
    client = kafka.Client(port)
    body = client.call(kafka.API_VERSIONS, 0, b"")
    client.close()
    count = struct.unpack(">i", body[2:6])[0]
    return {struct.unpack_from(">h", body, 6 + 6 * index)[0] for index in range(count)}


class Plan:
    """clients: (name, mode, behind the proxy, options); a name's first letter says its kind."""

    kinds = {"p": "sent", "t": "transacted", "x": "transformed", "c": "consumed", "r": "read"}
    ending = "ptxcr"                    # in this order, so that readers see all

    def __init__(self):
        self.transactional = False
        self.topics = ["in", "plain"]
        self.clients = []
        self.loops = []
        self.groups = {}                # group -> topics
        self.progress = {"sent": 100, "consumed": 60, "read": 60}

    def add(self, name, mode, behind_proxy, topics, **rest):
        options = dict(rest, topics=",".join(topics), partitions=PARTITIONS)
        self.clients.append((name, mode, behind_proxy, options))
        if "group" in rest:
            self.groups.setdefault(rest["group"], topics)

    def add_plain(self):
        for number, behind_proxy in enumerate([False, True, False], 1):
            self.add(f"p{number}", "produce", behind_proxy, ["in", "plain"], rate=200)
        for number, behind_proxy in enumerate([False, True, False], 1):
            self.add(f"c{number}", "consume", behind_proxy, ["in", "plain"], group="billing",
                     isolation="read_uncommitted", batch=50)
        self.add("r1", "read", False, self.topics, isolation="read_uncommitted")
        self.add("r2", "read", True, self.topics, isolation="read_committed", slow_ms=1)

    def add_transactional(self):
        self.transactional = True
        self.topics.append("out")
        self.progress = {"sent": 60, "transacted": 20, "transformed": 40, "consumed": 40,
                         "read": 60}
        self.add("p1", "produce", False, ["in"], rate=100)
        self.add("p2", "produce", True, ["in", "plain"], rate=100)
        for number, behind_proxy in enumerate([False, True], 1):
            self.add(f"t{number}", "transact", behind_proxy, ["in", "plain"], rate=200, batch=30,
                     transactional_id=f"t{number}", transaction_ms=15000)
            self.add(f"x{number}", "transform", behind_proxy, ["in"], output="out",
                     group="transformers", batch=100, abort_percent=5,
                     transactional_id=f"x{number}", transaction_ms=15000)
            self.add(f"c{number}", "consume", behind_proxy, ["plain", "out"], group="billing",
                     isolation="read_committed", batch=50)
        self.loops.append(("transformers", "in", "out"))
        self.add("r1", "read", False, self.topics, isolation="read_uncommitted")
        self.add("r2", "read", True, self.topics, isolation="read_committed", slow_ms=1)

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
            code, why = client.create_topic(topic, PARTITIONS)
            assert code == 0, (code, why)
            log(f"topic {topic} delete")
        for loop in self.loops:
            log("loop " + " ".join(loop))
        client.close()

    @staticmethod
    def command(tools, mode):
        return [tools.client, mode]


def plan_for(port):
    """By what the server serves."""
    plan = Plan()
    if {ADD_OFFSETS_TO_TXN, TXN_OFFSET_COMMIT} <= served_apis(port):
        plan.add_transactional()
    else:
        print("  without transactions: the server does not serve them")
        plan.add_plain()
    return plan
