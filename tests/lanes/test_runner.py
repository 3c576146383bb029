#!/usr/bin/python3
"""A service with key lanes against a real server: order through failures, kills and rebalances.

usage: test_runner.py LANE_SERVICE [--bootstrap ADDRESS --brokers DIRECTORY] [SCENARIO...]

With --bootstrap it runs on that cluster (harness/kafka_cluster.py), and where the bus is killed it is one of the brokers.

Each scenario publishes events whose values say what the handler does (lane_service.c), lets it be killed, taken
partitions away or joined by another member, and waits until the group has committed everything. Then a checker reads
what the handlers did, one line each, and compares with the model: per key, effects are a prefix of what was published
plus repeats behind a new owner; under one owner they follow each other without a gap; no two of a key at once.
"""
import argparse
import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

try:
    from confluent_kafka import Producer
except ImportError:
    Producer = None

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.kafka_cluster import Foreign  # noqa: E402
from harness.lanes import Log  # noqa: E402
from harness.server import BINARY, Server, wait_for  # noqa: E402

PARTITIONS = 4


class Service:
    """One process."""

    def __init__(self, world, attempts=4, more=()):
        self.world = world
        self.log_path = os.path.join(world.directory, f"service-{len(world.services)}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [world.options.program, world.server.address, world.group, world.topic, world.effects_path,
                 str(attempts), *more], stderr=log)
        world.services.append(self)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert code == 0, f"it ended with {code}: {self.log()}"

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()


class World:
    """A server, a topic, a group, and what was published."""

    SETTINGS = ("group.min.session.timeout.ms=100", "group.initial.rebalance.delay.ms=0")

    def __init__(self, options, directory, name):
        self.options, self.directory = options, directory
        self.group, self.topic = f"email-{name}", f"orders-{name}"
        self.effects_path = os.path.join(directory, "effects")
        self.services = []
        self.values = {}  # key: [value]
        self.places = {}  # (partition, offset): (key, index)
        if options.bootstrap:
            self.server = Foreign(options.bootstrap, options.brokers)
        else:
            self.server = Server(os.path.join(directory, "data"), *self.SETTINGS)
        self.run("topic", "create", self.topic, "--partitions", str(PARTITIONS))

    def run(self, *words, text=None):
        return self.server.run(*words, text=text)[0]

    def publish(self, events):
        """Pairs of key and value, in this order for each key."""
        lines = "".join(json.dumps({"key": key, "value": value, "headers": {"from": "test"}}) + "\n"
                        for key, value in events)
        self.run("publish", self.topic, "--input", "json", "--quiet", text=lines)
        for key, value in events:
            self.values.setdefault(key, []).append(value)

    def read(self, topic):
        out = self.run("subscribe", topic, "--until-end", "--json")
        return [json.loads(line) for line in out.splitlines()]

    def locate(self):
        """Where each event stands."""
        seen = {}
        for event in sorted(self.read(self.topic), key=lambda e: (e["partition"], e["offset"])):
            index = seen.setdefault(event["key"], 0)
            assert event["value"] == self.values[event["key"]][index], event
            seen[event["key"]] += 1
            self.places[event["partition"], event["offset"]] = event["key"], index
        assert {k: len(v) for k, v in self.values.items()} == seen

    def effects(self):
        if not os.path.exists(self.effects_path):
            return []
        with open(self.effects_path, encoding="utf-8") as lines:
            whole = lines.read().rpartition("\n")[0]  # the last one may be on its way
        fields = [line.split(" ", 5) for line in whole.splitlines()]
        return [(f[0], int(f[1]), int(f[2]), int(f[3]), int(f[4]), f[5]) for f in fields]

    def done(self):
        return sum(1 for effect in self.effects() if effect[0] == "end")

    def lag(self):
        out = subprocess.run([BINARY, "group", "describe", self.group, "--json", "-b", self.server.address],
                             capture_output=True, text=True, check=False)
        if out.returncode != 0:
            return None
        partitions = [p for p in json.loads(out.stdout)[0]["partitions"] if p["topic"] == self.topic]
        lags = [p["lag"] for p in partitions if p["committed_offset"] is not None]
        return sum(lags) if len(lags) == PARTITIONS else None

    def until_all_done(self, dead=()):
        """Also what was set aside: behind it the group has committed long ago."""
        closed = dict(dead)

        def is_done():
            done = {(partition, offset) for what, _, partition, offset, _, _ in self.effects() if what == "end"}
            return len(done) == sum(closed.get(key, len(values)) for key, values in self.values.items())
        wait_for(is_done, "all that can be is done")
        wait_for(lambda: self.lag() == 0, "everything is committed")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for service in self.services:
            if service.process.poll() is None:
                service.kill()
        if kind is not None:
            for service in self.services:
                sys.stderr.write(f"--- {service.log_path}\n{service.log()[-3000:]}\n")
        self.server.stop()


