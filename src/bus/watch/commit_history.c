#include "bus/watch/commit_history.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    FORMAT = 1, /* PRAGMA user_version */
    RESOLUTION_MS = 1000,
    HOUR_MS = 3600000,
    MINUTE_MS = 60000,
};

/* --- what there is of a group and partition --- */

struct track {
    UT_hash_handle hh;
    struct buf key; /* partition, size of the group's name, group, topic */
    size_t group_size;
    int64_t id;   /* in the database; 0: not there yet */
    int64_t life; /* goes up each time that the offset goes back */
    int64_t offset;
    int64_t committed_ms;
    int64_t stored_ms; /* of the newest step that is in the database, or on its way */
    bool is_pending;   /* the newest step is neither */
    int64_t pending_ms;
};

struct step {
    struct track *track;
    int64_t life, offset, time_ms;
};

struct read_place {
    int32_t partition;
    int64_t next;
};

enum statement { ADD_PAIR, ADD_STEP, SET_READ, FIRST_ABOVE, LAST_UP_TO, BEGAN, STATEMENTS };

struct commit_history {
    pthread_mutex_t lock;
    char *path;
    bool is_open;    /* all below is usable */
    bool is_damaged; /* a call has found the file so */
    sqlite3 *sqlite;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t format; /* of what was opened; 0: it was empty */
    struct track *tracks;
    VEC(struct step) steps;    /* to be written */
    VEC(struct track *) added; /* to the database, in the transaction that is open */
    VEC(struct read_place) places;
};

