#include "fault_files.h"

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "log/log.h"
#include "log/log_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * A log under faults, against a model. Each seed plays one history: appends, flushes, checkpoints,
 * rolls, reads, deletions, failing calls, crashes that keep any part of what was not synced, and
 * flipped bits; after each opening all is compared with the model. FAULT_SEED=n replays one seed,
 * FAULT_SEEDS=n plays n of them, FAULT_VERBOSE=1 shows the log's lines.
 */
enum {
    LIVES = 6,
    STEPS = 60,
    MODEL_BATCHES = LIVES * STEPS * 4,
    PRODUCERS = 4,
};

struct model_batch {
    int64_t base_offset;
    int64_t last_offset;
    uint8_t *bytes;
    size_t size;
    int64_t position; /* unused by checks: for messages */
    int64_t producer_id;
    int32_t base_sequence;
    int32_t last_sequence;
    bool damaged; /* a bit of it was flipped, or a hole may be in it */
    bool flipped; /* the former: it was good when the log last looked */
    bool maybe;   /* its append failed in a way that may leave it there */
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
    bool doubtful[PRODUCERS]; /* damage may have hidden some of its batches */
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
    struct reason reason;
};

#define CHECK(play, condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            failed(play, #condition, __LINE__, __VA_ARGS__);                                       \
        }                                                                                          \
    } while (0)

static void failed(const struct play *play, const char *condition, int line, const char *format,
                   ...) __attribute__((format(printf, 4, 5), noreturn));

static void failed(const struct play *play, const char *condition, int line, const char *format,
                   ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "FAULT_SEED=%llu life %d: %s:%d: %s: ", (unsigned long long)play->seed,
            play->life, __FILE__, line, condition);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nfiles are in %s; replay: FAULT_SEED=%llu FAULT_VERBOSE=1 %s\n", play->root,
            (unsigned long long)play->seed, "log-faults");
    va_end(args);
    abort();
}

static uint64_t below(struct play *play, uint64_t bound)
{
    return random_below(&play->random, bound);
}

static int64_t clock_now(void *context)
{
    return ((struct play *)context)->now_ms;
}

static void set_faults(struct play *play, bool on)
{
    play->files->chances = (struct fault_chances){0};
    if (on) {
        play->files->chances = (struct fault_chances){
            .short_write = 50,
            .write_error = 15,
            .write_full = 15,
            .sync_error = 3,
            .truncate_error = 50,
            .create_error = 30,
            .rename_error = 20,
            .dir_sync_error = 5,
        };
    }
}

/* ---- the model ---- */

static void model_cut(struct model *model, int count)
{
    while (model->count > count) {
        free(model->batches[--model->count].bytes);
    }
}

static void model_add(struct play *play, const struct batch *batch, bool maybe)
{
    struct model *model = play->model;
    assert(model->count < MODEL_BATCHES);
    uint8_t *bytes = mem_dup(batch->bytes.data, batch->bytes.size);
    batch_header_store(batch, bytes);
    model->batches[model->count++] = (struct model_batch){
        .base_offset = batch->base_offset,
        .last_offset = batch_last_offset(batch),
        .bytes = bytes,
        .size = batch->bytes.size,
        .producer_id = batch->producer_id,
        .base_sequence = batch->base_sequence,
        .last_sequence = producer_sequence_add(batch->base_sequence, batch->last_offset_delta),
        .maybe = maybe,
    };
}

static struct model_batch *model_find(struct model *model, int64_t offset)
{
    for (int i = 0; i < model->count; i++) {
        if (model->batches[i].base_offset <= offset && offset <= model->batches[i].last_offset) {
            return &model->batches[i];
        }
    }
    return NULL;
}

/* ---- steps ---- */

