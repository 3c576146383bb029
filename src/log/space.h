#ifndef TIDINGS_LOG_SPACE_H
#define TIDINGS_LOG_SPACE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The free space of the file system that the logs are on, as a state that others ask before they
 * write. The floor is SPACE_FLOOR_BYTES, or a SPACE_FLOOR_PART of a small file system.
 *
 *   free                        state       who may write
 *   at least the floor          SPACE_OK    all
 *   down to a quarter of it     SPACE_LOW   the server's own small records: offsets, members,
 *                                           transactions and their markers
 *   less                        SPACE_FULL  only what frees space
 *
 * What frees space (deleting topics and records, shorter retention) needs a few bytes itself. A
 * file beside the logs keeps room for it, the spare: a 16th of the floor, SPACE_SPARE_LEAST to
 * SPACE_SPARE_MOST bytes. Who fails with ERR_NO_SPACE gives it up and tries once more; so do a
 * start and a stop, which write a little, before they begin. It is made anew when there is enough
 * again. What it leaves is far below the lower limit, so that nothing else of the server takes it.
 */
struct space;

enum {
    SPACE_FLOOR_BYTES = 32 << 20,
    SPACE_FLOOR_PART = 16,
    SPACE_LOWER_PART = 4, /* of the floor */
    SPACE_SPARE_PART = 16,
    SPACE_SPARE_LEAST = 64 << 10,
    SPACE_SPARE_MOST = 2 << 20,
};

enum space_state { SPACE_OK, SPACE_LOW, SPACE_FULL };

enum space_use {
    SPACE_FOR_EVENTS,
    SPACE_FOR_STATE, /* small records without which clients that free space, or read, cannot go on
                      */
};

/*
 * Takes a first look. dir_fd: a descriptor on the file system, which the caller keeps open.
 * spare_path: the file that keeps the spare, made now when there is enough; given up now when not
 * even it is free, as a start has to write a little; NULL: there is no spare. One thread, at start.
 */
struct space *space_new(const struct file_ops *files, const struct clock *clock, int dir_fd,
                        const char *spare_path);
void space_free(struct space *space);

/*
 * ERR_NO_SPACE, with what to do, when `bytes` for this use may not be written now. Cheap while the
 * state is SPACE_OK; else looks at the file system. space NULL: nobody looks after it. Any thread.
 */
CHECKED enum err space_check(struct space *space, enum space_use use, int64_t bytes,
                             struct reason *reason);

/* So much was written since the last call. Looks at the file system when that is half of what was
 * left above the floor, or 20 ms after the last look. Says in the log when the state changes. NULL
 * does nothing. Any thread. */
void space_note_written(struct space *space, uint64_t bytes);

/* Looks now, as a write found no space. NULL does nothing. Any thread. */
void space_look(struct space *space);

/* As of the last look. Any thread. */
enum space_state space_state(const struct space *space);

/*
 * After ERR_NO_SPACE of something that frees space: true when the spare was there and is given up,
 * so that another try may succeed. space NULL: false. Any thread.
 */
bool space_give_up_spare(struct space *space);

/* Gives the spare up when not even as much as it is free: for a start and a stop, which have to
 * write a little. NULL does nothing. Any thread. */
void space_make_room(struct space *space);

/* Whether the spare is missing and there is enough to make it: space_keep_spare is due. NULL:
 * false. Any thread. */
bool space_spare_is_due(struct space *space);

/* Makes the spare when it is due. Worker thread. */
void space_keep_spare(struct space *space);

#endif
