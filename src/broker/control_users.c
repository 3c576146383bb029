#include "broker/control_users.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/logger.h"
#include "base/mem.h"
#include "broker/control_words.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    LISTED_MOST = 100, /* users in one answer, which is to fit into the socket at once */
    CHANGES_MOST = 16
};

/* ---- listing ---- */

struct listing {
    struct slice after; /* null: from the beginning */
    json_t *users;
    char *last; /* the newest name */
    size_t count;
    bool has_more;
};

static void add_credential(void *context, const struct user_told *told)
{
    struct listing *listing = context;
    if (listing->has_more ||
        (!slice_is_null(listing->after) && slice_compare(told->name, listing->after) <= 0)) {
        return;
    }
    if (listing->last == NULL || !slice_equal_str(told->name, listing->last)) {
        if (listing->count == LISTED_MOST) {
            listing->has_more = true;
            return;
        }
        listing->count++;
        free(listing->last);
        listing->last = mem_strndup((const char *)told->name.data, told->name.size);
    }
    json_array_append_new(listing->users, json_pack("{s:s,s:s,s:i}", "name", listing->last,
                                                    "mechanism", scram_name(told->mechanism),
                                                    "iterations", (int)told->iterations));
}

static json_t *list(struct users *users, const char *after)
{
    struct listing listing = {.after = slice_str(after), .users = json_array()};
    users_each(users, (struct slice){0}, add_credential, &listing);
    free(listing.last);
    return json_pack("{s:b,s:o,s:b}", "ok", 1, "users", listing.users, "more",
                     (int)listing.has_more);
}

/* ---- changing ---- */

/* Base 64 of so many bytes at most; 0: it is none. */
static size_t read_bytes(const json_t *from, const char *name, uint8_t *to, size_t most)
{
    struct arena arena = {0};
    struct slice bytes = {0};
    const char *text = json_string_value(json_object_get(from, name));
    bool good = text != NULL && base64_decode(&arena, slice_str(text), &bytes) && bytes.size > 0 &&
                bytes.size <= most;
    if (good) {
        slice_copy(to, bytes);
    }
    size_t size = good ? bytes.size : 0;
    arena_deinit(&arena);
    return size;
}

static enum err read_credential(const json_t *asked, struct scram_credential *credential,
                                struct reason *reason)
{
    size_t key_bytes = scram_key_bytes(credential->mechanism);
    json_int_t iterations = json_integer_value(json_object_get(asked, "iterations"));
    size_t salt_size = read_bytes(asked, "salt", credential->salt, SCRAM_SALT_MOST_BYTES);
    enum err err = scram_check_terms(iterations, salt_size, reason);
    if (err == ERR_NONE && (read_bytes(asked, "stored_key", credential->stored_key,
                                       SCRAM_KEY_MOST_BYTES) != key_bytes ||
                            read_bytes(asked, "server_key", credential->server_key,
                                       SCRAM_KEY_MOST_BYTES) != key_bytes)) {
        err = reason_fail(reason, ERR_INVALID, "the keys are not those of %s",
                          scram_name(credential->mechanism));
    }
    credential->salt_size = (uint32_t)salt_size;
    credential->iterations = (int32_t)iterations;
    return err;
}

static enum err read_change(const json_t *asked, struct user_change *change, struct reason *reason)
{
    const char *mechanism = json_string_value(json_object_get(asked, "mechanism"));
    *change = (struct user_change){
        .name = slice_str(json_string_value(json_object_get(asked, "name"))),
        .is_removal = json_is_true(json_object_get(asked, "remove")),
    };
    if (!scram_find(slice_str(mechanism), &change->credential.mechanism)) {
        return reason_fail(reason, ERR_INVALID, "there is no such mechanism");
    }
    enum err err = scram_check_name(change->name, reason);
    return err == ERR_NONE && !change->is_removal
               ? read_credential(asked, &change->credential, reason)
               : err;
}

static void log_changes(const struct user_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        LOG_INFO("broker", "a password was changed",
                 "user=\"%.*s\" mechanism=%s removed=%s by=\"who owns the data directory\"",
                 SLICE_ARGS(changes[i].name), scram_name(changes[i].credential.mechanism),
                 changes[i].is_removal ? "yes" : "no");
    }
}

static enum err change_all(const struct control_users *parts, const json_t *asked,
                           struct user_change *changes, struct reason *reason)
{
    size_t count = json_array_size(asked);
    if (count > CHANGES_MOST) {
        return reason_fail(reason, ERR_INVALID, "at most %d changes at once", CHANGES_MOST);
    }
    for (size_t i = 0; i < count; i++) {
        enum err err = read_change(json_array_get(asked, i), &changes[i], reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    users_begin_change(parts->users);
    enum err err =
        users_count(parts->users) + count > USERS_MOST_CREDENTIALS
            ? reason_fail(reason, ERR_LIMIT, "a server keeps at most %d credentials",
                          USERS_MOST_CREDENTIALS)
            : catalogue_change_users(parts->catalogue, parts->users, changes, count, reason);
    users_end_change(parts->users);
    log_changes(changes, err == ERR_NONE ? count : 0);
    return err;
}

json_t *control_users(const struct control_users *parts, const char *rest)
{
    json_t *asked = json_loads(rest, 0, NULL);
    const json_t *change = json_object_get(asked, "change");
    struct user_change changes[CHANGES_MOST];
    struct reason reason = {""};
    json_t *answer;
    if (json_is_array(change)) {
        answer = change_all(parts, change, changes, &reason) == ERR_NONE
                     ? json_pack("{s:b}", "ok", 1)
                     : control_failure(reason.text);
        OPENSSL_cleanse(changes, sizeof changes);
    } else if (asked == NULL && rest[0] != '\0') {
        answer =
            control_failure("users {\"after\": NAME} lists, users {\"change\": [...]} changes");
    } else {
        answer = list(parts->users, json_string_value(json_object_get(asked, "after")));
    }
    json_decref(asked);
    return answer;
}
