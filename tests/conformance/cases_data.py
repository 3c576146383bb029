"""Events: produce, fetch, offsets by time and epoch, deleting records, producer ids."""
import re
import time

from session import kafka

T0 = 1600000000000
UNKNOWN_ID = bytes(range(16))


def one(topic, records, partition=0, **more):
    return {"acks": -1, "timeout_ms": 10000, "topic_data": [
        {"name": topic, "partition_data": [{"index": partition, "records": records}]}], **more}


def events(number, /, **changes):
    return kafka.batch([kafka.record(b"value", i) for i in range(number)],
                       **{"timestamp": T0, **changes})


def stamped(value, delta_ms, offset_delta=0):
    """A record whose time is delta_ms after its batch's."""
    body = b"\0" + kafka.varint(delta_ms) + kafka.varint(offset_delta) + kafka.varint(-1)
    body += kafka.varint(len(value)) + value + kafka.varint(0)
    return kafka.varint(len(body)) + body


def control(kind):
    """A control record: 0 abort, 1 commit."""
    body = b"\0\0\0" + kafka.varint(4) + bytes([0, 0, 0, kind]) + kafka.varint(6) + bytes(6) + b"\0"
    return kafka.varint(len(body)) + body


def produce(k):
    k.heading("Produce")
    k.topic("prod", retention_ms="-1")
    k.topic("prod-twice", retention_ms="-1")
    k.topic("prod-small", max_message_bytes="200", retention_ms="-1")
    k.topic("prod-keys", cleanup_policy="compact")
    k.topic("prod-time", message_timestamp_type="LogAppendTime")
    k.topic("prod-bounds", message_timestamp_before_max_ms="3600000",
            message_timestamp_after_max_ms="3600000")

    def put(title, records, topic=None, partition=0, version=9, **more):
        if topic is None:
            topic = "prod-" + re.sub("[^a-z0-9-]+", "-", f"{title} v{version}".lower())
            k.topic(topic, retention_ms="-1")
        k.show(title, "produce", version, **one(topic, records, partition, **more))

    for version in range(3, k.ranges["produce"][1] + 1):
        put("ordinary", events(2), version=version)
    for version in (6, 7):
        put("zstd", events(1, attributes=4, payload=kafka.stored_zstd(kafka.record(b"value"))),
            version=version)
    for version in (0, 2):
        put("before message format 2", events(1), version=version)
    put("acks 1", events(1), acks=1)
    for acks in (2, -2, 100):
        put(f"acks {acks}", events(1), acks=acks)
    put("timeout 0", events(1), timeout_ms=0)
    put("timeout negative", events(1), timeout_ms=-1)
    put("unknown topic", events(1), "prod-none")
    put("unknown partition", events(1), partition=7)
    put("negative partition", events(1), partition=-1)
    put("bad topic name", events(1), "pr/od")
    put("empty topic name", events(1), "")
    put("internal topic", events(1), "__consumer_offsets")
    put("null records", None)
    put("no bytes", b"")
    put("two batches", events(1) + events(1))
    put("bad CRC", events(1, crc=1))
    put("a batch cut short", events(1)[:-1])
    put("less than a header", events(1)[:30])
    put("bytes after the batch", events(1) + b"xyz")
    put("size smaller than a header", events(1, size=20))
    put("negative size", events(1, size=-1))
    for magic in (0, 1, 3, -1):
        put(f"magic {magic}", events(1, magic=magic))
    put("no records in the batch", kafka.batch([], last_delta=-1, timestamp=T0))
    put("no records, last offset delta 0", kafka.batch([], last_delta=0, timestamp=T0))
    put("count too high", events(1, count=2, last_delta=1))
    put("count too low", events(2, count=1, last_delta=0))
    put("count negative", events(1, count=-1))
    put("last offset delta does not fit the count", events(2, last_delta=5))
    put("offset deltas with a gap", kafka.batch(
        [kafka.record(b"a", 0), kafka.record(b"b", 2)], timestamp=T0))
    put("base offset not 0", events(1, base=1000))
    put("leader epoch set", events(1, epoch=55))
    put("a record longer than the batch", kafka.batch([b"\xff\xff\x7f"], timestamp=T0))
    put("unknown codec", events(1, attributes=7))
    put("gzip that is none", events(1, attributes=1))
    put("unused attribute bits", events(1, attributes=0x100))
    put("timestamp type LogAppendTime in the batch", events(1, attributes=8))
    put("control batch", kafka.batch([control(1)], attributes=0x20, timestamp=T0))
    put("control batch of a transaction", kafka.batch(
        [control(1)], attributes=0x30, timestamp=T0, producer_id=5, producer_epoch=0))
    put("transactional without an id", events(1, attributes=0x10))
    put("transactional with a producer, no transaction", events(
        1, attributes=0x10, producer_id=4711, producer_epoch=0, sequence=0), transactional_id="t")
    put("transactional id, ordinary batch", events(1), transactional_id="t")
    put("producer id without epoch", events(1, producer_id=4000))
    put("producer id without sequence", events(1, producer_id=4001, producer_epoch=0))
    put("no timestamp", events(1, timestamp=-1))
    put("max timestamp below", events(1, max_timestamp=5))
    put("max timestamp -1", events(1, max_timestamp=-1))
    put("over max.message.bytes", kafka.batch([kafka.record(b"x" * 400)], timestamp=T0),
        "prod-small")
    put("over max.message.bytes in v3", kafka.batch([kafka.record(b"x" * 400)], timestamp=T0),
        "prod-small", version=3)
    put("two of three records without a key, compacted topic", kafka.batch(
        [kafka.record(b"a", 0), kafka.record(b"b", 1, b"key"), kafka.record(b"c", 2)],
        timestamp=T0), "prod-keys")
    put("topic with the server's time", events(1), "prod-time")
    put("topic with the server's time, v3", events(1), "prod-time", version=3)
    put("too old a timestamp", events(1), "prod-bounds")
    put("too new a timestamp", events(1, timestamp=int(time.time() * 1000) + 7200000),
        "prod-bounds")
    put("fitting timestamp", events(1, timestamp=int(time.time() * 1000)), "prod-bounds")
    put("second record too new", kafka.batch(
        [stamped(b"a", 0), stamped(b"b", 7200000, 1)], timestamp=int(time.time() * 1000),
        max_timestamp=int(time.time() * 1000) + 7200000), "prod-bounds")
    k.show("one partition good, one bad, one unknown", "produce", 9, acks=-1, timeout_ms=10000,
           topic_data=[{"name": "prod", "partition_data": [
               {"index": 0, "records": events(1)}, {"index": 5, "records": events(1)}]},
                       {"name": "prod-small", "partition_data": [
                           {"index": 0, "records": events(1, crc=5)}]}])
    k.show("a partition twice", "produce", 9, acks=-1, timeout_ms=10000, topic_data=[
        {"name": "prod-twice", "partition_data": [
            {"index": 0, "records": events(1)}, {"index": 0, "records": events(1)}]}])
    k.show("no topics", "produce", 9, acks=-1, timeout_ms=10000)
    k.show("no partitions", "produce", 9, acks=-1, timeout_ms=10000, topic_data=[
        {"name": "prod", "partition_data": []}])
    for title in ("bytes after the batch", "base offset not 0", "leader epoch set",
                  "timestamp type LogAppendTime in the batch", "max timestamp below",
                  "unused attribute bits"):
        topic = "prod-" + re.sub("[^a-z0-9-]+", "-", f"{title} v9".lower())
        k.show(f"after: {title}", "fetch", 11, **get(topic, 0))
    k.show("what the log with the server's time has", "fetch", 11, **get("prod-time", 0))
    k.send("produce", 9, one("prod", events(1), acks=0), k.shared())
    k.send("produce", 9, one("prod-none", events(1), acks=0), k.shared())
    k.show("after two without acks, one of them wrong", "metadata", 1, topics=[])


