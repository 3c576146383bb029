/* store-shipping: prepares a delivery for each order and publishes OrderShipped. */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shipping {
    struct worker worker;
    sqlite3_stmt *prepare;
};

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS deliveries ("
    " order_id TEXT PRIMARY KEY, kind TEXT NOT NULL, country TEXT NOT NULL,"
    " line_count INTEGER NOT NULL, pieces INTEGER NOT NULL, event_id TEXT NOT NULL);";

static bool apply(struct worker *worker, const struct tidings_event *event,
                  const struct order *order)
{
    struct shipping *shipping = (struct shipping *)worker;
    sqlite3_stmt *prepare = shipping->prepare;
    sqlite3_bind_text(prepare, 1, order->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(prepare, 2, order_is_cancellation(order) ? "return" : "delivery", -1,
                      SQLITE_STATIC);
    sqlite3_bind_text(prepare, 3, order->country, -1, SQLITE_STATIC);
    sqlite3_bind_int64(prepare, 4, (int64_t)order->line_count);
    sqlite3_bind_int64(prepare, 5, order_pieces(order));
    sqlite3_bind_text(prepare, 6, event->id, -1, SQLITE_STATIC);
    return ledger_step(&worker->ledger, prepare);
}

/*
 * Also for an order that comes again: the last time may have ended between the commit and the
 * acknowledgement. The event's id is made from the order's, so receivers recognise a repetition.
 */
static bool announce(struct worker *worker, struct tidings *service,
                     const struct tidings_event *event, const struct order *order)
{
    if (order_is_cancellation(order)) {
        return true; /* the customer sends it back; nothing leaves the house */
    }
    json_t *body = json_pack("{s:s, s:s, s:I}", "orderId", order->id, "country", order->country,
                             "pieces", (json_int_t)order_pieces(order));
    char *data = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    char id[ORDER_ID_MAX + 16];
    snprintf(id, sizeof id, "%s.shipped", order->id);
    struct tidings_message message = {
        .topic = "shipments",
        .type = "OrderShipped",
        .key = order_key(order),
        .subject = order->id,
        .id = id,
        .cause = event,
        .data = data,
        .data_size = strlen(data),
    };
    struct tidings_error error;
    bool ok = tidings_publish(service, &message, NULL, NULL, &error) == TIDINGS_OK;
    if (!ok) {
        ledger_fail(&worker->ledger, "publish", "OrderShipped of %s: %s", order->id, error.text);
    }
    free(data);
    return ok;
}

int main(int argc, char **argv)
{
    struct store_common common = {.database = "shipping.db"};
    const struct store_option options[] = {STORE_COMMON_OPTIONS(&common, "shipping.db"), {0}};
    store_options(argc, argv,
                  "Prepares a delivery for each OrderPlaced and a return for each OrderCancelled,\n"
                  "and publishes OrderShipped to the topic shipments.",
                  options);
    struct shipping shipping = {.worker = {.apply = apply, .announce = announce}};
    struct tidings *service = worker_start(&shipping.worker, "shipping", &common, tables);
    if (service == NULL) {
        return EXIT_FAILURE;
    }
    shipping.prepare = ledger_prepare(&shipping.worker.ledger,
                                      "INSERT INTO deliveries (order_id, kind, country, line_count,"
                                      " pieces, event_id) VALUES (?, ?, ?, ?, ?, ?)");
    int status = shipping.prepare != NULL ? store_service_run(service) : EXIT_FAILURE;
    sqlite3_finalize(shipping.prepare);
    ledger_close(&shipping.worker.ledger);
    return status;
}