static void build(struct play *play, struct buf *out, int32_t records, int producer)
{
    struct batch_builder builder;
    uint8_t value[1500];
    size_t size = below(play, 8) == 0 ? below(play, sizeof value) : below(play, 120);
    batch_builder_init(&builder);
    if (producer >= 0) {
        builder.producer_id = 100 + producer;
        builder.producer_epoch = play->model->epoch[producer];
        builder.base_sequence = play->model->next_sequence[producer];
    }
    for (int32_t i = 0; i < records; i++) {
        for (size_t k = 0; k < size; k++) {
            value[k] = (uint8_t)random_next(&play->random);
        }
        batch_builder_add(&builder, play->now_ms + i, slice_str("k"), slice_of(value, size), NULL,
                          0);
    }
    enum err err = batch_builder_finish(&builder, out, NULL);
    CHECK(play, err == ERR_NONE, "builder");
    batch_builder_deinit(&builder);
}

static void take_appended(struct play *play, const struct batch *batches, int32_t count,
                          int producer, bool maybe)
{
    struct model *model = play->model;
    for (int32_t i = 0; i < count; i++) {
        model_add(play, &batches[i], maybe);
    }
    if (!maybe) {
        model->end = batch_last_offset(&batches[count - 1]) + 1;
        if (producer >= 0) {
            model->next_sequence[producer] =
                producer_sequence_add(batches[0].base_sequence, batches[0].last_offset_delta + 1);
        }
    }
}

static void step_append(struct play *play)
{
    struct buf bytes[3] = {{0}};
    struct batch batches[3];
    int32_t count = below(play, 5) == 0 ? 2 + (int32_t)below(play, 2) : 1;
    int producer = count == 1 && below(play, 2) == 0 ? (int)below(play, PRODUCERS) : -1;
    if (producer >= 0 && below(play, 20) == 0) {
        play->model->epoch[producer]++;
        play->model->next_sequence[producer] = 0;
    }
    for (int32_t i = 0; i < count; i++) {
        build(play, &bytes[i], 1 + (int32_t)below(play, 4), producer);
        enum err err = batch_parse(buf_slice(&bytes[i]), &batches[i], NULL);
        CHECK(play, err == ERR_NONE, "parse");
    }
    struct log_append append = {.batches = batches, .batch_count = count, .check_producer = true};
    bool was_failed = log_failed(play->log);
    int64_t end = log_end_offset(play->log);
    enum err err = log_append(play->log, &append, &play->reason);
    if (err == ERR_NONE) {
        CHECK(play, append.base_offset == end, "base offset %lld, end was %lld",
              (long long)append.base_offset, (long long)end);
        take_appended(play, batches, count, producer, false);
    } else {
        CHECK(play, err == ERR_IO || err == ERR_NO_SPACE || (err == ERR_CLOSED && was_failed),
              "append: %s: %s", err_name(err), play->reason.text);
        CHECK(play, log_end_offset(play->log) == end, "a failed append moved the end");
        if (!was_failed && log_failed(play->log)) {
            take_appended(play, batches, count, producer, true);
        }
    }
    for (int i = 0; i < 3; i++) {
        buf_deinit(&bytes[i]);
    }
}

static void note_flushed(struct play *play)
{
    int64_t flushed = log_flushed_offset(play->log);
    CHECK(play, flushed >= play->model->flushed, "flushed went back");
    play->model->flushed = flushed;
}

static void step_flush(struct play *play)
{
    bool was_failed = log_failed(play->log);
    enum err err = log_flush(play->log, &play->reason);
    CHECK(play, (err == ERR_NONE) == !log_failed(play->log), "flush");
    CHECK(play, !was_failed || err != ERR_NONE, "a failed log flushed");
    CHECK(play, err != ERR_NONE || log_flushed_offset(play->log) == log_end_offset(play->log),
          "a flush did not reach the end");
    note_flushed(play);
    if (below(play, 2) == 0) {
        log_finish_rolled(play->log);
    }
}

static void step_checkpoint(struct play *play)
{
    struct log_state state;
    if (log_checkpoint(play->log, &state, &play->reason) == ERR_NONE) {
        play->known = state;
        play->has_known = true;
    }
    note_flushed(play);
}

