#include "log/space.h"

#include "base/logger.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The longest between two looks at the free space, which others use as well. */
enum { LOOK_MS = 20 };

struct space {
    const struct file_ops *files;
    const struct clock *clock;
    int dir_fd;
    char *spare_path;

    _Atomic enum space_state state;
    _Atomic int64_t looked_ms; /* when it last looked */
    _Atomic uint64_t free_bytes;
    _Atomic uint64_t floor_bytes;
    _Atomic uint64_t written;  /* since the start */
    _Atomic uint64_t look_due; /* at so many written */

    pthread_mutex_t spare_lock; /* guards the spare file; no other is taken inside */
    atomic_bool has_spare;
};

static uint64_t lower_limit(const struct space *space)
{
    return atomic_load(&space->floor_bytes) / SPACE_LOWER_PART;
}

static int64_t spare_bytes(const struct space *space)
{
    uint64_t bytes = atomic_load(&space->floor_bytes) / SPACE_SPARE_PART;
    bytes = bytes < SPACE_SPARE_LEAST ? SPACE_SPARE_LEAST : bytes;
    return (int64_t)(bytes > SPACE_SPARE_MOST ? SPACE_SPARE_MOST : bytes);
}

static void say(enum space_state state, uint64_t left, uint64_t needed)
{
    unsigned long long free_bytes = left;
    unsigned long long needed_bytes = needed;
    if (state == SPACE_LOW) {
        LOG_ERROR("log", "the disk is nearly full: writes are refused until space is free",
                  "free_bytes=%llu needed_bytes=%llu", free_bytes, needed_bytes);
    } else if (state == SPACE_FULL) {
        LOG_ERROR("log", "the disk is full: commits and group members are refused as well",
                  "free_bytes=%llu needed_bytes=%llu", free_bytes, needed_bytes);
    } else {
        LOG_INFO("log", "there is space on the disk again: writes go on", "free_bytes=%llu",
                 free_bytes);
    }
}

/* The state stays when the file system does not answer. */
static void look(struct space *space)
{
    uint64_t total;
    uint64_t left;
    struct reason ignored;
    atomic_store(&space->looked_ms, clock_mono_ms(space->clock));
    if (file_free_space(space->files, space->dir_fd, &total, &left, &ignored) != ERR_NONE) {
        return;
    }
    uint64_t floor = total / SPACE_FLOOR_PART;
    floor = floor < SPACE_FLOOR_BYTES ? floor : SPACE_FLOOR_BYTES;
    enum space_state state = left >= floor                      ? SPACE_OK
                             : left >= floor / SPACE_LOWER_PART ? SPACE_LOW
                                                                : SPACE_FULL;
    atomic_store(&space->free_bytes, left);
    atomic_store(&space->floor_bytes, floor);
    atomic_store(&space->look_due,
                 atomic_load(&space->written) + (state == SPACE_OK ? (left - floor) / 2 : 0));
    if (atomic_exchange(&space->state, state) != state) {
        say(state, left, floor);
    }
}

/* A crash may have come before it had its size. */
static bool has_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_size >= SPACE_SPARE_LEAST;
}

struct space *space_new(const struct file_ops *files, const struct clock *clock, int dir_fd,
                        const char *spare_path)
{
    struct space *space = mem_new(struct space);
    space->files = files;
    space->clock = clock;
    space->dir_fd = dir_fd;
    space->spare_path = spare_path != NULL ? mem_strdup(spare_path) : NULL;
    pthread_mutex_init(&space->spare_lock, NULL);
    atomic_init(&space->has_spare, spare_path != NULL && has_file(spare_path));
    space_make_room(space);
    space_keep_spare(space);
    return space;
}

void space_free(struct space *space)
{
    if (space != NULL) {
        pthread_mutex_destroy(&space->spare_lock);
        free(space->spare_path);
        free(space);
    }
}

enum space_state space_state(const struct space *space)
{
    return atomic_load_explicit(&space->state, memory_order_relaxed);
}

enum err space_check(struct space *space, enum space_use use, int64_t bytes, struct reason *reason)
{
    if (space == NULL || space_state(space) == SPACE_OK) {
        return ERR_NONE;
    }
    look(space); /* nobody else does while nothing is written */
    enum space_state state = space_state(space);
    uint64_t left = atomic_load(&space->free_bytes);
    bool fits = state == SPACE_OK ||
                (use == SPACE_FOR_STATE && left >= lower_limit(space) + (uint64_t)bytes);
    return fits ? ERR_NONE
                : reason_fail(reason, ERR_NO_SPACE,
                              "the disk is nearly full (%llu bytes are free): delete topics or "
                              "records, shorten retention, or enlarge the disk",
                              (unsigned long long)left);
}

void space_note_written(struct space *space, uint64_t bytes)
{
    if (space == NULL) {
        return;
    }
    uint64_t written = atomic_fetch_add(&space->written, bytes) + bytes;
    if (written >= atomic_load(&space->look_due) ||
        clock_mono_ms(space->clock) - atomic_load(&space->looked_ms) >= LOOK_MS) {
        look(space);
    }
}

void space_look(struct space *space)
{
    if (space != NULL) {
        look(space);
    }
}

bool space_give_up_spare(struct space *space)
{
    struct reason why;
    if (space == NULL || !atomic_load(&space->has_spare)) {
        return false;
    }
    pthread_mutex_lock(&space->spare_lock);
    bool gone = atomic_load(&space->has_spare);
    if (gone && file_unlink(space->files, space->spare_path, &why) != ERR_NONE) {
        gone = false;
        LOG_WARN("log", "the room for deletions could not be given up", "reason=\"%s\"", why.text);
    }
    if (gone) {
        atomic_store(&space->has_spare, false);
        LOG_INFO("log", "the room that is kept for deletions is used", "bytes=%lld",
                 (long long)spare_bytes(space));
    }
    pthread_mutex_unlock(&space->spare_lock);
    return gone;
}

void space_make_room(struct space *space)
{
    if (space == NULL) {
        return;
    }
    look(space);
    if (space_state(space) == SPACE_FULL &&
        atomic_load(&space->free_bytes) < (uint64_t)spare_bytes(space)) {
        (void)space_give_up_spare(space);
    }
}

bool space_spare_is_due(struct space *space)
{
    if (space == NULL || atomic_load(&space->has_spare)) {
        return false;
    }
    look(space);
    return space->spare_path != NULL && space_state(space) == SPACE_OK &&
           atomic_load(&space->free_bytes) >=
               atomic_load(&space->floor_bytes) + (uint64_t)spare_bytes(space);
}

void space_keep_spare(struct space *space)
{
    struct reason why;
    if (!space_spare_is_due(space)) {
        return;
    }
    pthread_mutex_lock(&space->spare_lock);
    if (file_reserve(space->files, space->spare_path, spare_bytes(space), &why) == ERR_NONE) {
        atomic_store(&space->has_spare, true);
    } else {
        LOG_WARN("log", "no room could be kept for deletions; it is tried again", "reason=\"%s\"",
                 why.text);
    }
    pthread_mutex_unlock(&space->spare_lock);
}
