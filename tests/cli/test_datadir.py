#!/usr/bin/python3
"""check, status and dump against real data directories and a real bus.

    TIDINGS_BIN=build/tidings tests/cli/test_datadir.py -v
"""
import base64
import glob
import json
import os
import shutil
import signal
import struct
import sys
import time
import unittest

from directory import batch, batches, Case, DEADLINE_S, FIRST_MS, patch, run, Server, wait_until
from harness import catalogue
from harness.kafka import crc32c

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
# pylint: disable=wrong-import-position
from group_client import PARTITIONS, ConsumerMember, consumer_described, settle


class CheckTest(Case):
    def test_sound(self):
        self.made()
        found = self.check(0)
        self.assertTrue(found["sound"])
        self.assertEqual(found["findings"], [])
        self.assertEqual(found["records"], 5)
        said, _ = run("check", self.data)
        self.assertIn("damage: 0, disposable: 0, notes: 0", said)

    def test_a_flipped_bit(self):
        path = self.made()
        position, size, _ = batches(path)[2]
        patch(path, position + size - 20, lambda byte: byte ^ 4)
        found = self.check(1)
        self.assertFalse(found["sound"])
        self.assertEqual(found["findings"], [{
            "level": "damage", "kind": "damaged-batch",
            "file": "topics/t-0/00000000000000000000.log", "position": position, "bytes": size,
            "first_offset": 2, "last_offset": 2,
            "before": {"offset": 1, "timestamp": "2023-11-14T22:13:20.001Z", "key": "k1"},
            "behind": {"offset": 3, "timestamp": "2023-11-14T22:13:20.003Z", "key": "k3"},
            "text": f"the CRC of the batch at position {position} does not fit",
            "repaired": False}])
        said, _ = run("check", self.data, code=1)
        self.assertIn(f"damaged-batch: topics/t-0/00000000000000000000.log position {position}, "
                      f"{size} bytes, offsets 2-2", said)
        self.assertIn("before: offset 1  2023-11-14T22:13:20.001Z  key=k1", said)
        self.assertIn("behind: offset 3  2023-11-14T22:13:20.003Z  key=k3", said)

    def test_every_bit_of_a_header_is_noticed(self):
        path = self.made()
        position, _, _ = batches(path)[2]
        for byte in (0, 7, 8, 11, 16, 17, 21, 26, 43, 60): # 12-15, the leader epoch, is not covered
            patch(path, position + byte, lambda old: old ^ 1)
            found = self.check(1)["findings"]
            self.assertIn("damaged-batch", [finding["kind"] for finding in found], byte)
            self.assertEqual(found[0]["position"], position, byte)
            patch(path, position + byte, lambda old: old ^ 1)
        self.check(0)

    def test_two_damages_and_the_first_batch(self):
        path = self.made()
        at = batches(path)
        patch(path, at[0][0] + 70, lambda byte: byte ^ 1)
        patch(path, at[3][0] + 70, lambda byte: byte ^ 1)
        found = self.check(1)["findings"]
        self.assertEqual([(f["position"], f["first_offset"], f["before"] and f["before"]["offset"],
                           f["behind"]["offset"]) for f in found],
                         [(0, 0, None, 1), (at[3][0], 3, 2, 4)])

    def test_damage_at_the_end_of_what_was_kept(self):
        path = self.made()
        position, size, _ = batches(path)[4]
        patch(path, position + 70, lambda byte: byte ^ 1)
        finding, = self.check(1)["findings"]
        self.assertEqual((finding["level"], finding["position"], finding["first_offset"],
                          finding["last_offset"], finding["behind"]),
                         ("damage", position, 4, 4, None))

    def test_a_torn_tail_is_no_damage(self):
        path = self.made()
        with open(path, "r+b") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.write(struct.pack(">qi", 5, 500) + b"half of a batch")
        finding, = self.check(0)["findings"]
        self.assertEqual((finding["level"], finding["kind"], finding["position"]),
                         ("note", "torn-tail", size))

    def test_a_cut_segment(self):
        path = self.made()
        os.truncate(path, batches(path)[3][0])
        finding, = [f for f in self.check(1)["findings"] if f["level"] == "damage"]
        self.assertEqual((finding["kind"], finding["first_offset"], finding["last_offset"],
                          finding["before"]["offset"]), ("missing-offsets", 3, 4, 2))

    def test_bad_records_inside_of_a_good_crc(self):
        """A record count that the CRC covers but the records do not have."""
        for codec in ("none", "zstd"):
            shutil.rmtree(self.data, ignore_errors=True)
            path = self.made(codec=codec)
            position, size, _ = batches(path)[1]
            with open(path, "r+b") as file:
                file.seek(position)
                batch = bytearray(file.read(size))
                batch[60] = 9
                batch[17:21] = struct.pack(">I", crc32c(batch[21:]))
                file.seek(position)
                file.write(batch)
            finding, = self.check(1)["findings"]
            self.assertEqual((finding["kind"], finding["position"], finding["first_offset"]),
                             ("bad-records", position, 1), codec)

    def test_indexes(self):
        path = self.made("log.index.interval.bytes=1", count=8)
        for suffix in (".index", ".timeindex"):
            index = path.replace(".log", suffix)
            size = os.path.getsize(index)
            self.assertGreater(size, 24)
            patch(index, 15, lambda byte: byte ^ 1)
            finding, = self.check(1)["findings"]
            self.assertEqual((finding["level"], finding["kind"], finding["file"]),
                             ("disposable", "bad-index", "topics/t-0/" + os.path.basename(index)))
            repaired = self.check(0, "--repair")
            self.assertTrue(repaired["findings"][0]["repaired"])
            self.assertFalse(os.path.exists(index))
            self.assertTrue(os.path.exists(path))
        with Server(self.data) as bus: # it makes them anew and lost nothing
            said, _ = bus.run("subscribe", "t", "--max", "8")
            self.assertEqual(len(said.splitlines()), 8)

    def test_transaction_index(self):
        path = self.made()
        with open(path, "ab") as file: # an aborted transaction at 5-6, a committed one at 7-8
            for producer, offset, abort in ((1000, 5, True), (1001, 7, False)):
                file.write(batch(offset, 0x10, producer, 0, b"key", b"value"))
                file.write(batch(offset + 1, 0x30, producer, -1,
                                 struct.pack(">hh", 0, 0 if abort else 1), struct.pack(">hi", 0, 3)))
        with Server(self.data): # it scans what is new and makes the index
            pass
        self.assertEqual(self.check(0)["findings"], [])
        markers = [line["decoded"] for line in map(json.loads, run(
            "dump", self.data, "--topic", "t", "--json")[0].splitlines()) if line["control"]]
        self.assertEqual(markers, [
            {"kind": "marker", "type": "abort", "coordinator_epoch": 3},
            {"kind": "marker", "type": "commit", "coordinator_epoch": 3}])
        index = path.replace(".log", ".txnindex")
        with open(index, "rb") as file:
            right = file.read()
        self.assertEqual(len(right), 38)
        extra = right[:10] + struct.pack(">qqq", 7, 8, 9)
        extra += struct.pack(">I", crc32c(extra))
        for wrong in (b"", right[:20], right[:9] + b"\x07" + right[10:], right + extra):
            with open(index, "wb") as file:
                file.write(wrong)
            finding, = self.check(1)["findings"]
            self.assertEqual((finding["level"], finding["kind"], finding["file"]),
                             ("disposable", "bad-index", "topics/t-0/" + os.path.basename(index)))
            self.check(0, "--repair")
            with open(index, "rb") as file:
                self.assertEqual(file.read(), right)
        os.unlink(index)
        finding, = self.check(1)["findings"]
        self.assertIn("producer 1000 at offsets 5-6 has no row", finding["text"])

    def test_snapshot(self):
        self.made()
        snapshot, = glob.glob(os.path.join(self.data, "topics/t-0/*.snapshot"))
        patch(snapshot, 12, lambda byte: byte ^ 1)
        finding, = self.check(1)["findings"]
        self.assertEqual((finding["level"], finding["kind"]), ("disposable", "bad-snapshot"))
        self.check(0, "--repair")
        with Server(self.data) as bus:
            bus.run("publish", "t", "again")  # the first use of a log loads it
        self.check(0)

    def test_checkpoint(self):
        self.made()
        checkpoint = os.path.join(self.data, "checkpoint")
        patch(checkpoint, 20, lambda byte: byte ^ 1)
        finding, = self.check(1)["findings"]
        self.assertEqual((finding["level"], finding["kind"]), ("disposable", "bad-checkpoint"))
        self.check(0, "--repair")
        self.assertFalse(os.path.exists(checkpoint))
        self.assertEqual(self.check(0)["findings"], [])     # its copy says the same
        os.remove(checkpoint + "-copy")
        self.assertEqual([f["kind"] for f in self.check(0)["findings"]], ["no-checkpoint"])

    def test_catalogue(self):
        self.made()
        catalogue.change(self.data, "UPDATE topic SET name = 'other' WHERE name = 't'")
        found = {f["kind"]: f for f in self.check(1)["findings"]}
        self.assertEqual(found["unknown-directory"]["file"], "topics/t-0")
        self.assertEqual(found["missing-directory"]["level"], "damage")
        with open(os.path.join(self.data, "tidings.db"), "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(4096))
        self.assertFalse(os.path.exists(os.path.join(self.data, "tidings.db-wal")))
        self.assertIn("bad-catalogue", [f["kind"] for f in self.check(1)["findings"]])

    def test_catalogue_with_a_good_copy(self):
        self.made()
        catalogue.settle(self.data)
        for name in ("tidings.db", "tidings-copy.db"):
            with open(os.path.join(self.data, name), "rb") as file:
                good = file.read()
            spoilt = os.path.join(self.data, name)
            with open(spoilt, "r+b") as file:
                file.seek(4096)
                file.write(os.urandom(100))
            found = self.check(1)["findings"]
            self.assertEqual({(f["level"], f["kind"], f["file"]) for f in found},
                             {("disposable", "bad-catalogue", name)})
            with open(spoilt, "wb") as file:
                file.write(good)
        for name in ("tidings.db", "tidings-copy.db"):
            os.remove(os.path.join(self.data, name))
        for _ in range(2):  # a refused start leaves no new one
            self.assertIn(("damage", "no-catalogue"),
                          [(f["level"], f["kind"]) for f in self.check(1)["findings"]])
            run("serve", "--data", self.data, "--listen", "127.0.0.1:0", code=1)

    def test_missing_segments(self):
        path = self.made()
        os.remove(path)
        found = {f["kind"]: f for f in self.check(1)["findings"]}
        self.assertEqual(found["missing-segments"]["level"], "damage")
        self.assertRegex(found["missing-segments"]["text"], "offsets 0-4 are gone.*no segment")

    def test_files_set_aside(self):
        path = self.made()
        with open(path.replace(".log", ".300.0badcafe.cut"), "wb") as file:
            file.write(b"cut off")
        with open(path.replace(".log", ".damage"), "w", encoding="ascii") as file:
            file.write("tidings-damage 1 00000000\n0 10 0 1\n")
        found = {f["kind"]: f["level"] for f in self.check(1)["findings"]}
        self.assertEqual(found, {"cut-file": "note", "bad-damage-file": "disposable"})

    def test_refused(self):
        with Server(self.data) as bus:
            _, said = run("check", self.data, code=2)
            self.assertIn(f"process {bus.process.pid}", said)
        _, said = run("check", self.path("nothing"), code=2)
        self.assertIn("no data directory", said)
        self.assertFalse(os.path.exists(self.path("nothing")))
        _, said = run("check", self.data, "--topic", "nobody", code=2)
        self.assertIn("no topic 'nobody'", said)

    def test_only_one_topic(self):
        path = self.made()
        patch(path, 70, lambda byte: byte ^ 1)
        self.assertEqual(self.check(0, "--topic", "__consumer_offsets")["damage"], 0)
        self.assertEqual(self.check(1, "--topic", "t", "--partition", "0")["damage"], 1)


class StatusTest(Case):
    def status(self):
        return json.loads(run("status", self.data, "--json")[0])

    def fill_compacted(self, bus, rounds):
        """Each round is a segment of the same keys."""
        bus.run("topic", "create", "kept", "--config", "cleanup.policy=compact",
                "--config", "segment.bytes=100000", "--config", "min.cleanable.dirty.ratio=0.01")
        for _ in range(rounds):
            bus.run("publish", "kept", "--key-separator", "=",
                    text="".join(f"k{i}={'v' * 1000}\n" for i in range(90)))

    def test_what_it_tells(self):
        with Server(self.data) as bus:
            bus.run("topic", "create", "orders", "--partitions", "3")
            bus.run("publish", "orders", "an order")
            status = self.status()
            self.assertEqual(status["pid"], bus.process.pid)
            self.assertEqual(status["offline_partitions"], 0)
            self.assertGreaterEqual(status["partitions"], 3)
            self.assertGreater(status["bytes"], 60)
            self.assertLess(abs(status["started_ms"] - time.time() * 1000), DEADLINE_S * 1000)
            self.assertIsNone(status["cleaner"]["now"])
            text = run("status", self.data)[0]
            self.assertRegex(text, rf"process {bus.process.pid}, since ")
            self.assertRegex(text, r"compaction +0 logs cleaned")
            self.assertNotIn("offline", text)

    def test_progress_of_a_compaction(self):
        with Server(self.data, "log.cleaner.backoff.ms=10",
                 "log.cleaner.io.max.bytes.per.second=20000") as bus:
            self.fill_compacted(bus, 10)
            wait_until(lambda: (self.status()["cleaner"]["now"] or {}).get("moved_bytes", 0) > 0,
                       "a compaction under way")
            now = self.status()["cleaner"]["now"]
            self.assertEqual((now["topic"], now["partition"]), ("kept", 0))
            self.assertGreater(now["log_bytes"], 500000)
            self.assertIn(now["phase"], ("keys", "rewriting"))
            self.assertEqual(now["pass"], 1)
            self.assertGreaterEqual(now["at_most_bytes"], now["moved_bytes"])
            self.assertRegex(run("status", self.data)[0], 
                             r"at kept-0 for [0-9.]+ s, \w+, pass 1: .* of at most .* read")
        with Server(self.data, "log.cleaner.backoff.ms=10") as bus:
            wait_until(lambda: self.status()["cleaner"]["freed_bytes"] > 500000, "a cleaned log")
            self.assertGreaterEqual(self.status()["cleaner"]["cleanings"], 1)
        with Server(self.data, "log.cleaner.enable=false"):
            self.assertIsNone(self.status()["cleaner"])
            self.assertIn("compaction  off", run("status", self.data)[0])

    def test_offline_partitions_are_counted(self):
        with Server(self.data) as bus:
            bus.run("topic", "create", "orders")
            bus.run("publish", "orders", "an order")
        shutil.rmtree(f"{self.data}/topics/orders-0")
        with open(f"{self.data}/topics/orders-0", "w", encoding="ascii"):
            pass
        with Server(self.data):
            self.assertEqual(self.status()["offline_partitions"], 1)
            self.assertRegex(run("status", self.data)[0], r"offline +1 partition:")

    def test_no_server(self):
        _, said = run("status", self.data + "/none", code=4)
        self.assertIn("there is no", said)
        with Server(self.data):
            pass
        _, said = run("status", self.data, code=3)
        self.assertIn("no server runs on", said)
        run("status", self.data, self.data, code=2)


    def test_a_hung_server(self):
        with Server(self.data) as bus:
            bus.process.send_signal(signal.SIGSTOP)
            try:
                _, said = run("status", self.data, "--timeout", "200ms", code=6)
            finally:
                bus.process.send_signal(signal.SIGCONT)
            self.assertIn("did not answer within 200 ms: is it stopped or hung?", said)
            run("status", self.data)


class DumpTest(Case):
    def lines(self, *words, code=0):
        return [json.loads(line) for line in run("dump", *words, "--json", code=code)[0].splitlines()]

    def test_records_of_a_running_bus(self):
        with Server(self.data) as bus:
            bus.run("topic", "create", "t")
            bus.run("publish", "t", "--key", "k", "-H", "name=value", "-z", "lz4",
                    "--timestamp", f"@{FIRST_MS}", "first")
            bus.run("publish", "t", "-i", "whole", text="\udcff\udcfe".encode(
                "utf-8", "surrogateescape").decode("latin-1"))
            bus.run("subscribe", "t", "--group", "g", "--max", "1")
            first, second = self.lines(self.data, "--topic", "t")
            groups = self.lines(self.data, "--topic", "__consumer_offsets")
        self.assertEqual((first["offset"], first["key"], first["value"], first["headers"],
                          first["timestamp"]),
                         (0, "k", "first", {"name": "value"}, "2023-11-14T22:13:20.000Z"))
        self.assertEqual(second["offset"], 1)
        decoded = [line["decoded"] for line in groups]
        self.assertTrue(any(d["kind"] == "group-metadata" and d["group"] == "g" for d in decoded))
        commit = [d for d in decoded if d["kind"] == "offset-commit"][-1]
        self.assertEqual((commit["group"], commit["topic"], commit["partition"], commit["offset"]),
                         ("g", "t", 0, 1))

    def test_records_of_a_consumer_group(self):
        """KIP-848: what its records say is what its member was told."""
        with Server(self.data) as bus:
            bus.run("topic", "create", "t", "--partitions", str(PARTITIONS))
            member = ConsumerMember("g", "t", int(bus.address.rsplit(":", 1)[1]), "ann", "one")
            self.addCleanup(member.client.close)
            member.join()
            settle([member])
            described = consumer_described(member.client, "g")
            decoded = [line["decoded"] for line in
                       self.lines(self.data, "--topic", "__consumer_offsets")]
            text, _ = run("dump", self.data, "--topic", "__consumer_offsets")
        last = {d["kind"].removeprefix("consumer-group-"): d for d in decoded if d["group"] == "g"}
        topic_id = base64.urlsafe_b64encode(member.owned[0]["topic_id"]).decode().rstrip("=")
        whole = [{"topic_id": topic_id, "partitions": list(range(PARTITIONS))}]
        self.assertEqual(last["metadata"]["epoch"], described["group_epoch"])
        self.assertEqual(last["target-assignment"]["assignment_epoch"], described["assignment_epoch"])
        self.assertEqual(last["partition-metadata"]["topics"],
                         [{"topic_id": topic_id, "topic": "t", "partitions": PARTITIONS}])
        self.assertEqual([last["member"][name] for name in ("member", "group_instance_id", "topics")],
                         ["ann", "one", ["t"]])
        self.assertEqual(last["target-assignment-member"]["partitions"], whole)
        self.assertEqual([last["current-assignment"][name] for name in
                          ("member_epoch", "state", "assigned", "revoking")],
                         [member.epoch, "Stable", whole, []])
        self.assertIn('"group_instance_id":"one"', text)

    def test_ranges_and_headers_only(self):
        self.made()
        self.assertEqual([line["offset"] for line in
                          self.lines(self.data, "--topic", "t", "--from", "1", "--to", "3")], [1, 2])
        found = [line["batch"] for line in self.lines(self.data, "--topic", "t", "--batches")]
        self.assertEqual([(b["base_offset"], b["records"], b["codec"]) for b in found],
                         [(i, 1, "none") for i in range(5)])
        self.assertTrue(all(b["producer_id"] >= 0 and b["crc_ok"] for b in found))

    def test_one_file_with_damage(self):
        path = self.made()
        position, size, _ = batches(path)[1]
        patch(path, position + 80, lambda byte: byte ^ 1)
        lines = self.lines(path, code=1)
        self.assertEqual([line.get("offset") for line in lines], [0, None, 2, 3, 4])
        damage = lines[1]["damage"]
        self.assertEqual((damage["position"], damage["bytes"], damage["first_offset"],
                          damage["next_offset"]), (position, size, 1, 2))
        self.assertEqual(lines[0]["topic"], "t")

    def test_a_file_of_another_kind(self):
        for name, text in (("notes.txt", b"no batches here, but quite some bytes\n" * 10),
                           ("empty.log", b"")):
            with open(self.path(name), "wb") as file:
                file.write(text)
            _, said = run("dump", self.path(name), code=1)
            self.assertIn("it is no segment: there is no batch in it", said)

    def test_nothing_there(self):
        _, said = run("dump", self.path("nothing"), code=4)
        self.assertIn("there is no", said)
        self.made()
        _, said = run("dump", self.data, "--topic", "nobody", code=4)
        self.assertIn("nobody", said)


if __name__ == "__main__":
    unittest.main()
