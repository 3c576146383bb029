#ifndef STORE_INTAKE_H
#define STORE_INTAKE_H

#include "order.h"

#include <tidings.h>

/* Order intake: from HTTP and from CSV to events on the topic orders. */

/* Publishes OrderPlaced or OrderCancelled, keyed by order_key. json (order_to_json) lives until the
 * call returns. delivered NULL: waits until the order is kept. */
enum tidings_status intake_publish(struct tidings *service, const struct order *order,
                                   const char *json, tidings_delivered_fn *delivered, void *context,
                                   struct tidings_error *error);

/* Which orders of a CSV file to take, and how fast. */
struct intake_range {
    long skip; /* orders at the beginning to leave out */
    long take; /* how many to take then; -1: all */
    long rate; /* orders a second; 0: as fast as the bus takes them */
};

/*
 * Reads a CSV of orders with the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate,
 * UnitPrice, CustomerID, Country in any order, and publishes them. Consecutive lines with one
 * InvoiceNo are one order; an InvoiceNo that comes back later becomes the order InvoiceNo-2.
 * Returns the exit status: 0 when each order was published.
 */
int intake_csv(struct tidings *service, const char *path, struct intake_range range);

/* Serves POST /orders at HOST:PORT until the process is asked to stop. Returns the exit status. */
int intake_http(struct tidings *service, const char *listen_address);

/* "12-01-2010 08:26", "12/1/2010 8:26" or "2010-12-01 08:26:00" to "2010-12-01T08:26:00". */
bool intake_date(const char *text, char iso[20]);

#endif
