#include "../unit.h"
#include "topic_fixture.h"

#include "base/buf.h"
#include "base/mem.h"
#include "topic/catalogue_db.h"
#include "topic/catalogue_internal.h"
#include "topic/catalogue_rows.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

/* What rots, or goes, of the catalogue: no file of a topic is removed, no topic is gone and no
 * setting is another without a word. */

static char *load_file(struct fixture *fixture, const char *name, size_t *size)
{
    char *data;
    char *path = fixture_path(fixture, name);
    assert_int_equal(file_load(file_ops_system(), path, 1 << 24, &data, size, &fixture->reason),
                     ERR_NONE);
    free(path);
    return data;
}

static void store_file(struct fixture *fixture, const char *name, const char *data, size_t size)
{
    char *path = fixture_path(fixture, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
    free(path);
}

static bool is_there(struct fixture *fixture, const char *name)
{
    char *path = fixture_path(fixture, name);
    bool there = file_exists(path);
    free(path);
    return there;
}

static void drop(struct fixture *fixture, const char *name)
{
    char *path = fixture_path(fixture, name);
    assert_true(unlink(path) == 0 || !file_exists(path));
    free(path);
}

static enum err show_topic(void *context, const struct catalogue_db_topic *row,
                           struct reason *reason)
{
    (void)reason;
    for (size_t i = 0; i < sizeof row->id.bytes; i++) {
        buf_printf(context, "%02x", row->id.bytes[i]);
    }
    buf_printf(context, " %.*s %d %d %d %d\n", SLICE_ARGS(row->name), (int)row->partition_count,
               row->internal, row->deleting, row->half_deleting);
    return ERR_NONE;
}

static void show_group(void *context, const char *group, const char *name, const char *value)
{
    buf_printf(context, "%s %s=%s\n", group, name, value);
}

static void show_acl(void *context, const struct acl_rule *rule)
{
    buf_printf(context, "%d %d %.*s %.*s %.*s %d %d\n", rule->kind, rule->pattern,
               SLICE_ARGS(rule->name), SLICE_ARGS(rule->principal), SLICE_ARGS(rule->host),
               rule->operation, rule->permission);
}

static void show_user(void *context, struct slice name, const struct scram_credential *credential)
{
    buf_printf(context, "%.*s %d %d %u %02x %02x %02x\n", SLICE_ARGS(name), credential->mechanism,
               (int)credential->iterations, credential->salt_size, credential->salt[0],
               credential->stored_key[0], credential->server_key[0]);
}

static struct user_change user(const char *name, enum scram_mechanism mechanism, int mark)
{
    struct user_change change = {.name = slice_str(name),
                                 .credential = {.mechanism = mechanism,
                                                .iterations = 4096 + mark,
                                                .salt_size = 3,
                                                .salt = {(uint8_t)mark},
                                                .stored_key = {(uint8_t)mark},
                                                .server_key = {(uint8_t)mark}}};
    return change;
}

static struct acl_rule allow(const char *topic, const char *principal)
{
    return (struct acl_rule){.kind = ACL_TOPIC,
                             .pattern = ACL_PREFIXED,
                             .operation = ACL_READ,
                             .permission = ACL_ALLOW,
                             .name = slice_str(topic),
                             .principal = slice_str(principal),
                             .host = slice_str("*")};
}

static const char *const topics[] = {"orders", "payments", "__consumer_offsets"};

/* All that a catalogue says. */
static char *say_all(struct catalogue_db *db, const struct topic_id *ids)
{
    struct buf text = {0};
    char *value;
    assert_int_equal(catalogue_db_each_topic(db, show_topic, &text, NULL), ERR_NONE);
    assert_int_equal(catalogue_db_each_group_setting(db, show_group, &text, NULL), ERR_NONE);
    assert_int_equal(catalogue_db_each_acl(db, show_acl, &text, NULL), ERR_NONE);
    assert_int_equal(catalogue_db_each_user(db, show_user, &text, NULL), ERR_NONE);
    for (size_t i = 0; i < 3; i++) {
        struct overrides own = {0};
        struct catalogue_db_log_starts starts = {0};
        assert_int_equal(catalogue_db_load_overrides(db, &ids[i], &own, NULL), ERR_NONE);
        for (size_t k = 0; k < own.count; k++) {
            buf_printf(&text, "%s=%s\n", own.items[k].name, own.items[k].value);
        }
        assert_int_equal(catalogue_db_log_starts(db, &ids[i], &starts, NULL), ERR_NONE);
        for (size_t k = 0; k < starts.count; k++) {
            buf_printf(&text, "%d from %lld\n", (int)starts.items[k].partition,
                       (long long)starts.items[k].start);
        }
        overrides_deinit(&own);
        vec_deinit(&starts);
    }
    static const char *const names[] = {"format", "cluster_id", "next_producer_id"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(catalogue_db_get(db, names[i], &value, NULL), ERR_NONE);
        buf_printf(&text, "%s=%s\n", names[i], value);
        free(value);
    }
    char *said = mem_strdup(buf_cstr(&text));
    buf_deinit(&text);
    return said;
}

/* A closed catalogue with some of everything. */
static char *fill(struct fixture *fixture, struct topic_id *ids)
{
    struct reason *reason = &fixture->reason;
    struct catalogue_db *db;
    fixture_close(fixture);
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, reason), ERR_NONE);
    for (size_t i = 0; i < 3; i++) {
        struct overrides own = {0};
        memset(ids[i].bytes, (int)i + 1, sizeof ids[i].bytes);
        struct topic *topic = topic_new(slice_str(topics[i]), &ids[i], i == 2);
        overrides_set(&own, slice_str("retention.ms"), slice_str("604800000"));
        overrides_set(&own, slice_str("segment.bytes"), slice_str("1000000"));
        assert_int_equal(catalogue_db_insert(db, topic, 3, &own, reason), ERR_NONE);
        overrides_deinit(&own);
        topic_unref(topic);
    }
    struct overrides own = {0};
    overrides_set(&own, slice_str("consumer.session.timeout.ms"), slice_str("50000"));
    assert_int_equal(catalogue_db_set_group_overrides(db, "shipping", &own, reason), ERR_NONE);
    overrides_deinit(&own);
    assert_int_equal(catalogue_db_set_log_start(db, &ids[0], 1, 77, reason), ERR_NONE);
    assert_int_equal(catalogue_db_set_log_start(db, &ids[0], 1, 99, reason), ERR_NONE);
    assert_int_equal(catalogue_db_set_partitions(db, &ids[1], 4, reason), ERR_NONE);
    assert_int_equal(catalogue_db_put(db, "next_producer_id", "3000", reason), ERR_NONE);
    assert_int_equal(catalogue_db_mark_deleting(db, &ids[1], reason), ERR_NONE);
    const struct acl_rule rules[] = {allow("ord", "User:a"), allow("ord", "User:b"),
                                     allow("pay", "User:a")};
    assert_int_equal(catalogue_db_change_acls(db, rules, 2, NULL, 0, reason), ERR_NONE);
    assert_int_equal(catalogue_db_change_acls(db, &rules[2], 1, &rules[0], 1, reason), ERR_NONE);
    struct user_change users[] = {user("shop", SCRAM_SHA_256, 1), user("shop", SCRAM_SHA_512, 2),
                                  user("mail", SCRAM_SHA_256, 3), user("shop", SCRAM_SHA_256, 4),
                                  user("mail", SCRAM_SHA_256, 0)};
    users[4].is_removal = true;
    assert_int_equal(catalogue_db_change_users(db, users, 5, reason), ERR_NONE);
    char *said = say_all(db, ids);
    assert_non_null(strstr(said, "shop 1 4100 3 04 04 04\nshop 2 4098 3 02 02 02\n"));
    assert_null(strstr(said, "mail"));
    catalogue_db_close(db);
    return said;
}

