#include "log/log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "log/log_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void log_config_init(struct log_config *config)
{
    *config = (struct log_config){
        .segment_bytes = INT64_C(1) << 30,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .segment_index_bytes = INT64_C(10) << 20,
        .index_interval_bytes = 4096,
        .retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .retention_bytes = -1,
        .file_delete_delay_ms = 60 * 1000,
        .producer_expiration_ms = INT64_C(24) * 3600 * 1000,
        .delete_retention_ms = INT64_C(24) * 3600 * 1000,
        .max_compaction_lag_ms = INT64_MAX,
        .min_cleanable_ratio = 0.5,
    };
}

struct log *log_new(const char *dir, const struct log_config *config, const struct log_env *env)
{
    struct log *log = mem_new(struct log);
    atomic_init(&log->refs, 1);
    log->dir = mem_strdup(dir);
    log->env = *env;
    log->config = *config;
    log->producers.budget = env->budget;
    log->cleaned_offset = -1;
    pthread_mutex_init(&log->load_lock, NULL);
    pthread_mutex_init(&log->append_lock, NULL);
    pthread_mutex_init(&log->segments_lock, NULL);
    pthread_mutex_init(&log->upkeep_lock, NULL);
    pthread_mutex_init(&log->user_lock, NULL);
    pthread_mutex_init(&log->txn_lock, NULL);
    atomic_init(&log->first_open, INT64_MAX);
    atomic_init(&log->first_undecided, INT64_MAX);
    atomic_init(&log->next_decided, INT64_MAX);
    pthread_cond_init(&log->sync_idle, NULL);
    return log;
}

size_t log_cost(const char *dir)
{
    return mem_cost(sizeof(struct log)) + mem_cost(strlen(dir) + 1);
}

void log_drop_segments(struct log *log)
{
    for (size_t i = 0; i < log->segments.count; i++) {
        segment_unref(log->segments.items[i]);
    }
    log->segments.count = 0;
    producer_state_deinit(&log->producers);
    log->producers = (struct producer_state){.budget = log->env.budget};
    vec_deinit(&log->snapshots);
}

static void log_free(struct log *log)
{
    log_drop_segments(log);
    vec_deinit(&log->segments);
    free(log->recent);
    free(log->hints);
    vec_deinit(&log->undecided);
    free(log->offline);
    pthread_mutex_destroy(&log->load_lock);
    pthread_mutex_destroy(&log->append_lock);
    pthread_mutex_destroy(&log->segments_lock);
    pthread_mutex_destroy(&log->upkeep_lock);
    pthread_mutex_destroy(&log->user_lock);
    pthread_mutex_destroy(&log->txn_lock);
    pthread_cond_destroy(&log->sync_idle);
    free(log->dir);
    free(log);
}

void log_ref(struct log *log)
{
    atomic_fetch_add_explicit(&log->refs, 1, memory_order_relaxed);
}

void log_unref(struct log *log)
{
    if (atomic_fetch_sub_explicit(&log->refs, 1, memory_order_acq_rel) == 1) {
        log_free(log);
    }
}

void log_names_hold(struct log *log)
{
    if (log->env.names_lock != NULL) {
        pthread_rwlock_rdlock(log->env.names_lock);
    }
}

void log_names_release(struct log *log)
{
    if (log->env.names_lock != NULL) {
        pthread_rwlock_unlock(log->env.names_lock);
    }
}

struct batch_position *log_positions_new(int count)
{
    struct batch_position *positions = mem_new_array(struct batch_position, (size_t)count);
    for (int i = 0; i < count; i++) {
        positions[i].segment_base = -1;
    }
    return positions;
}

size_t log_segment_number(const struct log *log, int64_t offset)
{
    size_t low = 0; /* segments below low begin at or before offset */
    size_t high = log->segments.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments.items[middle]->base_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

void log_add_segment(struct log *log, struct segment *segment)
{
    segment_count(segment, log->env.budget);
    vec_push(&log->segments, segment);
}

enum err log_roll(struct log *log, struct reason *reason)
{
    struct segment *old = log_active(log);
    if (old->size_bytes == 0) {
        return ERR_NONE;
    }
    enum err err = log_load_times(log, old, reason); /* its last time row needs them */
    if (err != ERR_NONE) {
        return err;
    }
    struct segment *fresh;
    err = segment_open(log->env.files, log->env.fds, log->dir, atomic_load(&log->end_offset), true,
                       &fresh, reason);
    if (err != ERR_NONE) {
        return err;
    }
    pthread_mutex_lock(&log->segments_lock);
    segment_close_times(old);
    old->finished = false; /* a clean start takes all for finished, and this one grew since */
    if (log->producers.changes > 0) {
        producer_snapshot_encode(&log->producers, &old->snapshot);
    }
    log_add_segment(log, fresh);
    log->dir_dirty = true;
    pthread_mutex_unlock(&log->segments_lock);
    return ERR_NONE;
}

bool log_is_loaded(const struct log *log)
{
    return atomic_load_explicit(&log->loaded, memory_order_acquire);
}

bool log_is_offline(const struct log *log)
{
    return log->offline != NULL;
}

int64_t log_start_offset(const struct log *log)
{
    return atomic_load(&log->start_offset);
}

int64_t log_end_offset(const struct log *log)
{
    return atomic_load(&log->end_offset);
}

int64_t log_flushed_offset(const struct log *log)
{
    return atomic_load(&log->flushed_offset);
}

bool log_failed(const struct log *log)
{
    return atomic_load(&log->failed);
}

int64_t log_size_bytes(const struct log *log)
{
    return atomic_load(&log->size_bytes);
}

int64_t log_wall_ms(const struct log *log)
{
    return clock_wall_ms(log->env.clock);
}

const char *log_dir(const struct log *log)
{
    return log->dir;
}

void log_set_config(struct log *log, const struct log_config *config)
{
    pthread_mutex_lock(&log->load_lock); /* loading reads them without append_lock */
    pthread_mutex_lock(&log->append_lock);
    log->config = *config;
    pthread_mutex_unlock(&log->append_lock);
    pthread_mutex_unlock(&log->load_lock);
}

struct log_config log_config_copy(struct log *log)
{
    pthread_mutex_lock(&log->append_lock);
    struct log_config config = log->config;
    pthread_mutex_unlock(&log->append_lock);
    return config;
}

void log_set_user(struct log *log, void *user)
{
    pthread_mutex_lock(&log->user_lock);
    log->user = user;
    pthread_mutex_unlock(&log->user_lock);
}

void log_call_user(struct log *log, void (*call)(void *user))
{
    pthread_mutex_lock(&log->user_lock);
    if (log->user != NULL) {
        call(log->user);
    }
    pthread_mutex_unlock(&log->user_lock);
}

void log_each_producer(struct log *log, void (*each)(void *context, const struct producer_entry *),
                       void *context)
{
    assert(log_is_loaded(log));
    pthread_mutex_lock(&log->append_lock);
    for (const struct producer_entry *entry = log->producers.entries; entry != NULL;
         entry = entry->hh.next) {
        each(context, entry);
    }
    pthread_mutex_unlock(&log->append_lock);
}
