#include "client/admin/position.h"

#include "base/time_text.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool digits_parse(const char *text, int64_t *value)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    errno = 0;
    *value = strtoll(text, NULL, 10);
    return errno == 0;
}

enum err position_parse(const char *text, int64_t now_ms, struct position *position,
                        struct reason *reason)
{
    static const char *const starts[] = {"start", "earliest", "beginning"};
    static const char *const ends[] = {"end", "latest"};
    int64_t value = 0;
    *position = (struct position){.kind = POSITION_START};
    if (is_one_of(text, starts, 3)) {
        return ERR_NONE;
    }
    if (is_one_of(text, ends, 2)) {
        position->kind = POSITION_END;
        return ERR_NONE;
    }
    if (digits_parse(text, &value)) {
        position->kind = POSITION_OFFSET;
    } else if (text[0] == '-' && digits_parse(text + 1, &value)) {
        position->kind = POSITION_LAST;
    } else if (time_parse(text, now_ms, &value, NULL) == ERR_NONE) {
        position->kind = POSITION_TIME;
    } else {
        return reason_fail(reason, ERR_INVALID,
                           "'%.60s' is no place in a topic: write start, end, an offset (42), the "
                           "last N (-10) or a time (-1h, 2026-02-01T12:00:00Z)",
                           text);
    }
    position->value = value;
    return ERR_NONE;
}

static int64_t within(int64_t offset, struct admin_bounds bounds)
{
    if (offset < bounds.start) {
        return bounds.start;
    }
    return offset > bounds.end ? bounds.end : offset;
}

int64_t position_offset(const struct position *position, struct admin_bounds bounds)
{
    switch (position->kind) {
    case POSITION_START:
        return bounds.start;
    case POSITION_END:
        return bounds.end;
    case POSITION_OFFSET:
        return within(position->value, bounds);
    case POSITION_LAST:
        /* Compared, not subtracted: the count may be anything. */
        return position->value > bounds.end - bounds.start ? bounds.start
                                                           : bounds.end - position->value;
    case POSITION_TIME:
        break;
    }
    assert(!"a time is resolved by the bus");
    return bounds.end;
}

enum client_status position_resolve(struct connection *connection,
                                    struct topic_partitions *partitions,
                                    const struct position *position,
                                    const struct admin_bounds *bounds, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (position->kind == POSITION_TIME) {
        status = admin_offsets_at(connection, partitions, position->value, error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < partitions->count; i++) {
        int64_t *offset = &partitions->items[i].offset;
        if (position->kind != POSITION_TIME) {
            *offset = position_offset(position, bounds[i]);
        } else {
            *offset = *offset < 0 ? bounds[i].end : within(*offset, bounds[i]);
        }
    }
    return status;
}
