"""The processes behind the demo: the bus, the services, their databases, and how they are started, fed and stopped."""
import glob
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import weakref

import check
import screen as screens

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TIMEOUT_S = float(os.environ.get("DEMO_TIMEOUT", "120"))
LINGER_S = 4.0
POLL_S = 0.05
NOT_FOUND = 4  # exit code of the command
LOOK_S = 1.0  # how often the bus is asked how far behind the services' commits are
SERVICES = ("email", "inventory", "shipping", "analytics")
TOPICS = ("orders", "stock", "shipments")
GROUP_PARTITIONS = {"email": 3, "inventory": 1, "shipping": 2, "analytics": 3}  # times a topic's
FOLLOWS = {"email": 1, "inventory": 0, "shipping": 1, "analytics": 2}  # mostly, from an order placed


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
        time.sleep(POLL_S)


class Process:
    """A started program; what it says goes to files in the demo's directory."""

    def __init__(self, home, label, command, **options):
        self.label = label
        self.may_end = False  # with status 0
        self.out_path = os.path.join(home, label + ".out")
        self.log_path = os.path.join(home, label + ".log")
        with open(self.out_path, "ab") as out, open(self.log_path, "ab") as log:
            self.out_start, self.log_start = out.tell(), log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=log, **dict({"cwd": home}, **options))

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


class Client:
    """The command, for whatever bus is at an address."""

    def __init__(self, address):
        self.program = find_tidings()
        self.address = address

    def run(self, *arguments):
        command = [self.program, *arguments, "--bootstrap-server", self.address]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)

    def command(self, *arguments):
        done = self.run(*arguments)
        if done.returncode != 0:
            raise DemoError("tidings %s: %s" % (" ".join(arguments), done.stderr.strip()))
        return done.stdout

    def ask(self, *arguments):
        return json.loads(self.command(*arguments, "--json"))

    def behind(self, *groups):
        """How many events each group has not yet committed. By the events and not by their offsets, which the
        marks of transactions have, too: a partition that ends with one never has its last offset committed."""
        told = self.command("subscribe", *TOPICS, "--until-end", "--format", "%t %p %o\\n")
        events = [line.split() for line in told.split("\n") if line]
        behind = {}
        for group in self.ask("group", "describe", *groups):
            commits = {(p["topic"], str(p["partition"])): p["committed_offset"] or 0 for p in group["partitions"]}
            behind[group["group"]] = sum(int(offset) >= commits.get((topic, partition), 1 << 63)
                                         for topic, partition, offset in events)
        return behind

    def open_letters(self, group):
        """Dead letters that nobody has treated."""
        done = self.run("deadletter", "list", group, "--json")
        if done.returncode == NOT_FOUND:  # the service has not begun yet
            return 0
        if done.returncode != 0:
            raise DemoError("tidings deadletter list %s: %s" % (group, done.stderr.strip()))
        listed = json.loads(done.stdout)
        return sum(one["states"].get(state, 0) for one in listed["groups"] + listed["failed_again"]
                   for state in ("open", "failed"))


def held_port(owner):
    """A free port that nobody else gets while what listens there is killed, as long as there is the owner."""
    held = socket.socket()
    weakref.finalize(owner, held.close)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held.getsockname()[1]


class Bus(Client):
    """The server of the demo, and the command that asks it."""

    def __init__(self, data, home):
        super().__init__("127.0.0.1:%d" % held_port(self))
        self.data, self.home = data, home
        self.server = None
        self.start()

    def start(self):
        """Starts the server, at the same address each time."""
        self.server = Process(self.home, "bus", [self.program, "serve", "--data", self.data,
                                                 "--listen", self.address])
        self.server.ready(r"listen=([^\s,]+)")

    def kill(self):
        self.server.kill()

    def is_up(self):
        return self.server.process.poll() is None

    def stop(self):
        return self.server.stop()


class Sqlite:
    """Inventory's database as a file. Its outage: somebody holds the file's lock and does not let go."""

    kind = "SQLite"
    is_missed_soon = False  # it is waited for, for some seconds
    outage = "a program that holds the lock of Inventory's database and does not let go"

    def __init__(self, home):
        self.home = home
        self.url = os.path.join(home, "inventory.db")
        self.lock = None

    def take_away(self):
        self.lock = sqlite3.connect(self.url, isolation_level=None,
                                    timeout=TIMEOUT_S)
        self.lock.execute("BEGIN IMMEDIATE")

    kill = take_away

    def bring_back(self):
        if self.lock:
            self.lock.close()
            self.lock = None

    stop = bring_back


