#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/random.h"
#include "topic/catalogue_change.h"
#include "topic/catalogue_internal.h"

#include <stdlib.h>
#include <utlist.h>

/*
 * Topics and partitions that come: all is checked, the row is written, the logs are made, and then
 * they are seen. A crash in between leaves a topic with less directories than its row says, which a
 * start makes.
 */

/* ---- what is checked ---- */

static enum err check_count(int32_t count, struct reason *reason)
{
    if (count < 1 || count > TOPIC_MAX_PARTITIONS) {
        return reason_fail(reason, ERR_INVALID, "a topic has from 1 to %d partitions, not %d",
                           TOPIC_MAX_PARTITIONS, (int)count);
    }
    return ERR_NONE;
}

/* Each partition takes memory: without a limit one request takes that of all. change_lock. */
static enum err check_room(struct catalogue *catalogue, const char *name, int32_t added,
                           struct reason *reason)
{
    int64_t coming = catalogue->coming + added;
    int64_t total = catalogue->partitions + added;
    if (catalogue->max_partitions > 0 && total > catalogue->max_partitions) {
        return reason_fail(reason, ERR_LIMIT,
                           "%lld partitions are more than the %d that one server takes: delete "
                           "some first",
                           (long long)total, (int)catalogue->max_partitions);
    }
    struct budget *budget = catalogue->env.budget;
    size_t bytes = (size_t)coming * topic_partition_cost();
    if (budget == NULL || budget_has_room(budget, BUDGET_PARTITIONS, bytes, 0)) {
        return ERR_NONE;
    }
    const struct budget_used *share = &budget->shares[BUDGET_PARTITIONS];
    LOG_WARN("topic", "partitions were refused: there is no memory for them",
             "topic=%s added=%d total=%lld share=%s bytes=%lld limit=%lld setting=memory.max", name,
             (int)added, (long long)total, budget_share_name(BUDGET_PARTITIONS),
             (long long)share->bytes, (long long)share->limit_bytes);
    return reason_fail(reason, ERR_LIMIT,
                       "there is no memory for %d more partitions: share=%s has %lld of %lld bytes "
                       "in use; delete topics, or raise memory.max",
                       (int)added, budget_share_name(BUDGET_PARTITIONS), (long long)share->bytes,
                       (long long)share->limit_bytes);
}

/* ---- the phases ---- */

static void go_on(struct catalogue_change *change, enum err err,
                  const struct catalogue_phase *phase)
{
    change->err = err;
    change->phase = phase;
}

static void settle(struct catalogue_change *change)
{
    catalogue_change_settle(change);
    change->phase = NULL;
}

static const struct catalogue_phase settling = {settle, true, false};

static void see(struct catalogue_change *change)
{
    struct catalogue *catalogue = change->catalogue;
    struct topic *topic = change->topic;
    topic_add_partitions(topic, change->added, change->total - change->first);
    if (change->creates) {
        topic_set_config(topic, &change->config);
        overrides_copy(&topic->overrides, &change->overrides);
        topic_ref(topic);
        catalogue_publish(catalogue, topic);
        LOG_INFO("topic", "topic created", "topic=%s partitions=%d", topic->name,
                 (int)change->total);
    } else {
        for (int32_t i = change->first; i < change->total; i++) { /* which may have changed */
            log_set_config(topic_partition(topic, i)->log, &topic_config(topic)->log);
        }
        catalogue->changes++;
    }
    change->is_seen = true;
    settle(change);
}

static const struct catalogue_phase seeing = {see, true, false};

/* The logs are gone, and so is the row. */
static void undo_row(struct catalogue_change *change)
{
    struct catalogue *catalogue = change->catalogue;
    struct topic *topic = change->topic;
    struct reason why;
    if (change->creates) {
        (void)!catalogue_db_remove(catalogue->db, &topic->id, &why);
    } else if (catalogue_db_set_partitions(catalogue->db, &topic->id, change->first, &why) !=
               ERR_NONE) {
        LOG_WARN("topic", "a topic has more partitions from the next start on",
                 "topic=%s partitions=%d reason=\"%s\"", topic->name, (int)change->total, why.text);
    }
    settle(change);
}

static const struct catalogue_phase undoing = {undo_row, true, false};

