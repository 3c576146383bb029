#include "group/topic_matches.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "base/vec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { PIECE_MOVES = 1 << 17 }; /* some tenths of a millisecond: others may go first then */

/* Names in memory of their own. */
struct name_set {
    struct arena arena;
    struct slice *names;
    size_t count;
};

struct expression {
    struct slice text;
    UT_hash_handle hh;
    struct expression *prev; /* in the order of their last use */
    struct expression *next;
    struct expression *next_wanted;
    bool wanted;    /* in the line for a worker */
    unsigned users; /* who are in a step, or the line: it stays then */
    struct name_set known;
    size_t counted_bytes; /* of the budget */
    uint64_t version;     /* of the catalogue that `known` is of; 0: none yet */
    enum err err;         /* of the first look-up */
    struct reason reason;

    pthread_mutex_t step_lock; /* one piece at a time; guards what follows */
    struct pattern *pattern;
    bool working;
    struct arena arena; /* of the names that are new */
    struct slice *names;
    size_t count;
    size_t at;
    struct {
        VEC_FIELDS(struct slice);
    } found;
    uint64_t work_version;
    int64_t moves_left;
};

struct topic_matches {
    struct group_topics topics;
    struct workers *workers;
    struct budget *budget;
    pthread_mutex_t lock; /* guards what follows, and of expressions what is not step_lock's */
    struct expression *expressions;
    struct expression *in_order; /* the one used longest ago is first */
    size_t names;                /* of all that is known */
    size_t counted_bytes;        /* of all */
    struct expression *wanted;
    bool working;
    struct task task;
    _Atomic uint64_t evaluations;
};

static void set_deinit(struct name_set *set)
{
    arena_deinit(&set->arena);
    *set = (struct name_set){.count = 0};
}

static void end_work(struct expression *expression)
{
    arena_deinit(&expression->arena);
    vec_deinit(&expression->found);
    expression->working = false;
}

/* Changes what the expression has counted, by memory that is there already. Under the lock. */
static void recount(struct topic_matches *matches, struct expression *expression, size_t bytes)
{
    size_t before = expression->counted_bytes;
    if (matches->budget != NULL && bytes > before) {
        budget_add(matches->budget, BUDGET_GROUPS, bytes - before);
    } else if (matches->budget != NULL) {
        budget_give(matches->budget, BUDGET_GROUPS, before - bytes);
    }
    matches->counted_bytes += bytes - before;
    expression->counted_bytes = bytes;
}

static void drop(struct topic_matches *matches, struct expression *expression)
{
    matches->names -= expression->known.count;
    recount(matches, expression, 0);
    HASH_DEL(matches->expressions, expression);
    DL_DELETE(matches->in_order, expression);
    end_work(expression);
    set_deinit(&expression->known);
    pattern_free(expression->pattern);
    pthread_mutex_destroy(&expression->step_lock);
    free((void *)(uintptr_t)expression->text.data);
    free(expression);
}

/* Under the lock. */
static void make_room(struct topic_matches *matches)
{
    struct expression *expression;
    struct expression *next;
    DL_FOREACH_SAFE (matches->in_order, expression, next) {
        bool full = HASH_COUNT(matches->expressions) > TOPIC_MATCHES_EXPRESSIONS ||
                    matches->names > TOPIC_MATCHES_NAMES;
        if (!full || expression == matches->in_order->prev) {
            break; /* the last one */
        }
        if (expression->users == 0) {
            drop(matches, expression);
        }
    }
}

/* The one used longest ago that nobody is at, but for the last one; NULL: none. Under the lock. */
static struct expression *oldest_unused(struct topic_matches *matches)
{
    struct expression *expression = matches->in_order;
    while (expression != NULL && (expression->users > 0 || expression->next == NULL)) {
        expression = expression->next;
    }
    return expression;
}