static enum err look(struct fixture *fixture, const struct topic_id *ids, char **said)
{
    struct catalogue_db *db;
    *said = NULL;
    enum err err = catalogue_db_inspect(fixture->dir, NULL, NULL, &db, &fixture->reason);
    if (err == ERR_NONE) {
        *said = say_all(db, ids);
        catalogue_db_close(db);
    }
    return err;
}

/*
 * Whatever bit flips: the rows are what they were, or the catalogue is refused; with a good copy
 * beside it, they are what they were. Of what is written every few bytes (each of them held when it
 * was tried), of the room between some.
 */
static void flip_many(struct fixture *fixture, bool with_copy)
{
    const size_t step = with_copy ? 17 : 5;
    struct topic_id ids[3];
    size_t size;
    int refused = 0;
    char *expected = fill(fixture, ids);
    char *bytes = load_file(fixture, "tidings.db", &size);
    if (!with_copy) {
        drop(fixture, "tidings-copy.db");
    }
    size_t written = 0;
    for (size_t at = 0; at < size; at++) {
        char *said;
        written += bytes[at] != 0;
        if (bytes[at] != 0 ? written % step != 0 : at % 331 != 0) {
            continue;
        }
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        store_file(fixture, "tidings.db", bytes, size);
        enum err err = look(fixture, ids, &said);
        refused += err != ERR_NONE;
        if (err == ERR_NONE) {
            assert_string_equal(said, expected);
        } else {
            assert_int_equal(err, ERR_CORRUPT);
        }
        free(said);
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        drop(fixture, "tidings.db-wal");
        drop(fixture, "tidings.db-shm");
    }
    assert_true(with_copy ? refused == 0 : refused > 50);
    store_file(fixture, "tidings.db", bytes, size);
    fixture_open(fixture);
    free(bytes);
    free(expected);
}

