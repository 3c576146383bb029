/*
 * store-inventory: reserves what an order needs, all of it or nothing, and says which.
 *
 *     OrderPlaced     StockReserved, or StockShort with the lines that are short
 *     OrderCancelled  a reserved order: what it held is free again, StockReleased
 *                     a return: the pieces are back on the shelf
 *
 * Any number of instances may share one database: the order in which two of them take from an
 * article is that in which they come to its row.
 */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each change of an article has a row in the journal, and so has each look by which an order was
 * found short: number counts them, so that anybody can go through them and see that the level was
 * never below zero, and that what was called short was. A short article has change 0, and level is
 * what was there.
 */
static const char tables[] =
    "create table if not exists stock ("
    " stock_code text primary key, level bigint not null, changes bigint not null);"
    "create table if not exists journal ("
    " stock_code text, number bigint, order_id text not null, what text not null,"
    " wanted bigint not null, change bigint not null, level bigint not null,"
    " primary key (stock_code, number));"
    "create table if not exists decisions (order_id text primary key, fate text not null);";

struct inventory {
    int64_t first_level;
};

/* An article of an order, all of its lines together. */
struct need {
    const char *stock_code;
    int64_t wanted; /* pieces; of a return as well */
    int64_t level;
    int64_t number; /* in the journal */
};

struct needs {
    struct need *items;
    size_t count;
};

static int by_stock_code(const void *left, const void *right)
{
    return strcmp(((const struct need *)left)->stock_code,
                  ((const struct need *)right)->stock_code);
}

/* The articles sorted, so that two orders never wait for each other's. */
static struct needs needs_new(const struct order *order)
{
    struct needs needs = {calloc(order->line_count + 1, sizeof *needs.items), 0};
    if (needs.items == NULL) {
        abort();
    }
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        needs.items[i] = (struct need){line->stock_code, llabs(line->quantity), 0, 0};
    }
    qsort(needs.items, order->line_count, sizeof *needs.items, by_stock_code);
    for (size_t i = 0; i < order->line_count; i++) {
        struct need *last = needs.count > 0 ? &needs.items[needs.count - 1] : NULL;
        if (last != NULL && by_stock_code(last, &needs.items[i]) == 0) {
            last->wanted += needs.items[i].wanted;
        } else {
            needs.items[needs.count++] = needs.items[i];
        }
    }
    return needs;
}

/* Reads the levels and locks their rows until the end of the transaction. Is there enough? */
static bool needs_look(struct work *work, struct needs *needs)
{
    const struct inventory *inventory = work->self;
    bool is_enough = true;
    for (size_t i = 0; i < needs->count; i++) {
        struct need *need = &needs->items[i];
        db_run(work->db,
               "insert into stock (stock_code, level, changes) values ($1, $2, 1)"
               " on conflict (stock_code) do update set changes = stock.changes + 1"
               " returning level, changes",
               db_text(need->stock_code), db_number(inventory->first_level));
        if (db_row(work->db)) {
            need->level = db_row_number(work->db, 0);
            need->number = db_row_number(work->db, 1);
        }
        is_enough = is_enough && need->level >= need->wanted;
    }
    return is_enough;
}

/* Changes each level by sign times what is wanted, and writes the journal. */
static bool needs_change(struct work *work, const struct needs *needs, int sign, const char *what)
{
    for (size_t i = 0; i < needs->count; i++) {
        const struct need *need = &needs->items[i];
        int64_t change = sign * need->wanted;
        db_run(work->db, "update stock set level = level + $1 where stock_code = $2",
               db_number(change), db_text(need->stock_code));
        db_run(work->db,
               "insert into journal (stock_code, number, order_id, what, wanted, change, level)"
               " values ($1, $2, $3, $4, $5, $6, $7)",
               db_text(need->stock_code), db_number(need->number), db_text(work->order.id),
               db_text(what), db_number(need->wanted), db_number(change),
               db_number(need->level + change));
    }
    return db_ok(work->db);
}

