#include "broker/server_log.h"

#include "base/mem.h"
#include "stream/log_stretch.h"
#include "topic/topic.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct server_log {
    struct log_access access;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t idle;
    unsigned references;
    atomic_bool is_closing;
    unsigned readers;            /* that are in the catalogue now */
    struct catalogue *catalogue; /* NULL: closed */
};

static struct server_log *of(struct log_access *access)
{
    return container_of(access, struct server_log, access);
}

/* NULL: it is closed. Else leave() follows. */
static struct catalogue *enter(struct server_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct catalogue *catalogue = log->catalogue;
    log->readers += catalogue != NULL;
    pthread_mutex_unlock(&log->lock);
    return catalogue;
}

static void leave(struct server_log *log)
{
    pthread_mutex_lock(&log->lock);
    if (--log->readers == 0) {
        pthread_cond_broadcast(&log->idle);
    }
    pthread_mutex_unlock(&log->lock);
}

/* Who reads, as long as the server goes on. */
struct asker {
    struct server_log *log;
    const struct log_stretch *stretch; /* as it was asked for */
};

static bool give(void *context, const struct event *event)
{
    struct asker *asker = context;
    return !atomic_load(&asker->log->is_closing) &&
           asker->stretch->each(asker->stretch->context, event);
}

static bool goes_on(void *context)
{
    const struct asker *asker = context;
    const struct log_stretch *stretch = asker->stretch;
    return !atomic_load(&asker->log->is_closing) &&
           (stretch->goes_on == NULL || stretch->goes_on(stretch->context));
}

static enum err read_stretch(struct log_access *access, struct log_stretch *stretch,
                             struct reason *reason)
{
    struct server_log *log = of(access);
    struct catalogue *catalogue = enter(log);
    if (catalogue == NULL) {
        return reason_fail(reason, ERR_CLOSED, "the server has stopped");
    }
    const struct log_stretch asked = *stretch;
    struct asker asker = {log, &asked};
    stretch->each = give;
    stretch->goes_on = goes_on;
    stretch->context = &asker;
    enum err err = log_stretch_read(catalogue, stretch, reason);
    stretch->each = asked.each;
    stretch->goes_on = asked.goes_on;
    stretch->context = asked.context;
    if (err == ERR_NONE && atomic_load(&log->is_closing)) {
        err = reason_fail(reason, ERR_CLOSED, "the server is stopping");
    }
    leave(log);
    return err;
}

static int32_t partition_count(struct log_access *access, const char *name)
{
    struct server_log *log = of(access);
    struct catalogue *catalogue = enter(log);
    int32_t count = 0;
    if (catalogue != NULL) {
        struct topic *topic = catalogue_find(catalogue, slice_str(name));
        count = topic != NULL ? topic_partition_count(topic) : 0;
        if (topic != NULL) {
            topic_unref(topic);
        }
        leave(log);
    }
    return count;
}

static void unref(struct log_access *access)
{
    struct server_log *log = of(access);
    pthread_mutex_lock(&log->lock);
    bool is_last = --log->references == 0;
    pthread_mutex_unlock(&log->lock);
    if (is_last) {
        pthread_cond_destroy(&log->idle);
        pthread_mutex_destroy(&log->lock);
        free(log);
    }
}

struct log_access *server_log_new(void)
{
    struct server_log *log = mem_new(struct server_log);
    log->access = (struct log_access){
        .read = read_stretch, .partition_count = partition_count, .unref = unref};
    log->references = 1;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->idle, NULL);
    return &log->access;
}

struct log_access *server_log_ref(struct log_access *access)
{
    struct server_log *log = of(access);
    pthread_mutex_lock(&log->lock);
    log->references++;
    pthread_mutex_unlock(&log->lock);
    return access;
}

void server_log_open(struct log_access *access, struct catalogue *catalogue)
{
    struct server_log *log = of(access);
    pthread_mutex_lock(&log->lock);
    log->catalogue = catalogue;
    atomic_store(&log->is_closing, false);
    pthread_mutex_unlock(&log->lock);
}

void server_log_close(struct log_access *access)
{
    struct server_log *log = of(access);
    pthread_mutex_lock(&log->lock);
    log->catalogue = NULL;
    atomic_store(&log->is_closing, true);
    while (log->readers > 0) {
        pthread_cond_wait(&log->idle, &log->lock);
    }
    pthread_mutex_unlock(&log->lock);
}
