#include "security/authorizer.h"

#include "base/mem.h"
#include "base/vec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct authorizer {
    struct {
        VEC_FIELDS(char *);
    } super_users;
    bool allow_without_rules;
    pthread_mutex_t change_lock;
    pthread_rwlock_t lock; /* of the rules; for writing only within change_lock */
    struct acl_set *rules;
    _Atomic uint64_t version;
};

static enum err take_super_users(struct authorizer *authorizer, const char *list,
                                 struct reason *reason)
{
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ";");
        const char *colon = memchr(at, ':', size);
        if (size > 0 && (colon == NULL || colon == at || colon == at + size - 1)) {
            return reason_fail(reason, ERR_CONFIG,
                               "super.users: '%.*s' is no principal; principals are as User:alice, "
                               "with semicolons between them",
                               (int)size, at);
        }
        if (size > 0) {
            vec_push(&authorizer->super_users, mem_strndup(at, size));
        }
        at += size + (at[size] == ';');
    }
    return ERR_NONE;
}

enum err authorizer_new(const char *super_users, bool allow_without_rules, struct authorizer **out,
                        struct reason *reason)
{
    struct authorizer *authorizer = mem_new(struct authorizer);
    authorizer->allow_without_rules = allow_without_rules;
    authorizer->rules = acl_set_new();
    authorizer->version = 1;
    pthread_mutex_init(&authorizer->change_lock, NULL);
    pthread_rwlock_init(&authorizer->lock, NULL);
    enum err err = take_super_users(authorizer, super_users, reason);
    if (err != ERR_NONE) {
        authorizer_free(authorizer);
        return err;
    }
    *out = authorizer;
    return ERR_NONE;
}

void authorizer_free(struct authorizer *authorizer)
{
    if (authorizer == NULL) {
        return;
    }
    for (size_t i = 0; i < authorizer->super_users.count; i++) {
        free(authorizer->super_users.items[i]);
    }
    vec_deinit(&authorizer->super_users);
    acl_set_free(authorizer->rules);
    pthread_mutex_destroy(&authorizer->change_lock);
    pthread_rwlock_destroy(&authorizer->lock);
    free(authorizer);
}

bool authorizer_is_super(const struct authorizer *authorizer, struct slice principal)
{
    for (size_t i = 0; i < authorizer->super_users.count; i++) {
        if (slice_equal_str(principal, authorizer->super_users.items[i])) {
            return true;
        }
    }
    return false;
}

bool authorizer_allows(struct authorizer *authorizer, const struct acl_question *question)
{
    if (authorizer_is_super(authorizer, question->principal)) {
        return true;
    }
    pthread_rwlock_rdlock(&authorizer->lock);
    enum acl_reason reason = acl_decide(authorizer->rules, question).reason;
    pthread_rwlock_unlock(&authorizer->lock);
    return reason == ACL_ALLOWED_BY_RULE ||
           (reason == ACL_NO_RULE_AT_ALL && authorizer->allow_without_rules);
}

uint64_t authorizer_version(const struct authorizer *authorizer)
{
    return authorizer->version;
}

void authorizer_each(struct authorizer *authorizer, const struct acl_rule *filter,
                     void (*each)(void *context, const struct acl_rule *rule), void *context)
{
    pthread_rwlock_rdlock(&authorizer->lock);
    acl_set_each(authorizer->rules, filter, each, context);
    pthread_rwlock_unlock(&authorizer->lock);
}

size_t authorizer_count(struct authorizer *authorizer)
{
    pthread_rwlock_rdlock(&authorizer->lock);
    size_t count = acl_set_count(authorizer->rules);
    pthread_rwlock_unlock(&authorizer->lock);
    return count;
}

bool authorizer_has(struct authorizer *authorizer, const struct acl_rule *rule)
{
    pthread_rwlock_rdlock(&authorizer->lock);
    bool has = acl_set_has(authorizer->rules, rule);
    pthread_rwlock_unlock(&authorizer->lock);
    return has;
}

void authorizer_begin_change(struct authorizer *authorizer)
{
    pthread_mutex_lock(&authorizer->change_lock);
}

void authorizer_end_change(struct authorizer *authorizer)
{
    pthread_mutex_unlock(&authorizer->change_lock);
}

void authorizer_add(struct authorizer *authorizer, const struct acl_rule *rule)
{
    pthread_rwlock_wrlock(&authorizer->lock);
    acl_set_add(authorizer->rules, rule);
    authorizer->version++;
    pthread_rwlock_unlock(&authorizer->lock);
}

void authorizer_remove(struct authorizer *authorizer, const struct acl_rule *rule)
{
    pthread_rwlock_wrlock(&authorizer->lock);
    acl_set_remove(authorizer->rules, rule);
    authorizer->version++;
    pthread_rwlock_unlock(&authorizer->lock);
}
