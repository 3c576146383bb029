#include "security/acl.h"

#include "base/mem.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* A set of rules: by resource, and of each by principal, so that one decision looks at few. */

enum { NAME_MOST = 1024, KINDS = ACL_TRANSACTIONAL_ID + 1 };

struct grant {
    char *host;
    int8_t operation;
    int8_t permission;
};

struct holder {
    char *principal;
    VEC_FIELDS(struct grant);
    UT_hash_handle hh;
};

struct resource {
    char *key; /* kind, pattern, name */
    size_t key_size;
    struct holder *holders;
    UT_hash_handle hh;
};

struct acl_set {
    struct resource *resources;
    size_t count;
    uint32_t prefixes[KINDS][NAME_MOST + 1]; /* how many resources have a prefix of that length */
    uint16_t longest[KINDS];                 /* of those, ever */
};

struct acl_set *acl_set_new(void)
{
    return mem_new(struct acl_set);
}

size_t acl_set_count(const struct acl_set *set)
{
    return set->count;
}

static struct resource *find_resource(const struct acl_set *set, int8_t kind, int8_t pattern,
                                      struct slice name)
{
    uint8_t key[2 + NAME_MOST];
    struct resource *found = NULL;
    if (name.size <= NAME_MOST) {
        key[0] = (uint8_t)kind;
        key[1] = (uint8_t)pattern;
        slice_copy(key + 2, name);
        HASH_FIND(hh, set->resources, key, 2 + name.size, found);
    }
    return found;
}

static struct holder *find_holder(const struct resource *resource, struct slice principal)
{
    struct holder *found = NULL;
    if (resource != NULL) {
        HASH_FIND(hh, resource->holders, principal.data, principal.size, found);
    }
    return found;
}

