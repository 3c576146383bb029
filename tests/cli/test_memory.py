#!/usr/bin/python3
"""`tidings serve --memory` as a test meets it: what it says, and that nothing of it stays.

    TIDINGS_BIN=build/tidings tests/cli/test_memory.py -v
    tests/cli/test_memory.py --measure [COUNT]   how fast it starts, and how much so many take at once
"""
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
from harness.kafka import Client, good_batch
from harness.server import BINARY, Server, WAIT_S, wait_for


class Memory(Server):
    """A bus for tests: `dir` is what is to be gone behind it."""

    def __init__(self, *options, **how):
        super().__init__(None, listen=None, options=["--memory", *options], **how)

    def start(self):
        super().start()
        found = re.search(r"^ready listen=\S+ data=(\S+)/data pid=\d+ storage=(memory|disk)$",
                          self.ready)
        if not found:
            raise AssertionError(f"no ready line of --memory but {self.ready!r}")
        self.dir, self.storage = found.groups()


def put_and_get(address):
    client = Client(int(address.rpartition(":")[2]))
    client.ask("metadata", 4, topics=[{"name": "t"}], allow_auto_topic_creation=True)
    client.produce("t", good_batch(b"hello"))
    got = client.fetch("t", 0)
    client.close()
    return got


class MemoryTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tidings-memory-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def gone(self, bus):
        wait_for(lambda: not os.path.exists(bus.dir), f"{bus.dir} is gone")

    def test_it_takes_and_gives_events_and_leaves_nothing(self):
        with Memory() as bus:
            self.assertEqual(bus.address.rpartition(":")[0], "127.0.0.1")
            self.assertEqual(bus.run("publish", "t", "--create", "one")[1], "")
            self.assertEqual(bus.run("subscribe", "t", "--value-only", "--max", "1")[0], "one\n")
            self.assertEqual(os.stat(bus.dir).st_mode & 0o777, 0o700)
            self.assertIn("process %d," % bus.process.pid, bus.run("status", bus.dir + "/data")[0])
        self.assertFalse(os.path.exists(bus.dir))

    def test_nothing_is_left_of_one_that_is_killed(self):
        bus = Memory()
        put_and_get(bus.address)
        bus.kill()
        self.gone(bus)

    def test_nothing_is_left_when_its_whole_group_is_killed(self):
        bus = Memory(popen={"start_new_session": True})
        os.killpg(bus.process.pid, signal.SIGKILL)
        bus.reap()
        self.gone(bus)

    def test_the_next_one_removes_what_two_kills_left_but_nothing_of_the_living(self):
        with Memory(env={"TIDINGS_MEMORY_DIR": self.folder}) as living:
            lost = os.path.join(os.path.dirname(living.dir), "Lost12")
            os.makedirs(os.path.join(lost, "data", "topics"))
            with open(os.path.join(lost, "data", "tidings.db"), "w", encoding="ascii") as file:
                file.write("of a bus that was killed together with its watcher")
            with Memory(env={"TIDINGS_MEMORY_DIR": self.folder}) as second:
                self.assertEqual(os.path.dirname(second.dir), os.path.dirname(living.dir))
                self.assertFalse(os.path.exists(lost))
                self.assertTrue(os.path.exists(living.dir))
            put_and_get(living.address)
        self.assertFalse(os.path.exists(living.dir))

    def test_who_reads_its_output_to_the_end_does_not_wait_for_the_watcher(self):
        bus = Memory()
        bus.process.send_signal(signal.SIGKILL)
        bus.reap()  # reads to the end
        self.gone(bus)

    def test_a_stop_leaves_no_process(self):
        with Memory() as bus:
            children = f"/proc/{bus.process.pid}/task/{bus.process.pid}/children"
            with open(children, encoding="ascii") as file:
                watcher = int(file.read())
        self.assertFalse(os.path.exists(f"/proc/{watcher}"))

    def test_a_port_alone_is_of_this_machine(self):
        with Memory("--listen", ":0") as bus:
            self.assertTrue(bus.address.startswith("127.0.0.1:"), bus.address)

    def test_settings_are_stronger_than_its_own(self):
        with Memory("--set", "offsets.topic.num.partitions=3", "--set", "log.level=info") as bus:
            bus.run("publish", "t", "--create", "one")
            bus.run("subscribe", "t", "--group", "g", "--max", "1")
            self.assertIn("partitions=3", "".join(bus.log_lines("topic=__consumer_offsets")))
        with Memory() as quiet:
            put_and_get(quiet.address)
        self.assertEqual(quiet.log(), "")

    def test_the_ready_file_is_there_when_clients_can_connect_and_gone_at_the_end(self):
        path = os.path.join(self.folder, "ready")
        with open(path, "w", encoding="ascii") as file:
            file.write("ready listen=127.0.0.1:1 of an earlier run\n")
        process = subprocess.Popen([BINARY, "serve", "--memory", "--ready-file", path],
                                   stdout=subprocess.DEVNULL)
        try:
            def told():
                try:
                    with open(path, encoding="ascii") as file:
                        return f"pid={process.pid} " in (text := file.read()) and text
                except FileNotFoundError:
                    return None
            line = wait_for(told, "the ready file")
            address = re.match(r"ready listen=(\S+) ", line)[1]
            self.assertTrue(put_and_get(address))
        finally:
            process.terminate()
            code = process.wait(WAIT_S)
        self.assertEqual(code, 0)
        self.assertFalse(os.path.exists(path))

    def test_it_ends_with_the_pipe_on_its_standard_input(self):
        bus = Memory("--until-eof", start=False)
        read, write = os.pipe()
        bus.popen = {"preexec_fn": lambda: os.dup2(read, 0)}
        bus.start()
        os.close(read)
        os.write(write, b"what comes is not looked at\n")
        put_and_get(bus.address)
        self.assertTrue(bus.alive())
        os.close(write)
        self.assertEqual(bus.reap(), 0)
        self.assertFalse(os.path.exists(bus.dir))

    def refused(self, *options, env=None):
        done = subprocess.run([BINARY, "serve", *options], capture_output=True, text=True,
                              check=False, timeout=WAIT_S, env=dict(os.environ, **(env or {})))
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def test_it_does_not_go_with_a_data_directory(self):
        for options in (["--data", self.folder], ["--set", "log.dirs=" + self.folder]):
            code, said = self.refused("--memory", *options)
            self.assertEqual(code, 2, said)
            self.assertIn("--memory keeps nothing", said)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_start_that_fails_leaves_nothing(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            code, said = self.refused("--memory", "--listen", f":{taken.getsockname()[1]}",
                                      env={"TIDINGS_MEMORY_DIR": self.folder})
        self.assertEqual(code, 5, said)
        wait_for(lambda: not os.listdir(self.folder), "nothing is left")
        path = os.path.join(self.folder, "none", "ready")
        code, said = self.refused("--memory", "--ready-file", path)
        self.assertEqual(code, 1, said)
        self.assertIn(path, said)

    def test_a_directory_of_somebody_else_is_not_used(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to give a directory away")
        theirs = os.path.join(self.folder, "tidings-memory-0")
        os.mkdir(theirs)
        os.chown(theirs, 65534, 65534)
        code, said = self.refused("--memory", env={"TIDINGS_MEMORY_DIR": self.folder})
        self.assertEqual(code, 1, said)
        self.assertIn("belongs to somebody else", said)
        self.assertEqual(os.listdir(theirs), [])

    def test_a_link_is_not_followed(self):
        target = os.path.join(self.folder, "target")
        os.makedirs(os.path.join(target, "kept"))
        os.symlink(target, os.path.join(self.folder, f"tidings-memory-{os.geteuid()}"))
        code, said = self.refused("--memory", env={"TIDINGS_MEMORY_DIR": self.folder})
        self.assertEqual(code, 1, said)
        self.assertEqual(os.listdir(target), ["kept"])

    def test_without_memory_it_is_on_disk_and_says_so(self):
        with open("/proc/mounts", encoding="utf-8") as mounts:
            memory = [line.split()[1] for line in mounts if line.split()[2] in ("tmpfs", "ramfs")]
        if any(self.folder.startswith(mount.rstrip("/") + "/") for mount in memory):
            self.skipTest("temporary files are in memory here")
        with Memory(env={"TIDINGS_MEMORY_DIR": self.folder}) as bus:
            self.assertEqual(bus.storage, "disk")
            self.assertIn("there is no memory file system to be used", bus.log())
            self.assertEqual(put_and_get(bus.address)[0], 0)
        self.assertEqual(os.listdir(self.folder), [])

    def test_many_start_and_end_at_once(self):
        words = [BINARY, "serve", "--memory"]
        env = dict(os.environ, TIDINGS_MEMORY_DIR=self.folder)
        for how in (signal.SIGTERM, signal.SIGKILL):
            buses = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      env=env) for _ in range(16)]
            for bus in buses:
                self.assertTrue(bus.stdout.readline().startswith(b"ready "))
            for bus in buses:
                bus.send_signal(how)
            codes = [bus.wait(WAIT_S) for bus in buses]
            self.assertEqual(codes, [0 if how == signal.SIGTERM else -how] * len(buses))
            for bus in buses:
                bus.stdout.close()
            wait_for(lambda: not os.listdir(self.folder), "nothing is left")


