#!/usr/bin/python3
"""What the layer beside the bus costs: start, memory, and publishers' rate with and without it.

    bench/layer.py start          15 starts each on an empty directory, by turns: until the ready line
    bench/layer.py memory         resident memory of an idle server, 2 s after its start
    bench/layer.py publish        `tidings bench` on two servers, by turns, and what the watch took
    bench/layer.py follow [N]     N CloudEvents [200000] are published to a server without the layer,
                                  which then starts with it: what each of its threads took to follow
                                  and index them all; and with the topic left out of the index

TIDINGS_BIN names the program [build/src/cli/tidings].
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

BINARY = os.environ.get("TIDINGS_BIN", "build/src/cli/tidings")
KINDS = {"all of it": (), "without HTTP": ("http.listeners=",), "without": ("bus.layer.enable=false",)}


class Server:
    def __init__(self, *settings, folder=None):
        self.folder = folder or tempfile.TemporaryDirectory(prefix="bench-layer-", dir=".")
        words = [BINARY, "serve", "--data", self.folder.name + "/data", "--listen", "127.0.0.1:0"]
        words += ["--until-eof"]  # it does not outlive what measures it
        words += [word for setting in settings for word in ("--set", setting)]
        began = time.perf_counter()
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        ready = dict(word.split("=", 1) for word in self.process.stdout.readline().decode().split()[1:])
        self.address, self.http = ready["listen"], ready.get("http")
        self.start_ms = (time.perf_counter() - began) * 1000

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1000

    def cpu_s(self, thread):
        """Of a thread."""
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/comm", encoding="utf-8") as file:
                name = file.read().strip()
            if name == thread:
                with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
                    return int(file.read().split()[0]) / 1e9
        return 0

    def all_cpu_s(self):
        """Of the process."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def layer(self):
        """What it tells of itself."""
        with urllib.request.urlopen(f"http://{self.http}/v1/layer", timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()

    def end(self):
        self.stop()
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
    print(f"the watch: {servers['all of it'].cpu_s('watch-0'):.2f} CPU seconds")
    for server in servers.values():
        server.end()


def cloud_event(number):
    """As a line for `tidings publish --input json`: an order's, seven headers and 200 bytes."""
    headers = {"ce_specversion": "1.0", "ce_id": f"evt-{number:012d}", "ce_type": f"Type{number % 8}",
               "ce_source": f"/shop/{number % 4}", "ce_correlationid": f"order-{number // 4:010d}",
               "ce_causationid": f"evt-{max(number - 1, 0):012d}", "content-type": "application/json"}
    value = json.dumps({"order": number // 4, "total": number % 1000 / 10, "at": "2026-02-01T12:00:00Z",
                        "note": "x" * 120})
    return json.dumps({"key": f"order-{number // 4}", "value": value, "headers": headers})


def follow(count):
    server = Server("bus.layer.enable=false")
    subprocess.run([BINARY, "topic", "create", "orders", "-b", server.address, "--partitions", "4"],
                   check=True, stdout=subprocess.DEVNULL)
    lines = "\n".join(cloud_event(number) for number in range(count)) + "\n"
    before = server.all_cpu_s()
    subprocess.run([BINARY, "publish", "orders", "-b", server.address, "--input", "json", "--quiet"],
                   input=lines.encode(), check=True)
    published = server.all_cpu_s() - before
    server.stop()
    log = sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(server.folder.name)
              for name in names if name.endswith(".log"))
    tell("the server, to take them in", published, count, log)
    for what, settings in (("all of it", ()), ("not indexed", ("bus.index.exclude=orders",))):
        shutil.rmtree(server.folder.name + "/data/bus", ignore_errors=True)
        server = Server("http.listeners=127.0.0.1:0", *settings, folder=server.folder)
        while server.layer()["feed"]["events"] < count or not server.layer()["index"]["level_ms"]:
            time.sleep(0.2)
        for thread in ("watch-0", "map"):
            tell(f"{what}: thread {thread}", server.cpu_s(thread), count, log)
        server.stop()
    server.folder.cleanup()


def tell(what, cpu_s, count, log):
    print(f"{what:<30} {cpu_s:.2f} CPU s, {cpu_s * 1e9 / log:.2f} a GB, "
          f"{cpu_s * 1e6 / count:.2f} a million events ({log / 1e6:.0f} MB)")


if __name__ == "__main__":
    if sys.argv[1:] == ["start"]:
        measure(lambda server: server.start_ms, 15)
    elif sys.argv[1:] == ["memory"]:
        measure(resident, 3)
    elif sys.argv[1:] == ["publish"]:
        publish()
    elif sys.argv[1:2] == ["follow"] and len(sys.argv) <= 3:
        follow(int(sys.argv[2]) if len(sys.argv) == 3 else 200000)
    else:
        sys.exit(__doc__)