static void step_delete(struct play *play)
{
    struct model *model = play->model;
    if (!play->has_known || model->flushed <= model->start) {
        return;
    }
    int64_t start =
        model->start + (int64_t)below(play, (uint64_t)(model->flushed - model->start) + 1);
    if (play->known.end_offset < start) {
        return; /* a checkpoint comes first in such a server */
    }
    play->known.start_offset = start; /* durable first */
    enum err err = log_set_start_offset(play->log, start, &play->reason);
    CHECK(play, err == ERR_NONE || err == ERR_IO, "set start: %s", play->reason.text);
    model->start = log_start_offset(play->log);
}

/* Compares a span with the model; returns the offset behind it. */
static int64_t check_span(struct play *play, const struct file_span *span, int64_t offset)
{
    uint8_t *bytes = mem_alloc(span->size);
    ssize_t got = pread(span->fd, bytes, span->size, span->position);
    CHECK(play, got == (ssize_t)span->size, "a span of %zu bytes holds %zd", span->size, got);
    struct slice rest = slice_of(bytes, span->size);
    while (rest.size > 0) {
        struct batch batch;
        enum err err = batch_parse(rest, &batch, &play->reason);
        const struct model_batch *at = model_find(play->model, offset);
        if (at != NULL && at->flipped &&
            (err != ERR_NONE || batch_check_crc(&batch, NULL) != ERR_NONE ||
             batch.base_offset != at->base_offset)) {
            offset = at->last_offset + 1; /* the client sees it */
            break;
        }
        CHECK(play, err == ERR_NONE, "a span holds no whole batch at offset %lld: %s",
              (long long)offset, play->reason.text);
        struct model_batch *expected = model_find(play->model, batch.base_offset);
        bool crc_fits = batch_check_crc(&batch, NULL) == ERR_NONE;
        CHECK(play, crc_fits || (expected != NULL && expected->damaged), "CRC at offset %lld",
              (long long)batch.base_offset);
        if (crc_fits) {
            CHECK(play,
                  expected != NULL && expected->base_offset == batch.base_offset &&
                      expected->size == batch.bytes.size &&
                      (expected->damaged ||
                       memcmp(expected->bytes, batch.bytes.data, batch.bytes.size) == 0),
                  "the batch at offset %lld is not what was appended",
                  (long long)batch.base_offset);
        }
        offset = batch_last_offset(&batch) + 1;
        rest = slice_of(rest.data + batch.bytes.size, rest.size - batch.bytes.size);
    }
    free(bytes);
    return offset;
}

static void doubt(struct model *model, struct model_batch *batch)
{
    batch->damaged = true;
    if (batch->producer_id >= 0) {
        model->doubtful[batch->producer_id - 100] = true;
    }
}

/* A flipped bit in the offsets of a header that was not scanned again hides the next batch too. */
static bool beside_flipped(const struct model *model, const struct model_batch *batch)
{
    return batch > model->batches && (batch - 1)->flipped;
}

/* Reads [from, to); skips what the model calls damaged. */
static void check_range(struct play *play, int64_t from, int64_t to, size_t max_bytes)
{
    while (from < to) {
        struct file_span span;
        enum err err = log_read(play->log, from, to, max_bytes, true, &span, &play->reason);
        struct model_batch *at = model_find(play->model, from);
        if (err == ERR_CORRUPT) {
            if (at != NULL && at->last_offset >= play->model->torn) {
                doubt(play->model, at);
            }
            CHECK(play, at != NULL && (at->damaged || beside_flipped(play->model, at)),
                  "offset %lld is unreadable: %s", (long long)from, play->reason.text);
            from = at->last_offset + 1;
            continue;
        }
        CHECK(play, err == ERR_NONE, "read at %lld: %s", (long long)from, play->reason.text);
        if (span.size == 0) {
            CHECK(play, at != NULL && at->damaged, "nothing to read at %lld of %lld",
                  (long long)from, (long long)to);
            from = at->last_offset + 1;
            continue;
        }
        CHECK(play, span.size <= max_bytes || at == NULL || span.size <= at->size,
              "%zu bytes are more than %zu", span.size, max_bytes);
        uint8_t head[8];
        ssize_t got = pread(span.fd, head, 8, span.position);
        CHECK(play, got == 8, "short");
        int64_t base = (int64_t)load_be64(head);
        bool flipped = at != NULL && at->flipped;
        while (!flipped && at != NULL && at->damaged && base > at->last_offset && from < base) {
            from = at->last_offset + 1; /* stepped over */
            at = model_find(play->model, from);
        }
        CHECK(play, base <= from || flipped, "offsets %lld to %lld are missing", (long long)from,
              (long long)base);
        from = check_span(play, &span, from);
        file_span_release(&span);
    }
    CHECK(play, from == to, "read past the end");
}

