#ifndef STORE_REPORT_H
#define STORE_REPORT_H

#include <stdint.h>
#include <stdio.h>

/* What store-report has found: sales by hour, by product and by country. */
enum { REPORT_ROWS_MAX = 24 };

struct report_row {
    char name[36];
    int64_t count;  /* of what the panel counts */
    int64_t amount; /* 1/PRICE_UNITS */
};

struct report_panel {
    const char *title;
    const char *counted; /* what count counts: "orders" */
    struct report_row rows[REPORT_ROWS_MAX];
    int row_count;
};

struct report {
    struct report_panel hours, products, countries;
    int64_t order_count;
    int64_t amount;
};

/* Draws it: a picture of its own, readable on light and dark. */
void report_draw(const struct report *report, FILE *out);

#endif
