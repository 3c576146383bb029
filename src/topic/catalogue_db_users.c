#include "topic/catalogue_db_internal.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of users' passwords. */

/* Bytes of a column that have to be so many at most. */
static bool take_bytes(sqlite3_stmt *statement, int column, uint8_t *to, size_t most, size_t *size)
{
    int bytes = sqlite3_column_bytes(statement, column);
    bool good =
        sqlite3_column_type(statement, column) == SQLITE_BLOB && bytes > 0 && (size_t)bytes <= most;
    if (good) {
        memcpy(to, sqlite3_column_blob(statement, column), (size_t)bytes);
        *size = (size_t)bytes;
    }
    return good;
}

/* A row as a credential; ERR_CORRUPT when it can be none. */
static enum err read_row(sqlite3_stmt *statement, struct slice *name,
                         struct scram_credential *credential, struct reason *reason)
{
    struct reason why = {"its salt or keys are not what they should be"};
    size_t salt_size, stored_size, server_size;
    const void *text = sqlite3_column_text(statement, 0);
    *name = slice_of(text, (size_t)sqlite3_column_bytes(statement, 0));
    *credential = (struct scram_credential){
        .mechanism = (enum scram_mechanism)sqlite3_column_int(statement, 1),
        .iterations = sqlite3_column_int(statement, 5)};
    bool good = scram_is_mechanism(sqlite3_column_int64(statement, 1));
    good = good && take_bytes(statement, 2, credential->salt, SCRAM_SALT_MOST_BYTES, &salt_size) &&
           take_bytes(statement, 3, credential->stored_key, SCRAM_KEY_MOST_BYTES, &stored_size) &&
           take_bytes(statement, 4, credential->server_key, SCRAM_KEY_MOST_BYTES, &server_size) &&
           stored_size == scram_key_bytes(credential->mechanism) && server_size == stored_size;
    if (good) {
        credential->salt_size = (uint32_t)salt_size;
        good = scram_check_name(*name, &why) == ERR_NONE &&
               scram_check_terms(sqlite3_column_int64(statement, 5), salt_size, &why) == ERR_NONE;
    }
    return good ? ERR_NONE
                : reason_fail(reason, ERR_CORRUPT, "catalogue " CATALOGUE_FILE ": a user: %s",
                              why.text);
}

enum err catalogue_db_each_user(struct catalogue_db *db, user_visitor *each, void *context,
                                struct reason *reason)
{
    enum { FIRST_FORMAT = 4 }; /* with users */
    sqlite3_stmt *statement;
    struct scram_credential credential;
    if (db->format < FIRST_FORMAT) {
        return ERR_NONE;
    }
    enum err err = catalogue_db_prepare(
        db, &statement, reason,
        "SELECT name, mechanism, salt, stored_key, server_key, iterations FROM user_credential"
        " ORDER BY name, mechanism",
        "");
    while (err == ERR_NONE && catalogue_db_next_row(db, statement, &err, reason)) {
        struct slice name;
        err = read_row(statement, &name, &credential, reason);
        if (err != ERR_NONE) {
            sqlite3_finalize(statement);
        } else {
            each(context, name, &credential);
        }
    }
    OPENSSL_cleanse(&credential, sizeof credential);
    return err;
}

static enum err remove_one(struct catalogue_db *db, const char *name,
                           enum scram_mechanism mechanism, struct reason *reason)
{
    return catalogue_db_change(
        db, -1, reason,
        "DELETE FROM user_credential WHERE name = ?1 AND mechanism = ?2 RETURNING crc", "si", name,
        (int64_t)mechanism);
}

static enum err insert_one(struct catalogue_db *db, const char *name,
                           const struct scram_credential *credential, struct reason *reason)
{
    size_t key_bytes = scram_key_bytes(credential->mechanism);
    struct slice salt = slice_of(credential->salt, credential->salt_size);
    struct slice stored = slice_of(credential->stored_key, key_bytes);
    struct slice server = slice_of(credential->server_key, key_bytes);
    return catalogue_db_change(db, 1, reason,
                               "INSERT INTO user_credential VALUES(?1, ?2, ?3, ?4, ?5, ?6,"
                               " row_crc('user_credential', ?1, ?2, ?3, ?4, ?5, ?6)) RETURNING crc",
                               "sixxxi", name, (int64_t)credential->mechanism, &salt, &stored,
                               &server, (int64_t)credential->iterations);
}

static enum err change_one(struct catalogue_db *db, const struct user_change *change,
                           struct reason *reason)
{
    char *name = mem_strndup((const char *)change->name.data, change->name.size);
    enum err err = remove_one(db, name, change->credential.mechanism, reason);
    if (err == ERR_NONE && !change->is_removal) {
        err = insert_one(db, name, &change->credential, reason);
    }
    free(name);
    return err;
}

enum err catalogue_db_change_users(struct catalogue_db *db, const struct user_change *changes,
                                   size_t count, struct reason *reason)
{
    enum err err = catalogue_db_begin(db, reason);
    if (err != ERR_NONE) {
        return err;
    }
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        err = change_one(db, &changes[i], reason);
    }
    return catalogue_db_finish(db, err, reason);
}
