#!/usr/bin/python3
"""Feeds the checker good histories and bad ones, one for each anomaly: it must know them apart.

    tests/campaign/test_check.py [-v]
"""
import os
import tempfile
import time
import unittest

import check

GROUP = "billing"


class Writer:
    """Makes history lines; every call is a nanosecond later."""

    def __init__(self):
        self.at = 0
        self.lines = []

    def add(self, process, kind, *fields):
        self.at += 1
        self.lines.append(" ".join([str(self.at), process, kind] + [str(f) for f in fields]))

    def send(self, value, partition=0, key="k", txn="-", source="-", topic="in", process="p"):
        self.add(process, "send", value, topic, partition, key, txn, source)

    def sent(self, value, offset, **rest):
        """Sent and acknowledged."""
        self.send(value, **rest)
        self.add(rest.get("process", "p"), "acked", value, offset)

    def ended(self, txn, outcome):
        self.add("p", "abort" if outcome == "aborted" else "commit", txn)
        self.add("p", "ended", txn, outcome, "-")

    def read(self, *seen, reader="r", topic="in", partition=0, position=0, end=None, key="k",
             isolation="read_committed"):
        """One session; seen: (offset, value)."""
        self.add(reader, "start", reader, topic, partition, position, isolation)
        for offset, value in seen:
            self.add(reader, "see", reader, topic, partition, offset, key, value)
        if end is not None:
            self.add(reader, "end", reader, topic, partition, end)

    def commit(self, offset, acked=True, process="c"):
        self.add(process, "asked", GROUP, "in", 0, offset)
        if acked:
            self.add(process, "stored", GROUP, "in", 0, offset)

    def given(self, process, offset):
        """The group gives the partition to a member."""
        self.add(process, "start", process, "in", 0, offset, "read_committed")

    def told(self, offset):
        self.at += 1
        self.add("c", "committed", GROUP, "in", 0, offset, self.at)


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.history = Writer()

    def kinds(self):
        with tempfile.NamedTemporaryFile("w", suffix=".history") as file:
            file.write("\n".join(self.history.lines) + "\n")
            file.flush()
            judged = check.check([file.name])
            self.report = check.verdict(judged)
        return sorted({finding.kind for finding in judged.findings})

    def assert_good(self):
        self.assertEqual(self.kinds(), [], self.report)

    def assert_bad(self, *kinds):
        """These anomalies, no others, and each with a line that shows it."""
        self.assertEqual(self.kinds(), sorted(kinds), self.report)
        self.assertRegex(self.report, r"\.history:\d+: \d+ ")


