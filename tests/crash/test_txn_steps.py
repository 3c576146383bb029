#!/usr/bin/python3
"""Kills the server with SIGKILL before each write and each sync of a transaction, one after the other.

usage: test_txn_steps.py KILL_GATE

A producer of transactions v1, or of v2, writes to two partitions and commits an offset, then commits or
aborts. The server is killed before step 1, 2, 3... until a run needs no more steps. After the restart,
and a new producer with the same transactional id:
  - what was answered as committed is there for read_committed, in both partitions, with the offset;
  - what was aborted, or not asked to be committed, is not;
  - a commit without an answer is there as a whole, or not at all;
  - the last stable offset of each partition is its end.
"""
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "conformance"))
sys.path.insert(0, os.path.join(HERE, "..", "badinput"))
import codec  # pylint: disable=wrong-import-position
import kafka  # pylint: disable=wrong-import-position
import server as child  # pylint: disable=wrong-import-position
from session import Connection  # pylint: disable=wrong-import-position

APIS = codec.load()
TOPIC, GROUP, ID = "t", "g", "pay"
PARTITIONS = (0, 1)
OFFSETS = "__consumer_offsets"
CONCURRENT = 51
MOST_STEPS = 80
INIT_S = 30
TRANSACTIONAL = 1 << 4


class Client:
    """One connection; asks APIs by name."""

    def __init__(self, port):
        self.connection = Connection(("127.0.0.1", port))

    def ask(self, api, version, **values):
        key, request, response = APIS[api]
        sent = codec.Codec(request, version)
        self.connection.send(key, version, sent.flexible, sent.encode(values))
        got = codec.Codec(response, version)
        return got.decode(self.connection.receive(got.flexible))


class Step:
    """How far the client got: what it asked, and what it was answered."""

    def __init__(self):
        self.asked_commit = self.committed = False


def check(code, what):
    assert code == 0, f"{what}: error {code}"


def init(client):
    """A producer id and epoch; waits while the transaction before is being completed."""
    def answered():
        answer = client.ask("init_producer_id", 4, transactional_id=ID, transaction_timeout_ms=60000)
        if answer["error_code"] == CONCURRENT:
            return None
        check(answer["error_code"], "InitProducerId")
        return {"producer_id": answer["producer_id"], "producer_epoch": answer["producer_epoch"]}

    return child.wait_for(answered, "the transaction before is never completed", INIT_S)


def add_to_transaction(client, producer):
    answer = client.ask(
        "add_partitions_to_txn", 3, v3_and_below_transactional_id=ID,
        v3_and_below_producer_id=producer["producer_id"],
        v3_and_below_producer_epoch=producer["producer_epoch"],
        v3_and_below_topics=[{"name": TOPIC, "partitions": list(PARTITIONS)}])
    for result in answer["results_by_topic_v3_and_below"][0]["results_by_partition"]:
        check(result["partition_error_code"], "AddPartitionsToTxn")
    answer = client.ask("add_offsets_to_txn", 3, transactional_id=ID, group_id=GROUP, **producer)
    check(answer["error_code"], "AddOffsetsToTxn")


def produce(client, producer, version, partition):
    records = kafka.batch([kafka.record(b"event")], attributes=TRANSACTIONAL, sequence=0, **producer)
    answer = client.ask("produce", version, transactional_id=ID, acks=-1, timeout_ms=30000, topic_data=[
        {"name": TOPIC, "partition_data": [{"index": partition, "records": records}]}])
    check(answer["responses"][0]["partition_responses"][0]["error_code"], "Produce")


def commit_offset(client, producer, version):
    answer = client.ask(
        "txn_offset_commit", version, transactional_id=ID, group_id=GROUP, generation_id=-1, member_id="",
        topics=[{"name": TOPIC, "partitions": [
            {"partition_index": 0, "committed_offset": 7, "committed_metadata": ""}]}], **producer)
    check(answer["topics"][0]["partitions"][0]["error_code"], "TxnOffsetCommit")


def transaction(port, two, commit, step):
    """Raises OSError or ConnectionError where the server is killed."""
    client = Client(port)
    producer = init(client)
    if not two:
        add_to_transaction(client, producer)
    for partition in PARTITIONS:
        produce(client, producer, 12 if two else 11, partition)
    commit_offset(client, producer, 5 if two else 4)
    step.asked_commit = commit
    answer = client.ask("end_txn", 5 if two else 4, transactional_id=ID, committed=commit, **producer)
    check(answer["error_code"], "EndTxn")
    step.committed = commit
    init(client)  # waits until the end is complete