static void test_no_flipped_bit_changes_what_the_catalogue_says(void **state)
{
    flip_many(*state, false);
}

static void test_a_flipped_bit_is_mended_from_the_copy(void **state)
{
    flip_many(*state, true);
}

/* The same change in both files, with a checksum that fits: as if nobody had flipped anything. */
static void change_both(struct fixture *fixture, const char *sql)
{
    struct catalogue_db *db;
    char *path = fixture_path(fixture, "tidings.db");
    sqlite3 *sqlite;
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(catalogue_rows_init(sqlite, &fixture->reason), ERR_NONE);
    assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    struct catalogue_sum sum;
    assert_true(catalogue_rows_get_sum(sqlite, &sum));
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(sqlite,
                                        "SELECT count(*), sum(crc) FROM (SELECT crc FROM meta WHERE"
                                        " name <> 'sum' UNION ALL SELECT crc FROM topic UNION ALL"
                                        " SELECT crc FROM topic_setting UNION ALL"
                                        " SELECT crc FROM deletion)",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    sum.rows = sqlite3_column_int64(statement, 0);
    sum.crcs = sqlite3_column_int64(statement, 1);
    sqlite3_finalize(statement);
    assert_int_equal(catalogue_rows_put_sum(sqlite, &sum, &fixture->reason), ERR_NONE);
    sqlite3_close(sqlite);
    free(path);
    drop(fixture, "tidings-copy.db");
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    catalogue_db_close(db);
}

/* Even a mark that has a good checksum removes nothing by itself, nor does the row beside it. */
static void test_files_go_when_both_places_say_so(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    append_events(topic_partition(topic, 0), 3, true);
    topic_unref(topic);
    static const char *const halves[] = {
        "UPDATE topic SET deleting = 1, crc = row_crc('topic', id, name, partitions, internal, 1)",
        "UPDATE topic SET deleting = 0, crc = row_crc('topic', id, name, partitions, internal, 0);"
        "INSERT INTO deletion SELECT id, name, partitions,"
        " row_crc('deletion', id, name, partitions) FROM topic",
        ("UPDATE topic SET deleting = 1, crc = row_crc('topic', id, name, partitions, internal, 1);"
         "UPDATE deletion SET partitions = 2, crc = row_crc('deletion', topic_id, name, 2)")};
    for (size_t i = 0; i < 3; i++) {
        fixture_close(fixture);
        change_both(fixture, halves[i]);
        fixture_open(fixture);
        topic = catalogue_find(fixture->catalogue, slice_str("orders"));
        assert_non_null(topic);
        assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 3);
        topic_unref(topic);
    }
    fixture_close(fixture);
    change_both(fixture, "UPDATE deletion SET partitions = 1, crc ="
                         " row_crc('deletion', topic_id, name, 1)");
    fixture_open(fixture);
    assert_null(catalogue_find(fixture->catalogue, slice_str("orders")));
    assert_false(is_there(fixture, "topics/orders-0"));
}

