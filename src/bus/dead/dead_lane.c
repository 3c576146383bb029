#include "bus/dead/dead_lane.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/admin/admin.h"
#include "client/lane_kafka/lane_word.h"

#include <stdlib.h>
#include <string.h>

void dead_openings_add(struct dead_openings *openings, const struct dead_seen *seen)
{
    struct slice key = seen->subject.letter->event->key;
    struct dead_opening *opening = vec_add(openings);
    opening->topic = mem_strndup((const char *)seen->event.topic.data, seen->event.topic.size);
    opening->partition = seen->event.partition;
    opening->head = seen->event.offset;
    opening->kind = seen->its->lane_kind;
    opening->has_key = !slice_is_null(key);
    buf_append_slice(&opening->key, key);
}

void dead_openings_deinit(struct dead_openings *openings)
{
    for (size_t i = 0; i < openings->count; i++) {
        free(openings->items[i].topic);
        buf_deinit(&openings->items[i].key);
    }
    vec_deinit(openings);
}

struct opener {
    int64_t heard_ms;
};

static void on_reply(void *context, const struct lane_reply *reply)
{
    struct opener *opener = context;
    struct dead_opening *opening = reply->token;
    opener->heard_ms = clock_mono_ms(clock_system());
    if (reply->answer == NULL) {
        opening->opened =
            reply->error->status == CLIENT_CLOSED ? DEAD_TO_BE_OPENED : DEAD_NOT_OPENED;
    } else {
        /* nothing to do: it is not closed by this event any more */
        opening->opened = reply->answer->outcome == LANE_REFUSED ? DEAD_NOT_OPENED : DEAD_OPENED;
    }
}

static enum client_status send_one(struct lane_words *words, const char *who, const char *why,
                                   struct dead_opening *opening, struct client_error *error)
{
    enum { TEXT_MAX = 1000 };
    size_t why_size = why != NULL ? strlen(why) : 0;
    struct slice key = !opening->has_key        ? (struct slice){0}
                       : opening->key.size == 0 ? slice_str("")
                                                : buf_slice(&opening->key);
    const struct lane_word word = {
        .verb = LANE_SAY_SKIP,
        .name = {opening->kind == DEAD_LANE_OF_KEY ? key : (struct slice){0},
                 opening->kind == DEAD_LANE_OF_EVENT ? opening->head : -1},
        .head = opening->head,
        .who = slice_str(who),
        .why = slice_of(why, why_size < TEXT_MAX ? why_size : TEXT_MAX),
    };
    return lane_words_send(words, opening->topic, opening->partition, &word, opening, error);
}

/* Nobody is there to answer. */
static bool is_empty(struct lane_words *words, const char *group)
{
    struct admin_group about;
    bool is_known = admin_group(lane_words_connection(words), group, &about, NULL) == CLIENT_OK;
    bool has_members = about.members.count > 0;
    admin_group_deinit(&about);
    return is_known && !has_members;
}

static enum client_status say_all(struct lane_words *words, struct opener *opener, bool has_nobody,
                                  const char *who, const char *why, struct dead_openings *openings,
                                  struct client_error *error)
{
    enum { TURN_MS = 20 };
    int64_t timeout_ms = connection_timeout_ms(lane_words_connection(words));
    size_t next = 0;
    opener->heard_ms = clock_mono_ms(clock_system());
    while (next < openings->count || lane_words_pending(words) > 0) {
        enum client_status status = CLIENT_OK;
        while (status == CLIENT_OK && next < openings->count) {
            status = send_one(words, who, why, &openings->items[next], error);
            next += status == CLIENT_OK;
        }
        if (status != CLIENT_OK && status != CLIENT_FULL) {
            return status;
        }
        status = lane_words_serve(words, TURN_MS, error);
        if (status == CLIENT_FATAL) {
            return status;
        }
        bool is_written = next == openings->count && lane_words_unwritten(words) == 0;
        if ((has_nobody && is_written) ||
            clock_mono_ms(clock_system()) - opener->heard_ms > timeout_ms) {
            break;
        }
    }
    return CLIENT_OK;
}

enum client_status dead_lanes_open(const struct connection_settings *connection, const char *group,
                                   const char *who, const char *why, struct dead_openings *openings,
                                   struct client_error *error)
{
    struct opener opener = {0};
    struct lane_words *words;
    const struct lane_words_settings settings = {.connection = *connection,
                                                 .group = group,
                                                 .window = (int)openings->count + 1,
                                                 .replied = on_reply,
                                                 .context = &opener};
    enum client_status status = lane_words_open(&settings, &words, error);
    if (status == CLIENT_OK) {
        status = say_all(words, &opener, is_empty(words, group), who, why, openings, error);
    }
    lane_words_close(words);
    return status;
}
