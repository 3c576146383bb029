#include "base/log_limit.h"

#include <string.h>

enum { LINE_MS = 1000 / LOG_LIMIT_PER_SECOND };

static struct log_limit_kind *find_kind(struct log_limit *limit, const char *room,
                                        const char *message)
{
    for (size_t i = 0; i < limit->count; i++) {
        struct log_limit_kind *kind = &limit->kinds[i];
        if ((kind->message == message || strcmp(kind->message, message) == 0) &&
            strcmp(kind->room, room) == 0) {
            return kind;
        }
    }
    if (limit->count == LOG_LIMIT_KINDS) {
        return &limit->kinds[LOG_LIMIT_KINDS - 1];
    }
    struct log_limit_kind *kind = &limit->kinds[limit->count++];
    kind->room = room;
    kind->message = message;
    return kind;
}

/* Gives back what time has earned. */
static void refill(struct log_limit_kind *kind, int64_t now_ms)
{
    int64_t lines = (now_ms - kind->refilled_ms) / LINE_MS;
    if (lines >= kind->used) {
        kind->used = 0;
        kind->refilled_ms = now_ms;
    } else if (lines > 0) {
        kind->used -= (unsigned)lines;
        kind->refilled_ms += lines * LINE_MS;
    }
}

bool log_limit_pass(struct log_limit *limit, const char *room, const char *message, int64_t now_ms)
{
    struct log_limit_kind *kind = find_kind(limit, room, message);
    refill(kind, now_ms);
    if (kind->used < LOG_LIMIT_BURST) {
        kind->used++;
        return true;
    }
    kind->left_out++;
    return false;
}

bool log_limit_left_out(struct log_limit *limit, struct log_limit_kind *out)
{
    for (size_t i = 0; i < limit->count; i++) {
        if (limit->kinds[i].left_out > 0) {
            *out = limit->kinds[i];
            limit->kinds[i].left_out = 0;
            return true;
        }
    }
    return false;
}
