#include "service.h"
#include "sql.h"

#include "base/siphash.h"

#include <stdio.h>
#include <string.h>

/*
 * The tables of inbox and outbox, who makes them, and what texts they hold. `service` is the name
 * of the service, its consumer group, in each: any number of services may use one database.
 *
 * tidings_inbox: what was handled. id and source are printable ASCII (inbox.c).
 * tidings_fence: the highest owner of each partition that ever asked.
 * tidings_outbox: what is to be published. state: 0 free, 1 refused by the bus (attempts, the time
 * of the next one, why, and whether it holds back its whole topic or its lane), 2 behind such a
 * one. batch: it is on its way to the bus. lane: a number of topic and key; null: no key.
 * tidings_outbox_owner: the outbox's own id, who publishes, until when, and the last batch.
 */

#define TABLES(serial, bytes, xid)                                                                 \
    "create table if not exists tidings_inbox (\n"                                                 \
    "    service text not null, source text not null, id text not null,\n"                         \
    "    redrive bigint not null, done_ms bigint not null,\n"                                      \
    "    primary key (service, id, source, redrive));\n"                                           \
    "create index if not exists tidings_inbox_done on tidings_inbox (service, done_ms);\n"         \
    "create table if not exists tidings_fence (\n"                                                 \
    "    service text not null, topic text not null, partition bigint not null,\n"                 \
    "    fence bigint not null, primary key (service, topic, partition));\n"                       \
    "create table if not exists tidings_outbox (\n"                                                \
    "    seq " serial ", " xid "service text not null,\n"                                          \
    "    topic text not null, lane bigint, key " bytes ", value " bytes ",\n"                      \
    "    headers " bytes " not null, id text not null, type text not null,\n"                      \
    "    size bigint not null, added_ms bigint not null, state bigint not null default 0,\n"       \
    "    batch bigint, attempts bigint not null default 0, retry_ms bigint not null default 0,\n"  \
    "    whole_topic bigint not null default 0, failure text);\n"                                  \
    "create index if not exists tidings_outbox_free on tidings_outbox (service, seq)\n"            \
    "    where state = 0 and batch is null;\n"                                                     \
    "create index if not exists tidings_outbox_batch on tidings_outbox (service, batch)\n"         \
    "    where batch is not null;\n"                                                               \
    "create index if not exists tidings_outbox_held on tidings_outbox (service, topic, lane)\n"    \
    "    where state <> 0;\n"                                                                      \
    "create table if not exists tidings_outbox_owner (\n"                                          \
    "    service text primary key, outbox text not null, owner text not null, until_ms bigint "    \
    "not null,\n"                                                                                  \
    "    batch bigint not null);\n"

const char sql_sqlite_schema[] = TABLES("integer primary key autoincrement", "blob", "");
const char sql_postgres_schema[] =
    TABLES("bigint generated always as identity primary key", "bytea",
           "xid xid8 not null default pg_current_xact_id(), ");

const char *tidings_once_schema(enum tidings_db_kind kind)
{
    return kind == TIDINGS_POSTGRES ? sql_postgres_schema
           : kind == TIDINGS_SQLITE ? sql_sqlite_schema
                                    : NULL;
}

enum {
    NAME_MAX_BYTES = 512, /* the key of an index has a limit, two such and a hash are below it */
    NAME_HEAD_BYTES = 400
};

const char *sql_plain(const char *name, struct arena *arena)
{
    static const struct siphash_key key = {0}; /* for a length, not against those who choose ids */
    size_t size = strlen(name), used = 0;
    char *text = arena_alloc(arena, size * 3 + 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte > ' ' && byte < 0x7f && byte != '%') {
            text[used++] = name[i];
        } else {
            used += (size_t)snprintf(text + used, 4, "%%%02X", byte);
        }
    }
    if (used > NAME_MAX_BYTES) {
        struct siphash128 hash = siphash128(&key, name, size);
        snprintf(text + NAME_HEAD_BYTES, size * 3 + 1 - NAME_HEAD_BYTES, "%%~%016llx%016llx",
                 (unsigned long long)hash.high, (unsigned long long)hash.low);
    }
    return text;
}

const char *sql_words(const char *words, struct arena *arena)
{
    char *text = arena_cstr(arena, slice_str(words));
    for (char *at = text; *at != '\0'; at++) {
        *at = *at >= ' ' && *at < 0x7f ? *at : '?';
    }
    return text;
}

static void on_number(void *context, const struct sql_value *columns)
{
    *(int64_t *)context = columns[0].number;
}

static enum sql_status tables_exist(const struct sql *sql, int64_t *exist,
                                    struct tidings_error *error)
{
    struct sql_value name = sql_text("tidings_outbox_owner"); /* the last one that is made */
    struct sql_statement ask = {.text = sql->dialect->table_exists,
                                .values = &name,
                                .value_count = 1,
                                .row = on_number,
                                .context = exist};
    *exist = 0;
    return ask.text != NULL ? sql_run(sql, &ask, error) : SQL_OK;
}

enum sql_status sql_make_tables(const struct sql *sql, struct tidings_error *error)
{
    int64_t exist;
    enum sql_status status = tables_exist(sql, &exist, error);
    if (status == SQL_OK && exist) {
        sql_note_schema(sql, true); /* those made here may be rolled back: looked for once more */
        return status;
    }
    if (status == SQL_OK && sql->dialect->schema_guard != NULL) {
        status = sql_do(sql, sql->dialect->schema_guard, error);
        if (status == SQL_OK) {
            status = tables_exist(sql, &exist, error); /* somebody else may have been quicker */
        }
    }
    return status == SQL_OK && !exist ? sql_do(sql, sql->dialect->schema, error) : status;
}
