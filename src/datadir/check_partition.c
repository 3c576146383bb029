#include "base/mem.h"
#include "base/vec.h"
#include "datadir/check_internal.h"
#include "log/segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE_FILE_MAX_BYTES = 1 << 30,
    INSIDE_MAX_BYTES = BATCH_DECOMPRESSED_MAX_BYTES,
};

/* A finding that waits for the next good event. */
struct pending {
    struct check_finding finding;
    char *file;
    struct reason text;
};

/* One partition at work. */
struct part {
    struct check *check;
    const struct tree_partition *partition;
    const struct check_known *known;
    struct tree_files files;
    struct sequence_check *sequences;
    struct txn_check txns;
    int64_t next_offset; /* behind the last good batch, or what a damage covers; -1 at first */
    struct check_event before;
    VEC(struct pending) pending;
    /* The last good batch: its events are looked at only when something bad follows. */
    bool has_last;
    int64_t last_segment;
    int64_t last_position;
};

/* The segment that is being walked. */
struct piece {
    struct part *part;
    char *file; /* below the data directory */
    int64_t base_offset;
    bool is_last;
    struct walk walk;
    struct index_check offsets;
    struct index_check times;
};

static char *name_of(const struct part *part, const char *file)
{
    return mem_sprintf("topics/%s-%d/%s", part->partition->topic, (int)part->partition->partition,
                       file);
}

static void set_event(struct check_event *event, const struct record *record)
{
    size_t kept = record->key.size < CHECK_KEY_BYTES ? record->key.size : CHECK_KEY_BYTES;
    event->known = true;
    event->offset = record->offset;
    event->timestamp = record->timestamp;
    event->has_key = !slice_is_null(record->key);
    buf_clear(&event->key);
    buf_append(&event->key, record->key.data, kept);
}

/* The first or the last event of a loaded batch. */
static void take_event(const struct batch *batch, bool last, struct check_event *event)
{
    struct record_iterator iterator;
    struct record record;
    bool done = false;
    event->known = false;
    enum err err = record_iterator_init(&iterator, batch, INSIDE_MAX_BYTES, NULL);
    while (err == ERR_NONE && !done && (last || !event->known)) {
        err = record_iterator_next(&iterator, &record, &done, NULL);
        if (err == ERR_NONE && !done) {
            set_event(event, &record);
        }
    }
    record_iterator_deinit(&iterator);
}

/* Reads the last good batch again, for its last event. */
static void load_before(struct part *part)
{
    part->before.known = false;
    if (!part->has_last) {
        return;
    }
    int fd;
    int64_t size;
    const struct file_ops *files = part->check->files;
    char *path = segment_path(part->partition->dir, part->last_segment, ".log");
    if (file_open(files, path, O_RDONLY, &fd, NULL) == ERR_NONE) {
        struct scan scan;
        struct batch batch;
        struct buf bytes = {0};
        if (file_size(fd, &size, NULL) == ERR_NONE) {
            scan_init(&scan, files, fd, size);
            if (scan_header(&scan, part->last_position, &batch, NULL) == ERR_NONE &&
                scan_load(&scan, part->last_position, &batch, &bytes, &batch, NULL) == ERR_NONE) {
                take_event(&batch, true, &part->before);
            }
        }
        buf_deinit(&bytes);
        file_close(files, fd);
    }
    free(path);
}

/* All that waited, with the event behind it (or none). The event before is that of the first. */
static void tell_pending(struct part *part, const struct check_event *behind)
{
    for (size_t i = 0; i < part->pending.count; i++) {
        struct pending *pending = &part->pending.items[i];
        pending->finding.before = &part->before;
        pending->finding.behind = behind;
        pending->finding.text = pending->text.text;
        check_tell(part->check, &pending->finding);
        free(pending->file);
    }
    part->pending.count = 0;
}

static void push_pending(struct part *part, const char *file, struct check_finding finding,
                         const char *text)
{
    if (part->pending.count == 0) {
        load_before(part);
    }
    struct pending *pending = vec_add(&part->pending);
    pending->file = mem_strdup(file);
    pending->finding = finding;
    pending->finding.file = pending->file;
    reason_set(&pending->text, "%s", text);
}

/* Offsets that should be there and are not, without a damaged byte. Compaction leaves gaps between
 * batches, but none between files. */
