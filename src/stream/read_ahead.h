#ifndef TIDINGS_STREAM_READ_AHEAD_H
#define TIDINGS_STREAM_READ_AHEAD_H

#include "base/file.h"

#include <stdbool.h>

/*
 * Cold events: bytes of a span that are not in the page cache. Sending them would make the reactor
 * wait for the disk, so a worker reads them first.
 */

/* Whether both ends of the span are in the page cache. Does not wait. Any thread. */
bool read_ahead_is_warm(const struct file_span *span);

/* Reads the span, so that its pages are there. Waits for the disk: worker thread. What cannot be
 * read is left to whoever sends the span, who has to deal with it anyway. */
void read_ahead(const struct file_span *span);

#endif