static void discard_logs(struct catalogue_change *change)
{
    struct reason ignored;
    char *dir = catalogue_log_dir(change->catalogue, change->topic, change->next);
    (void)!log_discard_dir(change->catalogue->env.files, dir, &ignored);
    free(dir);
    for (int32_t i = 0; i < change->next - change->first; i++) {
        (void)!log_delete(change->added[i]->log, &ignored);
        log_unref(change->added[i]->log);
        free(change->added[i]);
    }
}

static void open_some(struct catalogue_change *change)
{
    struct catalogue *catalogue = change->catalogue;
    const struct log_config *config =
        change->creates ? &change->config.log : &topic_config(change->topic)->log;
    enum err err = ERR_NONE;
    for (int i = 0; i < CATALOGUE_PIECE && change->next < change->total; i++) {
        struct log_recovery recovery;
        priority_give_way();
        err = catalogue_open_partition(catalogue, change->topic, change->next, config, NULL,
                                       &change->added[change->next - change->first], &recovery,
                                       &change->reason);
        if (err != ERR_NONE) {
            break;
        }
        change->next++;
    }
    if (err == ERR_NONE && change->next == change->total) { /* the new directories, all at once */
        err = file_sync_dir(catalogue->env.files, catalogue->topics_dir, &change->reason);
    }
    if (err != ERR_NONE) {
        discard_logs(change);
        go_on(change, err, &undoing);
    } else if (change->next == change->total) {
        go_on(change, ERR_NONE, &seeing);
    }
}

static const struct catalogue_phase opening = {open_some, false, false};

static void write_row(struct catalogue_change *change)
{
    struct catalogue_db *db = change->catalogue->db;
    struct topic *topic = change->topic;
    enum err err =
        change->creates
            ? catalogue_db_insert(db, topic, change->total, &change->overrides, &change->reason)
            : catalogue_db_set_partitions(db, &topic->id, change->total, &change->reason);
    if (err != ERR_NONE) {
        change->err = err;
        settle(change);
        return;
    }
    change->added = mem_new_array(struct partition *, (size_t)(change->total - change->first));
    change->next = change->first;
    go_on(change, ERR_NONE, &opening);
}

static const struct catalogue_phase writing = {write_row, true, false};

/* A directory that no topic owns must not become part of one. */
static void check_foreign(struct catalogue_change *change)
{
    enum { LOOKS = 8 * CATALOGUE_PIECE };
    enum err err = ERR_NONE;
    for (int i = 0; err == ERR_NONE && i < LOOKS && change->next < change->total; i++) {
        char *dir = catalogue_log_dir(change->catalogue, change->topic, change->next);
        if (file_exists(dir)) {
            err = reason_fail(&change->reason, ERR_EXISTS,
                              "directory topics/%s-%d exists but the catalogue does not know it: "
                              "move it away or choose another name",
                              change->topic->name, (int)change->next);
        }
        free(dir);
        change->next++;
    }
    if (err != ERR_NONE) {
        go_on(change, err, &settling);
    } else if (change->next == change->total) {
        go_on(change, ERR_NONE, change->validate_only ? &settling : &writing);
    }
}

static const struct catalogue_phase checking = {check_foreign, false, false};

/* ---- begin ---- */

/* Whether the name is nobody's. Kafka refuses those that are alike too, as metrics would mix them
 * up. change_lock. */
static enum err check_name_free(struct catalogue *catalogue, const char *name,
                                struct reason *reason)
{
    const struct topic *like = NULL;
    const struct topic *other;
    LL_FOREACH2(catalogue_names_find(&catalogue->names, name), other, next_alike)
    {
        const struct catalogue_change *change = other->change;
        bool comes_or_goes = change != NULL && (change->creates || change->deletes);
        if (strcmp(other->name, name) == 0) {
            return comes_or_goes
                       ? reason_fail(reason, ERR_EXISTS, "topic '%s' is being %s: try again later",
                                     name, change->creates ? "created" : "deleted")
                       : reason_fail(reason, ERR_EXISTS, "topic '%s' already exists", name);
        }
        like = comes_or_goes && change->deletes ? like : other;
    }
    return like == NULL
               ? ERR_NONE
               : reason_fail(reason, ERR_INVALID,
                             "topic '%s' collides with existing topic '%s': names that differ in "
                             "'.' and '_' only are not told apart in metrics",
                             name, like->name);
}

