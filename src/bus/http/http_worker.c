#include "bus/http/http_worker.h"

#include "base/cond.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/thread.h"

#include <stdlib.h>
#include <utlist.h>

struct http_workers {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t has_work;
    pthread_cond_t is_done; /* a task is */
    struct task *queue;
    unsigned waiting, waiting_max;
    unsigned started, most, busy;
    bool is_ending;
    pthread_t *threads;
};

struct http_workers *http_workers_new(unsigned most, unsigned waiting_max)
{
    struct http_workers *workers = mem_new(struct http_workers);
    pthread_mutex_init(&workers->lock, NULL);
    cond_init(&workers->has_work);
    cond_init(&workers->is_done);
    workers->most = most;
    workers->waiting_max = waiting_max;
    workers->threads = mem_new_array(pthread_t, most);
    return workers;
}

/* The lock is held, and again when this returns. */
static void run_first(struct http_workers *workers)
{
    struct task *task = workers->queue;
    LL_DELETE(workers->queue, task);
    workers->waiting--;
    workers->busy++;
    pthread_mutex_unlock(&workers->lock);
    task->run(task);
    pthread_mutex_lock(&workers->lock);
    workers->busy--;
    pthread_cond_broadcast(&workers->is_done);
}

static void *work(void *context)
{
    struct http_workers *workers = context;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    pthread_mutex_lock(&workers->lock);
    while (workers->queue != NULL || !workers->is_ending) {
        if (workers->queue != NULL) {
            run_first(workers);
        } else {
            pthread_cond_wait(&workers->has_work, &workers->lock);
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* The lock is held. Those that are not busy may have been woken for what waits already. */
static void start_one(struct http_workers *workers)
{
    if (workers->started < workers->most && workers->started - workers->busy <= workers->waiting &&
        thread_start(&workers->threads[workers->started], "http-worker", workers->started, work,
                     workers, NULL) == ERR_NONE) {
        workers->started++;
    }
}

bool http_workers_post(struct http_workers *workers, struct task *task)
{
    pthread_mutex_lock(&workers->lock);
    start_one(workers);
    bool is_taken =
        !workers->is_ending && workers->started > 0 && workers->waiting < workers->waiting_max;
    if (is_taken) {
        LL_APPEND(workers->queue, task);
        workers->waiting++;
        pthread_cond_signal(&workers->has_work);
    }
    pthread_mutex_unlock(&workers->lock);
    return is_taken;
}

void http_workers_counts(struct http_workers *workers, unsigned *busy, unsigned *waiting)
{
    pthread_mutex_lock(&workers->lock);
    *busy = workers->busy;
    *waiting = workers->waiting;
    pthread_mutex_unlock(&workers->lock);
}

void http_workers_close(struct http_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    pthread_cond_broadcast(&workers->has_work);
    pthread_mutex_unlock(&workers->lock);
}

bool http_workers_drain(struct http_workers *workers, int64_t deadline_ms)
{
    struct timespec until = cond_after_ms(deadline_ms);
    int code = 0;
    pthread_mutex_lock(&workers->lock);
    while (code == 0 && (workers->busy > 0 || workers->waiting > 0)) {
        code = pthread_cond_timedwait(&workers->is_done, &workers->lock, &until);
    }
    bool is_drained = workers->busy == 0 && workers->waiting == 0;
    pthread_mutex_unlock(&workers->lock);
    return is_drained;
}

void http_workers_free(struct http_workers *workers)
{
    if (workers == NULL) {
        return;
    }
    http_workers_close(workers);
    for (unsigned i = 0; i < workers->started; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    free(workers->threads);
    pthread_cond_destroy(&workers->is_done);
    pthread_cond_destroy(&workers->has_work);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
