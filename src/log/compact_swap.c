#include "base/logger.h"
#include "base/mem.h"
#include "log/compact_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Swapping a compacted segment in, so that a crash at any line loses nothing:
 *
 *   1. "<base>.log.cleaned" is written and synced, and "<base>.txnindex.cleaned" where there is or
 *      was such an index; and their names are.
 *   2. It is renamed to "<base>.<end>.swap", and that is synced: it is decided now. `end` is the
 *      offset up to which the new segment takes the place of old ones.
 *   3. Readers are given the new segment. Who has a span of an old one holds its descriptor.
 *   4. The new .txnindex gets its name, over the old one. The other index files of the old segments
 *      are deleted, and their .log files but the first one's, and that is synced.
 *   5. The .swap file is renamed to "<base>.log", over the first old one, and that is synced.
 *   6. Index files are written.
 *
 * A start that finds a .swap file goes on from 4; what ends in .cleaned alone is deleted. The log
 * is never without an .log or .swap file for an offset, and no reader or start sees both.
 */
static const char swap_suffix[] = ".swap";

char *compact_cleaned_path(const struct log *log, int64_t base)
{
    return segment_path(log->dir, base, ".log.cleaned");
}

static char *swap_path(const struct log *log, int64_t base, int64_t end)
{
    return mem_sprintf("%s/%020lld.%020lld%s", log->dir, (long long)base, (long long)end,
                       swap_suffix);
}

/* Step 1, the rest of it: unlike the other indexes, whose rows are checked when they are used, this
 * one is believed. */
static enum err write_aborts(struct log *log, const struct segment *fresh, struct reason *reason)
{
    enum err err = ERR_NONE;
    char *live = segment_path(log->dir, fresh->base_offset, ".txnindex");
    if (fresh->aborts.tail.size > 0 || file_exists(live)) {
        char *cleaned = segment_path(log->dir, fresh->base_offset, ".txnindex.cleaned");
        err = index_write(log->env.files, cleaned, INDEX_ABORTS, 0, buf_slice(&fresh->aborts.tail),
                          reason);
        free(cleaned);
    }
    free(live);
    return err;
}

/* Steps 1 (its end) and 2. */
static enum err decide(struct log *log, int64_t base, int64_t end, struct reason *reason)
{
    const struct file_ops *files = log->env.files;
    char *cleaned = compact_cleaned_path(log, base);
    char *swap = swap_path(log, base, end);
    enum err err = file_sync_dir(files, log->dir, reason);
    if (err == ERR_NONE) {
        err = file_rename(files, cleaned, swap, reason);
    }
    if (err == ERR_NONE) {
        err = file_sync_dir(files, log->dir, reason);
        if (err != ERR_NONE && file_rename(files, swap, cleaned, NULL) != ERR_NONE) {
            LOG_ERROR("log", "a compacted segment is neither in nor out until the next start",
                      "file=\"%s\" reason=\"%s\"", swap, reason != NULL ? reason->text : "");
            log->compact_blocked = true;
        }
    }
    free(cleaned);
    free(swap);
    return err;
}

/* Step 4, of one old segment, the group's first or a later one: a missing file is no error, as this
 * may be done again. */
static enum err drop_files(struct log *log, int64_t old_base, bool first, struct reason *reason)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".damage", ".txnindex", ".log"};
    enum { OF_FIRST = 3 };
    enum err err = ERR_NONE;
    size_t count = first ? (size_t)OF_FIRST : sizeof suffixes / sizeof suffixes[0];
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        char *path = segment_path(log->dir, old_base, suffixes[i]);
        err = file_unlink(log->env.files, path, reason);
        free(path);
    }
    return err;
}

static enum err place_aborts(struct log *log, int64_t base, struct reason *reason)
{
    char *cleaned = segment_path(log->dir, base, ".txnindex.cleaned");
    char *live = segment_path(log->dir, base, ".txnindex");
    enum err err =
        file_exists(cleaned) ? file_rename(log->env.files, cleaned, live, reason) : ERR_NONE;
    free(cleaned);
    free(live);
    return err;
}

/* Steps 4 and 5. bases: of the old segments. */
static enum err finish_files(struct log *log, const int64_t *bases, size_t count, int64_t base,
                             int64_t end, struct reason *reason)
{
    enum err err = place_aborts(log, base, reason);
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        err = drop_files(log, bases[i], bases[i] == base, reason);
    }
    if (err == ERR_NONE) {
        err = file_sync_dir(log->env.files, log->dir, reason);
    }
    if (err == ERR_NONE) {
        char *swap = swap_path(log, base, end);
        char *live = segment_path(log->dir, base, ".log");
        err = file_rename(log->env.files, swap, live, reason);
        free(swap);
        free(live);
    }
    return err == ERR_NONE ? file_sync_dir(log->env.files, log->dir, reason) : err;
}

/* Where the sources stand in the list; false when they are not its own any more. segments_lock. */
static bool find_sources(const struct log *log, const struct compact_source *sources, size_t count,
                         size_t *first)
{
    *first = log_segment_number(log, sources[0].segment->base_offset);
    if (*first + count >= log->segments.count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct segment *segment = log->segments.items[*first + i];
        if (segment != sources[i].segment || segment->damages.count > 0) {
            return false;
        }
    }
    return true;
}

static void forget_positions(struct batch_position *positions, int count, int64_t base)
{
    for (int i = 0; positions != NULL && i < count; i++) {
        if (positions[i].segment_base == base) {
            positions[i].segment_base = -1;
        }
    }
}

