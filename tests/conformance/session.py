"""Sends requests to a server and writes down its answers so that two servers' can be compared:
ids, addresses, times and texts that must differ are masked."""
import os
import re
import struct
import time

from harness import codec, kafka

ANSWER_S = 10
DAY_MS = 86400 * 1000
NODE_FIELDS = {"leader_id", "node_id", "controller_id", "broker_id", "replica_nodes", "isr_nodes",
               "eligible_leader_replicas"}
MEMBER_FIELDS = {"member_id", "leader"}
LEFT_OUT = {"throttle_time_ms", "node_endpoints"}


def error_names():
    """code: name, from the header the server is built with"""
    path = os.path.join(codec.WIRE, "kafka_error.h")
    with open(path, encoding="utf-8") as text:
        return {int(code): name for name, code in re.findall(r"X\((\w+), (-?\d+)\)", text.read())}


ERRORS = error_names()


class Masks:
    """What is told apart by order of appearance instead of by value."""

    def __init__(self, node):
        self.node = node
        self.members = {}
        self.producers = {}
        self.topics = {codec.ZERO_ID: "zero"}
        self.now = time.time() * 1000

    def numbered(self, table, letter, value):
        if value not in table:
            table[value] = f"{letter}{sum(text[0] == letter for text in table.values()) + 1}"
        return table[value]

    def learn(self, values):
        """Member ids that a request makes up are shown as they are."""
        for name, value in values.items():
            if name == "member_id" and value and not value.startswith("conformance-"):
                self.members.setdefault(value, repr(value))
            for inner in value if isinstance(value, list) else []:
                if isinstance(inner, dict):
                    self.learn(inner)

    def number(self, name, value):
        if name.endswith("error_code"):
            return ERRORS.get(value, str(value))
        if name in NODE_FIELDS:
            return "NODE" if value == self.node else str(value)
        if name == "producer_id" and value >= 0:
            return self.numbered(self.producers, "P", value)
        if name == "session_id" and value != 0:
            return "SESSION"
        if name == "port" and value > 0:
            return "PORT"
        if name.endswith("_bytes") and value > 0:
            return "BYTES"
        if ("timestamp" in name or "time_ms" in name) and abs(value - self.now) < DAY_MS:
            return "NOW"
        return str(value).lower() if isinstance(value, bool) else str(value)

    def text(self, name, value):
        if name.endswith("message") or name == "documentation":
            return "TEXT" if value else repr(value)
        if name in MEMBER_FIELDS and value:
            return self.numbered(self.members, "M", value)
        if name in ("host", "cluster_id", "log_dir") and value:
            return name.upper()
        return repr(value)

    def value(self, name, value):
        if value is None:
            return "null"
        if isinstance(value, (bool, int, float)):
            return self.number(name, value)
        if isinstance(value, str):
            return self.text(name, value)
        if isinstance(value, bytes) and len(value) == 16 and name == "topic_id":
            return self.topics.get(value, "OTHER")
        if isinstance(value, bytes):
            return repr(value)
        return "[" + ", ".join(self.value(name, one) for one in value) + "]"


def batch_lines(masks, data):
    """A line a record batch, whole or not."""
    at = 0
    while at + 61 <= len(data):
        base, size, epoch, magic, crc = struct.unpack(">qiibI", data[at:at + 21])
        end = at + 12 + size
        if end > len(data):
            break
        attributes, delta, first, last, producer, p_epoch, sequence, count = struct.unpack(
            ">hiqqqhii", data[at + 21:at + 61])
        fits = crc == kafka.crc32c(data[at + 21:end])
        yield (f"batch base={base} last={base + delta} epoch={epoch} magic={magic} "
               f"crc={'fits' if fits else 'wrong'} attributes={attributes} "
               f"times={masks.number('timestamp', first)}..{masks.number('timestamp', last)} "
               f"producer={masks.number('producer_id', producer)}/{p_epoch}/{sequence} "
               f"count={count}")
        at = end
    if at < len(data):
        yield "a piece of a batch"