/* Refuses what no state of the catalogue makes good. */
static enum err check_creation(const struct topic_creation *creation, struct reason *reason)
{
    enum err err = topic_check_name(creation->name, reason);
    if (err == ERR_NONE && !creation->internal &&
        slice_equal_str(creation->name, "__transaction_state")) {
        err = reason_fail(reason, ERR_INVALID, "the name __transaction_state is the server's own");
    }
    return err == ERR_NONE ? check_count(creation->partition_count, reason) : err;
}

enum err catalogue_create_begin(struct catalogue *catalogue, const struct topic_creation *creation,
                                struct catalogue_change **out, struct reason *reason)
{
    *out = NULL;
    enum err err = check_creation(creation, reason);
    if (err == ERR_NONE) {
        err = catalogue_check_open(catalogue, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    struct topic_config config;
    err = catalogue_build_config(catalogue, &creation->overrides, &config, reason);
    if (err != ERR_NONE) {
        topic_config_deinit(&config);
        return err;
    }
    struct topic_id id;
    random_uuid(id.bytes);
    struct catalogue_change *change = catalogue_change_new(
        catalogue, topic_new(creation->name, &id, creation->internal), &checking);
    change->creates = true;
    change->topic->budget = catalogue->env.budget;
    change->validate_only = creation->validate_only;
    change->total = creation->partition_count;
    change->config = config;
    overrides_copy(&change->overrides, &creation->overrides);
    fair_lock_take(&catalogue->change_lock);
    err = check_name_free(catalogue, change->topic->name, reason);
    if (err == ERR_NONE && !creation->internal) { /* without its own the server cannot start */
        err = check_room(catalogue, change->topic->name, change->total, reason);
    }
    if (err == ERR_NONE && !change->validate_only) {
        catalogue_change_begin(change);
    } else {
        change->phase = NULL;
    }
    fair_lock_give(&catalogue->change_lock);
    if (err != ERR_NONE) {
        change->err = err;
        (void)!catalogue_change_end(change, NULL, NULL);
    } else {
        *out = change;
    }
    return err;
}

enum err catalogue_grow_begin(struct catalogue *catalogue, struct topic *topic, int32_t total,
                              bool validate_only, struct catalogue_change **out,
                              struct reason *reason)
{
    *out = NULL;
    enum err err = check_count(total, reason);
    if (err != ERR_NONE) {
        return err;
    }
    fair_lock_take(&catalogue->change_lock);
    int32_t now = topic_partition_count(topic);
    err = catalogue_check_known(catalogue, topic, reason);
    if (err == ERR_NONE && topic->change != NULL) {
        err = reason_fail(reason, ERR_TIMEOUT, "partitions of topic '%s' are being added",
                          topic->name);
    } else if (err == ERR_NONE && total <= now) {
        err = reason_fail(reason, ERR_INVALID,
                          "topic '%s' has %d partitions already, %d would not be an increase",
                          topic->name, (int)now, (int)total);
    } else if (err == ERR_NONE) {
        err = check_room(catalogue, topic->name, total - now, reason);
    }
    if (err == ERR_NONE) {
        topic_ref(topic);
        *out = catalogue_change_new(catalogue, topic, &checking);
        (*out)->validate_only = validate_only;
        (*out)->first = now;
        (*out)->next = now;
        (*out)->total = total;
        catalogue_change_begin(*out);
    }
    fair_lock_give(&catalogue->change_lock);
    return err;
}

enum err catalogue_create(struct catalogue *catalogue, const struct topic_creation *creation,
                          struct topic **out, struct reason *reason)
{
    struct catalogue_change *change;
    if (out != NULL) {
        *out = NULL;
    }
    enum err err = catalogue_create_begin(catalogue, creation, &change, reason);
    return err == ERR_NONE ? catalogue_change_finish(change, out, reason) : err;
}

enum err catalogue_add_partitions(struct catalogue *catalogue, struct topic *topic, int32_t total,
                                  bool validate_only, struct reason *reason)
{
    struct catalogue_change *change;
    enum err err = catalogue_grow_begin(catalogue, topic, total, validate_only, &change, reason);
    return err == ERR_NONE ? catalogue_change_finish(change, NULL, reason) : err;
}