def check(world, dead=()):
    """The model. dead: (key, index) of events that are given up; their lanes are closed behind them."""
    world.locate()
    fences, last, applied, running = {}, {}, {}, {}
    closed = dict(dead)
    for what, fence, partition, offset, attempt, key in world.effects():
        its, index = world.places[partition, offset]
        assert its == key, (key, offset)
        if fence < fences.get(key, 0):
            continue  # an owner of before, whose effects an inbox keeps out
        if fence > fences.get(key, 0):
            fences[key], last[key] = fence, None
            running.pop(key, None)
        where = f"{key}[{index}] of {partition}@{offset}, fence {fence}"
        if what == "begin":
            assert key not in running, f"{where} begins while {running[key]} runs"
            assert index <= closed.get(key, index), f"{where} is tried though its lane is closed"
            running[key] = index
            continue
        assert running.pop(key) == index, where
        if what != "end":
            continue
        assert index <= applied.get(key, -1) + 1, f"{where} comes before {applied.get(key, -1) + 1}"
        if last[key] is not None:
            assert index == last[key] + 1, f"{where} follows {last[key]}"
        last[key] = index
        applied[key] = max(applied.get(key, -1), index)
    for key, values in world.values.items():
        wanted = closed.get(key, len(values))
        assert applied.get(key, -1) + 1 == wanted, f"{key}: {applied.get(key, -1) + 1} of {wanted} are done"


def check_dead_letter(world, key, lane):
    letters = world.read("dlq." + world.group)
    mine = [letter for letter in letters if letter["key"] == key]
    assert mine, letters
    letter = mine[-1]
    headers = letter["headers"]
    partition, offset = next(p for p, (k, i) in world.places.items()
                             if k == key and world.values[k][i] == letter["value"])
    wanted = {"from": "test", "__dlq.errors.topic": world.topic, "__dlq.errors.partition": str(partition),
              "__dlq.errors.offset": str(offset), "__dlq.errors.group": world.group,
              "__dlq.errors.message": f"offset {offset} did not work", "tidings-dead-version": "1",
              "tidings-dead-handler": "test", "tidings-dead-error-class": "test", "tidings-dead-lane": lane}
    for name, value in wanted.items():
        assert headers.get(name) == value, (name, value, headers)
    for name in ("first-failure", "last-failure", "published"):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", headers["tidings-dead-" + name]), headers
    assert re.fullmatch(r"[0-9a-f]{32}", headers["tidings-dead-fingerprint"]), headers
    assert int(headers["tidings-dead-attempts"]) == int(headers["__dlq.errors.delivery.count"]) >= 1
    return mine


def keys(count):
    return [f"k{i}" for i in range(count)]


def mixed(count, per_key):
    """Some of them fail a few times."""
    return [(key, "fail 2" if (i + j) % 11 == 5 else "ok") for j in range(per_key)
            for i, key in enumerate(keys(count))]


def raw(record):
    if record.get("value_encoding") == "base64":
        return base64.b64decode(record["value"])
    return (record["value"] or "").encode()


# ---- scenarios ----