/* What became of the order in hand so far; "": nothing. */
static const char *fate(struct work *work, char text[16])
{
    text[0] = '\0';
    db_run(work->db, "select fate from decisions where order_id = $1", db_text(work->order.id));
    if (db_row(work->db)) {
        snprintf(text, 16, "%s", db_row_text(work->db, 0));
    }
    return text;
}

static bool decide(struct work *work, const char *decision)
{
    return db_run(work->db,
                  "insert into decisions (order_id, fate) values ($1, $2)"
                  " on conflict (order_id) do update set fate = excluded.fate",
                  db_text(work->order.id), db_text(decision));
}

/* The order without its lines, or with those that are short. Borrows from it; lines are freed. */
static struct order excerpt(const struct order *order, const struct needs *shelf)
{
    struct order part = *order;
    part.line_count = 0;
    part.lines = calloc(order->line_count + 1, sizeof *part.lines);
    if (part.lines == NULL) {
        abort();
    }
    for (size_t i = 0; shelf != NULL && i < order->line_count; i++) {
        struct need key = {.stock_code = order->lines[i].stock_code};
        const struct need *need =
            bsearch(&key, shelf->items, shelf->count, sizeof key, by_stock_code);
        if (need->level < need->wanted) {
            part.lines[part.line_count++] = order->lines[i];
        }
    }
    return part;
}

static bool tell(struct work *work, const char *type, const char *what, const struct needs *shelf)
{
    struct order part = excerpt(&work->order, shelf);
    bool ok = work_publish(work, "stock", type, what, &part);
    free(part.lines);
    return ok;
}

static bool reserve(struct work *work, struct needs *needs)
{
    if (needs_look(work, needs)) {
        return needs_change(work, needs, -1, "reserved") && decide(work, "reserved") &&
               tell(work, "StockReserved", "reserved", NULL);
    }
    return needs_change(work, needs, 0, "short") && decide(work, "short") &&
           tell(work, "StockShort", "short", needs);
}

static bool put_back(struct work *work, struct needs *needs, const char *what)
{
    needs_look(work, needs);
    return needs_change(work, needs, 1, what) && decide(work, what);
}

static bool on_placed(struct work *work)
{
    char before[16];
    if (fate(work, before)[0] != '\0') {
        return db_ok(work->db); /* it was decided, or cancelled before it came */
    }
    struct needs needs = needs_new(&work->order);
    bool ok = reserve(work, &needs);
    free(needs.items);
    return ok;
}

static bool on_cancelled(struct work *work)
{
    char before[16];
    fate(work, before);
    struct needs needs = needs_new(&work->order);
    bool ok = db_ok(work->db);
    if (work->order.cancels == NULL) {
        ok = ok && (before[0] != '\0' || put_back(work, &needs, "returned"));
    } else if (strcmp(before, "reserved") == 0) {
        ok = ok && put_back(work, &needs, "released") &&
             tell(work, "StockReleased", "released", NULL);
    } else if (before[0] == '\0') {
        ok = ok && decide(work, "cancelled");
    }
    free(needs.items);
    return ok;
}

static void *start(const char *const *values)
{
    struct inventory *inventory = calloc(1, sizeof *inventory);
    if (inventory == NULL) {
        abort();
    }
    inventory->first_level = store_number("first-level", values[0], 0, 1000000000);
    return inventory;
}

const struct service inventory_service = {
    .name = "inventory",
    .about =
        "Keeps stock levels: reserves what an order needs, all of it or nothing, and publishes\n"
        "StockReserved or StockShort to the topic stock; puts back what is returned, and what a\n"
        "cancelled order held (StockReleased). Start it twice to share the load.",
    .tables = tables,
    .handlers = {{"orders", "OrderPlaced", on_placed}, {"orders", "OrderCancelled", on_cancelled}},
    .options = {{"first-level", "N", "pieces on the shelf when an article is first seen [1000]",
                 "1000"}},
    .start = start,
};
