#ifndef STORE_ORDER_H
#define STORE_ORDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An order and its JSON, the data of all events of the store:
 *
 *   {"orderId": "536365", "orderedAt": "2010-12-01T08:26:00", "customerId": "17850",
 *    "country": "United Kingdom",
 *    "lines": [{"stockCode": "85123A", "description": "...", "quantity": 6, "unitPrice": 2.55}]}
 *
 * customerId may be missing or null. OrderPlaced has the whole order. OrderCancelled has one with
 * negative quantities: of a return, or, with "cancels": "536365", of that order, all of it.
 * StockShort has the lines that are short; the others have none.
 */
enum {
    ORDER_ID_MAX = 64,
    ORDER_TEXT_MAX = 255,
    ORDER_LINES_MAX = 10000,
    PRICE_UNITS = 10000 /* unit prices are kept in ten-thousandths: exact sums */
};

struct order_line {
    char *stock_code;
    char *description;
    int64_t quantity;
    int64_t unit_price; /* 1/PRICE_UNITS */
};

/* Owns its texts. Zeroed is empty and valid. */
struct order {
    char *id;
    char *ordered_at;
    char *customer_id; /* NULL: not known */
    char *country;
    char *cancels; /* the id of the order that this takes back; NULL: none */
    struct order_line *lines;
    size_t line_count;
    size_t line_capacity;
};

/* Why an order was refused. */
struct order_problem {
    char text[200];
};

void order_deinit(struct order *order);

/* Do pieces come back? Its quantities are all negative, those of other orders positive:
 * order_is_clear. */
bool order_is_return(const struct order *order);
bool order_is_clear(const struct order *order);

/* The key of its events: the customer, whose orders stay in order; the order itself when nobody
 * knows the customer. */
const char *order_key(const struct order *order);

bool order_has_article(const struct order *order, const char *stock_code);
int64_t order_amount(const struct order *order); /* 1/PRICE_UNITS */

/* Adds a line; copies the texts. */
void order_add_line(struct order *order, const char *stock_code, const char *description,
                    int64_t quantity, int64_t unit_price);

/* "-12.5" to units; false when it is no plain decimal number or too large. */
bool price_parse(const char *text, int64_t *price);

/* False with the problem when the JSON is no order; *order is then empty. orderId and orderedAt
 * may be missing, and are then NULL. */
bool order_from_json(const char *data, size_t size, struct order *order,
                     struct order_problem *problem);

/* The same, of an event: the id must be there, lines need not. */
bool order_from_event(const void *data, size_t size, struct order *order,
                      struct order_problem *problem);

/* Fresh text, to be freed. Without lines it says nothing of lines. */
char *order_to_json(const struct order *order);

/*
 * Writes a text so that it may stand in a file's name or in a mail's address: letters, digits, '-',
 * '_' and those of `also` as they are, all else as %XX. Different texts stay different. Needs three
 * times the text's bytes and one.
 */
void text_escape(char *to, const char *text, const char *also);

/* Is this text UTF-8 of at most max bytes, without control characters, and not empty? */
bool text_is_plain(const char *text, size_t max);

#endif
