#include "compact_play.h"
#include "txn_play.h"

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"

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
 * rolls, reads, deletions, compactions of half of the logs, failing calls, crashes that keep any
 * part of what was not synced, and flipped bits; after each opening all is compared with the model.
 * FAULT_SEED=n replays one seed, FAULT_SEEDS=n plays n of them, from FAULT_FIRST=n on, and
 * FAULT_VERBOSE=1 shows the log's lines.
 */
/* ---- crash, damage, opening ---- */

struct expected_producer {
    struct play *play;
    bool seen[PRODUCERS];
    int16_t epoch[PRODUCERS];
};

/* Whether nobody can say what the log knows of it: damage hit its newest batch, its open
 * transaction began in what is deleted, or a compacted log deleted its newest batch, or took its
 * record out of a marker. The last checkpoint's place may be one that compaction moved; what an
 * opening then reads again begins before the snapshots that are kept. */
static bool is_doubtful(const struct play *play, int producer)
{
    const struct model *model = play->model;
    struct model_producer known = model_producer(model, producer);
    const struct model_batch *newest = known.newest;
    if (model->doubtful[producer] || (known.txn_first >= 0 && known.txn_first < model->start)) {
        return true;
    }
    bool emptied = newest != NULL && newest->records[0].key < 0 && newest->records[0].gone;
    return newest != NULL && (newest->damaged || (play->config.compact &&
                                                  (newest->last_offset < model->start || emptied)));
}

static void check_last(struct play *play, int producer, const struct producer_entry *entry,
                       const struct model_batch *last)
{
    if (last == NULL) {
        CHECK(play, entry->batch_count == 0, "producer %d has batches of an older epoch", producer);
        return;
    }
    const struct producer_batch *newest = &entry->batches[entry->batch_count - 1];
    CHECK(play,
          entry->batch_count > 0 && newest->last_offset == last->last_offset &&
              newest->last_sequence == last->last_sequence,
          "producer %d ends at offset %lld sequence %d, not %lld, %d", producer,
          (long long)newest->last_offset, newest->last_sequence, (long long)last->last_offset,
          last->last_sequence);
}

static void check_producer(void *context, const struct producer_entry *entry)
{
    struct expected_producer *expected = context;
    struct play *play = expected->play;
    int producer = (int)entry->producer_id - 100;
    CHECK(play, producer >= 0 && producer < PRODUCERS, "unknown producer id");
    expected->seen[producer] = true;
    expected->epoch[producer] = entry->epoch;
    struct model_producer wanted = model_producer(play->model, producer);
    if (is_doubtful(play, producer)) {
        return;
    }
    CHECK(play, wanted.known, "producer %d is on record without a batch", producer);
    CHECK(play, entry->epoch == wanted.epoch, "producer %d has epoch %d, not %d", producer,
          entry->epoch, wanted.epoch);
    check_last(play, producer, entry, wanted.last);
    CHECK(play, entry->txn_first_offset == wanted.txn_first || model_txns_doubtful(play->model),
          "producer %d has a transaction since %lld, not %lld", producer,
          (long long)entry->txn_first_offset, (long long)wanted.txn_first);
}

