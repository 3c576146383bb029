#ifndef TIDINGS_TESTS_COORDINATOR_STATE_DATA_H
#define TIDINGS_TESTS_COORDINATOR_STATE_DATA_H

#include "base/mem.h"
#include "coordinator/state_topic.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A catalogue with the state topic "__state" in a directory of its own, and a real flusher. */
struct state_data {
    char dir[64];
    int dir_fd;
    struct overrides none;
    struct flusher *flusher;
    struct catalogue *catalogue;
    struct state_topic topic;
    struct reason reason;
};

static inline void state_data_flushed(void *context, struct log *log)
{
    log_call_user(log, partition_on_flushed);
}

static inline void state_data_advanced(void *context, struct partition *partition,
                                       uint64_t reactors)
{
}

static inline void state_data_open(struct state_data *data, int32_t partition_count)
{
    struct flush_handler handler = {.on_flushed = state_data_flushed};
    assert_int_equal(
        flusher_new(file_ops_system(), data->dir_fd, NULL, &handler, &data->flusher, &data->reason),
        ERR_NONE);
    struct catalogue_config config = {
        .data_dir = data->dir,
        .topic_defaults = &data->none,
        .log_env = {.files = file_ops_system(), .clock = clock_system(), .flusher = data->flusher},
        .open_threads = 1,
        .advanced = state_data_advanced,
    };
    struct catalogue_recovery recovery;
    assert_int_equal(catalogue_open(&config, &data->catalogue, &recovery, &data->reason), ERR_NONE);
    assert_int_equal(state_topic_open(&data->topic, data->catalogue, data->flusher, "__state",
                                      partition_count, 1 << 20, &data->reason),
                     ERR_NONE);
}

static inline void state_data_close(struct state_data *data)
{
    flusher_free(data->flusher);
    state_topic_close(&data->topic);
    assert_int_equal(catalogue_close(data->catalogue, &data->reason), ERR_NONE);
}

static inline void state_data_init(struct state_data *data, int32_t partition_count)
{
    *data = (struct state_data){0};
    snprintf(data->dir, sizeof data->dir, "/tmp/tidings-state-XXXXXX");
    assert_non_null(mkdtemp(data->dir));
    data->dir_fd = open(data->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(data->dir_fd >= 0);
    state_data_open(data, partition_count);
}

static inline void state_data_deinit(struct state_data *data)
{
    state_data_close(data);
    close(data->dir_fd);
    char *command = mem_sprintf("rm -rf %s", data->dir);
    assert_int_equal(system(command), 0);
    free(command);
}

/* ---- waiting ---- */

/* What another thread says is done. */
struct state_done {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    enum err err;
};

static inline struct state_done state_done_new(void)
{
    return (struct state_done){.lock = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER};
}

static inline void state_done_set(struct state_done *done, enum err err)
{
    pthread_mutex_lock(&done->lock);
    done->done = true;
    done->err = err;
    pthread_cond_signal(&done->changed);
    pthread_mutex_unlock(&done->lock);
}

static inline enum err state_done_await(struct state_done *done)
{
    pthread_mutex_lock(&done->lock);
    while (!done->done) {
        pthread_cond_wait(&done->changed, &done->lock);
    }
    pthread_mutex_unlock(&done->lock);
    return done->err;
}

struct state_written {
    struct state_append append;
    struct state_done done;
};

static inline void state_data_written(struct state_append *append, enum err err)
{
    state_done_set(&container_of(append, struct state_written, append)->done, err);
}

/* Appends the batch and waits until it is on disk. */
static inline enum err state_data_append(struct state_data *data, int32_t partition,
                                         const struct state_batch *batch)
{
    struct state_log log = state_topic_log(&data->topic);
    struct state_written written = {.append.done = state_data_written, .done = state_done_new()};
    enum err err = log.append(log.context, partition, batch, 1700000000000, &written.append);
    if (err == ERR_NONE) {
        log.wait(log.context, &written.append);
        err = state_done_await(&written.done);
    }
    return err;
}

#endif
