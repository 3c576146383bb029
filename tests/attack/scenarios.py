"""What one attacker may do, each a scenario: what is made before, and the lines that attack."""
import itertools
import struct
import zlib

from attacker import Line
from harness import codec, kafka
from quiet import PAIRS, TOPIC

MIB = 1 << 20
HOUR_MS = 3600000
WIDE_PARTITIONS = 5000
MANY_TOPICS = 2000


def frame(api, version, correlation=1, **fields):
    """One request with its size in front."""
    key, request, _ = kafka.APIS[api]
    message = codec.Codec(request, version)
    body = struct.pack(">hhi", key, version, correlation) + kafka.string("attacker") + (
        b"\0" if message.flexible else b"") + message.encode(fields)
    return struct.pack(">i", len(body)) + body


def again(*frames):
    """A maker that gives these by turns, for ever."""
    return itertools.cycle(frames).__next__


def once(data):
    """A maker that gives this one and no more."""
    return itertools.chain([data], itertools.repeat(None)).__next__


def create(client, name, partitions=1):
    code, message = client.create_topic(name, partitions)
    assert code == 0, f"{name}: {message}"


def create_many(client):
    """MANY_TOPICS topics of one partition."""
    answer = client.ask("create_topics", 4, timeout_ms=60000, topics=[
        {"name": f"many-{i:04}-{'a' * 40}", "num_partitions": 1, "replication_factor": 1}
        for i in range(MANY_TOPICS)])
    assert all(topic["error_code"] == 0 for topic in answer["topics"]), answer["topics"][:3]


def fill(client, name, partitions, records):
    """A batch into each partition."""
    answer = client.ask("produce", 8, acks=-1, timeout_ms=60000, topic_data=[
        {"name": name, "partition_data": [{"index": i, "records": records}
                                          for i in range(partitions)]}])
    codes = {found["error_code"] for found in answer["responses"][0]["partition_responses"]}
    assert codes == {0}, codes


def fetch_of(topics, wait_ms=HOUR_MS, offset=0):
    """topics: {name: partitions}"""
    return frame("fetch", 4, max_wait_ms=wait_ms, min_bytes=1 << 30 if wait_ms else 0,
                 max_bytes=MIB, topics=[
        {"topic": name, "partitions": [
            {"partition": partition, "fetch_offset": offset, "partition_max_bytes": MIB}
            for partition in partitions]} for name, partitions in topics.items()])


# -- the scenarios: each takes a client to prepare with, and returns the lines --

def many_connections(_client):
    """5,000 that stay, and 50 that come and go."""
    hello = frame("api_versions", 0)
    return [Line(once(hello)) for _ in range(5000)] + [
        Line(again(hello), hangs_up=True) for _ in range(50)]


def half_frames(_client):
    """9,000 with most of a frame below 64 KiB, and 20 with most of one of 30 MiB."""
    small = struct.pack(">i", 65000) + bytes(64000)
    large = struct.pack(">i", 30 * MIB) + bytes(29 * MIB)
    return [Line(once(small), reads=False) for _ in range(9000)] + [
        Line(once(large), reads=False) for _ in range(20)]


def huge_counts(client):
    """Requests that name one thing very many times, or as many that are not there: more than a
    request may decode into, and as many as it may."""
    create(client, "wide", 10)
    frames = [make for few in (False, True) for make in counted(few)]
    return [Line(again(*frames[i:], *frames[:i])) for i in range(len(frames))]


def counted(few):
    names = [f"none-{i}" for i in range(10000 if few else 100000)]
    count = 8000 if few else 400000
    return (
        fetch_of({"wide": [3] * count}),
        frame("metadata", 1, topics=[{"name": name} for name in names]),
        frame("list_offsets", 1, replica_id=-1, topics=[{"name": "wide", "partitions": [
            {"partition_index": 3, "timestamp": -1}] * count}]),
        frame("offset_fetch", 1, group_id="g", topics=[
            {"name": "wide", "partition_indexes": [3] * count}]),
        frame("delete_topics", 1, timeout_ms=1000, topic_names=names),
        frame("find_coordinator", 4, key_type=0, coordinator_keys=names),
        frame("describe_groups", 0, groups=names),
        frame("create_topics", 4, timeout_ms=1000, topics=[
            {"name": "//" + name, "num_partitions": 1, "replication_factor": 1}
            for name in names[:8000 if few else None]]),
    )


def parked_fetches(client):
    """64 connections with as many fetches that wait as they may have, each for 5,000 partitions and
    those of the quiet client."""
    create(client, "wide", WIDE_PARTITIONS)
    wide = fetch_of({"wide": range(WIDE_PARTITIONS), TOPIC: range(PAIRS)})
    return [Line(again(wide), depth=256) for _ in range(64)]


def unread_answers(client):
    """500 connections that ask for much and take nothing."""
    create(client, "large", 8)
    create_many(client)
    large = kafka.good_batch(bytes(900000))
    for partition in range(8):
        assert client.produce("large", large, partition=partition)[0] == 0
    frames = [fetch_of({"large": range(8)}, wait_ms=0), frame("metadata", 1, topics=None),
              frame("describe_groups", 0, groups=["x" * 200] * 1000)]
    return [Line(again(frames[i % 3]), depth=1 << 30, reads=False) for i in range(500)]


