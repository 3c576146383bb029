#include "topic/catalogue.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/random.h"
#include "log/space.h"
#include "topic/catalogue_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { PRODUCER_ID_BLOCK = 1000 };

struct topic *catalogue_find(struct catalogue *catalogue, struct slice name)
{
    struct topic *topic = NULL;
    pthread_rwlock_rdlock(&catalogue->table_lock);
    HASH_FIND(by_name, catalogue->by_name, name.data, name.size, topic);
    if (topic != NULL) {
        topic_ref(topic);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return topic;
}

struct topic *catalogue_find_id(struct catalogue *catalogue, const struct topic_id *id)
{
    struct topic *topic = NULL;
    pthread_rwlock_rdlock(&catalogue->table_lock);
    HASH_FIND(by_id, catalogue->by_id, id, sizeof *id, topic);
    if (topic != NULL) {
        topic_ref(topic);
    }
    pthread_rwlock_unlock(&catalogue->table_lock);
    return topic;
}

uint64_t catalogue_version(const struct catalogue *catalogue)
{
    return catalogue->changes + 1;
}

char *catalogue_log_dir(const struct catalogue *catalogue, const struct topic *topic,
                        int32_t partition)
{
    return mem_sprintf("%s/%s-%d", catalogue->topics_dir, topic->name, (int)partition);
}

static struct partition *partition_new(struct catalogue *catalogue, struct topic *topic,
                                       int32_t index, struct log *log)
{
    struct partition *partition = mem_new(struct partition);
    partition->topic = topic;
    partition->index = index;
    partition->log = log;
    partition->advanced = catalogue->advanced;
    partition->advanced_context = catalogue->advanced_context;
    log_set_user(log, partition);
    atomic_store(&partition->high_watermark, log_flushed_offset(log));
    return partition;
}

enum err catalogue_open_partition(struct catalogue *catalogue, struct topic *topic, int32_t index,
                                  const struct log_config *config, const struct log_state *known,
                                  struct partition **out, struct log_recovery *recovery,
                                  struct reason *reason)
{
    struct log *log;
    char *dir = catalogue_log_dir(catalogue, topic, index);
    enum err err = log_open(dir, config, &catalogue->env, known, &log, recovery, reason);
    free(dir);
    if (err == ERR_NONE) {
        *out = partition_new(catalogue, topic, index, log);
    }
    return err;
}

struct partition *catalogue_open_offline(struct catalogue *catalogue, struct topic *topic,
                                         int32_t index, const struct log_config *config,
                                         const struct log_state *known, const struct reason *why)
{
    char *dir = catalogue_log_dir(catalogue, topic, index);
    struct log *log = log_open_offline(dir, config, &catalogue->env, known, why);
    free(dir);
    LOG_ERROR("topic", "a partition is offline: mend its files and restart",
              "topic=%s partition=%d reason=\"%s\"", topic->name, (int)index, why->text);
    return partition_new(catalogue, topic, index, log);
}

enum err catalogue_build_config(const struct catalogue *catalogue, const struct overrides *own,
                                struct topic_config *config, struct reason *reason)
{
    enum err err = topic_config_build(config, &catalogue->topic_defaults, own, reason);
    if (catalogue->producer_expiration_ms > 0) {
        config->log.producer_expiration_ms = catalogue->producer_expiration_ms;
    }
    return err;
}

void catalogue_end_changes(struct catalogue *catalogue)
{
    atomic_store(&catalogue->no_more_changes, true);
}

enum err catalogue_check_open(const struct catalogue *catalogue, struct reason *reason)
{
    return atomic_load(&catalogue->no_more_changes)
               ? reason_fail(reason, ERR_CLOSED, "the server is stopping")
               : ERR_NONE;
}

enum err catalogue_check_known(struct catalogue *catalogue, const struct topic *topic,
                               struct reason *reason)
{
    enum err err = catalogue_check_open(catalogue, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct topic *found = catalogue_find_id(catalogue, &topic->id);
    if (found == NULL) {
        return reason_fail(reason, ERR_NOT_FOUND, "topic '%s' is not there any more", topic->name);
    }
    topic_unref(found);
    return ERR_NONE;
}

bool catalogue_try_again(struct catalogue *catalogue, enum err err, struct reason *reason)
{
    if (err != ERR_NO_SPACE || !space_give_up_spare(catalogue->env.space)) {
        return false;
    }
    if (reason != NULL) {
        reason->text[0] = '\0';
    }
    return true;
}

enum err catalogue_delete_records(struct catalogue *catalogue, struct partition *partition,
                                  int64_t before_offset, int64_t *low, struct reason *reason)
{
    int64_t high_watermark = partition_high_watermark(partition);
    int64_t start = before_offset == -1 ? high_watermark : before_offset;
    if (start < 0 || start > high_watermark) {
        return reason_fail(reason, ERR_OUT_OF_RANGE,
                           "cannot delete up to offset %lld: the partition ends at %lld",
                           (long long)before_offset, (long long)high_watermark);
    }
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_check_known(catalogue, partition->topic, reason);
    /* The start on disk never moves back: another cut may have gone further. */
    if (err == ERR_NONE && start > log_start_offset(partition->log)) {
        err = partition_load(partition, reason);
        if (err == ERR_NONE) {
            do {
                err = catalogue_db_set_log_start(catalogue->db, &partition->topic->id,
                                                 partition->index, start, reason);
            } while (catalogue_try_again(catalogue, err, reason));
        }
        if (err == ERR_NONE) {
            err = log_set_start_offset(partition->log, start, reason);
        }
    }
    fair_lock_give(&catalogue->change_lock);
    *low = log_start_offset(partition->log);
    return err;
}

enum err catalogue_next_producer_id(struct catalogue *catalogue, int64_t *producer_id,
                                    struct reason *reason)
{
    enum err err = ERR_NONE;
    fair_lock_take(&catalogue->change_lock);
    if (catalogue->next_producer_id == catalogue->producer_id_limit) {
        char text[32];
        snprintf(text, sizeof text, "%lld",
                 (long long)(catalogue->producer_id_limit + PRODUCER_ID_BLOCK));
        err = catalogue_db_put(catalogue->db, "next_producer_id", text, reason);
        if (err == ERR_NONE) {
            catalogue->producer_id_limit += PRODUCER_ID_BLOCK;
        }
    }
    if (err == ERR_NONE) {
        *producer_id = catalogue->next_producer_id++;
    }
    fair_lock_give(&catalogue->change_lock);
    return err;
}

const char *catalogue_cluster_id(const struct catalogue *catalogue)
{
    return catalogue->cluster_id;
}
