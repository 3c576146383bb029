/* store-inventory: keeps stock levels. Any number of instances may share one database. */
#include "worker.h"

#include <stdlib.h>

struct inventory {
    struct worker worker;
    sqlite3_stmt *change;
    long first_level;
};

static const char tables[] = "CREATE TABLE IF NOT EXISTS stock ("
                             " stock_code TEXT PRIMARY KEY, level INTEGER NOT NULL) WITHOUT ROWID;";

/* What is sold leaves the shelf; what is cancelled has negative quantities and comes back. */
static bool apply(struct worker *worker, const struct tidings_event *event,
                  const struct order *order)
{
    struct inventory *inventory = (struct inventory *)worker;
    for (size_t i = 0; i < order->line_count; i++) {
        const struct order_line *line = &order->lines[i];
        sqlite3_bind_text(inventory->change, 1, line->stock_code, -1, SQLITE_STATIC);
        sqlite3_bind_int64(inventory->change, 2, inventory->first_level);
        sqlite3_bind_int64(inventory->change, 3, line->quantity);
        if (!ledger_step(&worker->ledger, inventory->change)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct store_common common = {.database = "inventory.db"};
    const char *first_level = "1000";
    const struct store_option options[] = {
        STORE_COMMON_OPTIONS(&common, "inventory.db"),
        {"first-level", "N", "pieces on the shelf when an article is first seen [1000]",
         &first_level},
        {0},
    };
    store_options(argc, argv,
                  "Keeps stock levels: takes what OrderPlaced sells off the shelf, puts what\n"
                  "OrderCancelled returns back. Start it twice to share the load.",
                  options);
    struct inventory inventory = {
        .worker = {.apply = apply},
        .first_level = store_number("first-level", first_level, 0, 1000000000),
    };
    struct tidings *service = worker_start(&inventory.worker, "inventory", &common, tables);
    if (service == NULL) {
        return EXIT_FAILURE;
    }
    inventory.change = ledger_prepare(&inventory.worker.ledger,
                                      "INSERT INTO stock (stock_code, level) VALUES (?1, ?2 - ?3)"
                                      " ON CONFLICT DO UPDATE SET level = level - ?3");
    int status = inventory.change != NULL ? store_service_run(service) : EXIT_FAILURE;
    sqlite3_finalize(inventory.change);
    ledger_close(&inventory.worker.ledger);
    return status;
}