def new_producer(k):
    return k.until(lambda: k.ask("init_producer_id", 1, transactional_id=None,
                                 transaction_timeout_ms=60000),
                   lambda answer: answer["error_code"] == 0)["producer_id"]


def sequences(k):
    k.heading("Sequences of an idempotent producer")
    k.topic("seq", retention_ms="-1")

    def put(title, count, sequence, epoch=0, producer=None, **more):
        k.show(title, "produce", 9, **one("seq", events(
            count, timestamp=now_ms, producer_id=producer or first, producer_epoch=epoch,
            sequence=sequence, **more)))

    now_ms = int(time.time() * 1000)
    first = new_producer(k)
    put("first", 2, 0)
    put("second", 3, 2)
    put("duplicate of the second", 3, 2)
    put("duplicate of the first", 2, 0)
    put("overlap: begins as the second, is shorter", 1, 2)
    put("overlap: begins as the second, is longer", 4, 2)
    put("gap", 1, 6)
    put("in order again", 1, 5)
    for i in range(6, 11):
        put(f"one more at {i}", 1, i)
    put("duplicate five back", 1, 6)
    put("duplicate six back", 1, 5)
    put("new epoch with sequence not 0", 1, 11, epoch=1)
    put("new epoch", 1, 0, epoch=1)
    put("old epoch", 1, 11)
    put("epoch jumps", 1, 0, epoch=7)
    second = new_producer(k)
    put("unknown producer begins at 3", 1, 3, producer=second)
    put("and goes on", 1, 4, producer=second)
    third = new_producer(k)
    put("begins at the last sequence", 1, 2147483647, producer=third)
    put("wraps to 0", 2, 0, producer=third)
    fourth = new_producer(k)
    put("begins two before the end", 2, 2147483645, producer=fourth)
    put("wraps within a batch", 3, 2147483647, producer=fourth)
    put("after the wrap", 1, 2, producer=fourth)
    put("an id that nobody gave out", 1, 0, producer=999999)
    put("negative epoch", 1, 0, epoch=-2)
    put("negative sequence", 1, -2, producer=new_producer(k))


