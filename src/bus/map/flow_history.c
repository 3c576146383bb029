#include "bus/map/flow_history.h"

#include "base/mem.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT = 1, MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };
enum { KEEP_MINUTES_S = 2 * DAY_S, KEEP_HOURS_S = 62 * DAY_S };
static const int64_t KEEP_DAYS_S = (int64_t)3 * 366 * DAY_S;

enum statement { ADD_FLOW, SET_FLOW, ADD_BUCKET, SET_PLACE, DROP_BUCKETS, STATEMENTS };

struct flow_history {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[STATEMENTS];
};

static const char *const statement_texts[STATEMENTS] = {
    [ADD_FLOW] = "INSERT INTO flow(kind, principal, source, grp, client, software, topic, type, "
                 "other) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SET_FLOW] = "UPDATE flow SET events = ?2, bytes = ?3, first_ms = ?4, last_ms = ?5, gap_ms = "
                 "?6, took_ms = ?7, inferred = ?8, errors = ?9, error_ms = ?10, session_ms = ?11 "
                 "WHERE id = ?1",
    [ADD_BUCKET] = "INSERT INTO bucket(flow, span, at, events, bytes) VALUES (?1, ?2, ?3, ?4, ?5) "
                   "ON CONFLICT(flow, span, at) DO UPDATE SET events = events + ?4, bytes = bytes "
                   "+ ?5",
    [SET_PLACE] = "INSERT OR REPLACE INTO place(topic, id, part, next, fin) VALUES (?1, ?2, ?3, "
                  "?4, ?5)",
    [DROP_BUCKETS] = "DELETE FROM bucket WHERE span = ?1 AND at < ?2",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS flow(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, principal "
    "BLOB, source BLOB, grp BLOB, client BLOB, software BLOB, topic BLOB, type BLOB, other BLOB, "
    "events INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, first_ms INTEGER NOT "
    "NULL DEFAULT 0, last_ms INTEGER NOT NULL DEFAULT 0, gap_ms INTEGER NOT NULL DEFAULT 0, "
    "took_ms REAL NOT NULL DEFAULT 0, inferred INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL "
    "DEFAULT 0, error_ms INTEGER NOT NULL DEFAULT 0, session_ms INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS bucket(flow INTEGER, span INTEGER, at INTEGER, events INTEGER NOT "
    "NULL, bytes INTEGER NOT NULL, PRIMARY KEY(flow, span, at)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS bucket_age ON bucket(span, at);"
    "CREATE TABLE IF NOT EXISTS place(topic BLOB, id BLOB, part INTEGER, next INTEGER NOT NULL, "
    "fin INTEGER NOT NULL, PRIMARY KEY(topic, part)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS began(ms INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

static enum err fail(struct flow_history *history, struct reason *reason)
{
    int code = sqlite3_errcode(history->sqlite) & 0xff;
    enum err err = code == SQLITE_FULL                               ? ERR_NO_SPACE
                   : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT
                                                                     : ERR_IO;
    return reason_fail(reason, err, "the history of flows: %s", sqlite3_errmsg(history->sqlite));
}

static enum err run(struct flow_history *history, const char *sql, struct reason *reason)
{
    return sqlite3_exec(history->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : fail(history, reason);
}

/* A statement that changes something. */
static enum err step_once(struct flow_history *history, enum statement which, struct reason *reason)
{
    sqlite3_stmt *statement = history->statements[which];
    enum err err = sqlite3_step(statement) == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_reset(statement);
    return err;
}

static void bind_slice(sqlite3_stmt *statement, int at, struct slice bytes)
{
    if (slice_is_null(bytes)) {
        sqlite3_bind_null(statement, at);
    } else {
        sqlite3_bind_blob64(statement, at, bytes.size > 0 ? (const void *)bytes.data : "",
                            bytes.size, SQLITE_TRANSIENT);
    }
}

static struct slice column_slice(sqlite3_stmt *statement, int at)
{
    if (sqlite3_column_type(statement, at) == SQLITE_NULL) {
        return (struct slice){0};
    }
    const void *bytes = sqlite3_column_blob(statement, at);
    return slice_of(bytes != NULL ? bytes : "", (size_t)sqlite3_column_bytes(statement, at));
}

/* --- opening --- */

static int take_number(void *context, int count, char **values, char **names)
{
    int64_t *number = context;
    (void)names;
    *number = count > 0 && values[0] != NULL ? strtoll(values[0], NULL, 10) : 0;
    return 0;
}

static enum err check_format(struct flow_history *history, struct reason *reason)
{
    int64_t format = 0;
    if (sqlite3_exec(history->sqlite, "PRAGMA user_version", take_number, &format, NULL) !=
        SQLITE_OK) {
        return fail(history, reason);
    }
    return format <= FORMAT
               ? ERR_NONE
               : reason_fail(reason, ERR_UNSUPPORTED,
                             "the history of flows has format %lld, of a newer version than this "
                             "one: it is left alone, and the map begins without a past",
                             (long long)format);
}

static enum err prepare(struct flow_history *history, struct reason *reason)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v2(history->sqlite, statement_texts[i], -1, &history->statements[i],
                               NULL) != SQLITE_OK) {
            return fail(history, reason);
        }
    }
    return ERR_NONE;
}

