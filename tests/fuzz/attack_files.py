#!/usr/bin/python3
"""Data directories with files that are spoilt, cut, swapped or gone.

    TIDINGS_BIN=build/tidings tests/fuzz/attack_files.py [--seconds 60] [--seed N | --first N] [--jobs N]

One directory is made with all that a server keeps; then, again and again, some files of a copy are
spoilt. `check` must end with a finding or without, the server must start or refuse with a word, and
what it serves must be what was written: never other events, never a crash, and of topics whose files
were left alone every event. On a failure the seed of the try is printed; --seed plays it again.
--first N makes each run take the same ones: N and those that follow.
"""
import argparse
import concurrent.futures
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from harness import kafka
from harness.server import BINARY, Server, wait_for

EVENTS = 40
SERVER_SETTINGS = ["offsets.topic.num.partitions=2", "transaction.state.log.num.partitions=2",
                   "log.cleaner.backoff.ms=50", "log.segment.bytes=2000"]
TOPICS = {  # name: (partitions, settings)
    "plain": (2, []), "zipped": (1, [("compression.type", "gzip")]),
    "compacted": (1, [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")]),
    "transactional": (1, []), "quiet": (1, []),
}
# Files that belong to all topics, of which none can be left alone.
COMMON = re.compile(r"^(tidings\.db|topics/__)")


class Failure(Exception):
    """Something that must never happen; the text says what."""


# ---- the directory ----

def transaction(client, name, values, commit):
    """The events of one transaction on topic `transactional`."""
    made = client.ask("init_producer_id", 2, transactional_id=name, transaction_timeout_ms=60000)
    producer = {"producer_id": made["producer_id"], "producer_epoch": made["producer_epoch"]}
    client.ask("add_partitions_to_txn", 0, v3_and_below_transactional_id=name,
               v3_and_below_producer_id=producer["producer_id"],
               v3_and_below_producer_epoch=producer["producer_epoch"],
               v3_and_below_topics=[{"name": "transactional", "partitions": [0]}])
    records = kafka.batch([kafka.record(value, i) for i, value in enumerate(values)],
                          attributes=0x10, sequence=0, **producer)
    fields = client.produce_fields("transactional", records, -1, 0)
    client.ask("produce", 8, transactional_id=name, **fields)
    if commit is not None:
        client.ask("end_txn", 0, transactional_id=name, committed=commit, **producer)


def fill(client):
    for name, (partitions, configs) in TOPICS.items():
        code, message = client.create_topic(name, partitions, configs)
        assert code == 0, message
    client.create_topic("gone")
    for i in range(EVENTS):
        for name, (partitions, _) in TOPICS.items():
            if name != "transactional":
                value = b"%s %d " % (name.encode(), i) + b"x" * 90
                batch = kafka.batch([kafka.record(value, 0, b"k%d" % (i % 5))])
                code, _, message, _ = client.produce(name, batch, partition=i % partitions)
                assert code == 0, message
        client.commit(f"group-{i % 3}", "plain", i // 3)
    client.produce("gone", kafka.good_batch())
    client.ask("delete_topics", 3, topic_names=["gone"], timeout_ms=30000)
    for i, commit in enumerate((True, False, True, None)):
        transaction(client, f"txn-{i}", [b"txn %d %d" % (i, n) for n in range(3)], commit)


def take(folder):
    """Makes the directory twice, stopped and killed; returns the paths."""
    made = []
    for how in ("stopped", "killed"):
        data = os.path.join(folder, how)
        server = Server(data, *SERVER_SETTINGS)
        client = kafka.Client(server.port)
        fill(client)
        wait_for(lambda server=server: server.log_lines("log compacted"), "compaction")
        client.close()
        if how == "killed":
            server.kill()
        elif server.stop() != 0:
            raise Failure("the server did not stop well")
        made.append(data)
    return made


def copy_of(data, to):
    shutil.copytree(data, to, ignore=shutil.ignore_patterns("control", "lock"))


def files_below(folder):
    found = []
    for path, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(path, name), folder) for name in names]
    return sorted(name for name in found if name not in ("lock", "control"))


# ---- what is done to it ----

def spoil_bit(chance, path):
    flip(path, chance.randrange(os.path.getsize(path)), 1 << chance.randrange(8))


def flip(path, at, mask):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


def spoil_bytes(chance, path):
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(chance.randrange(size))
        file.write(chance.randbytes(chance.choice((1, 4, 16, 300))))


def spoil_zeros(chance, path):
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        at = chance.randrange(size)
        file.seek(at)
        file.write(bytes(size - at))


def cut(chance, path):
    os.truncate(path, chance.randrange(os.path.getsize(path)))


def empty(_, path):
    os.truncate(path, 0)


def lengthen(chance, path):
    with open(path, "ab") as file:
        file.write(chance.choice((bytes(100), chance.randbytes(100), b"\xff" * 4096)))


def remove(_, path):
    os.unlink(path)


def make_folder(_, path):
    os.unlink(path)
    os.mkdir(path)


WAYS = [spoil_bit, spoil_bit, spoil_bit, spoil_bytes, spoil_zeros, cut, empty, lengthen, remove,
        make_folder]


def spoil(chance, data):
    """Spoils one to three files; returns [(what, file)]."""
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        name = chance.choice(files_below(data))
        path = os.path.join(data, name)
        way = chance.choice(WAYS)
        if os.path.getsize(path) == 0 and way not in (lengthen, remove, make_folder):
            way = lengthen
        way(chance, path)
        done.append((way.__name__, name))
    return done


# ---- what must hold ----

def values_of(data, name):
    """Offsets and values of what is read of one batch stream; None where it is compressed."""
    found = {}
    for base, last, good in kafka.batches(data):
        if not good:
            raise Failure(f"{name}: a batch at {base} was given whose CRC does not fit")
        for offset in range(base, last + 1):
            found[offset] = True
    return found


def read(client, name, partition):
    """(the bytes of all batches, whether an error ended it)"""
    out, offset = b"", 0
    code, end = client.offset(name, -1, partition)
    if code != 0:
        return out, True
    code, start = client.offset(name, -2, partition)
    offset = max(start, 0)
    while code == 0 and offset < end:
        code, _, data = client.fetch(name, offset, 1 << 20, partition)
        ends = [last + 1 for _, last, _ in kafka.batches(data)]
        if code != 0 or not ends:
            return out, True
        out += data
        offset = ends[-1]
    return out, code != 0


def expectation(data):
    """What each partition holds, read from a server on a copy of the sound directory."""
    with tempfile.TemporaryDirectory(prefix="tidings-files-") as folder:
        copy = os.path.join(folder, "data")
        copy_of(data, copy)
        with Server(copy, *QUIET) as server:
            client = kafka.Client(server.port)
            return {(name, partition): read(client, name, partition)[0]
                    for name, (partitions, _) in TOPICS.items() for partition in range(partitions)}


# Compaction would change what is compared.
QUIET = SERVER_SETTINGS + ["log.cleaner.enable=false", "auto.create.topics.enable=false"]


def clean_exit(code, text, what):
    """A refusal is an exit code of its own, with words; a crash or a sanitizer's find is none."""
    if code < 0 or re.search("Sanitizer|runtime error|Assertion", text):
        raise Failure(f"{what} ended with {code}:\n{text[-3000:]}")
    if code != 0 and len(text.strip()) < 10:
        raise Failure(f"{what} ended with {code} and said nothing: {text!r}")


def try_check(data):
    done = subprocess.run([BINARY, "check", data], capture_output=True, text=True, timeout=120,
                          errors="replace", check=False)
    clean_exit(done.returncode, done.stdout + done.stderr, "check")
    return done.returncode


def begin(data):
    """The server, or None when it refused to start."""
    server = Server(data, *QUIET, start=False)
    server.spawn()
    line = server.process.stdout.readline().decode()
    if line.startswith("ready"):
        server.port = int(re.match(r"ready listen=\S+?:(\d+)", line).group(1))
        return server
    code = server.reap()
    clean_exit(code, server.log(), "serve")
    if code == 0:
        raise Failure("serve ended with 0 before it was ready")
    return None


def touched(done, name, partition):
    return any(COMMON.search(file) or file.startswith(f"topics/{name}-{partition}/")
               for _, file in done)


def compare(server, sound, done, killed):
    client = kafka.Client(server.port, timeout_s=60)
    lost = 0
    for (name, partition), whole in sound.items():
        data, failed = read(client, name, partition)
        here = f"{name}-{partition}"
        values_of(data, here)
        # A marker may be new: that of a transaction whose time-out has passed meanwhile.
        if not touched(done, name, partition) and (failed or not data.startswith(whole)):
            raise Failure(f"{here} was not touched, but gives {len(data)} of {len(whole)} bytes")
        known = {base: (last, stored) for base, last, stored in pieces(whole)}
        for base, last, stored in pieces(data):
            # One without records ends a segment; readers are led past it while more follows.
            emptied = stored[57:61] == bytes(4)
            # Nobody would end its transaction. Where a killed server's log is emptied, no checkpoint
            # says which offsets it had, and the marker may have one of them.
            new_marker = stored[22] & 0x20 and (
                base not in known or (killed and touched(done, name, partition)))
            if known.get(base) != (last, stored) and not emptied and not new_marker:
                raise Failure(f"{here} gives a batch {base}-{last} that was never written")
        lost += len(data) < len(whole)
    client.close()
    return lost


def pieces(data):
    """(base offset, last offset, bytes) of each batch, but for the leader epoch: no CRC covers it."""
    at = 0
    for base, last, _ in kafka.batches(data, check=False):
        size = int.from_bytes(data[at + 8:at + 12], "big") + 12
        yield base, last, data[at:at + 12] + bytes(4) + data[at + 16:at + size]
        at += size


def one_try(seed, sounds, expected):
    """(what was done, how it ended)"""
    chance = random.Random(seed)
    which = chance.randrange(len(sounds))
    with tempfile.TemporaryDirectory(prefix="tidings-files-") as folder:
        data = os.path.join(folder, "data")
        copy_of(sounds[which], data)
        done = spoil(chance, data)
        server = None
        try:
            found = try_check(data) if chance.random() < 0.5 else None
            server = begin(data)
            if server is None:
                return done, "refused"
            lost = compare(server, expected[which], done, sounds[which].endswith("killed"))
            code = server.end(signal.SIGTERM)
            clean_exit(code, server.log(), "serve")
            told = server.log_lines("level=(warn|error)")
            if code != 0 and not (code == 1 and told):
                raise Failure(f"the server stopped with {code}")
            # What came after the last checkpoint of a killed server nobody can know.
            if lost and not told and sounds[which].endswith("stopped"):
                raise Failure(f"{lost} partitions give less, and no line of the log says so")
            return done, ("less" if lost else "whole") + (", told by check" if found else "")
        except (Failure, OSError, kafka.Closed, AssertionError) as error:
            log = server.log()[-4000:] if server is not None else ""
            return done, f"FAIL {error!r}\n{log}"
        finally:
            if server is not None and server.alive():
                server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of one try that failed")
    parser.add_argument("--first", type=int, help="the seed of the first try; else they are random")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    ends, failed = {}, 0
    with tempfile.TemporaryDirectory(prefix="tidings-files-") as folder:
        sounds = take(folder)
        expected = [expectation(data) for data in sounds]
        until = time.monotonic() + options.seconds
        seeds = iter([options.seed] if options.seed is not None else
                     itertools.count(options.first) if options.first is not None else
                     iter(lambda: random.SystemRandom().getrandbits(32), None))

        def work():
            results = []
            for seed in seeds_until(seeds, until):
                results.append((seed, *one_try(seed, sounds, expected)))
            return results

        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for future in [pool.submit(work) for _ in range(options.jobs)]:
                for seed, done, end in future.result():
                    ends[end.split()[0].rstrip(",")] = ends.get(end.split()[0].rstrip(","), 0) + 1
                    if end.startswith("FAIL"):
                        failed += 1
                        print(f"not ok --seed {seed}: {done}\n{end}")
    print(f"{sum(ends.values())} directories: " + ", ".join(
        f"{count} {end}" for end, count in sorted(ends.items())))
    print(f"{0 if failed else 1} passed, {failed} failed")
    return 1 if failed else 0


def seeds_until(seeds, until):
    while time.monotonic() < until:
        seed = next(seeds, None)
        if seed is None:
            return
        yield seed


if __name__ == "__main__":
    sys.exit(main())