def is_running(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def postgres_programs():
    """Where Debian puts PostgreSQL's server; None when it is not there, or the store was built without."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                   key=lambda path: int(path.split("/")[4]))
    with open(find_program("inventory"), "rb") as program:
        is_built_in = b"built without libpq" not in program.read()
    return os.path.dirname(found[-1]) if found and is_built_in else None


class Postgres:
    """Inventory's database as a PostgreSQL server of the demo's own. Its outage: it is stopped."""

    kind = "PostgreSQL"
    is_missed_soon = True
    outage = "PostgreSQL, where Inventory keeps the stock, is stopped"

    def __init__(self, home):
        self.home = home
        self.programs = postgres_programs()
        self.folder = tempfile.mkdtemp(prefix="tidings-postgres-")  # its user may not see home
        self.options = {"cwd": self.folder}
        self.server = None
        if os.geteuid() == 0:  # it does not run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.options.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        done = subprocess.run([os.path.join(self.programs, "initdb"), "-D", self.data(), "-U", "store", "-A",
                               "trust", "-E", "UTF8", "--no-sync", "--no-locale"], capture_output=True,
                              text=True, check=False, **self.options)
        if done.returncode != 0:
            raise DemoError("initdb: " + done.stderr.strip())
        self.port = held_port(self)
        self.url = "postgresql://store@127.0.0.1:%d/postgres" % self.port
        with open(os.path.join(home, "inventory.url"), "w", encoding="utf-8") as file:
            file.write(self.url)  # for check.py
        self.bring_back()

    def data(self):
        return os.path.join(self.folder, "data")

    def bring_back(self):
        if self.server and self.server.process.poll() is None:
            return
        self.server = Process(self.home, "postgres", [
            os.path.join(self.programs, "postgres"), "-D", self.data(), "-p", str(self.port), "-c",
            "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c",
            "shared_buffers=16MB"], **self.options)
        wait_for("PostgreSQL to be ready", lambda: "ready to accept" in self.server.log(),
                 [self.server])

    def take_away(self):
        """A fast stop: connections are ended."""
        self.server.process.send_signal(signal.SIGINT)
        self.server.process.wait(TIMEOUT_S)

    def kill(self):
        """All of its processes at once, as when the machine's memory is out."""
        pid = self.server.process.pid
        self.server.process.send_signal(signal.SIGSTOP)  # so that it makes no new ones meanwhile
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        self.server.process.kill()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.process.wait()
        wait_for("PostgreSQL's processes to be gone", lambda: not any(map(is_running, children)))

    def stop(self):
        if self.server and self.server.process.poll() is None:
            self.take_away()
        shutil.rmtree(self.folder, ignore_errors=True)


class Lags(threading.Thread):
    """Asks the bus now and then how far behind each service's committed offsets are."""

    def __init__(self, bus):
        super().__init__(daemon=True)
        self.bus = bus
        self.behind = {}
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.wait(LOOK_S):
            try:
                self.behind = self.bus.behind(*SERVICES) if self.bus.is_up() else {}
            except DemoError:
                self.behind = {}  # it was killed meanwhile


class Store:
    """The online store: its orders, its processes and how far each service is."""

    def __init__(self, home, screen, partitions, orders, orders_path=None):
        self.home = home
        self.orders = orders
        self.orders_path = orders_path
        self.screen = screen
        self.partitions = partitions
        self.processes = {}  # by label
        self.bus = self.database = self.lags = self.intake = None
        self.arguments = {}  # of each service, always
        self.notes = {}      # of each service: (text, colour) while something is done to it
        self.down = set()    # services that are killed
        self.seen = {}       # what a database said when it was there last
        self.rate = 0        # orders a second from the file; 0: as fast as the bus takes them

    # ---- processes ----

    def start(self, label, *arguments):
        name = re.sub(r"-\d+$", "", label)
        process = Process(self.home, label, [find_program(name), *arguments])
        self.processes[label] = process
        return process

    def start_service(self, name, *more, instance="1"):
        """Further arguments are for this start only."""
        named = ["--instance", instance] if instance == "1" else []  # others leave at once
        self.down.discard(name)
        return self.start("%s-%s" % (name, instance), "--bootstrap-server", self.bus.address,
                          *self.arguments[name], *named, *more)

    def stop_service(self, name, instance="1"):
        process = self.processes.pop("%s-%s" % (name, instance))
        status = process.stop()
        if status != 0:
            raise DemoError("%s did not stop cleanly: %s\n%s"
                            % (process.label, status, process.log()[-2000:]))

    def restart_service(self, name, *more):
        self.stop_service(name)
        return self.start_service(name, *more)

    def kill_service(self, name):
        self.processes.pop(name + "-1").kill()
        self.down.add(name)

    def everybody(self):
        """The processes that must be running."""
        return list(self.processes.values())

    def stop(self):
        """Stops all services; those that did not stop cleanly."""
        if self.lags:
            self.lags.is_over.set()
            self.lags.join()
        processes = self.everybody()
        for process in processes:
            if process.process.poll() is None:
                process.process.terminate()
        self.processes = {}
        return [(p.label, status) for p in processes for status in [p.stop()] if status != 0]

    def kill_all(self):
        for process in self.everybody():
            if process.process.poll() is None:
                process.kill()
        if self.database:
            self.database.stop()
        if self.bus and self.bus.is_up():
            self.bus.kill()

    # ---- progress ----

    def path(self, name):
        return os.path.join(self.home, name)

    def ask_database(self, name, sql):
        """The rows; those of the last time while the database is away, [] before there is one."""
        try:
            self.seen[name, sql] = check.query(check.database(self.home, name), sql)
        except sqlite3.OperationalError:
            pass
        return self.seen.get((name, sql), [])

    def count(self, name, sql):
        rows = self.ask_database(name, sql)
        return int(rows[0][0] or 0) if rows else 0

    def done(self, name):
        """Events that a service has handled."""
        return self.count(name, "SELECT count(*) AS done FROM processed_events")

    def taken(self):
        """Events that order intake has taken or will publish: orders, and cancellations of them."""
        return self.count("order-intake", "SELECT count(*) + sum(is_cancelled) AS taken FROM orders")

    def there(self):
        """Events so far that each service hears."""
        taken = self.taken()
        fates = dict(self.ask_database("inventory", "SELECT fate, count(*) AS orders FROM decisions GROUP BY fate"))
        kinds = {}
        for fate, count in fates.items():
            for kind in check.STOCK_EVENTS[fate]:
                kinds[kind] = kinds.get(kind, 0) + count
        kinds["ShipmentPrepared"] = self.count(
            "shipping", "SELECT count(*) AS prepared FROM deliveries WHERE is_prepared = 1")
        if "shipping" in self.down:  # nobody publishes these
            kinds["ShipmentPrepared"] -= self.count("shipping", "SELECT count(*) AS waiting FROM tidings_outbox")
        return {name: taken + sum(kinds.get(kind, 0) for kind in check.HEARD[name]) for name in SERVICES}

    def rows(self):
        """How far everybody is, for the screen."""
        is_up = self.bus.is_up()
        self.screen.bus = ("up at " + self.bus.address, screens.GREEN) if is_up else ("killed", screens.RED)
        there, rows = self.there(), []
        placed = sum(not order.is_return for order in self.orders)
        for name in SERVICES:
            total = max(there[name], len(self.orders) + FOLLOWS[name] * placed)
            row = screens.Row(name, self.done(name), there[name], total,
                              self.lags.behind.get(name) if self.lags and is_up else None)
            if name in self.notes:
                row.note, row.colour = self.notes[name]
            elif not is_up:
                row.note, row.colour = "waits for the bus", screens.YELLOW
            rows.append(row)
        return rows

    def wait(self, what, condition):
        """Waits for condition() while the screen shows how far everybody is."""
        return wait_for(what, condition, self.everybody(),
                        lambda: self.screen.watch(self.rows))

    def linger(self, part=1.0):
        """Leaves things as they are for a moment, where somebody watches."""
        until = time.monotonic() + LINGER_S * part
        while self.screen.live and self.rate and time.monotonic() < until:
            self.screen.watch(self.rows)
            time.sleep(0.02)

    def wait_settled(self):
        """Until nothing is left to do, by what the bus says."""
        self.wait("all to be committed", lambda: not any(self.bus.behind(*SERVICES).values()))

    def is_done(self, names=SERVICES, but=0):
        """Have they handled all that is there, all but so many events?"""
        done = {name: self.done(name) for name in names}
        there = self.there()  # looked at behind the other: so nothing has come meanwhile
        return all(done[name] >= there[name] - but for name in names)

    def wait_done(self, names=SERVICES, but=0):
        self.wait("%s to handle all that is there" % ", ".join(names), lambda: self.is_done(names, but))

    def wait_partitions(self, name):
        """Until a service was given all partitions of its topics."""
        process = self.processes[name + "-1"]
        count = self.partitions * GROUP_PARTITIONS[name]
        self.wait("%s to get its partitions" % name,
                  lambda: "holds %d partitions" % count in process.log())
        return count

    # ---- orders ----

    def feed(self, first, last, rate):
        """Publishes the orders [first, last) of the file, so many a second (0: as fast as it goes); the running intake."""
        intake = self.start("order-intake", "--bootstrap-server", self.bus.address, "--db",
                            self.path("order-intake.db"), "--csv", self.orders_path, "--skip", str(first), "--take", str(last - first),
                            "--rate", str(rate))
        intake.may_end = True
        return intake

    def feed_end(self, intake):
        self.wait("the intake to end", lambda: intake.process.poll() is not None)
        del self.processes["order-intake"]
        if intake.process.returncode != 0:
            raise DemoError("the intake failed:\n" + intake.log()[-2000:])

    def request(self, method, path, body=""):
        """To order intake over HTTP: status and text."""
        connection = http.client.HTTPConnection(self.intake, timeout=TIMEOUT_S)
        connection.request(method, path, body=body.encode(),
                           headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def post(self, order):
        """Hands in an order over HTTP, which has to be taken."""
        status, text = self.request("POST", "/orders", order_json(order))
        if status != 202:
            raise DemoError("POST of order %s: %d %s" % (order.id, status, text))

    def shares(self, instances):
        """Which Inventory instance holds which partitions, as the bus says; None until all do."""
        members = self.bus.ask("group", "describe", "inventory")[0]["members"]
        parts = [sorted(p["partition"] for p in m["partitions"]) for m in members]
        if len(parts) != instances or not all(parts) or \
                sorted(sum(parts, [])) != list(range(self.partitions)):
            return None
        return parts


def order_json(order):
    """The order as a web shop would send it."""
    return json.dumps({
        "orderId": order.id, "country": order.country, "customerId": order.customer or None,
        "lines": [{"stockCode": line.stock, "description": line.description,
                   "quantity": line.quantity, "unitPrice": line.price / check.PRICE_UNITS}
                  for line in order.lines]})


POISON = "EGG-0"  # the article that Inventory stumbles over


def story_orders():
    """The orders that the demo hands in itself, beside those of the file, by id."""
    lantern = ("LN3301", "PAPER LANTERN SMALL")
    orders = (
        make_order("W4710-1", "4710", ("TP1001", "TEAPOT", 5 * check.FIRST_LEVEL, 12.95), (*lantern, 1, 1.35)),
        make_order("W4710-2", "4710", (*lantern, 2, 1.35)),
        make_order("W4712-1", "4712", (*lantern, 3, 1.35)),
        make_order("W4711-1", "4711", (POISON, "EGG, CRACKED", 6, 0.25)),
        make_order("W4711-2", "4711", ("TP1002", "TEAPOT, CREAM", 1, 12.95)),
        make_order("W4711-3", "4711", (*lantern, 2, 1.35)))
    orders[1].is_cancelled = True
    return {order.id: order for order in orders}


def make_order(number, customer, *lines):
    """An order of the demo's own; lines are (stock code, description, quantity, price)."""
    order = check.Order(number, {"Country": "Norway", "CustomerID": customer, "InvoiceDate": ""})
    order.lines = [check.Line(stock, text, quantity, round(price * check.PRICE_UNITS))
                   for stock, text, quantity, price in lines]
    return order