def lines(masks, values, indent=""):
    """A dictionary as text: plain fields on one line, what contains more below it."""
    plain, below = [], []
    for name, value in values.items():
        if name in LEFT_OUT or (name == "documentation" and value is None):
            continue
        if name == "records":
            below += [indent + "  " + line for line in batch_lines(masks, value or b"")]
        elif isinstance(value, dict):
            below += [f"{indent}{name}:"] + lines(masks, value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            below.append(f"{indent}{name}:")
            for one in sorted(value, key=lambda one: (order(one), masks.members.get(
                    one.get("member_id"), ""))):
                below += lines(masks, one, indent + "  ")
        else:
            plain.append(f"{name}={masks.value(name, value)}")
    return ([indent + " ".join(plain)] if plain else []) + below


def order(values):
    """Lists that servers may answer in any order are shown in one."""
    text = [values[name] for name in (
        "name", "topic", "group_id", "resource_name", "transactional_id")
        if isinstance(values.get(name), str)]
    index = [values[name] for name in ("partition_index", "partition", "index") if name in values]
    return "".join(text[:1]), (index or [0])[0], values.get("config_operation", 0)


class Session:
    """The requests of all cases to one server, and the text of its answers."""

    def __init__(self, address, ranges):
        self.address = address
        self.ranges = ranges
        self.out = []
        self.connection = None
        self.masks = Masks(None)
        answer = self.ask("metadata", 1, topics=[])
        self.masks.node = answer["controller_id"]
        self.until(lambda: self.ask("find_coordinator", 1, key="any", key_type=0),
                   lambda answer: answer["error_code"] == 0)

    # -- quietly --

    def send(self, api, version, values, connection):
        connection.request(api, version, **values)

    def receive(self, api, version, connection):
        return connection.answer(api, version)

    def connect(self):
        return kafka.Client(self.address, timeout_s=ANSWER_S, name="conformance")

    def shared(self):
        self.connection = self.connection or self.connect()
        return self.connection

    def ask(self, api, version, connection=None, **values):
        """The answer as a dictionary; an exception when there is none."""
        try:
            self.send(api, version, values, connection or self.shared())
            return self.receive(api, version, connection or self.connection)
        except (OSError, codec.Malformed, AssertionError):
            if connection is None and self.connection is not None:
                self.connection.close()
                self.connection = None
            raise

    def until(self, what, good):
        """Asks until the answer is good; for what a cluster does a moment later."""
        deadline = time.monotonic() + 30
        while True:
            answer = what()
            if good(answer):
                return answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.02)

    def topic(self, name, partitions=1, **configs):
        """Makes a topic and waits until it can be used; its id."""
        settings = [{"name": key.replace("_", "."), "value": value}
                    for key, value in configs.items()]
        answer = self.ask("create_topics", 4, topics=[
            {"name": name, "num_partitions": partitions, "replication_factor": 1,
             "configs": settings}], timeout_ms=30000)
        assert answer["topics"][0]["error_code"] == 0, answer
        return self.settle(name, partitions)

    def settle(self, name, partitions=1):
        """Waits until the topic has this many partitions with a leader; its id."""
        def good(answer):
            topic = answer["topics"][0]
            return topic["error_code"] == 0 and len(topic["partitions"]) == partitions and all(
                p["error_code"] == 0 for p in topic["partitions"])
        answer = self.until(lambda: self.ask("metadata", 12, topics=[
            {"name": name}], allow_auto_topic_creation=False), good)
        topic_id = answer["topics"][0]["topic_id"]
        self.masks.topics[topic_id] = f"id of {name}"
        return topic_id

    def gone(self, name):
        self.until(lambda: self.ask("metadata", 4, topics=[
            {"name": name}], allow_auto_topic_creation=False),
            lambda answer: answer["topics"][0]["error_code"] == 3)

    # -- aloud --

    def write(self, title, text):
        self.out += [f"-- {title}"] + text + [""]

    def answer_text(self, api, version, values, connection=None):
        self.masks.learn(values)
        try:
            return lines(self.masks, self.ask(api, version, connection, **values))
        except TimeoutError:
            return ["no answer"]
        except ConnectionError:
            return ["connection closed"]
        except codec.Malformed as error:
            return [f"malformed: {error}"]

    def show(self, title, api, version, connection=None, **values):
        """Asks, and writes the answer down."""
        self.write(f"{api} v{version}: {title}",
                   self.answer_text(api, version, values, connection))

    def show_all(self, title, api, least=0, **values):
        """The same in every version served; what is alike in neighbours is written once."""
        low, high = self.ranges[api]
        texts = []
        for version in range(max(low, least), high + 1):
            text = self.answer_text(api, version, values)
            if texts and texts[-1][2] == text:
                texts[-1][1] = version
            else:
                texts.append([version, version, text])
        for first, last, text in texts:
            span = f"v{first}" if first == last else f"v{first}-{last}"
            self.write(f"{api} {span}: {title}", text)

    def heading(self, text):
        """Begins a group of cases; what is numbered is numbered anew."""
        self.masks.members.clear()
        self.masks.producers.clear()
        self.out += ["", f"## {text}", ""]