static bool has_room(struct topic_matches *matches, size_t bytes)
{
    const struct budget_used *share = &matches->budget->shares[BUDGET_GROUPS];
    size_t most = (size_t)share->limit_bytes / TOPIC_MATCHES_SHARE_PART;
    size_t has = matches->counted_bytes;
    return bytes <= most && has <= most - bytes &&
           budget_take_fairly(matches->budget, BUDGET_GROUPS, bytes, has);
}

/* Asks for more; those used longest ago go for it. False: there is none. Not under the lock. */
static bool take_room(struct topic_matches *matches, struct expression *expression, size_t bytes)
{
    bool took = true;
    pthread_mutex_lock(&matches->lock);
    while (matches->budget != NULL && !(took = has_room(matches, bytes))) {
        struct expression *oldest = oldest_unused(matches);
        if (oldest == NULL) {
            break;
        }
        drop(matches, oldest);
    }
    if (took) {
        matches->counted_bytes += bytes;
        expression->counted_bytes += bytes;
    }
    pthread_mutex_unlock(&matches->lock);
    if (!took) {
        LOG_WARN("group", "no memory to match topics with a regular expression (memory.max)",
                 "regex=\"%.*s\" bytes=%zu", SLICE_ARGS(expression->text), bytes);
    }
    return took;
}

/* What it holds beside its work. */
static size_t kept_bytes(const struct expression *expression)
{
    return mem_cost(sizeof *expression) + mem_cost(expression->text.size) +
           pattern_bytes(expression->pattern) + expression->known.arena.held_bytes;
}

/* The expression, which is made if need be; now the one used last. Under the lock. */
static struct expression *use(struct topic_matches *matches, struct slice text)
{
    struct expression *expression;
    HASH_FIND(hh, matches->expressions, text.data, text.size, expression);
    if (expression == NULL) {
        expression = mem_new(struct expression);
        expression->text = slice_of(mem_dup(text.data, text.size), text.size);
        pthread_mutex_init(&expression->step_lock, NULL);
        HASH_ADD_KEYPTR(hh, matches->expressions, expression->text.data, expression->text.size,
                        expression);
        recount(matches, expression, kept_bytes(expression));
    } else {
        DL_DELETE(matches->in_order, expression);
    }
    DL_APPEND(matches->in_order, expression);
    return expression;
}

/* ---- the work ---- */

static void add_name(struct name_set *set, struct slice name)
{
    set->names[set->count++] = slice_of(arena_dup(&set->arena, name.data, name.size), name.size);
}

static bool has_name(const struct name_set *set, size_t count, struct slice name)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        int order = slice_compare(set->names[middle], name);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* What was known and is still there, and what was found. step_lock. */
static struct name_set merge(struct topic_matches *matches, struct expression *expression)
{
    const struct name_set *old = &expression->known;
    struct name_set set = {.count = 0};
    struct wire_uuid id;
    int32_t partitions;
    set.names =
        arena_alloc_array(&set.arena, old->count + expression->found.count, sizeof *set.names);
    for (size_t i = 0; i < old->count; i++) {
        if (matches->topics.find(matches->topics.context, old->names[i], &id, &partitions)) {
            add_name(&set, old->names[i]);
        }
    }
    size_t before = set.count;
    for (size_t i = 0; i < expression->found.count; i++) {
        if (!has_name(&set, before, expression->found.items[i])) { /* made anew */
            add_name(&set, expression->found.items[i]);
        }
    }
    if (set.count > 1) {
        qsort(set.names, set.count, sizeof *set.names, compare);
    }
    return set;
}

static void warn_costly(const struct expression *expression)
{
    LOG_WARN("group", "a regular expression takes too long: new topics are not matched",
             "regex=\"%.*s\" new_topics=%zu", SLICE_ARGS(expression->text),
             expression->count - expression->at);
}

