#!/usr/bin/python3
"""The story of one event among very many: how fast a whole log is indexed, and how long an answer takes that
nothing of is in memory.

    bench/story.py DIR fill [EVENTS]     a log of EVENTS CloudEvents (100000000) in DIR, in chains of five, and a group that has
                                         handled half of them; 100 million take 15 GB for the log and at most 13 GB for its index
    bench/story.py DIR index             its index is removed and made again: events a second of processor time of the one
                                         thread that reads and indexes, bytes a value
    bench/story.py DIR ask [QUESTIONS]   GET /v1/events/ID/story of random events (300): before each one nothing of log and
                                         index is in the page cache; the answer has all five events of its chain
    bench/story.py DIR remove

TIDINGS_BIN names the program [build/src/cli/tidings].
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import urllib.request

BINARY = os.environ.get("TIDINGS_BIN", "build/src/cli/tidings")
FILL = os.path.join(os.path.dirname(os.path.abspath(BINARY)), "..", "..", "bench", "story", "bench-story-fill")
PARTITIONS, CHAIN, VALUES = 16, 5, 4.8  # values of an event that are indexed: the first of five has no cause


class Server:
    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        self.process = subprocess.Popen([BINARY, "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--set",
                                         "http.listeners=127.0.0.1:0"], stdout=subprocess.PIPE,
                                        stderr=open(os.path.join(folder, "log"), "ab"))
        ready = self.process.stdout.readline().decode()
        self.address = re.search(r" listen=(\S+?)[, ]", ready).group(1)
        self.http = re.search(r" http=(\S+)", ready).group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=60) as answer:
            return json.load(answer)

    def run(self, *words):
        subprocess.run([BINARY, *words, "-b", self.address], check=True, stdout=subprocess.DEVNULL)

    def wait_indexed(self):
        while True:
            index = self.get("/v1/layer")["index"]
            if index["level_ms"] and not index["behind"]:
                return index
            time.sleep(1)

    def wait_merged(self):
        """Until no run has been merged for a while: what was left is merged at leisure."""
        runs, since = 0, time.monotonic()
        while time.monotonic() - since < 150:  # as long as the largest takes
            found = self.get("/v1/layer")["index"]["runs"]
            since = since if found == runs else time.monotonic()
            runs = found
            time.sleep(1)

    def watch_cpu_s(self):
        """Of the thread that reads the log and indexes."""
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                name, fields = file.read().rsplit(")", 1)
            if name.endswith("(watch-0"):
                return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")
        return 0


def mixed(number):
    mask = 2 ** 64 - 1
    number = (number + 0x9e3779b97f4a7c15) & mask
    number = ((number ^ number >> 30) * 0xbf58476d1ce4e5b9) & mask
    number = ((number ^ number >> 27) * 0x94d049bb133111eb) & mask
    return number ^ number >> 31


def id_of(event):
    return f"{mixed(event * 2):016x}{mixed(event * 2 + 1):016x}"


def files_of(folder):
    return [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]


def forget(paths):
    for path in paths:
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def events_in(folder):
    with open(os.path.join(folder, "events"), encoding="ascii") as file:
        return int(file.read())


def fill(folder, events=100000000):
    os.makedirs(folder)
    began_s = time.monotonic()
    with Server(folder) as server:
        server.run("topic", "create", "orders", "--partitions", str(PARTITIONS))
        subprocess.run([FILL, server.address, "orders", str(events)], check=True)
        for partition in range(0, PARTITIONS, 2):
            server.run("group", "reset", "handlers", "--topic", f"orders:{partition}", "--to", "end", "--execute")
        with open(os.path.join(folder, "events"), "w", encoding="ascii") as file:
            file.write(str(events))
        print(f"{events:,} events in {time.monotonic() - began_s:.0f} s")
        server.wait_indexed()
        server.wait_merged()
    print(f"and indexed in {time.monotonic() - began_s:.0f} s")


def index(folder):
    shutil.rmtree(os.path.join(folder, "data", "bus"))
    began_s = time.monotonic()
    with Server(folder) as server:
        state = server.wait_indexed()
        took_s, cpu_s = time.monotonic() - began_s, server.watch_cpu_s()
        server.wait_merged()
    events = events_in(folder)
    log = sum(os.path.getsize(path) for path in files_of(os.path.join(folder, "data")) if path.endswith(".log"))
    print(f"{events:,} events, {log / 1e9:.1f} GB of log: read and indexed with {cpu_s:.0f} s of processor time in {took_s:.0f} s, "
          f"{events / cpu_s:,.0f} events a second of a core; {state['disk_bytes'] / state['entries']:.2f} bytes a value, "
          f"{state['entries']:,} values, {state['runs']} runs")


def ask(folder, questions=300):
    events, took = events_in(folder), []
    rng = random.Random(7)
    with Server(folder) as server:
        server.wait_indexed()
        paths = [path for path in files_of(server.data) if path.endswith((".log", ".index", ".timeindex", ".run"))]
        for _ in range(questions):
            event = rng.randrange(events)
            first = event - event % CHAIN
            forget(paths)
            began_s = time.perf_counter()
            said = server.get(f"/v1/events/{id_of(event)}/story")
            took.append((time.perf_counter() - began_s) * 1000)
            wanted = [id_of(one) for one in range(first, min(first + CHAIN, events))]
            assert [one["id"] for one in said["events"]] == wanted, (event, said)
        state = server.get("/v1/layer")["index"]
    took.sort()
    print(f"{questions} questions, each with nothing of log and index ({state['runs']} runs) in the page cache: p50 "
          f"{took[questions // 2]:.1f} ms, p90 {took[questions * 9 // 10]:.1f}, p99 {took[questions * 99 // 100]:.1f}, "
          f"longest {took[-1]:.1f}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[2] not in ("fill", "index", "ask", "remove"):
        sys.exit(__doc__)
    if sys.argv[2] == "remove":
        shutil.rmtree(sys.argv[1])
    else:
        {"fill": fill, "index": index, "ask": ask}[sys.argv[2]](sys.argv[1], *map(int, sys.argv[3:]))