static void assert_orders(struct fixture *fixture)
{
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_non_null(topic);
    assert_int_equal(topic_partition_count(topic), 2);
    assert_int_equal(topic_config(topic)->log.retention_ms, 1234567);
    assert_int_equal(log_end_offset(topic_partition(topic, 1)->log), 3);
    topic_unref(topic);
}

static void make_orders(struct fixture *fixture)
{
    struct topic *topic = create_topic(fixture, "orders", 2, "retention.ms", "1234567");
    append_events(topic_partition(topic, 1), 3, true);
    topic_unref(topic);
}

static void test_a_missing_catalogue_is_taken_from_the_copy(void **state)
{
    struct fixture *fixture = *state;
    make_orders(fixture);
    fixture_close(fixture);
    drop(fixture, "tidings.db");
    fixture_open(fixture);
    assert_orders(fixture);
    fixture_close(fixture);
    store_file(fixture, "tidings.db", "", 0);
    fixture_open(fixture);
    assert_orders(fixture);
    fixture_close(fixture);
    drop(fixture, "tidings-copy.db");
    fixture_open(fixture);
    assert_orders(fixture);
    assert_true(is_there(fixture, "tidings-copy.db"));
}

static void test_a_damaged_catalogue_is_kept_aside(void **state)
{
    struct fixture *fixture = *state;
    make_orders(fixture);
    for (int round = 0; round < 2; round++) {
        fixture_close(fixture);
        store_file(fixture, "tidings.db", "this is no database", 19);
        fixture_open(fixture);
        assert_orders(fixture);
    }
    size_t size;
    char *kept = load_file(fixture, "tidings.db.damaged-2", &size);
    assert_string_equal(kept, "this is no database");
    free(kept);
    fixture_close(fixture);
    store_file(fixture, "tidings-copy.db", "nor is this", 11);
    fixture_open(fixture);
    assert_orders(fixture);
    fixture_close(fixture);
    store_file(fixture, "tidings.db", "once more", 9);
    fixture_open(fixture); /* the copy was made anew */
    assert_orders(fixture);
}

static enum err try_open(struct fixture *fixture)
{
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->server_defaults,
        .log_env = {.files = file_ops_system(), .clock = clock_system()},
        .open_threads = 1,
    };
    return catalogue_open(&config, &fixture->catalogue, &fixture->recovery, &fixture->reason);
}

static enum err add_name(void *context, const char *name)
{
    vec_push((struct overrides *)context, (struct override){.name = mem_strdup(name)});
    return ERR_NONE;
}

static size_t count_files(struct fixture *fixture)
{
    struct overrides names = {0};
    assert_int_equal(file_list_dir(fixture->dir, add_name, &names, NULL), ERR_NONE);
    size_t count = names.count;
    overrides_deinit(&names);
    return count;
}

