"""The proof of the demo: what was ordered against what each service wrote down.

Nothing here asks a service or the bus. One side is the CSV file (and what was ordered or cancelled
over HTTP), the other side the services' databases, the mails and the labels. `problems` lists every
difference; an empty list is the proof.

Only one thing is not decided by the orders alone: which of them fall short depends on who comes
first. So Inventory's journal is played again, row by row: what it called short must have been
short, what it reserved must have been there. With that, all else follows exactly.
"""
import csv
import json
import os
import sqlite3
import subprocess
from collections import Counter, namedtuple
from decimal import Decimal

FIRST_LEVEL = 1000  # store-inventory --first-level
PRICE_UNITS = 10000
SHOWN = 3  # differences named one by one
SERVICES = ("email", "inventory", "shipping", "analytics")

Line = namedtuple("Line", "stock description quantity price")


class Order:
    """An order or a return, as it was handed in; is_cancelled: and taken back by the customer."""

    def __init__(self, number, row):
        self.id = number
        self.country = row["Country"]
        self.customer = row["CustomerID"]
        self.date = row["InvoiceDate"]
        self.lines = []
        self.is_cancelled = False

    @property
    def is_return(self):
        return self.lines[0].quantity < 0

    @property
    def event_id(self):
        return self.id + (".cancelled" if self.is_return else ".placed")

    @property
    def amount(self):
        return sum(line.quantity * line.price for line in self.lines)

    @property
    def articles(self):
        """Pieces of each article."""
        pieces = Counter()
        for line in self.lines:
            pieces[line.stock] += line.quantity
        return pieces


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


# ---- what the services wrote ----