/* For the owner only, before SQLite has it. */
static void make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
}

enum err flow_history_open(const char *path, struct flow_history **out, struct reason *reason)
{
    struct flow_history *history = mem_new(struct flow_history);
    *out = NULL;
    make_file(path);
    enum err err = sqlite3_open_v2(path, &history->sqlite,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) == SQLITE_OK
                       ? ERR_NONE
                       : fail(history, reason);
    if (err == ERR_NONE) {
        err = check_format(history, reason);
    }
    if (err == ERR_NONE) {
        err = run(history,
                  "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = "
                  "-1024; PRAGMA busy_timeout = 2000;",
                  reason);
    }
    if (err == ERR_NONE) {
        err = run(history, schema, reason);
    }
    if (err == ERR_NONE) {
        err = prepare(history, reason);
    }
    if (err != ERR_NONE) {
        flow_history_close(history);
        return err;
    }
    *out = history;
    return ERR_NONE;
}

void flow_history_close(struct flow_history *history)
{
    if (history != NULL) {
        for (int i = 0; i < STATEMENTS; i++) {
            sqlite3_finalize(history->statements[i]);
        }
        sqlite3_close(history->sqlite);
        free(history);
    }
}

void flow_history_remove(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *name = mem_sprintf("%s%s", path, ends[i]);
        unlink(name);
        free(name);
    }
}

/* --- reading --- */

/* Columns 1 to 9 of a row of flow. */
static struct map_fact_key key_of(sqlite3_stmt *row)
{
    struct map_fact_key key = {.kind = (enum map_fact_kind)sqlite3_column_int(row, 1)};
    for (int i = 0; i < MAP_NAMES; i++) {
        key.names[i] = column_slice(row, 2 + i);
    }
    key.topic = column_slice(row, 7);
    key.type = column_slice(row, 8);
    key.other = column_slice(row, 9);
    return key;
}

/* NULL: it is of no kind that is known, or there is no place. */
static struct map_fact *take_row(sqlite3_stmt *row, struct map_facts *facts, int64_t now_ms)
{
    struct map_fact_key key = key_of(row);
    if (sqlite3_column_int(row, 1) < 0 || key.kind >= MAP_FACT_KINDS) {
        return NULL;
    }
    struct map_fact *fact = map_facts_reach(facts, &key, now_ms);
    if (fact == NULL) {
        return NULL;
    }
    fact->id = sqlite3_column_int64(row, 0); /* what was counted already comes on top */
    fact->kept_events = (uint64_t)sqlite3_column_int64(row, 10);
    fact->kept_bytes = (uint64_t)sqlite3_column_int64(row, 11);
    fact->events += fact->kept_events;
    fact->bytes += fact->kept_bytes;
    fact->first_ms = sqlite3_column_int64(row, 12);
    if (sqlite3_column_int64(row, 13) > fact->last_ms) {
        fact->last_ms = fact->active_ms = fact->progress_ms = sqlite3_column_int64(row, 13);
    }
    fact->gap_ms = sqlite3_column_int64(row, 14);
    fact->took_ms = sqlite3_column_double(row, 15);
    fact->is_inferred = sqlite3_column_int(row, 16) != 0;
    fact->errors = (uint64_t)sqlite3_column_int64(row, 17);
    fact->error_ms = sqlite3_column_int64(row, 18);
    fact->session_timeout_ms = sqlite3_column_int64(row, 19);
    return fact;
}