def order_through_retries(world):
    world.publish(mixed(20, 20))
    service = Service(world)
    world.until_all_done()
    service.stop()
    check(world)
    out = json.loads(world.run("topic", "describe", "lanes." + world.group, "--json"))
    text = json.dumps(out)
    assert '"compact"' in text, text  # and not made by who looked for it


def a_poison_key(world):
    world.publish(mixed(10, 5))
    world.publish([("poison", "ok"), ("poison", "reject"), ("poison", "ok"), ("poison", "ok")])
    world.publish(mixed(10, 5))
    service = Service(world)
    world.until_all_done([("poison", 1)])
    wait_for(lambda: "given up: 1 event " in service.log(), "it is told")
    service.kill()
    world.publish([("poison", "ok")])  # its lane stays closed after a restart
    world.publish(mixed(10, 5))
    service = Service(world)
    world.until_all_done([("poison", 1)])
    service.stop()
    check(world, dead=[("poison", 1)])
    assert len(check_dead_letter(world, "poison", "closed")) == 1
    values = [raw(record) for record in world.read("lanes." + world.group)]
    assert sum(1 for value in values if b"poison" in value) >= 4, values  # three events and a note


def set_aside_and_back(world):
    """A key waits for long: what stands behind it leaves the source, and comes back in order."""
    gate = os.path.join(world.directory, "gate")
    world.publish([("slow", "gate " + gate)] + [("slow", "ok")] * 5)
    service = Service(world, attempts=1000000)

    def goes_on():
        world.publish([(key, "ok") for key in keys(4)])  # so that it is no outage
        return "set aside: " in service.log()
    wait_for(goes_on, "it is set aside")
    with open(gate, "w", encoding="utf-8"):
        pass
    world.until_all_done()
    service.stop()
    check(world)


def kills(world):
    world.publish(mixed(40, 10))
    for _ in range(3):
        service = Service(world)
        before = world.done()
        wait_for(lambda: world.done() >= before + 60, "it is at work")
        service.kill()
        world.publish(mixed(40, 3))
    service = Service(world)
    world.until_all_done()
    service.stop()
    check(world)


def a_second_member(world):
    world.publish(mixed(40, 10))
    first = Service(world)
    wait_for(lambda: world.done() >= 50, "the first is at work")
    second = Service(world)
    world.publish(mixed(40, 10))
    wait_for(lambda: world_members(world) == 2, "both are members")
    world.publish(mixed(40, 10))
    first.stop()
    world.publish(mixed(40, 5))
    world.until_all_done()
    second.stop()
    check(world)


def world_members(world):
    out = world.run("group", "describe", world.group, "--json")
    return sum(1 for member in json.loads(out)[0]["members"] if member["partitions"])


def each_broker_is_killed(world):
    """Leaders, the group's coordinator, the active controller are among them; the service goes on with those that are left."""
    for _ in range(world.server.nodes):
        before = world.done()
        world.server.kill()
        world.publish(mixed(30, 2))
        wait_for(lambda: world.done() >= before + 60, "it goes on without that broker")
        world.server.start()


def the_bus_is_killed(world):
    world.publish(mixed(30, 10) + [("poison", "reject"), ("poison", "ok")])
    service = Service(world)
    wait_for(lambda: world.done() >= 40, "it is at work")
    if world.options.bootstrap:
        each_broker_is_killed(world)
    else:
        world.server.listen = world.server.address
        world.server.kill()
        world.server.start()
    world.publish(mixed(30, 5))
    world.until_all_done([("poison", 0)])
    service.stop()
    check(world, dead=[("poison", 0)])
    check_dead_letter(world, "poison", "closed")


# ---- words ----

def lanes(world, *words, code=0):
    out = subprocess.run([BINARY, "lanes", *words, "-b", world.server.address, "--json"], capture_output=True,
                         text=True, check=False)
    assert out.returncode == code, (words, out)
    return json.loads(out.stdout) if out.stdout else None


def listed(world):
    return {(lane["key"], lane["state"]): lane for lane in lanes(world, "list", world.group)["lanes"]}


