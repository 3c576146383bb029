"""A transactional producer, and a reader of what it wrote, that take one request of the protocol at a time."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import kafka, server as child  # noqa: E402
from harness.kafka import Client  # noqa: E402

PARTITIONS = (0, 1)
OFFSET = 7  # that a transaction commits for its group
CONCURRENT = 51
INIT_S = 30
TRANSACTIONAL = 1 << 4


def check(code, what):
    assert code == 0, f"{what}: error {code}"


class Transaction:
    """A topic, a group and a transactional id of one name; of transactions v2, or v1."""

    def __init__(self, name, two):
        self.name, self.two = name, two
        self.client = self.producer = None

    def connect(self, port):
        self.client = Client(port)
        return self

    def create_topic(self):
        answer = self.client.ask("create_topics", 4, timeout_ms=30000, topics=[
            {"name": self.name, "num_partitions": len(PARTITIONS), "replication_factor": 1}])
        check(answer["topics"][0]["error_code"], "CreateTopics")

    # ---- the protocol ----

    def init(self, timeout_ms=60000):
        """A producer id and epoch; waits while the transaction before is being completed."""
        def answered():
            answer = self.client.ask("init_producer_id", 4, transactional_id=self.name,
                                     transaction_timeout_ms=timeout_ms)
            if answer["error_code"] == CONCURRENT:
                return None
            check(answer["error_code"], "InitProducerId")
            return {"producer_id": answer["producer_id"], "producer_epoch": answer["producer_epoch"]}

        self.producer = child.wait_for(answered, "the transaction before is never completed", INIT_S)
        return self.producer

    def add(self):
        """Version 2 has no such step."""
        answer = self.client.ask(
            "add_partitions_to_txn", 3, v3_and_below_transactional_id=self.name,
            v3_and_below_producer_id=self.producer["producer_id"],
            v3_and_below_producer_epoch=self.producer["producer_epoch"],
            v3_and_below_topics=[{"name": self.name, "partitions": list(PARTITIONS)}])
        for result in answer["results_by_topic_v3_and_below"][0]["results_by_partition"]:
            check(result["partition_error_code"], "AddPartitionsToTxn")
        answer = self.client.ask("add_offsets_to_txn", 3, transactional_id=self.name,
                                 group_id=self.name, **self.producer)
        check(answer["error_code"], "AddOffsetsToTxn")

    def try_produce(self, partition):
        """(error code, base offset)"""
        records = kafka.batch([kafka.record(b"event")], attributes=TRANSACTIONAL, sequence=0,
                              **self.producer)
        answer = self.client.ask(
            "produce", 12 if self.two else 11, transactional_id=self.name, acks=-1, timeout_ms=30000,
            topic_data=[{"name": self.name,
                         "partition_data": [{"index": partition, "records": records}]}])
        found = answer["responses"][0]["partition_responses"][0]
        return found["error_code"], found["base_offset"]

    def produce(self, partition):
        check(self.try_produce(partition)[0], "Produce")

    def commit_offset(self):
        answer = self.client.ask(
            "txn_offset_commit", 5 if self.two else 4, transactional_id=self.name, group_id=self.name,
            generation_id_or_member_epoch=-1, member_id="", topics=[{"name": self.name, "partitions": [
                {"partition_index": 0, "committed_offset": OFFSET, "committed_metadata": ""}]}],
            **self.producer)
        check(answer["topics"][0]["partitions"][0]["error_code"], "TxnOffsetCommit")

    def try_end(self, commit):
        answer = self.client.ask("end_txn", 5 if self.two else 4, transactional_id=self.name,
                                 committed=commit, **self.producer)
        return answer["error_code"]

    def end(self, commit):
        check(self.try_end(commit), "EndTxn")

    # ---- what is there ----

    def ends(self, isolation):
        """Of each partition: its end (0), its last stable offset (1)."""
        answer = self.client.ask(
            "list_offsets", 5, replica_id=-1, isolation_level=isolation, topics=[
                {"name": self.name, "partitions": [
                    {"partition_index": p, "current_leader_epoch": -1, "timestamp": -1}
                    for p in PARTITIONS]}])
        return [p["offset"] for p in answer["topics"][0]["partitions"]]

    def is_stable(self):
        return self.ends(0) == self.ends(1)

    def visible(self, partition):
        """Whether read_committed sees the event: below the last stable offset and not aborted."""
        answer = self.client.ask(
            "fetch", 11, replica_id=-1, max_wait_ms=0, min_bytes=0, max_bytes=1 << 20,
            isolation_level=1, session_id=0, session_epoch=-1, rack_id="", forgotten_topics_data=[],
            topics=[{"topic": self.name, "partitions": [
                {"partition": partition, "current_leader_epoch": -1, "fetch_offset": 0,
                 "last_fetched_epoch": -1, "log_start_offset": -1, "partition_max_bytes": 1 << 20}]}])
        found = answer["responses"][0]["partitions"][0]
        check(found["error_code"], "Fetch")
        return b"event" in (found["records"] or b"") and not found["aborted_transactions"]

    def stable_offset(self):
        """The group's committed offset, -1 for none; None while a transaction holds one."""
        answer = self.client.ask("offset_fetch", 7, group_id=self.name, require_stable=True,
                                 topics=[{"name": self.name, "partition_indexes": [0]}])
        found = answer["topics"][0]["partitions"][0]
        return None if found["error_code"] else found["committed_offset"]

    def seen(self, where):
        """Once nothing is undecided: is it visible, in each partition and as the group's offset?"""
        child.wait_for(self.is_stable, f"{where}: a last stable offset is stuck")
        child.wait_for(lambda: self.stable_offset() is not None, f"{where}: the offset is undecided")
        return [self.visible(p) for p in PARTITIONS] + [self.stable_offset() == OFFSET]

    def state(self):
        answer = self.client.ask("describe_transactions", 0, transactional_ids=[self.name])
        check(answer["transaction_states"][0]["error_code"], "DescribeTransactions")
        return answer["transaction_states"][0]["transaction_state"]
