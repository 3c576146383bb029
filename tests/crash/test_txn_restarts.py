#!/usr/bin/python3
"""Restarts the server while transactions stand behind each answered step of the protocol.

usage: test_txn_restarts.py

One transaction of v1, or of v2, stands behind each step: InitProducerId, AddPartitionsToTxn with
AddOffsetsToTxn (v1), the first and the last Produce, TxnOffsetCommit, EndTxn. Then the server is
  - killed, or stopped cleanly, and the producers go on: what was sent before is still in the transaction, once,
    sent again it is recognised, and the commit, which may be asked for again, makes all of it visible;
  - killed, and the producers are gone: their transactions are aborted when their time-out has passed, fenced, and hold back
    nobody; a new producer gets the same producer id with a newer epoch.
"""
import shutil
import tempfile

from txn_client import CONCURRENT, PARTITIONS, Transaction, child

TIMEOUT_MS = 60000
FENCED = (47, 90)  # INVALID_PRODUCER_EPOCH, PRODUCER_FENCED


def steps_of(two):
    """Each with its name; a transaction does those from one point to another."""
    steps = [("InitProducerId", None)]  # done by whoever makes the transaction
    if not two:
        steps.append(("AddPartitions", lambda txn: txn.add()))
    return steps + [
        ("Produce 0", lambda txn: txn.produce(0)),
        ("Produce 1", lambda txn: txn.produce(1)),
        ("TxnOffsetCommit", lambda txn: txn.commit_offset()),
        ("EndTxn", lambda txn: txn.end(True)),
    ]


class Stand:
    """A transaction that stands behind its first `done` steps."""

    def __init__(self, two, done):
        self.steps, self.done = steps_of(two), done
        self.ended = done == len(self.steps)
        self.where = f"v{2 if two else 1} behind {self.steps[done - 1][0]}"
        self.txn = Transaction(f"{'two' if two else 'one'}-{done}", two)

    def begin(self, port, timeout_ms):
        self.txn.connect(port).create_topic()
        self.txn.init(timeout_ms)
        for _, step in self.steps[1:self.done]:
            step(self.txn)

    def partitions(self):
        """Where it has an event."""
        names = [name for name, _ in self.steps[:self.done]]
        return [p for p in PARTITIONS if f"Produce {p}" in names]

    def go_on(self):
        if self.ended:
            self.end_again()
            return
        for partition in self.partitions():
            assert self.txn.try_produce(partition) == (0, 0), f"{self.where}: sent again"
        for _, step in self.steps[self.done:]:
            step(self.txn)

    def end_again(self):
        """As a client whose answer was lost."""
        def answered():
            code = self.txn.try_end(True)
            assert code in (0, CONCURRENT), f"{self.where}: EndTxn again: error {code}"
            return code == 0

        child.wait_for(answered, f"{self.where}: the end is never complete")


def stands():
    return [Stand(two, done) for two in (False, True) for done in range(1, len(steps_of(two)) + 1)]


def started(data, all_stands):
    server = child.Server(data)
    for stand in all_stands:
        stand.begin(server.port, TIMEOUT_MS)
    return server


def restarted(data, all_stands, options=()):
    server = child.Server(data, options=options)
    for stand in all_stands:
        stand.txn.connect(server.port)
    return server


# ---- the producers go on ----

def check_open(stand):
    """Still held back, as before the restart."""
    if stand.ended:
        return
    stable = stand.txn.ends(1)
    for partition in stand.partitions():
        assert stable[partition] == 0, f"{stand.where}: partition {partition} is open no more"
    if stand.steps[stand.done - 1][0] == "TxnOffsetCommit":
        assert stand.txn.stable_offset() is None, f"{stand.where}: the offset is decided"


def producers_go_on(cleanly, data):
    all_stands = stands()
    server = started(data, all_stands)
    if cleanly:
        assert server.stop() == 0, "the clean stop failed"
    else:
        server.kill()
    server = restarted(data, all_stands)
    for stand in all_stands:
        check_open(stand)
        stand.go_on()
    for stand in all_stands:
        where = f"{'stop' if cleanly else 'kill'}, {stand.where}"
        assert stand.txn.seen(where) == [True] * 3, f"{where}: {stand.txn.seen(where)}"
        ends = stand.txn.ends(0)
        assert ends == [2, 2] or stand.ended, f"{where}: not one event and one marker: {ends}"
    assert server.stop() == 0
    print(f"ok the producers go on after a {'clean stop' if cleanly else 'kill'}: {len(all_stands)} "
          "transactions", flush=True)


# ---- the producers are gone ----

def check_aborted(stand):
    where = f"gone, {stand.where}"
    seen = stand.txn.seen(where)
    assert seen == [stand.ended] * 3, f"{where}: {seen}"
    if not stand.ended and stand.done > 1:  # it had begun
        child.wait_for(lambda: stand.txn.state() == "CompleteAbort", f"{where}: is not aborted")
        code, _ = stand.txn.try_produce(0)
        assert code in FENCED, f"{where}: the producer that timed out got {code}"
    old = stand.txn.producer
    new = stand.txn.init()
    assert new["producer_id"] == old["producer_id"], f"{where}: another producer id"
    assert new["producer_epoch"] > old["producer_epoch"], f"{where}: epoch {new} after {old}"
    return new["producer_id"]


def producers_are_gone(data):
    all_stands = stands()
    server = started(data, all_stands)
    server.kill()
    server = restarted(data, all_stands, ["--test-clock"])
    for stand in all_stands:
        check_open(stand)
    server.run("clock", "--advance", f"{TIMEOUT_MS}ms")
    ids = {check_aborted(stand) for stand in all_stands}
    assert len(ids) == len(all_stands), "two transactional ids share a producer id"
    assert server.stop() == 0
    print(f"ok the producers are gone: {len(all_stands)} transactions", flush=True)


def main():
    for play in (lambda data: producers_go_on(False, data), lambda data: producers_go_on(True, data),
                 producers_are_gone):
        folder = tempfile.mkdtemp(prefix="tidings-txn-restarts-")
        play(folder + "/data")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
