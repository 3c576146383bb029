#include "topic/cleaner.h"

#include "base/cond.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/vec.h"
#include "log/compact.h"
#include "topic/topic.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    /* The longest that it goes on without a look at its limit of bytes. */
    SHORTEST_SLEEP_NS = 1000 * 1000,
};

struct cleaner {
    struct catalogue *catalogue;
    struct cleaner_config config;
    pthread_t thread;

    pthread_mutex_t lock; /* guards: */
    pthread_cond_t wake;  /* on the monotonic clock */
    bool stop;
    bool look_now;              /* not when the back-off is over */
    const struct partition *at; /* being cleaned, held by the thread */
    int64_t began_ns;
    enum cleaner_phase phase;
    int32_t pass;
    int64_t at_most;

    _Atomic uint64_t cleanings;
    _Atomic uint64_t failures;
    _Atomic uint64_t bytes_moved;
    _Atomic uint64_t bytes_freed;

    /* the thread's own */
    int64_t paid_until_ns; /* up to when the bytes moved so far may take */
    int64_t report_ns;
    _Atomic int64_t moved;        /* of the log at hand */
    int64_t dirty;                /* likewise, before */
    struct compact_result result; /* so far: log_compact is in the same thread */
    int64_t pass_from;            /* result.to when the pass began; -1: none has */
    int32_t passes_done;
};

/* Waits so long, or until it is to stop; true: go on. */
static bool wait_until(struct cleaner *cleaner, int64_t until_ns)
{
    struct timespec until = cond_at_ns(until_ns);
    pthread_mutex_lock(&cleaner->lock);
    while (!cleaner->stop && clock_now_ns() < until_ns) {
        pthread_cond_timedwait(&cleaner->wake, &cleaner->lock, &until);
    }
    bool go_on = !cleaner->stop;
    pthread_mutex_unlock(&cleaner->lock);
    return go_on;
}

static void report(struct cleaner *cleaner, int64_t now_ns)
{
    cleaner->report_ns = now_ns + CLEANER_REPORT_MS * INT64_C(1000000);
    LOG_INFO("topic", "compaction goes on",
             "topic=%s partition=%d moved_bytes=%lld of_log_bytes=%lld seconds=%lld",
             cleaner->at->topic->name, (int)cleaner->at->index, (long long)cleaner->moved,
             (long long)log_size_bytes(cleaner->at->log),
             (long long)((now_ns - cleaner->began_ns) / 1000000000));
}

/* A pass has read its keys once it is counted, and has ended once `to` has moved. */
static void note_progress(struct cleaner *cleaner)
{
    const struct compact_result *result = &cleaner->result;
    if (result->to != cleaner->pass_from) {
        cleaner->pass_from = result->to;
        cleaner->passes_done = result->passes;
    }
    pthread_mutex_lock(&cleaner->lock);
    cleaner->phase = result->passes == cleaner->passes_done ? CLEANER_READS_KEYS : CLEANER_REWRITES;
    cleaner->pass = cleaner->passes_done + 1;
    cleaner->at_most = cleaner->dirty + 2 * cleaner->pass * result->bytes_before;
    pthread_mutex_unlock(&cleaner->lock);
}

/* compact_limits' step: keeps to the limit of bytes. */
static bool take_step(void *context, int64_t bytes)
{
    struct cleaner *cleaner = context;
    int64_t now_ns = clock_now_ns();
    cleaner->moved += bytes;
    atomic_fetch_add(&cleaner->bytes_moved, (uint64_t)bytes);
    note_progress(cleaner);
    priority_give_way();
    if (now_ns >= cleaner->report_ns) {
        report(cleaner, now_ns);
    }
    if (cleaner->paid_until_ns < now_ns) {
        cleaner->paid_until_ns = now_ns; /* what was not used is not saved up */
    }
    double cost_ns = (double)bytes * 1e9 / cleaner->config.io_bytes_per_second;
    cleaner->paid_until_ns += (int64_t)(cost_ns < 1e15 ? cost_ns : 1e15);
    int64_t until_ns = cleaner->paid_until_ns;
    return wait_until(cleaner, until_ns - now_ns < SHORTEST_SLEEP_NS ? now_ns : until_ns);
}

