#include "inbox.h"

#include "service.h"

#include "base/random.h"

#include <string.h>

enum {
    KEEP_DAYS = 8, /* the bus keeps events for 7, unless told otherwise */
    RETIRE_EACH = 64,
    RETIRE_ROWS = 256
};

static void on_number(void *context, const struct sql_value *columns)
{
    *(int64_t *)context = columns[0].number;
}

/* The highest fence that asked, when that is at least the event's; else 0. It stays as it is until
 * the end of the transaction. A lower one is not locked: two who did could not both raise it. */
static enum sql_status read_fence(const struct sql *sql, const struct inbox_event *event,
                                  struct arena *arena, int64_t *fence, struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(event->service), sql_text(event->topic),
                                 sql_number(event->partition), sql_number(event->fence)};
    struct sql_statement ask = {
        .text = arena_sprintf(arena,
                              "select fence from tidings_fence where service = $1 and topic = $2 "
                              "and partition = $3 and fence >= $4%s",
                              sql->dialect->share_lock),
        .values = values,
        .value_count = 4,
        .row = on_number,
        .context = fence};
    *fence = 0;
    return sql_run(sql, &ask, error);
}

static enum sql_status raise_fence(const struct sql *sql, const struct inbox_event *event,
                                   struct tidings_error *error)
{
    struct sql_value values[] = {sql_text(event->service), sql_text(event->topic),
                                 sql_number(event->partition), sql_number(event->fence)};
    struct sql_statement raise = {
        .text = "insert into tidings_fence (service, topic, partition, fence) "
                "values ($1, $2, $3, $4) on conflict (service, topic, partition) "
                "do update set fence = excluded.fence where tidings_fence.fence < excluded.fence",
        .values = values,
        .value_count = 4};
    return sql_run(sql, &raise, error);
}

static enum sql_status check_fence(const struct sql *sql, const struct inbox_event *event,
                                   struct arena *arena, bool *is_late, struct tidings_error *error)
{
    int64_t fence = 0;
    enum sql_status status = SQL_OK;
    *is_late = false;
    if (event->fence <= 0) {
        return status;
    }
    status = read_fence(sql, event, arena, &fence, error);
    if (status == SQL_OK && fence == 0) {
        status = raise_fence(sql, event, error);
        if (status == SQL_OK) {
            status = read_fence(sql, event, arena, &fence, error);
        }
    }
    *is_late = status == SQL_OK && fence > event->fence;
    return status;
}

static enum sql_status add(const struct sql *sql, const struct inbox_event *event,
                           struct arena *arena, bool *is_first, struct tidings_error *error)
{
    int64_t added = 0;
    struct sql_value values[] = {sql_text(event->service),
                                 sql_text(sql_plain(event->source, arena)),
                                 sql_text(sql_plain(event->id, arena)), sql_number(event->redrive)};
    struct sql_statement insert = {
        .text =
            arena_sprintf(arena,
                          "insert into tidings_inbox (service, source, id, redrive, done_ms) "
                          "values ($1, $2, $3, $4, %s) on conflict (service, id, source, redrive) "
                          "do nothing",
                          sql_now(sql)),
        .values = values,
        .value_count = 4,
        .changed = &added};
    enum sql_status status = sql_run(sql, &insert, error);
    *is_first = added > 0;
    return status;
}

enum sql_status inbox_retire(const struct sql *sql, const char *service, int64_t keep_ms,
                             int64_t limit, int64_t *gone, struct tidings_error *error)
{
    struct arena arena = {0};
    struct sql_value values[] = {sql_text(service), sql_number(keep_ms), sql_number(limit)};
    struct sql_statement retire = {
        .text = arena_sprintf(
            &arena,
            "delete from tidings_inbox where (service, id, source, redrive) in (select service, "
            "id, source, redrive from tidings_inbox where service = $1 and done_ms < %s - $2 "
            "order by done_ms limit $3%s)",
            sql_now(sql), sql->dialect->skip_locked),
        .values = values,
        .value_count = 3,
        .changed = gone};
    enum sql_status status = sql_run(sql, &retire, error);
    arena_deinit(&arena);
    return status;
}