/* The newest batch of a producer, sent again, is a duplicate with the offsets of the first time. */
static void check_duplicate(struct play *play, int producer)
{
    const struct model_batch *last = model_producer(play->model, producer).last;
    struct batch batch;
    if (last == NULL || is_doubtful(play, producer)) {
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

/* Nobody can know what the log has of this producer: it goes on with a new epoch, and a marker ends
 * what may be open. */
static void begin_anew(struct play *play, int producer, int16_t epoch)
{
    struct model *model = play->model;
    int16_t newest = epoch > model->epoch[producer] ? epoch : model->epoch[producer];
    if (newest == INT16_MAX) {
        newest--; /* a flipped bit: it will be fenced */
    }
    enum err err = play_marker(play, producer, (int16_t)(newest + 1), false);
    CHECK(play, err == ERR_NONE, "a marker after damage: %s", play->reason.text);
}

static void check_producers(struct play *play)
{
    struct model *model = play->model;
    struct expected_producer expected = {.play = play};
    log_each_producer(play->log, check_producer, &expected);
    for (int i = 0; i < PRODUCERS; i++) {
        struct model_producer wanted = model_producer(model, i);
        CHECK(play, is_doubtful(play, i) || expected.seen[i] || !wanted.known,
              "producer %d was forgotten", i);
        check_duplicate(play, i);
        /* The client goes on behind what survived, or anew when nobody can know. */
        if (is_doubtful(play, i) || (wanted.known && model_txns_doubtful(model))) {
            begin_anew(play, i, expected.epoch[i]);
        } else {
            model->epoch[i] = wanted.known ? wanted.epoch : model->epoch[i];
            model->next_sequence[i] =
                wanted.last == NULL ? 0 : producer_sequence_add(wanted.last->last_sequence, 1);
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
    play_set_faults(play, true);
    if (play_below(play, 2) == 0) {
        play->files->left = (long)play_below(play, 20);
    }
    enum err err = log_open(dir, &play->config, &play->env, play->has_known ? &play->known : NULL,
                            &log, NULL, &play->reason);
    play_set_faults(play, false);
    if (err == ERR_NONE) {
        log_unref(log);
    }
    new_files(play);
    snprintf(new_dir, sizeof new_dir, "%s/%d", play->root, play->life);
    fault_files_crash(play->files, (enum fault_crash)play_below(play, FAULT_CRASH_HOLES), new_dir);
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
    err = log_load(play->log, &play->reason);
    CHECK(play, err == ERR_NONE, "load: %s", play->reason.text);
    model_follow(play);
    play->model->flushed = log_flushed_offset(play->log);
    play->model->decided = play->model->end;
    if (play->config.compact) {
        play_check_compacted(play);
    }
    play_check_unstable(play);
    play_check_aborted(play, play->model->start, play->model->end);
    play_step_aborted(play);
    play_check_range(play, play->model->start, play->model->end, 1 + play_below(play, 20000));
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
            model_doubt(model, &model->batches[i]);
        }
    }
}

static void crash(struct play *play, bool clean)
{
    static const enum fault_crash kinds[] = {
        FAULT_CRASH_PROCESS, FAULT_CRASH_LOSE,  FAULT_CRASH_TEAR,   FAULT_CRASH_TEAR,
        FAULT_CRASH_TEAR,    FAULT_CRASH_HOLES, FAULT_CRASH_BLOCKS, FAULT_CRASH_BLOCKS};
    enum fault_crash how = clean ? FAULT_CRASH_LOSE : kinds[play_below(play, 8)];
    if (play->files->left == 0 && play_below(play, 2) == 0) {
        how = FAULT_CRASH_NAMES;
    }
    if (how == FAULT_CRASH_HOLES && play->config.compact) {
        how = FAULT_CRASH_LOSE; /* the model of compaction knows no damage */
    }
    if (how ==
        FAULT_CRASH_HOLES) { /* behind holes of whole blocks no doubt is left: they are cut */
        doubt_unflushed(play);
    }
    bool bursts = how == FAULT_CRASH_BLOCKS && !play->log->closed && play->files->left != 0;
    for (uint64_t i = bursts ? play_below(play, BURST) : 0; i > 0; i--) {
        play_append(play);
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

/* Which of the model's batches holds a byte of a .log file, by reading it: -1 none. *inside: where
 * in the batch. */
static int batch_at(struct play *play, const char *path, int64_t position, int64_t *inside)
{
    struct model *model = play->model;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t head[12];
    int64_t at = 0;
    int found = -1;
    while (found < 0 && pread(fd, head, sizeof head, at) == (ssize_t)sizeof head) {
        struct model_batch *batch = model_find(model, (int64_t)load_be64(head));
        int64_t size = (int64_t)load_be32(head + 8) + BATCH_LENGTH_OVERHEAD;
        if (batch == NULL || (int64_t)batch->size != size) {
            at++; /* in a hole */
            continue;
        }
        if (position < at + size) {
            found = position < at ? -1 : (int)(batch - model->batches);
            *inside = position - at;
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

/* Whether a start will put another segment in the place of one or some. */
static bool has_swap(const struct play *play)
{
    for (int i = 0; i < play->files->name_count; i++) {
        if (strstr(play->files->names[i].name, ".swap") != NULL) {
            return true;
        }
    }
    return false;
}

/* Flips a bit of a file that lies there; a .log file only when all before it is well known. */
static void flip(struct play *play)
{
    if (play->files->name_count == 0) {
        return;
    }
    int at = (int)play_below(play, (uint64_t)play->files->name_count);
    const char *name = play->files->names[at].name;
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", play->files->dir, name);
    if (stat(path, &status) != 0 || status.st_size == 0) {
        return;
    }
    int64_t position = (int64_t)play_below(play, (uint64_t)status.st_size);
    if (strstr(name, ".damage") != NULL) {
        return; /* then the damage is found anew by whoever reads, as on any old segment */
    }
    if (strstr(name, ".cleaned") != NULL || has_swap(play)) {
        return; /* what is flipped may be gone a moment later, or was never read as a whole */
    }
    if (strcmp(name + SEGMENT_NAME_DIGITS, ".log") == 0) {
        int64_t inside;
        int hit = batch_at(play, path, position, &inside);
        /* The CRC covers neither the base offset, which behind a gap of compaction may be any, nor
         * the leader epoch, which nobody looks at. */
        bool covered = (inside >= 8 && inside < 12) || inside >= 16;
        if (hit < 0 || (play->config.compact && !covered)) {
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
    LOG_DEBUG("faults", "flip", "file=%s position=%lld size=%lld", name, (long long)position,
              (long long)status.st_size);
    flip_bit(path, position, (int)play_below(play, 8));
}

static bool try_close(struct play *play)
{
    struct log_state state;
    play_set_faults(play, play_below(play, 4) == 0);
    enum err err = log_close(play->log, &state, &play->reason);
    play_note_flushed(play);
    play->known = state;
    play->has_known = true;
    return err == ERR_NONE;
}

static void play_seed(struct play *play)
{
    use_files(play);
    open_log(play);
    for (int life = 0; life < LIVES; life++) {
        play_set_faults(play, play_below(play, 3) != 0);
        uint64_t steps = play_below(play, STEPS);
        for (uint64_t i = 0; i < steps && play->files->left != 0; i++) {
            play_step(play);
        }
        bool clean = play->files->left != 0 && play_below(play, 4) == 0 && try_close(play);
        play_set_faults(play, false);
        crash(play, clean);
        play->flipped = false;
        if (play_below(play, 4) == 0) {
            flip(play);
        } else if (play_below(play, 4) == 0) {
            stumble(play);
        }
        open_log(play);
    }
    log_unref(play->log);
    fault_files_deinit(play->files);
    remove_life(play, play->life);
}

static int64_t clock_now(void *context)
{
    return ((struct play *)context)->now_ms;
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
    play.config.segment_bytes =
        1500 + (int64_t)play_below(&play, play_below(&play, 3) == 0 ? 60000 : 12000);
    play.config.index_interval_bytes = 100 + (int64_t)play_below(&play, 1500);
    play.config.segment_index_bytes = play_below(&play, 4) == 0 ? 40 : 10000;
    play.config.retention_ms = -1;
    if (play_below(&play, 2) == 0) {
        play_set_compact(&play);
    }
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
    const char *from = getenv("FAULT_FIRST");
    logger_set_level(getenv("FAULT_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR + 1);
    signal(SIGABRT, on_abort);
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return 0;
    }
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : 300;
    uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        running_seed = (sig_atomic_t)seed;
        run_seed(seed);
    }
    printf("%llu seeds held\n", (unsigned long long)count);
    return 0;
}