static void report_done(struct cleaner *cleaner, const struct partition *partition,
                        const struct compact_result *result)
{
    int64_t freed = result->bytes_before - result->bytes_after;
    int64_t took_ns = clock_now_ns() - cleaner->began_ns;
    atomic_fetch_add(&cleaner->cleanings, 1);
    atomic_fetch_add(&cleaner->bytes_freed, (uint64_t)(freed > 0 ? freed : 0));
    LOG_INFO("topic", "log compacted",
             "topic=%s partition=%d offsets=%lld-%lld bytes_before=%lld bytes_after=%lld "
             "segments_before=%d segments_after=%d records_removed=%lld keys=%lld passes=%d "
             "map_bytes=%lld seconds=%.3f mb_per_second=%.1f",
             partition->topic->name, (int)partition->index, (long long)result->from,
             (long long)result->to - 1, (long long)result->bytes_before,
             (long long)result->bytes_after, (int)result->segments_before,
             (int)result->segments_after, (long long)result->records_removed,
             (long long)result->map_keys, (int)result->passes, (long long)result->map_bytes,
             (double)took_ns / 1e9, (double)cleaner->moved * 1e3 / (double)(took_ns + 1));
    if (result->damaged_segments > 0 || result->closed_batches > 0 || result->keyless_records > 0) {
        LOG_WARN("topic", "not all of a log could be compacted",
                 "topic=%s partition=%d damaged_segments_left=%d unreadable_batches_left=%lld "
                 "records_without_key_removed=%lld",
                 partition->topic->name, (int)partition->index, (int)result->damaged_segments,
                 (long long)result->closed_batches, (long long)result->keyless_records);
    }
}

/* NULL: it is done. */
static void set_work(struct cleaner *cleaner, const struct partition *partition)
{
    struct compact_need need = {.due = false};
    struct reason ignored; /* cleaning meets it again */
    if (partition != NULL &&
        log_compact_need(partition->log, partition_last_stable_offset(partition), &need,
                         &ignored) != ERR_NONE) {
        need = (struct compact_need){.due = false};
    }
    cleaner->dirty = need.dirty_bytes;
    cleaner->pass_from = -1;
    cleaner->passes_done = 0;
    pthread_mutex_lock(&cleaner->lock);
    cleaner->at = partition;
    if (partition != NULL) {
        cleaner->began_ns = clock_now_ns();
        cleaner->moved = 0;
        cleaner->phase = CLEANER_READS_KEYS;
        cleaner->pass = 1;
        cleaner->at_most = 3 * need.dirty_bytes + 2 * need.clean_bytes;
    }
    pthread_mutex_unlock(&cleaner->lock);
}

void cleaner_work(struct cleaner *cleaner, struct cleaner_work *out)
{
    *out = (struct cleaner_work){.busy = false};
    pthread_mutex_lock(&cleaner->lock);
    if (cleaner->at != NULL) {
        out->busy = true;
        snprintf(out->topic, sizeof out->topic, "%s", cleaner->at->topic->name);
        out->partition = cleaner->at->index;
        out->log_bytes = log_size_bytes(cleaner->at->log);
        out->phase = cleaner->phase;
        out->pass = cleaner->pass;
        out->moved_bytes = cleaner->moved;
        out->at_most_bytes =
            cleaner->at_most > out->moved_bytes ? cleaner->at_most : out->moved_bytes;
        out->ms = (clock_now_ns() - cleaner->began_ns) / 1000000;
    }
    pthread_mutex_unlock(&cleaner->lock);
}

/* True when something was cleaned. */
static bool clean(struct cleaner *cleaner, struct partition *partition)
{
    struct compact_limits limits = {
        .map_bytes = cleaner->config.map_bytes,
        .load_factor = cleaner->config.load_factor,
        .io_bytes = cleaner->config.io_bytes / 2,
        .step = take_step,
        .context = cleaner,
    };
    struct reason reason;
    set_work(cleaner, partition);
    cleaner->report_ns = cleaner->began_ns + CLEANER_REPORT_MS * INT64_C(1000000);
    enum err err = log_compact(partition->log, partition_last_stable_offset(partition), &limits,
                               &cleaner->result, &reason);
    set_work(cleaner, NULL);
    if (err == ERR_NONE) {
        report_done(cleaner, partition, &cleaner->result);
    } else if (err != ERR_AGAIN && err != ERR_CLOSED) {
        atomic_fetch_add(&cleaner->failures, 1);
        LOG_WARN("topic", "a log could not be compacted; it is tried again later",
                 "topic=%s partition=%d reason=\"%s\"", partition->topic->name,
                 (int)partition->index, reason.text);
    }
    return err == ERR_NONE;
}

/* ---- which log is next ---- */

struct choice {
    struct partition *partition; /* held; NULL: none is due */
    double ratio;
};

struct partition_list {
    VEC_FIELDS(struct partition *);
};

/* Those that failed in this round are not tried again at once. */
static bool is_tried(const struct partition_list *tried, const struct partition *partition)
{
    for (size_t i = 0; i < tried->count; i++) {
        if (tried->items[i] == partition) {
            return true;
        }
    }
    return false;
}

/* Loads the log when it is idle. False: it needs no cleaning now. */
static bool needs_cleaning(struct partition *partition, struct compact_need *need)
{
    struct reason reason; /* loading has told it */
    if (partition_load(partition, &reason) != ERR_NONE) {
        log_compact_idle_forget(partition->log);
        return false;
    }
    return log_compact_need(partition->log, partition_last_stable_offset(partition), need,
                            &reason) == ERR_NONE &&
           need->due;
}

/*
 * Logs that are idle since the start are loaded one by one, when their turn has come; only how long
 * the events of one wait is not known before.
 */