static const char *const statement_texts[STATEMENTS] = {
    [ADD_PAIR] = "INSERT INTO pair(grp, topic, part) VALUES (?1, ?2, ?3)",
    [ADD_STEP] = "INSERT OR REPLACE INTO step(pair, life, off, ms) VALUES (?1, ?2, ?3, ?4)",
    [SET_READ] = "INSERT OR REPLACE INTO place(part, next) VALUES (?1, ?2)",
    [FIRST_ABOVE] = "SELECT ms FROM step WHERE pair = ?1 AND life = ?2 AND off > ?3 ORDER BY off "
                    "LIMIT 1",
    [LAST_UP_TO] = "SELECT ms FROM step WHERE pair = ?1 AND life = ?2 AND off <= ?3 ORDER BY off "
                   "DESC LIMIT 1",
    [BEGAN] = "SELECT ms FROM step WHERE pair = ?1 AND life = ?2 ORDER BY off LIMIT 1",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS pair(id INTEGER PRIMARY KEY, grp BLOB NOT NULL, topic BLOB NOT "
    "NULL, part INTEGER NOT NULL, UNIQUE(grp, topic, part));"
    "CREATE TABLE IF NOT EXISTS step(pair INTEGER, life INTEGER, off INTEGER, ms INTEGER NOT NULL, "
    "PRIMARY KEY(pair, life, off)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS place(part INTEGER PRIMARY KEY, next INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

static enum err fail(struct commit_history *history, struct reason *reason)
{
    int code = sqlite3_errcode(history->sqlite) & 0xff;
    enum err err = code == SQLITE_FULL                               ? ERR_NO_SPACE
                   : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT
                                                                     : ERR_IO;
    history->is_damaged = history->is_damaged || err == ERR_CORRUPT;
    return reason_fail(reason, err, "the history of commits: %s", sqlite3_errmsg(history->sqlite));
}

static enum err fail_closed(struct reason *reason)
{
    return reason_fail(reason, ERR_AGAIN, "the history of commits is not open yet: ask again");
}

static enum err run(struct commit_history *history, const char *sql, struct reason *reason)
{
    return sqlite3_exec(history->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : fail(history, reason);
}

static sqlite3_stmt *bind(struct commit_history *history, enum statement which, int64_t first,
                          int64_t second, int64_t third)
{
    sqlite3_stmt *statement = history->statements[which];
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, second);
    if (sqlite3_bind_parameter_count(statement) >= 3) {
        sqlite3_bind_int64(statement, 3, third);
    }
    return statement;
}

/* A statement that changes something. */
static enum err step_once(struct commit_history *history, sqlite3_stmt *statement,
                          struct reason *reason)
{
    int result = sqlite3_step(statement);
    enum err err = result == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_reset(statement);
    return err;
}

/* --- tracks --- */

static void make_key(struct buf *key, const struct commit_key *from)
{
    buf_append_be32(key, (uint32_t)from->partition);
    buf_append_be32(key, (uint32_t)from->group.size);
    buf_append_slice(key, from->group);
    buf_append_slice(key, from->topic);
}

static struct slice track_group(const struct track *track)
{
    return slice_of(track->key.data + 8, track->group_size);
}

static struct slice track_topic(const struct track *track)
{
    return slice_of(track->key.data + 8 + track->group_size,
                    track->key.size - 8 - track->group_size);
}

static int32_t track_partition(const struct track *track)
{
    return (int32_t)load_be32(track->key.data);
}

static struct track *find_track(struct commit_history *history, const struct commit_key *key)
{
    struct buf bytes = {0};
    struct track *track;
    make_key(&bytes, key);
    HASH_FIND(hh, history->tracks, bytes.data, bytes.size, track);
    buf_deinit(&bytes);
    return track;
}

static struct track *get_track(struct commit_history *history, const struct commit_key *key)
{
    struct track *track = find_track(history, key);
    if (track == NULL) {
        track = mem_new(struct track);
        make_key(&track->key, key);
        track->group_size = key->group.size;
        track->offset = -1;
        HASH_ADD_KEYPTR(hh, history->tracks, track->key.data, track->key.size, track);
    }
    return track;
}

/* --- noting --- */

static void write_step(struct commit_history *history, struct track *track, int64_t time_ms)
{
    vec_push(&history->steps, (struct step){track, track->life, track->offset, time_ms});
    track->stored_ms = time_ms;
    track->is_pending = false;
}

static void write_pending(struct commit_history *history, struct track *track)
{
    if (track->is_pending) {
        write_step(history, track, track->pending_ms);
    }
}

void commit_history_note(struct commit_history *history, const struct commit_key *key,
                         int64_t offset, int64_t time_ms)
{
    pthread_mutex_lock(&history->lock);
    if (!history->is_open) {
        pthread_mutex_unlock(&history->lock);
        return;
    }
    struct track *track = get_track(history, key);
    time_ms = time_ms < track->committed_ms ? track->committed_ms : time_ms;
    if (offset < track->offset) {
        write_pending(history, track);
        track->life++;
        track->offset = offset;
        write_step(history, track, time_ms);
    } else if (offset > track->offset) {
        /* One that another follows at once is left out, but not two seconds of them. */
        if (time_ms - track->pending_ms >= RESOLUTION_MS ||
            track->pending_ms - track->stored_ms >= RESOLUTION_MS) {
            write_pending(history, track);
        }
        track->offset = offset;
        track->is_pending = true;
        track->pending_ms = time_ms;
    }
    track->committed_ms = time_ms;
    pthread_mutex_unlock(&history->lock);
}

static struct read_place *get_place(struct commit_history *history, int32_t partition)
{
    for (size_t i = 0; i < history->places.count; i++) {
        if (history->places.items[i].partition == partition) {
            return &history->places.items[i];
        }
    }
    vec_push(&history->places, (struct read_place){partition, 0});
    return &history->places.items[history->places.count - 1];
}

void commit_history_set_read(struct commit_history *history, int32_t partition, int64_t next)
{
    pthread_mutex_lock(&history->lock);
    get_place(history, partition)->next = next;
    pthread_mutex_unlock(&history->lock);
}

int64_t commit_history_read(struct commit_history *history, int32_t partition)
{
    pthread_mutex_lock(&history->lock);
    int64_t next = get_place(history, partition)->next;
    pthread_mutex_unlock(&history->lock);
    return next;
}

/* --- keeping --- */

static void bind_bytes(sqlite3_stmt *statement, int at, struct slice bytes)
{
    sqlite3_bind_blob(statement, at, bytes.size > 0 ? (const void *)bytes.data : "",
                      (int)bytes.size, SQLITE_TRANSIENT);
}

static enum err add_pair(struct commit_history *history, struct track *track, struct reason *reason)
{
    sqlite3_stmt *statement = history->statements[ADD_PAIR];
    sqlite3_reset(statement);
    bind_bytes(statement, 1, track_group(track));
    bind_bytes(statement, 2, track_topic(track));
    sqlite3_bind_int64(statement, 3, track_partition(track));
    enum err err = step_once(history, statement, reason);
    if (err == ERR_NONE) {
        track->id = sqlite3_last_insert_rowid(history->sqlite);
        vec_push(&history->added, track);
    }
    return err;
}

static enum err add_steps(struct commit_history *history, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < history->steps.count; i++) {
        const struct step *step = &history->steps.items[i];
        if (step->track->id == 0) {
            err = add_pair(history, step->track, reason);
        }
        if (err == ERR_NONE) {
            sqlite3_stmt *statement =
                bind(history, ADD_STEP, step->track->id, step->life, step->offset);
            sqlite3_bind_int64(statement, 4, step->time_ms);
            err = step_once(history, statement, reason);
        }
    }
    for (size_t i = 0; err == ERR_NONE && i < history->places.count; i++) {
        const struct read_place *place = &history->places.items[i];
        err = step_once(history, bind(history, SET_READ, place->partition, place->next, 0), reason);
    }
    return err;
}

/* Under the lock. */
static enum err flush(struct commit_history *history, struct reason *reason)
{
    for (struct track *track = history->tracks; track != NULL; track = track->hh.next) {
        write_pending(history, track);
    }
    enum err err = run(history, "BEGIN IMMEDIATE", reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = add_steps(history, reason);
    if (err == ERR_NONE) {
        err = run(history, "COMMIT", reason);
    }
    if (err == ERR_NONE) {
        history->steps.count = 0;
    } else {
        (void)!run(history, "ROLLBACK", NULL);
        for (size_t i = 0; i < history->added.count; i++) {
            history->added.items[i]->id = 0;
        }
    }
    history->added.count = 0;
    return err;
}

enum err commit_history_flush(struct commit_history *history, struct reason *reason)
{
    pthread_mutex_lock(&history->lock);
    enum err err = history->is_open ? flush(history, reason) : fail_closed(reason);
    pthread_mutex_unlock(&history->lock);
    return err;
}

enum err commit_history_thin(struct commit_history *history, int64_t now_ms, int64_t keep_ms,
                             struct reason *reason)
{
    /* The step behind one tells whether that one is the last of its minute. */
    char *sql = sqlite3_mprintf(
        "DELETE FROM step WHERE (ms < %lld AND ms / %d = (SELECT n.ms / %d FROM step n WHERE "
        "n.pair = step.pair AND n.life = step.life AND n.off > step.off ORDER BY n.off LIMIT 1)) "
        "OR (ms < %lld AND (life, off) < (SELECT n.life, n.off FROM step n WHERE n.pair = "
        "step.pair ORDER BY n.life DESC, n.off DESC LIMIT 1))",
        (long long)now_ms - HOUR_MS, MINUTE_MS, MINUTE_MS, (long long)(now_ms - keep_ms));
    pthread_mutex_lock(&history->lock);
    enum err err = history->is_open ? flush(history, reason) : fail_closed(reason);
    if (err == ERR_NONE) {
        err = run(history, sql, reason);
    }
    pthread_mutex_unlock(&history->lock);
    sqlite3_free(sql);
    return err;
}

/* --- asking --- */

/* *ms: what the statement gives, or 0 for none. */
static enum err ask_time(struct commit_history *history, sqlite3_stmt *statement, int64_t *ms,
                         struct reason *reason)
{
    int result = sqlite3_step(statement);
    *ms = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    enum err err = result == SQLITE_ROW || result == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_reset(statement);
    return err;
}

/* When the group passed the offset in one of its lives: by *passed_ms, and not by *not_before_ms.
 */
static enum err ask_life(struct commit_history *history, const struct track *track, int64_t life,
                         int64_t offset, struct commit_answer *answer, struct reason *reason)
{
    enum err err = ask_time(history, bind(history, FIRST_ABOVE, track->id, life, offset),
                            &answer->passed_ms, reason);
    if (err == ERR_NONE && answer->passed_ms > 0) {
        err = ask_time(history, bind(history, LAST_UP_TO, track->id, life, offset),
                       &answer->not_before_ms, reason);
    }
    return err;
}

/* A group that went back, and not so far as to the event, was done with it before: a life that
 * begins beyond the offset tells when it began, and the one before it when it was passed. */
static enum err ask_passed(struct commit_history *history, const struct track *track,
                           int64_t offset, struct commit_answer *answer, struct reason *reason)
{
    int64_t life = track->life;
    struct commit_answer before = *answer;
    enum err err = ask_life(history, track, life, offset, answer, reason);
    while (err == ERR_NONE && answer->not_before_ms == 0 && life > 0) {
        err = ask_life(history, track, --life, offset, &before, reason);
        if (before.passed_ms == 0) {
            break; /* thinned out */
        }
        *answer = before;
    }
    return err;
}

/* It is not beyond the offset, and may have been before it went back. */
static enum err ask_before(struct commit_history *history, const struct track *track,
                           int64_t offset, struct commit_answer *answer, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (int64_t life = track->life; err == ERR_NONE && answer->passed_ms == 0 && life > 0;
         life--) {
        err = ask_time(history, bind(history, BEGAN, track->id, life, 0), &answer->went_back_ms,
                       reason);
        if (err == ERR_NONE) {
            err = ask_life(history, track, life - 1, offset, answer, reason);
        }
    }
    if (answer->passed_ms == 0) {
        answer->went_back_ms = 0; /* it went back, but never was beyond */
    }
    return err;
}

static enum err ask(struct commit_history *history, const struct track *track, int64_t offset,
                    struct commit_answer *answer, struct reason *reason)
{
    answer->offset = track->offset;
    answer->committed_ms = track->committed_ms;
    answer->state = track->offset > offset ? COMMIT_PASSED : COMMIT_BEFORE;
    return answer->state == COMMIT_PASSED ? ask_passed(history, track, offset, answer, reason)
                                          : ask_before(history, track, offset, answer, reason);
}

enum err commit_history_find(struct commit_history *history, const struct commit_key *key,
                             int64_t offset, struct commit_answer *answer, struct reason *reason)
{
    *answer = (struct commit_answer){.state = COMMIT_NEVER, .offset = -1};
    pthread_mutex_lock(&history->lock);
    enum err err = history->is_open ? ERR_NONE : fail_closed(reason);
    const struct track *track = find_track(history, key);
    if (err == ERR_NONE && track != NULL) {
        err = flush(history, reason); /* on a full disk: what is on it has to do */
        err = err == ERR_CORRUPT ? err : ask(history, track, offset, answer, reason);
    }
    pthread_mutex_unlock(&history->lock);
    return err;
}

void commit_history_groups(struct commit_history *history, struct slice topic, int32_t partition,
                           commit_history_each *each, void *context)
{
    pthread_mutex_lock(&history->lock);
    bool more = true;
    for (const struct track *track = history->tracks; more && track != NULL;
         track = track->hh.next) {
        if (track_partition(track) == partition && slice_equal(track_topic(track), topic)) {
            more = each(context, track_group(track));
        }
    }
    pthread_mutex_unlock(&history->lock);
}

/* --- open and close --- */

static struct slice column_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    return slice_of(bytes == NULL ? "" : bytes, (size_t)sqlite3_column_bytes(statement, column));
}

/* Calls take(history, statement) for each row. */
static enum err each_row(struct commit_history *history, const char *sql,
                         void (*take)(struct commit_history *history, sqlite3_stmt *statement),
                         struct reason *reason)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(history->sqlite, sql, -1, &statement, NULL);
    while (result == SQLITE_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        take(history, statement);
        result = SQLITE_OK;
    }
    enum err err = result == SQLITE_DONE ? ERR_NONE : fail(history, reason);
    sqlite3_finalize(statement);
    return err;
}

