#ifndef TIDINGS_BUS_INDEX_EVENT_INDEX_INSIDE_H
#define TIDINGS_BUS_INDEX_EVENT_INDEX_INSIDE_H

#include "base/siphash.h"
#include "bus/index/event_index.h"
#include "bus/index/index_merge.h"

#include <pthread.h>
#include <uthash.h>

/* What the files of the event index share. */

/* What is known of a partition. */
struct index_position {
    UT_hash_handle hh;
    struct buf key;    /* topic id, partition, name */
    const char *topic; /* in the key */
    uint8_t topic_id[16];
    int32_t partition;
    int64_t next;  /* first offset that is not added */
    int64_t kept;  /* the same of what is on disk */
    int64_t start; /* what is below is gone from the log */

    /* of a topic without id */
    uint32_t life;                     /* so often it went */
    struct event_mark last, last_kept; /* before next, and before kept */
};

/*
 * What stands for a topic in places: its id, or where the bus tells none 12 zeros and the number of
 * its life. So what was indexed of a topic is not taken for what another one of its name has now.
 */
struct index_life {
    uint8_t id[16];
};

/* A run that is part of the index, for as long as somebody looks into it. */
struct indexed_run {
    struct index_run *run;
    uint64_t sequence; /* its file's name */
    unsigned references;
};

struct indexed_runs {
    VEC_FIELDS(struct indexed_run *);
};

struct running_merge {
    struct index_merge *merge;
    size_t first; /* of the runs that it reads */
    uint64_t sequence;
};
enum { INDEX_MERGES_MAX = 4 };

struct event_index {
    struct event_index_config config; /* dir is its own copy */
    struct siphash_key secret;
    struct index_position *positions; /* the writer's; by key; changed under the lock */
    uint64_t next_sequence;

    pthread_mutex_t lock;           /* the rest; what only the writer changes it reads without */
    struct indexed_runs runs;       /* oldest first */
    VEC(struct index_entry) memory; /* unsorted */
    struct index_places places;     /* of those in memory */

    /* Under way, each of newer and smaller runs than the one before; the last one goes on, so that
     * small runs do not pile up behind a large merge. The writer's. */
    struct running_merge merges[INDEX_MERGES_MAX];
    size_t merge_count;
    bool is_merged; /* nothing more is due for the runs that there are */
};

/* The partition's, made if need be. Of the writer. */
struct index_position *index_position_get(struct event_index *index,
                                          const struct event_source *source);
/* NULL: none. */
struct index_position *index_position_find(const struct event_index *index, const char *topic,
                                           const uint8_t topic_id[16], int32_t partition);
void index_positions_free(struct event_index *index);

/* Of the topic as it is now. */
struct index_life index_life_of(const struct index_position *position);

/* Whether all that a place's topic had below end_offset is gone. Under the lock, or the writer's.
 */
bool index_is_gone_below(const struct event_index *index, const char *topic,
                         const uint8_t life_id[16], int32_t partition, int64_t end_offset);

/* What the bus told: the same, or zeros where it told none. Static or borrowed. */
const uint8_t *index_told_id(const uint8_t life_id[16]);

/* Path of the run's file; free it. */
char *index_run_path(const struct event_index *index, uint64_t sequence);

/* The list of runs and positions, as one file: it counts, and files that it does not name are
 * removed at a start. with_memory: all that is in memory is in the runs, too.
 * (event_index_manifest.c) */
CHECKED enum err index_manifest_save(struct event_index *index, bool with_memory,
                                     struct reason *reason);

/* Into an empty index; opens the runs. ERR_NOT_FOUND: there is none. ERR_CORRUPT: it, or a run that
 * it names, is not what was written. */
CHECKED enum err index_manifest_load(struct event_index *index, struct reason *reason);

/* Removes runs that the index does not have. */
CHECKED enum err index_remove_others(struct event_index *index, struct reason *reason);

/* index_is_gone of the index, which is the context. */
bool index_is_gone_by_position(void *context, const struct index_topic *topic, int32_t partition,
                               int64_t end_offset);

/* Begins a merge that is due, or goes on with the one that is under way. (event_index_merge.c) */
CHECKED enum err index_merge_some(struct event_index *index, size_t entries, struct reason *reason);
void index_merge_give_up(struct event_index *index);

/* What stands for the value in entries. */
uint64_t event_index_hash(const struct event_index *index, const struct event_term *term);

/* Releases what a look-up or the list held. Under the lock. */
void indexed_run_release(struct indexed_run *run);

/* What cannot be removed now is by the next start. */
void index_remove_run(struct event_index *index, uint64_t sequence);

/* Forgets the entries in memory. Under the lock. */
void index_forget_memory(struct event_index *index);

/* Opens the file of this sequence as a run of the index. */
CHECKED enum err indexed_run_open(struct event_index *index, uint64_t sequence,
                                  struct indexed_run **run, struct reason *reason);

/* Puts `run` (NULL: nothing) in the place of `count` runs from `first` on, and saves that; their
 * files are removed. with_memory: as index_manifest_save, and the memory is emptied. After an error
 * all is as it was, and the run is gone. */
CHECKED enum err index_replace_runs(struct event_index *index, size_t first, size_t count,
                                    struct indexed_run *run, bool with_memory,
                                    struct reason *reason);

/* Sorts by hash, then number. scratch has room for as many. (index_sort.c) */
void index_sort(struct index_entry *entries, struct index_entry *scratch, size_t count);

#endif
