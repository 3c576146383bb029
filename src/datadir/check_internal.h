#ifndef TIDINGS_DATADIR_CHECK_INTERNAL_H
#define TIDINGS_DATADIR_CHECK_INTERNAL_H

#include "base/file.h"
#include "batch/batch.h"
#include "datadir/check.h"
#include "datadir/tree.h"
#include "log/index.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/txn_index.h"
#include "log/walk.h"
#include "topic/checkpoint.h"

/* Private to the check_*.c files: one run. */
struct check {
    const struct check_options *options;
    struct check_totals *totals;
    const struct file_ops *files;
    int64_t total_bytes;
    int64_t told_bytes;  /* when progress was last told */
    bool distrust_clean; /* repair: the checkpoint is not to be called clean */
};

/* Counts and tells a finding. check_tell.c */
void check_tell(struct check *check, const struct check_finding *finding);

/* A finding about a file as a whole. name: below the data directory. */
void check_tell_file(struct check *check, enum check_level level, const char *kind,
                     const char *name, bool repaired, const char *text);

/* More bytes were read. */
void check_progress(struct check *check, int64_t bytes);

/* Adds what --repair would have done to a text. */
const char *check_remedy(const struct check *check, const char *text, struct reason *to);

/* What the catalogue and the checkpoint know of a partition. */
struct check_known {
    const struct log_state *state; /* NULL: nothing */
    bool compacted;                /* offsets may be missing */
    int64_t deleted_to;            /* by DeleteRecords */
};

/* One partition. ERR_IO. check_partition.c */
CHECKED enum err check_partition(struct check *check, const struct tree_partition *partition,
                                 const struct check_known *known, struct reason *reason);

/* An index file beside the batches that it names. check_index.c */
struct index_check {
    enum index_kind kind;
    int64_t base_offset;
    char *rows;
    size_t row_count;
    size_t at; /* the first row that no batch has answered to */
    bool bad;
    struct reason why;
};

/* Reads the file, when it is there. ERR_IO. */
CHECKED enum err index_check_init(struct index_check *index, const struct file_ops *files,
                                  const char *dir, int64_t base_offset, enum index_kind kind,
                                  struct reason *reason);
void index_check_deinit(struct index_check *index);

/* Batches and damages of the segment, in order. */
void index_check_batch(struct index_check *index, int64_t position, const struct batch *batch);
void index_check_damage(struct index_check *index, const struct walk_damage *damage);

/* After the last of them. */
void index_check_finish(struct index_check *index);

/* Transaction indexes. check_txn.c */
struct txn_check {
    struct producer_state producers;
    struct aborted_list aborted; /* those whose marker is in this segment */
    int64_t first_base;          /* where the log begins: what is before it is not known */
    bool blind; /* batches are missing: what was aborted is not known for sure any more */
};

struct txn_check_result {
    bool bad;
    bool repaired;
    struct reason why;
};

/* Frees what it keeps of open transactions. */
void txn_check_deinit(struct txn_check *check);

/* Batches in order, with their bytes. */
void txn_check_batch(struct txn_check *check, const struct batch *batch);

/*
 * After the last batch of a segment: compares its index. Rows of markers from end_offset on may be
 * missing in the file. repair: writes the rows that belong there. ERR_IO.
 */
CHECKED enum err txn_check_segment(struct txn_check *check, const struct file_ops *files,
                                   const char *dir, int64_t base_offset, int64_t end_offset,
                                   bool repair, struct txn_check_result *result,
                                   struct reason *reason);

/* Sequence numbers, for each producer. check_sequence.c */
struct sequence_check;
/* No producer is known yet. Free it. */
struct sequence_check *sequence_check_new(void);
void sequence_check_free(struct sequence_check *check);

/* NULL, or what is wrong; *level says how bad it is. */
const char *sequence_check_batch(struct sequence_check *check, const struct batch *batch,
                                 bool compacted, enum check_level *level, struct reason *why);

/* Batches were lost: gaps are to be expected. */
void sequence_check_forget(struct sequence_check *check);

#endif
