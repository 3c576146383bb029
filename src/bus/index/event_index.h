#ifndef TIDINGS_BUS_INDEX_EVENT_INDEX_H
#define TIDINGS_BUS_INDEX_EVENT_INDEX_H

#include "base/arena.h"
#include "base/file.h"
#include "base/slice.h"
#include "bus/index/event_mark.h"
#include "bus/index/index_places.h"

#include <stdatomic.h>

/*
 * Where the events stand that have a certain id, correlation id, cause, trace or key: for questions
 * about one event among very many. It says where to look, no more: a hash of 64 bits is all that is
 * kept of a value, and whoever asks looks into the record.
 *
 * The newest entries are in memory. When they are many, or the owner says so, they become a sorted
 * run on disk (bus/index_run.h); of eight runs of about one size one is made. So what is added
 * costs a few sequential writes, and a question two reads a run. What stands in memory only is lost
 * in a crash, and event_index_next says from where on events have to be added again: an event that
 * is added twice is found once.
 *
 * All of it can be made again from the log. A file that is not what was written is found when it is
 * read (ERR_CORRUPT), and then the whole is to be begun anew (event_index_clear).
 *
 * Memory: 16 bytes an entry that is not on disk, 24 bytes a partition and run, 8 bytes for 170,000
 * entries. Disk: 12.1 bytes an entry, and as much again for the largest merge.
 */
enum event_term_kind {
    EVENT_TERM_ID = 1,
    EVENT_TERM_CORRELATION,
    EVENT_TERM_CAUSATION,
    EVENT_TERM_TRACE, /* 32 hex digits of a W3C trace id */
    EVENT_TERM_KEY,
};
enum { EVENT_TERMS_MAX = 5 }; /* of one event */

struct event_term {
    enum event_term_kind kind;
    struct slice value;
};

struct event_index_config {
    const struct file_ops *files;
    const char *dir;           /* its own; made if need be */
    size_t memory_entries;     /* that many in memory make a run [524288] */
    uint64_t run_entries_most; /* larger runs are not merged [134217728] */
};

struct event_index;

/*
 * Opens what is there, or begins. A file that is missing or not what was written makes it begin
 * anew: *begun_anew says so, and the reason why. An error: the directory cannot be used.
 */
CHECKED enum err event_index_open(const struct event_index_config *config,
                                  struct event_index **index, bool *begun_anew,
                                  struct reason *reason);

/* What is in memory only is lost (event_index_flush). NULL is fine. */
void event_index_close(struct event_index *index);

/* --- one thread, the writer's --- */

/* Which partition is meant. The id tells lives of a topic of one name apart; zero: not known, and
 * event_index_gone says when one ends. */
struct event_source {
    const char *topic;
    uint8_t topic_id[16];
    int32_t partition;
};

/* The first offset that is not in the index yet; 0 for a partition that it does not know. */
int64_t event_index_next(const struct event_index *index, const struct event_source *source);

/*
 * Adds an event, whose offset is not below that. May write a run, which takes as long as some 10
 * MB take, and does a piece of a merge. After an error nothing of it is certain but that a look-up
 * finds what it found before; event_index_clear, or try again with the next event.
 */
CHECKED enum err event_index_add(struct event_index *index, const struct event_source *source,
                                 int64_t offset, const struct event_term *terms, size_t count,
                                 struct reason *reason);

/* All below the offset was added, or there is nothing to be added (markers, compaction). */
void event_index_reached(struct event_index *index, const struct event_source *source,
                         int64_t next_offset);

/* The last event that was added, of a topic whose id is not known: kept with event_index_next, so
 * that it can be seen whether the topic is the same one later. */
void event_index_set_last(struct event_index *index, const struct event_source *source,
                          const struct event_mark *mark);

/* The same again; its offset is below event_index_next. event_mark_none: nothing is known of it. */
struct event_mark event_index_last(const struct event_index *index,
                                   const struct event_source *source);

/* Events below the offset are gone from the log; INT64_MAX: all, with the topic. Files that hold
 * nothing else are removed by the next event_index_flush. A topic whose id is not known may come
 * again under its name: it is added from its start then. */
void event_index_gone(struct event_index *index, const struct event_source *source,
                      int64_t start_offset);

/* What is in memory goes to disk, and event_index_next of now counts after a crash too. */
CHECKED enum err event_index_flush(struct event_index *index, struct reason *reason);

/* Goes on with merges that are due, for `entries` entries: when there is time. An error: as of
 * event_index_add. */
CHECKED enum err event_index_merge(struct event_index *index, size_t entries,
                                   struct reason *reason);

/* Merges that are due are done to their end: for tests and tools. */
CHECKED enum err event_index_settle(struct event_index *index, struct reason *reason);

/* Forgets all, and begins anew. */
CHECKED enum err event_index_clear(struct event_index *index, struct reason *reason);

/* --- any thread --- */

struct event_places {
    VEC(struct index_place) items; /* newest runs first */
    bool is_cut;                   /* there were more than asked for */
    struct arena arena;            /* of the items' names */
};
/* Frees what it has; empty afterwards. */
void event_places_deinit(struct event_places *places);

/* The places of terms[term], which go with the call unless they are taken out of *places. False:
 * nothing more is wanted. */
typedef bool event_index_each(void *context, size_t term, struct event_places *places);

/*
 * Where events may stand that have these values: all that do, and with a chance of 2^-64 each some
 * that do not; not those that event_index_gone told of. Calls `each` for one value after the other.
 * At most `most` places a value; of those of one run the highest offsets of the last partitions.
 * All values are of one moment, and the disk is asked for all of them before any is waited for: a
 * question with many, of which nothing is in memory, takes little longer than one with a single
 * value. ERR_CORRUPT, ERR_IO: `each` was called for those before.
 */
CHECKED enum err event_index_find_all(struct event_index *index, const struct event_term *terms,
                                      size_t count, size_t most, event_index_each *each,
                                      void *context, struct reason *reason);

/* The same for one value. After an error *places is empty. */
CHECKED enum err event_index_find(struct event_index *index, const struct event_term *term,
                                  size_t most, struct event_places *places, struct reason *reason);

struct event_index_size {
    uint64_t entries;
    uint64_t memory_entries; /* of these, not on disk */
    int64_t disk_bytes;
    size_t runs;
};
/* What there is now. */
struct event_index_size event_index_size(struct event_index *index);

#endif
