#include "base/logger.h"
#include "base/mem.h"
#include "topic/catalogue_change.h"

#include <stdlib.h>

/*
 * Deletion: the row is marked, the directories are renamed, the row goes, the files go. Each step
 * can be repeated after a crash. The directories are renamed and removed in pieces.
 */

static void set_some_aside(struct catalogue_change *change);
static void remove_row(struct catalogue_change *change);
static void remove_some_files(struct catalogue_change *change);

static const struct catalogue_phase setting_aside = {set_some_aside, false, false};
static const struct catalogue_phase removing_row = {remove_row, true, false};
static const struct catalogue_phase removing_files = {remove_some_files, false, true};

static void warn_remains(const struct topic *topic, const struct reason *why)
{
    LOG_WARN("topic", "files of a deleted topic remain until the next start",
             "topic=%s reason=\"%s\"", topic->name, why->text);
}

/* Frees the names of some directories, durably. What fails is finished at the next start. */
static void set_some_aside(struct catalogue_change *change)
{
    struct topic *topic = change->topic;
    struct log *logs[CATALOGUE_PIECE];
    size_t count = 0;
    while (count < CATALOGUE_PIECE && change->next + (int32_t)count < change->count) {
        logs[count] = topic_partition(topic, change->next + (int32_t)count)->log;
        count++;
    }
    struct reason why;
    if (log_set_aside_many(logs, count, &change->away[change->next / CATALOGUE_PIECE], &why) !=
        ERR_NONE) {
        change->unnamed = false;
        warn_remains(topic, &why);
    }
    for (size_t i = 0; i < count; i++) { /* ends the fetches waiting here */
        partition_set_gone(topic_partition(topic, change->next + (int32_t)i));
    }
    change->next += (int32_t)count;
    if (change->next == change->count) { /* the names, all at once */
        const struct catalogue *catalogue = change->catalogue;
        change->next = 0;
        change->phase = &removing_row;
        change->synced =
            file_sync_dir(catalogue->env.files, catalogue->topics_dir, &why) == ERR_NONE;
        if (!change->synced) {
            warn_remains(topic, &why);
        }
    }
}

/* Its names are free now; if they are not, that of the topic stays taken until the next start. */
static void remove_row(struct catalogue_change *change)
{
    struct catalogue *catalogue = change->catalogue;
    struct topic *topic = change->topic;
    struct reason why;
    bool unnamed = change->unnamed && change->synced;
    enum err removed = unnamed ? ERR_NONE : ERR_IO;
    if (unnamed) {
        do {
            removed = catalogue_db_remove(catalogue->db, &topic->id, &why);
        } while (catalogue_try_again(catalogue, removed, &why));
        if (removed != ERR_NONE) {
            LOG_WARN("topic", "deletion is finished at the next start", "topic=%s reason=\"%s\"",
                     topic->name, why.text);
        }
    }
    LOG_INFO("topic", "topic deleted", "topic=%s", topic->name);
    if (removed == ERR_NONE) {
        catalogue_change_settle(change);
    }
    change->phase = &removing_files;
}

static void remove_some_files(struct catalogue_change *change)
{
    struct reason why;
    size_t left = (size_t)(change->count - change->next);
    size_t count = left < CATALOGUE_PIECE ? left : CATALOGUE_PIECE;
    const struct file_ops *files = change->synced ? change->catalogue->env.files : NULL;
    if (log_remove_aside(files, change->away[change->next / CATALOGUE_PIECE], count, &why) !=
        ERR_NONE) {
        warn_remains(change->topic, &why);
    }
    change->away[change->next / CATALOGUE_PIECE] = NULL;
    change->next += (int32_t)count;
    if (change->next == change->count) {
        topic_unref(change->topic); /* the catalogue's */
        change->phase = NULL;
    }
}

enum err catalogue_delete_begin(struct catalogue *catalogue, struct topic *topic,
                                struct catalogue_change **out, struct reason *reason)
{
    *out = NULL;
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_check_known(catalogue, topic, reason);
    if (err == ERR_NONE && topic->change != NULL) {
        err = reason_fail(reason, ERR_TIMEOUT, "partitions of topic '%s' are being added",
                          topic->name);
    }
    if (err == ERR_NONE) {
        do {
            err = catalogue_db_mark_deleting(catalogue->db, &topic->id, reason);
        } while (catalogue_try_again(catalogue, err, reason));
    }
    if (err == ERR_NONE) {
        /* From here on the deletion happened: what fails is finished at the next start. */
        catalogue_unpublish(catalogue, topic);
        catalogue->partitions -= topic_partition_count(topic);
        topic_ref(topic);
        struct catalogue_change *change = catalogue_change_new(catalogue, topic, &setting_aside);
        change->deletes = true;
        change->count = topic_partition_count(topic);
        change->away =
            mem_new_array(char **, ((size_t)change->count + CATALOGUE_PIECE - 1) / CATALOGUE_PIECE);
        change->unnamed = true;
        catalogue_change_begin(change);
        *out = change;
    }
    fair_lock_give(&catalogue->change_lock);
    return err;
}

enum err catalogue_delete(struct catalogue *catalogue, struct topic *topic, struct reason *reason)
{
    struct catalogue_change *change;
    enum err err = catalogue_delete_begin(catalogue, topic, &change, reason);
    return err == ERR_NONE ? catalogue_change_finish(change, NULL, reason) : err;
}
