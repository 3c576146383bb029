#include "net/workers.h"

#include "base/thread.h"

#include "base/mem.h"
#include "base/priority.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The default function falls through cases in a way that clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>
#include <utlist.h>

struct owner_key {
    const void *who;
    uint64_t speed; /* no padding: it is hashed */
};

struct site_key {
    struct peer_key address;
    uint64_t speed;
};

/* Of an owner that has tasks. It stands at its site unless one of them runs. */
struct owner_queue {
    struct owner_key key;
    struct peer_key address;
    struct task *oldest;
    struct task *newest;
    struct owner_queue *prev, *next; /* at the site */
    UT_hash_handle hh;
};

/* Where owners stand whose turn comes. It is in the line of its speed. */
struct site {
    struct site_key key;
    struct owner_queue *first;
    struct site *prev, *next;
    UT_hash_handle hh;
};

struct workers {
    pthread_mutex_t lock; /* guards all but the threads */
    pthread_cond_t posted;
    struct owner_queue *owners;
    struct site *sites;
    struct site *lines[2]; /* by worker_speed: the first one has the next turn */
    unsigned slow_running;
    unsigned slow_most;
    bool slow_next; /* with one thread: whose turn it is */
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

/* The owner stands behind the others of its site, which is put into the line if it is not there. */
static void stand_in_line(struct workers *workers, struct owner_queue *queue)
{
    struct site_key key = {.address = queue->address, .speed = queue->key.speed};
    struct site *site;
    HASH_FIND(hh, workers->sites, &key, sizeof key, site);
    if (site == NULL) {
        site = mem_new(struct site);
        site->key = key;
        HASH_ADD(hh, workers->sites, key, sizeof site->key, site);
        DL_APPEND(workers->lines[key.speed], site);
    }
    DL_APPEND(site->first, queue);
}

/* Takes out the first owner of the first site; the site goes to the end of the line, or out of it.
 */
static struct owner_queue *take_first(struct workers *workers, enum worker_speed speed)
{
    struct site *site = workers->lines[speed];
    struct owner_queue *queue = site->first;
    DL_DELETE(site->first, queue);
    DL_DELETE(workers->lines[speed], site);
    if (site->first != NULL) {
        DL_APPEND(workers->lines[speed], site);
    } else {
        HASH_DEL(workers->sites, site);
        free(site);
    }
    return queue;
}

/* Whose turn it is: NULL when nobody has a task that may run now. */
static struct owner_queue *take_turn(struct workers *workers)
{
    bool quick = workers->lines[WORKER_QUICK] != NULL;
    bool slow = workers->lines[WORKER_SLOW] != NULL && workers->slow_running < workers->slow_most;
    if (!quick && !slow) {
        return NULL;
    }
    enum worker_speed speed = slow && (!quick || workers->slow_next) ? WORKER_SLOW : WORKER_QUICK;
    workers->slow_next = speed == WORKER_QUICK;
    workers->slow_running += speed == WORKER_SLOW;
    return take_first(workers, speed);
}

/* The task has run: its owner waits for the next turn, or has no more. This thread takes a turn
 * next, so nobody needs to be woken. */
static void end_turn(struct workers *workers, struct owner_queue *queue)
{
    workers->slow_running -= queue->key.speed == WORKER_SLOW;
    if (queue->oldest != NULL) {
        stand_in_line(workers, queue);
    } else {
        HASH_DEL(workers->owners, queue);
        free(queue);
    }
}

static void *work(void *context)
{
    struct workers *workers = context;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct owner_queue *queue = take_turn(workers);
        if (queue == NULL && workers->stopping) {
            break;
        }
        if (queue == NULL) {
            pthread_cond_wait(&workers->posted, &workers->lock);
            continue;
        }
        struct task *task = queue->oldest;
        queue->oldest = task->next;
        pthread_mutex_unlock(&workers->lock);
        task->run(task);
        priority_give_way(); /* an event loop may wait for this processor */
        pthread_mutex_lock(&workers->lock);
        end_turn(workers, queue);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

enum err workers_new(const char *name, unsigned thread_count, struct workers **out,
                     struct reason *reason)
{
    struct workers *workers =
        mem_zalloc(sizeof *workers + (size_t)thread_count * sizeof workers->threads[0]);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->posted, NULL);
    workers->slow_most = thread_count > 1 ? thread_count - 1 : 1;
    for (unsigned i = 0; i < thread_count; i++) {
        enum err err = thread_start(&workers->threads[i], name, i, work, workers, reason);
        if (err != ERR_NONE) {
            workers_free(workers);
            return err;
        }
        workers->thread_count++;
    }
    *out = workers;
    return ERR_NONE;
}

/* Under the lock. */
static struct owner_queue *queue_of(struct workers *workers, const struct worker_owner *owner,
                                    enum worker_speed speed, bool *idle)
{
    struct owner_key key = {.who = owner->who, .speed = speed};
    struct owner_queue *queue;
    HASH_FIND(hh, workers->owners, &key, sizeof key, queue);
    *idle = queue == NULL;
    if (queue == NULL) {
        queue = mem_new(struct owner_queue);
        queue->key = key;
        queue->address = owner->site;
        HASH_ADD(hh, workers->owners, key, sizeof queue->key, queue);
    }
    return queue;
}

void workers_post(struct workers *workers, struct worker_owner owner, enum worker_speed speed,
                  struct task *task)
{
    bool idle;
    task->next = NULL;
    pthread_mutex_lock(&workers->lock);
    struct owner_queue *queue = queue_of(workers, &owner, speed, &idle);
    if (queue->oldest == NULL) {
        queue->oldest = task;
    } else {
        queue->newest->next = task;
    }
    queue->newest = task;
    if (idle) {
        stand_in_line(workers, queue);
        pthread_cond_signal(&workers->posted);
    }
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
