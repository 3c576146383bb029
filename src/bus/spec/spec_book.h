#ifndef TIDINGS_BUS_SPEC_SPEC_BOOK_H
#define TIDINGS_BUS_SPEC_SPEC_BOOK_H

#include "base/err.h"
#include "client/event/feed.h"

#include <jansson.h>

/*
 * All that bus/spec_watch.h knows: of each type what its events are like, and up to where each
 * partition was read. Pure but for its file; one thread at a time.
 */
struct spec_book;

/* Nothing was taken yet. Free with spec_book_free. */
struct spec_book *spec_book_new(void);
void spec_book_free(struct spec_book *book); /* NULL is fine */

/* One more piece, within the limits of bus/spec_watch.h. now_ms: any clock. */
void spec_book_take(struct spec_book *book, const struct feed_piece *piece, int64_t now_ms);

/* Up to where a partition was read; -1: not at all. */
int64_t spec_book_next(const struct spec_book *book, const struct feed_source *source);

/* Message Objects of AsyncAPI by id, "type:NAME" or "topic:NAME"; the caller's. */
json_t *spec_book_messages(const struct spec_book *book);

/* Whether something was taken since it was saved. */
bool spec_book_is_dirty(const struct spec_book *book);

/* Replaces the file. ERR_IO with a reason. */
CHECKED enum err spec_book_save(struct spec_book *book, const char *path, struct reason *reason);

/* Fills an empty book. ERR_NOT_FOUND: there is no file; ERR_CORRUPT: it is not what was saved, and
 * the book stays empty. */
CHECKED enum err spec_book_load(struct spec_book *book, const char *path, struct reason *reason);

#endif