/* Makes known what was found. step_lock. */
static void publish(struct topic_matches *matches, struct expression *expression)
{
    bool costly = expression->moves_left < 0;
    bool first = expression->version == 0;
    struct name_set set = merge(matches, expression);
    if (costly && !first) {
        warn_costly(expression);
    }
    pthread_mutex_lock(&matches->lock);
    if (costly && first) {
        expression->err = reason_fail(&expression->reason, ERR_INVALID_REGEX,
                                      "the regular expression takes too long to be held against "
                                      "the names of all topics: make it simpler");
    }
    matches->names += set.count - expression->known.count;
    set_deinit(&expression->known);
    expression->known = set;
    expression->version = expression->work_version;
    end_work(expression);
    recount(matches, expression, kept_bytes(expression));
    make_room(matches);
    pthread_mutex_unlock(&matches->lock);
}

/* False: there is no memory for it. step_lock. */
static bool begin_work(struct topic_matches *matches, struct expression *expression)
{
    const struct group_topics *topics = &matches->topics;
    expression->working = true;
    expression->work_version = topics->version(topics->context); /* before the look */
    expression->count =
        topics->list(topics->context, expression->version, &expression->arena, &expression->names);
    expression->at = 0;
    expression->moves_left = TOPIC_MATCHES_MOVES;
    /* What is found is among the new names, and so is what will be known. */
    size_t bytes = expression->arena.held_bytes + 2 * expression->count * sizeof(struct slice);
    if (!take_room(matches, expression, bytes)) {
        end_work(expression);
        return false;
    }
    return true;
}

/* False: it is bad, or there is no memory for it. step_lock. */
static bool compile(struct topic_matches *matches, struct expression *expression)
{
    struct reason reason = {.text = ""};
    enum err err = pattern_new(expression->text, &expression->pattern, &reason);
    if (err == ERR_NONE && !take_room(matches, expression, pattern_bytes(expression->pattern))) {
        pattern_free(expression->pattern);
        expression->pattern = NULL;
        return false;
    }
    pthread_mutex_lock(&matches->lock);
    expression->err = err;
    expression->reason = reason;
    pthread_mutex_unlock(&matches->lock);
    return err == ERR_NONE;
}

static void match_some(struct topic_matches *matches, struct expression *expression)
{
    int64_t enough = expression->moves_left - PIECE_MOVES;
    for (int i = 0; i < TOPIC_MATCHES_PIECE_NAMES && expression->at < expression->count &&
                    expression->moves_left > enough && expression->moves_left >= 0;
         i++) {
        struct slice name = expression->names[expression->at++];
        matches->evaluations++;
        if (pattern_matches_within(expression->pattern, name, &expression->moves_left)) {
            vec_push(&expression->found, name);
        }
    }
    if (expression->at == expression->count || expression->moves_left < 0) {
        publish(matches, expression);
    }
}

/* A piece; false when nothing is left to do. The caller keeps the expression. */
static bool step(struct topic_matches *matches, struct expression *expression, uint64_t version)
{
    pthread_mutex_lock(&expression->step_lock);
    bool more = expression->err == ERR_NONE && expression->version < version;
    if (more && expression->pattern == NULL) {
        more = compile(matches, expression);
    }
    if (more && !expression->working) {
        more = begin_work(matches, expression);
    }
    if (more) {
        match_some(matches, expression);
        more = expression->err == ERR_NONE && expression->version < version;
    }
    pthread_mutex_unlock(&expression->step_lock);
    return more;
}

bool topic_matches_step(struct topic_matches *matches, struct slice text, uint64_t version,
                        enum err *err, struct reason *reason)
{
    pthread_mutex_lock(&matches->lock);
    struct expression *expression = use(matches, text);
    expression->users++;
    make_room(matches);
    pthread_mutex_unlock(&matches->lock);
    bool more = step(matches, expression, version);
    pthread_mutex_lock(&matches->lock);
    *err = expression->err;
    *reason = expression->reason;
    expression->users--;
    pthread_mutex_unlock(&matches->lock);
    return more;
}

/* ---- what is known ---- */

