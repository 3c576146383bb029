#include "base/logger.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/vec.h"
#include "log/space.h"
#include "topic/catalogue.h"
#include "topic/catalogue_change.h"
#include "topic/catalogue_internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Start and stop of the catalogue, and the periodic upkeep. */

struct listed_topic {
    struct topic *topic; /* NULL: published */
    int32_t partition_count;
};

struct listed_topics {
    VEC_FIELDS(struct listed_topic);
};

struct loading {
    struct catalogue *catalogue;
    struct listed_topics topics; /* live ones; the catalogue's references */
    struct listed_topics doomed; /* deletions to finish */
};

static enum err load_topic(void *context, const struct catalogue_db_topic *row,
                           struct reason *reason)
{
    struct loading *loading = context;
    (void)reason;
    struct topic *topic = topic_new(row->name, &row->id, row->internal);
    topic->budget = loading->catalogue->env.budget;
    if (row->half_deleting) {
        LOG_WARN("topic",
                 "a topic is marked as deleted in one place of two; it is kept: delete it again if "
                 "that was meant",
                 "topic=%s partitions=%d", topic->name, (int)row->partition_count);
    }
    vec_push(row->deleting ? &loading->doomed : &loading->topics,
             (struct listed_topic){topic, row->partition_count});
    return ERR_NONE;
}

/* Deletions that a crash cut short: the directories that still have their names go first. */
static enum err finish_deletions(struct loading *loading, struct reason *reason)
{
    struct catalogue *catalogue = loading->catalogue;
    enum err err = ERR_NONE;
    for (size_t i = 0; i < loading->doomed.count; i++) {
        struct topic *topic = loading->doomed.items[i].topic;
        LOG_INFO("topic", "a deletion that was begun is finished: the topic's files are removed",
                 "topic=%s partitions=%d dir=\"%s/%s-*\"", topic->name,
                 (int)loading->doomed.items[i].partition_count, catalogue->topics_dir, topic->name);
        for (int32_t p = 0; err == ERR_NONE && p < loading->doomed.items[i].partition_count; p++) {
            char *dir = catalogue_log_dir(catalogue, topic, p);
            err = log_discard_dir(catalogue->env.files, dir, reason);
            free(dir);
        }
        if (err == ERR_NONE) {
            err = file_sync_dir(catalogue->env.files, catalogue->topics_dir, reason);
        }
        if (err == ERR_NONE) {
            err = catalogue_db_remove(catalogue->db, &topic->id, reason);
        }
    }
    log_delete_leftovers(catalogue->env.files, catalogue->topics_dir);
    return err;
}

/* One log to open at start. */
struct open_job {
    struct topic *topic;
    int32_t index;
    const struct log_config *config;
    struct log_state known;
    bool has_known;
    int64_t deleted_to;          /* by DeleteRecords */
    struct partition *partition; /* NULL: not opened, or its topic has it */
    struct log_recovery recovery;
    enum err err;
    struct reason reason;
};

struct open_jobs {
    struct catalogue *catalogue;
    VEC_FIELDS(struct open_job);
    _Atomic size_t next;
};

/*
 * Compares where the log begins with what is known: events that nobody deleted are gone with their
 * files. Retention may have taken them after the checkpoint was written, when no clean stop came
 * behind it. Consumers are told OFFSET_OUT_OF_RANGE; the server's own state has no consumer who
 * could be told, and is not to be begun anew: ERR_CORRUPT. (An end below the known one is kept free
 * by the log, and told.)
 */
