#!/usr/bin/python3
"""The retail store end to end: the real bus, the real services, the demo and its proof.

    TIDINGS_BIN=build/tidings TIDINGS_BUILD=build tests/store/test_store.py [-v]

ORDERS_10K names the 10,000-line file of UCI's "Online Retail"; without it the file is looked for
beside the repository, and its test is skipped when it is not there.
"""
import fcntl
import http.client
import io
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from xml.etree import ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STORE = os.path.join(ROOT, "examples", "store")
sys.dont_write_bytecode = True
sys.path.insert(0, STORE)
import check  # noqa: E402
import screen  # noqa: E402
import stage  # noqa: E402
sys.path.insert(0, os.path.join(ROOT, "tests"))
from harness.server import Server, held_port  # noqa: E402

BUILD = os.path.abspath(os.environ.get("TIDINGS_BUILD", os.path.join(ROOT, "build")))
TIDINGS = os.path.abspath(os.environ.get("TIDINGS_BIN", os.path.join(BUILD, "tidings")))
PROGRAMS = ("order-intake", "email", "mailbox", "inventory", "shipping", "analytics", "report")
WAIT_S = 120
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
ORDER = json.dumps({"orderId": "T1", "country": "Norway", "lines": [
    {"stockCode": "A", "description": "a thing", "quantity": 2, "unitPrice": 1.5}]})


def program(name):
    return os.path.join(BUILD, "examples", "store", "store-" + name)


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=WAIT_S, check=False,
                          **options)


def end_server(pid):
    """Returns when it is gone; it is no child of ours."""
    deadline = time.monotonic() + WAIT_S
    os.kill(pid, signal.SIGTERM)
    while os.path.exists("/proc/%d" % pid):
        if time.monotonic() > deadline:
            raise AssertionError("the server with pid %d does not end" % pid)
        time.sleep(0.02)


def orders_10k():
    path = os.environ.get("ORDERS_10K")
    return path or os.path.join(ROOT, "..", "shared", "data", "online-retail-10k.csv")


def run_demo(orders=None, keep=False, database=""):
    env = dict(os.environ, TIDINGS_BIN=TIDINGS, TIDINGS_BUILD=BUILD, ORDERS=orders or "",
               DEMO_KEEP="1" if keep else "", DEMO_TIMEOUT=str(WAIT_S), DEMO_DATABASE=database)
    return subprocess.run([os.path.join(STORE, "demo")], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=600, check=False)