# ---- what is there afterwards ----

def ends(client, isolation):
    answer = client.ask("list_offsets", 5, replica_id=-1, isolation_level=isolation, topics=[
        {"name": TOPIC, "partitions": [
            {"partition_index": p, "current_leader_epoch": -1, "timestamp": -1} for p in PARTITIONS]}])
    return [p["offset"] for p in answer["topics"][0]["partitions"]]


def visible(client, partition):
    """Whether read_committed sees the event: it is below the last stable offset and not aborted."""
    answer = client.ask(
        "fetch", 11, replica_id=-1, max_wait_ms=0, min_bytes=0, max_bytes=1 << 20, isolation_level=1,
        session_id=0, session_epoch=-1, rack_id="", forgotten_topics_data=[], topics=[
            {"topic": TOPIC, "partitions": [
                {"partition": partition, "current_leader_epoch": -1, "fetch_offset": 0,
                 "last_fetched_epoch": -1, "log_start_offset": -1, "partition_max_bytes": 1 << 20}]}])
    found = answer["responses"][0]["partitions"][0]
    check(found["error_code"], "Fetch")
    return b"event" in (found["records"] or b"") and not found["aborted_transactions"]


def stable_offset(client):
    answer = client.ask("offset_fetch", 7, group_id=GROUP, require_stable=True,
                        topics=[{"name": TOPIC, "partition_indexes": [0]}])
    found = answer["topics"][0]["partitions"][0]
    return None if found["error_code"] else found["committed_offset"]


def verify(port, step, where):
    client = Client(port)
    init(client)
    child.wait_for(lambda: ends(client, 0) == ends(client, 1), f"{where}: a last stable offset is stuck")
    seen = [visible(client, partition) for partition in PARTITIONS]
    offset = child.wait_for(lambda: [stable_offset(client)] if stable_offset(client) is not None else None,
                            f"{where}: the group's offset stays undecided")[0]
    seen.append(offset == 7)
    assert all(seen) or not any(seen), f"{where}: in part: {seen}"
    assert all(seen) or not step.committed, f"{where}: acknowledged and lost: {seen}"
    assert step.asked_commit or not any(seen), f"{where}: committed though nobody asked"
    return all(seen)


# ---- one kill ----

def create_topic(port):
    answer = Client(port).ask("create_topics", 4, timeout_ms=30000, topics=[
        {"name": TOPIC, "num_partitions": len(PARTITIONS), "replication_factor": 1}])
    check(answer["topics"][0]["error_code"], "CreateTopics")


def kill_at(number, two, commit, gate, folder):
    """Returns (killed, visible afterwards)."""
    where = f"v{2 if two else 1} {'commit' if commit else 'abort'}, killed before step {number}"
    data, armed = os.path.join(folder, "data"), os.path.join(folder, "armed")
    step = Step()
    os.environ.update(LD_PRELOAD=gate, KILL_ARMED=armed, KILL_AT=str(number))
    try:
        server = child.Server(data)
    finally:
        del os.environ["LD_PRELOAD"]
    create_topic(server.port)
    with open(armed, "w", encoding="utf-8"):
        pass
    try:
        transaction(server.port, two, commit, step)
        killed = False
    except OSError:
        server.process.wait(child.WAIT_S)
        killed = True
    if not killed:
        server.stop()
    server = child.Server(data)
    seen = verify(server.port, step, where)
    server.stop()
    return killed, seen


def every_step(two, commit, gate):
    outcomes = []
    for number in range(1, MOST_STEPS):
        folder = tempfile.mkdtemp(prefix="tidings-txn-steps-")
        killed, seen = kill_at(number, two, commit, gate, folder)
        shutil.rmtree(folder)
        if not killed:
            break
        outcomes.append(seen)
    else:
        raise AssertionError("the transaction never ends")
    name = f"v{2 if two else 1} {'commit' if commit else 'abort'}"
    print(f"ok {name}: {len(outcomes)} kills, {sum(outcomes)} of them left it committed", flush=True)
    assert len(outcomes) >= 10, "the gate counts too little"
    assert any(outcomes) == commit and not all(outcomes), outcomes


def main():
    for two in (False, True):
        for commit in (True, False):
            every_step(two, commit, os.path.abspath(sys.argv[1]))


if __name__ == "__main__":
    main()