static size_t find_grant(const struct holder *holder, const struct acl_rule *rule)
{
    size_t count = holder != NULL ? holder->count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct grant *grant = &holder->items[i];
        if (grant->operation == rule->operation && grant->permission == rule->permission &&
            slice_equal_str(rule->host, grant->host)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool acl_set_has(const struct acl_set *set, const struct acl_rule *rule)
{
    const struct resource *resource = find_resource(set, rule->kind, rule->pattern, rule->name);
    return find_grant(find_holder(resource, rule->principal), rule) != SIZE_MAX;
}

static struct resource *add_resource(struct acl_set *set, const struct acl_rule *rule)
{
    struct resource *resource = mem_new(struct resource);
    resource->key_size = 2 + rule->name.size;
    resource->key = mem_alloc(resource->key_size);
    resource->key[0] = rule->kind;
    resource->key[1] = rule->pattern;
    slice_copy(resource->key + 2, rule->name);
    HASH_ADD_KEYPTR(hh, set->resources, resource->key, resource->key_size, resource);
    if (rule->pattern == ACL_PREFIXED) {
        set->prefixes[rule->kind][rule->name.size]++;
        if (rule->name.size > set->longest[rule->kind]) {
            set->longest[rule->kind] = (uint16_t)rule->name.size;
        }
    }
    return resource;
}

bool acl_set_add(struct acl_set *set, const struct acl_rule *rule)
{
    struct resource *resource = find_resource(set, rule->kind, rule->pattern, rule->name);
    if (resource == NULL) {
        resource = add_resource(set, rule);
    }
    struct holder *holder = find_holder(resource, rule->principal);
    if (holder == NULL) {
        holder = mem_new(struct holder);
        holder->principal = mem_strndup((const char *)rule->principal.data, rule->principal.size);
        HASH_ADD_KEYPTR(hh, resource->holders, holder->principal, rule->principal.size, holder);
    }
    if (find_grant(holder, rule) != SIZE_MAX) {
        return false;
    }
    *vec_add(holder) =
        (struct grant){.host = mem_strndup((const char *)rule->host.data, rule->host.size),
                       .operation = rule->operation,
                       .permission = rule->permission};
    set->count++;
    return true;
}

static void remove_holder(struct resource *resource, struct holder *holder)
{
    HASH_DEL(resource->holders, holder);
    for (size_t i = 0; i < holder->count; i++) {
        free(holder->items[i].host);
    }
    vec_deinit(holder);
    free(holder->principal);
    free(holder);
}

static void remove_resource(struct acl_set *set, struct resource *resource)
{
    HASH_DEL(set->resources, resource);
    if (resource->key[1] == ACL_PREFIXED) {
        set->prefixes[(uint8_t)resource->key[0]][resource->key_size - 2]--;
    }
    free(resource->key);
    free(resource);
}

bool acl_set_remove(struct acl_set *set, const struct acl_rule *rule)
{
    struct resource *resource = find_resource(set, rule->kind, rule->pattern, rule->name);
    struct holder *holder = find_holder(resource, rule->principal);
    size_t at = find_grant(holder, rule);
    if (at == SIZE_MAX) {
        return false;
    }
    free(holder->items[at].host);
    holder->items[at] = holder->items[--holder->count];
    set->count--;
    if (holder->count == 0) {
        remove_holder(resource, holder);
    }
    if (resource->holders == NULL) {
        remove_resource(set, resource);
    }
    return true;
}

void acl_set_free(struct acl_set *set)
{
    struct resource *resource, *next_resource;
    struct holder *holder, *next_holder;
    if (set == NULL) {
        return;
    }
    HASH_ITER (hh, set->resources, resource, next_resource) {
        HASH_ITER (hh, resource->holders, holder, next_holder) {
            remove_holder(resource, holder);
        }
        remove_resource(set, resource);
    }
    free(set);
}

static struct acl_rule rule_of(const struct resource *resource, const struct holder *holder,
                               const struct grant *grant)
{
    return (struct acl_rule){
        .kind = resource->key[0],
        .pattern = resource->key[1],
        .operation = grant->operation,
        .permission = grant->permission,
        .name = slice_of(resource->key + 2, resource->key_size - 2),
        .principal = slice_str(holder->principal),
        .host = slice_str(grant->host),
    };
}

static int by_order(const void *one, const void *other)
{
    return acl_compare(one, other);
}

void acl_set_each(const struct acl_set *set, const struct acl_rule *filter,
                  void (*each)(void *context, const struct acl_rule *rule), void *context)
{
    struct {
        VEC_FIELDS(struct acl_rule);
    } found = {0};
    for (const struct resource *r = set->resources; r != NULL; r = r->hh.next) {
        for (const struct holder *h = r->holders; h != NULL; h = h->hh.next) {
            for (size_t i = 0; i < h->count; i++) {
                struct acl_rule rule = rule_of(r, h, &h->items[i]);
                if (acl_fits(filter, &rule)) {
                    *vec_add(&found) = rule;
                }
            }
        }
    }
    if (found.count > 0) {
        qsort(found.items, found.count, sizeof found.items[0], by_order);
    }
    for (size_t i = 0; i < found.count; i++) {
        each(context, &found.items[i]);
    }
    vec_deinit(&found);
}

/* ---- what they decide ---- */

/* What a right to do this says of that (Kafka's Authorizer, "implied operations"). */
static bool implies(int8_t allowed, int8_t operation)
{
    if (operation == ACL_DESCRIBE) {
        return allowed == ACL_READ || allowed == ACL_WRITE || allowed == ACL_DELETE ||
               allowed == ACL_ALTER;
    }
    return operation == ACL_DESCRIBE_CONFIGS && allowed == ACL_ALTER_CONFIGS;
}

static bool is_about(const struct grant *grant, const struct acl_question *question, bool exactly)
{
    bool of_operation = grant->operation == ACL_ALL || grant->operation == question->operation ||
                        (!exactly && grant->permission == ACL_ALLOW &&
                         implies(grant->operation, question->operation));
    return of_operation &&
           (strcmp(grant->host, "*") == 0 || slice_equal_str(question->host, grant->host));
}

/* The grants of a resource that concern the asking one; those that deny end the look at once. */
static void look_at_holder(const struct resource *resource, struct slice principal,
                           const struct acl_question *question, bool exactly,
                           struct acl_decision *decision)
{
    const struct holder *holder = find_holder(resource, principal);
    size_t count = holder != NULL ? holder->count : 0;
    for (size_t i = 0; i < count && decision->reason != ACL_DENIED_BY_RULE; i++) {
        const struct grant *grant = &holder->items[i];
        bool denies = grant->permission == ACL_DENY;
        if ((denies || decision->reason != ACL_ALLOWED_BY_RULE) &&
            is_about(grant, question, exactly)) {
            decision->reason = denies ? ACL_DENIED_BY_RULE : ACL_ALLOWED_BY_RULE;
            decision->rule = rule_of(resource, holder, grant);
        }
    }
}

static void look_at(const struct resource *resource, const struct acl_question *question,
                    bool exactly, struct acl_decision *decision)
{
    if (resource == NULL || decision->reason == ACL_DENIED_BY_RULE) {
        return;
    }
    if (decision->reason == ACL_NO_RULE_AT_ALL) {
        decision->reason = ACL_NO_RULE;
    }
    look_at_holder(resource, question->principal, question, exactly, decision);
    look_at_holder(resource, slice_str("User:*"), question, exactly, decision);
}

/* Whatever is about this name by prefix. */
static void look_at_prefixes(const struct acl_set *set, const struct acl_question *question,
                             struct slice name, bool exactly, struct acl_decision *decision)
{
    size_t longest = set->longest[question->kind];
    longest = longest < name.size ? longest : name.size;
    for (size_t size = 1; size <= longest && decision->reason != ACL_DENIED_BY_RULE; size++) {
        if (set->prefixes[question->kind][size] > 0) {
            struct slice prefix = slice_of(name.data, size);
            look_at(find_resource(set, question->kind, ACL_PREFIXED, prefix), question, exactly,
                    decision);
        }
    }
}

static struct acl_decision decide_by_name(const struct acl_set *set,
                                          const struct acl_question *question)
{
    struct acl_decision decision = {.reason = ACL_NO_RULE_AT_ALL};
    look_at(find_resource(set, question->kind, ACL_LITERAL, question->name), question, false,
            &decision);
    look_at(find_resource(set, question->kind, ACL_LITERAL, slice_str("*")), question, false,
            &decision);
    look_at_prefixes(set, question, question->name, false, &decision);
    return decision;
}

/*
 * Is there any resource with which it may (KIP-679)? One that a rule allows counts, unless what
 * denies is about all of that: the same literal, a prefix of it, or "*".
 */
static struct acl_decision decide_for_any(const struct acl_set *set,
                                          const struct acl_question *question)
{
    struct acl_decision all = {.reason = ACL_NO_RULE_AT_ALL};
    look_at(find_resource(set, question->kind, ACL_LITERAL, slice_str("*")), question, true, &all);
    if (all.reason == ACL_DENIED_BY_RULE || all.reason == ACL_ALLOWED_BY_RULE) {
        return all;
    }
    for (const struct resource *r = set->resources; r != NULL; r = r->hh.next) {
        struct acl_decision one = {.reason = ACL_NO_RULE_AT_ALL};
        if (r->key[0] != question->kind) {
            continue;
        }
        all.reason = ACL_NO_RULE;
        look_at(r, question, true, &one);
        if (one.reason == ACL_ALLOWED_BY_RULE) {
            look_at_prefixes(set, question, slice_of(r->key + 2, r->key_size - 2), true, &one);
        }
        if (one.reason == ACL_ALLOWED_BY_RULE) {
            return one;
        }
    }
    return all;
}

struct acl_decision acl_decide(const struct acl_set *set, const struct acl_question *question)
{
    bool is_known = question->kind > 0 && question->kind < KINDS;
    if (!is_known) {
        return (struct acl_decision){.reason = ACL_NO_RULE_AT_ALL};
    }
    return slice_is_null(question->name) ? decide_for_any(set, question)
                                         : decide_by_name(set, question);
}
