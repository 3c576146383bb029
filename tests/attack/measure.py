#!/usr/bin/python3
"""How long a quiet client waits while one attacker does its worst.

    TIDINGS_BIN=build/tidings tests/attack/measure.py [NAME ...] [--turns 3] [--seconds 4]
                                                      [--json FILE] [--assert]

Two servers run on one half of the processors, all clients on the other. Their data is in memory,
where each sync takes as long as one of a good disk (steady_disk.c): the disk of a machine that does
anything else differs by more than what is measured. --folder DIR takes a disk as it is. The quiet client
(bench-load latency) publishes small events at a steady rate with acks=all, and another connection
of its reads them; each event counts from when it was due, so one delay is charged to all that it
holds up. Turns change between four conditions:

quiet      nobody attacks
elsewhere  the attacker runs only while nobody else wants its processor (SCHED_IDLE), as if it had
           another machine: what is more than quiet is the server's own doing
attacked   the attacker runs beside the quiet client, at nice 19
beside     the same, but it attacks the other server: what sharing the machine costs by itself

What counts is the median of the turns; the least and the most of them show how well that is known.
An attack passes when the p99 elsewhere is within twice the quiet one, and the server had never more
in memory than memory.max; with --assert one that fails beyond doubt (its least turn is above twice
the most of quiet, or more was in memory) ends this with 1. All runs in a session
of its own, in front of what else runs here where that is allowed, and the attacker in one behind it
(sched(7), "The autogroup feature"): else it counts as the server does.

--real-time is for a machine that is busy with other things (root): the client and the threads of the
servers that answer have real-time priorities, and workers, the attacker and all others what is left.
The kernel takes 50 ms a second away from real-time threads when others get nothing, and the host
what it wants: what waited while the server's processor was away is left out (bench/load/canary.h).
"""
import argparse
import json
import os
import shutil
import signal
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

CONDITIONS = ("quiet", "elsewhere", "attacked", "beside")
FIGURES = (("acknowledged", "acknowledge_us"), ("read", "consume_us"))
BUILD = os.environ.get("TIDINGS_BUILD", "build")
MEMORY = "/dev/shm"
TWICE = 2
PASS, FAIL, UNSURE = "pass", "FAIL", "not told apart"
IN_FRONT, BEHIND = -20, 19  # nice of a session
REACTOR_RANK, FLUSHER_RANK, CLIENT_RANK = 3, 4, 5
OWN_SESSION = "TIDINGS_MEASURE_SESSION"


def in_own_session():
    """Runs this program again in a session of its own, and returns how it ended. The kernel shares
    processors between sessions first: what others run would count as much as all that is here."""
    child = subprocess.Popen([sys.executable, *sys.argv], start_new_session=True,
                             env=dict(os.environ, **{OWN_SESSION: "1"}))
    for what in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(what, lambda *_: child.terminate())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.terminate()


def nice_session(value):
    """How the session of this process stands to others: needs a right to come first, and a kernel that knows it."""
    try:
        with open("/proc/self/autogroup", "w", encoding="utf-8") as file:
            file.write(str(value))
    except OSError as error:
        print(f"sessions have no priorities here: {error}", file=sys.stderr)


def rank_threads(pid):
    """Real-time priorities of event loops and flusher: the client's is above them. Workers are where
    they are, as the kernel takes a processor away from real-time threads that leave nothing of it."""
    def name_of(task):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as file:
            return file.read().strip()
    ranks = {"reactor": REACTOR_RANK, name_of(pid): FLUSHER_RANK}  # it has the program's name
    for task in os.listdir(f"/proc/{pid}/task"):
        rank = ranks.get(name_of(task).split("-")[0])
        if rank:
            os.sched_setscheduler(int(task), os.SCHED_FIFO, os.sched_param(rank))


def run_beside():
    os.setsid()
    nice_session(BEHIND)
    os.nice(19)