static void take_pair(struct commit_history *history, sqlite3_stmt *row)
{
    struct commit_key key = {column_bytes(row, 1), column_bytes(row, 2),
                             sqlite3_column_int(row, 3)};
    struct track *track = get_track(history, &key);
    track->id = sqlite3_column_int64(row, 0);
    track->life = sqlite3_column_int64(row, 4);
    track->offset = sqlite3_column_int64(row, 5);
    track->committed_ms = track->stored_ms = sqlite3_column_int64(row, 6);
}

static void take_place(struct commit_history *history, sqlite3_stmt *row)
{
    get_place(history, sqlite3_column_int(row, 0))->next = sqlite3_column_int64(row, 1);
}

/* The newest step of each pair is where it goes on. */
static enum err load(struct commit_history *history, struct reason *reason)
{
    enum err err = each_row(
        history,
        "SELECT p.id, p.grp, p.topic, p.part, s.life, s.off, s.ms FROM pair p JOIN step s ON "
        "s.pair = p.id WHERE (s.life, s.off) = (SELECT n.life, n.off FROM step n WHERE n.pair = "
        "p.id ORDER BY n.life DESC, n.off DESC LIMIT 1)",
        take_pair, reason);
    return err == ERR_NONE ? each_row(history, "SELECT part, next FROM place", take_place, reason)
                           : err;
}

