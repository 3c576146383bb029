#ifndef TIDINGS_BUS_INDEX_INDEX_MERGE_H
#define TIDINGS_BUS_INDEX_INDEX_MERGE_H

#include "bus/index/index_run.h"

/*
 * Several runs become one, a piece at a time, so that whoever does it can do other things between.
 * What is of events that are gone is left out. One thread.
 */
struct index_merge;

enum { INDEX_MERGE_RUNS = 8 }; /* at most so many at once */

/* Begins. The runs stay open until the end. Together they have fewer than INDEX_NUMBERS_MAX / 2
 * numbers. is_gone: see index_places_join. */
CHECKED enum err index_merge_begin(const struct file_ops *files, const char *path,
                                   struct index_run *const *runs, size_t count,
                                   index_is_gone *is_gone, void *context,
                                   struct index_merge **merge, struct reason *reason);

/* Goes on with up to `entries` entries. *done: the file is there, and the merge is freed. After an
 * error nothing is left of file and merge. */
CHECKED enum err index_merge_step(struct index_merge *merge, size_t entries, bool *done,
                                  struct reason *reason);

/* Gives up: nothing is left of it. NULL is fine. */
void index_merge_abandon(struct index_merge *merge);

#endif