def database(home, name):
    """Where a service keeps its data: NAME.db in the directory home, or what NAME.url says."""
    try:
        with open(os.path.join(home, name + ".url"), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return os.path.join(home, name + ".db")


def query(where, sql):
    """Rows of a service's database, read beside the running service."""
    if where.startswith("postgres"):
        return query_postgres(where, sql)
    connection = sqlite3.connect("file:%s?mode=ro" % where, uri=True, timeout=10)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def query_postgres(url, sql):
    """The same by psql; the columns need names of their own."""
    done = subprocess.run(["psql", "-XAtq", "-c", "select coalesce(json_agg(found), '[]') from (%s)"
                           " as found" % sql, url], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise sqlite3.OperationalError(done.stderr.strip())
    return [tuple(row.values()) for row in json.loads(done.stdout)]


def count_done(where, topic="orders"):
    try:
        return query(where, "SELECT count(*) AS done FROM processed_events WHERE topic = '%s'"
                     % topic)[0][0]
    except sqlite3.OperationalError:  # not there yet, or the database is away
        return 0


def fates(home):
    """What Inventory decided: order id to reserved, short, released, cancelled or returned."""
    return dict(query(database(home, "inventory"), "SELECT order_id, fate FROM decisions"))


def prepared(home):
    """The orders that Shipping prepared."""
    return {row[0] for row in query(database(home, "shipping"),
                                    "SELECT order_id FROM deliveries WHERE is_prepared = 1")}


def differences(what, expected, found):
    """Compares two multisets; names a few of the differences."""
    expected, found = Counter(iter(expected)), Counter(iter(found))
    texts = []
    for label, rest in (("missing", expected - found), ("too many", found - expected)):
        if rest:
            shown = ", ".join(str(item) for item in list(rest)[:SHOWN])
            texts.append("%s: %d %s: %s%s" % (what, sum(rest.values()), label, shown,
                                              " ..." if len(rest) > SHOWN else ""))
    return texts


# ---- what must be so ----

def order_events(orders):
    """(order id, event id, type) of the topic orders."""
    events = [(o.id, o.event_id, "OrderCancelled" if o.is_return else "OrderPlaced")
              for o in orders]
    return events + [(o.id, o.id + ".cancelled", "OrderCancelled") for o in orders
                     if o.is_cancelled]


STOCK_EVENTS = {"reserved": ["StockReserved"], "released": ["StockReserved", "StockReleased"],
                "short": ["StockShort"], "cancelled": [], "returned": []}


def stock_events(home):
    """The same of the topic stock, by what Inventory decided."""
    return [(order, order + "." + kind[5:].lower(), kind) for order, fate in fates(home).items()
            for kind in STOCK_EVENTS[fate]]


def shipment_events(home):
    return [(order, order + ".prepared", "ShipmentPrepared") for order in prepared(home)]


HEARD = {  # which events of the topics stock and shipments each service handles
    "email": ("StockShort", "ShipmentPrepared"),
    "inventory": (),
    "shipping": ("StockReserved",),
    "analytics": ("StockReserved", "StockShort", "StockReleased", "ShipmentPrepared"),
}


def expected_events(name, home, orders):
    """All events that a service has to handle."""
    further = stock_events(home) + shipment_events(home)
    return order_events(orders) + [event for event in further if event[2] in HEARD[name]]


def check_handled(name, home, orders):
    rows = query(database(home, name), "SELECT order_id, event_id, type FROM processed_events")
    return differences("%s: events handled" % name, expected_events(name, home, orders), rows)


def check_repeats(name, home):
    """The inbox lets the work for an event through once, however often it comes (redrives: each once)."""
    rows = query(database(home, name), "SELECT event_id, repeats FROM processed_events WHERE repeats <> 0")
    return ["%s: %s was handled %d times more, its inbox let it through" % (name, event, repeats)
            for event, repeats in rows[:SHOWN]] + (["%s: and %d others" % (name, len(rows) - SHOWN)]
                                                   if len(rows) > SHOWN else [])


def check_fates(home, orders):
    """Each order has the one fate that it may have."""
    found, texts = fates(home), []
    for order in orders:
        may = ("returned",) if order.is_return else \
            ("released", "short", "cancelled") if order.is_cancelled else ("reserved", "short")
        if found.get(order.id) not in may:
            texts.append("inventory: order %s is %s, and should be %s"
                         % (order.id, found.get(order.id), " or ".join(may)))
    return texts + differences("inventory: decisions", [o.id for o in orders], found)


def check_journal(home, orders, first_level):
    """Plays the journal again: no article below zero, nothing short that was not."""
    rows = query(database(home, "inventory"),
                 "SELECT stock_code, number, order_id, what, wanted, change, level FROM journal"
                 " ORDER BY stock_code, number")
    levels, numbers, truly_short, texts = {}, Counter(), set(), []
    for stock, number, order, what, wanted, change, level in rows:
        before = levels.get(stock, first_level)
        numbers[stock] += 1
        levels[stock] = before + change
        sign = {"reserved": -1, "short": 0}.get(what, 1)
        if number != numbers[stock] or change != sign * wanted or levels[stock] != level or level < 0:
            texts.append("inventory: journal of %s, row %d: %d %+d is not %d"
                         % (stock, number, before, change, level))
        if what == "short" and wanted > before:
            truly_short.add(order)
    texts += differences("inventory: stock levels", levels.items(), query(
        database(home, "inventory"), "SELECT stock_code, level FROM stock"))
    texts += differences("inventory: orders called short", truly_short,
                         [order for order, fate in fates(home).items()
                          if fate == "short"])
    return texts + check_changes(home, orders, rows)


def check_changes(home, orders, journal):
    """The journal's rows are what the orders ask for, each once."""
    rows = {"reserved": ["reserved"], "short": ["short"], "returned": ["returned"],
            "released": ["reserved", "released"], "cancelled": []}
    found = fates(home)
    expected = [(order.id, what, stock, abs(quantity)) for order in orders
                for what in rows.get(found.get(order.id), [])
                for stock, quantity in order.articles.items()]
    return differences("inventory: changes", expected,
                       [(row[2], row[3], row[0], row[4]) for row in journal])


def check_inventory(home, orders, first_level):
    return check_fates(home, orders) + check_journal(home, orders, first_level)


def escape(text, also=""):
    """What is not plain in a file's name or an address as %XX."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_" + also
    return "".join(chr(byte) if chr(byte) in plain else "%%%02X" % byte for byte in text.encode())


def label_text(order):
    lines = ["Order\t%s" % order.id,
             "To\tcustomer %s, %s" % (order.customer or "without a number", order.country)]
    return "\n".join(lines + ["%d\t%s\t%s" % (line.quantity, line.stock, line.description)
                              for line in order.lines]) + "\n"


def check_shipping(home, orders, _first_level):
    """What is reserved and was not cancelled before leaves, each with its label."""
    found, ready = fates(home), prepared(home)
    may = [o.id for o in orders if found.get(o.id) == "reserved" or
           (found.get(o.id) == "released" and o.id in ready)]
    folder, labels = os.path.join(home, "labels"), []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as file:
            labels.append((name, file.read()))
    return differences("shipping: shipments", may, ready) + differences(
        "shipping: labels", [(escape(o.id) + ".txt", label_text(o)) for o in orders if o.id in ready],
        labels)


def read_mail(path):
    """(subject, Message-ID) of a mail file."""
    headers = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line == "\n":
                break
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    return headers.get("subject", ""), headers.get("message-id", "")


def check_email(home, orders, _first_level):
    """One mail for each step of an order, about that order."""
    folder = os.path.join(home, "mailbox", "new")
    mails = [read_mail(os.path.join(folder, name)) for name in os.listdir(folder)]
    about = {"<%s%s@store.example.com>" % (escape(order), event[len(order):]): order
             for order, event, _ in expected_events("email", home, orders)}
    return differences("email: mails", about, [message_id for _, message_id in mails]) + [
        "email: the mail %s has the subject %s" % (message_id, subject)
        for subject, message_id in mails
        if not subject.endswith(" " + about.get(message_id, ""))]


SOLD = ("kind = 'returned' OR (EXISTS (SELECT 1 FROM facts f WHERE f.order_id = o.order_id AND"
        " fact = 'reserved') AND NOT EXISTS (SELECT 1 FROM facts f WHERE f.order_id = o.order_id"
        " AND fact = 'cancelled'))")


def check_money(home, orders):
    """What Analytics counts as sold is what was ordered, less what was short, cancelled, returned."""
    found = fates(home)
    expected = sum(o.amount for o in orders if found.get(o.id) in ("reserved", "returned"))
    money = query(database(home, "analytics"),
                  "SELECT coalesce(sum(amount), 0) AS money FROM orders o WHERE " + SOLD)[0][0]
    return [] if money == expected else ["analytics: sales are %d, and should be %d"
                                         % (money, expected)]


def check_analytics(home, orders, _first_level):
    where = database(home, "analytics")
    texts = differences("analytics: order lines", [
        (o.id, i + 1, line.stock, line.quantity, line.price)
        for o in orders for i, line in enumerate(o.lines)], query(
            where, "SELECT order_id, number, stock_code, quantity, unit_price FROM order_lines"))
    texts += differences("analytics: orders", [
        (o.id, "returned" if o.is_return else "placed", o.amount) for o in orders],
        query(where, "SELECT order_id, kind, amount FROM orders"))
    further = [event for event in expected_events("analytics", home, orders)
               if event[2] not in ("OrderPlaced",)]
    returns = {o.id for o in orders if o.is_return}
    texts += differences("analytics: what became of the orders, and whose story it is", [
        (order, event, order + ".placed") for order, event, _ in further if order not in returns],
        query(where, "SELECT order_id, event_id, correlation_id FROM facts"))
    return texts + check_money(home, orders)


CHECKS = {"email": check_email, "inventory": check_inventory, "shipping": check_shipping,
          "analytics": check_analytics}


def problems(name, home, orders, first_level=FIRST_LEVEL):
    """What is wrong with a service's results in the directory home."""
    return check_handled(name, home, orders) + check_repeats(name, home) + CHECKS[name](home, orders, first_level)


# ---- what it looked like ----

def counts(name, home):
    """(deliveries seen, events done, deliveries that were repetitions)."""
    seen, done = query(database(home, name),
                       "SELECT coalesce(sum(deliveries), 0) AS seen, count(*) AS done"
                       " FROM processed_events")[0]
    return int(seen), done, int(seen) - done


def shares(home):
    """Events handled by each Inventory instance."""
    return dict(query(database(home, "inventory"),
                      "SELECT instance, count(*) AS done FROM processed_events GROUP BY instance"))
