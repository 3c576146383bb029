#include "outbox.h"

#include "base/mem.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tables of the outbox. One statement at a time; what belongs together is in a transaction. */

enum { RETRY_DOUBLINGS = 8 };

#define FREE    "service = $1 and state = 0 and batch is null"
#define REFUSED "service = $1 and state <> 0 and state = 1"

/* Runs one with values; changed may be NULL. */
static enum sql_status run(const struct sql *sql, const char *text, const struct sql_value *values,
                           size_t count, int64_t *changed, struct tidings_error *error)
{
    struct sql_statement statement = {
        .text = text, .values = values, .value_count = count, .changed = changed};
    return sql_run(sql, &statement, error);
}

struct numbers {
    int64_t *to;
    size_t count;
    bool found;
};

static void on_numbers(void *context, const struct sql_value *columns)
{
    struct numbers *numbers = context;
    numbers->found = true;
    for (size_t i = 0; i < numbers->count; i++) {
        numbers->to[i] = columns[i].kind == SQL_NUMBER ? columns[i].number : 0;
    }
}

/* A row of numbers, NULL as 0; *found may be NULL. */
static enum sql_status ask(const struct sql *sql, const char *text, const struct sql_value *values,
                           size_t count, int64_t *to, size_t to_count, bool *found,
                           struct tidings_error *error)
{
    struct numbers numbers = {to, to_count, false};
    struct sql_statement statement = {.text = text,
                                      .values = values,
                                      .value_count = count,
                                      .row = on_numbers,
                                      .context = &numbers};
    enum sql_status status = sql_run(sql, &statement, error);
    if (found != NULL) {
        *found = numbers.found;
    }
    return status;
}

/* Ends the transaction, whatever became of it. */
static enum sql_status end(const struct sql *sql, enum sql_status status,
                           struct tidings_error *error)
{
    if (status == SQL_OK) {
        status = sql_do(sql, "commit", error);
    }
    if (status != SQL_OK) {
        (void)sql_do(sql, "rollback", NULL);
    }
    return status;
}

/* --- a row comes --- */

static enum sql_status insert(const struct sql *sql, const char *service, const struct event *event,
                              struct tidings_error *error)
{
    struct arena arena = {0};
    struct buf headers = {0};
    struct event_attributes attributes = event_attributes(event);
    outbox_pack_headers(event, &headers);
    struct sql_value lane = {0};
    if (!slice_is_null(event->key)) {
        lane = sql_number(outbox_lane(event->topic, event->key));
    }
    struct sql_value values[] = {
        sql_text(service),
        sql_text(event->topic),
        lane,
        sql_bytes(event->key),
        sql_bytes(event->value),
        sql_bytes(buf_slice(&headers)),
        sql_text(sql_plain(attributes.id, &arena)),
        sql_text(sql_plain(attributes.type, &arena)),
        sql_number((int64_t)(event->key.size + event->value.size + headers.size)),
    };
    char *text = mem_sprintf(
        "insert into tidings_outbox (service, topic, lane, key, value, headers, id, type, size, "
        "added_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, %s)",
        sql_now(sql));
    enum sql_status status = run(sql, text, values, sizeof values / sizeof values[0], NULL, error);
    free(text);
    buf_deinit(&headers);
    arena_deinit(&arena);
    return status;
}

enum sql_status outbox_add(const struct sql *sql, const char *service, const struct event *event,
                           struct tidings_error *error)
{
    enum sql_status status = SQL_NO_TABLE;
    if (sql_has_schema(sql)) {
        status = insert(sql, service, event, error);
        if (status == SQL_NO_TABLE) {
            sql_note_schema(sql, false);
        }
    }
    if (status == SQL_NO_TABLE && sql_in_transaction(sql)) {
        status = sql_make_tables(sql, error);
        status = status == SQL_OK ? insert(sql, service, event, error) : status;
    }
    return status;
}

/* --- what there is to do --- */

