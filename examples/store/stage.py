"""The processes behind the demo: the bus, the services, and how they are started, fed and stopped."""
import json
import os
import re
import subprocess
import time

import check
import screen as screens

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TIMEOUT_S = float(os.environ.get("DEMO_TIMEOUT", "120"))
LINGER_S = 1.5
SERVICES = ("email", "inventory", "shipping", "analytics")
GROUP_PARTITIONS = {"email": 3, "inventory": 1, "shipping": 2, "analytics": 3}  # times a topic's


class DemoError(Exception):
    pass


def find_build():
    """The build directory: given, or the one that the given tidings program is in."""
    program = os.path.realpath(os.environ.get("TIDINGS_BIN", ""))
    for path in (os.environ.get("TIDINGS_BUILD"), os.path.join(program, "..", "..", "..")):
        if path and os.path.isdir(os.path.join(path, "examples", "store")):
            return os.path.abspath(path)
    return os.path.join(ROOT, "build")


BUILD = find_build()


def find_tidings():
    for path in (os.environ.get("TIDINGS_BIN"), os.path.join(BUILD, "tidings"),
                 os.path.join(BUILD, "src", "cli", "tidings")):
        if path and os.access(path, os.X_OK) and os.path.isfile(path):
            return os.path.abspath(path)
    raise DemoError("no tidings program in %s: run make first" % BUILD)


def find_program(name):
    path = os.path.join(BUILD, "examples", "store", "store-" + name)
    if not os.access(path, os.X_OK):
        raise DemoError("%s is missing: run make first" % path)
    return path


