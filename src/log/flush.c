#include "log/flush.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/vec.h"
#include "log/log_internal.h"
#include "log/space.h"

#include <stdlib.h>

enum {
    /* From this many files on, one syncfs is cheaper than a fdatasync each: see bench/flush. */
    FLUSH_SYNCFS_FILES = 4,
};

struct flusher {
    const struct file_ops *files;
    int data_dir_fd;
    struct space *space;
    struct flush_handler handler;
    pthread_t thread;

    _Atomic(struct log *) dirty;             /* a stack, pushed by any thread */
    _Atomic(struct flush_waiter *) arrivals; /* likewise */

    pthread_mutex_t lock; /* guards: */
    pthread_cond_t wake;
    bool stop;

    atomic_bool may_sleep; /* else it looks at the stacks before it waits */
    _Atomic uint64_t rounds;
    _Atomic uint64_t files_synced;
    _Atomic uint64_t whole_syncs;
    _Atomic uint64_t failures;
    _Atomic uint64_t bytes_synced;

    /* the thread's own */
    struct flush_waiter *pending;
    VEC(struct log_sync) syncs;
    uint64_t round_bytes; /* that the last round synced */
};

static bool has_work(struct flusher *flusher)
{
    return atomic_load(&flusher->dirty) != NULL || atomic_load(&flusher->arrivals) != NULL;
}

static void wake_thread(struct flusher *flusher)
{
    if (!atomic_load(&flusher->may_sleep)) {
        return; /* it looks at the stacks again before it sleeps */
    }
    /* The lock once, so that a thread between its look and its wait is not missed; the signal
     * behind it, so that the woken thread does not find the lock taken. */
    pthread_mutex_lock(&flusher->lock);
    pthread_mutex_unlock(&flusher->lock);
    pthread_cond_signal(&flusher->wake);
}

/* False when it is time to end. */
static bool wait_for_work(struct flusher *flusher)
{
    bool go_on = true;
    pthread_mutex_lock(&flusher->lock);
    atomic_store(&flusher->may_sleep, true); /* before the stacks are looked at: see wake_thread */
    while (!has_work(flusher) && go_on) {
        if (flusher->stop && flusher->pending == NULL) {
            go_on = false;
        } else {
            pthread_cond_wait(&flusher->wake, &flusher->lock);
        }
    }
    atomic_store(&flusher->may_sleep, false);
    pthread_mutex_unlock(&flusher->lock);
    return go_on;
}

void flusher_mark(struct flusher *flusher, struct log *log)
{
    if (atomic_exchange(&log->dirty, true)) {
        return;
    }
    log_ref(log);
    log->dirty_next = atomic_load(&flusher->dirty);
    while (!atomic_compare_exchange_weak(&flusher->dirty, &log->dirty_next, log)) {
    }
    wake_thread(flusher);
}

static bool is_satisfied(const struct flush_waiter *waiter)
{
    for (size_t i = 0; i < waiter->target_count; i++) {
        const struct log *log = waiter->targets[i].log;
        if (atomic_load(&log->flushed_offset) < waiter->targets[i].end_offset &&
            !atomic_load(&log->failed) && !atomic_load(&log->deleted)) {
            return false;
        }
    }
    return true;
}

void flush_wait(struct flusher *flusher, struct flush_waiter *waiter)
{
    if (is_satisfied(waiter)) {
        waiter->done(waiter);
        return;
    }
    waiter->next = atomic_load(&flusher->arrivals);
    while (!atomic_compare_exchange_weak(&flusher->arrivals, &waiter->next, waiter)) {
    }
    priority_await(clock_now_ns());
    wake_thread(flusher);
}

struct blocking_waiter {
    struct flush_waiter waiter;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done; /* lock */
};

static void end_blocking(struct flush_waiter *waiter)
{
    struct blocking_waiter *blocking = container_of(waiter, struct blocking_waiter, waiter);
    pthread_mutex_lock(&blocking->lock);
    blocking->done = true;
    pthread_cond_signal(&blocking->changed);
    pthread_mutex_unlock(&blocking->lock);
}

void flush_wait_blocking(struct flusher *flusher, struct flush_target *targets, size_t target_count)
{
    struct blocking_waiter blocking = {
        .waiter = {.targets = targets, .target_count = target_count, .done = end_blocking}};
    pthread_mutex_init(&blocking.lock, NULL);
    pthread_cond_init(&blocking.changed, NULL);
    flush_wait(flusher, &blocking.waiter);
    pthread_mutex_lock(&blocking.lock);
    while (!blocking.done) {
        pthread_cond_wait(&blocking.changed, &blocking.lock);
    }
    pthread_mutex_unlock(&blocking.lock);
    pthread_mutex_destroy(&blocking.lock);
    pthread_cond_destroy(&blocking.changed);
}

static void take_round(struct flusher *flusher)
{
    struct log *log = atomic_exchange(&flusher->dirty, NULL);
    flusher->syncs.count = 0;
    while (log != NULL) {
        struct log *next = log->dirty_next;
        /* From here on an append puts it on the list again; do not read dirty_next below. */
        atomic_store(&log->dirty, false);
        log_sync_begin(log, vec_add(&flusher->syncs));
        log = next;
    }
}

static void tell_failure(struct flusher *flusher, const struct log_sync *sync,
                         const struct reason *why)
{
    if (sync->err != ERR_NONE) {
        atomic_fetch_add(&flusher->failures, 1);
        LOG_ERROR("log", "a sync failed; the log takes no more writes: check the disk and restart",
                  "dir=\"%s\" reason=\"%s\"", sync->log->dir, why->text);
    }
}

