#!/usr/bin/python3
"""Runs real clients against the real server while disk, clock, network and processes fail, and
judges what they saw by check.py. `make campaign MINUTES=n`, `make campaign SEED=x`; docs/faults.md.

    tests/campaign/campaign.py [--minutes N | --rounds N | --short] [--seed X] [--steps N]
                               [--only STEP,...] [--build FOLDER] [--folder FOLDER]

Each round has a seed, from which its schedule of faults comes; a failure prints it. A round begins
with an empty data directory and ends with a look at everything by fresh readers. What a failed
round leaves (data, histories, logs) stays in its folder.
"""
import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
import zlib
from collections import Counter, defaultdict

import check
import java_clients
import steps
import workload
from layer import DONE, Layer
from processes import (ERROR_LINE, Client, Failure, Progress, Server, wait_for)
from proxy import Proxy
from rot import TOPIC, Vault

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SMALL_DISK_BYTES = 512 << 20
STEPS_OF_A_ROUND = 32       # about one deck of all steps
ROUND_S = 240
SHORT_ROUNDS = 2            # a minute or so
SETTINGS = ["log.segment.bytes=131072", "log.retention.check.interval.ms=500",
            "log.retention.ms=-1", "auto.create.topics.enable=false",
            "group.min.session.timeout.ms=1000"]
# Those that the server knows: small files of its own, compacted as soon as can be.
OPTIONAL_SETTINGS = ["offsets.topic.segment.bytes=65536",
                     "transaction.state.log.segment.bytes=65536", "log.cleaner.backoff.ms=200",
                     # The new group protocol: sessions as short as those of the other groups.
                     "group.consumer.min.session.timeout.ms=1000",
                     "group.consumer.session.timeout.ms=3000",
                     "group.consumer.min.heartbeat.interval.ms=200",
                     "group.consumer.heartbeat.interval.ms=500"]
# Mode, what it is, class, libraries.
JAVA_CLIENTS = [("java", "the Java client's loop", "Loop", "pom.xml"),
                ("java-consume", "consumers of the new group protocol", "Consume", "pom-4.xml")]


class Tools:
    """Where the programs are."""

    def __init__(self, build):
        self.server = os.environ.get("TIDINGS_BIN") or os.path.join(build, "src/cli/tidings")
        self.client = os.path.join(build, "tests/campaign/campaign-client")
        self.tear = os.path.join(build, "tests/campaign/campaign-tear")
        self.faults = os.path.join(build, "tests/campaign/faults.so")
        self.witness = os.path.join(build, "tests/crash/libsync_witness.so")
        for path in vars(self).values():
            if not os.path.exists(path):
                sys.exit(f"{path} is missing: build first (make campaign does)")
        self.java = {}                  # mode -> the words that start the client

    def settings(self):
        listed = subprocess.run([self.server, "serve", "--settings"], stdout=subprocess.PIPE,
                                text=True, check=True).stdout
        known = set(re.findall(r"^([a-z.]+)=", listed, re.M))
        return SETTINGS + [setting for setting in OPTIONAL_SETTINGS
                           if setting.split("=")[0] in known]

    def prepare_java(self, folder):
        for mode, what, name, pom in JAVA_CLIENTS:
            try:
                self.java[mode] = java_clients.command(os.path.join(folder, mode), name, pom)
            except java_clients.Missing as error:
                print(f"without {what}: {error}")