/* The newest first, so that those for which there is no place are the oldest. */
#define FLOW_COLUMNS                                                                               \
    "SELECT id, kind, principal, source, grp, client, software, topic, type, other, events, "      \
    "bytes, first_ms, last_ms, gap_ms, took_ms, inferred, errors, error_ms, session_ms"

static enum err ask(struct flow_history *history, const char *sql, sqlite3_stmt **statement,
                    struct reason *reason)
{
    return sqlite3_prepare_v2(history->sqlite, sql, -1, statement, NULL) == SQLITE_OK
               ? ERR_NONE
               : fail(history, reason);
}

enum err flow_history_load(struct flow_history *history, struct map_facts *facts,
                           struct reason *reason)
{
    sqlite3_stmt *rows = NULL;
    int64_t began_ms = 0;
    int result;
    enum err err =
        ask(history, FLOW_COLUMNS " FROM flow ORDER BY last_ms DESC, id LIMIT 8192", &rows, reason);
    if (err != ERR_NONE) {
        return err;
    }
    while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
        (void)take_row(rows, facts, facts->began_ms);
    }
    err = result == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_finalize(rows);
    sqlite3_exec(history->sqlite, "SELECT min(ms) FROM began", take_number, &began_ms, NULL);
    if (began_ms > 0 && began_ms < facts->began_ms) {
        facts->began_ms = began_ms;
    }
    return err;
}

enum err flow_history_places(struct flow_history *history,
                             void (*each)(void *context, const struct flow_place *place),
                             void *context, struct reason *reason)
{
    sqlite3_stmt *rows = NULL;
    int result;
    enum err err = ask(history, "SELECT topic, id, part, next, fin FROM place", &rows, reason);
    if (err != ERR_NONE) {
        return err;
    }
    while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
        struct flow_place place = {.topic = column_slice(rows, 0)};
        struct slice id = column_slice(rows, 1);
        if (id.size == sizeof place.topic_id) {
            slice_copy(place.topic_id, id);
        }
        place.partition = sqlite3_column_int(rows, 2);
        place.next = sqlite3_column_int64(rows, 3);
        place.end = sqlite3_column_int64(rows, 4);
        each(context, &place);
    }
    err = result == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_finalize(rows);
    return err;
}

/* --- keeping --- */

static enum err add_flow(struct flow_history *history, struct map_fact *fact, struct reason *reason)
{
    sqlite3_stmt *add = history->statements[ADD_FLOW];
    sqlite3_bind_int(add, 1, (int)fact->is.kind);
    for (int i = 0; i < MAP_NAMES; i++) {
        bind_slice(add, 2 + i, fact->is.names[i]);
    }
    bind_slice(add, 7, fact->is.topic);
    bind_slice(add, 8, fact->is.type);
    bind_slice(add, 9, fact->is.other);
    enum err err = step_once(history, ADD_FLOW, reason);
    if (err == ERR_NONE) {
        fact->id = sqlite3_last_insert_rowid(history->sqlite);
        fact->is_added = true;
    }
    return err;
}

static enum err set_flow(struct flow_history *history, const struct map_fact *fact,
                         struct reason *reason)
{
    sqlite3_stmt *set = history->statements[SET_FLOW];
    sqlite3_bind_int64(set, 1, fact->id);
    sqlite3_bind_int64(set, 2, (int64_t)fact->events);
    sqlite3_bind_int64(set, 3, (int64_t)fact->bytes);
    sqlite3_bind_int64(set, 4, fact->first_ms);
    sqlite3_bind_int64(set, 5, fact->last_ms);
    sqlite3_bind_int64(set, 6, fact->gap_ms);
    sqlite3_bind_double(set, 7, fact->took_ms);
    sqlite3_bind_int(set, 8, fact->is_inferred);
    sqlite3_bind_int64(set, 9, (int64_t)fact->errors);
    sqlite3_bind_int64(set, 10, fact->error_ms);
    sqlite3_bind_int64(set, 11, fact->session_timeout_ms);
    return step_once(history, SET_FLOW, reason);
}