static enum sql_status look_for_work(const struct sql *sql, const struct outbox_owner *owner,
                                     struct outbox_look *look, struct tidings_error *error)
{
    int64_t numbers[8] = {0};
    const char *now = sql_now(sql);
    struct sql_value values[] = {sql_text(owner->service), sql_text(owner->name)};
    char *text = mem_sprintf(
        "select (select count(*) from (select 1 from tidings_outbox where " FREE " and %s limit 1) "
        "a), (select count(*) from tidings_outbox where " REFUSED " and retry_ms <= %s), (select "
        "count(*) from (select 1 from tidings_outbox where service = $1 and batch is not null "
        "limit 1) b), (select count(*) from tidings_outbox where " REFUSED "), (select count(*) "
        "from tidings_outbox_owner where service = $1 and owner <> $2 and until_ms > %s), (select "
        "count(*) from (select 1 from tidings_outbox where " FREE " limit 1) c), (select %s - "
        "min(added_ms) from tidings_outbox where " REFUSED
        "), (select count(*) from (select 1 from "
        "tidings_outbox where service = $1 and state <> 0 limit 1) d)",
        sql->dialect->is_settled, now, now, now);
    enum sql_status status = ask(sql, text, values, 2, numbers, 8, NULL, error);
    free(text);
    if (status == SQL_OK) {
        bool is_orphaned = numbers[7] > 0 && numbers[3] == 0;
        look->has_work = numbers[0] > 0 || numbers[1] > 0 || numbers[2] > 0 || is_orphaned;
        look->failing = numbers[3];
        look->is_foreign = numbers[4] > 0;
        look->has_row = numbers[5] > 0 || numbers[2] > 0 || numbers[7] > 0;
        look->oldest_ms = numbers[6];
    }
    return status;
}

/* How long the first rows wait that are free: of all, and of those that cannot be taken yet. */
static enum sql_status look_for_age(const struct sql *sql, const struct outbox_owner *owner,
                                    struct outbox_look *look, struct tidings_error *error)
{
    int64_t numbers[2] = {0}; /* NULL where there is no such row: 0 */
    const char *now = sql_now(sql);
    struct sql_value values[] = {sql_text(owner->service)};
    char *text = mem_sprintf("select (select %s - added_ms from tidings_outbox where " FREE
                             " order by seq limit 1), (select %s - added_ms from tidings_outbox "
                             "where " FREE " and not %s order by seq limit 1)",
                             now, now, sql->dialect->is_settled);
    enum sql_status status = ask(sql, text, values, 1, numbers, 2, NULL, error);
    free(text);
    look->oldest_ms = numbers[0] > look->oldest_ms ? numbers[0] : look->oldest_ms;
    look->unsettled_ms = numbers[1];
    return status;
}

enum sql_status outbox_look(const struct sql *sql, const struct outbox_owner *owner,
                            struct outbox_look *look, struct tidings_error *error)
{
    *look = (struct outbox_look){0};
    enum sql_status status = look_for_work(sql, owner, look, error);
    if (status == SQL_OK && look->has_row) {
        status = look_for_age(sql, owner, look, error);
    }
    if (status == SQL_OK && look->unsettled_ms > 0 && sql->dialect->oldest_writer != NULL) {
        status = ask(sql, sql->dialect->oldest_writer, NULL, 0, &look->holder, 1, NULL, error);
    }
    if (status == SQL_NO_TABLE) {
        *look = (struct outbox_look){0}; /* nobody has added anything yet */
        status = SQL_OK;
    }
    return status;
}

enum sql_status outbox_due(const struct sql *sql, const struct outbox_owner *owner, int64_t *due_ms,
                           struct tidings_error *error)
{
    struct sql_value service = sql_text(owner->service);
    enum sql_status status = ask(sql, "select min(retry_ms) from tidings_outbox where " REFUSED,
                                 &service, 1, due_ms, 1, NULL, error);
    if (status != SQL_OK || *due_ms == 0) {
        *due_ms = INT64_MAX;
    }
    return status == SQL_NO_TABLE ? SQL_OK : status;
}

