/* store-analytics: records every order for reports, and prints them. */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>

struct analytics {
    struct worker worker;
    sqlite3_stmt *add_order;
    sqlite3_stmt *add_line;
    sqlite3_stmt *add_shipment;
};

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS orders ("
    " order_id TEXT PRIMARY KEY, kind TEXT NOT NULL, country TEXT NOT NULL, ordered_at TEXT,"
    " customer_id TEXT, amount INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS order_lines ("
    " order_id TEXT NOT NULL, number INTEGER NOT NULL, stock_code TEXT NOT NULL,"
    " description TEXT NOT NULL, quantity INTEGER NOT NULL, unit_price INTEGER NOT NULL,"
    " PRIMARY KEY (order_id, number)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS shipments ("
    " order_id TEXT PRIMARY KEY, event_id TEXT NOT NULL, correlation_id TEXT NOT NULL,"
    " causation_id TEXT NOT NULL) WITHOUT ROWID;";

static bool apply_line(struct analytics *analytics, const struct order *order, size_t index)
{
    const struct order_line *line = &order->lines[index];
    sqlite3_stmt *add = analytics->add_line;
    sqlite3_bind_text(add, 1, order->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 2, (int64_t)index + 1);
    sqlite3_bind_text(add, 3, line->stock_code, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 4, line->description, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 5, line->quantity);
    sqlite3_bind_int64(add, 6, line->unit_price);
    return ledger_step(&analytics->worker.ledger, add);
}

static bool apply(struct worker *worker, const struct tidings_event *event,
                  const struct order *order)
{
    struct analytics *analytics = (struct analytics *)worker;
    sqlite3_stmt *add = analytics->add_order;
    sqlite3_bind_text(add, 1, order->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 2, order_is_cancellation(order) ? "cancelled" : "placed", -1,
                      SQLITE_STATIC);
    sqlite3_bind_text(add, 3, order->country, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 4, order->ordered_at, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 5, order->customer_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 6, order_amount(order));
    bool ok = ledger_step(&worker->ledger, add);
    for (size_t i = 0; ok && i < order->line_count; i++) {
        ok = apply_line(analytics, order, i);
    }
    return ok;
}

static enum tidings_verdict on_shipped(struct tidings *service, const struct tidings_event *event,
                                       void *context)
{
    struct analytics *analytics = context;
    struct ledger *ledger = &analytics->worker.ledger;
    switch (ledger_begin(ledger, event)) {
    case LEDGER_FAILED:
        return ledger_retry(ledger, event);
    case LEDGER_KNOWN:
        return TIDINGS_DONE;
    case LEDGER_NEW:
        break;
    }
    sqlite3_stmt *add = analytics->add_shipment;
    sqlite3_bind_text(add, 1, event->subject, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 2, event->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 3, event->correlation_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 4, event->causation_id, -1, SQLITE_STATIC);
    if (!ledger_step(ledger, add)) {
        ledger_rollback(ledger);
        return ledger_retry(ledger, event);
    }
    return ledger_commit(ledger) ? TIDINGS_DONE : ledger_retry(ledger, event);
}

/* Prints the rows of a query: first column left, the others right; amounts have two decimals. */
static bool print_rows(struct ledger *ledger, const char *title, const char *sql)
{
    sqlite3_stmt *query = ledger_prepare(ledger, sql);
    if (query == NULL) {
        return false;
    }
    printf("%s\n", title);
    while (sqlite3_step(query) == SQLITE_ROW) {
        printf("  %-36.36s", (const char *)sqlite3_column_text(query, 0));
        for (int i = 1; i < sqlite3_column_count(query); i++) {
            if (sqlite3_column_type(query, i) == SQLITE_NULL) {
                continue;
            }
            printf(sqlite3_column_type(query, i) == SQLITE_FLOAT ? " %14.2f" : " %14.0f",
                   sqlite3_column_double(query, i));
        }
        putchar('\n');
    }
    putchar('\n');
    return sqlite3_finalize(query) == SQLITE_OK;
}

static bool print_report(struct ledger *ledger)
{
    return print_rows(ledger, "Orders                                      number         amount",
                      "SELECT kind, count(*), sum(amount) / 10000.0 FROM orders GROUP BY kind"
                      " UNION ALL SELECT 'shipped', count(*), NULL FROM shipments") &&
           print_rows(ledger, "Revenue by country                          orders         amount",
                      "SELECT country, count(*), sum(amount) / 10000.0 FROM orders"
                      " GROUP BY country ORDER BY 3 DESC LIMIT 10") &&
           print_rows(ledger, "Top products                                pieces         amount",
                      "SELECT max(description), sum(quantity), sum(quantity * unit_price) / 10000.0"
                      " FROM order_lines GROUP BY stock_code ORDER BY 3 DESC LIMIT 10");
}

static bool prepare(struct analytics *analytics)
{
    struct ledger *ledger = &analytics->worker.ledger;
    analytics->add_order =
        ledger_prepare(ledger, "INSERT INTO orders (order_id, kind, country, ordered_at,"
                               " customer_id, amount) VALUES (?, ?, ?, ?, ?, ?)");
    analytics->add_line =
        ledger_prepare(ledger, "INSERT INTO order_lines (order_id, number, stock_code, description,"
                               " quantity, unit_price) VALUES (?, ?, ?, ?, ?, ?)");
    analytics->add_shipment =
        ledger_prepare(ledger, "INSERT INTO shipments (order_id, event_id, correlation_id,"
                               " causation_id) VALUES (?, ?, ?, ?)");
    return analytics->add_order != NULL && analytics->add_line != NULL &&
           analytics->add_shipment != NULL;
}

static int report(const char *database)
{
    struct ledger ledger;
    bool ok = ledger_open(&ledger, database, tables, NULL) && print_report(&ledger);
    ledger_close(&ledger);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct store_common common = {.database = "analytics.db"};
    const char *wants_report = NULL;
    const struct store_option options[] = {
        STORE_COMMON_OPTIONS(&common, "analytics.db"),
        {"report", NULL, "print the report and end", &wants_report},
        {0},
    };
    store_options(argc, argv,
                  "Records every order and every shipment for reports: revenue by country, top\n"
                  "products.",
                  options);
    if (wants_report != NULL) {
        return report(common.database);
    }
    struct analytics analytics = {.worker = {.apply = apply}};
    struct tidings *service = worker_start(&analytics.worker, "analytics", &common, tables);
    if (service == NULL) {
        return EXIT_FAILURE;
    }
    int status = EXIT_FAILURE;
    struct tidings_error error;
    if (tidings_on(service, "shipments", "OrderShipped", on_shipped, &analytics, &error) !=
        TIDINGS_OK) {
        store_complain("%s", error.text);
    } else if (prepare(&analytics)) {
        status = store_service_run(service);
    }
    sqlite3_finalize(analytics.add_order);
    sqlite3_finalize(analytics.add_line);
    sqlite3_finalize(analytics.add_shipment);
    ledger_close(&analytics.worker.ledger);
    return status;
}