static void note_missing(struct piece *piece, int64_t position, int64_t from, int64_t to,
                         bool between_files)
{
    struct part *part = piece->part;
    const struct log_state *state = part->known->state;
    bool deleted = to <= part->known->deleted_to || (state != NULL && to <= state->start_offset);
    if (from < 0 || from >= to || (part->known->compacted && (!between_files || deleted))) {
        return;
    }
    push_pending(part, piece->file,
                 (struct check_finding){.level = CHECK_DAMAGE,
                                        .kind = "missing-offsets",
                                        .position = position,
                                        .end = position,
                                        .first_offset = from,
                                        .last_offset = to - 1},
                 "offsets are missing between good batches");
    sequence_check_forget(part->sequences);
    part->txns.blind = true;
}

/* A log that begins behind where it is known to begin, or has no file at all. */
static void check_begin(struct part *part)
{
    const struct log_state *state = part->known->state;
    const struct tree_file *first = tree_first_segment(&part->files);
    if (state == NULL) {
        return;
    }
    int64_t from = state->start_offset > part->known->deleted_to ? state->start_offset
                                                                 : part->known->deleted_to;
    int64_t start = first != NULL ? first->offset : state->end_offset;
    if (start <= from) {
        return;
    }
    /* Retention writes no checkpoint before it deletes. */
    bool retention = first != NULL && !state->clean && !part->known->compacted;
    char *name =
        mem_sprintf("topics/%s-%d", part->partition->topic, (int)part->partition->partition);
    struct reason text;
    reason_set(&text, "offsets %lld-%lld are gone: %s", (long long)from, (long long)start - 1,
               first == NULL ? "the partition had events and has no segment"
               : retention   ? "the log begins behind where the checkpoint of before the crash has "
                               "it; retention came after that, or files are gone"
                             : "the log begins behind where it is known to begin");
    check_tell(part->check, &(struct check_finding){.level = retention ? CHECK_NOTE : CHECK_DAMAGE,
                                                    .kind = "missing-segments",
                                                    .file = name,
                                                    .position = -1,
                                                    .end = -1,
                                                    .first_offset = from,
                                                    .last_offset = start - 1,
                                                    .text = text.text});
    free(name);
}

/* Whether bytes at the log's end may be what a crash left half written. */
static bool is_torn_tail(const struct piece *piece, const struct walk_damage *damage)
{
    const struct log_state *state = piece->part->known->state;
    return piece->is_last && damage->at_end &&
           (state == NULL || damage->first_offset >= state->end_offset);
}

static void take_damage(struct piece *piece)
{
    struct part *part = piece->part;
    const struct walk_damage *damage = &piece->walk.damage;
    const struct log_state *state = part->known->state;
    int64_t next = damage->next_offset;
    if (next < 0 && state != NULL && state->end_offset > damage->first_offset) {
        next = state->end_offset;
    }
    struct check_finding finding = {
        .level = CHECK_DAMAGE,
        .kind = "damaged-batch",
        .position = damage->position,
        .end = damage->end,
        .first_offset = damage->first_offset,
        .last_offset = next < 0 ? -1 : next - 1,
    };
    const char *text = damage->why.text;
    if (is_torn_tail(piece, damage)) {
        finding.level = CHECK_NOTE;
        finding.kind = "torn-tail";
        text = "the last write did not end; the next start cuts it off, nobody was told that it "
               "was kept";
    }
    push_pending(part, piece->file, finding, text);
    index_check_damage(&piece->offsets, damage);
    index_check_damage(&piece->times, damage);
    sequence_check_forget(part->sequences);
    part->txns.blind = true;
    part->next_offset = next < 0 ? -1 : next;
}

/* NULL, or what is wrong with the records. */
static const char *look_inside(struct piece *piece, struct reason *why)
{
    const struct batch *batch = &piece->walk.batch;
    struct record_iterator iterator;
    struct record record;
    bool done = false;
    int64_t last = batch->base_offset - 1;
    why->text[0] = '\0';
    enum err err = record_iterator_init(&iterator, batch, INSIDE_MAX_BYTES, why);
    while (err == ERR_NONE && !done) {
        err = record_iterator_next(&iterator, &record, &done, why);
        if (err != ERR_NONE || done) {
            break;
        }
        if (record.offset <= last || record.offset > batch_last_offset(batch)) {
            err = reason_fail(why, ERR_CORRUPT, "offset %lld of a record is out of order",
                              (long long)record.offset);
        }
        last = record.offset;
        piece->part->check->totals->records++;
    }
    record_iterator_deinit(&iterator);
    if (err == ERR_TOO_LARGE) {
        return NULL; /* more than a broker would look into: not wrong */
    }
    return err == ERR_NONE ? NULL : why->text;
}

