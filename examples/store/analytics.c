/*
 * store-analytics: keeps every order and what became of it, for reports (store-report). Its topics
 * are read side by side, so an order's fate may come before the order: each fact has its own place
 * and none waits for another.
 */
#include "service.h"

static const char tables[] =
    "create table if not exists orders ("
    " order_id text primary key, kind text not null, country text not null, ordered_at text,"
    " customer_id text, amount bigint not null);"
    "create table if not exists order_lines ("
    " order_id text, number bigint, stock_code text not null, description text not null,"
    " quantity bigint not null, unit_price bigint not null, primary key (order_id, number));"
    "create table if not exists facts ("
    " order_id text, fact text, event_id text not null, correlation_id text not null,"
    " causation_id text not null, primary key (order_id, fact));";

static bool note_fact(struct work *work, const char *fact)
{
    const struct tidings_event *event = work->event;
    return db_run(work->db,
                  "insert into facts (order_id, fact, event_id, correlation_id, causation_id)"
                  " values ($1, $2, $3, $4, $5) on conflict do nothing",
                  db_text(work->order.id), db_text(fact), db_text(event->id),
                  db_text(event->correlation_id), db_text(event->causation_id));
}

static bool note_order(struct work *work, const char *kind)
{
    const struct order *order = &work->order;
    db_run(work->db,
           "insert into orders (order_id, kind, country, ordered_at, customer_id, amount)"
           " values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
           db_text(order->id), db_text(kind), db_text(order->country), db_text(order->ordered_at),
           db_text(order->customer_id), db_number(order_amount(order)));
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        db_run(work->db,
               "insert into order_lines (order_id, number, stock_code, description, quantity,"
               " unit_price) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
               db_text(order->id), db_number((int64_t)i + 1), db_text(line->stock_code),
               db_text(line->description), db_number(line->quantity), db_number(line->unit_price));
    }
    return db_ok(work->db);
}

static bool on_placed(struct work *work)
{
    return note_order(work, "placed");
}

/* A return is an order of its own, with negative amounts. */
static bool on_cancelled(struct work *work)
{
    return work->order.cancels != NULL ? note_fact(work, "cancelled")
                                       : note_order(work, "returned");
}

static bool on_reserved(struct work *work)
{
    return note_fact(work, "reserved");
}

static bool on_short(struct work *work)
{
    return note_fact(work, "short");
}

static bool on_released(struct work *work)
{
    return note_fact(work, "released");
}

static bool on_prepared(struct work *work)
{
    return note_fact(work, "prepared");
}

const struct service analytics_service = {
    .name = "analytics",
    .about = "Keeps every order and what became of it for reports: see store-report.",
    .tables = tables,
    .handlers = {{"orders", "OrderPlaced", on_placed},
                 {"orders", "OrderCancelled", on_cancelled},
                 {"stock", "StockReserved", on_reserved},
                 {"stock", "StockShort", on_short},
                 {"stock", "StockReleased", on_released},
                 {"shipments", "ShipmentPrepared", on_prepared}},
};
