#ifndef TIDINGS_DATADIR_CHECK_H
#define TIDINGS_DATADIR_CHECK_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * `tidings check`: reads a stopped data directory from end to end and tells what is wrong with it.
 * One thread.
 */
enum check_level {
    CHECK_DAMAGE,     /* events or settings are lost or not readable */
    CHECK_DISPOSABLE, /* a file that the start makes anew: an index, a snapshot, the checkpoint */
    CHECK_NOTE,       /* worth knowing, not wrong */
};

/* An event beside a damage. */
struct check_event {
    bool known;
    int64_t offset;
    int64_t timestamp;
    bool has_key;
    struct buf key; /* its first bytes, at most CHECK_KEY_BYTES */
};

enum { CHECK_KEY_BYTES = 256 };

struct check_finding {
    enum check_level level;
    const char *kind; /* a word for programs: "damaged-batch", "bad-index", ... */
    const char *file; /* below the data directory */
    int64_t position; /* -1: the file as a whole */
    int64_t end;
    int64_t first_offset; /* the offsets that may be lost; -1: none, or not known */
    int64_t last_offset;
    const struct check_event *before; /* the last good event before; NULL or not known: none */
    const struct check_event *behind;
    const char *text;
    bool repaired;
};

struct check_totals {
    int64_t partitions;
    int64_t segments;
    int64_t batches;
    int64_t records;
    int64_t bytes;
    int64_t findings[3]; /* by level */
    int64_t repaired;
};

struct check_options {
    const char *data_dir;
    const char *topic; /* NULL: all */
    int64_t partition; /* -1: all */
    bool repair;
    void *context;
    /* Each finding as it is known; borrowed. */
    void (*found)(void *context, const struct check_finding *finding);
    /* Now and then: bytes read of all that are to be read. NULL: not wanted. */
    void (*progress)(void *context, int64_t bytes, int64_t total_bytes);
};

/*
 * Takes the directory's lock for the time of the check. repair: removes offset and time indexes and
 * a checkpoint that are bad, writes bad transaction indexes anew where all batches are there, and
 * marks the checkpoint so that the next start looks at those and at producer snapshots closely;
 * nothing else is changed. ERR_NONE when everything was looked at, whatever was found;
 * ERR_NOT_FOUND (no data directory, topic or partition), ERR_LOCKED (a server runs on it), ERR_IO.
 */
CHECKED enum err check_run(const struct check_options *options, struct check_totals *totals,
                           struct reason *reason);

#endif
