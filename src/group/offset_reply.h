#ifndef TIDINGS_GROUP_OFFSET_REPLY_H
#define TIDINGS_GROUP_OFFSET_REPLY_H

#include "group/requests.h"

/* Answers that name partitions. */

/* An answer with room for so many results. */
struct group_reply *offset_reply_new(enum group_reply_kind kind, const struct completion *waiter,
                                     size_t count);
/* Adds the result for a partition of a named topic. */
void offset_reply_add(struct group_reply *reply, struct slice topic, int32_t partition,
                      enum err err);
/* Adds the result for a commit, whose topic is told as it was asked for: by name or by id. */
void offset_reply_add_commit(struct group_reply *reply, const struct group_offset_commit *commit,
                             enum err err);

#endif