static void step_read(struct play *play)
{
    struct model *model = play->model;
    int64_t start = log_start_offset(play->log);
    if (model->end > start) {
        int64_t from = start + (int64_t)below(play, (uint64_t)(model->end - start));
        int64_t to = model->end;
        check_range(play, from, to, 1 + below(play, 5000));
    }
}

static void step(struct play *play)
{
    play->now_ms += (int64_t)below(play, 1000);
    switch (below(play, 24)) {
    case 0:
    case 1:
    case 2:
    case 3:
        step_flush(play);
        break;
    case 4:
    case 5:
        step_checkpoint(play);
        break;
    case 6:
    case 7:
        step_read(play);
        break;
    case 8:
        step_delete(play);
        break;
    case 9:
        CHECK(play, log_maintain(play->log, &play->reason) != ERR_CORRUPT, "maintain");
        break;
    default:
        step_append(play);
        break;
    }
}

/* ---- crash, damage, opening ---- */

struct expected_producer {
    struct play *play;
    bool seen[PRODUCERS];
};

/* Damage hit its newest batch, so that nobody can say what the log knows of it. */
static bool is_doubtful(const struct model *model, int producer);

static const struct model_batch *last_of(const struct model *model, int producer)
{
    for (int i = model->count - 1; i >= 0; i--) {
        if (model->batches[i].producer_id == 100 + producer) {
            return &model->batches[i];
        }
    }
    return NULL;
}

static bool is_doubtful(const struct model *model, int producer)
{
    const struct model_batch *last = last_of(model, producer);
    return model->doubtful[producer] || (last != NULL && last->damaged);
}

static void check_producer(void *context, const struct producer_entry *entry)
{
    struct expected_producer *expected = context;
    struct play *play = expected->play;
    int producer = (int)entry->producer_id - 100;
    CHECK(play, producer >= 0 && producer < PRODUCERS, "unknown producer id");
    expected->seen[producer] = true;
    const struct model_batch *last = last_of(play->model, producer);
    if (is_doubtful(play->model, producer)) {
        return;
    }
    CHECK(play, last != NULL, "producer %d is on record without a batch", producer);
    const struct producer_batch *newest = &entry->batches[entry->batch_count - 1];
    CHECK(play,
          entry->batch_count > 0 && newest->last_offset == last->last_offset &&
              newest->last_sequence == last->last_sequence,
          "producer %d ends at offset %lld sequence %d, not %lld, %d", producer,
          (long long)newest->last_offset, newest->last_sequence, (long long)last->last_offset,
          last->last_sequence);
}

/* The newest batch of a producer, sent again, is a duplicate with the offsets of the first time. */
static void check_duplicate(struct play *play, int producer)
{
    const struct model_batch *last = last_of(play->model, producer);
    struct batch batch;
    if (last == NULL || is_doubtful(play->model, producer)) {
        return;
    }
    enum err err = batch_parse(slice_of(last->bytes, last->size), &batch, NULL);
    CHECK(play, err == ERR_NONE, "parse");
    struct log_append append = {.batches = &batch, .batch_count = 1, .check_producer = true};
    err = log_append(play->log, &append, &play->reason);
    CHECK(play,
          err == ERR_DUPLICATE_SEQUENCE && append.base_offset == last->base_offset &&
              append.end_offset == last->last_offset + 1,
          "a resend of producer %d's offset %lld gave %s", producer, (long long)last->base_offset,
          err_name(err));
}

