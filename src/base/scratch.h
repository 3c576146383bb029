#ifndef TIDINGS_BASE_SCRATCH_H
#define TIDINGS_BASE_SCRATCH_H

#include "base/err.h"

#include <stdbool.h>

/*
 * A directory for what ends with the process, in memory where there is a memory file system:
 *
 *     PLACE/NAME-UID/XXXXXX
 *
 * It is its owner's only. It goes with scratch_free; when the process ends in another way, a second
 * process, which only waits for that, removes it. Should both have been killed, the next
 * scratch_new of this user finds it: who is alive holds a lock (flock) on its directory.
 */
struct scratch;

/*
 * Makes one in the best of these places (NULL ends them; an entry that is empty, or that cannot be
 * used, is passed over): the memory file system with the most room, else the first one on disk.
 * name: letters and dashes, the same one for all that are to clean up behind each other.
 * ERR_IO and the like, with what was tried last. It forks, so no thread may run yet.
 */
CHECKED enum err scratch_new(const char *const *places, const char *name, struct scratch **out,
                             struct reason *reason);

/* Its path, without a slash behind it. */
const char *scratch_path(const struct scratch *scratch);

/* Whether it is on a memory file system; else what is in it is on disk until it is removed. */
bool scratch_is_memory(const struct scratch *scratch);

/* Removes the directory with all that is in it. Nobody uses it any more. NULL does nothing. */
void scratch_free(struct scratch *scratch);

#endif
