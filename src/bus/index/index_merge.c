#include "bus/index/index_merge.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct source {
    struct index_run_cursor cursor;
    uint64_t *shifts; /* of its places' spans */
    bool has;         /* next is set: a shifted entry */
    struct index_entry next;
    const struct index_span *span; /* of the entry before: often the next one's too */
};

struct index_merge {
    struct source sources[INDEX_MERGE_RUNS];
    size_t count;
    struct index_run_writer *writer;
};

static void free_merge(struct index_merge *merge)
{
    for (size_t i = 0; i < merge->count; i++) {
        free(merge->sources[i].cursor.entries);
        free(merge->sources[i].cursor.bytes);
        free(merge->sources[i].shifts);
    }
    free(merge);
}

void index_merge_abandon(struct index_merge *merge)
{
    if (merge != NULL) {
        index_run_write_abandon(merge->writer);
        free_merge(merge);
    }
}

/* Takes the source's next entry whose event is not gone. */
static enum err advance(struct source *source, struct reason *reason)
{
    const struct index_places *places = &source->cursor.run->places;
    enum err err = ERR_NONE;
    uint64_t shift = INDEX_GONE;
    do {
        err = index_run_next(&source->cursor, &source->next, &source->has, reason);
        if (err != ERR_NONE || !source->has) {
            return err;
        }
        uint32_t number = source->next.number;
        if (number >= index_places_count(places)) {
            return reason_fail(reason, ERR_CORRUPT, "%s: an entry is of no event",
                               source->cursor.run->path);
        }
        if (source->span == NULL || number - source->span->number >= source->span->count) {
            source->span = index_places_span(places, number);
        }
        shift = source->shifts[source->span - places->spans.items];
    } while (shift == INDEX_GONE);
    source->next.number += (uint32_t)shift;
    return ERR_NONE;
}

enum err index_merge_begin(const struct file_ops *files, const char *path,
                           struct index_run *const *runs, size_t count, index_is_gone *is_gone,
                           void *context, struct index_merge **out, struct reason *reason)
{
    assert(count > 0 && count <= INDEX_MERGE_RUNS);
    struct index_merge *merge = mem_new(struct index_merge);
    const struct index_places *from[INDEX_MERGE_RUNS];
    uint64_t *shifts[INDEX_MERGE_RUNS];
    struct index_places places = {0};
    for (size_t i = 0; i < count; i++) {
        from[i] = &runs[i]->places;
    }
    index_places_join(&places, from, count, is_gone, context, shifts);
    merge->count = count;
    for (size_t i = 0; i < count; i++) {
        merge->sources[i].cursor.run = runs[i];
        merge->sources[i].shifts = shifts[i];
    }
    enum err err = index_run_write_begin(files, path, &places, &merge->writer, reason);
    index_places_deinit(&places);
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        err = advance(&merge->sources[i], reason);
    }
    if (err != ERR_NONE) {
        index_merge_abandon(merge);
        return err;
    }
    *out = merge;
    return ERR_NONE;
}

static struct source *least(struct index_merge *merge)
{
    struct source *least = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        struct source *source = &merge->sources[i];
        if (source->has && (least == NULL || index_entry_is_before(source->next, least->next))) {
            least = source;
        }
    }
    return least;
}

static enum err write_some(struct index_merge *merge, size_t entries, bool *done,
                           struct reason *reason)
{
    enum err err = ERR_NONE;
    for (; err == ERR_NONE && entries > 0; entries--) {
        struct source *source = least(merge);
        if (source == NULL) {
            *done = true;
            return ERR_NONE;
        }
        err = index_run_write_add(merge->writer, source->next, reason);
        if (err == ERR_NONE) {
            err = advance(source, reason);
        }
    }
    return err;
}

enum err index_merge_step(struct index_merge *merge, size_t entries, bool *done,
                          struct reason *reason)
{
    *done = false;
    enum err err = write_some(merge, entries, done, reason);
    if (err != ERR_NONE) {
        index_merge_abandon(merge);
        *done = false;
    } else if (*done) {
        err = index_run_write_end(merge->writer, reason);
        free_merge(merge);
        *done = err == ERR_NONE;
    }
    return err;
}
