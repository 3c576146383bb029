/* store-report: what Analytics has kept, as a table and as a picture: sales by hour, product and
 * country. */
#include "report.h"

#include "db.h"
#include "order.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sold is what was reserved and is not cancelled; returns count against it. */
#define SOLD                                                                                       \
    "with sold as (select * from orders o where kind = 'returned' or"                              \
    " (exists (select 1 from facts f where f.order_id = o.order_id and fact = 'reserved') and"     \
    " not exists (select 1 from facts f where f.order_id = o.order_id and fact = 'cancelled'))) "

/* Names are cut between two characters. */
static void take_name(struct report_row *row, const char *name)
{
    size_t size = strlen(name);
    if (size >= sizeof row->name) {
        size = sizeof row->name - 1;
        while (size > 0 && ((unsigned char)name[size] & 0xC0) == 0x80) {
            size--;
        }
    }
    memcpy(row->name, name, size);
    row->name[size] = '\0';
}

static void read_panel(struct db *db, struct report_panel *panel, const char *sql)
{
    db_run(db, sql);
    while (panel->row_count < REPORT_ROWS_MAX && db_row(db)) {
        struct report_row *row = &panel->rows[panel->row_count++];
        const char *name = db_row_text(db, 0);
        take_name(row, name != NULL ? name : "");
        row->count = db_row_number(db, 1);
        row->amount = db_row_number(db, 2);
    }
}

static bool read_report(struct db *db, struct report *report)
{
    *report = (struct report){
        .hours = {.title = "Sales by hour of the day", .counted = "orders"},
        .products = {.title = "The ten best products", .counted = "pieces"},
        .countries = {.title = "The ten best countries", .counted = "orders"},
    };
    if (!db_begin(db)) {
        return false;
    }
    db_run(db, SOLD "select count(*), sum(amount) from sold");
    if (db_row(db)) {
        report->order_count = db_row_number(db, 0);
        report->amount = db_row_number(db, 1);
    }
    read_panel(db, &report->hours,
               SOLD "select substr(ordered_at, 12, 2), count(*), sum(amount) from sold"
                    " group by 1 order by 1");
    read_panel(db, &report->products,
               SOLD "select max(l.description), sum(l.quantity), sum(l.quantity * l.unit_price)"
                    " from order_lines l join sold s on s.order_id = l.order_id"
                    " group by l.stock_code order by 3 desc, 1 limit 10");
    read_panel(db, &report->countries,
               SOLD "select country, count(*), sum(amount) from sold"
                    " group by 1 order by 3 desc, 1 limit 10");
    return db_commit(db);
}

static void print_panel(const struct report_panel *panel)
{
    printf("\n%-40s %10s %14s\n", panel->title, panel->counted, "amount");
    for (int i = 0; i < panel->row_count; i++) {
        const struct report_row *row = &panel->rows[i];
        printf("  %-38s %10lld %14.2f\n", row->name, (long long)row->count,
               (double)row->amount / PRICE_UNITS);
    }
}

static bool draw(const struct report *report, const char *path)
{
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        report_draw(report, out);
    }
    bool ok = out != NULL && !ferror(out);
    if (out != NULL && fclose(out) != 0) {
        ok = false;
    }
    if (!ok) {
        store_complain("%s: %s", path, strerror(errno));
    }
    return ok;
}

int main(int argc, char **argv)
{
    const char *database = "analytics.db", *svg = NULL;
    const struct store_option options[] = {
        {"db", "FILE", "where Analytics keeps its data; or postgresql://... [analytics.db]",
         &database},
        {"svg", "FILE", "also draw it there", &svg},
        {0},
    };
    store_options(
        argc, argv,
        "Prints what was sold, less what was cancelled and returned: by hour of the day,\n"
        "by product and by country.",
        options);
    if (strstr(database, "://") == NULL && access(database, R_OK) != 0) {
        store_complain("%s: %s", database, strerror(errno));
        return EXIT_FAILURE;
    }
    struct report report;
    struct db *db = db_open(database, "");
    bool ok = db != NULL && read_report(db, &report);
    if (db != NULL && !ok) {
        store_complain("database: %s", db_why(db));
    }
    db_close(db);
    if (!ok) {
        return EXIT_FAILURE;
    }
    printf("%-40s %10lld %14.2f\n", "Orders sold, and returns", (long long)report.order_count,
           (double)report.amount / PRICE_UNITS);
    print_panel(&report.hours);
    print_panel(&report.products);
    print_panel(&report.countries);
    return svg == NULL || draw(&report, svg) ? EXIT_SUCCESS : EXIT_FAILURE;
}
