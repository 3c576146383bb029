#ifndef TIDINGS_SDK_INBOX_H
#define TIDINGS_SDK_INBOX_H

#include "sql.h"

/*
 * The inbox: which events a service has handled, written in the transaction of what the handler
 * does (tidings_once.h has the contract). Two rules:
 * - An event is a row of (service, source, id, redrive). Who inserts it first does the work; who
 *   comes second waits for the end of that transaction and then finds the row, or not.
 * - Of each partition the database knows the highest fence that ever asked. Who has a lower one is
 *   late. Who has this one keeps it as it is until the end of its transaction (in PostgreSQL by a
 *   lock that all of one owner share), so a new owner's first call waits for those of the old one:
 *   none of them can end after the new owner began.
 */
struct inbox_event {
    const char *service;
    const char *source;
    const char *id; /* any bytes */
    const char *topic;
    int32_t partition;
    int64_t redrive; /* 0: not redriven */
    int64_t fence;   /* 0: it has no owner, a handler's own event: the fence is not looked at */
};

/* In the transaction that is open. May make the tables. */
enum tidings_once_answer inbox_take(const struct sql *sql, const struct inbox_event *event,
                                    struct tidings_error *error);

/* Removes up to `limit` rows of the service that are older. *gone may be NULL. */
enum sql_status inbox_retire(const struct sql *sql, const char *service, int64_t keep_ms,
                             int64_t limit, int64_t *gone, struct tidings_error *error);

#endif