static enum sql_status take(const struct sql *sql, const struct inbox_event *event,
                            enum tidings_once_answer *answer, struct tidings_error *error)
{
    struct arena arena = {0};
    bool is_late = false, is_first = false;
    enum sql_status status = check_fence(sql, event, &arena, &is_late, error);
    if (status == SQL_OK && !is_late) {
        status = add(sql, event, &arena, &is_first, error);
    }
    arena_deinit(&arena);
    *answer = is_late ? TIDINGS_ONCE_LATE : is_first ? TIDINGS_ONCE_FIRST : TIDINGS_ONCE_BEFORE;
    return status;
}

enum tidings_once_answer inbox_take(const struct sql *sql, const struct inbox_event *event,
                                    struct tidings_error *error)
{
    enum tidings_once_answer answer = TIDINGS_ONCE_FAILED;
    enum sql_status status = SQL_NO_TABLE;
    if (!sql_in_transaction(sql)) {
        error_set(error, TIDINGS_INVALID,
                  "begin a transaction first: what is done and that it is done must end together");
        return TIDINGS_ONCE_FAILED;
    }
    if (sql_has_schema(sql)) {
        status = take(sql, event, &answer, error);
        if (status == SQL_NO_TABLE) {
            sql_note_schema(sql, false); /* who made the tables rolled back */
        }
    }
    if (status == SQL_NO_TABLE && sql_in_transaction(sql)) {
        status = sql_make_tables(sql, error);
        status = status == SQL_OK ? take(sql, event, &answer, error) : status;
    }
    if (status != SQL_OK) {
        return TIDINGS_ONCE_FAILED;
    }
    if (answer == TIDINGS_ONCE_LATE) {
        error_set(error, TIDINGS_REFUSED, "%s/%d has another owner, which began to work",
                  event->topic, (int)event->partition);
    }
    return answer;
}

/* An event without id is known by its place; the time of the record tells it from that of a topic
 * that was deleted and made again. */
static const char *id_of(const struct tidings_event *event, struct arena *arena)
{
    const char *place = arena_sprintf(arena, "%s/%d/%lld", event->topic, (int)event->partition,
                                      (long long)event->offset);
    return event->source[0] != '\0' || strcmp(event->id, place) != 0
               ? event->id
               : arena_sprintf(arena, "%s@%lld", place, (long long)event->timestamp_ms);
}

/* Some rows that are too old go with each 64th event, chosen at random: no event pays for much,
 * and no pattern of offsets is left out. */
static bool retire_some(const struct sql *sql, const char *service, int keep_days,
                        struct tidings_error *error)
{
    uint64_t number;
    random_secure(&number, sizeof number);
    int64_t keep_ms = (int64_t)(keep_days > 0 ? keep_days : KEEP_DAYS) * 24 * 3600 * 1000;
    return number % RETIRE_EACH != 0 ||
           inbox_retire(sql, service, keep_ms, RETIRE_ROWS, NULL, error) == SQL_OK;
}

enum tidings_once_answer tidings_once(struct tidings *service, struct tidings_db db,
                                      const struct tidings_event *event,
                                      struct tidings_error *error)
{
    struct sql sql;
    struct arena arena = {0};
    if (sql_begin(db, &sql, error) != TIDINGS_OK) {
        return TIDINGS_ONCE_FAILED;
    }
    sql_set_clock(&sql, service->clock);
    struct inbox_event taken = {.service = service->options.name,
                                .source = event->source,
                                .id = id_of(event, &arena),
                                .topic = event->topic,
                                .partition = event->partition,
                                .redrive = event->redrive,
                                .fence = event->fence};
    enum tidings_once_answer answer = inbox_take(&sql, &taken, error);
    if (answer == TIDINGS_ONCE_FIRST &&
        !retire_some(&sql, service->options.name, db.keep_days, error)) {
        answer = TIDINGS_ONCE_FAILED;
    }
    arena_deinit(&arena);
    return answer;
}
