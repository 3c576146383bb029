#ifndef TIDINGS_API_APPENDED_H
#define TIDINGS_API_APPENDED_H

#include "api/api.h"
#include "base/vec.h"
#include "log/flush.h"

/*
 * For requests that tell how far a partition goes. What is not on disk is not told (promise 2), but
 * a producer with acks=1 was answered before, and whoever it tells must not be told less then. So
 * such a request waits for the sync that covers all that was appended before it came.
 */
struct appended {
    VEC_FIELDS(struct flush_target);
};

/* Adds what readers cannot see yet of a partition, if there is such a partition and anything of it;
 * holds its log. Any thread. */
void appended_add(struct appended *appended, const struct api_request *request, struct slice topic,
                  int32_t partition);

/*
 * True: the request is parked, and `step` goes on with it, on a worker, when all that was added is
 * on disk or never will be. False: nothing was added. The list is empty afterwards. On the thread
 * of the handler, which has not acted yet; never waits itself.
 */
CHECKED bool appended_wait(struct api_request *request, struct appended *appended, api_step *step);

#endif