class PlainTest(CheckTest):
    """Events, partitions and readers."""

    def three(self):
        for number in range(3):
            self.history.sent(f"v{number}", number)

    def test_good(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), (2, "v2"), end=3)
        self.assert_good()

    def test_unknown_may_be_there_or_not(self):
        self.three()
        self.history.send("there")
        self.history.add("p", "unknown", "there", "timeout")
        self.history.send("gone")
        self.history.add("p", "unknown", "gone", "timeout")
        self.history.send("no-answer")
        self.history.read((0, "v0"), (1, "v1"), (2, "v2"), (3, "there"), end=4)
        self.assert_good()

    def test_unknown_twice(self):
        self.history.send("v0")
        self.history.add("p", "unknown", "v0", "timeout")
        self.history.read((0, "v0"), (1, "v0"), end=2)
        self.assert_bad("duplicate")

    def test_acknowledged_while_another_reads(self):
        self.history.add("r", "start", "r", "in", 0, 0, "read_committed")
        self.history.add("r", "end", "r", "in", 0, 0)
        self.history.sent("v0", 0)
        self.history.read((0, "v0"), reader="last", end=1)
        self.assert_good()

    def test_lost_in_the_middle(self):
        self.three()
        self.history.read((0, "v0"), (2, "v2"), end=3)
        self.assert_bad("lost")

    def test_lost_at_the_end(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), end=2)
        self.assert_bad("lost")

    def test_lost_without_offset(self):
        self.history.sent("v0", -1)
        self.history.read(end=0)
        self.assert_bad("lost")

    def test_lost_but_reported_as_damaged(self):
        self.three()
        self.history.add("campaign", "damaged", "in", 0, 1, 1)
        self.history.read((0, "v0"), (2, "v2"), end=3)
        self.assert_good()

    def test_damage_hides_more_than_was_damaged(self):
        self.three()
        self.history.add("campaign", "damaged", "in", 0, 1, 1)
        self.history.read((0, "v0"), end=3)
        self.assert_bad("lost")

    def test_compacted(self):
        self.history.add("campaign", "topic", "in", "compact")
        self.three()
        self.history.read((2, "v2"), end=3)
        self.assert_good()

    def test_newest_of_a_key_lost_by_compaction(self):
        self.history.add("campaign", "topic", "in", "compact")
        self.three()
        self.history.sent("other", 3, key="l")
        self.history.read((0, "v0"), (1, "v1"), end=4)
        self.assert_bad("lost")

    def test_compacted_for_an_aborted_event(self):
        self.history.add("campaign", "topic", "in", "compact")
        self.history.sent("v0", 0)
        self.history.sent("v1", 1, txn="t")
        self.history.ended("t", "aborted")
        self.history.read((1, "v1"), reader="u", isolation="read_uncommitted", end=3)
        self.assert_bad("lost")

    def test_duplicate(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), (2, "v2"), (3, "v1"), end=4)
        self.assert_bad("duplicate")

    def test_not_where_acknowledged(self):
        self.history.sent("v0", 5)
        self.history.read((0, "v0"), end=1)
        self.assert_bad("duplicate", "lost")

    def test_reordered_within_a_key(self):
        self.history.send("v0")
        self.history.send("v1")
        self.history.read((0, "v1"), (1, "v0"), end=2)
        self.assert_bad("reorder-key")

    def test_reordered_within_a_partition(self):
        self.history.send("v0", key="k")
        self.history.send("v1", key="l")
        self.history.read((0, "v1"), reader="a", key="l")
        self.history.read((1, "v0"), reader="b", position=1)
        self.history.read(reader="c", position=2, end=2)
        self.assert_bad("reorder-partition")

    def test_overtaken_by_another_process(self):
        self.history.sent("v0", 1, process="p")
        self.history.sent("v1", 0, process="q")
        self.history.read((0, "v1"), (1, "v0"), end=2)
        self.assert_bad("reorder-key")

    def test_processes_at_the_same_time(self):
        self.history.send("v0", process="p")
        self.history.send("v1", process="q")
        self.history.add("p", "acked", "v0", 1)
        self.history.add("q", "acked", "v1", 0)
        self.history.read((0, "v1"), (1, "v0"), end=2)
        self.assert_good()

    def test_reader_goes_back(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), (1, "v1"), (2, "v2"), end=3)
        self.assert_bad("reader-order")

    def test_reader_skips(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), (2, "v2"), end=3)
        self.history.read((0, "v0"), (2, "v2"), reader="group")
        self.assert_bad("skipped")

    def test_readers_disagree(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), (2, "v2"), end=3)
        self.history.read((0, "v0"), (1, "v9"), reader="s")
        self.assert_bad("disagreement", "phantom")

    def test_another_key(self):
        self.history.sent("v0", 0)
        self.history.read((0, "v0"), key="m", end=1)
        self.assert_bad("disagreement")

    def test_phantom(self):
        self.history.read((0, "v0"), end=1)
        self.assert_bad("phantom")

    def test_failed_but_there(self):
        self.history.send("v0")
        self.history.add("p", "failed", "v0", "too_large")
        self.history.read((0, "v0"), end=1)
        self.assert_bad("phantom")

    def test_nobody_read(self):
        self.three()
        self.assertEqual(self.kinds(), ["incomplete"])

    def test_killed_within_a_line(self):
        self.three()
        self.history.read((0, "v0"), (1, "v1"), (2, "v2"), end=3)
        with tempfile.NamedTemporaryFile("w", suffix=".history") as file:
            file.write("\n".join(self.history.lines) + "\n12 p se")
            file.flush()
            self.assertEqual(check.check([file.name]).findings, [])


