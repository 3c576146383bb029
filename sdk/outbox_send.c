#include "outbox.h"

#include "service.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/admin/admin.h"

#include <stdlib.h>
#include <string.h>

/* The bus's side of the outbox: a producer of its own, one transaction a batch. */

enum { EVENT_TIMEOUT_MS = 20000 };

static void at(struct outbox_sender *sender, enum outbox_step step)
{
    if (sender->at != NULL) {
        sender->at(sender->context, step);
    }
}

static void on_done(void *context, const struct publication *publication)
{
    struct outbox_row *row = publication->context;
    row->is_settled = true;
    if (publication->error != NULL) {
        row->error = *publication->error;
    }
}

void outbox_sender_close(struct outbox_sender *sender)
{
    publisher_close(sender->publisher);
    sender->publisher = NULL;
}

/* Both the id of its transactions and the name of the group that keeps the number of the last
 * one. The outbox's own id is in it: two services of one name may have a database each. */
static char *group_of(const struct outbox_owner *owner)
{
    return mem_sprintf("%s.outbox.%s", owner->service, owner->outbox);
}

static enum client_status open_publisher(struct outbox_sender *sender,
                                         const struct outbox_owner *owner,
                                         struct client_error *error)
{
    struct publisher_settings settings = {
        .connection = service_connection(sender->service),
        .event_timeout_ms = EVENT_TIMEOUT_MS,
        .done = on_done,
    };
    size_t count = settings.connection.property_count;
    const char **properties = mem_zalloc_array(count + 1, sizeof *properties);
    char *group = group_of(owner), *id = mem_sprintf("transactional.id=%s", group);
    for (size_t i = 0; i < count; i++) {
        properties[i] = settings.connection.properties[i];
    }
    properties[count] = id;
    settings.connection.properties = properties;
    settings.connection.property_count = count + 1;
    settings.connection.notice = NULL; /* that it is fenced ends a producer, not the service */
    enum client_status status = publisher_open(&settings, &sender->publisher, error);
    free(id);
    free(group);
    free(properties);
    return status;
}

enum client_status outbox_sender_start(struct outbox_sender *sender,
                                       const struct outbox_owner *owner, struct client_error *error)
{
    outbox_sender_close(sender);
    if (sender->service->played != NULL) {
        at(sender, OUTBOX_STARTED);
        return CLIENT_OK;
    }
    enum client_status status = open_publisher(sender, owner, error);
    if (status != CLIENT_OK) {
        return status;
    }
    do {
        status = publisher_txn_start(sender->publisher, sender->step_ms, error);
    } while (status == CLIENT_TIMED_OUT && sender->go_on(sender->context));
    if (status != CLIENT_OK) {
        outbox_sender_close(sender);
    } else {
        at(sender, OUTBOX_STARTED);
    }
    return status;
}

enum client_status outbox_sender_committed(struct outbox_sender *sender,
                                           const struct outbox_owner *owner, int64_t *number,
                                           struct client_error *error)
{
    struct topic_partitions offsets;
    char *group = group_of(owner);
    if (sender->service->played != NULL) {
        *number = sender->service->played->outbox_committed(sender->service, group);
        free(group);
        return CLIENT_OK;
    }
    enum client_status status =
        admin_group_offsets(publisher_connection(sender->publisher), group, NULL, &offsets, error);
    *number = 0;
    for (size_t i = 0; status == CLIENT_OK && i < offsets.count; i++) {
        *number = offsets.items[i].offset > *number ? offsets.items[i].offset : *number;
    }
    if (status == CLIENT_OK) {
        topic_partitions_deinit(&offsets);
    }
    free(group);
    return status;
}

/* The bus, or the client before it, says no to this event or to its topic. */
static bool was_refused(const struct outbox_row *row)
{
    const struct client_error *error = &row->error;
    return error->status != CLIENT_OK &&
           (error->code == 0
                ? error->status == CLIENT_INVALID || error->status == CLIENT_REFUSED
                : client_is_about_event(error->code) || client_is_about_topic(error->code));
}

/* All rows go out; what the client itself refuses is known at once, and for certain. */
static void publish(struct outbox_sender *sender, struct outbox_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct outbox_row *row = &batch->rows[i];
        enum client_status status = row->is_settled ? CLIENT_INVALID : CLIENT_FULL;
        while (status == CLIENT_FULL) {
            status = publisher_publish(sender->publisher, &row->event, row, &row->error);
            if (status == CLIENT_FULL) {
                publisher_serve(sender->publisher, sender->step_ms);
            }
        }
        if (status == CLIENT_OK && !row->is_settled) {
            row->error.status = CLIENT_OK;
        }
        if (status != CLIENT_OK) {
            row->is_settled = true;
            row->is_refused = was_refused(row);
        }
    }
}