static enum err add_buckets(struct flow_history *history, const struct map_fact *fact,
                            int64_t now_ms, struct reason *reason)
{
    static const int spans[] = {MINUTE_S, HOUR_S, DAY_S};
    sqlite3_stmt *add = history->statements[ADD_BUCKET];
    int64_t now_s = now_ms / 1000;
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < sizeof spans / sizeof spans[0]; i++) {
        sqlite3_bind_int64(add, 1, fact->id);
        sqlite3_bind_int(add, 2, spans[i]);
        sqlite3_bind_int64(add, 3, now_s - now_s % spans[i]);
        sqlite3_bind_int64(add, 4, (int64_t)(fact->events - fact->kept_events));
        sqlite3_bind_int64(add, 5, (int64_t)(fact->bytes - fact->kept_bytes));
        err = step_once(history, ADD_BUCKET, reason);
    }
    return err;
}

static enum err keep_fact(struct flow_history *history, struct map_fact *fact, int64_t now_ms,
                          struct reason *reason)
{
    enum err err = ERR_NONE;
    bool is_more = fact->events > fact->kept_events;
    if (fact->id == 0) {
        err = add_flow(history, fact, reason);
    } else if (!is_more) {
        return ERR_NONE;
    }
    if (err == ERR_NONE) {
        err = set_flow(history, fact, reason);
    }
    if (err == ERR_NONE && is_more) {
        err = add_buckets(history, fact, now_ms, reason);
    }
    return err;
}

static enum err keep_place(struct flow_history *history, const struct flow_place *place,
                           struct reason *reason)
{
    sqlite3_stmt *set = history->statements[SET_PLACE];
    bind_slice(set, 1, place->topic);
    bind_slice(set, 2, slice_of(place->topic_id, sizeof place->topic_id));
    sqlite3_bind_int(set, 3, place->partition);
    sqlite3_bind_int64(set, 4, place->next);
    sqlite3_bind_int64(set, 5, place->end);
    return step_once(history, SET_PLACE, reason);
}

static enum err keep_all(struct flow_history *history, struct map_facts *facts,
                         const struct flow_place *places, size_t place_count, int64_t now_ms,
                         struct reason *reason)
{
    char began[100];
    snprintf(began, sizeof began,
             "INSERT INTO began SELECT %lld WHERE NOT EXISTS (SELECT 1 FROM began)",
             (long long)facts->began_ms);
    enum err err = run(history, began, reason);
    if (err == ERR_NONE) {
        err = run(history, "DELETE FROM place", reason);
    }
    for (struct map_fact *fact = facts->by_key; err == ERR_NONE && fact != NULL;
         fact = fact->hh.next) {
        err = keep_fact(history, fact, now_ms, reason);
    }
    for (size_t i = 0; err == ERR_NONE && i < place_count; i++) {
        err = keep_place(history, &places[i], reason);
    }
    return err;
}

/* What is kept now is not new any more; what could not be is as before. */
static void settle(struct map_facts *facts, bool is_kept)
{
    for (struct map_fact *fact = facts->by_key; fact != NULL; fact = fact->hh.next) {
        if (is_kept) {
            fact->kept_events = fact->events;
            fact->kept_bytes = fact->bytes;
        } else if (fact->is_added) {
            fact->id = 0;
        }
        fact->is_added = false;
    }
}

