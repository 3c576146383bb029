"""A transaction that is open in a partition's log while its coordinator has forgotten it: what the
disk had of the coordinator's records is gone."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
import txn_client  # pylint: disable=wrong-import-position,import-error
from processes import Failure  # pylint: disable=wrong-import-position
from rot import whole_batches  # pylint: disable=wrong-import-position
from txn_client import kafka  # pylint: disable=wrong-import-position

STATE = "__transaction_state"
TOPIC, PARTITION, KEY = "plain", 0, "k0"
EVENTS = 3
TIMEOUT_MS = 4000           # of the transaction, when it is put back
READ_COMMITTED = 1
HANDLED = ("a transaction that nobody would have ended is aborted",
           "a partition is put back into its transaction")


def state_partition(transactional_id, count):
    """As Java's String.hashCode says."""
    value = 0
    for char in transactional_id.encode():
        value = (31 * value + char) & 0xFFFFFFFF
    value = value - (1 << 32) if value >= 1 << 31 else value
    return abs(value) % count if value != -(1 << 31) else 0


class Hanging:
    """One transactional producer that begins and never ends. Its records are the only ones of its
    partition of the coordinator's log, but for others of its kind."""

    def __init__(self, run, rng):
        self.run = run
        self.two = rng.random() < 0.5       # transactions v2 (KIP-890), or v1
        self.name = self.free_id(rng)
        self.client = txn_client.Client(run.server.ports[0])
        self.producer = None
        self.first = -1                     # offset of its first event

    def folder(self, partition):
        return os.path.join(self.run.data, "topics", f"{STATE}-{partition}")

    def free_id(self, rng):
        folders = os.listdir(os.path.join(self.run.data, "topics"))
        self.count = sum(name.startswith(STATE + "-") for name in folders)
        taken = {state_partition(options["transactional_id"], self.count)
                 for _, _, _, options in self.run.plan.clients if "transactional_id" in options}
        while True:
            name = f"hanging-{rng.getrandbits(32):08x}"
            if state_partition(name, self.count) not in taken:
                return name

    def ask(self, api, version, **values):
        return self.client.ask(api, version, **values)

    def try_init(self):
        answer = self.ask("init_producer_id", 4, transactional_id=self.name,
                          transaction_timeout_ms=TIMEOUT_MS)
        self.producer = {"producer_id": answer["producer_id"],
                         "producer_epoch": answer["producer_epoch"]}
        return answer["error_code"] == 0

    def try_add(self):
        answer = self.ask("add_partitions_to_txn", 3, v3_and_below_transactional_id=self.name,
                          v3_and_below_producer_id=self.producer["producer_id"],
                          v3_and_below_producer_epoch=self.producer["producer_epoch"],
                          v3_and_below_topics=[{"name": TOPIC, "partitions": [PARTITION]}])
        result = answer["results_by_topic_v3_and_below"][0]["results_by_partition"][0]
        return result["partition_error_code"] == 0

    def try_send(self):
        values = [f"{self.name}:{number}" for number in range(EVENTS)]
        batch = kafka.batch([kafka.record(f"{value} hanging".encode(), delta, KEY.encode())
                             for delta, value in enumerate(values)],
                            attributes=txn_client.TRANSACTIONAL, sequence=0, **self.producer)
        answer = self.ask("produce", 12 if self.two else 11, transactional_id=self.name, acks=-1,
                          timeout_ms=30000, topic_data=[
                              {"name": TOPIC, "partition_data": [
                                  {"index": PARTITION, "records": batch}]}])
        found = answer["responses"][0]["partition_responses"][0]
        self.first = found["base_offset"]
        return found["error_code"] == 0

    def begin(self):
        """Events in the log, acknowledged; nobody asks for the end."""
        log = self.run.log
        self.run.wait_for(self.try_init, f"a producer id for {self.name}")
        log(f"begin {self.name}")
        for number in range(EVENTS):
            log(f"send {self.name}:{number} {TOPIC} {PARTITION} {KEY} {self.name} -")
        if not self.two:
            self.run.wait_for(self.try_add, f"a transaction of {self.name}")
        self.run.wait_for(self.try_send, f"events of {self.name}")
        for number in range(EVENTS):
            log(f"acked {self.name}:{number} {self.first + number}")

    def forget(self, everything):
        """Cuts off the coordinator's last record of it, or all. The server is down. What the last
        checkpoint had of that is gone for good, and `tidings check` is to say so."""
        partition = state_partition(self.name, self.count)
        folder = self.folder(partition)
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))
                 if name.endswith(".log")]
        path = [path for path in paths if os.path.getsize(path) > 0][-1]
        with open(path, "rb") as file:
            batches = list(whole_batches(file.read()))
        if len(batches) < 2:
            raise Failure(f"{path} holds {len(batches)} batches; two of {self.name} were expected")
        kept = [] if everything else batches[:-1]
        os.truncate(path, sum(len(data) for _, _, _, data in kept))
        self.run.forgotten[f"{STATE}-{partition}"].update(
            range(batches[len(kept)][0], batches[-1][1] + 1))

    def stable_offset(self):
        answer = self.ask("list_offsets", 5, replica_id=-1, isolation_level=READ_COMMITTED, topics=[
            {"name": TOPIC, "partitions": [
                {"partition_index": PARTITION, "current_leader_epoch": -1, "timestamp": -1}]}])
        return answer["topics"][0]["partitions"][0]["offset"]

    def wait_settled(self):
        """After the start: the transaction holds back no reader any more, and a log line says what
        became of it."""
        self.client = txn_client.Client(self.run.server.ports[0])
        self.run.wait_for(lambda: self.stable_offset() > self.first + EVENTS - 1,
                          f"a last stable offset beyond the hanging transaction of {self.name}")
        told = [text for text in HANDLED if text in self.run.server.log()]
        if not told:
            raise Failure(f"no log line tells what became of {self.name}")
        for text in told:
            self.run.counts[f"told: {text}"] += 1
