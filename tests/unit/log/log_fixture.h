#ifndef TESTS_UNIT_LOG_LOG_FIXTURE_H
#define TESTS_UNIT_LOG_LOG_FIXTURE_H

#include "base/buf.h"
#include "log/log.h"
#include "log/segment_fds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A log in a fresh directory, with a clock that the test turns. */
struct fixture {
    char dir[64];
    char log_dir[80];
    struct clock clock;
    int64_t now_ms;
    struct log_config config;
    struct log_env env;
    struct budget budget; /* what a test leaves in it fails the test */
    struct segment_fds *fds;
    struct log *log;
    struct log_state state;
    struct log_recovery recovery;
    struct reason reason;
};

/* What one batch of a test holds. */
struct batch_spec {
    int32_t records;     /* 0: 1 */
    size_t value_bytes;  /* 0: 10 */
    int64_t timestamp;   /* of the first record; each further is 1 ms later */
    int64_t producer_id; /* 0: none */
    int16_t epoch;
    int32_t sequence;
    bool transactional;
    bool own; /* append_spec: as a coordinator, without a sequence */
};

/* cmocka set-up and tear-down. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens and loads; what goes wrong fails the test. */
void fixture_open(struct fixture *fixture, const struct log_state *known);
/* The two steps of it: after the first the log may be idle. */
void fixture_open_only(struct fixture *fixture, const struct log_state *known);
void fixture_load(struct fixture *fixture);
/* Closes cleanly (state) and lets go. */
void fixture_close(struct fixture *fixture);
/* Lets go without closing: what SIGKILL leaves. */
void fixture_kill(struct fixture *fixture);

void build_batch(const struct batch_spec *spec, struct buf *out, struct batch *batch);
enum err append_spec(struct fixture *fixture, const struct batch_spec *spec,
                     struct log_append *append);
/* Ends a producer's transaction; the marker's offset is log_end_offset - 1. */
enum err append_marker(struct fixture *fixture, int64_t producer_id, int16_t epoch,
                       int32_t coordinator_epoch, bool commit);
/* Appends count one-record batches; the test fails on error. */
void append_many(struct fixture *fixture, int count, size_t value_bytes);

/* "<log dir>/<offset><suffix>" in a static buffer of the fixture's thread. */
const char *file_of(struct fixture *fixture, int64_t base, const char *suffix);
int64_t size_of(const char *path);
void flip_byte(const char *path, int64_t position);
void cut_file(const char *path, int64_t size);

/* Reads all offsets in [from, to) by log_read with max_bytes each; returns how many records. Checks
 * order and CRCs. */
int64_t read_all(struct fixture *fixture, int64_t from, int64_t to, size_t max_bytes);

#endif
