#ifndef TIDINGS_CLIENT_LANE_LANE_METADATA_H
#define TIDINGS_CLIENT_LANE_LANE_METADATA_H

#include "base/buf.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The text beside a committed offset that says which events beyond it are done (docs/formats.md,
 * "Commit metadata of lanes"). It is a hint that saves repeats: what it does not say is open, and
 * any text that is not wholly understood says nothing. All functions are pure.
 */

/* Offsets from..to-1. */
struct lane_range {
    int64_t from;
    int64_t to;
};

struct lane_ranges {
    VEC_FIELDS(struct lane_range);
};

/* The first of ranges that ascend which ends beyond the offset; their count when none does. */
size_t lane_ranges_beyond(const struct lane_ranges *ranges, int64_t offset);
/* One of them has the offset. */
bool lane_ranges_have(const struct lane_ranges *ranges, int64_t offset);

/*
 * Writes into `text` (cleared before) the owner's fence, and that of the offsets in [base, end)
 * those of `open` (ranges that ascend, do not touch, and begin at base) are open and the others
 * done, in at most max_bytes characters (40 at least): the lowest are told, and those from the
 * offset that is returned on are left out.
 */
int64_t lane_metadata_encode(int64_t fence, int64_t base, const struct lane_ranges *open,
                             int64_t end, size_t max_bytes, struct buf *text);

/*
 * Up to where the text of this commit and of all later ones tells what is done, whatever becomes of
 * what is open: a run that is open takes more room when single offsets in it are done. At most what
 * lane_metadata_encode returned.
 */
int64_t lane_metadata_keeps(int64_t base, const struct lane_ranges *open, int64_t end,
                            size_t max_bytes);

/*
 * What is done beyond `base`, as ranges that ascend, and the fence. Nothing and fence 0 when the
 * text is NULL, foreign, damaged or of another version; no ranges when it stood beside another
 * offset than base.
 */
int64_t lane_metadata_decode(const char *text, int64_t base, struct lane_ranges *done);

#endif