enum err flow_history_flush(struct flow_history *history, struct map_facts *facts,
                            const struct flow_place *places, size_t place_count, int64_t now_ms,
                            struct reason *reason)
{
    enum err err = run(history, "BEGIN IMMEDIATE", reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = keep_all(history, facts, places, place_count, now_ms, reason);
    if (err == ERR_NONE) {
        err = run(history, "COMMIT", reason);
    }
    if (err != ERR_NONE) {
        sqlite3_exec(history->sqlite, "ROLLBACK", NULL, NULL, NULL);
    }
    settle(facts, err == ERR_NONE);
    return err;
}

static enum err drop(struct flow_history *history, int span, int64_t before_s,
                     struct reason *reason)
{
    sqlite3_stmt *statement = history->statements[DROP_BUCKETS];
    sqlite3_bind_int(statement, 1, span);
    sqlite3_bind_int64(statement, 2, before_s);
    return step_once(history, DROP_BUCKETS, reason);
}

enum err flow_history_thin(struct flow_history *history, int64_t now_ms, struct reason *reason)
{
    char oldest[200];
    int64_t now_s = now_ms / 1000, bound_s = 0;
    enum err err = drop(history, MINUTE_S, now_s - KEEP_MINUTES_S, reason);
    snprintf(oldest, sizeof oldest,
             "SELECT at FROM bucket WHERE span = 60 ORDER BY at DESC LIMIT 1 OFFSET %d",
             FLOW_HISTORY_ROWS);
    sqlite3_exec(history->sqlite, oldest, take_number, &bound_s, NULL);
    if (err == ERR_NONE && bound_s > 0) {
        err = drop(history, MINUTE_S, bound_s + 1, reason);
    }
    if (err == ERR_NONE) {
        err = drop(history, HOUR_S, now_s - KEEP_HOURS_S, reason);
    }
    return err != ERR_NONE ? err : drop(history, DAY_S, now_s - KEEP_DAYS_S, reason);
}

/* --- the past --- */

/* A bucket counts for its last second; what began before and ends after the time asked for is
 * taken, as nothing finer is known. */
static const char past_sql[] = FLOW_COLUMNS
    ", (SELECT max(at + span) FROM bucket b WHERE b.flow = f.id AND b.at <= ?1)"
    ", (SELECT sum(events) FROM bucket b WHERE b.flow = f.id AND span = 60 AND at > ?1 - 300 AND "
    "at <= ?1)"
    ", (SELECT sum(events) FROM bucket b WHERE b.flow = f.id AND span = 3600 AND at > ?1 - 3600 "
    "AND at <= ?1)"
    ", (SELECT sum(events) FROM bucket b WHERE b.flow = f.id AND span = 86400 AND at > ?1 - 86400 "
    "AND at <= ?1)"
    " FROM flow f WHERE first_ms <= ?2 ORDER BY last_ms DESC, id LIMIT 8192";

static void take_past(sqlite3_stmt *row, struct map_fact *fact, int64_t at_ms)
{
    static const double seconds[] = {300, HOUR_S, DAY_S};
    int64_t last_ms = sqlite3_column_int64(row, 20) * 1000;
    fact->rate = 0;
    for (int i = 0; i < 3; i++) {
        int64_t events = sqlite3_column_int64(row, 21 + i);
        if (events > 0) {
            fact->rate = (double)events / seconds[i];
            break;
        }
    }
    if (fact->last_ms > at_ms) {
        fact->last_ms = last_ms > 0 && last_ms < at_ms ? last_ms : at_ms;
        fact->last_ms = last_ms == 0 ? fact->first_ms : fact->last_ms;
    }
    if (fact->error_ms > at_ms) {
        fact->error_ms = 0;
        fact->errors = 0;
    }
}

enum err flow_history_at(struct flow_history *history, int64_t at_ms, struct map_facts *facts,
                         struct reason *reason)
{
    sqlite3_stmt *rows = NULL;
    int result;
    enum err err = ask(history, past_sql, &rows, reason);
    if (err != ERR_NONE) {
        return err;
    }
    sqlite3_bind_int64(rows, 1, at_ms / 1000);
    sqlite3_bind_int64(rows, 2, at_ms);
    while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
        struct map_fact *fact = take_row(rows, facts, at_ms);
        if (fact != NULL) {
            take_past(rows, fact, at_ms);
        }
    }
    err = result == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_finalize(rows);
    return err;
}