class TransactionTest(CheckTest):
    """What read_committed readers may see."""

    def pair(self, outcome=None):
        """Two events of one transaction at 0 and 1, its marker at 2."""
        self.history.add("p", "begin", "t")
        self.history.sent("v0", 0, txn="t")
        self.history.sent("v1", 1, txn="t")
        if outcome == "asked":
            self.history.add("p", "commit", "t")
        elif outcome:
            self.history.ended("t", outcome)

    def both(self):
        self.history.read((0, "v0"), (1, "v1"), end=3)

    def test_committed(self):
        self.pair("committed")
        self.both()
        self.assert_good()

    def test_aborted(self):
        self.pair("aborted")
        self.history.read(end=3)
        self.history.read((0, "v0"), (1, "v1"), end=3, reader="u", isolation="read_uncommitted")
        self.assert_good()

    def test_in_doubt_and_there(self):
        self.pair("asked")
        self.both()
        self.assert_good()

    def test_in_doubt_and_not_there(self):
        self.pair("asked")
        self.history.read(end=3)
        self.assert_good()

    def test_in_doubt_and_torn(self):
        self.pair("asked")
        self.history.read((0, "v0"), end=3)
        self.assert_bad("torn")

    def test_committed_and_torn(self):
        self.pair("committed")
        self.history.read((1, "v1"), end=3)
        self.assert_bad("torn", "lost")

    def test_committed_and_lost(self):
        self.pair("committed")
        self.history.read(end=3)
        self.assert_bad("lost")

    def test_torn_over_partitions(self):
        self.history.send("v0", txn="t")
        self.history.send("v1", txn="t", partition=1)
        self.history.add("p", "acked", "v1", 0)
        self.history.add("p", "commit", "t")
        self.history.read((0, "v0"), end=2)
        self.history.read(end=2, partition=1)
        self.assert_bad("torn")

    def test_aborted_but_shown(self):
        self.pair("aborted")
        self.both()
        self.assert_bad("dirty-read")

    def test_never_committed_but_shown(self):
        self.pair()
        self.both()
        self.assert_bad("dirty-read")

    def test_shown_too_early(self):
        self.pair()
        self.both()
        self.history.ended("t", "committed")
        self.assert_bad("dirty-read")


class GroupTest(CheckTest):
    """Committed offsets."""

    def test_good(self):
        self.history.told(-1)
        self.history.commit(3)
        self.history.told(3)
        self.history.commit(5, acked=False)
        self.history.told(3)
        self.history.told(5)
        self.assert_good()

    def test_gone(self):
        self.history.commit(3)
        self.history.told(-1)
        self.assert_bad("offset-back")

    def test_back(self):
        self.history.commit(3)
        self.history.commit(5)
        self.history.told(3)
        self.assert_bad("offset-back")

    def test_never_asked_for(self):
        self.history.commit(3)
        self.history.told(4)
        self.assert_bad("offset-back")

    def test_of_an_aborted_transaction(self):
        self.history.add("p", "offset", "t", GROUP, "in", 0, 4)
        self.history.ended("t", "aborted")
        self.history.told(4)
        self.assert_bad("offset-back")

    def test_of_a_committed_transaction_gone(self):
        self.history.add("p", "offset", "t", GROUP, "in", 0, 4)
        self.history.ended("t", "committed")
        self.history.told(-1)
        self.assert_bad("offset-back")


