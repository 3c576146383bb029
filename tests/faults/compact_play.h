#ifndef TESTS_FAULTS_COMPACT_PLAY_H
#define TESTS_FAULTS_COMPACT_PLAY_H

#include "log_play.h"

/* Compaction in the play of a log, and what the model says may be missing after it. */

/* Makes the log to be opened a compacted one with small segments. */
void play_set_compact(struct play *play);

/* Fills the batch's records from its bytes. */
void model_note_records(struct model_batch *batch);

/* One compaction, perhaps cut short by its budget, a failing file or the end of all files. */
void play_step_compact(struct play *play);

/*
 * Reads all of the log and notes what is gone; each of it must have been free to go: below what
 * compaction was given, superseded by a newer committed record, aborted, or a tombstone or marker
 * whose time has passed.
 */
void play_check_compacted(struct play *play);

/* While all is read: the batch as it stands in the log now becomes the model's. */
void play_take_form(struct play *play, struct model_batch *at, const struct batch *batch);

/* Whether any record of the producer in [from, to) is left. */
bool model_has_left(const struct model *model, int64_t producer_id, int64_t from, int64_t to);

#endif