static enum err check_start(const struct open_job *job, struct reason *reason)
{
    const struct log *log = job->partition->log;
    int64_t from = job->deleted_to;
    if (job->has_known && job->known.start_offset > from) {
        from = job->known.start_offset;
    }
    int64_t start = log_start_offset(log);
    if (!job->has_known || log_is_offline(log) || start <= from) {
        return ERR_NONE;
    }
    if (!job->config->retain && !job->known.clean && !job->recovery.emptied &&
        !job->topic->internal) {
        LOG_WARN("topic",
                 "a log begins behind where its checkpoint has it: retention took the events after "
                 "that, or their files are gone",
                 "topic=%s partition=%d offsets=%lld-%lld", job->topic->name, (int)job->index,
                 (long long)from, (long long)start - 1);
        return ERR_NONE;
    }
    LOG_ERROR("topic", "files of events are gone: the log begins behind where it is known to begin",
              "topic=%s partition=%d offsets=%lld-%lld", job->topic->name, (int)job->index,
              (long long)from, (long long)start - 1);
    return job->topic->internal
               ? reason_fail(reason, ERR_CORRUPT,
                             "files of topics/%s-%d are missing, offsets %lld to %lld: what groups "
                             "or transactions have done would be forgotten; put them back or "
                             "restore a backup",
                             job->topic->name, (int)job->index, (long long)from,
                             (long long)start - 1)
               : ERR_NONE;
}

/* A topic's directories are there before its creation is answered. */
static void tell_missing_dir(const struct open_jobs *all, const struct open_job *job)
{
    char *dir = catalogue_log_dir(all->catalogue, job->topic, job->index);
    if (!file_exists(dir)) {
        LOG_WARN("topic", "the directory of a partition is missing and made anew",
                 "topic=%s partition=%d", job->topic->name, (int)job->index);
    }
    free(dir);
}

static void *open_some(void *argument)
{
    struct open_jobs *all = argument;
    size_t i;
    while ((i = atomic_fetch_add(&all->next, 1)) < all->count) {
        struct open_job *job = &all->items[i];
        const struct log_state *known = job->has_known ? &job->known : NULL;
        tell_missing_dir(all, job);
        job->err = catalogue_open_partition(all->catalogue, job->topic, job->index, job->config,
                                            known, &job->partition, &job->recovery, &job->reason);
        /* One that fails stops itself only, but for the server's own: their state would be lost. */
        if (job->err != ERR_NONE && !job->topic->internal) {
            job->partition = catalogue_open_offline(all->catalogue, job->topic, job->index,
                                                    job->config, known, &job->reason);
            job->err = ERR_NONE;
        }
        if (job->err == ERR_NONE) {
            job->err = check_start(job, &job->reason);
        }
    }
    return NULL;
}

