"""Times, offsets and durations at the ends of their types. Run by test_badinput.py, also with
UBSan, where what overflows ends the server."""
import itertools
import shutil
import tempfile
import unittest

from harness.kafka import Client, batch, record
from harness.server import Server

LEAST, MOST = -(1 << 63), (1 << 63) - 1
ENDS = (LEAST, LEAST + 1, -1, 0, 1, MOST - 1, MOST)
MOST32, LEAST32 = (1 << 31) - 1, -(1 << 31)


class Numbers(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tidings-bad-")
        self.addCleanup(shutil.rmtree, self.data)
        self.server = Server(self.data, "log.retention.check.interval.ms=100",
                             "offsets.retention.check.interval.ms=1000")
        self.addCleanup(lambda: self.server.alive() and self.server.kill())
        self.client = Client(self.server.port, timeout_s=60)
        self.addCleanup(lambda: self.client.close())  # the last one

    def restart(self):
        self.client.close()
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.client = Client(self.server.port, timeout_s=60)

    def make(self, name, **configs):
        answer = self.client.ask("create_topics", 4, timeout_ms=60000, topics=[
            {"name": name, "num_partitions": 1, "replication_factor": 1,
             "configs": [{"name": key.replace("_", "."), "value": value}
                         for key, value in configs.items()]}])
        self.assertEqual(answer["topics"][0]["error_code"], 0, answer)

    def check_all(self):
        """Everything that looks at times and offsets, asked with all of the ends."""
        for name, end in itertools.product(("rolled", "kept", "compacted"), ENDS):
            self.client.ask("list_offsets", 7, replica_id=-1, topics=[{
                "name": name, "partitions": [{"partition_index": 0, "timestamp": end}]}])
            self.client.ask("fetch", 4, max_wait_ms=0, min_bytes=MOST32, max_bytes=MOST32, topics=[{
                "topic": name, "partitions": [{"partition": 0, "fetch_offset": end,
                                               "partition_max_bytes": MOST32}]}])
        for end in ENDS:
            self.client.ask("list_transactions", 1, duration_filter=end, state_filters=[],
                            producer_id_filters=[end])

    def test_events_of_all_times(self):
        self.make("rolled", segment_ms="1", retention_ms="-1")
        self.make("kept", retention_ms=str(MOST), segment_ms=str(MOST))
        self.make("compacted", cleanup_policy="compact", segment_ms="1",
                  delete_retention_ms=str(MOST))
        for name, first, last in itertools.product(("rolled", "kept", "compacted"), ENDS, ENDS):
            sent = batch([record(b"x", key=b"k")], timestamp=first, max_timestamp=last)
            self.client.produce(name, sent)
        self.check_all()
        self.restart()
        self.check_all()

    def test_what_is_asked_of_groups_and_for_producers(self):
        self.make("kept")
        for i, end in enumerate(ENDS):
            self.client.ask("offset_commit", 2, group_id=f"g{i}", retention_time_ms=end, topics=[
                {"name": "kept", "partitions": [{"partition_index": 0, "committed_offset": end,
                                                 "committed_metadata": ""}]}])
            self.client.ask("delete_records", 1, timeout_ms=MOST32, topics=[
                {"name": "kept", "partitions": [{"partition_index": 0, "offset": end}]}])
        for i, end in enumerate((LEAST32, -1, 0, MOST32)):
            self.client.ask("init_producer_id", 4, transactional_id=f"t{i}",
                            transaction_timeout_ms=end, producer_id=MOST, producer_epoch=32767)
            self.client.ask("join_group", 3, group_id=f"j{i}", session_timeout_ms=end,
                            rebalance_timeout_ms=end, protocol_type="consumer",
                            protocols=[{"name": "range", "metadata": b""}])
            self.client.ask("consumer_group_heartbeat", 1, group_id=f"c{i}", member_id=f"m{i}",
                            member_epoch=end, rebalance_timeout_ms=end,
                            subscribed_topic_names=["kept"], topic_partitions=[])
        self.restart()
        for i in range(len(ENDS)):
            answer = self.client.ask("offset_fetch", 5, group_id=f"g{i}", topics=None)
            self.assertEqual(answer["error_code"], 0)