static enum err prepare(struct commit_history *history, struct reason *reason)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(history->sqlite, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &history->statements[i], NULL) != SQLITE_OK) {
            return fail(history, reason);
        }
    }
    return ERR_NONE;
}

static void take_format(struct commit_history *history, sqlite3_stmt *row)
{
    history->format = sqlite3_column_int64(row, 0);
}

/* Of a file that is empty, or of this format. */
static enum err check_format(struct commit_history *history, struct reason *reason)
{
    enum err err = each_row(history, "PRAGMA user_version", take_format, reason);
    return err == ERR_NONE && history->format != 0 && history->format != FORMAT
               ? reason_fail(reason, ERR_CORRUPT, "the history of commits is of another format")
               : err;
}

/* The file is made before SQLite opens it, closed to others; those beside it get its mode. */
static enum err open_file(struct commit_history *history, const char *path, struct reason *reason)
{
    int fd;
    enum err err = file_open(file_ops_system(), path, O_RDWR | O_CREAT, &fd, reason);
    if (err != ERR_NONE) {
        return err;
    }
    file_close(file_ops_system(), fd);
    if (sqlite3_open_v2(path, &history->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                        NULL) != SQLITE_OK) {
        return fail(history, reason);
    }
    return ERR_NONE;
}

/* Forgets all that is in memory. Under the lock. */
static void shut(struct commit_history *history)
{
    struct track *track, *next;
    HASH_ITER (hh, history->tracks, track, next) {
        HASH_DEL(history->tracks, track);
        buf_deinit(&track->key);
        free(track);
    }
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(history->statements[i]);
        history->statements[i] = NULL;
    }
    sqlite3_close(history->sqlite);
    history->sqlite = NULL;
    history->steps.count = 0;
    history->added.count = 0;
    history->places.count = 0;
    history->format = 0;
    history->is_damaged = false;
    history->is_open = false;
}

