#include "datadir/user_store.h"

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "topic/catalogue_db.h"
#include "topic/data_dir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- where no server runs ---- */

/* The catalogue of a directory that stays locked. */
struct opened {
    int dir_fd;
    int lock_fd;
    struct catalogue_db *db;
};

static enum err open_catalogue(const char *data_dir, struct opened *opened, struct reason *reason)
{
    int made;
    enum err err = data_dir_open(file_ops_system(), data_dir, &opened->dir_fd, &opened->lock_fd,
                                 &made, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = catalogue_db_open(data_dir, true, &opened->db, reason);
    if (err != ERR_NONE) {
        close(opened->dir_fd);
        close(opened->lock_fd);
        data_dir_undo(file_ops_system(), data_dir, made);
    }
    return err;
}

static void close_catalogue(struct opened *opened)
{
    catalogue_db_close(opened->db);
    close(opened->dir_fd);
    close(opened->lock_fd);
}

static enum err change_stored(const char *data_dir, const struct user_change *changes, size_t count,
                              struct reason *reason)
{
    struct opened opened;
    enum err err = open_catalogue(data_dir, &opened, reason);
    if (err == ERR_NONE) {
        err = catalogue_db_change_users(opened.db, changes, count, reason);
        close_catalogue(&opened);
    }
    return err;
}

struct visit {
    void (*each)(void *context, const struct user_told *told);
    void *context;
};

static void tell(void *context, struct slice name, const struct scram_credential *credential)
{
    const struct visit *visit = context;
    const struct user_told told = {
        .name = name, .mechanism = credential->mechanism, .iterations = credential->iterations};
    visit->each(visit->context, &told);
}

static enum err each_stored(const char *data_dir, struct visit *visit, struct reason *reason)
{
    struct catalogue_db *db;
    enum err err = catalogue_db_inspect(data_dir, NULL, NULL, &db, reason);
    if (err == ERR_NONE) {
        err = catalogue_db_each_user(db, tell, visit, reason);
        catalogue_db_close(db);
    }
    return err;
}

/* ---- through the server ---- */

static void set_bytes(json_t *json, const char *name, const uint8_t *bytes, size_t size)
{
    struct buf text = {0};
    base64_encode(&text, slice_of(bytes, size));
    json_object_set_new(json, name, json_string(buf_cstr(&text)));
    buf_deinit(&text);
}

static json_t *change_json(const struct user_change *change)
{
    const struct scram_credential *credential = &change->credential;
    size_t key_bytes = scram_key_bytes(credential->mechanism);
    json_t *json = json_pack("{s:s%,s:s}", "name", (const char *)change->name.data,
                             change->name.size, "mechanism", scram_name(credential->mechanism));
    if (change->is_removal) {
        json_object_set_new(json, "remove", json_true());
    } else {
        json_object_set_new(json, "iterations", json_integer(credential->iterations));
        set_bytes(json, "salt", credential->salt, credential->salt_size);
        set_bytes(json, "stored_key", credential->stored_key, key_bytes);
        set_bytes(json, "server_key", credential->server_key, key_bytes);
    }
    return json;
}

/* Takes the request over. */
static enum err ask(const char *data_dir, json_t *request, const struct control_wait *wait,
                    json_t **answer, struct reason *reason)
{
    char *text = json_dumps(request, JSON_COMPACT);
    char *line = mem_sprintf("users %s\n", text);
    json_decref(request);
    enum err err = control_client_ask_once(data_dir, line, wait, answer, reason);
    free(line);
    free(text);
    return err;
}

static void visit_page(const json_t *users, const struct visit *visit)
{
    size_t i;
    const json_t *user;
    json_array_foreach(users, i, user)
    {
        struct user_told told = {
            .name = slice_str(json_string_value(json_object_get(user, "name"))),
            .iterations = (int32_t)json_integer_value(json_object_get(user, "iterations"))};
        const char *mechanism = json_string_value(json_object_get(user, "mechanism"));
        if (!slice_is_null(told.name) && scram_find(slice_str(mechanism), &told.mechanism)) {
            visit->each(visit->context, &told);
        }
    }
}

/* Page by page; the server decides how large they are. */
static enum err each_served(const char *data_dir, const struct control_wait *wait,
                            const struct visit *visit, struct reason *reason)
{
    char *after = NULL;
    bool has_more = true;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && has_more) {
        json_t *answer;
        json_t *request = after != NULL ? json_pack("{s:s}", "after", after) : json_object();
        err = ask(data_dir, request, wait, &answer, reason);
        if (err != ERR_NONE) {
            break;
        }
        const json_t *users = json_object_get(answer, "users");
        size_t count = json_array_size(users);
        visit_page(users, visit);
        has_more = json_is_true(json_object_get(answer, "more")) && count > 0;
        free(after);
        after = count == 0 ? NULL
                           : mem_strdup(json_string_value(
                                 json_object_get(json_array_get(users, count - 1), "name")));
        json_decref(answer);
    }
    free(after);
    return err;
}

enum err user_store_each(const char *data_dir, const struct control_wait *wait,
                         void (*each)(void *context, const struct user_told *told), void *context,
                         struct reason *reason)
{
    struct visit visit = {each, context};
    enum err err = each_served(data_dir, wait, &visit, reason);
    return err == ERR_CLOSED ? each_stored(data_dir, &visit, reason) : err;
}

enum err user_store_change(const char *data_dir, const struct control_wait *wait,
                           const struct user_change *changes, size_t count, struct reason *reason)
{
    json_t *list = json_array();
    json_t *answer;
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, change_json(&changes[i]));
    }
    enum err err = ask(data_dir, json_pack("{s:o}", "change", list), wait, &answer, reason);
    if (err == ERR_NONE) {
        json_decref(answer);
    }
    return err == ERR_CLOSED || err == ERR_NOT_FOUND
               ? change_stored(data_dir, changes, count, reason)
               : err;
}
