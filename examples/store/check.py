"""The proof of the demo: what the orders file says against what each service wrote down.

Nothing here asks a service or the bus: one side is the CSV file, the other side the SQLite tables
and the mailbox's files. `problems` lists every difference; an empty list is the proof.
"""
import csv
import os
import sqlite3
from collections import Counter, namedtuple
from decimal import Decimal

FIRST_LEVEL = 1000  # store-inventory --first-level
PRICE_UNITS = 10000
SHOWN = 3  # differences named one by one

Line = namedtuple("Line", "stock description quantity price")


class Order:
    def __init__(self, number, row):
        self.id = number
        self.country = row["Country"]
        self.customer = row["CustomerID"]
        self.date = row["InvoiceDate"]
        self.lines = []

    @property
    def is_cancelled(self):
        return self.id.startswith("C")

    @property
    def event_id(self):
        return self.id + (".cancelled" if self.is_cancelled else ".placed")


def read_text(path):
    with open(path, "rb") as file:
        data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_orders(path):
    """The orders of a CSV file: consecutive lines with one InvoiceNo are one order."""
    orders, times, last = [], Counter(), None
    for row in csv.DictReader(read_text(path).splitlines(keepends=True)):
        number = row["InvoiceNo"]
        if number != last:
            last = number
            times[number] += 1
            again = "-%d" % times[number] if times[number] > 1 else ""
            orders.append(Order(number + again, row))
        price = Decimal(row["UnitPrice"]) * PRICE_UNITS
        orders[-1].lines.append(
            Line(row["StockCode"], row["Description"], int(row["Quantity"]), int(price)))
    return orders


def query(database, sql):
    """Rows of a service's database, read beside the running service."""
    connection = sqlite3.connect("file:%s?mode=ro" % database, uri=True, timeout=10)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def count_done(database, topic="orders"):
    try:
        return query(database, "SELECT count(*) FROM processed_events WHERE topic = '%s'"
                     % topic)[0][0]
    except sqlite3.OperationalError:  # not there yet
        return 0


def differences(what, expected, found):
    """Compares two multisets; names a few of the differences."""
    expected, found = Counter(expected), Counter(found)
    texts = []
    for label, rest in (("missing", expected - found), ("too many", found - expected)):
        if rest:
            shown = ", ".join(str(item) for item in list(rest)[:SHOWN])
            texts.append("%s: %d %s: %s%s" % (what, sum(rest.values()), label, shown,
                                              " ..." if len(rest) > SHOWN else ""))
    return texts


def check_ledger(name, database, orders):
    rows = query(database, "SELECT order_id, event_id, type FROM processed_events"
                 " WHERE topic = 'orders'")
    expected = [(o.id, o.event_id, "OrderCancelled" if o.is_cancelled else "OrderPlaced")
                for o in orders]
    return differences("%s: events handled" % name, expected, rows)


def read_mail(path):
    """(order id, Message-ID) of a mail file."""
    headers = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line == "\n":
                break
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    return headers.get("subject", "").split(" ")[-1], headers.get("message-id", "")


def check_email(mailbox, orders):
    directory = os.path.join(mailbox, "new")
    mails = [read_mail(os.path.join(directory, name)) for name in os.listdir(directory)]
    expected = [(o.id, "<%s@store.example.com>" % o.event_id) for o in orders]
    return differences("email: mails", expected, mails)


def check_inventory(database, orders):
    levels = Counter()
    for order in orders:
        for line in order.lines:
            levels[line.stock] -= line.quantity
    expected = [(stock, FIRST_LEVEL + change) for stock, change in levels.items()]
    return differences("inventory: stock levels", expected,
                       query(database, "SELECT stock_code, level FROM stock"))


def check_shipping(database, orders):
    expected = [(o.id, "return" if o.is_cancelled else "delivery", len(o.lines),
                 sum(line.quantity for line in o.lines)) for o in orders]
    return differences("shipping: deliveries", expected, query(
        database, "SELECT order_id, kind, line_count, pieces FROM deliveries"))


def check_analytics(database, orders):
    expected = [(o.id, i + 1, line.stock, line.quantity, line.price)
                for o in orders for i, line in enumerate(o.lines)]
    texts = differences("analytics: order lines", expected, query(
        database, "SELECT order_id, number, stock_code, quantity, unit_price FROM order_lines"))
    kinds = [(o.id, "cancelled" if o.is_cancelled else "placed") for o in orders]
    texts += differences("analytics: orders", kinds,
                         query(database, "SELECT order_id, kind FROM orders"))
    shipped = [(o.id, o.event_id, o.event_id) for o in orders if not o.is_cancelled]
    return texts + differences("analytics: shipments and what caused them", shipped, query(
        database, "SELECT order_id, correlation_id, causation_id FROM shipments"))


SERVICES = {
    "email": lambda home, orders: check_email(os.path.join(home, "mailbox"), orders),
    "inventory": lambda home, orders: check_inventory(os.path.join(home, "inventory.db"), orders),
    "shipping": lambda home, orders: check_shipping(os.path.join(home, "shipping.db"), orders),
    "analytics": lambda home, orders: check_analytics(os.path.join(home, "analytics.db"), orders),
}


def problems(name, home, orders):
    """What is wrong with a service's results in the directory home."""
    database = os.path.join(home, name + ".db")
    return check_ledger(name, database, orders) + SERVICES[name](home, orders)


def counts(name, home):
    """(deliveries seen, events done, deliveries that were repetitions) of topic orders."""
    seen, done = query(os.path.join(home, name + ".db"),
                       "SELECT coalesce(sum(deliveries), 0), count(*) FROM processed_events"
                       " WHERE topic = 'orders'")[0]
    return seen, done, seen - done


def repetitions(name, home, event_id):
    """How often an event was delivered beyond the first time."""
    rows = query(os.path.join(home, name + ".db"),
                 "SELECT deliveries - 1 FROM processed_events WHERE event_id = '%s'" % event_id)
    return rows[0][0] if rows else -1


def shares(home):
    """Orders handled by each Inventory instance."""
    return dict(query(os.path.join(home, "inventory.db"),
                      "SELECT instance, count(*) FROM processed_events GROUP BY instance"))