def park(world, poison="poison"):
    """One key stands behind a dead event, with two more behind it."""
    world.publish(mixed(4, 3) + [(poison, "reject"), (poison, "ok"), (poison, "ok")] + mixed(4, 3))
    service = Service(world)
    world.until_all_done([(poison, 0)])
    wait_for(lambda: (poison, "parked") in listed(world) and
             listed(world)[poison, "parked"]["events_set_aside"] == 2, "it is parked")
    return service


def check_skipped(world, key, index):
    """All of it was done but this one, in order."""
    done = []
    for what, _, partition, offset, _, its in world.effects():
        if what == "end" and its == key and world.places[partition, offset][1] not in done:
            done.append(world.places[partition, offset][1])
    assert done == [i for i in range(len(world.values[key])) if i != index], done


def a_parked_lane_is_skipped_by_a_word(world):
    service = park(world)
    shown = lanes(world, "show", world.group, "--key", "poison")[0]
    assert shown["head"] >= 0 and len(shown["events"]) == 2, shown
    said = lanes(world, "skip", world.group, "--key", "poison", "--why", "a test")
    assert [lane["outcome"] for lane in said["lanes"]] == ["carried out"], said
    wait_for(lambda: not listed(world), "nothing is remembered of it")
    wait_for(lambda: "said by" in service.log() and "(a test)" in service.log(), "it is told")
    service.stop()
    world.locate()
    check_skipped(world, "poison", 0)
    again = lanes(world, "skip", world.group, "--key", "poison", code=4)
    assert again is None, again


def a_word_is_carried_out_by_the_next_owner(world):
    """Each owner is killed while words come: what was not answered the next one does."""
    service = park(world)
    for name in ("first",):
        speaker = subprocess.Popen(
            [BINARY, "lanes", "hold", world.group, "--topic", world.topic, "--key", name, "-b", world.server.address,
             "--json"], stdout=subprocess.PIPE)
        wait_for(lambda: lanes(world, "list", world.group)["words_without_answer"] > 0 or
                 speaker.poll() is not None, "it is said")
        service.kill()
        service = Service(world)
        out = json.loads(speaker.communicate(timeout=60)[0])
        assert {lane["outcome"] for lane in out["lanes"]} == {"carried out"}, out
        assert len(out["lanes"]) == PARTITIONS, out
    service.kill()
    skip = subprocess.Popen([BINARY, "lanes", "skip", world.group, "--key", "poison", "-b", world.server.address,
                             "--timeout", "2m", "--json"], stdout=subprocess.PIPE)
    wait_for(lambda: lanes(world, "list", world.group)["words_without_answer"] == 1, "it is said to nobody")
    world.server.listen = world.server.address
    world.server.kill()
    world.server.start()
    service = Service(world)
    out = json.loads(skip.communicate(timeout=60)[0])
    # a cluster lives on without one broker, and can tell that the group has nobody now, which ends the waiting
    may_be = {"carried out", "no answer"} if world.options.bootstrap else {"carried out"}
    assert len(out["lanes"]) == 1 and out["lanes"][0]["outcome"] in may_be, out
    wait_for(lambda: lanes(world, "list", world.group)["words_without_answer"] == 0, "it is carried out")
    assert {key for key, state in listed(world) if state == "held"} == {"first"}
    world.publish([("first", "ok"), ("first", "ok")])
    wait_for(lambda: sum(lane["events_set_aside"] for lane in lanes(world, "list", world.group)["lanes"]
                         if lane["key"] == "first") == 2, "it is set aside")
    assert not [effect for effect in world.effects() if effect[5] == "first"]
    lanes(world, "release", world.group, "--where", "state = held")
    assert ("first", "held") in listed(world)  # that was the plan only
    lanes(world, "release", world.group, "--where", "state = held", "--execute")
    world.until_all_done([("poison", 2)])  # one of the three was skipped
    wait_for(lambda: not listed(world), "nothing is remembered of them")
    wait_for(lambda: lanes(world, "list", world.group)["words_without_answer"] == 0, "all are answered")
    service.stop()
    world.locate()
    check_skipped(world, "poison", 0)
    check_skipped(world, "first", -1)