def mount_small_disk(path):
    """A small file system of its own; False where that is not allowed."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "none", path],
                          stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


class Round:
    """One data directory, one workload, one schedule."""

    def __init__(self, tools, folder, seed):
        self.tools = tools
        self.folder = folder
        self.seed = seed
        self.random = random.Random(seed)
        self.counts = Counter()
        self.held_sockets = []
        self.assertions = 0
        self.forgotten = defaultdict(set)   # of a log, by its folder: offsets that a step cut off
        self.server = self.proxy = self.vault = None
        self.clients = []
        os.makedirs(os.path.join(folder, "history"))
        self.history = open(os.path.join(folder, "history", "campaign.history"), "w",
                            encoding="utf-8")
        self.layer = Layer(os.path.join(folder, "faults"), seed)
        self.progress = Progress(os.path.join(folder, "progress"))
        disk = os.path.join(folder, "disk")
        os.makedirs(disk)
        self.small_disk = self.random.random() < 0.5 and mount_small_disk(disk)
        self.data = os.path.join(disk, "data")

    def log(self, event):
        self.history.write(f"{time.monotonic_ns()} campaign {event}\n")
        self.history.flush()

    def random_seed(self, name):
        return zlib.crc32(f"{self.seed} {name}".encode())

    # ---- beginning ----

    def start(self):
        self.server = Server(self.tools, self.folder, self.data, self.tools.settings())
        self.proxy = Proxy(self.server.ports[1], self.seed)
        self.server.proxy_port = self.proxy.port
        self.server.start()
        self.vault = Vault(self)
        self.vault.create()
        plan = workload.plan_for(self.server.ports[0], self.tools.java)
        plan.create_topics(self.server.ports[0], self.log)
        for slot, (name, mode, behind_proxy, options) in enumerate(plan.clients):
            port = self.proxy.port if behind_proxy else self.server.ports[0]
            options = dict(options, bootstrap=f"127.0.0.1:{port}")
            client = Client(self, name, slot, plan.command(self.tools, mode), options)
            self.clients.append(client)
            client.start()
        self.plan = plan

    def schedule(self, count, only):
        """The steps, each with random numbers of its own."""
        known = list(steps.PLAIN)
        if self.small_disk:
            known += steps.SMALL_DISK
        if self.plan.transactional:
            known += steps.TRANSACTIONAL
        if only:
            known = [step for step in known if step.__name__ in only]
        chosen = []
        while len(chosen) < count:      # all of them, shuffled, again and again
            deck = [step for step in known for _ in range(steps.WEIGHTS.get(step, 1))]
            self.random.shuffle(deck)
            chosen += deck
        return [(step, random.Random(self.random.getrandbits(64))) for step in chosen[:count]]

    # ---- waiting ----

    def tend(self):
        self.server.check()
        for client in self.clients:
            client.tend()

    def wait_for(self, condition, what):
        return wait_for(condition, what, self.tend)

    def made(self):
        """Events so far by kind of client."""
        made = Counter()
        for client in self.clients:
            made[self.plan.kinds[client.name[0]]] += client.progress
        return made

    def wait_progress(self, wanted):
        """Until each kind of client has come so much further."""
        before = self.made()
        for kind, count in wanted.items():
            self.wait_for(lambda kind=kind, count=count:
                          self.made()[kind] >= before[kind] + count,
                          f"{count} more events {kind}")

    # ---- running ----

    def step(self, step, rng):
        self.log(f"mark {step.__name__}")
        began = time.monotonic()
        step(self, rng)
        self.wait_progress(self.plan.progress)
        self.counts[step.__name__] += 1
        print(f"  {step.__name__:18} {time.monotonic() - began:5.1f} s  "
              f"{dict(self.made())}", flush=True)

    def settle(self):
        """Ends all clients, reads everything, stops the server."""
        self.layer.heal()
        self.proxy.hold(False)
        for client in self.clients:
            client.signal(signal.SIGCONT)
        for kind in self.plan.ending:
            for client in self.clients:
                if client.name[0] == kind:
                    client.signal(signal.SIGTERM)
            for client in self.clients:
                if client.name[0] == kind:
                    client.stop()
        self.vault.read()
        for name, mode, options in self.plan.last_look:
            options = dict(options, bootstrap=f"127.0.0.1:{self.server.ports[0]}")
            client = Client(self, name, 63, self.plan.command(self.tools, mode), options)
            client.start()
            self.wait_for(lambda client=client: not client.running(), f"the end of {name}")
            if client.process.returncode != 0:
                raise Failure(f"{name} did not see everything: see {self.folder}/clients.log:\n"
                              + self.last_words())
        self.server.stop()
        self.check_data()

    def gone_in_log(self):
        """(folder, offset) of each event that a start missed below its checkpoint."""
        lines = re.findall(r'msg="events that were on disk are gone" file="[^"]*/([^/"]+)/\d+\.log" '
                           r"position=\d+ offsets=(\d+)-(\d+)", self.server.all_log())
        return {(folder, offset) for folder, first, last in lines
                for offset in range(int(first), int(last) + 1)}

    def check_data(self):
        """`tidings check` on the stopped directory finds the batches that were damaged and the
        events that a start missed, and no other damage."""
        found = subprocess.run([self.tools.server, "check", self.data], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False).stdout
        told = set()
        strange = []
        for line in re.findall(r"^damage: [a-z-]+: .*", found, re.M):
            folder = (re.findall(r" topics/([^/ :]+)", line) or [""])[0]
            offsets = {offset for first, last in re.findall(r"offsets (\d+)-(\d+)", line)
                       for offset in range(int(first), int(last) + 1)}
            told |= {(folder, offset) for offset in offsets}
            cut_off = "missing-offsets" in line and offsets and offsets <= self.forgotten[folder]
            if folder != f"{TOPIC}-0" and not cut_off:
                strange.append(line)
        missed = {(f"{TOPIC}-0", first) for first in self.vault.damaged} | self.gone_in_log()
        missed -= told
        if strange or missed:
            raise Failure(f"tidings check reports {strange}, and not offsets {sorted(missed)}:\n"
                          + found)

    def last_words(self):
        with open(os.path.join(self.folder, "clients.log"), encoding="utf-8",
                  errors="replace") as lines:
            return "".join(lines.readlines()[-5:])

    def library_asserted(self):
        """Whether a client ended by an assertion of librdkafka 2.0 about its own assignment, which
        a rebalance can break while the coordinator comes and goes."""
        with open(os.path.join(self.folder, "clients.log"), encoding="utf-8",
                  errors="replace") as lines:
            found = sum("rdkafka_assignment.c" in line and "Assertion" in line for line in lines)
        known, self.assertions = self.assertions, found
        return found > known

    def judge(self):
        self.history.close()
        history = check.check(check.files_of([os.path.join(self.folder, "history")]))
        if history.findings:
            raise Failure("the history contradicts itself:\n" + check.verdict(history))
        return check.counts(history)

    def end(self, keep):
        for client in self.clients:
            if client.running():
                client.kill()
        if self.server and self.server.process and self.server.process.poll() is None:
            self.server.process.kill()
            self.server.process.wait()
        if self.proxy:
            self.proxy.close()
        for held in self.held_sockets:
            held.close()
        if self.small_disk:
            disk = os.path.join(self.folder, "disk")
            try:
                if keep:                # but for the socket of a killed server
                    shutil.copytree(self.data, os.path.join(self.folder, "data"),
                                    ignore=shutil.ignore_patterns("control"))
            finally:
                subprocess.run(["umount", disk], check=False)
        if not keep:
            shutil.rmtree(self.folder)

    def restarts(self):
        return sum(client.incarnation for client in self.clients)


class Campaign:
    """Rounds until the time is over, and the sum of them."""

    def __init__(self, tools, folder, only):
        self.tools = tools
        self.folder = folder
        self.only = only
        self.faults = Counter()
        self.judged = Counter()
        self.log_lines = Counter()
        self.rounds = 0
        self.small_disks = 0
        self.began = time.monotonic()

    def play(self, seed, count, until):
        folder = os.path.join(self.folder, str(seed))
        shutil.rmtree(folder, ignore_errors=True)
        run = Round(self.tools, folder, seed)
        print(f"round {self.rounds + 1}: seed {seed}, data in {run.data}"
              f"{' on a small disk' if run.small_disk else ''}", flush=True)
        keep = True
        try:
            run.start()
            run.wait_progress(run.plan.progress)
            began = time.monotonic()
            for step, rng in run.schedule(count, self.only):
                run.step(step, rng)
                if time.monotonic() > min(until, began + ROUND_S):
                    break
            run.settle()
            judged = run.judge()
            print("  judged: " + ", ".join(f"{number} {name}" for name, number in judged.items()),
                  flush=True)
            self.judged.update(judged)
            keep = False
        except Exception as failure:  # pylint: disable=broad-except
            if not isinstance(failure, Failure):
                traceback.print_exc()
            print(f"FAILED: {failure}\nkept in {folder}\n"
                  f"again: make campaign SEED={seed} MINUTES=1", flush=True)
            return False
        finally:
            self.take_counts(run)
            run.end(keep)
        return True

    def take_counts(self, run):
        self.rounds += 1
        self.small_disks += run.small_disk
        self.faults.update(run.counts)
        self.faults.update(run.layer.done())
        self.faults["connections cut within a frame"] += run.proxy.cuts if run.proxy else 0
        self.faults["clients started again"] += run.restarts()
        if run.server and os.path.exists(run.server.log_path):
            for level, room, text in ERROR_LINE.findall(run.server.all_log()):
                self.log_lines[f"{level} {room}: {re.sub(r'[0-9]+', 'N', text)}"] += 1

    def report(self, good):
        minutes = (time.monotonic() - self.began) / 60
        print(f"\n{self.rounds} rounds in {minutes:.1f} minutes, "
              f"{self.small_disks} on a small disk")
        print("faults:")
        names = [step.__name__ for step in
                 steps.PLAIN + steps.SMALL_DISK + steps.TRANSACTIONAL]
        for name in names + sorted(set(self.faults) - set(names) - set(DONE)) + DONE:
            if self.faults[name]:
                print(f"  {self.faults[name]:9} {name.replace('_', ' ')}")
        print("judged:")
        for name, number in self.judged.items():
            print(f"  {number:9} {name}")
        print("warnings and errors that the server logged:")
        for line, number in self.log_lines.most_common():
            print(f"  {number:9} {line}")
        print("verdict: " + ("no anomaly" if good else "FAILED, see above"))


def options():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--steps", type=int, default=STEPS_OF_A_ROUND)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", default="", help="names of steps")
    parser.add_argument("--build", default=os.environ.get("TIDINGS_BUILD")
                        or os.path.join(REPOSITORY, "build"))
    parser.add_argument("--folder", default=os.path.join(REPOSITORY, "build", "campaign"))
    given = parser.parse_args()
    if given.short:
        given.rounds = SHORT_ROUNDS
    if given.seed is None:
        given.seed = random.SystemRandom().getrandbits(31)
    if given.minutes is None and given.rounds is None:
        given.minutes = 1
    return given


def main():
    given = options()
    folder = os.path.abspath(given.folder)
    tools = Tools(given.build)
    tools.prepare_java(os.path.join(folder, "java"))
    campaign = Campaign(tools, folder,
                        [name for name in given.only.split(",") if name])
    until = campaign.began + (given.minutes or 1e6) * 60
    rounds = given.rounds or 1 << 30
    good = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # not without cleaning up
    print(f"seed {given.seed}", flush=True)
    while good and campaign.rounds < rounds and time.monotonic() < until:
        good = campaign.play(given.seed + campaign.rounds, given.steps, until)
    campaign.report(good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
