/*
 * store-shipping: prepares what is to leave the house: writes the label, a file, and publishes
 * ShipmentPrepared. It waits for the order (topic orders) and for its pieces (topic stock), in
 * whichever order they come. A cancelled order is not shipped; one that is cancelled later has
 * left, and the customer sends it back.
 */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is known of an order. placed: its JSON. */
static const char tables[] =
    "create table if not exists deliveries ("
    " order_id text primary key, placed text, is_reserved bigint not null default 0,"
    " is_cancelled bigint not null default 0, is_prepared bigint not null default 0);";

enum { PATH_SIZE = 4096 };

struct label {
    const char *folder;
    char path[PATH_SIZE];
    char fresh[PATH_SIZE + 8]; /* before it is whole; of the same name each time, so none is left */
};

static void label_init(struct label *label, const struct work *work)
{
    const char *const *values = work->self;
    char name[3 * ORDER_ID_MAX + 1];
    text_escape(name, work->order.id, "");
    label->folder = values[0];
    snprintf(label->path, sizeof label->path, "%s/%s.txt", label->folder, name);
    snprintf(label->fresh, sizeof label->fresh, "%s.new", label->path);
}

static void label_print(FILE *file, const struct order *order)
{
    fprintf(file, "Order\t%s\nTo\tcustomer %s, %s\n", order->id,
            order->customer_id != NULL ? order->customer_id : "without a number", order->country);
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        fprintf(file, "%lld\t%s\t%s\n", (long long)line->quantity, line->stock_code,
                line->description);
    }
}

/* A file's name is on disk when its folder is. */
static bool folder_sync(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) {
        close(folder);
    }
    return ok;
}

/* It is on disk when this returns; written twice it is the same file. */
static bool label_write(struct work *work, const struct order *order)
{
    struct label label;
    label_init(&label, work);
    FILE *file = fopen(label.fresh, "w");
    if (file == NULL) {
        return work_fail(work, "label", "%s: %s", label.fresh, strerror(errno));
    }
    label_print(file, order);
    bool ok = fflush(file) == 0 && fsync(fileno(file)) == 0;
    fclose(file);
    ok = ok && rename(label.fresh, label.path) == 0 && folder_sync(label.folder);
    return ok || work_fail(work, "label", "%s: %s", label.path, strerror(errno));
}

/* There may be one: of an order that was about to be prepared in the moment of a crash. */
static bool label_remove(struct work *work)
{
    struct label label;
    label_init(&label, work);
    return ((unlink(label.fresh) == 0 || errno == ENOENT) &&
            (unlink(label.path) == 0 || errno == ENOENT)) ||
           work_fail(work, "label", "%s: %s", label.path, strerror(errno));
}

/* The label is written before the commit, and it is the same if that fails and it is done again. */
static bool prepare(struct work *work, const char *json)
{
    struct order placed;
    struct order_problem problem;
    if (!order_from_event(json, strlen(json), &placed, &problem)) {
        return work_fail(work, "data", "%s", problem.text);
    }
    struct order head = placed;
    head.line_count = 0;
    bool ok = label_write(work, &placed) &&
              db_run(work->db, "update deliveries set is_prepared = 1 where order_id = $1",
                     db_text(placed.id)) &&
              work_publish(work, "shipments", "ShipmentPrepared", "prepared", &head);
    order_deinit(&placed);
    return ok;
}

#define KNOWN " returning placed, is_reserved, is_cancelled, is_prepared"

/* Does what is to be done now that something was learned of an order: the row of KNOWN. */
static bool consider(struct work *work)
{
    if (!db_row(work->db)) {
        return false;
    }
    const char *placed = db_row_text(work->db, 0);
    bool is_reserved = db_row_number(work->db, 1) != 0;
    bool is_cancelled = db_row_number(work->db, 2) != 0;
    bool is_prepared = db_row_number(work->db, 3) != 0;
    if (is_prepared) {
        return true;
    }
    if (is_cancelled) {
        return label_remove(work);
    }
    if (placed == NULL || !is_reserved) {
        return true; /* the other one is still to come */
    }
    char *json = strdup(placed);
    bool ok = prepare(work, json);
    free(json);
    return ok;
}

static bool on_placed(struct work *work)
{
    char *json = order_to_json(&work->order);
    bool ok = db_run(work->db,
                     "insert into deliveries (order_id, placed) values ($1, $2)"
                     " on conflict (order_id) do update set placed = excluded.placed" KNOWN,
                     db_text(work->order.id), db_text(json)) &&
              consider(work);
    free(json);
    return ok;
}

static bool on_reserved(struct work *work)
{
    return db_run(work->db,
                  "insert into deliveries (order_id, is_reserved) values ($1, 1)"
                  " on conflict (order_id) do update set is_reserved = 1" KNOWN,
                  db_text(work->order.id)) &&
           consider(work);
}

static bool on_cancelled(struct work *work)
{
    if (work->order.cancels == NULL) {
        return true; /* a return: the customer sends it, nothing leaves the house */
    }
    return db_run(work->db,
                  "insert into deliveries (order_id, is_cancelled) values ($1, 1)"
                  " on conflict (order_id) do update set is_cancelled = 1" KNOWN,
                  db_text(work->order.id)) &&
           consider(work);
}

static void *start(const char *const *values)
{
    const char **self = calloc(1, sizeof *self);
    if (self == NULL) {
        abort();
    }
    self[0] = values[0];
    if (mkdir(self[0], 0777) != 0 && errno != EEXIST) {
        store_usage_error("--labels %s: %s", self[0], strerror(errno));
    }
    return self;
}

const struct service shipping_service = {
    .name = "shipping",
    .about =
        "Prepares a delivery when an order was placed and its pieces are reserved: writes a label\n"
        "into a folder and publishes ShipmentPrepared to the topic shipments. An order that was\n"
        "cancelled before is not shipped.",
    .tables = tables,
    .handlers = {{"orders", "OrderPlaced", on_placed},
                 {"orders", "OrderCancelled", on_cancelled},
                 {"stock", "StockReserved", on_reserved}},
    .options = {{"labels", "DIR", "where it writes the labels [labels]", "labels"}},
    .start = start,
};
