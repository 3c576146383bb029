#include "security/users.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* One credential, found by its mechanism and name. */
struct user {
    UT_hash_handle hh;
    struct scram_credential credential;
    size_t key_size;
    uint8_t key[]; /* the mechanism in one byte, then the name */
};

struct users {
    uint8_t secret[32];
    pthread_mutex_t changes;
    pthread_rwlock_t lock; /* of the table */
    struct user *table;
};

struct users *users_new(const uint8_t secret[32])
{
    struct users *users = mem_new(struct users);
    memcpy(users->secret, secret, sizeof users->secret);
    pthread_mutex_init(&users->changes, NULL);
    pthread_rwlock_init(&users->lock, NULL);
    return users;
}

static void free_user(struct user *user)
{
    OPENSSL_cleanse(&user->credential, sizeof user->credential);
    free(user);
}

void users_free(struct users *users)
{
    struct user *user, *next;
    if (users == NULL) {
        return;
    }
    HASH_ITER (hh, users->table, user, next) {
        HASH_DEL(users->table, user);
        free_user(user);
    }
    pthread_rwlock_destroy(&users->lock);
    pthread_mutex_destroy(&users->changes);
    OPENSSL_cleanse(users->secret, sizeof users->secret);
    free(users);
}

/* A name that is too long for a user is nobody's. */
static struct user *find(const struct users *users, enum scram_mechanism mechanism,
                         struct slice name)
{
    uint8_t key[1 + SCRAM_NAME_MOST_BYTES];
    struct user *user = NULL;
    if (name.size <= SCRAM_NAME_MOST_BYTES) {
        key[0] = (uint8_t)mechanism;
        slice_copy(key + 1, name);
        HASH_FIND(hh, users->table, key, 1 + name.size, user);
    }
    return user;
}

bool users_find(struct users *users, enum scram_mechanism mechanism, struct slice name,
                struct scram_credential *out)
{
    /* Made in any case, so that it takes the same time. */
    scram_pretend(mechanism, users->secret, name, out);
    pthread_rwlock_rdlock(&users->lock);
    const struct user *user = find(users, mechanism, name);
    if (user != NULL) {
        *out = user->credential;
    }
    pthread_rwlock_unlock(&users->lock);
    return user != NULL;
}

bool users_find_any(struct users *users, struct slice name, struct scram_credential *out)
{
    bool has_longer = users_have(users, SCRAM_SHA_512, name);
    bool has_usual = users_have(users, SCRAM_SHA_256, name);
    return users_find(users, has_longer && !has_usual ? SCRAM_SHA_512 : SCRAM_SHA_256, name, out);
}

bool users_have(struct users *users, enum scram_mechanism mechanism, struct slice name)
{
    pthread_rwlock_rdlock(&users->lock);
    bool has = find(users, mechanism, name) != NULL;
    pthread_rwlock_unlock(&users->lock);
    return has;
}

size_t users_count(struct users *users)
{
    pthread_rwlock_rdlock(&users->lock);
    size_t count = HASH_COUNT(users->table);
    pthread_rwlock_unlock(&users->lock);
    return count;
}

static struct slice name_of(const struct user *user)
{
    return slice_of(user->key + 1, user->key_size - 1);
}

static int compare_users(const void *a, const void *b)
{
    const struct user *const *left = a;
    const struct user *const *right = b;
    int order = slice_compare(name_of(*left), name_of(*right));
    return order != 0 ? order : (*left)->key[0] - (*right)->key[0];
}

/* All users, sorted; free it. */
static const struct user **sort(const struct users *users, size_t *count)
{
    const struct user **sorted = mem_new_array(const struct user *, HASH_COUNT(users->table) + 1);
    *count = 0;
    for (const struct user *user = users->table; user != NULL; user = user->hh.next) {
        sorted[(*count)++] = user;
    }
    qsort(sorted, *count, sizeof *sorted, compare_users);
    return sorted;
}

static void tell(const struct user *user, void (*each)(void *context, const struct user_told *told),
                 void *context)
{
    const struct user_told told = {.name = name_of(user),
                                   .mechanism = user->credential.mechanism,
                                   .iterations = user->credential.iterations};
    each(context, &told);
}

static void each_of_one(const struct users *users, struct slice name,
                        void (*each)(void *context, const struct user_told *told), void *context)
{
    static const enum scram_mechanism mechanisms[] = {SCRAM_SHA_256, SCRAM_SHA_512};
    for (size_t i = 0; i < SCRAM_MECHANISMS; i++) {
        const struct user *user = find(users, mechanisms[i], name);
        if (user != NULL) {
            tell(user, each, context);
        }
    }
}

void users_each(struct users *users, struct slice name,
                void (*each)(void *context, const struct user_told *told), void *context)
{
    pthread_rwlock_rdlock(&users->lock);
    if (!slice_is_null(name)) {
        each_of_one(users, name, each, context);
    } else {
        size_t count;
        const struct user **sorted = sort(users, &count);
        for (size_t i = 0; i < count; i++) {
            tell(sorted[i], each, context);
        }
        free(sorted);
    }
    pthread_rwlock_unlock(&users->lock);
}

void users_begin_change(struct users *users)
{
    pthread_mutex_lock(&users->changes);
}

void users_end_change(struct users *users)
{
    pthread_mutex_unlock(&users->changes);
}

void users_put(struct users *users, struct slice name, const struct scram_credential *credential)
{
    pthread_rwlock_wrlock(&users->lock);
    struct user *user = find(users, credential->mechanism, name);
    if (user == NULL) {
        user = mem_zalloc(sizeof *user + 1 + name.size);
        user->key[0] = (uint8_t)credential->mechanism;
        user->key_size = 1 + name.size;
        slice_copy(user->key + 1, name);
        HASH_ADD_KEYPTR(hh, users->table, user->key, user->key_size, user);
    }
    user->credential = *credential;
    pthread_rwlock_unlock(&users->lock);
}

void users_remove(struct users *users, enum scram_mechanism mechanism, struct slice name)
{
    pthread_rwlock_wrlock(&users->lock);
    struct user *user = find(users, mechanism, name);
    if (user != NULL) {
        HASH_DEL(users->table, user);
        free_user(user);
    }
    pthread_rwlock_unlock(&users->lock);
}