static bool may_need_cleaning(struct partition *partition, struct compact_need *need)
{
    if (log_is_loaded(partition->log)) {
        return needs_cleaning(partition, need);
    }
    log_compact_idle_need(partition->log, need);
    return need->due && (need->dirty_ratio > partition_config(partition)->log.min_cleanable_ratio ||
                         needs_cleaning(partition, need));
}

static void consider(struct partition *partition, struct choice *choice)
{
    struct compact_need need;
    if (may_need_cleaning(partition, &need) &&
        (choice->partition == NULL || need.dirty_ratio > choice->ratio)) {
        if (choice->partition != NULL) {
            partition_unref(choice->partition);
        }
        partition_ref(partition);
        choice->partition = partition;
        choice->ratio = need.dirty_ratio;
    }
}

/* The dirtiest log that is due; NULL: none. */
static struct partition *choose(struct cleaner *cleaner, const struct partition_list *tried)
{
    struct choice choice = {.partition = NULL};
    struct topic_list *topics = catalogue_list(cleaner->catalogue);
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic *topic = topics->items[i];
        bool compact = topic_config(topic)->log.compact;
        for (int32_t p = 0; compact && p < topic_partition_count(topic); p++) {
            struct partition *partition = topic_partition(topic, p);
            if (!is_tried(tried, partition) && wait_until(cleaner, 0)) {
                consider(partition, &choice);
            }
        }
    }
    topic_list_unref(topics);
    return choice.partition;
}

/* Cleans what is due, the dirtiest first, until nothing is; false: stop. An idle log that was
 * loaded and is not due after all is not looked at as an idle one again. */
static bool run_round(struct cleaner *cleaner)
{
    struct partition_list tried = {0};
    struct partition *partition;
    while (wait_until(cleaner, 0) && (partition = choose(cleaner, &tried)) != NULL) {
        struct compact_need need;
        bool idle = !log_is_loaded(partition->log);
        if ((idle && !needs_cleaning(partition, &need)) || clean(cleaner, partition)) {
            partition_unref(partition);
        } else {
            vec_push(&tried, partition);
        }
    }
    for (size_t i = 0; i < tried.count; i++) {
        partition_unref(tried.items[i]);
    }
    vec_deinit(&tried);
    return wait_until(cleaner, 0);
}

/* Waits until it is time for another look, or until it is to stop; true: go on. */
static bool wait_for_look(struct cleaner *cleaner)
{
    struct timespec until = cond_after_ms(cleaner->config.backoff_ms);
    int code = 0;
    pthread_mutex_lock(&cleaner->lock);
    while (!cleaner->stop && !cleaner->look_now && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&cleaner->wake, &cleaner->lock, &until);
    }
    cleaner->look_now = false;
    bool go_on = !cleaner->stop;
    pthread_mutex_unlock(&cleaner->lock);
    return go_on;
}

void cleaner_look(struct cleaner *cleaner)
{
    pthread_mutex_lock(&cleaner->lock);
    cleaner->look_now = true;
    pthread_cond_signal(&cleaner->wake);
    pthread_mutex_unlock(&cleaner->lock);
}

static void *cleaner_run(void *context)
{
    struct cleaner *cleaner = context;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    while (run_round(cleaner) && wait_for_look(cleaner)) {
    }
    return NULL;
}

enum err cleaner_new(struct catalogue *catalogue, const struct cleaner_config *config,
                     struct cleaner **out, struct reason *reason)
{
    struct cleaner *cleaner = mem_new(struct cleaner);
    cleaner->catalogue = catalogue;
    cleaner->config = *config;
    pthread_mutex_init(&cleaner->lock, NULL);
    cond_init(&cleaner->wake);
    int error = pthread_create(&cleaner->thread, NULL, cleaner_run, cleaner);
    if (error != 0) {
        pthread_mutex_destroy(&cleaner->lock);
        pthread_cond_destroy(&cleaner->wake);
        free(cleaner);
        return reason_fail(reason, ERR_LIMIT, "cannot start the cleaner thread (error %d)", error);
    }
    *out = cleaner;
    return ERR_NONE;
}

void cleaner_free(struct cleaner *cleaner)
{
    if (cleaner == NULL) {
        return;
    }
    pthread_mutex_lock(&cleaner->lock);
    cleaner->stop = true;
    pthread_cond_signal(&cleaner->wake);
    pthread_mutex_unlock(&cleaner->lock);
    pthread_join(cleaner->thread, NULL);
    pthread_mutex_destroy(&cleaner->lock);
    pthread_cond_destroy(&cleaner->wake);
    free(cleaner);
}

void cleaner_stats(struct cleaner *cleaner, struct cleaner_stats *out)
{
    *out = (struct cleaner_stats){
        .cleanings = atomic_load(&cleaner->cleanings),
        .failures = atomic_load(&cleaner->failures),
        .bytes_moved = atomic_load(&cleaner->bytes_moved),
        .bytes_freed = atomic_load(&cleaner->bytes_freed),
    };
}