/* Not once, and not once more: the first one must not leave what the second believes. */
static void assert_refused(struct fixture *fixture, const char *words)
{
    size_t files = count_files(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(try_open(fixture), ERR_CORRUPT);
        fixture->catalogue = NULL;
        if (strstr(fixture->reason.text, words) == NULL ||
            strstr(fixture->reason.text, "restore") == NULL) {
            fail_msg("%s", fixture->reason.text);
        }
        assert_int_equal(count_files(fixture), files);
    }
    assert_true(is_there(fixture, "topics/orders-1"));
}

static void test_topics_without_a_catalogue_are_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t size;
    make_orders(fixture);
    fixture_close(fixture);
    char *good = load_file(fixture, "tidings.db", &size);
    drop(fixture, "tidings.db");
    drop(fixture, "tidings-copy.db");
    assert_refused(fixture, "missing");
    store_file(fixture, "tidings.db", "", 0);
    assert_refused(fixture, "empty");
    store_file(fixture, "tidings.db", "this is no database, and long", 29);
    assert_refused(fixture, "not a database");
    drop(fixture, "tidings.db");
    store_file(fixture, "tidings-copy.db", "this is no database, and long", 29);
    assert_refused(fixture, "missing");
    store_file(fixture, "tidings.db", good, size);
    fixture_open(fixture);
    assert_orders(fixture);
    free(good);
}

/* Changes that were in a write-ahead log that is gone: the copy has them. */
static void test_a_lost_write_ahead_log_loses_no_topic(void **state)
{
    struct fixture *fixture = *state;
    size_t size;
    make_orders(fixture);
    fixture_close(fixture);
    char *old = load_file(fixture, "tidings.db", &size);
    fixture_open(fixture);
    topic_unref(create_topic(fixture, "later", 1, NULL, NULL));
    fixture_close(fixture);
    store_file(fixture, "tidings.db", old, size);
    fixture_open(fixture);
    assert_orders(fixture);
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("later"));
    assert_non_null(topic);
    topic_unref(topic);
    free(old);
}

/* An older copy beside a damaged catalogue that tells how new it was. */
static void test_an_older_copy_is_not_taken(void **state)
{
    struct fixture *fixture = *state;
    size_t size;
    make_orders(fixture);
    fixture_close(fixture);
    char *old = load_file(fixture, "tidings-copy.db", &size);
    fixture_open(fixture);
    topic_unref(create_topic(fixture, "later", 1, NULL, NULL));
    fixture_close(fixture);
    store_file(fixture, "tidings-copy.db", old, size);
    free(old);
    char *path = fixture_path(fixture, "tidings.db");
    sqlite3 *sqlite;
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite, "UPDATE topic SET partitions = 9", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(sqlite);
    free(path);
    assert_refused(fixture, "checksum");
    drop(fixture, "tidings.db"); /* as somebody decided who was told */
    fixture_open(fixture);
    assert_orders(fixture);
}

static void test_changes_of_a_replaced_catalogue_are_refused(void **state)
{
    static const char *const names[] = {"tidings.db", "tidings.db-wal"};
    struct fixture *fixture = *state;
    make_orders(fixture);
    for (size_t i = 0; i < 2; i++) {
        char *path = fixture_path(fixture, names[i]);
        char *away = fixture_path(fixture, "away");
        assert_int_equal(rename(path, away), 0);
        assert_int_equal(try_create(fixture, "later", 1), ERR_IO);
        assert_non_null(strstr(fixture->reason.text, "removed or replaced"));
        assert_false(is_there(fixture, "topics/later-0"));
        assert_int_equal(rename(away, path), 0);
        free(path);
        free(away);
    }
    assert_int_equal(try_create(fixture, "later", 1), ERR_NONE);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.topics, 2);
}

static void test_a_removed_copy_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    drop(fixture, "tidings-copy.db");
    make_orders(fixture);
    assert_true(is_there(fixture, "tidings-copy.db"));
    fixture_close(fixture);
    drop(fixture, "tidings.db");
    fixture_open(fixture);
    assert_orders(fixture);
}