static int16_t epoch_of(const struct model_batch *batch)
{
    return (int16_t)load_be16(batch->bytes + 51);
}

static void check_producers(struct play *play)
{
    struct model *model = play->model;
    struct expected_producer expected = {.play = play};
    log_each_producer(play->log, check_producer, &expected);
    for (int i = 0; i < PRODUCERS; i++) {
        const struct model_batch *last = last_of(model, i);
        CHECK(play, is_doubtful(model, i) || expected.seen[i] || last == NULL,
              "producer %d was forgotten", i);
        check_duplicate(play, i);
        /* The client goes on behind what survived, or anew when nobody can know. */
        if (is_doubtful(model, i)) {
            model->epoch[i]++;
            model->next_sequence[i] = 0;
        } else {
            model->epoch[i] = last == NULL ? model->epoch[i] : epoch_of(last);
            model->next_sequence[i] =
                last == NULL ? 0 : producer_sequence_add(last->last_sequence, 1);
        }
    }
}

/* The model follows what the crash left. */
static void model_follow(struct play *play)
{
    struct model *model = play->model;
    int64_t end = log_end_offset(play->log);
    int count = 0;
    while (count < model->count && model->batches[count].last_offset < end) {
        model->batches[count].maybe = false;
        count++;
    }
    bool damaged_tail = count > 0 && model->batches[count - 1].damaged;
    CHECK(play,
          damaged_tail || end == model->start ||
              (count > 0 && model->batches[count - 1].last_offset + 1 == end),
          "the end %lld is inside a batch", (long long)end);
    model_cut(model, count);
    model->end = end;
}

/* A flipped bit in the last batches is no different from a torn tail: these may be gone. */
static int64_t least_end(const struct play *play)
{
    const struct model *model = play->model;
    int64_t least = model->flushed;
    int64_t floor = play->has_known ? play->known.end_offset : 0;
    for (int i = model->count - 1; i >= 0 && model->batches[i].base_offset >= floor; i--) {
        if (model->batches[i].damaged) {
            least = model->batches[i].base_offset < least ? model->batches[i].base_offset : least;
        }
    }
    return least;
}

static void new_files(struct play *play);
static void use_files(struct play *play);
static void remove_life(const struct play *play, int life);

/* Opening fails half-way, or the machine dies right after it. */
static void stumble(struct play *play)
{
    char dir[96];
    char new_dir[96];
    struct log *log;
    snprintf(dir, sizeof dir, "%s/%d", play->root, play->life);
    play->env.files = &play->files->ops;
    set_faults(play, true);
    enum err err = log_open(dir, &play->config, &play->env, play->has_known ? &play->known : NULL,
                            &log, NULL, &play->reason);
    set_faults(play, false);
    if (err == ERR_NONE) {
        log_unref(log);
    }
    new_files(play);
    snprintf(new_dir, sizeof new_dir, "%s/%d", play->root, play->life);
    fault_files_crash(play->files, (enum fault_crash)below(play, FAULT_CRASH_HOLES), new_dir);
    fault_files_deinit(play->files);
    use_files(play);
    remove_life(play, play->life - 1);
    play->known.clean = play->known.clean && err != ERR_NONE;
}

