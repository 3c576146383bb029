#ifndef TIDINGS_TESTS_UNIT_TOPIC_FIXTURE_H
#define TIDINGS_TESTS_UNIT_TOPIC_FIXTURE_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log/segment_fds.h"
#include "topic/catalogue.h"

/* A catalogue in a fresh directory. Nobody flushes but the test. */
struct fixture {
    char dir[64];
    struct overrides server_defaults;
    const struct file_ops *files; /* NULL: the system's */
    struct space *space;          /* NULL: nobody looks after it */
    struct budget budget;         /* what a test leaves in it fails the test */
    struct segment_fds *fds;
    struct catalogue *catalogue;
    struct catalogue_recovery recovery;
    struct reason reason;
    int advanced; /* calls of partition_advanced */
    uint64_t advanced_reactors;
    int64_t advanced_stable; /* the last stable offset when it was called last */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
/* As SIGKILL: nothing is closed, the next open finds what is on disk. */
void fixture_abandon(struct fixture *fixture);
char *fixture_path(const struct fixture *fixture, const char *name); /* free it */

/* The topic, created with a setting (NULL: none); a reference. */
struct topic *create_topic(struct fixture *fixture, const char *name, int32_t partitions,
                           const char *setting, const char *value);
enum err try_create(struct fixture *fixture, const char *name, int32_t partitions);

/* Appends `count` one-record batches; flushes when told to. */
void append_events(struct partition *partition, int count, bool flush);

#endif