def first_event_ms(count):
    """From before its process is made to the first event fetched, by a client that runs already."""
    times, start = [], []
    for _ in range(count):
        began = time.perf_counter()
        read, write = os.pipe()
        pid = os.posix_spawn(BINARY, [BINARY, "serve", "--memory"], os.environ,
                             file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
        os.close(write)
        line = os.read(read, 4096).decode()
        start.append((time.perf_counter() - began) * 1000)
        found = put_and_get(re.match(r"ready listen=(\S+)", line)[1])
        times.append((time.perf_counter() - began) * 1000)
        assert found[0] == 0 and found[2], found
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(read)
    return start, times


def measure(count):
    put_and_get_warm = first_event_ms(3)
    assert put_and_get_warm
    start, times = first_event_ms(30)
    for what, all_ms in (("ready", start), ("first event fetched", times)):
        print(f"{what}: median {statistics.median(all_ms):.1f} ms, best {min(all_ms):.1f}, "
              f"worst {max(all_ms):.1f}")
    before = available_kib()
    buses = [Memory() for _ in range(count)]
    for bus in buses:
        put_and_get(bus.address)
    after = available_kib()
    sizes = sorted(bus.memory_kib() for bus in buses)
    own = sorted(rollup_kib(bus.process.pid) for bus in buses)
    print(f"{count} at once: {sizes[len(sizes) // 2] / 1024:.1f} MB resident each (worst "
          f"{sizes[-1] / 1024:.1f}), {own[len(own) // 2] / 1024:.1f} MB of it its own; the machine "
          f"has {(before - after) / 1024 / count:.1f} MB less each")
    start, times = first_event_ms(10)
    print(f"beside them: first event fetched: median {statistics.median(times):.1f} ms")
    for bus in buses:
        bus.process.terminate()
    for bus in buses:
        assert bus.reap() == 0


def available_kib():
    with open("/proc/meminfo", encoding="ascii") as lines:
        return int(re.search(r"MemAvailable:\s+(\d+)", lines.read())[1])


def rollup_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return int(re.search(r"Pss:\s+(\d+)", lines.read())[1])


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(int((sys.argv + ["200"])[sys.argv.index("--measure") + 1]))
    else:
        unittest.main()