/* --- the lease --- */

struct lease {
    char owner[OUTBOX_OWNER_SIZE], outbox[OUTBOX_OWNER_SIZE];
    int64_t left_ms, batch;
    bool found;
};

static void copy_text(char to[OUTBOX_OWNER_SIZE], struct slice text)
{
    snprintf(to, OUTBOX_OWNER_SIZE, "%.*s", SLICE_ARGS(text));
}

static void on_lease(void *context, const struct sql_value *columns)
{
    struct lease *lease = context;
    copy_text(lease->owner, columns[0].bytes);
    copy_text(lease->outbox, columns[1].bytes);
    lease->left_ms = columns[2].number;
    lease->batch = columns[3].number;
    lease->found = true;
}

/* Locks the row of the outbox until the end of the transaction. */
static enum sql_status read_lease(const struct sql *sql, const char *service, struct lease *lease,
                                  struct tidings_error *error)
{
    char *text = mem_sprintf("select owner, outbox, until_ms - %s, batch from "
                             "tidings_outbox_owner where service = $1%s",
                             sql_now(sql), sql->dialect->row_lock);
    struct sql_value value = sql_text(service);
    struct sql_statement read = {
        .text = text, .values = &value, .value_count = 1, .row = on_lease, .context = lease};
    *lease = (struct lease){0};
    enum sql_status status = sql_run(sql, &read, error);
    free(text);
    return status;
}

static enum sql_status make_lease(const struct sql *sql, const char *service,
                                  struct tidings_error *error)
{
    char outbox[UUID_TEXT_SIZE];
    struct sql_value values[] = {sql_text(service), sql_text(random_uuid_text(outbox))};
    return run(sql,
               "insert into tidings_outbox_owner (service, outbox, owner, until_ms, batch) "
               "values ($1, $2, '', 0, 0) on conflict (service) do nothing",
               values, 2, NULL, error);
}

static enum sql_status write_lease(const struct sql *sql, const struct outbox_owner *owner,
                                   int64_t batch, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_text(owner->name),
                                 sql_number(owner->lease_ms), sql_number(batch)};
    char *text = mem_sprintf("update tidings_outbox_owner set owner = $2, until_ms = %s + "
                             "$3, batch = $4 where service = $1",
                             sql_now(sql));
    enum sql_status status = run(sql, text, values, 4, NULL, error);
    free(text);
    return status;
}

enum sql_status outbox_own(const struct sql *sql, struct outbox_owner *owner, bool *is_mine,
                           bool *is_new, struct tidings_error *error)
{
    struct lease lease;
    *is_mine = *is_new = false;
    enum sql_status status = sql_do(sql, sql->dialect->begin, error);
    if (status != SQL_OK) {
        return status;
    }
    status = read_lease(sql, owner->service, &lease, error);
    if (status == SQL_OK && !lease.found) {
        status = make_lease(sql, owner->service, error);
        status = status == SQL_OK ? read_lease(sql, owner->service, &lease, error) : status;
    }
    if (status == SQL_OK) {
        *is_new = strcmp(lease.owner, owner->name) != 0;
        *is_mine = !*is_new || lease.left_ms <= 0;
        owner->batch = lease.batch;
        memcpy(owner->outbox, lease.outbox, sizeof owner->outbox);
        status = *is_mine ? write_lease(sql, owner, lease.batch, error) : SQL_OK;
    }
    status = end(sql, status, error);
    *is_mine = *is_mine && status == SQL_OK;
    return status;
}

enum sql_status outbox_renew(const struct sql *sql, const struct outbox_owner *owner, bool *is_mine,
                             struct tidings_error *error)
{
    int64_t changed = 0;
    struct sql_value values[] = {sql_text(owner->service), sql_text(owner->name),
                                 sql_number(owner->lease_ms)};
    char *text = mem_sprintf("update tidings_outbox_owner set until_ms = %s + $3 where "
                             "service = $1 and owner = $2",
                             sql_now(sql));
    enum sql_status status = run(sql, text, values, 3, &changed, error);
    free(text);
    *is_mine = status == SQL_OK && changed > 0;
    return status;
}