/* A piece for the first in the line. */
static void run_wanted(struct task *task)
{
    struct topic_matches *matches = container_of(task, struct topic_matches, task);
    pthread_mutex_lock(&matches->lock);
    struct expression *expression = matches->wanted;
    pthread_mutex_unlock(&matches->lock);
    const struct group_topics *topics = &matches->topics;
    bool more = step(matches, expression, topics->version(topics->context));
    pthread_mutex_lock(&matches->lock);
    LL_DELETE2(matches->wanted, expression, next_wanted);
    if (more) { /* behind the others */
        LL_APPEND2(matches->wanted, expression, next_wanted);
    } else {
        expression->wanted = false;
        expression->users--;
    }
    matches->working = matches->wanted != NULL;
    if (matches->working) {
        workers_post(matches->workers, (struct worker_owner){.who = matches}, WORKER_SLOW,
                     &matches->task);
    }
    pthread_mutex_unlock(&matches->lock);
}

/* Under the lock. */
static void want(struct topic_matches *matches, struct expression *expression)
{
    if (expression->wanted) {
        return;
    }
    expression->wanted = true;
    expression->users++;
    LL_APPEND2(matches->wanted, expression, next_wanted);
    if (!matches->working) {
        matches->working = true;
        workers_post(matches->workers, (struct worker_owner){.who = matches}, WORKER_SLOW,
                     &matches->task);
    }
}

bool topic_matches_is_current(struct topic_matches *matches, struct slice text)
{
    struct expression *expression;
    uint64_t version = matches->topics.version(matches->topics.context);
    pthread_mutex_lock(&matches->lock);
    HASH_FIND(hh, matches->expressions, text.data, text.size, expression);
    bool current =
        expression != NULL && expression->err == ERR_NONE && expression->version >= version;
    pthread_mutex_unlock(&matches->lock);
    return current;
}

enum group_match topic_matches_find(void *context, struct slice text, uint64_t known_version,
                                    struct arena *arena, struct group_matched *out)
{
    struct topic_matches *matches = context;
    uint64_t version = matches->topics.version(matches->topics.context);
    pthread_mutex_lock(&matches->lock);
    struct expression *expression = use(matches, text);
    if (expression->err == ERR_NONE && expression->version < version) {
        want(matches, expression);
    }
    *out = (struct group_matched){.version = expression->version};
    /* One that is bad, as the log may hold it, matches nothing, today and later. */
    out->current = expression->version >= version || expression->err != ERR_NONE;
    enum group_match result = expression->version == 0               ? GROUP_MATCH_UNKNOWN
                              : expression->version == known_version ? GROUP_MATCH_SAME
                                                                     : GROUP_MATCH_NEW;
    if (result == GROUP_MATCH_NEW) {
        const struct name_set *known = &expression->known;
        out->names = arena_alloc_array(arena, known->count ? known->count : 1, sizeof *out->names);
        for (size_t i = 0; i < known->count; i++) {
            struct slice name = known->names[i];
            out->names[out->count++] = slice_of(arena_dup(arena, name.data, name.size), name.size);
        }
    }
    make_room(matches);
    pthread_mutex_unlock(&matches->lock);
    return result;
}

uint64_t topic_matches_count(struct topic_matches *matches)
{
    return matches->evaluations;
}

struct topic_matches *topic_matches_new(const struct group_topics *topics, struct workers *workers,
                                        struct budget *budget)
{
    struct topic_matches *matches = mem_new(struct topic_matches);
    matches->topics = *topics;
    matches->workers = workers;
    matches->budget = budget;
    matches->task.run = run_wanted;
    pthread_mutex_init(&matches->lock, NULL);
    return matches;
}

void topic_matches_free(struct topic_matches *matches)
{
    if (matches == NULL) {
        return;
    }
    while (matches->in_order != NULL) {
        drop(matches, matches->in_order);
    }
    pthread_mutex_destroy(&matches->lock);
    free(matches);
}
