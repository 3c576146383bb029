#!/usr/bin/python3
"""The store under faults: bus, services and database are killed at random, and its proof is asked for.

usage: store.py [--minutes N | --rounds N | --short] [--seed N] [--build DIR] [--folder DIR]
                [--bootstrap ADDRESS --brokers DIRECTORY]

A round begins with an empty store (examples/store), whose orders, faults and pauses come from its seed. Customers hand in
orders over HTTP, some twice, cancel some, and send some back; an article that one service cannot handle makes
dead letters. Meanwhile processes are killed (SIGKILL), also two at once, frozen, stopped in good order, and started again.
Then the cause is mended and what was given up is redriven, with more kills; at the end everybody is let finish, and
examples/store/check.py compares money, stock, shipments and mails with the orders. A failure prints its seed and keeps the round's folder.

With --bootstrap it runs on that cluster (tests/harness/kafka_cluster.py), one round, and to kill the bus is to kill one of the
brokers. $TIDINGS_BIN is the command, $TIDINGS_BUILD the build directory.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(REPOSITORY, "examples", "store"))
sys.path.insert(0, os.path.dirname(HERE))
import check  # noqa: E402
import stage  # noqa: E402
from harness.kafka_cluster import Foreign  # noqa: E402
from harness.server import held_port  # noqa: E402

PARTITIONS = 4
CUSTOMERS, ARTICLES = 12, 15
FIRST_LEVEL = 150           # so that some fall short
POISON = "EGG-0"
AT_ONCE = 3                 # customers at the counter
LONG = {"faults": 25, "orders": 400}
SHORT = {"faults": 5, "orders": 90}  # one of each of the first kinds


class Quiet:
    """In place of the demo's screen."""
    live = False
    bus = None

    def watch(self, rows):
        pass


class Cluster(stage.Client):
    """A cluster of somebody else, with the face of stage.Bus."""

    def __init__(self, address, directory):
        super().__init__(address)
        self.foreign = Foreign(address, directory)

    def kill(self):
        self.foreign.kill()

    def start(self):
        self.foreign.start()

    def is_up(self):
        return False  # so that nobody but its owner ends it

    def stop(self):
        return 0


def make_orders(rng, count):
    """Orders, each with what its customer does beside handing it in."""
    orders = []
    for i in range(count):
        customer = "c%d" % rng.randrange(CUSTOMERS) if rng.random() < 0.9 else ""
        lines = [("A%d" % rng.randrange(ARTICLES), "article", rng.randint(1, 12), rng.randint(1, 2000) / 100)
                 for _ in range(rng.randint(1, 4))]
        is_return = rng.random() < 0.15
        if is_return:
            lines = [(stock, text, -quantity, price) for stock, text, quantity, price in lines]
        elif rng.random() < 0.03:
            lines.append((POISON, "egg", 1, 0.25))
        order = stage.make_order("%s%d" % ("R" if is_return else "W", i), customer, *lines)
        order.comes_twice = rng.random() < 0.1
        order.will_be_cancelled = not is_return and rng.random() < 0.12
        orders.append(order)
    return orders


class Customer(threading.Thread):
    """A customer at the counter of order intake, which may be closed just then."""

    def __init__(self, play, orders, pause_s):
        super().__init__()
        self.round, self.orders, self.pause_s = play, orders, pause_s
        self.failure = None

    def ask(self, *request):
        """Asks until there is an answer: the order may be taken already, which is told in the same way."""
        until = time.monotonic() + stage.TIMEOUT_S
        while not self.round.is_over:
            try:
                status, text = self.round.store.request("POST", *request)
            except (OSError, stage.http.client.HTTPException):
                status, text = 0, "no answer"
            if status == 202:
                return
            if status not in (0, 503) or time.monotonic() > until:
                raise stage.DemoError("POST %s: %d %s" % (request[0], status, text))
            time.sleep(0.02)

    def run(self):
        try:
            for order in self.orders:
                if self.round.is_over:
                    return
                self.ask("/orders", stage.order_json(order))
                if order.comes_twice:
                    self.ask("/orders", stage.order_json(order))
                if order.will_be_cancelled:
                    self.ask("/orders/%s/cancel" % order.id)
                    order.is_cancelled = True
                time.sleep(self.pause_s)
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure


