#!/usr/bin/python3
"""How long a quiet client waits while one attacker does its worst.

    TIDINGS_BIN=build/tidings tests/attack/measure.py [NAME ...] [--turns 3] [--seconds 4]
                                                      [--json FILE] [--assert]

Two servers run on one half of the processors, all clients on the other. Their data is in memory,
where each sync takes as long as one of a good disk (steady_disk.c): the disk of a machine that does
anything else differs by more than what is measured. --folder DIR takes a disk as it is. The quiet client
(bench-load latency) publishes small events at a steady rate with acks=all, and another connection
of its reads them; each event counts from when it was due, so one delay is charged to all that it
holds up. Turns change between three conditions: quiet; beside, where the same attack goes to the
other server, which shows what sharing the machine with it costs; and attacked. What counts is the
median of the turns; the least and the most of them show how well that is known.

With --assert an attack fails that costs more than twice what it costs beside, beyond doubt: its
least turn is above twice the most of the others. Of quiet that cannot be asked where two servers,
the client and the attacker share few processors: the kernel's own turns are longer than that.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from attack import MEMORY_MAX
from attacker import Attacker
from harness import kafka
from harness.server import Server, wait_for
from quiet import PAIRS, TOPIC
from scenarios import SCENARIOS

CONDITIONS = ("quiet", "beside", "attacked")
FIGURES = (("acknowledged", "acknowledge_us"), ("read", "consume_us"))
BUILD = os.environ.get("TIDINGS_BUILD", "build")
MEMORY = "/dev/shm"
TWICE = 2
MORE = "more than twice"


def part_processors():
    """Takes this process to one half; returns the words in front of the server's command for the
    other."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return ()
    half = len(cpus) // 2
    os.sched_setaffinity(0, cpus[half:])
    return ("taskset", "--cpu-list", ",".join(map(str, cpus[:half])))


def processor_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settle(server):
    """Waits until the server has done what the last attack left behind."""
    def is_idle():
        before = processor_seconds(server)
        time.sleep(0.25)
        return processor_seconds(server) - before <= 0.01
    wait_for(is_idle, "the server has nothing to do")


class Bench:
    """One server that is watched, and another one."""

    def __init__(self, folder, options, before):
        self.options, self.servers, self.count = options, [], 0
        steady = () if options.folder else (os.path.join(BUILD, "tests/attack/steady-disk.so"),)
        for name in ("watched", "other"):
            self.servers.append(Server(
                os.path.join(folder, name), f"memory.max={MEMORY_MAX}",
                "offsets.topic.num.partitions=2", "transaction.state.log.num.partitions=2",
                log_path=os.path.join(folder, name + ".log"), before=before, preload=steady))

    def end(self):
        for server in self.servers:
            server.kill()

    def bench_load(self, mode, topic, *more):
        done = subprocess.run([os.path.join(BUILD, "bench/load/bench-load"), mode, "--bootstrap",
                               self.servers[0].address, "--topic", topic, *more],
                              stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def make_topics(self):
        """One for each turn, before anything is used up."""
        for i in range(self.options.turns * len(CONDITIONS)):
            self.bench_load("create", f"probe-{i}", "--partitions", "1")

    def probe(self):
        """One turn of the quiet client: {figure: {p50, p99, ..}} in microseconds."""
        self.count += 1
        return self.bench_load("latency", f"probe-{self.count - 1}", "--event-bytes", "200",
                               "--rate", str(self.options.rate),
                               "--seconds", str(self.options.seconds))

    def turn(self, condition, lines):
        if condition == "quiet":
            return self.probe()
        with Attacker(self.servers[condition == "beside"].port, lines[condition == "beside"],
                      is_polite=True) as attacker:
            wait_for(attacker.has_begun, "the attack has begun")
            return self.probe()

    def run(self, name):
        """[{condition: what the probe said}], one for each turn."""
        self.make_topics()
        lines, clients = [], [kafka.Client(server.port, timeout_s=120) for server in self.servers]
        for client in clients:
            code, message = client.create_topic(TOPIC, PAIRS)
            assert code == 0, message
            lines.append(SCENARIOS[name](client))
            client.close()
        turns = []
        for _ in range(self.options.turns):
            turns.append({})
            for condition in CONDITIONS:
                for server in self.servers:
                    settle(server)
                turns[-1][condition] = self.turn(condition, lines)
        for server in self.servers:
            assert server.alive(), f"a server has ended: {server.log()[-3000:]}"
        return turns


def figures(turns, figure, part):
    """{condition: milliseconds of each turn}"""
    return {condition: [turn[condition][figure][part] / 1000 for turn in turns]
            for condition in CONDITIONS}


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def verdict(p99):
    """What is known of it, by its p99."""
    middle = {condition: statistics.median(p99[condition]) for condition in CONDITIONS}
    if middle["attacked"] <= TWICE * middle["quiet"]:
        return "within twice of quiet"
    if middle["attacked"] <= TWICE * middle["beside"]:
        return "within twice of beside"
    if min(p99["attacked"]) > TWICE * max(p99["quiet"] + p99["beside"]):
        return MORE
    return "not told apart"


def rows(name, turns):
    """A row for each figure, and whether the attack is within bounds."""
    holds = True
    for word, figure in FIGURES:
        p50, p99 = figures(turns, figure, "p50"), figures(turns, figure, "p99")
        words = verdict(p99)
        holds = holds and words != MORE
        middle = ", ".join(f"{statistics.median(p50[condition]):.2f}" for condition in CONDITIONS)
        print(f"| {name}: {word} | {middle} | "
              + " | ".join(spread(p99[condition]) for condition in CONDITIONS)
              + f" | {words} |", flush=True)
    return holds


def measure(name, options, before):
    folder = tempfile.mkdtemp(prefix="tidings-measure-", dir=options.folder or MEMORY)
    bench = None
    try:
        bench = Bench(folder, options, before)
        return bench.run(name)
    finally:
        if bench:
            bench.end()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *SCENARIOS])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of a turn; the first one warms up")
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--folder", help="where data is written, instead of memory")
    parser.add_argument("--json", metavar="FILE", help="adds all figures, a line an attack")
    parser.add_argument("--assert", action="store_true", dest="asserts",
                        help="exit 1 when one costs more than twice beyond doubt")
    options = parser.parse_args()
    before = part_processors()
    print("| attack | p50 ms: quiet, beside, attacked | p99 quiet | p99 beside | p99 attacked "
          "| |\n|---|---|---|---|---|---|", flush=True)
    failed = 0
    for name in options.names or SCENARIOS:
        turns = measure(name, options, before)
        failed += not rows(name, turns)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as file:
                file.write(json.dumps({"attack": name, "turns": turns}) + "\n")
    return 1 if options.asserts and failed else 0


if __name__ == "__main__":
    sys.exit(main())
