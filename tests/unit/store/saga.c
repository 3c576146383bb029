#include "saga.h"

#include "../unit.h"

#include <dirent.h>
#include <sqlite3.h>
#include <unistd.h>

static void begin(struct saga *saga, const char *const *values)
{
    struct tidings_options options = {.name = saga->what->name, .workers = 1};
    saga->shop = shop_open(saga->what, &saga->common, values);
    assert_non_null(saga->shop);
    assert_int_equal(tidings_test_service(saga->bus, &options, &saga->tidings, NULL), TIDINGS_OK);
    assert_true(shop_register(saga->shop, saga->tidings));
}

static void end(struct saga *saga)
{
    tidings_free(saga->tidings);
    shop_close(saga->shop);
}

void saga_start(struct saga *saga, const struct service *what, const char *option)
{
    *saga = (struct saga){.folder = "/tmp/tidings-saga-XXXXXX", .what = what};
    assert_non_null(mkdtemp(saga->folder));
    snprintf(saga->database, sizeof saga->database, "%s/db", saga->folder);
    snprintf(saga->labels, sizeof saga->labels, "%s/labels", saga->folder);
    saga->common = (struct store_common){.database = saga->database, .slow_ms = "0"};
    saga->bus = tidings_test_new();
    saga->option = option != NULL ? option : saga->labels;
    begin(saga, &saga->option);
}

void saga_restart(struct saga *saga)
{
    end(saga);
    begin(saga, &saga->option);
}

static void remove_folder(const char *path)
{
    char inner[512];
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            remove_folder(inner);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    remove(path);
}

void saga_end(struct saga *saga)
{
    end(saga);
    tidings_test_free(saga->bus);
    remove_folder(saga->folder);
}

/* The data of an event about it; cancelled ones take back the order of the same id. */
static char *order_of(const char *id, const char *what, const char *lines, bool is_cancellation)
{
    struct order order = {.id = strdup(id), .country = strdup("EIRE")};
    order.customer_id = strdup("17");
    if (is_cancellation) {
        order.cancels = strdup(id);
    }
    int size;
    char code[32];
    long long quantity;
    for (const char *at = lines;
         at != NULL && sscanf(at, "%31s %lld%n", code, &quantity, &size) == 2;
         at += size + strspn(at + size, ", ")) {
        order_add_line(&order, code, "a thing", quantity, 12500);
    }
    char *json = order_to_json(&order);
    order_deinit(&order);
    return json;
}

void saga_tell(struct saga *saga, const char *topic, const char *type, const char *order,
               const char *what, const char *lines)
{
    char id[96];
    bool is_return = order[0] == 'C';
    char *json = order_of(order, what, lines, strcmp(what, "cancelled") == 0 && !is_return);
    snprintf(id, sizeof id, "%s.%s", order, what);
    struct tidings_message message = {.topic = topic,
                                      .type = type,
                                      .key = "17",
                                      .id = id,
                                      .data = json,
                                      .data_size = strlen(json)};
    assert_int_equal(tidings_test_publish(saga->bus, &message, NULL), TIDINGS_OK);
    assert_int_equal(tidings_test_settle(saga->bus, NULL), TIDINGS_OK);
    free(json);
}

static sqlite3_stmt *query(const struct saga *saga, const char *sql, sqlite3 **db)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(saga->database, db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(*db, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

void saga_expect(const struct saga *saga, const char *told)
{
    sqlite3 *db;
    char text[1024] = "";
    if (saga_number(saga, "select count(*) from sqlite_master where name = 'tidings_outbox'") > 0) {
        sqlite3_stmt *rows = query(saga, "select type, id from tidings_outbox order by seq", &db);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, "%s%s %s", used > 0 ? ", " : "",
                     (const char *)sqlite3_column_text(rows, 0),
                     (const char *)sqlite3_column_text(rows, 1));
        }
        sqlite3_finalize(rows);
        sqlite3_close(db);
    }
    assert_string_equal(text, told);
}

int64_t saga_number(const struct saga *saga, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *rows = query(saga, sql, &db);
    int64_t number = sqlite3_step(rows) == SQLITE_ROW ? sqlite3_column_int64(rows, 0) : -1;
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return number;
}

bool saga_has_label(const struct saga *saga, const char *order)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s.txt", saga->labels, order);
    return access(path, R_OK) == 0;
}