class Started:
    """A program that says when it is ready; stopped at the end of the with block."""

    def __init__(self, pattern, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.search(pattern, line)
        if not found:
            self.process.kill()
            raise AssertionError("%s is not ready: %r" % (command[0], line))
        self.address = found.group(1)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            self.process.wait(WAIT_S)
        finally:
            self.process.kill()
            self.process.stdout.close()


class WithDirectory(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="tidings-store-test-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.home, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="latin-1", newline="") as file:
            file.write(text)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def wait(self, condition):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited too long")
            time.sleep(0.02)

    def bus(self):
        return Server(self.path("bus"), binary=TIDINGS)

    def make_topics(self, bus):
        for topic in ("orders", "stock", "shipments"):
            run(TIDINGS, "topic", "create", topic, "--bootstrap-server", bus.address)

    def events(self, bus, topic):
        """The events on the topic, read with the tidings command."""
        done = run(TIDINGS, "subscribe", topic, "--until-end", "--json",
                   "--bootstrap-server", bus.address)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]


class Demo(unittest.TestCase):
    """The demo on whole files, and the proof that its proof can fail."""

    def test_own_orders_and_the_proof(self):
        done = run_demo(keep=True, database="sqlite")
        home = re.search(r"Everything is kept in (\S+)", done.stdout)
        self.assertTrue(home, done.stdout)
        home = home.group(1)
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("OK: money, stock, shipments and mails agree with the orders", done.stdout)
        self.assertIn("The bus itself is killed", done.stdout)
        self.assertIn("dead letters: 1 as before", done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        self.try_next(done.stdout)
        orders = check.read_orders(os.path.join(STORE, "orders.csv"))
        orders += stage.story_orders().values()
        for name in check.SERVICES:
            self.assertEqual(check.problems(name, home, orders), [])
            self.assertGreater(check.counts(name, home)[1], len(orders) - 1)
        self.report(home, orders)
        self.tamper(home, orders)

    def report(self, home, orders):
        """What `store report` prints and draws is what was sold."""
        svg = os.path.join(home, "report.svg")
        done = run(program("x")[:-2], "report", "--db", os.path.join(home, "analytics.db"), "--svg",
                   svg)
        self.assertEqual(done.returncode, 0, done.stderr)
        fates = check.fates(home)
        sold = [o for o in orders if fates[o.id] in ("reserved", "returned")]
        amount = sum(o.amount for o in sold) / check.PRICE_UNITS
        self.assertRegex(done.stdout, r"\AOrders sold, and returns +%d +%.2f\n" % (len(sold), amount))
        name = "{http://www.w3.org/2000/svg}"
        picture = ElementTree.parse(svg).getroot()
        texts = ["".join(text.itertext()) for text in picture.iter(name + "text")]
        self.assertTrue(any("{:,.2f}".format(amount) in text for text in texts), texts)
        for country in {o.country for o in sold}:
            self.assertIn(country, texts)
        rows = [line for line in done.stdout.splitlines() if line.startswith("  ")]
        bars = [bar for bar in picture.iter(name + "rect") if bar.find(name + "title") is not None]
        self.assertEqual(len(bars), len(rows))

    def tamper(self, home, orders):
        """Each kind of damage must be found."""
        damages = (
            ("email", "DELETE FROM processed_events WHERE order_id = '810003'"),
            ("email", "UPDATE processed_events SET repeats = 1 WHERE order_id = '810003'"),
            ("inventory", "UPDATE stock SET level = level - 1 WHERE stock_code = 'MG2040'"),
            ("inventory", "DELETE FROM stock WHERE stock_code = 'MG2041'"),
            ("inventory", "DELETE FROM journal WHERE order_id = '810003'"),
            ("inventory", "UPDATE journal SET wanted = wanted + 1 WHERE order_id = '810003'"),
            ("inventory", "UPDATE decisions SET fate = 'short' WHERE order_id = '810003'"),
            ("inventory", "DELETE FROM decisions WHERE order_id = '810003'"),
            ("shipping", "DELETE FROM deliveries WHERE order_id = '810004'"),
            ("shipping", "UPDATE deliveries SET is_prepared = 0 WHERE order_id = '810005'"),
            ("analytics", "UPDATE order_lines SET unit_price = 1 WHERE order_id = '810006'"),
            ("analytics", "UPDATE orders SET amount = amount + 1 WHERE order_id = '810006'"),
            ("analytics", "DELETE FROM facts WHERE order_id = '810007' AND fact = 'prepared'"),
            ("analytics", "DELETE FROM facts WHERE order_id = '810007' AND fact = 'reserved'"),
            ("analytics", "UPDATE facts SET correlation_id = 'x' WHERE order_id = '810008'"),
        )
        for name, sql in damages:
            with self.subTest(sql=sql):
                self.assertEqual(check.problems(name, home, orders), [])
                copy = os.path.join(home, "damaged")
                shutil.copytree(home, copy, ignore=shutil.ignore_patterns("bus"))
                connection = sqlite3.connect(os.path.join(copy, name + ".db"))
                self.assertGreater(connection.execute(sql).rowcount, 0)
                connection.commit()
                connection.close()
                self.assertNotEqual(check.problems(name, copy, orders), [])
                shutil.rmtree(copy)
        label = os.path.join(home, "labels", "810004.txt")
        with open(label, "a", encoding="utf-8") as file:
            file.write("1\tMG2040\tone more\n")
        self.assertTrue(any("shipping: labels" in text
                            for text in check.problems("shipping", home, orders)))
        for folder, name, missing in (("mailbox/new", "email", 1), ("labels", "shipping", 2)):
            folder = os.path.join(home, folder)
            os.unlink(os.path.join(folder, sorted(os.listdir(folder))[0]))
            self.assertTrue(any("%d missing" % missing in text
                                for text in check.problems(name, home, orders)))

    def try_next(self, text):
        """The lines at the end do what they say, pasted as they stand."""
        lines = [line.split("  # ")[0] for line in text.split("To try next")[1].split("\n")[1:]
                 if "  # " in line]
        self.assertGreater(len(lines), 4)
        folder = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "sales.svg")
        script = "\n".join(["set -e", *lines]).replace("sales.svg", folder)
        script = script.replace("--detach", "--detach 2> /dev/null")  # run waits for who has it
        done = run("bash", "-c", script)
        pids = re.findall(r"^ready .*\bpid=(\d+)\b", done.stdout, re.M)
        for pid in pids:
            end_server(int(pid))
        self.assertEqual(len(pids), 1, done.stdout)
        self.assertEqual(done.returncode, 0, script + done.stdout + done.stderr)
        for word in ("OrderPlaced", "ShipmentPrepared", "poison", "Orders sold"):
            self.assertIn(word, done.stdout)
        self.assertTrue(os.path.exists(folder))

    def test_on_a_terminal(self):
        """One screen, drawn in place, in colours; what stood there before is back at the end. With PostgreSQL, which
        takes longer to start than all else, `make demo` runs it in tests/install."""
        text = self.demo_on_a_terminal(TERM="xterm", NO_COLOR="", DEMO_RATE="0", DEMO_DATABASE="sqlite")
        self.assertIn("OK: money, stock, shipments and mails agree with the orders", text)
        self.assertRegex(text, r"shipping +\S*█+")
        self.assertIn("killed", text)
        self.assertIn("To try next", text)
        self.assertIn("\x1b[32m", text)
        shown = text[text.index("\x1b[?1049h"):text.index("\x1b[?1049l")]
        self.assertNotIn("\n", shown)  # nothing scrolls

    def test_the_screen_keeps_within_the_terminal(self):
        """However small or large it is, with the longest of texts."""
        class Terminal(io.StringIO):
            encoding = "utf-8"

        show = screen.Screen(Terminal())
        show.steps = 10
        show.live = True
        show.draw = lambda: None
        show.step("A title " * 30, "what " * 50, "more " * 50)
        show.rows = [screen.Row("inventory", 12345, 23456, 34567, 99999) for _ in range(4)]
        for row in show.rows:
            row.note = "a note " * 20
        for _ in range(50):
            show.tell("word " * 60)
            show.tell("a  table  " * 30)
        for width in (60, 79, 80, 130):
            for height in (20, 24, 50):
                lines = show.frame(width, height)
                self.assertEqual(len(lines), height)
                self.assertLessEqual(max(map(len, lines)), width)

    def demo_on_a_terminal(self, **env):
        """What the demo prints when its output is a terminal."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        env = dict(os.environ, TIDINGS_BIN=TIDINGS, TIDINGS_BUILD=BUILD, ORDERS="", DEMO_KEEP="",
                   DEMO_TIMEOUT=str(WAIT_S), **env)
        with subprocess.Popen([os.path.join(STORE, "demo")], env=env, stdin=subprocess.DEVNULL,
                              stdout=theirs, stderr=theirs) as demo:
            os.close(theirs)
            text = b""
            try:
                while chunk := os.read(ours, 65536):
                    text += chunk
            except OSError:  # the other end is closed
                pass
            self.assertEqual(demo.wait(WAIT_S), 0, text.decode())
        os.close(ours)
        return text.decode()

    @unittest.skipUnless(os.path.exists(orders_10k()),
                         "no online-retail-10k.csv beside the repository, and ORDERS_10K is not set")
    def test_real_orders(self):
        done = run_demo(os.path.abspath(orders_10k()))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("512 orders (10000 lines)", done.stdout)

    def test_missing_file(self):
        done = run_demo("/no/such/orders.csv")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/orders.csv", done.stdout)
        self.assertNotIn("is kept in", done.stdout)  # there is nothing


class Intake(WithDirectory):
    def post(self, address, body, method="POST", path="/orders"):
        connection = http.client.HTTPConnection(address, timeout=WAIT_S)
        connection.request(method, path, body=body)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, json.loads(text)

    def serve(self, address):
        return Started(r"http=(\S+)", program("order-intake"), "--listen", "127.0.0.1:0",
                       "--bootstrap-server", address, "--db", self.path("intake.db"))

    def take(self, bus, csv, *options):
        return run(program("order-intake"), "--csv", csv, "--bootstrap-server", bus.address,
                   "--db", self.path("intake.db"), *options)

    def test_answers(self):
        with self.bus() as bus, self.serve(bus.address) as intake:
            self.make_topics(bus)
            for _ in range(2):  # the second one as after a lost answer: it is the same order
                self.assertEqual(self.post(intake.address, ORDER), (202, {"orderId": "T1"}))
            status, answer = self.post(intake.address, ORDER.replace("1.5", "2.5"))
            self.assertEqual((status, "another order" in answer["error"]), (400, True), answer)
            status, answer = self.post(intake.address, ORDER.replace('"orderId": "T1", ', ""))
            self.assertEqual(status, 202)
            generated = answer["orderId"]
            self.assertRegex(generated, "^W[0-9a-f]{16}$")
            for body, why in (("", "not JSON"), ("{", "not JSON"), ("[]", "JSON object"),
                              (ORDER.replace("2", '"two"', 1), "line 1: quantity"),
                              (ORDER.replace("Norway", "Nor\\nway"), "country"),
                              (ORDER.replace("T1", "T2").replace("}]", '}, {"stockCode": "B",'
                               '"quantity": -1, "unitPrice": 1}]'), "negative")):
                status, answer = self.post(intake.address, body)
                self.assertEqual((status, why in answer["error"]), (400, True), answer)
            self.assertEqual(self.post(intake.address, "x" * (1 << 20) + "x")[0], 413)
            self.assertEqual(self.post(intake.address, ORDER, method="GET")[0], 405)
            self.assertEqual(self.post(intake.address, ORDER, path="/order")[0], 404)
            self.cancel(intake)
            self.wait(lambda: len(self.events(bus, "orders")) == 3)
            ids = sorted(event["headers"]["ce_id"] for event in self.events(bus, "orders"))
            self.assertEqual(ids, ["T1.cancelled", "T1.placed", generated + ".placed"])
            intake.process.terminate()
            self.assertEqual(intake.process.wait(WAIT_S), 0)

    def cancel(self, intake):
        """Of an order that is known, once; what GET says before and after."""
        for is_cancelled in (False, True, True):
            status, answer = self.post(intake.address, None, "GET", "/orders/T1")
            self.assertEqual((status, answer["isCancelled"]), (200, is_cancelled))
            self.assertEqual(answer["order"]["lines"][0]["quantity"], 2)
            self.assertEqual(self.post(intake.address, "", path="/orders/T1/cancel"),
                             (202, {"orderId": "T1"}))
        self.assertEqual(self.post(intake.address, "", path="/orders/T9/cancel")[0], 404)
        self.assertEqual(self.post(intake.address, None, "GET", "/orders/T9")[0], 404)

    def test_orders_are_taken_while_the_bus_is_away(self):
        bus = self.bus()
        self.make_topics(bus)
        bus.listen = bus.address
        bus.stop()
        with self.serve(bus.address) as intake:
            self.assertEqual(self.post(intake.address, ORDER)[0], 202)
        with self.serve(bus.address):
            bus.start()
            with bus:
                self.wait(lambda: self.events(bus, "orders"))
                self.assertEqual(self.events(bus, "orders")[0]["headers"]["ce_id"], "T1.placed")

    def test_csv(self):
        path = self.write("orders.csv", HEADER +
                          '1,A,"A, b",2,12-01-2010 08:26,2.55,17850,United Kingdom\r\n'
                          "1,B,caf\xe9,3,12/1/2010 8:26,1,17850,United Kingdom\n"
                          "C2,A,back,-1,12-01-2010 09:00,2.55,,France\n"
                          "1,A,again,1,12-01-2010 09:30,2.55,17850,United Kingdom\n")
        with self.bus() as bus:
            for taken in (3, 0):  # a file may be taken again: the orders are known
                done = self.take(bus, path, "--rate", "500")
                self.assertEqual((done.returncode, done.stdout),
                                 (0, "orders taken=%d known=%d refused=0\n" % (taken, 3 - taken)),
                                 done.stderr)
            self.assertEqual(len(self.events(bus, "orders")), 3)
            events = {e["headers"]["ce_subject"]: e for e in self.events(bus, "orders")}
        self.assertEqual(sorted(events), ["1", "1-2", "C2"])
        self.assertIn("OrderCancelled", json.dumps(events["C2"]))
        self.assertIn("caf\\u00e9", json.dumps(events["1"]))

    def test_bad_csv(self):
        rows = {
            "x,A,d,two,12-01-2010 08:26,1,,UK": 'Quantity "two"',
            "x,A,d,2,yesterday,1,,UK": 'InvoiceDate "yesterday"',
            "x,A,d,2,12-01-2010 08:26,1.5.5,,UK": 'UnitPrice "1.5.5"',
            "x,A,d,2,12-01-2010 08:26,1,,": 'Country ""',
            "x,,d,2,12-01-2010 08:26,1,,UK": 'StockCode ""',
        }
        mixed = "y,A,d,2,12-01-2010 08:26,1,,UK\ny,A,d,-2,12-01-2010 08:26,1,,UK\n"
        good = "1,A,d,2,12-01-2010 08:26,1,,UK\n"
        with self.bus() as bus:
            for number, (row, why) in enumerate(rows.items()):
                with self.subTest(row=row):
                    path = self.write("bad.csv", HEADER + good + row + "\n")
                    done = self.take(bus, path)
                    self.assertEqual((done.returncode, done.stdout), (
                        1, "orders taken=%d known=%d refused=1\n" % (not number, bool(number))),
                        done.stderr)
                    self.assertIn("line 3: " + why, done.stderr)
            done = self.take(bus, self.write("mixed.csv", HEADER + mixed))
            self.assertEqual((done.returncode, done.stdout),
                             (1, "orders taken=0 known=0 refused=1\n"), done.stderr)
            self.assertIn("order y: an order has either", done.stderr)
            done = self.take(bus, self.write("no.csv", "a,b\n1,2\n"))
            self.assertEqual(done.returncode, 1)
            self.assertIn("no column InvoiceNo", done.stderr)
            self.assertEqual(self.take(bus, "/no/such/file").returncode, 1)


class Mailbox(WithDirectory):
    def test_one_of_each_message_id(self):
        mail = self.write("mail", "Message-ID: <a/../b@x>\nSubject: s\n\n.dot\nbye\n")
        with Started(r"smtp=(\S+)", program("mailbox"), "--dir", self.path("box"), "--port",
                     "0") as box:
            host, port = box.address.split(":")
            import smtplib  # only this test speaks SMTP
            for _ in range(3):
                with smtplib.SMTP(host, int(port), timeout=WAIT_S) as smtp:
                    with open(mail, encoding="ascii") as text:
                        smtp.sendmail("a@x", ["b@x"], text.read())
            with smtplib.SMTP(host, int(port), timeout=WAIT_S) as smtp:
                self.assertEqual(smtp.docmd("DATA")[0], 503)
                self.assertEqual(smtp.docmd("RCPT TO:<a@x>")[0], 503)
                self.assertEqual(smtp.docmd("NONSENSE")[0], 500)
        self.assertEqual(os.listdir(self.path("box/new")), ["a_.._b@x.eml"])
        self.assertEqual(len(os.listdir(self.path("box/duplicates"))), 2)
        self.assertEqual(os.listdir(self.path("box/tmp")), [])
        with open(self.path("box/new/a_.._b@x.eml"), encoding="ascii") as kept:
            self.assertTrue(kept.read().endswith("\n\n.dot\nbye\n"))


class Services(WithDirectory):
    def test_email_waits_for_the_mail_server(self):
        """Mail that cannot be sent is tried again, and goes out once when the server is back."""
        with self.bus() as bus:
            port = str(held_port(self))  # nobody listens there yet
            log = open(self.path("log"), "w", encoding="utf-8")
            self.addCleanup(log.close)
            self.make_topics(bus)
            csv = self.write("o.csv", HEADER + "9,A,d,2,12-01-2010 08:26,1,,UK\n")
            run(program("order-intake"), "--csv", csv, "--bootstrap-server", bus.address,
                "--db", self.path("intake.db"))
            email = subprocess.Popen([program("email"), "--bootstrap-server", bus.address, "--db",
                                      self.path("email.db"), "--smtp",
                                      "smtp://127.0.0.1:" + port], stderr=log)
            self.addCleanup(email.kill)
            self.wait(lambda: "trying it again" in self.read("log"))
            with Started(r"smtp=(\S+)", program("mailbox"), "--dir", self.path("box"), "--port",
                         port):
                self.wait(lambda: check.count_done(self.path("email.db")) == 1)
                email.send_signal(signal.SIGTERM)
                self.assertEqual(email.wait(WAIT_S), 0)
        self.assertEqual(os.listdir(self.path("box/new")), ["9.placed@store.example.com.eml"])
        self.assertEqual(os.listdir(self.path("box/duplicates")), [])

    def test_closed_standard_descriptors(self):
        """What a program opens does not take the place of its input or output."""
        process = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-',
                                    program("mailbox"), "--dir", self.path("box"), "--port", "0"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        folder = f"/proc/{process.pid}/fd"

        def has_socket():
            try:
                return any(os.readlink(os.path.join(folder, fd)).startswith("socket:")
                           for fd in os.listdir(folder))
            except FileNotFoundError: # closed since it was listed
                return False

        self.wait(has_socket)
        self.assertEqual([os.readlink(os.path.join(folder, fd)) for fd in "012"],
                         ["/dev/null"] * 3)

    def test_help_and_usage(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                done = run(program(name), "--help")
                self.assertEqual(done.returncode, 0)
                self.assertIn("Usage: store-" + name, done.stdout)
                done = run(program(name), "--no-such-option")
                self.assertEqual(done.returncode, 2)
                self.assertIn("--no-such-option", done.stderr)
                done = run(program(name)[:-len(name) - 1], name, "--help")
                self.assertEqual(done.returncode, 0)
                self.assertIn("Usage: store-" + name, done.stdout)
        for words, code in (((), 2), (("--help",), 0), (("no-such",), 2), (("../x",), 2)):
            self.assertEqual(run(program("x")[:-2], *words).returncode, code)
        self.assertEqual(run(program("order-intake")).returncode, 2)
        self.assertEqual(run(program("mailbox"), "--dir", self.path("box"), "--port", "99999").returncode, 2)
        self.assertEqual(run(program("report"), "--db", self.path("none.db")).returncode, 1)
        self.assertFalse(os.path.exists(self.path("none.db")))
        done = run(program("inventory"), "--db", "/no/such/dir/x.db")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/dir/x.db", done.stderr)


if __name__ == "__main__":
    unittest.main()
