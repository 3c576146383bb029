#ifndef TESTS_FAULTS_TXN_PLAY_H
#define TESTS_FAULTS_TXN_PLAY_H

#include "log_play.h"

/* Transactions in the play of a log: markers, and what the model knows of them. */

/* What the log should know of a producer. */
struct model_producer {
    bool known;
    int16_t epoch;
    const struct model_batch *last;   /* of this epoch, with a sequence; NULL */
    const struct model_batch *newest; /* likewise, or the marker that began it */
    int64_t txn_first;                /* -1: nothing is open */
};

struct model_producer model_producer(const struct model *model, int producer);

/* Damage may have changed what the log knows of transactions. */
bool model_txns_doubtful(const struct model *model);

void play_check_unstable(struct play *play);
void play_check_aborted(struct play *play, int64_t from, int64_t to);
enum err play_marker(struct play *play, int producer, int16_t epoch, bool commit);
void play_step_aborted(struct play *play);
void play_step_marker(struct play *play);

#endif