def init_producer_id(k):
    k.heading("InitProducerId")
    k.show_all("idempotent", "init_producer_id", transactional_id=None,
               transaction_timeout_ms=60000)
    for title, more in (("with an id it never gave", {"producer_id": 424242, "producer_epoch": 3}),
                        ("with an epoch only", {"producer_epoch": 3}),
                        ("with an id only", {"producer_id": 424242}),
                        ("timeout 0", {"transaction_timeout_ms": 0}),
                        ("empty transactional id", {"transactional_id": ""}),
                        ("transactional id", {"transactional_id": "t"})):
        k.show(title, "init_producer_id", 4, **{
            "transactional_id": None, "transaction_timeout_ms": 60000, **more})


def get(topic, offset, partition=0, limit=1 << 20, **more):
    inner = {name: more.pop(name) for name in ("current_leader_epoch", "last_fetched_epoch")
             if name in more}
    where = {"topic_id": topic} if isinstance(topic, bytes) else {"topic": topic}
    return {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20, **more, "topics": [
        {**where, "partitions": [{"partition": partition, "fetch_offset": offset,
                                  "partition_max_bytes": limit, **inner}]}]}


def fetch(k):
    k.heading("Fetch")
    topic_id = k.topic("fetch", 2, retention_ms="-1")
    for _ in range(3):
        k.ask("produce", 7, **one("fetch", events(4)))
    k.ask("produce", 7, **one("fetch", events(2), 1))

    def take(title, *arguments, version=11, **more):
        k.show(title, "fetch", version, **get(*arguments, **more))

    for version in range(max(4, k.ranges["fetch"][0]), min(12, k.ranges["fetch"][1]) + 1):
        take("from the start", "fetch", 0, version=version)
    for version in range(13, k.ranges["fetch"][1] + 1):
        take("by id", topic_id, 0, version=version)
    k.topic("fetch-zstd", compression_type="zstd")
    k.ask("produce", 7, **one("fetch-zstd", events(1)))
    for version in (9, 10):
        take("of a topic in zstd", "fetch-zstd", 0, version=version)
    take("from the middle of a batch", "fetch", 6)
    take("at the end", "fetch", 12)
    take("one beyond the end", "fetch", 13)
    take("far beyond", "fetch", 1 << 62)
    take("at -1", "fetch", -1)
    take("at -2", "fetch", -2)
    take("read committed", "fetch", 0, isolation_level=1)
    take("isolation level 2", "fetch", 0, isolation_level=2)
    take("partition limit 0", "fetch", 0, 0, 0)
    take("partition limit 1", "fetch", 0, 0, 1)
    take("partition limit for one batch", "fetch", 0, 0, 110)
    take("partition limit within the second batch", "fetch", 0, 0, 150)
    take("partition limit negative", "fetch", 0, 0, -1)
    take("limit 0", "fetch", 0, max_bytes=0)
    take("limit 1", "fetch", 0, max_bytes=1)
    take("limit negative", "fetch", 0, max_bytes=-1)
    take("out of reach, no wait", "fetch", 0, min_bytes=1 << 20)
    take("out of reach, a short wait", "fetch", 12, min_bytes=1 << 20, max_wait_ms=50)
    take("min bytes 0 at the end", "fetch", 12, min_bytes=0, max_wait_ms=5000)
    take("min bytes negative at the end", "fetch", 12, min_bytes=-1, max_wait_ms=5000)
    take("wait negative", "fetch", 12, max_wait_ms=-1)
    take("unknown topic, with a wait", "fetch-none", 0, max_wait_ms=5000)
    take("unknown topic", "fetch-none", 0, version=4)
    take("unknown partition", "fetch", 0, 9)
    take("negative partition", "fetch", 0, -1)
    k.masks.topics[UNKNOWN_ID] = "unknown id"
    take("unknown id", UNKNOWN_ID, 0, version=13)
    take("zero id", bytes(16), 0, version=13)
    take("known id, unknown partition", topic_id, 0, 9, version=13)
    take("leader epoch -1", "fetch", 0, current_leader_epoch=-1)
    take("leader epoch 0", "fetch", 0, current_leader_epoch=0)
    take("leader epoch 1", "fetch", 0, current_leader_epoch=1)
    take("leader epoch -2", "fetch", 0, current_leader_epoch=-2)
    take("last fetched epoch 0", "fetch", 4, version=12, last_fetched_epoch=0)
    take("last fetched epoch 1", "fetch", 4, version=12, last_fetched_epoch=1)
    take("last fetched epoch 0, beyond the end", "fetch", 40, version=12, last_fetched_epoch=0)
    take("replica id 5", "fetch", 0, replica_id=5)
    take("replica id -2", "fetch", 0, replica_id=-2)
    take("rack", "fetch", 0, rack_id="somewhere")
    fetch_several(k)
    fetch_sessions(k, topic_id)


