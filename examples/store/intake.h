#ifndef STORE_INTAKE_H
#define STORE_INTAKE_H

#include "db.h"
#include "order.h"

#include <pthread.h>

/*
 * Order intake: takes orders by HTTP and from CSV into its own database, and with each, in one
 * transaction, the event that says so. The outbox publishes it when the bus is there. So an order
 * that was taken is never lost, and one that is handed in twice is one order.
 */
struct intake {
    struct tidings *service;
    pthread_mutex_t lock; /* one transaction at a time */
    struct db *db;
    struct db *outbox_db;
    struct tidings_outbox *outbox;
};

/* False after a complaint; then nothing is open. */
bool intake_open(struct intake *intake, struct tidings *service, const char *database);
void intake_close(struct intake *intake);

enum intake_answer {
    INTAKE_TAKEN,
    INTAKE_KNOWN,   /* it was taken before; nothing is to do */
    INTAKE_REFUSED, /* it can never be taken: the problem says why */
    INTAKE_UNKNOWN, /* there is no such order */
    INTAKE_FAILED   /* the database failed: the problem says how */
};

/* Locks and begins. False with the problem: nothing is open. */
bool intake_begin(struct intake *intake, struct order_problem *problem);

/* Ends what intake_begin began, and wakes the outbox. False with the problem (of the call that
 * failed first): nothing was taken. */
bool intake_commit(struct intake *intake, struct order_problem *problem);

/* In between. The order has an id and all; when it has no time, it is given one. */
enum intake_answer intake_place(struct intake *intake, struct order *order,
                                struct order_problem *problem);
enum intake_answer intake_cancel(struct intake *intake, const char *order_id,
                                 struct order_problem *problem);

/* The order's JSON, to be freed, and whether it was cancelled; NULL: there is none, or the database
 * failed. */
char *intake_find(struct intake *intake, const char *order_id, bool *is_cancelled);

/* Which orders of a CSV file to take, and how fast. */
struct intake_range {
    long skip; /* orders at the beginning to leave out */
    long take; /* how many to take then; -1: all */
    long rate; /* orders a second; 0: as fast as the database takes them */
};

/*
 * Takes a CSV of orders with the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate,
 * UnitPrice, CustomerID, Country in any order, and waits until the bus has them. Consecutive lines
 * with one InvoiceNo are one order; an InvoiceNo that comes back later becomes the order
 * InvoiceNo-2. Returns the exit status: 0 when each order was taken, now or before.
 */
int intake_csv(struct intake *intake, const char *path, struct intake_range range);

/* Serves /orders at HOST:PORT until the process is asked to stop. Returns the exit status. */
int intake_http(struct intake *intake, const char *listen_address);

/* "12-01-2010 08:26", "12/1/2010 8:26" or "2010-12-01 08:26:00" to "2010-12-01T08:26:00". */
bool intake_date(const char *text, char iso[20]);

#endif
