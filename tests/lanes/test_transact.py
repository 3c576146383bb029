#!/usr/bin/python3
"""What a service turns input into is there once, whatever is killed when.

usage: test_transact.py TRANSFORM_SERVICE [SCENARIO...] [--bootstrap ADDRESS --brokers DIRECTORY] [--kills N] [--seed N] [--names yes|no]

Members of a service publish two events for each that they are given (transform_service.c), in transactions with their
progress. Some fail a few times, some can never work, some cause what the bus refuses. Members and bus are killed
(SIGKILL) again and again, members frozen until another one has their partitions, at times that the seed chooses (which also
says whether they have names, KIP-345, unless --names does); then
what was given up is redriven, under kills as well. A reader of committed events must see, for each key, what its events
caused: each of them once, in the order of the events.

With --bootstrap it runs on that cluster (harness/kafka_cluster.py), and where the bus is killed it is one of the brokers.
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import test_runner  # noqa: E402
from harness.server import BINARY, wait_for  # noqa: E402

KEYS = 24
PARTITIONS = test_runner.PARTITIONS
OUTPUT = "turned"


class Member(test_runner.Service):
    """One process of the service; its progress is what readers of committed events see."""

    def __init__(self, world, *more):
        self.world, self.more = world, more
        self.log_path = os.path.join(world.directory, f"service-{len(world.services)}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [world.options.program, world.server.address, world.group, world.topic, world.output, "attempts=3", *more],
                stderr=log)
        world.services.append(self)

    def again(self):
        return Member(self.world, *self.more)


class World(test_runner.World):
    SETTINGS = (*test_runner.World.SETTINGS, "auto.create.topics.enable=false")

    def __init__(self, options, directory, name):
        super().__init__(options, directory, "turn-" + name)
        self.output = f"{OUTPUT}-{name}"
        self.gate = os.path.join(directory, "gate")
        self.numbers = 0
        self.run("topic", "create", self.output, "--partitions", str(PARTITIONS), "-c", "max.message.bytes=100000")

    def give(self, whats):
        """Pairs of key and what is to happen with it."""
        events = []
        for key, what in whats:
            self.numbers += 1
            events.append((key, f"{self.numbers} {what}"))
        self.publish(events)

    def seen(self):
        out = subprocess.run([BINARY, "subscribe", self.output, "--until-end", "--format", "%p@%o %k %s\\n", "-b",
                              self.server.address], capture_output=True, text=True, check=False)
        lines = [line.split(" ", 2) for line in out.stdout.splitlines() if line]
        return [(key, value) for _, key, value in lines]

    def count(self):
        return len(self.seen())

    def wanted(self):
        return {key: [f"{value.split()[0]} {part}" for value in values for part in "ab"]
                for key, values in self.values.items()}

    def open_gate(self):
        with open(self.gate, "w", encoding="utf-8"):
            pass

    def listed(self):
        out = subprocess.run([BINARY, "lanes", "list", self.group, "--json", "-b", self.server.address],
                             capture_output=True, text=True, check=False)
        return json.loads(out.stdout) if out.returncode == 0 else None

    def dead(self):
        out = subprocess.run([BINARY, "deadletter", "list", self.group, "--json", "-b", self.server.address],
                             capture_output=True, text=True, check=False)
        if out.returncode != 0:
            return {}
        found = json.loads(out.stdout)
        states = {}
        for group in found["groups"] + found["failed_again"]:
            for name, count in group["states"].items():
                states[name] = states.get(name, 0) + count
        return {name: count for name, count in states.items() if count}

    def names(self):
        """The words that give two members theirs, or none."""
        has_names = self.options.seed % 2 == 0 if self.options.names is None else self.options.names == "yes"
        return [("instance=a",), ("instance=b",)] if has_names else [(), ()]

    def members(self):
        out = subprocess.run([BINARY, "group", "describe", self.group, "--json", "-b", self.server.address],
                             capture_output=True, text=True, check=False)
        return [len(m["partitions"]) for m in json.loads(out.stdout)[0]["members"]] if out.returncode == 0 else []

    def check(self):
        """What readers of committed events see: all of it, each once, in the order of its key."""
        seen = {}
        for key, value in self.seen():
            seen.setdefault(key, []).append(value)
        for key, wanted in self.wanted().items():
            its = seen.pop(key, [])
            assert its == wanted, f"{key}: {len(its)} of {len(wanted)}: " + difference(its, wanted)
        assert not seen, seen


def difference(its, wanted):
    twice = sorted({value for value in its if its.count(value) > 1})
    missing = [value for value in wanted if value not in its]
    at = next((i for i, (a, b) in enumerate(zip(its, wanted)) if a != b), min(len(its), len(wanted)))
    return f"twice {twice[:5]}, missing {missing[:5]}, differs at {at}: {its[at:at + 4]} for {wanted[at:at + 4]}"


def mixed(world, per_key, chance):
    """Of each key so many; a few fail some times."""
    return [(f"k{i}", f"fail {chance.randrange(1, 3)}" if chance.random() < 0.05 else "ok")
            for _ in range(per_key) for i in range(KEYS)]


def trouble(world):
    """Keys with an event that can never work until the gate is there, and others behind it."""
    return [(word, f"{word} {world.gate}") for word in ("closed", "large", "nowhere")] + \
        [(word, "ok") for word in ("closed", "large", "nowhere")]


def restart_bus(world):
    world.server.listen = None if world.options.bootstrap else world.server.address
    world.server.kill()
    world.server.start()


def freeze(world, members, at):
    """Until the other ones have its partitions: then it comes back, and is none that may commit."""
    frozen = members[at]
    wait_for(lambda: sorted(world.members()) == [PARTITIONS // 2] * 2, "both have some")
    frozen.process.send_signal(signal.SIGSTOP)
    before = frozen.log().count("holds 0 partitions")
    wait_for(lambda: max(world.members(), default=0) == PARTITIONS, "the other one has all")
    frozen.process.send_signal(signal.SIGCONT)
    wait_for(lambda: frozen.log().count("holds 0 partitions") > before or frozen.process.poll() is not None,
             "it knows that it has none")
    if frozen.process.poll() is not None:
        members[at] = frozen.again()


def kill_one(world, members, what):
    if what == "bus":
        restart_bus(world)
    elif what == "both":
        members[0].kill()
        restart_bus(world)
        members[0] = members[0].again()
    elif what == "freeze":
        freeze(world, members, 1)
    else:
        at = int(what)
        members[at].kill()
        members[at] = members[at].again()


def kill_often(world, members, chance, kills, more):
    """Somebody dies each time that so much more is done."""
    ways = ["0", "1", "bus", "both", "freeze"]
    order = []
    while len(order) < kills:
        chance.shuffle(ways)
        order += ways
    for what in order[:kills]:
        before = world.count() + chance.randrange(4 * KEYS)
        world.give(more())
        wait_for(lambda before=before: world.count() > before, f"it is at work before: {what}")
        kill_one(world, members, what)


def redrive_again(world):
    """An owner that died between letter and commit has the event before it again, and a redrive of it is refused."""
    if world.dead().get("open", 0) > 0:
        subprocess.run([BINARY, "deadletter", "redrive", world.group, "--all", "-b", world.server.address],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return world.dead().get("open", 0) == 0


def redrive_all(world, members, kills, chance):
    plan = json.loads(world.run("deadletter", "redrive", world.group, "--all", "--dry-run", "--json"))["plan"]
    words = [BINARY, "deadletter", "redrive", world.group, "--plan", plan, "--json", "-b", world.server.address]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(kills):
        wait_for(lambda: sum(world.members()) == PARTITIONS, "all partitions are somebody's")
        kill_one(world, members, chance.choice(["0", "1", "bus"]))
    while process.wait(300) != 0:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: redrive_again(world), "what was refused is redriven", 120)


def until_all_done(world):
    wanted = sum(len(values) for values in world.wanted().values())
    wait_for(lambda: world.count() >= wanted, "all is there", 120)
    wait_for(lambda: world.lag() == 0, "everything is committed", 60)


def under_kills(world, *more):
    """Everything dies; then what is dead is redriven, and dies again."""
    chance = random.Random(world.options.seed)
    world.give(mixed(world, 4, chance) + trouble(world) + mixed(world, 4, chance))
    members = [Member(world, *name, *more) for name in world.names()]
    kill_often(world, members, chance, world.options.kills, lambda: mixed(world, 4, chance))

    def are_dead():
        world.give(mixed(world, 1, chance))  # so that it is no outage
        return world.dead().get("open", 0) == (2 if world.options.bootstrap else 3)
    wait_for(are_dead, "what cannot work is given up", 120)
    world.run("topic", "create", "nowhere", "--if-not-exists")
    world.open_gate()
    redrive_all(world, members, min(world.options.kills, 2), chance)
    until_all_done(world)
    # the note that a head failed, left by an owner that died when the head was committed, goes with the key's next event
    world.give([(key, "ok") for key in list(world.values)])
    until_all_done(world)
    wait_for(lambda: world.listed() is not None and not world.listed()["lanes"], "no lane is open")
    for member in members:
        member.stop()
    world.check()
    assert set(world.dead()) == {"done"}, world.dead()


def in_batches(world):
    under_kills(world, "batch=50")


def by_partition(world):
    """One lane a partition: what cannot work would hold all of it."""
    chance = random.Random(world.options.seed)
    world.give(mixed(world, 4, chance))
    members = [Member(world, "instance=a", "order=partition"), Member(world, "order=partition")]
    wait_for(lambda: world.count() > KEYS, "they are at work")
    members[0].kill()
    members[0] = members[0].again()
    until_all_done(world)
    for member in members:
        member.stop()
    world.check()


SCENARIOS = [under_kills, in_batches, by_partition]
SHORT = {"under_kills"}  # of them, when nobody says which


def main():
    parser = test_runner.arguments()
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--names", choices=["yes", "no"])
    parser.add_argument("scenarios", nargs="*")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    for scenario in SCENARIOS:
        name = scenario.__name__
        if name not in (options.scenarios or SHORT):
            continue
        with (tempfile.TemporaryDirectory(prefix="tidings-turn-") as directory,
              World(options, directory, name.replace("_", "-")) as world):
            scenario(world)
        print(name.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