static void open_log(struct play *play)
{
    char dir[96];
    struct log_recovery recovery;
    snprintf(dir, sizeof dir, "%s/%d", play->root, play->life);
    play->env.files = &play->files->ops;
    enum err err = log_open(dir, &play->config, &play->env, play->has_known ? &play->known : NULL,
                            &play->log, &recovery, &play->reason);
    CHECK(play, err == ERR_NONE, "open: %s", play->reason.text);
    int64_t end = log_end_offset(play->log);
    CHECK(play, end >= least_end(play), "end %lld, flushed was %lld", (long long)end,
          (long long)play->model->flushed);
    CHECK(play, log_start_offset(play->log) <= play->model->start || play->flipped,
          "start %lld, not %lld", (long long)log_start_offset(play->log),
          (long long)play->model->start);
    play->model->start = log_start_offset(play->log);
    model_follow(play);
    play->model->flushed = log_flushed_offset(play->log);
    check_range(play, play->model->start, play->model->end, 1 + below(play, 20000));
    check_producers(play);
    play->model->torn = INT64_MAX;
    play->known = (struct log_state){.start_offset = play->model->start,
                                     .end_offset = play->has_known ? play->known.end_offset : 0,
                                     .active_base = play->known.active_base,
                                     .active_size = play->known.active_size};
}

static void new_files(struct play *play)
{
    char dir[96];
    play->life++;
    snprintf(dir, sizeof dir, "%s/%d", play->root, play->life);
    int result = mkdir(dir, 0755);
    CHECK(play, result == 0, "mkdir");
}

static void use_files(struct play *play)
{
    char dir[96];
    snprintf(dir, sizeof dir, "%s/%d", play->root, play->life);
    fault_files_init(play->files, dir, &play->random);
    fault_files_adopt(play->files);
}

static void remove_life(const struct play *play, int life)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/%d", play->root, life);
    int result = system(command);
    (void)result;
}

/* Marks the batches that a hole may have hit. */
static void doubt_unflushed(struct play *play)
{
    struct model *model = play->model;
    for (int i = 0; i < model->count; i++) {
        if (model->batches[i].last_offset >= model->flushed) {
            doubt(model, &model->batches[i]);
        }
    }
}

static void crash(struct play *play, bool clean)
{
    static const enum fault_crash kinds[] = {FAULT_CRASH_PROCESS, FAULT_CRASH_LOSE,
                                             FAULT_CRASH_TEAR,    FAULT_CRASH_TEAR,
                                             FAULT_CRASH_TEAR,    FAULT_CRASH_HOLES};
    enum fault_crash how = clean ? FAULT_CRASH_LOSE : kinds[below(play, 6)];
    if (how == FAULT_CRASH_HOLES) {
        doubt_unflushed(play);
    }
    play->model->torn = how == FAULT_CRASH_TEAR ? play->model->flushed : INT64_MAX;
    log_unref(play->log);
    play->log = NULL;
    char dir[96];
    new_files(play);
    snprintf(dir, sizeof dir, "%s/%d", play->root, play->life);
    fault_files_crash(play->files, how, dir);
    fault_files_deinit(play->files);
    use_files(play);
    remove_life(play, play->life - 1);
}

/* Which of the model's batches holds a byte of a .log file, by reading it: -1 none. */
static int batch_at(struct play *play, const char *path, int64_t position)
{
    struct model *model = play->model;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t head[12];
    int64_t at = 0;
    int found = -1;
    while (found < 0 && pread(fd, head, sizeof head, at) == (ssize_t)sizeof head) {
        int64_t size = (int64_t)load_be32(head + 8) + BATCH_LENGTH_OVERHEAD;
        if (position < at + size) {
            struct model_batch *batch = model_find(model, (int64_t)load_be64(head));
            found = batch == NULL ? -1 : (int)(batch - model->batches);
            break;
        }
        at += size;
    }
    close(fd);
    return found;
}

static void flip_bit(const char *path, int64_t position, int bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t got = pread(fd, &byte, 1, position);
    assert(got == 1);
    byte = (uint8_t)(byte ^ (1 << bit));
    got = pwrite(fd, &byte, 1, position);
    assert(got == 1);
    close(fd);
}

