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

from txn_client import PARTITIONS, Transaction, child

MOST_STEPS = 80
WITHOUT_LAYER = "bus.layer.enable=false"  # whose own writes are not a transaction's


class Step:
    """How far the client got: what it asked, and what it was answered."""

    def __init__(self):
        self.asked_commit = self.committed = False


def transaction(txn, commit, step):
    """Raises OSError or ConnectionError where the server is killed."""
    txn.init()
    if not txn.two:
        txn.add()
    for partition in PARTITIONS:
        txn.produce(partition)
    txn.commit_offset()
    step.asked_commit = commit
    txn.end(commit)
    step.committed = commit
    txn.init()  # waits until the end is complete


def verify(txn, step, where):
    txn.init()
    seen = txn.seen(where)
    assert all(seen) or not any(seen), f"{where}: in part: {seen}"
    assert all(seen) or not step.committed, f"{where}: acknowledged and lost: {seen}"
    assert step.asked_commit or not any(seen), f"{where}: committed though nobody asked"
    return all(seen)


# ---- one kill ----

def kill_at(number, two, commit, gate, folder):
    """Returns (killed, visible afterwards)."""
    where = f"v{2 if two else 1} {'commit' if commit else 'abort'}, killed before step {number}"
    data, armed = os.path.join(folder, "data"), os.path.join(folder, "armed")
    step = Step()
    server = child.Server(data, WITHOUT_LAYER, preload=[gate],
                          env={"KILL_ARMED": armed, "KILL_AT": str(number)})
    txn = Transaction("pay", two).connect(server.port)
    txn.create_topic()
    with open(armed, "w", encoding="utf-8"):
        pass
    try:
        transaction(txn, commit, step)
        killed = False
    except OSError:
        server.process.wait(child.WAIT_S)
        killed = True
    if not killed:
        server.stop()
    server = child.Server(data, WITHOUT_LAYER)
    seen = verify(txn.connect(server.port), step, where)
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
            every_step(two, commit, sys.argv[1])


if __name__ == "__main__":
    main()