def fetch_several(k):
    def several(title, *parts, **more):
        k.show(title, "fetch", 11, **{"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20,
                                      **more}, topics=[
            {"topic": "fetch", "partitions": [
                {"partition": index, "fetch_offset": offset, "partition_max_bytes": limit}
                for index, offset, limit in parts]}])

    several("two partitions", (0, 8, 1 << 20), (1, 0, 1 << 20))
    several("two partitions, limit 1", (0, 8, 1 << 20), (1, 0, 1 << 20), max_bytes=1)
    several("two partitions, both limited to 1", (0, 8, 1), (1, 0, 1))
    several("a good and an unknown one", (0, 8, 1 << 20), (5, 0, 1 << 20))
    several("a good one and one out of range", (0, 8, 1 << 20), (1, 100, 1 << 20),
            max_wait_ms=5000, min_bytes=1 << 20)
    several("the same twice", (0, 8, 1 << 20), (0, 8, 1 << 20))
    k.show("no topics", "fetch", 11, max_wait_ms=0, min_bytes=1)
    k.show("no topics, with a wait", "fetch", 11, max_wait_ms=20, min_bytes=1)
    k.show("no partitions", "fetch", 4, max_wait_ms=0, min_bytes=1, topics=[
        {"topic": "fetch", "partitions": []}])


def fetch_sessions(k, topic_id):
    for session_id, epoch in ((0, 0), (0, -1), (0, 1), (0, 7), (4711, 0), (4711, -1), (4711, 1),
                              (-1, 1)):
        k.show(f"session {session_id} epoch {epoch}", "fetch", 11, **get(
            "fetch", 12, session_id=session_id, session_epoch=epoch))
    k.show("session 4711 epoch 1 by id", "fetch", 13, **get(
        topic_id, 12, session_id=4711, session_epoch=1))