static void take_batch(struct piece *piece)
{
    struct part *part = piece->part;
    const struct walk *walk = &piece->walk;
    struct reason why;
    struct check_finding finding = {.level = CHECK_DAMAGE,
                                    .kind = "bad-records",
                                    .position = walk->position,
                                    .end = walk->next_position,
                                    .first_offset = walk->batch.base_offset,
                                    .last_offset = batch_last_offset(&walk->batch)};
    note_missing(piece, walk->position, part->next_offset, walk->batch.base_offset, false);
    if (part->pending.count > 0) {
        struct check_event behind = {.known = false};
        take_event(&walk->batch, false, &behind);
        tell_pending(part, behind.known ? &behind : NULL);
        buf_deinit(&behind.key);
    }
    const char *text = look_inside(piece, &why);
    if (text != NULL) {
        push_pending(part, piece->file, finding, text);
    }
    text = sequence_check_batch(part->sequences, &walk->batch, part->known->compacted,
                                &finding.level, &why);
    if (text != NULL) {
        finding.kind = "producer-sequence";
        push_pending(part, piece->file, finding, text);
    }
    txn_check_batch(&part->txns, &walk->batch);
    index_check_batch(&piece->offsets, walk->position, &walk->batch);
    index_check_batch(&piece->times, walk->position, &walk->batch);
    part->next_offset = walk->next_offset;
    part->has_last = true;
    part->last_segment = piece->base_offset;
    part->last_position = walk->position;
    part->check->totals->batches++;
}

/* A file that the start makes anew. remove: --repair takes it away. */
static void tell_disposable(struct part *part, const char *file, const char *kind, bool remove,
                            const char *text)
{
    struct check *check = part->check;
    struct reason whole;
    bool repaired = false;
    char *name = name_of(part, file);
    char *path = mem_sprintf("%s/%s", part->partition->dir, file);
    if (check->options->repair) {
        repaired = !remove || file_unlink(check->files, path, NULL) == ERR_NONE;
        check->distrust_clean = true;
    }
    check_tell_file(check, CHECK_DISPOSABLE, kind, name, repaired,
                    check_remedy(check, text, &whole));
    free(path);
    free(name);
}

static void conclude_index(struct piece *piece, struct index_check *index)
{
    index_check_finish(index);
    if (index->bad) {
        char name[64];
        snprintf(name, sizeof name, "%020lld%s", (long long)piece->base_offset,
                 index_suffix(index->kind));
        tell_disposable(piece->part, name, "bad-index", true, index->why.text);
    }
}

static enum err check_txn_index(struct piece *piece, struct reason *reason)
{
    struct part *part = piece->part;
    struct check *check = part->check;
    const struct log_state *state = part->known->state;
    struct txn_check_result result;
    enum err err = txn_check_segment(&part->txns, check->files, part->partition->dir,
                                     piece->base_offset, state == NULL ? 0 : state->end_offset,
                                     check->options->repair, &result, reason);
    if (err == ERR_NONE && result.bad) {
        char file[64];
        struct reason whole;
        snprintf(file, sizeof file, "%020lld%s", (long long)piece->base_offset,
                 index_suffix(INDEX_ABORTS));
        char *name = name_of(part, file);
        check->distrust_clean = check->distrust_clean || check->options->repair;
        check_tell_file(check, CHECK_DISPOSABLE, "bad-index", name, result.repaired,
                        check_remedy(check, result.why.text, &whole));
        free(name);
    }
    return err;
}

static enum err walk_piece(struct piece *piece, struct reason *reason)
{
    enum walk_item item = WALK_BATCH;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && item != WALK_END) {
        int64_t from = piece->walk.next_position;
        err = walk_next(&piece->walk, &item, reason);
        if (err == ERR_NONE && item == WALK_BATCH) {
            take_batch(piece);
        } else if (err == ERR_NONE && item == WALK_DAMAGE) {
            take_damage(piece);
        }
        check_progress(piece->part->check, piece->walk.next_position - from);
    }
    return err;
}

