#ifndef TIDINGS_BUS_EVENT_WHERE_H
#define TIDINGS_BUS_EVENT_WHERE_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Conditions that people write, over whatever has fields and headers:
 *
 *     type = order.placed and not (header.tenant = a or attempts > 3) and message ~ '*timeout*'
 *
 *     condition  = term { "or" term }
 *     term       = factor { "and" factor }
 *     factor     = "not" factor | "(" condition ")" | name [ operator value ]
 *     operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
 *
 * A name is one of the caller's fields, begins with an open one (data.PATH), or is header.NAME; a
 * name alone: it is there. A value goes up
 * to a blank or parenthesis, or stands in single or double quotes, in which \ takes the next letter
 * as it is. ~ is a pattern over the whole text: * any bytes, ? one byte. Numbers compare as
 * numbers, times as times (written as for --from: -1h, 2026-02-01T12:00), texts byte for byte, and
 * a header or an open field as a number where both sides are one: for = and != whole ones only, so
 * that 1.10 is not 1.1. What is not there equals nothing:
 * `!=` and `!~` of it hold, all else does not.
 *
 * Pure; any thread, one at a time a condition.
 */
struct where;

enum {
    WHERE_MAX_BYTES = 4096,
    WHERE_MAX_NODES = 512, /* conditions and what joins them */
    WHERE_MAX_DEPTH = 64
};

/* WHERE_OPEN: a text; the name ends in a dot, and what follows it in a condition is the rest. */
enum where_kind { WHERE_TEXT, WHERE_NUMBER, WHERE_TIME, WHERE_OPEN };

#define WHERE_HEADER SIZE_MAX

struct where_field {
    const char *name;
    enum where_kind kind;
};

struct where_value {
    bool is_there;
    struct slice text; /* WHERE_TEXT and headers */
    int64_t number;    /* WHERE_NUMBER; WHERE_TIME: ms since 1970 */
};

/* The value of fields[field] with rest NULL; of an open field and its rest; or, with WHERE_HEADER,
 * of the header that rest names (the last one of its name). */
typedef struct where_value where_get(const void *context, size_t field, const char *rest);

/* An empty condition, which holds of everything. The fields (a row with name NULL ends them) must
 * outlive it. Free with where_free. */
struct where *where_new(const struct where_field *fields);

/* NULL is fine. */
void where_free(struct where *where);

/* From now on it holds only of what `text` holds of, too. Relative times count from now_ms.
 * ERR_INVALID with a reason that tells where and what; the condition is as before then. */
CHECKED enum err where_add(struct where *where, const char *text, int64_t now_ms,
                           struct reason *reason);

/* The same for `name operator value` with any of the values, taken as they are. Without values it
 * changes nothing. */
CHECKED enum err where_add_any(struct where *where, const char *name, const char *operator_text,
                               const char *const *values, size_t count, int64_t now_ms,
                               struct reason *reason);

/* Whether nothing was added. */
bool where_is_empty(const struct where *where);

/* Whether any condition looks at the field of this name ("data.": at anything below it). */
bool where_uses(const struct where *where, const char *name);

/* Whether any condition looks at a header other than those of which `but` says true. */
bool where_uses_header(const struct where *where, bool (*but)(const char *name));

/* Whether it holds. `get` is asked for what is needed only; its slices live until the next ask. */
bool where_holds(const struct where *where, where_get *get, const void *context);

/*
 * One of the conditions that all have to hold ("and" joins them), and whether it does. text: in
 * words of this language, of at most some WHERE_MAX_BYTES. For a comparison, also what is there.
 */
struct where_part {
    bool holds;
    const char *text;
    bool is_test;
    enum where_kind kind;
    struct where_value value;
};

/* Tells each part, in order; what it is told lives until `each` returns. Returns how many hold. */
size_t where_tell(const struct where *where, where_get *get, const void *context,
                  void (*each)(void *each_context, const struct where_part *part),
                  void *each_context);

/* Whether the pattern of ~ fits the whole text. At most text.size * (pattern's length / 64 + 1)
 * steps, or a million; for a large text 33 bytes of memory a letter of the pattern. */
bool where_glob(const char *pattern, struct slice text);

#endif
