#!/usr/bin/python3
"""The store's saga: an order is cancelled at each place of its story, falls short, comes back.

    TIDINGS_BIN=build/tidings TIDINGS_BUILD=build tests/store/test_saga.py [-v]

While everything is killed at random: tests/campaign/store.py.
"""
import os
import shutil
import sys
import tempfile
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "examples", "store"))
import check  # noqa: E402
import screen  # noqa: E402
import stage  # noqa: E402

PARTITIONS = 3
FIRST_LEVEL = 60
GROUPS = ("inventory", "shipping", "email", "analytics")  # each behind those that it hears


def make_order(number, customer, *lines):
    """Lines are (article, pieces)."""
    order = check.Order(number, {"Country": "Norway", "CustomerID": customer, "InvoiceDate": ""})
    order.lines = [check.Line(stock, "a thing of it", pieces, 12500) for stock, pieces in lines]
    return order


class Saga(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="tidings-saga-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        silent = open(os.devnull, "w", encoding="utf-8")
        self.addCleanup(silent.close)
        self.store = stage.Store(self.home, screen.Screen(silent), PARTITIONS, [])
        self.addCleanup(self.store.kill_all)

    def open_store(self):
        store = self.store
        store.bus = stage.Bus(store.path("bus"), self.home)
        for topic in stage.TOPICS:
            store.bus.command("topic", "create", topic, "--partitions", str(PARTITIONS))
        smtp = store.start("mailbox", "--dir", "mailbox", "--port", "0").ready(r"smtp=(\S+)")
        store.arguments = {
            "email": ["--smtp", "smtp://" + smtp],
            "inventory": ["--first-level", str(FIRST_LEVEL)],
            "shipping": [], "analytics": [],
        }
        for name in GROUPS:
            process = self.start(name)
            stage.wait_for("%s to listen" % name, lambda log=process.log: " holds " in log())
        intake = store.start("order-intake-1", "--bootstrap-server", store.bus.address,
                             "--db", "order-intake.db", "--listen", "127.0.0.1:0")
        store.intake = intake.ready(r"http=(\S+)")

    def start(self, name):
        """An instance without a name: it leaves its group when it is stopped."""
        return self.store.start_service(name, instance="2")

    def stop(self, name):
        self.store.stop_service(name, "2")

    # ---- what customers do ----

    def place(self, number, customer, *lines):
        order = make_order(number, customer, *lines)
        self.store.post(order)
        self.store.orders.append(order)
        return order

    def cancel(self, order):
        status, text = self.store.request(
            "POST", "/orders/%s/cancel" % urllib.parse.quote(order.id, safe=""))
        self.assertEqual(status, 202, text)
        order.is_cancelled = True

    # ---- what is looked at ----

    def fate(self, order):
        return check.fates(self.home).get(order.id)

    def settled(self):
        """Everybody has handled all that follows from the orders: what follows for one is known when
        those before it are through."""
        return not any(check.check_handled(name, self.home, self.store.orders) for name in GROUPS)

    def settle(self):
        self.store.wait("all that follows from the orders", self.settled)

    def expect_proof(self):
        for name in check.SERVICES:
            self.assertEqual(check.problems(name, self.home, self.store.orders, FIRST_LEVEL), [])
        for name in os.listdir(self.home):
            if name.endswith(".log"):
                with open(self.store.path(name), encoding="utf-8") as log:
                    self.assertNotIn("given up", log.read(), name)
        self.assertEqual(os.listdir(self.store.path("mailbox/duplicates")), [])

    def test_each_end_of_an_order(self):
        self.open_store()
        self.stop("inventory")
        early = self.place("early", "11", ("MUG", 3), ("TIN", 2))
        self.cancel(early)
        short = self.place("short", "12", ("MUG", FIRST_LEVEL + 1), ("TIN", 1))
        self.stop("shipping")
        self.start("inventory")
        between = self.place("between", "13", ("MUG", 4))
        self.settle_inventory()
        self.assertEqual(self.fate(between), "reserved")
        self.cancel(between)
        self.cancel(short)
        self.settle_inventory()
        self.start("shipping")
        shipped = self.place("shipped", "11", ("EGG", FIRST_LEVEL))
        late = self.place("late/.. ü", "", ("TEAPOT", 5))
        self.settle()
        self.cancel(late)
        self.place("Cback", "12", ("EGG", -2))
        self.settle()
        self.assertEqual([self.fate(o) for o in (early, short, between, shipped, late)],
                         ["released", "short", "released", "reserved", "released"])
        self.assertLessEqual({"shipped", late.id}, check.prepared(self.home))
        self.expect_proof()
        self.come_again()

    def settle_inventory(self):
        self.store.wait("Inventory", lambda: not check.check_handled(
            "inventory", self.home, self.store.orders))

    def come_again(self):
        """All services are given everything a second time: nothing changes."""
        for name in GROUPS:
            self.stop(name)
        for name in GROUPS:
            self.store.bus.command("group", "reset", name, "--to", "start", "--execute")
            self.start(name)
        for name in GROUPS:
            self.store.wait("%s to be given it again" % name, lambda: self.seen_twice(name))
        self.expect_proof()

    def seen_twice(self, name):
        _, done, again = check.counts(name, self.home)
        return again >= done


if __name__ == "__main__":
    unittest.main()