static enum err open_all(struct commit_history *history, struct reason *reason)
{
    enum err err = open_file(history, history->path, reason);
    if (err == ERR_NONE) {
        err = check_format(history, reason);
    }
    if (err == ERR_NONE) { /* a crash loses the last moments, which are read again */
        err = run(history, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;", reason);
    }
    if (err == ERR_NONE) {
        err = run(history, schema, reason);
    }
    if (err == ERR_NONE) {
        err = prepare(history, reason);
    }
    return err == ERR_NONE ? load(history, reason) : err;
}

struct commit_history *commit_history_new(const char *path)
{
    struct commit_history *history = mem_new(struct commit_history);
    history->path = mem_strdup(path);
    pthread_mutex_init(&history->lock, NULL);
    return history;
}

enum err commit_history_begin(struct commit_history *history, struct reason *reason)
{
    pthread_mutex_lock(&history->lock);
    shut(history);
    enum err err = open_all(history, reason);
    if (err == ERR_NONE) {
        history->is_open = true;
    } else {
        shut(history);
    }
    pthread_mutex_unlock(&history->lock);
    return err;
}

enum err commit_history_begin_anew(struct commit_history *history, struct reason *reason)
{
    pthread_mutex_lock(&history->lock);
    shut(history);
    commit_history_remove(history->path);
    pthread_mutex_unlock(&history->lock);
    return commit_history_begin(history, reason);
}

struct commit_history_state commit_history_state(struct commit_history *history)
{
    pthread_mutex_lock(&history->lock);
    struct commit_history_state state = {.is_open = history->is_open,
                                         .is_damaged = history->is_damaged,
                                         .waiting_steps = history->steps.count,
                                         .tracks = HASH_COUNT(history->tracks)};
    pthread_mutex_unlock(&history->lock);
    return state;
}

enum err commit_history_open(const char *path, struct commit_history **out, struct reason *reason)
{
    struct commit_history *history = commit_history_new(path);
    enum err err = commit_history_begin(history, reason);
    if (err != ERR_NONE) {
        commit_history_close(history);
        return err;
    }
    *out = history;
    return ERR_NONE;
}

void commit_history_close(struct commit_history *history)
{
    if (history == NULL) {
        return;
    }
    shut(history);
    vec_deinit(&history->steps);
    vec_deinit(&history->added);
    vec_deinit(&history->places);
    pthread_mutex_destroy(&history->lock);
    free(history->path);
    free(history);
}

void commit_history_remove(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *name = mem_sprintf("%s%s", path, ends[i]);
        (void)!file_unlink(file_ops_system(), name, NULL);
        free(name);
    }
}