/* Until each row is acknowledged (CLIENT_OK), or one is not: with its status. */
static enum client_status wait_settled(struct outbox_sender *sender, struct outbox_batch *batch,
                                       struct client_error *error)
{
    size_t done = 0;
    while (done < batch->count) {
        const struct outbox_row *row = &batch->rows[done];
        if (!row->is_settled) {
            publisher_serve(sender->publisher, sender->step_ms);
            if (!row->is_settled && !sender->go_on(sender->context)) {
                return client_fail(error, CLIENT_CLOSED, NULL, "it was stopped");
            }
        } else if (was_refused(row)) {
            *error = row->error;
            return CLIENT_REFUSED;
        } else if (row->error.status != CLIENT_OK) {
            *error = row->error;
            if (error->status == CLIENT_CLOSED) {
                client_fail(error, CLIENT_CLOSED, NULL,
                            "another process has taken over, or the bus has ended the transaction");
            }
            return row->error.status == CLIENT_REFUSED ? CLIENT_UNREACHABLE : row->error.status;
        } else {
            done++;
        }
    }
    return CLIENT_OK;
}

/*
 * Which rows to hold. A topic that is refused holds with its first row. The bus refuses a batch as
 * a whole when it is too large for the topic, or one of its events is: nobody can tell which, but
 * of one that was alone.
 */
static void find_refused(struct outbox_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct outbox_row *row = &batch->rows[i];
        bool is_topic = row->is_settled && client_is_about_topic(row->error.code);
        for (size_t j = 0; is_topic && j < i; j++) {
            is_topic = !batch->rows[j].is_refused ||
                       strcmp(batch->rows[j].event.topic, row->event.topic) != 0;
        }
        row->is_refused = row->is_refused || is_topic ||
                          (batch->count == 1 && row->is_settled && was_refused(row));
    }
}

static enum client_status undo(struct outbox_sender *sender, struct outbox_batch *batch,
                               struct client_error *error)
{
    enum client_status status;
    find_refused(batch);
    do {
        status = publisher_txn_abort(sender->publisher, sender->step_ms, error);
    } while (status == CLIENT_TIMED_OUT && sender->go_on(sender->context));
    return status == CLIENT_OK        ? CLIENT_REFUSED
           : status == CLIENT_REFUSED ? CLIENT_INVALID
                                      : status;
}

/* The number of the batch goes with its events. */
static enum client_status mark(struct outbox_sender *sender, const struct outbox_owner *owner,
                               const struct outbox_batch *batch, struct client_error *error)
{
    struct topic_partitions offsets = {0};
    char *group = group_of(owner);
    enum client_status status;
    topic_partitions_add(&offsets, batch->rows[0].event.topic, 0, batch->number);
    do {
        status = publisher_txn_offsets(sender->publisher, group, &offsets, sender->step_ms, error);
    } while (status == CLIENT_TIMED_OUT && sender->go_on(sender->context));
    topic_partitions_deinit(&offsets);
    free(group);
    return status;
}

static enum client_status commit(struct outbox_sender *sender, struct client_error *error)
{
    enum client_status status;
    do {
        status = publisher_txn_commit(sender->publisher, sender->step_ms, error);
    } while (status == CLIENT_TIMED_OUT && sender->go_on(sender->context));
    return status;
}

static enum client_status send_all(struct outbox_sender *sender, const struct outbox_owner *owner,
                                   struct outbox_batch *batch, struct client_error *error)
{
    at(sender, OUTBOX_SENT);
    enum client_status status = mark(sender, owner, batch, error);
    if (status == CLIENT_OK) {
        at(sender, OUTBOX_MARKED);
        status = commit(sender, error);
    }
    if (status == CLIENT_OK) {
        at(sender, OUTBOX_COMMITTED);
    }
    return status == CLIENT_REFUSED ? CLIENT_INVALID : status; /* no row is what was refused */
}

static enum client_status play(struct tidings *service, const struct outbox_owner *owner,
                               struct outbox_batch *batch, struct client_error *error)
{
    char *group = group_of(owner);
    enum client_status status = service->played->outbox_publish(service, group, batch, error);
    free(group);
    return status;
}

enum client_status outbox_sender_send(struct outbox_sender *sender,
                                      const struct outbox_owner *owner, struct outbox_batch *batch,
                                      struct client_error *error)
{
    if (sender->service->played != NULL) {
        return play(sender->service, owner, batch, error);
    }
    enum client_status status = publisher_txn_begin(sender->publisher, error);
    if (status == CLIENT_OK) {
        publish(sender, batch);
        status = wait_settled(sender, batch, error);
        status = status == CLIENT_REFUSED ? undo(sender, batch, error)
                 : status == CLIENT_OK    ? send_all(sender, owner, batch, error)
                                          : status;
    }
    if (status != CLIENT_OK && status != CLIENT_REFUSED) {
        outbox_sender_close(sender);
    }
    return status;
}
