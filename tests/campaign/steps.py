"""The faults. Each is a function of the round and of random numbers of its own; when it returns the
cause is gone, and the round then waits until every kind of client has made progress again.

A pause here is the fault itself (a frozen process, a silent network), never a way to wait for
something: that waits for a condition.
"""
import os
import re
import signal
import socket
import struct
import time

import rot
from hanging import Hanging
from processes import wait_for

HOUR_MS = 3600 * 1000
MOST_CLOCK_MS = 12 * HOUR_MS    # further away, producers and transactional ids may expire rightly
IN_COMPACTION = 2               # of a directory where a compacted segment takes its place
RAW_KEY, RAW_VERSION = 0, 8     # a produce request, of which only a part is sent


def kill(run, _rng):
    """SIGKILL of the server under load."""
    run.server.kill()
    run.server.start()


def kill_starting(run, rng):
    """SIGKILL under load, then again while it starts."""
    run.server.kill()
    for _ in range(rng.randint(1, 3)):
        run.server.spawn()
        time.sleep(rng.uniform(0, 0.06))
        run.server.kill()
        run.counts["kills while starting"] += 1
    run.server.start()


def lose_power(run, rng):
    """The server is down; what it did not sync may go."""
    order = rng.choice(["ordered", "unordered"])
    torn, undone = run.server.lose_unsynced(rng.getrandbits(63), order)
    run.counts["unsynced bytes torn"] += torn
    run.counts[f"unsynced names undone, {order}"] += undone


def power_failure(run, rng):
    """SIGKILL; unsynced bytes are cut off, zeroed or overwritten, unsynced names undone."""
    run.server.kill()
    lose_power(run, rng)
    run.server.start()


def power_failure_syncing(run, rng):
    """The same, while syncs of directories or of the file system do not come back: the names that
    were changed meanwhile are not on the disk, and nobody may have been told that they are."""
    waits = rng.choice([{"dir_syncs_wait": 1}, {"dir_syncs_wait": IN_COMPACTION},
                        {"whole_syncs_wait": 1}, {"dir_syncs_wait": 1, "whole_syncs_wait": 1}])
    if not run.plan.compacts and IN_COMPACTION in waits.values():
        waits = {"dir_syncs_wait": 1}
    before = run.layer["syncs_waiting"]
    for wait, which in waits.items():
        run.layer[wait] = which
    run.wait_for(lambda: run.layer["syncs_waiting"] > before, "a sync that does not come back")
    time.sleep(rng.uniform(0, 0.3))     # what others do meanwhile
    run.server.kill()
    run.layer.heal()
    lose_power(run, rng)
    run.server.start()


def clean_stop(run, _rng):
    """SIGTERM under load."""
    run.server.stop()
    run.server.start()


def freeze_server(run, rng):
    """SIGSTOP of the server, then SIGCONT."""
    run.server.process.send_signal(signal.SIGSTOP)
    time.sleep(rng.uniform(0.2, 5))
    run.server.process.send_signal(signal.SIGCONT)


def disk_full(run, rng):
    """The fault layer answers ENOSPC after some more bytes, also within a write."""
    before = run.layer["writes_without_space"]
    wanted = rng.randint(5, 60)
    run.layer["space_left"] = rng.randint(0, 100000)
    run.layer["space_is_limited"] = 1
    run.wait_for(lambda: run.layer["writes_without_space"] >= before + wanted,
                 f"{wanted} writes without space")
    run.layer.heal()


def take_all_room(file):
    piece = 64 << 20
    size = 0
    while piece >= 4096:
        try:
            os.posix_fallocate(file.fileno(), size, piece)
            size += piece
        except OSError:
            piece //= 2


def small_disk_full(run, _rng):
    """A file takes all the room of the small file system that the data is on, until the server
    refuses a write; then it goes."""
    ballast = os.path.join(run.data, "..", "ballast")
    with open(ballast, "wb") as file:
        take_all_room(file)
    run.wait_for(lambda: run.vault.is_refused(), "a refused write on the full disk")
    os.unlink(ballast)


def failing_writes(run, rng):
    """Some writes fail with EIO."""
    run.layer["write_error_ppm"] = rng.choice([20000, 100000, 500000])
    run.layer["write_errors_left"] = rng.randint(1, 25)
    run.wait_for(lambda: run.layer["write_errors_left"] == 0, "failing writes")
    run.layer.heal()


def short_writes(run, rng):
    """Writes take a part of their bytes."""
    wanted = run.layer["writes_shortened"] + rng.randint(20, 150)
    run.layer["short_write_ppm"] = rng.choice([50000, 300000, 900000])
    run.wait_for(lambda: run.layer["writes_shortened"] >= wanted, "shortened writes")
    run.layer.heal()


