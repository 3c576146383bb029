#!/usr/bin/python3
"""What the layer beside the bus costs: start, memory, and publishers' rate with and without it.

    bench/layer.py start          15 starts each on an empty directory, by turns: until the ready line
    bench/layer.py memory         resident memory of an idle server, 2 s after its start
    bench/layer.py publish        `tidings bench` on two servers, by turns, and what the watch took

TIDINGS_BIN names the program [build/src/cli/tidings].
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

BINARY = os.environ.get("TIDINGS_BIN", "build/src/cli/tidings")
KINDS = {"all of it": (), "without HTTP": ("http.listeners=",), "without": ("bus.layer.enable=false",)}


class Server:
    def __init__(self, *settings):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-layer-", dir=".")
        words = [BINARY, "serve", "--data", self.folder.name + "/data", "--listen", "127.0.0.1:0"]
        words += [word for setting in settings for word in ("--set", setting)]
        began = time.perf_counter()
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.address = self.process.stdout.readline().decode().split()[1].split("=")[1]
        self.start_ms = (time.perf_counter() - began) * 1000

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1000

    def watch_cpu_s(self):
        """Of the thread that reads the log."""
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                name, fields = file.read().rsplit(")", 1)
            if name.endswith("(watch-0"):
                fields = fields.split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


def measure(what, turns):
    found = {kind: [] for kind in KINDS}
    for _ in range(turns):
        for kind, settings in KINDS.items():
            server = Server(*settings)
            found[kind].append(what(server))
            server.end()
    for kind, values in found.items():
        print(f"{kind:<14} median {statistics.median(values):.1f} (min {min(values):.1f}, "
              f"max {max(values):.1f})")


def resident(server):
    time.sleep(2)
    return server.resident_mb()


def publish():
    servers = {kind: Server(*KINDS[kind]) for kind in ("all of it", "without")}
    for turn in range(4):
        for kind in sorted(servers, reverse=turn % 2 == 1):
            said = subprocess.run([BINARY, "bench", "-b", servers[kind].address, "--events",
                                   "1000000", "--size", "200", "-p", "4", "--json"],
                                  stdout=subprocess.PIPE, check=True)
            print(f"{kind:<10} {json.dumps(json.loads(said.stdout))}")
    print(f"the watch: {servers['all of it'].watch_cpu_s():.2f} CPU seconds")
    for server in servers.values():
        server.end()


if __name__ == "__main__":
    if sys.argv[1:] == ["start"]:
        measure(lambda server: server.start_ms, 15)
    elif sys.argv[1:] == ["memory"]:
        measure(resident, 3)
    elif sys.argv[1:] == ["publish"]:
        publish()
    else:
        sys.exit(__doc__)
