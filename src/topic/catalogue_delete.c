#include "base/logger.h"
#include "base/mem.h"
#include "topic/catalogue_internal.h"

#include <stdlib.h>

/*
 * Deletion: the row is marked, the directories are renamed, the row goes, the files go. Each step
 * can be repeated after a crash.
 */

/* Takes the topic out of the hashes; false when it was not in. */
static bool unpublish(struct catalogue *catalogue, struct topic *topic)
{
    struct topic *found = NULL;
    pthread_rwlock_wrlock(&catalogue->table_lock);
    HASH_FIND(by_id, catalogue->by_id, &topic->id, sizeof topic->id, found);
    if (found != NULL) {
        HASH_DELETE(by_name, catalogue->by_name, topic);
        HASH_DELETE(by_id, catalogue->by_id, topic);
        catalogue->changes++;
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return found != NULL;
}

static void warn_remains(const struct topic *topic, const struct reason *why)
{
    LOG_WARN("topic", "files of a deleted topic remain until the next start",
             "topic=%s reason=\"%s\"", topic->name, why->text);
}

/* Takes the directories' names away, durably; false: not of all. *away: see log_set_aside_many. */
static bool set_logs_aside(struct topic *topic, char ***away)
{
    size_t count = (size_t)topic_partition_count(topic);
    struct log **logs = mem_new_array(struct log *, count);
    for (size_t i = 0; i < count; i++) {
        logs[i] = topic_partition(topic, (int32_t)i)->log;
    }
    struct reason why;
    bool done = log_set_aside_many(logs, count, away, &why) == ERR_NONE;
    if (!done) {
        warn_remains(topic, &why);
    }
    for (size_t i = 0; i < count; i++) {
        partition_set_gone(topic_partition(topic, (int32_t)i)); /* ends the fetches waiting here */
    }
    free(logs);
    return done;
}

/* change_lock. *away NULL: there are no files to remove. */
static enum err delete_locked(struct catalogue *catalogue, struct topic *topic, char ***away,
                              struct reason *reason)
{
    enum err err = catalogue_check_known(catalogue, topic, reason);
    if (err == ERR_NONE) {
        do {
            err = catalogue_db_mark_deleting(catalogue->db, &topic->id, reason);
        } while (catalogue_try_again(catalogue, err, reason));
    }
    if (err != ERR_NONE || !unpublish(catalogue, topic)) {
        return err;
    }
    /* From here on the deletion happened: what fails is finished at the next start. */
    struct reason why;
    enum err removed = ERR_NONE;
    if (set_logs_aside(topic, away)) {
        do {
            removed = catalogue_db_remove(catalogue->db, &topic->id, &why);
        } while (catalogue_try_again(catalogue, removed, &why));
    }
    if (removed != ERR_NONE) {
        LOG_WARN("topic", "deletion is finished at the next start", "topic=%s reason=\"%s\"",
                 topic->name, why.text);
    }
    LOG_INFO("topic", "topic deleted", "topic=%s", topic->name);
    return ERR_NONE;
}

enum err catalogue_delete(struct catalogue *catalogue, struct topic *topic, struct reason *reason)
{
    char **away = NULL;
    pthread_mutex_lock(&catalogue->change_lock);
    enum err err = delete_locked(catalogue, topic, &away, reason);
    pthread_mutex_unlock(&catalogue->change_lock);
    if (away != NULL) { /* its names are free by now, nobody needs to wait */
        struct reason why;
        size_t count = (size_t)topic_partition_count(topic);
        if (log_remove_aside(catalogue->env.files, away, count, &why) != ERR_NONE) {
            warn_remains(topic, &why);
        }
        topic_unref(topic); /* the catalogue's */
    }
    return err;
}
