#ifndef TESTS_FAULTS_LOG_PLAY_H
#define TESTS_FAULTS_LOG_PLAY_H

#include "fault_files.h"

#include "log/log.h"
#include "log/log_internal.h"

#include <stdbool.h>
#include <stdint.h>

/* One seed's history of a log under faults, and the model that it is compared with. */
enum {
    LIVES = 6,
    STEPS = 60,
    BURST = 40, /* appends right before some crashes, so that blocks are there to lose */
    MODEL_BATCHES = LIVES * (STEPS + BURST) * 4,
    PRODUCERS = 4,
    BATCH_RECORDS = 4, /* at most */
    KEYS = 6,
};

enum model_kind { MODEL_PLAIN, MODEL_TXN, MODEL_COMMIT, MODEL_ABORT };

/* What compaction looks at; of compacted logs only. */
struct model_record {
    int key; /* -1: a marker */
    bool tombstone;
    bool seen; /* by the last reading of all */
    bool gone; /* compacted away: it never comes back */
};

struct model_batch {
    enum model_kind kind;
    int64_t base_offset;
    int64_t last_offset;
    uint8_t *bytes; /* as it was last read */
    size_t size;
    int64_t producer_id;
    int32_t base_sequence;
    int32_t last_sequence;
    bool damaged; /* a bit of it was flipped, or a hole may be in it */
    bool flipped; /* the former: it was good when the log last looked */
    bool maybe;   /* its append failed in a way that may leave it there */
    struct model_record records[BATCH_RECORDS];
    int record_count;
    int64_t horizon_ms;     /* delete horizon; -1 */
    int64_t horizon_was_ms; /* before the last reading of all */
    bool seen;              /* by the last reading of all, perhaps without records */
    bool gone;
};

struct model {
    struct model_batch batches[MODEL_BATCHES];
    int count;
    int64_t start;
    int64_t end;
    int64_t flushed; /* nothing below may be lost */
    int64_t torn;    /* from here on a crash may have left rubbish */
    int32_t next_sequence[PRODUCERS];
    int16_t epoch[PRODUCERS];
    bool doubtful[PRODUCERS];         /* damage may have hidden some of its batches */
    int64_t decided;                  /* the watermark that the log was told */
    int64_t attempted;                /* compaction went no further: untouched from here on */
    int64_t cleaned;                  /* compaction was over up to here */
    int64_t compacted_ms;             /* the clock at the last compaction */
    int64_t failed_ms[LIVES * STEPS]; /* and at those that failed: a crash may take back that they
                                         took back their swap */
    int failed_count;
};

struct play {
    uint64_t seed;
    struct random random;
    struct fault_files *files;
    struct clock clock;
    int64_t now_ms;
    struct log_config config;
    struct log_env env;
    struct log *log;
    struct log_state known;
    bool has_known;
    char root[64];
    int life;
    struct model *model;
    bool flipped; /* since the last opening, anywhere */
    bool taking;  /* what is read may have been compacted since the last time */
    struct reason reason;
};

#define CHECK(play, condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            play_failed(play, #condition, __FILE__, __LINE__, __VA_ARGS__);                        \
        }                                                                                          \
    } while (0)

void play_failed(const struct play *play, const char *condition, const char *file, int line,
                 const char *format, ...) __attribute__((format(printf, 5, 6), noreturn));

/* Parts that the steps (log_play.c) and the crashes (test_log_faults.c) share. */
uint64_t play_below(struct play *play, uint64_t bound);
void play_set_faults(struct play *play, bool on);
void model_cut(struct model *model, int count);
struct model_batch *model_add(struct play *play, const struct batch *batch, bool maybe);
struct model_batch *model_find(struct model *model, int64_t offset);
void play_note_flushed(struct play *play);
void model_doubt(struct model *model, struct model_batch *batch);
void play_check_range(struct play *play, int64_t from, int64_t to, size_t max_bytes);
void play_append(struct play *play);
void play_flush(struct play *play);
void play_step(struct play *play);

#endif