/* Step 3. Takes over the reference to fresh. */
static void replace(struct log *log, struct segment *fresh, const struct compact_source *sources,
                    size_t count, size_t first)
{
    int64_t change = fresh->size_bytes;
    pthread_mutex_lock(&log->append_lock); /* an append looks at the list's end without the other */
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = 0; i < count; i++) {
        struct segment *old = sources[i].segment;
        change -= old->size_bytes;
        forget_positions(log->recent, LOG_RECENT_BATCHES, old->base_offset);
        forget_positions(log->hints, LOG_READ_HINTS, old->base_offset);
        atomic_store(&old->replaced, true);
    }
    log->segments.items[first] = fresh;
    memmove(log->segments.items + first + 1, log->segments.items + first + count,
            (log->segments.count - first - count) * sizeof *log->segments.items);
    log->segments.count -= count - 1;
    pthread_mutex_unlock(&log->segments_lock);
    pthread_mutex_unlock(&log->append_lock);
    atomic_fetch_add(&log->size_bytes, change);
    for (size_t i = 0; i < count; i++) {
        segment_unref(sources[i].segment); /* the list's; the cleaning has its own */
    }
}

/* Steps 4 to 6. What fails is left to the next start: fresh is held then for good, as its path is
 * another one. upkeep_lock. */
static void finish(struct log *log, struct segment *fresh, const struct compact_source *sources,
                   size_t count, int64_t end)
{
    struct reason why;
    int64_t *bases = mem_new_array(int64_t, count);
    for (size_t i = 0; i < count; i++) {
        bases[i] = sources[i].segment->base_offset;
    }
    enum err err = finish_files(log, bases, count, fresh->base_offset, end, &why);
    free(bases);
    if (err != ERR_NONE) {
        log->compact_blocked = true;
        LOG_ERROR("log", "a compacted segment is put in its place at the next start",
                  "dir=\"%s\" segment=%lld reason=\"%s\"", log->dir, (long long)fresh->base_offset,
                  why.text);
        return;
    }
    segment_let_go(fresh); /* its path names it from now on; else it stays open */
    pthread_mutex_lock(&log->segments_lock);
    index_written(&fresh->aborts, fresh->aborts.tail.size);
    pthread_mutex_unlock(&log->segments_lock);
    if (log_write_indexes(log, fresh, &why) != ERR_NONE) {
        LOG_WARN("log", "an index could not be written; it will be tried again",
                 "dir=\"%s\" reason=\"%s\"", log->dir, why.text);
        pthread_mutex_lock(&log->segments_lock);
        fresh->index_bad = true;
        pthread_mutex_unlock(&log->segments_lock);
    }
}

/* upkeep_lock. */
static enum err swap_locked(struct log *log, struct segment *fresh,
                            const struct compact_source *sources, size_t count, int64_t end,
                            struct reason *reason)
{
    size_t first;
    enum err err = log_check_not_deleted(log, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (log->compact_blocked) { /* by an earlier group: its .swap file must not outlive another's */
        return reason_fail(reason, ERR_CLOSED, "%s is compacted again after a restart", log->dir);
    }
    pthread_mutex_lock(&log->segments_lock);
    bool found = find_sources(log, sources, count, &first);
    pthread_mutex_unlock(&log->segments_lock);
    if (!found) {
        return reason_fail(reason, ERR_AGAIN, "segments changed while they were compacted");
    }
    err = write_aborts(log, fresh, reason);
    if (err == ERR_NONE) {
        err = decide(log, fresh->base_offset, end, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    fresh->finished = true;
    replace(log, fresh, sources, count, first);
    finish(log, fresh, sources, count, end);
    return ERR_NONE;
}

enum err compact_swap(struct log *log, struct segment *fresh, const struct compact_source *sources,
                      size_t count, int64_t end, struct reason *reason)
{
    log_names_hold(log); /* a snapshot of the directory sees all of a swap or nothing */
    pthread_mutex_lock(&log->upkeep_lock);
    enum err err = swap_locked(log, fresh, sources, count, end, reason);
    pthread_mutex_unlock(&log->upkeep_lock);
    log_names_release(log);
    return err;
}

/* ---- opening ---- */

struct swap_name {
    int64_t base;
    int64_t end;
};

struct swap_names {
    struct offsets bases; /* of .log files */
    VEC(struct swap_name) swaps;
};

static enum err take_name(void *context, const char *name)
{
    struct swap_names *names = context;
    int64_t base;
    int64_t end;
    int used = 0;
    if (sscanf(name, "%20" SCNd64 ".%20" SCNd64 ".swap%n", &base, &end, &used) == 2 && used > 0 &&
        name[used] == '\0') {
        vec_push(&names->swaps, (struct swap_name){base, end});
    } else if (used = 0, sscanf(name, "%20" SCNd64 ".log%n", &base, &used) == 1 && used > 0 &&
                             name[used] == '\0') {
        vec_push(&names->bases, base);
    }
    return ERR_NONE;
}

enum err log_finish_swaps(struct log *log, struct reason *reason)
{
    struct swap_names names = {.bases = {.items = NULL}};
    enum err err = file_list_dir(log->dir, take_name, &names, reason);
    for (size_t i = 0; i < names.swaps.count && err == ERR_NONE; i++) {
        int64_t base = names.swaps.items[i].base;
        int64_t end = names.swaps.items[i].end;
        size_t count = 0;
        int64_t *old = mem_new_array(int64_t, names.bases.count + 1);
        old[count++] = base;
        for (size_t k = 0; k < names.bases.count; k++) {
            if (names.bases.items[k] > base && names.bases.items[k] < end) {
                old[count++] = names.bases.items[k];
            }
        }
        err = finish_files(log, old, count, base, end, reason);
        free(old);
        LOG_INFO("log", "a compacted segment was put in its place", "dir=\"%s\" segment=%lld",
                 log->dir, (long long)base);
    }
    vec_deinit(&names.bases);
    vec_deinit(&names.swaps);
    return err;
}
