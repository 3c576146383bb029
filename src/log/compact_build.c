#include "log/compact_internal.h"

#include "base/mem.h"

/* The map of the newest offset of each key. */

/* Whether all its records can be read. One that cannot stays whole, and its keys do not count. */
static bool is_open(struct record_iterator *iterator)
{
    struct record record;
    bool done = false;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && !done) {
        err = record_iterator_next(iterator, &record, &done, NULL);
    }
    iterator->position = 0;
    iterator->index = 0;
    return err == ERR_NONE;
}

/* Puts the batch's keys into the map; *full: it had no room at pass->map_end. */
static void map_batch(struct compact_pass *pass, const struct batch *batch, int64_t from,
                      bool *full)
{
    struct record_iterator iterator;
    struct record record;
    bool done =
        record_iterator_init(&iterator, batch, BATCH_DECOMPRESSED_MAX_BYTES, NULL) != ERR_NONE ||
        !is_open(&iterator);
    while (!done && !*full && record_iterator_next(&iterator, &record, &done, NULL) == ERR_NONE &&
           !done) {
        if (record.offset >= from && !slice_is_null(record.key) &&
            !compact_map_put(&pass->map, record.key, record.offset)) {
            pass->map_end = record.offset;
            *full = true;
        }
    }
    record_iterator_deinit(&iterator);
}

static enum err map_source(struct compact_pass *pass, struct compact_txns *txns,
                           const struct compact_source *source, int64_t from, bool *full,
                           struct reason *reason)
{
    struct compact_reader reader = {.held = false};
    enum err err =
        compact_txns_segment(txns, pass->log, source->segment->base_offset, source->end, reason);
    if (err == ERR_NONE) {
        err = compact_reader_init(&reader, pass->limits, source->segment, source->size, source->end,
                                  0, reason);
    }
    while (err == ERR_NONE && !*full) {
        struct batch batch;
        struct aborted_txn aborted;
        bool done;
        err = compact_reader_next(&reader, &batch, &done, reason);
        if (err == ERR_CORRUPT) {
            err = compact_note_damage(pass, &reader, reason);
        }
        if (err == ERR_NONE && done) {
            err = compact_check_reach(pass, &reader, reason);
        }
        if (err != ERR_NONE || done) {
            break;
        }
        if (batch_is_control(&batch)) {
            (void)compact_txns_control(txns, &batch, &aborted);
        } else if (!compact_txns_data(txns, &batch) && batch_last_offset(&batch) >= from) {
            map_batch(pass, &batch, from, full);
        }
    }
    compact_reader_deinit(&reader);
    return err;
}

enum err compact_build_map(struct compact_pass *pass, const struct compact_source *sources,
                           size_t count, int64_t from, int64_t to, struct reason *reason)
{
    struct compact_txns txns = {.table = NULL};
    enum err err = ERR_NONE;
    bool full = false;
    pass->map_end = to;
    for (size_t i = 0; i < count && err == ERR_NONE && !full; i++) {
        if (sources[i].end > from && sources[i].segment->base_offset < to && !sources[i].damaged) {
            err = map_source(pass, &txns, &sources[i], from, &full, reason);
        }
    }
    compact_txns_deinit(&txns);
    return err;
}