class Round:
    """One store, from its opening to its proof."""

    def __init__(self, options, folder, seed, size):
        self.options, self.folder, self.seed, self.size = options, folder, seed, size
        self.rng = random.Random(seed)
        self.counts = Counter()
        self.is_over = False
        self.store = None
        self.faults = {}       # of each service: more arguments
        self.customers = []

    # ---- the store ----

    def open(self):
        os.makedirs(self.folder)
        store = stage.Store(self.folder, Quiet(), PARTITIONS, make_orders(self.rng, self.size["orders"]))
        self.store = store
        if self.options.bootstrap:
            store.bus = Cluster(self.options.bootstrap, self.options.brokers)
        else:
            store.bus = stage.Bus(store.path("bus"), store.home)
        for topic in stage.TOPICS:
            store.bus.command("topic", "create", topic, "--partitions", str(PARTITIONS))
        has_postgres = stage.postgres_programs() and self.rng.random() < 0.5
        store.database = (stage.Postgres if has_postgres else stage.Sqlite)(store.home)
        self.mailbox, store.intake = (f"127.0.0.1:{held_port(self)}" for _ in range(2))  # also while they are down
        self.start("mailbox")
        store.arguments = {
            "email": ["--smtp", "smtp://" + self.mailbox], "shipping": ["--labels", "labels"], "analytics": [],
            "inventory": ["--db", store.database.url, "--first-level", str(FIRST_LEVEL)]}
        for name in stage.SERVICES:
            store.arguments[name] += ["--attempts", "3"]
        self.sick = self.rng.choice(("inventory", "email", "shipping", "analytics", None))
        self.names = ["order-intake", "mailbox", *stage.SERVICES]
        for name in self.names[2:]:
            self.start(name)
        if self.rng.random() < 0.5:
            self.names.append("inventory-2")
            self.start("inventory-2")
        self.start("order-intake")

    def start(self, name):
        store = self.store
        if name == "mailbox":
            self.mailbox = store.start("mailbox", "--dir", "mailbox", "--port",
                                       self.mailbox.split(":")[1]).ready(r"smtp=(\S+)")
        elif name == "order-intake":
            store.intake = store.start(name, "--bootstrap-server", store.bus.address, "--db", store.path("order-intake.db"),
                                       "--listen", store.intake).ready(r"http=(\S+)")
        else:
            service, _, number = name.partition("-")
            more = ["--poison", POISON] if service == self.sick else []
            store.start_service(service, *more, instance=number or "1")

    def label(self, name):
        return name if name in ("mailbox", "order-intake") or name[-1].isdigit() else name + "-1"

    def process(self, name):
        return self.store.processes[self.label(name)]

    # ---- the faults: what to do, and what to do a while later ----

    def kill_bus(self):
        self.store.bus.kill()
        return self.store.bus.start

    def kill_service(self):
        name = self.rng.choice(self.names)
        self.store.processes.pop(self.label(name)).kill()
        return lambda: self.start(name)

    def stop_service(self):
        name = self.rng.choice(self.names)
        process = self.store.processes.pop(self.label(name))
        status = process.stop()
        if status != 0 and not (status == -signal.SIGTERM and not process.log()):  # it had hardly begun
            raise stage.DemoError("%s did not stop cleanly: %s" % (name, status))
        return lambda: self.start(name)

    def freeze_service(self):
        process = self.process(self.rng.choice(self.names))
        process.process.send_signal(signal.SIGSTOP)
        return lambda: process.process.send_signal(signal.SIGCONT)

    def kill_database(self):
        self.store.database.kill()
        return self.store.database.bring_back

    def kill_all(self):
        """As when the machine loses its power, but for the disk."""
        ends = [self.kill_database(), self.kill_bus()]
        names = list(self.names)
        for name in names:
            self.store.processes.pop(self.label(name)).kill()
        return lambda: [end() for end in ends] + [self.start(name) for name in ["mailbox", *names] if
                                                  self.label(name) not in self.store.processes]

    def kill_bus_and_service(self):
        first, second = self.kill_bus(), self.kill_service()
        return lambda: (first(), second())

    def kill_database_and_service(self):
        first, second = self.kill_database(), self.kill_service()
        return lambda: (first(), second())

    FAULTS = {"kill_bus": 3, "kill_service": 6, "kill_database": 2, "stop_service": 2, "kill_bus_and_service": 2,
              "kill_database_and_service": 2, "freeze_service": 1, "kill_all": 1}  # and how often

    def schedule(self):
        """The kinds, in order; in a short round each of the first ones once."""
        count, kinds = self.size["faults"], list(self.FAULTS)
        return self.rng.sample(kinds[:count], count) if self.size is SHORT else \
            self.rng.choices(kinds, self.FAULTS.values(), k=count)

    def fault(self, name):
        again = getattr(self, name)()
        self.counts[name] += 1
        time.sleep(self.rng.random() ** 2 * 1.5)
        again()
        time.sleep(self.rng.random() ** 2 * 1.5)
        for process in self.store.everybody():
            process.must_run()

    # ---- the round ----

    def play(self):
        self.open()
        parts = [[] for _ in range(AT_ONCE)]
        for order in self.store.orders:  # those of one customer come one after another
            parts[hash_of(order.customer or order.id) % AT_ONCE].append(order)
        pause_s = self.size["faults"] * 1.0 / max(len(part) for part in parts)
        self.customers = [Customer(self, part, pause_s) for part in parts]
        for customer in self.customers:
            customer.start()
        if self.options.bootstrap and not self.options.from_the_start:
            self.store.wait("everybody to have begun", lambda: all(map(self.store.done, stage.SERVICES)))
        for name in self.schedule():
            self.fault(name)
        for customer in self.customers:
            customer.join()
            if customer.failure:
                raise customer.failure
        self.mend()
        self.settle()
        self.judge()

    def mend(self):
        """The cause of the dead letters is mended, and they are redriven, while bus and services are killed."""
        if not self.sick:
            return
        store, sick, self.sick = self.store, self.sick, None
        for name in [name for name in self.names if name.split("-")[0] == sick]:
            store.processes.pop(self.label(name)).kill()
            self.start(name)
        redrive = self.redrive(sick)
        self.fault("kill_bus_and_service")
        redrive.kill()
        redrive.communicate()

        # An owner that comes later gives up, untried, what had used up its attempts before.
        def all_done():
            if store.bus.open_letters(sick):
                self.redrive(sick).communicate(timeout=stage.TIMEOUT_S)
            return store.is_done()
        store.wait("what was given up to be done after all", all_done)
        letters = store.bus.ask("deadletter", "list", sick)
        self.counts["dead letters redriven"] += sum(one["states"].get("done", 0) for one in letters["groups"])

    def redrive(self, group):
        return subprocess.Popen([self.store.bus.program, "deadletter", "redrive", group, "--all", "--timeout", "20s",
                                 "--bootstrap-server", self.store.bus.address], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def settle(self):
        """Until everybody has done all, as the bus and the proof say."""
        store = self.store
        store.wait_done()
        store.wait_settled()
        for name in stage.SERVICES:
            open_lanes = store.bus.ask("lanes", "list", name)["lanes"]
            if open_lanes or store.bus.open_letters(name):
                raise stage.DemoError("%s: lanes are open: %s" % (name, open_lanes))
        bad = store.stop()
        if bad:
            raise stage.DemoError("these did not stop cleanly: %s" % bad)

    def judge(self):
        store = self.store
        wrong = [text for name in stage.SERVICES
                 for text in check.problems(name, store.home, store.orders, FIRST_LEVEL)]
        if wrong:
            raise stage.DemoError("the proof fails:\n  " + "\n  ".join(wrong))
        for name in stage.SERVICES:
            _, done, again = check.counts(name, store.home)
            self.counts["events handled"] += done
            self.counts["of them delivered again"] += again
        fates = Counter(check.fates(store.home).values())
        self.counts.update({"orders " + fate: count for fate, count in fates.items()})
        self.counts["mails"] += len(os.listdir(store.path("mailbox/new")))
        self.counts["mails that came twice"] += len(os.listdir(store.path("mailbox/duplicates")))

    def end(self, keep):
        self.is_over = True
        if self.store:
            for process in self.store.everybody():
                if process.process.poll() is None:
                    process.process.send_signal(signal.SIGCONT)
            self.store.kill_all()
        for customer in self.customers:
            if customer.is_alive():
                customer.join()
        if not keep:
            shutil.rmtree(self.folder)


def hash_of(text):
    return sum(text.encode())


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--folder", default=os.path.join(REPOSITORY, "build", "campaign-store"))
    parser.add_argument("--bootstrap")
    parser.add_argument("--brokers")
    parser.add_argument("--from-the-start", action="store_true",
                        help="on a cluster, too: do not wait until every service has handled an event")
    options = parser.parse_args()
    if options.short or options.bootstrap:
        options.rounds = 1
    if options.seed is None:
        options.seed = random.SystemRandom().getrandbits(31)
    if options.minutes is None and options.rounds is None:
        options.minutes = 1
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("seed %d" % options.seed, flush=True)
    began, counts, rounds = time.monotonic(), Counter(), 0
    until = began + (options.minutes or 1e6) * 60
    size = SHORT if options.short else LONG
    while rounds < (options.rounds or 1 << 30) and time.monotonic() < until:
        seed = options.seed + rounds
        folder = os.path.abspath(os.path.join(options.folder, str(seed)))
        shutil.rmtree(folder, ignore_errors=True)
        run, keep = Round(options, folder, seed, size), True
        began_round = time.monotonic()
        try:
            run.play()
            keep = False
        except Exception as failure:  # pylint: disable=broad-except
            if not isinstance(failure, stage.DemoError):
                traceback.print_exc()
            print("FAILED: %s\nkept in %s\nagain: make campaign-store SEED=%d MINUTES=1" % (failure, folder, seed))
            return 1
        finally:
            run.end(keep)
        rounds += 1
        counts.update(run.counts)
        print("seed %d: %.0f s, Inventory on %s: the checker is silent" % (
            seed, time.monotonic() - began_round, run.store.database.kind), flush=True)
    print("\n%d rounds in %.1f minutes" % (rounds, (time.monotonic() - began) / 60))
    for name, count in counts.items():
        print("  %8d %s" % (count, name.replace("_", " ")))
    print("verdict: no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