static enum err check_segment(struct part *part, size_t at, struct reason *reason)
{
    const struct tree_file *file = &part->files.items[at];
    const struct tree_file *next = tree_next_segment(&part->files, at);
    const struct file_ops *files = part->check->files;
    struct piece piece = {.part = part, .base_offset = file->offset, .is_last = next == NULL};
    char *path = mem_sprintf("%s/%s", part->partition->dir, file->name);
    int fd;
    int64_t size;
    enum err err = file_open(files, path, O_RDONLY, &fd, reason);
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    err = file_size(fd, &size, reason);
    piece.file = name_of(part, file->name);
    walk_init(&piece.walk, files, fd, size, file->offset, next != NULL ? next->offset : INT64_MAX,
              true);
    if (err == ERR_NONE) {
        err = index_check_init(&piece.offsets, files, part->partition->dir, file->offset,
                               INDEX_OFFSETS, reason);
    }
    if (err == ERR_NONE) {
        err = index_check_init(&piece.times, files, part->partition->dir, file->offset, INDEX_TIMES,
                               reason);
    }
    if (err == ERR_NONE) {
        note_missing(&piece, 0, part->next_offset, file->offset, true);
        part->next_offset = file->offset;
        err = walk_piece(&piece, reason);
    }
    if (err == ERR_NONE) {
        conclude_index(&piece, &piece.offsets);
        conclude_index(&piece, &piece.times);
        if (piece.is_last && part->known->state != NULL) {
            note_missing(&piece, size, part->next_offset, part->known->state->end_offset, true);
        }
        part->check->totals->segments++;
        err = check_txn_index(&piece, reason);
    }
    index_check_deinit(&piece.offsets);
    index_check_deinit(&piece.times);
    walk_deinit(&piece.walk);
    free(piece.file);
    file_close(files, fd);
    return err;
}

static void check_snapshot(struct part *part, const struct tree_file *file, struct slice bytes)
{
    struct producer_state state = {0};
    struct reason why;
    if (producer_snapshot_decode(&state, bytes, 0, &why) != ERR_NONE) {
        tell_disposable(part, file->name, "bad-snapshot", false, why.text);
    }
    producer_state_deinit(&state);
}

static void tell_side_file(struct part *part, const struct tree_file *file, const char *kind,
                           const char *text)
{
    char *name = name_of(part, file->name);
    check_tell_file(part->check, CHECK_NOTE, kind, name, false, text);
    free(name);
}

static enum err check_side_file(struct part *part, const struct tree_file *file,
                                struct reason *reason)
{
    if (file->kind == TREE_CUT) {
        tell_side_file(part, file, "cut-file",
                       "bytes that a start cut off and set aside; 'tidings dump' shows them");
        return ERR_NONE;
    }
    if (file->kind != TREE_SNAPSHOT && file->kind != TREE_DAMAGE) {
        return ERR_NONE;
    }
    char *data;
    size_t size;
    char *path = mem_sprintf("%s/%s", part->partition->dir, file->name);
    enum err err = file_load(part->check->files, path, SIDE_FILE_MAX_BYTES, &data, &size, reason);
    free(path);
    if (err != ERR_NONE) {
        return err;
    }
    struct slice bytes = slice_of(data, size);
    if (file->kind == TREE_SNAPSHOT) {
        check_snapshot(part, file, bytes);
    } else if (!damage_file_is_good(bytes)) {
        tell_disposable(part, file->name, "bad-damage-file", true,
                        "its checksum does not fit what it says");
    } else if (size > 0) {
        tell_side_file(part, file, "damage-file", "a start noted damaged bytes of this segment");
    }
    free(data);
    return ERR_NONE;
}

enum err check_partition(struct check *check, const struct tree_partition *partition,
                         const struct check_known *known, struct reason *reason)
{
    struct part part = {.check = check, .partition = partition, .known = known, .next_offset = -1};
    part.sequences = sequence_check_new();
    part.txns.blind = known->compacted;
    enum err err = tree_list_files(partition->dir, &part.files, reason);
    const struct tree_file *first = tree_first_segment(&part.files);
    part.txns.first_base = first != NULL ? first->offset : 0;
    if (err == ERR_NONE) {
        check_begin(&part);
    }
    for (size_t i = 0; i < part.files.count && err == ERR_NONE; i++) {
        err = part.files.items[i].kind == TREE_SEGMENT
                  ? check_segment(&part, i, reason)
                  : check_side_file(&part, &part.files.items[i], reason);
    }
    if (err == ERR_NONE) {
        tell_pending(&part, NULL);
        check->totals->partitions++;
    }
    for (size_t i = 0; i < part.pending.count; i++) {
        free(part.pending.items[i].file);
    }
    vec_deinit(&part.pending);
    buf_deinit(&part.before.key);
    sequence_check_free(part.sequences);
    txn_check_deinit(&part.txns);
    tree_files_deinit(&part.files);
    return err;
}
