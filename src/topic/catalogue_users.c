#include "topic/catalogue_internal.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* Users. What their credentials mean is known elsewhere; here they are kept. */

static const char secret_name[] = "user_secret";
enum { SECRET_BYTES = 32 };

enum err catalogue_each_user(struct catalogue *catalogue, user_visitor *each, void *context,
                             struct reason *reason)
{
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_db_each_user(catalogue->db, each, context, reason);
    fair_lock_give(&catalogue->change_lock);
    return err;
}

static void apply(struct users *users, const struct user_change *change)
{
    if (change->is_removal) {
        users_remove(users, change->credential.mechanism, change->name);
    } else {
        users_put(users, change->name, &change->credential);
    }
}

enum err catalogue_change_users(struct catalogue *catalogue, struct users *users,
                                const struct user_change *changes, size_t count,
                                struct reason *reason)
{
    if (count == 0) {
        return ERR_NONE;
    }
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_db_change_users(catalogue->db, changes, count, reason);
    fair_lock_give(&catalogue->change_lock);
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        apply(users, &changes[i]);
    }
    return err;
}

static enum err make_secret(struct catalogue_db *db, uint8_t secret[SECRET_BYTES],
                            struct reason *reason)
{
    struct buf text = {0};
    random_secure(secret, SECRET_BYTES);
    base64_encode(&text, slice_of(secret, SECRET_BYTES));
    enum err err = catalogue_db_put(db, secret_name, buf_cstr(&text), reason);
    OPENSSL_cleanse(text.data, text.size);
    buf_deinit(&text);
    return err;
}

static enum err read_secret(const char *text, uint8_t secret[SECRET_BYTES], struct reason *reason)
{
    struct arena arena = {0};
    struct slice bytes;
    bool good = base64_decode(&arena, slice_str(text), &bytes) && bytes.size == SECRET_BYTES;
    if (good) {
        memcpy(secret, bytes.data, SECRET_BYTES);
    }
    arena_deinit(&arena);
    return good ? ERR_NONE
                : reason_fail(reason, ERR_CORRUPT, "catalogue tidings.db: %s is damaged",
                              secret_name);
}

enum err catalogue_user_secret(struct catalogue *catalogue, uint8_t secret[32],
                               struct reason *reason)
{
    char *text;
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_db_get(catalogue->db, secret_name, &text, reason);
    if (err == ERR_NONE) {
        err = text != NULL ? read_secret(text, secret, reason)
                           : make_secret(catalogue->db, secret, reason);
    }
    fair_lock_give(&catalogue->change_lock);
    free(text);
    return err;
}