def bomb(size):
    """A batch of one event of this many zeros, with gzip: a thousandth of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    plain = kafka.record(bytes(size))
    payload = packer.compress(plain) + packer.flush()
    return kafka.batch([plain], attributes=1, payload=payload)


def bombs(client):
    """Batches that open into 100 MiB each, several a request."""
    create(client, "bombs", 8)
    records = bomb(100 * MIB)
    packed = frame("produce", 8, acks=-1, timeout_ms=1000, topic_data=[
        {"name": "bombs", "partition_data": [{"index": i, "records": records}
                                             for i in range(8)]}])
    return [Line(again(packed)) for _ in range(8)]


def join_of(group, size):
    return frame("join_group", 3, group_id=group, session_timeout_ms=60000,
                 rebalance_timeout_ms=60000, protocol_type="consumer",
                 protocols=[{"name": "range", "metadata": bytes(size)}])


def joins(_client):
    """Members with 4 MiB of metadata, in many groups and in one; and very many small ones."""
    numbers = itertools.count()
    return [Line(lambda: join_of(f"large-{next(numbers)}", 4 * MIB)) for _ in range(20)] + [
        Line(again(join_of("one", 4 * MIB))) for _ in range(4)] + [
        Line(lambda: join_of(f"small-{next(numbers)}", 2000), depth=200) for _ in range(8)]


def offsets(client):
    """Offsets with notes of 4,000 bytes, in ever more groups."""
    create(client, "wide", 1000)
    numbers = itertools.count()

    def commit():
        return frame("offset_commit", 2, group_id=f"group-{next(numbers)}", topics=[
            {"name": "wide", "partitions": [
                {"partition_index": i, "committed_offset": 0, "committed_metadata": "n" * 4000}
                for i in range(1000)]}])
    return [Line(commit) for _ in range(4)]


def patterns(client):
    """Costly regular expressions over 2,000 topics, from ever new members."""
    create_many(client)
    numbers = itertools.count()
    costly = ["(" + "a?" * 100 + ")*b", "(.*.*.*.*)*z", "many-.*" + "a{0,20}" * 20 + "b"]

    def heartbeat():
        number = next(numbers)
        return frame("consumer_group_heartbeat", 1, group_id=f"group-{number % 50}",
                     member_id=f"member-{number}", member_epoch=0, rebalance_timeout_ms=60000,
                     subscribed_topic_regex=costly[number % 3] + str(number % 1000),
                     topic_partitions=[])
    return [Line(heartbeat) for _ in range(16)]


def look_ups(client):
    """ListOffsets by time, 20,000 partitions a request."""
    create(client, "wide", WIDE_PARTITIONS)
    fill(client, "wide", WIDE_PARTITIONS, kafka.good_batch())
    by_time = frame("list_offsets", 1, replica_id=-1, topics=4 * [
        {"name": "wide", "partitions": [{"partition_index": i, "timestamp": 1}
                                        for i in range(WIDE_PARTITIONS)]}])
    return [Line(again(by_time)) for _ in range(8)]


def metadata(client):
    """Metadata of all of 2,000 topics, over and over."""
    create_many(client)
    return [Line(again(frame("metadata", 1, topics=None))) for _ in range(8)]


def topics(_client):
    """Topics with 1,000 partitions come and go."""
    def turns(name):
        return again(frame("create_topics", 4, timeout_ms=60000, topics=[
            {"name": name, "num_partitions": 1000, "replication_factor": 1}]),
                     frame("delete_topics", 1, timeout_ms=60000, topic_names=[name]))
    return [Line(turns(f"turns-{i}")) for i in range(4)]


def init_of(transactional_id):
    return frame("init_producer_id", 1, transactional_id=transactional_id,
                 transaction_timeout_ms=60000)


def producer_ids(_client):
    """Producer ids, with ever new transactional ids and with none."""
    numbers = itertools.count()
    return [Line(lambda: init_of(f"id-{next(numbers)}-" + "x" * 200), depth=100)
            for _ in range(8)] + [Line(again(init_of(None)), depth=100) for _ in range(8)]


def producers(client):
    """Ever new idempotent producers in one partition."""
    create(client, "producers")
    numbers = itertools.count(1 << 40)

    def produce():
        return frame("produce", 8, acks=1, timeout_ms=1000, topic_data=[
            {"name": "producers", "partition_data": [{"index": 0, "records": b"".join(
                [kafka.batch([kafka.record(b"x")], producer_id=next(numbers), producer_epoch=0,
                             sequence=0)])}]}])
    return [Line(produce, depth=50) for _ in range(8)]


SCENARIOS = {scenario.__name__.replace("_", "-"): scenario for scenario in (
    many_connections, half_frames, huge_counts, parked_fetches, unread_answers, bombs, joins,
    offsets, patterns, look_ups, metadata, topics, producer_ids, producers)}