def failing_sync(run, rng):
    """fsync, fdatasync or syncfs fails: that log takes no more writes. The restart loses what the
    failed sync did not save."""
    before, of_logs = run.layer["syncs_failed"], run.layer["log_syncs_failed"]
    run.layer["sync_errors_left"] = rng.randint(1, 2)
    run.wait_for(lambda: run.layer["syncs_failed"] > before, "a failing sync")
    if rng.random() < 0.7 and run.layer["log_syncs_failed"] > of_logs:
        run.wait_for(lambda: re.search("sync failed|Input/output error", run.server.log()),
                     "a log line about the failed sync")
    run.layer.heal()
    run.server.kill()
    lose_power(run, rng)
    run.server.start()


def slow_disk(run, rng):
    """Each write and each sync takes longer."""
    run.layer["slow_us"] = rng.choice([500, 3000, 15000])
    run.wait_progress({"sent": 30})
    run.layer.heal()


def move_clock(run, by_ms):
    run.layer["clock_ms"] = max(-MOST_CLOCK_MS, min(MOST_CLOCK_MS, run.layer["clock_ms"] + by_ms))


def clock_forward(run, rng):
    """The wall clock jumps ahead, and stays there."""
    move_clock(run, rng.choice([1500, 60000, HOUR_MS, 6 * HOUR_MS]))


def clock_back(run, rng):
    """The wall clock jumps back, and stays there."""
    move_clock(run, -rng.choice([1500, 60000, HOUR_MS, 6 * HOUR_MS]))


def kill_client(run, rng):
    """SIGKILL of one client; another takes its place, under the same transactional id."""
    client = rng.choice(run.clients)
    client.kill()
    client.start()


def freeze_client(run, rng):
    """SIGSTOP of some clients, perhaps until their sessions have ended."""
    chosen = rng.sample(run.clients, rng.randint(1, 3))
    for client in chosen:
        client.signal(signal.SIGSTOP)
    time.sleep(rng.uniform(0.2, 6))
    for client in chosen:
        client.signal(signal.SIGCONT)


def zombie(run, rng):
    """A transactional client is frozen, another starts under its id and goes on; when the first
    wakes up it must find itself fenced."""
    client = rng.choice([client for client in run.clients if client.name[0] in "txj"])
    old = client.process
    client.signal(signal.SIGSTOP)
    before = client.progress
    client.start()
    run.wait_for(lambda: client.progress > before, f"progress of the new {client.name}")
    old.send_signal(signal.SIGCONT)
    code = wait_for(lambda: old.poll() is not None and [old.returncode],
                    f"the end of the fenced {client.name}", run.tend)[0]
    run.counts[f"zombies that ended with code {code}"] += 1


def forgotten_transaction(run, rng):
    """SIGKILL while a transaction is open, and the coordinator's records of it are gone, as from a
    disk that lost what it reported as synced. Readers must get on."""
    hanging = Hanging(run, rng)
    hanging.begin()
    run.server.kill()
    hanging.forget(rng.random() < 0.5)
    run.server.start()
    hanging.wait_settled()


def cut_connections(run, rng):
    """Connections through the proxy are reset within a frame."""
    before = run.proxy.cuts
    wanted = rng.randint(1, 10)
    run.proxy.cut(wanted)
    run.wait_for(lambda: run.proxy.cuts >= before + wanted, f"{wanted} cut connections")


def silent_network(run, rng):
    """Nothing passes the proxy for a while, but connections stay."""
    run.proxy.hold(True)
    time.sleep(rng.uniform(0.2, 6))
    run.proxy.hold(False)


def half_requests(run, rng):
    """Clients send a part of a request: half of them vanish, half stay to the end of the round."""
    for number in range(rng.randint(4, 20)):
        raw = socket.create_connection(("127.0.0.1", run.server.ports[0]), 10)
        head = struct.pack(">ihhi", rng.randint(100, 1 << 20), RAW_KEY, RAW_VERSION, number)
        raw.sendall(head + bytes(rng.randint(0, 80)))
        if number % 2:
            raw.close()
        else:
            run.held_sockets.append(raw)


def flip_log_bit(run, rng):
    """A bit of an old batch flips between two runs: its loss is reported, the rest is there."""
    run.vault.fill(20)
    if rng.random() < 0.5:
        run.server.stop()
    else:
        run.server.kill()
    run.vault.flip(rng)
    run.server.start()
    run.vault.read()


def flip_index_bits(run, rng):
    """Bits of indexes, snapshots and the checkpoint flip between two runs: nobody notices."""
    if rng.random() < 0.5:
        run.server.stop()
    else:
        run.server.kill()
    run.counts["bits flipped in disposable files"] += rot.flip_disposable(run.data, rng)
    run.server.start()


PLAIN = [kill, kill_starting, power_failure, power_failure_syncing, clean_stop, freeze_server,
         disk_full, failing_writes, short_writes, failing_sync, slow_disk, clock_forward, clock_back,
         kill_client, freeze_client, cut_connections, silent_network, half_requests, flip_log_bit,
         flip_index_bits]
SMALL_DISK = [small_disk_full]
TRANSACTIONAL = [zombie, forgotten_transaction]
WEIGHTS = {kill: 4, power_failure: 4, power_failure_syncing: 2, kill_client: 2, kill_starting: 2}