static void sync_each(struct flusher *flusher)
{
    for (size_t i = 0; i < flusher->syncs.count; i++) {
        struct log_sync *sync = &flusher->syncs.items[i];
        struct reason why;
        log_sync_files(sync, &why);
        tell_failure(flusher, sync, &why);
    }
}

/* What is on disk without a name is as good as lost: nobody is told that it is kept. */
static void check_names(struct flusher *flusher)
{
    for (size_t i = 0; i < flusher->syncs.count; i++) {
        struct log_sync *sync = &flusher->syncs.items[i];
        struct reason why;
        if (sync->err == ERR_NONE) {
            log_sync_check_names(sync, &why);
            tell_failure(flusher, sync, &why);
        }
    }
}

/* A log that was deleted, or comes from somewhere else than an append, may have none. */
static size_t count_unsynced(const struct log_sync *sync)
{
    size_t count = 0;
    for (size_t i = 0; i < sync->segment_count; i++) {
        count += sync->segments[i]->synced_bytes < sync->sizes[i];
    }
    return count;
}

/* fdatasync for a few files, one syncfs for many. When syncfs fails it does not say whose bytes are
 * lost; each file's own fdatasync does. */
static void sync_round(struct flusher *flusher)
{
    size_t files = 0;
    for (size_t i = 0; i < flusher->syncs.count; i++) {
        files += count_unsynced(&flusher->syncs.items[i]);
    }
    atomic_fetch_add(&flusher->files_synced, files);
    if (files >= FLUSH_SYNCFS_FILES) {
        atomic_fetch_add(&flusher->whole_syncs, 1);
        if (flusher->files->syncfs(flusher->files->context, flusher->data_dir_fd) == 0) {
            return;
        }
    }
    sync_each(flusher);
}

static void finish_round(struct flusher *flusher)
{
    flusher->round_bytes = 0;
    for (size_t i = 0; i < flusher->syncs.count; i++) {
        struct log_sync *sync = &flusher->syncs.items[i];
        bool moved = log_sync_finish(sync);
        flusher->round_bytes += (uint64_t)sync->synced_bytes;
        if (moved && flusher->handler.on_flushed != NULL) {
            flusher->handler.on_flushed(flusher->handler.context, sync->log);
        }
    }
    atomic_fetch_add(&flusher->bytes_synced, flusher->round_bytes);
    if (flusher->handler.on_round != NULL && flusher->syncs.count > 0) {
        flusher->handler.on_round(flusher->handler.context);
    }
}

static void complete_waiters(struct flusher *flusher)
{
    struct flush_waiter *arrived = atomic_exchange(&flusher->arrivals, NULL);
    while (arrived != NULL) {
        struct flush_waiter *next = arrived->next;
        arrived->next = flusher->pending;
        flusher->pending = arrived;
        arrived = next;
    }
    struct flush_waiter **at = &flusher->pending;
    while (*at != NULL) {
        struct flush_waiter *waiter = *at;
        if (is_satisfied(waiter)) {
            *at = waiter->next;
            waiter->done(waiter); /* it may be gone after this */
        } else {
            at = &waiter->next;
        }
    }
}

static void *flusher_run(void *context)
{
    struct flusher *flusher = context;
    priority_set_turn(PRIORITY_QUICK_NS);
    while (wait_for_work(flusher)) {
        take_round(flusher);
        if (flusher->syncs.count > 0) {
            atomic_fetch_add(&flusher->rounds, 1);
            sync_round(flusher);
            check_names(flusher);
            finish_round(flusher);
        }
        complete_waiters(flusher);
        space_note_written(flusher->space, flusher->round_bytes);
        /* After the waiters: nobody waits for index files. */
        for (size_t i = 0; i < flusher->syncs.count; i++) {
            log_finish_rolled(flusher->syncs.items[i].log);
            log_unref(flusher->syncs.items[i].log);
        }
    }
    return NULL;
}

enum err flusher_new(const struct file_ops *files, int data_dir_fd, struct space *space,
                     const struct flush_handler *handler, struct flusher **out,
                     struct reason *reason)
{
    struct flusher *flusher = mem_new(struct flusher);
    flusher->files = files;
    flusher->data_dir_fd = data_dir_fd;
    flusher->space = space;
    flusher->handler = *handler;
    pthread_mutex_init(&flusher->lock, NULL);
    pthread_cond_init(&flusher->wake, NULL);
    int error = pthread_create(&flusher->thread, NULL, flusher_run, flusher);
    if (error != 0) {
        pthread_mutex_destroy(&flusher->lock);
        pthread_cond_destroy(&flusher->wake);
        free(flusher);
        return reason_fail(reason, ERR_LIMIT, "cannot start the flush thread (error %d)", error);
    }
    *out = flusher;
    return ERR_NONE;
}

void flusher_stats(struct flusher *flusher, struct flush_stats *out)
{
    *out = (struct flush_stats){
        .rounds = atomic_load(&flusher->rounds),
        .files_synced = atomic_load(&flusher->files_synced),
        .whole_syncs = atomic_load(&flusher->whole_syncs),
        .failures = atomic_load(&flusher->failures),
        .bytes_synced = atomic_load(&flusher->bytes_synced),
    };
}

void flusher_free(struct flusher *flusher)
{
    pthread_mutex_lock(&flusher->lock);
    flusher->stop = true;
    pthread_cond_signal(&flusher->wake);
    pthread_mutex_unlock(&flusher->lock);
    pthread_join(flusher->thread, NULL);
    pthread_mutex_destroy(&flusher->lock);
    pthread_cond_destroy(&flusher->wake);
    vec_deinit(&flusher->syncs);
    free(flusher);
}