def list_offsets(k):
    k.heading("ListOffsets")
    k.topic("offsets", retention_ms="-1")
    k.topic("offsets-empty")
    for i in range(3):
        k.ask("produce", 7, **one("offsets", kafka.batch(
            [stamped(b"a", 0, 0), stamped(b"b", 50, 1)], timestamp=T0 + 100 * i,
            max_timestamp=T0 + 100 * i + 50)))

    def look(title, timestamp, topic="offsets", partition=0, version=7, epoch=-1, **more):
        k.show(title, "list_offsets", version, replica_id=-1, **more, topics=[
            {"name": topic, "partitions": [{"partition_index": partition, "timestamp": timestamp,
                                            "current_leader_epoch": epoch}]}])

    for name, timestamp in (("latest", -1), ("earliest", -2)):
        k.show_all(name, "list_offsets", replica_id=-1, topics=[
            {"name": "offsets", "partitions": [{"partition_index": 0, "timestamp": timestamp}]}])
    for topic in ("offsets", "offsets-empty"):
        for timestamp in (-1, -2, -3, -4, -5, -6, -100, 0):
            for version in (7, 8):
                look(f"{timestamp} of {topic}", timestamp, topic, version=version)
        look(f"-3 of {topic}", -3, topic, version=6)
        look(f"-4 of {topic}", -4, topic, version=6)
    for delta in (-1, 0, 1, 50, 51, 100, 149, 150, 200, 249, 250, 251):
        look(f"time {delta:+}", T0 + delta)
    look("time, v1", T0 + 120, version=1)
    look("far future", 1 << 62)
    look("read committed latest", -1, isolation_level=1)
    look("read committed by time", T0 + 120, isolation_level=1)
    look("isolation level 3", -1, isolation_level=3)
    look("unknown topic", -1, "offsets-none")
    look("unknown partition", -1, partition=4)
    look("negative partition", -1, partition=-1)
    look("leader epoch 0", -1, epoch=0)
    look("leader epoch 1", -1, epoch=1)
    look("leader epoch -2", -1, epoch=-2)
    k.show("a partition twice", "list_offsets", 5, replica_id=-1, topics=[
        {"name": "offsets", "partitions": [{"partition_index": 0, "timestamp": -1},
                                           {"partition_index": 0, "timestamp": -2}]}])
    k.show("replica id 5", "list_offsets", 5, replica_id=5, topics=[
        {"name": "offsets", "partitions": [{"partition_index": 0, "timestamp": -1}]}])
    k.show("replica id -2", "list_offsets", 5, replica_id=-2, topics=[
        {"name": "offsets", "partitions": [{"partition_index": 0, "timestamp": -1}]}])
    k.show("no topics", "list_offsets", 5, replica_id=-1)


def offset_for_leader_epoch(k):
    k.heading("OffsetForLeaderEpoch")
    k.topic("epoch", retention_ms="-1")
    k.topic("epoch-empty")
    k.ask("produce", 7, **one("epoch", events(3)))

    def look(title, epoch, current=-1, topic="epoch", partition=0, version=3):
        k.show(title, "offset_for_leader_epoch", version, replica_id=-1, topics=[
            {"topic": topic, "partitions": [{"partition": partition, "leader_epoch": epoch,
                                             "current_leader_epoch": current}]}])

    k.show_all("epoch 0", "offset_for_leader_epoch", replica_id=-1, topics=[
        {"topic": "epoch", "partitions": [{"partition": 0, "leader_epoch": 0}]}])
    for epoch in (1, 100, -1, -2):
        look(f"epoch {epoch}", epoch)
    for epoch in (0, 1, -1):
        look(f"epoch {epoch} of an empty log", epoch, topic="epoch-empty")
    for current in (0, 1, -2):
        look(f"current epoch {current}", 0, current)
    look("unknown topic", 0, topic="epoch-none")
    look("unknown partition", 0, partition=3)
    k.show("no topics", "offset_for_leader_epoch", 3, replica_id=-1)


