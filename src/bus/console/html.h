#ifndef TIDINGS_BUS_CONSOLE_HTML_H
#define TIDINGS_BUS_CONSOLE_HTML_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes HTML of which every text is escaped: there is no other way to put one in. Names of
 * elements and attributes are the program's own (asserted); texts, values and parts of URLs may be
 * any bytes that others chose. Elements are closed in order (asserted). Pure; one thread at a time.
 *
 * What is no UTF-8, and what changes the direction of the text behind it, is shown as \xNN; control
 * characters as the pictures that Unicode has of them; tabs and line breaks stay.
 */
enum { HTML_DEPTH_MAX = 48 };

struct html {
    struct buf out;
    const char *open[HTML_DEPTH_MAX];
    size_t depth;
};

/* Frees what it holds. */
void html_deinit(struct html *html);

/*
 * Begins an element with attributes: names and values by turns, then NULL. A value NULL leaves the
 * attribute out. Never one that scripts or styles (asserted: on..., style, srcdoc). The value of
 * href, src and action has to be a place of this server (a path, a query, a fragment: html_url);
 * else the attribute is left out, so that no text of others becomes a link to another place.
 */
void html_begin(struct html *html, const char *tag, ...) __attribute__((sentinel));

/* The same for elements that have no content: input, meta, link, br. */
void html_void(struct html *html, const char *tag, ...) __attribute__((sentinel));

/* Ends the innermost element, which is of this name. */
void html_end(struct html *html, const char *tag);

/* A text; NULL: nothing. */
void html_text(struct html *html, const char *text);
void html_bytes(struct html *html, struct slice bytes);
void html_textf(struct html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An element with this text and nothing else. */
void html_element(struct html *html, const char *tag, const char *text, ...)
    __attribute__((sentinel));

/* Takes over markup of this program's own making as it is: another html's, or a picture's. */
void html_append(struct html *html, struct slice markup);

/* --- URLs --- */

/*
 * "/topics/{}?from={}" with each {} replaced by a text, percent-encoded so that it is one segment
 * or one value whatever is in it. "." and ".." are no segments that a browser leaves alone: what
 * may have such a name stands in the query. In the arena.
 */
const char *html_url(struct arena *arena, const char *format, ...);

/* Appends text, percent-encoded but for letters, digits and -._~ (RFC 3986, 2.3). */
void html_url_encode(struct buf *to, const char *text);

/* Whether it is a path, query or fragment of this server, and no "//host" or "scheme:". */
bool html_is_own_url(const char *url);

/* --- command lines --- */

/* Appends text as one word of a POSIX shell, in single quotes where it needs them. */
void html_shell_word(struct buf *to, const char *text);

/* "tidings topic describe {}" with each {} replaced by a text as one word of a shell. In the
 * arena. */
const char *html_shell(struct arena *arena, const char *format, ...);

#endif
