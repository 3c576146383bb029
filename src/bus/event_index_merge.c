#include "bus/event_index_inside.h"

#include <stdlib.h>

/* Of which size a run is: 0 for what memory makes, one more for each merge on the way. */
static unsigned tier(const struct event_index *index, const struct index_run *run)
{
    unsigned tier = 0;
    uint64_t most = index->config.memory_entries;
    while (run->entries > most) {
        most *= INDEX_MERGE_RUNS;
        tier++;
    }
    return tier;
}

/* Whether as many runs as one merge takes, from `first` on, are of one size and make no more than
 * what one run may be. */
static bool is_due(const struct event_index *index, size_t first)
{
    unsigned of_first = tier(index, index->runs.items[first]->run);
    uint64_t entries = 0;
    uint64_t numbers = 0;
    for (size_t i = first; i < first + INDEX_MERGE_RUNS; i++) {
        const struct index_run *run = index->runs.items[i]->run;
        if (tier(index, run) > of_first) {
            return false;
        }
        entries += run->entries;
        numbers += index_places_count(&run->places);
    }
    return entries <= index->config.run_entries_most && numbers < INDEX_NUMBERS_MAX / 2;
}

/* The first of runs that are due, or SIZE_MAX. */
static size_t find_due(const struct event_index *index)
{
    for (size_t first = 0; first + INDEX_MERGE_RUNS <= index->runs.count; first++) {
        if (is_due(index, first)) {
            return first;
        }
    }
    return SIZE_MAX;
}

/* Begins a merge if one is due. */
static enum err begin(struct event_index *index, struct reason *reason)
{
    struct index_run *runs[INDEX_MERGE_RUNS];
    size_t first = find_due(index);
    index->is_merged = first == SIZE_MAX;
    if (index->is_merged) {
        return ERR_NONE;
    }
    for (size_t i = 0; i < INDEX_MERGE_RUNS; i++) {
        runs[i] = index->runs.items[first + i]->run;
    }
    index->merge_first = first;
    index->merge_sequence = index->next_sequence++;
    char *path = index_run_path(index, index->merge_sequence);
    enum err err = index_merge_begin(index->config.files, path, runs, INDEX_MERGE_RUNS,
                                     index_is_gone_by_position, index, &index->merge, reason);
    free(path);
    return err;
}

/* Puts the run that the merge wrote in the place of those it read. */
static enum err end(struct event_index *index, struct reason *reason)
{
    struct indexed_run *run;
    enum err err = indexed_run_open(index, index->merge_sequence, &run, reason);
    return err == ERR_NONE
               ? index_replace_runs(index, index->merge_first, INDEX_MERGE_RUNS, run, false, reason)
               : err;
}

enum err index_merge_some(struct event_index *index, size_t entries, struct reason *reason)
{
    bool done = false;
    enum err err = ERR_NONE;
    if (index->merge == NULL && !index->is_merged) {
        err = begin(index, reason);
    }
    if (err != ERR_NONE || index->merge == NULL) {
        return err;
    }
    err = index_merge_step(index->merge, entries, &done, reason);
    index->merge = err != ERR_NONE || done ? NULL : index->merge;
    return err == ERR_NONE && done ? end(index, reason) : err;
}

void index_merge_give_up(struct event_index *index)
{
    index_merge_abandon(index->merge);
    index->merge = NULL;
}
