#include "net/workers.h"

#include "net/thread.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

struct workers {
    pthread_mutex_t lock; /* guards oldest, newest and stopping */
    pthread_cond_t posted;
    struct task *oldest;
    struct task *newest;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

/* The next task, or NULL when the pool stops and nothing is left. */
static struct task *next_task(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    while (workers->oldest == NULL && !workers->stopping) {
        pthread_cond_wait(&workers->posted, &workers->lock);
    }
    struct task *task = workers->oldest;
    if (task != NULL) {
        workers->oldest = task->next;
    }
    pthread_mutex_unlock(&workers->lock);
    return task;
}

static void *work(void *context)
{
    struct workers *workers = context;
    struct task *task;
    while ((task = next_task(workers)) != NULL) {
        task->run(task);
    }
    return NULL;
}

enum err workers_new(unsigned thread_count, struct workers **out, struct reason *reason)
{
    struct workers *workers =
        mem_zalloc(sizeof *workers + (size_t)thread_count * sizeof workers->threads[0]);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->posted, NULL);
    for (unsigned i = 0; i < thread_count; i++) {
        enum err err = thread_start(&workers->threads[i], "worker", i, work, workers, reason);
        if (err != ERR_NONE) {
            workers_free(workers);
            return err;
        }
        workers->thread_count++;
    }
    *out = workers;
    return ERR_NONE;
}

void workers_post(struct workers *workers, struct task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&workers->lock);
    if (workers->oldest == NULL) {
        workers->oldest = task;
    } else {
        workers->newest->next = task;
    }
    workers->newest = task;
    pthread_cond_signal(&workers->posted);
    pthread_mutex_unlock(&workers->lock);
}

void workers_free(struct workers *workers)
{
    if (workers == NULL) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->posted);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->thread_count; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    pthread_cond_destroy(&workers->posted);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