/* What the last program without checksums left. */
static void test_an_older_catalogue_is_taken_over(void **state)
{
    struct fixture *fixture = *state;
    make_orders(fixture);
    fixture_close(fixture);
    char *path = fixture_path(fixture, "tidings.db");
    char *sql = mem_sprintf(
        "ATTACH '%s' AS new;"
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);"
        "CREATE TABLE topic(id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " partitions INTEGER NOT NULL, internal INTEGER NOT NULL, deleting INTEGER NOT NULL);"
        "CREATE TABLE topic_setting(topic_id BLOB NOT NULL, name TEXT NOT NULL,"
        " value TEXT NOT NULL, PRIMARY KEY(topic_id, name));"
        "CREATE TABLE log_start(topic_id BLOB NOT NULL, partition INTEGER NOT NULL,"
        " start_offset INTEGER NOT NULL, PRIMARY KEY(topic_id, partition));"
        "INSERT INTO meta SELECT name, value FROM new.meta WHERE name <> 'sum';"
        "UPDATE meta SET value = '1' WHERE name = 'format';"
        "INSERT INTO topic SELECT id, name, partitions, internal, 1 FROM new.topic;"
        "INSERT INTO topic_setting SELECT topic_id, name, value FROM new.topic_setting;"
        "INSERT INTO log_start SELECT id, 1, 2 FROM new.topic",
        path);
    char *old = fixture_path(fixture, "old.db");
    sqlite3 *sqlite;
    assert_int_equal(sqlite3_open(old, &sqlite), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(sqlite, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s", message);
    }
    sqlite3_close(sqlite);
    drop(fixture, "tidings-copy.db");
    assert_int_equal(rename(old, path), 0);
    drop(fixture, "tidings.db-wal");
    struct catalogue_db *db; /* a look changes nothing */
    assert_int_equal(catalogue_db_inspect(fixture->dir, NULL, NULL, &db, NULL), ERR_NONE);
    catalogue_db_close(db);
    assert_false(is_there(fixture, "tidings-copy.db"));
    for (int i = 0; i < 2; i++) {
        fixture_open(fixture);
        assert_orders(fixture); /* one mark, which one bit makes, is not enough */
        struct topic *topic = catalogue_find(fixture->catalogue, slice_str("orders"));
        assert_int_equal(log_start_offset(topic_partition(topic, 1)->log), 2);
        topic_unref(topic);
        fixture_close(fixture);
    }
    assert_true(is_there(fixture, "tidings-copy.db"));
    fixture_open(fixture);
    free(sql);
    free(old);
    free(path);
}