def run_elsewhere():
    os.setsid()
    nice_session(BEHIND)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


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
        self.canary = ("--canary", before[-1].split(",")[0]) if options.real_time and before else ()
        steady = () if options.folder else (os.path.join(BUILD, "tests/attack/steady-disk.so"),)
        for name in ("watched", "other"):
            self.servers.append(Server(
                os.path.join(folder, name), f"memory.max={MEMORY_MAX}",
                "offsets.topic.num.partitions=2", "transaction.state.log.num.partitions=2",
                log_path=os.path.join(folder, name + ".log"), before=before, preload=steady))
            if options.real_time:
                rank_threads(self.servers[-1].process.pid)

    def end(self):
        for server in self.servers:
            server.kill()

    def bench_load(self, mode, topic, *more):
        first = ["chrt", "--fifo", str(CLIENT_RANK)] if self.options.real_time else []
        done = subprocess.run([*first, os.path.join(BUILD, "bench/load/bench-load"), mode,
                               "--bootstrap", self.servers[0].address, "--topic", topic, *more],
                              stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def make_topics(self):
        """One for each turn, before anything is used up."""
        for i in range(self.options.turns * len(self.options.conditions)):
            self.bench_load("create", f"probe-{i}", "--partitions", "1")

    def probe(self):
        """One turn of the quiet client: {figure: {p50, p99, ..}} in microseconds."""
        self.count += 1
        return self.bench_load("latency", f"probe-{self.count - 1}", "--event-bytes", "200",
                               "--rate", str(self.options.rate),
                               "--seconds", str(self.options.seconds), *self.canary)

    def turn(self, condition, lines):
        if condition == "quiet":
            return self.probe()
        manner = run_elsewhere if condition == "elsewhere" else run_beside
        with Attacker(self.servers[condition == "beside"].port, lines[condition == "beside"],
                      manner) as attacker:
            wait_for(attacker.has_begun, "the attack has begun")
            before = attacker.counts()
            probed = self.probe()
            did = {what: count - before[what] for what, count in attacker.counts().items()}
            return dict(probed, attack=did)

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
            for condition in self.options.conditions:
                for server in self.servers:
                    settle(server)
                turns[-1][condition] = self.turn(condition, lines)
        for server in self.servers:
            assert server.alive(), f"a server has ended: {server.log()[-3000:]}"
        return turns


def figures(turns, figure, part):
    """{condition: milliseconds of each turn}"""
    return {condition: [turn[condition][figure][part] / 1000 for turn in turns]
            for condition in turns[0]}


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def verdict(p99):
    """What is known of it, by its p99."""
    if statistics.median(p99["elsewhere"]) <= TWICE * statistics.median(p99["quiet"]):
        return PASS
    return FAIL if min(p99["elsewhere"]) > TWICE * max(p99["quiet"]) else UNSURE


def rows(name, turns, most_kib):
    """A row for each figure, and what is known of the attack at worst."""
    words = [PASS if most_kib << 10 < MEMORY_MAX else FAIL]
    for word, figure in FIGURES:
        p50, p99 = figures(turns, figure, "p50"), figures(turns, figure, "p99")
        words.append(verdict(p99))
        middle = ", ".join(f"{statistics.median(p50[condition]):.2f}" for condition in turns[0])
        ratio = statistics.median(p99["elsewhere"]) / statistics.median(p99["quiet"])
        print(f"| {name}: {word} | {middle} | "
              + " | ".join(spread(p99[condition]) for condition in turns[0])
              + f" | {ratio:.1f} | {words[-1]} | {most_kib >> 10} |", flush=True)
    return max(words, key=(PASS, UNSURE, FAIL).index)


def measure(name, options, before):
    """The turns, and the most that the server had in memory, in KiB."""
    folder = tempfile.mkdtemp(prefix="tidings-measure-", dir=options.folder or MEMORY)
    bench = None
    try:
        bench = Bench(folder, options, before)
        return bench.run(name), bench.servers[0].memory_kib("VmHWM")
    finally:
        if bench:
            bench.end()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *SCENARIOS])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of a turn; the first one warms up")
    parser.add_argument("--conditions", type=lambda text: text.split(","), default=CONDITIONS,
                        help="which ones, quiet and elsewhere among them; default: all")
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--folder", help="where data is written, instead of memory")
    parser.add_argument("--real-time", action="store_true", help="on a busy machine; as root")
    parser.add_argument("--json", metavar="FILE", help="adds all figures, a line an attack")
    parser.add_argument("--assert", action="store_true", dest="asserts",
                        help="exit 1 when one costs more than twice beyond doubt")
    options = parser.parse_args()
    if OWN_SESSION not in os.environ:
        return in_own_session()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    nice_session(IN_FRONT)
    before = part_processors()
    print(f"| attack | p50 ms: {', '.join(options.conditions)} | "
          + " | ".join(f"p99 {condition}" for condition in options.conditions)
          + f" | elsewhere / quiet | | MiB at most, of {MEMORY_MAX >> 20} |\n"
          + "|---" * (len(options.conditions) + 5) + "|", flush=True)
    found = {}
    for name in options.names or SCENARIOS:
        turns, most_kib = measure(name, options, before)
        found.setdefault(rows(name, turns, most_kib), []).append(name)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as file:
                file.write(json.dumps({"attack": name, "most_kib": most_kib, "turns": turns}) + "\n")
    print("\n".join(f"{word}: {', '.join(names)}" for word, names in found.items()))
    return 1 if options.asserts and FAIL in found else 0


if __name__ == "__main__":
    sys.exit(main())
