#!/usr/bin/python3
"""Dead letters redriven while service, bus and command are killed: each is done, in the order of its key.

usage: test_kills.py LANE_SERVICE [--letters N] [--kills N] [--seed N]

Every key has an event that is given up, and one behind it. When the cause is mended all are redriven as one plan, and
somebody is killed (SIGKILL) again and again at a time that the seed chooses: the service, the bus, the service and the
command, which are started again; the command with the same plan. Then the checker of tests/lanes reads what the handlers
did: no event is missing, none comes before the one ahead of it, none is done twice by one owner; and none was asked for
under two numbers.
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lanes"))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import test_runner  # noqa: E402
from harness.server import BINARY, wait_for  # noqa: E402

AT_ONCE = 1000  # events of one publish
FINE = 50  # keys that nothing is wrong with
NO_OUTAGE = "1000000"  # the service is never down, so that it gives up soon


class Redrive:
    """The command, again and again until it says that all is done."""

    def __init__(self, world, plan):
        self.world, self.plan, self.runs = world, plan, 0
        self.start()

    def start(self):
        self.runs += 1
        self.process = subprocess.Popen(
            [BINARY, "deadletter", "redrive", self.world.group, "--plan", self.plan, "--json", "-b",
             self.world.server.address], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        self.start()

    def finish(self):
        """A run that ends because the bus was away is begun again; told when it is something else."""
        while True:
            _, err = self.process.communicate(timeout=300)
            if self.process.returncode == 0:
                return
            assert self.process.returncode in (1, 3, 6), (self.process.returncode, err)
            assert self.runs < 100, err
            self.start()


def states(world):
    out = world.run("deadletter", "list", world.group, "--json")
    return {name: count for group in json.loads(out)["groups"] + json.loads(out)["failed_again"]
            for name, count in group["states"].items() if count}


def start(world):
    return test_runner.Service(world, more=[NO_OUTAGE])


def dead_letters(world):
    out = subprocess.run([BINARY, "subscribe", "dlq." + world.group, "--until-end", "--format", "%p@%o\\n", "-b",
                          world.server.address], capture_output=True, text=True, check=False)
    return out.stdout.splitlines()


def give_up(world, count, gate):
    keys = [f"k{i}" for i in range(count)]
    for value in ("closed " + gate, "ok"):
        for at in range(0, count, AT_ONCE):
            world.publish([(key, value) for key in keys[at:at + AT_ONCE]])
    service = start(world)

    def are_given_up():
        # others have to succeed meanwhile
        world.publish([(f"f{i}", "ok") for i in range(FINE)])
        return len(dead_letters(world)) == count
    wait_for(are_given_up, "all are given up", 300)
    wait_for(lambda: world.lag() == 0, "and all is committed")
    return service


def kill_one(world, service, redrive, what):
    if what == "bus":
        world.server.kill()
        world.server.start()
        return service
    service.kill()
    if what == "command":  # with words on their way that nobody answers: the next one says them again
        redrive.kill()
    return start(world)


def done(world):
    """How many events were done, by any owner."""
    return len({(p, o) for what, _, p, o, _, _ in world.effects() if what == "end"})


def check_once(world):
    """Under one owner an event is done once."""
    seen = set()
    for what, fence, partition, offset, _, key in world.effects():
        if what == "end":
            assert (fence, partition, offset) not in seen, f"{key}: {partition}@{offset} twice under fence {fence}"
            seen.add((fence, partition, offset))


def check_numbers(world, count):
    """However often the command was begun, an event has one redrive, known by its number to owner and inbox."""
    numbers = {}
    for record in world.read("dlq-state." + world.group):
        kind, *event = record["key"].split(" ")
        if kind == "redrive":
            numbers.setdefault(tuple(event[:3]), set()).add(event[3])
    assert len(numbers) == count and all(its == {"1"} for its in numbers.values()), numbers


def play(world, options):
    chance = random.Random(options.seed)
    gate = os.path.join(world.directory, "gate")
    service = give_up(world, options.letters, gate)
    world.server.listen = world.server.address
    with open(gate, "w", encoding="utf-8"):
        pass
    plan = json.loads(world.run("deadletter", "redrive", world.group, "--all", "--dry-run", "--json"))
    assert (plan["events"], plan["lanes"]) == (options.letters, options.letters), plan
    redrive, before = Redrive(world, plan["plan"]), done(world)
    for i in range(options.kills):
        what = ("service", "bus", "command")[i % 3]
        part = 2 * options.letters * (i + chance.random()) / (options.kills + 1)
        wait_for(lambda part=part: done(world) - before > part, f"it is at work before kill {i}", 300)
        service = kill_one(world, service, redrive, what)
    redrive.finish()
    world.until_all_done()
    service.stop()
    test_runner.check(world)
    check_once(world)
    check_numbers(world, options.letters)
    assert states(world) == {"done": options.letters}, states(world)


def main():
    parser = test_runner.arguments()
    parser.add_argument("--letters", type=int, default=300)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with (tempfile.TemporaryDirectory(prefix="tidings-dead-") as directory,
          test_runner.World(options, directory, "redrive-kills") as world):
        play(world, options)
    print(f"{options.letters} dead letters redriven, {options.kills} kills: the checker is silent")


main()