enum sql_status outbox_disown(const struct sql *sql, const struct outbox_owner *owner,
                              struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_text(owner->name)};
    return run(sql,
               "update tidings_outbox_owner set owner = '', until_ms = 0 where service = $1 and "
               "owner = $2",
               values, 2, NULL, error);
}

/* In a transaction that has begun: whether the lease is still ours; the row is locked then. */
static enum sql_status check_lease(const struct sql *sql, const struct outbox_owner *owner,
                                   bool *is_mine, struct tidings_error *error)
{
    struct lease lease;
    enum sql_status status = read_lease(sql, owner->service, &lease, error);
    *is_mine = status == SQL_OK && lease.found && strcmp(lease.owner, owner->name) == 0;
    return status;
}

/* --- batches --- */

enum sql_status outbox_settle(const struct sql *sql, struct outbox_owner *owner, int64_t committed,
                              struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(committed)};
    bool is_mine = false;
    enum sql_status status = sql_do(sql, sql->dialect->begin, error);
    if (status != SQL_OK) {
        return status;
    }
    /* A database that was restored may be behind the bus: its numbers must not come twice. */
    owner->batch = committed > owner->batch ? committed : owner->batch;
    status = check_lease(sql, owner, &is_mine, error);
    if (status == SQL_OK && is_mine) {
        status = write_lease(sql, owner, owner->batch, error);
    }
    if (status == SQL_OK && is_mine) {
        status = run(sql, "delete from tidings_outbox where service = $1 and batch = $2", values, 2,
                     NULL, error);
    }
    if (status == SQL_OK && is_mine) {
        status = run(sql,
                     "update tidings_outbox set batch = null where service = $1 and batch is not "
                     "null",
                     values, 1, NULL, error);
    }
    return end(sql, status, error);
}

/* Rows that came behind a refused one since wait too: among the next ones that would be taken. */
static enum sql_status hold_back(const struct sql *sql, const struct outbox_owner *owner,
                                 int64_t rows_max, struct tidings_error *error)
{
    int64_t changed = rows_max;
    struct sql_value values[] = {sql_text(owner->service), sql_number(rows_max)};
    char *text = mem_sprintf(
        "update tidings_outbox set state = 2 where seq in (select seq from (select seq, topic, "
        "lane from tidings_outbox where " FREE " and %s order by seq limit $2) o where exists "
        "(select 1 from tidings_outbox f where f.service = $1 and f.state <> 0 and f.state = 1 and "
        "f.topic = o.topic and (f.whole_topic = 1 or f.lane = o.lane)))",
        sql->dialect->is_settled);
    enum sql_status status = SQL_OK;
    while (status == SQL_OK && changed == rows_max) { /* all of them: look at those behind */
        status = run(sql, text, values, 2, &changed, error);
    }
    free(text);
    return status;
}

static enum sql_status mark_rows(const struct sql *sql, const struct outbox_owner *owner,
                                 int64_t rows_max, int64_t bytes_max, int64_t *marked,
                                 struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(rows_max),
                                 sql_number(bytes_max), sql_number(owner->batch + 1)};
    char *text = mem_sprintf(
        "update tidings_outbox set batch = $4 where seq in (select seq from (select seq, size, "
        "sum(size) over (order by seq) as total from (select seq, size from tidings_outbox "
        "where " FREE " and %s order by seq limit $2) f) t where total - size < $3)",
        sql->dialect->is_settled);
    enum sql_status status = run(sql, text, values, 4, marked, error);
    free(text);
    return status;
}