static int64_t ask_number(sqlite3 *sqlite, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* What a program of an older format left: before rules of access (2), or users (3). */
static void make_format(struct fixture *fixture, int format)
{
    static const char of_format[] = "SELECT crc FROM meta WHERE name = 'format'";
    struct catalogue_sum sum;
    sqlite3 *sqlite;
    char *path = fixture_path(fixture, "tidings.db");
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(catalogue_rows_init(sqlite, &fixture->reason), ERR_NONE);
    assert_true(catalogue_rows_get_sum(sqlite, &sum));
    sum.crcs -= ask_number(sqlite, of_format);
    char *sql = mem_sprintf("%sDROP TABLE user_credential;"
                            "UPDATE meta SET value = '%d', crc = row_crc('meta', 'format', '%d')"
                            " WHERE name = 'format'",
                            format < 3 ? "DROP TABLE acl;" : "", format, format);
    assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    free(sql);
    sum.crcs += ask_number(sqlite, of_format);
    assert_int_equal(catalogue_rows_put_sum(sqlite, &sum, &fixture->reason), ERR_NONE);
    sqlite3_close(sqlite);
    free(path);
}

static void test_a_catalogue_without_rules_is_taken_over(void **state)
{
    struct fixture *fixture = *state;
    struct topic_id none[3] = {0};
    struct catalogue_db *db;
    make_orders(fixture);
    fixture_close(fixture);
    make_format(fixture, 2);
    drop(fixture, "tidings-copy.db");
    assert_int_equal(catalogue_db_inspect(fixture->dir, NULL, NULL, &db, NULL), ERR_NONE);
    catalogue_db_close(db);
    for (int i = 0; i < 2; i++) {
        fixture_open(fixture);
        assert_orders(fixture);
        fixture_close(fixture);
        drop(fixture, i == 0 ? "tidings.db" : "tidings-copy.db"); /* either has all of it */
    }
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    const struct acl_rule rule = allow("orders", "User:a");
    assert_int_equal(catalogue_db_change_acls(db, &rule, 1, NULL, 0, &fixture->reason), ERR_NONE);
    catalogue_db_close(db);
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    char *said = say_all(db, none);
    assert_non_null(strstr(said, "2 4 orders User:a * 3 3\n"));
    free(said);
    catalogue_db_close(db);
    fixture_open(fixture);
}

static void test_a_catalogue_without_users_is_taken_over(void **state)
{
    struct fixture *fixture = *state;
    struct topic_id none[3] = {0};
    struct catalogue_db *db;
    make_orders(fixture);
    fixture_close(fixture);
    make_format(fixture, 3);
    assert_int_equal(catalogue_db_inspect(fixture->dir, NULL, NULL, &db, NULL), ERR_NONE);
    assert_int_equal(catalogue_db_each_user(db, show_user, NULL, NULL), ERR_NONE);
    catalogue_db_close(db);
    fixture_open(fixture);
    assert_orders(fixture);
    fixture_close(fixture);
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    const struct user_change change = user("shop", SCRAM_SHA_512, 5);
    assert_int_equal(catalogue_db_change_users(db, &change, 1, &fixture->reason), ERR_NONE);
    catalogue_db_close(db);
    drop(fixture, "tidings.db"); /* the copy has it as well */
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    char *said = say_all(db, none);
    assert_non_null(strstr(said, "shop 2 4101 3 05 05 05\n"));
    free(said);
    catalogue_db_close(db);
    fixture_open(fixture);
}

static void test_the_secret_of_users_stays(void **state)
{
    struct fixture *fixture = *state;
    uint8_t first[32] = {0}, second[32] = {0};
    assert_int_equal(catalogue_user_secret(fixture->catalogue, first, &fixture->reason), ERR_NONE);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(catalogue_user_secret(fixture->catalogue, second, &fixture->reason), ERR_NONE);
    assert_memory_equal(first, second, sizeof first);
    memset(second, 0, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
}

static void test_a_credential_that_cannot_be_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_db *db;
    fixture_close(fixture);
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    struct user_change change = user("shop", SCRAM_SHA_512, 5);
    change.credential.iterations = 1;
    assert_int_equal(catalogue_db_change_users(db, &change, 1, &fixture->reason), ERR_NONE);
    assert_int_equal(catalogue_db_each_user(db, show_user, NULL, &fixture->reason), ERR_CORRUPT);
    assert_non_null(strstr(fixture->reason.text, "too few iterations"));
    catalogue_db_close(db);
    fixture_open(fixture);
}

/* A topic with several segments, stopped cleanly or not. */
static void fill_topic(struct fixture *fixture, const char *name, bool internal, bool clean)
{
    struct topic_creation creation = {
        .name = slice_str(name), .partition_count = 1, .internal = internal};
    struct topic *topic;
    overrides_set(&creation.overrides, slice_str("segment.bytes"), slice_str("200"));
    overrides_set(&creation.overrides, slice_str("cleanup.policy"),
                  slice_str(internal ? "compact" : "delete"));
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, &topic, &fixture->reason),
                     ERR_NONE);
    overrides_deinit(&creation.overrides);
    append_events(topic_partition(topic, 0), 20, true);
    catalogue_checkpoint(fixture->catalogue);
    topic_unref(topic);
    if (clean) {
        fixture_close(fixture);
    } else {
        fixture_abandon(fixture);
    }
}