def wait_for(what, condition, processes=(), meanwhile=None):
    """Until condition() is true; the result of it. Fails when a process ends or time is over."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        result = condition()
        if result:
            return result
        for process in processes:
            process.must_run()
        if time.monotonic() > deadline:
            raise DemoError("waited %g s for %s" % (TIMEOUT_S, what))
        if meanwhile:
            meanwhile()
        time.sleep(0.02)


class Process:
    """A started program; what it says goes to a file in the demo's directory."""

    def __init__(self, home, label, command):
        self.label = label
        self.may_end = False  # with status 0
        self.last = 0  # of an intake: the order behind its last one
        self.out_path = os.path.join(home, label + ".out")
        self.log_path = os.path.join(home, label + ".log")
        with open(self.out_path, "ab") as out, open(self.log_path, "ab") as log:
            self.out_start, self.log_start = out.tell(), log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=log, cwd=home)

    @staticmethod
    def text_since(path, start):
        with open(path, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            return file.read()

    def log(self):
        """What it said on standard error since it was started."""
        return self.text_since(self.log_path, self.log_start)

    def must_run(self):
        if self.process.poll() is not None and not (self.may_end and self.process.returncode == 0):
            raise DemoError("%s ended with status %s:\n%s"
                            % (self.label, self.process.returncode, self.log()[-2000:]))

    def ready(self, pattern):
        """What the pattern finds in the ready line."""
        def look():
            line = self.text_since(self.out_path, self.out_start).partition("\n")
            return line[1] and re.search(pattern, line[0])
        return wait_for("%s to be ready" % self.label, look, [self]).group(1)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """A clean stop: the exit status, 0 when all is well."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "killed: did not stop within %g s" % TIMEOUT_S


class Bus:
    """The server, and the command that asks it."""

    def __init__(self, data, home):
        self.program = find_tidings()
        self.data = data
        self.home = home
        self.server = None
        self.address = "127.0.0.1:0"
        self.start()

    def start(self):
        """Starts the server, at the address that it had before if it had one."""
        self.server = Process(self.home, "bus", [self.program, "serve", "--data", self.data,
                                                 "--listen", self.address])
        self.address = self.server.ready(r"listen=([^\s,]+)")

    def is_up(self):
        return self.server.process.poll() is None

    def command(self, *arguments):
        command = [self.program, *arguments, "--bootstrap-server", self.address]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        if done.returncode != 0:
            raise DemoError("%s: %s" % (" ".join(command), done.stderr.strip()))
        return done.stdout

    def describe(self, group):
        described = json.loads(self.command("group", "describe", group, "--json"))
        return described[0] if isinstance(described, list) else described

    def lag(self, group):
        """Events not yet written down as done; what was never read counts whole. Events come by
        outboxes: behind the last one of a partition stands the mark of its transaction, which is
        no event."""
        return sum(max(0, p["end_offset"] - 1 - (p["committed_offset"] or 0))
                   for p in self.describe(group)["partitions"])


class Store:
    """The online store: its orders, its processes and how far each service is."""

    def __init__(self, home, orders_path, screen, partitions):
        self.home = home
        self.orders_path = orders_path
        self.orders = check.read_orders(orders_path)
        self.screen = screen
        self.partitions = partitions
        self.processes = []
        self.bus = None
        self.killed = set()  # services that are down on purpose
        self.ordered = 0     # orders handed in so far
        self.rate = 0        # orders a second from the file; 0: as fast as the bus takes them

    # ---- processes ----

    def start(self, label, *arguments):
        name = re.sub(r"-\d+$", "", label)
        process = Process(self.home, label, [find_program(name), *arguments])
        self.processes.append(process)
        return process

    def start_service(self, name, instance, *arguments):
        self.killed.discard(name)
        return self.start("%s-%s" % (name, instance), "--bootstrap-server", self.bus.address,
                          "--db", name + ".db", *arguments)

    def kill_service(self, name, process):
        self.processes.remove(process)
        process.kill()
        self.killed.add(name)

    def everybody(self):
        """The processes that must be running."""
        return self.processes + ([self.bus.server] if self.bus and self.bus.is_up() else [])

    def stop(self):
        """Stops all services; those that did not stop cleanly."""
        for process in self.processes:
            if process.process.poll() is None:
                process.process.terminate()
        return [(p.label, status) for p in self.processes for status in [p.stop()] if status != 0]

    def kill_all(self):
        for process in self.everybody():
            if process.process.poll() is None:
                process.kill()

    # ---- progress ----

    def database(self, name):
        return os.path.join(self.home, name + ".db")

    def done(self, name):
        return check.count_done(self.database(name))

    def bars(self):
        bars = []
        for name in SERVICES:
            done = self.done(name)
            bar = screens.Bar(name, done, len(self.orders))
            if name in self.killed:
                bar.note, bar.colour = "killed", screens.RED
            elif not self.bus.is_up():
                bar.note, bar.colour = "waits for the bus", screens.YELLOW
            elif done < self.ordered:
                bar.note, bar.colour = "%d to do" % (self.ordered - done), screens.YELLOW
            bars.append(bar)
        return bars

    def wait(self, what, condition):
        """Waits for condition() while the screen shows how far everybody is."""
        return wait_for(what, condition, self.everybody(),
                        lambda: self.screen.watch(self.bars))

    def linger(self):
        """Leaves things as they are for a moment, where somebody watches."""
        until = time.monotonic() + LINGER_S
        while self.screen.live and time.monotonic() < until:
            self.screen.watch(self.bars)
            time.sleep(0.02)

    def wait_settled(self):
        """Until nothing is left to do, by what the bus says."""
        for name in SERVICES:
            wait_for("%s to have nothing left" % name, lambda n=name: self.bus.lag(n) == 0,
                     self.everybody())

    def wait_story(self):
        """Until everybody has handled all that follows from the orders."""
        wait_for("all that follows from the orders", lambda: not any(
            check.check_handled(name, self.home, self.orders) for name in SERVICES),
            self.everybody())

    def wait_done(self, count, names=SERVICES):
        self.wait("%s to handle %d orders" % (", ".join(names), count),
                  lambda: all(self.done(name) >= count for name in names))

    def wait_partitions(self, name, process):
        """Until a service was given all partitions of its topics."""
        count = self.partitions * GROUP_PARTITIONS[name]
        self.wait("%s to get its partitions" % name,
                  lambda: "holds %d partitions" % count in process.log())
        return count

    # ---- orders ----

    def feed(self, first, last):
        """Publishes the orders [first, last) of the file; the running intake."""
        intake = self.start("order-intake", "--bootstrap-server", self.bus.address, "--csv",
                            self.orders_path, "--skip", str(first), "--take", str(last - first),
                            "--rate", str(self.rate))
        intake.may_end = True
        intake.last = last
        return intake

    def feed_end(self, intake):
        self.wait("the intake to end", lambda: intake.process.poll() is not None)
        self.processes.remove(intake)
        self.ordered = intake.last
        if intake.process.returncode != 0:
            raise DemoError("the intake failed:\n" + intake.log()[-2000:])

    def shares(self, instances):
        """Which Inventory instance holds which partitions, as the bus says; None until all do."""
        members = self.bus.describe("inventory")["members"]
        parts = [sorted(p["partition"] for p in m["partitions"]) for m in members]
        if len(parts) != instances or not all(parts) or \
                sorted(sum(parts, [])) != list(range(self.partitions)):
            return None
        return [(m["client_id"], part) for m, part in zip(members, parts)]