static void open_all(struct open_jobs *all, unsigned thread_count)
{
    enum { MOST = 16 };
    pthread_t threads[MOST];
    unsigned started = 0;
    while (started + 1 < thread_count && started < MOST && started + 1 < all->count &&
           pthread_create(&threads[started], NULL, open_some, all) == 0) {
        started++;
    }
    open_some(all);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

static enum err prepare_topic(struct loading *loading, size_t i, struct reason *reason)
{
    struct catalogue *catalogue = loading->catalogue;
    struct topic *topic = loading->topics.items[i].topic;
    enum err err =
        catalogue_db_load_overrides(catalogue->db, &topic->id, &topic->overrides, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct topic_config config;
    err = catalogue_build_config(catalogue, &topic->overrides, &config, reason);
    if (err == ERR_NONE) {
        topic_set_config(topic, &config);
    } else {
        struct reason why = *reason;
        reason_set(reason, "topic '%s': %s", topic->name, why.text);
    }
    topic_config_deinit(&config);
    return err;
}

/* jobs: of one topic. */
static enum err note_deleted(struct catalogue *catalogue, const struct topic *topic,
                             struct open_job *jobs, int32_t count, struct reason *reason)
{
    struct catalogue_db_log_starts starts = {0};
    enum err err = catalogue_db_log_starts(catalogue->db, &topic->id, &starts, reason);
    for (size_t i = 0; i < starts.count && err == ERR_NONE; i++) {
        if (starts.items[i].partition >= 0 && starts.items[i].partition < count) {
            jobs[starts.items[i].partition].deleted_to = starts.items[i].start;
        }
    }
    vec_deinit(&starts);
    return err;
}

static enum err plan_jobs(struct loading *loading, const struct checkpoint *checkpoint,
                          struct open_jobs *all, struct reason *reason)
{
    for (size_t i = 0; i < loading->topics.count; i++) {
        struct topic *topic = loading->topics.items[i].topic;
        enum err err = prepare_topic(loading, i, reason);
        int32_t count = loading->topics.items[i].partition_count;
        vec_reserve(all, (size_t)count);
        for (int32_t p = 0; err == ERR_NONE && p < count; p++) {
            struct open_job job = {.topic = topic, .index = p, .config = &topic_config(topic)->log};
            const struct log_state *known = checkpoint_find(checkpoint, &topic->id, p);
            if (known != NULL) {
                job.known = *known;
                job.has_known = true;
            }
            vec_push(all, job);
        }
        if (err == ERR_NONE) {
            err = note_deleted(loading->catalogue, topic, all->items + all->count - count, count,
                               reason);
        }
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}

static enum err apply_log_start(struct catalogue *catalogue, struct partition *partition,
                                int64_t start, struct reason *reason)
{
    enum err err = ERR_NONE;
    if (start > log_start_offset(partition->log) && !log_is_offline(partition->log)) {
        int64_t end = log_end_offset(partition->log);
        if (start > end) {
            /* A crash took unflushed events; what is appended now is not to be cut next time. */
            start = end;
            err = catalogue_db_set_log_start(catalogue->db, &partition->topic->id, partition->index,
                                             start, reason);
        }
        if (err == ERR_NONE) {
            err = partition_load(partition, reason);
        }
        if (err == ERR_NONE) {
            err = log_set_start_offset(partition->log, start, reason);
        }
    }
    return err;
}

static enum err apply_log_starts(struct catalogue *catalogue, const struct topic *topic,
                                 struct partition **partitions, int32_t count,
                                 struct reason *reason)
{
    struct catalogue_db_log_starts starts = {0};
    enum err err = catalogue_db_log_starts(catalogue->db, &topic->id, &starts, reason);
    for (size_t i = 0; i < starts.count && err == ERR_NONE; i++) {
        const struct catalogue_db_log_start *at = &starts.items[i];
        if (at->partition >= 0 && at->partition < count) {
            err = apply_log_start(catalogue, partitions[at->partition], at->start, reason);
        }
    }
    vec_deinit(&starts);
    return err;
}

/* Gives a topic what was opened for it. jobs: of that topic. */
static enum err collect_topic(struct loading *loading, struct listed_topic *listed,
                              struct open_job *jobs, struct catalogue_recovery *recovery,
                              struct reason *reason)
{
    struct catalogue *catalogue = loading->catalogue;
    int32_t count = listed->partition_count;
    for (int32_t p = 0; p < count; p++) {
        if (jobs[p].err != ERR_NONE) {
            *reason = jobs[p].reason;
            return jobs[p].err;
        }
    }
    struct partition **partitions = mem_new_array(struct partition *, (size_t)count);
    for (int32_t p = 0; p < count; p++) {
        partitions[p] = jobs[p].partition;
        recovery->scanned_bytes += jobs[p].recovery.scanned_bytes;
        recovery->truncated_bytes += jobs[p].recovery.truncated_bytes;
        recovery->damaged_batches += jobs[p].recovery.damaged_batches;
        recovery->offline_partitions += log_is_offline(partitions[p]->log);
    }
    enum err err = apply_log_starts(catalogue, listed->topic, partitions, count, reason);
    if (err == ERR_NONE) {
        topic_add_partitions(listed->topic, partitions, count);
        catalogue_publish(catalogue, listed->topic);
        catalogue_names_add(&catalogue->names, listed->topic);
        catalogue->partitions += count;
        listed->topic = NULL;
        recovery->partitions += count;
        recovery->topics++;
    }
    for (int32_t p = 0; err == ERR_NONE && p < count; p++) {
        jobs[p].partition = NULL;
    }
    free(partitions);
    return err;
}

static enum err collect_jobs(struct loading *loading, struct open_jobs *all,
                             struct catalogue_recovery *recovery, struct reason *reason)
{
    enum err err = ERR_NONE;
    struct open_job *jobs = all->items;
    for (size_t i = 0; i < loading->topics.count && err == ERR_NONE; i++) {
        err = collect_topic(loading, &loading->topics.items[i], jobs, recovery, reason);
        jobs += loading->topics.items[i].partition_count;
    }
    return err;
}

/* What did not come into the catalogue. */
static void loading_deinit(struct loading *loading, struct open_jobs *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct partition *partition = all->items[i].partition;
        if (partition != NULL) {
            log_set_user(partition->log, NULL);
            log_unref(partition->log);
            free(partition);
        }
    }
    struct listed_topics *lists[] = {&loading->topics, &loading->doomed};
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        for (size_t i = 0; i < lists[k]->count; i++) {
            if (lists[k]->items[i].topic != NULL) {
                topic_unref(lists[k]->items[i].topic);
            }
        }
        vec_deinit(lists[k]);
    }
    vec_deinit(all);
}

static enum err load_identity(struct catalogue *catalogue, struct reason *reason)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text;
    enum err err = catalogue_db_get(catalogue->db, "cluster_id", &text, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (text == NULL) {
        uint8_t random[22];
        random_secure(random, sizeof random);
        for (size_t i = 0; i < sizeof random; i++) {
            catalogue->cluster_id[i] = alphabet[random[i] % 64];
        }
        err = catalogue_db_put(catalogue->db, "cluster_id", catalogue->cluster_id, reason);
    } else {
        snprintf(catalogue->cluster_id, sizeof catalogue->cluster_id, "%s", text);
    }
    free(text);
    if (err == ERR_NONE) {
        err = catalogue_db_get(catalogue->db, "next_producer_id", &text, reason);
    }
    if (err == ERR_NONE && text != NULL) {
        catalogue->next_producer_id = atoll(text);
        catalogue->producer_id_limit = catalogue->next_producer_id;
        free(text);
    }
    return err;
}

static enum err load_topics(struct catalogue *catalogue, unsigned open_threads,
                            struct catalogue_recovery *recovery, struct reason *reason)
{
    struct checkpoint checkpoint;
    struct loading loading = {.catalogue = catalogue};
    struct open_jobs all = {.catalogue = catalogue};
    checkpoint_load(&checkpoint, catalogue->env.files, catalogue->data_dir);
    recovery->was_clean = checkpoint.clean;
    enum err err = catalogue_db_each_topic(catalogue->db, load_topic, &loading, reason);
    if (err == ERR_NONE) {
        err = catalogue_groups_load(catalogue, reason);
    }
    if (err == ERR_NONE) {
        err = finish_deletions(&loading, reason);
    }
    if (err == ERR_NONE) {
        err = plan_jobs(&loading, &checkpoint, &all, reason);
    }
    if (err == ERR_NONE) {
        open_all(&all, open_threads);
        err = catalogue_sync(catalogue, reason);
    }
    if (err == ERR_NONE) {
        err = collect_jobs(&loading, &all, recovery, reason);
    }
    if (err == ERR_NONE && checkpoint.clean) {
        /* Before the first append: what it says of sizes will not hold any more. */
        checkpoint.clean = false;
        err = checkpoint_save_both(&checkpoint, catalogue->env.files, catalogue->data_dir, reason);
    }
    loading_deinit(&loading, &all);
    checkpoint_deinit(&checkpoint);
    return err;
}

static void forget_topics(struct catalogue *catalogue)
{
    struct topic *topic;
    struct topic *next;
    HASH_ITER (by_name, catalogue->by_name, topic, next) {
        catalogue_unpublish(catalogue, topic);
        topic_unref(topic);
    }
}

static void catalogue_free(struct catalogue *catalogue)
{
    if (catalogue->db != NULL) {
        catalogue_db_close(catalogue->db);
    }
    if (catalogue->sync_fd >= 0) {
        file_close(catalogue->env.files, catalogue->sync_fd);
    }
    catalogue_change_forget_all(catalogue);
    catalogue_names_deinit(&catalogue->names);
    if (catalogue->list != NULL) {
        topic_list_unref(catalogue->list); /* of no topics */
    }
    fair_lock_deinit(&catalogue->change_lock);
    pthread_mutex_destroy(&catalogue->checkpoint_lock);
    pthread_rwlock_destroy(&catalogue->table_lock);
    pthread_rwlock_destroy(&catalogue->names_lock);
    catalogue_groups_free(catalogue);
    overrides_deinit(&catalogue->topic_defaults);
    free(catalogue->data_dir);
    free(catalogue->topics_dir);
    free(catalogue);
}

enum err catalogue_open(const struct catalogue_config *config, struct catalogue **out,
                        struct catalogue_recovery *recovery, struct reason *reason)
{
    *recovery = (struct catalogue_recovery){0};
    struct catalogue *catalogue = mem_new(struct catalogue);
    catalogue->data_dir = mem_strdup(config->data_dir);
    catalogue->topics_dir = mem_sprintf("%s/topics", config->data_dir);
    catalogue->env = config->log_env;
    catalogue->env.names_lock = &catalogue->names_lock;
    catalogue->max_partitions = config->max_partitions;
    catalogue->producer_expiration_ms = config->producer_expiration_ms;
    catalogue->advanced = config->advanced;
    catalogue->advanced_context = config->advanced_context;
    overrides_copy(&catalogue->topic_defaults, config->topic_defaults);
    catalogue->env.sync_later = true; /* catalogue_sync, or of the directory, for all */
    catalogue->sync_fd = -1;
    fair_lock_init(&catalogue->change_lock);
    pthread_mutex_init(&catalogue->checkpoint_lock, NULL);
    pthread_rwlock_init(&catalogue->table_lock, NULL);
    pthread_rwlock_init(&catalogue->names_lock, NULL);

    enum err err = catalogue_db_open(config->data_dir, !config->log_env.files->unsynced,
                                     &catalogue->db, reason);
    if (err == ERR_NONE) {
        err = file_make_dir(catalogue->env.files, catalogue->topics_dir, reason);
    }
    if (err == ERR_NONE) {
        err = file_open(catalogue->env.files, catalogue->topics_dir, O_RDONLY | O_DIRECTORY,
                        &catalogue->sync_fd, reason);
    }
    if (err == ERR_NONE) {
        err = load_identity(catalogue, reason);
    }
    if (err == ERR_NONE) {
        err = load_topics(catalogue, config->open_threads, recovery, reason);
    }
    if (err != ERR_NONE) {
        forget_topics(catalogue);
        catalogue_free(catalogue);
        return err;
    }
    *out = catalogue;
    return ERR_NONE;
}

enum err catalogue_close(struct catalogue *catalogue, struct reason *reason)
{
    space_make_room(catalogue->env.space);  /* what closing writes is small, and scanning is long */
    catalogue_keep(catalogue, false, NULL); /* one sync for all, so that closing has none to do */
    struct checkpoint checkpoint = {.clean = true};
    enum err err = ERR_NONE;
    struct topic *topic;
    for (topic = catalogue->by_name; topic != NULL; topic = topic->by_name.next) {
        for (int32_t i = 0; i < topic_partition_count(topic); i++) {
            struct log_state state = {0};
            struct reason why;
            enum err closed = log_close(topic_partition(topic, i)->log, &state, &why);
            if (closed == ERR_NONE) {
                checkpoint_add(&checkpoint, &topic->id, i, &state);
            } else if (err == ERR_NONE) {
                /* Without its state this log is scanned at the next start; the others are not. */
                err = reason_fail(reason, closed, "topic '%s' partition %d: %s", topic->name,
                                  (int)i, why.text);
            }
        }
    }
    forget_topics(catalogue);
    struct reason why;
    enum err saved = ERR_NONE;
    if (!catalogue->sync_failed) { /* else the last one that is on disk for sure stays */
        saved = checkpoint_save_both(&checkpoint, catalogue->env.files, catalogue->data_dir, &why);
    }
    if (saved != ERR_NONE && err == ERR_NONE) {
        err = saved;
        *reason = why;
    }
    checkpoint_deinit(&checkpoint);
    catalogue_free(catalogue);
    return err;
}