/* In its oldest segment, or in all. */
static void remove_segments(struct fixture *fixture, const char *name, bool all)
{
    char *command =
        all ? mem_sprintf("rm %s/topics/%s-0/*.log", fixture->dir, name)
            : mem_sprintf("rm %s/topics/%s-0/00000000000000000000.log", fixture->dir, name);
    assert_int_equal(system(command), 0);
    free(command);
}

static void test_lost_segments_of_a_topic_are_told_to_its_readers(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        struct file_span span;
        fill_topic(fixture, names[i], false, i % 2 == 0);
        remove_segments(fixture, names[i], i >= 2);
        fixture_open(fixture);
        struct topic *topic = catalogue_find(fixture->catalogue, slice_str(names[i]));
        struct log *log = topic_partition(topic, 0)->log;
        assert_int_equal(log_end_offset(log), 20); /* no offset is given out twice */
        assert_true(log_start_offset(log) > 0);
        assert_int_equal(partition_load(topic_partition(topic, 0), NULL), ERR_NONE);
        assert_int_equal(log_read(log, 0, 20, 1000, true, &span, NULL), ERR_OUT_OF_RANGE);
        topic_unref(topic);
    }
}

/* What groups have committed must not be begun anew without a word, also when the checkpoint, or
 * its copy, is bad as well. */
static void test_lost_segments_of_the_servers_own_state_stop_the_start(void **state)
{
    struct fixture *fixture = *state;
    static const char *const bad[] = {NULL, "checkpoint", "checkpoint-copy"};
    for (int i = 0; i < 12; i++) {
        fixture_teardown(state);
        fixture_setup(state);
        fixture = *state;
        topic_unref(create_topic(fixture, "orders", 2, NULL, NULL));
        fill_topic(fixture, "__consumer_offsets", true, i % 2 == 0);
        remove_segments(fixture, "__consumer_offsets", i / 2 % 2 == 1);
        if (bad[i / 4] != NULL) {
            store_file(fixture, bad[i / 4], "TDCP", 4);
        }
        assert_refused(fixture, "__consumer_offsets-0 are missing");
    }
    char *command = mem_sprintf("rm -r %s", fixture->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(mkdir(fixture->dir, 0700), 0);
    fixture_open(fixture);
    free(command);
}

static void test_deleted_records_are_not_taken_for_lost(void **state)
{
    struct fixture *fixture = *state;
    int64_t low;
    fill_topic(fixture, "__consumer_offsets", true, true);
    fixture_open(fixture);
    catalogue_checkpoint(fixture->catalogue);
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("__consumer_offsets"));
    assert_int_equal(catalogue_delete_records(fixture->catalogue, topic_partition(topic, 0), 15,
                                              &low, &fixture->reason),
                     ERR_NONE);
    topic_unref(topic);
    fixture_abandon(fixture);
    fixture_open(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_flipped_bit_changes_what_the_catalogue_says,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_is_mended_from_the_copy, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_files_go_when_both_places_say_so, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_catalogue_is_taken_from_the_copy,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_catalogue_is_kept_aside, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_topics_without_a_catalogue_are_refused, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_write_ahead_log_loses_no_topic, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_older_copy_is_not_taken, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_changes_of_a_replaced_catalogue_are_refused,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_removed_copy_is_made_anew, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lost_segments_of_a_topic_are_told_to_its_readers,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lost_segments_of_the_servers_own_state_stop_the_start,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_deleted_records_are_not_taken_for_lost, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_catalogue_without_rules_is_taken_over, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_catalogue_without_users_is_taken_over, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_secret_of_users_stays, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_credential_that_cannot_be_is_corrupt, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_older_catalogue_is_taken_over, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