def delete_records(k):
    k.heading("DeleteRecords")
    k.topic("cut", retention_ms="-1")
    for _ in range(3):
        k.ask("produce", 7, **one("cut", events(4)))

    def cut(title, offset, topic="cut", partition=0, version=2, timeout_ms=10000):
        k.show(title, "delete_records", version, timeout_ms=timeout_ms, topics=[
            {"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}])

    for version in range(k.ranges["delete_records"][0], k.ranges["delete_records"][1] + 1):
        cut(f"to {version + 1}", version + 1, version=version)
    cut("again", 3)
    cut("back", 1)
    cut("to the middle of a batch", 6)
    k.show("now at the start of the batch", "fetch", 11, **get("cut", 4))
    k.show("now at the start", "fetch", 11, **get("cut", 6))
    k.show("earliest", "list_offsets", 5, replica_id=-1, topics=[
        {"name": "cut", "partitions": [{"partition_index": 0, "timestamp": -2}]}])
    k.show("by a time that was cut", "list_offsets", 5, replica_id=-1, topics=[
        {"name": "cut", "partitions": [{"partition_index": 0, "timestamp": 5}]}])
    cut("beyond the end", 13)
    cut("to -2", -2)
    cut("to the end", -1)
    cut("at the end", 12)
    cut("to -1 again", -1)
    cut("unknown topic", 0, "cut-none")
    cut("unknown partition", 0, partition=5)
    cut("internal topic", 0, "__consumer_offsets")
    cut("timeout 0", 12, timeout_ms=0)
    k.show("no topics", "delete_records", 1, timeout_ms=1000)
    k.show("a partition twice", "delete_records", 1, timeout_ms=1000, topics=[
        {"name": "cut", "partitions": [{"partition_index": 0, "offset": 12},
                                       {"partition_index": 0, "offset": 13}]}])
    k.ask("produce", 7, **one("cut", events(1)))
    k.show("goes on after the cut", "fetch", 11, **get("cut", 12))


def markers(k):
    """Markers of producers that wrote no transaction here, and what the partition then knows."""
    k.heading("WriteTxnMarkers, DescribeProducers")
    k.topic("markers", 2, retention_ms="-1")
    producer = new_producer(k)

    def end(title, partitions, topic="markers", version=1, epoch=0, commit=True, coordinator=0,
            producer_id=producer):
        k.show(title, "write_txn_markers", version, markers=[{
            "producer_id": producer_id, "producer_epoch": epoch, "transaction_result": commit,
            "coordinator_epoch": coordinator,
            "topics": [{"name": topic, "partition_indexes": partitions}]}])

    def describe(title, *partitions, topic="markers"):
        k.show(title, "describe_producers", 0, topics=[
            {"name": topic, "partition_indexes": list(partitions)}])

    describe("no producers", 0)
    k.ask("produce", 7, **one("markers", events(3, producer_id=producer, producer_epoch=0,
                                                sequence=0)))
    describe("after a batch", 0)
    for version in range(2):
        end("commit", [0], version=version)
        end("abort", [0], version=version, commit=False)
    describe("after markers", 0)
    end("newer epoch", [0], epoch=4, coordinator=7)
    end("older epoch", [0], epoch=3, coordinator=7)
    end("older coordinator", [0], epoch=4, coordinator=6)
    end("two partitions, one unknown", [1, 5], epoch=4)
    end("unknown topic", [0], topic="markers-none")
    end("no partitions", [])
    end("producer id -1", [1], producer_id=-1)
    end("epoch -1", [1], epoch=-1)
    k.show("no markers", "write_txn_markers", 1)
    describe("both partitions", 0, 1)
    describe("unknown partition", 9)
    describe("unknown topic", 0, topic="markers-none")
    describe("a name that cannot be", 0, topic="mark ers")
    describe("no partitions")
    k.show("no topics", "describe_producers", 0)
    for level in range(2):
        k.show(f"markers are read, isolation level {level}", "fetch", 11,
               **get("markers", 3, isolation_level=level))
    k.show("their times are found", "list_offsets", 5, replica_id=-1, topics=[
        {"name": "markers", "partitions": [{"partition_index": 1, "timestamp": 1}]}])


CASES = [produce, sequences, init_producer_id, fetch, list_offsets, offset_for_leader_epoch,
         delete_records, markers]