/* One row that was refused and is due, the one that waits longest. */
static enum sql_status mark_refused(const struct sql *sql, const struct outbox_owner *owner,
                                    int64_t *marked, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(owner->batch + 1)};
    char *text = mem_sprintf("update tidings_outbox set batch = $2 where seq = (select seq from "
                             "tidings_outbox where " REFUSED
                             " and retry_ms <= %s order by retry_ms limit 1)",
                             sql_now(sql));
    enum sql_status status = run(sql, text, values, 2, marked, error);
    free(text);
    return status;
}

/* What stands behind a refused row that somebody has deleted goes on. */
static enum sql_status free_orphans(const struct sql *sql, const struct outbox_owner *owner,
                                    struct tidings_error *error)
{
    struct sql_value service = sql_text(owner->service);
    return run(sql,
               "update tidings_outbox set state = 0 where service = $1 and state <> 0 and state = "
               "2 and not exists (select 1 from tidings_outbox f where f.service = $1 and f.state "
               "<> 0 and f.state = 1 and f.topic = tidings_outbox.topic and (f.whole_topic = 1 or "
               "f.lane = tidings_outbox.lane))",
               &service, 1, NULL, error);
}

static enum sql_status mark_next(const struct sql *sql, struct outbox_owner *owner,
                                 int64_t rows_max, int64_t bytes_max, struct outbox_batch *batch,
                                 struct tidings_error *error)
{
    int64_t marked = 0, failing = 0;
    struct sql_value service = sql_text(owner->service);
    enum sql_status status = mark_refused(sql, owner, &marked, error);
    batch->is_retry = marked > 0;
    if (status == SQL_OK && marked == 0) {
        status = ask(sql,
                     "select count(*) from (select 1 from tidings_outbox where service = $1 and "
                     "state <> 0 and state = 1 limit 1) f",
                     &service, 1, &failing, 1, NULL, error);
        if (status == SQL_OK && failing > 0) {
            status = hold_back(sql, owner, rows_max, error);
        }
        if (status == SQL_OK) {
            status = mark_rows(sql, owner, rows_max, bytes_max, &marked, error);
        }
    }
    if (status == SQL_OK && (marked == 0 || batch->is_retry)) {
        status = free_orphans(sql, owner, error); /* seldom enough to look at all that waits */
    }
    if (status == SQL_OK && marked > 0) {
        batch->number = owner->batch + 1;
    }
    return status == SQL_OK ? write_lease(sql, owner, owner->batch + (marked > 0), error) : status;
}

static struct slice keep(struct arena *arena, struct sql_value value)
{
    if (value.kind == SQL_NULL) {
        return (struct slice){0};
    }
    const void *copy = value.bytes.size > 0 ? arena_dup(arena, value.bytes.data, value.bytes.size)
                                            : (const void *)"";
    return slice_of(copy, value.bytes.size);
}

static void on_row(void *context, const struct sql_value *columns)
{
    struct outbox_batch *batch = context;
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity > 0 ? 2 * batch->capacity : 64;
        batch->rows = mem_realloc_array(batch->rows, batch->capacity, sizeof *batch->rows);
    }
    struct outbox_row *row = &batch->rows[batch->count++];
    *row = (struct outbox_row){
        .seq = columns[0].number, .attempts = columns[1].number, .event = event_blank()};
    row->event.topic = arena_cstr(&batch->arena, columns[2].bytes);
    row->event.key = keep(&batch->arena, columns[3]);
    row->event.value = keep(&batch->arena, columns[4]);
    if (outbox_unpack_headers(keep(&batch->arena, columns[5]), &batch->arena, &row->event) !=
        ERR_NONE) {
        row->is_settled = true;
        client_fail(&row->error, CLIENT_INVALID, NULL, "its headers cannot be read");
    }
}