def redrive(world, letter, number):
    log = Log(world.topic, PARTITIONS)
    headers = letter["headers"]
    log.redrive(int(headers["__dlq.errors.partition"]), letter["key"].encode(), int(headers["__dlq.errors.offset"]),
                (letter["partition"], letter["offset"]), number)
    world.run("publish", "lanes." + world.group, "--input", "json", "--quiet", text="".join(log.lines))


def a_dead_event_is_redriven_through_kills(world):
    """It is dead again, then done; its lane follows in order. Service and bus are killed after each word."""
    gate = os.path.join(world.directory, "gate")
    world.publish([("slow", "gate " + gate), ("slow", "ok"), ("slow", "ok")])
    service = Service(world, attempts=2)

    def letters():
        world.publish([(key, "ok") for key in keys(4)])  # so that it is no outage
        return [one for one in world.read("dlq." + world.group) if one["key"] == "slow"]
    wait_for(lambda: world.publish([("k0", "ok")]) or "given up: 1 event " in service.log(), "it is dead")
    redrive(world, letters()[-1], 1)
    service.kill()
    service = Service(world, attempts=2)
    wait_for(lambda: len(letters()) >= 2, "it is dead again")
    world.locate()
    letter = check_dead_letter(world, "slow", "closed")[-1]
    assert letter["headers"]["tidings-dead-redrive"] == "1", letter
    with open(gate, "w", encoding="utf-8"):
        pass
    redrive(world, letter, 1)  # that one is over
    redrive(world, letter, 2)
    service.kill()
    world.server.listen = world.server.address
    world.server.kill()
    world.server.start()
    service = Service(world, attempts=2)
    world.until_all_done()
    wait_for(lambda: not listed(world), "its lane is empty and open")
    wait_for(lambda: lanes(world, "list", world.group)["words_without_answer"] == 0, "all are answered")
    service.stop()
    check(world)


def transactions_of_others(world):
    """Markers and what was aborted leave holes, and an open transaction ends what can be read."""
    producer = Producer({"bootstrap.servers": world.server.address, "transactional.id": f"of-{world.topic}",
                         "partitioner": "murmur2_random"})  # as the command does
    producer.init_transactions()

    def send(events):
        producer.begin_transaction()
        for key, value in events:
            producer.produce(world.topic, key=key, value=value, headers={"from": "test"})
        producer.flush()

    def commit(events):
        send(events)
        producer.commit_transaction()
        for key, value in events:
            world.values.setdefault(key, []).append(value)
    service = Service(world)
    for _ in range(5):
        commit(mixed(20, 2))
        send([(key, "reject") for key in keys(20)])
        producer.abort_transaction()
    send([(key, "reject") for key in keys(20)])
    world.publish(mixed(20, 1))  # behind the open one: not to be read yet
    service.kill()
    service = Service(world)
    wait_for(lambda: "holds 4 partitions" in service.log(), "it has all of them")
    producer.abort_transaction()
    world.publish(mixed(40, 2))
    world.until_all_done()
    service.stop()
    check(world)


SCENARIOS = [order_through_retries, a_poison_key, set_aside_and_back, kills, a_second_member, the_bus_is_killed,
             transactions_of_others, a_parked_lane_is_skipped_by_a_word, a_word_is_carried_out_by_the_next_owner,
             a_dead_event_is_redriven_through_kills]


def arguments():
    """Those of every suite with a World."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--bootstrap")
    parser.add_argument("--brokers")
    return parser


def main():
    parser = arguments()
    parser.add_argument("scenarios", nargs="*")
    options = parser.parse_args()
    for scenario in SCENARIOS:
        name = scenario.__name__
        if options.scenarios and name not in options.scenarios:
            continue
        if scenario is transactions_of_others and Producer is None:
            print("skip transactions of others: python3-confluent-kafka is missing", flush=True)
            continue
        with (tempfile.TemporaryDirectory(prefix="tidings-lanes-") as directory,
              World(options, directory, name.replace("_", "-")) as world):
            scenario(world)
        print(name.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
