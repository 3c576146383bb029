#include "bus/index/event_index_inside.h"

#include <stdlib.h>

/* The list with `run` in the place of some of it. */
static void make_list(const struct event_index *index, size_t first, size_t count,
                      struct indexed_run *run, struct indexed_runs *list)
{
    for (size_t i = 0; i < first; i++) {
        vec_push(list, index->runs.items[i]);
    }
    if (run != NULL) {
        vec_push(list, run);
    }
    for (size_t i = first + count; i < index->runs.count; i++) {
        vec_push(list, index->runs.items[i]);
    }
}

/* Lets go of `count` runs of the list from `first` on, files and all. */
static void remove_runs(struct event_index *index, struct indexed_runs *list, size_t first,
                        size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        index_remove_run(index, list->items[i]->sequence);
        pthread_mutex_lock(&index->lock);
        indexed_run_release(list->items[i]);
        pthread_mutex_unlock(&index->lock);
    }
}

enum err index_replace_runs(struct event_index *index, size_t first, size_t count,
                            struct indexed_run *run, bool with_memory, struct reason *reason)
{
    struct indexed_runs list = {0};
    struct indexed_runs before = index->runs;
    make_list(index, first, count, run, &list);
    pthread_mutex_lock(&index->lock);
    index->runs = list;
    index->is_merged = false;
    pthread_mutex_unlock(&index->lock);
    enum err err = index_manifest_save(index, with_memory, reason);
    pthread_mutex_lock(&index->lock);
    if (err != ERR_NONE) {
        index->runs = before;
    } else if (with_memory) {
        index_forget_memory(index);
    }
    pthread_mutex_unlock(&index->lock);
    if (err == ERR_NONE) {
        remove_runs(index, &before, first, count);
        vec_deinit(&before);
    } else {
        remove_runs(index, &list, first, run != NULL ? 1 : 0);
        vec_deinit(&list);
    }
    return err;
}

/* No run that is merged has more than this part of the entries: then each entry is merged a few
 * times only, and there are few runs whatever their sizes are. */
enum { LARGEST_PART = 4 };

/* How many entries a merge of as many runs as one takes, from `first` on, would have; 0 when it is
 * not due. */
static uint64_t entries_due(const struct event_index *index, size_t first)
{
    uint64_t entries = 0;
    uint64_t largest = 0;
    uint64_t numbers = 0;
    for (size_t i = first; i < first + INDEX_MERGE_RUNS; i++) {
        const struct index_run *run = index->runs.items[i]->run;
        entries += run->entries;
        largest = run->entries > largest ? run->entries : largest;
        numbers += index_places_count(&run->places);
    }
    bool is_due = entries >= largest * LARGEST_PART && entries <= index->config.run_entries_most &&
                  numbers < INDEX_NUMBERS_MAX / 2;
    return is_due ? entries : 0;
}

/* The first run of the smallest merge that is due, of runs from `from` on, or SIZE_MAX. */
static size_t find_due(const struct event_index *index, size_t from)
{
    uint64_t least = UINT64_MAX;
    size_t found = SIZE_MAX;
    for (size_t first = from; first + INDEX_MERGE_RUNS <= index->runs.count; first++) {
        uint64_t entries = entries_due(index, first);
        if (entries > 0 && entries < least) {
            least = entries;
            found = first;
        }
    }
    return found;
}

/* Begins a merge if one is due, of runs behind those that the others read. */
static enum err begin(struct event_index *index, struct reason *reason)
{
    struct index_run *runs[INDEX_MERGE_RUNS];
    size_t open = index->merge_count;
    size_t from = open > 0 ? index->merges[open - 1].first + INDEX_MERGE_RUNS : 0;
    size_t first = open < INDEX_MERGES_MAX ? find_due(index, from) : SIZE_MAX;
    index->is_merged = first == SIZE_MAX;
    if (index->is_merged) {
        return ERR_NONE;
    }
    for (size_t i = 0; i < INDEX_MERGE_RUNS; i++) {
        runs[i] = index->runs.items[first + i]->run;
    }
    struct running_merge *running = &index->merges[open];
    *running = (struct running_merge){.first = first, .sequence = index->next_sequence++};
    char *path = index_run_path(index, running->sequence);
    enum err err = index_merge_begin(index->config.files, path, runs, INDEX_MERGE_RUNS,
                                     index_is_gone_by_position, index, &running->merge, reason);
    index->merge_count += err == ERR_NONE;
    free(path);
    return err;
}

/* Puts the run that the merge wrote in the place of those it read. */
static enum err end(struct event_index *index, const struct running_merge *ended,
                    struct reason *reason)
{
    struct indexed_run *run;
    enum err err = indexed_run_open(index, ended->sequence, &run, reason);
    return err == ERR_NONE
               ? index_replace_runs(index, ended->first, INDEX_MERGE_RUNS, run, false, reason)
               : err;
}

enum err index_merge_some(struct event_index *index, size_t entries, struct reason *reason)
{
    bool done = false;
    enum err err = ERR_NONE;
    if (!index->is_merged) {
        err = begin(index, reason);
    }
    if (err != ERR_NONE || index->merge_count == 0) {
        return err;
    }
    struct running_merge last = index->merges[index->merge_count - 1];
    err = index_merge_step(last.merge, entries, &done, reason);
    index->merge_count -= err != ERR_NONE || done;
    return err == ERR_NONE && done ? end(index, &last, reason) : err;
}

void index_merge_give_up(struct event_index *index)
{
    while (index->merge_count > 0) {
        index_merge_abandon(index->merges[--index->merge_count].merge);
    }
}