/* Flips a bit of a file that lies there; a .log file only when all before it is well known. */
static void flip(struct play *play)
{
    if (play->files->name_count == 0) {
        return;
    }
    int at = (int)below(play, (uint64_t)play->files->name_count);
    const char *name = play->files->names[at].name;
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", play->files->dir, name);
    if (stat(path, &status) != 0 || status.st_size == 0) {
        return;
    }
    int64_t position = (int64_t)below(play, (uint64_t)status.st_size);
    if (strstr(name, ".damage") != NULL) {
        return; /* then the damage is found anew by whoever reads, as on any old segment */
    }
    if (strcmp(name + SEGMENT_NAME_DIGITS, ".log") == 0) {
        int hit = batch_at(play, path, position);
        if (hit < 0) {
            return;
        }
        struct model_batch *batch = &play->model->batches[hit];
        batch->damaged = true;
        batch->flipped = true;
        /* Sequences behind a lost batch are told by nobody; what was read from a header that was
         * flipped is not to be relied on. */
        for (int i = 0; i < PRODUCERS; i++) {
            play->model->doubtful[i] = true;
        }
    } else if (strstr(name, ".snapshot") != NULL && play->model->start > 0) {
        for (int i = 0; i < PRODUCERS; i++) {
            play->model->doubtful[i] = true; /* it may be all that is left of a producer */
        }
    }
    play->flipped = true;
    LOG_DEBUG("faults", "flip", "file=%s position=%lld", name, (long long)position);
    flip_bit(path, position, (int)below(play, 8));
}

static bool try_close(struct play *play)
{
    struct log_state state;
    set_faults(play, below(play, 4) == 0);
    enum err err = log_close(play->log, &state, &play->reason);
    note_flushed(play);
    play->known = state;
    play->has_known = true;
    return err == ERR_NONE;
}

static void play_seed(struct play *play)
{
    use_files(play);
    open_log(play);
    for (int life = 0; life < LIVES; life++) {
        set_faults(play, below(play, 3) != 0);
        uint64_t steps = below(play, STEPS);
        for (uint64_t i = 0; i < steps; i++) {
            step(play);
        }
        bool clean = below(play, 4) == 0 && try_close(play);
        set_faults(play, false);
        crash(play, clean);
        play->flipped = false;
        if (below(play, 4) == 0) {
            flip(play);
        } else if (below(play, 4) == 0) {
            stumble(play);
        }
        open_log(play);
    }
    log_unref(play->log);
    fault_files_deinit(play->files);
    remove_life(play, play->life);
}

static void run_seed(uint64_t seed)
{
    struct play play = {.seed = seed, .random = {.state = seed}, .now_ms = 1700000000000};
    play.files = mem_new(struct fault_files);
    play.model = mem_new(struct model);
    snprintf(play.root, sizeof play.root, "%s/tidings-faults-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    char *made = mkdtemp(play.root);
    CHECK(&play, made != NULL, "mkdtemp");
    play.clock = (struct clock){.context = &play, .wall_ms = clock_now, .mono_ms = clock_now};
    log_config_init(&play.config);
    play.config.segment_bytes = 1500 + (int64_t)below(&play, 12000);
    play.config.index_interval_bytes = 100 + (int64_t)below(&play, 1500);
    play.config.segment_index_bytes = below(&play, 4) == 0 ? 40 : 10000;
    play.config.retention_ms = -1;
    play.env = (struct log_env){.clock = &play.clock};
    play.life = -1;
    new_files(&play);
    play_seed(&play);
    rmdir(play.root);
    model_cut(play.model, 0);
    free(play.model);
    free(play.files);
}

/* An assertion inside the log aborts: the seed must still be told. */
static volatile sig_atomic_t running_seed;

static void on_abort(int number)
{
    (void)number;
    fprintf(stderr, "FAULT_SEED=%lld\n", (long long)running_seed);
}

int main(void)
{
    const char *one = getenv("FAULT_SEED");
    const char *many = getenv("FAULT_SEEDS");
    logger_set_level(getenv("FAULT_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR + 1);
    signal(SIGABRT, on_abort);
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return 0;
    }
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : 300;
    for (uint64_t seed = 1; seed <= count; seed++) {
        running_seed = (sig_atomic_t)seed;
        run_seed(seed);
    }
    printf("%llu seeds held\n", (unsigned long long)count);
    return 0;
}