static enum sql_status load(const struct sql *sql, const struct outbox_owner *owner,
                            struct outbox_batch *batch, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(batch->number)};
    struct sql_statement read = {
        .text = "select seq, attempts, topic, key, value, headers from tidings_outbox where "
                "service = $1 and batch = $2 order by seq",
        .values = values,
        .value_count = 2,
        .row = on_row,
        .context = batch};
    batch->count = 0;
    arena_reset(&batch->arena);
    return sql_run(sql, &read, error);
}

enum sql_status outbox_take(const struct sql *sql, struct outbox_owner *owner, int64_t rows_max,
                            int64_t bytes_max, struct outbox_batch *batch,
                            struct tidings_error *error)
{
    bool is_mine = false;
    batch->number = 0;
    enum sql_status status = sql_do(sql, sql->dialect->begin, error);
    if (status != SQL_OK) {
        return status;
    }
    status = check_lease(sql, owner, &is_mine, error);
    if (status == SQL_OK && is_mine) {
        status = mark_next(sql, owner, rows_max, bytes_max, batch, error);
    }
    status = end(sql, status, error);
    if (status == SQL_OK && batch->number > 0) {
        owner->batch = batch->number;
        status = load(sql, owner, batch, error);
    }
    return status;
}

/* What stood behind a refused row that went through is free; if it stands behind another one too
 * it will be held again. */
static enum sql_status free_behind(const struct sql *sql, const struct outbox_owner *owner,
                                   const struct outbox_batch *batch, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(batch->number)};
    return run(sql,
               "update tidings_outbox set state = 0 where service = $1 and state <> 0 and state = "
               "2 and exists (select 1 from tidings_outbox f where f.service = $1 and f.batch is "
               "not null and f.batch = $2 and f.topic = tidings_outbox.topic and (f.whole_topic = "
               "1 or f.lane = tidings_outbox.lane))",
               values, 2, NULL, error);
}

enum sql_status outbox_done(const struct sql *sql, const struct outbox_owner *owner,
                            const struct outbox_batch *batch, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(batch->number)};
    enum sql_status status = sql_do(sql, sql->dialect->begin, error);
    if (status != SQL_OK) {
        return status;
    }
    if (batch->is_retry) {
        status = free_behind(sql, owner, batch, error);
    }
    if (status == SQL_OK) {
        status = run(sql, "delete from tidings_outbox where service = $1 and batch = $2", values, 2,
                     NULL, error);
    }
    return end(sql, status, error);
}

static enum sql_status hold(const struct sql *sql, const struct outbox_owner *owner,
                            const struct outbox_row *row, int64_t batch,
                            struct tidings_error *error)
{
    struct arena arena = {0};
    int64_t doublings = row->attempts < RETRY_DOUBLINGS ? row->attempts : RETRY_DOUBLINGS;
    struct sql_value values[] = {sql_number(row->seq), sql_number(owner->retry_ms << doublings),
                                 sql_number(client_is_about_topic(row->error.code)),
                                 sql_text(sql_words(row->error.text, &arena)), sql_number(batch)};
    char *text = mem_sprintf("update tidings_outbox set state = 1, attempts = attempts + "
                             "1, retry_ms = %s + $2, whole_topic = $3, failure = $4 where "
                             "seq = $1 and batch = $5",
                             sql_now(sql));
    enum sql_status status = run(sql, text, values, 5, NULL, error);
    free(text);
    arena_deinit(&arena);
    return status;
}

enum sql_status outbox_undo(const struct sql *sql, const struct outbox_owner *owner,
                            const struct outbox_batch *batch, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(owner->service), sql_number(batch->number)};
    enum sql_status status = sql_do(sql, sql->dialect->begin, error);
    if (status != SQL_OK) {
        return status;
    }
    for (size_t i = 0; status == SQL_OK && i < batch->count; i++) {
        if (batch->rows[i].is_refused) {
            status = hold(sql, owner, &batch->rows[i], batch->number, error);
        }
    }
    if (status == SQL_OK) {
        status =
            run(sql, "update tidings_outbox set batch = null where service = $1 and batch = $2",
                values, 2, NULL, error);
    }
    return end(sql, status, error);
}