class OwnerTest(CheckTest):
    """Members of one group."""

    def test_one_after_the_other(self):
        self.history.given("c", 0)
        self.history.commit(3)
        self.history.given("d", 3)
        self.history.commit(5, process="d")
        self.history.given("c", 5)
        self.history.commit(6)
        self.assert_good()

    def test_partitions_move_one_by_one(self):
        """In the new protocol a member goes on with what it keeps."""
        self.history.given("c", 0)
        self.history.add("c", "start", "c", "in", 1, 0, "read_committed")
        self.history.commit(3)
        self.history.given("d", 3)
        self.history.commit(5, process="d")
        self.history.add("c", "asked", GROUP, "in", 1, 4)
        self.history.add("c", "stored", GROUP, "in", 1, 4)
        self.assert_good()

    def test_given_up_before_but_answered_later(self):
        self.history.given("c", 0)
        self.history.add("c", "asked", GROUP, "in", 0, 3)
        self.history.given("d", 3)
        self.history.commit(5, process="d")
        self.history.add("c", "stored", GROUP, "in", 0, 3)
        self.assert_good()

    def test_began_long_after_it_was_told(self):
        """It slept: the group had given the partition to another."""
        self.history.given("d", 0)
        self.history.commit(3, process="d")
        self.history.given("c", 0)
        self.history.commit(3, acked=False)
        self.history.commit(5, process="d")
        self.assert_good()

    def given_late(self, process, other):
        """It asks where to begin, another is given the partition and commits, and then it begins."""
        self.history.at += 1
        asked_at = self.history.at
        self.history.given(other, 0)
        self.history.commit(3, process=other)
        self.history.add(process, "committed", GROUP, "in", 0, -1, asked_at)
        self.history.given(process, 0)
        self.history.commit(0, process=process)
        self.history.commit(5, process=other)

    def test_began_when_it_was_given_to_another_by_epochs(self):
        """And the broker takes what it commits: its epoch is the newest."""
        self.history.add("campaign", "epochs", GROUP)
        self.given_late("c", "d")
        self.assert_good()
        self.history.given("c", 5)  # which is another time
        self.history.commit(6)
        self.history.commit(7, process="d")
        self.assert_bad("two-owners")

    def test_began_elsewhere_when_it_was_given_to_another_by_epochs(self):
        """Its listener goes through all partitions before it returns."""
        self.history.add("campaign", "epochs", GROUP)
        self.history.at += 1
        asked_at = self.history.at
        for number in (0, 1):
            self.history.add("c", "committed", GROUP, "in", number, -1, asked_at)
        self.history.given("c", 0)
        self.history.given("d", 0)
        self.history.commit(3, process="d")
        self.history.add("c", "start", "c", "in", 1, 0, "read_committed")
        self.history.commit(0)
        self.history.commit(5, process="d")
        self.assert_good()

    def test_began_when_it_was_given_to_another_by_generations(self):
        self.given_late("c", "d")
        self.assert_bad("two-owners")

    def test_commits_after_another_owner(self):
        self.history.given("c", 0)
        self.history.commit(3)
        self.history.given("d", 3)
        self.history.commit(5, process="d")
        self.history.commit(6)
        self.assert_bad("two-owners")


class LoopTest(CheckTest):
    """Consume, transform, produce."""

    def setUp(self):
        super().setUp()
        self.history.add("campaign", "loop", GROUP, "in", "out")
        self.history.sent("v0", 0)
        self.history.sent("v1", 1)
        self.history.read((0, "v0"), (1, "v1"), end=2)

    def transform(self, txn, source, value, offset=None, committed=None, outcome="committed"):
        self.history.sent(value, offset, topic="out", txn=txn, source=f"in/0/{source}")
        self.history.add("p", "offset", txn, GROUP, "in", 0,
                         source + 1 if committed is None else committed)
        self.history.ended(txn, outcome)

    def outputs(self, *seen, end=9):
        self.history.read(*seen, reader="out", topic="out", end=end)

    def test_good(self):
        self.transform("t0", 0, "w0", 0)
        self.transform("t1", 1, "w1", 2, outcome="aborted")
        self.transform("t2", 1, "w2", 4)
        self.outputs((0, "w0"), (4, "w2"))
        self.history.told(2)
        self.assert_good()

    def test_the_rest_is_not_transformed_yet(self):
        self.transform("t0", 0, "w0", 0)
        self.outputs((0, "w0"))
        self.history.told(1)
        self.assert_good()

    def test_twice(self):
        self.transform("t0", 0, "w0", 0)
        self.transform("t1", 0, "w1", 2)
        self.outputs((0, "w0"), (2, "w1"))
        self.history.told(1)
        self.assert_bad("transformed-twice")

    def test_offset_without_output(self):
        self.transform("t0", 0, "w0", 0, committed=2)
        self.outputs((0, "w0"))
        self.history.told(2)
        self.assert_bad("not-transformed")

    def test_output_without_offset(self):
        self.transform("t0", 0, "w0", 0)
        self.transform("t1", 1, "w1", 2, committed=1)
        self.outputs((0, "w0"), (2, "w1"))
        self.history.told(1)
        self.assert_bad("ahead-of-offset")


class SizeTest(CheckTest):
    def test_many_lines(self):
        """Linear: 600,000 lines, and the time is printed."""
        for number in range(200000):
            self.history.sent(f"v{number}", number, key=f"k{number % 1000}")
        self.history.add("r", "start", "r", "in", 0, 0, "read_committed")
        for number in range(200000):
            self.history.add("r", "see", "r", "in", 0, number, f"k{number % 1000}", f"v{number}")
        self.history.add("r", "end", "r", "in", 0, 200000)
        began = time.monotonic()
        self.assert_good()
        print(f"\n{len(self.history.lines)} lines checked in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    unittest.main()
